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
#include "server/clients/post.h"
#include "server/journal/journal.h"
#include "server/report/metrics.h"
#include "server/stripes/stripes.h"
#include "server/stripes/waiters.h"

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
    bool due;          /* time alone has done it: said by effect_expired */
};

/* Marks of stripes (server/stripes/stripes.h) that the running request has changed: a bit each. */
struct changed_marks {
    struct stripe_set stripes; /* of which any bit is set */
    uint64_t marks[MAX_STRIPES];
};

/* One for each executor: its commands share it through their calls. */
struct effects {
    uint64_t changes; /* so far, as Redis counts them: by keys, mostly */
    int64_t now_ms;   /* Unix time of whatever runs: of a batch, until a command of it has taken long */
    uint32_t access;  /* the same as entries note it: effects_set_time */
    /* 0; or a file is run: Unix time. now_ms is 0 then, for what the file does not delete is there, whatever its expiry. */
    int64_t replay_ms;
    bool
        keeps_expired; /* CLIENT PAUSE is on: keys whose time has come are not there, but are not deleted either */
    uint8_t
        rewrite_said; /* what BGREWRITEAOF has said in the EXEC that runs (commands/appendonly.c); 0: nothing */
    bool starved;     /* a command has found no memory; who wants to know sets it back */
    bool
        walks; /* a command gives stripes back before it ends: where somebody waits, what it finds due is left to upkeep */
    struct metrics *metrics;      /* of this executor */
    struct record_queue *journal; /* where its changes are recorded; NULL: no journal is open */
    uint64_t recorded;            /* as `changes`, of those that a journal listened to */
    uint32_t overdue; /* records of the running request that say only that something has expired */
    uint64_t ticket;  /* of the running request, where that was taken before its end: effects_claim; else 0 */
    struct changed_marks changed; /* while replies wait for the disk: they get the request's ticket */
    struct ready ready;           /* keys that were created, and that somebody waits for */
    struct invalidator tracking;  /* who is to be told that what he has read is no longer valid */
    struct wakes *wakes; /* shards that have been sent something, to be woken by the loop: clients/post.h */
};

/* now_ms, and what follows from it; once replay_ms is known. */
static inline void effects_set_time(struct effects *x, int64_t now_ms) {
    x->now_ms = now_ms;
    x->access = (uint32_t)((uint64_t)(now_ms + x->replay_ms) / 1000) & 0xffffff;
}

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
void effects_seal(struct effects *x);
static inline void effects_end(struct effects *x) {
    if (x->journal && (queue_is_open(x->journal) || x->ticket)) effects_seal(x);
}

/* ---- What is shown -------------------------------------------------------------------------------- */

/* Where replies wait for the disk (journal_holds), whatever leaves an executor carries a ticket: what it shows was
 * changed by that one, or before. It is gathered in wakes->shows while the locks are held: of each key that was
 * read, the mark of its stripe, and of what was changed, the request's own ticket. That something has expired needs no
 * ticket to be shown, only those of what gave it its time: after a crash it has expired too, recorded or not, unless the
 * clock was set back meanwhile. */

/* Somebody is to be told of the running request before its end, and it has changed something, or is about to: it takes
 * its ticket now. Nothing where no reply waits. */
void effects_claim(struct effects *x);
/* The same, if it has changed something already. */
void effects_claim_changed(struct effects *x);
/* The same, whether replies wait or not. */
void effects_number(struct effects *x);
/* All that is in this stripe may have been shown; or, a key of that hash. The stripe is locked. */
void effects_show_stripe(struct effects *x, const struct stripe *stripe);
static inline void effects_show_key(struct effects *x, uint64_t hash) {
    wakes_show(x->wakes, stripe_of(hash)->marks->last[stripe_mark(hash)]);
}
/* A key of that hash was changed, or may have been. */
static inline void effects_mark(struct effects *x, uint64_t hash) {
    unsigned stripe = stripe_index(hash);
    stripe_set_add(&x->changed.stripes, stripe);
    x->changed.marks[stripe] |= 1ull << stripe_mark(hash);
}
/* So was every key of the stripe. */
void effects_mark_stripe(struct effects *x, const struct stripe *stripe);

/* The time of this entry, or of elements of its value, has come, and what is overdue is about to be deleted: by a command
 * that looked for it, or by upkeep. As keyspace_expired says it. */
void effect_expired(struct effects *x, struct stripe *stripe, const struct expired *what);

#endif
