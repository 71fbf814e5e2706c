/* node.h - the nodes of a tree (tree.h): what all of them have in common, and inner ones.
 *
 * A node is a leaf (leaf.h) at level 0, or an inner node above, and carries all that is needed to take it apart. It is
 * counted: its references are those of inner nodes and of trees, from any thread. Versions of a tree share nodes.
 *
 *     inner | references u32 | count u16 | kind u8 | level u8 | capacity u16 |
 *           | high[] u64 | low[] u64 | below[] u32 | child[] pointer |
 *
 * high[i] and low[i] are a key, of which some kinds have one half and lists none. It is a lower bound of what lies
 * below child i, and not below the keys before it; the first one means nothing. below[i] counts the elements below
 * child i.
 *
 * Invariants:
 *   1. `references` is above 0 as long as anybody may look at the node.
 *   2. A node changes only if it, and every node on the way to it, has one reference.
 *   3. An inner node has at least one child, all of them one level below it and of its kind; no leaf is empty. */
#ifndef KEVY_STORE_VALUES_NODE_H
#define KEVY_STORE_VALUES_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/assert.h"
#include "store/memory/heap.h"

/* The orders of trees, and what an element is in each. */
enum tree_kind {
    TREE_LIST,   /* by position: bytes */
    TREE_SET,    /* by the hash of the member: bytes */
    TREE_HASH,   /* by the hash of the field: two strings of bytes */
    TREE_SCORES, /* by score, then bytes: a score and bytes */
    TREE_INDEX, /* by 32 bits of hash, in the order of insertion where they are equal: those bits and a score */
    TREE_STREAM,  /* by a number of 128 bits: that and bytes */
    TREE_PENDING, /* by a number of 128 bits: that and three more numbers */
    TREE_KINDS
};

/* What orders elements, as far as inner nodes know it; lists have none. TREE_SET and TREE_HASH: the hash. TREE_SCORES: the
 * score as a number in the same order, and the first eight bytes. TREE_INDEX: the hash. TREE_STREAM and TREE_PENDING: both
 * halves. */
struct tree_key {
    uint64_t high, low;
};

struct node {
    uint32_t references; /* atomic */
    uint16_t count;      /* of elements, or of children */
    uint8_t kind;        /* enum tree_kind */
    uint8_t level;
};

struct inner {
    struct node head;
    uint16_t capacity; /* in children */
    char words[] __attribute__((aligned(8)));
};

/* In children; a power of two of them would miss its size class by the head. And how many elements a tree
 * takes, but for those that its last leaf has room for: `below` has 32 bits. A test builds trees of small
 * nodes, so that few elements make many levels. */
#ifdef KEVY_TREE_SMALL
enum { INNER_MAX = 15, INNER_LEAST = 3, LEAF_DIVISOR = 8 };
#define TREE_COUNT_MAX 65536u
#else
enum { INNER_MAX = 63, INNER_LEAST = 7, LEAF_DIVISOR = 1 };
#define TREE_COUNT_MAX (UINT32_MAX - 65536u)
#endif

extern const uint8_t tree_key_words[TREE_KINDS];

/* Inner nodes that nobody refers to any more, and what lies below them: a list that needs no memory. */
struct graves {
    struct inner *first;
};

static inline struct node *node_retain(struct node *node) {
    uint32_t references = __atomic_fetch_add(&node->references, 1, __ATOMIC_RELAXED);
    assert(references > 0 && references < UINT32_MAX); /* 1 */
    return node;
}
/* Whoever finds that it has the only reference may change the node. */
static inline bool node_shared(const struct node *node) {
    return __atomic_load_n(&node->references, __ATOMIC_ACQUIRE) > 1;
}
/* Gives a reference back. A leaf without references is freed, an inner node becomes a grave. */
void node_release(struct node *node, struct graves *graves);
/* Frees children of graves, each counted down from the budget, and those with many long elements several times. True while
 * there are more. */
bool graves_dig(struct graves *graves, unsigned *budget);

/* Moves all graves of `from` to the front of the others: as many steps as a tree is high. */
void graves_join(struct graves *graves, struct graves *from);

/* Bytes that the node takes. */
size_t node_memory(const struct node *node);
uint64_t node_elements(const struct node *node);

/* ---- Inner nodes ---------------------------------------------------------------------------------- */

static inline struct inner *inner_of(struct node *node) {
    debug_assert(node->level > 0);
    return (struct inner *)(void *)node;
}
static inline const struct inner *inner_at(const struct node *node) {
    debug_assert(node->level > 0);
    return (const struct inner *)(const void *)node;
}
/* The arrays: of the keys' high words, which the low ones follow; of elements below; of children. */
static inline uint64_t *inner_keys(const struct inner *inner) {
    return (uint64_t *)(uintptr_t)inner->words;
}
static inline uint32_t *inner_below(const struct inner *inner) {
    return (uint32_t *)(void *)(inner_keys(inner) +
                                (size_t)inner->capacity * tree_key_words[inner->head.kind]);
}
static inline struct node **inner_children(const struct inner *inner) {
    return (struct node **)(void *)(inner_below(inner) + (inner->capacity + 1) / 2 * 2);
}
static inline struct node *inner_child(const struct inner *inner, unsigned at) {
    debug_assert(at < inner->head.count);
    return inner_children(inner)[at];
}
/* The same where keys are known to have one word. */
static inline struct node *inner_child_by_word(const struct inner *inner, unsigned at) {
    const char *below = inner->words + sizeof(uint64_t) * inner->capacity;
    debug_assert(tree_key_words[inner->head.kind] == 1 && at < inner->head.count);
    struct node *const *children =
        (struct node *const *)(const void *)(below + (inner->capacity + 1) / 2 * 8);
    return children[at];
}
struct tree_key inner_key(const struct inner *inner, unsigned at);
void inner_set_key(struct inner *inner, unsigned at, struct tree_key key);
/* The order of key[at] and this one: < 0, 0 or > 0. */
static inline int inner_compare(const struct inner *inner, unsigned at, struct tree_key key) {
    const uint64_t *high = inner_keys(inner), *low = high + inner->capacity;
    if (high[at] != key.high) return high[at] < key.high ? -1 : 1;
    if (tree_key_words[inner->head.kind] < 2 || low[at] == key.low) return 0;
    return low[at] < key.low ? -1 : 1;
}

/* An inner node of no children, with room for some; one reference. NULL without memory. */
struct inner *inner_new(struct heap *heap, enum tree_kind kind, unsigned level, unsigned capacity);
/* Puts a child in; the reference to it becomes the node's. There is room. */
void inner_put(struct inner *inner, unsigned at, struct node *child, struct tree_key key, uint32_t below);
/* Takes a child out; the reference to it becomes the caller's. */
struct node *inner_take(struct inner *inner, unsigned at);
/* Appends children [from, to) of another node of this level. They keep their references: who frees the other node gives
 * them up, who does not retains them. */
void inner_append(struct inner *inner, const struct inner *from, unsigned begin, unsigned end);
/* The least capacity for so many children. */
unsigned inner_capacity(unsigned children);

#endif
