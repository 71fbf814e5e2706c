/* fuzz_command.c - whole commands, from the bytes of two connections to replies: parser, dispatch, handlers,
 * transactions, CLIENT PAUSE and MONITOR, in one process without sockets or rings.
 *
 * An input is what the two connections receive. Three bytes that never reach them steer it:
 *
 *     0x1e  the other connection goes on          0x1f  a piece of received data ends here
 *     0x1d  at the beginning of a piece: the rest of it is the words of a command, with such a byte between two of them
 *
 * Words are sent as a request of the right lengths, so that a change of one of them leaves a whole request. A word of one
 * byte 0x1c is sent as the id of the other connection, for REDIRECT, UNBLOCK and KILL. RESTORE would
 * refuse whatever is changed in a payload: each payload gets the version and the checksum that make it a right one, unless
 * its last byte is 0.
 *
 * Whatever comes in, what goes out is a sequence of whole, well-formed replies, every connection ends, and nothing
 * of it is left behind but the keys, which FLUSHALL takes. SHUTDOWN and CONFIG are not there. */
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
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/loop/deliver.h"
#include "server/loop/input.h"
#include "server/loop/shard.h"
#include "server/loop/waiting.h"
#include "server/report/info.h"
#include "server/stripes/watch.h"
#include "store/rdb/crc64.h"
#include "store/rdb/element.h"
#include "store/rdb/payload.h"
#include "tests/check.h"
#include "tests/unit/failing_disk.h"

enum {
    OTHERS_ID = 0x1c,
    WORDS = 0x1d,
    OTHER_CONNECTION = 0x1e,
    END_OF_PIECE = 0x1f,
    DATABASES = 16,
    MAX_STRING = 64 * 1024, /* a longer one costs time, not insight */
    MAX_REPLIES = 4 << 20,  /* bytes to one connection, after which it is closed */
    MAX_SAVED = 1 << 20,    /* bytes that an input may save */
    MAX_FED = 1 << 26,      /* bytes from one connection: more than any input makes */
    CONNECTIONS = 2,
};

/* What a connection receives at a time: bytes of its feed. */
struct piece {
    unsigned connection;
    size_t at, len;
};

static struct conn *conns[CONNECTIONS];
static struct buffer replies[CONNECTIONS], feeds[CONNECTIONS];
static int null_fd;
static struct failing_disk disk; /* where SAVE saves: in memory, and not much */

/* A shard without a ring: nothing here submits. */
static void open_shard(void) {
    config_defaults();
    log_set_level(LOG_LEVEL_NOTHING);
    CHECK(command_table_open() == NULL && info_open() == NULL);
    CHECK(command_set_name(BYTES("shutdown"), (struct bytes){0}) == NULL);
    CHECK(command_set_name(BYTES("config"), (struct bytes){0}) == NULL);
    CHECK(command_set_name(BYTES("bgsave"), (struct bytes){0}) == NULL); /* it starts a thread */
    config.proto_max_bulk_len = MAX_STRING;
    config.hash_max_listpack_entries = config.zset_max_listpack_entries =
        4; /* short inputs shall make both forms */
    config.hash_max_listpack_value = config.zset_max_listpack_value = 8;
    config.set_max_intset_entries = config.stream_node_max_entries = 4;
    config.tracking_table_max_keys = 3;
    config.slowlog_log_slower_than = 0;
    config.slowlog_max_len = 4;
    config.notify_keyspace_events = NOTIFY_ALL | NOTIFY_NEW | NOTIFY_KEYSPACE | NOTIFY_KEYEVENT;
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    shard_count = 1;
    shards = aligned_alloc(_Alignof(struct shard), sizeof *shards);
    CHECK(null_fd >= 0 && shards);
    mailbox_count = 4; /* the owners of the stripes below */
    shard_init(shards, 0);
    disk_new(&disk);
    snapshot_open(&disk.disk, 0);
    CHECK(stripes_open(4, DATABASES) == 0); /* locked as with several shards, by one thread */
    effects_publish();
}

static struct conn *open_conn(void) {
    struct conn *conn = slots_take(&shards->slots);
    CHECK(conn);
    conn->shard = shards;
    conn->kind = &input_client;
    io_attach(&shards->io, &conn->socket, dup(null_fd), IO_PLACE_NONE, slots_name(conn));
    conn->client = (struct client){
        .slot = conn->client.slot, .fd = conn->socket.fd, .resp = 2, .created_ms = shards->exec.clock.now_ms};
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
                                                     : output_begin(&conn->output, SIZE_MAX, &iov);
    if (count == 0) return;
    struct bytes first = {iov[0].iov_base, iov[0].iov_len};
    if (!buffer_append(&replies[i], first, MAX_REPLIES)) {
        conn_shut(conn);
        return;
    }
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
    shards->turn++; /* what a connection may do in a turn, it may again */
    clock_read(&shards->exec.clock);
    waiting_expire(shards);
    deliver_posts(shards);
    conn_list_run(&shards->ready, run_ready);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        conn_unpush(conns[i]);
        conn_link_out(&conns[i]->flush_link); /* send_some does what these lists are for */
        if (!(conns[i]->flags & CONN_CLOSING)) conn_link_out(&conns[i]->receive_link);
        if (conns[i]->flags & CONN_STOP_OUTPUT) {
            send_all(i);
            conn_resume(conns[i], CONN_STOP_OUTPUT);
        }
        send_some(i);
    }
}

static void receive(unsigned i, struct bytes bytes) {
    char *piece = malloc(bytes.len ? bytes.len
                                   : 1); /* its exact size, so that a sanitizer sees what is read beyond it */
    CHECK(piece);
    memcpy(piece, bytes.data, bytes.len);
    conn_input(conns[i], piece, bytes.len);
    free(piece);
    turn();
}

/* ---- From an input to what is received --------------------------------------------------------------- */

static void feed(struct buffer *to, struct bytes bytes) {
    CHECK(buffer_append(to, bytes, MAX_FED));
}

/* A line of a request: the kind, a number. */
static void feed_number(struct buffer *to, char kind, size_t number) {
    char line[32];
    int len = snprintf(line, sizeof line, "%c%zu\r\n", kind, number);
    feed(to, (struct bytes){line, (size_t)len});
}

static void feed_word(struct buffer *to, struct bytes word, unsigned connection) {
    char id[32];
    if (word.len == 1 && word.data[0] == OTHERS_ID) {
        uint64_t other = conns[(connection + 1) % CONNECTIONS]->client.id;
        word = (struct bytes){id, (size_t)snprintf(id, sizeof id, "%llu", (unsigned long long)other)};
    }
    feed_number(to, '$', word.len);
    feed(to, word);
    feed(to, BYTES("\r\n"));
}

static void feed_words(struct buffer *to, struct bytes words, unsigned connection) {
    size_t count = 1, start = 0;
    for (size_t i = 0; i < words.len; i++) count += words.data[i] == WORDS;
    feed_number(to, '*', count);
    for (size_t i = 0; i <= words.len; i++) {
        if (i < words.len && words.data[i] != WORDS) continue;
        feed_word(to, (struct bytes){words.data + start, i - start}, connection);
        start = i + 1;
    }
}

/* Takes `$len CRLF bytes CRLF` off the front. False if it is not all there. */
static bool take_bulk(struct bytes *rest, struct bytes *bulk) {
    size_t i = 1, len = 0;
    if (rest->len < 2 || rest->data[0] != '$') return false;
    for (; i < rest->len && rest->data[i] >= '0' && rest->data[i] <= '9'; i++) {
        len = 10 * len + (size_t)(rest->data[i] - '0');
        if (len > MAX_STRING) return false;
    }
    if (rest->len - i < 2 || rest->data[i] != '\r' || rest->data[i + 1] != '\n') return false;
    i += 2;
    if (rest->len - i < len + 2) return false;
    *bulk = (struct bytes){rest->data + i, len};
    *rest = (struct bytes){rest->data + i + len + 2, rest->len - i - len - 2};
    return true;
}

/* Makes the payload of each RESTORE key ttl payload a right one. */
static void seal_payloads(struct buffer *fed) {
    static const struct bytes name = BYTES_INIT("$7\r\nRESTORE\r\n");
    for (size_t i = 0; i + name.len <= fed->len; i++) {
        if (!bytes_equal_nocase((struct bytes){fed->data + i, name.len}, name)) continue;
        struct bytes rest = {fed->data + i + name.len, fed->len - i - name.len}, key, ttl, payload;
        if (!take_bulk(&rest, &key) || !take_bulk(&rest, &ttl) || !take_bulk(&rest, &payload)) continue;
        if (payload.len <= PAYLOAD_FOOTER || payload.data[payload.len - 1] == 0) continue;
        struct bytes body = {payload.data, payload.len - PAYLOAD_FOOTER};
        char *footer = fed->data + (payload.data - fed->data) + body.len;
        payload_close(footer, crc64(0, body), 1 + (unsigned char)footer[0] % RDB_VERSION_MAX);
        CHECK(payload_open(payload, PAYLOAD_CHECKED, &(struct payload){0}));
    }
}

/* Feeds of both connections, and their pieces in order; how many. At most one more than the input has bytes. */
static size_t read_pieces(struct bytes input, struct piece *pieces) {
    size_t count = 0, start = 0;
    unsigned current = 0;
    for (size_t i = 0; i <= input.len; i++) {
        if (i < input.len && input.data[i] != OTHER_CONNECTION && input.data[i] != END_OF_PIECE) continue;
        struct bytes bytes = {input.data + start, i - start};
        struct buffer *to = &feeds[current];
        size_t at = to->len;
        if (bytes.len && bytes.data[0] == WORDS)
            feed_words(to, (struct bytes){bytes.data + 1, bytes.len - 1}, current);
        else
            feed(to, bytes);
        if (to->len > at) pieces[count++] = (struct piece){current, at, to->len - at};
        if (i < input.len && input.data[i] == OTHER_CONNECTION) current = (current + 1) % CONNECTIONS;
        start = i + 1;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) seal_payloads(&feeds[i]);
    return count;
}

static void run_input(struct bytes input) {
    struct piece *pieces = malloc((input.len + 1) * sizeof *pieces);
    CHECK(pieces);
    size_t count = read_pieces(input, pieces);
    for (size_t i = 0; i < count; i++)
        receive(pieces[i].connection,
                (struct bytes){feeds[pieces[i].connection].data + pieces[i].at, pieces[i].len});
    free(pieces);
    for (unsigned i = 0; i < CONNECTIONS; i++) buffer_free(&feeds[i]);
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
          conn_list_empty(&shards->pushed) && conn_list_empty(&shards->rearm));
    CHECK(conn_list_empty(&shards->held) && conn_list_empty(&shards->closing));
    CHECK(conn_list_empty(&shards->waiting) && shards->exec.metrics.blocked_clients == 0);
    CHECK(shards->connections == 0 && clients_count() == 0 && !(gates_up & GATE_MASK(MODE_MONITORED)));
    for (unsigned i = 0; i < stripes.count; i++) {
        struct keyspace *ks = stripes.all[i].keyspace;
        CHECK(!stripes.all[i].watches && !stripes.all[i].waiters && stripes.all[i].lock == 0);
        CHECK(!keyspace_news(ks)); /* whoever gives a stripe back tells of them */
        for (unsigned db = 0; db < DATABASES; db++) keyspace_flush(ks, db);
        while (keyspace_upkeep(ks, UPKEEP_BUDGET)) {
        }
        keyspace_take_news(ks, shards->exec.clock.now_ms); /* so do these: the next input finds none */
        CHECK(keyspace_memory(ks) == 0);
    }
    CHECK(heaps_used(stripes.heaps) == 0 && heaps_blocks(stripes.heaps) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!shards) open_shard();
    clock_read(&shards->exec.clock);
    disk.room = MAX_SAVED;
    for (unsigned i = 0; i < CONNECTIONS; i++) conns[i] = open_conn();
    run_input((struct bytes){(const char *)data, size});
    for (unsigned turns = 0; turns < 3 || !conn_list_empty(&shards->ready); turns++) {
        end_pause();
        turn();
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) send_all(i);
    close_all();
    return 0;
}
