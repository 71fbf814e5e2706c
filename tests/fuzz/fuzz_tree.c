/* fuzz_tree.c - changes of one tree and of a version of it, each equal to a plain model throughout.
 *
 * The first byte of an input names the kind of tree; then four bytes make a change: what, a number of two bytes, a
 * length. A model is an array of numbers: in order for kinds that have keys, by position for lists. Numbers become
 * members, keys and scores in the same order. */
#include "fuzz.h"

#include "store/values/tree_change.h"
#include "tests/check.h"

enum { NUMBERS_MAX = 3000, TEXT_MAX = 700 };

struct model {
    unsigned count;
    uint16_t numbers[NUMBERS_MAX];
};
struct version {
    struct tree tree;
    struct model model;
};

static const struct hash_seed seed = {
    {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}};
static struct graves graves;
static struct tree_context context = {.seed = &seed, .graves = &graves};

/* The lengths of texts depend on their numbers, up to ones that have a block of their own in hashes. */
static struct tree_item item_of(enum tree_kind kind, uint16_t number, char *text) {
    struct tree_item item = {.key = {number, 0}, .score = number / 4};
    size_t len = number % 16 ? 5 + number % 30 : number % TEXT_MAX;
    if (kind == TREE_PENDING) {
        item.numbers[0] = number % 64 ? number % 4 : ROW_TIME_MAX - number;
        item.numbers[1] = number;
        item.numbers[2] = number % 128 ? 0 : UINT64_MAX - number;
        return item;
    }
    memset(text, 'x', TEXT_MAX);
    text[0] = (char)(number >> 8);
    text[1] = (char)number;
    if (kind != TREE_INDEX) item.parts[0] = (struct bytes){text, len < 2 ? 2 : len};
    if (kind == TREE_HASH) item.parts[1] = (struct bytes){text, number % 8 * 80u};
    if (kind == TREE_SET || kind == TREE_HASH) item.key.high = hash_bytes(&seed, item.parts[0]);
    return item;
}

static uint16_t number_of(enum tree_kind kind, const struct tree_item *item) {
    if (kind == TREE_INDEX || kind == TREE_PENDING) return (uint16_t)item->key.high;
    return (uint16_t)((unsigned char)item->parts[0].data[0] << 8 | (unsigned char)item->parts[0].data[1]);
}

static unsigned place_of(const struct model *model, uint16_t number) {
    unsigned at = 0;
    while (at < model->count && model->numbers[at] < number) at++;
    return at;
}

static void insert(struct model *model, unsigned at, uint16_t number) {
    memmove(model->numbers + at + 1, model->numbers + at, (model->count - at) * sizeof number);
    model->numbers[at] = number;
    model->count++;
}

static void delete (struct model *model, unsigned at) {
    model->count--;
    memmove(model->numbers + at, model->numbers + at + 1, (model->count - at) * sizeof *model->numbers);
}

static void check(const struct version *version) {
    const struct tree *tree = &version->tree;
    struct tree_cursor cursor;
    char text[TEXT_MAX];
    CHECK(tree_check(tree, &seed));
    CHECK_INT(tree->count, version->model.count);
    for (unsigned i = 0; i < version->model.count; i++) {
        uint16_t number = version->model.numbers[i];
        struct tree_item item = item_of(tree->kind, number, text), read;
        if (tree->kind == TREE_SET || tree->kind == TREE_HASH) {
            CHECK(tree_look_up(tree, item.key.high, item.parts[0], &read));
        } else {
            tree_select(&cursor, tree, i);
            tree_get(&cursor, &read);
        }
        CHECK_INT(number_of(tree->kind, &read), number);
        if (tree->kind == TREE_PENDING)
            CHECK(memcmp(read.numbers, item.numbers, sizeof item.numbers) == 0);
        else
            CHECK_BYTES(read.parts[1], item.parts[1]);
    }
}

static void change_list(struct version *version, unsigned what, uint16_t number,
                        const struct tree_item *item) {
    struct tree *tree = &version->tree;
    struct model *model = &version->model;
    unsigned at = number % (model->count + 1), end = what / 8 % 2;
    if (model->count == 0 || what % 8 < 3) {
        CHECK(what % 8 < 2 ? tree_insert_at(tree, &context, at, item)
                           : tree_push(tree, &context, item, (enum tree_end)end));
        insert(model, what % 8 < 2 ? at : end == TREE_BACK ? model->count : 0, number);
    } else if (what % 8 == 3) {
        CHECK(tree_pop(tree, &context, (enum tree_end)end));
        delete (model, end == TREE_BACK ? model->count - 1 : 0);
    } else if (at < model->count) {
        CHECK(tree_replace_at(tree, &context, at, item));
        model->numbers[at] = number;
    }
}

static void change_by_key(struct version *version, unsigned what, uint16_t number,
                          const struct tree_item *item) {
    struct tree *tree = &version->tree;
    struct model *model = &version->model;
    unsigned at = place_of(model, number);
    bool there = at < model->count && model->numbers[at] == number;
    if (what % 8 < 5) {
        if (there && tree->kind == TREE_INDEX) return;
        enum tree_changed changed = tree_put(tree, &context, item, what % 2);
        CHECK_INT(changed, !there ? TREE_ADDED : what % 2 ? TREE_REPLACED : TREE_UNCHANGED);
        if (!there) insert(model, at, number);
    } else {
        CHECK_INT(tree_remove(tree, &context, item), there ? TREE_REMOVED : TREE_UNCHANGED);
        if (there) delete (model, at);
    }
}

/* A range of positions: in trees ordered by hash only the tree knows of what. */
static void remove_range(struct version *version, unsigned at, unsigned count) {
    struct tree *tree = &version->tree;
    bool by_hash = tree->kind == TREE_SET || tree->kind == TREE_HASH;
    for (unsigned i = 0; i < count; i++) {
        struct tree_cursor cursor;
        struct tree_item item;
        tree_select(&cursor, tree, at + i);
        tree_get(&cursor, &item);
        delete (&version->model, by_hash ? place_of(&version->model, number_of(tree->kind, &item)) : at);
    }
    CHECK(tree_remove_range(tree, &context, at, count));
}

static void change(struct version *version, const uint8_t *bytes) {
    char text[TEXT_MAX];
    uint16_t number = (uint16_t)(bytes[1] << 8 | bytes[2]);
    struct tree_item item = item_of(version->tree.kind, number, text);
    unsigned count = version->model.count, at = count ? number % count : 0;
    if (bytes[0] >= 240)
        remove_range(version, at, bytes[3] * 4u < count - at ? bytes[3] * 4u : count - at);
    else if (version->tree.kind == TREE_LIST)
        change_list(version, bytes[0], number, &item);
    else
        change_by_key(version, bytes[0], number, &item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct heaps *heaps;
    static struct version now, before;
    unsigned budget = 3;
    if (size == 0) return 0;
    if (heaps == NULL) CHECK((heaps = heaps_new(1, false)) != NULL);
    context.heap = heaps_at(heaps, 0);
    now = before = (struct version){.tree = tree_empty((enum tree_kind)(data[0] % TREE_KINDS))};
    for (size_t i = 1; i + 4 <= size && now.model.count + 1 < NUMBERS_MAX; i += 4) {
        change(&now, data + i);
        if (data[i] % 64 != 63) continue;
        check(&before);
        tree_release(&before.tree, &graves);
        tree_fork(&before.tree, &now.tree);
        before.model = now.model;
        graves_dig(&graves, &budget);
        budget = 3;
    }
    check(&now);
    check(&before);
    tree_release(&now.tree, &graves);
    tree_release(&before.tree, &graves);
    while (graves_dig(&graves, &budget)) budget = 3;
    CHECK(heap_used(context.heap) == 0 && heaps_blocks(heaps) == 0);
    return 0;
}
