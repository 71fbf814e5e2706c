/* tracking.h - the keys of one stripe that clients have read and may keep copies of: who has read which.
 *
 * A client that tracks (CLIENT TRACKING, but for BCAST) is noted with each key that it reads. Whoever changes a key
 * takes its record out, and tells the readers that what they have read is no longer valid
 * (server/clients/invalidation.h): a reader is told once, and is noted anew when he reads the key again. Keys are
 * known by their names alone, whatever the database, as in Redis. A record is 20 bytes, the name, and 4 for each
 * reader (room for a power of two), in pages of the stripe's own; two places in the table are 16 bytes more. Places stay
 * when keys go.
 *
 * Readers are the low halves of client ids. Those who have gone, or track no more, stay noted until the key changes;
 * where two clients have the same number, one that came four milliards after the other, the later one is told too
 * much.
 *
 * Every function here wants the stripe's lock held, but for the prefetches, tracking_end and tracking_totals. */
#ifndef KEVY_SERVER_STRIPES_TRACKING_H
#define KEVY_SERVER_STRIPES_TRACKING_H

#include <stdint.h>

#include "server/stripes/stripes.h"

struct tracked; /* a key and who has read it */

/* Notes that the client has read the key. */
enum tracking_noted { TRACKING_KNOWN, TRACKING_NEW, TRACKING_NO_MEMORY /* it is not noted then */ };
enum tracking_noted tracking_note(struct stripe *stripe, struct key key, uint32_t reader)
    __attribute__((warn_unused_result));
/* Asks the memory for what tracking_note will look at, in two steps. No lock: what others change meanwhile is read as it
 * happens to be, which costs a useless prefetch and no more. The second one returns where the key's record is to be looked
 * for first, which lasts as long as the stripe; NULL: nowhere. */
void tracking_prefetch_chain(const struct stripe *stripe, uint64_t hash);
struct tracked *const *tracking_prefetch_record(const struct stripe *stripe, uint64_t hash);
/* Is the client noted with the key, as is seen there? False: perhaps. */
bool tracking_knows(struct tracked *const *chain, struct key key, uint32_t reader);

/* Takes the key's record out; NULL: nobody has read it. It is the caller's until tracking_free, which comes before the
 * lock is given back. */
struct tracked *tracking_take(struct stripe *stripe, struct key key);
/* The same for a key that `random` chooses; NULL: there is none. */
struct tracked *tracking_take_any(struct stripe *stripe, uint64_t random);
void tracking_free(struct stripe *stripe, struct tracked *tracked);

struct bytes tracked_name(const struct tracked *tracked);
/* *count of them, in ascending order. */
const uint32_t *tracked_readers(const struct tracked *tracked, uint32_t *count);

/* Forgets all keys of the stripe. */
void tracking_clear(struct stripe *stripe);
/* The same, and gives the table's memory back: when no other thread looks at the stripe any more. */
void tracking_end(struct stripe *stripe);

/* Of all stripes: keys, and readers of them all added up. No lock. */
struct tracking_totals {
    uint64_t keys, readers;
};
struct tracking_totals tracking_totals(void);

#endif
