/* gather.h - elements that are loaded into a tree of the kind TREE_SET or TREE_HASH, on their way there.
 *
 *     gather_add(&gather, &item)               keeps a copy
 *     gather_pour(&gather, tree, context)      all that it has goes into the tree
 *     gather_drop(&gather)                     always
 *
 * In a file they stand in any order, and each would be put into another leaf, which is not in the processor's caches, and be
 * moved when that is split. So they are sorted by their hashes, and a tree that was empty is built of full leaves from
 * the left to the right; into one that was not they go from leaf to leaf. */
#ifndef KEVY_STORE_VALUES_GATHER_H
#define KEVY_STORE_VALUES_GATHER_H

#include "store/values/tree_change.h"

enum {
    GATHER_PART_MOST = 253,       /* bytes of a part of an element */
    GATHER_BYTES_MOST = 32 << 20, /* that it takes, about; while an array grows, half as much again */
};

struct gathered {
    uint64_t hash;
    uint32_t at; /* in `bytes`: a length for each part, and their bytes */
};

/* Zeroes at first. */
struct gather {
    struct gathered *items;
    char *bytes;
    size_t count, used; /* of these */
    size_t items_room, bytes_room;
    bool fits; /* the tree was filled in any other way: tree_fit has something to do in the end */
};

/* False: it is not taken, for it is too long, or there is enough of them or no memory. Then what is there is to be poured,
 * and this one put into the tree. */
bool gather_add(struct gather *gather, const struct tree_item *item);
/* TREE_ADDED: all are in the tree now. TREE_UNCHANGED: one of them was there already, or was gathered twice;
 * or TREE_NO_MEMORY. Then some are in the tree. Nothing is gathered then in any case. */
enum tree_changed gather_pour(struct gather *gather, struct tree *tree, const struct tree_context *context);
/* Gives its memory back. */
void gather_drop(struct gather *gather);

#endif
