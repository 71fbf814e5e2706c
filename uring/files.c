/* files.c - the table of registered files. */
#include "uring/files.h"

#include <errno.h>

int files_open(struct files *files, struct ring *ring, unsigned count) {
    struct io_uring_rsrc_register request = {.nr = count, .flags = IORING_RSRC_REGISTER_SPARSE};
    int error = ring_sys_register(ring->fd, IORING_REGISTER_FILES2, &request, sizeof(request));
    *files = (struct files){.ring = ring, .count = error < 0 ? 0 : count};
    return error < 0 ? error : 0;
}

void files_close(struct files *files) {
    if (files->count == 0) return;
    ring_sys_register(files->ring->fd, IORING_UNREGISTER_FILES, NULL, 0);
    files->count = 0;
}

int files_set(struct files *files, unsigned slot, int fd) {
    if (slot >= files->count) return -EINVAL;
    assert(files->ring && fd >= -1);
    int32_t descriptor = fd;
    struct io_uring_files_update update = {.offset = slot, .fds = (uint64_t)(uintptr_t)&descriptor};
    int updated = ring_sys_register(files->ring->fd, IORING_REGISTER_FILES_UPDATE, &update, 1);
    if (updated < 0) return updated;
    return updated == 1 ? 0 : -EBADF;
}
