/* journal.h - the one order of all changes, whichever thread makes them: tickets, and who hands them out.
 *
 * Every executor has a queue of its own. A request that changed something takes one ticket at its end, while it still
 * holds the locks of all stripes that it changed: so tickets order changes as the locks did, and any two changes of
 * one key have theirs in the order in which they happened. Tickets are dense, so whoever puts the queues together
 * (merge.h) knows that one is missing yet. tests/models/tickets.pml is a model of this, and changes with it.
 *
 * A journal listens or does not: EAR_JOURNAL in every stripe says so, set under all locks, so that all changes behind
 * one moment are recorded and none before it. */
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

/* The records that the running request has added get the next ticket. Its locks are still held. */
void journal_seal(struct record_queue *queue);

#endif
