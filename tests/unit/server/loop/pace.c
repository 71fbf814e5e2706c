/* pace.c - when a shard waits for company: traffic of each kind, played epoch by epoch. */
#include "server/loop/pace.h"
#include "tests/check.h"

enum { EPOCH_US = 10 * 1000, WAIT_US = 500 };

/* What happens within an epoch, and what a request costs by either way of waiting. */
struct traffic {
    unsigned connections, receives; /* each connection is heard receives / connections times */
    unsigned requests;
    uint64_t alone_ns, gathered_ns;
};

struct stage {
    struct pace pace;
    uint64_t now_us, requests, cpu_ns;
    uint32_t heard[64];
};

static void open_stage(struct stage *s) {
    *s = (struct stage){.now_us = 1000000};
    pace_open(&s->pace);
    pace_next(&s->pace, s->now_us, 0, 0);
}

/* True if the epoch's waits gathered. */
static bool play(struct stage *s, const struct traffic *t) {
    bool gathers = pace_want(&s->pace, WAIT_US) > 1;
    for (unsigned i = 0; i < t->receives; i++) pace_heard(&s->pace, &s->heard[i % t->connections]);
    s->pace.epoch_receives += s->pace.receives;
    s->pace.receives = 0;
    s->requests += t->requests;
    s->cpu_ns += t->requests * (gathers ? t->gathered_ns : t->alone_ns);
    s->now_us += EPOCH_US;
    CHECK(pace_due(&s->pace, s->now_us));
    pace_next(&s->pace, s->now_us, s->requests, s->cpu_ns);
    return gathers;
}

/* How many of so many epochs gathered. */
static unsigned epochs_gathered(struct stage *s, const struct traffic *t, unsigned epochs) {
    unsigned count = 0;
    for (unsigned i = 0; i < epochs; i++) count += play(s, t);
    return count;
}

static const struct traffic busy = {
    .connections = 50, .receives = 1000, .requests = 1000, .alone_ns = 8000, .gathered_ns = 6000};
static const struct traffic calm = {
    .connections = 50, .receives = 200, .requests = 200, .alone_ns = 8000, .gathered_ns = 6000};

static void busy_connections_are_made_to_wait_for_each_other(void) {
    struct stage s;
    open_stage(&s);
    play(&s, &busy);
    CHECK(play(&s, &busy));
    CHECK_INT(pace_want(&s.pace, WAIT_US),
              16);                          /* 100 a millisecond promise 50, half of the connections are 25 */
    CHECK_INT(pace_want(&s.pace, 100), 10); /* what the rate promises in that time */
    CHECK_INT(pace_want(&s.pace, 10), 1);
    CHECK_INT(pace_want(&s.pace, 0), 1);
}

static void at_most_half_of_the_connections_are_waited_for(void) {
    struct traffic few = busy;
    struct stage s;
    few.connections = 6;
    open_stage(&s);
    play(&s, &few);
    CHECK_INT(pace_want(&s.pace, WAIT_US), 3);
    few.connections = 1;
    play(&s, &few);
    CHECK_INT(pace_want(&s.pace, WAIT_US), 1);
}

static void requests_at_leisure_are_answered_at_once(void) {
    struct stage s;
    open_stage(&s);
    CHECK_INT(epochs_gathered(&s, &calm, 200), 0);
}

static void pipelines_wait_where_single_requests_would_not(void) {
    struct traffic pipelines = calm;
    struct stage s;
    pipelines.requests = 200 * 16;
    pipelines.alone_ns = 500;
    pipelines.gathered_ns = 400;
    open_stage(&s);
    play(&s, &pipelines);
    CHECK(play(&s, &pipelines));
}

/* Trials become rare: 8 + 16 + 32 + 64 + 64 ... epochs apart. */
static void where_gathering_pays_it_is_seldom_doubted(void) {
    struct stage s;
    open_stage(&s);
    play(&s, &busy);
    unsigned gathered = epochs_gathered(&s, &busy, 1000);
    CHECK(gathered >= 1000 - 20);
    CHECK(gathered < 1000); /* but it is */
}

static void where_gathering_costs_more_it_ends_within_a_fifth_of_a_second(void) {
    struct traffic dear = busy;
    struct stage s;
    dear.gathered_ns = 9000;
    open_stage(&s);
    epochs_gathered(&s, &dear, 20);
    CHECK(epochs_gathered(&s, &dear, 1000) <= 20);
}

static void a_change_of_mind_is_possible_at_any_time(void) {
    struct traffic dear = busy;
    struct stage s;
    dear.gathered_ns = 9000;
    open_stage(&s);
    epochs_gathered(&s, &busy, 1000);
    epochs_gathered(&s, &dear, 200);
    CHECK(epochs_gathered(&s, &dear, 200) <= 20);
    epochs_gathered(&s, &busy, 200);
    CHECK(epochs_gathered(&s, &busy, 200) >= 180);
}

static void one_lucky_trial_is_not_enough(void) {
    struct traffic lucky = busy;
    struct stage s;
    open_stage(&s);
    play(&s, &busy);
    while (!s.pace.trial) play(&s, &busy);
    lucky.alone_ns = 1000;
    play(&s, &lucky);
    CHECK(s.pace.gather);
    CHECK_INT(s.pace.wins, 1);
    CHECK(play(&s, &busy));
    CHECK(s.pace.trial); /* it is tried again at once */
    play(&s, &busy);
    CHECK(s.pace.gather);
    CHECK_INT(s.pace.wins, 0);
}

/* CONFIG RESETSTAT in mid-epoch: the counter of requests begins again. */
static void counters_that_begin_again_do_no_harm(void) {
    struct stage s;
    open_stage(&s);
    epochs_gathered(&s, &calm, 5);
    s.requests = 0;
    play(&s, &calm);
    CHECK_INT(pace_want(&s.pace, WAIT_US), 1);
}

static void spinning_is_earned_by_short_gaps_of_few_connections(void) {
    struct traffic lone = {
        .connections = 1, .receives = 10, .requests = 10, .alone_ns = 8000, .gathered_ns = 8000};
    struct stage s;
    open_stage(&s);
    for (unsigned i = 0; i < 50; i++) pace_waited(&s.pace, 5);
    CHECK(!pace_may_spin(&s.pace, 50)); /* nobody was heard */
    play(&s, &lone);
    CHECK(pace_may_spin(&s.pace, 50));
    CHECK(!pace_may_spin(&s.pace, 0));
    for (unsigned i = 0; i < 50; i++) pace_waited(&s.pace, 1000000);
    CHECK(!pace_may_spin(&s.pace, 50));
    CHECK(s.pace.gap_us <= 10000); /* so that it is soon forgotten */
    for (unsigned i = 0; i < 50; i++) pace_waited(&s.pace, 5);
    lone.connections = 3;
    lone.receives = 30;
    play(&s, &lone);
    CHECK(!pace_may_spin(&s.pace, 50));
}

int main(void) {
    RUN(busy_connections_are_made_to_wait_for_each_other);
    RUN(at_most_half_of_the_connections_are_waited_for);
    RUN(requests_at_leisure_are_answered_at_once);
    RUN(pipelines_wait_where_single_requests_would_not);
    RUN(where_gathering_pays_it_is_seldom_doubted);
    RUN(where_gathering_costs_more_it_ends_within_a_fifth_of_a_second);
    RUN(a_change_of_mind_is_possible_at_any_time);
    RUN(one_lucky_trial_is_not_enough);
    RUN(counters_that_begin_again_do_no_harm);
    RUN(spinning_is_earned_by_short_gaps_of_few_connections);
    return 0;
}
