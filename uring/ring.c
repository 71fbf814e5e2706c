/* ring.c - opens, maps, submits to and waits on one io_uring instance.
 *
 * DESIGN
 * An index is written by one side and read by the other: the writer stores with release after the entries,
 * the reader loads with acquire before them.
 *
 *             written by us             written by the kernel
 *     SQ      tail (after the SQEs)     head (it has copied the SQEs)
 *     CQ      head (we have read)       tail (after the CQEs)
 *
 * How many SQEs are to be submitted is always `handed out - head`, read anew: what an earlier enter left
 * behind, because it was interrupted or the kernel had no memory, is counted again, so nothing is lost and
 * nothing submitted twice. */
#include "uring/ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    COMMON = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL,
    /* What the code below takes for granted; every kernel since 5.11 has it. */
    REQUIRED = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG,
};

/* From the best to the oldest, each tried when the one before it was refused with EINVAL; 0 ends the list.
 * TASKRUN_FLAG: lets ring_needs_enter see deferred work without a system call. */
static const unsigned inline_flags[] = {
    COMMON | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_NO_SQARRAY,
    COMMON | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    COMMON | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    0,
};
/* SQPOLL excludes DEFER_TASKRUN and COOP_TASKRUN: deferred work is the poll thread's. */
static const unsigned sqpoll_flags[] = {
    COMMON | IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_NO_SQARRAY,
    COMMON | IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER,
    COMMON | IORING_SETUP_SQPOLL,
    0,
};

static struct io_uring_params params_of(const struct ring_options *options, unsigned flags) {
    struct io_uring_params params = {.flags = flags, .cq_entries = options->cq_entries};
    if (options->mode != RING_SQPOLL) return params;
    params.sq_thread_idle = options->sq_idle_ms;
    if (options->sq_cpu >= 0) {
        params.flags |= IORING_SETUP_SQ_AFF;
        params.sq_thread_cpu = (unsigned)options->sq_cpu;
    }
    if (options->attach_fd >= 0) {
        params.flags |= IORING_SETUP_ATTACH_WQ;
        params.wq_fd = (unsigned)options->attach_fd;
    }
    return params;
}

/* The descriptor, or the negative errno of the last try. */
_Static_assert(((IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG) &
                COMMON) == 0 &&
                   !(COMMON & IORING_SETUP_SQPOLL),
               "what the modes have in common is in both");

static int setup(const struct ring_options *options, struct io_uring_params *params) {
    int fd = -EINVAL;
    const unsigned *flags = options->mode == RING_SQPOLL ? sqpoll_flags : inline_flags;
    for (; *flags && fd == -EINVAL; flags++) {
        *params = params_of(options, *flags);
        fd = ring_sys_setup(options->sq_entries, params);
    }
    return fd;
}

static int map(struct ring *ring, size_t len, uint64_t offset, void **mapped) {
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, (off_t)offset);
    if (at == MAP_FAILED) return -errno;
    *mapped = at;
    return 0;
}

static int map_rings(struct ring *ring, const struct io_uring_params *params) {
    const struct io_sqring_offsets *sq = &params->sq_off;
    const struct io_cqring_offsets *cq = &params->cq_off;
    bool has_array = !(params->flags & IORING_SETUP_NO_SQARRAY);

    size_t sq_len = has_array ? sq->array + params->sq_entries * sizeof(unsigned) : 0;
    size_t cq_len = cq->cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring->ring_map_len = sq_len > cq_len ? sq_len : cq_len;
    ring->sqe_map_len = params->sq_entries * sizeof(struct io_uring_sqe);
    int error = map(ring, ring->ring_map_len, IORING_OFF_SQ_RING, &ring->ring_map);
    if (!error) error = map(ring, ring->sqe_map_len, IORING_OFF_SQES, &ring->sqe_map);
    if (error) return error;

    char *base = ring->ring_map;
    ring->sq_khead = (unsigned *)(void *)(base + sq->head);
    ring->sq_ktail = (unsigned *)(void *)(base + sq->tail);
    ring->sq_kflags = (unsigned *)(void *)(base + sq->flags);
    ring->cq_khead = (unsigned *)(void *)(base + cq->head);
    ring->cq_ktail = (unsigned *)(void *)(base + cq->tail);
    ring->cqes = (struct io_uring_cqe *)(void *)(base + cq->cqes);
    ring->sqes = ring->sqe_map;
    ring->sq_entries = params->sq_entries;
    ring->cq_entries = params->cq_entries;
    ring->sq_mask = params->sq_entries - 1;
    ring->cq_mask = params->cq_entries - 1;
    assert(ring->sq_entries && (ring->sq_entries & ring->sq_mask) == 0); /* 3 */
    assert(ring->cq_entries && (ring->cq_entries & ring->cq_mask) == 0); /* 3 */

    /* The n-th SQE is the n-th submission; with this said once, the array is never touched again. */
    unsigned *array = (unsigned *)(void *)(base + sq->array);
    for (unsigned i = 0; has_array && i < params->sq_entries; i++) array[i] = i;
    return 0;
}

/* Spares every enter the descriptor lookup. A thread has room for 16 of these; a ring works as well without. */
static void register_fd(struct ring *ring) {
    struct io_uring_rsrc_update update = {.offset = -1U, .data = (uint64_t)ring->fd};
    if (ring_sys_register(ring->fd, IORING_REGISTER_RING_FDS, &update, 1) != 1) return;
    ring->enter_fd = (int)update.offset;
    ring->enter_flags = IORING_ENTER_REGISTERED_RING;
}

int ring_open(struct ring *ring, const struct ring_options *options) {
    *ring = (struct ring){.fd = -1, .enter_fd = -1};
    struct io_uring_params params;
    int fd = setup(options, &params);
    if (fd < 0) return fd;

    ring->fd = ring->enter_fd = fd;
    ring->setup_flags = params.flags;
    ring->features = params.features;
    ring->min_wait = params.features & IORING_FEAT_MIN_TIMEOUT;
    int error = (params.features & REQUIRED) == REQUIRED ? map_rings(ring, &params) : -EOPNOTSUPP;
    if (error) {
        ring_close(ring);
        return error;
    }
    register_fd(ring);
    return 0;
}

void ring_close(struct ring *ring) {
    if (ring->fd < 0) return;
    assert(ring->fd == ring->enter_fd || ring->enter_flags == IORING_ENTER_REGISTERED_RING);
    if (ring->enter_flags) {
        struct io_uring_rsrc_update update = {.offset = (unsigned)ring->enter_fd};
        ring_sys_register(ring->fd, IORING_UNREGISTER_RING_FDS, &update, 1);
    }
    if (ring->sqe_map) munmap(ring->sqe_map, ring->sqe_map_len);
    if (ring->ring_map) munmap(ring->ring_map, ring->ring_map_len);
    close(ring->fd);
    *ring = (struct ring){.fd = -1, .enter_fd = -1};
}

/* What an enter must do about the SQEs: how many it submits, and the flags that make the poll thread move. */
struct submission {
    unsigned count, flags;
};

static struct submission publish(struct ring *ring) {
    struct submission todo = {0};
    assert(ring->sqe_tail - *ring->sq_ktail <= ring->sq_entries); /* 1: we alone write both */
    __atomic_store_n(ring->sq_ktail, ring->sqe_tail, __ATOMIC_RELEASE);
    unsigned queued = ring->sq_entries - ring_sqe_room(ring);
    if (!(ring->setup_flags & IORING_SETUP_SQPOLL)) {
        todo.count = queued;
        return todo;
    }
    if (queued == 0) return todo;
    /* The poll thread sets NEED_WAKEUP, then looks at the tail once more; we store the tail, then look at
     * NEED_WAKEUP. Without a full barrier on both sides each could miss the other, and the SQEs would lie
     * there for ever. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (__atomic_load_n(ring->sq_kflags, __ATOMIC_RELAXED) & IORING_SQ_NEED_WAKEUP)
        todo.flags |= IORING_ENTER_SQ_WAKEUP;
    if (queued == ring->sq_entries) todo.flags |= IORING_ENTER_SQ_WAIT;
    return todo;
}

static int enter(struct ring *ring, struct submission todo, unsigned want, const void *arg, size_t arg_len) {
    ring->enters++;
    return ring_sys_enter(ring->enter_fd, todo.count, want, todo.flags | ring->enter_flags, arg, arg_len);
}

int ring_submit(struct ring *ring) {
    struct submission todo = publish(ring);
    if (!todo.count && !todo.flags) return 0;
    return enter(ring, todo, 0, NULL, 0);
}

int ring_wait(struct ring *ring, unsigned want, uint64_t min_wait_us, uint64_t timeout_us) {
    assert(want <= ring->cq_entries &&
           ring_ready(ring) <= ring->cq_entries); /* 2: else it would wait for ever */
    struct submission todo = publish(ring);
    if (!todo.count && !todo.flags && ring_ready(ring) >= want && !ring_needs_enter(ring)) return 0;

    if (min_wait_us && !ring->min_wait) want = want ? 1 : 0, min_wait_us = 0;
    /* The kernel takes a minimum wait without a limit for the limit. Ten years are as good as none. */
    if (min_wait_us && timeout_us == UINT64_MAX) timeout_us = UINT64_C(315360000) * 1000000;

    struct __kernel_timespec limit = {
        .tv_sec = (int64_t)(timeout_us / 1000000),
        .tv_nsec = (int64_t)(timeout_us % 1000000) * 1000,
    };
    struct abi_getevents_arg arg = {
        .min_wait_usec = min_wait_us > UINT32_MAX ? UINT32_MAX : (uint32_t)min_wait_us,
        .ts = (uint64_t)(uintptr_t)&limit,
    };
    assert(limit.tv_nsec < 1000000000);
    bool limited = want && timeout_us != UINT64_MAX;
    todo.flags |= IORING_ENTER_GETEVENTS | (limited ? IORING_ENTER_EXT_ARG : 0);
    int result = enter(ring, todo, want, limited ? &arg : NULL, limited ? sizeof(arg) : 0);
    return result < 0 ? result : 0;
}
