/* loop_fixture.h - what tests of server/loop/ share: a connection of a shard with a real ring, whose other
 * end the test holds. */
#ifndef KEVY_TESTS_LOOP_FIXTURE_H
#define KEVY_TESTS_LOOP_FIXTURE_H

#include "server/op.h"
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

/* How many SQEs are queued. */
static inline unsigned loop_queued(void) {
    return shards->ring.sq_entries - ring_sqe_room(&shards->ring);
}

/* Fills the queue, and lets every enter fail: nothing more can be submitted until loop_unblock. */
struct loop_blocked {
    int enter_fd;
    unsigned enter_flags, fillers;
};

static inline struct loop_blocked loop_block(void) {
    struct ring *ring = &shards->ring;
    struct loop_blocked was = {ring->enter_fd, ring->enter_flags, ring_sqe_room(ring)};
    while (ring_sqe_room(ring)) prep_nop(must_sqe(ring), op_pack(OP_NONE, 0, 0));
    ring->enter_fd = -1, ring->enter_flags = 0;
    return was;
}

static inline void loop_unblock(struct loop_blocked was) {
    shards->ring.enter_fd = was.enter_fd, shards->ring.enter_flags = was.enter_flags;
    while (was.fillers--) CHECK_INT(op_of(next_completion(&shards->ring).user_data), OP_NONE);
}

#endif
