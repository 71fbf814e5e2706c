/* io.h - the seam between a shard's loop and the kernel: what the loop asks for, and what it hears.
 *
 * Above it there are sockets, events and turns; how the kernel is spoken to is known below it alone: by io_uring
 * (io_uring.c) or, where that is not to be had, by epoll (io_epoll.c). Nothing here promises more than both can keep. Which
 * of the two an io is made of is decided when it is opened, and never changes.
 *
 * A turn: events come (io_ready, io_event, io_advance, io_settled), the loop works and asks for more, and io_wait tells the
 * kernel all of it in one call.
 *
 *     io_attach --> [ io_receive_many, io_receive_one, io_read, io_send, io_listen ] --> events ... --> io_detach
 *
 * What holds:
 *   1. Each operation that was begun (true) ends with exactly one event that is its last, but for a quick send: that has
 *      an event only if it fell short, and is else named by io_settled. `owed` counts those that have not ended.
 *   2. A socket has at most one receive or read under way, and at most one send.
 *   3. An event names its socket by the caller's data, which `find` turns into the socket. Data that means nobody any more
 *      gives no event, so the caller must change it when it uses the memory of a socket again.
 *   4. After io_receive_stop one more event with data may come, and then exactly one that is the last.
 *   5. Memory that io_read and io_send were given stays until the event of it. So does a socket until nothing is owed.
 *   6. Every buffer that an event names is released once, before the next io_wait.
 *
 * An io belongs to one thread, but for io_wake_fd and the target of io_wake. Errors are negative errno values. */
#ifndef KEVY_URING_IO_H
#define KEVY_URING_IO_H

#include <sys/uio.h>

#include "uring/buffers.h"
#include "uring/files.h"
#include "uring/io_epoll.h"
#include "uring/io_link.h"
#include "uring/io_uring.h"
#include "uring/ring.h"

enum io_operation {
    IO_NOTHING, /* of no interest */
    IO_ACCEPT,  /* result: the descriptor of a connection, the caller's from now on; or an error */
    IO_RECEIVE, /* result: bytes in `buffer`; or an error, -ENOBUFS where no buffer was free: try again */
    IO_READ, /* result: bytes that were read, fewer than asked for at the end of the stream or when interrupted */
    IO_SEND,        /* result: bytes that were sent, maybe fewer than there were */
    IO_WAKE_FAILED, /* data: the number that io_wake was given; result: why its target was not woken */
};

enum { IO_PLACE_NONE = UINT32_MAX };

/* A socket as this file sees it. Part of something of the caller's, who sets and reads nothing in it. */
struct io_socket {
    struct io_link quick; /* sent quickly, and not settled yet; NULL: not so */
    uint64_t data;        /* the caller's name for it, 56 bits (IO_DATA_MASK) */
    int fd;
    uint32_t place; /* in the file table, if it is there */
    uint32_t bits;  /* enum io_bit */
    uint32_t owed;  /* operations that have not ended */

    /* Over epoll, what the kernel keeps for io_uring: */
    struct io_link work; /* an operation can go on; NULL: not so, or there is none */
    char *to;            /* of a read: where its bytes go, */
    uint32_t len,
        have; /* how many they shall be, and how many there are. Of a receive: len at most, 0: many */
    const struct iovec *iov;
    uint32_t iov_count;
    int32_t sent;  /* with IO_SENT: what the send came to */
    int32_t error; /* with IO_UNWATCHED: why, a negative errno */
};

enum io_bit {
    IO_FIXED = 1 << 0,     /* it is in the file table */
    IO_RECEIVING = 1 << 1, /* a receive is under way */
    IO_STOPPING = 1 << 2,  /* ... and has been asked to end */
    IO_READING = 1 << 3,
    IO_SENDING = 1 << 4,
    IO_SHUT = 1 << 5,     /* it was shut down, for io_detach */
    IO_DISCARDS = 1 << 6, /* bytes came that nobody will read */

    /* Over epoll: */
    IO_LISTENS = 1 << 7,    /* what it receives are connections */
    IO_CAN_READ = 1 << 8,   /* for all that is known a read would bring something ... */
    IO_CAN_WRITE = 1 << 9,  /* ... and a write would find room */
    IO_STAYS = 1 << 10,     /* a short read does not mean that nothing is left */
    IO_BREAKS = 1 << 11,    /* a receive may end between bytes that are there, and says so (Unix sockets) */
    IO_SENT = 1 << 12,      /* a quick send fell short, which no event has told yet */
    IO_STARVED = 1 << 13,   /* it waits for a buffer */
    IO_UNWATCHED = 1 << 14, /* the kernel refused to tell of it: each operation fails */
};

/* What one event says. A result of 0 says that nothing came; whether anything will is said by `last` and `eof`. */
struct io_event {
    struct io_socket *socket; /* NULL for IO_NOTHING and IO_WAKE_FAILED */
    uint64_t data;            /* of the socket, or of io_wake */
    int32_t result;
    uint32_t buffer; /* where the bytes of IO_RECEIVE are, if its result is above 0: io_buffer, io_release */
    uint8_t operation;
    bool last; /* the operation has ended: it is to be asked for again where it is still wanted */
    bool eof;  /* the peer will send no more */
};

struct io_options {
    bool
        epoll; /* not io_uring: then `submissions`, `places` and what is said of poll threads have no meaning */
    unsigned submissions; /* power of two: operations between two io_wait, more cost another system call */
    unsigned events;      /* power of two, > submissions: events between two io_wait, more cost time */
    unsigned buffers;     /* power of two: receives between two io_wait; 0: this io receives nothing */
    unsigned buffers_least, buffer_size;
    unsigned places; /* attached sockets with a place below this are spared a lookup */

    bool poll_thread; /* a kernel thread takes what is asked for, so that io_wait seldom has to call it */
    const struct io *share; /* ... the thread of this other one, or NULL */
    int poll_cpu;           /* ... pinned to this CPU, or -1 */
    unsigned poll_idle_ms;  /* ... which sleeps after so long without work */

    struct io_socket *(*find)(void *context, uint64_t data); /* 3; NULL: it is no longer there */
    void *context;
};

struct io {
    bool epoll; /* else the ring is used */
    struct ring ring;
    struct buffers buffers;
    struct files files;
    struct io_epoll poll;
    struct io_socket *(*find)(void *context, uint64_t data);
    void *context;
    struct io_link quick;   /* quick sends of which nothing is known yet: none over epoll */
    struct io_link settled; /* ... and those that have gone through */
    bool open, quick_sends;
    bool unsettled; /* at the last look some quick sends could not be settled */
    bool released;  /* buffers came back since the kernel was given some */
    bool waking;    /* the descriptor of io_wake_fd is being read */
    int wake_fd;    /* or -1 */
    uint64_t wakes; /* what is read from it; over epoll nothing is */
};

/* 0 or a negative errno; then nothing is left open. A zeroed io is closed; closing does no harm then. */
int io_open(struct io *io, const struct io_options *options) __attribute__((warn_unused_result));
void io_close(struct io *io);
/* What it is made of, for the log: inline rings, sqpoll rings, or epoll. */
const char *io_name(const struct io *io);
static inline bool io_is_epoll(const struct io *io) {
    return io->epoll;
}

/* ---- Sockets -------------------------------------------------------------------------------------- */

/* Makes `s` stand for a descriptor, which stays the caller's. No two attached sockets have the same
 * place; IO_PLACE_NONE: none. */
void io_attach(struct io *io, struct io_socket *s, int fd, uint32_t place, uint64_t data);
/* The socket has ended, and the caller is to close its descriptor now (true). False while operations are owed: it has been
 * shut down so that they end, and this is to be asked again after each of its events. */
bool io_detach(struct io *io, struct io_socket *s) __attribute__((warn_unused_result));
/* The socket goes to another io, or to the caller, as it is: nothing is owed, and nothing that has come is lost. Behind the
 * events of a turn, and before the next io_wait. */
void io_part(struct io *io, struct io_socket *s);
static inline bool io_is_receiving(const struct io_socket *s) {
    return s->bits & IO_RECEIVING;
}
static inline bool io_is_reading(const struct io_socket *s) {
    return s->bits & IO_READING;
}

static inline bool io_is_sending(const struct io_socket *s) {
    return s->bits & IO_SENDING;
}
/* By a quick send, of whose end no event tells. */
static inline bool io_is_sending_quickly(const struct io_socket *s) {
    return s->quick.next;
}

/* All that begin an operation return false, having done nothing, where there is no room for it now: ask again in the next
 * turn. Over epoll there always is. */

/* Accepts until an event says that it was the last. A socket that listens is never detached: it ends with the io. */
__attribute__((warn_unused_result)) static inline bool io_listen(struct io *io, struct io_socket *s) {
    return io->epoll ? io_epoll_listen(io, s) : io_uring_listen(io, s);
}
/* Receives into buffers as bytes come, until an event says that it was the last. */
__attribute__((warn_unused_result)) static inline bool io_receive_many(struct io *io, struct io_socket *s) {
    return io->epoll ? io_epoll_receive(io, s, 0) : io_uring_receive_many(io, s);
}
/* Receives once, at most so many bytes, 1 or more. */
__attribute__((warn_unused_result)) static inline bool io_receive_one(struct io *io, struct io_socket *s,
                                                                      unsigned most) {
    return io->epoll ? io_epoll_receive(io, s, most) : io_uring_receive_one(io, s, most);
}
/* Ends the receive that is under way, if one is (4). Where that has no room, or comes too late, the receive goes on: ask
 * again when an event brings more. */
static inline void io_receive_stop(struct io *io, struct io_socket *s) {
    if (!(s->bits & IO_RECEIVING)) return;
    if (io->epoll)
        io_epoll_receive_stop(io, s);
    else
        io_uring_receive_stop(io, s);
}
/* Does the kernel fail to say, now and then, that something has come? Then each socket is to be asked once in a while. */
static inline bool io_doubts_silence(const struct io *io) {
    return !io->epoll && !(io->ring.setup_flags & IORING_SETUP_DEFER_TASKRUN);
}
/* Does it fail to say that a stream has ended, now and then, where that came together with the last bytes? Then who has
 * fallen silent is to be asked. A receive that stays armed counts its wake-ups, takes the bytes, and forgets the rest of
 * the count (Linux 6.18: of peers that reset; of Unix sockets it is reported, where the end is an ordinary one). */
static inline bool io_misses_ends(const struct io *io) {
    return !io->epoll;
}
/* Asks the socket itself. If something has come, or the stream has ended, an event says so, or that the receive or read has
 * ended and is to be begun again. False: it has, and there was no room to end them. */
__attribute__((warn_unused_result)) static inline bool io_ask(struct io *io, struct io_socket *s) {
    if (!(s->bits & (IO_RECEIVING | IO_READING))) return true;
    if (!io->epoll) return io_uring_ask(io, s);
    io_epoll_ask(io, s);
    return true;
}
/* Reads `len` bytes to where the caller wants them, 1 to 2^30. */
__attribute__((warn_unused_result)) static inline bool io_read(struct io *io, struct io_socket *s, void *to,
                                                               unsigned len) {
    return io->epoll ? io_epoll_read(io, s, to, len) : io_uring_read(io, s, to, len);
}
/* Sends what n vectors say, 1 to IOV_MAX; they and what they name stay. A quick send takes what the socket has room for
 * and never waits: only where io_has_quick, and of one vector. */
__attribute__((warn_unused_result)) static inline bool
io_send(struct io *io, struct io_socket *s, const struct iovec *iov, unsigned n, bool quick) {
    return io->epoll ? io_epoll_send(io, s, iov, n, quick) : io_uring_send(io, s, iov, n, quick);
}
static inline bool io_has_quick(const struct io *io) {
    return io->quick_sends;
}

/* ---- Waking --------------------------------------------------------------------------------------- */

/* Ends the wait of another thread's io, whether it waits or not. Silent if it was done; else an event says so, with this
 * number. The target stays open until then. */
__attribute__((warn_unused_result)) static inline bool io_wake(struct io *io, const struct io *target,
                                                               uint32_t number) {
    return io->epoll ? io_epoll_wake(io, target) : io_uring_wake(io, target, number);
}
/* The same from any thread, by the wake_fd of the target. 0 or a negative errno. */
int io_wake_fd(int wake_fd);

/* ---- A turn --------------------------------------------------------------------------------------- */

/* Tells the kernel what was asked for, and waits until `want` events are there (no more than the queue for them holds),
 * unread ones included, or timeout_us have passed (UINT64_MAX: no limit). After min_wait_us fewer will do, where the kernel
 * can do that; else, if it is above 0, one will. Over epoll always one will; who wants more looks no sooner than after a
 * part of min_wait_us. want 0: takes what is there. 0 or a negative errno, all of which are ordinary. */
static inline int io_wait(struct io *io, unsigned want, uint64_t min_wait_us, uint64_t timeout_us) {
    return io->epoll ? io_epoll_wait(io, want, min_wait_us, timeout_us)
                     : io_uring_wait(io, want, min_wait_us, timeout_us);
}
/* Tells the kernel what was asked for. Negative: a part of it waits until the next time. */
static inline int io_submit(struct io *io) {
    return io->epoll ? 0 : io_uring_submit(io);
}
/* How many operations were asked for of which it does not know yet. None over epoll. */
static inline unsigned io_untold(const struct io *io) {
    return io->epoll ? 0 : io->ring.sq_entries - ring_sqe_room(&io->ring);
}
/* Are there events, or, over epoll, something of which io_ready may make some? */
static inline bool io_has_events(const struct io *io) {
    if (!io->epoll) return ring_ready(&io->ring) > 0;
    return io->poll.count > io->poll.told || !io_link_alone(&io->poll.work);
}
/* Does io_stirs hear of what comes? Only then is there sense in spinning on it. */
static inline bool io_can_spin(const struct io *io) {
    return !io->epoll;
}
/* Are there any, or would there be after an io_wait that does not wait? It makes no system call. */
static inline bool io_stirs(const struct io *io) {
    return io_has_events(io) || (!io->epoll && ring_needs_enter(&io->ring));
}
/* System calls that were made: to enter a ring; over epoll all of them, those that move bytes too. */
static inline uint64_t io_calls(const struct io *io) {
    return io->epoll ? io->poll.calls : io->ring.enters;
}

/* The quick sends that were under way at the last wait have ended: those of which no event tells have gone through. */
static inline void io_settle(struct io *io) {
    io_link_move(&io->settled, &io->quick);
}
/* How many events there are, once after each io_wait. All of them are to be gone through, then io_advance, then
 * io_settled. Whether the kernel took all that was asked for and held no event back is asked here, for the events
 * themselves lead to new operations. */
static inline unsigned io_ready(struct io *io) {
    if (io->epoll) return io_epoll_ready(io);
    unsigned count = ring_ready(&io->ring);
    bool all_came = ring_sqe_room(&io->ring) == io->ring.sq_entries && !ring_overflowed(&io->ring);
    io->unsettled = !all_came && !io_link_alone(&io->quick);
    if (all_came && !io_link_alone(&io->quick)) io_settle(io);
    return count;
}
/* The i-th of them, once, in this order. */
static inline struct io_event io_event(struct io *io, unsigned i) {
    return io->epoll ? io_epoll_event(io, i) : io_uring_event(io, i);
}
static inline void io_advance(struct io *io, unsigned count) {
    if (io->epoll) {
        assert(count <= io->poll.count - io->poll.told);
        io->poll.told += count;
    } else {
        ring_advance(&io->ring, count);
    }
}
static inline void io_quick_out(struct io_socket *s) {
    io_link_out(&s->quick);
    assert(s->owed > 0 && s->bits & IO_SENDING); /* 1 */
    s->owed--;
    s->bits &= ~(uint32_t)IO_SENDING;
}
/* The next socket whose quick send has gone through, to its last byte; NULL: that was the last one. */
static inline struct io_socket *io_settled(struct io *io) {
    if (io_link_alone(&io->settled)) return NULL;
    struct io_socket *s = (struct io_socket *)(void *)io->settled.next;
    io_quick_out(s);
    return s;
}

/* The bytes of a buffer that an event named: the caller's until it is released. */
static inline const char *io_buffer(const struct io *io, uint32_t buffer) {
    debug_assert(buffer < io->buffers.count);
    return io->buffers.memory + (size_t)buffer * io->buffers.size;
}
static inline void io_release(struct io *io, uint32_t buffer) {
    buffers_return(&io->buffers, buffer);
    io->released = true;
}

_Static_assert(offsetof(struct io_socket, quick) == 0, "a link is its socket's address");

#endif
