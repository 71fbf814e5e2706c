/* Who has fallen silent is asked whether the kernel has forgotten to tell of him, a page of connections a turn. */
#include "server/loop/silence.h"

#include "tests/unit/loop_fixture.h"

enum { MOST_CONNS = 200, PAGE = 64 };

static struct conn *conns[MOST_CONNS];
static int peers[MOST_CONNS];
static unsigned count;

static void open_conns(unsigned how_many) {
    loop_open();
    for (count = 0; count < how_many; count++) conns[count] = loop_conn(&peers[count]);
    CHECK(io_misses_ends(&shards->io));
}

static void close_conns(void) {
    while (count > 0) count--, loop_conn_end(conns[count], peers[count]);
    fixture_close();
}

static void later(int64_t ms) {
    shards->exec.clock.now_ms += ms;
    shards->exec.clock.now_us += (uint64_t)ms * 1000;
}

/* What has come lies in the socket as if the kernel had not told of it, for nothing is reaped here. */
static void say(unsigned i) {
    CHECK_INT(send(peers[i], "PING\r\n", 6, 0), 6);
}

static bool asked(unsigned i) {
    return conns[i]->socket.bits & IO_STOPPING;
}

/* A round, turn by turn. Returns how many turns it took. */
static unsigned ask_round(void) {
    unsigned turns = 0;
    do silence_ask(shards), turns++;
    while (shards->silence.going);
    return turns;
}

static void who_has_fallen_silent_is_asked(void) {
    open_conns(3);
    ask_round(); /* nobody is silent yet */
    say(0), say(2);
    CHECK(!asked(0));
    uint64_t due_us = silence_due_us(shards);
    CHECK(due_us > 1000 && due_us <= 5 * 1000 * 1000);
    later((int64_t)(due_us / 1000) - 1);
    CHECK_INT(silence_due_us(shards), 1000);
    ask_round();
    CHECK(!asked(0)); /* not before it is due */
    later(1);
    CHECK_INT(silence_due_us(shards), 0);
    conn_active(conns[2]); /* it was heard of late */
    ask_round();
    CHECK(asked(0) && !asked(1) && !asked(2));
    close_conns();
}

/* Rounds, each when it is due, until there is no need for another. Returns how many there were. */
static unsigned ask_on(void) {
    unsigned rounds = 0;
    for (; silence_due_us(shards) != UINT64_MAX; rounds++) {
        CHECK(rounds < 5);
        later((int64_t)(silence_due_us(shards) / 1000) + 1);
        ask_round();
    }
    return rounds;
}

/* A turn in which something is heard. */
static void heard_turn(void) {
    shards->pace.receives = 1;
    ask_round();
    shards->pace.receives = 0;
}

static void each_is_asked_once_and_then_left_in_peace(void) {
    open_conns(1);
    CHECK(ask_on() >= 1);
    say(0);
    later(60 * 1000);
    ask_round();
    CHECK(!asked(0) && silence_due_us(shards) == UINT64_MAX); /* the shard sleeps */
    conn_active(conns[0]);
    heard_turn();
    CHECK(!asked(0) && silence_due_us(shards) != UINT64_MAX);
    CHECK(ask_on() <= 2 && asked(0));
    close_conns();
}

/* Whenever between two rounds the last word came, and though others go on. */
static void there_is_a_round_for_each_who_falls_silent(void) {
    open_conns(1);
    CHECK(ask_on() >= 1);
    say(0);
    for (int before_ms = 0; before_ms <= 300; before_ms += 10) {
        later(5000);
        heard_turn();
        conns[0]->socket.bits &= ~(uint32_t)IO_STOPPING;
        later(2000 - before_ms);
        conn_active(conns[0]);
        heard_turn();
        CHECK(!asked(0));
        later(before_ms);
        heard_turn();
        CHECK(ask_on() <= 2);
        CHECK(asked(0));
    }
    close_conns();
}

/* Replies leave after the last word, and then nothing is heard any more. */
static void who_was_answered_late_is_asked(void) {
    open_conns(1);
    CHECK(ask_on() >= 1);
    say(0);
    for (int late_ms = 10; late_ms < 3000; late_ms += 50) {
        later(5000);
        conns[0]->socket.bits &= ~(uint32_t)IO_STOPPING;
        conn_active(conns[0]);
        heard_turn();
        for (int ms = 0; ms < late_ms; ms += 10) {
            later(10);
            conn_active(conns[0]); /* as when a part of a reply was sent */
            ask_round();
        }
        CHECK(ask_on() <= 2 && asked(0));
    }
    close_conns();
}

/* As a subscriber is who has closed his half, and is sent a message every 50 ms. */
static void who_is_never_silent_is_asked_now_and_then(void) {
    open_conns(2);
    CHECK(ask_on() >= 1);
    later(60 * 1000);
    heard_turn();
    say(0), say(1);
    conns[0]->socket.bits &= ~(uint32_t)IO_STOPPING;
    for (int ms = 0; ms < 13 * 1000 && !asked(0); ms += 50) {
        later(50);
        conn_active(conns[0]);
        ask_round();
    }
    CHECK(asked(0) && !asked(1));
    close_conns();
}

/* Then nobody knows who fell silent when. */
static void a_clock_that_is_set_back_and_an_asking_that_failed_ask_everybody(void) {
    open_conns(1);
    CHECK(ask_on() >= 1);
    say(0);
    silence_unanswered(&shards->silence);
    CHECK(ask_on() == 1 && asked(0));
    conns[0]->socket.bits &= ~(uint32_t)IO_STOPPING;
    later(5000);
    shards->exec.clock.now_ms -= 3600 * 1000;
    heard_turn();
    CHECK(asked(0));
    close_conns();
}

static void where_there_is_no_room_to_end_a_receive_it_is_asked_again(void) {
    open_conns(1);
    CHECK(ask_on() >= 1);
    CHECK_INT(shutdown(peers[0], SHUT_WR), 0);
    conn_active(conns[0]);
    later(5000);
    struct loop_blocked was = loop_block();
    ask_round();
    CHECK(!asked(0));
    loop_unblock(was);
    CHECK(ask_on() >= 1 && asked(0));
    close_conns();
}

static void a_turn_asks_one_page(void) {
    open_conns(MOST_CONNS);
    ask_round();
    for (unsigned i = 0; i < MOST_CONNS; i++) say(i);
    later(5000);
    unsigned seen = 0, turns = 0;
    do {
        silence_ask(shards), turns++;
        CHECK(!shards->silence.going || silence_due_us(shards) == 0); /* it goes on at once */
        unsigned now = 0;
        for (unsigned i = 0; i < MOST_CONNS; i++) now += asked(i);
        CHECK(now - seen <= PAGE);
        seen = now;
        CHECK(io_submit(&shards->io) >= 0); /* room for more */
    } while (shards->silence.going);
    CHECK(seen == MOST_CONNS && turns == (MOST_CONNS + PAGE - 1) / PAGE);
    close_conns();
}

/* Bytes came together with the shutdown, and the end of the receive was never told. */
static void who_is_closing_is_asked_however_long_it_was_silent(void) {
    open_conns(2);
    CHECK(ask_on() >= 1);
    say(0), say(1);
    later(60 * 1000);
    conn_shut(conns[0]);
    conn_link_out(&conns[0]->receive_link);
    CHECK(!conn_free(conns[0])); /* it is shut down, and owes the end */
    heard_turn();
    CHECK(asked(0) && !asked(1));
    close_conns();
}

static void without_connections_nothing_is_due(void) {
    loop_open();
    later(5000);
    CHECK(ask_round() == 1 && silence_due_us(shards) == UINT64_MAX);
    fixture_close();
}

/* Over epoll no end is missed, and before Linux 6.1 all are asked in any case. */
static bool does_its_io_miss_ends_alone(void) {
    loop_open();
    bool alone = io_misses_ends(&shards->io) && !io_doubts_silence(&shards->io);
    fixture_close();
    return alone;
}

int main(void) {
    if (!does_its_io_miss_ends_alone()) {
        printf("skipped: this is for io_uring with IORING_SETUP_DEFER_TASKRUN (Linux 6.1)\n");
        return CHECK_SKIPPED;
    }
    RUN(who_has_fallen_silent_is_asked);
    RUN(each_is_asked_once_and_then_left_in_peace);
    RUN(there_is_a_round_for_each_who_falls_silent);
    RUN(who_was_answered_late_is_asked);
    RUN(who_is_never_silent_is_asked_now_and_then);
    RUN(a_clock_that_is_set_back_and_an_asking_that_failed_ask_everybody);
    RUN(where_there_is_no_room_to_end_a_receive_it_is_asked_again);
    RUN(a_turn_asks_one_page);
    RUN(who_is_closing_is_asked_however_long_it_was_silent);
    RUN(without_connections_nothing_is_due);
    return 0;
}
