/* io_epoll.h - the seam over epoll: what the functions of io.h come to where there is no io_uring. Called by io.h and io.c
 * alone; what they do is said there. io_epoll.c tells how. */
#ifndef KEVY_URING_IO_EPOLL_H
#define KEVY_URING_IO_EPOLL_H

#include <stdint.h>
#include <sys/uio.h>

#include "uring/io_link.h"

struct io;
struct io_event;
struct io_options;
struct io_socket;

/* What an operation came to, until io_event tells it. */
struct io_found {
    uint64_t data; /* of the socket */
    int32_t result;
    uint32_t buffer;
    uint8_t operation; /* enum io_operation */
    bool last, eof;
};

/* What an io over epoll has beside the rest. */
struct io_epoll {
    int fd;
    struct io_found
        *found; /* malloc'd, `room` of them: found[told] to found[count - 1] have not been told yet */
    unsigned room, told, count;
    struct io_link work;    /* sockets with an operation that can go on now */
    struct io_link starved; /* ... that could, but for want of a buffer */
    bool coarse;            /* limits of time are in milliseconds: the kernel has no epoll_pwait2 */
    uint64_t calls;         /* system calls made, for metrics */
};

int io_epoll_open(struct io *io, const struct io_options *options) __attribute__((warn_unused_result));
void io_epoll_close(struct io *io);
void io_epoll_attach(struct io *io, struct io_socket *s);
void io_epoll_part(struct io *io, struct io_socket *s); /* nothing is owed */
void io_epoll_end(struct io *io, struct io_socket *s);  /* it was shut down, and operations are owed */
bool io_epoll_listen(struct io *io, struct io_socket *s);
bool io_epoll_receive(struct io *io, struct io_socket *s, unsigned most); /* most 0: many */
void io_epoll_receive_stop(struct io *io, struct io_socket *s);
void io_epoll_ask(struct io *io, struct io_socket *s);
bool io_epoll_read(struct io *io, struct io_socket *s, void *to, unsigned len);
bool io_epoll_send(struct io *io, struct io_socket *s, const struct iovec *iov, unsigned n, bool quick);
bool io_epoll_wake(struct io *io, const struct io *woken);
int io_epoll_wait(struct io *io, unsigned want, uint64_t min_wait_us, uint64_t timeout_us);
unsigned io_epoll_ready(struct io *io);
struct io_event io_epoll_event(struct io *io, unsigned i);

#endif
