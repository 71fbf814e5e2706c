/* prefetch.c - prefetching without the lock of the thread that grows, shrinks, swaps and flushes the tables
 * meanwhile. Whether that is right is for the memory's protection, ASan and TSan to say. */
#include <pthread.h>
#include <sched.h>

#include "store/change.h"
#include "store/keyspace.h"
#include "tests/check.h"

enum { DATABASES = 3, ROUNDS = 12, FLUSHES = 30000, KEYS = 60000, BATCH = 1000 };

static unsigned long long seed;
static const struct hash_seed hash_seed = {
    {0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f}};
static struct keyspace *ks;
static bool done;
static unsigned long long prefetched;

static struct key key_of(const uint32_t *number) {
    struct bytes name = {(const char *)number, sizeof *number};
    return (struct key){name, hash_bytes(&hash_seed, name)};
}

/* Keys that are there, or were, or never. */
static void *prefetch(void *argument) {
    unsigned long long random = *(unsigned long long *)argument, count = 0;
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < BATCH; i++, count++) {
            uint32_t number = (uint32_t)(check_random(&random) % KEYS);
            uint64_t hash = i % 2 ? check_random(&random) : key_of(&number).hash;
            const struct bucket *bucket = keyspace_prefetch_bucket(ks, i % DATABASES, hash);
            keyspace_prefetch_entry(ks, bucket, hash);
        }
        __atomic_store_n(&prefetched, count, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void fill(unsigned db, uint32_t keys) {
    struct value value = value_of_bytes(BYTES("some value of some length, longer than a handle"));
    for (uint32_t number = 0; number < keys; number++)
        CHECK(keyspace_set(ks, db, key_of(&number), &value, EXPIRY_NONE));
}

static void change_tables(void) {
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned db = round % DATABASES;
        uint32_t keys = KEYS >> check_random(&seed) % 6;
        fill(db, keys);
        keyspace_swap(ks, db, (db + 1) % DATABASES);
        for (uint32_t number = 0; number < keys; number += 1 + number % 64 / 60)
            keyspace_delete(ks, (db + 1) % DATABASES, key_of(&number));
        fill(db, keys / 2);
        keyspace_flush(ks, db);
        fill(db, 100); /* a small directory where the large one was */
        while (keyspace_upkeep(ks, 1000)) {
        }
    }
}

/* A table that is there for a microsecond: the reader is between its directory and its buckets again and again. */
static void make_and_flush(void) {
    for (unsigned round = 0; round < FLUSHES; round++) {
        fill(0, 1);
        keyspace_flush(ks, 0);
        while (keyspace_upkeep(ks, 1000)) {
        }
    }
}

static void tables_change_under_a_reader_without_a_lock(void) {
    pthread_t thread;
    unsigned long long reader_seed = check_random(&seed), before;
    ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = DATABASES});
    CHECK(ks);
    CHECK(pthread_create(&thread, NULL, prefetch, &reader_seed) == 0);
    while ((before = __atomic_load_n(&prefetched, __ATOMIC_RELAXED)) == 0) sched_yield();
    change_tables();
    make_and_flush();
    while (__atomic_load_n(&prefetched, __ATOMIC_RELAXED) == before)
        make_and_flush(); /* starved: once more */
    __atomic_store_n(&done, true, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    keyspace_free(ks);
}

/* Directories last as long as the keyspace: a table that comes and goes must find its old ones again. */
static void memory_does_not_grow_with_flushes(void) {
    ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = DATABASES});
    CHECK(ks);
    for (unsigned round = 0; round < 10; round++) {
        fill(round % DATABASES, 100000); /* directories of 4, 8 and 16 segments */
        keyspace_flush(ks, round % DATABASES);
        while (keyspace_upkeep(ks, 1000)) {
        }
        CHECK_INT(keyspace_memory(ks), 0);
    }
    unsigned kept = 0;
    for (struct slab_lasting *l = ks->slab.lasting; l; l = l->next) kept++;
    CHECK_INT(kept, 3);
    keyspace_free(ks);
}

int main(void) {
    seed = check_seed();
    RUN(tables_change_under_a_reader_without_a_lock);
    RUN(memory_does_not_grow_with_flushes);
    return 0;
}
