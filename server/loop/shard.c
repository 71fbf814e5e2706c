/* shard.c - a shard's rings, slots and upkeep. */
#include "server/loop/shard.h"

#include <errno.h>
#include <stdlib.h>

#include "server/config/config.h"
#include "server/log.h"
#include "server/loop/deliver.h"
#include "server/op.h"
#include "server/process/server.h"
#include "server/stripes/watch.h"

struct shard *shards;
unsigned shard_count;

enum {
    PAGE_CONNS = 64,            /* connection slots that are allocated together */
    FILE_TABLE_MAX = 32 * 1024, /* slots beyond this use plain descriptors */
    SQPOLL_IDLE_MS = 10,
};

/* ---- Opening -------------------------------------------------------------------------------------- */

/* Poll threads on CPUs that others need cost more than half of the throughput: by themselves they come only
 * where there are CPUs to spare (uring/README.md). */
static enum ring_mode mode(void) {
    if (config.io_sqpoll != CONFIG_AUTO) return config.io_sqpoll == CONFIG_YES ? RING_SQPOLL : RING_INLINE;
    return server_spare_cpus() ? RING_SQPOLL : RING_INLINE;
}

static int open_ring(struct shard *shard) {
    unsigned leader = server_poll_leader(shard->index);
    struct ring_options options = {
        .sq_entries = SQ_ENTRIES,
        .cq_entries = CQ_ENTRIES,
        .mode = mode(),
        .attach_fd = leader == shard->index ? -1 : shards[leader].ring.fd,
        .sq_cpu = server_poll_cpu(leader),
        .sq_idle_ms = SQPOLL_IDLE_MS,
    };
    shard->quick_sends = options.mode == RING_INLINE;
    return ring_open(&shard->ring, &options);
}

static void open_limits(struct shard *shard) {
    shard->limits = (struct request_limits){
        .max_args = MAX_REQUEST_ARGS,
        .max_bulk = (uint64_t)config.proto_max_bulk_len,
        .max_inline = MAX_INLINE,
        .bulk_min = DIRECT_READ_MIN,
        .authenticated = true,
    };
    shard->limits_unauthenticated = (struct request_limits){
        .max_args = MAX_REQUEST_ARGS_UNAUTHENTICATED,
        .max_bulk = MAX_BULK_UNAUTHENTICATED,
        .max_inline = MAX_INLINE,
        .bulk_min = UINT64_MAX,
    };
}

int shard_open(struct shard *shard) {
    open_limits(shard);
    shard->free_slot = SLOT_NONE;
    shard->next_expiry_ms = INT64_MAX;
    executor_open(&shard->exec, shard->index);
    shard->mailbox = &mailboxes[shard->index];
    if (!deliver_open(shard)) return -ENOMEM;
    int error = open_ring(shard);
    if (error) return error;
    shard->mailbox->ring_fd = shard->ring.fd;
    error = buffers_open(&shard->buffers, &shard->ring, 0, RECEIVE_BUFFERS, RECEIVE_BUFFERS_LEAST,
                         RECEIVE_BUFFER_SIZE);
    if (error) return error;
    if (files_open(&shard->files, &shard->ring, FILE_TABLE_MAX) < 0) shard->files.count = 0;
    return 0;
}

void shard_close(struct shard *shard) {
    deliver_close(shard);
    executor_close(&shard->exec);
    files_close(&shard->files);
    buffers_close(&shard->buffers);
    ring_close(&shard->ring);
    for (unsigned i = 0; i < shard->page_count; i++) free(shard->pages[i]);
    free(shard->pages);
    chunk_pool_close(&shard->chunks);
}

/* ---- Slots ---------------------------------------------------------------------------------------- */

static struct conn *slot_conn(const struct shard *shard, uint32_t slot) {
    return slot < shard->page_count * PAGE_CONNS ? &shard->pages[slot / PAGE_CONNS][slot % PAGE_CONNS] : NULL;
}

/* A free slot keeps its generation, and in `pending_ops` the next free slot. */
static bool add_page(struct shard *shard) {
    struct conn **pages = realloc(shard->pages, (shard->page_count + 1) * sizeof(struct conn *));
    if (!pages) return false;
    shard->pages = pages;
    struct conn *page = calloc(PAGE_CONNS, sizeof *page);
    if (!page) return false;
    uint32_t first = shard->page_count * PAGE_CONNS;
    for (uint32_t i = PAGE_CONNS; i-- > 0;) {
        page[i].slot = first + i;
        page[i].pending_ops = shard->free_slot;
        shard->free_slot = first + i;
    }
    pages[shard->page_count++] = page;
    return true;
}

struct conn *shard_conn_new(struct shard *shard) {
    if (shard->free_slot == SLOT_NONE && !add_page(shard)) return NULL;
    struct conn *conn = slot_conn(shard, shard->free_slot);
    uint32_t slot = conn->slot, generation = conn->generation + 1;
    shard->free_slot = conn->pending_ops;
    *conn = (struct conn){.slot = slot, .generation = generation & OP_GENERATION_MASK};
    return conn;
}

void shard_conn_free(struct shard *shard, struct conn *conn) {
    conn->flags = 0;
    conn->pending_ops = shard->free_slot;
    shard->free_slot = conn->slot;
}

struct conn *shard_conn(struct shard *shard, uint32_t slot, uint32_t generation) {
    struct conn *conn = slot_conn(shard, slot);
    return conn && conn->flags & CONN_OPEN && conn->generation == generation ? conn : NULL;
}

struct conn *shard_conn_by_id(struct shard *shard, uint32_t slot, uint64_t client_id) {
    struct conn *conn = slot_conn(shard, slot);
    return conn && conn->flags & CONN_OPEN && !(conn->flags & CONN_CLOSING) && conn->client.id == client_id
               ? conn
               : NULL;
}

void shard_each_conn(struct shard *shard, void (*each)(struct conn *conn)) {
    for (unsigned page = 0; page < shard->page_count; page++)
        for (unsigned i = 0; i < PAGE_CONNS; i++)
            if (shard->pages[page][i].flags & CONN_OPEN) each(&shard->pages[page][i]);
}

/* ---- Upkeep --------------------------------------------------------------------------------------- */

struct expiring {
    struct shard *shard;
    struct stripe *stripe;
};

static void expired(void *context, unsigned db, const struct entry *e) {
    struct expiring *expiring = context;
    metric_add(&expiring->shard->exec.metrics.expired_keys, 1);
    if (!expiring->stripe->watches) return;
    struct bytes name = entry_key(e);
    watch_touch(expiring->stripe, db, (struct key){name, hash_bytes(&stripes.seed, name)});
}

static void upkeep_stripe(struct shard *shard, struct stripe *stripe) {
    struct expiring expiring = {shard, stripe};
    stripe_lock(stripe);
    if (server_active_expire && keyspace_expire(stripe->keyspace, shard->exec.clock.now_ms, EXPIRE_BUDGET,
                                                expired, &expiring) == EXPIRE_BUDGET)
        shard->upkeep_left = true;
    if (keyspace_upkeep(stripe->keyspace, UPKEEP_BUDGET)) shard->upkeep_left = true;
    int64_t next_ms = server_active_expire ? keyspace_next_expiry(stripe->keyspace) : INT64_MAX;
    stripe_unlock(stripe);
    if (next_ms < shard->next_expiry_ms) shard->next_expiry_ms = next_ms;
}

void shard_upkeep(struct shard *shard) {
    shard->upkeep_left = false;
    shard->next_expiry_ms = INT64_MAX;
    for (unsigned i = shard->index; i < stripes.count; i += shard_count)
        upkeep_stripe(shard, &stripes.all[i]);
}
