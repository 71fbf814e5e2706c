/* block.h - a large value: reference-counted memory of its own, that any thread may release.
 *
 * The store holds one reference for as long as the value stands; every reply in flight holds another. A value
 * that is overwritten, deleted or expired meanwhile is freed once, by whoever lets go last. Bytes of a block
 * with more than one reference are never changed: writers copy first.
 *
 * Invariants:
 *   1. `references` is above 0 as long as anybody may look at it.
 *   2. len <= clean <= capacity, and the bytes from `clean` to the capacity are zero. (Of memory that nobody cleared,
 *      none is known to be: clean is the capacity.)
 *   3. Only a block with one reference changes: its bytes, its length, its place.
 *
 * A large block is a mapping of its own. It grows by moving page tables, not bytes, and its new pages are zero
 * without anybody clearing them: so a SETRANGE far beyond the end of a value of hundreds of megabytes costs no
 * more than what it writes. Other blocks come from malloc, which can use their memory again while its pages
 * are there: store/README.md has the figures. */
#ifndef KEVY_STORE_MEMORY_BLOCK_H
#define KEVY_STORE_MEMORY_BLOCK_H

#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/bytes.h"

struct block {
    uint32_t references; /* atomic */
    bool mapped;         /* by mmap, not by malloc */
    size_t len;          /* bytes in use */
    size_t capacity;     /* bytes of data[] */
    size_t clean;        /* bytes from here to the capacity are zero: nobody has written there */
    char data[];
};

/* A block with one reference and `len` uninitialised bytes, room for `capacity` >= len. NULL without memory. */
struct block *block_new(size_t len, size_t capacity);
/* The same where all `len` bytes are about to be written: the pages of a mapping are there already, large ones
 * if the kernel has such. */
struct block *block_new_full(size_t len, size_t capacity);
/* The same with zero bytes. */
struct block *block_new_zeroed(size_t len, size_t capacity);
/* The same in a mapping, whatever its size: zero bytes cost nothing until they are touched. */
struct block *block_new_mapped(size_t len, size_t capacity);
/* A block with a copy of the bytes. */
struct block *block_of(struct bytes bytes);
/* Gives a block with one reference a capacity of at least what it has; may move it. NULL (and the old block
 * intact) without memory. */
struct block *block_grow(struct block *block, size_t capacity);
/* If it is a mapping, what is yet to be touched of it gets large pages where the kernel has such. */
void block_large_pages(struct block *block);
/* Changes the length of a block with one reference, within its capacity. Bytes that are new to it are zero. */
void block_set_len(struct block *block, size_t len);
/* Memory that it takes, in bytes: of malloc, or of address space. */
size_t block_memory(const struct block *block);

static inline struct block *block_retain(struct block *block) {
    uint32_t references = __atomic_fetch_add(&block->references, 1, __ATOMIC_RELAXED);
    assert(references > 0 && references < UINT32_MAX); /* 1 */
    return block;
}
static inline bool block_shared(const struct block *block) {
    return __atomic_load_n(&block->references, __ATOMIC_ACQUIRE) > 1;
}
/* Freed by the last release. Blocks of at least BLOCK_REAP_MIN bytes go to block_reaper first, when one is
 * set: the server frees them on a thread where a long munmap hurts nobody. */
void block_release(struct block *block);

enum {
    BLOCK_REAP_MIN = 1 << 20,
    BLOCK_MAP_MIN = 32 << 20,       /* bytes of a block that is filled at once: malloc would map it too */
    BLOCK_MAP_ZEROES_MIN = 1 << 20, /* of one that is mostly zeroes, while its owner has mappings left */
};
extern void (*block_reaper)(struct block *block); /* set once at start, before threads; calls block_destroy */
void block_destroy(struct block *block);

static inline struct bytes block_bytes(const struct block *block) {
    return (struct bytes){block->data, block->len};
}
/* The block among these whose bytes are exactly those, at that address; NULL: none is. *from is where the search begins, and
 * then the place behind the one that was found: who asks for all of them in their order finds each at once. */
struct block *block_find(struct block *const *blocks, uint32_t count, struct bytes bytes, uint32_t *from);

#endif
