/* ring.h - one io_uring instance, over raw system calls.
 *
 * The kernel's mapped regions (SQ and CQ ring, SQEs) and the acquire/release protocol on their indices live
 * here and nowhere else; no policy, no server types. A ring belongs to one thread (SINGLE_ISSUER): every
 * function must be called by the thread that called ring_open, except ring_sys_*.
 *
 * Two modes:
 *
 *   RING_INLINE  completions are posted in this thread's own enter calls: DEFER_TASKRUN, or COOP_TASKRUN.
 *
 *   RING_SQPOLL  a kernel thread polls the SQ: submitting is a store, an enter wakes it where it sleeps.
 *
 * Invariants of an open ring (counters wrap, so differences count):
 *   1. sq_khead <= sq_ktail <= sqe_tail, and at most sq_entries lie between the first and the last.
 *   2. cq_khead <= cq_ktail, and at most cq_entries lie between them.
 *   3. Both sizes are powers of two; the masks are one less.
 *
 * Errors are negative errno values, returned. */
#ifndef KEVY_URING_RING_H
#define KEVY_URING_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "protocol/assert.h"
#include "uring/abi.h"

enum ring_mode { RING_INLINE, RING_SQPOLL };

struct ring_options {
    unsigned sq_entries; /* power of two */
    unsigned cq_entries; /* power of two, > sq_entries */
    enum ring_mode mode;
    int attach_fd;       /* SQPOLL: share the poll thread of this ring (ATTACH_WQ), or -1 */
    int sq_cpu;          /* SQPOLL: pin the poll thread there (SQ_AFF), or -1 */
    unsigned sq_idle_ms; /* SQPOLL: the poll thread sleeps after this long without work; 0: after 1 s */
};

struct ring {
    int fd;
    int enter_fd;         /* fd, or the registered index with IORING_ENTER_REGISTERED_RING */
    unsigned enter_flags; /* IORING_ENTER_REGISTERED_RING once registered */
    unsigned setup_flags; /* IORING_SETUP_* in force */
    unsigned features;    /* IORING_FEAT_* */
    bool min_wait;        /* the kernel honours min_wait_usec (Linux 6.12) */

    /* Submission side. The kernel moves *sq_khead; *sq_ktail <= sqe_tail: what lies between is
     * filled, not published. */
    unsigned *sq_khead, *sq_ktail, *sq_kflags;
    unsigned sq_mask, sq_entries;
    unsigned sqe_tail; /* SQEs handed out */
    struct io_uring_sqe *sqes;

    /* Completion side. The kernel moves *cq_ktail, we move *cq_khead. */
    unsigned *cq_khead, *cq_ktail;
    unsigned cq_mask, cq_entries;
    struct io_uring_cqe *cqes;

    void *ring_map, *sqe_map;
    size_t ring_map_len, sqe_map_len;
    uint64_t enters; /* io_uring_enter calls made, for metrics */
};

/* Opens and maps a ring, registers its descriptor, and falls back from DEFER_TASKRUN to COOP_TASKRUN on
 * EINVAL. The kernel may clamp the sizes: sq_entries and cq_entries of the ring tell. 0 or a negative errno;
 * on error nothing is left open. */
int ring_open(struct ring *ring, const struct ring_options *options) __attribute__((warn_unused_result));
/* Harmless on a ring whose ring_open failed, and the second time. The kernel cancels what is in flight, in
 * its own time: memory that a request still names must stay mapped until its last completion was seen. */
void ring_close(struct ring *ring);

/* How many SQEs can be had before the queue is full: ask first where several must go in together (linked chains). */
static inline unsigned ring_sqe_room(const struct ring *ring) {
    unsigned queued = ring->sqe_tail - __atomic_load_n(ring->sq_khead, __ATOMIC_ACQUIRE);
    assert(queued <= ring->sq_entries); /* 1 */
    return ring->sq_entries - queued;
}
/* The next free SQE, zeroed; NULL when the queue is full (submit, then try again). */
static inline struct io_uring_sqe *ring_sqe(struct ring *ring) {
    if (ring_sqe_room(ring) == 0) return NULL;
    struct io_uring_sqe *sqe = &ring->sqes[ring->sqe_tail++ & ring->sq_mask];
    memset(sqe, 0, sizeof(*sqe));
    return sqe;
}

/* Publishes queued SQEs. Inline: one enter if there are any. SQPOLL: an enter only if the poll thread sleeps,
 * or if the queue is full; then it returns when there is room again. Returns >= 0, or a negative errno of the
 * enter (EBUSY, EAGAIN and EINTR are to be retried by the caller's next turn; nothing is lost: SQEs that the
 * kernel did not take stay queued). */
int ring_submit(struct ring *ring);

/* Publishes queued SQEs, runs deferred work and waits until `want` completions are there, `timeout_us` has
 * passed (UINT64_MAX: no limit), or a signal came. One enter call at most; none where nothing is to be
 * submitted or posted and `want` completions are there already.
 *
 * want 0: never waits, but lets the kernel post what is ready.
 *
 * min_wait_us > 0 and ring->min_wait: after that long any completion will do, even if `want` were not
 * reached. Without ring->min_wait such a wait is for one completion.
 *
 * `want` counts unread completions, and those that the call's own submissions bring at once, as sends do: to
 * wait for n arrivals after k sends, ask for n + k.
 *
 * 0, or a negative errno: -ETIME, -EINTR, -EAGAIN, -EBUSY are ordinary. */
int ring_wait(struct ring *ring, unsigned want, uint64_t min_wait_us, uint64_t timeout_us);

/* Completions that can be read now, without a system call. */
static inline unsigned ring_ready(const struct ring *ring) {
    return __atomic_load_n(ring->cq_ktail, __ATOMIC_ACQUIRE) - *ring->cq_khead;
}
/* The i-th of them, 0 <= i < ring_ready. Valid until ring_advance. */
static inline const struct io_uring_cqe *ring_cqe(const struct ring *ring, unsigned i) {
    debug_assert(i < ring_ready(ring));
    return &ring->cqes[(*ring->cq_khead + i) & ring->cq_mask];
}
/* Gives n slots back to the kernel. */
static inline void ring_advance(struct ring *ring, unsigned n) {
    debug_assert(n <= ring_ready(ring)); /* 2 */
    __atomic_store_n(ring->cq_khead, *ring->cq_khead + n, __ATOMIC_RELEASE);
}
/* Does the kernel hold back completions (CQ overflow) or deferred work that only an enter with GETEVENTS will post? */
static inline bool ring_needs_enter(const struct ring *ring) {
    return __atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED) & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}
/* The first of the two alone: completions that came are not all in the queue. */
static inline bool ring_overflowed(const struct ring *ring) {
    return __atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW;
}

/* The raw system calls; they return a negative errno. The one place that fault injection wraps (-Wl,--wrap). */
int ring_sys_setup(unsigned entries, struct io_uring_params *params);
int ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg, size_t arg_len);
int ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count);

#endif
