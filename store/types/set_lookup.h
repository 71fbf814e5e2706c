/* set_lookup.h - questions about many members of one set, which does not change meanwhile: of a pack a table of its
 * members is made, and of a tree one of each leaf that the questions come to.
 *
 * Trees are in the order of one hash. So who asks for all members of one tree asks the other from left to right, leaf by
 * leaf, and what one leaf of the first can have is in a few neighbouring leaves of the second. */
#ifndef KEVY_STORE_TYPES_SET_LOOKUP_H
#define KEVY_STORE_TYPES_SET_LOOKUP_H

#include "store/types/set.h"

enum { SET_LOOKUP_LEAVES = 6, SET_LOOKUP_MEMBERS = 255 };

/* The members of one leaf, found by the lowest byte of their hashes. */
struct set_leaf {
    const struct leaf
        *leaf; /* where it is looked through, for it has more members, or long ones; else NULL */
    const char *members;
    const uint8_t *lens;
    uint8_t first[256];               /* one more than the place of the last member with this tag, or 0 */
    uint8_t next[SET_LOOKUP_MEMBERS]; /* one more than that of the one before it, or 0 */
    uint16_t offsets[SET_LOOKUP_MEMBERS];
};

/* Neighbouring leaves, from left to right. */
struct set_leaves {
    unsigned count, begin;           /* leaves[begin] is the first one; they go round */
    uint64_t low[SET_LOOKUP_LEAVES]; /* the least hash that each may have */
    uint64_t last;                   /* the last one that the last may have */
    const struct leaf *asked_for;    /* the leaf of the other tree to which the questions have come */
    struct tree_cursor cursor;       /* at the last one */
    struct set_leaf leaves[SET_LOOKUP_LEAVES];
};

struct set_pack_table {
    uint16_t slots[2 * COLLECTION_PACK_ELEMENTS]; /* open; one more than the member's index, or 0 */
    uint16_t offsets[COLLECTION_PACK_ELEMENTS];   /* of members, from where the pack begins */
};

union set_table {
    struct set_pack_table pack;
    struct set_leaves leaves;
};

struct set_lookup {
    const struct value *value;
    union set_table *table; /* or NULL */
};

/* `table` is used where there is one, NULL where that does not pay. The value is borrowed. */
void set_lookup(struct set_lookup *lookup, const struct keyspace *ks, const struct value *value,
                union set_table *table);
/* Is the member with this hash (hash_bytes under the keyspace's seed) in the set? `walk` is the one that has come to this
 * member in another set; or NULL. */
bool set_lookup_has(struct set_lookup *lookup, const struct set_walk *walk, struct bytes member,
                    uint64_t hash);

#endif
