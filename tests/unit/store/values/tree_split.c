/* Leaves that are parted: what the two halves hold is what the leaf held and the item, each on its side of the key, also
 * where the item takes the place of one; and without memory nothing is left behind. */
#include "store/values/tree_split.h"

#include "tests/check.h"
#include "tests/unit/store/tree_model.h"

static char texts[2][TEXT_MAX];

static const enum tree_kind kinds[] = {TREE_LIST,   TREE_SET,    TREE_HASH,
                                       TREE_SCORES, TREE_STREAM, TREE_PENDING};

static struct element element_at_place(enum tree_kind kind, uint32_t number) {
    struct element element = {.member = number};
    if (kind == TREE_HASH) element.value = number + 1;
    if (kind == TREE_SCORES) element.score = number;
    if (kind_by_number(kind)) element.key = (struct tree_key){number, 0};
    return element;
}

static struct tree_item item_at_place(enum tree_kind kind, uint32_t number) {
    struct element element = element_at_place(kind, number);
    return item_of(kind, &element, texts);
}

/* A leaf of elements 1 to `count`, but for this one. */
static struct leaf *leaf_without(enum tree_kind kind, uint32_t count, uint32_t missing) {
    struct leaf *leaf = NULL;
    for (uint32_t number = 1; number <= count; number++) {
        struct tree_item item = item_at_place(kind, number);
        struct leaf_piece pieces[2] = {{.leaf = NULL}, {.leaf = NULL}};
        struct leaf_item ready;
        if (number == missing) continue;
        CHECK(leaf_prepare(kind, &item, &ready));
        if (leaf) pieces[0] = leaf_piece(leaf, 0, leaf->head.count);
        struct leaf *more = leaf_build(NULL, kind, (struct leaf_parts){pieces, leaf ? 2 : 1, &ready}, 0);
        CHECK(more);
        leaf_drop(&ready);
        if (leaf) node_release(&leaf->head, &model_graves);
        leaf = more;
    }
    return leaf;
}

/* Every element of a half is on its side, and has not been met before. */
static void check_half(const struct leaf *leaf, const struct tree_halves *halves, bool right, bool *seen) {
    enum tree_kind kind = (enum tree_kind)leaf->head.kind;
    CHECK(leaf_is_whole(leaf) && leaf->head.count > 0);
    for (unsigned i = 0; i < leaf->head.count; i++) {
        struct tree_key key = leaf_key(leaf, i, &model_seed);
        struct tree_item item;
        bool below = key.high < halves->key.high ||
                     (key.high == halves->key.high && key.low < halves->key.low);
        leaf_get(leaf, i, leaf_offset(leaf, i), &item);
        uint32_t number = element_of(kind, &item).member;
        CHECK(!seen[number] && (kind == TREE_LIST || below != right));
        seen[number] = true;
    }
}

static void halve(enum tree_kind kind, uint32_t count, uint32_t number, unsigned skipped) {
    struct leaf *leaf = leaf_without(kind, count, skipped ? 0 : number);
    struct tree_item item = item_at_place(kind, number);
    struct leaf_item ready;
    struct tree_halves halves;
    bool seen[200] = {false};
    unsigned place = skipped || !tree_by_hash(kind) ? number - 1 : leaf->head.count;
    CHECK(leaf_prepare(kind, &item, &ready));
    struct tree_putting putting = {leaf, place, skipped, &ready, count, leaf_taken(leaf) + 40};
    for (long enough = 0; enough < 2; enough++) { /* one leaf is not enough */
        allocations_left = enough;
        CHECK(!tree_halve(&model_context, &putting, &halves) && nodes_live == 1);
    }
    allocations_left = 2;
    CHECK(tree_halve(&model_context, &putting, &halves));
    allocations_left = -1;
    check_half(halves.left, &halves, false, seen);
    check_half(halves.right, &halves, true, seen);
    CHECK_INT(halves.left->head.count + halves.right->head.count, count);
    for (uint32_t i = 1; i <= count; i++) CHECK(seen[i]);
    struct leaf *whole = tree_build_part(&model_context, &putting, 0, count, 0);
    CHECK(whole && whole->head.count == count && leaf_is_whole(whole));
    node_release(&whole->head, &model_graves);
    node_release(&halves.left->head, &model_graves);
    node_release(&halves.right->head, &model_graves);
    node_release(&leaf->head, &model_graves);
    leaf_drop(&ready);
    CHECK(nodes_live == 0 && blocks_live == 0);
}

static void halves_hold_what_the_leaf_was_to_hold(void) {
    for (unsigned k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (uint32_t count = 2; count < 40; count += count < 5 ? 1 : 11)
            for (uint32_t number = 1; number <= count; number++)
                for (unsigned skipped = 0; skipped < 2; skipped++) halve(kinds[k], count, number, skipped);
}

/* Entries of one hash stay in one leaf. */
static void equal_hashes_are_not_parted(void) {
    struct tree_item items[4] = {{.key.high = 7, .score = 1},
                                 {.key.high = 7, .score = 2},
                                 {.key.high = 7, .score = 3},
                                 {.key.high = 9, .score = 4}};
    struct leaf_item ready[4];
    struct leaf_piece pieces[2] = {{.leaf = NULL}, {.leaf = NULL}};
    struct tree_halves halves;
    for (unsigned i = 0; i < 4; i++) ready[i] = (struct leaf_item){.item = &items[i]};
    struct leaf *one = leaf_build(NULL, TREE_INDEX, (struct leaf_parts){pieces, 1, &ready[0]}, 0);
    pieces[0] = leaf_piece(one, 0, 1);
    struct leaf *two = leaf_build(NULL, TREE_INDEX, (struct leaf_parts){pieces, 2, &ready[1]}, 0);
    CHECK(one && two);
    struct tree_putting putting = {two, 2, 0, &ready[2], 3, leaf_needs(two) + 12};
    CHECK(!tree_halve(&model_context, &putting, &halves));
    putting.ready = &ready[3];
    CHECK(tree_halve(&model_context, &putting, &halves));
    CHECK(halves.left->head.count == 2 && halves.right->head.count == 1 && halves.key.high == 9);
    node_release(&halves.left->head, &model_graves);
    node_release(&halves.right->head, &model_graves);
    node_release(&two->head, &model_graves);
    node_release(&one->head, &model_graves);
    CHECK(nodes_live == 0);
}

int main(void) {
    RUN(halves_hold_what_the_leaf_was_to_hold);
    RUN(equal_hashes_are_not_parted);
    return 0;
}
