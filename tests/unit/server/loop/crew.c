/* crew.c - how many shards are in use, for loads that stay, change, and come and go. */
#include "server/loop/crew.h"
#include "tests/check.h"

enum { SHARDS = 4, STEP_US = 50 * 1000, SECOND_US = 1000 * 1000 };

/* A server whose connections ask for `load` thousandths of a shard's time in all, and for more where they are spread. */
struct world {
    struct crew crew;
    uint64_t now_us;
    unsigned load, noise; /* thousandths; of it more or less, at random, in each step */
    unsigned grown, shrunk;
    unsigned long long seed;
};

static void open_world(struct world *w, unsigned load) {
    *w = (struct world){.now_us = SECOND_US, .load = load, .seed = 1};
    crew_open(&w->crew, SHARDS, w->now_us);
}

static void step(struct world *w, bool slow) {
    uint16_t busy[SHARDS] = {0};
    unsigned before = w->crew.in_use, load = w->load * (before > 1 ? 115 : 100) / 100;
    if (w->noise) load = load - w->noise + (unsigned)(check_random(&w->seed) % (2 * w->noise + 1));
    for (unsigned i = 0; i < before; i++) busy[i] = (uint16_t)(load / before < 1000 ? load / before : 1000);
    w->now_us += STEP_US;
    unsigned after = crew_look(&w->crew, w->now_us, busy, slow);
    CHECK_INT(after, w->crew.in_use);
    w->grown += after > before;
    w->shrunk += after < before;
}

static void play(struct world *w, unsigned seconds) {
    for (unsigned i = 0; i < seconds * (SECOND_US / STEP_US); i++) step(w, false);
}

static void one_is_in_use_at_first_and_as_long_as_that_is_enough(void) {
    struct world w;
    open_world(&w, 0);
    CHECK_INT(w.crew.in_use, 1);
    for (w.load = 0; w.load <= CREW_FULL; w.load += 50) play(&w, 5);
    CHECK_INT(w.crew.in_use, 1);
    CHECK_INT(w.grown, 0);
}

static void a_full_one_makes_twice_as_many_at_once(void) {
    struct world w;
    open_world(&w, 4000);
    step(&w, false);
    CHECK_INT(w.crew.in_use, 2);
    step(&w, false);
    CHECK_INT(w.crew.in_use, 4);
    play(&w, 10);
    CHECK_INT(w.grown, 2);
    CHECK_INT(w.shrunk, 0);
}

static void one_of_several_that_is_full_is_enough(void) {
    struct crew crew;
    uint16_t busy[SHARDS] = {100, CREW_FULL + 1, 0, 0};
    crew_open(&crew, SHARDS, 0);
    CHECK_INT(crew_look(&crew, STEP_US, busy, false), 1); /* it is not in use: what it has leaves it */
    busy[0] = 1000;
    CHECK_INT(crew_look(&crew, 2 * STEP_US, busy, false), 2);
    busy[0] = 0;
    CHECK_INT(crew_look(&crew, 3 * STEP_US, busy, false), 4);
}

static void fewer_are_in_use_when_these_would_have_been_enough_for_a_second(void) {
    struct world w;
    open_world(&w, 4000);
    play(&w, 1);
    w.load = 600; /* 690 where they are spread: that fits two */
    play(&w, 3);
    CHECK_INT(w.crew.in_use, 2);
    CHECK_INT(w.shrunk, 1);
    w.load = 100;
    for (unsigned i = 0; i < SECOND_US / STEP_US / 2; i++) step(&w, false);
    CHECK_INT(w.crew.in_use, 2);
    play(&w, 2);
    CHECK_INT(w.crew.in_use, 1);
}

static void what_was_needed_within_the_second_counts(void) {
    struct world w;
    open_world(&w, 4000);
    play(&w, 1);
    w.load = 100;
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned j = 0; j < SECOND_US / STEP_US * 8 / 10; j++) step(&w, false);
        w.load = 3000;
        step(&w, false);
        w.load = 100;
    }
    CHECK_INT(w.crew.in_use, 4);
    CHECK_INT(w.shrunk, 0);
}

/* A steady load, with and without noise: it is met once, and then left alone. */
static void no_steady_load_makes_them_come_and_go(void) {
    for (unsigned noise = 0; noise <= 100; noise += 50) {
        for (unsigned load = noise; load <= 4500; load += 25) {
            struct world w;
            open_world(&w, load);
            w.noise = noise;
            play(&w, 60);
            CHECK(w.grown <= 2);
            CHECK(w.shrunk <= 1); /* four may be one too many */
        }
    }
}

/* Load that comes and goes, in any rhythm: of a minute's changes there are few, and ever fewer. */
static void no_rhythm_makes_them_come_and_go_for_long(void) {
    static const unsigned periods_ms[] = {100, 300, 1000, 2000, 2500, 3000, 4000, 6000, 10000, 20000, 40000};
    for (unsigned p = 0; p < sizeof periods_ms / sizeof *periods_ms; p++) {
        struct world w;
        unsigned steps = periods_ms[p] * 1000 / STEP_US, first = 0;
        open_world(&w, 0);
        for (unsigned i = 0; i < 600 * (SECOND_US / STEP_US); i++) {
            w.load = i % steps < steps / 2 ? 950 : 100;
            step(&w, false);
            if (i == 60 * (SECOND_US / STEP_US)) first = w.shrunk;
        }
        CHECK(first <= 6);
        CHECK(w.shrunk <= 30); /* of 6,000 to 15 periods: none in less than ten seconds each */
    }
}

static void slow_requests_keep_more_in_use(void) {
    struct world w;
    open_world(&w, 10);
    step(&w, true);
    CHECK_INT(w.crew.in_use, 2);
    for (unsigned i = 0; i < 600; i++) { /* one in three seconds */
        step(&w, true);
        play(&w, 3);
    }
    CHECK(w.shrunk <= 6);
    play(&w, 70);
    CHECK_INT(w.crew.in_use, 1);
}

static void what_was_learnt_is_forgotten(void) {
    struct world w;
    open_world(&w, 4000);
    for (unsigned i = 0; i < 10; i++) {
        w.load = 4000;
        play(&w, 1);
        w.load = 0;
        play(&w, 3);
    }
    CHECK(w.crew.patience_us > SECOND_US);
    play(&w, 1200);
    w.load = 4000;
    play(&w, 1);
    w.load = 0;
    play(&w, 2);
    CHECK_INT(w.crew.in_use, 1);
}

/* Nobody looks while all sleep. */
static void a_long_sleep_counts_as_nothing_to_do(void) {
    struct world w;
    open_world(&w, 4000);
    play(&w, 1);
    CHECK_INT(w.crew.in_use, 4);
    w.now_us += 10 * SECOND_US;
    w.load = 200;
    step(&w, false);
    CHECK_INT(w.crew.in_use, 1);
}

static void all_are_in_use_where_that_is_asked_for(void) {
    struct world w;
    open_world(&w, 0);
    crew_all(&w.crew, w.now_us);
    CHECK_INT(w.crew.in_use, SHARDS);
    play(&w, 2);
    CHECK_INT(w.crew.in_use, 1);
}

static void a_lone_shard_stays_alone(void) {
    struct crew crew;
    uint16_t busy[1] = {1000};
    crew_open(&crew, 1, 0);
    for (unsigned i = 1; i < 100; i++) CHECK_INT(crew_look(&crew, (uint64_t)i * STEP_US, busy, i % 2), 1);
}

int main(void) {
    RUN(one_is_in_use_at_first_and_as_long_as_that_is_enough);
    RUN(a_full_one_makes_twice_as_many_at_once);
    RUN(one_of_several_that_is_full_is_enough);
    RUN(fewer_are_in_use_when_these_would_have_been_enough_for_a_second);
    RUN(what_was_needed_within_the_second_counts);
    RUN(no_steady_load_makes_them_come_and_go);
    RUN(no_rhythm_makes_them_come_and_go_for_long);
    RUN(slow_requests_keep_more_in_use);
    RUN(what_was_learnt_is_forgotten);
    RUN(a_long_sleep_counts_as_nothing_to_do);
    RUN(all_are_in_use_where_that_is_asked_for);
    RUN(a_lone_shard_stays_alone);
    return 0;
}
