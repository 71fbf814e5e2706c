/* merge.h - the queues of all executors, put together to the one stream of changes: RESP that Redis reads as its
 * append-only file, and would send to a replica.
 *
 * Tickets are taken in their order, and since they are dense none is overlooked: where the next one is in no
 * queue yet, it is waited for. The merger alone writes SELECT, and MULTI and EXEC around the records of a
 * ticket that has several. */
#ifndef KEVY_SERVER_JOURNAL_MERGE_H
#define KEVY_SERVER_JOURNAL_MERGE_H

#include "server/journal/queue.h"

struct merge {
    struct record_queue *queues;
    unsigned count;
    unsigned found;    /* the queue that had the last ticket: the next one is there as likely as not */
    uint64_t merged;   /* the last ticket */
    uint32_t db;       /* the database that the stream has selected, or MERGE_NO_DB */
    uint64_t released; /* what both were when the queues gave their records up last */
    uint32_t released_db;
};
enum { MERGE_NO_DB = UINT32_MAX };

/* Begins behind this ticket, with no database selected. */
void merge_open(struct merge *merge, struct record_queue *queues, unsigned count, uint64_t merged);
/* Shows the bytes of the next ticket in their order. False: it is in no queue yet, or it is a cut. One thread. What is shown
 * stays where it is: a piece of many bytes need not be copied. */
bool merge_next(struct merge *merge, void (*piece)(void *context, struct bytes bytes), void *context);
/* Passes tickets from the next one on, and copies their bytes, as long as they are one plain record each, of one queue and
 * of the database that is selected. Returns how many; copy->ticket and copy->db are set here. */
uint64_t merge_copy(struct merge *merge, struct queue_copy *copy);
/* Is the next ticket a cut? Then *name is that of the file into which the stream goes on, or none where it goes nowhere; it
 * stays where it is too. */
bool merge_is_cut(struct merge *merge, struct bytes *name);
/* Passes it: no database is selected behind it. */
void merge_pass_cut(struct merge *merge);
/* What was shown is needed no more. */
void merge_release(struct merge *merge);
/* What was shown since merge_release is shown again. */
void merge_rewind(struct merge *merge);

#endif
