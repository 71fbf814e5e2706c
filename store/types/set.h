/* set.h - sets: members that are all different. All work on values that were looked up (entry_value), or on an edit of one
 * (edit.h).
 *
 * A small set is the bytes of an intset (intset.h) as long as it is not marked (`edited` of struct value), and those of a
 * pack with the mark; a large one is a tree of the kind TREE_SET, marked or not. The mark is what Redis calls a
 * hashtable: the set has had a member that is no integer, or more integers than the caller allows. No mark goes, and no
 * tree becomes small. */
#ifndef KEVY_STORE_TYPES_SET_H
#define KEVY_STORE_TYPES_SET_H

#include "protocol/number.h"
#include "store/types/collection.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

/* Members. */
uint64_t set_count(const struct value *value);
bool set_has(const struct keyspace *ks, const struct value *value, struct bytes member);
/* Are all members integers, as Redis writes them? O(members) at most. */
bool set_is_integers(const struct value *value);

/* A walk over all members, in the order of memory: of numbers, where the set is an intset. Valid until the next change. */
struct set_walk {
    /* SET_TREE: the members of the cursor's leaf that are left, one behind the other, and their lengths. Where some of the
     * leaf are long there are none of these, and the cursor goes from one to the next. */
    const char *at;
    const uint8_t *lens, *lens_end;
    enum { SET_INTEGERS, SET_PACK, SET_TREE } shape;
    uint32_t index; /* SET_INTEGERS: the next one */
    struct bytes integers;
    struct pack_walk pack;
    struct tree_cursor cursor; /* SET_TREE; leaf NULL: nothing is left */
    char digits[NUMBER_I64_MAX_LEN];
};
/* From the member at this place on, which is at most the count. */
void set_walk(struct set_walk *walk, const struct value *value, uint64_t from);
/* The next one; valid until the next call, where the set is an intset, which has no text of its members. */
static inline bool set_next(struct set_walk *walk, struct element *member);

/* ---- Changing ------------------------------------------------------------------------------------- */

enum set_changed { SET_NO_MEMORY, SET_UNCHANGED, SET_ADDED, SET_REMOVED };
/* Adds a member, which does not lie in the set itself: SET_ADDED, SET_NO_MEMORY, or SET_UNCHANGED where it is there. `block`
 * holds it and may be kept where it is long, or is NULL. A set of more integers than `integers` gets the mark. */
enum set_changed set_add(struct edit *edit, struct bytes member, struct block *block, uint64_t integers);
/* The same of a short member of a large set that nobody else refers to, and that has its mark. SET_NO_MEMORY: nothing was
 * changed, but set_add may do it. The way to it may be guessed, or is NULL. */
enum set_changed set_put(struct keyspace *ks, struct object *object, struct bytes member,
                         const struct tree_guess *guess);
/* SET_REMOVED, SET_NO_MEMORY, or SET_UNCHANGED where there is no such member. The last one leaves an empty set, which goes
 * when the edit is closed. */
enum set_changed set_remove(struct edit *edit, struct bytes member);
/* Removes the member at this place, which is there. False without memory. */
bool set_remove_at(struct edit *edit, uint64_t place);

/* ---- Making --------------------------------------------------------------------------------------- */

/* A set in the making, that is in no keyspace yet. */
struct set_draft {
    struct keyspace *keyspace;
    uint64_t integers; /* as set_add's */
    bool marked;
    struct collection *collection; /* of a large one; else NULL */
    size_t len;                    /* of a small one */
    char bytes[COLLECTION_PACK_BYTES];
};
/* An empty one, whose nodes come from this keyspace's heap. */
void set_draft(struct set_draft *draft, struct keyspace *ks, uint64_t integers);
/* Puts all members of a set that is a tree into an empty one, in O(1) where they are more than an intset may have. False if
 * there is no memory. */
bool set_draft_copy(struct set_draft *draft, const struct value *value);
/* As set_add. */
enum set_changed set_draft_add(struct set_draft *draft, struct bytes member, struct block *block);
/* Marks it. False without memory. */
bool set_draft_mark(struct set_draft *draft);
/* The set, for keyspace_set. It lies in the draft, which goes with set_draft_end. */
struct value set_draft_value(const struct set_draft *draft);
void set_draft_end(struct set_draft *draft);

/* ---- Definitions of the above --------------------------------------------------------------------- */

bool set_next_elsewhere(struct set_walk *walk, struct element *member);

static inline bool set_next(struct set_walk *walk, struct element *member) {
    if (walk->lens == walk->lens_end) return set_next_elsewhere(walk, member);
    *member = (struct element){.bytes = {walk->at, *walk->lens}};
    walk->at += *walk->lens++;
    return true;
}

#endif
