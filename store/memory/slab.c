/* slab.c - size classes over chunks: an intrusive free list and a bump index in each. */
#include "store/memory/slab.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "store/memory/memory.h"

_Static_assert(ARENA_CHUNK_BYTES / 8 <= UINT16_MAX, "counts of a chunk fit 16 bits");
_Static_assert((int)SLAB_MAX <= (int)ARENA_CHUNK_BYTES, "a chunk holds an object of any class");
_Static_assert(sizeof(((struct chunk *)0)->free) <= 1 << ARENA_UNIT_SHIFT,
               "a freed object has room for its link");

static void begin(struct slab *slab) {
    *slab = (struct slab){0};
    for (unsigned class = 0; class < SLAB_CLASSES; class ++) {
        size_t size = slab_class_size(class);
        assert(slab_class(size) == class &&
               (class == 0 || slab_class(slab_class_size(class - 1) + 1) == class));
        assert(size % (1 << ARENA_UNIT_SHIFT) == 0 && size <= SLAB_MAX);
        slab->classes[class].units = (uint16_t)(size >> ARENA_UNIT_SHIFT);
        slab->classes[class].capacity = (uint16_t)(ARENA_CHUNK_BYTES / size);
    }
}

bool slab_init(struct slab *slab, size_t most_bytes) {
    begin(slab);
    return arena_init(&slab->arena, most_bytes);
}

void slab_init_at(struct slab *slab, char *base, size_t bytes, bool reserved) {
    begin(slab);
    arena_init_at(&slab->arena, base, bytes, reserved);
}

void slab_destroy(struct slab *slab) {
    for (struct slab_lasting *next; slab->lasting; slab->lasting = next) {
        next = slab->lasting->next;
        free(slab->lasting);
    }
    arena_free(&slab->arena);
}

static void list_push(struct slab *slab, struct slab_class *class, uint32_t n) {
    struct chunk *chunk = arena_chunk(&slab->arena, n);
    assert(!chunk->listed && class == &slab->classes[chunk->class]);
    chunk->prev = 0;
    chunk->next = class->open;
    chunk->listed = true;
    if (class->open) arena_chunk(&slab->arena, class->open)->prev = n;
    class->open = n;
}

static void list_remove(struct slab *slab, struct slab_class *class, uint32_t n) {
    struct chunk *chunk = arena_chunk(&slab->arena, n);
    assert(chunk->listed && (chunk->prev != 0) == (class->open != n));
    if (chunk->next) arena_chunk(&slab->arena, chunk->next)->prev = chunk->prev;
    if (chunk->prev)
        arena_chunk(&slab->arena, chunk->prev)->next = chunk->next;
    else
        class->open = chunk->next;
    chunk->listed = false;
}

/* A chunk of the class with room, or 0. */
static uint32_t open_chunk(struct slab *slab, unsigned class) {
    if (slab->classes[class].open) return slab->classes[class].open;
    uint32_t n = arena_take(&slab->arena);
    if (n == 0) return 0;
    arena_chunk(&slab->arena, n)->class = (uint8_t) class;
    list_push(slab, &slab->classes[class], n);
    return n;
}

/* Is it where an object of the chunk may be that was given out before (invariants 2 and 3)? */
static bool is_object(const struct slab *slab, const struct chunk *chunk, uint32_t handle) {
    unsigned units = slab->classes[chunk->class].units, offset = handle % ARENA_CHUNK_UNITS;
    return chunk == arena_chunk(&slab->arena, handle / ARENA_CHUNK_UNITS) && offset % units == 0 &&
           offset / units < chunk->used;
}

uint32_t slab_alloc(struct slab *slab, size_t size) {
    assert(size > 0 && size <= SLAB_MAX);
    unsigned index = slab_class(size);
    struct slab_class *class = &slab->classes[index];
    uint32_t n = open_chunk(slab, index), handle;
    if (n == 0) return 0;
    struct chunk *chunk = arena_chunk(&slab->arena, n);
    debug_assert(chunk->listed && chunk->class == index);                                          /* 1 */
    debug_assert(chunk->live <= chunk->used && (chunk->free != 0) == (chunk->live < chunk->used)); /* 3 */
    if (chunk->free) {
        handle = chunk->free;
        debug_assert(is_object(slab, chunk, handle));
        memcpy(&chunk->free, arena_at(&slab->arena, handle), sizeof chunk->free);
        memory_prefetch(arena_at(&slab->arena, chunk->free)); /* the next allocation reads its link */
    } else {
        assert(chunk->used < class->capacity); /* 1 */
        handle = n * ARENA_CHUNK_UNITS + (uint32_t)chunk->used++ * class->units;
    }
    chunk->live++;
    if (chunk->free == 0 && chunk->used == class->capacity) list_remove(slab, class, n);
    slab->used_bytes += (uint64_t) class->units << ARENA_UNIT_SHIFT;
    return handle;
}

void slab_free(struct slab *slab, uint32_t handle) {
    uint32_t n = handle / ARENA_CHUNK_UNITS;
    struct chunk *chunk = arena_chunk(&slab->arena, n);
    struct slab_class *class = &slab->classes[chunk->class];
    assert(handle && chunk->live > 0 && chunk->live <= chunk->used);
    debug_assert(is_object(slab, chunk, handle));
    debug_assert(slab->used_bytes >= (uint64_t) class->units << ARENA_UNIT_SHIFT); /* 4 */
    memcpy(arena_at(&slab->arena, handle), &chunk->free, sizeof chunk->free);
    chunk->free = handle;
    chunk->live--;
    slab->used_bytes -= (uint64_t) class->units << ARENA_UNIT_SHIFT;
    if (!chunk->listed) list_push(slab, class, n);
    if (chunk->live > 0) return;
    list_remove(slab, class, n);
    arena_give(&slab->arena, n);
}

/* ---- What lasts ----------------------------------------------------------------------------------- */

static struct slab_lasting *smallest_that_waits(const struct slab *slab, size_t bytes) {
    struct slab_lasting *best = NULL;
    for (struct slab_lasting *l = slab->lasting; l; l = l->next)
        if (!l->in_use && l->bytes >= bytes && (best == NULL || l->bytes < best->bytes)) best = l;
    return best;
}

struct slab_lasting *slab_lasting_take(struct slab *slab, size_t bytes) {
    struct slab_lasting *lasting = smallest_that_waits(slab, bytes);
    assert(bytes >= sizeof *lasting);
    if (lasting == NULL) {
        lasting = memory_zeroed(bytes);
        if (lasting == NULL) return NULL;
        *lasting = (struct slab_lasting){.next = slab->lasting, .bytes = bytes};
        slab->lasting = lasting;
    }
    assert(!lasting->in_use && lasting->bytes >= bytes);
    lasting->in_use = true;
    slab->used_bytes += lasting->bytes;
    return lasting;
}

void slab_lasting_give(struct slab *slab, struct slab_lasting *lasting) {
    assert(lasting->in_use && slab->used_bytes >= lasting->bytes);
    lasting->in_use = false;
    slab->used_bytes -= lasting->bytes;
}
