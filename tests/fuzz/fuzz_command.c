/* fuzz_command.c - whole commands, from the bytes of two connections to replies: parser, dispatch, handlers,
 * transactions, CLIENT PAUSE and MONITOR, in one process without sockets or rings.
 *
 * An input is what the two connections receive. Two bytes that never reach them steer it:
 *
 *     0x1e  the other connection goes on          0x1f  a piece of received data ends here
 *
 * Whatever comes in, what goes out is a sequence of whole, well-formed replies, every connection ends, and nothing
 * of it is left behind but the keys, which FLUSHALL takes. Commands that end the process, sleep or write files
 * are left out. */
#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#include "protocol/response.h"
#include "server/call/gate.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"
#include "server/config/config.h"
#include "server/exec/monitor.h"
#include "server/exec/pause.h"
#include "server/log.h"
#include "server/loop/deliver.h"
#include "server/loop/input.h"
#include "server/loop/shard.h"
#include "server/report/info.h"
#include "server/stripes/watch.h"
#include "tests/check.h"

enum {
    OTHER_CONNECTION = 0x1e,
    END_OF_PIECE = 0x1f,
    DATABASES = 16,
    MAX_STRING = 64 * 1024, /* a longer one costs time, not insight */
    MAX_REPLIES = 64 << 20, /* bytes to one connection, all told */
    CONNECTIONS = 2,
};

static struct conn *conns[CONNECTIONS];
static struct buffer replies[CONNECTIONS];
static int null_fd;

/* A shard without a ring: nothing here submits. */
static void open_shard(void) {
    config_defaults();
    log_set_level(LOG_LEVEL_NOTHING);
    CHECK(command_table_open() == NULL && info_open() == NULL);
    config.proto_max_bulk_len = MAX_STRING;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    shard_count = 1;
    shards = aligned_alloc(_Alignof(struct shard), sizeof *shards);
    CHECK(null_fd >= 0 && shards);
    mailbox_count = 4; /* the owners of the stripes below */
    shard_init(shards, 0);
    CHECK(stripes_open(4, DATABASES) == 0); /* locked as with several shards, by one thread */
}

static struct conn *open_conn(void) {
    struct conn *conn = slots_take(&shards->slots);
    CHECK(conn);
    conn->shard = shards;
    conn->kind = &input_client;
    io_attach(&shards->io, &conn->socket, dup(null_fd), IO_PLACE_NONE, slots_name(conn));
    conn->client = (struct client){
        .slot = conn->slot, .fd = conn->socket.fd, .resp = 2, .created_ms = shards->exec.clock.now_ms};
    output_open(&conn->output, &shards->chunks);
    CHECK(clients_add(&conn->client));
    shards->connections++;
    conn->flags = CONN_OPEN;
    return conn;
}

/* The whole replies at the front of what one connection was sent. */
static void check_replies(struct buffer *sent) {
    size_t at = 0, used;
    if (!sent->len) return;
    while (response_size(sent->data + at, sent->len - at, MAX_REPLIES, &used) == RESPONSE_READY) at += used;
    CHECK(at == sent->len);
    buffer_free(sent);
}

/* As the kernel would: a few bytes at a time, so that what is in flight and what queues behind it both exist. */
static void send_some(unsigned i) {
    struct conn *conn = conns[i];
    const struct iovec *iov;
    if (conn->flags & CONN_CLOSING) return;
    unsigned count = output_in_flight(&conn->output) ? output_rest(&conn->output, &iov)
                                                     : output_begin(&conn->output, &iov);
    if (count == 0) return;
    struct bytes first = {iov[0].iov_base, iov[0].iov_len};
    CHECK(buffer_append(&replies[i], first, MAX_REPLIES));
    output_sent(&conn->output, first.len);
}

static void send_all(unsigned i) {
    while (output_unsent(&conns[i]->output) && !(conns[i]->flags & CONN_CLOSING)) send_some(i);
    if (!conns[i]->output.reply.failed && !(conns[i]->flags & CONN_CLOSING)) check_replies(&replies[i]);
    buffer_free(&replies[i]);
}

static void run_ready(struct conn *conn) {
    conn_input(conn, NULL, 0);
}

static void resume_held(struct conn *conn) {
    conn_resume(conn, CONN_STOP_PAUSE);
}

/* What a turn does behind the input: posts, and connections that have more to run. */
static void turn(void) {
    deliver_posts(shards);
    conn_list_run(&shards->ready, run_ready);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        conn_link_out(&conns[i]->flush_link); /* send_some does what these lists are for */
        if (!(conns[i]->flags & CONN_CLOSING)) conn_link_out(&conns[i]->receive_link);
        if (conns[i]->flags & CONN_STOP_OUTPUT) {
            send_all(i);
            conn_resume(conns[i], CONN_STOP_OUTPUT);
        }
        send_some(i);
    }
}

static void receive(unsigned i, const uint8_t *data, size_t len) {
    char *piece = malloc(len + 1); /* of its exact size, so that a sanitizer sees what is read beyond it */
    CHECK(piece);
    memcpy(piece, data, len);
    piece = realloc(piece, len ? len : 1);
    CHECK(piece);
    conn_input(conns[i], piece, len);
    free(piece);
    turn();
}

static void run_input(const uint8_t *data, size_t size) {
    unsigned current = 0;
    size_t start = 0;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && data[i] != OTHER_CONNECTION && data[i] != END_OF_PIECE) continue;
        if (i > start) receive(current, data + start, i - start);
        if (i < size && data[i] == OTHER_CONNECTION) current = (current + 1) % CONNECTIONS;
        start = i + 1;
    }
}

static void end_pause(void) {
    pause_end();
    conn_list_run(&shards->held, resume_held);
}

static void close_all(void) {
    for (unsigned i = 0; i < CONNECTIONS; i++) conn_shut(conns[i]);
    deliver_posts(shards); /* who was served, and has not been told yet, keeps its slot until then */
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        conn_link_out(&conns[i]->receive_link);
        buffer_free(&replies[i]);
        CHECK(conn_free(conns[i]));
        slots_give(&shards->slots, conns[i]);
    }
    CHECK(conn_list_empty(&shards->ready) && conn_list_empty(&shards->flush) &&
          conn_list_empty(&shards->rearm));
    CHECK(conn_list_empty(&shards->held) && conn_list_empty(&shards->closing));
    CHECK(conn_list_empty(&shards->waiting) && shards->exec.metrics.blocked_clients == 0);
    CHECK(shards->connections == 0 && clients_count() == 0 && !(gates_up & GATE_MASK(MODE_MONITORED)));
    for (unsigned i = 0; i < stripes.count; i++) {
        CHECK(!stripes.all[i].watches && !stripes.all[i].waiters && stripes.all[i].lock == 0);
        for (unsigned db = 0; db < DATABASES; db++) keyspace_flush(stripes.all[i].keyspace, db);
        while (keyspace_upkeep(stripes.all[i].keyspace, UPKEEP_BUDGET)) {
        }
        CHECK(keyspace_memory(stripes.all[i].keyspace) == 0);
    }
    CHECK(heaps_used(stripes.heaps) == 0 && heaps_blocks(stripes.heaps) == 0);
}

static bool has_word(const char *data, size_t size, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= size; i++)
        if (bytes_equal_nocase((struct bytes){data + i, len}, bytes_of(word))) return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const left_out[] = {"shutdown", "debug", "config",
                                           "\\x"}; /* \x: another way to spell */
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (has_word((const char *)data, size, left_out[i])) return 0;
    if (!shards) open_shard();
    clock_read(&shards->exec.clock);
    for (unsigned i = 0; i < CONNECTIONS; i++) conns[i] = open_conn();
    run_input(data, size);
    for (unsigned turns = 0; turns < 3 || !conn_list_empty(&shards->ready); turns++) {
        end_pause();
        turn();
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) send_all(i);
    close_all();
    return 0;
}
