/* buffers.c - multishot receives that draw on a ring of provided buffers, down to the last one; and buffers
 * without a ring. */
#include <errno.h>

#include "tests/unit/uring_fixture.h"
#include "uring/buffers.h"

enum { GROUP = 3, SIZE = 8 };

struct stage {
    struct ring ring;
    struct buffers buffers;
    int pair[2]; /* we receive on [0], the peer is [1] */
};

static void open_stage(struct stage *s, unsigned count) {
    open_ring(&s->ring, small_ring);
    must(buffers_open(&s->buffers, &s->ring, &(struct buffers_options){GROUP, count, count, SIZE}),
         "IORING_REGISTER_PBUF_RING");
    open_pair(s->pair);
    CHECK_INT(s->buffers.taken, 0);
}

static void close_stage(struct stage *s) {
    close(s->pair[0]);
    close(s->pair[1]);
    buffers_close(&s->buffers);
    buffers_close(&s->buffers);
    ring_close(&s->ring);
}

static void arm(struct stage *s) {
    prep_recv_multishot(must_sqe(&s->ring), s->pair[0], GROUP, 1);
    CHECK(ring_wait(&s->ring, 0, 0, 0) == 0);
}

static void peer_says(struct stage *s, const char *text) {
    CHECK_INT(write(s->pair[1], text, strlen(text)), strlen(text));
}

/* The next completion must be that text, and the receive must go on. The buffer stays with the caller. */
static unsigned hear(struct stage *s, const char *text) {
    struct completion cqe = next_completion(&s->ring);
    CHECK_INT(cqe.user_data, 1);
    CHECK(cqe.flags & IORING_CQE_F_BUFFER);
    CHECK(cqe.flags & IORING_CQE_F_MORE);
    unsigned id = buffers_id(cqe.flags);
    const char *data = buffers_take(&s->buffers, id);
    struct bytes got = {data, (size_t)cqe.res};
    CHECK_BYTES(got, bytes_of(text));
    return id;
}

static void give_back(struct stage *s, unsigned id) {
    buffers_return(&s->buffers, id);
    buffers_publish(&s->buffers);
}

static void every_chunk_comes_in_a_buffer_of_its_own(void) {
    struct stage s;
    open_stage(&s, 4);
    arm(&s);
    peer_says(&s, "one");
    unsigned one = hear(&s, "one");
    peer_says(&s, "two");
    unsigned two = hear(&s, "two");
    CHECK(one != two);
    CHECK_INT(s.buffers.taken, 2);
    peer_says(&s, "longer than 8"); /* more than a buffer holds */
    hear(&s, "longer t");
    hear(&s, "han 8");
    close_stage(&s);
}

static void an_empty_ring_ends_the_receive_and_a_returned_buffer_lets_it_go_on(void) {
    struct stage s;
    open_stage(&s, 2);
    arm(&s);
    peer_says(&s, "a");
    unsigned a = hear(&s, "a");
    peer_says(&s, "b");
    unsigned b = hear(&s, "b");
    CHECK_INT(s.buffers.taken, 2);

    peer_says(&s, "c");
    struct completion end = next_completion(&s.ring);
    CHECK_INT(end.res, -ENOBUFS);
    CHECK(!(end.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER)));

    give_back(&s, b);
    CHECK(quiet(&s.ring)); /* a receive that has ended does not come back by itself */
    arm(&s);
    b = hear(&s, "c");
    give_back(&s, a);
    give_back(&s, b);
    CHECK_INT(s.buffers.taken, 0);
    close_stage(&s);
}

static void buffers_go_round_more_often_than_the_tail_can_count(void) {
    struct stage s;
    open_stage(&s, 2);
    arm(&s);
    for (unsigned i = 0; i < 70000; i++) {
        char text[SIZE];
        snprintf(text, sizeof(text), "%u", i);
        peer_says(&s, text);
        give_back(&s, hear(&s, text));
    }
    CHECK_INT(s.buffers.taken, 0);
    close_stage(&s);
}

/* `burst` buffers are used between two publishes. Returns how many different ones that took in all. */
static unsigned rounds(struct stage *s, unsigned times, unsigned burst) {
    bool seen[64] = {false};
    unsigned ids[64], different = 0;
    for (unsigned i = 0; i < times; i++) {
        for (unsigned j = 0; j < burst; j++) {
            peer_says(s, "x");
            ids[j] = hear(s, "x");
            different += !seen[ids[j]];
            seen[ids[j]] = true;
        }
        for (unsigned j = 0; j < burst; j++) buffers_return(&s->buffers, ids[j]);
        buffers_publish(&s->buffers);
    }
    return different;
}

static void few_buffers_go_round_where_few_are_used_at_once(void) {
    struct stage s;
    open_ring(&s.ring, small_ring);
    must(buffers_open(&s.buffers, &s.ring, &(struct buffers_options){GROUP, 64, 4, SIZE}),
         "IORING_REGISTER_PBUF_RING");
    open_pair(s.pair);
    arm(&s);
    CHECK_INT(rounds(&s, 100, 1), 4);
    CHECK_INT(s.buffers.taken, 0);
    CHECK_INT(s.buffers.idle_count, 60);

    rounds(&s, 1, 4); /* more than half of them: twice as many are offered from now on */
    CHECK_INT(s.buffers.depth, 8);
    rounds(&s, 1, 8);
    CHECK_INT(s.buffers.depth, 16);
    CHECK_INT(s.buffers.idle_count, 48);
    CHECK_INT(rounds(&s, 100, 8), 16);

    rounds(&s, 5000, 1); /* slowly, it is forgotten */
    CHECK_INT(s.buffers.depth, 4);
    CHECK_INT(rounds(&s, 100, 1), 4);
    CHECK_INT(s.buffers.idle_count, 60);
    close_stage(&s);
}

static void a_closed_peer_ends_the_receive_with_zero_and_takes_no_buffer(void) {
    struct stage s;
    open_stage(&s, 2);
    arm(&s);
    peer_says(&s, "last");
    hear(&s, "last");
    CHECK_INT(shutdown(s.pair[1], SHUT_WR), 0);
    struct completion end = next_completion(&s.ring);
    CHECK_INT(end.res, 0);
    CHECK(!(end.flags & IORING_CQE_F_MORE));
    CHECK(!(end.flags & IORING_CQE_F_BUFFER));
    CHECK(quiet(&s.ring));
    close_stage(&s);
}

static void an_idle_receive_owns_no_buffer(void) {
    struct stage s;
    open_stage(&s, 2);
    int idle[16][2];
    for (unsigned i = 0; i < 16; i++) {
        open_pair(idle[i]);
        prep_recv_multishot(must_sqe(&s.ring), idle[i][0], GROUP, 100 + i);
        CHECK_INT(ring_submit(&s.ring), 1);
    }
    arm(&s);
    peer_says(&s, "a");
    hear(&s, "a");
    peer_says(&s, "b");
    hear(&s, "b");
    CHECK(quiet(&s.ring));
    for (unsigned i = 0; i < 16; i++) close(idle[i][0]), close(idle[i][1]);
    close_stage(&s);
}

static void impossible_sizes_are_refused(void) {
    struct ring ring;
    struct buffers buffers;
    open_ring(&ring, small_ring);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 3, 3, SIZE}), -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 0, 0, SIZE}), -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 2, 2, 0}), -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 2, 0, SIZE}), -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 2, 3, SIZE}), -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, 2 * BUFFERS_MAX, 1, SIZE}),
              -EINVAL);
    CHECK_INT(buffers_open(&buffers, &ring, &(struct buffers_options){65536, 2, 2, SIZE}), -EINVAL);
    buffers_close(&buffers);
    must(buffers_open(&buffers, &ring, &(struct buffers_options){GROUP, BUFFERS_MAX, BUFFERS_MAX, SIZE}),
         "the largest buffer ring");
    struct buffers twin;
    CHECK_INT(buffers_open(&twin, &ring, &(struct buffers_options){GROUP, 2, 2, SIZE}), -EEXIST);
    buffers_close(&buffers);
    ring_close(&ring);
}

/* Where the kernel takes none, the caller does: the one that came back last, while it is warm. */
static void without_a_ring_the_caller_takes_them_one_by_one(void) {
    struct buffers b;
    unsigned ids[4];
    must(buffers_open(&b, NULL, &(struct buffers_options){GROUP, 4, 1, SIZE}), "memory");
    for (unsigned i = 0; i < 4; i++) {
        CHECK_INT(b.idle_count, 4 - i);
        ids[i] = buffers_next(&b);
        memset(b.memory + (size_t)ids[i] * SIZE, (int)i, SIZE);
        for (unsigned j = 0; j < i; j++)
            CHECK(ids[j] != ids[i] && b.memory[(size_t)ids[j] * SIZE] == (char)j);
    }
    CHECK(b.taken == 4 && b.idle_count == 0);
    buffers_return(&b, ids[1]);
    buffers_return(&b, ids[3]);
    CHECK_INT(buffers_next(&b), ids[3]);
    CHECK_INT(buffers_next(&b), ids[1]);
    buffers_close(&b);
    buffers_close(&b);
    CHECK(buffers_open(&b, NULL, &(struct buffers_options){GROUP, 3, 1, SIZE}) == -EINVAL);
    buffers_close(&b);
}

int main(void) {
    RUN(every_chunk_comes_in_a_buffer_of_its_own);
    RUN(an_empty_ring_ends_the_receive_and_a_returned_buffer_lets_it_go_on);
    RUN(buffers_go_round_more_often_than_the_tail_can_count);
    RUN(few_buffers_go_round_where_few_are_used_at_once);
    RUN(a_closed_peer_ends_the_receive_with_zero_and_takes_no_buffer);
    RUN(an_idle_receive_owns_no_buffer);
    RUN(impossible_sizes_are_refused);
    RUN(without_a_ring_the_caller_takes_them_one_by_one);
    return 0;
}
