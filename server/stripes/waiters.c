/* waiters.c - the keys of one stripe that clients wait for.
 *
 * A chained hash table per stripe, made with the first waiter and freed with the last. Records stay where they are, so
 * links hold plain pointers. The table grows with its records; where there is no memory to grow, chains get longer.
 *
 * Invariants:
 *  1. stripe->waiters is NULL exactly when it has no record, and stripe->ears says so.
 *  2. A record is in the table as long as somebody waits for its key, or it is ready or being served.
 *  3. reach_counts[i] is the number of links of this stripe whose waiters push to stripe i; `reach` has the stripes with a
 *     count above 0, `movers` is the sum of all, and EAR_MOVERS says whether that is above 0. */
#include "server/stripes/waiters.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "protocol/assert.h"

enum { WAITERS_MIN_BUCKETS = 8 };

struct waiting_key {
    struct waiting_key *next;         /* in its bucket */
    struct waiter_link *first, *last; /* who waits, in order of arrival */
    struct waiting_key *ready_next;   /* in a queue of ready keys */
    uint64_t hash;
    uint32_t db;
    bool ready, taken; /* in such a queue; being served */
    size_t len;
    char name[];
};

struct waiters {
    struct waiting_key **buckets;
    size_t mask; /* buckets - 1; a power of two */
    size_t count;
    uint32_t *reach_counts; /* of all stripes; NULL until the first mover */
    uint64_t movers;
    struct stripe_set reach;
};

/* Waits for keys of each type, in all stripes. */
static _Atomic uint32_t waits_of_type[UINT8_MAX + 1];

void waiters_begun(uint8_t type) {
    atomic_fetch_add_explicit(&waits_of_type[type], 1, memory_order_relaxed);
}

void waiters_over(uint8_t type) {
    uint32_t before = atomic_fetch_sub_explicit(&waits_of_type[type], 1, memory_order_relaxed);
    assert(before > 0);
}

bool waiters_any(uint8_t type) {
    return atomic_load_explicit(&waits_of_type[type], memory_order_relaxed) > 0;
}

/* ---- The table ------------------------------------------------------------------------------------ */

struct key waiters_key(const struct waiting_key *waiting) {
    return (struct key){{waiting->name, waiting->len}, waiting->hash};
}

unsigned waiters_db(const struct waiting_key *waiting) {
    return waiting->db;
}

struct waiter_link *waiters_first(const struct waiting_key *waiting) {
    return waiting->first;
}

/* The low hash bits, as a stripe's keys have the high ones in common. */
static struct waiting_key **bucket_of(const struct waiters *waiters, unsigned db, uint64_t hash) {
    return &waiters->buckets[(hash ^ db) & waiters->mask];
}

static struct waiting_key *find(const struct waiters *waiters, unsigned db, struct key key) {
    struct waiting_key *waiting = *bucket_of(waiters, db, key.hash);
    while (waiting && !(waiting->hash == key.hash && waiting->db == db &&
                        bytes_equal(waiters_key(waiting).name, key.name)))
        waiting = waiting->next;
    return waiting;
}

static void insert(struct waiters *waiters, struct waiting_key *waiting) {
    struct waiting_key **bucket = bucket_of(waiters, waiting->db, waiting->hash);
    assert((waiters->mask & (waiters->mask + 1)) == 0);
    waiting->next = *bucket;
    *bucket = waiting;
}

static void grow(struct waiters *waiters) {
    struct waiters old = *waiters;
    struct waiting_key **buckets = calloc((old.mask + 1) * 2, sizeof(struct waiting_key *));
    if (!buckets) return;
    waiters->buckets = buckets;
    waiters->mask = old.mask * 2 + 1;
    for (size_t i = 0; i <= old.mask; i++) {
        for (struct waiting_key *waiting = old.buckets[i], *next; waiting; waiting = next) {
            next = waiting->next;
            insert(waiters, waiting);
        }
    }
    free(old.buckets);
}

static bool open_table(struct stripe *stripe) {
    if (stripe->waiters) return true;
    struct waiters *waiters = calloc(1, sizeof *waiters);
    if (!waiters) return false;
    waiters->buckets = calloc(WAITERS_MIN_BUCKETS, sizeof *waiters->buckets);
    waiters->mask = WAITERS_MIN_BUCKETS - 1;
    if (!waiters->buckets) {
        free(waiters);
        return false;
    }
    stripe->waiters = waiters;
    stripe->ears |= EAR_WAITERS;
    return true;
}

static void close_if_empty(struct stripe *stripe) {
    struct waiters *waiters = stripe->waiters;
    assert(!waiters == !(stripe->ears & EAR_WAITERS)); /* 1 */
    if (!waiters || waiters->count) return;
    assert(waiters->movers == 0 && !(stripe->ears & EAR_MOVERS)); /* 3 */
    free(waiters->buckets);
    free(waiters->reach_counts);
    free(waiters);
    stripe->waiters = NULL;
    stripe->ears &= ~(uint32_t)EAR_WAITERS;
}

static struct waiting_key *waiting_new(struct waiters *waiters, unsigned db, struct key key) {
    struct waiting_key *waiting = malloc(sizeof *waiting + key.name.len);
    if (!waiting) return NULL;
    *waiting = (struct waiting_key){.hash = key.hash, .db = db, .len = key.name.len};
    if (key.name.len) memcpy(waiting->name, key.name.data, key.name.len);
    if (waiters->count > waiters->mask) grow(waiters);
    insert(waiters, waiting);
    waiters->count++;
    return waiting;
}

static void drop_if_unused(struct waiting_key *waiting) {
    struct stripe *stripe = stripe_of(waiting->hash);
    if (waiting->first || waiting->ready || waiting->taken) return; /* 2 */
    struct waiting_key **at = bucket_of(stripe->waiters, waiting->db, waiting->hash);
    while (*at != waiting) {
        assert(*at); /* 2 */
        at = &(*at)->next;
    }
    *at = waiting->next;
    free(waiting);
    assert(stripe->waiters->count > 0);
    stripe->waiters->count--;
    close_if_empty(stripe);
}

/* ---- Reach ---------------------------------------------------------------------------------------- */

/* The stripe that serving this link takes beside its own, or STRIPE_NONE. */
static unsigned target_beside(const struct stripe *stripe, const struct waiter *waiter) {
    return waiter->target == (unsigned)(stripe - stripes.all) ? STRIPE_NONE : waiter->target;
}

static bool count_mover(struct stripe *stripe, const struct waiter *waiter) {
    struct waiters *waiters = stripe->waiters;
    unsigned target = target_beside(stripe, waiter);
    if (target == STRIPE_NONE) return true;
    assert(target < stripes.count);
    if (!waiters->reach_counts) waiters->reach_counts = calloc(stripes.count, sizeof *waiters->reach_counts);
    if (!waiters->reach_counts) return false;
    if (waiters->reach_counts[target]++ == 0) stripe_set_add(&waiters->reach, target);
    if (waiters->movers++ == 0) stripe->ears |= EAR_MOVERS;
    return true;
}

static void uncount_mover(struct stripe *stripe, const struct waiter *waiter) {
    struct waiters *waiters = stripe->waiters;
    unsigned target = target_beside(stripe, waiter);
    if (target == STRIPE_NONE) return;
    assert(waiters->movers > 0 && waiters->reach_counts[target] > 0); /* 3 */
    if (--waiters->reach_counts[target] == 0) stripe_set_remove(&waiters->reach, target);
    if (--waiters->movers == 0) stripe->ears &= ~(uint32_t)EAR_MOVERS;
}

void waiters_reach(const struct stripe_set *set, struct stripe_set *more) {
    for (unsigned word = 0; word < MAX_STRIPES / 64; word++) {
        for (uint64_t bits = set->words[word]; bits; bits &= bits - 1) {
            const struct stripe *stripe = &stripes.all[word * 64 + (unsigned)__builtin_ctzll(bits)];
            if (stripe->ears & EAR_MOVERS) stripe_set_join(more, &stripe->waiters->reach);
        }
    }
}

/* ---- Links ---------------------------------------------------------------------------------------- */

static void append(struct waiting_key *waiting, struct waiter_link *link) {
    link->key = waiting;
    link->next = NULL;
    link->prev = waiting->last;
    if (waiting->last)
        waiting->last->next = link;
    else
        waiting->first = link;
    waiting->last = link;
}

bool waiters_link(struct stripe *stripe, unsigned db, struct key key, struct waiter_link *link) {
    assert(!link->key && stripe == stripe_of(key.hash));
    if (!open_table(stripe)) return false;
    struct waiting_key *waiting = find(stripe->waiters, db, key);
    if (waiting && waiting->last && waiting->last->waiter == link->waiter) return true;
    if (!waiting) waiting = waiting_new(stripe->waiters, db, key);
    if (!waiting) {
        close_if_empty(stripe);
        return false;
    }
    if (!count_mover(stripe, link->waiter)) {
        drop_if_unused(waiting);
        return false;
    }
    append(waiting, link);
    return true;
}

void waiters_unlink(struct waiter_link *link) {
    struct waiting_key *waiting = link->key;
    assert(waiting && (link->prev ? link->prev->next : waiting->first) == link);
    if (link->prev)
        link->prev->next = link->next;
    else
        waiting->first = link->next;
    if (link->next)
        link->next->prev = link->prev;
    else
        waiting->last = link->prev;
    link->next = link->prev = NULL;
    link->key = NULL;
    uncount_mover(stripe_of(waiting->hash), link->waiter);
    drop_if_unused(waiting);
}

/* ---- Ready keys ----------------------------------------------------------------------------------- */

/* The stripe is not given back before somebody has looked at the queue. */
static void make_ready(struct stripe *stripe, struct ready *ready, struct waiting_key *waiting) {
    if (waiting->ready) return;
    waiting->ready = true;
    waiting->ready_next = NULL;
    if (ready->last)
        ready->last->ready_next = waiting;
    else
        ready->first = waiting;
    ready->last = waiting;
    keyspace_call_back(stripe->keyspace);
}

void waiters_ready(struct stripe *stripe, struct ready *ready, unsigned db, struct key key) {
    struct waiting_key *waiting = stripe->waiters ? find(stripe->waiters, db, key) : NULL;
    if (waiting) make_ready(stripe, ready, waiting);
}

void waiters_ready_all(struct stripe *stripe, struct ready *ready, unsigned a, unsigned b) {
    if (!stripe->waiters) return;
    for (size_t i = 0; i <= stripe->waiters->mask; i++)
        for (struct waiting_key *waiting = stripe->waiters->buckets[i]; waiting; waiting = waiting->next)
            if (waiting->db == a || waiting->db == b) make_ready(stripe, ready, waiting);
}

struct waiting_key *waiters_take(struct ready *ready) {
    struct waiting_key *waiting = ready->first;
    if (!waiting) return NULL;
    assert(waiting->ready && !waiting->taken);
    ready->first = waiting->ready_next;
    if (!ready->first) ready->last = NULL;
    waiting->ready = false;
    waiting->taken = true;
    return waiting;
}

void waiters_join(struct ready *ready, const struct ready *more) {
    if (!more->first) return;
    assert(more->last && more->first->ready);
    if (ready->last)
        ready->last->ready_next = more->first;
    else
        ready->first = more->first;
    ready->last = more->last;
}

void waiters_taken(struct waiting_key *waiting) {
    assert(waiting->taken);
    waiting->taken = false;
    drop_if_unused(waiting);
}
