/* collection.h - the object of a large hash, set, sorted set or list: a tree of its elements, and what the rows of these
 * types have in common.
 *
 * A small collection is a pack, a string of bytes (pack.h); hash.h and its like begin with one, and make an object of
 * it where it becomes too large, once and for all. Which of the two a value is shows in its kind alone. What OBJECT ENCODING
 * says is another matter: that goes by Redis's thresholds, and the mark of a value (`edited`) is that it was above them.
 *
 * Invariants:
 *   1. The head lies in a heap, as the nodes do, so any thread may free it.
 *   2. `graves` is empty while the object is alive.
 *   3. `times` has as many fields as expire, at least one. */
#ifndef KEVY_STORE_TYPES_COLLECTION_H
#define KEVY_STORE_TYPES_COLLECTION_H

#include "store/edit.h"
#include "store/types/times.h"
#include "store/values/pack.h"
#include "store/values/tree_change.h"
#include "store/values/type.h"

enum {
    COLLECTION_PACK_BYTES = ENTRY_VALUE_INLINE_MAX, /* a longer pack would need a block beside its entry */
    COLLECTION_PACK_ELEMENTS = 256, /* parts of elements: what is looked through, and moved, at each change */
};

struct collection {
    struct object head;
    struct tree tree;    /* the elements */
    struct tree index;   /* of a sorted set: scores by member; of others, empty */
    uint64_t long_bytes; /* of blocks, which hold elements that are too long for a leaf */
    struct graves graves;
    struct times *times; /* of a hash some of whose fields expire; else NULL */
};

static inline struct collection *collection_of(const struct object *object) {
    return (struct collection *)(uintptr_t)object;
}
/* The tree of a value that is an object. */
static inline const struct tree *collection_tree(const struct value *value) {
    debug_assert(value->kind == VALUE_OBJECT);
    return &collection_of(value->object)->tree;
}

/* One without elements and with one reference. NULL without memory. */
struct collection *collection_new(struct heap *heap, const struct type *type, enum tree_kind kind);

/* What a change of a tree in this keyspace needs. */
static inline struct tree_context collection_context(struct keyspace *ks) {
    return (struct tree_context){.heap = ks->heap, .seed = ks->seed, .graves = &ks->dead.nodes};
}

/* What the blocks of elements [position, position + count) take. Where very many are long, the first ones stand for all. */
uint64_t collection_long_bytes(const struct tree *tree, uint64_t position, uint64_t count);

/* The object of the edit, to change it: as edit_object. NULL without memory. */
static inline struct collection *collection_edit(struct edit *edit) {
    struct object *object = edit_object(edit);
    return object ? collection_of(object) : NULL;
}
/* The value becomes this object, whose one reference goes to the entry, or is given back where there is no memory. */
bool collection_become_object(struct edit *edit, struct object *object);
static inline bool collection_become(struct edit *edit, struct collection *collection) {
    return collection_become_object(edit, &collection->head);
}

/* A tree of fewer bytes is in the processor's caches as likely as not: nothing is to be asked for ahead. */
enum { COLLECTION_AHEAD_BYTES = 128 << 10 };
/* As tree_ahead_of_hashes, of these members of a set or fields of a hash; false where nothing is asked for. */
bool collection_ahead(const struct keyspace *ks, const struct tree *tree, const struct bytes *members,
                      struct tree_found *found, unsigned count);

/* May a pack of so many bytes and parts of elements stay one, or become one? */
static inline bool collection_may_pack(size_t bytes, uint64_t parts) {
    return bytes <= COLLECTION_PACK_BYTES && parts <= COLLECTION_PACK_ELEMENTS;
}

/* A copy of a pack, to be changed and stored again: one that shrinks must not be left longer than it is. */
struct pack collection_copy_pack(struct bytes pack, char scratch[COLLECTION_PACK_BYTES]);
/* Makes it the value of the edit. False without memory, and then the value is as it was. */
bool collection_store_pack(struct edit *edit, const struct pack *pack);

/* The rows of these types. */
size_t collection_memory(const struct object *object);
struct object *collection_fork(const struct object *object, struct heap *heap);
bool collection_bury(struct object *object, unsigned *budget);

#endif
