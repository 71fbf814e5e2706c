/* node.c - references to nodes, the end of those that have none, and inner nodes. */
#include "store/values/node.h"

#include <string.h>

#include "store/values/leaf.h"

const uint8_t tree_key_words[TREE_KINDS] = {
    [TREE_LIST] = 0,  [TREE_SET] = 1,    [TREE_HASH] = 1,    [TREE_SCORES] = 2,
    [TREE_INDEX] = 1, [TREE_STREAM] = 2, [TREE_PENDING] = 2,
};
_Static_assert(sizeof(struct inner) == 16, "arrays of eight-byte words follow the head");

static size_t inner_bytes(enum tree_kind kind, unsigned capacity) {
    size_t below = (capacity + 1) / 2 * 2 * sizeof(uint32_t);
    return sizeof(struct inner) + capacity * (8u * tree_key_words[kind] + sizeof(struct node *)) + below;
}

/* ---- References ----------------------------------------------------------------------------------- */

void node_release(struct node *node, struct graves *graves) {
    uint32_t references = __atomic_fetch_sub(&node->references, 1, __ATOMIC_ACQ_REL);
    assert(references > 0); /* 1 */
    if (references != 1) return;
    if (node->level == 0) {
        leaf_free(leaf_of(node));
        return;
    }
    /* The first word is a key that means nothing or, without keys, two counts that nobody needs any more. */
    memcpy(inner_of(node)->words, &graves->first, sizeof graves->first);
    graves->first = inner_of(node);
}

/* What giving up a node takes from a budget: the blocks of a leaf may go with it, eight of them in about the time of a
 * leaf without any. */
static unsigned cost_of(const struct node *node) {
    enum { LONGS_AT_ONCE = 8 };
    return 1 + (node->level == 0 ? leaf_at(node)->longs / LONGS_AT_ONCE : 0);
}

bool graves_dig(struct graves *graves, unsigned *budget) {
    while (graves->first && *budget > 0) {
        struct inner *inner = graves->first;
        unsigned cost = 1;
        assert(inner->head.references == 0 && inner->head.level > 0); /* 1 */
        if (inner->head.count > 0) {
            /* It may become the first grave itself, and is then dug first: so the list is never longer than a tree is high,
             * but for the graves that others have put there. */
            struct node *child = inner_children(inner)[--inner->head.count];
            cost = cost_of(child);
            node_release(child, graves);
        } else {
            memcpy(&graves->first, inner->words, sizeof graves->first);
            node_free(inner);
        }
        *budget -= cost < *budget ? cost : *budget;
    }
    return graves->first;
}

void graves_join(struct graves *graves, struct graves *from) {
    struct inner *last = from->first, *next;
    if (last == NULL) return;
    for (memcpy(&next, last->words, sizeof next); next; memcpy(&next, last->words, sizeof next)) last = next;
    memcpy(last->words, &graves->first, sizeof graves->first);
    graves->first = from->first;
    from->first = NULL;
}

size_t node_memory(const struct node *node) {
    if (node->level == 0) return leaf_at(node)->capacity;
    return node_bytes(inner_bytes((enum tree_kind)node->kind, inner_at(node)->capacity));
}

uint64_t node_elements(const struct node *node) {
    if (node->level == 0) return node->count;
    uint64_t count = 0;
    for (unsigned i = 0; i < node->count; i++) count += inner_below(inner_at(node))[i];
    return count;
}

/* ---- Inner nodes ---------------------------------------------------------------------------------- */

unsigned inner_capacity(unsigned children) {
    unsigned capacity = INNER_LEAST;
    assert(children <= INNER_MAX);
    while (capacity < children) capacity = 2 * capacity + 1;
    return capacity;
}

struct inner *inner_new(struct heap *heap, enum tree_kind kind, unsigned level, unsigned capacity) {
    assert(level > 0 && level <= UINT8_MAX && capacity >= INNER_LEAST && capacity <= INNER_MAX);
    struct inner *inner = node_alloc(heap, inner_bytes(kind, capacity));
    if (inner == NULL) return NULL;
    *inner = (struct inner){.head = {.references = 1, .kind = (uint8_t)kind, .level = (uint8_t)level}};
    inner->capacity = (uint16_t)capacity;
    return inner;
}

struct tree_key inner_key(const struct inner *inner, unsigned at) {
    unsigned words = tree_key_words[inner->head.kind];
    const uint64_t *high = inner_keys(inner);
    assert(at < inner->head.count);
    return (struct tree_key){words > 0 ? high[at] : 0, words > 1 ? high[inner->capacity + at] : 0};
}

void inner_set_key(struct inner *inner, unsigned at, struct tree_key key) {
    unsigned words = tree_key_words[inner->head.kind];
    uint64_t *high = inner_keys(inner);
    assert(at < inner->capacity);
    if (words > 0) high[at] = key.high;
    if (words > 1) high[inner->capacity + at] = key.low;
}

/* Moves the children from `at` on by `by` places. */
static void shift(struct inner *inner, unsigned at, int by) {
    size_t left = inner->head.count - at;
    struct node **children = inner_children(inner) + at;
    uint32_t *below = inner_below(inner) + at;
    memmove(children + by, children, left * sizeof *children);
    memmove(below + by, below, left * sizeof *below);
    for (unsigned word = 0; word < tree_key_words[inner->head.kind]; word++) {
        uint64_t *keys = inner_keys(inner) + (size_t)word * inner->capacity + at;
        memmove(keys + by, keys, left * sizeof *keys);
    }
}

void inner_put(struct inner *inner, unsigned at, struct node *child, struct tree_key key, uint32_t below) {
    assert(at <= inner->head.count && inner->head.count < inner->capacity);
    assert(child->level + 1 == inner->head.level && child->kind == inner->head.kind); /* 3 */
    shift(inner, at, 1);
    inner_children(inner)[at] = child;
    inner_set_key(inner, at, key);
    inner_below(inner)[at] = below;
    inner->head.count++;
}

struct node *inner_take(struct inner *inner, unsigned at) {
    assert(at < inner->head.count);
    struct node *child = inner_children(inner)[at];
    shift(inner, at + 1, -1);
    inner->head.count--;
    return child;
}

void inner_append(struct inner *inner, const struct inner *from, unsigned begin, unsigned end) {
    size_t count = end - begin, at = inner->head.count;
    assert(begin <= end && end <= from->head.count && at + count <= inner->capacity);
    assert(inner->head.level == from->head.level && inner->head.kind == from->head.kind); /* 3 */
    memcpy(inner_children(inner) + at, inner_children(from) + begin, count * sizeof(struct node *));
    memcpy(inner_below(inner) + at, inner_below(from) + begin, count * sizeof(uint32_t));
    for (unsigned word = 0; word < tree_key_words[inner->head.kind]; word++)
        memcpy(inner_keys(inner) + (size_t)word * inner->capacity + at,
               inner_keys(from) + (size_t)word * from->capacity + begin, count * sizeof(uint64_t));
    inner->head.count = (uint16_t)(at + count);
}
