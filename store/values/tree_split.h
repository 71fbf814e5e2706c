/* tree_split.h - a leaf that is to hold one item more than it has room for: made anew, or as two. For tree_change.c. */
#ifndef KEVY_STORE_VALUES_TREE_SPLIT_H
#define KEVY_STORE_VALUES_TREE_SPLIT_H

#include "store/values/tree.h"

/* What a leaf is to hold: its elements but `skipped` (0 or 1) from the place on, and the item there. */
struct tree_putting {
    const struct leaf *leaf;
    unsigned place, skipped;
    const struct leaf_item *ready;
    unsigned count; /* elements in all */
    size_t bytes;   /* that they take, about, as leaf_taken tells */
};

/* The place of the item, among pieces of leaves. */
static inline struct leaf_piece tree_new_piece(void) {
    return (struct leaf_piece){.leaf = NULL};
}

/* Are the elements of a leaf in any order, and leaves in that of hashes? */
static inline bool tree_by_hash(enum tree_kind kind) {
    return kind == TREE_SET || kind == TREE_HASH;
}

/* A leaf of the elements [from, to) of these, at least `capacity` bytes large. NULL without memory. */
struct leaf *tree_build_part(const struct tree_context *context, const struct tree_putting *putting,
                             unsigned from, unsigned to, size_t capacity);

/* Two leaves in the place of one. */
struct tree_halves {
    struct leaf *left, *right;
    struct tree_key key; /* of the right one */
};
/* Parts the elements into two leaves of about the same size. False without memory, or where they cannot be parted: one
 * element, or one hash alone. */
bool tree_halve(const struct tree_context *context, const struct tree_putting *putting,
                struct tree_halves *halves);

#endif
