/* When fields expire, against a model: random hashes and times, many of them alike in half of their bits, versions that
 * somebody holds, and no memory at random. */
#include "store/types/times.h"

#include "tests/unit/store/types/collection_fixture.h"

enum { FIELDS = 600, STEPS = 40000, HELD = 3, SOON = 50 };

static int64_t model[FIELDS], held_model[HELD][FIELDS];
static struct times *held[HELD];
static struct graves graves;

/* Every sixth shares the half of the hash that the index knows. */
static uint64_t hash_at(unsigned field) {
    uint64_t low = field * 0x9e3779b97f4a7c15ull;
    return (uint64_t)(field / 6 * 0x85ebca6bu) << 32 | (low & 0xffffffff);
}

static struct tree_context context(void) {
    return (struct tree_context){.heap = &heap, .seed = &hash_seed, .graves = &graves};
}

static void dig(void) {
    unsigned budget = 1000000;
    graves_dig(&graves, &budget);
}

static void check_all(const struct times *times, const int64_t *expiries) {
    uint64_t count = 0, overdue = 0;
    int64_t first = INT64_MAX, now = 1 + random_below(SOON);
    for (unsigned i = 0; i < FIELDS; i++) {
        CHECK_INT(times_of(times, hash_at(i)), expiries[i]);
        count += expiries[i] > 0;
        overdue += expiries[i] > 0 && expiries[i] <= now;
        if (expiries[i] > 0 && expiries[i] < first) first = expiries[i];
    }
    CHECK_INT(times_count(times), count);
    CHECK_INT(times_overdue(times, now), overdue);
    CHECK_INT(times_overdue(times, INT64_MAX), count);
    CHECK(tree_check(&times->due, &hash_seed) && tree_check(&times->index, &hash_seed));
    CHECK(times_memory(times) >= sizeof *times + count * 8);
    if (count == 0) return;
    CHECK_INT(times_first(times), first);
    CHECK_INT(times_of(times, times_first_hash(times)), first);
}

static void change(struct times *times) {
    struct tree_context x = context();
    unsigned field = random_below(FIELDS);
    int64_t old = model[field], next = random_below(4) ? 1 + random_below(SOON) : TIMES_MAX;
    if (old && random_below(2)) {
        if (!times_prepare(times, &x, hash_at(field), old)) return;
        times_remove(times, &x, hash_at(field), old);
        model[field] = 0;
    } else if (old != next && times_put(times, &x, hash_at(field), old, next)) {
        model[field] = next;
    }
}

static void hold(struct times *times, unsigned i) {
    if (held[i]) {
        check_all(held[i], held_model[i]);
        times_free(held[i], &graves);
    }
    held[i] = times_fork(times, &heap);
    memcpy(held_model[i], model, sizeof model);
}

static void random_changes(unsigned failing) {
    memset(model, 0, sizeof model);
    struct times *times = times_new(&heap, &hash_seed);
    CHECK(times && times->seed == &hash_seed);
    for (unsigned i = 0; i < STEPS; i++) {
        fail_every = i / 1000 % 2 ? failing : 0;
        change(times);
        if (i % 500 == 0) hold(times, random_below(HELD));
        if (i % 250 == 0) check_all(times, model);
        if (i % 50 == 0) dig();
    }
    fail_every = 0;
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i]) check_all(held[i], held_model[i]);
        if (held[i]) times_free(held[i], &graves);
        held[i] = NULL;
    }
    times_free(times, &graves);
    dig();
    CHECK(graves.first == NULL);
    CHECK_INT(nodes_live, 0);
}

static void times_are_their_model(void) {
    random_changes(0);
}
static void times_without_memory_are_as_before(void) {
    random_changes(5);
}

/* With the last one that goes the index is empty, whatever memory had left in it. */
static void nothing_stays_of_the_last_one(void) {
    struct tree_context x = context();
    struct times *times = times_new(&heap, &hash_seed);
    CHECK(times && times_put(times, &x, 7, 0, 100) && times_put(times, &x, 8, 0, 90));
    CHECK(times_first(times) == 90 && times_first_hash(times) == 8);
    CHECK(times_put(times, &x, 8, 90, 200) && times_first(times) == 100 && times_of(times, 8) == 200);
    CHECK(times_prepare(times, &x, 7, 100));
    times_remove(times, &x, 7, 100);
    CHECK(times_of(times, 7) == 0 && times_count(times) == 1);
    CHECK(times_prepare(times, &x, 8, 200));
    times_remove(times, &x, 8, 200);
    CHECK(times_count(times) == 0 && times->index.count == 0 && times_overdue(times, 1000) == 0);
    times_free(times, &graves);
    dig();
    CHECK_INT(nodes_live, 0);
}

int main(void) {
    seed = check_seed();
    RUN(times_are_their_model);
    RUN(times_without_memory_are_as_before);
    RUN(nothing_stays_of_the_last_one);
    return 0;
}
