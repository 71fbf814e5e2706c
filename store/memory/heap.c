/* heap.c - slabs at aligned addresses, each behind a small lock.
 *
 * The lock is the three-state futex mutex of Drepper, "Futexes Are Tricky" (2011). */
#include "store/memory/heap.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/memory/memory.h"

enum {
    LOCK_FREE,
    LOCK_HELD,
    LOCK_CONTENDED,
    SPINS = 100,       /* looks at a held lock before sleeping: most holders need less */
    PLACES_TRIED = 32, /* multiples of HEAP_ALIGNMENT that are tried for heaps that lie apart */
    PAGE = 4096,
};
_Static_assert(sizeof(struct heap) <= PAGE, "a heap's head is a page");
_Static_assert(HEAP_ALIGNMENT % ARENA_ALIGNMENT == 0, "an arena may begin behind the head");

struct heaps {
    unsigned count;    /* of heaps: one a shard, or fewer */
    void *reservation; /* of all of them; NULL: each takes its own addresses */
    size_t reserved;   /* bytes of that */
    struct heap *heaps[];
};

/* ---- The lock ------------------------------------------------------------------------------------- */

static void lock_slowly(uint32_t *lock) {
    for (unsigned i = 0; i < SPINS; i++) {
        uint32_t free = LOCK_FREE;
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == LOCK_FREE &&
            __atomic_compare_exchange_n(lock, &free, LOCK_HELD, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
    }
    while (__atomic_exchange_n(lock, LOCK_CONTENDED, __ATOMIC_ACQUIRE) != LOCK_FREE)
        syscall(SYS_futex, lock, FUTEX_WAIT_PRIVATE, LOCK_CONTENDED, NULL, NULL, 0);
}

static void lock_heap(struct heap *heap) {
    uint32_t free = LOCK_FREE;
    if (!__atomic_compare_exchange_n(&heap->lock, &free, LOCK_HELD, false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED))
        lock_slowly(&heap->lock);
}

static void unlock_heap(struct heap *heap) {
    bool empty = heap->slab.arena.resident != 0;
    if (heap->empty != empty) __atomic_store_n(&heap->empty, empty, __ATOMIC_RELAXED);
    uint32_t was = __atomic_exchange_n(&heap->lock, LOCK_FREE, __ATOMIC_RELEASE);
    assert(was != LOCK_FREE);
    if (was == LOCK_CONTENDED) syscall(SYS_futex, &heap->lock, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- Addresses ------------------------------------------------------------------------------------ */

static void *reserve(void *at, size_t bytes) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
    void *mapping = mmap(at, bytes, PROT_NONE, flags, -1, 0);
    if (mapping == MAP_FAILED) return NULL;
    if (at == NULL || mapping == at) return mapping;
    munmap(mapping, bytes); /* a kernel before Linux 4.17 takes the address for a hint */
    return NULL;
}

static void open_heap(struct heaps *heaps, unsigned number, char *at) {
    assert((uintptr_t)at % HEAP_ALIGNMENT == 0);
    struct heap *heap = heaps->heaps[number] = (void *)at;
    *heap = (struct heap){.all = heaps};
    slab_init_at(&heap->slab, at + ARENA_ALIGNMENT, HEAP_ALIGNMENT - ARENA_ALIGNMENT,
                 heaps->reservation != NULL);
}

static bool open_head(char *at) {
    return mprotect(at, PAGE, PROT_READ | PROT_WRITE) == 0;
}

/* One reservation for all of them. */
static bool reserve_together(struct heaps *heaps, unsigned count) {
    heaps->reserved = (count + 1) * HEAP_ALIGNMENT;
    heaps->reservation = reserve(NULL, heaps->reserved);
    if (heaps->reservation == NULL) return false;
    uintptr_t first = ((uintptr_t)heaps->reservation + HEAP_ALIGNMENT - 1) & ~(HEAP_ALIGNMENT - 1);
    char *at = (char *)heaps->reservation + (first - (uintptr_t)heaps->reservation);
    for (; heaps->count < count; heaps->count++, at += HEAP_ALIGNMENT) {
        if (!open_head(at)) return false;
        open_heap(heaps, heaps->count, at);
    }
    return true;
}

static void unmap_all(struct heaps *heaps) {
    for (unsigned i = 0; i < heaps->count && !heaps->reservation; i++) {
        arena_free(&heaps->heaps[i]->slab.arena);
        munmap(heaps->heaps[i], PAGE);
    }
    if (heaps->reservation) munmap(heaps->reservation, heaps->reserved);
    heaps->reservation = NULL;
    heaps->count = 0;
}

/* The head alone, at this multiple of HEAP_ALIGNMENT. */
static void open_apart(struct heaps *heaps, uintptr_t multiple) {
    char *at = (char *)(multiple * HEAP_ALIGNMENT);
    if (reserve(at, PAGE) == NULL) return;
    if (open_head(at))
        open_heap(heaps, heaps->count++, at);
    else
        munmap(at, PAGE);
}

/* Below where the kernel puts mappings, a whole alignment away from these at least: they come nearer from above while a heap
 * grows from below. If there is nothing below it then above it, for some put mappings low (valgrind). Not far away:
 * ThreadSanitizer bears no address outside of the 1.5 TiB that it knows. */
static bool take_apart(struct heaps *heaps, unsigned count) {
    void *probe = reserve(NULL, PAGE);
    if (probe == NULL) return false;
    munmap(probe, PAGE);
    uintptr_t here = (uintptr_t)probe / HEAP_ALIGNMENT;
    for (uintptr_t i = 1; i < here && i < PLACES_TRIED && heaps->count < count; i++)
        open_apart(heaps, here - i);
    bool high = heaps->count > 0;
    for (uintptr_t i = 1; !high && i < PLACES_TRIED && heaps->count < count; i++) open_apart(heaps, here + i);
    return heaps->count > 0;
}

struct heaps *heaps_new(unsigned count, bool sparing) {
    assert(count >= 1 && count <= HEAPS_MAX);
    struct heaps *heaps = memory_zeroed(sizeof *heaps + count * sizeof heaps->heaps[0]);
    if (heaps == NULL) return NULL;
    if (!sparing && reserve_together(heaps, count)) return heaps;
    unmap_all(heaps);
    if (take_apart(heaps, count)) return heaps;
    free(heaps);
    return NULL;
}

void heaps_free(struct heaps *heaps) {
    if (heaps == NULL) return;
    unmap_all(heaps);
    free(heaps);
}

bool heaps_reserved(const struct heaps *heaps) {
    return heaps->reservation != NULL;
}

struct heap *heaps_at(const struct heaps *heaps, unsigned shard) {
    assert(heaps->count > 0);
    return heaps->heaps[shard % heaps->count];
}

/* ---- Nodes ---------------------------------------------------------------------------------------- */

static void *alloc_in(struct heap *heap, size_t size) {
    lock_heap(heap);
    uint32_t handle = slab_alloc(&heap->slab, size);
    unlock_heap(heap);
    return handle ? arena_at(&heap->slab.arena, handle) : NULL;
}

__attribute__((weak)) void *node_alloc(struct heap *heap, size_t size) {
    void *node = alloc_in(heap, size);
    for (unsigned i = 0; node == NULL && i < heap->all->count; i++)
        if (heap->all->heaps[i] != heap) node = alloc_in(heap->all->heaps[i], size);
    return node;
}

__attribute__((weak)) void node_free(void *node) {
    struct heap *heap = (void *)((uintptr_t)node & ~(HEAP_ALIGNMENT - 1)); /* 1 */
    lock_heap(heap);
    slab_free(&heap->slab, arena_handle(&heap->slab.arena, node));
    unlock_heap(heap);
}

__attribute__((weak)) void node_refers(void *node, int64_t bytes) {
    struct heap *heap = (void *)((uintptr_t)node & ~(HEAP_ALIGNMENT - 1)); /* 1 */
    uint64_t before = __atomic_fetch_add(&heap->blocks, (uint64_t)bytes, __ATOMIC_RELAXED);
    assert(bytes >= 0 || before >= (uint64_t)-bytes); /* 3 */
}

uint64_t heap_used(struct heap *heap) {
    lock_heap(heap);
    uint64_t bytes = heap->slab.used_bytes;
    unlock_heap(heap);
    return bytes;
}

uint64_t heap_resident(struct heap *heap) {
    lock_heap(heap);
    uint64_t chunks = heap->slab.arena.in_use;
    unlock_heap(heap);
    return chunks * ARENA_CHUNK_BYTES;
}

uint64_t heaps_used(const struct heaps *heaps) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < heaps->count; i++) bytes += heap_used(heaps->heaps[i]);
    return bytes;
}

uint64_t heaps_resident(const struct heaps *heaps) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < heaps->count; i++) bytes += heap_resident(heaps->heaps[i]);
    return bytes;
}

uint64_t heaps_blocks(const struct heaps *heaps) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < heaps->count; i++)
        bytes += __atomic_load_n(&heaps->heaps[i]->blocks, __ATOMIC_RELAXED);
    return bytes;
}

bool heap_return(struct heap *heap, unsigned chunks) {
    lock_heap(heap);
    bool more = arena_return(&heap->slab.arena, chunks);
    unlock_heap(heap);
    return more;
}
