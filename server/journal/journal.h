/* journal.h - the one order of all changes, whichever thread makes them: tickets, and who hands them out.
 *
 * Every executor has a queue of its own. A request that changed something takes one ticket at its end, while it still
 * holds the locks of all stripes that it changed: so tickets order changes as the locks did, and any two changes of
 * one key have theirs in the order in which they happened. Tickets are dense, so whoever puts the queues together
 * (merge.h) knows that one is missing yet. tests/models/tickets.pml is a model of this, and changes with it.
 *
 * A journal listens or does not: EAR_JOURNAL in every stripe says so, set under all locks, so that all changes behind
 * one moment are recorded and none before it.
 *
 * What may be shown is a ticket too: whatever a reply or a message shows was changed by some ticket, and where the journal
 * holds (appendfsync always) it leaves when that one is safe, which is to say on the disk. */
#ifndef KEVY_SERVER_JOURNAL_JOURNAL_H
#define KEVY_SERVER_JOURNAL_JOURNAL_H

#include "server/journal/queue.h"

/* Queues for so many executors. To be called before these are opened. False without memory. */
bool journal_open(unsigned executors) __attribute__((warn_unused_result));
/* No executor runs any more. Records that are left are dropped. */
void journal_close(void);

/* The queue of an executor; NULL where no journal is open. */
struct record_queue *journal_queue(unsigned executor);
unsigned journal_queue_count(void);

/* Changes are recorded from now on, or no longer. Needs no lock held. Executors that have a queue look whether their stripes
 * are listened to, at each request; those without one must not run. */
void journal_listen(void);
void journal_ignore(void);
/* The same, by whoever holds all stripes. */
void journal_switch(bool on);

/* A ticket for the running request before its end, for what must be told now; its locks are held, and it has changed
 * something, or is about to. Whoever merges waits for its records, so it is to be sealed with this ticket, and soon. */
uint64_t journal_take(void);
/* The records that the running request has added get this ticket of its own, or with 0 the next one, which is returned. Its
 * locks are still held. */
uint64_t journal_seal(struct record_queue *queue, uint64_t ticket);

/* ---- What may be shown ---------------------------------------------------------------------------- */

/* Each on a line of its own: all executors write the one, the thread that writes the file the other. */
struct journal_progress {
    _Atomic bool listens, holds;
    _Atomic uint64_t next __attribute__((aligned(64)));
    _Atomic uint64_t safe __attribute__((aligned(64)));
};
extern struct journal_progress journal_progress;

/* The last ticket that was given, 0 before the first; and the last one that may be shown, as may all before it. */
static inline uint64_t journal_next(void) {
    return atomic_load_explicit(&journal_progress.next, memory_order_acquire);
}
static inline uint64_t journal_safe(void) {
    return atomic_load_explicit(&journal_progress.safe, memory_order_seq_cst);
}

/* Do replies wait until what they show may be shown? As long as a stripe's lock is held the answer stays the same. */
static inline bool journal_holds(void) {
    return atomic_load_explicit(&journal_progress.holds, memory_order_relaxed);
}
/* They do from now on, or no longer. What was changed before counts as changed by the last ticket. Needs no lock held. */
void journal_hold(bool on);
/* The same, by whoever holds all stripes. */
void journal_switch_hold(bool on);
/* Are changes recorded? As long as a stripe's lock is held the answer stays the same. */
static inline bool journal_listens(void) {
    return atomic_load_explicit(&journal_progress.listens, memory_order_relaxed);
}

/* All up to this ticket may be shown: called by the one thread that writes the journal, when it is on the disk, also where
 * nothing is held. Wakes the shards that sleep and await it, and no others. */
void journal_publish(uint64_t ticket);

#endif
