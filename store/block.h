/* block.h - a large value: reference-counted memory of its own, that any thread may release.
 *
 * The store holds one reference for as long as the value stands; every reply in flight holds another. A value
 * that is overwritten, deleted or expired meanwhile is freed once, by whoever lets go last. Bytes of a block
 * with more than one reference are never changed: writers copy first. */
#ifndef KEVY_STORE_BLOCK_H
#define KEVY_STORE_BLOCK_H

#include <stdint.h>

#include "protocol/bytes.h"

struct block {
    uint32_t references; /* atomic */
    uint32_t reserved;
    size_t len;      /* bytes in use */
    size_t capacity; /* bytes of data[] */
    char data[];
};

/* A block with one reference and `len` uninitialised bytes, room for `capacity` >= len. NULL without memory.
 */
struct block *block_new(size_t len, size_t capacity);
/* The same with zero bytes, which cost nothing until they are touched. */
struct block *block_new_zeroed(size_t len, size_t capacity);
/* A block with a copy of the bytes. */
struct block *block_of(struct bytes bytes);
/* Changes the capacity of a block with one reference; may move it. NULL (and the old block intact) without
 * memory. */
struct block *block_resize(struct block *block, size_t capacity);
/* Memory that malloc took for it, in bytes. */
size_t block_memory(const struct block *block);

static inline struct block *block_retain(struct block *block) {
    __atomic_fetch_add(&block->references, 1, __ATOMIC_RELAXED);
    return block;
}
static inline bool block_shared(const struct block *block) {
    return __atomic_load_n(&block->references, __ATOMIC_ACQUIRE) > 1;
}
/* Freed by the last release. Blocks of at least BLOCK_REAP_MIN bytes go to block_reaper first, when one is
 * set: the server frees them on a thread where a long munmap hurts nobody. */
void block_release(struct block *block);

enum { BLOCK_REAP_MIN = 1 << 20 };
extern void (*block_reaper)(struct block *block); /* set once at start, before threads; calls block_destroy */
void block_destroy(struct block *block);

static inline struct bytes block_bytes(const struct block *block) {
    return (struct bytes){block->data, block->len};
}

#endif
