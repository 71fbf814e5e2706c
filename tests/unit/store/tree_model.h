/* tree_model.h - what tests of trees share: an allocator that counts and fails, elements made of numbers, and a plain model.
 *
 * A model is an array in the order of the tree; for sets and hashes, whose order is that of hashes, in the order of the
 * members' numbers, and what a tree holds is sorted before it is compared. */
#ifndef KEVY_TESTS_UNIT_STORE_TREE_MODEL_H
#define KEVY_TESTS_UNIT_STORE_TREE_MODEL_H

#include <malloc.h>

#include "store/values/tree_change.h"
#include "tests/check.h"

/* ---- Memory --------------------------------------------------------------------------------------- */

void __real_free(void *memory);

static long nodes_live;
static long allocations_left = -1; /* until one fails; below 0: none does */

static inline bool fails_now(void) {
    if (allocations_left == 0) return true;
    if (allocations_left > 0) allocations_left--;
    return false;
}

/* Each node is one of malloc's, of its exact size, so that a sanitizer sees every step beside it. */
void *node_alloc(struct heap *heap, size_t size) {
    CHECK(size > 0 && size <= HEAP_NODE_MAX);
    void *node = fails_now() ? NULL : malloc(size);
    __atomic_add_fetch(&nodes_live, node != NULL, __ATOMIC_RELAXED);
    return node;
}
void node_free(void *node) {
    memset(node, 0xdd, malloc_usable_size(node));
    __atomic_sub_fetch(&nodes_live, 1, __ATOMIC_RELAXED);
    __real_free(node);
}

/* What the living nodes said of the blocks that they refer to. */
static int64_t bytes_referred_to;
void node_refers(void *node, int64_t bytes) {
    CHECK(node);
    CHECK(__atomic_add_fetch(&bytes_referred_to, bytes, __ATOMIC_RELAXED) >= 0);
}

/* Blocks are counted where they are made and where they are freed: the test is linked with --wrap=free. */
static long blocks_live;
void *memory_resize(void *old, size_t size) {
    CHECK(old == NULL); /* nothing here grows a block */
    void *block = fails_now() ? NULL : malloc(size);
    __atomic_add_fetch(&blocks_live, block != NULL, __ATOMIC_RELAXED);
    return block;
}
void __wrap_free(void *memory);
void __wrap_free(void *memory) {
    __atomic_sub_fetch(&blocks_live, memory != NULL, __ATOMIC_RELAXED);
    __real_free(memory);
}

static const struct hash_seed model_seed = {{1, 2, 3, 4}};
static struct graves model_graves;
static const struct tree_context model_context = {.seed = &model_seed, .graves = &model_graves};

static inline void dig_all(void) {
    unsigned budget = 1;
    while (graves_dig(&model_graves, &budget)) budget = 1 + budget % 7;
    CHECK(model_graves.first == NULL);
}

/* ---- Elements ------------------------------------------------------------------------------------- */

enum { TEXT_MAX = 3200 };

/* A text of its own for every number below 2^32: most are short, some are packed with a longer length, a few are blocks. */
static inline struct bytes text_of(uint32_t number, char *text) {
    size_t len = 12 + number % 9;
    if (number % 41 == 0) len = 240 + number % 400;
    if (number % 97 == 0) len = 1000 + number % 2000;
    memset(text, (int)('a' + number % 26), len);
    snprintf(text, 12, "m%010u", number); /* many begin with the same eight bytes */
    text[11] = '.';
    return (struct bytes){text, len};
}

struct element {
    uint32_t member, value;
    double score;
    struct tree_key key; /* of streams, indexes and what is pending */
};

/* The kinds whose items have numbers of 128 bits. */
static inline bool kind_by_number(enum tree_kind kind) {
    return kind == TREE_STREAM || kind == TREE_PENDING;
}

/* The three numbers of a member: most are small or alike, some need all the bytes that there are. */
static inline void numbers_of(uint32_t member, uint64_t *numbers) {
    numbers[0] = member % 61 == 0 ? ROW_TIME_MAX - member : ((uint64_t)1 << 40) + member % 7;
    numbers[1] = member;
    numbers[2] = member % 89 == 0 ? UINT64_MAX - member : member % 31 == 0;
}

/* The item of an element; texts: two of TEXT_MAX. */
static inline struct tree_item item_of(enum tree_kind kind, const struct element *element,
                                       char (*texts)[TEXT_MAX]) {
    struct tree_item item = {.score = 0};
    struct bytes member = text_of(element->member, texts[0]);
    if (kind == TREE_SCORES || kind == TREE_INDEX) item.score = element->score;
    if (kind_by_number(kind) || kind == TREE_INDEX) item.key = element->key;
    if (kind == TREE_PENDING) {
        numbers_of(element->member, item.numbers);
        return item;
    }
    if (kind == TREE_SET || kind == TREE_HASH) item.key.high = hash_bytes(&model_seed, member);
    if (kind != TREE_INDEX) item.parts[0] = member;
    if (kind == TREE_HASH) item.parts[1] = text_of(element->value, texts[1]);
    return item;
}

static inline uint32_t number_of(struct bytes text) {
    char expected[TEXT_MAX];
    CHECK(text.len >= 12 && text.data[0] == 'm');
    uint32_t number = (uint32_t)strtoul(text.data + 1, NULL, 10);
    CHECK_BYTES(text, text_of(number, expected));
    return number;
}

/* What an item of a tree was made from. */
static inline struct element element_of(enum tree_kind kind, const struct tree_item *item) {
    struct element element = {.score = 0};
    if (kind == TREE_SCORES || kind == TREE_INDEX) element.score = item->score;
    if (kind_by_number(kind) || kind == TREE_INDEX) element.key = item->key;
    if (kind == TREE_PENDING) {
        uint64_t numbers[LEAF_NUMBERS];
        element.member = (uint32_t)item->numbers[1];
        numbers_of(element.member, numbers);
        CHECK(memcmp(numbers, item->numbers, sizeof numbers) == 0);
        return element;
    }
    if (kind != TREE_INDEX) element.member = number_of(item->parts[0]);
    if (kind == TREE_HASH) element.value = number_of(item->parts[1]);
    return element;
}

static enum tree_kind model_kind; /* of the elements that are being compared */

static inline int element_order(const void *a, const void *b) {
    const struct element *x = a, *y = b;
    if (kind_by_number(model_kind) || model_kind == TREE_INDEX) {
        if (x->key.high != y->key.high) return x->key.high < y->key.high ? -1 : 1;
        if (x->key.low != y->key.low) return x->key.low < y->key.low ? -1 : 1;
        if (kind_by_number(model_kind)) return 0;
    }
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->member > y->member) - (x->member < y->member); /* as their texts, whose digits are as many */
}

/* Of the way to an item: what is right, what was right at some time in some tree, what never was, or nothing. */
static inline const struct tree_guess *some_guess(const struct tree *tree, const struct tree_item *item,
                                                  uint32_t random) {
    static struct tree_guess guess;
    struct tree_found found;
    bool may_ask = tree->root && tree_key_words[tree->kind] == 1;
    switch (random % 4) {
    case 0: return NULL;
    case 1:
        if (may_ask) tree_ahead_of_hashes(tree, &item->key.high, 1, &found);
        if (may_ask) guess = found.guess;
        if (tree->root && tree->kind == TREE_SCORES) tree_ahead_of_scores(tree, item, 1, &guess);
        break;
    case 2:
        guess.levels = (uint8_t)(random / 4 % (TREE_GUESS_LEVELS + 1));
        guess.place = (uint16_t)(random >> 16 >> random % 16);
        for (unsigned i = 0; i < TREE_GUESS_LEVELS; i++) guess.at[i] = (uint8_t)(random >> (8 + 5 * i));
        break;
    default:; /* that of another item, which the tree has not kept to since */
    }
    return &guess;
}

/* ---- The model ------------------------------------------------------------------------------------ */

enum { MODEL_MAX = 6000 };

struct model {
    enum tree_kind kind;
    unsigned count;
    struct element elements[MODEL_MAX];
};

/* The place of an equal element, or where one like it would be. */
static inline unsigned model_find(const struct model *model, const struct element *element, bool *found) {
    unsigned low = 0, end = model->count;
    model_kind = model->kind;
    while (low < end) {
        unsigned middle = low + (end - low) / 2;
        if (element_order(&model->elements[middle], element) < 0)
            low = middle + 1;
        else
            end = middle;
    }
    *found = low < model->count && element_order(&model->elements[low], element) == 0;
    return low;
}

static inline void model_insert(struct model *model, unsigned at, const struct element *element) {
    CHECK(at <= model->count && model->count < MODEL_MAX);
    memmove(model->elements + at + 1, model->elements + at, (model->count - at) * sizeof *element);
    model->elements[at] = *element;
    model->count++;
}

static inline void model_remove(struct model *model, unsigned at, unsigned count) {
    CHECK(at + count <= model->count);
    memmove(model->elements + at, model->elements + at + count,
            (model->count - at - count) * sizeof *model->elements);
    model->count -= count;
}

static inline bool kind_by_hash(enum tree_kind kind) {
    return kind == TREE_SET || kind == TREE_HASH;
}

/* Checks that these elements are those of the model, after sorting where the order is the tree's own. */
static inline void check_elements(const struct model *model, struct element *elements, unsigned count) {
    CHECK_INT(count, model->count);
    model_kind = model->kind;
    if (kind_by_hash(model->kind) || model->kind == TREE_INDEX)
        qsort(elements, count, sizeof *elements, element_order);
    for (unsigned i = 0; i < count; i++) {
        const struct element *a = &elements[i], *b = &model->elements[i];
        CHECK(a->score == b->score && a->key.high == b->key.high && a->key.low == b->key.low);
        if (model->kind != TREE_INDEX) CHECK_INT(a->member, b->member);
        if (model->kind == TREE_HASH) CHECK_INT(a->value, b->value);
    }
}

/* Reads a tree in its own order. */
static inline unsigned read_tree(const struct tree *tree, struct element *elements) {
    struct tree_cursor cursor;
    unsigned count = 0;
    if (tree->count == 0) return 0;
    tree_select(&cursor, tree, 0);
    do {
        struct tree_item item;
        tree_get(&cursor, &item);
        CHECK(count < MODEL_MAX);
        elements[count++] = element_of(tree->kind, &item);
    } while (tree_next(&cursor));
    return count;
}

static inline void check_tree(const struct tree *tree, const struct model *model) {
    static struct element elements[MODEL_MAX];
    CHECK_INT(tree->count, model->count);
    CHECK(tree_check(tree, &model_seed));
    check_elements(model, elements, read_tree(tree, elements));
}

#endif
