/* prep.h - fills SQEs. Each function writes the fields that its operation reads, and user_data; the SQE comes zeroed
 * from ring_sqe. `fd` is a descriptor, or a slot of the file table where prep_fixed_file is called afterwards. */
#ifndef KEVY_URING_PREP_H
#define KEVY_URING_PREP_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "uring/ring.h"

static inline void prep_begin(struct io_uring_sqe *sqe, unsigned op, int fd, uint64_t user_data) {
    assert(op < IORING_OP_LAST && op <= UINT8_MAX);
    debug_assert(sqe->flags == 0 && sqe->ioprio == 0 && sqe->buf_group == 0); /* ring_sqe has zeroed it */
    sqe->opcode = (uint8_t)op;
    sqe->fd = fd;
    sqe->user_data = user_data;
}

static inline void prep_memory(struct io_uring_sqe *sqe, const void *addr, size_t len) {
    assert(len <= UINT32_MAX);
    sqe->addr = (uint64_t)(uintptr_t)addr;
    sqe->len = (uint32_t)len;
}

static inline void prep_fixed_file(struct io_uring_sqe *sqe) {
    sqe->flags |= IOSQE_FIXED_FILE;
}

/* One completion per accepted connection, F_MORE while it goes on. */
static inline void prep_accept_multishot(struct io_uring_sqe *sqe, int fd, int flags, uint64_t user_data) {
    assert(fd >= 0);
    prep_begin(sqe, IORING_OP_ACCEPT, fd, user_data);
    sqe->accept_flags = (uint32_t)flags;
    sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
}

/* One completion per chunk of data, each with a buffer of `group`; F_MORE while it goes on. */
static inline void prep_recv_multishot(struct io_uring_sqe *sqe, int fd, unsigned group, uint64_t user_data) {
    assert(fd >= 0 && group <= UINT16_MAX);
    prep_begin(sqe, IORING_OP_RECV, fd, user_data);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t)group;
}

/* The same once, of at most len bytes. */
static inline void prep_recv_buffer(struct io_uring_sqe *sqe, int fd, unsigned group, unsigned len,
                                    uint64_t user_data) {
    assert(fd >= 0 && len > 0 && group <= UINT16_MAX);
    prep_begin(sqe, IORING_OP_RECV, fd, user_data);
    sqe->len = len;
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = (uint16_t)group;
}

static inline void prep_recv(struct io_uring_sqe *sqe, int fd, struct iovec to, int flags,
                             uint64_t user_data) {
    assert(fd >= 0 && to.iov_len > 0);
    prep_begin(sqe, IORING_OP_RECV, fd, user_data);
    prep_memory(sqe, to.iov_base, to.iov_len);
    sqe->msg_flags = (uint32_t)flags;
}

static inline void prep_read(struct io_uring_sqe *sqe, int fd, void *to, unsigned len, uint64_t user_data) {
    prep_begin(sqe, IORING_OP_READ, fd, user_data);
    prep_memory(sqe, to, len);
    sqe->off = (uint64_t)-1;
}

static inline void prep_send(struct io_uring_sqe *sqe, int fd, struct iovec from, int flags,
                             uint64_t user_data) {
    assert(fd >= 0 && from.iov_base);
    prep_begin(sqe, IORING_OP_SEND, fd, user_data);
    prep_memory(sqe, from.iov_base, from.iov_len);
    sqe->msg_flags = (uint32_t)flags;
}

static inline void prep_writev(struct io_uring_sqe *sqe, int fd, const struct iovec *iov, unsigned count,
                               uint64_t user_data) {
    assert(fd >= 0 && iov && count > 0);
    prep_begin(sqe, IORING_OP_WRITEV, fd, user_data);
    prep_memory(sqe, iov, count);
    sqe->off = (uint64_t)-1;
}

/* Cancels the one request whose user_data is `target`. */
static inline void prep_cancel(struct io_uring_sqe *sqe, uint64_t target, uint64_t user_data) {
    prep_begin(sqe, IORING_OP_ASYNC_CANCEL, -1, user_data);
    sqe->addr = target;
}

/* Posts a completion {user_data remote_data, res value} on the ring behind ring_fd. */
static inline void prep_msg_ring(struct io_uring_sqe *sqe, int ring_fd, unsigned value, uint64_t remote_data,
                                 uint64_t user_data) {
    assert(ring_fd >= 0);
    prep_begin(sqe, IORING_OP_MSG_RING, ring_fd, user_data);
    sqe->len = value;
    sqe->off = remote_data;
}

#endif
