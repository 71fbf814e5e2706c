/* effect.h - the one place where a change is felt, and the time at which it is made.
 *
 * Whoever changes a key, a command or the passing of time, says so with an effect, the stripe's lock held. It is
 * counted, and told to whoever listens to the stripe: its ears (server/stripes/stripes.h) are one word beside the
 * lock, so where nobody listens an effect costs one test.
 *
 * To add an ear: a bit in enum ear, set and cleared under the lock, and a line in effect_heard. */
#ifndef KEVY_SERVER_CALL_EFFECT_H
#define KEVY_SERVER_CALL_EFFECT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/clients/invalidation.h"
#include "server/journal/journal.h"
#include "server/report/metrics.h"
#include "server/stripes/stripes.h"
#include "server/stripes/waiters.h"

struct wakes;

/* Redis's keyspace events: EVENT_SET and so on. */
enum event {
    EVENT_NONE,
#define EVENT(id, class, name) EVENT_##id,
#include "server/call/events.def"
#undef EVENT
};

enum effect_kind {
    EFFECT_CREATED, /* the key was not there; how it changed is said next */
    EFFECT_CHANGED, /* its value, its expiry, or both */
    EFFECT_DELETED,
    EFFECT_MOVED,   /* it is under another name, or in another database, now; that it arrived is said next */
    EFFECT_EVENT,   /* one more event of a key whose change has been told of */
    EFFECT_EXPIRED, /* its time has come */
    EFFECT_ELEMENT_EXPIRED, /* that of an element of its value has; that there were some is said next */
    EFFECT_MISSED,          /* who read it did not find it */
    EFFECT_FLUSHED,         /* the stripe's part of a database is about to be emptied */
    EFFECT_SWAPPED,         /* two databases are about to change places */
};

struct effect {
    enum effect_kind kind;
    enum event event; /* or EVENT_NONE */
    unsigned db;
    unsigned other_db; /* SWAPPED: it changes places with `db` */
    struct key key;    /* not for FLUSHED and SWAPPED */
    uint64_t count;    /* changes, as Redis counts them */
    struct bytes name; /* ELEMENT_EXPIRED: of the element */
};

/* One for each executor: its commands share it through their calls. */
struct effects {
    uint64_t changes; /* so far, as Redis counts them: by keys, mostly */
    int64_t now_ms;   /* Unix time of whatever runs: of a batch, until a command of it has taken long */
    /* 0; or a file is run: Unix time. now_ms is 0 then, for what the file does not delete is there, whatever its expiry. */
    int64_t replay_ms;
    bool
        keeps_expired; /* CLIENT PAUSE is on: keys whose time has come are not there, but are not deleted either */
    bool starved;      /* a command has found no memory; who wants to know sets it back */
    bool
        walks; /* a command gives stripes back before it ends: where somebody waits, what it finds due is left to upkeep */
    struct metrics *metrics;      /* of this executor */
    struct record_queue *journal; /* where its changes are recorded; NULL: no journal is open */
    uint64_t recorded;            /* as `changes`, of those that a journal listened to */
    struct ready ready;           /* keys that were created, and that somebody waits for */
    struct invalidator tracking;  /* who is to be told that what he has read is no longer valid */
    struct wakes *wakes; /* shards that have been sent something, to be woken by the loop: clients/post.h */
};

/* The two halves of effect: the one that everybody pays, which is false where nobody listens, and the other one. */
static inline bool effect_count(struct effects *x, struct stripe *stripe, uint64_t count) {
    stripe->changes += count;
    x->changes += count;
    return __builtin_expect(stripe->ears != 0, 0);
}
void effect_heard(struct effects *x, struct stripe *stripe, const struct effect *e);

/* Counts an effect and tells of it. */
static inline void effect(struct effects *x, struct stripe *stripe, const struct effect *e) {
    if (effect_count(x, stripe, e->count)) effect_heard(x, stripe, e);
}

/* Events are published from now on, or no longer, as notify-keyspace-events says. Either all stripes are locked, or there
 * are no threads yet to use them. */
void effects_publish(void);

/* Stripes tell of all changes while somebody wants to know of prefixes (CLIENT TRACKING BCAST). All stripes are locked. */
void effects_broadcast(void);

struct tracked;
/* Tells those who have read this key, which was taken out of the stripe's table, and frees it. */
void effects_invalidate(struct effects *x, struct stripe *stripe, struct tracked *tracked);

/* Takes changes back that were counted: not what was done, for Redis counts some of it as none. */
static inline void effect_uncount(struct effects *x, struct stripe *stripe, uint64_t count) {
    stripe->changes -= count;
    x->changes -= count;
}

/* What was recorded happened at once, up to here: a request has ended, or a key has expired by itself. To be called before
 * any lock is given back. */
static inline void effects_end(struct effects *x) {
    if (x->journal && queue_is_open(x->journal)) (void)journal_seal(x->journal, 0);
}

/* The time of this entry, or of elements of its value, has come, and what is overdue is about to be deleted: by a command
 * that looked for it, or by upkeep. As keyspace_expired says it. */
void effect_expired(struct effects *x, struct stripe *stripe, const struct expired *what);

#endif
