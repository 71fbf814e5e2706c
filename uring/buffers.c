/* buffers.c - registers the ring of provided buffers and the memory behind it. */
#include "uring/buffers.h"

#include <errno.h>
#include <sys/mman.h>

static void *map_pages(size_t len) {
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void unmap(struct buffers *b) {
    if (b->entries) munmap(b->entries, b->count * sizeof(struct io_uring_buf));
    if (b->memory) munmap(b->memory, (size_t)b->count * b->size);
    *b = (struct buffers){0};
}

int buffers_open(struct buffers *b, struct ring *ring, unsigned group, unsigned count, unsigned size) {
    *b = (struct buffers){.ring = ring, .group = (uint16_t)group, .count = count, .size = size};
    bool sane = group <= UINT16_MAX && size > 0 && count > 0 && count <= BUFFERS_MAX &&
                !(count & (count - 1));
    if (!sane) {
        *b = (struct buffers){0};
        return -EINVAL;
    }
    b->entries = map_pages(count * sizeof(struct io_uring_buf));
    b->memory = map_pages((size_t)count * size);
    if (!b->entries || !b->memory) {
        unmap(b);
        return -ENOMEM;
    }
    struct io_uring_buf_reg request = {
        .ring_addr = (uint64_t)(uintptr_t)b->entries,
        .ring_entries = count,
        .bgid = (uint16_t)group,
    };
    int error = ring_sys_register(ring->fd, IORING_REGISTER_PBUF_RING, &request, 1);
    if (error < 0) {
        unmap(b);
        return error;
    }
    b->taken = count; /* all are ours until they are given to the kernel */
    for (unsigned id = 0; id < count; id++) buffers_return(b, id);
    buffers_publish(b);
    return 0;
}

void buffers_close(struct buffers *b) {
    if (!b->entries) return;
    struct io_uring_buf_reg request = {.bgid = b->group};
    ring_sys_register(b->ring->fd, IORING_UNREGISTER_PBUF_RING, &request, 1);
    unmap(b);
}
