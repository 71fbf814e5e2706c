/* change.h - every change of an entry: set, edited, deleted, moved, copied, given an expiry.
 *
 * Whatever an entry held before is given back: blocks at once, objects in bounded parts (object.h). */
#ifndef KEVY_STORE_CHANGE_H
#define KEVY_STORE_CHANGE_H

#include "store/keyspace.h"

enum { EXPIRY_NONE = 0, EXPIRY_KEEP = -1 };

/* Creates the key or replaces its value, whatever it was; the access record stays. Bytes of any length are copied, a
 * block or an object is shared: the entry takes a reference of its own. expiry_ms: absolute Unix milliseconds (> 0),
 * EXPIRY_NONE, or EXPIRY_KEEP what there is. Bytes must not be those of this very entry. NULL without memory. */
struct entry *keyspace_set(struct keyspace *ks, unsigned db, struct key key, const struct value *value,
                           int64_t expiry_ms);

/* Overwrites an integer in place, for an entry that entry_int says is one. The expiry stays. */
void keyspace_set_int(struct keyspace *ks, unsigned db, struct entry *e, int64_t number);

/* The same for an entry that was found, and a value of its type; the expiry stays. The entry may move. */
struct entry *keyspace_replace(struct keyspace *ks, unsigned db, struct entry *e, const struct value *value);

/* Makes the value of `*e`, which is no object, `len` writable bytes that nobody else sees: unpacks an integer, copies a
 * pinned block, extends with zero bytes (many of them cost nothing until they are touched), truncates. A string
 * is marked as edited. The entry may move: *e is updated. Bytes up to the old length are kept. NULL without
 * memory. Growth of blocks leaves room so that appending is amortised linear. */
char *keyspace_edit(struct keyspace *ks, unsigned db, struct entry **e, size_t len);

/* The object of an entry that has one, in a version that nobody else sees. NULL without memory. */
struct object *keyspace_edit_object(struct keyspace *ks, unsigned db, struct entry *e);

/* False if there was none. */
bool keyspace_delete(struct keyspace *ks, unsigned db, struct key key);
/* Deletes an entry that was just found. */
void keyspace_delete_entry(struct keyspace *ks, unsigned db, struct key key, struct entry *e);

/* Sets (> 0) or removes (EXPIRY_NONE) the expiry. The entry may move; NULL without memory. */
struct entry *keyspace_set_expiry(struct keyspace *ks, unsigned db, struct entry *e, int64_t expiry_ms);

/* For values whose elements may expire by themselves (entry_timed). Before the first one of an object gets an expiry: room
 * for that, so that the next call needs no memory. The entry may move; NULL without memory. */
struct entry *keyspace_make_timed(struct keyspace *ks, unsigned db, struct entry *e);
/* After a change of the elements' expiries: files the entry by what is due first, but by none of its elements before
 * earliest_ms. The entry may move. */
struct entry *keyspace_refile(struct keyspace *ks, unsigned db, struct entry *e, int64_t earliest_ms);

/* Where a key is, or is to be: in which stripe, and which database of it. */
struct keyspace_place {
    struct keyspace *keyspace;
    unsigned db;
    struct key key;
};
/* Moves or copies a value with its expiry and access record under another key, database or stripe, replacing
 * what is there. `from` must exist and differ from `to`. A block or an object is shared by a copy, moved by
 * a move. False without memory. */
bool keyspace_move(const struct keyspace_place *from, const struct keyspace_place *to)
    __attribute__((warn_unused_result));
bool keyspace_copy(const struct keyspace_place *from, const struct keyspace_place *to)
    __attribute__((warn_unused_result));

/* Frees an entry that is in no table and no wheel: for keyspace.c. */
void change_free_entry(struct keyspace *ks, struct entry *e);

#endif
