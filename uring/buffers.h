/* buffers.h - receive buffers: a ring of those that the kernel is provided with (IORING_REGISTER_PBUF_RING), one group; or,
 * where there is no io_uring, those that the caller takes by himself.
 *
 * The kernel takes a buffer when data arrives, so an idle connection owns none. The memory is mapped once and
 * touched only as it is used.
 *
 *     kernel's  --a completion names an id: buffers_take-->  caller's  --buffers_return-->  idle
 *         ^--------------------------------buffers_publish-----------------------------------'
 *
 * Invariants of an open ring of buffers:
 *   1. Each id is the kernel's, the caller's, or idle: taken + idle_count <= count.
 *   2. 1 <= least <= depth <= count.
 *
 * The kernel takes them in the order in which it was given them, so it goes through all that it has before one comes
 * again. It is given no more than traffic needs, and of the idle ones the last used first: few buffers that stay in the
 * cache rather than many that do not. Without a ring there are only the caller's and the idle ones: buffers_next takes the
 * one that was returned last. */
#ifndef KEVY_URING_BUFFERS_H
#define KEVY_URING_BUFFERS_H

#include "uring/ring.h"

enum { BUFFERS_MAX = 32768 }; /* the kernel's limit for one group */
_Static_assert(BUFFERS_MAX <= UINT16_MAX + 1, "an id has 16 bits");

struct buffers {
    struct ring *ring;                 /* NULL: the kernel gets none */
    struct io_uring_buf_ring *entries; /* mapped, count entries; NULL without a ring */
    char *memory;                      /* mapped, count * size bytes; NULL when closed */
    unsigned count;                    /* power of two, at most BUFFERS_MAX */
    unsigned size;                     /* bytes a buffer */
    uint16_t tail;                     /* next entry to fill */
    uint16_t group;
    unsigned taken; /* buffers that the caller holds now (incremented by buffers_take) */

    uint16_t *idle; /* a stack of those that neither has, idle_count of them */
    unsigned idle_count;
    unsigned least, depth;    /* how many the kernel is given: depth now, never less than least */
    unsigned used, used_most; /* since the last publish; the most between two publishes, lately */
    unsigned publishes;       /* since depth was last looked at */
};

/* The kernel is given `least` buffers at once, and up to `count` when more are used between two publishes. With no ring
 * neither `group` nor `least` has a meaning, but for their bounds. */
struct buffers_options {
    unsigned group; /* at most UINT16_MAX */
    unsigned count; /* power of two, at most BUFFERS_MAX */
    unsigned least; /* 1 to count: `count` for all of them, always */
    unsigned size;  /* bytes a buffer, not 0 */
};

/* 0 or a negative errno; on error nothing is left behind. */
int buffers_open(struct buffers *b, struct ring *ring, const struct buffers_options *options)
    __attribute__((warn_unused_result));
/* Before ring_close; no receive over the group may be in flight. Harmless after a failed open, and the second time. */
void buffers_close(struct buffers *b);

/* The id that a completion names: cqe->flags carries IORING_CQE_F_BUFFER. */
static inline unsigned buffers_id(unsigned cqe_flags) {
    return cqe_flags >> IORING_CQE_BUFFER_SHIFT;
}
/* Its memory, the caller's until it is returned. Exactly once for each completion that names a buffer. */
static inline char *buffers_take(struct buffers *b, unsigned id) {
    assert(id < b->count && b->taken + b->idle_count < b->count); /* 1 */
    b->taken++;
    b->used++;
    return b->memory + (size_t)id * b->size;
}
/* Done with it; the kernel may have it again after buffers_publish. */
static inline void buffers_return(struct buffers *b, unsigned id) {
    assert(id < b->count && b->taken > 0 && b->taken + b->idle_count <= b->count); /* 1 */
    b->idle[b->idle_count++] = (uint16_t)id;
    b->taken--;
}
/* Without a ring: takes an idle buffer, of which there is one, and returns its id. */
static inline unsigned buffers_next(struct buffers *b) {
    assert(!b->ring && b->idle_count > 0 && b->taken + b->idle_count == b->count); /* 1 */
    b->taken++;
    return b->idle[--b->idle_count];
}
/* With a ring: once a turn, after its returns. */
void buffers_publish(struct buffers *b);

#endif
