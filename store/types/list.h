/* list.h - lists: elements in an order of their own, in a pack or a tree. All work on values that were looked up
 * (entry_value), or on an edit of one (edit.h). */
#ifndef KEVY_STORE_TYPES_LIST_H
#define KEVY_STORE_TYPES_LIST_H

#include "store/types/collection.h"
#include "store/values/list_pack.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

/* Elements. */
static inline uint64_t list_count(const struct value *value) {
    if (value->kind == VALUE_OBJECT) return collection_tree(value)->count;
    return list_pack_count(value_bytes(value));
}
/* The element with this index, which is below the count; valid until the next change. */
struct element list_at(const struct value *value, uint64_t index);
/* The first or the last of a list that has one. */
struct element list_end(const struct value *value, enum tree_end end);

/* A walk over the elements from a point between two of them, which is told by the number of elements before it; valid until
 * the next change. */
struct list_walk {
    bool packed, backwards;
    uint64_t point;            /* elements before where the walk is */
    uint64_t count;            /* elements in all */
    struct bytes pack;         /* a pack, and */
    size_t place;              /* the place of the element behind the point */
    struct tree_cursor cursor; /* of a tree, at the next element */
};
void list_walk(struct list_walk *walk, const struct value *value, uint64_t point, bool backwards);
/* The next element; false if there is none. */
bool list_next(struct list_walk *walk, struct element *element);
/* Goes on behind the next element with these bytes, whose index it tells. False, after `most` elements or at the end, if
 * there is none among them. */
bool list_find(struct list_walk *walk, struct bytes wanted, uint64_t most, uint64_t *index);

/* ---- Changing ------------------------------------------------------------------------------------- */

/* All are false without memory, and then the list holds what it held before. Bytes that are given do not lie in the list
 * itself; `block` holds them and may be kept where they are many, or is NULL. A list that loses its last element goes when
 * the edit is closed. */
bool list_push(struct edit *edit, enum tree_end end, struct bytes bytes, struct block *block);
/* Takes the first or last element out of a list that has one. */
bool list_pop(struct edit *edit, enum tree_end end);
/* Takes the first or last element of a list of at least two to its other end. */
bool list_rotate(struct edit *edit, enum tree_end from);
/* Puts an element before the one with this index, which may be the count, or in its place. */
bool list_insert(struct edit *edit, uint64_t index, struct bytes bytes, struct block *block);
bool list_replace(struct edit *edit, uint64_t index, struct bytes bytes, struct block *block);
/* Takes `count` elements out, from this index on. */
bool list_remove(struct edit *edit, uint64_t index, uint64_t count);
/* Takes out the elements with these bytes: the first `most` of them, or the last. *removed tells how many went, also where
 * memory ran out before the others could. */
bool list_remove_equal(struct edit *edit, struct bytes bytes, uint64_t most, bool backwards,
                       uint64_t *removed);

/* ---- Making --------------------------------------------------------------------------------------- */

/* A list in the making, that is in no keyspace yet. */
struct list_draft {
    struct keyspace *keyspace;
    struct collection *collection; /* of a large one; else NULL */
    size_t len;                    /* of a small one */
    char bytes[COLLECTION_PACK_BYTES];
};
/* An empty one, whose nodes come from this keyspace's heap. */
void list_draft(struct list_draft *draft, struct keyspace *ks);
/* Adds an element behind all others. `block` holds it and may be kept where it is long, or is NULL. False without memory. */
bool list_draft_push(struct list_draft *draft, struct bytes bytes, struct block *block);
/* The list, for keyspace_set. It lies in the draft, which goes with list_draft_end. */
struct value list_draft_value(const struct list_draft *draft);
void list_draft_end(struct list_draft *draft);

#endif
