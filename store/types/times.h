/* times.h - when the fields of a large hash expire. It hangs beside the tree of fields, knows them by their hashes alone,
 * and is there as long as any of them expires.
 *
 *     due     TREE_SCORES: an expiry, and the eight bytes of the field's hash; so what is due first is at the front
 *     index   TREE_INDEX: 32 bits of the hash, and the expiry
 *
 * Whether a candidate of the index is the one that was asked for, the first tree tells. So an entry of the index too many
 * does no harm, and one may stay where memory ran out. That two fields of a hash have the same 64 bits, which are keyed,
 * and the same expiry, is taken to be impossible: one of the two would stay.
 *
 * Expiries are absolute milliseconds above 0, and at most TIMES_MAX. */
#ifndef KEVY_STORE_TYPES_TIMES_H
#define KEVY_STORE_TYPES_TIMES_H

#include "store/values/tree_change.h"

#define TIMES_MAX ((int64_t)((1ull << 48) - 2)) /* as in RDB files; exact as a double */

struct times {
    const struct hash_seed *seed; /* of the hashes; borrowed */
    struct tree due, index;
};

/* None yet, or those of another version of the hash, in O(1). NULL without memory. */
struct times *times_new(struct heap *heap, const struct hash_seed *seed);
struct times *times_fork(struct times *times, struct heap *heap);
/* Its nodes become graves. */
void times_free(struct times *times, struct graves *graves);
size_t times_memory(const struct times *times);

/* How many fields expire; how many of them by now; when the first of them does, of which there is at least one. */
static inline uint64_t times_count(const struct times *times) {
    return times->due.count;
}
uint64_t times_overdue(const struct times *times, int64_t now_ms);
int64_t times_first(const struct times *times);
/* The hash of the field that is due first. */
uint64_t times_first_hash(const struct times *times);
/* The expiry of the field with this hash, or 0. */
int64_t times_of(const struct times *times, uint64_t hash);

/* Makes sure that this expiry, which times_of has told, can be taken away without memory. False without memory. */
bool times_prepare(struct times *times, const struct tree_context *context, uint64_t hash, int64_t expiry_ms);
/* Takes it away after that. */
void times_remove(struct times *times, const struct tree_context *context, uint64_t hash, int64_t expiry_ms);
/* Gives the field another expiry than the old one (0: it has none). False without memory, and all is as it was. */
bool times_put(struct times *times, const struct tree_context *context, uint64_t hash, int64_t old_ms,
               int64_t expiry_ms);

#endif
