/* receive.c - receives are armed and end; large arguments come straight into the block that the store will keep. */
#include "server/loop/receive.h"

#include <errno.h>
#include <stdlib.h>

#include "protocol/assert.h"
#include "server/config/config.h"
#include "server/log.h"
#include "server/loop/shard.h"

/* ---- Arming --------------------------------------------------------------------------------------- */

static bool conn_wants_read(const struct conn *conn) {
    return conn->bulk && conn->bulk->capacity - conn->bulk_have >= DIRECT_READ_MIN;
}

/* Where idle clients are closed, a read of a large argument over a Unix socket ends at so many bytes: nothing else
 * tells that it goes on (conn_is_idle). */
enum { UNIX_READ_MAX = 64 * 1024 };
_Static_assert((int)LARGE_PAGES_FROM < (int)BLOCK_MAP_MIN, "a mapping goes on behind its first part");

static void start_read(struct conn *conn) {
    assert(conn->bulk && conn->bulk_have < conn->bulk->capacity);
    size_t left = conn->bulk->capacity - conn->bulk_have;
    if (conn->bulk->mapped && conn->bulk_have < LARGE_PAGES_FROM) left = LARGE_PAGES_FROM - conn->bulk_have;
    unsigned most = config.timeout && client_get(conn->client.flags) & CLIENT_UNIX_SOCKET ? UNIX_READ_MAX
                                                                                          : 1u << 30;
    unsigned len = left < most ? (unsigned)left : most;
    if (io_read(&conn->shard->io, &conn->socket, conn->bulk->data + conn->bulk_have, len))
        metric_add(&conn->shard->exec.metrics.ring_direct_reads, 1);
    else
        conn_wants_rearm(conn);
}

/* After the last large argument so many single receives come before the connection goes back to one that stays armed, of so
 * many bytes: what comes by a buffer is copied into the value, what comes behind it is not. */
enum { LARGE_FORGOTTEN = 16, LARGE_HEAD = 4096 };

static void start_receive(struct conn *conn) {
    struct io *io = &conn->shard->io;
    if (conn->receives_since_large == LARGE_FORGOTTEN) conn->flags &= ~(uint32_t)CONN_LARGE;
    bool single = conn->flags & CONN_LARGE;
    if (single ? io_receive_one(io, &conn->socket, LARGE_HEAD) : io_receive_many(io, &conn->socket))
        conn->receives_since_large += single;
    else
        conn_wants_rearm(conn);
}

void receive_arm(struct conn *conn) {
    debug_assert(conn_check(conn));
    if (io_is_receiving(&conn->socket) || io_is_reading(&conn->socket) ||
        conn->flags & (CONN_CLOSING | CONN_EOF) || conn_has_backlog(conn))
        return;
    if (conn_wants_read(conn))
        start_read(conn);
    else
        start_receive(conn);
}

/* ---- Events --------------------------------------------------------------------------------------- */

static void received_data(struct conn *conn, const struct io_event *event) {
    struct shard *shard = conn->shard;
    if (conn->flags & CONN_CLOSING) {
        io_release(&shard->io, event->buffer);
        return;
    }
    assert(shard->received_count < RECEIVE_BUFFERS);
    shard->received[shard->received_count++] = (struct received){.conn = conn,
                                                                 .generation = conn->generation,
                                                                 .buffer = event->buffer,
                                                                 .len = (uint32_t)event->result};
}

void receive_heard(struct conn *conn, const struct io_event *event) {
    assert(event->operation == IO_RECEIVE && !(event->eof && event->result > 0));
    if (event->result > 0) received_data(conn, event);
    if (conn->flags & CONN_CLOSING) {
        conn_wants_closing(conn);
        return;
    }
    if (event->result == -ENOBUFS) {
        metric_add(&conn->shard->exec.metrics.ring_receives_starved, 1);
    } else if (event->result < 0) {
        conn_shut(conn);
        return;
    }
    if (event->eof) {
        conn->flags |= CONN_EOF;
        if (conn->flags & CONN_STOP_LONG)
            conn_settle(conn); /* it has no turn before it is resumed, and may never be */
        else
            conn_wants_turn(conn);
    } else if (event->last) {
        conn_wants_rearm(conn);
    }
}

/* ---- Large arguments ------------------------------------------------------------------------------ */

static bool keep_block(struct conn *conn, struct block *block) {
    if (conn->arg_block_count == conn->arg_block_capacity) {
        unsigned capacity = conn->arg_block_capacity ? conn->arg_block_capacity * 2 : 4;
        struct block **grown = realloc(conn->arg_block, capacity * sizeof(struct block *));
        if (!grown) return false;
        conn->arg_block = grown;
        conn->arg_block_capacity = capacity;
    }
    conn->arg_block[conn->arg_block_count++] = block;
    return true;
}

void receive_drop_blocks(struct conn *conn) {
    for (unsigned i = 0; i < conn->arg_block_count; i++) block_release(conn->arg_block[i]);
    conn->arg_block_count = 0;
}

/* A large argument is whole: the parser gets it. */
static void bulk_given(struct conn *conn) {
    struct block *block = conn->bulk;
    conn->bulk = NULL;
    block->len = block->capacity - 2;
    if (!keep_block(conn, block)) {
        block_release(block);
        conn_fail_memory(conn);
        return;
    }
    request_bulk_given(&conn->parser, block->data);
}

/* A length alone takes no memory; from some megabytes on it is believed, and large pages hold the rest. */
static void bulk_arrived(struct conn *conn, size_t n) {
    size_t before = conn->bulk_have;
    conn->bulk_have += n;
    assert(conn->bulk_have <= conn->bulk->capacity);
    if (before < LARGE_PAGES_FROM && conn->bulk_have >= LARGE_PAGES_FROM) block_large_pages(conn->bulk);
}

size_t receive_bulk_more(struct conn *conn, const char *data, size_t len) {
    size_t want = conn->bulk->capacity - conn->bulk_have, n = len < want ? len : want;
    if (n) memcpy(conn->bulk->data + conn->bulk_have, data, n);
    bulk_arrived(conn, n);
    if (n == want)
        bulk_given(conn);
    else if (conn_wants_read(conn))
        io_receive_stop(&conn->shard->io, &conn->socket);
    return n;
}

void receive_over_limit(struct conn *conn) {
    log_warning("Closing client id=%llu that reached max query buffer length.",
                (unsigned long long)conn->client.id);
    metric_add(&conn->shard->exec.metrics.query_limit_closes, 1);
    conn_shut(conn);
}

bool receive_bulk(struct conn *conn, const char *data, size_t have) {
    size_t len = (size_t)conn->parser.bulk_len;
    if (len + 2 > (size_t)config.client_query_buffer_limit) {
        receive_over_limit(conn);
        return false;
    }
    conn->bulk = block_new(len + 2, len + 2);
    if (!conn->bulk) {
        conn_fail_memory(conn);
        return false;
    }
    conn->bulk_have = 0;
    conn->flags |= CONN_LARGE;
    conn->receives_since_large = 0;
    receive_bulk_more(conn, data, have);
    return true;
}

void receive_read_ended(struct conn *conn, const struct io_event *event) {
    assert(event->operation == IO_READ && event->last && conn->bulk);
    if (conn->flags & CONN_CLOSING) {
        conn_wants_closing(conn);
        return;
    }
    if (event->eof) conn->flags |= CONN_EOF;
    if (event->result < 0) {
        conn_shut(conn);
        return;
    }
    if (event->result > 0) {
        conn_active(conn);
        metric_add(&conn->shard->exec.metrics.reads, 1);
        metric_add(&conn->shard->exec.metrics.input_bytes, (uint64_t)event->result);
        bulk_arrived(conn, (size_t)event->result);
        if (conn->bulk_have == conn->bulk->capacity) bulk_given(conn);
        if (conn->flags & CONN_CLOSING) return; /* without memory */
    }
    conn_wants_rearm(conn);
    conn_wants_turn(conn);
}
