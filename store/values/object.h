/* object.h - the head of a large value with elements, and the way in which such values end.
 *
 * An object is what a type allocates when a value outgrows a string of bytes: this head, and behind it whatever the type
 * needs. It is counted like a block: a copy, a snapshot and a reply in flight are a reference more, from any thread, and
 * whoever writes makes a version of its own first where the count is above 1 (struct type's `fork`).
 *
 * Millions of elements cannot be freed at once. So an object without references is dead, not gone: it joins a list, and
 * the type frees it a bounded part at a time. That needs no memory and no recursion. A keyspace has such a list and works
 * it off in keyspace_upkeep; who lets go of a last reference elsewhere needs one too.
 *
 * Invariants:
 *   1. `references` is above 0 as long as anybody may look at the object; it is 0 in a list of the dead.
 *   2. Only an object with one reference changes.
 *   3. `next` is of use in a list of the dead alone. */
#ifndef KEVY_STORE_VALUES_OBJECT_H
#define KEVY_STORE_VALUES_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/assert.h"
#include "store/values/node.h"

struct type;

struct object {
    const struct type *type;
    struct object *next;
    uint32_t references; /* atomic */
    uint32_t form;       /* which of its type's layouts it has; 0 where there is one */
};

static inline struct object *object_retain(struct object *object) {
    uint32_t references = __atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
    assert(references > 0 && references < UINT32_MAX); /* 1 */
    return object;
}
static inline bool object_shared(const struct object *object) {
    return __atomic_load_n(&object->references, __ATOMIC_ACQUIRE) > 1;
}

struct dead {
    struct object *first;
    uint64_t count;      /* of the list */
    struct graves nodes; /* that living trees have cut off */
};

/* Gives a reference back; a last one leaves the object to `dead`. */
void object_release(struct object *object, struct dead *dead);
/* Adds all that are in `from` to a list, and empties it. */
void dead_join(struct dead *dead, struct dead *from);
/* Frees parts of the dead, and nodes, until the budget, which is counted down, is 0. True while there are more. */
bool dead_bury(struct dead *dead, unsigned *budget);

#endif
