/* leaf_score.h - the parts of single elements of TREE_SCORES and TREE_INDEX: scores, and hashes. */
#ifndef KEVY_STORE_VALUES_LEAF_SCORE_H
#define KEVY_STORE_VALUES_LEAF_SCORE_H

#include "protocol/load.h"
#include "store/values/leaf.h"

/* Where the score of an element stands: in the first column of TREE_SCORES, in the second of TREE_INDEX. */
static inline char *leaf_score_at(const struct leaf *leaf, unsigned place) {
    size_t before = leaf->head.kind == TREE_INDEX ? sizeof(uint32_t) * leaf->head.count : 0;
    assert(place < leaf->head.count && (leaf->head.kind == TREE_INDEX || leaf->head.kind == TREE_SCORES));
    return (char *)(uintptr_t)leaf->bytes + before + sizeof(double) * place;
}

static inline double leaf_score(const struct leaf *leaf, unsigned place) {
    double score;
    memcpy(&score, leaf_score_at(leaf, place), sizeof score);
    return score;
}

/* Gives an element of TREE_INDEX another score, which is no part of its order, in a leaf that is not shared. */
static inline void leaf_set_score(struct leaf *leaf, unsigned place, double score) {
    assert(leaf->head.kind == TREE_INDEX && leaf->head.references <= 1);
    memcpy(leaf_score_at(leaf, place), &score, sizeof score);
}

/* The hash of an element of TREE_INDEX. */
static inline uint32_t leaf_hash(const struct leaf *leaf, unsigned place) {
    debug_assert(leaf->head.kind == TREE_INDEX && place < leaf->head.count);
    return load_u32(leaf->bytes + sizeof(uint32_t) * place);
}

#endif
