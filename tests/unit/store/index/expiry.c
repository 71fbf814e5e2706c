/* expiry.c - the timing wheel against a plain list, with budgets and with a clock that jumps. */
#include "store/index/expiry.h"

#include "tests/check.h"

static unsigned long long seed;

enum { ENTRIES = 600 };
static const int64_t start_ms = 1700000000000;

/* The naive structure: an entry that is in the wheel has its expiry here, others 0. */
static struct slab slab;
static struct entry *entries[ENTRIES];
static int64_t expiry_of[ENTRIES];

static struct entry *make(uint32_t number) {
    uint32_t handle = slab_alloc(&slab, entry_size_of(true, sizeof number, 0));
    CHECK(handle);
    struct entry *e = arena_at(&slab.arena, handle);
    *e = (struct entry){.expires = 1, .key_len = sizeof number};
    memcpy(entry_key_at(e), &number, sizeof number);
    return e;
}
static uint32_t number_of(const struct entry *e) {
    uint32_t number;
    memcpy(&number, entry_key_at(e), sizeof number);
    return number;
}

static void begin(void) {
    CHECK(slab_init(&slab, 0));
    for (uint32_t i = 0; i < ENTRIES; i++) entries[i] = make(i), expiry_of[i] = 0;
}
static void add(struct expiry *wheel, unsigned i, int64_t expiry_ms) {
    expiry_of[i] = entry_expiry_record(entries[i])->expiry_ms = expiry_ms;
    expiry_add(&slab, wheel, entries[i]);
}
static void drop(struct expiry *wheel, unsigned i) {
    expiry_remove(&slab, wheel, entries[i]);
    expiry_of[i] = 0;
}

static int64_t naive_next(void) {
    int64_t next = INT64_MAX;
    for (int i = 0; i < ENTRIES; i++)
        if (expiry_of[i] && expiry_of[i] < next) next = expiry_of[i];
    return next;
}

static void check_bitmaps(const struct expiry *wheel) {
    for (unsigned level = 0; level < EXPIRY_LEVELS; level++)
        for (unsigned slot = 0; slot < EXPIRY_SLOTS; slot++) {
            const struct link *link = &wheel->slots[level][slot];
            bool empty = link->next == arena_handle(&slab.arena, link);
            CHECK((wheel->occupied[level] >> slot & 1) == !empty); /* invariant 4 */
        }
}

/* Takes what is due, by calls of few moves. Each entry must be due, and in the end none may be left. */
static void take_all_due(struct expiry *wheel, int64_t now_ms) {
    for (int calls = 0; calls < 1000000; calls++) {
        unsigned moves = (unsigned)(check_random(&seed) % 4 + 1);
        struct entry *e = expiry_due(&slab, wheel, now_ms, &moves);
        if (e) {
            CHECK(expiry_of[number_of(e)] && expiry_of[number_of(e)] <= now_ms);
            drop(wheel, number_of(e));
        } else if (moves > 0) {
            CHECK(naive_next() > now_ms);
            CHECK(expiry_next(&slab, wheel) > now_ms);
            return;
        }
        CHECK(expiry_next(&slab, wheel) <= naive_next());
    }
    CHECK(!"it comes to an end");
}

/* From milliseconds to the age of the universe. */
static int64_t random_expiry(int64_t now_ms) {
    static const unsigned bits[] = {2, 6, 8, 12, 16, 20, 30, 40, 50, 62};
    int64_t away = (int64_t)(check_random(&seed) >> (64 - bits[check_random(&seed) % 10]));
    bool past = check_random(&seed) % 8 == 0;
    int64_t expiry = past ? now_ms - away % 1000000 : away < INT64_MAX - now_ms ? now_ms + away : INT64_MAX;
    return expiry > 0 ? expiry : 1;
}

static int64_t random_step(int64_t now_ms, bool jumps) {
    static const unsigned bits[] = {1, 4, 7, 10, 14, 20, 26};
    int64_t by = (int64_t)(check_random(&seed) >> (64 - bits[check_random(&seed) % 7]));
    if (!jumps || check_random(&seed) % 4) return now_ms + by;
    int64_t away = (int64_t)(check_random(&seed) >> (64 - (check_random(&seed) % 45 + 1)));
    now_ms += check_random(&seed) % 2 ? away : -away;
    return now_ms > 0 ? now_ms : 0;
}

static void run_model(int64_t now_ms, bool jumps) {
    begin();
    struct expiry *wheel = expiry_new(&slab, now_ms);
    for (int step = 0; step < 20000; step++) {
        unsigned i = (unsigned)(check_random(&seed) % ENTRIES);
        if (expiry_of[i])
            drop(wheel, i);
        else
            add(wheel, i, random_expiry(now_ms));
        if (step % 10 == 0) take_all_due(wheel, now_ms = random_step(now_ms, jumps));
        if (step % 1000 == 0) check_bitmaps(wheel);
    }
    for (unsigned i = 0; i < ENTRIES; i++)
        if (expiry_of[i]) drop(wheel, i);
    check_bitmaps(wheel);
    CHECK(expiry_next(&slab, wheel) == INT64_MAX);
    slab_destroy(&slab);
}

static void entries_come_when_they_are_due_and_not_before(void) {
    run_model(start_ms, false);
    run_model(0, false); /* a wheel that was never told the time */
}

static void a_clock_that_jumps_both_ways_loses_nothing(void) {
    run_model(start_ms, true);
    run_model(0, true);
}

/* A jump back in the middle of a cascade, again and again. */
static void unfinished_cascades_survive_jumps(void) {
    for (int round = 0; round < 50; round++) {
        int64_t now_ms = start_ms;
        begin();
        struct expiry *wheel = expiry_new(&slab, now_ms);
        for (unsigned i = 0; i < ENTRIES; i++)
            add(wheel, i, now_ms + 1 + (int64_t)(check_random(&seed) % 400000));
        for (int step = 0; step < 100; step++) {
            unsigned moves = (unsigned)(check_random(&seed) % 50);
            now_ms = random_step(now_ms, true);
            struct entry *e = expiry_due(&slab, wheel, now_ms, &moves);
            if (e) CHECK(expiry_of[number_of(e)] <= now_ms);
            if (e) drop(wheel, number_of(e));
            unsigned i = (unsigned)(check_random(&seed) % ENTRIES);
            if (expiry_of[i]) drop(wheel, i);
            add(wheel, i, random_expiry(now_ms));
            CHECK(expiry_next(&slab, wheel) <= naive_next());
        }
        take_all_due(wheel, now_ms);
        take_all_due(wheel, INT64_MAX - 1);
        check_bitmaps(wheel);
        slab_destroy(&slab);
    }
}

static void next_is_exact_within_64_milliseconds(void) {
    begin();
    struct expiry *wheel = expiry_new(&slab, start_ms - start_ms % EXPIRY_SLOTS);
    for (int64_t away = EXPIRY_SLOTS - 1; away >= 0; away--) {
        int64_t expiry_ms = start_ms - start_ms % EXPIRY_SLOTS + away;
        add(wheel, (unsigned)away, expiry_ms);
        CHECK(expiry_next(&slab, wheel) == expiry_ms);
    }
    slab_destroy(&slab);
}

static void without_memory_there_is_no_wheel(void) {
    CHECK(slab_init(&slab, 0));
    slab.arena.limit = 0;
    CHECK(expiry_new(&slab, 0) == NULL);
    slab_destroy(&slab);
}

int main(void) {
    seed = check_seed();
    RUN(entries_come_when_they_are_due_and_not_before);
    RUN(a_clock_that_jumps_both_ways_loses_nothing);
    RUN(unfinished_cascades_survive_jumps);
    RUN(next_is_exact_within_64_milliseconds);
    RUN(without_memory_there_is_no_wheel);
    return 0;
}
