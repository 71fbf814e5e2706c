/* io_epoll.c - sockets and events over epoll, edge-triggered.
 *
 * DESIGN
 * A socket is added once, for all that may happen to it, and never changed: what the kernel has told is kept in bits of its
 * own, IO_CAN_READ and IO_CAN_WRITE. An operation goes on where it is under way and its bit is set; sockets for which that
 * holds are on the list `work`. io_wait looks what the kernel has to tell. io_ready goes through that list once, and so
 * makes the events, which io_event tells:
 *
 *     io_receive, io_send ... ---> work --> io_ready: one read and one write a socket --> found --> io_event
 *     io_wait: bits are set -------^
 *
 * A call that brings less than it could clears the bit, so that none is made which would only say EAGAIN. Edges come once,
 * so the bit must not be cleared where something is left:
 *   1. After RDHUP, HUP or ERR the end or the error is still to be read, and nothing will announce it again; after PRI a
 *      receive stops at the urgent byte, and more lies behind it. IO_STAYS: only EAGAIN clears the bit then.
 *   2. A receive of a Unix socket stops behind bytes that came with descriptors. recvmsg says that it has dropped these
 *      (MSG_CTRUNC); IO_BREAKS.
 * The bit is cleared after the call and before the next look: what comes in between is told by that look.
 *
 * Level-triggered a socket that nobody reads, and whose peer has reset it, would be told of for ever, for HUP and ERR cannot
 * be left out.
 *
 * Invariants:
 *   1. Events are made only when all that were made before have been told: so no operation of which an event tells that it
 *      has ended is run again, and the room for events is never short.
 *   2. A socket is on one of the lists, or on none; on `starved` only for want of a buffer.
 *   3. An operation that can go on is on a list, but for the one whose event waits to be told. */
#include "uring/io_epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uring/io.h"

enum {
    ACCEPTS_MOST = 64, /* a turn: the clients that are here wait meanwhile */
    LOOK_MOST = 256,   /* what the kernel tells at once; the rest in the next turn */
    ROOM_OF_ONE = 2,   /* events that a socket can bring at once: of a receive or read, and of a send */
    SLEEP_MOST_MS = 24 * 3600 * 1000,
    PAUSE_PART = 5, /* of the longest wait for company: how much of it is slept */
    SLACK_NS =
        1, /* how much later the kernel may end a sleep; by itself it takes 50 us, half as long as the sleep */
};

#define WAKE_DATA UINT64_MAX
_Static_assert(WAKE_DATA > IO_DATA_MASK, "no socket is called so");
_Static_assert(ACCEPTS_MOST >= 1 && LOOK_MOST >= 1, "each turn gets on");

/* ---- Opening and closing -------------------------------------------------------------------------- */

/* Each write makes an edge, also while what was written before is there still: it is never read. */
static int watch_wake_fd(struct io *io) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_DATA};
    return epoll_ctl(io->poll.fd, EPOLL_CTL_ADD, io->wake_fd, &event) < 0 ? -errno : 0;
}

int io_epoll_open(struct io *io, const struct io_options *options) {
    struct io_epoll *poll = &io->poll;
    if (options->events < ROOM_OF_ONE || options->events > INT32_MAX) return -EINVAL;
    *poll = (struct io_epoll){.fd = epoll_create1(EPOLL_CLOEXEC), .room = options->events};
    if (poll->fd < 0) return -errno;
    (void)prctl(PR_SET_TIMERSLACK, SLACK_NS, 0, 0,
                0); /* of this thread, which will wait; without it sleeps are longer */
    io_link_open(&poll->work);
    io_link_open(&poll->starved);
    poll->found = calloc(poll->room, sizeof *poll->found);
    if (!poll->found) return -ENOMEM;
    int error = watch_wake_fd(io);
    if (!error && options->buffers)
        error = buffers_open(&io->buffers, NULL,
                             &(struct buffers_options){.count = options->buffers,
                                                       .least = options->buffers_least,
                                                       .size = options->buffer_size});
    return error;
}

void io_epoll_close(struct io *io) {
    buffers_close(&io->buffers);
    free(io->poll.found);
    if (io->poll.fd >= 0) close(io->poll.fd);
}

/* ---- Work ------------------------------------------------------------------------------------------- */

static bool receives(const struct io_socket *s) {
    return s->bits & (IO_RECEIVING | IO_READING);
}

/* A quick send that has gone through is no work any more. */
static bool sends(const struct io_socket *s) {
    return s->bits & IO_SENDING && !io_link_in(&s->quick);
}

/* Can the operation go on, or is it to be ended? */
static bool can_receive(const struct io_socket *s) {
    return receives(s) && s->bits & (IO_CAN_READ | IO_STOPPING | IO_SHUT | IO_UNWATCHED);
}
static bool can_send(const struct io_socket *s) {
    return sends(s) && s->bits & (IO_CAN_WRITE | IO_SENT | IO_SHUT | IO_UNWATCHED);
}

static bool needs_buffer(const struct io_socket *s) {
    return !(s->bits & (IO_READING | IO_LISTENS | IO_STOPPING | IO_SHUT | IO_UNWATCHED));
}

/* Who is starved stays so, unless there is something to do for which no buffer is needed. */
static void work_if_any(struct io *io, struct io_socket *s) {
    bool receiving = can_receive(s), sending = can_send(s);
    if (s->bits & IO_STARVED && (sending || !needs_buffer(s))) {
        io_link_out(&s->work);
        s->bits &= ~(uint32_t)IO_STARVED;
    }
    if ((receiving || sending) && !io_link_in(&s->work)) io_link_add(&io->poll.work, &s->work); /* 2, 3 */
}

static struct io_socket *socket_of_work(struct io_link *link) {
    return (struct io_socket *)(void *)((char *)link - offsetof(struct io_socket, work));
}

/* ---- Sockets -------------------------------------------------------------------------------------- */

/* 0 or a negative errno. A listener whose accepting is begun anew is known already: a change makes the kernel look anew
 * for what is there already. */
static int watch(struct io *io, const struct io_socket *s) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.u64 = s->data};
    io->poll.calls++;
    if (epoll_ctl(io->poll.fd, EPOLL_CTL_ADD, s->fd, &event) == 0) return 0;
    if (errno == EEXIST && epoll_ctl(io->poll.fd, EPOLL_CTL_MOD, s->fd, &event) == 0) return 0;
    return -errno;
}

static bool is_unix(int fd) {
    int domain = 0;
    socklen_t len = sizeof domain;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

/* A new socket has room, most likely; whether it has bytes the kernel tells. */
void io_epoll_attach(struct io *io, struct io_socket *s) {
    s->bits |= IO_CAN_WRITE;
    if (is_unix(s->fd)) s->bits |= IO_BREAKS;
    s->error = watch(io, s);
    if (s->error) s->bits |= IO_UNWATCHED;
}

/* What is there to be read or written the kernel tells anew, to whoever adds it next. */
void io_epoll_part(struct io *io, struct io_socket *s) {
    io->poll.calls++;
    (void)epoll_ctl(io->poll.fd, EPOLL_CTL_DEL, s->fd, NULL);
}

void io_epoll_end(struct io *io, struct io_socket *s) {
    assert(s->owed > 0 && s->bits & IO_SHUT);
    work_if_any(io, s);
}

/* ---- Beginning operations ------------------------------------------------------------------------- */

static bool begin(struct io *io, struct io_socket *s, enum io_bit bit) {
    assert(!(s->bits & bit)); /* io.h: 2 */
    s->bits |= bit;
    s->owed++;
    work_if_any(io, s);
    return true;
}

/* An accept must not wait, for the connection may have gone. Others who share the listener find it so as well. */
bool io_epoll_listen(struct io *io, struct io_socket *s) {
    int flags = fcntl(s->fd, F_GETFL);
    assert(!receives(s)); /* io.h: 2 */
    s->bits |= IO_LISTENS;
    if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        s->error = -errno;
        s->bits |= IO_UNWATCHED;
    }
    return begin(io, s, IO_RECEIVING);
}

bool io_epoll_receive(struct io *io, struct io_socket *s, unsigned most) {
    assert(!receives(s) && !(s->bits & IO_SHUT)); /* io.h: 2 */
    s->len = most;
    return begin(io, s, IO_RECEIVING);
}

void io_epoll_receive_stop(struct io *io, struct io_socket *s) {
    assert(s->bits & IO_RECEIVING);
    s->bits |= IO_STOPPING;
    work_if_any(io, s);
}

/* Here the kernel is not known to forget. Asking costs a read that may say EAGAIN. */
void io_epoll_ask(struct io *io, struct io_socket *s) {
    assert(receives(s));
    s->bits |= IO_CAN_READ;
    work_if_any(io, s);
}

bool io_epoll_read(struct io *io, struct io_socket *s, void *to, unsigned len) {
    assert(!receives(s) && !(s->bits & IO_SHUT) && len > 0 && len <= INT32_MAX); /* io.h: 2 */
    s->to = to;
    s->len = len;
    s->have = 0;
    return begin(io, s, IO_READING);
}

/* ---- Sending -------------------------------------------------------------------------------------- */

/* How many bytes went, 0 where there is no room now, or a negative errno. Less than there are: there is no room for more. */
static int32_t send_now(struct io *io, struct io_socket *s) {
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)s->iov, .msg_iovlen = s->iov_count};
    size_t total = 0;
    for (unsigned i = 0; i < s->iov_count; i++) total += s->iov[i].iov_len;
    io->poll.calls++;
    ssize_t n = s->iov_count == 1 ? send(s->fd, s->iov->iov_base, total, MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : sendmsg(s->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) return 0;
    if (n < 0 && errno != EAGAIN) return -errno;
    assert(n < 0 || ((size_t)n <= total && n <= INT32_MAX));
    if (n < 0 || (size_t)n < total) s->bits &= ~(uint32_t)IO_CAN_WRITE;
    return n < 0 ? 0 : (int32_t)n;
}

/* One that took all is settled at once; what became of another one the next turn tells. */
static bool send_quickly(struct io *io, struct io_socket *s) {
    assert(s->iov_count == 1 && s->iov->iov_len <= INT32_MAX);
    s->bits |= IO_SENDING;
    s->owed++;
    s->sent = s->bits & IO_UNWATCHED ? s->error : s->bits & IO_CAN_WRITE ? send_now(io, s) : 0;
    if (s->sent == (int32_t)s->iov->iov_len) {
        io_link_add(&io->settled, &s->quick);
    } else {
        s->bits |= IO_SENT;
        work_if_any(io, s);
    }
    return true;
}

bool io_epoll_send(struct io *io, struct io_socket *s, const struct iovec *iov, unsigned n, bool quick) {
    assert(!(s->bits & (IO_SENDING | IO_SENT)) && n > 0 && n <= IOV_MAX); /* io.h: 2 */
    s->iov = iov;
    s->iov_count = n;
    return quick ? send_quickly(io, s) : begin(io, s, IO_SENDING);
}

/* ---- Waking --------------------------------------------------------------------------------------- */

bool io_epoll_wake(struct io *io, const struct io *woken) {
    assert(woken->epoll);
    io->poll.calls++;
    return io_wake_fd(woken->wake_fd) == 0;
}

/* ---- Making events -------------------------------------------------------------------------------- */

static unsigned room(const struct io *io) {
    return io->poll.room - io->poll.count;
}

static struct io_found *found(struct io *io, const struct io_socket *s, enum io_operation operation,
                              int32_t result) {
    assert(room(io) > 0); /* 1 */
    struct io_found *event = &io->poll.found[io->poll.count++];
    *event =
        (struct io_found){.data = s->data, .operation = (uint8_t)operation, .result = result, .last = true};
    return event;
}

/* Up to ACCEPTS_MOST. False when accepting has ended. */
static bool accept_some(struct io *io, struct io_socket *s) {
    for (unsigned i = 0; i < ACCEPTS_MOST && room(io); i++) {
        io->poll.calls++;
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN) {
            s->bits &= ~(uint32_t)IO_CAN_READ;
            return true;
        }
        struct io_found *event = found(io, s, IO_ACCEPT, fd < 0 ? -errno : fd);
        if (fd < 0) return false;
        event->last = false;
    }
    return true;
}

/* A call that brought n of the `most` bytes that it could have brought: are there more? `broken`: it stopped in between. */
static void note_short(struct io_socket *s, size_t n, size_t most, bool broken) {
    assert(n <= most);
    if (n < most && !broken && !(s->bits & IO_STAYS)) s->bits &= ~(uint32_t)IO_CAN_READ;
}

/* How many bytes came, 0 at the end of the stream, or a negative errno. The bit says whether more may be there. */
static int32_t receive_now(struct io *io, struct io_socket *s, char *to, size_t most) {
    struct iovec iov = {to, most};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    assert(most > 0 && most <= INT32_MAX);
    io->poll.calls++;
    ssize_t n = s->bits & IO_BREAKS ? recvmsg(s->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
                                    : recv(s->fd, to, most, MSG_DONTWAIT);
    if (n > 0) note_short(s, (size_t)n, most, message.msg_flags & MSG_CTRUNC);
    if (n < 0 && errno == EAGAIN) s->bits &= ~(uint32_t)IO_CAN_READ;
    return n < 0 ? -errno : (int32_t)n;
}

static bool is_nothing(int32_t result) {
    return result == -EAGAIN || result == -EINTR;
}

/* One buffer, for which there is one. False when the receive has ended. */
static bool receive(struct io *io, struct io_socket *s) {
    unsigned size = io->buffers.size, most = s->len && s->len < size ? s->len : size;
    unsigned id = buffers_next(&io->buffers);
    int32_t n = receive_now(io, s, io->buffers.memory + (size_t)id * size, most);
    if (n <= 0) buffers_return(&io->buffers, id);
    if (is_nothing(n)) return true;
    struct io_found *event = found(io, s, IO_RECEIVE, n);
    event->last = n <= 0 || s->len;
    event->eof = n == 0;
    event->buffer = id;
    return !event->last;
}

/* What a read comes to: whole, or, at the end of the stream or an error, what there was before. */
static bool read_more(struct io *io, struct io_socket *s) {
    assert(s->have < s->len);
    int32_t n = receive_now(io, s, s->to + s->have, s->len - s->have);
    if (is_nothing(n)) return true;
    if (n > 0) s->have += (uint32_t)n;
    if (n > 0 && s->have < s->len) return true;
    found(io, s, IO_READ, s->have ? (int32_t)s->have : n)->eof = n == 0 && !s->have;
    return false;
}

/* Nothing more will come of it. False: it has ended. */
static bool end_receive(struct io *io, struct io_socket *s) {
    int32_t result = s->bits & IO_UNWATCHED ? s->error : 0;
    enum io_operation operation = s->bits & IO_READING   ? IO_READ
                                  : s->bits & IO_LISTENS ? IO_ACCEPT
                                                         : IO_RECEIVE;
    if (operation == IO_READ && s->have) result = (int32_t)s->have;
    found(io, s, operation, result);
    return false;
}

/* False when it has ended. */
static bool run_receive(struct io *io, struct io_socket *s) {
    if (s->bits & (IO_STOPPING | IO_SHUT | IO_UNWATCHED)) return end_receive(io, s);
    if (s->bits & IO_READING) return read_more(io, s);
    return s->bits & IO_LISTENS ? accept_some(io, s) : receive(io, s);
}

/* The same of a send. A send into a socket that was shut down fails as it would if it were tried. */
static bool run_send(struct io *io, struct io_socket *s) {
    int32_t result;
    if (s->bits & IO_SENT)
        result = s->sent;
    else if (s->bits & IO_SHUT)
        result = -EPIPE;
    else
        result = s->bits & IO_UNWATCHED ? s->error : send_now(io, s);
    if (result == 0 && !(s->bits & IO_SENT)) return true; /* it waits for room */
    found(io, s, IO_SEND, result);
    return false;
}

static void starve(struct io *io, struct io_socket *s) {
    s->bits |= IO_STARVED;
    io_link_add(&io->poll.starved, &s->work); /* 2 */
}

/* What can go on goes on, once: at most one read and one write, but for a listener. */
static void run(struct io *io, struct io_socket *s) {
    bool again = false;
    if (can_send(s)) again = run_send(io, s) && can_send(s);
    if (can_receive(s)) {
        if (needs_buffer(s) && !io->buffers.idle_count) {
            starve(io, s);
            return;
        }
        again = (run_receive(io, s) && can_receive(s)) || again;
    }
    if (again) io_link_add(&io->poll.work, &s->work); /* 3 */
}

static void run_work(struct io *io) {
    struct io_link todo;
    io_link_open(&todo);
    io_link_move(&todo, &io->poll.work);
    while (!io_link_alone(&todo) && room(io) >= ROOM_OF_ONE) {
        struct io_socket *s = socket_of_work(todo.next);
        io_link_out(&s->work);
        run(io, s);
    }
    io_link_move(io->poll.work.next, &todo); /* the first of the next turn, if they had no room */
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

static void heard(struct io *io, const struct epoll_event *event) {
    if (event->data.u64 == WAKE_DATA) return;
    struct io_socket *s = io->find(io->context, event->data.u64);
    if (!s) return; /* it was closed after the kernel had noted this */
    uint32_t failed = event->events & (EPOLLHUP | EPOLLERR);
    if (event->events & (EPOLLRDHUP | EPOLLPRI) || failed) s->bits |= IO_STAYS;
    if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI) || failed) s->bits |= IO_CAN_READ;
    if (event->events & EPOLLOUT || failed) s->bits |= IO_CAN_WRITE;
    work_if_any(io, s);
}

/* Milliseconds, rounded up: a wait that ends too early is begun again, maybe many times. */
static int milliseconds(uint64_t us) {
    uint64_t ms = us / 1000 + (us % 1000 != 0);
    return ms < SLEEP_MOST_MS ? (int)ms : SLEEP_MOST_MS;
}

/* How many events there are, or a negative errno. A kernel without epoll_pwait2, or a filter that does not know it, makes
 * the limit coarse. */
static int wait_finely(struct io *io, struct epoll_event *events, uint64_t limit_us) {
    struct __kernel_timespec limit = {.tv_sec = (int64_t)(limit_us / 1000000),
                                      .tv_nsec = (int64_t)(limit_us % 1000000) * 1000};
    long n = syscall(__NR_epoll_pwait2, io->poll.fd, events, LOOK_MOST, &limit, NULL, sizeof(uint64_t));
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) io->poll.coarse = true;
    return n < 0 ? -errno : (int)n;
}

static int wait_for(struct io *io, struct epoll_event *events, uint64_t limit_us) {
    bool limited = limit_us != 0 && limit_us != UINT64_MAX;
    io->poll.calls++;
    if (limited && !io->poll.coarse) {
        int n = wait_finely(io, events, limit_us);
        if (!io->poll.coarse) return n;
    }
    int n = epoll_wait(io->poll.fd, events, LOOK_MOST, limit_us == UINT64_MAX ? -1 : milliseconds(limit_us));
    return n < 0 ? -errno : n;
}

/* Buffers have come back: who waits for one is the first to get it. */
static void feed_starved(struct io *io) {
    struct io_link *starved = &io->poll.starved;
    if (!io->buffers.idle_count) return;
    for (struct io_link *link = starved->next; link != starved; link = link->next)
        socket_of_work(link)->bits &= ~(uint32_t)IO_STARVED;
    io_link_move(io->poll.work.next, starved);
}

/* The kernel knows no minimum wait here. So whoever wants company sleeps first, and then finds all who came meanwhile. This
 * ends at its time alone, whoever comes: hence it is short. What is left of the limit. */
static uint64_t sleep_for_company(struct io *io, uint64_t min_wait_us, uint64_t limit_us) {
    uint64_t us = min_wait_us / PAUSE_PART < limit_us ? min_wait_us / PAUSE_PART : limit_us;
    struct timespec pause = {.tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000) * 1000};
    io->poll.calls++;
    nanosleep(&pause, NULL);
    return limit_us == UINT64_MAX ? limit_us : limit_us - us;
}

int io_epoll_wait(struct io *io, unsigned want, uint64_t min_wait_us, uint64_t timeout_us) {
    struct epoll_event events[LOOK_MOST];
    assert(io->poll.told <= io->poll.count && io->poll.count <= io->poll.room);
    bool ready = !io_link_alone(&io->poll.work) || io->poll.told < io->poll.count;
    if (!io_link_alone(&io->poll.starved) && io->buffers.idle_count) ready = true;
    uint64_t limit_us = want && !ready ? timeout_us : 0;
    if (limit_us && want > 1 && min_wait_us) limit_us = sleep_for_company(io, min_wait_us, limit_us);
    int n = wait_for(io, events, limit_us);
    assert(n <= LOOK_MOST);
    for (int i = 0; i < n; i++) heard(io, &events[i]);
    return n < 0 ? n : 0;
}

/* Here and not in the wait, for whoever waits is woken by others, who need not do so while it works. */
unsigned io_epoll_ready(struct io *io) {
    if (io->poll.told == io->poll.count) { /* 1 */
        io->poll.told = io->poll.count = 0;
        feed_starved(io);
        run_work(io);
    }
    return io->poll.count - io->poll.told;
}

/* ---- Telling events ------------------------------------------------------------------------------- */

static void end(struct io_socket *s, uint32_t bits) {
    assert(s->owed > 0 && s->bits & bits); /* io.h: 1 */
    s->owed--;
    s->bits &= ~bits;
}

/* Nobody is there any more for whom this came. */
static void drop(struct io *io, const struct io_found *event) {
    if (event->operation == IO_RECEIVE && event->result > 0) io_release(io, event->buffer);
    if (event->operation == IO_ACCEPT && event->result >= 0) close(event->result);
}

/* Bytes that came before the socket was shut down, and that nobody will read. */
static void discard(struct io *io, struct io_socket *s, struct io_event *event) {
    s->bits |= IO_DISCARDS;
    if (event->operation == IO_READ) return;
    io_release(io, event->buffer);
    event->result = 0;
}

struct io_event io_epoll_event(struct io *io, unsigned i) {
    assert(i < io->poll.count - io->poll.told);
    const struct io_found *event = &io->poll.found[io->poll.told + i];
    struct io_socket *s = io->find(io->context, event->data);
    if (!s) {
        drop(io, event);
        return (struct io_event){
            .operation = IO_NOTHING, .data = event->data, .result = event->result, .last = true};
    }
    struct io_event told = {.socket = s,
                            .data = event->data,
                            .result = event->result,
                            .buffer = event->buffer,
                            .operation = event->operation,
                            .last = event->last,
                            .eof = event->eof};
    if (event->operation == IO_SEND)
        end(s, IO_SENDING), s->bits &= ~(uint32_t)IO_SENT;
    else if (event->last)
        end(s, event->operation == IO_READ ? IO_READING : IO_RECEIVING), s->bits &= ~(uint32_t)IO_STOPPING;
    if (s->bits & IO_SHUT && event->result > 0 &&
        (event->operation == IO_RECEIVE || event->operation == IO_READ))
        discard(io, s, &told);
    return told;
}
