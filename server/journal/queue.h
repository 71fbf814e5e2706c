/* queue.h - the records of one executor, in the order in which it made them: one thread adds, another takes.
 *
 *     queue_add      while a command runs: a record, or several. Nobody sees them yet
 *     queue_seal     its locks still held: they get the ticket, and are there to be taken
 *
 * Records lie in chunks, which the adding thread allocates and the taking one hands back or frees: memory that went back to
 * the kernel would cost a page fault for each of its pages when it comes again. A change that was made cannot be unmade:
 * where there is no memory for its record, a reserve is used, which is made before commands run; a request that needs more
 * than this ends the process.
 *
 * Invariants:
 *   1. Records from `taken` up to `sealed`, by number, are the taking thread's; those behind are the adding thread's,
 *      which touches no others.
 *   2. A chunk is `closed` before a record of the next one is sealed, and then all its records end there.
 *   3. Records of one ticket follow each other; all but the last have `more`.
 *   4. What is spare has the usual size and is in no other use; the places of `spares` are filled and emptied in their
 *      order.
 *   5. Of the taking thread's, those before `passed` were looked at, and stay until they are released: first..look are
 *      their chunks. */
#ifndef KEVY_SERVER_JOURNAL_QUEUE_H
#define KEVY_SERVER_JOURNAL_QUEUE_H

#include <stdatomic.h>

#include "server/journal/record.h"

enum {
    QUEUE_CHUNK_BYTES = 64 << 10,  /* a larger record has a chunk of its own size */
    QUEUE_RESERVE_BYTES = 1 << 20, /* of the reserve */
    QUEUE_SPARES = 16,             /* chunks that are kept to be used again; a power of two */
};

struct queue_chunk;

struct record_queue {
    /* The adding thread's. */
    struct queue_chunk *last; /* NULL before the first record */
    size_t used;              /* bytes of `last`, those of open records included */
    struct record *open;      /* the first open record: one that is added, and not sealed */
    struct queue_chunk *open_chunk;
    uint32_t open_count;
    uint64_t told;                /* what `sealed` was at queue_take_news */
    uint32_t spares_used;         /* so far; both go round */
    struct queue_chunk *reserve;  /* NULL: used up */
    _Atomic uint64_t bytes_added; /* of chunks and blocks, since the beginning */
    /* How many records were sealed. */
    _Atomic uint64_t sealed __attribute__((aligned(64)));
    /* The taking thread's. */
    struct queue_chunk *first
        __attribute__((aligned(64))); /* set by the adding thread, before the first record is sealed */
    size_t at;
    uint64_t taken;
    struct queue_chunk *look; /* NULL before the first record */
    size_t look_at;
    uint64_t passed, seen;        /* numbers: looked at so far, and `sealed` when it was read last */
    uint32_t blocks;              /* of those that were passed and not released */
    _Atomic uint64_t bytes_freed; /* as bytes_added */
    /* Chunks on their way back: the taking thread stores those that are NULL, the adding thread takes the others. */
    uint32_t spares_given;
    _Atomic(struct queue_chunk *) spares[QUEUE_SPARES] __attribute__((aligned(64)));
};

/* False without memory for the reserve. The queue is zeroed. */
bool queue_open(struct record_queue *queue) __attribute__((warn_unused_result));
/* Neither thread uses it any more. Records that are left are dropped. */
void queue_close(struct record_queue *queue);

/* ---- The adding thread ---------------------------------------------------------------------------- */

/* Before a batch runs: makes the reserve again if it was used, and if there is memory. */
void queue_prepare(struct record_queue *queue);
/* Adds this command as a change of database `db`. Its bytes are copied, its blocks are not. */
void queue_add(struct record_queue *queue, uint32_t db, const struct record_command *command);
/* The same of a command that is RESP already. */
void queue_add_text(struct record_queue *queue, uint32_t db, struct bytes text);
static inline bool queue_is_open(const struct record_queue *queue) {
    return queue->open_count > 0;
}
/* Adds what is no change: from this record on the stream goes into another file, with that name; none: nowhere. It has a
 * ticket of its own. */
void queue_add_cut(struct record_queue *queue, struct bytes name);
/* What was added since the last seal, one record at least, happened at once, as number `ticket`. */
void queue_seal(struct record_queue *queue, uint64_t ticket);

/* Was anything sealed since queue_take_news? */
static inline bool queue_has_news(const struct record_queue *queue) {
    return atomic_load_explicit(&queue->sealed, memory_order_relaxed) != queue->told;
}
/* Was anything sealed since this was asked last? */
static inline bool queue_take_news(struct record_queue *queue) {
    uint64_t sealed = atomic_load_explicit(&queue->sealed, memory_order_relaxed);
    bool news = sealed != queue->told;
    queue->told = sealed;
    return news;
}

/* ---- The taking thread ---------------------------------------------------------------------------- */

/* The oldest sealed record that was not passed, or NULL. It is the same until queue_pass. */
struct record *queue_first(struct record_queue *queue);
/* On to the next one. What was passed stays where it is. */
void queue_pass(struct record_queue *queue);
/* The same, by who has asked for the first one already. */
static inline void queue_pass_first(struct record_queue *queue, const struct record *first) {
    queue->look_at += record_size(first->len, first->block_count);
    queue->blocks += first->block_count;
    queue->passed++;
}
/* Passes records, from the first one on, as long as each is all there is of its ticket, plain text and no cut, and its
 * ticket follows the one before: so runs of records are copied without a call for each. What it is to take, and where to: */
struct queue_copy {
    char *to;
    size_t room, enough; /* bytes: so many may be copied, and with so many it ends */
    size_t shorter;      /* than this are the texts that it copies */
    uint64_t ticket;     /* of the first record */
    uint64_t most;       /* records */
    uint32_t db;
    size_t len; /* bytes that were copied */
};
/* Returns how many. queue_first has just returned a record. */
uint64_t queue_copy(struct record_queue *queue, struct queue_copy *copy);
/* Back to the oldest one that was not released. */
void queue_rewind(struct record_queue *queue);
/* Done with all that were passed: their references are given back, their memory is not to be used any more. */
void queue_release(struct record_queue *queue);

/* ---- Any thread ----------------------------------------------------------------------------------- */

/* Bytes of memory that records take, blocks included, or so: an empty queue may keep a chunk. */
static inline uint64_t queue_bytes(const struct record_queue *queue) {
    uint64_t freed = atomic_load_explicit(&queue->bytes_freed, memory_order_acquire);
    return atomic_load_explicit(&queue->bytes_added, memory_order_relaxed) - freed;
}

#endif
