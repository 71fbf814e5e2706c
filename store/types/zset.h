/* zset.h - sorted sets: members with scores, in a pack or in two trees. All work on values that were looked up
 * (entry_value), or on an edit of one (edit.h).
 *
 * The order is that of scores, and of members where those are equal. A rank is a place in it, 0 the lowest. In a pack the
 * pairs stand in that order. A large sorted set is a tree of the kind TREE_SCORES, and an index from members to scores
 * (TREE_INDEX), which has 32 bits of hash and a score for each and no member: whether a candidate is the one that was asked
 * for, the first tree tells. So an entry of the index too many does no harm, and one may stay where memory ran out.
 *
 * A score is any double but NaN; 0 and -0 are equal, and kept apart. */
#ifndef KEVY_STORE_TYPES_ZSET_H
#define KEVY_STORE_TYPES_ZSET_H

#include "store/types/collection.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

struct zset_item {
    struct element member;
    double score;
};

/* What zset_ahead finds for a member: the ways to its entry in the index, to where it stands, and to where it will stand. */
enum { ZSET_GUESS_ENTRY, ZSET_GUESS_ITEM, ZSET_GUESS_MOVED, ZSET_GUESSES };

/* Members. */
uint64_t zset_count(const struct value *value);
/* The score of a member. False if there is no such member. */
bool zset_find(const struct keyspace *ks, const struct value *value, struct bytes member, double *score);
/* The same, and where it is: for zset_put, as long as nothing is changed. The guesses, ZSET_GUESSES of them or NULL, are
 * not copied, and stay where they are until then. */
struct zset_place {
    double score;
    const struct tree_guess *moved; /* of the way to where it will stand, or NULL */
    struct tree_cursor entry, item; /* in the index, and in the tree of scores; leaf NULL: of a pack */
};
bool zset_locate(const struct keyspace *ks, const struct value *value, struct bytes member,
                 const struct tree_guess *guesses, struct zset_place *place);
/* The rank of a member that zset_locate has found, as long as nothing is changed. */
uint64_t zset_rank_of(const struct value *value, struct bytes member, const struct zset_place *place);
/* How many members come before this one with this score, whether it is there or not. */
uint64_t zset_rank(const struct value *value, double score, struct bytes member);
/* How many members have a lower score; or, `through`, no higher one. */
uint64_t zset_below(const struct value *value, double score, bool through);

/* Ranks [from, from + count). */
struct zset_span {
    uint64_t from, count;
};
/* An end of a range of members: one, which is or is not in the range, or what is before or behind all of them. */
struct zset_lex {
    enum { ZSET_LEX_MEMBER, ZSET_LEX_FIRST, ZSET_LEX_LAST } kind;
    bool exclusive;
    struct bytes member;
};
/* The members between two, which asks for equal scores. Where they are not equal, those of a pack are looked through from
 * the front, or backwards, up to the first that is out of range. */
struct zset_span zset_lex_span(const struct value *value, const struct zset_lex *min,
                               const struct zset_lex *max, bool backwards);

/* A walk in the order of ranks, or against it; valid until the next change. */
struct zset_walk {
    struct value value;
    bool packed, backwards;
    uint64_t rank, left;       /* of a pack: of the next member; how many there are yet */
    struct pack_walk pack;     /* forwards */
    struct tree_cursor cursor; /* leaf NULL: nothing is left */
};
/* From the member with this rank on, which is at most the count; backwards it is below that, or the set is empty. */
void zset_walk(struct zset_walk *walk, const struct value *value, uint64_t from, bool backwards);
bool zset_next(struct zset_walk *walk, struct zset_item *item);

struct zset_visitor {
    void (*each)(void *context, const struct zset_item *item);
    void *context;
};
/* One step of an iteration over a large sorted set that may change between steps: shows the visitor each of `count`
 * members once, or some more, and returns the next cursor, 0 at the end. Begin with 0. Every member that is there throughout
 * is seen. It goes by the hashes of members, and looks at all members that have the score of one that is due: where
 * very many scores are equal it takes more members at once, and at all of them once where that is less work. */
uint64_t zset_scan(const struct keyspace *ks, const struct value *value, uint64_t cursor, uint64_t count,
                   struct zset_visitor visitor);

/* Asks the memory for what will be looked at of these members, and for where they will stand once they have these scores. */
struct zset_ahead {
    const struct bytes *members;
    const double *scores; /* NULL: they keep what they have */
    unsigned count;       /* TREE_AHEAD_MOST at most */
    struct tree_guess
        *guesses; /* gets ZSET_GUESSES a member; those that nothing is known of are left alone */
};
void zset_ahead(const struct keyspace *ks, const struct value *value, const struct zset_ahead *ahead);
/* The same for those that are the next `count` to go from one end of a large sorted set. */
void zset_ahead_of_end(const struct keyspace *ks, const struct value *value, enum tree_end end,
                       unsigned count, struct tree_guess *guesses);

/* ---- Changing ------------------------------------------------------------------------------------- */

enum zset_changed { ZSET_NO_MEMORY, ZSET_UNCHANGED, ZSET_REPLACED, ZSET_ADDED, ZSET_DELETED };
/* Gives a member, which does not lie in the sorted set itself, a score. `old` is what zset_locate has found, or NULL
 * where it is not there. `block` holds the member and may be kept where that is long, or is NULL. ZSET_ADDED,
 * ZSET_REPLACED, or ZSET_UNCHANGED where the score is the old one; ZSET_NO_MEMORY. */
enum zset_changed zset_put(struct edit *edit, struct element member, double score,
                           const struct zset_place *old);
/* ZSET_DELETED, ZSET_NO_MEMORY, or ZSET_UNCHANGED where there is no such member. The last one leaves an empty sorted set,
 * which goes when the edit is closed. */
enum zset_changed zset_delete(struct edit *edit, struct bytes member);
/* A short member that was taken out. */
struct zset_popped {
    struct zset_item item;        /* its member lies in ... */
    char copy[ELEMENT_PLAIN_MAX]; /* ... this */
};

/* Takes a member out of a large sorted set, which is not shared, at this end, where its leaf is known, the member is short
 * and others are left: it is copied to `popped`. Of its entry there may be guesses, those of
 * zset_ahead_of_end, or NULL. False, and nothing is changed, if it is not so: then it is for zset_delete_span. */
bool zset_pop_short(struct keyspace *ks, struct object *object, enum tree_end end,
                    const struct tree_guess *guesses, struct zset_popped *popped);
/* Deletes the members with these ranks, the lowest first; how many went, which are fewer where memory ran out. */
uint64_t zset_delete_span(struct edit *edit, struct zset_span span);

struct zset_items {
    const struct zset_item *items;
    size_t count;
};
/* A new value of these items, in the order of ranks and at least one, for keyspace_set. Small ones are a pack in `pack`,
 * others an object with one reference, for the caller to release. `edited` is the mark that it gets; without it -0 becomes
 * 0, as in Redis. False without memory. */
bool zset_build(struct keyspace *ks, struct zset_items items, bool edited, char pack[COLLECTION_PACK_BYTES],
                struct value *value);

/* ---- For the row ---------------------------------------------------------------------------------- */

/* zset_load.c, as in type.h. */
enum rdb_answer zset_load(struct loading *loading, const struct rdb_element *element);
enum rdb_answer zset_load_all(struct loading *loading, struct packed *packed);
enum rdb_answer zset_loaded(struct loading *loading);

#endif
