/* tree_split.c - where a leaf is parted, and what each half gets. */
#include "store/values/tree_split.h"

enum { ELEMENTS_MOST = HEAP_NODE_MAX / 2 /* of a leaf: far more than there can be */ };

/* Elements [from, to) of what the leaf is to hold. */
static unsigned pieces_of(const struct tree_putting *putting, unsigned from, unsigned to,
                          struct leaf_piece pieces[3]) {
    unsigned place = putting->place, count = 0;
    int behind = (int)putting->skipped - 1; /* from a place behind the item to that in the leaf */
    if (from < place) pieces[count++] = leaf_piece(putting->leaf, from, to < place ? to : place);
    if (from <= place && to > place) pieces[count++] = tree_new_piece();
    if (to > place + 1) {
        unsigned begin = from > place + 1 ? from : place + 1;
        pieces[count++] =
            leaf_piece(putting->leaf, (unsigned)((int)begin + behind), (unsigned)((int)to + behind));
    }
    return count;
}

struct leaf *tree_build_part(const struct tree_context *context, const struct tree_putting *putting,
                             unsigned from, unsigned to, size_t capacity) {
    struct leaf_piece pieces[3];
    unsigned count = pieces_of(putting, from, to, pieces);
    struct leaf_parts parts = {pieces, count, putting->ready};
    return leaf_build(context->heap, (enum tree_kind)putting->leaf->head.kind, parts, capacity);
}

/* What the element at this place takes of what the leaf is to hold; *offset runs along with the leaf's own. */
static size_t size_in(const struct tree_putting *putting, unsigned at, size_t *offset) {
    enum tree_kind kind = (enum tree_kind)putting->leaf->head.kind;
    unsigned place = at < putting->place ? at : at - 1 + putting->skipped;
    if (at == putting->place) {
        if (putting->skipped) *offset += leaf_size_at(putting->leaf, at, *offset);
        return leaf_item_bytes(kind, putting->ready);
    }
    size_t taken = leaf_taken_at(putting->leaf, place, *offset);
    *offset += leaf_size_at(putting->leaf, place, *offset);
    return taken;
}

static uint64_t index_hash(const struct tree_putting *putting, unsigned at) {
    struct tree_item item;
    if (at == putting->place) return putting->ready->item->key.high;
    unsigned place = at < putting->place ? at : at - 1 + putting->skipped;
    leaf_get(putting->leaf, place, 0, &item);
    return item.key.high;
}

/* Where to split, so that equal hashes of a TREE_INDEX stay together: here, or as near as can be. 0: nowhere. */
static unsigned between_hashes(const struct tree_putting *putting, unsigned at) {
    for (unsigned away = 0; away < putting->count; away++) {
        unsigned up = at + away, down = at - away;
        if (up < putting->count && index_hash(putting, up - 1) != index_hash(putting, up)) return up;
        if (away < at && index_hash(putting, down - 1) != index_hash(putting, down)) return down;
    }
    return 0;
}

/* Where the right one of two leaves of about the same size begins. 0: it cannot be split. */
static unsigned middle_of(const struct tree_putting *putting) {
    size_t sum = 0, offset = 0;
    unsigned at = 0;
    if (putting->count < 2) return 0;
    while (at + 1 < putting->count && sum < putting->bytes / 2) sum += size_in(putting, at++, &offset);
    if (at == 0) at = 1;
    return putting->leaf->head.kind == TREE_INDEX ? between_hashes(putting, at) : at;
}

static bool halve_by_order(const struct tree_context *context, const struct tree_putting *putting,
                           struct tree_halves *halves) {
    unsigned middle = middle_of(putting);
    if (middle == 0) return false;
    halves->left = tree_build_part(context, putting, 0, middle, 0);
    halves->right = halves->left ? tree_build_part(context, putting, middle, putting->count, 0) : NULL;
    if (halves->right) halves->key = leaf_key(halves->right, 0, context->seed);
    return halves->right;
}

/* The hashes of a leaf's elements, and a bound which some of these and the item's are below and some are not: above
 * their mean, which for hashes is the median. 0: they are all the same. */
static uint64_t bound_of_hashes(const struct tree_context *context, const struct tree_putting *putting,
                                uint64_t *hashes) {
    const struct leaf *leaf = putting->leaf;
    unsigned __int128 sum = putting->ready->item->key.high;
    uint64_t least = putting->ready->item->key.high, most = least;
    size_t offset = 0;
    for (unsigned i = 0; i < leaf->head.count; offset += leaf_size_at(leaf, i, offset), i++) {
        struct tree_item item;
        leaf_get(leaf, i, offset, &item);
        hashes[i] = hash_bytes(context->seed, item.parts[0]);
        if (putting->skipped && i == putting->place) continue;
        sum += hashes[i];
        least = hashes[i] < least ? hashes[i] : least;
        most = hashes[i] > most ? hashes[i] : most;
    }
    return least == most ? 0 : (uint64_t)(sum / putting->count) + 1;
}

/* The leaf's elements on one side of the bound, and the item if it is on that side, as pieces; their number. */
static unsigned pieces_on_side(const struct tree_putting *putting, const uint64_t *hashes, uint64_t bound,
                               bool right, struct leaf_piece *pieces) {
    const struct leaf *leaf = putting->leaf;
    unsigned count = 0;
    size_t offset = 0;
    for (unsigned i = 0; i < leaf->head.count; i++) {
        size_t end = offset + leaf_size_at(leaf, i, offset);
        bool mine = (hashes[i] >= bound) == right && !(putting->skipped && i == putting->place);
        struct leaf_piece *last = count ? &pieces[count - 1] : NULL;
        if (mine && last && last->to == i) {
            last->to++;
            last->end = (uint16_t)end;
        } else if (mine) {
            pieces[count++] =
                (struct leaf_piece){leaf, (uint16_t)i, (uint16_t)(i + 1), (uint16_t)offset, (uint16_t)end};
        }
        offset = end;
    }
    if ((putting->ready->item->key.high >= bound) == right) pieces[count++] = tree_new_piece();
    return count;
}

static bool halve_by_hash(const struct tree_context *context, const struct tree_putting *putting,
                          struct tree_halves *halves) {
    uint64_t hashes[ELEMENTS_MOST];
    struct leaf_piece pieces[ELEMENTS_MOST / 2 + 2];
    enum tree_kind kind = (enum tree_kind)putting->leaf->head.kind;
    assert(putting->leaf->head.count <=
           ELEMENTS_MOST / 2); /* two bytes and a member of two each, but for a few */
    size_t capacity = context->roomy ? leaf_most(kind) : 0;
    uint64_t bound = bound_of_hashes(context, putting, hashes);
    if (bound == 0) return false;
    struct leaf_parts parts = {pieces, pieces_on_side(putting, hashes, bound, false, pieces), putting->ready};
    halves->left = leaf_build(context->heap, kind, parts, capacity);
    if (halves->left == NULL) return false;
    parts.count = pieces_on_side(putting, hashes, bound, true, pieces);
    halves->right = leaf_build(context->heap, kind, parts, capacity);
    halves->key = (struct tree_key){bound, 0};
    return halves->right;
}

bool tree_halve(const struct tree_context *context, const struct tree_putting *putting,
                struct tree_halves *halves) {
    *halves = (struct tree_halves){NULL, NULL, {0, 0}};
    bool done = tree_by_hash((enum tree_kind)putting->leaf->head.kind)
                    ? halve_by_hash(context, putting, halves)
                    : halve_by_order(context, putting, halves);
    if (!done && halves->left) node_release(&halves->left->head, context->graves);
    return done;
}
