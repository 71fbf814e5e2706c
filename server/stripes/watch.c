/* watch.c - the watched keys of one stripe.
 *
 * A chained hash table per stripe, made with the first watch and freed with the last. Records stay where they
 * are, so watchers hold plain pointers. The table grows with its records; where there is no memory to grow,
 * chains get longer and nothing else happens.
 *
 * Invariants:
 *  1. stripe->watches is NULL exactly when no key of the stripe is watched, and stripe->ears says whether it is.
 *  2. A record is in the table exactly as long as its reference count is positive.
 *  3. A version never goes back, so a watcher that sees the version it noted knows that nothing happened between. */
#include "server/stripes/watch.h"

#include <stdlib.h>

#include "protocol/assert.h"

enum { WATCHES_MIN_BUCKETS = 8 };

struct watch {
    struct watch *next;
    uint64_t version;
    uint64_t hash;
    uint32_t references;
    uint32_t db;
    size_t len;
    char name[];
};

struct watches {
    struct watch **buckets;
    size_t mask; /* buckets - 1; a power of two */
    size_t count;
};

/* The low hash bits, as a stripe's keys have the high ones in common. */
static struct watch **bucket_of(struct watches *watches, unsigned db, uint64_t hash) {
    return &watches->buckets[(hash ^ db) & watches->mask];
}

static bool is(const struct watch *watch, unsigned db, struct key key) {
    return watch->hash == key.hash && watch->db == db && bytes_equal(watch_key(watch).name, key.name);
}

static struct watch *find(struct watches *watches, unsigned db, struct key key) {
    struct watch *watch = *bucket_of(watches, db, key.hash);
    while (watch && !is(watch, db, key)) watch = watch->next;
    return watch;
}

static struct watches *watches_new(void) {
    struct watches *watches = malloc(sizeof *watches);
    if (!watches) return NULL;
    *watches = (struct watches){.buckets = calloc(WATCHES_MIN_BUCKETS, sizeof *watches->buckets),
                                .mask = WATCHES_MIN_BUCKETS - 1};
    if (watches->buckets) return watches;
    free(watches);
    return NULL;
}

static void drop_if_empty(struct stripe *stripe) {
    assert(!stripe->watches == !(stripe->ears & EAR_WATCH)); /* 1 */
    if (!stripe->watches || stripe->watches->count) return;
    free(stripe->watches->buckets);
    free(stripe->watches);
    stripe->watches = NULL;
    stripe->ears &= ~(uint32_t)EAR_WATCH;
}

static void insert(struct watches *watches, struct watch *watch) {
    assert((watches->mask & (watches->mask + 1)) == 0);
    struct watch **bucket = bucket_of(watches, watch->db, watch->hash);
    watch->next = *bucket;
    *bucket = watch;
}

static void grow(struct watches *watches) {
    struct watches old = *watches;
    struct watch **buckets = calloc((old.mask + 1) * 2, sizeof(struct watch *));
    if (!buckets) return;
    watches->buckets = buckets;
    watches->mask = old.mask * 2 + 1;
    for (size_t i = 0; i <= old.mask; i++) {
        for (struct watch *watch = old.buckets[i], *next; watch; watch = next) {
            next = watch->next;
            insert(watches, watch);
        }
    }
    free(old.buckets);
}

static struct watch *watch_new(unsigned db, struct key key) {
    struct watch *watch = malloc(sizeof *watch + key.name.len);
    if (!watch) return NULL;
    *watch = (struct watch){.hash = key.hash, .db = db, .len = key.name.len};
    if (key.name.len) memcpy(watch->name, key.name.data, key.name.len);
    return watch;
}

struct watch *watch_acquire(struct stripe *stripe, unsigned db, struct key key) {
    if (!stripe->watches && !(stripe->watches = watches_new())) return NULL;
    stripe->ears |= EAR_WATCH;
    struct watches *watches = stripe->watches;
    struct watch *watch = find(watches, db, key);
    if (!watch) {
        watch = watch_new(db, key);
        if (!watch) {
            drop_if_empty(stripe);
            return NULL;
        }
        if (watches->count > watches->mask) grow(watches);
        insert(watches, watch);
        watches->count++;
    }
    watch->references++;
    assert(watch->references > 0 && watches->count > 0); /* 2 */
    return watch;
}

void watch_release(struct stripe *stripe, struct watch *watch) {
    assert(stripe->watches && watch->references > 0);
    if (--watch->references) return;
    struct watch **link = bucket_of(stripe->watches, watch->db, watch->hash);
    while (*link != watch) {
        assert(*link); /* 2 */
        link = &(*link)->next;
    }
    *link = watch->next;
    free(watch);
    stripe->watches->count--;
    drop_if_empty(stripe);
}

uint64_t watch_version(const struct watch *watch) {
    return watch->version;
}

unsigned watch_db(const struct watch *watch) {
    return watch->db;
}

struct key watch_key(const struct watch *watch) {
    return (struct key){{watch->name, watch->len}, watch->hash};
}

void watch_touch(struct stripe *stripe, unsigned db, struct key key) {
    struct watch *watch = stripe->watches ? find(stripe->watches, db, key) : NULL;
    if (watch) watch->version++;
}

static bool exists(const struct stripe *stripe, unsigned db, const struct watch *watch, int64_t now_ms) {
    const struct entry *e = keyspace_find(stripe->keyspace, db, watch_key(watch));
    return e && !keyspace_is_over(e, now_ms);
}

void watch_each(const struct stripe *stripe, void (*each)(void *context, unsigned db, struct key key),
                void *context) {
    if (!stripe->watches) return;
    for (size_t i = 0; i <= stripe->watches->mask; i++)
        for (const struct watch *watch = stripe->watches->buckets[i]; watch; watch = watch->next)
            each(context, watch->db, watch_key(watch));
}

void watch_touch_flush(struct stripe *stripe, unsigned db, int64_t now_ms) {
    if (!stripe->watches) return;
    for (size_t i = 0; i <= stripe->watches->mask; i++)
        for (struct watch *watch = stripe->watches->buckets[i]; watch; watch = watch->next)
            if (watch->db == db && exists(stripe, db, watch, now_ms)) watch->version++;
}

void watch_touch_swap(struct stripe *stripe, unsigned a, unsigned b, int64_t now_ms) {
    if (!stripe->watches || a == b) return;
    for (size_t i = 0; i <= stripe->watches->mask; i++)
        for (struct watch *watch = stripe->watches->buckets[i]; watch; watch = watch->next)
            if ((watch->db == a || watch->db == b) &&
                (exists(stripe, a, watch, now_ms) || exists(stripe, b, watch, now_ms)))
                watch->version++;
}
