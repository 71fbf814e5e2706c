/* stream_producers.h - producers of a stream who say which of their entries are the same: of each producer the idempotent
 * ids that he has given last, and the numbers of the entries that he was answered with.
 *
 * A producer has his ids in two trees, a list of them in the order in which they came, and a hash that leads from an id to
 * its place in that list. So the oldest goes in O(1), and one of 10,000 is found as fast as one of ten. An id of more than
 * STREAM_ID_KEY_MOST bytes stands in the hash by its SHA-1; the list has it whole, and that decides.
 *
 * Versions of a stream share producers: who changes one that has several references makes a copy of its own first.
 *
 * An id is over when `seconds` have passed since the milliseconds of its entry's number. Nobody waits for that moment: it is
 * taken out by the next ones of its producer, and a producer all of whose ids are over by those of others, each of which
 * looks at two producers, by chance. So where producers come and go there are about twice as many as are not over.
 *
 * Invariants:
 *   1. Every id of the list is in the hash, at its place, and there are no others.
 *   2. A producer has 1 to `most` ids, but for one that is being loaded or changed.
 *   3. `ids` and `bytes` are the sums over all producers.
 *   4. Where `forked` is false no node of a producer's trees is shared, so that taking out of them takes no memory. */
#ifndef KEVY_STORE_TYPES_STREAM_PRODUCERS_H
#define KEVY_STORE_TYPES_STREAM_PRODUCERS_H

#include "store/types/stream_entry.h"
#include "store/types/stream_named.h"

enum {
    STREAM_ID_KEY_MOST = 64, /* bytes of an id that is its own key */
    STREAM_IDMP_SECONDS_DEFAULT = 100,
    STREAM_IDMP_SECONDS = 86400, /* how long an id is known; at most */
    STREAM_IDMP_MOST_DEFAULT = 100,
    STREAM_IDMP_MOST = 10000, /* how many of each producer; at most */
};

struct stream_producer {
    struct stream_named head;
    struct tree list; /* TREE_LIST: 16 bytes of an entry's number, and the id; the oldest first */
    struct tree
        places; /* TREE_HASH: of each id its age, of four bytes; its place is what that is above `oldest` */
    uint64_t long_bytes; /* of blocks, which hold ids that are too long for a leaf */
    uint64_t newest_ms;  /* the highest milliseconds of the numbers of its entries that there have been */
    uint32_t oldest;     /* the age of the first one */
};

struct stream_producers {
    struct stream_named_list list;
    uint64_t ids;
    uint64_t bytes;           /* of producers, with their names and ids; shared ones included */
    uint64_t added, repeated; /* entries that came with an id, and those that came once more; ever */
    uint64_t chance;          /* says at which of them who comes next looks */
    uint32_t seconds, most;
};

/* ---- Looking -------------------------------------------------------------------------------------- */

/* These, or, where there are none (NULL), what is so of a stream without producers. */
const struct stream_producers *stream_producers_or_none(const struct stream_producers *producers);
/* Is there anything to know that is not so of a stream without producers? NULL: no. */
bool stream_producers_matter(const struct stream_producers *producers);

/* For how many seconds ids are known, and how many of each producer. Zeroes: the default ones. */
struct stream_idmp_limits {
    uint32_t seconds, most;
};
/* An entry that comes with an id. */
struct stream_once {
    struct bytes producer, id;        /* none is empty */
    int64_t now_ms;                   /* Unix time */
    struct stream_idmp_limits limits; /* of a stream that has no producers yet */
};
/* The number of the entry that came with this id before; false where it is not known, or over. NULL: there are none. */
bool stream_producers_know(const struct stream_producers *producers, const struct hash_seed *seed,
                           const struct stream_once *once, struct stream_id *entry);

/* The producer at a place, in the order of names, as stream_named_next. */
static inline const struct stream_producer *stream_producer_next(const struct stream_producers *producers,
                                                                 uint64_t *place) {
    return (const struct stream_producer *)(const void *)stream_named_next(&producers->list, place);
}
/* An id of a producer, by its place; it lies in the list. And the number of its entry. */
struct bytes stream_producer_id(const struct stream_producer *producer, uint64_t place,
                                struct stream_id *entry);

/* Bytes that they take, shared ones included. NULL: none. */
size_t stream_producers_memory(const struct stream_producers *producers);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* All of these are false, or NULL, without memory. */

/* None, with these limits. */
struct stream_producers *stream_producers_new(struct heap *heap, struct stream_idmp_limits limits);
/* The same ones. */
struct stream_producers *stream_producers_fork(const struct stream_producers *from, struct heap *heap);
/* Gives them back, counted down from the budget; true when they are gone, and *producers is NULL. */
bool stream_producers_bury(struct stream_producers **producers, struct graves *graves, unsigned *budget);

/* Knows an id from now on, which is forgotten first where it is known; and forgets the oldest ones where they are too many,
 * or over. The latter may have happened also where there is no memory. */
bool stream_producers_note(struct stream_producers *producers, const struct tree_context *context,
                           const struct stream_once *once, struct stream_id entry);
/* Takes back what was noted last, of this producer, since anything else was changed. */
void stream_producers_undo(struct stream_producers *producers, const struct tree_context *context,
                           struct bytes producer);

/* To load them: a producer without ids, whose name is none of the others', and his next id, which is none of his. Where he
 * has more than there may be the oldest one goes. */
struct stream_producer *stream_producers_add(struct stream_producers *producers,
                                             const struct tree_context *context, struct bytes name);
bool stream_producers_has(const struct stream_producers *producers, struct bytes name);
bool stream_producer_has(const struct stream_producer *producer, const struct hash_seed *seed,
                         struct bytes id);
bool stream_producers_load(struct stream_producers *producers, const struct tree_context *context,
                           struct stream_producer *producer, struct bytes id, struct stream_id entry);

#endif
