/* spread.c - who is in use, who leaves, and who stays. */
#include "server/loop/spread.h"

#include "server/loop/move.h"
#include "tests/unit/server_fixture.h"

enum { MS = 1000, SPAN_US = 110 * MS };

static void sees_options_and_counts(void) {
    fixture_open(4);
    CHECK_INT(spread_in_use(), 1);
    shards[0].connections = 9;
    shards[2].connections = 1;
    CHECK_INT(spread_fewest(), 0);
    CHECK_INT(spread_target(&shards[0]), 0); /* there is nowhere to go */
    CHECK_INT(spread_target(&shards[2]), 0);
    options_set("shards-in-use all\n");
    CHECK_INT(spread_in_use(), 4);
    CHECK_INT(spread_fewest(), 1);
    CHECK_INT(spread_target(&shards[0]), 1);
    CHECK_INT(spread_target(&shards[2]), 2); /* one of them has one less: that would only go to and fro */
    clients_stir_turns = 1;
    CHECK_INT(spread_target(&shards[3]), 0);
    clients_stir_turns = 0;
    for (unsigned i = 0; i < 4; i++) shards[i].connections = 0;
    fixture_close();
}

/* A span in which the thread of this shard has run for so many thousandths of the time. */
static void say(struct shard *shard, uint64_t *cpu_ns, unsigned thousandths) {
    shard->exec.clock.now_us += SPAN_US;
    *cpu_ns += (uint64_t)SPAN_US * thousandths;
    spread_epoch(shard, *cpu_ns);
}

static void a_full_shard_brings_more_into_use_and_a_quiet_time_fewer(void) {
    uint64_t cpu_ns = 0;
    fixture_open(4);
    say(&shards[0], &cpu_ns, 0);
    for (unsigned i = 0; i < 100; i++) say(&shards[0], &cpu_ns, 550);
    CHECK_INT(spread_in_use(), 1);
    say(&shards[0], &cpu_ns, 900);
    CHECK_INT(spread_in_use(), 2);
    CHECK(shards[0].exec.wakes.any); /* others are told */
    for (unsigned i = 0; i < 5; i++) say(&shards[0], &cpu_ns, 100);
    CHECK_INT(spread_in_use(), 2);
    for (unsigned i = 0; i < 20; i++) say(&shards[0], &cpu_ns, 100);
    CHECK_INT(spread_in_use(), 1);
    fixture_close();
}

static void what_was_spun_is_no_work(void) {
    uint64_t cpu_ns = 0;
    fixture_open(2);
    say(&shards[0], &cpu_ns, 0);
    for (unsigned i = 0; i < 100; i++) {
        shards[0].spread.spun_us += SPAN_US * 3 / 4;
        say(&shards[0], &cpu_ns, 1000);
    }
    CHECK_INT(spread_in_use(), 1);
    fixture_close();
}

static void a_slow_request_brings_more_into_use_where_others_wait(void) {
    fixture_open(2);
    struct clock *clock = &shards[0].exec.clock;
    shards[0].connections = 1;
    shards[0].spread.began_us = clock->now_us;
    clock->timed_ns = clock->now_us * 1000 + 4000 * MS;
    CHECK(!spread_is_slow(&shards[0]));
    clock->timed_ns = clock->now_us * 1000 + 6000 * MS;
    clock->now_us += 6 * MS; /* it is read behind what may take long */
    CHECK(spread_is_slow(&shards[0]));
    spread_note_slow(&shards[0]);
    CHECK_INT(spread_in_use(), 1); /* it is alone */
    shards[0].connections = 2;
    spread_note_slow(&shards[0]);
    CHECK_INT(spread_in_use(), 2);
    shards[0].connections = 0;
    fixture_close();
}

enum { CONNS = 100, BUSY = 20 };

static struct { unsigned busy, idle; } here;

static void count_here(struct conn *conn) {
    if (conn->client.active_ms)
        here.busy++;
    else
        here.idle++;
}

static void close_here(struct conn *conn) {
    fixture_conn_close(conn);
}

/* Turns of a shard, which nothing comes to. */
static void turn(struct shard *shard) {
    for (unsigned i = 0; i < 100; i++) {
        shard->turn++;
        shard->exec.clock.now_us += 10 * MS;
        spread_turn(shard);
    }
    here.busy = here.idle = 0;
    slots_each(&shard->slots, count_here);
}

static void connect_all(struct shard *shard) {
    for (unsigned i = 0; i < CONNS; i++) {
        struct conn *conn = fixture_conn(shard);
        conn->client.active_ms = i % 10 < BUSY / 10 ? shard->exec.clock.now_ms : 0;
    }
}

static void busy_and_idle_ones_are_shared_alike(void) {
    fixture_open(4);
    connect_all(&shards[0]);
    turn(&shards[0]);
    CHECK_INT(here.busy + here.idle, CONNS);
    options_set("shards-in-use all\n");
    turn(&shards[0]);
    CHECK_INT(here.busy, BUSY / 4);
    CHECK_INT(here.idle, (CONNS - BUSY) / 4);
    for (unsigned i = 0; i < 4; i++) CHECK_INT(shards[i].connections, CONNS / 4);
    slots_each(&shards[0].slots, close_here);
    for (unsigned i = 1; i < 4; i++) deliver_close(&shards[i]);
    for (unsigned i = 0; i < 4; i++) CHECK_INT(shards[i].connections, 0);
    fixture_close();
}

static void all_that_may_leave_a_shard_that_is_not_in_use(void) {
    fixture_open(4);
    connect_all(&shards[3]);
    struct conn *bound = fixture_conn(&shards[3]);
    bound->client.flags |= CLIENT_SUBSCRIBED;
    turn(&shards[3]);
    CHECK_INT(here.busy + here.idle, 1);
    CHECK_INT(shards[0].connections, CONNS);
    CHECK(!spread_goes_on(&shards[3]));
    bound->client.flags = 0;
    turn(&shards[3]);
    CHECK_INT(here.busy + here.idle, 0);
    deliver_close(&shards[0]);
    fixture_close();
}

/* What it was given more into use for has gone, or others' clients have. */
static void a_full_shard_shares_anew_what_it_has_more_than_others(void) {
    uint64_t cpu_ns = 0;
    fixture_open(4);
    options_set("shards-in-use all\n");
    turn(&shards[0]);
    connect_all(&shards[0]);
    turn(&shards[0]);
    CHECK_INT(here.busy + here.idle, CONNS);
    say(&shards[0], &cpu_ns, 0);
    say(&shards[0], &cpu_ns, 500);
    turn(&shards[0]);
    CHECK_INT(here.busy + here.idle, CONNS); /* it is not full */
    say(&shards[0], &cpu_ns, 0);
    say(&shards[0], &cpu_ns, 900);
    turn(&shards[0]);
    CHECK_INT(here.busy + here.idle, CONNS / 4);
    slots_each(&shards[0].slots, close_here);
    for (unsigned i = 1; i < 4; i++) deliver_close(&shards[i]);
    fixture_close();
}

static void where_threads_of_the_kernel_poll_all_are_in_use(void) {
    fixture_open(4);
    CHECK_INT(spread_in_use(), 1);
    spread_open(&shards[2], true);
    CHECK_INT(spread_in_use(), 4);
    spread_close(&shards[2]);
    fixture_close();
    fixture_open(4);
    CHECK_INT(spread_in_use(), 1); /* it is as of the last start */
    fixture_close();
}

int main(void) {
    RUN(sees_options_and_counts);
    RUN(a_full_shard_brings_more_into_use_and_a_quiet_time_fewer);
    RUN(what_was_spun_is_no_work);
    RUN(a_slow_request_brings_more_into_use_where_others_wait);
    RUN(busy_and_idle_ones_are_shared_alike);
    RUN(all_that_may_leave_a_shard_that_is_not_in_use);
    RUN(a_full_shard_shares_anew_what_it_has_more_than_others);
    RUN(where_threads_of_the_kernel_poll_all_are_in_use);
    return 0;
}
