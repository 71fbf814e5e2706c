/* server_fixture.h - what tests of server/ share: shards that are memory alone, without ring or thread, and what a
 * client was sent. */
#ifndef KEVY_TESTS_SERVER_FIXTURE_H
#define KEVY_TESTS_SERVER_FIXTURE_H

#include <fcntl.h>

#include "protocol/buffer.h"
#include "server/call/gate.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"
#include "server/exec/dispatch.h"
#include "server/log.h"
#include "server/loop/deliver.h"
#include "server/loop/input.h"
#include "server/loop/shard.h"
#include "server/report/info.h"
#include "tests/check.h"
#include "tests/unit/options.h"

/* Is this gate or mode raised for all clients? */
static inline bool fixture_raised(enum gate_bit bit) {
    return gates_up & GATE_MASK(bit);
}

enum { FIXTURE_DATABASES = 16, FIXTURE_SENT_MAX = 256 << 20 };

/* Any CPU, and no poll thread. */
static const struct shard_place fixture_place = {.cpu = -1, .poll_cpu = -1};

static inline void fixture_open(unsigned count) {
    config_defaults();
    options_set("loglevel warning\nsave \"\"\n");
    CHECK_INT(log_open("/dev/null"), 0);
    static bool table_open; /* it stays for good */
    CHECK(table_open || (command_table_open() == NULL && info_open() == NULL));
    table_open = true;
    CHECK_INT(stripes_open(count, FIXTURE_DATABASES), 0);
    shard_count = mailbox_count = count;
    shards = aligned_alloc(_Alignof(struct shard), count * sizeof *shards);
    CHECK(shards);
    for (unsigned i = 0; i < count; i++) {
        shard_init(&shards[i], i);
        shards[i].limits = shards[i].limits_unauthenticated =
            (struct request_limits){.max_args = MAX_REQUEST_ARGS,
                                    .max_bulk = 64 << 20,
                                    .max_inline = MAX_INLINE,
                                    .bulk_min = UINT64_MAX,
                                    .authenticated = true};
    }
}

static inline void fixture_close(void) {
    for (unsigned i = 0; i < shard_count; i++) shard_close(&shards[i]);
    free(shards);
    shards = NULL;
    shard_count = mailbox_count = 0;
    stripes_close();
}

/* A connection without a socket that anybody reads. */
static inline struct conn *fixture_conn(struct shard *shard) {
    struct conn *conn = slots_take(&shard->slots);
    CHECK(conn);
    conn->shard = shard;
    conn->kind = &input_client;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    io_attach(&shard->io, &conn->socket, fd, IO_PLACE_NONE, slots_name(conn));
    conn->client = (struct client){.slot = conn->client.slot,
                                   .shard = (uint8_t)shard->index,
                                   .fd = fd,
                                   .resp = 2,
                                   .created_ms = shard->exec.clock.now_ms};
    output_open(&conn->output, &shard->chunks);
    CHECK(clients_add(&conn->client));
    shard->connections++;
    conn->flags = CONN_OPEN;
    return conn;
}

/* What comes to a connection, in a turn that begins with it, and as many more as it takes: one that took long ends early. */
static inline void fixture_input(struct conn *conn, const char *data, size_t len) {
    struct shard *shard = conn->shard;
    for (bool more = true; more; data = NULL, len = 0) {
        shard->turn++;
        shard->exec.clock.timed_ns = clock_monotonic_ns();
        conn_input(conn, data, len);
        more = conn_link_in(&conn->turn_link) && !(conn->flags & CONN_STOP_LONG);
        if (more) conn_link_out(&conn->turn_link);
    }
}

/* It has had this text from now on. */
static inline void fixture_text(struct conn *conn, enum client_text which, const char *text) {
    clients_lock();
    struct client_more *more = clients_more(&conn->client);
    clients_unlock();
    CHECK(more);
    free(more->texts[which]);
    CHECK(more->texts[which] = strdup(text));
}

/* Ends it as a turn does. */
static inline void fixture_conn_close(struct conn *conn) {
    struct shard *shard = conn->shard;
    conn_shut(conn);
    conn_link_out(&conn->receive_link);
    CHECK(conn_free(conn));
    slots_give(&shard->slots, conn);
}

/* Appends all that is queued to `sent`, as the kernel would take it. */
static inline void fixture_take(struct output *output, struct buffer *sent) {
    const struct iovec *iov;
    for (unsigned count; (count = output_begin(output, SIZE_MAX, &iov));) {
        size_t len = 0;
        for (unsigned i = 0; i < count; len += iov[i++].iov_len)
            CHECK(buffer_append(sent, (struct bytes){iov[i].iov_base, iov[i].iov_len}, FIXTURE_SENT_MAX));
        CHECK(output_sent(output, len));
    }
}

#endif
