/* files.c - operations on table slots, and how long a slot keeps a connection open. */
#include <errno.h>

#include "tests/unit/uring_fixture.h"
#include "uring/buffers.h"
#include "uring/files.h"

enum { SLOTS = 16, SLOT = 5 };

struct stage {
    struct ring ring;
    struct files files;
    int pair[2]; /* [0] goes into SLOT, the peer is [1] */
};

static void open_stage(struct stage *s) {
    open_ring(&s->ring, small_ring);
    must(files_open(&s->files, &s->ring, SLOTS), "IORING_REGISTER_FILES2, sparse");
    open_pair(s->pair);
    must(files_set(&s->files, SLOT, s->pair[0]), "IORING_REGISTER_FILES_UPDATE");
}

static void close_stage(struct stage *s) {
    close(s->pair[1]);
    files_close(&s->files);
    files_close(&s->files);
    ring_close(&s->ring);
}

static int send_on_slot(struct stage *s, unsigned slot, const char *text) {
    struct io_uring_sqe *sqe = must_sqe(&s->ring);
    prep_send(sqe, (int)slot, (struct iovec){(void *)text, strlen(text)}, MSG_NOSIGNAL, 1);
    prep_fixed_file(sqe);
    return next_completion(&s->ring).res;
}

static void a_slot_sends_and_receives(void) {
    struct stage s;
    char got[16] = "";
    open_stage(&s);
    close(s.pair[0]); /* the table's reference is enough */
    CHECK_INT(send_on_slot(&s, SLOT, "hello"), 5);
    CHECK_INT(read(s.pair[1], got, sizeof(got)), 5);
    CHECK(memcmp(got, "hello", 5) == 0);

    CHECK_INT(write(s.pair[1], "answer", 6), 6);
    struct io_uring_sqe *sqe = must_sqe(&s.ring);
    prep_recv(sqe, SLOT, (struct iovec){got, sizeof(got)}, 0, 2);
    prep_fixed_file(sqe);
    CHECK_INT(next_completion(&s.ring).res, 6);
    CHECK(memcmp(got, "answer", 6) == 0);
    close_stage(&s);
}

static bool peer_sees_the_end(int fd) {
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0;
}

static void the_end_reaches_the_peer_when_the_slot_is_emptied_not_before(void) {
    struct stage s;
    open_stage(&s);
    close(s.pair[0]);
    CHECK(!peer_sees_the_end(s.pair[1]));
    CHECK_INT(files_set(&s.files, SLOT, -1), 0);
    CHECK(quiet(&s.ring));
    CHECK(peer_sees_the_end(s.pair[1]));
    CHECK_INT(send_on_slot(&s, SLOT, "x"), -EBADF);
    close_stage(&s);
}

static void an_armed_receive_keeps_the_connection_until_it_is_cancelled(void) {
    struct stage s;
    struct buffers buffers;
    open_stage(&s);
    must(buffers_open(&buffers, &s.ring, &(struct buffers_options){1, 2, 2, 64}),
         "IORING_REGISTER_PBUF_RING");
    struct io_uring_sqe *sqe = must_sqe(&s.ring);
    prep_recv_multishot(sqe, SLOT, 1, 9);
    prep_fixed_file(sqe);
    CHECK_INT(ring_wait(&s.ring, 0, 0, 0), 0);

    close(s.pair[0]);
    CHECK_INT(files_set(&s.files, SLOT, -1), 0);
    CHECK(quiet(&s.ring));
    CHECK(!peer_sees_the_end(s.pair[1]));

    prep_cancel(must_sqe(&s.ring), 9, 10);
    for (unsigned seen = 0; seen < 2; seen++) {
        struct completion cqe = next_completion(&s.ring);
        CHECK_INT(cqe.res, cqe.user_data == 9 ? -ECANCELED : 0);
    }
    CHECK(quiet(&s.ring));
    CHECK(peer_sees_the_end(s.pair[1]));
    buffers_close(&buffers);
    close_stage(&s);
}

static void a_slot_can_be_refilled(void) {
    struct stage s;
    char got[4];
    int other[2];
    open_stage(&s);
    close(s.pair[0]);
    open_pair(other);
    CHECK_INT(files_set(&s.files, SLOT, other[0]), 0);
    CHECK_INT(send_on_slot(&s, SLOT, "new"), 3);
    CHECK_INT(read(other[1], got, sizeof(got)), 3);
    CHECK(peer_sees_the_end(s.pair[1]));
    close(other[0]);
    close(other[1]);
    close_stage(&s);
}

static void a_polled_ring_uses_slots_too(void) {
    struct stage s;
    struct ring_options options = small_ring;
    options.mode = RING_SQPOLL;
    options.sq_idle_ms = 50;
    open_ring(&s.ring, options);
    must(files_open(&s.files, &s.ring, SLOTS), "IORING_REGISTER_FILES2, sparse, SQPOLL");
    open_pair(s.pair);
    CHECK_INT(files_set(&s.files, SLOT, s.pair[0]), 0);
    close(s.pair[0]);
    CHECK_INT(send_on_slot(&s, SLOT, "hello"), 5);
    close_stage(&s);
}

static void wrong_slots_and_descriptors_are_refused(void) {
    struct stage s;
    open_stage(&s);
    CHECK_INT(files_set(&s.files, SLOTS, s.pair[0]), -EINVAL);
    CHECK_INT(files_set(&s.files, 0, 1 << 20), -EBADF);
    CHECK_INT(send_on_slot(&s, 0, "x"), -EBADF);
    struct files twin;
    CHECK_INT(files_open(&twin, &s.ring, SLOTS), -EBUSY);
    CHECK_INT(twin.count, 0);
    CHECK_INT(files_set(&twin, 0, s.pair[0]), -EINVAL);
    files_close(&twin); /* has nothing, so it takes nothing away */
    CHECK_INT(send_on_slot(&s, SLOT, "x"), 1);
    close(s.pair[0]);
    close_stage(&s);
}

int main(void) {
    RUN(a_slot_sends_and_receives);
    RUN(the_end_reaches_the_peer_when_the_slot_is_emptied_not_before);
    RUN(an_armed_receive_keeps_the_connection_until_it_is_cancelled);
    RUN(a_slot_can_be_refilled);
    RUN(a_polled_ring_uses_slots_too);
    RUN(wrong_slots_and_descriptors_are_refused);
    return 0;
}
