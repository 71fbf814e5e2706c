/* pace.c - when a shard waits for company: clients of each kind, played against a server that waits as it is told. */
#include "server/loop/pace.h"
#include "tests/check.h"

/* What the server's work takes; a sleeping CPU wakes late, and that costs as well. */
enum {
    TURN_NS = 1500,
    REQUEST_NS = 2000,
    WAKE_NS = 15000,
    WAKE_COST_NS = 3500,
    OPTION_US = 500,
    SPIN_US = 50
};
enum { CONNECTIONS = 256, MS = 1000000 };
#define NEVER_NS UINT64_MAX

enum client {
    OPEN,   /* a request each period_ns, on each connection in turn, whatever became of the last */
    POOL,   /* the same, on any connection that has its reply */
    CLOSED, /* one thread for all connections: period_ns for each reply and the request that follows on it */
    THINKS, /* each connection sends period_ns after its reply */
};

struct world {
    struct pace pace;
    enum client client;
    unsigned connections;
    uint64_t period_ns, now_ns, busy_ns, requests;
    uint64_t sent, last_ns,
        free_ns;                 /* requests; when the last came, and when the client has time for the next */
    unsigned queue[CONNECTIONS]; /* connections that have their reply, in that order: a ring */
    uint64_t replied_ns[CONNECTIONS]; /* ... since when */
    uint64_t queued, queue_head;
    unsigned waiting[CONNECTIONS]; /* requests of each connection that the server has not seen */
    unsigned waiting_receives;
    uint32_t heard[CONNECTIONS];
    unsigned long long seed;

    uint64_t start_ns, first, waits, gathered, probe_ns; /* of these clients */
    unsigned flips;
    bool gathers;
    unsigned mistakes; /* probes in which the client stands still once all connections have sent */
};

static void open_world(struct world *w) {
    *w = (struct world){.now_ns = MS};
    pace_open(&w->pace);
}

static void reply(struct world *w, unsigned connection) {
    unsigned at = (unsigned)(w->queued++ % CONNECTIONS);
    w->queue[at] = connection;
    w->replied_ns[at] = w->now_ns;
}

/* Other clients come; what the server knows it still knows. */
static void meet(struct world *w, enum client client, unsigned connections, uint64_t period_ns) {
    CHECK(connections <= CONNECTIONS);
    w->client = client, w->connections = connections, w->period_ns = period_ns;
    w->sent = w->queued = w->queue_head = 0;
    w->waiting_receives = 0;
    memset(w->waiting, 0, sizeof w->waiting);
    for (unsigned i = 0; i < connections; i++) reply(w, i);
    w->start_ns = w->free_ns = w->last_ns = w->now_ns;
    w->first = w->requests;
    w->waits = w->gathered = w->probe_ns = w->flips = 0;
}

/* When the next request comes, as things stand. */
static uint64_t next_ns(const struct world *w) {
    bool idle = w->queued > w->queue_head;
    uint64_t replied = idle ? w->replied_ns[w->queue_head % CONNECTIONS] : NEVER_NS;
    if (w->client == OPEN) return w->free_ns + w->period_ns;
    if (!idle) return NEVER_NS;
    if (w->client == THINKS || replied > w->free_ns) return replied + w->period_ns;
    return w->free_ns + w->period_ns;
}

static void arrive(struct world *w) {
    uint64_t at = next_ns(w);
    unsigned connection = (unsigned)(w->sent++ % w->connections);
    CHECK(at != NEVER_NS);
    if (w->client != OPEN) {
        uint64_t idle = w->queued - w->queue_head,
                 nth = w->client == POOL ? check_random(&w->seed) % idle : 0;
        unsigned first = (unsigned)(w->queue_head % CONNECTIONS),
                 taken = (unsigned)((w->queue_head + nth) % CONNECTIONS);
        connection = w->queue[taken];
        w->queue[taken] = w->queue[first];
        w->queue_head++;
    }
    w->free_ns = w->last_ns = at;
    if (w->waiting[connection]++ == 0) w->waiting_receives++;
}

static void arrive_until(struct world *w, uint64_t until_ns) {
    while (next_ns(w) <= until_ns) arrive(w);
}

static void execute(struct world *w) {
    uint64_t before = w->requests;
    unsigned answered[CONNECTIONS], count = 0;
    for (unsigned i = 0; i < w->connections && w->waiting_receives; i++) {
        if (!w->waiting[i]) continue;
        pace_heard(&w->pace, &w->heard[i]);
        w->requests += w->waiting[i];
        w->waiting[i] = 0;
        w->waiting_receives--;
        answered[count++] = i;
    }
    uint64_t work_ns = TURN_NS + (w->requests - before) * REQUEST_NS;
    w->now_ns += work_ns, w->busy_ns += work_ns;
    for (unsigned i = 0; i < count; i++) reply(w, answered[i]);
    w->pace.epoch_receives += w->pace.receives;
    w->pace.receives = 0;
}

static void sleep_for(struct world *w, unsigned want, uint64_t wait_us) {
    uint64_t start_ns = w->now_ns;
    if (w->waiting_receives == 0) arrive(w);
    uint64_t woken_ns = w->last_ns > start_ns ? w->last_ns : start_ns, latest_ns = start_ns + wait_us * 1000;
    if (latest_ns < woken_ns) latest_ns = woken_ns;
    bool mistaken = w->pace.kind == PACE_PROBE && w->mistakes;
    unsigned most = mistaken ? w->connections : want;
    while (w->waiting_receives < most && next_ns(w) <= latest_ns) arrive(w);
    if (mistaken) w->free_ns = latest_ns, w->mistakes--;
    if (want > 1)
        woken_ns = w->waiting_receives < want ? latest_ns : w->last_ns > start_ns ? w->last_ns : start_ns;
    w->now_ns = woken_ns + WAKE_NS;
    w->busy_ns += WAKE_COST_NS;
    w->waits++;
    w->gathered += want > 1 && w->pace.kind != PACE_PROBE;
    if (w->pace.kind == PACE_PROBE) w->probe_ns += w->now_ns - start_ns;
}

/* True if the next request came. */
static bool spin(struct world *w) {
    uint64_t most_ns = w->now_ns + SPIN_US * 1000, next = next_ns(w),
             end_ns = next < most_ns ? next : most_ns;
    w->busy_ns += end_ns - w->now_ns;
    w->now_ns = end_ns;
    return next <= most_ns;
}

static void turn(struct world *w) {
    arrive_until(w, w->now_ns);
    execute(w);
    arrive_until(w, w->now_ns);
    uint64_t start_us = w->now_ns / 1000, wait_us;
    if (pace_due(&w->pace, start_us)) {
        pace_next(&w->pace, start_us, w->requests, w->busy_ns);
        bool gathers = w->pace.throughput && w->pace.gather;
        w->flips += gathers != w->gathers;
        w->gathers = gathers;
    }
    unsigned want = pace_want(&w->pace, OPTION_US, &wait_us);
    bool ready = want == 1 && w->waiting_receives;
    if (!ready && want == 1 && pace_may_spin(&w->pace, SPIN_US)) ready = spin(w);
    if (!ready) sleep_for(w, want, wait_us);
    pace_waited(&w->pace, w->now_ns / 1000 - start_us);
}

static void run(struct world *w, unsigned ms) {
    uint64_t until_ns = w->now_ns + (uint64_t)ms * MS;
    while (w->now_ns < until_ns) turn(w);
}

static unsigned rate(const struct world *w) {
    return (unsigned)((w->requests - w->first) * 1000 * MS / (w->now_ns - w->start_ns));
}

/* Idle for a second, so that what comes next is new. */
static void rest(struct world *w) {
    w->now_ns += UINT64_C(1000) * MS;
}

/* ---- Clients with a rate of their own ------------------------------------------------------------------- */

static const unsigned counts[] = {1, 2, 4, 10, 50, 200};

static void at_no_rate_does_an_open_loop_gather(void) {
    for (unsigned c = 0; c < sizeof counts / sizeof *counts; c++)
        for (unsigned per_second = 1000; per_second < 130000; per_second += per_second / 4) {
            struct world w;
            open_world(&w);
            meet(&w, OPEN, counts[c], 1000u * MS / per_second);
            run(&w, 3000);
            CHECK(rate(&w) > per_second * 0.99);
            CHECK_INT(w.gathered, 0);
            CHECK_INT(w.flips, 0);
            CHECK(w.probe_ns <= UINT64_C(3000) * MS / 200); /* so that a percentile of 99 does not show it */
        }
}

static void a_pool_with_idle_connections_does_not_gather(void) {
    for (unsigned per_second = 10000; per_second < 120000; per_second += per_second / 8) {
        struct world w;
        open_world(&w);
        meet(&w, POOL, 50, 1000u * MS / per_second);
        run(&w, 3000);
        CHECK_INT(w.gathered, 0);
        CHECK_INT(w.flips, 0);
        CHECK_INT(w.probe_ns, 0); /* a look was enough */
    }
}

static void an_open_loop_may_change_its_rate_at_any_time(void) {
    struct world w;
    open_world(&w);
    for (unsigned i = 0; i < 100; i++) {
        meet(&w, OPEN, 50, 8000 + check_random(&w.seed) % 40000);
        run(&w, 100);
        CHECK_INT(w.gathered, 0);
    }
}

/* ---- Closed loops --------------------------------------------------------------------------------------- */

static void a_closed_loop_at_saturation_gathers_and_keeps_to_it(void) {
    static const unsigned few[] = {8, 10, 16, 25, 50, 64};
    for (unsigned c = 0; c < sizeof few / sizeof *few; c++)
        for (unsigned client_ns = 9000; client_ns < 24000; client_ns += client_ns / 4) {
            struct world w;
            open_world(&w);
            meet(&w, CLOSED, few[c], client_ns);
            run(&w, 200);
            CHECK_INT(w.flips, 1);
            CHECK(w.gathers);
            uint64_t waits = w.waits, gathered = w.gathered;
            run(&w, 5000);
            CHECK_INT(w.flips, 1);
            CHECK((w.gathered - gathered) * 4 >= (w.waits - waits) * 3); /* a trial has many short ones */
            CHECK(rate(&w) >= 1000u * MS / client_ns * 0.97);            /* the client is as busy as ever */
        }
}

static void what_is_believed_follows_the_clients(void) {
    struct world w;
    open_world(&w);
    meet(&w, CLOSED, 50, 25000);
    run(&w, 1000);
    CHECK(w.gathers);
    for (unsigned i = 0; i < 4; i++) {
        meet(&w, OPEN, 50, 25000); /* as many a second, and nothing else about them is different */
        run(&w, 12000);
        CHECK(!w.gathers);
        CHECK_INT(w.flips, 1);
        meet(&w, CLOSED, 50, 25000);
        run(&w, 12000);
        CHECK(w.gathers);
        CHECK_INT(w.flips, 1);
    }
}

static void new_clients_are_found_out_at_once(void) {
    struct world w;
    open_world(&w);
    for (unsigned i = 0; i < 10; i++) {
        meet(&w, OPEN, 50, 12500);
        run(&w, 500);
        CHECK_INT(w.gathered, 0);
        w.now_ns += UINT64_C(1000) * MS; /* nobody sends for a second */
        meet(&w, CLOSED, 50, 12500);
        run(&w, 200);
        CHECK(w.gathers);
        w.now_ns += UINT64_C(1000) * MS;
    }
}

static void in_the_long_run_probes_are_rare(void) {
    struct world w;
    open_world(&w);
    meet(&w, OPEN, 50, 25000);
    run(&w, 10000);
    w.probe_ns = 0;
    run(&w, 50000);
    CHECK(w.probe_ns > 0); /* but they do not end */
    CHECK(w.probe_ns <= UINT64_C(50000) * MS / 4000);
}

static void one_mistaken_probe_is_not_enough(void) {
    struct world w;
    open_world(&w);
    w.mistakes = 1;
    meet(&w, OPEN, 50, 25000);
    run(&w, 5000);
    CHECK_INT(w.mistakes, 0);
    CHECK_INT(w.gathered, 0);
    rest(&w);
    w.mistakes = 2;
    meet(&w, OPEN, 50, 25000);
    run(&w, 300);
    CHECK(w.gathered); /* two are, ... */
    run(&w, 5000);
    CHECK(!w.gathers); /* ... but not for long */
}

/* They come together by themselves, and who is made to wait for half of them makes the others wait. */
static void clients_that_lose_by_it_are_not_made_to_wait(void) {
    struct world w;
    open_world(&w);
    meet(&w, THINKS, 8, 25000);
    run(&w, 2000);
    uint64_t gathered = w.gathered;
    run(&w, 10000);
    CHECK(w.pace.closed);
    CHECK(!w.gathers);
    CHECK(w.gathered - gathered <= 5000); /* in trials */
    CHECK(rate(&w) > 180000);
}

/* ---- Pipelines, and what is tried ------------------------------------------------------------------------ */

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
    uint64_t wait_us;
    bool gathers = pace_want(&s->pace, OPTION_US, &wait_us) > 1;
    for (unsigned i = 0; i < t->receives; i++) pace_heard(&s->pace, &s->heard[i % t->connections]);
    s->pace.epoch_receives += s->pace.receives;
    s->pace.receives = 0;
    s->requests += t->requests;
    s->cpu_ns += t->requests * (gathers ? t->gathered_ns : t->alone_ns);
    s->now_us += 10 * 1000;
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

static unsigned want_for(const struct stage *s, uint64_t option_us) {
    uint64_t wait_us;
    unsigned want = pace_want(&s->pace, option_us, &wait_us);
    CHECK_INT(wait_us, want > 1 ? option_us : 0);
    return want;
}

static const struct traffic pipelines = {
    .connections = 50, .receives = 1000, .requests = 16000, .alone_ns = 500, .gathered_ns = 400};

static void pipelines_wait_for_each_other(void) {
    struct stage s;
    open_stage(&s);
    play(&s, &pipelines);
    CHECK(play(&s, &pipelines));
    CHECK_INT(want_for(&s, OPTION_US), 16); /* 100 a millisecond promise 50, half of the connections are 25 */
    CHECK_INT(want_for(&s, 100), 10);       /* what the rate promises in that time */
    CHECK_INT(want_for(&s, 10), 1);
    CHECK_INT(want_for(&s, 0), 1);
}

static void at_most_half_of_the_connections_are_waited_for(void) {
    struct traffic few = pipelines;
    struct stage s;
    few.connections = 6;
    open_stage(&s);
    play(&s, &few);
    CHECK_INT(want_for(&s, OPTION_US), 3);
    few.connections = 1;
    play(&s, &few);
    CHECK_INT(want_for(&s, OPTION_US), 1);
}

static void pipelines_at_leisure_are_answered_at_once(void) {
    struct traffic calm = pipelines;
    struct stage s;
    calm.receives = 10;
    calm.requests = 160;
    open_stage(&s);
    CHECK_INT(epochs_gathered(&s, &calm, 200), 0);
}

/* Trials become rare: 8 + 16 + 32 + 64 + 64 ... epochs apart. */
static void where_gathering_pays_it_is_seldom_doubted(void) {
    struct stage s;
    open_stage(&s);
    play(&s, &pipelines);
    unsigned gathered = epochs_gathered(&s, &pipelines, 1000);
    CHECK(gathered >= 1000 - 20);
    CHECK(gathered < 1000); /* but it is */
}

static void where_gathering_costs_more_it_ends_within_a_fifth_of_a_second(void) {
    struct traffic dear = pipelines;
    struct stage s;
    dear.gathered_ns = 600;
    open_stage(&s);
    epochs_gathered(&s, &dear, 20);
    CHECK(epochs_gathered(&s, &dear, 1000) <= 20);
}

static void a_change_of_mind_is_possible_at_any_time(void) {
    struct traffic dear = pipelines;
    struct stage s;
    dear.gathered_ns = 600;
    open_stage(&s);
    epochs_gathered(&s, &pipelines, 1000);
    epochs_gathered(&s, &dear, 200);
    CHECK(epochs_gathered(&s, &dear, 200) <= 20);
    epochs_gathered(&s, &pipelines, 200);
    CHECK(epochs_gathered(&s, &pipelines, 200) >= 180);
}

static void one_lucky_trial_is_not_enough(void) {
    struct traffic lucky = pipelines;
    struct stage s;
    open_stage(&s);
    play(&s, &pipelines);
    while (!s.pace.trial) play(&s, &pipelines);
    lucky.alone_ns = 60;
    play(&s, &lucky);
    CHECK(s.pace.gather);
    CHECK_INT(s.pace.wins, 1);
    CHECK(play(&s, &pipelines));
    CHECK(s.pace.trial); /* it is tried again at once */
    play(&s, &pipelines);
    CHECK(s.pace.gather);
    CHECK_INT(s.pace.wins, 0);
}

/* ---- Spinning ------------------------------------------------------------------------------------------- */

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

static void waits_are_slow_if_they_are_long_and_do_not_gather(void) {
    struct stage s;
    open_stage(&s);
    CHECK(!pace_is_slow(&s.pace));
    for (unsigned i = 0; i < 50; i++) pace_waited(&s.pace, 100);
    CHECK(pace_is_slow(&s.pace));
    s.pace.throughput = true; /* it is waited for company */
    CHECK(!pace_is_slow(&s.pace));
    s.pace.throughput = false;
    for (unsigned i = 0; i < 50; i++) pace_waited(&s.pace, 20);
    CHECK(!pace_is_slow(&s.pace));
}

/* How often so many receives a second on 50 connections made it begin or end to spin, in 100 epochs. */
static unsigned spin_flips(struct stage *s, unsigned per_second, unsigned spread) {
    unsigned long long seed = 0;
    unsigned flips = 0;
    for (unsigned i = 0; i < 100; i++) {
        unsigned more = (unsigned)(check_random(&seed) % (2 * spread + 1));
        unsigned receives = (per_second - spread + more) / 100;
        struct traffic t = {.connections = 50, .receives = receives, .requests = receives, .alone_ns = 8000};
        bool before = pace_may_spin(&s->pace, 50);
        pace_waited(&s->pace, 10);
        play(s, &t);
        flips += before != pace_may_spin(&s->pace, 50);
    }
    return flips;
}

static void many_connections_are_spun_for_where_they_are_brisk(void) {
    struct stage s;
    open_stage(&s);
    pace_waited(&s.pace, 10);
    spin_flips(&s, 25000, 3500);
    CHECK(!pace_may_spin(&s.pace, 50));
    CHECK_INT(spin_flips(&s, 45000, 3500), 1);
    CHECK(pace_may_spin(&s.pace, 50));
    CHECK_INT(spin_flips(&s, 33750, 3500), 0); /* no rate in between changes it */
    CHECK(pace_may_spin(&s.pace, 50));
    CHECK_INT(spin_flips(&s, 25000, 3500), 1);
    CHECK_INT(spin_flips(&s, 33750, 3500), 0);
    CHECK(!pace_may_spin(&s.pace, 50));
}

int main(void) {
    RUN(at_no_rate_does_an_open_loop_gather);
    RUN(a_pool_with_idle_connections_does_not_gather);
    RUN(an_open_loop_may_change_its_rate_at_any_time);
    RUN(a_closed_loop_at_saturation_gathers_and_keeps_to_it);
    RUN(what_is_believed_follows_the_clients);
    RUN(new_clients_are_found_out_at_once);
    RUN(in_the_long_run_probes_are_rare);
    RUN(one_mistaken_probe_is_not_enough);
    RUN(clients_that_lose_by_it_are_not_made_to_wait);
    RUN(pipelines_wait_for_each_other);
    RUN(at_most_half_of_the_connections_are_waited_for);
    RUN(pipelines_at_leisure_are_answered_at_once);
    RUN(where_gathering_pays_it_is_seldom_doubted);
    RUN(where_gathering_costs_more_it_ends_within_a_fifth_of_a_second);
    RUN(a_change_of_mind_is_possible_at_any_time);
    RUN(one_lucky_trial_is_not_enough);
    RUN(spinning_is_earned_by_short_gaps_of_few_connections);
    RUN(waits_are_slow_if_they_are_long_and_do_not_gather);
    RUN(many_connections_are_spun_for_where_they_are_brisk);
    return 0;
}
