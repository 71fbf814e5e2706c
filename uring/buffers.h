/* buffers.h - a ring of provided receive buffers (IORING_REGISTER_PBUF_RING), one group.
 *
 * The kernel takes a buffer when data arrives, so an idle connection owns none. The memory is mapped once and
 * touched only as it is used.
 *
 *     kernel's  --cqe names an id: buffers_take-->  caller's  --buffers_return, then buffers_publish-->
 * kernel's
 */
#ifndef KEVY_URING_BUFFERS_H
#define KEVY_URING_BUFFERS_H

#include "uring/ring.h"

enum { BUFFERS_MAX = 32768 }; /* the kernel's limit for one group */

struct buffers {
    struct ring *ring;
    struct io_uring_buf_ring *entries; /* mapped, count entries; NULL when closed */
    char *memory;                      /* mapped, count * size bytes */
    unsigned count;                    /* power of two, at most BUFFERS_MAX */
    unsigned size;                     /* bytes a buffer */
    uint16_t tail;                     /* next entry to fill */
    uint16_t group;
    unsigned taken; /* buffers that the caller holds now (incremented by buffers_take) */
};

/* All buffers are the kernel's afterwards. 0 or a negative errno; on error nothing is left behind. */
int buffers_open(struct buffers *b, struct ring *ring, unsigned group, unsigned count, unsigned size)
    __attribute__((warn_unused_result));
/* Before ring_close; no receive over the group may be in flight. Harmless after a failed open, and the second
 * time. */
void buffers_close(struct buffers *b);

/* The id that a completion names: cqe->flags carries IORING_CQE_F_BUFFER. */
static inline unsigned buffers_id(unsigned cqe_flags) {
    return cqe_flags >> IORING_CQE_BUFFER_SHIFT;
}
/* Its memory, the caller's until it is returned. Exactly once for each completion that names a buffer. */
static inline char *buffers_take(struct buffers *b, unsigned id) {
    b->taken++;
    return b->memory + (size_t)id * b->size;
}
/* Gives a buffer back to the kernel; visible to it after buffers_publish. */
static inline void buffers_return(struct buffers *b, unsigned id) {
    /* Field by field: the unused fourth one of entry 0 is where the kernel reads the tail. */
    struct io_uring_buf *entry = &b->entries->bufs[b->tail++ & (b->count - 1)];
    entry->addr = (uint64_t)(uintptr_t)(b->memory + (size_t)id * b->size);
    entry->len = b->size;
    entry->bid = (uint16_t)id;
    b->taken--;
}
/* One release store for any number of returns. */
static inline void buffers_publish(struct buffers *b) {
    __atomic_store_n(&b->entries->tail, b->tail, __ATOMIC_RELEASE);
}

#endif
