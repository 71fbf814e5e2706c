/* execute.c - what has come is run, connection by connection. */
#include "server/loop/execute.h"

#include "protocol/assert.h"
#include "server/loop/conn.h"
#include "server/loop/shard.h"

/* Bytes that came before wait. */
static void run_ready(struct conn *conn) {
    conn_input(conn, NULL, 0);
}

enum {
    AHEAD_MOST = 16,   /* what they look at has room in the first cache */
    SHORT_BYTES = 256, /* what is longer has several requests, or large ones: a batch looks ahead by itself */
};

/* Where each of many connections has sent one request, what these will look at is asked for together, as for the requests of
 * a pipeline: first the buckets, then the entries. It is no more than asked for, whatever the requests turn out to be. */
static void look_ahead(const struct shard *shard, const struct received *first, unsigned count) {
    struct {
        const struct keyspace *keyspace;
        const struct bucket *bucket;
        uint64_t hash;
    } asked[AHEAD_MOST];
    unsigned known = 0;
    for (const struct received *r = first; r < first + count; r++) {
        struct bytes name;
        if (r->len > SHORT_BYTES ||
            !request_peek_argument((struct bytes){io_buffer(&shard->io, r->buffer), r->len}, &name))
            continue;
        uint64_t hash = hash_bytes(&stripes.seed, name);
        const struct keyspace *keyspace = stripes.all[stripe_index(hash)].keyspace;
        asked[known].keyspace = keyspace;
        asked[known].bucket = keyspace_prefetch_bucket(keyspace, r->conn->client.db, hash);
        asked[known++].hash = hash;
    }
    for (unsigned i = 0; i < known; i++)
        keyspace_prefetch_entry(asked[i].keyspace, asked[i].bucket, asked[i].hash);
}

static void run_received(struct shard *shard, const struct received *received) {
    if (received->conn->generation == received->generation)
        conn_input(received->conn, io_buffer(&shard->io, received->buffer), received->len);
    io_release(&shard->io, received->buffer);
}

/* Is it all that its connection has to be run? */
static bool is_alone(const struct shard *shard, const struct received *received) {
    if (received->conn->pending.len || received->conn->bulk) return false;
    for (const struct received *r = shard->received; r < received; r++)
        if (r->conn == received->conn) return false;
    return true;
}

bool execute_short(struct shard *shard) {
    unsigned left = 0, count = shard->received_count;
    if (conn_list_empty(&shard->ready)) return false;
    for (struct received *r = shard->received; r < shard->received + count; r++) {
        if (r->len > SHORT_BYTES || !is_alone(shard, r)) continue;
        run_received(shard, r);
        r->len = 0;
    }
    for (unsigned i = 0; i < count; i++)
        if (shard->received[i].len) shard->received[left++] = shard->received[i];
    shard->received_count = left;
    metric_add(&shard->exec.metrics.reads, count - left);
    return left < count;
}

void execute(struct shard *shard) {
    struct conn_list ready;
    conn_list_take(&ready, &shard->ready);
    metric_add(&shard->exec.metrics.reads, shard->received_count);
    for (unsigned i = 0, left; i < shard->received_count; i++) {
        if (i % AHEAD_MOST == 0 && (left = shard->received_count - i) > 1)
            look_ahead(shard, &shard->received[i], left < AHEAD_MOST ? left : AHEAD_MOST);
        run_received(shard, &shard->received[i]);
    }
    shard->received_count = 0;
    conn_list_run(&ready, run_ready);
}
