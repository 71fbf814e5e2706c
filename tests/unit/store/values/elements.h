/* elements.h - elements of every length for the tests of packs, and the buffer of exact size in which one works. */
#ifndef KEVY_TESTS_UNIT_STORE_ELEMENTS_H
#define KEVY_TESTS_UNIT_STORE_ELEMENTS_H

#include <stdlib.h>

#include "store/values/pack.h"
#include "tests/check.h"

enum { ELEMENTS_MAX = 400 };

/* The elements that a pack should have. Each is a block of its own here, short ones too. */
struct model {
    struct block *elements[ELEMENTS_MAX];
    uint32_t count;
};

/* Lengths that are coded each way, and their neighbours; most are short, and many alike. */
static inline size_t some_len(unsigned long long *seed) {
    static const size_t edges[] = {0, 1, 252, 253, 254, 255, 256, 1023, 1024, 1025, 3000};
    unsigned long long random = check_random(seed);
    if (random % 16 == 0) return edges[random / 16 % (sizeof edges / sizeof *edges)];
    return random % 16 < 8 ? 8 : random / 16 % 20;
}
/* Of few different bytes, so that some are equal. */
static inline struct block *some_element(unsigned long long *seed, size_t len) {
    struct block *block = block_new(len, len ? len : 1);
    CHECK(block);
    unsigned long long random = check_random(seed);
    if (len) memset(block->data, 'a', len);
    if (len) block->data[random % len] = (char)('a' + random / len % 26);
    return block;
}

/* As it would be put into a pack. */
static inline struct element element_for(struct block *block) {
    if (block->len > ELEMENT_INLINE_MAX) return element_of_block(block);
    return element_of(block_bytes(block));
}

static inline void model_insert(struct model *model, uint32_t index, struct block *element) {
    CHECK(model->count < ELEMENTS_MAX && index <= model->count);
    memmove(&model->elements[index + 1], &model->elements[index],
            (model->count++ - index) * sizeof *model->elements);
    model->elements[index] = element;
}
static inline void model_delete(struct model *model, uint32_t index, uint32_t count) {
    for (uint32_t i = index; i < index + count; i++) block_release(model->elements[i]);
    model->count -= count;
    memmove(&model->elements[index], &model->elements[index + count],
            (model->count - index) * sizeof *model->elements);
}
static inline void model_end(struct model *model) {
    if (model->count) model_delete(model, 0, model->count);
}

/* Moves the pack into memory that ends where its capacity does: a sanitizer sees the first byte beyond. */
static inline void give_room(struct pack *pack, size_t capacity) {
    char *data = malloc(capacity ? capacity : 1);
    CHECK(data && pack->len <= capacity);
    if (pack->len) memcpy(data, pack->data, pack->len);
    free(pack->data);
    pack->data = data;
    pack->capacity = capacity;
}

#endif
