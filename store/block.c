/* block.c - reference-counted blocks on malloc. */
#include "store/block.h"

#include <malloc.h>
#include <stdlib.h>

#include "store/memory.h"

void (*block_reaper)(struct block *block);

static size_t bytes_for(size_t capacity) {
    return capacity <= SIZE_MAX - sizeof(struct block) ? sizeof(struct block) + capacity : 0;
}

static struct block *begin(struct block *block, size_t len, size_t capacity) {
    if (block) *block = (struct block){.references = 1, .len = len, .capacity = capacity};
    return block;
}

struct block *block_new(size_t len, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    return bytes ? begin(memory_resize(NULL, bytes), len, capacity) : NULL;
}

struct block *block_new_zeroed(size_t len, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    return bytes ? begin(memory_zeroed(bytes), len, capacity) : NULL;
}

struct block *block_of(struct bytes bytes) {
    struct block *block = block_new(bytes.len, bytes.len);
    if (block && bytes.len) memcpy(block->data, bytes.data, bytes.len);
    return block;
}

struct block *block_resize(struct block *block, size_t capacity) {
    size_t bytes = bytes_for(capacity);
    struct block *moved = bytes ? memory_resize(block, bytes) : NULL;
    if (moved == NULL) return NULL;
    moved->capacity = capacity;
    if (moved->len > capacity) moved->len = capacity;
    return moved;
}

size_t block_memory(const struct block *block) {
    return malloc_usable_size((void *)block) + sizeof(size_t);
}

void block_destroy(struct block *block) {
    free(block);
}

void block_release(struct block *block) {
    if (__atomic_fetch_sub(&block->references, 1, __ATOMIC_ACQ_REL) != 1) return;
    if (block_reaper && block->capacity >= BLOCK_REAP_MIN)
        block_reaper(block);
    else
        block_destroy(block);
}
