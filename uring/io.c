/* io.c - what io_uring and epoll have in common: opening and closing, sockets that come and go, waking by a descriptor. */
#include "uring/io.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- Opening and closing -------------------------------------------------------------------------- */

/* io_uring waits for it in a read, which it does only for a descriptor that blocks; epoll tells of each write. */
static int open_wake_fd(bool epoll) {
    int fd = eventfd(0, EFD_CLOEXEC | (epoll ? EFD_NONBLOCK : 0));
    return fd < 0 ? -errno : fd;
}

int io_open(struct io *io, const struct io_options *options) {
    *io = (struct io){
        .epoll = options->epoll,
        .ring = {.fd = -1},
        .poll = {.fd = -1},
        .find = options->find,
        .context = options->context,
        .open = true,
        /* Over a ring of its own the kernel runs them before io_wait returns: io_settle. */
        .quick_sends = options->epoll || !options->poll_thread,
        .wake_fd = open_wake_fd(options->epoll),
    };
    io_link_open(&io->quick);
    io_link_open(&io->settled);
    int error = io->wake_fd < 0 ? io->wake_fd : 0;
    if (!error) error = io->epoll ? io_epoll_open(io, options) : io_uring_open(io, options);
    if (error) io_close(io);
    return error;
}

void io_close(struct io *io) {
    if (!io->open) return;
    if (io->epoll)
        io_epoll_close(io);
    else
        io_uring_close(io);
    if (io->wake_fd >= 0) close(io->wake_fd);
    *io = (struct io){.wake_fd = -1};
}

const char *io_name(const struct io *io) {
    if (io->epoll) return "epoll";
    if (!io->open) return "none";
    return io->ring.setup_flags & IORING_SETUP_SQPOLL ? "uring with poll threads" : "uring";
}

int io_wake_fd(int wake_fd) {
    static const uint64_t one = 1;
    return write(wake_fd, &one, sizeof one) == (ssize_t)sizeof one ? 0 : -errno;
}

/* ---- Sockets -------------------------------------------------------------------------------------- */

void io_attach(struct io *io, struct io_socket *s, int fd, uint32_t place, uint64_t data) {
    assert(fd >= 0 && data <= IO_DATA_MASK);
    *s = (struct io_socket){.fd = fd, .place = place, .data = data};
    if (io->epoll)
        io_epoll_attach(io, s);
    else
        io_uring_attach(io, s);
}

/* Who closes a socket with bytes in it that nobody has read resets the connection: so a peer that is still sending learns of
 * it at once. A receive that was under way may have taken those bytes after the shutdown. Then no reset would come, nor
 * would the window open again that was shut: the peer would wait for a minute, until the kernel forgets this end. */
static void reset_if_discarding(const struct io_socket *s) {
    static const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (s->bits & IO_DISCARDS) (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void io_part(struct io *io, struct io_socket *s) {
    assert(!s->owed && !(s->bits & (IO_RECEIVING | IO_READING | IO_SENDING | IO_SHUT)) &&
           !s->quick.next); /* 1 */
    if (io_link_in(&s->work)) io_link_out(&s->work);
    if (io->epoll)
        io_epoll_part(io, s);
    else
        io_uring_detach(io, s);
}

/* A receive or send that is still under way ends when the socket is shut down: over io_uring its completion then comes by
 * itself, over epoll it is ended in the next turn. */
bool io_detach(struct io *io, struct io_socket *s) {
    if (s->owed) {
        if (!(s->bits & IO_SHUT)) shutdown(s->fd, SHUT_RDWR);
        s->bits |= IO_SHUT;
        if (io->epoll) io_epoll_end(io, s);
        return false;
    }
    assert(!(s->bits & (IO_RECEIVING | IO_READING | IO_SENDING)) && !s->quick.next); /* 1 */
    if (io_link_in(&s->work)) io_link_out(&s->work);
    if (!io->epoll) io_uring_detach(io, s);
    reset_if_discarding(s);
    return true;
}
