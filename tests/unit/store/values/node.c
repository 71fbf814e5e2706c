/* Nodes: references, the digging of graves in bounded steps, and the arrays of inner nodes. */
#include "store/values/node.h"

#include "store/values/leaf.h"
#include "tests/check.h"
#include "tests/unit/store/tree_model.h"

static unsigned long long seed;

static struct node *new_leaf(enum tree_kind kind, uint32_t member) {
    static char texts[2][TEXT_MAX];
    struct element element = {.member = member, .key = {member, 0}};
    struct tree_item item = item_of(kind, &element, texts);
    struct leaf_item ready;
    struct leaf_piece piece = {.leaf = NULL};
    CHECK(leaf_prepare(kind, &item, &ready));
    struct leaf *leaf = leaf_build(NULL, kind, (struct leaf_parts){&piece, 1, &ready}, 0);
    CHECK(leaf);
    leaf_drop(&ready);
    return &leaf->head;
}

static struct tree_key random_key(void) {
    return (struct tree_key){check_random(&seed) % 3, check_random(&seed)};
}

struct child {
    const struct node *node;
    struct tree_key key;
    uint32_t below;
};

static void check_child(enum tree_kind kind, const struct inner *inner, unsigned at, struct child child) {
    struct tree_key key = child.key;
    struct tree_key own = inner_key(inner, at);
    CHECK(inner_child(inner, at) == child.node && inner_below(inner)[at] == child.below);
    CHECK(own.high == (tree_key_words[kind] > 0 ? key.high : 0));
    CHECK(own.low == (tree_key_words[kind] > 1 ? key.low : 0));
    CHECK(tree_key_words[kind] == 0 || inner_compare(inner, at, key) == 0);
    if (tree_key_words[kind] == 0) return;
    CHECK(inner_compare(inner, at, (struct tree_key){own.high + 1, 0}) < 0);
    CHECK(tree_key_words[kind] < 2 || own.low == 0 ||
          inner_compare(inner, at, (struct tree_key){own.high, own.low - 1}) > 0);
}

static void children_stand_where_they_were_put(void) {
    for (enum tree_kind kind = 0; kind < TREE_KINDS; kind++)
        for (unsigned capacity = INNER_LEAST; capacity <= INNER_MAX; capacity = 2 * capacity + 1) {
            struct node *children[INNER_MAX];
            struct tree_key keys[INNER_MAX];
            uint32_t below[INNER_MAX];
            struct inner *inner = inner_new(NULL, kind, 1, capacity);
            struct inner *other = inner_new(NULL, kind, 1, INNER_MAX);
            CHECK(inner && other && inner_capacity(capacity) == capacity);
            for (unsigned count = 0; count < capacity; count++) {
                unsigned at = (unsigned)(check_random(&seed) % (count + 1));
                memmove(children + at + 1, children + at, (count - at) * sizeof *children);
                memmove(keys + at + 1, keys + at, (count - at) * sizeof *keys);
                memmove(below + at + 1, below + at, (count - at) * sizeof *below);
                children[at] = new_leaf(kind, count * 97);
                keys[at] = random_key();
                below[at] = (uint32_t)check_random(&seed);
                inner_put(inner, at, children[at], keys[at], below[at]);
            }
            uint64_t sum = 0;
            for (unsigned i = 0; i < capacity; i++) {
                check_child(kind, inner, i, (struct child){children[i], keys[i], below[i]});
                sum += below[i];
            }
            CHECK(node_elements(&inner->head) == sum);
            inner_append(other, inner, 2, capacity);
            for (unsigned i = 2; i < capacity; i++)
                check_child(kind, other, i - 2, (struct child){children[i], keys[i], below[i]});
            CHECK(inner_take(inner, 1) == children[1]);
            node_release(children[1], &model_graves);
            check_child(kind, inner, 0, (struct child){children[0], keys[0], below[0]});
            check_child(kind, inner, 1, (struct child){children[2], keys[2], below[2]});
            node_release(&inner->head, &model_graves);
            dig_all();
            node_free(other);
            CHECK(nodes_live == 0 && blocks_live == 0);
        }
}

/* A tree of levels in which every node has three children, and so many nodes in all. */
static struct node *pyramid(unsigned level, unsigned *nodes) {
    ++*nodes;
    if (level == 0) return new_leaf(TREE_SET, *nodes);
    struct inner *inner = inner_new(NULL, TREE_SET, level, INNER_LEAST);
    for (unsigned i = 0; i < 3; i++)
        inner_put(inner, i, pyramid(level - 1, nodes), (struct tree_key){i, 0}, 1);
    return &inner->head;
}

static void graves_are_dug_in_bounded_steps(void) {
    unsigned nodes = 0, steps = 0;
    struct node *root = pyramid(6, &nodes);
    bool more = true;
    CHECK_INT(nodes_live, nodes);
    CHECK(node_retain(root) == root && node_shared(root));
    node_release(root, &model_graves);
    CHECK(!node_shared(root) && model_graves.first == NULL);
    node_release(root, &model_graves);
    while (more) {
        long before = nodes_live;
        unsigned budget = 5;
        more = graves_dig(&model_graves, &budget);
        CHECK(before - nodes_live <= 5 && (budget == 0 || !more));
        steps += 5 - budget;
    }
    CHECK_INT(nodes_live, 0);
    CHECK_INT(steps, nodes - 1 + (nodes - 1) / 3); /* a step a child, and a step an inner node */
}

/* A leaf of many blocks takes as long as several leaves. */
static void blocks_are_part_of_the_budget(void) {
    enum { LEAVES = 3, BLOCKS = 600, AT_ONCE = 32 * 8 };
    static char text[1025];
    struct inner *inner = inner_new(NULL, TREE_LIST, 1, INNER_LEAST);
    struct leaf_item ready;
    struct tree_item item = {.parts = {{text, sizeof text}}};
    CHECK(leaf_prepare(TREE_LIST, &item, &ready));
    for (unsigned i = 0; i < LEAVES; i++) {
        struct leaf_piece piece = {.leaf = NULL};
        struct leaf *leaf =
            leaf_build(NULL, TREE_LIST, (struct leaf_parts){&piece, 1, &ready}, HEAP_NODE_MAX);
        CHECK(leaf);
        while (leaf->head.count < BLOCKS) CHECK(leaf_insert(leaf, 0, &ready));
        inner_put(inner, i, &leaf->head, (struct tree_key){0, 0}, BLOCKS);
    }
    struct block *block = block_retain(ready.blocks[0]);
    leaf_drop(&ready);
    node_release(&inner->head, &model_graves);
    for (bool more = true; more;) {
        uint32_t before = block->references;
        unsigned budget = 32;
        more = graves_dig(&model_graves, &budget);
        CHECK(before - block->references <= AT_ONCE + BLOCKS);
    }
    CHECK(block->references == 1 && nodes_live == 0 && bytes_referred_to == 0);
    block_release(block);
}

static void what_others_refer_to_stays(void) {
    unsigned nodes = 0;
    struct node *root = pyramid(3, &nodes), *part = node_retain(inner_child(inner_of(root), 1));
    node_release(root, &model_graves);
    dig_all();
    CHECK_INT(nodes_live, (nodes - 1) / 3);
    CHECK(node_elements(part) == 3 && !node_shared(part));
    node_release(part, &model_graves);
    dig_all();
    CHECK(nodes_live == 0 && blocks_live == 0);
}

int main(void) {
    seed = check_seed();
    RUN(children_stand_where_they_were_put);
    RUN(graves_are_dug_in_bounded_steps);
    RUN(blocks_are_part_of_the_budget);
    RUN(what_others_refer_to_stays);
    return 0;
}
