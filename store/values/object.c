/* object.c - references to objects, and the burial of those that have none left. */
#include "store/values/object.h"

#include "store/values/type.h"

void object_release(struct object *object, struct dead *dead) {
    uint32_t references = __atomic_fetch_sub(&object->references, 1, __ATOMIC_ACQ_REL);
    assert(references > 0); /* 1 */
    if (references != 1) return;
    object->next = dead->first;
    dead->first = object;
    dead->count++;
}

void dead_join(struct dead *dead, struct dead *from) {
    while (from->first) {
        struct object *object = from->first;
        from->first = object->next;
        object->next = dead->first;
        dead->first = object;
    }
    dead->count += from->count;
    from->count = 0;
    graves_join(&dead->nodes, &from->nodes);
}

bool dead_bury(struct dead *dead, unsigned *budget) {
    while (dead->first && *budget > 0) {
        struct object *object = dead->first, *next = object->next;
        unsigned before = *budget;
        assert(object->references == 0); /* 1 */
        bool gone = object->type->bury(object, budget);
        assert(*budget < before); /* else this would never end */
        if (!gone) continue;
        dead->first = next;
        dead->count--;
    }
    assert((dead->first != NULL) == (dead->count > 0));
    bool more = *budget > 0 ? graves_dig(&dead->nodes, budget) : dead->nodes.first != NULL;
    return more || dead->first;
}
