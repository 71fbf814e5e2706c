/* io_uring.h - the seam over io_uring: what the functions of io.h come to, and what an SQE is for. Called by io.h and io.c
 * alone; what they do is said there. */
#ifndef KEVY_URING_IO_URING_H
#define KEVY_URING_IO_URING_H

#include <sys/uio.h>

#include "uring/ring.h"

struct io;
struct io_event;
struct io_options;
struct io_socket;

int io_uring_open(struct io *io, const struct io_options *options) __attribute__((warn_unused_result));
void io_uring_close(struct io *io);
void io_uring_attach(struct io *io, struct io_socket *s);
void io_uring_detach(struct io *io, struct io_socket *s); /* nothing is owed */
bool io_uring_listen(struct io *io, struct io_socket *s);
bool io_uring_receive_many(struct io *io, struct io_socket *s);
bool io_uring_receive_one(struct io *io, struct io_socket *s, unsigned most);
void io_uring_receive_stop(struct io *io, struct io_socket *s);
bool io_uring_ask(struct io *io, struct io_socket *s);
bool io_uring_read(struct io *io, struct io_socket *s, void *to, unsigned len);
bool io_uring_send(struct io *io, struct io_socket *s, const struct iovec *iov, unsigned n, bool quick);
bool io_uring_wake(struct io *io, const struct io *woken, uint32_t number);
int io_uring_wait(struct io *io, unsigned want, uint64_t min_wait_us, uint64_t timeout_us);
int io_uring_submit(struct io *io);
struct io_event io_uring_event(struct io *io, unsigned i);

/* ---- What an SQE is for ----------------------------------------------------------------------------- */

/* The top byte of its user_data. The rest is the data of its socket, or the number of io_wake. */
enum io_code {
    IO_CODE_NONE, /* nobody waits for it */
    IO_CODE_ACCEPT,
    IO_CODE_RECEIVE,
    IO_CODE_READ,
    IO_CODE_SEND,
    IO_CODE_QUICK,
    IO_CODE_STOP,      /* completes only if it came to nothing */
    IO_CODE_WAKE,      /* on the target's ring */
    IO_CODE_WAKE_SENT, /* on the ring of who wakes, only if that failed */
    IO_CODE_WAKE_READ, /* of wake_fd */
};

enum { IO_DATA_BITS = 56 };
#define IO_DATA_MASK ((UINT64_C(1) << IO_DATA_BITS) - 1)

static inline uint64_t io_pack(enum io_code code, uint64_t data) {
    assert(data <= IO_DATA_MASK);
    return (uint64_t)code << IO_DATA_BITS | data;
}
static inline enum io_code io_code_of(uint64_t user_data) {
    return (enum io_code)(user_data >> IO_DATA_BITS);
}

#endif
