/* slab.h - objects of 1 to 8192 bytes out of the chunks of an arena.
 *
 * A chunk serves one size class. Classes stand 8 bytes apart up to 256, an eighth of a power of two apart up to 1,024
 * and a sixteenth above, so at most 1/8 is lost to rounding, 1/16 of small collections, and a pair of 16 + 16 bytes
 * takes exactly 40. Allocating and freeing are O(1); a chunk goes back to the arena with its last object.
 *
 * Invariants:
 *   1. A chunk is listed in its class exactly when it has room.
 *   2. Objects at and beyond `used` are not touched before they are allocated: a fresh chunk costs pages only
 *      as it fills.
 *   3. live <= used <= capacity; the used - live objects that were freed form the list `free`, each in its chunk.
 *   4. used_bytes is the sum of all live objects' sizes, of lasting memory in use, and of what table.c adds. */
#ifndef KEVY_STORE_MEMORY_SLAB_H
#define KEVY_STORE_MEMORY_SLAB_H

#include "store/memory/arena.h"

enum { SLAB_CLASSES = 96, SLAB_FINE_MAX = 256, SLAB_EIGHTHS_MAX = 1024, SLAB_MAX = 8192 };
_Static_assert(SLAB_CLASSES <= UINT8_MAX + 1, "struct chunk names a class in 8 bits");

struct slab_class {
    uint32_t open;     /* list of chunks with room */
    uint16_t units;    /* size of an object, in units of 8 bytes */
    uint16_t capacity; /* objects a chunk */
};

/* Head of memory beside the arena that others may read at any moment, without the owner's lock: until
 * slab_destroy it stays mapped, and serves nothing but its first use. */
struct slab_lasting {
    struct slab_lasting *next; /* of all of the slab's */
    size_t bytes;              /* this head included */
    bool in_use;
};
_Static_assert(sizeof(struct slab_lasting) % 8 == 0, "what follows the head is aligned");

struct slab {
    struct arena arena;           /* owned */
    uint64_t used_bytes;          /* of objects in use, and of what table.c keeps beside them */
    struct slab_lasting *lasting; /* owned: those in use and those that wait to be */
    struct slab_class classes[SLAB_CLASSES];
};

bool slab_init(struct slab *slab, size_t most_bytes) __attribute__((warn_unused_result));
/* The same in addresses of the caller's choice, as arena_init_at says. */
void slab_init_at(struct slab *slab, char *base, size_t bytes, bool reserved);
/* Everything goes at once, whatever is allocated. */
void slab_destroy(struct slab *slab);

/* Handle of an object of at least `size` bytes (1..SLAB_MAX), 8-byte aligned and not cleared; a size class
 * that is a power of two is aligned to itself up to 4096. 0 without memory. */
uint32_t slab_alloc(struct slab *slab, size_t size);
void slab_free(struct slab *slab, uint32_t handle);

/* At least `bytes`, aligned for anything: zeroed, or as it was left when it was given back. So there is never
 * more than was in use at once of its size and above. NULL without memory. */
struct slab_lasting *slab_lasting_take(struct slab *slab, size_t bytes);
void slab_lasting_give(struct slab *slab, struct slab_lasting *lasting);

static inline unsigned slab_class(size_t size) {
    debug_assert(size > 0 && size <= SLAB_MAX);
    if (size <= SLAB_FINE_MAX) return (unsigned)((size + 7) / 8 - 1);
    unsigned bit = 63 - (unsigned)__builtin_clzll(size - 1);
    if (size <= SLAB_EIGHTHS_MAX) return 32 + (bit - 8) * 8 + (unsigned)((size - 1) >> (bit - 3) & 7);
    return 48 + (bit - 10) * 16 + (unsigned)((size - 1) >> (bit - 4) & 15);
}
static inline size_t slab_class_size(unsigned class) {
    if (class < 32) return (class + 1) * 8;
    if (class < 48) return (size_t)(9 + (class & 7)) << (5 + ((class - 32) >> 3));
    return (size_t)(17 + (class & 15)) << (6 + ((class - 48) >> 4));
}

#endif
