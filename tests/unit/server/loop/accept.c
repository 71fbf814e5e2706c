/* Accepting, with completions that a test makes up. */
#include "server/loop/accept.h"

#include <errno.h>
#include <sys/un.h>

#include "server/loop/listener.h"
#include "server/op.h"
#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

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
    snprintf(text, sizeof text, "port 0\nunixsocket %s\n", path);
    options_set(text);
    for (unsigned i = 0; i < 2; i++) open_ring(&shards[i].ring, small_ring);
    CHECK(listeners_open(error, sizeof error));
}

static void end_accepting(void) {
    for (unsigned i = 0; i < 2; i++) ring_close(&shards[i].ring);
    listeners_close();
    fixture_close();
}

/* How many SQEs are queued, and the last one's operation. */
static unsigned queued(const struct ring *ring) {
    return ring->sq_entries - ring_sqe_room(ring);
}
static const struct io_uring_sqe *last_sqe(const struct ring *ring) {
    CHECK(queued(ring) > 0);
    return &ring->sqes[(ring->sqe_tail - 1) & ring->sq_mask];
}

static void expect_end(int fd) {
    char byte;
    CHECK_INT(read(fd, &byte, 1), 0);
    close(fd);
}

static void one_accept_is_armed_for_each_listener_and_again_when_it_ended(void) {
    begin_accepting();
    accept_arm(shards);
    accept_arm(shards);
    CHECK_INT(queued(&shards->ring), 1);
    int client = connect_here();
    struct completion accepted = next_completion(&shards->ring);
    CHECK(op_of(accepted.user_data) == OP_ACCEPT && op_slot(accepted.user_data) == 0 && accepted.res >= 0);
    CHECK(accepted.flags & IORING_CQE_F_MORE);
    close(accepted.res);
    accept_arm(shards);
    CHECK_INT(queued(&shards->ring), 0); /* it goes on by itself */
    accept_completed(shards, 0, -ECONNABORTED, 0);
    accept_arm(shards);
    CHECK(queued(&shards->ring) == 1 && op_of(last_sqe(&shards->ring)->user_data) == OP_ACCEPT);
    close(client);
    end_accepting();
}

/* Nothing tells when descriptors are free again, so there is a pause; and accepting never stops for good. The same for
 * errors that nobody thought of: asking again at once could go on for ever. */
static void without_descriptors_accepting_pauses(void) {
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EIO, ENOSYS};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        begin_accepting();
        accept_arm(shards);
        accept_completed(shards, 0, -errors[i], 0);
        uint64_t pauses_us = accept_pauses_us(shards);
        CHECK(pauses_us > 0 && pauses_us <= 1000 * 1000);
        accept_arm(shards);
        CHECK_INT(queued(&shards->ring), 1);
        shards->exec.clock.now_us += pauses_us - 1;
        accept_arm(shards);
        CHECK(queued(&shards->ring) == 1 && accept_pauses_us(shards) == 1);
        shards->exec.clock.now_us++;
        accept_arm(shards);
        CHECK(queued(&shards->ring) == 2 && op_of(last_sqe(&shards->ring)->user_data) == OP_ACCEPT);
        CHECK(accept_pauses_us(shards) == UINT64_MAX);
        end_accepting();
    }
}

static void a_listener_that_cannot_accept_any_more_ends(void) {
    static const int errors[] = {EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP};
    char text[128];
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        begin_accepting();
        accept_arm(shards);
        accept_completed(shards, 0, -errors[i], 0);
        accept_arm(shards);
        CHECK_INT(queued(&shards->ring), 1); /* no further accept */
        end_accepting();
    }
    /* As the kernel says it, when somebody who shares the socket shuts it down. */
    int tcp = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(tcp >= 0 && listen(tcp, 1) == 0);
    begin_accepting();
    CHECK(listeners_adopt(&tcp, 1, text, sizeof text));
    accept_arm(shards);
    CHECK_INT(ring_submit(&shards->ring) >= 0, 1);
    CHECK_INT(shutdown(tcp, SHUT_RD), 0);
    struct completion ended = next_completion(&shards->ring);
    CHECK(op_of(ended.user_data) == OP_ACCEPT && op_slot(ended.user_data) == 1 && ended.res == -EINVAL);
    accept_completed(shards, 1, ended.res, ended.flags);
    accept_arm(shards);
    CHECK_INT(queued(&shards->ring), 0);
    end_accepting();
}

static void a_connection_goes_to_the_shard_with_the_fewest(void) {
    int pair[2];
    begin_accepting();
    open_pair(pair);
    shards[0].connections = 3;
    shards[1].connections = 2;
    accept_completed(shards, 0, pair[0], IORING_CQE_F_MORE);
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
    accept_completed(shards, 0, pair[0], IORING_CQE_F_MORE);
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
    accept_completed(shards, 0, pair[0], IORING_CQE_F_MORE);
    CHECK(shards[0].connections == 0 && shards[1].connections == 0);
    expect_end(pair[1]);
    end_accepting();
}

int main(void) {
    CHECK(mkdtemp(dir));
    RUN(one_accept_is_armed_for_each_listener_and_again_when_it_ended);
    RUN(without_descriptors_accepting_pauses);
    RUN(a_listener_that_cannot_accept_any_more_ends);
    RUN(a_connection_goes_to_the_shard_with_the_fewest);
    RUN(a_shard_that_stops_hangs_up_on_whom_it_was_given);
    RUN(a_server_that_ends_accepts_nobody);
    return rmdir(dir) != 0;
}
