/* store_block.c - references, sizes at the edge, the reaper, and no memory. */
#include "store/block.h"

#include "store/memory.h"
#include "tests/check.h"

static bool no_memory;

void *memory_resize(void *old, size_t size) {
    return no_memory ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return no_memory ? NULL : calloc(1, size);
}

static void a_block_lives_until_its_last_release(void) {
    struct block *block = block_of(BYTES("value"));
    CHECK(block && !block_shared(block));
    CHECK(block_retain(block) == block && block_shared(block));
    block_release(block);
    CHECK(!block_shared(block));
    CHECK_BYTES(block_bytes(block), BYTES("value"));
    block_release(block); /* the leak checker sees whether it went */
}

static void zeroed_blocks_are_zero_to_their_capacity(void) {
    struct block *block = block_new_zeroed(10, 5000);
    CHECK_INT(block->len, 10);
    for (size_t i = 0; i < block->capacity; i++) CHECK(block->data[i] == 0);
    CHECK(block_memory(block) >= sizeof *block + 5000);
    block_release(block);
}

static void resizing_keeps_the_bytes_that_fit(void) {
    struct block *block = block_of(BYTES("0123456789"));
    CHECK((block = block_resize(block, 1 << 20)));
    CHECK_BYTES(block_bytes(block), BYTES("0123456789"));
    CHECK((block = block_resize(block, 4)));
    CHECK_BYTES(block_bytes(block), BYTES("0123"));
    block_release(block);
}

static void without_memory_nothing_is_lost(void) {
    struct block *block = block_of(BYTES("kept"));
    no_memory = true;
    CHECK(block_new(1, 1) == NULL && block_new_zeroed(1, 1) == NULL && block_of(BYTES("x")) == NULL);
    CHECK(block_resize(block, 100) == NULL);
    no_memory = false;
    CHECK_BYTES(block_bytes(block), BYTES("kept"));
    CHECK(block_new(0, SIZE_MAX) == NULL && block_new(0, SIZE_MAX - 8) == NULL); /* no wrap-around */
    CHECK(block_resize(block, SIZE_MAX) == NULL);
    block_release(block);
}

static struct block *reaped;
static void reap(struct block *block) {
    reaped = block;
}

static void only_large_blocks_go_to_the_reaper(void) {
    block_reaper = reap;
    block_release(block_new(10, BLOCK_REAP_MIN - 1));
    CHECK(reaped == NULL);
    struct block *large = block_new(10, BLOCK_REAP_MIN);
    block_retain(large);
    block_release(large);
    CHECK(reaped == NULL);
    block_release(large);
    CHECK(reaped == large);
    block_destroy(large);
    block_reaper = NULL;
}

int main(void) {
    RUN(a_block_lives_until_its_last_release);
    RUN(zeroed_blocks_are_zero_to_their_capacity);
    RUN(resizing_keeps_the_bytes_that_fit);
    RUN(without_memory_nothing_is_lost);
    RUN(only_large_blocks_go_to_the_reaper);
    return 0;
}
