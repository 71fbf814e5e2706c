/* The seam: sockets whose other end a test holds, and what is heard of them, turn by turn. */
#include "uring/io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include "tests/unit/io_fixture.h"

enum { BUFFERS = 16, SIZE = 1024 };

static struct io_options options(void) {
    return (struct io_options){.submissions = 16,
                               .events = 64,
                               .buffers = BUFFERS,
                               .buffers_least = 2,
                               .buffer_size = SIZE,
                               .places = SOCKETS / 2, /* the others go by their descriptors */
                               .poll_cpu = -1,
                               .poll_idle_ms = 1,
                               .find = find,
                               .context = sockets};
}

static void open_with(struct io_options how) {
    must(io_open(&io, &how), "io_open");
    memset(gone, 0, sizeof gone);
}

static void open_io(void) {
    open_with(options());
}

/* The next event that is of interest. Those that came with it are not lost: they are taken one by one. */
static struct io_event next_event(void) {
    for (;;) {
        uint64_t begun_us = now_us();
        while (!io_has_events(&io)) {
            int result = io_wait(&io, 1, 0, PATIENCE_US);
            CHECK(result == 0 || result == -EINTR);
            CHECK(now_us() - begun_us < PATIENCE_US);
        }
        CHECK(io_ready(&io) > 0);
        struct io_event event = io_event(&io, 0);
        io_advance(&io, 1);
        if (event.operation != IO_NOTHING) return event;
    }
}

/* Nothing has happened, nor does it when the kernel is asked. */
static bool silent(void) {
    CHECK_INT(io_wait(&io, 0, 0, 0), 0);
    for (unsigned count = io_ready(&io); count; count--) {
        struct io_event event = io_event(&io, 0);
        io_advance(&io, 1);
        if (event.operation != IO_NOTHING) return false;
    }
    return true;
}

/* Ends a socket as a loop does; what comes meanwhile is dropped. */
static void detach(struct io_socket *s) {
    while (!io_detach(&io, s)) {
        struct io_event event = next_event();
        CHECK(event.result <= 0 || event.operation != IO_RECEIVE);
        while (io_settled(&io)) continue;
    }
    close(s->fd);
    close(peers[s->data]);
}

static void a_receive_goes_on_until_it_is_stopped(void) {
    for (unsigned i = 0; i < SOCKETS; i += SOCKETS - 1) { /* one with a place, and one without */
        open_io();
        struct io_socket *s = attach(i);
        CHECK_INT(s->bits & IO_FIXED, i < SOCKETS / 2);
        CHECK(io_receive_many(&io, s) && io_is_receiving(s));
        for (int round = 0; round < 3 * BUFFERS; round++) { /* each buffer comes back */
            say(i, "ping");
            struct io_event event = next_event();
            CHECK(event.socket == s && event.data == i && !event.last);
            check_received(&event, event.data, "ping");
        }
        io_receive_stop(&io, s);
        io_receive_stop(&io, s);
        struct io_event event = next_event();
        CHECK(event.operation == IO_RECEIVE && event.last && event.result == 0 && !event.eof);
        CHECK(!io_is_receiving(s) && s->owed == 0);
        io_receive_stop(&io, s);
        say(i, "later");
        CHECK(silent());
        CHECK(io_receive_many(&io, s));
        event = next_event();
        check_received(&event, event.data, "later");
        detach(s);
        io_close(&io);
    }
}

/* What is there already may come before the end, and is not lost. */
static void one_event_with_data_may_come_between_a_stop_and_the_end(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK(silent());
    say(0, "late");
    io_receive_stop(&io, s);
    unsigned with_data = 0;
    struct io_event event;
    do {
        event = next_event();
        if (event.result > 0) {
            check_received(&event, event.data, "late");
            with_data++;
        }
    } while (!event.last);
    if (!with_data) { /* then it is there still */
        CHECK(io_receive_many(&io, s));
        event = next_event();
        check_received(&event, event.data, "late");
    }
    CHECK(with_data <= 1);
    detach(s);
    io_close(&io);
}

static void a_single_receive_brings_no_more_than_was_asked_for(void) {
    open_io();
    struct io_socket *s = attach(1);
    CHECK(io_receive_one(&io, s, 5));
    CHECK(silent());
    say(1, "and more");
    struct io_event event = next_event();
    CHECK(event.last && !io_is_receiving(s));
    check_received(&event, event.data, "and m");
    CHECK(silent());
    CHECK(io_receive_one(&io, s, SIZE));
    event = next_event();
    check_received(&event, event.data, "ore");
    detach(s);
    io_close(&io);
}

static void the_end_of_the_stream_and_errors_are_told_apart_from_nothing(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    say(0, "bye");
    CHECK_INT(shutdown(peers[0], SHUT_WR), 0);
    struct io_event event = next_event();
    check_received(&event, event.data, "bye");
    if (event.last) CHECK(io_receive_many(&io, s));
    event = next_event();
    CHECK(event.operation == IO_RECEIVE && event.result == 0 && event.eof && event.last);
    detach(s);

    s = attach(1);
    close(s->fd); /* there is no such descriptor any more */
    s->bits &= ~(uint32_t)IO_FIXED;
    CHECK(io_receive_many(&io, s));
    event = next_event();
    CHECK(event.operation == IO_RECEIVE && event.result == -EBADF && event.last && !event.eof);
    close(peers[1]);
    io_close(&io);
}

/* More bytes than there are buffers: the receive ends, and says why; nothing is lost. */
static void without_a_free_buffer_a_receive_ends(void) {
    struct io_event events[BUFFERS + 1];
    unsigned count = 0, total = 0;
    open_io();
    struct io_socket *s = attach(0);
    for (unsigned i = 0; i < BUFFERS * 2; i++) {
        char chunk[SIZE] = {0};
        CHECK_INT(send(peers[0], chunk, sizeof chunk, MSG_DONTWAIT), SIZE);
    }
    CHECK(io_receive_many(&io, s));
    for (;;) {
        CHECK(count <= BUFFERS);
        events[count] = next_event();
        if (events[count].last) break;
        count++;
    }
    CHECK(count >= 2 && events[count].result == -ENOBUFS && !io_is_receiving(s));
    for (unsigned i = 0; i < count; i++)
        io_release(&io, events[i].buffer), total += (unsigned)events[i].result;
    while (total < BUFFERS * 2 * SIZE) {
        if (!io_is_receiving(s)) CHECK(io_receive_many(&io, s));
        struct io_event event = next_event();
        if (event.result <= 0) continue;
        total += (unsigned)event.result;
        io_release(&io, event.buffer);
    }
    detach(s);
    io_close(&io);
}

static void a_read_is_whole_or_says_how_much_it_is(void) {
    char to[100];
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_read(&io, s, to, 10) && io_is_reading(s));
    say(0, "01234");
    CHECK(silent());
    say(0, "56789and");
    struct io_event event = next_event();
    CHECK(event.operation == IO_READ && event.result == 10 && !event.eof &&
          memcmp(to, "0123456789", 10) == 0);
    CHECK(!io_is_reading(s) && io_read(&io, s, to, 10));
    CHECK_INT(shutdown(peers[0], SHUT_WR), 0);
    event = next_event();
    CHECK(event.operation == IO_READ && event.result == 3 && memcmp(to, "and", 3) == 0);
    CHECK(io_read(&io, s, to, 10));
    event = next_event();
    CHECK(event.operation == IO_READ && event.result == 0 && event.eof);
    detach(s);
    io_close(&io);
}

static void expect(unsigned i, const char *text) {
    char got[100];
    CHECK_INT(recv(peers[i], got, strlen(text), MSG_WAITALL), strlen(text));
    CHECK(memcmp(got, text, strlen(text)) == 0);
}

static void sends_say_how_much_has_gone(void) {
    struct iovec parts[2] = {{"one ", 4}, {"two", 3}};
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_send(&io, s, parts, 2, false));
    struct io_event event = next_event();
    CHECK(event.operation == IO_SEND && event.result == 7 && event.last && s->owed == 0);
    CHECK(io_send(&io, s, parts, 1, false));
    event = next_event();
    CHECK(event.operation == IO_SEND && event.result == 4);
    expect(0, "one twoone ");
    close(peers[0]);
    CHECK(io_send(&io, s, parts, 1, false));
    event = next_event();
    CHECK(event.operation == IO_SEND && event.result == -EPIPE);
    peers[0] = dup(0);
    detach(s);
    io_close(&io);
}

/* A turn in which all events are gone through; how many were of interest. */
static unsigned turn(struct io_event *last) {
    unsigned interesting = 0;
    CHECK_INT(io_wait(&io, 0, 0, 0), 0);
    unsigned count = io_ready(&io);
    for (unsigned i = 0; i < count; i++) {
        struct io_event event = io_event(&io, i);
        if (event.operation == IO_NOTHING) continue;
        *last = event;
        interesting++;
    }
    io_advance(&io, count);
    return interesting;
}

static void quick_sends_that_went_are_silent_and_others_are_not(void) {
    struct io_event event;
    struct iovec pong = {"pong", 4};
    char *large = calloc(1, 4 << 20);
    CHECK(large);
    open_io();
    CHECK(io_has_quick(&io));
    for (unsigned i = 0; i < 3; i++) CHECK(io_send(&io, attach(i), &pong, 1, true));
    CHECK(!io_settled(&io)); /* nothing is known yet */
    CHECK_INT(turn(&event), 0);
    unsigned seen = 0;
    for (struct io_socket *s; (s = io_settled(&io));) {
        CHECK_INT(s->owed, 0);
        seen |= 1u << s->data;
    }
    CHECK_INT(seen, 7);
    for (unsigned i = 0; i < 3; i++) expect(i, "pong");

    struct iovec much = {large, 4 << 20};
    CHECK(io_send(&io, &sockets[0], &much, 1, true));
    CHECK(io_send(&io, &sockets[1], &pong, 1, true));
    CHECK_INT(turn(&event), 1);
    CHECK(event.operation == IO_SEND && event.socket == &sockets[0] && sockets[0].owed == 0);
    CHECK(event.result > 0 && event.result < 4 << 20);
    CHECK(io_settled(&io) == &sockets[1] && !io_settled(&io));
    CHECK(io_send(&io, &sockets[0], &much, 1, true)); /* no room at all */
    CHECK_INT(turn(&event), 1);
    CHECK(event.socket == &sockets[0] && event.result == 0 && !io_settled(&io));
    for (unsigned i = 0; i < 3; i++) detach(&sockets[i]);
    io_close(&io);
    free(large);
}

/* What was begun between the events of a turn is not taken for what those events are about. */
static void quick_sends_that_the_kernel_has_not_seen_are_not_settled(void) {
    struct io_event event;
    struct iovec pong = {"pong", 4};
    open_io();
    CHECK(io_send(&io, attach(0), &pong, 1, true));
    CHECK_INT(io_wait(&io, 0, 0, 0), 0);
    CHECK_INT(io_ready(&io), 0);
    CHECK(io_send(&io, attach(1), &pong, 1, true));
    CHECK(io_settled(&io) == &sockets[0] && !io_settled(&io));
    CHECK_INT(io_ready(&io), 0); /* it is queued, and nothing more */
    CHECK(!io_settled(&io));
    CHECK_INT(turn(&event), 0);
    CHECK(io_settled(&io) == &sockets[1]);
    for (unsigned i = 0; i < 2; i++) detach(&sockets[i]);
    io_close(&io);
}

/* Whoever waits for more events than the queue holds would wait for ever: a full queue will do. */
static void a_full_queue_is_enough(void) {
    open_io();
    for (unsigned i = 0; i < io.ring.cq_entries; i++) {
        prep_nop(must_sqe(&io.ring), io_pack(IO_CODE_NONE, 0));
        CHECK(ring_submit(&io.ring) >= 0);
    }
    CHECK_INT(io_wait(&io, io.ring.cq_entries + 1, 0, UINT64_MAX), 0);
    CHECK_INT(io_ready(&io), io.ring.cq_entries);
    io_advance(&io, io.ring.cq_entries);
    CHECK(!io_settled(&io));
    io_close(&io);
}

/* The kernel took a part of what was asked for, so nothing is known of its sends yet. Whoever slept on that would sleep for
 * ever, for those that have gone through are silent. */
static void no_wait_is_long_while_quick_sends_are_in_doubt(void) {
    struct iovec pong = {"pong", 4};
    open_io();
    CHECK(io_send(&io, attach(0), &pong, 1, true));
    CHECK_INT(io_wait(&io, 0, 0, 0), 0);
    prep_nop(must_sqe(&io.ring), io_pack(IO_CODE_NONE, 0)); /* it was left over */
    CHECK(io_ready(&io) == 0 && !io_settled(&io));
    uint64_t begun_us = now_us();
    (void)io_wait(&io, 2, 0, PATIENCE_US);
    CHECK(now_us() - begun_us < PATIENCE_US);
    CHECK_INT(io_ready(&io), 1);
    CHECK_INT(io_event(&io, 0).operation, IO_NOTHING);
    io_advance(&io, 1);
    CHECK(io_settled(&io) == &sockets[0] && !io_settled(&io));
    detach(&sockets[0]);
    io_close(&io);
}

static void a_listener_accepts_one_after_the_other(void) {
    struct io_socket *s = &sockets[SOCKETS - 1];
    struct sockaddr address = {.sa_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(fd, &address, len) == 0 && listen(fd, 5) == 0); /* under a name that the kernel gives */
    struct sockaddr_storage name;
    len = sizeof name;
    CHECK_INT(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    open_io();
    io_attach(&io, s, fd, IO_PLACE_NONE, SOCKETS - 1);
    CHECK(io_listen(&io, s));
    for (int i = 0; i < 3; i++) {
        int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_INT(connect(client, (struct sockaddr *)&name, len), 0);
        struct io_event event = next_event();
        CHECK(event.operation == IO_ACCEPT && event.socket == s && event.result >= 0 && !event.last);
        CHECK(send(client, "x", 1, 0) == 1);
        char byte;
        CHECK(read(event.result, &byte, 1) == 1 && byte == 'x');
        close(event.result);
        close(client);
    }
    close(fd);
    io_close(&io);
}

/* Bytes that come when nobody will read them any more make the end a reset. */
static void a_socket_is_detached_when_nothing_is_owed(void) {
    for (int discards = 0; discards < 2; discards++) {
        struct linger linger;
        socklen_t len = sizeof linger;
        open_io();
        struct io_socket *s = attach(0);
        CHECK(io_receive_many(&io, s));
        CHECK(silent());
        if (discards) say(0, "unread");
        CHECK(!io_detach(&io, s));
        CHECK(!io_detach(&io, s));
        for (struct io_event event = {0}; !event.last;) {
            event = next_event();
            CHECK(event.operation == IO_RECEIVE && event.result == 0 && !event.eof);
        }
        CHECK(io_detach(&io, s));
        CHECK_INT(getsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
        CHECK_INT(linger.l_onoff, discards);
        CHECK_INT(io.buffers.taken, 0);
        close(s->fd);
        close(peers[0]);
        io_close(&io);
    }
}

/* The memory of a socket is another one's by now. */
static void an_event_for_nobody_is_none_and_its_buffer_comes_back(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK(silent());
    gone[0] = true;
    say(0, "nobody");
    CHECK(silent() && io.buffers.taken == 0);
    close(s->fd);
    close(peers[0]);
    io_close(&io);
}

static void without_room_nothing_begins(void) {
    char to[10];
    struct iovec pong = {"pong", 4};
    open_io();
    struct io_socket *s = attach(0);
    int enter_fd = io.ring.enter_fd;
    unsigned flags = io.ring.enter_flags;
    io.ring.enter_fd = -1, io.ring.enter_flags = 0; /* every enter fails */
    while (ring_sqe_room(&io.ring)) prep_nop(must_sqe(&io.ring), io_pack(IO_CODE_NONE, 0));
    CHECK(!io_receive_many(&io, s) && !io_receive_one(&io, s, 5) && !io_read(&io, s, to, 10));
    CHECK(!io_send(&io, s, &pong, 1, false) && !io_send(&io, s, &pong, 1, true) && !io_listen(&io, s));
    CHECK(!io_wake(&io, &io, 3));
    CHECK(s->owed == 0 && !(s->bits & ~(uint32_t)IO_FIXED) && !s->quick.next);
    CHECK(io_wait(&io, 1, 0, UINT64_MAX) < 0); /* and it does not wait for what cannot come */
    io.ring.enter_fd = enter_fd, io.ring.enter_flags = flags;
    CHECK(io_receive_many(&io, s));
    say(0, "room");
    struct io_event event = next_event();
    check_received(&event, event.data, "room");
    detach(s);
    io_close(&io);
}

/* A cancellation that comes to nothing is made again when it is asked for again. */
static void a_stop_that_failed_may_be_asked_for_again(void) {
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK(silent());
    s->bits |= IO_STOPPING;
    prep_cancel(must_sqe(&io.ring), io_pack(IO_CODE_RECEIVE, 7), io_pack(IO_CODE_STOP, 0));
    CHECK(silent() && !(s->bits & IO_STOPPING) && io_is_receiving(s));
    io_receive_stop(&io, s);
    CHECK(next_event().last);
    detach(s);
    io_close(&io);
}

/* Whoever has something to say is found, and nothing is lost by it. */
static void a_socket_that_is_asked_tells_what_the_kernel_did_not(void) {
    char to[10];
    open_io();
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    CHECK(silent());
    CHECK(io_ask(&io, s));
    CHECK(!(s->bits & IO_STOPPING) && silent()); /* there is nothing */
    say(0, "forgotten");
    CHECK(io_ask(&io, s));
    CHECK(s->bits & IO_STOPPING);
    unsigned bytes = 0;
    for (struct io_event event = {0}; !event.last;) {
        event = next_event();
        if (event.result <= 0) continue;
        bytes += (unsigned)event.result;
        io_release(&io, event.buffer);
    }
    CHECK(!(s->bits & (IO_STOPPING | IO_RECEIVING)));
    CHECK(io_ask(&io, s)); /* it waits for nothing */
    CHECK(!(s->bits & IO_STOPPING));
    if (!bytes) {
        CHECK(io_receive_one(&io, s, SIZE));
        struct io_event event = next_event();
        check_received(&event, event.data, "forgotten");
    }

    CHECK(io_read(&io, s, to, 10));
    CHECK(silent());
    say(0, "half");
    CHECK(io_ask(&io, s));
    CHECK(s->bits & IO_STOPPING);
    struct io_event event = next_event();
    CHECK(event.operation == IO_READ && !event.eof && !(s->bits & (IO_STOPPING | IO_READING)));
    CHECK(event.result == 4 || event.result == 0);
    detach(s);
    io_close(&io);
}

static void *write_wake(void *fd) {
    CHECK_INT(io_wake_fd(*(int *)fd), 0);
    return NULL;
}

/* By another io, and by a thread that has none; each ends one wait, also one that has not begun. */
static void who_waits_is_woken(void) {
    struct io other;
    struct io_options how = options();
    how.buffers = how.places = 0;
    open_io();
    must(io_open(&other, &how), "io_open");
    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        CHECK_INT(pthread_create(&thread, NULL, write_wake, &io.wake_fd), 0);
        uint64_t begun_us = now_us();
        CHECK_INT(io_wait(&io, 1, 0, PATIENCE_US), 0);
        CHECK(now_us() - begun_us < PATIENCE_US);
        CHECK(io_ready(&io) == 1 && io_event(&io, 0).operation == IO_NOTHING);
        io_advance(&io, 1);
        CHECK_INT(pthread_join(thread, NULL), 0);
        (void)io_wait(&io, 1, 0, 1000);
        CHECK_INT(io_ready(&io), 0); /* once */

        CHECK(io_wake(&other, &io, 3) && io_submit(&other) >= 0);
        CHECK_INT(io_wait(&io, 1, 0, PATIENCE_US), 0);
        CHECK(io_ready(&io) == 1 && io_event(&io, 0).operation == IO_NOTHING);
        io_advance(&io, 1);
        CHECK_INT(io_wait(&other, 0, 0, 0), 0);
        CHECK_INT(io_ready(&other), 0); /* it was done, so it is silent */
    }
    io_close(&io);
    CHECK(io_wake(&other, &(struct io){.ring.fd = 0}, 3)); /* no ring */
    CHECK_INT(io_wait(&other, 1, 0, PATIENCE_US), 0);
    CHECK_INT(io_ready(&other), 1);
    struct io_event event = io_event(&other, 0);
    CHECK(event.operation == IO_WAKE_FAILED && event.data == 3 && event.result < 0);
    io_advance(&other, 1);
    io_close(&other);
    CHECK(io_wake_fd(-1) == -EBADF);
}

static void with_a_poll_thread_all_sends_speak(void) {
    struct io_options how = options();
    struct iovec pong = {"pong", 4};
    how.poll_thread = true;
    open_with(how);
    CHECK(!io_has_quick(&io) && io_doubts_silence(&io));
    struct io_socket *s = attach(0);
    CHECK(io_receive_many(&io, s));
    say(0, "ping");
    struct io_event event = next_event();
    check_received(&event, event.data, "ping");
    CHECK(io_send(&io, s, &pong, 1, false));
    event = next_event();
    CHECK(event.operation == IO_SEND && event.result == 4);
    expect(0, "pong");
    detach(s);
    io_close(&io);
}

static void what_cannot_be_opened_leaves_nothing(void) {
    struct io_options how = options();
    bool had = fcntl(0, F_GETFD) >= 0;
    how.submissions = 0;
    CHECK(io_open(&io, &how) < 0);
    io_close(&io);
    how = options();
    how.buffers = 3; /* no power of two */
    CHECK(io_open(&io, &how) == -EINVAL && !io.open);
    io_close(&io);
    io = (struct io){0};
    io_close(&io);
    CHECK_INT(fcntl(0, F_GETFD) >= 0, had); /* what is 0 in a closed io is no descriptor of its own */
}

int main(void) {
    RUN(a_receive_goes_on_until_it_is_stopped);
    RUN(one_event_with_data_may_come_between_a_stop_and_the_end);
    RUN(a_single_receive_brings_no_more_than_was_asked_for);
    RUN(the_end_of_the_stream_and_errors_are_told_apart_from_nothing);
    RUN(without_a_free_buffer_a_receive_ends);
    RUN(a_read_is_whole_or_says_how_much_it_is);
    RUN(sends_say_how_much_has_gone);
    RUN(quick_sends_that_went_are_silent_and_others_are_not);
    RUN(quick_sends_that_the_kernel_has_not_seen_are_not_settled);
    RUN(a_full_queue_is_enough);
    RUN(no_wait_is_long_while_quick_sends_are_in_doubt);
    RUN(a_listener_accepts_one_after_the_other);
    RUN(a_socket_is_detached_when_nothing_is_owed);
    RUN(an_event_for_nobody_is_none_and_its_buffer_comes_back);
    RUN(without_room_nothing_begins);
    RUN(a_stop_that_failed_may_be_asked_for_again);
    RUN(a_socket_that_is_asked_tells_what_the_kernel_did_not);
    RUN(who_waits_is_woken);
    RUN(with_a_poll_thread_all_sends_speak);
    RUN(what_cannot_be_opened_leaves_nothing);
    return 0;
}
