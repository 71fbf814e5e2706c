/* hash.h - hashes: fields with values, in a pack or a tree. All work on values that were looked up (entry_value), or on an
 * edit of one (edit.h). */
#ifndef KEVY_STORE_TYPES_HASH_H
#define KEVY_STORE_TYPES_HASH_H

#include "store/types/collection.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

/* Fields. */
uint64_t hash_count(const struct value *value);
/* The value of a field, valid until the next change. False if there is no such field. */
bool hash_get(const struct keyspace *ks, const struct value *value, struct bytes field,
              struct element *found);

/* A walk over all fields, in the order of memory; valid until the next change. */
struct hash_walk {
    bool packed;
    struct pack_walk pack;
    struct tree_cursor cursor; /* leaf NULL: nothing is left */
};
/* From the field at this place on, which is at most the count. */
void hash_walk(struct hash_walk *walk, const struct value *value, uint64_t from);
bool hash_next(struct hash_walk *walk, struct element *field, struct element *found);

/* ---- Changing ------------------------------------------------------------------------------------- */

enum hash_changed { HASH_NO_MEMORY, HASH_UNCHANGED, HASH_REPLACED, HASH_ADDED, HASH_DELETED };
/* Sets a field to a value, which do not lie in the hash itself: HASH_ADDED, HASH_REPLACED, HASH_NO_MEMORY. `block` holds
 * the value and may be kept where that is long, or is NULL. */
enum hash_changed hash_set(struct edit *edit, struct bytes field, struct bytes value, struct block *block);
/* HASH_DELETED, HASH_NO_MEMORY, or HASH_UNCHANGED where there is no such field. The last one leaves an empty hash, which
 * goes when the edit is closed. */
enum hash_changed hash_delete(struct edit *edit, struct bytes field);

#endif
