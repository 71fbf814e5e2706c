/* tree.h - one tree for all large values with elements: a counted B+ tree of packed leaves. Changes are in
 * tree_change.h.
 *
 * Only the order differs: by position, by score, by hash, by number (enum tree_kind in node.h). There are no links
 * between leaves, so that versions can share them: a cursor has the way from the root.
 *
 * Versions. A retained tree (tree_fork) is one reference more to the root, whatever the size, and looks the same for
 * ever: who writes to either of them copies the nodes on the way that are shared, by the one rule of node.h (2). So
 * what costs nothing at the fork costs a copy of each node that is written to, once. A version may be read, walked and
 * released by any thread.
 *
 * Edges. Who appends or pops touches the tree and one leaf: the tree knows its first and last leaf while nothing on the
 * way to them is shared, and what the counts on the way do not know yet is owed to them. Whoever changes something else
 * pays first.
 *
 * Invariants:
 *   1. root is NULL exactly when count is 0; all leaves are at level 0.
 *   2. edges[i] is NULL, or the leaf at that end, and then nothing on the way to it is shared.
 *   3. The counts on the way to the first (last) leaf are too low by owed[0] (owed[1]); a root that is a leaf is owed
 *      nothing.
 *   4. Of a key in an inner node, what lies left is not above it, and what lies right of it not below; for the kinds
 *      ordered by hash, and streams, what lies left is below it. Equal keys of TREE_INDEX are in one leaf. */
#ifndef KEVY_STORE_VALUES_TREE_H
#define KEVY_STORE_VALUES_TREE_H

#include "store/memory/memory.h"
#include "store/values/leaf.h"

enum { TREE_LEVELS = 12 }; /* inner nodes on the way to a leaf: more than 2^32 leaves take, half full */

enum tree_end { TREE_FRONT, TREE_BACK };

struct tree {
    struct node *root;
    uint64_t
        count; /* elements; TREE_COUNT_MAX of them and a leaf's more at most: what is put in then finds no memory */
    uint64_t bytes; /* of its nodes, shared ones included; an estimate after subtrees were cut off */
    struct leaf *edges[2];
    int32_t owed[2];
    enum tree_kind kind;
};

/* Which children a descent took from the root down. It is a guess, which a later descent tests at each node before it
 * follows it: one that is wrong by then, or was made in another tree, costs a search and does no harm. */
enum { TREE_GUESS_LEVELS = 4 };
struct tree_guess {
    uint8_t levels; /* that are guessed; 0: none */
    uint8_t at[TREE_GUESS_LEVELS];
    uint16_t place; /* in the leaf */
};

/* What a change needs beside the tree. */
struct tree_context {
    struct heap *heap;            /* where new nodes come from */
    const struct hash_seed *seed; /* of the hashes of TREE_SET and TREE_HASH */
    struct graves *graves;        /* takes what is to be freed in steps */
    bool roomy; /* leaves made anew get all the room that a leaf may have, for many to come; then tree_fit */
    /* Of the way to where an item is to be put by its key, or to where it is taken out (tree_remove); or NULL. */
    const struct tree_guess *guess;
};

/* An element, found by one of the functions below. It is valid until the tree changes. */
struct tree_cursor {
    const struct tree *tree;
    struct leaf *leaf; /* NULL: no element */
    unsigned place;
    size_t offset;
    unsigned depth;
    struct {
        struct inner *node;
        unsigned at;
    } ways[TREE_LEVELS]; /* from the root down */
};

static inline struct tree tree_empty(enum tree_kind kind) {
    return (struct tree){.kind = kind};
}

/* ---- Versions ------------------------------------------------------------------------------------- */

/* Makes `to` a tree of the same elements, in O(1). The old one must not be changed at the same moment, but may be read. */
void tree_fork(struct tree *to, struct tree *from);
/* Gives all elements back, in O(1): what nobody else refers to becomes graves. The tree is empty then. */
void tree_release(struct tree *tree, struct graves *graves);

/* A walk over a version that is given up: what nobody else refers to is freed behind it. No lock is needed. */
struct tree_walk {
    enum tree_kind kind;
    struct leaf *leaf; /* with a reference of the walk's own, as all of its nodes */
    unsigned place;
    size_t offset;
    unsigned depth;
    struct {
        struct node *node;
        unsigned
            passed; /* children that the walk has passed, and which are still there since the node is shared */
    } ways[TREE_LEVELS];
};
/* Takes what the tree holds; it is empty then. */
struct tree_walk tree_walk(struct tree *tree);
/* The next element, valid until the next call; false at the end, where nothing is held any more. */
bool tree_walk_next(struct tree_walk *walk, struct tree_item *item, struct graves *graves);
/* Gives up before the end. */
void tree_walk_end(struct tree_walk *walk, struct graves *graves);

/* ---- Finding -------------------------------------------------------------------------------------- */

/* The member of a TREE_SET, the field of a TREE_HASH. False if there is none. */
static inline bool tree_look_up(const struct tree *tree, uint64_t hash, struct bytes member,
                                struct tree_item *item);
/* The same where the way there may be guessed; NULL: it is not. */
bool tree_look_up_guessed(const struct tree *tree, uint64_t hash, struct bytes member,
                          const struct tree_guess *guess, struct tree_item *item);
/* The second part of that alone. The way there may be guessed; NULL: it is not. */
bool tree_look_up_second(const struct tree *tree, uint64_t hash, struct bytes field,
                         const struct tree_guess *guess, struct leaf_part *second);
/* A cursor at the element of which the hash alone is known; false if there is none. */
bool tree_find_hash(struct tree_cursor *cursor, const struct tree *tree, const struct hash_seed *seed,
                    uint64_t hash);
/* The first element that is not below the item, of TREE_SCORES, TREE_INDEX, TREE_STREAM or TREE_PENDING. True if it is equal
 * to it; where there is none, cursor->leaf is NULL. */
static inline bool tree_lower_bound(struct tree_cursor *cursor, const struct tree *tree,
                                    const struct tree_item *item);
/* The same where the way there is guessed, or NULL. */
bool tree_lower_bound_guessed(struct tree_cursor *cursor, const struct tree *tree,
                              const struct tree_item *item, const struct tree_guess *guess);
/* The element at this position, 0 <= position < count. */
void tree_select(struct tree_cursor *cursor, const struct tree *tree, uint64_t position);
/* The first or the last element of a tree that has some: its leaf is known as a rule, and need not be looked for. */
void tree_get_end(const struct tree *tree, enum tree_end end, struct tree_item *item);
/* It is known: looking there costs little, and so does tree_pop. */
static inline bool tree_knows_end(const struct tree *tree, enum tree_end end) {
    return __atomic_load_n(&tree->edges[end], __ATOMIC_RELAXED);
}
/* How many elements are before it. */
uint64_t tree_rank(const struct tree_cursor *cursor);

/* To the next or previous element. False if there is none: cursor->leaf is NULL then. */
bool tree_next(struct tree_cursor *cursor);
bool tree_previous(struct tree_cursor *cursor);
/* The elements from the cursor on that lie in its leaf, as leaf_run tells; none where the cursor's own is long. And from
 * their first one behind their last one, as tree_next. */
static inline void tree_run(const struct tree_cursor *cursor, unsigned most, struct leaf_run *run) {
    leaf_run(cursor->leaf, cursor->place, cursor->offset, most, run);
}
bool tree_pass(struct tree_cursor *cursor, const struct leaf_run *run);
/* To the first element of the next leaf. */
bool tree_next_leaf(struct tree_cursor *cursor);
/* To the first element of the leaf in which this hash is, or would be; of TREE_SET or TREE_HASH, with some elements. */
void tree_enter_leaf(struct tree_cursor *cursor, const struct tree *tree, uint64_t hash);
/* Between which hashes, these included, all elements of the cursor's leaf are, and no others. */
void tree_leaf_hashes(const struct tree_cursor *cursor, uint64_t *low, uint64_t *last);
/* The element. A hash of TREE_SET and TREE_HASH is not in it. */
static inline void tree_get(const struct tree_cursor *cursor, struct tree_item *item) {
    leaf_get(cursor->leaf, cursor->place, cursor->offset, item);
}

/* One step of an iteration over a TREE_SET or TREE_HASH that may change between steps: calls `each` for the elements of
 * one leaf, returns the next cursor, 0 at the end. Begin with 0. Every element that is there throughout is seen, once.
 * `each` must not change the tree. */
uint64_t tree_scan(const struct tree *tree, const struct hash_seed *seed, uint64_t cursor,
                   void (*each)(void *context, const struct tree_item *item), void *context);

/* Before many lookups, at most TREE_AHEAD_MOST: asks the memory for the leaves in which these hashes are, or would be, and
 * in those of TREE_SET and TREE_HASH for the elements that have their tags; found[i] is the leaf of hashes[i] and the way
 * there. The same of the elements of TREE_SCORES where these items are, or would be. The trees have some elements. */
enum { TREE_AHEAD_MOST = 16 };
struct tree_found {
    const struct leaf *leaf; /* as long as the tree does not change */
    struct tree_guess guess;
};
void tree_ahead_of_hashes(const struct tree *tree, const uint64_t *hashes, unsigned count,
                          struct tree_found *found);
void tree_ahead_of_scores(const struct tree *tree, const struct tree_item *items, unsigned count,
                          struct tree_guess *guesses);

/* Aborts unless the invariants hold. O(n), for tests. */
bool tree_check(const struct tree *tree, const struct hash_seed *seed);

/* ---- For tree_change.c, and definitions of the above ---------------------------------------------- */

/* Where to descend to. */
struct tree_target {
    enum { TREE_TO_KEY, TREE_TO_POSITION, TREE_TO_FRONT, TREE_TO_BACK } to;
    struct tree_key key;
    const struct tree_item *item;   /* TREE_TO_KEY */
    const struct tree_guess *guess; /* TREE_TO_KEY: or NULL */
    uint64_t position;              /* left after the children passed */
};
static inline struct tree_target tree_target(const struct tree *tree, const struct tree_item *item) {
    struct tree_key key = tree->kind == TREE_SCORES ? tree_item_key(TREE_SCORES, item) : item->key;
    return (struct tree_target){.to = TREE_TO_KEY, .key = key, .item = item};
}
/* The child of an inner node that lies on the way; target->position is left as it is. */
static inline unsigned tree_choose(const struct inner *inner, const struct tree_target *target);
unsigned tree_choose_any(const struct inner *inner, const struct tree_target *target);
/* Steps into the child: counts the position down. */
static inline void tree_enter(const struct inner *inner, unsigned at, struct tree_target *target);
uint64_t tree_count_before(const struct inner *inner, unsigned at);

/* Where a search by halves begins: the greatest power of two that is not above the count. */
static inline size_t tree_first_step(unsigned count) {
    return (size_t)1 << (31 - __builtin_clz(count));
}

/* The last child of a node by one word of key that may hold this one. The first step leaves a power of two of children, in
 * which, where the others are the greater half, some may lie behind that were found to be too far: so the steps are the same
 * for all keys, and need no branch (Knuth, The Art of Computer Programming 3, 6.2.1, algorithm U). */
static inline unsigned tree_child_of_hash(const struct inner *inner, uint64_t hash) {
    const uint64_t *keys = inner_keys(inner), *at = keys;
    size_t step = tree_first_step(inner->head.count), rest = inner->head.count - step;
    at += keys[rest] <= hash ? rest : 0;
    while (step > 1) {
        step /= 2;
        at = at[step] <= hash ? at + step : at;
    }
    return (unsigned)(at - keys);
}

/* Is the child guessed that lies on the way to a key with this first word, at this depth below the root, and does that word
 * alone show it? Then nothing has to be searched. */
static inline bool tree_guess_holds(const struct tree_guess *guess, unsigned depth, const struct inner *inner,
                                    uint64_t high) {
    const uint64_t *keys = inner_keys(inner);
    unsigned count = inner->head.count;
    if (guess == NULL || depth >= guess->levels) return false;
    unsigned at = guess->at[depth];
    return at < count && (at == 0 || keys[at] < high) && (at + 1 == count || keys[at + 1] > high);
}
static inline unsigned tree_child_guessed(const struct inner *inner, uint64_t hash,
                                          const struct tree_guess *guess, unsigned depth) {
    return tree_guess_holds(guess, depth, inner, hash) ? guess->at[depth] : tree_child_of_hash(inner, hash);
}

/* The last child whose key has a first word below this one; the first if none has. */
static inline unsigned tree_child_below(const struct inner *inner, uint64_t high) {
    const uint64_t *keys = inner_keys(inner), *at = keys;
    size_t step = tree_first_step(inner->head.count), rest = inner->head.count - step;
    at += keys[rest] < high ? rest : 0;
    while (step > 1) {
        step /= 2;
        at = at[step] < high ? at + step : at;
    }
    return (unsigned)(at - keys);
}

/* The child for a key, where its first word decides, as it does for hashes always and for scores as a rule. */
static inline unsigned tree_choose_by_key(const struct inner *inner, const struct tree_target *target) {
    uint64_t high = target->key.high;
    assert(inner->head.count > 0);
    if (tree_key_words[inner->head.kind] == 1) return tree_child_of_hash(inner, high);
    unsigned at = tree_child_below(inner, high);
    bool decided = at + 1u == inner->head.count || inner_keys(inner)[at + 1] != high;
    return decided ? at : tree_choose_any(inner, target);
}

static inline unsigned tree_choose(const struct inner *inner, const struct tree_target *target) {
    return target->to == TREE_TO_KEY ? tree_choose_by_key(inner, target) : tree_choose_any(inner, target);
}

/* The same at this depth below the root, where it may have been guessed. */
static inline unsigned tree_choose_guessed(const struct inner *inner, const struct tree_target *target,
                                           unsigned depth) {
    if (tree_guess_holds(target->guess, depth, inner, target->key.high)) return target->guess->at[depth];
    return tree_choose(inner, target);
}

static inline bool tree_look_up(const struct tree *tree, uint64_t hash, struct bytes member,
                                struct tree_item *item) {
    return tree_look_up_guessed(tree, hash, member, NULL, item);
}

static inline bool tree_lower_bound(struct tree_cursor *cursor, const struct tree *tree,
                                    const struct tree_item *item) {
    return tree_lower_bound_guessed(cursor, tree, item, NULL);
}

static inline void tree_enter(const struct inner *inner, unsigned at, struct tree_target *target) {
    if (target->to == TREE_TO_POSITION) target->position -= tree_count_before(inner, at);
}

/* Asks for what a descent reads of a child first: the keys of an inner node, or the columns of a leaf. */
static inline void tree_ask_for(const struct node *parent, const struct node *child) {
    const char *at = (const char *)child;
    for (unsigned line = 0; line < 4; line++) memory_prefetch(at + 64 * line);
    if (parent->level == 1 && parent->kind == TREE_SET) return; /* tags and lens have no more */
    for (unsigned line = 4; line < 6; line++) memory_prefetch(at + 64 * line);
    if (parent->level == 1 && parent->kind == TREE_HASH) return;
    for (unsigned line = 6; line < 9; line++) memory_prefetch(at + 64 * line);
}

#endif
