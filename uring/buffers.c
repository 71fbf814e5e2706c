/* buffers.c - the memory of the buffers, and the ring by which the kernel is provided with them. */
#include "uring/buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { SHRINK_AFTER = 1024 }; /* publishes that did with a quarter of the depth */
_Static_assert(offsetof(struct io_uring_buf_ring, tail) == offsetof(struct io_uring_buf, resv),
               "the tail lies in the unused field of entry 0");

static void *map_pages(size_t len) {
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void unmap(struct buffers *b) {
    if (b->entries) munmap(b->entries, b->count * sizeof(struct io_uring_buf));
    if (b->memory) munmap(b->memory, (size_t)b->count * b->size);
    free(b->idle);
    *b = (struct buffers){0};
}

static bool map(struct buffers *b) {
    if (b->ring) b->entries = map_pages(b->count * sizeof(struct io_uring_buf));
    b->memory = map_pages((size_t)b->count * b->size);
    b->idle = malloc(b->count * sizeof *b->idle);
    return (b->entries || !b->ring) && b->memory && b->idle;
}

/* 0 or a negative errno. */
static int provide(struct buffers *b) {
    struct io_uring_buf_reg request = {
        .ring_addr = (uint64_t)(uintptr_t)b->entries,
        .ring_entries = b->count,
        .bgid = b->group,
    };
    int error = ring_sys_register(b->ring->fd, IORING_REGISTER_PBUF_RING, &request, 1);
    return error < 0 ? error : 0;
}

int buffers_open(struct buffers *b, struct ring *ring, const struct buffers_options *options) {
    unsigned count = options->count, least = options->least;
    *b = (struct buffers){.ring = ring,
                          .group = (uint16_t)options->group,
                          .count = count,
                          .size = options->size,
                          .least = least,
                          .depth = least};
    bool sane = options->group <= UINT16_MAX && options->size > 0 && count > 0 && count <= BUFFERS_MAX &&
                !(count & (count - 1)) && least > 0 && least <= count;
    if (!sane) {
        *b = (struct buffers){0};
        return -EINVAL;
    }
    if (!map(b)) {
        unmap(b);
        return -ENOMEM;
    }
    int error = ring ? provide(b) : 0;
    if (error) {
        unmap(b);
        return error;
    }
    while (b->idle_count < count)
        b->idle[b->idle_count] = (uint16_t)(count - 1 - b->idle_count), b->idle_count++;
    if (ring) buffers_publish(b);
    return 0;
}

static void offer(struct buffers *b, unsigned id) {
    /* Field by field: the unused fourth one of entry 0 is where the kernel reads the tail. */
    assert(id < b->count);
    struct io_uring_buf *entry = &b->entries->bufs[b->tail++ & (b->count - 1)];
    entry->addr = (uint64_t)(uintptr_t)(b->memory + (size_t)id * b->size);
    entry->len = b->size;
    entry->bid = (uint16_t)id;
}

/* Room for twice what comes at once, for receives that find no buffer end. It is soon given, and slowly taken back. */
static void adapt(struct buffers *b) {
    if (b->used > b->used_most) b->used_most = b->used;
    b->used = 0;
    while (b->used_most * 2 > b->depth && b->depth < b->count)
        b->depth = b->depth * 2 < b->count ? b->depth * 2 : b->count;
    if (++b->publishes < SHRINK_AFTER) return;
    if (b->used_most * 4 <= b->depth) b->depth = b->depth / 2 > b->least ? b->depth / 2 : b->least;
    b->publishes = b->used_most = 0;
    assert(b->least <= b->depth && b->depth <= b->count); /* 2 */
}

/* No id is idle twice: for debug_assert. */
static bool idle_once(const struct buffers *b) {
    uint64_t seen[BUFFERS_MAX / 64] = {0};
    for (unsigned i = 0; i < b->idle_count; i++) {
        uint64_t bit = UINT64_C(1) << b->idle[i] % 64;
        if (b->idle[i] >= b->count || (seen[b->idle[i] / 64] & bit)) return false;
        seen[b->idle[i] / 64] |= bit;
    }
    return true;
}

void buffers_publish(struct buffers *b) {
    assert(b->ring && b->taken + b->idle_count <= b->count); /* 1 */
    debug_assert(idle_once(b));
    adapt(b);
    for (unsigned offered = b->count - b->taken - b->idle_count; offered < b->depth && b->idle_count;
         offered++)
        offer(b, b->idle[--b->idle_count]);
    __atomic_store_n(&b->entries->tail, b->tail, __ATOMIC_RELEASE);
}

void buffers_close(struct buffers *b) {
    if (!b->memory) return;
    struct io_uring_buf_reg request = {.bgid = b->group};
    if (b->ring) ring_sys_register(b->ring->fd, IORING_UNREGISTER_PBUF_RING, &request, 1);
    unmap(b);
}
