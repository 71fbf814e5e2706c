/* arena.h - the memory of one keyspace: 64 KiB chunks out of one large reservation of addresses.
 *
 *      base                        data                                          base + capacity * 64 KiB
 *      +---------------------------+-------+-------+-------+--- - - ---+----- - - - ------+
 *      | struct chunk, one a chunk | chunk | chunk | chunk |  readable |   PROT_NONE      |
 *      +---------------------------+-------+-------+-------+--- - - ---+----- - - - ------+
 *
 * Addresses are cheap and memory is not: 32 GiB are reserved and pages appear when they are touched. So a
 * handle of 32 bits, counting 8-byte units from the base, names any object of the keyspace with no table in
 * between, and 0 is free to mean "none". Where 32 GiB of addresses are refused (RLIMIT_AS), a smaller power
 * of two is taken.
 *
 * Invariants:
 *   1. Descriptions end at or before `fresh`, fresh <= accessible <= capacity. What lies below `accessible`, and the
 *      descriptions of those chunks, can be read and written.
 *   2. Every chunk below `fresh` is a description's, or given out (in_use counts these), or in the list `resident`,
 *      or in the list `empty`.
 *   3. Chunks of the list `empty`, and those from `fresh` on, are all zeroes.
 *
 * Descriptions of chunks stand apart, at the front: chunks stay aligned and whole, and walking descriptions
 * does not land on one cache set, as headers at every 64 KiB would. */
#ifndef KEVY_STORE_MEMORY_ARENA_H
#define KEVY_STORE_MEMORY_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/assert.h"

enum {
    ARENA_CHUNK_SHIFT = 16,
    ARENA_CHUNK_BYTES = 1 << ARENA_CHUNK_SHIFT,
    ARENA_UNIT_SHIFT = 3, /* a handle counts units of 8 bytes */
    ARENA_CHUNK_UNITS = ARENA_CHUNK_BYTES >> ARENA_UNIT_SHIFT,
    ARENA_ALIGNMENT = 1 << 21, /* of a base that is given */
    ARENA_BYTES_MIN = 1 << 24,
};

/* What the owner of a chunk (slab.c) notes about it. */
struct chunk {
    uint32_t free;       /* handle of the first freed object, or 0 */
    uint32_t next, prev; /* chunk numbers in the owner's list; next: in the arena's lists too */
    uint16_t used;       /* objects given out at least once: what lies beyond was never touched */
    uint16_t live;       /* objects in use */
    uint8_t class;
    bool listed; /* in its class's list of chunks with room */
};
_Static_assert(sizeof(struct chunk) == 20, "a chunk's description is small against its 64 KiB");

struct arena {
    char *base;
    uint32_t capacity;   /* chunks that the reservation holds */
    uint32_t fresh;      /* the first chunk never given out */
    uint32_t accessible; /* chunks below this are readable and writable */
    uint32_t resident;   /* list of chunks that came back, pages and all */
    uint32_t empty;      /* list of those whose pages went to the kernel since: zeroed */
    uint32_t in_use;     /* chunks given out */
    uint32_t limit;      /* at most so many are given out; tests lower it */
    bool grows;          /* addresses are taken a step at a time; else all of them are reserved */
    void *mapping;
    size_t mapping_bytes;
};

/* Reserves addresses, at most `most_bytes` of them (0: as many as handles can name). False if not even a few
 * MiB can be had. */
bool arena_init(struct arena *arena, size_t most_bytes) __attribute__((warn_unused_result));
/* The same in `bytes` (at least ARENA_BYTES_MIN) of addresses at a multiple of ARENA_ALIGNMENT. Those that are `reserved`
 * are so by the caller, PROT_NONE, and stay the caller's. Else nobody holds them yet: the arena takes them as it grows, and
 * has no more memory where somebody else was faster, or where a limit on addresses is reached. */
void arena_init_at(struct arena *arena, char *base, size_t bytes, bool reserved);
void arena_free(struct arena *arena);

/* A chunk's number, or 0 without memory. Its bytes are arbitrary. */
uint32_t arena_take(struct arena *arena);
uint32_t arena_take_zeroed(struct arena *arena);
/* No system call: the pages stay for whoever takes a chunk next, until arena_return. */
void arena_give(struct arena *arena, uint32_t chunk);
/* Returns the pages of at most so many chunks to the kernel, some 5 us each. True while there are more. */
bool arena_return(struct arena *arena, unsigned chunks);

/* Any handle does: the address may be one to prefetch and no more. */
static inline void *arena_at(const struct arena *arena, uint32_t handle) {
    return arena->base + ((size_t)handle << ARENA_UNIT_SHIFT);
}
static inline uint32_t arena_handle(const struct arena *arena, const void *object) {
    debug_assert((size_t)((const char *)object - arena->base) < (size_t)arena->accessible
                                                                    << ARENA_CHUNK_SHIFT);
    debug_assert(((size_t)((const char *)object - arena->base) & ((1 << ARENA_UNIT_SHIFT) - 1)) == 0);
    return (uint32_t)((size_t)((const char *)object - arena->base) >> ARENA_UNIT_SHIFT);
}
static inline struct chunk *arena_chunk(const struct arena *arena, uint32_t chunk) {
    debug_assert(chunk < arena->accessible); /* invariant 1 */
    return (struct chunk *)(void *)arena->base + chunk;
}
static inline void *arena_chunk_at(const struct arena *arena, uint32_t chunk) {
    debug_assert(chunk < arena->capacity);
    return arena->base + ((size_t)chunk << ARENA_CHUNK_SHIFT);
}

#endif
