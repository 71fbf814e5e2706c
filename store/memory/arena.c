/* arena.c - one PROT_NONE reservation, made accessible in steps of 2 MiB; or, where addresses are few, taken so.
 *
 * A step is a system call for some 50,000 small entries. PROT_NONE in between keeps the commit charge of
 * strict overcommit at what is used. Huge pages are refused, also where the system's default is "always":
 * store/README.md has the figures. */
#include "store/memory/arena.h"

#include <string.h>
#include <sys/mman.h>

enum {
    STEP_BYTES = 1 << 21,
    PAGE_MIN = 1 << 12,
    PAGE_MAX = 1 << 16, /* no system has larger ordinary pages */
    STEP_CHUNKS = STEP_BYTES / ARENA_CHUNK_BYTES,
    CAPACITY_SHIFT_MAX = 32 + ARENA_UNIT_SHIFT - ARENA_CHUNK_SHIFT, /* 2^32 handles */
    CAPACITY_SHIFT_MIN = 8,                                         /* 16 MiB */
};
_Static_assert((int)STEP_BYTES == (int)ARENA_ALIGNMENT &&
                   1 << (CAPACITY_SHIFT_MIN + ARENA_CHUNK_SHIFT) == (int)ARENA_BYTES_MIN,
               "the header says what there is");
_Static_assert(STEP_BYTES % ARENA_CHUNK_BYTES == 0 && STEP_BYTES % PAGE_MAX == 0,
               "a step is whole chunks and pages");
_Static_assert(ARENA_CHUNK_BYTES % PAGE_MAX == 0, "the pages of a chunk are no other chunk's");
_Static_assert((sizeof(struct chunk) << CAPACITY_SHIFT_MIN) <= STEP_BYTES &&
                   STEP_CHUNKS << 1 <= 1 << CAPACITY_SHIFT_MIN,
               "the smallest arena has room behind its descriptions");

/* Chunks that the descriptions take, whole steps. */
static uint32_t description_chunks(uint32_t capacity) {
    size_t bytes = ((size_t)capacity * sizeof(struct chunk) + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
    return (uint32_t)(bytes >> ARENA_CHUNK_SHIFT);
}

/* Nothing is given out yet. Advice about huge pages: a kernel without them refuses, and all is well. */
static void begin_empty(struct arena *arena) {
    arena->fresh = arena->accessible = description_chunks(arena->capacity);
    assert(arena->fresh > 0 && arena->fresh < arena->capacity); /* 1; and no handle is 0 */
    arena->limit = arena->capacity - arena->fresh;
    if (!arena->grows) madvise(arena->base, (size_t)arena->capacity << ARENA_CHUNK_SHIFT, MADV_NOHUGEPAGE);
}

static bool reserve(struct arena *arena, uint32_t capacity) {
    size_t bytes = (size_t)capacity << ARENA_CHUNK_SHIFT;
    void *mapping =
        mmap(NULL, bytes + STEP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return false;
    uintptr_t base = ((uintptr_t)mapping + STEP_BYTES - 1) & ~(uintptr_t)(STEP_BYTES - 1);
    *arena = (struct arena){
        .base = (char *)mapping + (base - (uintptr_t)mapping),
        .capacity = capacity,
        .mapping = mapping,
        .mapping_bytes = bytes + STEP_BYTES,
    };
    assert(base % STEP_BYTES == 0 && base + bytes <= (uintptr_t)mapping + arena->mapping_bytes);
    return true;
}

bool arena_init(struct arena *arena, size_t most_bytes) {
    for (int shift = CAPACITY_SHIFT_MAX; shift >= CAPACITY_SHIFT_MIN; shift--) {
        if (shift > CAPACITY_SHIFT_MIN && most_bytes && (size_t)1 << (shift + ARENA_CHUNK_SHIFT) > most_bytes)
            continue;
        if (!reserve(arena, 1u << shift)) continue;
        begin_empty(arena);
        return true;
    }
    return false;
}

void arena_init_at(struct arena *arena, char *base, size_t bytes, bool reserved) {
    size_t most = (size_t)1 << (CAPACITY_SHIFT_MAX + ARENA_CHUNK_SHIFT);
    assert((uintptr_t)base % STEP_BYTES == 0 && bytes >= ARENA_BYTES_MIN);
    *arena = (struct arena){.base = base, .grows = !reserved};
    arena->capacity = (uint32_t)((bytes < most ? bytes : most) / STEP_BYTES * STEP_CHUNKS);
    begin_empty(arena);
}

/* The bytes of descriptions that chunks below `chunks` need, in whole pages of any size. */
static size_t description_bytes(uint32_t chunks) {
    return ((size_t)chunks * sizeof(struct chunk) + PAGE_MAX - 1) / PAGE_MAX * PAGE_MAX;
}

/* Those that can be read and written: none before the first step. */
static size_t described_bytes(const struct arena *arena) {
    bool first = arena->accessible == description_chunks(arena->capacity);
    return first ? 0 : description_bytes(arena->accessible);
}

static bool open_pages(const struct arena *arena, void *at, size_t bytes) {
    if (bytes == 0) return true;
    if (!arena->grows) return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *mapping = mmap(at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (mapping == MAP_FAILED) return false;
    if (mapping != at) { /* a kernel before Linux 4.17 takes the address for a hint */
        munmap(mapping, bytes);
        return false;
    }
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return true;
}

static void close_pages(const struct arena *arena, void *at, size_t bytes) {
    if (arena->grows && bytes) munmap(at, bytes);
}

static bool grow(struct arena *arena) {
    uint32_t end = arena->accessible + STEP_CHUNKS;
    assert(arena->accessible % STEP_CHUNKS == 0 && arena->fresh == arena->accessible);
    if (end > arena->capacity) return false;
    char *descriptions = arena->base + described_bytes(arena);
    size_t bytes = description_bytes(end) - described_bytes(arena);
    if (!open_pages(arena, descriptions, bytes)) return false;
    if (!open_pages(arena, arena_chunk_at(arena, arena->accessible), STEP_BYTES)) {
        close_pages(arena, descriptions, bytes);
        return false;
    }
    arena->accessible = end;
    return true;
}

void arena_free(struct arena *arena) {
    if (arena->mapping) munmap(arena->mapping, arena->mapping_bytes);
    if (arena->grows) {
        uint32_t first = description_chunks(arena->capacity);
        close_pages(arena, arena->base, described_bytes(arena));
        close_pages(arena, arena_chunk_at(arena, first),
                    (size_t)(arena->accessible - first) << ARENA_CHUNK_SHIFT);
    }
    *arena = (struct arena){0};
}

static uint32_t list_pop(const struct arena *arena, uint32_t *list) {
    uint32_t chunk = *list;
    assert(chunk < arena->fresh); /* 2 */
    if (chunk) *list = arena_chunk(arena, chunk)->next;
    return chunk;
}
static void list_push(const struct arena *arena, uint32_t *list, uint32_t chunk) {
    arena_chunk(arena, chunk)->next = *list;
    *list = chunk;
}

static uint32_t take_fresh(struct arena *arena) {
    return arena->fresh < arena->accessible || grow(arena) ? arena->fresh++ : 0;
}

static uint32_t begin(struct arena *arena, uint32_t chunk) {
    if (chunk == 0) return 0;
    assert(chunk < arena->fresh && arena->fresh <= arena->accessible); /* 1 */
    memset(arena_chunk(arena, chunk), 0, sizeof(struct chunk));
    arena->in_use++;
    assert(arena->in_use < arena->fresh); /* 2: the descriptions are some, too */
    return chunk;
}

uint32_t arena_take(struct arena *arena) {
    if (arena->in_use >= arena->limit) return 0;
    uint32_t chunk = list_pop(arena, &arena->resident); /* its pages are there already */
    if (chunk == 0) chunk = list_pop(arena, &arena->empty);
    if (chunk == 0) chunk = take_fresh(arena);
    return begin(arena, chunk);
}

/* Looks at the first page, which will be used soon; others may be untouched, and stay so. */
static bool begins_with_zeroes(const struct arena *arena, uint32_t chunk) {
    const char *at = arena_chunk_at(arena, chunk);
    return at[0] == 0 && memcmp(at, at + 1, PAGE_MIN - 1) == 0;
}

uint32_t arena_take_zeroed(struct arena *arena) {
    if (arena->in_use >= arena->limit) return 0;
    uint32_t chunk = list_pop(arena, &arena->empty);
    if (chunk == 0 && (chunk = list_pop(arena, &arena->resident)))
        memset(arena_chunk_at(arena, chunk), 0, ARENA_CHUNK_BYTES);
    if (chunk == 0) chunk = take_fresh(arena);
    debug_assert(chunk == 0 || begins_with_zeroes(arena, chunk)); /* 3 */
    return begin(arena, chunk);
}

void arena_give(struct arena *arena, uint32_t chunk) {
    assert(arena->in_use > 0 && chunk >= description_chunks(arena->capacity) && chunk < arena->fresh); /* 2 */
    assert(arena_chunk(arena, chunk)->live == 0 && !arena_chunk(arena, chunk)->listed);
    list_push(arena, &arena->resident, chunk);
    arena->in_use--;
}

bool arena_return(struct arena *arena, unsigned chunks) {
    for (; chunks > 0 && arena->resident; chunks--) {
        uint32_t chunk = list_pop(arena, &arena->resident);
        /* Locked memory (mlockall) is not given up: then it is at least zeroed. */
        if (madvise(arena_chunk_at(arena, chunk), ARENA_CHUNK_BYTES, MADV_DONTNEED) != 0)
            memset(arena_chunk_at(arena, chunk), 0, ARENA_CHUNK_BYTES);
        list_push(arena, &arena->empty, chunk);
    }
    return arena->resident != 0;
}
