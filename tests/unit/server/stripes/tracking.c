/* Who has read which key: notes, what a change takes out, random keys, long names, many keys, and memory that runs out. */
#include "server/stripes/tracking.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/effect_fixture.h"
#include "tests/unit/failing_memory.h"

enum { MANY = 20000, READERS_MOST = 1000 };

static void finish(void) {
    stripes_close();
    CHECK_INT(tracking_totals().keys, 0);
    CHECK_INT(tracking_totals().readers, 0);
}

static void note(const char *name, uint32_t reader) {
    CHECK(tracking_note(stripe, key_of(name), reader) != TRACKING_NO_MEMORY);
}

static int order_of(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

/* In ascending order. */
static unsigned list_readers(const struct tracked *tracked, uint32_t *all) {
    struct readers readers = tracked_readers(tracked);
    unsigned count = 0;
    CHECK(readers.near & 1);
    for (unsigned i = 0; i < 32; i++)
        if (readers.near >> i & 1) all[count++] = readers.first + i;
    for (uint32_t i = 0; i < readers.count; i++) all[count++] = readers.others[i];
    CHECK(count <= READERS_MOST);
    qsort(all, count, sizeof *all, order_of);
    return count;
}

/* Takes the key out: its readers, as text. */
static const char *readers_of(const char *name) {
    static char text[4096];
    uint32_t readers[READERS_MOST];
    size_t len = 0;
    struct tracked *tracked = tracking_take(stripe, key_of(name));
    if (!tracked) return "";
    CHECK_BYTES(tracked_name(tracked), bytes_of(name));
    unsigned count = list_readers(tracked, readers);
    for (unsigned i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i ? " " : "", readers[i]);
    tracking_free(stripe, tracked);
    return text;
}

static void readers_are_noted_once_and_taken_once(void) {
    begin();
    CHECK(!stripe->tracking && !(stripe->ears & EAR_TRACKED));
    note("a", 5), note("a", 2), note("a", 5), note("b", 2), note("a", 9), note("a", 7), note("a", 1);
    CHECK(stripe->ears & EAR_TRACKED);
    CHECK_INT(tracking_totals().keys, 2);
    CHECK_INT(tracking_totals().readers, 6);
    CHECK(!strcmp(readers_of("a"), "1 2 5 7 9"));
    CHECK(!strcmp(readers_of("a"), "") && !strcmp(readers_of("c"), ""));
    CHECK_INT(tracking_totals().keys, 1);
    CHECK(!strcmp(readers_of("b"), "2"));
    CHECK(!stripe->tracking && !(stripe->ears & EAR_TRACKED));
    CHECK(!strcmp(readers_of("b"), ""));
    note("", 3);
    CHECK(!strcmp(readers_of(""), "3"));
    finish();
}

/* Those near each other are bits, whichever of them came first; others are not, and all are found. */
static void readers_near_and_far_are_told_apart(void) {
    static const uint32_t near[] = {100, 131, 120, 99, 68, 132, 70, 200, 69, 4, 131};
    begin();
    for (unsigned i = 0; i < 10; i++) note("a", near[i]);
    CHECK_INT(tracking_totals().readers, 10);
    for (unsigned i = 0; i < 11; i++) CHECK(tracking_note(stripe, key_of("a"), near[i]) == TRACKING_KNOWN);
    CHECK(!strcmp(readers_of("a"), "4 68 69 70 99 100 120 131 132 200"));
    note("b", 50), note("b", 20), note("b", 30), note("b", 19), note("b", 51), note("b", 52);
    CHECK(!strcmp(readers_of("b"), "19 20 30 50 51 52")); /* 19 to 50 are bits */
    note("c", UINT32_MAX), note("c", 0), note("c", 31), note("c", UINT32_MAX - 1);
    CHECK(!strcmp(readers_of("c"), "0 31 4294967294 4294967295"));
    finish();
}

/* Beside a list of what was noted, with steps of all lengths between the readers of a key, from this number on. */
static void note_random_readers(uint32_t from) {
    uint32_t random = 12345;
    for (unsigned spread = 8; spread <= 4096; spread *= 2) {
        static bool noted[4096];
        char expected[8192];
        unsigned count = 0;
        size_t len = 0;
        memset(noted, 0, sizeof noted);
        for (unsigned i = 0; i < 60; i++) {
            random = random * 1664525 + 1013904223;
            uint32_t reader = (random >> 8) % spread;
            enum tracking_noted found = tracking_note(stripe, key_of("some key"), from + reader);
            CHECK(found == (noted[reader] ? TRACKING_KNOWN : TRACKING_NEW));
            count += !noted[reader];
            noted[reader] = true;
        }
        CHECK_INT(tracking_totals().readers, count);
        uint32_t least = from + 4096 < from ? 0 - from : 0; /* behind the last number is the first one */
        for (uint32_t i = 0; i < 4096; i++) {
            uint32_t reader = (least + i) % 4096;
            if (noted[reader])
                len += (size_t)snprintf(expected + len, sizeof expected - len, "%s%u", len ? " " : "",
                                        from + reader);
        }
        CHECK(!strcmp(readers_of("some key"), expected));
    }
}

static void random_readers_are_noted_once(void) {
    begin();
    for (uint32_t before = 0; before <= 2048; before = before ? 2 * before : 1)
        note_random_readers(0 - before);
    finish();
}

static bool knows(struct tracked *const *place, const char *name, uint32_t reader) {
    return tracking_knows(place, key_of(name), reader);
}

static struct tracked *const *place_of(const char *name) {
    const struct tracked_bucket *bucket = tracking_prefetch_bucket(stripe, key_of(name).hash);
    return bucket ? tracking_prefetch_record(bucket, key_of(name).hash) : NULL;
}

static void what_is_noted_is_known_where_it_is_looked_for(void) {
    begin();
    CHECK(!tracking_prefetch_bucket(stripe, key_of("a").hash));
    for (uint32_t reader = 1; reader < 80; reader += 2) {
        note("a", reader);
        struct tracked *const *place = place_of("a");
        CHECK(place && knows(place, "a", 1) && knows(place, "a", reader));
        CHECK(!knows(place, "a", reader + 1) && !knows(place, "a", 0) && !knows(place, "b", 1));
    }
    struct tracked *const *place = place_of("a");
    CHECK(strcmp(readers_of("a"), "") != 0);
    CHECK(!knows(place, "a", 1)); /* the place lasts, and nothing is there any more */
    note("a", 7);
    CHECK(knows(place, "a", 7) && !knows(place, "a", 1));
    tracking_clear(stripe);
    CHECK(!knows(place, "a", 7));
    finish();
}

/* Another thread may look between two steps of whoever takes a record out. */
static void a_place_without_a_record_is_no_address_to_add_to(void) {
    static struct tracked_bucket bucket = {.tags = {1}};
    struct tracked *const *place = tracking_prefetch_record(&bucket, 0);
    begin();
    CHECK(place == bucket.records && !knows(place, "a", 1));
    finish();
}

static void many_keys_are_found_while_the_table_grows(void) {
    char name[32];
    begin();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "key:%u", i);
        note(name, i), note(name, i / 2);
    }
    CHECK_INT(tracking_totals().keys, MANY);
    CHECK_INT(tracking_totals().readers, 2 * MANY - 1);
    for (unsigned i = 0; i < MANY; i += 2) {
        char expected[32];
        snprintf(name, sizeof name, "key:%u", i);
        snprintf(expected, sizeof expected, "%u %u", i / 2, i);
        CHECK(!strcmp(readers_of(name), i ? expected : "0"));
    }
    for (unsigned i = 0; i < MANY; i += 2) { /* into what was freed */
        snprintf(name, sizeof name, "yek:%u", i);
        note(name, 1), note(name, 2);
    }
    CHECK_INT(tracking_totals().keys, MANY);
    tracking_clear(stripe);
    CHECK(!stripe->tracking && !(stripe->ears & EAR_TRACKED));
    tracking_clear(stripe);
    for (unsigned i = 0; i < MANY; i++) { /* of what was there nothing is left */
        snprintf(name, sizeof name, "key:%u", i);
        CHECK(!tracking_take(stripe, key_of(name)));
        if (i % 3 == 0) note(name, 7);
    }
    CHECK(!strcmp(readers_of("key:9999"), "7") && !strcmp(readers_of("key:10000"), ""));
    finish();
}

static unsigned number_of(struct bytes digits) {
    unsigned number = 0;
    for (size_t i = 0; i < digits.len; i++) number = number * 10 + (unsigned)(digits.data[i] - '0');
    return number;
}

/* Keys of few buckets and few tags, so that long lists stand behind the last places: some of them are noted, some are taken
 * out, from wherever they stand, while the table grows. */
static void keys_of_few_buckets_are_told_apart(void) {
    enum { KEYS = 600, STEPS = 40000 };
    static char names[KEYS][8];
    static bool noted[KEYS];
    unsigned long long random = 7;
    unsigned keys = 0;
    begin();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)(check_random(&random) % KEYS), what = (unsigned)(check_random(&random) % 8);
        uint64_t hash = (i % 5) | (uint64_t)(i % 7) << 24 | (uint64_t)(i % 3 ? 0 : i) << 4;
        unsigned bound = step / 4000 % 2 ? 6 : 2; /* more of them come, then more of them go */
        snprintf(names[i], sizeof names[i], "%u", i);
        struct key key = {bytes_of(names[i]), hash};
        struct tracked *const *place = NULL;
        if (stripe->tracked) place = tracking_prefetch_record(tracking_prefetch_bucket(stripe, hash), hash);
        CHECK(!place || !tracking_knows(place, key, 1) || noted[i]);
        if (what >= bound) {
            CHECK(tracking_note(stripe, key, 1) == (noted[i] ? TRACKING_KNOWN : TRACKING_NEW));
            keys += !noted[i];
            noted[i] = true;
        } else {
            bool any = what == 0;
            struct tracked *tracked = any ? tracking_take_any(stripe, check_random(&random))
                                          : tracking_take(stripe, key);
            CHECK((tracked != NULL) == (any ? keys > 0 : noted[i]));
            if (!tracked) continue;
            if (any) i = number_of(tracked_name(tracked));
            CHECK(noted[i]);
            CHECK_BYTES(tracked_name(tracked), bytes_of(names[i]));
            noted[i] = false;
            keys--;
            tracking_free(stripe, tracked);
        }
        CHECK_INT(tracking_totals().keys, keys);
    }
    tracking_clear(stripe);
    finish();
}

static void any_key_is_taken_until_there_is_none(void) {
    char name[32];
    begin();
    CHECK(!tracking_take_any(stripe, 7));
    for (unsigned i = 0; i < 1000; i++) snprintf(name, sizeof name, "%u", i), note(name, 1);
    for (unsigned i = 0; i < 1000; i++) {
        struct tracked *tracked = tracking_take_any(stripe, i * 0x9e3779b97f4a7c15ull);
        CHECK(tracked && tracked_name(tracked).len > 0);
        tracking_free(stripe, tracked);
    }
    CHECK(!tracking_take_any(stripe, 7) && !stripe->tracking);
    finish();
}

static void long_names_and_many_readers_have_memory_of_their_own(void) {
    static char name[3000];
    begin();
    memset(name, 'n', sizeof name - 1);
    note("x", 0);
    for (unsigned i = 0; i < 3; i++, name[0]++) note(name, i);
    name[0] -= 2;
    CHECK(!strcmp(readers_of(name), "1"));
    for (uint32_t i = 600; i > 0; i--) note("read by all", i);
    CHECK_INT(tracking_totals().readers, 3 + 600);
    uint32_t readers[READERS_MOST];
    struct tracked *tracked = tracking_take(stripe, key_of("read by all"));
    CHECK(list_readers(tracked, readers) == 600 && readers[0] == 1 && readers[599] == 600);
    tracking_free(stripe, tracked);
    finish();
}

/* Whatever fails, what was noted is, and what was not is not. */
static void without_memory_nothing_is_noted(void) {
    for (unsigned left = 0;; left++) {
        char name[32];
        unsigned noted = 0, failed = 0;
        begin();
        memory_left = left;
        for (unsigned i = 0; i < 300; i++) {
            snprintf(name, sizeof name, "%u", i % 200);
            (void)place_of(name);
            bool ok = tracking_note(stripe, key_of(name), i) == TRACKING_NEW;
            noted += ok;
            failed += !ok;
        }
        memory_left = UINT_MAX;
        CHECK_INT(tracking_totals().readers, noted);
        CHECK(!stripe->tracking == !noted && !(stripe->ears & EAR_TRACKED) == !noted);
        tracking_clear(stripe);
        finish();
        if (!failed) break;
    }
}

int main(void) {
    RUN(readers_are_noted_once_and_taken_once);
    RUN(readers_near_and_far_are_told_apart);
    RUN(random_readers_are_noted_once);
    RUN(what_is_noted_is_known_where_it_is_looked_for);
    RUN(a_place_without_a_record_is_no_address_to_add_to);
    RUN(many_keys_are_found_while_the_table_grows);
    RUN(keys_of_few_buckets_are_told_apart);
    RUN(any_key_is_taken_until_there_is_none);
    RUN(long_names_and_many_readers_have_memory_of_their_own);
    RUN(without_memory_nothing_is_noted);
    return 0;
}
