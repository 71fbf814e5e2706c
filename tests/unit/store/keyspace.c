/* The keyspace as a whole: scans and draws, what a pair costs, expiry, news, and flushing. */
#include "store/keyspace.h"

#include <pthread.h>
#include <sched.h>

#include "store/change.h"
#include "tests/check.h"

static unsigned long long seed;
static const struct hash_seed hash_seed = {
    {0x8bb84b93962eacc9, 0x4b33a62ed433d4a3, 0x4d5a2da51de1aa47, 0xa0761d6478bd642f}};

static unsigned random_below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

static struct keyspace *make(void) {
    struct keyspace *ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 3});
    CHECK((uintptr_t)ks % 64 == 0 && (uintptr_t)&ks->db[1] % 64 == 0);
    CHECK(ks);
    return ks;
}
static struct key key_of(struct bytes name) {
    return (struct key){name, hash_bytes(&hash_seed, name)};
}
static struct key key_of_number(char *buffer, unsigned number) { /* 16 bytes */
    snprintf(buffer, 17, "key:%012u", number);
    return key_of((struct bytes){buffer, 16});
}
static struct entry *set(struct keyspace *ks, struct key key, struct bytes bytes, int64_t expiry_ms) {
    struct value value = value_of_bytes(bytes);
    return keyspace_set(ks, 0, key, &value, expiry_ms);
}

static void drain(struct keyspace *ks) {
    for (unsigned db = 0; db < ks->databases; db++) keyspace_flush(ks, db);
    for (int calls = 0; keyspace_upkeep(ks, 100); calls++) CHECK(calls < 1000000);
    CHECK_INT(keyspace_memory(ks), 0);
    CHECK_INT(ks->block_bytes, 0);
    CHECK_INT(ks->slab.arena.in_use, 0);
}

/* ---- Scanning and drawing ------------------------------------------------------------------------- */

static void mark(void *context, struct entry *e) {
    unsigned *seen = context;
    seen[strtoul(entry_key(e).data + 4, NULL, 10)]++;
}

static void a_scan_sees_what_stays_while_the_table_grows_and_shrinks(void) {
    enum { STAY = 1000, TOP = 20000 };
    static unsigned seen[TOP];
    char buffer[17];
    struct keyspace *ks = make();
    for (unsigned i = 0; i < STAY; i++) CHECK(set(ks, key_of_number(buffer, i), BYTES("v"), EXPIRY_NONE));
    for (int grows = 1; grows >= 0; grows--) {
        memset(seen, 0, sizeof seen);
        unsigned next = grows ? STAY : TOP;
        uint64_t cursor = 0;
        do {
            cursor = keyspace_scan(ks, 0, cursor, mark, seen);
            for (int n = 0; n < 30; n++) {
                if (grows && next < TOP)
                    CHECK(set(ks, key_of_number(buffer, next++), BYTES("v"), EXPIRY_NONE));
                if (!grows && next > STAY) CHECK(keyspace_delete(ks, 0, key_of_number(buffer, --next)));
            }
        } while (cursor);
        for (unsigned i = 0; i < STAY; i++) CHECK(seen[i] > 0);
        for (; grows && next < TOP; next++)
            CHECK(set(ks, key_of_number(buffer, next), BYTES("v"), EXPIRY_NONE));
    }
    CHECK_INT(keyspace_scan(ks, 1, 12345, mark, seen), 0); /* an empty database */
    keyspace_free(ks);
}

static void every_entry_is_drawn_about_alike(void) {
    enum { COUNT = 2000, DRAWS = 400000 };
    static unsigned seen[COUNT];
    char buffer[17];
    struct keyspace *ks = make();
    CHECK(keyspace_random(ks, 0, 1) == NULL);
    for (unsigned i = 0; i < COUNT; i++) CHECK(set(ks, key_of_number(buffer, i), BYTES("v"), EXPIRY_NONE));
    for (int i = 0; i < DRAWS; i++) mark(seen, keyspace_random(ks, 0, check_random(&seed)));
    for (unsigned i = 0; i < COUNT; i++) CHECK(seen[i] > 100 && seen[i] < 300); /* mean 200, 7 deviations */
    for (unsigned i = 1; i < COUNT; i++) CHECK(keyspace_delete(ks, 0, key_of_number(buffer, i)));
    for (int i = 0; i < 100; i++) CHECK(keyspace_random(ks, 0, check_random(&seed)));
    keyspace_free(ks);
}

/* ---- Digests -------------------------------------------------------------------------------------- */

static void put(struct keyspace *ks, unsigned db, const char *name, const char *text, int64_t expiry_ms) {
    struct value value = value_of_bytes(bytes_of(text));
    CHECK(keyspace_set(ks, db, key_of(bytes_of(name)), &value, expiry_ms));
}

static struct digest digest_of(const struct keyspace *ks, const struct keyspace *more) {
    struct digest digest = {{0}};
    keyspace_digest(&digest, ks, 0);
    if (more) keyspace_digest(&digest, more, 0);
    return digest;
}
static bool same(struct digest a, struct digest b) {
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

static void order_and_stripe_do_not_matter(void) {
    enum { COUNT = 1000 };
    struct keyspace *ks = make(), *backwards = make(), *one = make(), *other = make();
    char name[16];
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "k%d", i);
        put(ks, 0, name, name + i % 2, EXPIRY_NONE);
        put(i % 3 ? one : other, 0, name, name + i % 2, EXPIRY_NONE);
    }
    for (int i = COUNT - 1; i >= 0; i--) {
        snprintf(name, sizeof name, "k%d", i);
        put(backwards, 0, name, name + i % 2, EXPIRY_NONE);
    }
    CHECK(same(digest_of(ks, NULL), digest_of(backwards, NULL)));
    CHECK(same(digest_of(ks, NULL), digest_of(one, other)) &&
          same(digest_of(one, other), digest_of(other, one)));
    CHECK(!same(digest_of(ks, NULL), digest_of(one, NULL)));
    put(one, 0, "k1", "other", EXPIRY_NONE);
    CHECK(!same(digest_of(ks, NULL), digest_of(one, other)));
    put(one, 0, "k1", "1", EXPIRY_NONE);
    CHECK(same(digest_of(ks, NULL), digest_of(one, other)));
    keyspace_free(ks);
    keyspace_free(backwards);
    keyspace_free(one);
    keyspace_free(other);
}

static void keys_values_and_whether_they_expire_matter(void) {
    struct keyspace *ks = make(), *other = make();
    put(ks, 0, "k", "12", EXPIRY_NONE);
    put(other, 0, "k", "12", EXPIRY_NONE);
    put(other, 1, "another", "database", EXPIRY_NONE);
    CHECK(same(digest_of(ks, NULL), digest_of(other, NULL)));
    put(other, 0, "k", "12", 5000);
    struct digest expiring = digest_of(other, NULL);
    CHECK(!same(digest_of(ks, NULL), expiring));
    put(other, 0, "k", "12", 6000);
    CHECK(same(digest_of(other, NULL), expiring)); /* whenever it does */
    put(ks, 0, "1", "2k", EXPIRY_NONE);
    put(other, 0, "1", "2k", EXPIRY_NONE);
    put(other, 0, "k", "12", EXPIRY_NONE);
    CHECK(same(digest_of(ks, NULL), digest_of(other, NULL)));
    put(other, 0, "k", "2k", EXPIRY_NONE);
    put(other, 0, "1", "12", EXPIRY_NONE);
    CHECK(!same(digest_of(ks, NULL), digest_of(other, NULL))); /* two values that were swapped */
    keyspace_free(ks);
    keyspace_free(other);
}

/* ---- Many ----------------------------------------------------------------------------------------- */

static void a_small_pair_costs_at_most_52_bytes_at_any_count(void) {
    char buffer[17];
    struct keyspace *ks = make();
    unsigned count = 0;
    for (unsigned target = 20000; target <= 400000; target += target / 6) {
        for (; count < target; count++)
            CHECK(set(ks, key_of_number(buffer, count), BYTES("a 16-byte value."), EXPIRY_NONE));
        CHECK(keyspace_memory(ks) <= 52 * (uint64_t)count);
        CHECK((uint64_t)ks->slab.arena.in_use * ARENA_CHUNK_BYTES <=
              52 * (uint64_t)count + 4 * ARENA_CHUNK_BYTES);
    }
    size_t each = keyspace_entry_memory(ks, keyspace_find(ks, 0, key_of_number(buffer, 7)));
    CHECK(each >= 40 && each <= 52);
    keyspace_free(ks);
}

static void count_expired(void *context, const struct expired *what) {
    CHECK(what->kind == EXPIRED_KEY && what->name.len == 0);
    ++*(unsigned *)context;
}

static void a_million_keys_due_in_one_second_go_in_bounded_steps(void) {
    enum { COUNT = 1000000, BUDGET = 100 };
    const int64_t start_ms = 1700000000000;
    char buffer[17];
    unsigned expired = 0, calls = 0;
    struct keyspace *ks = make();
    CHECK_INT(keyspace_expire(ks, start_ms, BUDGET, NULL, NULL), 0);
    for (unsigned i = 0; i < COUNT; i++)
        CHECK(set(ks, key_of_number(buffer, i), BYTES("v"), start_ms + 60000 + random_below(1000)));
    CHECK(keyspace_next_expiry(ks) == start_ms + 60000);
    CHECK_INT(keyspace_expire(ks, start_ms + 59999, BUDGET, count_expired, &expired), 0);
    for (; keyspace_next_expiry(ks) <= start_ms + 61000; calls++) {
        unsigned before = expired;
        unsigned count = keyspace_expire(ks, start_ms + 61000, BUDGET, count_expired, &expired);
        CHECK(count == expired - before && count <= BUDGET);
    }
    CHECK(calls >= COUNT / BUDGET && calls < 3 * COUNT / BUDGET);
    CHECK_INT(expired, COUNT);
    CHECK_INT(keyspace_count(ks, 0), 0);
    CHECK(keyspace_next_expiry(ks) == INT64_MAX);
    keyspace_free(ks);
}

static void databases_share_the_budget_of_expiry(void) {
    char buffer[17];
    unsigned expired = 0;
    struct keyspace *ks = make();
    for (unsigned i = 0; i < 30; i++) {
        struct value value = value_of_bytes(BYTES("v"));
        CHECK(keyspace_set(ks, i % 3, key_of_number(buffer, i), &value, 100));
    }
    for (int i = 0; i < 6; i++) CHECK_INT(keyspace_expire(ks, 100, 5, count_expired, &expired), 5);
    CHECK_INT(expired, 30);
    CHECK_INT(keyspace_expire(ks, 100, 5, count_expired, &expired), 0);
    keyspace_free(ks);
}

/* ---- News ----------------------------------------------------------------------------------------- */

/* Whoever asks after each change hears of every moment that is earlier than all before, once. */
static void an_earlier_expiry_is_news_and_a_later_one_is_none(void) {
    char buffer[17];
    struct keyspace *ks = make();
    CHECK(!keyspace_news(ks) && keyspace_take_news(ks, 5) == INT64_MAX);
    CHECK(set(ks, key_of_number(buffer, 1), BYTES("v"), EXPIRY_NONE) && !keyspace_news(ks));
    CHECK(set(ks, key_of_number(buffer, 2), BYTES("v"), 1000) && keyspace_news(ks));
    CHECK(keyspace_news(ks) && keyspace_take_news(ks, 5) == 1000 && !keyspace_news(ks));
    CHECK(set(ks, key_of_number(buffer, 3), BYTES("v"), 1000) && !keyspace_news(ks));
    CHECK(set(ks, key_of_number(buffer, 4), BYTES("v"), 2000) && !keyspace_news(ks));
    struct entry *e = keyspace_find(ks, 0, key_of_number(buffer, 4));
    CHECK(keyspace_set_expiry(ks, 0, e, 500) && keyspace_news(ks) && keyspace_take_news(ks, 5) == 500);
    CHECK_INT(keyspace_expire(ks, 1500, 10, NULL, NULL), 3);
    keyspace_take_news(ks, 1500);
    CHECK(set(ks, key_of_number(buffer, 5), BYTES("v"), 3000)); /* what is gone is forgotten */
    CHECK(keyspace_news(ks) && keyspace_next_expiry(ks) == 3000);
    keyspace_free(ks);
}

/* A growing table may free a chunk or two. */
static void fill_and_tidy(struct keyspace *ks, unsigned count) {
    char buffer[17];
    for (unsigned i = 0; i < count; i++)
        CHECK(set(ks, key_of_number(buffer, i), BYTES("value"), EXPIRY_NONE));
    CHECK(!ks->slab.arena.resident || keyspace_news(ks));
    while (keyspace_upkeep(ks, 100)) {
    }
    keyspace_take_news(ks, 5);
}

/* Memory to free has no time of its own: the first who asks gives it one, and whatever else becomes free goes with it. */
static void memory_to_free_is_news_once(void) {
    char buffer[17];
    struct keyspace *ks = make();
    fill_and_tidy(ks, 5000);
    keyspace_flush(ks, 1);
    CHECK(!keyspace_news(ks)); /* it was empty */
    keyspace_flush(ks, 0);
    CHECK(keyspace_news(ks) && keyspace_take_news(ks, 700) == 700 && !keyspace_news(ks));
    CHECK(set(ks, key_of_number(buffer, 1), BYTES("v"), EXPIRY_NONE));
    keyspace_flush(ks, 0);
    CHECK(!keyspace_news(ks) && keyspace_take_news(ks, 900) == 700);
    while (keyspace_upkeep(ks, 100)) CHECK(!keyspace_news(ks)); /* who is at it needs no news */
    CHECK(!keyspace_news(ks) && keyspace_take_news(ks, 900) == INT64_MAX);
    fill_and_tidy(ks, 5000);
    for (unsigned i = 0; i < 5000; i++) CHECK(keyspace_delete(ks, 0, key_of_number(buffer, i)));
    CHECK(keyspace_news(ks) && keyspace_take_news(ks, 900) == 900); /* emptied chunks */
    keyspace_free(ks);
}

static void flushing_is_at_once_and_upkeep_returns_all_memory(void) {
    char buffer[17];
    struct keyspace *ks = make();
    for (unsigned i = 0; i < 200000; i++)
        CHECK(set(ks, key_of_number(buffer, i), BYTES("value"), i % 3 ? EXPIRY_NONE : 1000 + i));
    uint64_t full = keyspace_memory(ks);
    keyspace_flush(ks, 0);
    CHECK(keyspace_count(ks, 0) == 0 && keyspace_count_expiring(ks, 0) == 0);
    CHECK(keyspace_expiry_sum(ks, 0) == 0);
    CHECK(keyspace_find(ks, 0, key_of_number(buffer, 5)) == NULL);
    CHECK(keyspace_memory(ks) == full); /* nothing was touched */
    CHECK_INT(keyspace_buried(ks), 200000);
    CHECK(set(ks, key_of_number(buffer, 5), BYTES("new"), EXPIRY_NONE));
    unsigned calls = 0;
    uint64_t buried = keyspace_buried(ks);
    for (uint64_t before = full + 1000; keyspace_upkeep(ks, 100); calls++) {
        CHECK(before - keyspace_memory(ks) < 200 * 64); /* a bounded handful */
        CHECK(keyspace_buried(ks) < buried || buried == 0);
        before = keyspace_memory(ks);
        buried = keyspace_buried(ks);
    }
    CHECK_INT(keyspace_buried(ks), 0);
    CHECK(calls >= 2000);
    CHECK_INT(keyspace_expire(ks, 1000000, 10, NULL, NULL), 0);
    CHECK_INT(keyspace_count(ks, 0), 1);
    drain(ks);
    keyspace_free(ks);
}

/* ---- Prefetching ---------------------------------------------------------------------------------- */

/* Prefetching without the lock of the thread that grows, shrinks, swaps and flushes the tables meanwhile. Whether that is
 * right is for the memory's protection, ASan and TSan to say. */
enum { DATABASES = 3, ROUNDS = 12, FLUSHES = 30000, KEYS = 60000, BATCH = 1000 };

static struct keyspace *shared;
static bool done;
static unsigned long long prefetched;

static struct key key_of_u32(const uint32_t *number) {
    struct bytes name = {(const char *)number, sizeof *number};
    return (struct key){name, hash_bytes(&hash_seed, name)};
}

/* Keys that are there, or were, or never. */
static void *prefetch_all(void *argument) {
    unsigned long long random = *(unsigned long long *)argument, count = 0;
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < BATCH; i++, count++) {
            uint32_t number = (uint32_t)(check_random(&random) % KEYS);
            uint64_t hash = i % 2 ? check_random(&random) : key_of_u32(&number).hash;
            const struct bucket *bucket = keyspace_prefetch_bucket(shared, i % DATABASES, hash);
            keyspace_prefetch_entry(shared, bucket, hash);
        }
        __atomic_store_n(&prefetched, count, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void fill_shared(unsigned db, uint32_t keys) {
    struct value value = value_of_bytes(BYTES("some value of some length, longer than a handle"));
    for (uint32_t number = 0; number < keys; number++)
        CHECK(keyspace_set(shared, db, key_of_u32(&number), &value, EXPIRY_NONE));
}

static void change_tables(void) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned db = round % DATABASES;
        uint32_t keys = KEYS >> check_random(&seed) % 6;
        fill_shared(db, keys);
        keyspace_swap(shared, db, (db + 1) % DATABASES);
        for (uint32_t number = 0; number < keys; number += 1 + number % 64 / 60)
            keyspace_delete(shared, (db + 1) % DATABASES, key_of_u32(&number));
        fill_shared(db, keys / 2);
        keyspace_flush(shared, db);
        fill_shared(db, 100); /* a small directory where the large one was */
        while (keyspace_upkeep(shared, 1000)) {
        }
    }
}

/* A table that is there for a microsecond: the reader is between its directory and its buckets again and again. */
static void make_and_flush(void) {
    for (unsigned round = 0; round < FLUSHES; round++) {
        fill_shared(0, 1);
        keyspace_flush(shared, 0);
        while (keyspace_upkeep(shared, 1000)) {
        }
    }
}

static void tables_change_under_a_reader_without_a_lock(void) {
    pthread_t thread;
    unsigned long long reader_seed = check_random(&seed), before;
    shared = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = DATABASES});
    CHECK(shared);
    CHECK(pthread_create(&thread, NULL, prefetch_all, &reader_seed) == 0);
    while ((before = __atomic_load_n(&prefetched, __ATOMIC_RELAXED)) == 0) sched_yield();
    change_tables();
    make_and_flush();
    while (__atomic_load_n(&prefetched, __ATOMIC_RELAXED) == before)
        make_and_flush(); /* starved: once more */
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    keyspace_free(shared);
}

/* Directories last as long as the keyspace: a table that comes and goes must find its old ones again. */
static void memory_does_not_grow_with_flushes(void) {
    shared = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = DATABASES});
    CHECK(shared);
    for (unsigned round = 0; round < 10; round++) {
        fill_shared(round % DATABASES, 100000); /* directories of 4, 8 and 16 segments */
        keyspace_flush(shared, round % DATABASES);
        while (keyspace_upkeep(shared, 1000)) {
        }
        CHECK_INT(keyspace_memory(shared), 0);
    }
    unsigned kept = 0;
    for (struct slab_lasting *l = shared->slab.lasting; l; l = l->next) kept++;
    CHECK_INT(kept, 3);
    keyspace_free(shared);
}

int main(void) {
    seed = check_seed();
    RUN(a_scan_sees_what_stays_while_the_table_grows_and_shrinks);
    RUN(every_entry_is_drawn_about_alike);
    RUN(order_and_stripe_do_not_matter);
    RUN(keys_values_and_whether_they_expire_matter);
    RUN(a_small_pair_costs_at_most_52_bytes_at_any_count);
    RUN(a_million_keys_due_in_one_second_go_in_bounded_steps);
    RUN(databases_share_the_budget_of_expiry);
    RUN(an_earlier_expiry_is_news_and_a_later_one_is_none);
    RUN(memory_to_free_is_news_once);
    RUN(flushing_is_at_once_and_upkeep_returns_all_memory);
    RUN(tables_change_under_a_reader_without_a_lock);
    RUN(memory_does_not_grow_with_flushes);
    return 0;
}
