/* loop_fixture.h - what tests of server/loop/ share: a connection of a shard with a real ring, whose other
 * end the test holds. */
#ifndef KEVY_TESTS_LOOP_FIXTURE_H
#define KEVY_TESTS_LOOP_FIXTURE_H

#include "server/loop/receive.h"
#include "server/loop/send.h"
#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

/* One shard that is opened, as the server opens it, but does not turn. */
static inline void loop_open(void) {
    fixture_open(1);
    must(shard_open(shards, &fixture_place), "shard_open");
}

/* A connection of that kind whose peer is *fd. */
static inline struct conn *loop_conn_of(const struct conn_kind *kind, int *fd) {
    int pair[2];
    open_pair(pair);
    struct conn *conn = slots_take(&shards->slots);
    CHECK(conn);
    CHECK(conn_open(conn, shards, kind, pair[0], true));
    shards->connections++;
    *fd = pair[1];
    return conn;
}

static inline struct conn *loop_conn(int *fd) {
    return loop_conn_of(&input_client, fd);
}

/* The next event of the shard that is of interest. */
static inline struct io_event loop_event(void) {
    struct io *io = &shards->io;
    for (;;) {
        uint64_t begun_us = now_us();
        while (!io_has_events(io)) {
            (void)io_wait(io, 1, 0, PATIENCE_US);
            CHECK(now_us() - begun_us < PATIENCE_US);
        }
        (void)io_ready(io);
        struct io_event event = io_event(io, 0);
        io_advance(io, 1);
        if (event.operation != IO_NOTHING) return event;
    }
}

/* A connection's event, as the turn tells it. */
static inline void loop_heard(const struct io_event *event) {
    struct conn *conn = conn_of_socket(event->socket);
    if (event->operation == IO_RECEIVE) receive_heard(conn, event);
    if (event->operation == IO_READ) receive_read_ended(conn, event);
    if (event->operation == IO_SEND) send_ended(conn, event->result);
}

/* What was received comes to nothing. */
static inline void loop_drop_received(void) {
    while (shards->received_count) io_release(&shards->io, shards->received[--shards->received_count].buffer);
}

/* Ends a connection whose peer is fd, and waits for all that it owes. */
static inline void loop_conn_end(struct conn *conn, int fd) {
    loop_drop_received();
    conn_shut(conn);
    for (conn_link_out(&conn->receive_link); !conn_free(conn); conn_link_out(&conn->receive_link)) {
        struct io_event event = loop_event();
        loop_heard(&event);
        for (struct io_socket *sent; (sent = io_settled(&shards->io));) send_settled(conn_of_socket(sent));
    }
    slots_give(&shards->slots, conn);
    close(fd);
}

/* How many operations are queued. */
static inline unsigned loop_queued(void) {
    return shards->io.ring.sq_entries - ring_sqe_room(&shards->io.ring);
}

/* Fills the queue, and lets every enter fail: nothing more can be submitted until loop_unblock. */
struct loop_blocked {
    int enter_fd;
    unsigned enter_flags;
};

static inline struct loop_blocked loop_block(void) {
    struct ring *ring = &shards->io.ring;
    struct loop_blocked was = {ring->enter_fd, ring->enter_flags};
    while (ring_sqe_room(ring)) prep_nop(must_sqe(ring), io_pack(IO_CODE_NONE, 0));
    ring->enter_fd = -1, ring->enter_flags = 0;
    return was;
}

static inline void loop_unblock(struct loop_blocked was) {
    shards->io.ring.enter_fd = was.enter_fd, shards->io.ring.enter_flags = was.enter_flags;
    CHECK(io_submit(&shards->io) >= 0);
}

#endif
