/* stripes.h - the keyspace, cut into stripes, and the ordered locks on them.
 *
 * A key's hash names its stripe. A command holds the locks of all its keys' stripes while it runs, taken in
 * ascending order, so any set of keys can be changed atomically by any thread and no two threads wait for
 * each other in a ring (server/lock_order.h has the order of all locks). With one shard there is one stripe and
 * no lock is ever taken. */
#ifndef KEVY_SERVER_STRIPES_STRIPES_H
#define KEVY_SERVER_STRIPES_STRIPES_H

#include <stddef.h>
#include <stdint.h>

#include "protocol/assert.h"
#include "server/limits.h"
#include "server/lock_order.h"
#include "store/change.h"
#include "store/values/load.h"

/* Who wants to be told what happens to the keys of a stripe (server/call/effect.h). */
enum ear {
    EAR_WATCH = 1 << 0,   /* some of them are watched */
    EAR_JOURNAL = 1 << 1, /* every change is recorded: server/journal/journal.h. In all stripes or in none */
    EAR_WAITERS = 1 << 2, /* clients wait for some of them: server/stripes/waiters.h */
    EAR_EVENTS = 1 << 4,  /* events are published: notify-keyspace-events. In all stripes or in none */
    EAR_TRACKED = 1 << 5, /* clients have read some of them and want to know: server/stripes/tracking.h */
    EAR_BROADCAST = 1 << 6, /* clients want to know of keys with some prefix: CLIENT TRACKING BCAST */
    EAR_MOVERS =
        1
        << 3, /* no ear, but it stands where all look: some of those wait to push to keys of other stripes */
};

struct wakes;    /* server/clients/post.h */
struct watches;  /* keys of this stripe that somebody WATCHes: server/stripes/watch.h */
struct waiters;  /* keys of this stripe that somebody waits for: server/stripes/waiters.h */
struct tracking; /* keys of this stripe that clients have read: server/stripes/tracking.h */

/* Which change of a stripe was the last, by tickets of the journal (server/journal/journal.h): under the lock, and
 * written only while replies wait for the disk. Keys share a mark, by bits of their hashes: a reader may wait for
 * another key too. */
enum { STRIPE_MARKS = 64 };
struct stripe_marks {
    uint64_t newest; /* of all */
    uint64_t last[STRIPE_MARKS];
};

/* What a lookup reads, and what every command writes, lie in different cache lines: the lock's line moves from CPU to
 * CPU, the other one stays with all of them. */
struct stripe {
    struct keyspace *keyspace;
    struct watches *watches;                    /* NULL while nothing is watched */
    struct waiters *waiters;                    /* NULL while nobody waits */
    struct tracking *tracking;                  /* NULL while nobody tracks any of them */
    struct stripe_marks *marks;                 /* one of stripes.marks */
    struct tracked_buckets *tracked;            /* of its table; once made they stay */
    unsigned owner;                             /* the shard that looks after it: expiry, upkeep */
    uint32_t lock __attribute__((aligned(64))); /* futex: 0 free, 1 held */
    uint32_t waited;                            /* somebody may sleep until the lock is free */
    uint32_t ears;                              /* EAR_*, under the lock */
    uint64_t changes; /* keys changed since start, under the lock: rdb_changes_since_last_save */
} __attribute__((aligned(128)));
_Static_assert(
    offsetof(struct stripe, lock) == 64 && sizeof(struct stripe) == 128,
    "what every command writes shares no cache line with what lookups read, nor with the next stripe");

struct stripes {
    struct stripe *all;
    unsigned count; /* power of two */
    bool locking;   /* more than one shard, or one and a thread that loads beside it */
    struct hash_seed seed;
    struct heaps *heaps; /* for large values with elements: one a shard, for the stripes that it owns */
    struct stripe_marks *marks; /* of all; no memory until they are written */
};
extern struct stripes
    stripes; /* made before the first thread starts, then only read, but for stripes_settle */

/* DEBUG SET-ACTIVE-EXPIRE: 0 leaves expired keys to whoever looks at them. */
extern _Atomic int stripes_active_expire;

enum { STRIPE_NONE = MAX_STRIPES }; /* as a stripe's number: none */

/* A set of stripes, to be locked together. */
struct stripe_set {
    uint64_t words[MAX_STRIPES / 64];
};

static inline unsigned stripe_index(uint64_t hash) {
    return (unsigned)(hash >> HASH_STRIPE_SHIFT) & (stripes.count - 1);
}
static inline struct stripe *stripe_of(uint64_t hash) {
    return &stripes.all[stripe_index(hash)];
}
static inline bool stripe_set_has(const struct stripe_set *set, unsigned index) {
    return set->words[index / 64] >> (index % 64) & 1;
}
/* Is every stripe of `part` one of `whole`? */
static inline bool stripe_set_within(const struct stripe_set *part, const struct stripe_set *whole) {
    uint64_t rest = 0;
    for (unsigned i = 0; i < MAX_STRIPES / 64; i++) rest |= part->words[i] & ~whole->words[i];
    return !rest;
}
static inline void stripe_set_join(struct stripe_set *set, const struct stripe_set *more) {
    for (unsigned i = 0; i < MAX_STRIPES / 64; i++) set->words[i] |= more->words[i];
}
static inline void stripe_set_add(struct stripe_set *set, unsigned index) {
    debug_assert(index < stripes.count);
    set->words[index / 64] |= 1ull << (index % 64);
}
static inline void stripe_set_remove(struct stripe_set *set, unsigned index) {
    debug_assert(index < stripes.count);
    set->words[index / 64] &= ~(1ull << (index % 64));
}
void stripe_set_add_all(struct stripe_set *set);

/* 0 or a negative errno: -ENOMEM, or why there is no randomness for the seed. */
int stripes_open(unsigned shards, unsigned databases) __attribute__((warn_unused_result));
/* Before the first shard runs: another thread is to change stripes beside them, and even a single shard takes locks. */
void stripes_share(void);
/* That thread has come to its end. Called by a single shard itself, while it holds no lock: it needs none from now on. */
void stripes_settle(void);
/* Bytes of keys and small values that there are addresses for: a terabyte, less under a limit on address space. */
uint64_t stripes_room(void);
void stripes_close(void);

/* How values are loaded into a keyspace: with the thresholds that are configured, strings of at most `max_bytes`. */
struct load_options stripes_load_options(struct keyspace *ks, uint64_t max_bytes);

void stripe_lock_slow(struct stripe *stripe);
void stripe_unlock_slow(struct stripe *stripe);

static inline void stripe_lock(struct stripe *stripe) {
    uint32_t free = 0;
    if (!stripes.locking) return;
    LOCK_TAKES(LOCK_STRIPES + (unsigned)(stripe - stripes.all));
    if (!__atomic_compare_exchange_n(&stripe->lock, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        stripe_lock_slow(stripe);
}
static inline void stripe_unlock(struct stripe *stripe) {
    debug_assert(!keyspace_news(stripe->keyspace)); /* else stripe_leave */
    if (!stripes.locking) return;
    debug_assert(__atomic_load_n(&stripe->lock, __ATOMIC_RELAXED)); /* held */
    __atomic_store_n(&stripe->lock, 0, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* stripes.c: what the CPU may do, the compiler may not */
    if (__builtin_expect(__atomic_load_n(&stripe->waited, __ATOMIC_RELAXED) != 0, 0))
        stripe_unlock_slow(stripe);
    LOCK_GIVES(LOCK_STRIPES + (unsigned)(stripe - stripes.all));
}
void stripe_set_lock(const struct stripe_set *set);
void stripe_set_unlock(const struct stripe_set *set);

/* Which mark of its stripe a key has. */
static inline unsigned stripe_mark(uint64_t hash) {
    return (unsigned)(hash >> HASH_TAG_SHIFT) & (STRIPE_MARKS - 1);
}
/* Everything in it was changed by this ticket, if not by a later one. */
void stripe_mark_all(struct stripe *stripe, uint64_t ticket);

/* Tells the owner when its stripe is to be looked at, for the keyspace has news. Needs the lock. */
void stripe_announce(struct stripe *stripe, struct wakes *wakes, int64_t now_ms);
/* Gives the lock back, for whoever may have changed the stripe: its owner may sleep, and must hear of an earlier
 * expiry and of memory to free. */
static inline void stripe_leave(struct stripe *stripe, struct wakes *wakes, int64_t now_ms) {
    if (__builtin_expect(keyspace_news(stripe->keyspace), 0)) stripe_announce(stripe, wakes, now_ms);
    stripe_unlock(stripe);
}
void stripe_set_leave(const struct stripe_set *set, struct wakes *wakes, int64_t now_ms);

#endif
