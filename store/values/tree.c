/* tree.c - looking into a tree, and versions of it. */
#include "store/values/tree.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- Versions ------------------------------------------------------------------------------------- */

void tree_fork(struct tree *to, struct tree *from) {
    /* The way to the edges is shared now, and may be so still when the root is not any more. */
    for (unsigned end = 0; end < 2; end++) __atomic_store_n(&from->edges[end], NULL, __ATOMIC_RELAXED);
    *to = (struct tree){.root = from->root,
                        .count = from->count,
                        .bytes = from->bytes,
                        .owed = {from->owed[0], from->owed[1]},
                        .kind = from->kind};
    if (to->root) node_retain(to->root);
}

void tree_release(struct tree *tree, struct graves *graves) {
    if (tree->root) node_release(tree->root, graves);
    *tree = tree_empty(tree->kind);
}

struct tree_walk tree_walk(struct tree *tree) {
    struct tree_walk walk = {.kind = tree->kind};
    if (tree->root && tree->root->level == 0) walk.leaf = leaf_of(tree->root);
    if (tree->root && tree->root->level > 0) walk.ways[walk.depth++].node = tree->root;
    *tree = tree_empty(tree->kind);
    return walk;
}

/* The next child of the lowest node, with a reference of the walk's own. A node that nobody else refers to gives up
 * what it has. Of a shared one the child gets a reference more; also of one that was shared a moment ago, when the walk
 * passed a child. NULL if there is none left. */
static struct node *next_child(struct tree_walk *walk) {
    struct inner *inner = inner_of(walk->ways[walk->depth - 1].node);
    unsigned *passed = &walk->ways[walk->depth - 1].passed;
    if (*passed == inner->head.count) return NULL;
    if (*passed > 0 || node_shared(&inner->head)) return node_retain(inner_child(inner, (*passed)++));
    return inner_take(inner, 0);
}

/* Gives up what the walk has passed in nodes that nobody else refers to any more, from the root down: below one that is
 * shared all are. The lowest child of these is the walk's own as well. */
static void give_up_passed(struct tree_walk *walk, struct graves *graves) {
    for (unsigned i = 0; i < walk->depth && !node_shared(walk->ways[i].node); i++)
        for (; walk->ways[i].passed > 0; walk->ways[i].passed--)
            node_release(inner_take(inner_of(walk->ways[i].node), 0), graves);
}

/* To the first leaf that was not walked yet. */
static bool next_leaf(struct tree_walk *walk, struct graves *graves) {
    walk->place = 0;
    walk->offset = 0;
    give_up_passed(walk, graves);
    while (walk->depth > 0) {
        struct node *child = next_child(walk);
        if (child == NULL) {
            node_release(walk->ways[--walk->depth].node, graves);
        } else if (child->level == 0) {
            walk->leaf = leaf_of(child);
            return true;
        } else {
            assert(walk->depth < TREE_LEVELS);
            walk->ways[walk->depth].node = child;
            walk->ways[walk->depth++].passed = 0;
        }
    }
    return false;
}

static void leave_leaf(struct tree_walk *walk, struct graves *graves) {
    if (walk->leaf) node_release(&walk->leaf->head, graves);
    walk->leaf = NULL;
}

bool tree_walk_next(struct tree_walk *walk, struct tree_item *item, struct graves *graves) {
    if (walk->leaf && walk->place == walk->leaf->head.count) leave_leaf(walk, graves);
    if (walk->leaf == NULL && !next_leaf(walk, graves)) return false;
    leaf_get(walk->leaf, walk->place, walk->offset, item);
    walk->offset += leaf_size_at(walk->leaf, walk->place, walk->offset);
    walk->place++;
    return true;
}

void tree_walk_end(struct tree_walk *walk, struct graves *graves) {
    leave_leaf(walk, graves);
    while (walk->depth > 0) node_release(walk->ways[--walk->depth].node, graves);
}

/* ---- Descending ----------------------------------------------------------------------------------- */

/* Is the first element below a node not above the item? Looked at where the keys say that they may be equal. */
static bool begins_at_or_before(const struct node *node, const struct tree_item *item) {
    struct tree_item first;
    while (node->level > 0) node = inner_child(inner_at(node), 0);
    leaf_get(leaf_at(node), 0, 0, &first);
    if (first.score != item->score) return first.score < item->score;
    return bytes_compare(first.parts[0], item->parts[0]) <= 0;
}

/* The last child that begins at or before the item; the first if none does. */
static unsigned choose_by_key(const struct inner *inner, const struct tree_target *target) {
    unsigned low = tree_child_below(inner, target->key.high);
    for (unsigned left = inner->head.count - low, half; left > 1; left -= half) {
        half = left / 2;
        int order = inner_compare(inner, low + half, target->key);
        bool before = order < 0;
        if (order == 0)
            before = inner->head.kind != TREE_SCORES ||
                     begins_at_or_before(inner_child(inner, low + half), target->item);
        if (before) low += half;
    }
    return low;
}

static unsigned choose_by_position(const struct inner *inner, uint64_t position) {
    const uint32_t *below = inner_below(inner);
    unsigned at = 0;
    for (; at + 1 < inner->head.count && position >= below[at]; at++) position -= below[at];
    return at;
}

unsigned tree_choose_any(const struct inner *inner, const struct tree_target *target) {
    switch (target->to) {
    case TREE_TO_FRONT: return 0;
    case TREE_TO_BACK: return inner->head.count - 1u;
    case TREE_TO_POSITION: return choose_by_position(inner, target->position);
    default: return choose_by_key(inner, target);
    }
}

/* Four at once: a tree has no more elements than a word of 32 bits can count. */
uint64_t tree_count_before(const struct inner *inner, unsigned at) {
    const uint32_t *below = inner_below(inner);
    uint32_t count = 0;
    unsigned i = 0;
#ifdef __SSE2__
    __m128i sums = _mm_setzero_si128();
    for (; i + 4 <= at; i += 4)
        sums = _mm_add_epi32(sums, _mm_loadu_si128((const __m128i *)(const void *)(below + i)));
    sums = _mm_add_epi32(sums, _mm_srli_si128(sums, 8));
    sums = _mm_add_epi32(sums, _mm_srli_si128(sums, 4));
    count = (uint32_t)_mm_cvtsi128_si32(sums);
#endif
    for (; i < at; i++) count += below[i];
    return count;
}

static void begin(struct tree_cursor *cursor, const struct tree *tree) {
    cursor->tree = tree;
    cursor->leaf = NULL;
    cursor->place = cursor->depth = 0;
    cursor->offset = 0;
}

/* Into a child. */
static struct node *step(struct tree_cursor *cursor, struct node *node, unsigned at) {
    assert(cursor->depth < TREE_LEVELS && at < node->count);
    cursor->ways[cursor->depth].node = inner_of(node);
    cursor->ways[cursor->depth++].at = at;
    struct node *child = inner_child(inner_of(node), at);
    tree_ask_for(node, child);
    return child;
}

static void descend(struct tree_cursor *cursor, struct node *node, struct tree_target *target) {
    while (node->level > 0) {
        const struct inner *inner = inner_of(node);
        unsigned at = tree_choose(inner, target);
        tree_enter(inner, at, target);
        node = step(cursor, node, at);
    }
    cursor->leaf = leaf_of(node);
    assert(cursor->leaf->head.count > 0);
}

/* The same to a key of so many words. */
static inline __attribute__((always_inline)) void
descend_to_key(struct tree_cursor *cursor, const struct tree_target *target, unsigned words) {
    struct node *node = cursor->tree->root;
    unsigned depth = 0;
    for (; node->level > 0; depth++) {
        struct inner *inner = inner_of(node);
        unsigned at = words == 1 ? tree_child_guessed(inner, target->key.high, target->guess, depth)
                                 : tree_choose_guessed(inner, target, depth);
        assert(depth < TREE_LEVELS && at < node->count);
        cursor->ways[depth].node = inner;
        cursor->ways[depth].at = at;
        node = words == 1 ? inner_child_by_word(inner, at) : inner_child(inner, at);
        if (target->guess == NULL) tree_ask_for(&inner->head, node); /* else that was done before */
    }
    cursor->depth = depth;
    cursor->leaf = leaf_of(node);
    assert(cursor->leaf->head.count > 0);
}

/* ---- Moving --------------------------------------------------------------------------------------- */

/* To the first (last) leaf of the next (previous) child of the lowest way that has one. */
static bool change_leaf(struct tree_cursor *cursor, bool forward) {
    cursor->leaf = NULL;
    while (cursor->depth > 0) {
        struct inner *inner = cursor->ways[cursor->depth - 1].node;
        unsigned at = cursor->ways[cursor->depth - 1].at;
        if (forward ? at + 1 < inner->head.count : at > 0) {
            struct tree_target target = {.to = forward ? TREE_TO_FRONT : TREE_TO_BACK};
            cursor->depth--;
            descend(cursor, step(cursor, &inner->head, forward ? at + 1 : at - 1), &target);
            cursor->place = forward ? 0 : cursor->leaf->head.count - 1u;
            cursor->offset = leaf_offset(cursor->leaf, cursor->place);
            return true;
        }
        cursor->depth--;
    }
    return false;
}

bool tree_next(struct tree_cursor *cursor) {
    const struct leaf *leaf = cursor->leaf;
    assert(leaf && cursor->place < leaf->head.count);
    if (cursor->place + 1u == leaf->head.count) return change_leaf(cursor, true);
    cursor->offset += leaf_size_at(leaf, cursor->place, cursor->offset);
    cursor->place++;
    return true;
}

bool tree_pass(struct tree_cursor *cursor, const struct leaf_run *run) {
    assert(cursor->leaf && cursor->place + run->count <= cursor->leaf->head.count);
    if (cursor->place + run->count == cursor->leaf->head.count) return change_leaf(cursor, true);
    cursor->offset += run->bytes;
    cursor->place += run->count;
    return true;
}

bool tree_next_leaf(struct tree_cursor *cursor) {
    assert(cursor->leaf);
    return change_leaf(cursor, true);
}

void tree_enter_leaf(struct tree_cursor *cursor, const struct tree *tree, uint64_t hash) {
    struct tree_target target = {.to = TREE_TO_KEY, .key = {hash, 0}};
    assert((tree->kind == TREE_SET || tree->kind == TREE_HASH) && tree->root);
    begin(cursor, tree);
    descend(cursor, tree->root, &target);
}

void tree_leaf_hashes(const struct tree_cursor *cursor, uint64_t *low, uint64_t *last) {
    *low = 0;
    *last = UINT64_MAX;
    assert(cursor->leaf && tree_key_words[cursor->tree->kind] == 1);
    for (unsigned i = 0; i < cursor->depth; i++) {
        const struct inner *inner = cursor->ways[i].node;
        unsigned at = cursor->ways[i].at;
        if (at > 0) *low = inner_key(inner, at).high;
        if (at + 1 < inner->head.count) *last = inner_key(inner, at + 1).high - 1;
    }
}

bool tree_previous(struct tree_cursor *cursor) {
    assert(cursor->leaf);
    if (cursor->place == 0) return change_leaf(cursor, false);
    cursor->place--;
    cursor->offset = leaf_offset_before(cursor->leaf, cursor->place, cursor->offset);
    return true;
}

/* ---- Finding -------------------------------------------------------------------------------------- */

/* The leaf in which a hash is, or would be; NULL where there are none. Where the way is guessed it was asked for. */
static inline const struct leaf *leaf_of_hash(const struct tree *tree, uint64_t hash,
                                              const struct tree_guess *guess) {
    const struct node *node = tree->root;
    assert(tree->kind == TREE_SET || tree->kind == TREE_HASH);
    for (unsigned depth = 0; node && node->level > 0; depth++) {
        const struct inner *inner = inner_at(node);
        const struct node *child = inner_child_by_word(inner, tree_child_guessed(inner, hash, guess, depth));
        if (guess == NULL) tree_ask_for(node, child);
        node = child;
    }
    return node ? leaf_at(node) : NULL;
}

bool tree_look_up_guessed(const struct tree *tree, uint64_t hash, struct bytes member,
                          const struct tree_guess *guess, struct tree_item *item) {
    const struct leaf *leaf = leaf_of_hash(tree, hash, guess);
    size_t offset;
    if (leaf == NULL) return false;
    unsigned place = leaf_find(leaf, hash, member, guess ? guess->place : 0, &offset);
    if (place == leaf->head.count) return false;
    leaf_get(leaf, place, offset, item);
    return true;
}

bool tree_look_up_second(const struct tree *tree, uint64_t hash, struct bytes field,
                         const struct tree_guess *guess, struct leaf_part *second) {
    const struct leaf *leaf = leaf_of_hash(tree, hash, guess);
    return leaf && leaf_find_second(leaf, hash, field, guess ? guess->place : 0, second);
}

bool tree_find_hash(struct tree_cursor *cursor, const struct tree *tree, const struct hash_seed *seed,
                    uint64_t hash) {
    struct tree_target target = {.to = TREE_TO_KEY, .key = {hash, 0}};
    begin(cursor, tree);
    assert(tree->kind == TREE_SET || tree->kind == TREE_HASH);
    if (tree->root == NULL) return false;
    descend(cursor, tree->root, &target);
    cursor->place = leaf_find_hash(cursor->leaf, seed, hash, &cursor->offset);
    if (cursor->place == cursor->leaf->head.count) cursor->leaf = NULL;
    return cursor->leaf;
}

bool tree_lower_bound_guessed(struct tree_cursor *cursor, const struct tree *tree,
                              const struct tree_item *item, const struct tree_guess *guess) {
    struct tree_target target = tree_target(tree, item);
    size_t offset;
    begin(cursor, tree);
    if (tree->root == NULL) return false;
    target.guess = guess;
    if (tree_key_words[tree->kind] == 1)
        descend_to_key(cursor, &target, 1);
    else
        descend_to_key(cursor, &target, 2);
    if (guess) cursor->place = guess->place;
    bool equal = leaf_seek(cursor->leaf, item, UINT64_MAX, &cursor->place, &offset);
    if (cursor->place == cursor->leaf->head.count) {
        change_leaf(cursor, true);
        return false; /* what begins a leaf was looked at on the way down */
    }
    cursor->offset = equal ? offset : leaf_offset(cursor->leaf, cursor->place);
    return equal;
}

void tree_select(struct tree_cursor *cursor, const struct tree *tree, uint64_t position) {
    struct tree_target target = {.to = TREE_TO_POSITION, .position = position};
    struct node *node = tree->root;
    bool first = true; /* the way has kept to the front so far, whose counts are owed something */
    assert(position < tree->count);
    begin(cursor, tree);
    while (node->level > 0) {
        const struct inner *inner = inner_of(node);
        int64_t owed = first ? tree->owed[TREE_FRONT] : 0;
        int64_t in_first = (int64_t)inner_below(inner)[0] + owed;
        unsigned at = 0;
        if ((int64_t)target.position >= in_first && inner->head.count > 1) {
            target.position -= (uint64_t)owed; /* as the counts see it */
            at = choose_by_position(inner, target.position);
            tree_enter(inner, at, &target);
            first = false;
        }
        node = step(cursor, node, at);
    }
    cursor->leaf = leaf_of(node);
    cursor->place = (unsigned)target.position;
    assert(target.position < node->count);
    cursor->offset = leaf_offset(cursor->leaf, cursor->place);
}

void tree_get_end(const struct tree *tree, enum tree_end end, struct tree_item *item) {
    /* Another version may be made of a copy of this tree at the same moment, from under another lock. */
    const struct leaf *leaf = __atomic_load_n(&tree->edges[end], __ATOMIC_RELAXED);
    assert(tree->count > 0);
    if (leaf == NULL) {
        const struct node *node = tree->root;
        while (node->level > 0) node = inner_child(inner_at(node), end == TREE_FRONT ? 0 : node->count - 1u);
        leaf = leaf_at(node);
    }
    unsigned place = end == TREE_FRONT ? 0 : leaf->head.count - 1u;
    leaf_get(leaf, place, leaf_offset(leaf, place), item);
}

uint64_t tree_rank(const struct tree_cursor *cursor) {
    uint64_t rank = cursor->place;
    bool first = true;
    assert(cursor->leaf);
    for (unsigned i = 0; i < cursor->depth; i++) {
        rank += tree_count_before(cursor->ways[i].node, cursor->ways[i].at);
        if (cursor->ways[i].at > 0) first = false;
    }
    return rank + (first ? 0 : (uint64_t)(int64_t)cursor->tree->owed[TREE_FRONT]);
}

/* All of them go down level by level, so that each finds there what was asked for one level above. */
void tree_ahead_of_hashes(const struct tree *tree, const uint64_t *hashes, unsigned count,
                          struct tree_found *found) {
    const struct node *nodes[TREE_AHEAD_MOST];
    assert(tree_key_words[tree->kind] == 1 && tree->root && count <= TREE_AHEAD_MOST);
    unsigned levels = tree->root->level, guessed = levels < TREE_GUESS_LEVELS ? levels : TREE_GUESS_LEVELS;
    for (unsigned i = 0; i < count; i++) nodes[i] = tree->root;
    for (unsigned depth = 0; depth < levels; depth++)
        for (unsigned i = 0; i < count; i++) {
            const struct inner *inner = inner_at(nodes[i]);
            unsigned at = tree_child_of_hash(inner, hashes[i]);
            if (depth < guessed) found[i].guess.at[depth] = (uint8_t)at;
            nodes[i] = inner_child_by_word(inner, at);
            tree_ask_for(&inner->head, nodes[i]);
        }
    for (unsigned i = 0; i < count; i++) {
        found[i].leaf = leaf_at(nodes[i]);
        found[i].guess.levels = (uint8_t)guessed;
    }
    if (tree->kind == TREE_INDEX) return;
    for (unsigned i = 0; i < count; i++)
        found[i].guess.place = (uint16_t)leaf_prefetch(found[i].leaf, hashes[i]);
}
_Static_assert(INNER_MAX <= UINT8_MAX, "a child of a node is guessed in a byte");

void tree_ahead_of_scores(const struct tree *tree, const struct tree_item *items, unsigned count,
                          struct tree_guess *guesses) {
    const struct node *nodes[TREE_AHEAD_MOST];
    struct tree_target targets[TREE_AHEAD_MOST];
    assert(tree->kind == TREE_SCORES && tree->root && count <= TREE_AHEAD_MOST);
    for (unsigned i = 0; i < count; i++) {
        nodes[i] = tree->root;
        targets[i] = tree_target(tree, &items[i]);
    }
    unsigned levels = tree->root->level, guessed = levels < TREE_GUESS_LEVELS ? levels : TREE_GUESS_LEVELS;
    for (unsigned depth = 0; depth < levels; depth++)
        for (unsigned i = 0; i < count; i++) {
            const struct inner *inner = inner_at(nodes[i]);
            unsigned at = tree_choose(inner, &targets[i]);
            if (depth < guessed) guesses[i].at[depth] = (uint8_t)at;
            nodes[i] = inner_child(inner, at);
            tree_ask_for(&inner->head, nodes[i]);
        }
    for (unsigned i = 0; i < count; i++) {
        guesses[i].levels = (uint8_t)guessed;
        guesses[i].place = (uint16_t)leaf_score_ahead(leaf_at(nodes[i]), items[i].score);
    }
}

/* The key of the leaf behind the cursor's; 0 if there is none. */
static uint64_t next_leaf_key(const struct tree_cursor *cursor) {
    for (unsigned i = cursor->depth; i-- > 0;) {
        const struct inner *inner = cursor->ways[i].node;
        if (cursor->ways[i].at + 1u < inner->head.count) return inner_key(inner, cursor->ways[i].at + 1).high;
    }
    return 0;
}

uint64_t tree_scan(const struct tree *tree, const struct hash_seed *seed, uint64_t from,
                   void (*each)(void *context, const struct tree_item *item), void *context) {
    struct tree_target target = {.to = TREE_TO_KEY, .key = {from, 0}};
    struct tree_cursor cursor;
    size_t offset = 0;
    assert(tree->kind == TREE_SET || tree->kind == TREE_HASH);
    if (tree->root == NULL) return 0;
    begin(&cursor, tree);
    descend(&cursor, tree->root, &target);
    for (unsigned i = 0; i < cursor.leaf->head.count; offset += leaf_size_at(cursor.leaf, i, offset), i++) {
        struct tree_item item;
        leaf_get(cursor.leaf, i, offset, &item);
        item.key.high = hash_bytes(seed, item.parts[0]);
        if (item.key.high >= from) each(context, &item);
    }
    return next_leaf_key(&cursor);
}

/* ---- Checking ------------------------------------------------------------------------------------- */

/* What must hold of the elements below a node: that they are in these bounds. */
struct bounds {
    const struct hash_seed *seed;
    struct tree_key low, high;
    bool has_high;
};

static bool key_below(struct tree_key a, struct tree_key b) {
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

static void check_leaf(const struct leaf *leaf, const struct bounds *bounds) {
    enum tree_kind kind = (enum tree_kind)leaf->head.kind;
    struct tree_item previous = {.score = 0};
    assert(leaf->head.count > 0 && leaf_is_whole(leaf));
    for (unsigned i = 0; i < leaf->head.count; i++) {
        struct tree_key key = leaf_key(leaf, i, bounds->seed);
        struct tree_item item;
        size_t offset;
        leaf_get(leaf, i, leaf_offset(leaf, i), &item);
        assert(kind == TREE_LIST || !key_below(key, bounds->low)); /* 4 */
        assert(kind == TREE_LIST || !bounds->has_high ||
               (kind == TREE_SCORES ? !key_below(bounds->high, key) : key_below(key, bounds->high)));
        if (kind == TREE_SET || kind == TREE_HASH)
            assert(leaf_find(leaf, key.high, item.parts[0], 0, &offset) == i);
        if (i > 0 && (kind == TREE_STREAM || kind == TREE_PENDING)) assert(key_below(previous.key, item.key));
        if (i > 0 && kind == TREE_INDEX) assert(previous.key.high <= item.key.high);
        if (i > 0 && kind == TREE_SCORES)
            assert(previous.score < item.score ||
                   (previous.score == item.score && bytes_compare(previous.parts[0], item.parts[0]) < 0));
        previous = item;
    }
}

/* What a node below this tree counts; `owed` to the first and last leaf below it. */
static uint64_t check_node(const struct node *node, struct bounds bounds, const int32_t owed[2]) {
    if (node->level == 0) {
        check_leaf(leaf_at(node), &bounds);
        return node->count;
    }
    const struct inner *inner = inner_at(node);
    uint64_t sum = 0;
    assert(node->count > 0 && node->count <= inner->capacity && node->references > 0); /* 1, 3 of node.h */
    for (unsigned i = 0; i < node->count; i++) {
        const struct node *child = inner_child(inner, i);
        bool last = i + 1u == node->count;
        int32_t due[2] = {i == 0 ? owed[0] : 0, last ? owed[1] : 0};
        struct bounds part = bounds;
        assert(child->level + 1 == node->level && child->kind == node->kind); /* 3 of node.h */
        if (i > 0) part.low = inner_key(inner, i);
        if (!last) part.high = inner_key(inner, i + 1), part.has_high = true;
        assert(node->kind == TREE_LIST || i == 0 || !key_below(part.low, bounds.low));
        uint64_t count = check_node(child, part, due);
        assert((int64_t)count == (int64_t)inner_below(inner)[i] + due[0] + due[1]); /* 3 */
        sum += count;
    }
    return sum;
}

bool tree_check(const struct tree *tree, const struct hash_seed *seed) {
    assert((tree->root == NULL) == (tree->count == 0)); /* 1 */
    if (tree->root == NULL) return true;
    assert(tree->root->kind == tree->kind);
    assert(tree->root->level > 0 || (tree->owed[0] == 0 && tree->owed[1] == 0)); /* 3 */
    assert(check_node(tree->root, (struct bounds){.seed = seed}, tree->owed) == tree->count);
    for (unsigned end = 0; end < 2; end++) {
        const struct node *node = tree->root;
        while (node->level > 0) node = inner_child(inner_at(node), end ? node->count - 1u : 0);
        assert(tree->edges[end] == NULL || tree->edges[end] == leaf_at(node)); /* 2 */
    }
    return true;
}
