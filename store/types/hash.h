/* hash.h - hashes: fields with values, in a pack or a tree. All work on values that were looked up (entry_value), or on an
 * edit of one (edit.h).
 *
 * Fields may expire by themselves. Those whose time has come are there until somebody deletes them, as keys
 * are, and are counted; whoever shows fields asks whether any are overdue, and leaves these out. Where no
 * field expires that is one comparison. */
#ifndef KEVY_STORE_TYPES_HASH_H
#define KEVY_STORE_TYPES_HASH_H

#include "store/types/collection.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

/* Fields, overdue ones included. */
uint64_t hash_count(const struct value *value);
/* The tree of a large hash, or NULL. */
const struct tree *hash_tree(const struct value *value);
/* The value of a field, valid until the next change. False if there is no such field. */
bool hash_get(const struct keyspace *ks, const struct value *value, struct bytes field,
              struct element *found);

/* A walk over all fields, in the order of memory; valid until the next change. */
struct hash_walk {
    bool packed;
    struct pack_walk pack;
    struct tree_cursor cursor; /* leaf NULL: nothing is left */
    bool timed;                /* three elements of the pack a field */
    int64_t expiry_ms;         /* then that of the last field; 0: none */
    const struct times *times; /* of a tree, or NULL */
};
/* From the field at this place on, which is at most the count. */
void hash_walk(struct hash_walk *walk, const struct value *value, uint64_t from);
bool hash_next(struct hash_walk *walk, struct element *field, struct element *found);
/* When the field that hash_next has given expires; 0: never. */
int64_t hash_walk_expiry(const struct hash_walk *walk, struct bytes field);

/* When the first field is due; INT64_MAX: none expires. */
static inline int64_t hash_due(const struct value *value);
/* How many fields are due by now. */
uint64_t hash_overdue(const struct value *value, int64_t now_ms);
/* When a field expires; 0: never, or there is none. */
int64_t hash_expiry(const struct keyspace *ks, const struct value *value, struct bytes field);

/* ---- Changing ------------------------------------------------------------------------------------- */

enum hash_changed { HASH_NO_MEMORY, HASH_UNCHANGED, HASH_REPLACED, HASH_ADDED, HASH_DELETED };
/* Sets a field to a value, which do not lie in the hash itself: HASH_ADDED, HASH_REPLACED, HASH_NO_MEMORY. `block` holds
 * the value and may be kept where that is long, or is NULL. */
enum hash_changed hash_set(struct edit *edit, struct bytes field, struct bytes value, struct block *block);
/* The same of a short field and a short value in a large hash that nobody else refers to, none of whose fields expires.
 * HASH_NO_MEMORY: nothing was changed, but hash_set may do it. The way to it may be guessed, or is NULL. */
enum hash_changed hash_put(struct keyspace *ks, struct object *object, struct bytes field, struct bytes value,
                           const struct tree_guess *guess);
/* The same, but the field expires when it did before. hash_set makes it stay for ever. */
enum hash_changed hash_update(struct edit *edit, struct bytes field, struct bytes value, struct block *block);
/* Lets a field, whose name does not lie in the hash itself, expire at this time (above 0, at most TIMES_MAX), or never (0).
 * HASH_REPLACED; HASH_UNCHANGED where there is no such field, or it is so already; HASH_NO_MEMORY. */
enum hash_changed hash_expire(struct edit *edit, struct bytes field, int64_t expiry_ms);
/* HASH_DELETED, HASH_NO_MEMORY, or HASH_UNCHANGED where there is no such field. The last one leaves an empty hash, which
 * goes when the edit is closed. */
enum hash_changed hash_delete(struct edit *edit, struct bytes field);

/* ---- Definitions of the above --------------------------------------------------------------------- */

static inline int64_t hash_due(const struct value *value) {
    return __builtin_expect(value->kind != VALUE_OBJECT, 1) ? INT64_MAX : type_hash.due(value->object);
}

#endif
