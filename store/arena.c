/* arena.c - one PROT_NONE reservation, made accessible in steps of 2 MiB.
 *
 * A step is a system call for some 50,000 small entries. PROT_NONE in between keeps the commit charge of
 * strict overcommit at what is used. Huge pages pay once a keyspace is large: they are asked for beyond the
 * first 32 MiB and refused before, so that a small instance stays small also where the system's default is
 * "always". */
#include "store/arena.h"

#include <string.h>
#include <sys/mman.h>

enum {
    HUGE_PAGE = 1 << 21,
    PAGE_MAX = 1 << 16, /* no system has larger ordinary pages */
    STEP_CHUNKS = HUGE_PAGE / ARENA_CHUNK_BYTES,
    SMALL_PAGES_BYTES = 32 << 20,
    CAPACITY_SHIFT_MAX = 32 + ARENA_UNIT_SHIFT - ARENA_CHUNK_SHIFT, /* 2^32 handles */
    CAPACITY_SHIFT_MIN = 8,                                         /* 16 MiB */
};

/* Chunks that the descriptions take, whole steps. */
static uint32_t description_chunks(uint32_t capacity) {
    size_t step = (size_t)STEP_CHUNKS << ARENA_CHUNK_SHIFT;
    size_t bytes = ((size_t)capacity * sizeof(struct chunk) + step - 1) / step * step;
    return (uint32_t)(bytes >> ARENA_CHUNK_SHIFT);
}

static bool reserve(struct arena *arena, uint32_t capacity) {
    size_t bytes = (size_t)capacity << ARENA_CHUNK_SHIFT;
    void *mapping =
        mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return false;
    uintptr_t base = ((uintptr_t)mapping + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    *arena = (struct arena){
        .base = (char *)mapping + (base - (uintptr_t)mapping),
        .capacity = capacity,
        .mapping = mapping,
        .mapping_bytes = bytes + HUGE_PAGE,
    };
    return true;
}

/* Advice only: a kernel without huge pages refuses, and all is well. */
static void advise_pages(const struct arena *arena) {
    size_t bytes = (size_t)arena->capacity << ARENA_CHUNK_SHIFT;
    size_t small = ((size_t)arena->fresh << ARENA_CHUNK_SHIFT) + SMALL_PAGES_BYTES;
    if (small > bytes) small = bytes;
    madvise(arena->base, small, MADV_NOHUGEPAGE);
    if (small < bytes) madvise(arena->base + small, bytes - small, MADV_HUGEPAGE);
}

bool arena_init(struct arena *arena) {
    for (int shift = CAPACITY_SHIFT_MAX; shift >= CAPACITY_SHIFT_MIN; shift--) {
        if (!reserve(arena, 1u << shift)) continue;
        arena->fresh = arena->accessible = description_chunks(arena->capacity);
        arena->limit = arena->capacity - arena->fresh;
        advise_pages(arena);
        return true;
    }
    return false;
}

void arena_free(struct arena *arena) {
    if (arena->mapping) munmap(arena->mapping, arena->mapping_bytes);
    *arena = (struct arena){0};
}

/* The bytes of descriptions that chunks below `chunks` need, in whole pages of any size. */
static size_t description_bytes(uint32_t chunks) {
    return ((size_t)chunks * sizeof(struct chunk) + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX;
}

static bool open_pages(void *at, size_t bytes) {
    return bytes == 0 || mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0;
}

static bool grow(struct arena *arena) {
    uint32_t end = arena->accessible + STEP_CHUNKS;
    if (end > arena->capacity) return false;
    bool first = arena->accessible == description_chunks(arena->capacity);
    size_t described = first ? 0 : description_bytes(arena->accessible);
    size_t step = (size_t)STEP_CHUNKS << ARENA_CHUNK_SHIFT;
    if (!open_pages(arena->base + described, description_bytes(end) - described)) return false;
    if (!open_pages(arena_chunk_at(arena, arena->accessible), step)) return false;
    arena->accessible = end;
    return true;
}

uint32_t arena_take(struct arena *arena) {
    if (arena->in_use >= arena->limit) return 0;
    uint32_t chunk = arena->returned;
    if (chunk)
        arena->returned = arena_chunk(arena, chunk)->next;
    else if (arena->fresh < arena->accessible || grow(arena))
        chunk = arena->fresh++;
    if (chunk == 0) return 0;
    arena->in_use++;
    memset(arena_chunk(arena, chunk), 0, sizeof(struct chunk));
    return chunk;
}

void arena_give(struct arena *arena, uint32_t chunk) {
    /* Locked memory (mlockall) refuses: then the zeroes that arena_take promises are made by hand. */
    if (madvise(arena_chunk_at(arena, chunk), ARENA_CHUNK_BYTES, MADV_DONTNEED) != 0)
        memset(arena_chunk_at(arena, chunk), 0, ARENA_CHUNK_BYTES);
    arena_chunk(arena, chunk)->next = arena->returned;
    arena->returned = chunk;
    arena->in_use--;
}
