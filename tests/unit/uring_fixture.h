/* uring_fixture.h - what the tests of uring/ share: a ring or a message why not, and one completion at a time. */
#ifndef KEVY_TESTS_URING_FIXTURE_H
#define KEVY_TESTS_URING_FIXTURE_H

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"
#include "uring/prep.h"
#include "uring/ring.h"

#define NO_LIMIT UINT64_MAX
enum { PATIENCE_US = 60 * 1000 * 1000 }; /* what should come at once and has not come after this never will */

static const struct ring_options small_ring = {
    .sq_entries = 8, .cq_entries = 64, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1};

/* A kernel that refuses is a failure with a reason, never a test passed by default. */
static inline void must(int result, const char *what) {
    if (result >= 0) return;
    fprintf(stderr, "%s: refused by this kernel: %s\n", what, strerror(-result));
    exit(1);
}

static inline void open_ring(struct ring *ring, struct ring_options options) {
    must(ring_open(ring, &options), "io_uring_setup");
}

static inline struct io_uring_sqe *must_sqe(struct ring *ring) {
    struct io_uring_sqe *sqe = ring_sqe(ring);
    CHECK(sqe != NULL);
    return sqe;
}

/* An operation that does nothing but complete. */
static inline void prep_nop(struct io_uring_sqe *sqe, uint64_t user_data) {
    prep_begin(sqe, IORING_OP_NOP, -1, user_data);
}

/* struct io_uring_cqe ends in a flexible array and cannot be passed by value. */
struct completion {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

/* Submits what is queued and takes the next completion. */
static inline struct completion next_completion(struct ring *ring) {
    int result = 0;
    while (result == 0 && ring_ready(ring) == 0) result = ring_wait(ring, 1, 0, PATIENCE_US);
    if (result < 0) fprintf(stderr, "no completion: %s\n", strerror(-result));
    CHECK(result == 0);
    const struct io_uring_cqe *cqe = ring_cqe(ring, 0);
    struct completion completion = {cqe->user_data, cqe->res, cqe->flags};
    ring_advance(ring, 1);
    return completion;
}

/* True if no completion is there, nor can the kernel be made to post one now. */
static inline bool quiet(struct ring *ring) {
    int result = ring_wait(ring, 0, 0, 0);
    return result == 0 && ring_ready(ring) == 0;
}

static inline uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline void open_pair(int pair[2]) {
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

#endif
