/* zset_parts.h - how a member and its score stand in packs and trees: for zset.c, and zset_load.c, which makes them. */
#ifndef KEVY_STORE_TYPES_ZSET_PARTS_H
#define KEVY_STORE_TYPES_ZSET_PARTS_H

#include "store/types/collection.h"
#include "store/values/score.h"

enum { MEMBER, SCORE, PARTS };

/* ---- In trees ------------------------------------------------------------------------------------- */

static inline struct tree_item scored(struct element member, double score) {
    return (struct tree_item){.score = score, .parts = {member.bytes}, .blocks = {member.block}};
}

/* What the index knows a member by. */
static inline uint64_t hash_of(const struct hash_seed *seed, struct bytes member) {
    return hash_bytes(seed, member) >> 32;
}
static inline struct tree_item indexed(const struct hash_seed *seed, struct bytes member, double score) {
    return (struct tree_item){.key.high = hash_of(seed, member), .score = score};
}

/* What a pack holds, in a collection: `add` takes each item. NULL without memory: *dead has what was made. */
static inline struct collection *trees_of_pack(const struct tree_context *context, struct bytes pack,
                                               bool (*add)(const struct tree_context *, struct collection *,
                                                           const struct tree_item *),
                                               struct dead *dead) {
    struct collection *collection = collection_new(context->heap, &type_zset, TREE_SCORES);
    struct pack_walk walk = pack_from(pack, 0);
    struct element member, score;
    bool done = collection;
    while (done && pack_next(&walk, &member) && pack_next(&walk, &score)) {
        struct tree_item item = scored(member, score_of(score.bytes));
        done = add(context, collection, &item);
    }
    if (done || collection == NULL) return collection;
    object_release(&collection->head, dead);
    return NULL;
}

/* ---- In packs ------------------------------------------------------------------------------------- */

/* A member and its score as they stand in a pack. */
struct pair {
    struct element elements[PARTS];
    char score[SCORE_MAX_LEN];
};
static inline void make_pair(struct pair *pair, struct bytes member, double score) {
    pair->elements[MEMBER] = element_of(member);
    pair->elements[SCORE] = element_of((struct bytes){pair->score, score_put(pair->score, score)});
}
static inline size_t pair_len(const struct pair *pair) {
    return PARTS + element_stored(pair->elements[MEMBER].bytes.len) +
           element_stored(pair->elements[SCORE].bytes.len);
}

#endif
