/* hash_timed.h - small hashes some of whose fields expire: an object with a pack in it, of three elements a field.
 *
 *     | head | due first | bytes | pack: field, value, expiry, field, value, expiry ... |
 *
 * An expiry is six bytes, the lowest first, or none. The object never changes: who changes the hash makes a
 * draft of it, a pack of its own, and from that another object; or, where no field expires any more, a plain
 * pack of two elements a field. */
#ifndef KEVY_STORE_TYPES_HASH_TIMED_H
#define KEVY_STORE_TYPES_HASH_TIMED_H

#include "store/types/collection.h"

enum { TIMED_FIELD, TIMED_VALUE, TIMED_EXPIRY, TIMED_PARTS };
enum { TIMED_ELEMENTS = COLLECTION_PACK_ELEMENTS / 2 * TIMED_PARTS }; /* as many fields as in a plain pack */

enum hash_form { HASH_FORM_TREE, HASH_FORM_TIMED };

struct hash_timed {
    struct object head; /* of HASH_FORM_TIMED */
    int64_t due_ms;     /* the first expiry */
    size_t len;
    char pack[];
};

static inline const struct hash_timed *hash_timed(const struct object *object) {
    debug_assert(object->form == HASH_FORM_TIMED);
    return (const struct hash_timed *)(const void *)object;
}
static inline struct bytes hash_timed_pack(const struct object *object) {
    return (struct bytes){hash_timed(object)->pack, hash_timed(object)->len};
}
static inline size_t hash_timed_memory(const struct object *object) {
    return node_bytes(sizeof(struct hash_timed) + hash_timed(object)->len);
}

/* The expiry that an element says; 0: none. */
int64_t hash_timed_expiry(const struct element *element);
/* The index of a field in a pack of three elements a field, or the count. */
uint32_t hash_timed_find(struct bytes pack, struct bytes field);

/* A pack of three elements a field, to be changed. */
struct hash_draft {
    struct pack pack;
    char bytes[COLLECTION_PACK_BYTES];
};
/* Of a pack, or of an object of this form. False: that would be too large. */
bool hash_draft(struct hash_draft *draft, const struct value *value);
/* Sets the field at this index, or, where that is the count, adds it. Field and value do not lie in the draft. False: that
 * would be too large, and nothing is changed. */
bool hash_draft_set(struct hash_draft *draft, uint32_t index, struct bytes field, struct bytes value,
                    int64_t expiry_ms);
void hash_draft_delete(struct hash_draft *draft, uint32_t index);
/* Makes a value of it: inline, its bytes in the draft, or an object with one reference, the caller's. Of the value the
 * type and mark are as they were. False without memory. */
bool hash_draft_done(struct hash_draft *draft, struct heap *heap, struct value *value);

#endif
