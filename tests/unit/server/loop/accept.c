/* Accepting, with events that a test makes up. */
#include "server/loop/accept.h"

#include <errno.h>
#include <sys/un.h>

#include "server/loop/listener.h"
#include "tests/unit/loop_fixture.h"

static char dir[] = "/tmp/kevy-accept-XXXXXX", path[64];

static int connect_here(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK_INT(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void begin_accepting(void) {
    char text[128], error[256];
    fixture_open(2);
    snprintf(path, sizeof path, "%s/kevy.sock", dir);
    snprintf(text, sizeof text, "port 0\nunixsocket %s\nshards-in-use all\n", path);
    options_set(text);
    for (unsigned i = 0; i < 2; i++) must(shard_open(&shards[i], &fixture_place), "shard_open");
    CHECK(listeners_open(error, sizeof error));
}

static void end_accepting(void) {
    shards->connections = shards[1].connections = 0;
    listeners_close();
    fixture_close();
}

static void expect_end(int fd) {
    char byte;
    CHECK_INT(read(fd, &byte, 1), 0);
    close(fd);
}

/* Something came to the only listener, or an accept has ended. */
static void heard(int result, bool last) {
    struct io_event event = {
        .operation = IO_ACCEPT, .socket = &listeners[0].socket, .result = result, .last = last};
    accept_heard(shards, &listeners[0], &event);
}

static void one_accept_is_armed_for_each_listener_and_again_when_it_ended(void) {
    begin_accepting();
    accept_arm(shards);
    accept_arm(shards);
    CHECK_INT(loop_queued(), 1);
    int client = connect_here();
    struct io_event accepted = loop_event();
    CHECK(accepted.operation == IO_ACCEPT && listener_of_socket(accepted.socket) == &listeners[0]);
    CHECK(accepted.result >= 0 && !accepted.last);
    close(accepted.result);
    accept_arm(shards);
    CHECK_INT(loop_queued(), 0);  /* it goes on by itself */
    listeners[0].socket.bits = 0; /* as if it had ended */
    heard(-ECONNABORTED, true);
    accept_arm(shards);
    CHECK(loop_queued() == 1 && listeners[0].armed);
    close(client);
    end_accepting();
}

static void an_accept_without_room_is_tried_again(void) {
    begin_accepting();
    struct loop_blocked was = loop_block();
    accept_arm(shards);
    CHECK(!listeners[0].armed && shards->worked); /* so it does not sleep for long */
    loop_unblock(was);
    accept_arm(shards);
    CHECK(listeners[0].armed);
    end_accepting();
}

/* Nothing tells when descriptors are free again, so there is a pause; and accepting never stops for good. The same for
 * errors that nobody thought of: asking again at once could go on for ever. */
static void without_descriptors_accepting_pauses(void) {
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EIO, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        begin_accepting();
        accept_arm(shards);
        listeners[0].socket.bits = 0;
        heard(-errors[i], true);
        uint64_t pauses_us = accept_pauses_us(shards);
        CHECK(pauses_us > 0 && pauses_us <= 1000 * 1000);
        accept_arm(shards);
        CHECK_INT(loop_queued(), 1);
        shards->exec.clock.now_us += pauses_us - 1;
        accept_arm(shards);
        CHECK(loop_queued() == 1 && accept_pauses_us(shards) == 1);
        shards->exec.clock.now_us++;
        accept_arm(shards);
        CHECK(loop_queued() == 2 && listeners[0].armed && accept_pauses_us(shards) == UINT64_MAX);
        end_accepting();
    }
}

static void a_listener_that_cannot_accept_any_more_ends(void) {
    static const int errors[] = {EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP};
    char text[128];
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        begin_accepting();
        accept_arm(shards);
        listeners[0].socket.bits = 0;
        heard(-errors[i], true);
        accept_arm(shards);
        CHECK_INT(loop_queued(), 1); /* no further accept */
        end_accepting();
    }
    /* As the kernel says it, when somebody who shares the socket shuts it down. */
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(tcp >= 0 && listen(tcp, 1) == 0);
    begin_accepting();
    CHECK(listeners_adopt(&tcp, 1, text, sizeof text));
    accept_arm(shards);
    CHECK(io_submit(&shards->io) >= 0);
    CHECK_INT(shutdown(tcp, SHUT_RD), 0);
    struct io_event ended = loop_event();
    CHECK(ended.operation == IO_ACCEPT && ended.socket == &listeners[1].socket && ended.result == -EINVAL);
    accept_heard(shards, &listeners[1], &ended);
    accept_arm(shards);
    CHECK_INT(loop_queued(), 0);
    end_accepting();
}

static void a_connection_goes_to_the_shard_with_the_fewest(void) {
    int pair[2];
    begin_accepting();
    open_pair(pair);
    shards[0].connections = 3;
    shards[1].connections = 2;
    heard(pair[0], false);
    CHECK_INT(shards[1].connections, 3); /* counted at once, so that the next one knows */
    CHECK(shards[0].exec.wakes.any);
    struct post *adopted = post_take_all(&mailboxes[1]);
    CHECK(adopted && adopted->kind == POST_ADOPT && adopted->fd == pair[0] && !adopted->next);
    CHECK(adopted->unix_socket);
    post_drop(adopted);
    expect_end(pair[1]); /* the descriptor goes with a post that nobody takes */
    end_accepting();
}

/* Who stops takes nobody any more, and forgets nobody that it was given. */
static void a_shard_that_stops_hangs_up_on_whom_it_was_given(void) {
    int pair[2];
    begin_accepting();
    open_pair(pair);
    shards[0].connections = 1;
    heard(pair[0], false);
    CHECK_INT(shards[1].connections, 1);
    shards[1].stopping = true;
    CHECK(deliver_posts(&shards[1]));
    CHECK_INT(shards[1].connections, 0);
    expect_end(pair[1]);
    end_accepting();
}

static void a_server_that_ends_accepts_nobody(void) {
    int pair[2];
    begin_accepting();
    open_pair(pair);
    shards->stopping = true;
    heard(pair[0], false);
    CHECK(shards[0].connections == 0 && shards[1].connections == 0);
    expect_end(pair[1]);
    end_accepting();
}

int main(void) {
    CHECK(mkdtemp(dir));
    RUN(one_accept_is_armed_for_each_listener_and_again_when_it_ended);
    RUN(an_accept_without_room_is_tried_again);
    RUN(without_descriptors_accepting_pauses);
    RUN(a_listener_that_cannot_accept_any_more_ends);
    RUN(a_connection_goes_to_the_shard_with_the_fewest);
    RUN(a_shard_that_stops_hangs_up_on_whom_it_was_given);
    RUN(a_server_that_ends_accepts_nobody);
    return rmdir(dir) != 0;
}
