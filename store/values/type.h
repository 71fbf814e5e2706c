/* type.h - what a type of values is: one row of a table, written in one file of values/.
 *
 * Everything in the store, and every command that works on keys of any type, asks the row. So a new type is
 *
 *     const struct type type_hash = {.name = "hash", .number = TYPE_HASH, .count = count, ...};     values/hash.c
 *     [TYPE_HASH] = &type_hash,                                                                       values/type.c
 *
 * and its commands. They change values through edit.h. */
#ifndef KEVY_STORE_VALUES_TYPE_H
#define KEVY_STORE_VALUES_TYPE_H

#include "store/rdb/reader.h"
#include "store/rdb/sink.h"
#include "store/values/digest.h"
#include "store/values/object.h"
#include "store/values/value.h"

struct loading; /* load.h */
struct edit;    /* edit.h */

/* An element of a value is about to be deleted, because its time has come. */
typedef void expired_element(void *context, struct bytes name);

struct type {
    const char *name; /* as TYPE tells it */
    enum entry_type number;
    bool keeps_empty; /* a value without elements stays (strings, streams); else its key goes with the last */

    /* As OBJECT ENCODING tells it. */
    const char *(*encoding)(const struct value *value);
    /* How many elements; a string is one. */
    uint64_t (*count)(const struct value *value);
    /* Mixes the contents into a digest (DEBUG DIGEST), whatever their encoding and order in memory are. */
    void (*digest)(const struct value *value, struct digest *digest);
    /* Writes the next part of the value, about `budget` bytes (an element may overdraw it), from the cursor on. As long
     * as somebody holds the object it may be dumped without a lock. */
    enum dumped (*dump)(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget);
    /* How it is written: the byte that stands before it in a dump. */
    enum rdb_type (*form)(const struct value *value);
    /* Adds an element to the value that is being loaded, which has none at first. It believes nothing. */
    enum rdb_answer (*load)(struct loading *loading, const struct rdb_element *element);
    /* Adds all elements of a string at once, and the walk is at its end; or says RDB_SINGLY. NULL: it never can. */
    enum rdb_answer (*load_all)(struct loading *loading, struct packed *packed);
    /* All elements have been added. NULL where nothing is left to do then. */
    enum rdb_answer (*loaded)(struct loading *loading);

    /* The rest is about objects; a type without them, as strings are, leaves it out. */

    /* Bytes that it takes, those that it shares with other versions included. O(1). */
    size_t (*memory)(const struct object *object);
    /* A version with the same elements and one reference, which may change: it shares with the old one what does not
     * change. Its nodes come from the heap. NULL without memory. */
    struct object *(*fork)(const struct object *object, struct heap *heap);
    /* Frees parts of an object without references, counting each down from the budget (which is above 0); true when it
     * is gone. What it shares with living versions loses a reference. Needs no memory. */
    bool (*bury)(struct object *object, unsigned *budget);

    /* And this about objects whose elements may expire by themselves; all other types leave it out. */

    /* When the first of its elements is due, absolute milliseconds; INT64_MAX: none expires. */
    int64_t (*due)(const struct object *object);
    /* How many are due by now. */
    uint64_t (*overdue)(const struct object *object, int64_t now_ms);
    /* Deletes such elements, `budget` of them at most, and tells `expired` of each before it goes. Not all elements are
     * overdue. How many went: fewer where memory ran out. */
    unsigned (*expire)(struct edit *edit, int64_t now_ms, unsigned budget, expired_element *expired,
                       void *context);
    /* Does some of what was put off in a part of a value that is an object (keyspace_put_off), counted down from the
     * budget; to whoever looks it is what it was. True when all is done; where it is false and budget is left, there was no
     * memory. NULL: a type that puts nothing off. */
    bool (*tend)(struct edit *edit, struct bytes part, unsigned *budget);
};

/* The rows that there are, by enum entry_type; NULL where there is none. */
extern const struct type *const type_rows[TYPES];

extern const struct type type_string; /* values/string.c */
extern const struct type type_list;   /* types/list.c */
extern const struct type type_hash;   /* types/hash.c */
extern const struct type type_zset;   /* types/zset.c */
extern const struct type type_set;    /* types/set.c */
extern const struct type type_stream; /* types/stream.c */

#endif
