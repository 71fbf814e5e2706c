/* tree_change.c - changes of trees.
 *
 * A change descends once. On the way down every inner node becomes the tree's own (a shared one is copied), and, if
 * something is to be put in, gets room for one child more: so a leaf that is split has a parent with room, and nothing
 * goes up again. Each of these steps leaves the elements alone. The last one, in the leaf, has all the memory that it takes
 * before it changes anything. */
#include "store/values/tree_change.h"

#include <string.h>

#include "store/values/leaf_score.h"
#include "store/values/tree_split.h"

enum {
    INNER_JOIN_BELOW = INNER_MAX / 4,      /* children: a node with fewer is joined with a neighbour */
    INNER_JOINED_MOST = INNER_MAX / 4 * 3, /* if they have no more than these together */
};

/* The way to a leaf, as a change sees it: all inner nodes are the tree's own. */
struct step {
    struct inner *node;
    unsigned at; /* the child with which it goes on */
};
struct way {
    unsigned depth;
    struct step steps[TREE_LEVELS];
    struct leaf *leaf; /* which may be shared */
    unsigned place;    /* in it: by position, or where an item is or is to be put */
    size_t offset;     /* of what is to be taken out there */
    uint64_t most;     /* no key in the leaf has a first word above this one */
};

static struct node **slot_of(struct tree *tree, const struct way *way, unsigned depth) {
    if (depth == 0) return &tree->root;
    return &inner_children(way->steps[depth - 1].node)[way->steps[depth - 1].at];
}

static struct inner *parent_of(const struct way *way) {
    return way->depth ? way->steps[way->depth - 1].node : NULL;
}

/* A node goes, or more. Where `bytes` is an estimate there may seem to be less than that. */
static void forget_bytes(struct tree *tree, uint64_t bytes) {
    tree->bytes -= bytes < tree->bytes ? bytes : tree->bytes;
}

/* Puts another node in the place of one; the reference to the old one is given back. */
static void exchange(struct tree *tree, const struct tree_context *context, struct node **slot,
                     struct node *node) {
    tree->bytes += node_memory(node);
    forget_bytes(tree, node_memory(*slot));
    node_release(*slot, context->graves);
    *slot = node;
}

/* ---- The way down --------------------------------------------------------------------------------- */

/* The children of a node move out of it, which is freed; or, if others refer to it too, they are retained. */
static void move_children(struct inner *to, struct inner *from, const struct tree_context *context) {
    bool shared = node_shared(&from->head);
    for (unsigned i = 0; shared && i < from->head.count; i++) node_retain(inner_child(from, i));
    inner_append(to, from, 0, from->head.count);
    if (shared)
        node_release(&from->head, context->graves);
    else
        node_free(from);
}

/* Makes an inner node the tree's own, and, if it shall have room, a larger one of it that is not the largest. */
static bool own(struct tree *tree, const struct tree_context *context, struct node **slot, bool room) {
    struct inner *inner = inner_of(*slot);
    unsigned wanted = inner->head.count + (room && inner->head.count < INNER_MAX);
    bool grows = wanted > inner->capacity;
    if (!node_shared(*slot) && !grows) return true;
    unsigned capacity = grows ? inner_capacity(wanted) : inner->capacity;
    struct inner *own = inner_new(context->heap, tree->kind, inner->head.level, capacity);
    if (own == NULL) return false;
    tree->bytes += node_memory(&own->head) - node_memory(&inner->head);
    move_children(own, inner, context);
    *slot = &own->head;
    return true;
}

/* May it be changed as it is, and has it room for a child more, if it shall? As a rule. */
static inline bool is_ready(const struct node *node, bool room) {
    return !node_shared(node) && (!room || node->count < inner_at(node)->capacity);
}

static bool is_full(const struct node *node) {
    return node->level > 0 && node->count == INNER_MAX;
}

/* Splits a full child of a node that has room, both the tree's own. */
static bool split_inner(struct tree *tree, const struct tree_context *context, struct inner *parent,
                        unsigned at) {
    struct inner *left = inner_of(inner_child(parent, at));
    unsigned middle = at + 1u == parent->head.count ? INNER_MAX - INNER_LEAST : INNER_MAX / 2;
    struct inner *right =
        inner_new(context->heap, tree->kind, left->head.level, inner_capacity(left->head.count - middle + 1));
    if (right == NULL) return false;
    struct tree_key key = inner_key(left, middle);
    inner_append(right, left, middle, left->head.count);
    left->head.count = (uint16_t)middle;
    uint32_t moved = (uint32_t)node_elements(&right->head);
    inner_below(parent)[at] -= moved;
    inner_put(parent, at + 1, &right->head, key, moved);
    tree->bytes += node_memory(&right->head);
    return true;
}

/* Puts an inner node with one child above the root. */
static bool raise_root(struct tree *tree, const struct tree_context *context) {
    struct inner *root = inner_new(context->heap, tree->kind, tree->root->level + 1u, INNER_LEAST);
    if (root == NULL) return false;
    inner_put(root, 0, tree->root, (struct tree_key){0, 0}, (uint32_t)tree->count);
    tree->root = &root->head;
    tree->bytes += node_memory(tree->root);
    return true;
}

/* The root, an inner node, becomes the tree's own; with room, if there shall be. */
static __attribute__((noinline)) bool own_root(struct tree *tree, const struct tree_context *context,
                                               bool room) {
    if (!own(tree, context, &tree->root, room)) return false;
    if (!room || !is_full(tree->root)) return true;
    return raise_root(tree, context) && split_inner(tree, context, inner_of(tree->root), 0);
}

/* The child with which the way goes on, an inner node, becomes the tree's own, with room if there shall be. */
static __attribute__((noinline)) bool own_child(struct tree *tree, const struct tree_context *context,
                                                struct step *step, const struct tree_target *target,
                                                bool room) {
    struct inner *parent = step->node;
    if (!own(tree, context, &inner_children(parent)[step->at], room)) return false;
    if (!room || !is_full(inner_child(parent, step->at))) return true;
    if (!split_inner(tree, context, parent, step->at)) return false;
    step->at = tree_choose(parent, target);
    return true;
}

static bool own_way(struct tree *tree, const struct tree_context *context, struct way *way,
                    struct tree_target target, bool room) {
    struct node *node = tree->root;
    way->depth = 0;
    way->most = UINT64_MAX;
    if (room && tree->count >= TREE_COUNT_MAX) return false;
    if (node->level > 0 && !is_ready(node, room)) {
        if (!own_root(tree, context, room)) return false;
        node = tree->root;
    }
    while (node->level > 0) {
        struct step step = {.node = inner_of(node)};
        assert(way->depth < TREE_LEVELS && !node_shared(node));
        step.at = tree_choose(step.node, &target);
        if (node->level > 1 && !is_ready(inner_child(step.node, step.at), room) &&
            !own_child(tree, context, &step, &target, room))
            return false;
        tree_enter(step.node, step.at, &target);
        way->steps[way->depth++] = step;
        node = inner_child(step.node, step.at);
        tree_ask_for(&step.node->head, node);
    }
    way->leaf = leaf_of(node);
    way->place = (unsigned)target.position;
    return true;
}

/* The same to a key of so many words, where all nodes are ready, as they are as a rule. */
static inline __attribute__((always_inline)) bool ready_way(const struct tree *tree, struct way *way,
                                                            const struct tree_target *target, bool room,
                                                            unsigned words) {
    struct node *node = tree->root;
    unsigned depth = 0;
    way->most = UINT64_MAX;
    if (room && tree->count >= TREE_COUNT_MAX) return false;
    for (; node->level > 0; depth++) {
        struct inner *inner = inner_of(node);
        if (!is_ready(node, room)) return false;
        assert(depth < TREE_LEVELS);
        unsigned at = words == 1 ? tree_child_guessed(inner, target->key.high, target->guess, depth)
                                 : tree_choose_guessed(inner, target, depth);
        way->steps[depth] = (struct step){inner, at};
        if (words == 2 && at + 1u < inner->head.count) way->most = inner_keys(inner)[at + 1];
        node = words == 1 ? inner_child_by_word(inner, at) : inner_child(inner, at);
        if (target->guess == NULL || tree->kind == TREE_PENDING) tree_ask_for(&inner->head, node);
    }
    way->depth = depth;
    way->leaf = leaf_of(node);
    return true;
}

/* The way to where an item is, or would be. */
static bool own_way_to_item(struct tree *tree, const struct tree_context *context, struct way *way,
                            const struct tree_item *item, bool room) {
    if (tree_key_words[tree->kind] == 1) {
        struct tree_target hash = {.to = TREE_TO_KEY, .key = item->key, .guess = context->guess};
        return ready_way(tree, way, &hash, room, 1) ||
               own_way(tree, context, way, tree_target(tree, item), room);
    }
    struct tree_target target = tree_target(tree, item);
    if (tree->kind == TREE_PENDING) target.guess = context->guess;
    return ready_way(tree, way, &target, room, 2) || own_way(tree, context, way, target, room);
}

/* Pays what is owed to the counts on the way to an edge. */
static __attribute__((noinline)) bool pay(struct tree *tree, const struct tree_context *context,
                                          enum tree_end end) {
    struct way way;
    struct tree_target target = {.to = end == TREE_FRONT ? TREE_TO_FRONT : TREE_TO_BACK};
    if (!own_way(tree, context, &way, target, false)) return false;
    for (unsigned i = 0; i < way.depth; i++)
        inner_below(way.steps[i].node)[way.steps[i].at] += (uint32_t)tree->owed[end];
    tree->owed[end] = 0;
    return true;
}

/* Before a change that may be anywhere. */
static inline bool settle(struct tree *tree, const struct tree_context *context) {
    tree->edges[TREE_FRONT] = tree->edges[TREE_BACK] = NULL;
    return (tree->owed[TREE_FRONT] == 0 || pay(tree, context, TREE_FRONT)) &&
           (tree->owed[TREE_BACK] == 0 || pay(tree, context, TREE_BACK));
}

static void count_on_way(struct tree *tree, const struct way *way, int64_t change) {
    for (unsigned i = 0; i < way->depth; i++)
        inner_below(way->steps[i].node)[way->steps[i].at] += (uint32_t)change;
    tree->count += (uint64_t)change;
}

/* The leaf at the end of a way becomes the tree's own. */
static bool own_leaf(struct tree *tree, const struct tree_context *context, struct way *way) {
    if (!node_shared(&way->leaf->head)) return true;
    struct leaf_piece piece = leaf_piece(way->leaf, 0, way->leaf->head.count);
    struct leaf *copy = leaf_build(context->heap, tree->kind, (struct leaf_parts){&piece, 1, NULL}, 0);
    if (copy == NULL) return false;
    exchange(tree, context, slot_of(tree, way, way->depth), &copy->head);
    way->leaf = copy;
    return true;
}

/* ---- Putting in ----------------------------------------------------------------------------------- */

/* A leaf that is the root gets a parent. */
static bool ensure_parent(struct tree *tree, const struct tree_context *context, struct way *way) {
    if (way->depth > 0) return true;
    if (!raise_root(tree, context)) return false;
    way->steps[0].node = inner_of(tree->root);
    way->steps[0].at = 0;
    way->depth = 1;
    return true;
}

static bool split(struct tree *tree, const struct tree_context *context, struct way *way,
                  const struct tree_putting *putting) {
    struct tree_halves halves;
    if (!ensure_parent(tree, context, way)) return false;
    if (!tree_halve(context, putting, &halves)) return false;
    struct inner *parent = parent_of(way);
    unsigned at = way->steps[way->depth - 1].at;
    unsigned in_right = halves.right->head.count;
    inner_below(parent)[at] -= in_right; /* the item is counted on the way, at the left one */
    inner_put(parent, at + 1, &halves.right->head, halves.key, in_right);
    tree->bytes += node_memory(&halves.right->head);
    exchange(tree, context, &inner_children(parent)[at], &halves.left->head);
    way->leaf = halves.left;
    return true;
}

/* Is the leaf at the end of the way the last of the tree (the first)? */
static bool is_edge(const struct way *way, enum tree_end end) {
    for (unsigned i = 0; i < way->depth; i++)
        if (way->steps[i].at != (end == TREE_BACK ? way->steps[i].node->head.count - 1u : 0)) return false;
    return true;
}

/* A leaf of the item alone, beside the last leaf or the first: so leaves that are filled in order stay full. */
static bool begin_leaf(struct tree *tree, const struct tree_context *context, struct way *way,
                       const struct tree_putting *putting, enum tree_end end) {
    struct leaf_piece piece = tree_new_piece();
    if (!ensure_parent(tree, context, way)) return false;
    struct inner *parent = parent_of(way);
    size_t capacity = parent->head.count > 1 ? leaf_room(putting->leaf)
                                             : 0; /* one of many: others will follow */
    struct leaf *leaf =
        leaf_build(context->heap, tree->kind, (struct leaf_parts){&piece, 1, putting->ready}, capacity);
    if (leaf == NULL) return false;
    way->steps[way->depth - 1].at += end == TREE_BACK;
    struct tree_key key = tree_item_key(tree->kind, putting->ready->item);
    if (end == TREE_FRONT)
        inner_set_key(parent, 0, leaf_key(putting->leaf, 0, context->seed)); /* it is the second now */
    inner_put(parent, way->steps[way->depth - 1].at, &leaf->head, key, 0);
    tree->bytes += node_memory(&leaf->head);
    way->leaf = leaf;
    return true;
}

/* Does the item begin a leaf of its own, at this end? At the front that is so in lists and in the order of scores, at the
 * back in all but sets and hashes. */
static bool begins_leaf(const struct way *way, const struct tree_putting *putting, enum tree_end end) {
    const struct leaf *leaf = putting->leaf;
    enum tree_kind kind = (enum tree_kind)leaf->head.kind;
    struct tree_item last;
    if (putting->skipped || !is_edge(way, end)) return false;
    if (end == TREE_FRONT) return (kind == TREE_LIST || kind == TREE_SCORES) && putting->place == 0;
    if (tree_by_hash(kind) || putting->place != leaf->head.count) return false;
    if (kind != TREE_INDEX) return true;
    leaf_get(leaf, leaf->head.count - 1u, 0, &last);
    return last.key.high != putting->ready->item->key.high;
}

/* The leaf anew, larger; or two, or one more. */
static bool put_anew(struct tree *tree, const struct tree_context *context, struct way *way,
                     const struct tree_putting *putting) {
    if (putting->bytes > leaf_most(tree->kind) && putting->count > 1) {
        for (unsigned end = 0; end < 2; end++)
            if (begins_leaf(way, putting, (enum tree_end)end))
                return begin_leaf(tree, context, way, putting, (enum tree_end)end);
        if (split(tree, context, way, putting)) return true;
        if (tree->kind != TREE_INDEX) return false; /* of which a leaf may hold one hash alone */
    }
    size_t capacity = context->roomy ? leaf_room(putting->leaf) : 0;
    if (tree->kind == TREE_PENDING && capacity == 0)
        capacity = putting->leaf->capacity; /* rows become wider */
    struct leaf *leaf = tree_build_part(context, putting, 0, putting->count, capacity);
    if (leaf == NULL) return false;
    exchange(tree, context, slot_of(tree, way, way->depth), &leaf->head);
    way->leaf = leaf;
    return true;
}

/* Puts the item into the leaf at the end of the way, whose place is the item's: before what is there, or (skipped: 1)
 * instead of it. */
static bool put_here(struct tree *tree, const struct tree_context *context, struct way *way,
                     const struct leaf_item *ready, unsigned skipped) {
    struct leaf *leaf = way->leaf;
    unsigned place = way->place;
    bool done = !node_shared(&leaf->head) &&
                (skipped ? leaf_replace(leaf, place, ready) : leaf_insert(leaf, place, ready));
    if (!done) {
        struct tree_putting putting = {leaf, place, skipped, ready, leaf->head.count + 1u - skipped, 0};
        size_t old = skipped ? leaf_taken_at(leaf, place, leaf_offset(leaf, place)) : 0;
        putting.bytes = leaf_taken(leaf) + leaf_item_bytes(tree->kind, ready) - old;
        if (!put_anew(tree, context, way, &putting)) return false;
    }
    if (!skipped) count_on_way(tree, way, 1);
    return true;
}

/* The first element. */
static bool plant(struct tree *tree, const struct tree_context *context, const struct leaf_item *ready) {
    struct leaf_piece piece = tree_new_piece();
    struct leaf *leaf = leaf_build(context->heap, tree->kind, (struct leaf_parts){&piece, 1, ready}, 0);
    if (leaf == NULL) return false;
    tree->root = &leaf->head;
    tree->count = 1;
    tree->bytes = node_memory(tree->root);
    return true;
}

/* Finds the place of an item in the leaf at the end of the way, which may be guessed, and the offset; or where to put it. */
static bool find_place(struct way *way, const struct tree_item *item, const struct tree_guess *guess) {
    const struct leaf *leaf = way->leaf;
    way->place = guess ? guess->place : 0;
    if (!tree_by_hash((enum tree_kind)leaf->head.kind))
        return leaf_seek(leaf, item, way->most, &way->place, &way->offset);
    way->place = leaf_find(leaf, item->key.high, item->parts[0], way->place, &way->offset);
    return way->place < leaf->head.count;
}

/* Another value of the same length is written over the old one of a field. */
static inline bool write_over(const struct tree *tree, const struct way *way, struct bytes value) {
    return tree->kind == TREE_HASH && !node_shared(&way->leaf->head) &&
           leaf_write_over(way->leaf, way->place, way->offset, value);
}

static enum tree_changed put_by_key(struct tree *tree, const struct tree_context *context,
                                    const struct leaf_item *ready, bool replace) {
    struct way way;
    if (tree->root == NULL) return plant(tree, context, ready) ? TREE_ADDED : TREE_NO_MEMORY;
    if (!settle(tree, context)) return TREE_NO_MEMORY;
    if (!own_way_to_item(tree, context, &way, ready->item, true)) return TREE_NO_MEMORY;
    bool found = find_place(&way, ready->item, NULL) && tree->kind != TREE_INDEX;
    if (found && !replace) return TREE_UNCHANGED;
    if (found && write_over(tree, &way, ready->item->parts[1])) return TREE_REPLACED;
    if (!put_here(tree, context, &way, ready, found)) return TREE_NO_MEMORY;
    return found ? TREE_REPLACED : TREE_ADDED;
}

enum tree_changed tree_put(struct tree *tree, const struct tree_context *context,
                           const struct tree_item *item, bool replace) {
    struct leaf_item ready;
    assert(tree->kind != TREE_LIST);
    if (!leaf_prepare(tree->kind, item, &ready)) return TREE_NO_MEMORY;
    enum tree_changed changed = put_by_key(tree, context, &ready, replace);
    leaf_drop(&ready);
    return changed;
}

enum tree_changed tree_put_short(struct tree *tree, const struct tree_context *context, uint64_t hash,
                                 const struct bytes parts[TREE_PARTS]) {
    const struct tree_target target = {.to = TREE_TO_KEY, .key = {hash, 0}, .guess = context->guess};
    bool replaces = tree->kind == TREE_HASH, found = false, ready;
    struct way way;
    assert(replaces || tree->kind == TREE_SET);
    assert((parts[0].len | parts[1].len) <= LEAF_PART_LEAST);
    ready = tree->root && settle(tree, context) && ready_way(tree, &way, &target, true, 1);
    if (ready) {
        way.place = context->guess ? context->guess->place : 0;
        way.place = leaf_find(way.leaf, hash, parts[0], way.place, &way.offset);
        found = way.place < way.leaf->head.count;
        if (found && !replaces) return TREE_UNCHANGED;
        if (found && write_over(tree, &way, parts[1])) return TREE_REPLACED;
    }
    struct tree_item item = {.key.high = hash, .parts = {parts[0], parts[1]}};
    struct leaf_item whole = {.item = &item};
    if (!ready) return put_by_key(tree, context, &whole, replaces);
    if (!put_here(tree, context, &way, &whole, found)) return TREE_NO_MEMORY;
    return found ? TREE_REPLACED : TREE_ADDED;
}

static void fit_leaf(struct tree *tree, const struct tree_context *context, struct node **slot) {
    struct leaf *leaf = leaf_of(*slot);
    if (node_bytes(leaf_needs(leaf)) >= leaf->capacity) return;
    struct leaf_piece piece = leaf_piece(leaf, 0, leaf->head.count);
    struct leaf *fit = leaf_build(context->heap, tree->kind, (struct leaf_parts){&piece, 1, NULL}, 0);
    if (fit) exchange(tree, context, slot, &fit->head);
}

static void fit_below(struct tree *tree, const struct tree_context *context, struct node **slot) {
    assert(!node_shared(*slot));
    if ((*slot)->level == 0) {
        fit_leaf(tree, context, slot);
        return;
    }
    struct node **children = inner_children(inner_of(*slot));
    for (unsigned i = 0; i < (*slot)->count; i++) fit_below(tree, context, &children[i]);
}

void tree_fit(struct tree *tree, const struct tree_context *context) {
    assert(tree->owed[TREE_FRONT] == 0 && tree->owed[TREE_BACK] == 0);
    tree->edges[TREE_FRONT] = tree->edges[TREE_BACK] = NULL;
    if (tree->root) fit_below(tree, context, &tree->root);
}

/* ---- At the ends ---------------------------------------------------------------------------------- */

/* The leaf at this end, if it is known and may be changed at once. */
static struct leaf *open_edge(const struct tree *tree, enum tree_end end) {
    struct leaf *leaf = tree->edges[end];
    assert(leaf == NULL || (!node_shared(tree->root) && !node_shared(&leaf->head))); /* 2 */
    return leaf;
}

/* After a change at this end. */
static void know_edge(struct tree *tree, const struct way *way, enum tree_end end) {
    if (is_edge(way, end) && !node_shared(&way->leaf->head)) tree->edges[end] = way->leaf;
}

/* One more or less in the leaf at this end. */
static void owe(struct tree *tree, enum tree_end end, int change) {
    tree->count += (uint64_t)(int64_t)change;
    if (tree->root->level > 0) tree->owed[end] += change;
}

static bool push(struct tree *tree, const struct tree_context *context, const struct leaf_item *ready,
                 enum tree_end end) {
    struct leaf *edge = open_edge(tree, end);
    struct way way;
    struct tree_target target = {.to = end == TREE_FRONT ? TREE_TO_FRONT : TREE_TO_BACK};
    if (edge && leaf_insert(edge, end == TREE_BACK ? edge->head.count : 0, ready)) {
        owe(tree, end, 1);
        return true;
    }
    if (tree->root == NULL) return plant(tree, context, ready);
    if (!settle(tree, context) || !own_way(tree, context, &way, target, true)) return false;
    way.place = end == TREE_BACK ? way.leaf->head.count : 0;
    struct tree_putting putting = {way.leaf, way.place, 0, ready, way.place + 1u, 0};
    bool overflows = leaf_needs(way.leaf) + leaf_item_bytes(tree->kind, ready) > leaf_most(tree->kind);
    if (tree_by_hash(tree->kind) && overflows) {
        /* Order is the caller's word here, so that a leaf of hashes need not be split. */
        if (!begin_leaf(tree, context, &way, &putting, TREE_BACK)) return false;
        count_on_way(tree, &way, 1);
    } else if (!put_here(tree, context, &way, ready, 0)) {
        return false;
    }
    know_edge(tree, &way, end);
    return true;
}

bool tree_push(struct tree *tree, const struct tree_context *context, const struct tree_item *item,
               enum tree_end end) {
    struct leaf_item ready;
    assert(tree->kind == TREE_LIST || tree->kind == TREE_SCORES || end == TREE_BACK);
    if (!leaf_prepare(tree->kind, item, &ready)) return false;
    bool pushed = push(tree, context, &ready, end);
    leaf_drop(&ready);
    return pushed;
}

unsigned tree_push_some(struct tree *tree, const struct bytes *texts, unsigned count) {
    struct leaf *edge = open_edge(tree, TREE_BACK);
    assert(tree->kind == TREE_LIST);
    if (edge == NULL) return 0;
    unsigned some = leaf_append(edge, texts, count);
    if (some) owe(tree, TREE_BACK, (int)some);
    return some;
}

bool tree_push_short(struct tree *tree, struct bytes text, enum tree_end end) {
    struct leaf *edge = open_edge(tree, end);
    assert(tree->kind == TREE_LIST);
    if (edge == NULL) return false;
    if (end == TREE_BACK ? leaf_append(edge, &text, 1) == 0 : !leaf_prepend(edge, text)) return false;
    owe(tree, end, 1);
    return true;
}

bool tree_pop_short(struct tree *tree, enum tree_end end, struct bytes *text) {
    struct leaf *edge = open_edge(tree, end);
    assert(tree->kind == TREE_LIST);
    if (edge == NULL) return false;
    if (end == TREE_BACK ? !leaf_pop_back(edge, text) : !leaf_pop_front(edge, text)) return false;
    owe(tree, end, -1);
    return true;
}

/* ---- Taking out ----------------------------------------------------------------------------------- */

/* An inner root with one child gives way to it. */
static void lower_root(struct tree *tree) {
    while (tree->root && tree->root->level > 0 && tree->root->count == 1) {
        struct node *root = tree->root;
        assert(!node_shared(root));
        forget_bytes(tree, node_memory(root));
        tree->root = inner_take(inner_of(root), 0);
        node_free(root);
    }
    /* Whatever it was estimated to be. */
    if (tree->root == NULL || tree->root->level == 0) tree->bytes = tree->root ? node_memory(tree->root) : 0;
}

/* Takes the leaf at the end of the way out, and inner nodes that become empty with it. */
static void unlink_leaf(struct tree *tree, const struct tree_context *context, struct way *way) {
    forget_bytes(tree, node_memory(&way->leaf->head));
    node_release(&way->leaf->head, context->graves);
    way->leaf = NULL;
    for (; way->depth > 0; way->depth--) {
        struct inner *inner = parent_of(way);
        inner_take(inner, way->steps[way->depth - 1].at);
        if (inner->head.count > 0) break;
        forget_bytes(tree, node_memory(&inner->head));
        node_free(inner);
    }
    if (way->depth == 0) tree->root = NULL;
}

/* Two neighbours become one. The memory for it may be missing: then they stay as they are. */
static bool join_leaves(struct tree *tree, const struct tree_context *context, struct inner *parent,
                        unsigned at) {
    const struct leaf *left = leaf_at(inner_child(parent, at)), *right = leaf_at(inner_child(parent, at + 1));
    size_t most = leaf_most(tree->kind) / 8 * 7;
    if (leaf_taken(left) + leaf_taken(right) > most) return false;
    struct leaf_piece pieces[2] = {leaf_piece(left, 0, left->head.count),
                                   leaf_piece(right, 0, right->head.count)};
    struct leaf *joined = leaf_build(context->heap, tree->kind, (struct leaf_parts){pieces, 2, NULL}, 0);
    if (joined == NULL) return false;
    inner_below(parent)[at] += inner_below(parent)[at + 1];
    exchange(tree, context, &inner_children(parent)[at], &joined->head);
    struct node *gone = inner_take(parent, at + 1);
    forget_bytes(tree, node_memory(gone));
    node_release(gone, context->graves);
    return true;
}

static bool join_inner(struct tree *tree, const struct tree_context *context, struct inner *parent,
                       unsigned at) {
    struct inner *left = inner_of(inner_child(parent, at)), *right = inner_of(inner_child(parent, at + 1));
    unsigned count = left->head.count + right->head.count, in_left = left->head.count;
    if (count > INNER_JOINED_MOST) return false;
    struct inner *joined = inner_new(context->heap, tree->kind, left->head.level, inner_capacity(count));
    if (joined == NULL) return false;
    struct tree_key key = inner_key(parent, at + 1);
    tree->bytes += node_memory(&joined->head);
    forget_bytes(tree, node_memory(&left->head) + node_memory(&right->head));
    move_children(joined, left, context);
    move_children(joined, right, context);
    inner_set_key(joined, in_left, key);
    inner_below(parent)[at] += inner_below(parent)[at + 1];
    inner_children(parent)[at] = &joined->head;
    inner_take(parent, at + 1);
    return true;
}

/* A leaf with one of every four counts, or with few elements. */
static bool is_fourth(const struct node *leaf) {
    enum { FEW = 8 };
    return leaf->count % 4 == 0 || leaf->count < FEW;
}

/* Has a node little left? Of a leaf this is said with every fourth deletion alone, for it means a look at the two
 * leaves beside it. */
static bool is_sparse(const struct tree *tree, const struct node *node) {
    if (node->level > 0) return node->count < INNER_JOIN_BELOW;
    size_t taken = leaf_taken(leaf_at(node)), most = leaf_most(tree->kind);
    return taken < most / 8 || (taken < most / 2 && node->count % 4 == 0);
}

/* Joins a child with a neighbour if it has little left. */
static void mend_child(struct tree *tree, const struct tree_context *context, struct inner *parent,
                       unsigned at) {
    bool (*join)(struct tree *, const struct tree_context *, struct inner *, unsigned) =
        parent->head.level == 1 ? join_leaves : join_inner;
    if (at >= parent->head.count || !is_sparse(tree, inner_child(parent, at))) return;
    if (at + 1u < parent->head.count && join(tree, context, parent, at)) return;
    if (at > 0) join(tree, context, parent, at - 1);
}

/* After something was taken out: joins what became sparse along the way, from below, whose nodes are the tree's own. */
static void mend(struct tree *tree, const struct tree_context *context, const struct way *way) {
    for (unsigned i = way->depth; i-- > 0;) mend_child(tree, context, way->steps[i].node, way->steps[i].at);
    lower_root(tree);
}

/* Gives up memory that a leaf has long not needed: a sixteenth of what it needs, and of leaves of rows, which are small and
 * would be made anew too often, a fourth. */
static void shrink_leaf(struct tree *tree, const struct tree_context *context, const struct way *way) {
    size_t needs = leaf_needs(way->leaf), spare = needs / (tree->kind == TREE_PENDING ? 4 : 16);
    if (needs + spare > HEAP_NODE_MAX || node_bytes(needs + spare) >= way->leaf->capacity) return;
    struct leaf_piece piece = leaf_piece(way->leaf, 0, way->leaf->head.count);
    struct leaf *leaf =
        leaf_build(context->heap, tree->kind, (struct leaf_parts){&piece, 1, NULL}, needs + needs / 16);
    if (leaf) exchange(tree, context, slot_of(tree, way, way->depth), &leaf->head);
}

/* Takes the element out of the leaf at the end of the way, which is not its last. */
static bool take_from_leaf(struct tree *tree, const struct tree_context *context, struct way *way) {
    struct leaf *leaf = way->leaf;
    unsigned place = way->place;
    if (!node_shared(&leaf->head)) {
        leaf_remove_at(leaf, place, way->offset);
        return true;
    }
    struct leaf_piece pieces[2] = {leaf_piece(leaf, 0, place), leaf_piece(leaf, place + 1, leaf->head.count)};
    struct leaf *rest = leaf_build(context->heap, tree->kind, (struct leaf_parts){pieces, 2, NULL}, 0);
    if (rest == NULL) return false;
    exchange(tree, context, slot_of(tree, way, way->depth), &rest->head);
    way->leaf = rest;
    return true;
}

/* Takes out what the way leads to. Whether its leaf has become too large, or sparse, is looked at with every fourth of these
 * that it sees. */
static bool take_here(struct tree *tree, const struct tree_context *context, struct way *way) {
    if (way->leaf->head.count == 1) {
        count_on_way(tree, way, -1);
        unlink_leaf(tree, context, way);
    } else {
        if (!take_from_leaf(tree, context, way)) return false;
        count_on_way(tree, way, -1);
        if (!is_fourth(&way->leaf->head)) return true;
        shrink_leaf(tree, context, way);
    }
    mend(tree, context, way);
    return true;
}

/* After something was taken out at this end. */
static void learn_edge(struct tree *tree, const struct tree_context *context, enum tree_end end) {
    struct way way;
    struct tree_target target = {.to = end == TREE_FRONT ? TREE_TO_FRONT : TREE_TO_BACK};
    if (tree->root && own_way(tree, context, &way, target, false)) know_edge(tree, &way, end);
}

/* The same as take; where that was the first of all, others may follow it. */
static bool take_and_know(struct tree *tree, const struct tree_context *context, struct way *way) {
    bool first = way->place == 0 && is_edge(way, TREE_FRONT);
    if (!take_here(tree, context, way)) return false;
    if (first) learn_edge(tree, context, TREE_FRONT);
    return true;
}

/* Of equal hashes the one with this score. */
static unsigned place_of_score(const struct leaf *leaf, unsigned place, const struct tree_item *item,
                               bool *found) {
    for (*found = false; place < leaf->head.count; place++) {
        if (leaf_hash(leaf, place) != item->key.high) break;
        if ((*found = leaf_score(leaf, place) == item->score)) break;
    }
    return place;
}

enum tree_changed tree_remove(struct tree *tree, const struct tree_context *context,
                              const struct tree_item *item) {
    struct way way;
    assert(tree->kind != TREE_LIST);
    if (tree->root == NULL) return TREE_UNCHANGED;
    if (!settle(tree, context)) return TREE_NO_MEMORY;
    if (!own_way_to_item(tree, context, &way, item, false)) return TREE_NO_MEMORY;
    bool found = find_place(&way, item, context->guess);
    if (tree->kind == TREE_INDEX && found) way.place = place_of_score(way.leaf, way.place, item, &found);
    if (!found) return TREE_UNCHANGED;
    return take_and_know(tree, context, &way) ? TREE_REMOVED : TREE_NO_MEMORY;
}

/* What a way is as a guess. */
static struct tree_guess guess_of(const struct way *way) {
    struct tree_guess guess = {.place = (uint16_t)way->place};
    for (; guess.levels < way->depth && guess.levels < TREE_GUESS_LEVELS; guess.levels++)
        guess.at[guess.levels] = (uint8_t)way->steps[guess.levels].at;
    return guess;
}

enum tree_changed tree_remove_seen(struct tree *tree, const struct tree_context *context,
                                   const struct tree_item *item, tree_seer *see, void *seer) {
    struct way way;
    struct tree_item found;
    assert(tree->kind == TREE_PENDING);
    if (tree->root == NULL) return TREE_UNCHANGED;
    if (!settle(tree, context)) return TREE_NO_MEMORY;
    if (!own_way_to_item(tree, context, &way, item, false)) return TREE_NO_MEMORY;
    if (!find_place(&way, item, NULL)) return TREE_UNCHANGED;
    leaf_get(way.leaf, way.place, way.offset, &found);
    struct tree_guess guess = guess_of(&way);
    return see(seer, &found, &guess) && take_and_know(tree, context, &way) ? TREE_REMOVED : TREE_NO_MEMORY;
}

enum tree_changed tree_rescore(struct tree *tree, const struct tree_context *context,
                               const struct tree_item *item, double score) {
    struct way way;
    assert(tree->kind == TREE_INDEX);
    if (tree->root == NULL) return TREE_UNCHANGED;
    if (!settle(tree, context)) return TREE_NO_MEMORY;
    if (!own_way_to_item(tree, context, &way, item, false)) return TREE_NO_MEMORY;
    bool found = find_place(&way, item, NULL);
    if (found) way.place = place_of_score(way.leaf, way.place, item, &found);
    if (!found) return TREE_UNCHANGED;
    if (!own_leaf(tree, context, &way)) return TREE_NO_MEMORY;
    leaf_set_score(way.leaf, way.place, score);
    return TREE_REPLACED;
}

/* May what the cursor is at be changed in place? */
static bool is_open(const struct tree *tree, const struct tree_cursor *cursor) {
    if (cursor->leaf == NULL || cursor->tree != tree || node_shared(&cursor->leaf->head)) return false;
    for (unsigned i = 0; i < cursor->depth; i++)
        if (node_shared(&cursor->ways[i].node->head)) return false;
    return true;
}

bool tree_rescore_at(struct tree *tree, const struct tree_cursor *cursor, double score) {
    assert(tree->kind == TREE_INDEX);
    if (!is_open(tree, cursor)) return false;
    leaf_set_score(cursor->leaf, cursor->place, score);
    return true;
}

/* The way that a cursor has gone, all of whose nodes are the tree's own. */
static struct way way_of(const struct tree_cursor *cursor) {
    struct way way;
    way.depth = cursor->depth;
    way.leaf = cursor->leaf;
    way.place = cursor->place;
    for (unsigned i = 0; i < cursor->depth; i++)
        way.steps[i] = (struct step){cursor->ways[i].node, cursor->ways[i].at};
    return way;
}

bool tree_take_at(struct tree *tree, const struct tree_context *context, const struct tree_cursor *cursor) {
    if (tree->owed[TREE_FRONT] || tree->owed[TREE_BACK] || !is_open(tree, cursor)) return false;
    struct way way = way_of(cursor);
    way.offset = cursor->offset;
    tree->edges[TREE_FRONT] = tree->edges[TREE_BACK] = NULL;
    bool taken = take_and_know(tree, context, &way);
    assert(taken); /* nothing on its way is shared: it takes no memory */
    return true;
}

bool tree_move_from(struct tree *tree, const struct tree_context *context, const struct tree_cursor *cursor,
                    const struct tree_item *item) {
    struct tree_target target = tree_target(tree, item);
    struct leaf_item ready = {.item = item};
    struct tree_item before;
    struct way to;
    bool found;
    size_t offset;
    assert(tree->kind == TREE_SCORES);
    target.guess = context->guess;
    if (item->parts[0].len > LEAF_PART_LEAST || tree->owed[TREE_FRONT] || tree->owed[TREE_BACK]) return false;
    if (!is_open(tree, cursor) || !ready_way(tree, &to, &target, true, 2)) return false;
    to.place = context->guess ? context->guess->place : 0;
    found = leaf_seek(to.leaf, item, UINT64_MAX, &to.place, &offset);
    assert(!found);
    tree->edges[TREE_FRONT] = tree->edges[TREE_BACK] = NULL;
    if (node_shared(&to.leaf->head) || !leaf_insert(to.leaf, to.place, &ready)) {
        tree_get(cursor, &before);
        before.parts[0] = item->parts[0];
        if (!put_here(tree, context, &to, &ready, 0)) return false;
        found = tree_remove(tree, context, &before) ==
                TREE_REMOVED; /* the cursor's leaf may be another by now */
    } else {
        struct way from = way_of(cursor);
        count_on_way(tree, &to, 1);
        from.place += to.leaf == from.leaf && to.place <= from.place;
        from.offset = to.leaf == from.leaf ? leaf_offset(from.leaf, from.place) : cursor->offset;
        found = take_here(tree, context, &from);
    }
    assert(found); /* nothing on its way is shared: it takes no memory */
    return true;
}

bool tree_pop(struct tree *tree, const struct tree_context *context, enum tree_end end) {
    struct leaf *edge = open_edge(tree, end);
    struct way way;
    struct tree_target target = {.to = end == TREE_FRONT ? TREE_TO_FRONT : TREE_TO_BACK};
    assert(tree->count > 0);
    if (edge && edge->head.count > 1) {
        leaf_remove(edge, end == TREE_BACK ? edge->head.count - 1u : 0, 1);
        owe(tree, end, -1);
        return true;
    }
    if (!settle(tree, context) || !own_way(tree, context, &way, target, false)) return false;
    way.place = end == TREE_BACK ? way.leaf->head.count - 1u : 0;
    way.offset = leaf_offset(way.leaf, way.place);
    if (!take_here(tree, context, &way)) return false;
    learn_edge(tree, context, end);
    return true;
}

/* ---- By position ---------------------------------------------------------------------------------- */

static bool own_way_to(struct tree *tree, const struct tree_context *context, struct way *way,
                       uint64_t position, bool room) {
    struct tree_target target = {.to = TREE_TO_POSITION, .position = position};
    return own_way(tree, context, way, target, room);
}

static bool put_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                   const struct leaf_item *ready, unsigned skipped) {
    struct way way;
    if (tree->root == NULL) return plant(tree, context, ready);
    if (!settle(tree, context) || !own_way_to(tree, context, &way, position, true)) return false;
    return put_here(tree, context, &way, ready, skipped);
}

static bool prepare_and_put_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                               const struct tree_item *item, unsigned skipped) {
    struct leaf_item ready;
    assert(tree->kind == TREE_LIST && position + skipped <= tree->count);
    if (!leaf_prepare(tree->kind, item, &ready)) return false;
    bool done = put_at(tree, context, position, &ready, skipped);
    leaf_drop(&ready);
    return done;
}

bool tree_insert_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                    const struct tree_item *item) {
    return prepare_and_put_at(tree, context, position, item, 0);
}

bool tree_replace_at(struct tree *tree, const struct tree_context *context, uint64_t position,
                     const struct tree_item *item) {
    return prepare_and_put_at(tree, context, position, item, 1);
}

static bool own_leaf_at(struct tree *tree, const struct tree_context *context, uint64_t position) {
    struct way way;
    return own_way_to(tree, context, &way, position, false) && own_leaf(tree, context, &way);
}

/* Cuts a child off that is to go whole. The way ends at its parent. */
static void cut_child(struct tree *tree, const struct tree_context *context, struct way *way, unsigned at) {
    struct inner *inner = parent_of(way);
    uint64_t elements = inner_below(inner)[at];
    struct node *child = inner_child(inner, at);
    /* What lies below is not looked at: its bytes are taken to be its share of all. */
    uint64_t share = (uint64_t)((double)tree->bytes * (double)elements / (double)tree->count);
    forget_bytes(tree, child->level == 0 ? node_memory(child) : share);
    way->steps[way->depth - 1].at = at;
    count_on_way(tree, way, -(int64_t)elements);
    inner_take(inner, at);
    node_release(child, context->graves);
    for (; inner->head.count == 0; inner = parent_of(way)) {
        forget_bytes(tree, node_memory(&inner->head));
        node_free(inner);
        if (--way->depth == 0) {
            tree->root = NULL;
            return;
        }
        inner_take(parent_of(way), way->steps[way->depth - 1].at);
    }
}

/* Takes elements out of one leaf, or a whole child of an inner node: up to `count`, from the position on, on which the tree
 * owns the ways to the first and last of all. How many went. */
static uint64_t take_some(struct tree *tree, const struct tree_context *context, uint64_t position,
                          uint64_t count) {
    struct tree_target target = {.to = TREE_TO_POSITION, .position = position};
    struct way way = {.depth = 0};
    struct node *node = tree->root;
    while (node->level > 0) {
        struct inner *inner = inner_of(node);
        unsigned at = tree_choose(inner, &target);
        uint64_t below = inner_below(inner)[at];
        assert(!node_shared(node));
        tree_enter(inner, at, &target);
        way.steps[way.depth].node = inner;
        way.steps[way.depth++].at = at;
        if (target.position == 0 && below <= count) {
            cut_child(tree, context, &way, at);
            return below;
        }
        node = inner_child(inner, at);
    }
    struct leaf *leaf = way.leaf = leaf_of(node);
    unsigned place = (unsigned)target.position, some = leaf->head.count - place;
    if (some > count) some = (unsigned)count;
    assert(some < leaf->head.count && !node_shared(&leaf->head)); /* else it would have been cut off */
    leaf_remove(leaf, place, some);
    count_on_way(tree, &way, -(int64_t)some);
    return some;
}

/* Joins what a range has left sparse at this position. */
static void mend_at(struct tree *tree, const struct tree_context *context, uint64_t position) {
    struct way way;
    if (position >= tree->count || !own_way_to(tree, context, &way, position, false)) return;
    if (!node_shared(&way.leaf->head)) shrink_leaf(tree, context, &way);
    mend(tree, context, &way);
}

bool tree_remove_range(struct tree *tree, const struct tree_context *context, uint64_t position,
                       uint64_t count) {
    assert(position <= tree->count && count <= tree->count - position);
    if (count == 0) return true;
    if (count == tree->count) {
        tree_release(tree, context->graves);
        return true;
    }
    if (!settle(tree, context) || !own_leaf_at(tree, context, position)) return false;
    if (!own_leaf_at(tree, context, position + count - 1)) return false;
    while (count > 0) count -= take_some(tree, context, position, count);
    lower_root(tree);
    mend_at(tree, context, position);
    if (position > 0) mend_at(tree, context, position - 1);
    return true;
}
