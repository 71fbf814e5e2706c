/* The seam over epoll: how many system calls it takes, who comes first where something is short, and what the kernel may
 * refuse. What a loop hears is compared with io_uring in io.c. */
#include "uring/io_epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/un.h>

/* What the test sends is not counted. */
ssize_t __real_send(int fd, const void *from, size_t len, int flags);
#define IO_FIXTURE_SEND __real_send
#include "tests/unit/io_fixture.h"
#include "tests/wrap_syscall.h"

enum { BUFFERS = 4, SIZE = 256, EVENTS = 256 };

/* ---- Calls that are counted, or fail ---------------------------------------------------------------- */

static struct { unsigned reads, writes, looks, changes, accepts, sleeps, in_vain; } calls;
static uint64_t slept_us;                                /* the last time */
static bool interrupted;                                 /* every wait and sleep is, at once */
static int speaks_meanwhile;                             /* a descriptor, or 0 */
static int control_fails, accept_fails, fine_wait_fails; /* errno, or 0 */

static ssize_t counted(unsigned *count, ssize_t n) {
    ++*count;
    if (n < 0 && errno == EAGAIN) calls.in_vain++;
    return n;
}

#define REAL(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)

REAL(ssize_t, recv, int fd, void *to, size_t len, int flags) {
    return counted(&calls.reads, __real_recv(fd, to, len, flags));
}
REAL(ssize_t, recvmsg, int fd, struct msghdr *message, int flags) {
    return counted(&calls.reads, __real_recvmsg(fd, message, flags));
}
REAL(ssize_t, send, int fd, const void *from, size_t len, int flags) {
    return counted(&calls.writes, __real_send(fd, from, len, flags));
}
REAL(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags) {
    return counted(&calls.writes, __real_sendmsg(fd, message, flags));
}
REAL(int, accept4, int fd, struct sockaddr *address, socklen_t *len, int flags) {
    errno = accept_fails;
    return accept_fails ? -1 : (int)counted(&calls.accepts, __real_accept4(fd, address, len, flags));
}
REAL(int, epoll_ctl, int fd, int operation, int of, struct epoll_event *event) {
    calls.changes++;
    errno = control_fails;
    return control_fails ? -1 : __real_epoll_ctl(fd, operation, of, event);
}
REAL(int, epoll_wait, int fd, struct epoll_event *events, int most, int limit_ms) {
    calls.looks++;
    errno = EINTR;
    return interrupted ? -1 : __real_epoll_wait(fd, events, most, limit_ms);
}
/* Whoever sleeps is spoken to by a peer meanwhile. */
REAL(int, nanosleep, const struct timespec *pause, struct timespec *left) {
    calls.sleeps++;
    slept_us = (uint64_t)pause->tv_sec * 1000000 + (uint64_t)pause->tv_nsec / 1000;
    if (speaks_meanwhile) CHECK_INT(__real_send(speaks_meanwhile, "late", 4, MSG_NOSIGNAL), 4);
    errno = EINTR;
    return interrupted ? -1 : __real_nanosleep(pause, left);
}
static bool syscall_fails(long number) {
    (void)number; /* there is but one */
    calls.looks++;
    errno = interrupted ? EINTR : fine_wait_fails;
    return errno != 0;
}

/* ---- The stage -------------------------------------------------------------------------------------- */

static struct io_options options(void) {
    return (struct io_options){.epoll = true,
                               .events = EVENTS,
                               .buffers = BUFFERS,
                               .buffers_least = 2,
                               .buffer_size = SIZE,
                               .find = find,
                               .context = sockets};
}

static void open_with(struct io_options how) {
    must(io_open(&io, &how), "epoll");
    memset(gone, 0, sizeof gone);
    memset(&calls, 0, sizeof calls);
}

static void open_io(void) {
    open_with(options());
}

/* A turn that does not wait; its events, of which there are so many. */
static struct io_event heard[EVENTS];
static unsigned turn(void) {
    CHECK_INT(io_wait(&io, 0, 0, 0), 0);
    unsigned count = io_ready(&io);
    for (unsigned i = 0; i < count; i++) heard[i] = io_event(&io, i);
    io_advance(&io, count);
    return count;
}

static void detach(struct io_socket *s) {
    while (!io_detach(&io, s)) {
        turn();
        while (io_settled(&io)) continue;
    }
    close(s->fd);
    close(peers[s->data]);
}

static bool sleeps(void) {
    uint64_t begun_us = now_us();
    CHECK_INT(io_wait(&io, 1, 0, 5000), 0);
    return now_us() - begun_us >= 4000 && io_ready(&io) == 0;
}

/* ---- Calls ------------------------------------------------------------------------------------------- */

static void a_request_and_its_reply_cost_a_look_a_read_and_a_write(void) {
    enum { ROUNDS = 50 };
    struct iovec pong = {"pong", 4};
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK_INT(turn(), 0);
    memset(&calls, 0, sizeof calls);
    uint64_t before = io_calls(&io);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char got[4];
        say(0, "ping");
        CHECK_INT(turn(), 1);
        check_received(&heard[0], 0, "ping");
        CHECK(!heard[0].last && io_send(&io, s, &pong, 1, true));
        CHECK(io_settled(&io) == s && !io_settled(&io) && s->owed == 1);
        CHECK_INT(__real_recv(peers[0], got, sizeof got, 0), 4);
    }
    CHECK_INT(calls.reads, ROUNDS);
    CHECK_INT(calls.writes, ROUNDS);
    CHECK_INT(calls.looks, ROUNDS);
    CHECK_INT(calls.in_vain, 0);
    CHECK_INT(calls.changes, 0);
    CHECK_INT(io_calls(&io) - before, 3 * ROUNDS);
    detach(s);
    CHECK_INT(calls.changes, 0); /* a descriptor that is closed is forgotten */
    CHECK_INT(calls.in_vain, 0);
    io_close(&io);
}

/* Only a full buffer is a reason to ask again. */
static void a_full_buffer_is_followed_by_another(void) {
    char full[SIZE + 1];
    memset(full, 'x', SIZE);
    full[SIZE] = 0;
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    say(0, full);
    say(0, "rest");
    CHECK_INT(turn(), 1);
    check_received(&heard[0], 0, full);
    CHECK_INT(turn(), 1);
    check_received(&heard[0], 0, "rest");
    CHECK_INT(calls.reads, 2);
    CHECK(sleeps());
    CHECK_INT(calls.reads, 2);
    detach(s);
    io_close(&io);
}

static void who_does_not_listen_is_not_read(void) {
    open_io();
    struct io_socket *s = attach(0);
    for (unsigned i = 0; i < 3; i++) {
        say(0, "x");
        CHECK_INT(turn(), 0);
    }
    close(peers[0]);
    CHECK_INT(turn(), 0);
    CHECK(sleeps() && sleeps());
    CHECK_INT(calls.reads, 0);
    CHECK(io_receive_many(&io, s));
    CHECK_INT(turn(), 1);
    check_received(&heard[0], 0, "xxx");
    CHECK(turn() == 1 && heard[0].eof && heard[0].last);
    peers[0] = dup(0);
    detach(s);
    io_close(&io);
}

/* ---- Who comes first ---------------------------------------------------------------------------------- */

/* One with much to say has a buffer in each turn, and so has everybody else. */
static void all_who_speak_are_heard_in_each_turn(void) {
    char much[SIZE * 3 + 1];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = 0;
    open_io();
    for (unsigned i = 0; i < 3; i++) CHECK(io_receive_many(&io, attach(i)));
    say(0, much);
    for (unsigned round = 0; round < 3; round++) {
        say(1, "a");
        say(2, "b");
        CHECK_INT(turn(), 3);
        unsigned seen = 0;
        for (unsigned i = 0; i < 3; i++) {
            seen |= 1u << heard[i].data;
            CHECK_INT(heard[i].result, heard[i].data ? 1 : SIZE);
            io_release(&io, heard[i].buffer);
        }
        CHECK_INT(seen, 7);
    }
    CHECK_INT(turn(), 0);
    for (unsigned i = 0; i < 3; i++) detach(&sockets[i]);
    io_close(&io);
}

/* Those for whom none was left are the first in the next turn, whatever has come since. */
static void buffers_go_to_those_who_waited_for_them(void) {
    open_io();
    for (unsigned i = 0; i < 6; i++) CHECK(io_receive_many(&io, attach(i)));
    for (unsigned i = 0; i < 6; i++) say(i, "first");
    CHECK_INT(turn(), BUFFERS);
    uint32_t held[BUFFERS];
    for (unsigned i = 0; i < BUFFERS; i++) {
        CHECK_INT(heard[i].data, i);
        held[i] = heard[i].buffer;
    }
    CHECK(sleeps()); /* while the caller has them, nothing spins */
    say(0, "second");
    CHECK_INT(turn(), 0);
    for (unsigned i = 0; i < BUFFERS; i++) io_release(&io, held[i]);
    CHECK_INT(turn(), 3);
    check_received(&heard[0], 4, "first");
    check_received(&heard[1], 5, "first");
    check_received(&heard[2], 0, "second");
    CHECK(sleeps());
    CHECK_INT(calls.in_vain, 0);
    for (unsigned i = 0; i < 6; i++) detach(&sockets[i]);
    io_close(&io);
}

/* A buffer is all that they lack. */
static void who_waits_for_a_buffer_can_send_and_be_stopped(void) {
    struct iovec parts[2] = {{"po", 2}, {"ng", 2}};
    uint32_t held[BUFFERS];
    open_io();
    for (unsigned i = 0; i < BUFFERS + 2; i++) CHECK(io_receive_many(&io, attach(i)));
    for (unsigned i = 0; i < BUFFERS + 2; i++) say(i, "first");
    CHECK_INT(turn(), BUFFERS);
    for (unsigned i = 0; i < BUFFERS; i++) held[i] = heard[i].buffer;
    CHECK(sockets[BUFFERS].bits & IO_STARVED && sockets[BUFFERS + 1].bits & IO_STARVED);
    CHECK(io_send(&io, &sockets[BUFFERS], parts, 2, false));
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_SEND && heard[0].result == 4 && heard[0].data == BUFFERS);
    io_receive_stop(&io, &sockets[BUFFERS + 1]);
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_RECEIVE && heard[0].last && heard[0].result == 0 && !heard[0].eof);
    CHECK(sleeps());
    for (unsigned i = 0; i < BUFFERS; i++) io_release(&io, held[i]);
    CHECK_INT(turn(), 1);
    check_received(&heard[0], BUFFERS, "first");
    for (unsigned i = 0; i < BUFFERS + 2; i++) detach(&sockets[i]);
    io_close(&io);
}

/* No more events are made than there is room for, and no turn is lost. */
static void events_for_which_there_is_no_room_come_next(void) {
    struct io_options how = options();
    how.events = 4;
    open_with(how);
    for (unsigned i = 0; i < SOCKETS; i++) CHECK(io_receive_many(&io, attach(i)));
    for (unsigned i = 0; i < SOCKETS; i++) say(i, "x");
    unsigned next = 0;
    while (next < SOCKETS) {
        CHECK_INT(io_wait(&io, 1, 0, UINT64_MAX), 0);
        unsigned count = io_ready(&io);
        CHECK(count > 0 && count <= 4);
        for (unsigned i = 0; i < count; i++) {
            struct io_event event = io_event(&io, i);
            check_received(&event, next++, "x");
        }
        /* Before they have all been told no more are made. */
        io_advance(&io, 1);
        if (count > 1) {
            CHECK_INT(io_wait(&io, 1, 0, UINT64_MAX), 0);
            CHECK_INT(io_ready(&io), count - 1);
        }
        io_advance(&io, count - 1);
    }
    CHECK(sleeps());
    for (unsigned i = 0; i < SOCKETS; i++) detach(&sockets[i]);
    io_close(&io);
}

/* ---- Accepting --------------------------------------------------------------------------------------- */

static struct sockaddr_un listener_name;
static socklen_t listener_name_len;

static struct io_socket *listener(void) {
    struct io_socket *s = &sockets[SOCKETS - 1];
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, (struct sockaddr *)&any, sizeof any.sun_family) == 0 && listen(fd, 200) == 0);
    listener_name_len = sizeof listener_name;
    CHECK_INT(getsockname(fd, (struct sockaddr *)&listener_name, &listener_name_len), 0);
    io_attach(&io, s, fd, IO_PLACE_NONE, SOCKETS - 1);
    return s;
}

static int client(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&listener_name, listener_name_len), 0);
    return fd;
}

static unsigned accepted(void) {
    unsigned count = turn();
    for (unsigned i = 0; i < count; i++) {
        CHECK(heard[i].operation == IO_ACCEPT && heard[i].result >= 0 && !heard[i].last);
        close(heard[i].result);
    }
    return count;
}

static void a_crowd_is_accepted_in_more_than_one_turn(void) {
    int fds[100];
    open_io();
    struct io_socket *s = listener();
    CHECK(io_listen(&io, s));
    CHECK(fcntl(s->fd, F_GETFL) & O_NONBLOCK);
    for (unsigned i = 0; i < 100; i++) fds[i] = client();
    CHECK_INT(accepted(), 64);
    CHECK_INT(accepted(), 36);
    CHECK(sleeps());
    for (unsigned i = 0; i < 100; i++) close(fds[i]);
    close(s->fd);
    io_close(&io);
}

/* After an error accepting is begun anew, and nobody who came meanwhile is forgotten. */
static void accepting_ends_with_an_error_and_begins_again(void) {
    open_io();
    struct io_socket *s = listener();
    CHECK(io_listen(&io, s));
    CHECK(sleeps());
    int fds[2] = {client(), client()};
    accept_fails = EMFILE;
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_ACCEPT && heard[0].result == -EMFILE && heard[0].last && s->owed == 0);
    accept_fails = 0;
    CHECK(sleeps());
    io_attach(&io, s, s->fd, IO_PLACE_NONE, SOCKETS - 1);
    CHECK(!(s->bits & IO_UNWATCHED) && io_listen(&io, s));
    CHECK_INT(accepted(), 2);
    close(fds[0]), close(fds[1]);
    close(s->fd);
    io_close(&io);
}

/* ---- Sends -------------------------------------------------------------------------------------------- */

static void a_quick_send_that_falls_short_is_told_in_the_next_turn(void) {
    char *large = calloc(1, 4 << 20);
    struct iovec much = {large, 4 << 20}, pong = {"pong", 4};
    CHECK(large);
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_has_quick(&io) && !io_doubts_silence(&io) && !io_can_spin(&io));
    CHECK(io_send(&io, s, &much, 1, true));
    CHECK(!io_settled(&io) && io_stirs(&io) && io_has_events(&io));
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_SEND && heard[0].result > 0 && heard[0].result < 4 << 20 && s->owed == 0);
    CHECK(io_send(&io, s, &pong, 1, true)); /* no room: that is known */
    CHECK_INT(calls.writes, 1);
    CHECK(!io_settled(&io));
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_SEND && heard[0].result == 0);
    CHECK(io_send(&io, s, &pong, 1, false)); /* it waits for room */
    CHECK_INT(turn(), 0);
    CHECK(sleeps());
    CHECK_INT(calls.writes, 1);
    for (ssize_t n = 1; n > 0;) n = __real_recv(peers[0], large, 4 << 20, MSG_DONTWAIT);
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_SEND && heard[0].result == 4);
    close(peers[0]);
    CHECK(io_send(&io, s, &pong, 1, true) && !io_settled(&io));
    CHECK_INT(turn(), 1);
    CHECK(heard[0].operation == IO_SEND && heard[0].result == -EPIPE);
    peers[0] = dup(0);
    detach(s);
    io_close(&io);
    free(large);
}

/* ---- Waking, and limits of time ------------------------------------------------------------------------ */

static void *write_wake(void *fd) {
    CHECK_INT(io_wake_fd(*(int *)fd), 0);
    return NULL;
}

static void who_waits_is_woken_once(void) {
    struct io other;
    struct io_options how = options();
    how.buffers = 0;
    open_io();
    must(io_open(&other, &how), "epoll");
    for (unsigned round = 0; round < 3; round++) {
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, write_wake, &io.wake_fd), 0);
        CHECK(io_wait(&io, 1, 0, UINT64_MAX) == 0 && io_ready(&io) == 0);
        CHECK_INT(pthread_join(thread, NULL), 0);
        CHECK(sleeps());
        CHECK(io_wake(&other, &io, 3));
        CHECK(io_wait(&io, 1, 0, UINT64_MAX) == 0 && io_ready(&io) == 0);
        CHECK(sleeps());
    }
    CHECK_INT(calls.reads, 0);
    int fd = io.wake_fd;
    io.wake_fd = -1;
    CHECK(!io_wake(&other, &io, 3)); /* to be tried again */
    io.wake_fd = fd;
    io_close(&io);
    io_close(&other);
}

static void a_wait_lasts_as_long_as_it_shall(void) {
    for (unsigned i = 0; i < 3; i++) {
        fine_wait_fails = i == 1 ? ENOSYS : i == 2 ? EPERM : 0;
        open_io();
        for (unsigned round = 0; round < 3; round++) {
            uint64_t begun_us = now_us();
            CHECK_INT(io_wait(&io, 1, 0, 1300), 0);
            CHECK(now_us() - begun_us >= 1300); /* never less: it would be begun again and again */
            CHECK_INT(io.poll.coarse, i > 0);
        }
        CHECK_INT(calls.looks, i ? 4 : 3);
        CHECK_INT(io_calls(&io), 3);
        io_close(&io);
    }
    fine_wait_fails = 0;
}

/* Those who come while a loop sleeps for company are heard together. */
static void who_wants_company_sleeps_once_and_looks_once(void) {
    enum { ROUNDS = 3 };
    open_io();
    struct io_socket *first = attach(0), *second = attach(1);
    CHECK(io_receive_many(&io, first) && io_receive_many(&io, second));
    CHECK_INT(turn(), 0);
    memset(&calls, 0, sizeof calls);
    speaks_meanwhile = peers[1];
    for (unsigned round = 0; round < ROUNDS; round++) {
        say(0, "here");
        CHECK_INT(io_wait(&io, 2, 500, round ? UINT64_MAX : 1000000), 0);
        CHECK_INT(slept_us, 100);
        CHECK_INT(prctl(PR_GET_TIMERSLACK), 1); /* or it would be 150 */
        CHECK_INT(turn(), 2);
        check_received(&heard[0], 0, "here");
        check_received(&heard[1], 1, "late");
    }
    speaks_meanwhile = 0;
    CHECK_INT(calls.sleeps, ROUNDS);
    CHECK_INT(calls.looks, 2 * ROUNDS); /* the turn looks too */

    uint64_t begun_us = now_us();
    CHECK_INT(io_wait(&io, 2, 500, 1300), 0); /* nobody comes */
    CHECK(now_us() - begun_us >= 1300 && io_ready(&io) == 0);
    CHECK_INT(io_wait(&io, 2, 500, 50), 0);
    CHECK_INT(slept_us, 50); /* never longer than it may wait */
    memset(&calls, 0, sizeof calls);
    CHECK_INT(io_wait(&io, 1, 500, 10), 0); /* who wants no company, or may not wait for it, does not sleep */
    CHECK_INT(io_wait(&io, 0, 500, 10), 0);
    CHECK_INT(io_wait(&io, 2, 500, 0), 0);
    CHECK_INT(io_wait(&io, 2, 0, 10), 0);
    CHECK_INT(calls.sleeps, 0);
    detach(first), detach(second);
    io_close(&io);
}

/* A signal, or that the process was stopped and goes on: nothing has come, nothing is lost, and the way to wait stays. */
static void a_wait_that_is_interrupted_is_an_ordinary_one(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK_INT(turn(), 0);
    interrupted = true;
    static const uint64_t limits_us[] = {0, 1000, UINT64_MAX};
    for (unsigned i = 0; i < 3; i++) {
        CHECK_INT(io_wait(&io, 1, 0, limits_us[i]), -EINTR);
        CHECK(!io.poll.coarse && io_ready(&io) == 0);
    }
    CHECK_INT(io_wait(&io, 2, 500, UINT64_MAX), -EINTR); /* the sleep for company is cut short too */
    CHECK_INT(slept_us, 100);
    interrupted = false;
    say(0, "here");
    CHECK_INT(turn(), 1);
    check_received(&heard[0], 0, "here");
    detach(s);
    io_close(&io);
}

/* ---- What is gone, and what is refused ------------------------------------------------------------------ */

static void events_for_nobody_are_none_and_leave_nothing(void) {
    open_io();
    struct io_socket *s = attach(0), *l = listener();
    CHECK(io_receive_many(&io, s) && io_listen(&io, l));
    say(0, "nobody");
    int fd = client();
    CHECK_INT(io_wait(&io, 0, 0, 0), 0); /* made, and not told yet */
    CHECK_INT(io_ready(&io), 2);
    CHECK_INT(io.buffers.taken, 1);
    gone[0] = gone[SOCKETS - 1] = true;
    for (unsigned i = 0; i < 2; i++) {
        struct io_event event = io_event(&io, i);
        CHECK(event.operation == IO_NOTHING && !event.socket);
    }
    io_advance(&io, 2);
    CHECK_INT(io.buffers.taken, 0);
    char byte;
    CHECK_INT(__real_recv(fd, &byte, 1, 0), 0); /* it was closed again */
    say(0, "nobody");
    CHECK_INT(turn(), 0);
    close(s->fd), close(peers[0]);
    close(fd), close(l->fd);
    io_close(&io);
}

static void what_comes_after_the_end_is_dropped(void) {
    char to[10];
    open_io();
    for (unsigned i = 0; i < 2; i++) { /* a receive, a read */
        struct io_socket *s = attach(0);
        CHECK(i ? io_read(&io, s, to, 4) : io_receive_many(&io, s));
        say(0, "late");
        CHECK_INT(io_wait(&io, 0, 0, 0), 0);
        CHECK_INT(io_ready(&io), 1);
        CHECK(!io_detach(&io, s));
        CHECK_INT(turn(), 1);
        CHECK_INT(heard[0].result, i ? 4 : 0);
        CHECK(s->bits & IO_DISCARDS && io.buffers.taken == 0);
        detach(s);
    }
    io_close(&io);
}

static void what_the_kernel_does_not_watch_fails(void) {
    char to[10];
    struct iovec pong = {"pong", 4};
    open_io();
    control_fails = ENOSPC;
    struct io_socket *s = attach(0);
    control_fails = 0;
    for (unsigned i = 0; i < 4; i++) {
        CHECK(i == 0   ? io_receive_many(&io, s)
              : i == 1 ? io_read(&io, s, to, sizeof to)
              : i == 2 ? io_send(&io, s, &pong, 1, false)
                       : io_send(&io, s, &pong, 1, true));
        CHECK_INT(turn(), 1);
        CHECK(heard[0].last && heard[0].result == -ENOSPC && s->owed == 0 && !heard[0].eof);
    }
    CHECK_INT(calls.reads + calls.writes, 0);
    detach(s);
    io_close(&io);
}

static void a_socket_that_is_asked_is_read_once(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_ask(&io, s)); /* it waits for nothing */
    CHECK(io_receive_many(&io, s));
    CHECK_INT(turn(), 0);
    CHECK(io_ask(&io, s));
    CHECK_INT(turn(), 0);
    CHECK(calls.in_vain == 1 && calls.reads == 1);
    CHECK(sleeps());
    say(0, "here");
    CHECK_INT(turn(), 1);
    check_received(&heard[0], 0, "here");
    detach(s);
    io_close(&io);
}

static void what_cannot_be_opened_leaves_nothing(void) {
    struct io_options how = options();
    int fd = dup(0);
    close(fd);
    how.events = 1; /* less than one socket may bring */
    CHECK(io_open(&io, &how) == -EINVAL && !io.open);
    how = options();
    how.buffers = 3; /* no power of two */
    CHECK(io_open(&io, &how) == -EINVAL && !io.open);
    how = options();
    control_fails = ENOMEM;
    CHECK(io_open(&io, &how) == -ENOMEM && !io.open);
    control_fails = 0;
    struct rlimit limit, less;
    getrlimit(RLIMIT_NOFILE, &limit);
    less = (struct rlimit){(rlim_t)fd + 1, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &less); /* the eventfd alone can be had */
    CHECK(io_open(&io, &how) == -EMFILE && !io.open);
    setrlimit(RLIMIT_NOFILE, &limit);
    int next = dup(0);
    CHECK_INT(next, fd);
    close(next);
    open_io();
    CHECK(strcmp(io_name(&io), "epoll") == 0);
    io_close(&io);
    io_close(&io);
}

int main(void) {
    RUN(a_request_and_its_reply_cost_a_look_a_read_and_a_write);
    RUN(a_full_buffer_is_followed_by_another);
    RUN(who_does_not_listen_is_not_read);
    RUN(all_who_speak_are_heard_in_each_turn);
    RUN(buffers_go_to_those_who_waited_for_them);
    RUN(who_waits_for_a_buffer_can_send_and_be_stopped);
    RUN(events_for_which_there_is_no_room_come_next);
    RUN(a_crowd_is_accepted_in_more_than_one_turn);
    RUN(accepting_ends_with_an_error_and_begins_again);
    RUN(a_quick_send_that_falls_short_is_told_in_the_next_turn);
    RUN(who_waits_is_woken_once);
    RUN(a_wait_lasts_as_long_as_it_shall);
    RUN(who_wants_company_sleeps_once_and_looks_once);
    RUN(a_wait_that_is_interrupted_is_an_ordinary_one);
    RUN(events_for_nobody_are_none_and_leave_nothing);
    RUN(what_comes_after_the_end_is_dropped);
    RUN(what_the_kernel_does_not_watch_fails);
    RUN(a_socket_that_is_asked_is_read_once);
    RUN(what_cannot_be_opened_leaves_nothing);
    return 0;
}
