/* block.c - reference-counted blocks: from malloc where they are small, mappings of their own where they are large. */
#include "store/memory/block.h"

#include <malloc.h>
#include <stdlib.h>

#include "protocol/assert.h"
#include "store/memory/memory.h"

void (*block_reaper)(struct block *block);

/* All that a block of this capacity takes; 0 if it cannot be counted. */
static size_t bytes_for(size_t capacity) {
    return capacity <= SIZE_MAX - sizeof(struct block) ? sizeof(struct block) + capacity : 0;
}

/* Begins a block in new memory, or in none: then there is no block. */
static struct block *begin(struct block *block, const struct block *as) {
    if (block == NULL) return NULL;
    assert(as->len <= as->clean && as->clean <= as->capacity); /* 2 */
    *block = *as;
    block->references = 1;
    return block;
}

struct block *block_new_mapped(size_t len, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    struct block as = {.mapped = true, .len = len, .capacity = capacity, .clean = len};
    return bytes ? begin(memory_map(NULL, 0, bytes), &as) : NULL;
}

struct block *block_new(size_t len, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    if (bytes >= BLOCK_MAP_MIN) return block_new_mapped(len, capacity);
    struct block as = {.len = len, .capacity = capacity, .clean = capacity};
    return bytes ? begin(memory_resize(NULL, bytes), &as) : NULL;
}

void block_large_pages(struct block *block) {
    if (block->mapped) memory_large_pages(block, bytes_for(block->capacity));
}

struct block *block_new_full(size_t len, size_t capacity) {
    struct block *block = block_new(len, capacity);
    if (!block || !block->mapped) return block;
    block_large_pages(block);
    memory_populate(block, bytes_for(len));
    return block;
}

struct block *block_new_zeroed(size_t len, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    if (bytes >= BLOCK_MAP_MIN) return block_new_mapped(len, capacity);
    struct block as = {.len = len, .capacity = capacity, .clean = len};
    return bytes ? begin(memory_zeroed(bytes), &as) : NULL;
}

struct block *block_of(struct bytes bytes) {
    struct block *block = block_new_full(bytes.len, bytes.len);
    if (block && bytes.len) memcpy(block->data, bytes.data, bytes.len);
    return block;
}

/* The block becomes a mapping: that is copying for the last time. */
static struct block *move_out_of_malloc(struct block *block, size_t capacity) {
    struct block *moved = block_new_mapped(block->len, capacity);
    if (moved == NULL) return NULL;
    memcpy(moved->data, block->data, block->len);
    free(block);
    return moved;
}

struct block *block_grow(struct block *block, size_t capacity) {
    size_t bytes = bytes_for(capacity), old_bytes = bytes_for(block->capacity);
    assert(capacity >= block->capacity);
    assert(__atomic_load_n(&block->references, __ATOMIC_RELAXED) == 1); /* 3 */
    if (bytes == 0) return NULL;
    if (!block->mapped && bytes >= BLOCK_MAP_MIN) return move_out_of_malloc(block, capacity);
    struct block *moved = block->mapped ? memory_map(block, old_bytes, bytes) : memory_resize(block, bytes);
    if (moved == NULL) return NULL;
    moved->capacity = capacity;
    if (!moved->mapped) moved->clean = capacity;
    assert(moved->len <= moved->clean && moved->clean <= moved->capacity); /* 2 */
    return moved;
}

/* Are the clean bytes zero? Looks at the first few only, for a mapping's are untouched pages: for debug_assert. */
static bool is_clean(const struct block *block) {
    size_t end = block->capacity - block->clean < 4096 ? block->capacity : block->clean + 4096;
    for (size_t i = block->clean; i < end; i++)
        if (block->data[i]) return false;
    return true;
}

void block_set_len(struct block *block, size_t len) {
    assert(len <= block->capacity && block->len <= block->clean && block->clean <= block->capacity); /* 2 */
    debug_assert(is_clean(block) && !block_shared(block)); /* 2, 3 */
    size_t dirty = len < block->clean ? len : block->clean;
    if (block->len < dirty) memset(block->data + block->len, 0, dirty - block->len);
    if (block->clean < len) block->clean = len;
    block->len = len;
}

size_t block_memory(const struct block *block) {
    if (block->mapped) return bytes_for(block->capacity);
    return malloc_usable_size((void *)block) + sizeof(size_t);
}

void block_destroy(struct block *block) {
    assert(__atomic_load_n(&block->references, __ATOMIC_RELAXED) == 0); /* 1 */
    if (block->mapped)
        memory_unmap(block, bytes_for(block->capacity));
    else
        free(block);
}

void block_release(struct block *block) {
    uint32_t references = __atomic_fetch_sub(&block->references, 1, __ATOMIC_ACQ_REL);
    assert(references > 0); /* 1 */
    if (references != 1) return;
    if (block_reaper && block->capacity >= BLOCK_REAP_MIN)
        block_reaper(block);
    else
        block_destroy(block);
}

struct block *block_find(struct block *const *blocks, uint32_t count, struct bytes bytes, uint32_t *from) {
    uint32_t at = *from < count ? *from : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct block *block = blocks[at++];
        if (at == count) at = 0;
        if (block->data != bytes.data || block->len != bytes.len) continue;
        *from = at;
        return block;
    }
    return NULL;
}
