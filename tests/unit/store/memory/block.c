/* block.c - references, sizes at the edge, growth, the reaper, and no memory. */
#include "store/memory/block.h"

#include <sys/mman.h>

#include "store/memory/memory.h"
#include "tests/check.h"

static bool no_memory;

void *memory_resize(void *old, size_t size) {
    return no_memory ? NULL : realloc(old, size);
}
void *memory_zeroed(size_t size) {
    return no_memory ? NULL : calloc(1, size);
}
void *memory_map(void *old, size_t old_size, size_t size) {
    void *at = no_memory ? MAP_FAILED
               : old     ? mremap(old, old_size, size, MREMAP_MAYMOVE)
                         : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
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
    for (int mapped = 0; mapped < 2; mapped++) {
        struct block *block = mapped ? block_new_mapped(10, 5000) : block_new_zeroed(10, 5000);
        CHECK_INT(block->mapped, mapped);
        CHECK_INT(block->len, 10);
        for (size_t i = 0; i < block->capacity; i++) CHECK(block->data[i] == 0);
        CHECK(block_memory(block) >= sizeof *block + 5000);
        block_release(block);
    }
}

static void growing_keeps_the_bytes(void) {
    static const size_t capacities[] = {11, 1 << 20, BLOCK_MAP_MIN - 100, BLOCK_MAP_MIN, 1 << 28};
    struct block *block = block_of(BYTES("0123456789"));
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        CHECK((block = block_grow(block, capacities[i])));
        CHECK_INT(block->capacity, capacities[i]);
        CHECK(block_memory(block) >= capacities[i]);
        CHECK_BYTES(block_bytes(block), BYTES("0123456789"));
    }
    block_release(block);
}

static bool zero_from(const struct block *block, size_t from) {
    for (size_t i = from; i < block->len; i++)
        if (block->data[i]) return false;
    return true;
}

/* Whatever was written before: by the maker up to the capacity, or up to a length that was cut since. */
static void bytes_new_to_a_length_are_zero(void) {
    enum { SMALL = 5000, LARGE = BLOCK_MAP_MIN + 5000 };
    for (int large = 0; large < 2; large++) {
        size_t capacity = large ? LARGE : SMALL;
        struct block *block = block_new(capacity, capacity);
        memset(block->data, 'x', capacity);
        block->len = 10; /* as the receiver of a large argument drops the line end behind it */
        block_set_len(block, capacity);
        CHECK(zero_from(block, 10));
        memset(block->data, 'y', capacity);
        block_set_len(block, 20);
        CHECK((block = block_grow(block, capacity + 10000)));
        block_set_len(block, capacity + 10000);
        CHECK(zero_from(block, 20) && block->data[19] == 'y');
        block_release(block);
    }
}

static size_t resident_pages(const struct block *block) {
    enum { PAGE = 4096, PAGES = (1 << 28) / PAGE + 1 };
    static unsigned char pages[PAGES];
    size_t bytes = block->capacity + sizeof *block, resident = 0;
    CHECK(bytes <= (size_t)PAGES * PAGE);
    CHECK(mincore((void *)block, bytes, pages) == 0); /* a mapping begins at a page */
    for (size_t i = 0; i < bytes / PAGE; i++) resident += pages[i] & 1;
    return resident;
}

static void a_large_block_grows_without_touching_its_new_pages(void) {
    enum { LARGE = 1 << 27, PAGE = 4096 };
    static const size_t lengths[] = {10000, BLOCK_MAP_ZEROES_MIN, BLOCK_MAP_MIN};
    for (size_t i = 0; i < 2 * sizeof lengths / sizeof *lengths; i++) {
        size_t len = lengths[i / 2];
        struct block *block = i % 2 ? block_new_mapped(len, len) : block_new(len, len);
        memset(block->data, 'x', block->len);
        CHECK((block = block_grow(block, LARGE)));
        block_set_len(block, LARGE);
        block->data[LARGE - 1] = 'x';
        CHECK(resident_pages(block) <= len / PAGE + 3);
        block_release(block);
    }
    struct block *block = block_new_zeroed(LARGE, LARGE);
    CHECK(resident_pages(block) <= 1);
    block_release(block);
}

static void without_memory_nothing_is_lost(void) {
    static const size_t capacities[] = {100, BLOCK_MAP_ZEROES_MIN, BLOCK_MAP_MIN};
    struct block *block = block_of(BYTES("kept"));
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        no_memory = true;
        CHECK(block_new(1, capacities[i]) == NULL && block_new_zeroed(1, capacities[i]) == NULL);
        CHECK(block_new_mapped(1, capacities[i]) == NULL);
        CHECK(block_of(BYTES("x")) == NULL);
        CHECK(block_grow(block, capacities[i]) == NULL);
        no_memory = false;
        CHECK_BYTES(block_bytes(block), BYTES("kept"));
        CHECK((block = block_grow(block, capacities[i])));
    }
    CHECK(block_new(0, SIZE_MAX) == NULL && block_new(0, SIZE_MAX - 8) == NULL); /* no wrap-around */
    CHECK(block_new_zeroed(0, SIZE_MAX) == NULL && block_new_mapped(0, SIZE_MAX) == NULL);
    CHECK(block_grow(block, SIZE_MAX) == NULL && block_grow(block, SIZE_MAX / 2) == NULL);
    CHECK_BYTES(block_bytes(block), BYTES("kept"));
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

/* Each is found at once by who asks in order, and all are found by who does not. */
static void a_block_is_found_by_its_bytes(void) {
    enum { COUNT = 5 };
    struct block *blocks[COUNT];
    uint32_t from = 0;
    CHECK(!block_find(NULL, 0, BYTES("abc"), &from));
    for (unsigned i = 0; i < COUNT; i++) CHECK(blocks[i] = block_of(BYTES("abc")));
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        CHECK_INT(from, i % COUNT);
        CHECK(block_find(blocks, COUNT, block_bytes(blocks[i % COUNT]), &from) == blocks[i % COUNT]);
    }
    for (unsigned i = COUNT; i-- > 0;) {
        CHECK(block_find(blocks, COUNT, block_bytes(blocks[i]), &from) == blocks[i]);
        CHECK_INT(from, (i + 1) % COUNT);
    }
    CHECK(!block_find(blocks, COUNT, (struct bytes){blocks[2]->data, 2}, &from) && from == 1); /* as it was */
    CHECK(!block_find(blocks, COUNT, BYTES("abc"), &from));
    from = COUNT + 7; /* of other blocks */
    CHECK(block_find(blocks, COUNT, block_bytes(blocks[4]), &from) == blocks[4] && from == 0);
    for (unsigned i = 0; i < COUNT; i++) block_release(blocks[i]);
}

int main(void) {
    RUN(a_block_lives_until_its_last_release);
    RUN(zeroed_blocks_are_zero_to_their_capacity);
    RUN(growing_keeps_the_bytes);
    RUN(bytes_new_to_a_length_are_zero);
    RUN(a_large_block_grows_without_touching_its_new_pages);
    RUN(without_memory_nothing_is_lost);
    RUN(a_block_is_found_by_its_bytes);
    RUN(only_large_blocks_go_to_the_reaper);
    return 0;
}
