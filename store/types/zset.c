/* zset.c - sorted sets. A member and its score are the elements 2i and 2i + 1 of a pack. In a large one they are an item of
 * the tree of scores, and the index has the score once more. */
#include "store/types/zset.h"

#include <float.h>
#include <math.h>

#include "store/rdb/writer.h"
#include "store/types/zset_parts.h"
#include "store/values/leaf_score.h"
#include "store/values/load.h"

/* ---- Items ---------------------------------------------------------------------------------------- */

static struct zset_item item_of(const struct tree_item *item) {
    return (struct zset_item){.member = {item->parts[0], item->blocks[0]}, .score = item->score};
}

static const struct tree *index_of(const struct value *value) {
    debug_assert(value->kind == VALUE_OBJECT);
    return &collection_of(value->object)->index;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

uint64_t zset_count(const struct value *value) {
    if (value->kind == VALUE_OBJECT) return collection_tree(value)->count;
    return pack_count(value_bytes(value)) / PARTS;
}

/* Is this member there with this score? */
static bool is_scored(struct tree_cursor *cursor, const struct tree *tree, struct bytes member,
                      double score) {
    struct tree_item item = {.score = score, .parts = {member}};
    return tree_lower_bound(cursor, tree, &item);
}

/* One of the guesses, or NULL where it is none. */
static const struct tree_guess *guess_of(const struct tree_guess *guesses, unsigned which) {
    return guesses && guesses[which].levels ? &guesses[which] : NULL;
}

static bool find_in_trees(const struct hash_seed *seed, const struct value *value, struct bytes member,
                          const struct tree_guess *guesses, struct zset_place *place) {
    struct tree_item wanted = indexed(seed, member, 0), item = {.parts = {member}};
    const struct tree_guess *entry = guess_of(guesses, ZSET_GUESS_ENTRY);
    bool more = tree_lower_bound_guessed(&place->entry, index_of(value), &wanted, entry);
    for (; more; more = tree_next(&place->entry)) {
        if (leaf_hash(place->entry.leaf, place->entry.place) != wanted.key.high) return false;
        item.score = leaf_score(place->entry.leaf, place->entry.place);
        if (tree_lower_bound_guessed(&place->item, collection_tree(value), &item,
                                     guess_of(guesses, ZSET_GUESS_ITEM)))
            return true;
    }
    return false;
}

bool zset_locate(const struct keyspace *ks, const struct value *value, struct bytes member,
                 const struct tree_guess *guesses, struct zset_place *place) {
    place->moved = guess_of(guesses, ZSET_GUESS_MOVED);
    if (value->kind == VALUE_OBJECT) {
        if (!find_in_trees(ks->seed, value, member, guesses, place)) return false;
        /* Not the index's, which may have the other zero, in an entry too many. */
        place->score = leaf_score(place->item.leaf, place->item.place);
        return true;
    }
    place->entry.leaf = place->item.leaf = NULL;
    return zset_find(ks, value, member, &place->score);
}

bool zset_find(const struct keyspace *ks, const struct value *value, struct bytes member, double *score) {
    if (value->kind == VALUE_OBJECT) {
        struct zset_place place;
        if (!zset_locate(ks, value, member, NULL, &place)) return false;
        *score = place.score;
        return true;
    }
    struct bytes pack = value_bytes(value);
    uint32_t at = pack_find(pack, PARTS, member);
    if (at == pack_count(pack)) return false;
    *score = score_of(pack_at(pack, at + SCORE).bytes);
    return true;
}

/* The rank of what the cursor found; behind all if that was nothing. */
static uint64_t rank_at(const struct tree_cursor *cursor, const struct tree *tree) {
    return cursor->leaf ? tree_rank(cursor) : tree->count;
}

uint64_t zset_rank_of(const struct value *value, struct bytes member, const struct zset_place *place) {
    if (value->kind != VALUE_OBJECT) return pack_rank(value_bytes(value), place->score, member);
    return tree_rank(&place->item);
}

uint64_t zset_rank(const struct value *value, double score, struct bytes member) {
    if (value->kind != VALUE_OBJECT) return pack_rank(value_bytes(value), score, member);
    struct tree_cursor cursor;
    is_scored(&cursor, collection_tree(value), member, score);
    return rank_at(&cursor, collection_tree(value));
}

/* The next larger score; of a finite one, or the lowest. */
static double next_above(double score) {
    uint64_t bits;
    if (score == 0) return DBL_TRUE_MIN;
    memcpy(&bits, &score, sizeof bits);
    bits += score > 0 ? 1 : UINT64_MAX;
    memcpy(&score, &bits, sizeof bits);
    return score;
}

uint64_t zset_below(const struct value *value, double score, bool through) {
    if (through && score == INFINITY) return zset_count(value);
    return zset_rank(value, through ? next_above(score) : score, BYTES(""));
}

/* ---- Ranges of members ---------------------------------------------------------------------------- */

/* Is a member on the right side of the lower end of a range, and of its upper end? */
static bool above_min(struct bytes member, const struct zset_lex *min) {
    if (min->kind != ZSET_LEX_MEMBER) return min->kind == ZSET_LEX_FIRST;
    int order = bytes_compare(member, min->member);
    return min->exclusive ? order > 0 : order >= 0;
}
static bool below_max(struct bytes member, const struct zset_lex *max) {
    if (max->kind != ZSET_LEX_MEMBER) return max->kind == ZSET_LEX_LAST;
    int order = bytes_compare(member, max->member);
    return max->exclusive ? order < 0 : order <= 0;
}

/* Can nothing be between them? */
static bool is_void(const struct zset_lex *min, const struct zset_lex *max) {
    if (min->kind == ZSET_LEX_LAST || max->kind == ZSET_LEX_FIRST) return true;
    if (min->kind == ZSET_LEX_FIRST || max->kind == ZSET_LEX_LAST) return false;
    int order = bytes_compare(min->member, max->member);
    return order > 0 || (order == 0 && (min->exclusive || max->exclusive));
}

static struct bytes member_at(struct bytes pack, uint64_t rank) {
    return pack_at(pack, (uint32_t)rank * PARTS).bytes;
}

static struct zset_span span_forwards(struct bytes pack, uint64_t count, const struct zset_lex *min,
                                      const struct zset_lex *max) {
    struct zset_span span = {0, 0};
    while (span.from < count && !above_min(member_at(pack, span.from), min)) span.from++;
    while (span.from + span.count < count && below_max(member_at(pack, span.from + span.count), max))
        span.count++;
    return span;
}

static struct zset_span span_backwards(struct bytes pack, uint64_t count, const struct zset_lex *min,
                                       const struct zset_lex *max) {
    struct zset_span span = {count, 0};
    while (span.from > 0 && !below_max(member_at(pack, span.from - 1), max)) span.from--;
    for (; span.from > 0 && above_min(member_at(pack, span.from - 1), min); span.count++) span.from--;
    return span;
}

/* How many members come before the lower end of a range; or, `through`, up to its upper end. */
static uint64_t rank_of_end(const struct tree *tree, double score, const struct zset_lex *end, bool through) {
    struct tree_cursor cursor;
    if (end->kind == ZSET_LEX_FIRST) return 0;
    if (end->kind == ZSET_LEX_LAST) return tree->count;
    bool there = is_scored(&cursor, tree, end->member, score);
    return rank_at(&cursor, tree) + (there && end->exclusive != through);
}

struct zset_span zset_lex_span(const struct value *value, const struct zset_lex *min,
                               const struct zset_lex *max, bool backwards) {
    uint64_t count = zset_count(value);
    if (count == 0 || is_void(min, max)) return (struct zset_span){0, 0};
    if (value->kind == VALUE_OBJECT) {
        struct tree_cursor first;
        struct tree_item item;
        const struct tree *tree = collection_tree(value);
        tree_select(&first, tree, 0);
        tree_get(&first, &item);
        uint64_t from = rank_of_end(tree, item.score, min, false);
        uint64_t to = rank_of_end(tree, item.score, max, true);
        return (struct zset_span){from, to > from ? to - from : 0};
    }
    struct bytes pack = value_bytes(value);
    if (!above_min(member_at(pack, count - 1), min) || !below_max(member_at(pack, 0), max))
        return (struct zset_span){0, 0};
    return backwards ? span_backwards(pack, count, min, max) : span_forwards(pack, count, min, max);
}

/* ---- Walks ---------------------------------------------------------------------------------------- */

void zset_walk(struct zset_walk *walk, const struct value *value, uint64_t from, bool backwards) {
    uint64_t count = zset_count(value);
    assert(from <= count && (from < count || !backwards || count == 0));
    walk->value = *value;
    walk->packed = value->kind != VALUE_OBJECT;
    walk->backwards = backwards;
    walk->rank = from;
    walk->left = count == 0 ? 0 : backwards ? from + 1 : count - from;
    walk->cursor.leaf = NULL;
    if (walk->packed)
        walk->pack = pack_from(value_bytes(value), (uint32_t)from * PARTS);
    else if (walk->left > 0)
        tree_select(&walk->cursor, collection_tree(value), from);
}

static bool next_in_pack(struct zset_walk *walk, struct zset_item *item) {
    struct element score;
    if (walk->left == 0) return false;
    walk->left--;
    if (walk->backwards) walk->pack = pack_from(value_bytes(&walk->value), (uint32_t)walk->rank-- * PARTS);
    bool both = pack_next(&walk->pack, &item->member) && pack_next(&walk->pack, &score);
    assert(both);
    item->score = score_of(score.bytes);
    return true;
}

bool zset_next(struct zset_walk *walk, struct zset_item *item) {
    if (walk->packed) return next_in_pack(walk, item);
    if (walk->cursor.leaf == NULL) return false;
    struct tree_item found;
    tree_get(&walk->cursor, &found);
    *item = item_of(&found);
    if (walk->backwards)
        tree_previous(&walk->cursor);
    else
        tree_next(&walk->cursor);
    return true;
}

/* ---- Scans ---------------------------------------------------------------------------------------- */

/* A scan takes so many entries of the index at once, whose scores it compares with each other. */
enum { SCANNED_AT_ONCE = 64 };

/* Members with hashes [from, to] are due, each of which the visitor sees once. */
struct scan {
    const struct keyspace *ks;
    const struct value *value;
    uint64_t from, to;
    struct zset_visitor visitor;
    uint64_t looks; /* members that were looked at */
};

/* How many members have this score. */
static uint64_t count_of_score(const struct value *value, double score) {
    return zset_below(value, score, true) - zset_below(value, score, false);
}

/* Looks at a member, and calls for it if it is due. */
static void scan_member(struct scan *scan, const struct tree_item *item) {
    uint64_t hash = hash_of(scan->ks->seed, item->parts[0]);
    scan->looks++;
    if (hash < scan->from || hash > scan->to) return;
    struct zset_item due = item_of(item);
    scan->visitor.each(scan->visitor.context, &due);
}

/* Looks at all members with this score. */
static void scan_score(struct scan *scan, double score) {
    struct tree_cursor cursor;
    struct tree_item item = {.score = score, .parts = {BYTES("")}};
    tree_lower_bound(&cursor, collection_tree(scan->value), &item);
    for (; cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        if (item.score != score) return;
        scan_member(scan, &item);
    }
}

/* Looks at all members. */
static void scan_all(struct scan *scan) {
    struct tree_cursor cursor;
    struct tree_item item;
    for (tree_select(&cursor, collection_tree(scan->value), 0); cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        scan_member(scan, &item);
    }
}

/* Where the index is to be entered for this hash. */
static void enter_index(struct tree_cursor *cursor, const struct value *value, uint64_t hash) {
    struct tree_item item = {.key.high = hash};
    tree_lower_bound(cursor, index_of(value), &item);
}

/* Did an entry before this one, of those that are due, have its score? */
static bool is_repeated(const struct scan *scan, const struct tree_cursor *until, double score) {
    struct tree_cursor cursor = *until;
    struct tree_item item;
    while (tree_previous(&cursor)) {
        tree_get(&cursor, &item);
        if (item.key.high < scan->from) return false;
        if (item.score == score) return true;
    }
    return false;
}

/* Looks at the members with the scores that are in the index for those that are due, which are few. */
static void scan_few(struct scan *scan) {
    struct tree_cursor cursor;
    struct tree_item item;
    for (enter_index(&cursor, scan->value, scan->from); cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        if (item.key.high > scan->to) return;
        if (!is_repeated(scan, &cursor, item.score)) scan_score(scan, item.score);
    }
}

/* Makes the next `count` entries of the index due, from a hash on, and those behind them that have the last one's hash. The
 * hash of the next entry, 0 where there is none. */
static uint64_t make_due(struct scan *scan, uint64_t from, uint64_t count) {
    struct tree_cursor cursor;
    struct tree_item item;
    scan->from = from;
    scan->to = UINT32_MAX;
    uint64_t last = 0;
    for (enter_index(&cursor, scan->value, from); cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        if (count == 0 && item.key.high != last) {
            scan->to = last;
            return item.key.high;
        }
        last = item.key.high;
        count -= count > 0;
    }
    return 0;
}

/* The least count of a step, which shall not look at too many members for each that is due where many have one score. */
static uint64_t least_count(const struct value *value, uint64_t from) {
    enum { LOOKS_FOR_EACH = 64 };
    struct tree_cursor cursor;
    struct tree_item item;
    enter_index(&cursor, value, from);
    if (cursor.leaf == NULL) return 0;
    tree_get(&cursor, &item);
    return count_of_score(value, item.score) / LOOKS_FOR_EACH;
}

/* To find the members of one score takes as long as to look at so many others. */
enum { LOOKS_FOR_SCORE = 16 };

uint64_t zset_scan(const struct keyspace *ks, const struct value *value, uint64_t from, uint64_t count,
                   struct zset_visitor visitor) {
    struct scan scan = {.ks = ks, .value = value, .visitor = visitor};
    uint64_t least, all = zset_count(value);
    if (from > UINT32_MAX) return 0;
    least = least_count(value, from);
    if (count < least) count = least;
    do {
        bool many = count >= all / LOOKS_FOR_SCORE || scan.looks > all;
        uint64_t part = many || count < SCANNED_AT_ONCE ? count : SCANNED_AT_ONCE;
        from = make_due(&scan, from, part);
        if (many)
            scan_all(&scan);
        else
            scan_few(&scan);
        count -= part;
    } while (from > 0 && count > 0);
    return from;
}

/* ---- Ahead ---------------------------------------------------------------------------------------- */

/* Those of the members' scores. Of each item, `of` says which member it is. */
static void ahead_of_scores(const struct tree *tree, const struct tree_item *items, const uint8_t *of,
                            unsigned count, struct tree_guess *guesses) {
    struct tree_guess found[TREE_AHEAD_MOST];
    tree_ahead_of_scores(tree, items, count, found);
    for (unsigned i = 0; i < count; i++) guesses[of[i] * ZSET_GUESSES] = found[i];
}

/* The entries of these hashes in the index. Of each that is there it gives the guess, and the score to `scores`; which these
 * are the bits of the result tell. */
static unsigned ahead_of_entries(const struct tree *index, const uint64_t *hashes, unsigned count,
                                 struct tree_guess *guesses, double *scores) {
    struct tree_found found[TREE_AHEAD_MOST];
    unsigned there = 0;
    tree_ahead_of_hashes(index, hashes, count, found);
    for (unsigned i = 0; i < count; i++) {
        struct tree_item wanted = {.key.high = hashes[i]};
        bool equal;
        unsigned place = leaf_lower_bound(found[i].leaf, &wanted, &equal);
        if (!equal) continue;
        found[i].guess.place = (uint16_t)place;
        guesses[i * ZSET_GUESSES + ZSET_GUESS_ENTRY] = found[i].guess;
        scores[i] = leaf_score(found[i].leaf, place);
        there |= 1u << i;
    }
    return there;
}

void zset_ahead(const struct keyspace *ks, const struct value *value, const struct zset_ahead *ahead) {
    uint64_t hashes[TREE_AHEAD_MOST] = {0};
    double scores[TREE_AHEAD_MOST];
    struct tree_item items[TREE_AHEAD_MOST];
    const struct tree *tree = collection_tree(value);
    uint8_t of[TREE_AHEAD_MOST];
    unsigned there = 0, count = ahead->count;
    assert(count <= TREE_AHEAD_MOST);
    if (tree->bytes < COLLECTION_AHEAD_BYTES) return;
    for (unsigned i = 0; i < count; i++) hashes[i] = hash_of(ks->seed, ahead->members[i]);
    unsigned bits = ahead_of_entries(index_of(value), hashes, count, ahead->guesses, scores);
    for (; bits; bits &= bits - 1) {
        unsigned i = (unsigned)__builtin_ctz(bits);
        items[there] = (struct tree_item){.score = scores[i], .parts = {ahead->members[i]}};
        of[there++] = (uint8_t)i;
    }
    ahead_of_scores(tree, items, of, there, ahead->guesses + ZSET_GUESS_ITEM);
    if (ahead->scores == NULL) return;
    for (unsigned i = 0; i < count; i++) {
        items[i] = (struct tree_item){.score = ahead->scores[i], .parts = {ahead->members[i]}};
        of[i] = (uint8_t)i;
    }
    ahead_of_scores(tree, items, of, count, ahead->guesses + ZSET_GUESS_MOVED);
}

void zset_ahead_of_end(const struct keyspace *ks, const struct value *value, enum tree_end end,
                       unsigned count, struct tree_guess *guesses) {
    uint64_t hashes[TREE_AHEAD_MOST] = {0};
    double scores[TREE_AHEAD_MOST];
    const struct tree *tree = collection_tree(value);
    struct tree_cursor cursor;
    struct tree_item item;
    unsigned known = 0;
    assert(count <= TREE_AHEAD_MOST);
    if (tree->bytes < COLLECTION_AHEAD_BYTES) return;
    for (tree_select(&cursor, tree, end == TREE_FRONT ? 0 : tree->count - 1); known < count && cursor.leaf;) {
        tree_get(&cursor, &item);
        hashes[known++] = hash_of(ks->seed, item.parts[0]);
        if (end == TREE_FRONT)
            tree_next(&cursor);
        else
            tree_previous(&cursor);
    }
    ahead_of_entries(index_of(value), hashes, known, guesses, scores);
}

/* ---- Trees ---------------------------------------------------------------------------------------- */

static size_t long_bytes(const struct tree_item *item) {
    return item->blocks[0] ? block_memory(item->blocks[0]) : 0;
}

/* What the block of a member takes that has just been found or put there. */
static size_t long_bytes_of(const struct collection *collection, struct bytes member, double score) {
    struct tree_cursor cursor;
    struct tree_item item;
    if (member.len <= ELEMENT_PLAIN_MAX) return 0;
    bool there = is_scored(&cursor, &collection->tree, member, score);
    assert(there);
    tree_get(&cursor, &item);
    return long_bytes(&item);
}

/* Puts an item into both trees. False without memory, and then neither has it. */
static bool add_to_trees(const struct tree_context *context, struct collection *collection,
                         const struct tree_item *item) {
    struct tree_item entry = indexed(context->seed, item->parts[0], item->score);
    if (tree_put(&collection->index, context, &entry, false) == TREE_NO_MEMORY) return false;
    if (tree_put(&collection->tree, context, item, false) == TREE_NO_MEMORY) {
        tree_remove(&collection->index, context, &entry); /* takes no memory: the way was copied just now */
        return false;
    }
    collection->long_bytes += long_bytes_of(collection, item->parts[0], item->score);
    return true;
}

/* Takes an item out of a tree: as a rule from where it was found. False without memory. */
static bool take_out(struct tree *tree, const struct tree_context *context, const struct tree_cursor *at,
                     const struct tree_item *item) {
    return tree_take_at(tree, context, at) || tree_remove(tree, context, item) != TREE_NO_MEMORY;
}

/* Takes what was found out of both trees. False without memory, and then both have it. The tree of scores is what counts: an
 * entry may stay in the index. */
static bool take_from_trees(const struct tree_context *context, struct collection *collection,
                            struct bytes member, const struct zset_place *place, size_t bytes) {
    struct tree_item item = {.score = place->score, .parts = {member}};
    struct tree_item entry = indexed(context->seed, member, place->score);
    uint64_t count = collection->tree.count;
    if (!take_out(&collection->tree, context, &place->item, &item)) return false;
    assert(collection->tree.count + 1 == count && collection->long_bytes >= bytes);
    collection->long_bytes -= bytes;
    (void)take_out(&collection->index, context, &place->entry, &entry);
    if (collection->tree.count == 0) tree_release(&collection->index, context->graves);
    return true;
}

/* Gives a member another score in both trees. False without memory, and then both are as they were: nothing of what
 * undoes it takes memory, for the ways to both places have been copied by then. */
static bool move_by_ways(const struct tree_context *context, struct collection *collection,
                         const struct tree_item *item, double old) {
    struct bytes member = item->parts[0];
    struct tree_item before = {.score = old, .parts = {member}};
    struct tree_item entry = indexed(context->seed, member, old);
    size_t bytes = long_bytes_of(collection, member, old);
    enum tree_changed changed = tree_rescore(&collection->index, context, &entry, item->score);
    if (changed == TREE_NO_MEMORY) return false;
    assert(changed == TREE_REPLACED && collection->long_bytes >= bytes);
    if (tree_put(&collection->tree, context, item, false) != TREE_NO_MEMORY) {
        if (tree_remove(&collection->tree, context, &before) != TREE_NO_MEMORY) {
            collection->long_bytes += long_bytes_of(collection, member, item->score) - bytes;
            return true;
        }
        changed = tree_remove(&collection->tree, context, item);
        assert(changed == TREE_REMOVED);
    }
    entry.score = item->score;
    changed = tree_rescore(&collection->index, context, &entry, old);
    assert(changed == TREE_REPLACED);
    return false;
}

/* The same. As a rule neither tree is shared and there is room: then it takes no way but that to where the item belongs. */
static bool move_in_trees(const struct tree_context *context, struct collection *collection,
                          const struct tree_item *item, const struct zset_place *old) {
    if (item->parts[0].len > ELEMENT_PLAIN_MAX ||
        !tree_rescore_at(&collection->index, &old->entry, item->score))
        return move_by_ways(context, collection, item, old->score);
    if (tree_move_from(&collection->tree, context, &old->item, item)) return true;
    bool undone = tree_rescore_at(&collection->index, &old->entry, old->score);
    assert(undone);
    return move_by_ways(context, collection, item, old->score);
}

static enum zset_changed put_in_trees(const struct tree_context *context, struct collection *collection,
                                      const struct tree_item *item, const struct zset_place *old) {
    if (old) return move_in_trees(context, collection, item, old) ? ZSET_REPLACED : ZSET_NO_MEMORY;
    return add_to_trees(context, collection, item) ? ZSET_ADDED : ZSET_NO_MEMORY;
}

static bool unpack(struct edit *edit) {
    struct value value = entry_value(edit->entry);
    struct tree_context context = collection_context(edit->keyspace);
    struct collection *collection =
        trees_of_pack(&context, value_bytes(&value), add_to_trees, &edit->keyspace->dead);
    keyspace_note_nodes(edit->keyspace);
    return collection && collection_become(edit, collection);
}

/* ---- Packs ---------------------------------------------------------------------------------------- */

/* The score that is kept where OBJECT ENCODING says listpack (`edited` is not set): 0 for -0. */
static double kept(double score, bool edited) {
    return score == 0 && !edited ? 0 : score;
}

static enum zset_changed add_to_pack(struct edit *edit, struct bytes bytes, const struct pair *pair,
                                     double score) {
    uint32_t rank = pack_rank(bytes, score, pair->elements[MEMBER].bytes);
    size_t len = (bytes.len ? bytes.len : PACK_HEAD) + pair_len(pair);
    struct pack pack = {.data = edit_room(edit, len), .len = bytes.len, .capacity = len};
    if (pack.data == NULL) return ZSET_NO_MEMORY;
    size_t used = pack_insert(&pack, rank * PARTS, pair->elements, PARTS);
    assert(used == len && pack.len == len);
    return ZSET_ADDED;
}

/* Puts a member in a pack with another score than it had, to where that belongs. False, and nothing is changed, if the pack
 * becomes too long. */
static bool move_in_pack(struct edit *edit, struct bytes bytes, const struct pair *pair, double score,
                         enum zset_changed *changed) {
    char scratch[COLLECTION_PACK_BYTES];
    struct bytes member = pair->elements[MEMBER].bytes;
    struct pack pack = collection_copy_pack(bytes, scratch);
    pack_delete(&pack, pack_find(bytes, PARTS, member), PARTS);
    uint32_t rank = pack_rank(pack_bytes(&pack), score, member);
    if (pack_insert(&pack, rank * PARTS, pair->elements, PARTS) > pack.capacity) return false;
    *changed = collection_store_pack(edit, &pack) ? ZSET_REPLACED : ZSET_NO_MEMORY;
    return true;
}

/* Puts a member into the pack of the edit. False, and nothing is changed, if it must be trees for that. */
static bool put_in_pack(struct edit *edit, struct bytes member, double score, bool there,
                        enum zset_changed *changed) {
    struct value now = entry_value(edit->entry);
    struct pair pair;
    if (now.kind == VALUE_OBJECT || member.len > ELEMENT_INLINE_MAX) return false;
    struct bytes pack = value_bytes(&now);
    make_pair(&pair, member, score);
    if (there) return move_in_pack(edit, pack, &pair, score, changed);
    size_t len = (pack.len ? pack.len : PACK_HEAD) + pair_len(&pair);
    if (!collection_may_pack(len, pack_count(pack) + PARTS)) return false;
    *changed = add_to_pack(edit, pack, &pair, score);
    return true;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

enum zset_changed zset_put(struct edit *edit, struct element member, double score,
                           const struct zset_place *old) {
    enum zset_changed changed;
    assert(!isnan(score));
    if (old && old->score == score) return ZSET_UNCHANGED;
    if (put_in_pack(edit, member.bytes, score, old != NULL, &changed)) return changed;
    if (edit->entry->kind != VALUE_OBJECT && !unpack(edit)) return ZSET_NO_MEMORY;
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return ZSET_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    struct tree_item item = scored(member, score);
    context.guess = old ? old->moved : NULL;
    changed = put_in_trees(&context, collection, &item, old);
    keyspace_note_nodes(edit->keyspace);
    return changed;
}

static bool delete_from_pack(struct edit *edit, struct bytes bytes, uint32_t at, uint32_t count) {
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = collection_copy_pack(bytes, scratch);
    pack_delete(&pack, at, count);
    return collection_store_pack(edit, &pack);
}

enum zset_changed zset_delete(struct edit *edit, struct bytes member) {
    struct value value = entry_value(edit->entry);
    struct keyspace *ks = edit->keyspace;
    struct zset_place place;
    struct tree_item item;
    edit->lost = true;
    if (value.kind != VALUE_OBJECT) {
        struct bytes pack = value_bytes(&value);
        uint32_t at = pack_find(pack, PARTS, member);
        if (at == pack_count(pack)) return ZSET_UNCHANGED;
        return delete_from_pack(edit, pack, at, PARTS) ? ZSET_DELETED : ZSET_NO_MEMORY;
    }
    if (!zset_locate(ks, &value, member, edit->guesses, &place)) return ZSET_UNCHANGED;
    tree_get(&place.item, &item);
    size_t bytes = long_bytes(&item);
    struct tree_context context = collection_context(ks);
    struct collection *collection = collection_edit(edit);
    bool done = collection && take_from_trees(&context, collection, member, &place, bytes);
    keyspace_note_nodes(ks);
    return done ? ZSET_DELETED : ZSET_NO_MEMORY;
}

/* The index's entries of some members, which are about to go, and what their blocks take. */
enum { DELETED_AT_ONCE = 128 };
struct going {
    struct tree_item entries[DELETED_AT_ONCE];
    unsigned count;
    size_t long_bytes;
};

static void look_at_going(struct going *going, const struct keyspace *ks, const struct tree *tree,
                          struct zset_span span) {
    struct tree_cursor cursor;
    struct tree_item item;
    going->count = 0;
    going->long_bytes = 0;
    tree_select(&cursor, tree, span.from);
    while (going->count < span.count && going->count < DELETED_AT_ONCE) {
        tree_get(&cursor, &item);
        going->entries[going->count++] = indexed(ks->seed, item.parts[0], item.score);
        going->long_bytes += long_bytes(&item);
        tree_next(&cursor);
    }
}

/* Deletes the first member, or the last one, which is the item. False without memory. */
static bool delete_end(struct keyspace *ks, struct collection *collection, const struct tree_item *item,
                       enum tree_end end, const struct tree_guess *guesses) {
    struct tree_context context = collection_context(ks);
    struct tree_item entry = indexed(ks->seed, item->parts[0], item->score);
    size_t bytes = long_bytes(item);
    if (!tree_pop(&collection->tree, &context, end)) return false;
    assert(collection->long_bytes >= bytes);
    collection->long_bytes -= bytes;
    context.guess = guess_of(guesses, ZSET_GUESS_ENTRY);
    tree_remove(&collection->index, &context, &entry);
    return true;
}

bool zset_pop_short(struct keyspace *ks, struct object *object, enum tree_end end,
                    const struct tree_guess *guesses, struct zset_popped *popped) {
    struct collection *collection = collection_of(object);
    struct tree *tree = &collection->tree;
    struct tree_item found;
    assert(object->type == &type_zset && !object_shared(object));
    if (tree->count < 2 || !tree_knows_end(tree, end)) return false;
    tree_get_end(tree, end, &found);
    if (found.parts[0].len > ELEMENT_PLAIN_MAX) return false;
    copy_short(popped->copy, found.parts[0].data, found.parts[0].len);
    popped->item =
        (struct zset_item){.member.bytes = {popped->copy, found.parts[0].len}, .score = found.score};
    bool done = delete_end(ks, collection, &found, end, guesses);
    keyspace_note_nodes(ks);
    return done;
}

/* The same for who has not looked at it. */
static bool delete_any_end(struct keyspace *ks, struct collection *collection, enum tree_end end) {
    struct tree_item item;
    tree_get_end(&collection->tree, end, &item);
    return delete_end(ks, collection, &item, end, NULL);
}

/* Deletes some of these members. How many; 0 without memory. */
static unsigned delete_some(struct keyspace *ks, struct collection *collection, struct zset_span span) {
    struct tree_context context = collection_context(ks);
    struct going going;
    struct tree *tree = &collection->tree;
    if (span.count == 1 && span.from == 0) return delete_any_end(ks, collection, TREE_FRONT);
    if (span.count == 1 && span.from + 1 == tree->count) return delete_any_end(ks, collection, TREE_BACK);
    look_at_going(&going, ks, tree, span);
    if (!tree_remove_range(tree, &context, span.from, going.count)) return 0;
    assert(collection->long_bytes >= going.long_bytes);
    collection->long_bytes -= going.long_bytes;
    for (unsigned i = 0; i < going.count; i++) tree_remove(&collection->index, &context, &going.entries[i]);
    return going.count;
}

static uint64_t delete_from_trees(struct keyspace *ks, struct collection *collection, struct zset_span span) {
    uint64_t deleted = 0, some = 1;
    if (span.count < collection->tree.count) {
        for (; deleted < span.count && some > 0; deleted += some)
            some = delete_some(ks, collection, (struct zset_span){span.from, span.count - deleted});
        return deleted;
    }
    tree_release(&collection->tree, &ks->dead.nodes);
    tree_release(&collection->index, &ks->dead.nodes);
    collection->long_bytes = 0;
    return span.count;
}

uint64_t zset_delete_span(struct edit *edit, struct zset_span span) {
    struct value value = entry_value(edit->entry);
    assert(span.from + span.count <= zset_count(&value));
    if (span.count == 0) return 0;
    edit->lost = true;
    if (value.kind != VALUE_OBJECT) {
        uint32_t at = (uint32_t)span.from * PARTS, count = (uint32_t)span.count * PARTS;
        return delete_from_pack(edit, value_bytes(&value), at, count) ? span.count : 0;
    }
    struct collection *collection = collection_edit(edit);
    uint64_t deleted = collection ? delete_from_trees(edit->keyspace, collection, span) : 0;
    keyspace_note_nodes(edit->keyspace);
    return deleted;
}

/* ---- New values ----------------------------------------------------------------------------------- */

/* Makes a pack of the items, if they fit one. */
static bool build_pack(struct zset_items items, bool edited, struct pack *pack) {
    if (!collection_may_pack(0, (uint64_t)items.count * PARTS)) return false;
    for (size_t i = 0; i < items.count; i++) {
        const struct zset_item *item = &items.items[i];
        struct pair pair;
        if (item->member.bytes.len > ELEMENT_INLINE_MAX) return false;
        make_pair(&pair, item->member.bytes, kept(item->score, edited));
        if (pack_insert(pack, (uint32_t)i * PARTS, pair.elements, PARTS) > pack->capacity) return false;
    }
    return true;
}

/* Items in the order of ranks become full leaves. */
static bool push_to_trees(struct keyspace *ks, struct collection *collection, const struct zset_item *item,
                          bool edited) {
    struct tree_context context = collection_context(ks);
    struct tree_item scores = scored(item->member, kept(item->score, edited)),
                     entry = indexed(ks->seed, item->member.bytes, item->score);
    struct tree_cursor cursor;
    if (!tree_push(&collection->tree, &context, &scores, TREE_BACK)) return false;
    if (tree_put(&collection->index, &context, &entry, false) == TREE_NO_MEMORY) return false;
    if (item->member.bytes.len <= ELEMENT_PLAIN_MAX) return true;
    tree_select(&cursor, &collection->tree, collection->tree.count - 1);
    tree_get(&cursor, &scores);
    collection->long_bytes += long_bytes(&scores);
    return true;
}

static struct collection *build_trees(struct keyspace *ks, struct zset_items items, bool edited) {
    struct collection *collection = collection_new(ks->heap, &type_zset, TREE_SCORES);
    bool done = collection;
    for (size_t i = 0; i < items.count && done; i++)
        done = push_to_trees(ks, collection, &items.items[i], edited);
    keyspace_note_nodes(ks);
    if (done || collection == NULL) return collection;
    object_release(&collection->head, &ks->dead);
    keyspace_note_garbage(ks);
    return NULL;
}

bool zset_build(struct keyspace *ks, struct zset_items items, bool edited, char pack[COLLECTION_PACK_BYTES],
                struct value *value) {
    struct pack built = {.data = pack, .len = 0, .capacity = COLLECTION_PACK_BYTES};
    assert(items.count > 0);
    *value = (struct value){.type = TYPE_ZSET, .edited = edited};
    if (build_pack(items, edited, &built)) {
        value->kind = VALUE_INLINE;
        value->bytes = pack_bytes(&built);
        return true;
    }
    struct collection *collection = build_trees(ks, items, edited);
    if (collection == NULL) return false;
    value->kind = VALUE_OBJECT;
    value->object = &collection->head;
    return true;
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    return value->edited ? "skiplist" : "listpack";
}

static void digest(const struct value *value, struct digest *digest) {
    struct zset_walk walk;
    struct zset_item item;
    char text[NUMBER_DOUBLE_MAX_LEN];
    zset_walk(&walk, value, 0, false);
    while (zset_next(&walk, &item)) {
        struct digest pair = {{0}};
        digest_mix(&pair, item.member.bytes);
        digest_mix(&pair, (struct bytes){text, number_format_double(text, item.score)});
        digest_join(digest, digest_bytes(&pair));
    }
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

/* As the writer asks for elements: one after the other, and sometimes from the first on again. */
struct source {
    struct rdb_source rdb;
    const struct value *value;
    struct zset_walk walk;
    uint64_t at; /* where the walk is */
};

static void next_member(struct rdb_source *rdb, uint64_t *place, struct rdb_element *element) {
    struct source *source = (struct source *)(void *)rdb;
    struct zset_item item;
    if (*place != source->at) zset_walk(&source->walk, source->value, *place, false);
    bool any = zset_next(&source->walk, &item);
    assert(any);
    element->name = item.member.bytes;
    element->score = item.score;
    source->at = ++*place;
}
_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a pack is loaded there");
_Static_assert(offsetof(struct source, rdb) == 0, "a source is found at its first member's address");

static struct source source_of(const struct value *value) {
    return (struct source){.rdb = {.kind = RDB_ZSET, .count = zset_count(value), .next = next_member},
                           .value = value,
                           .at = UINT64_MAX};
}

/* What Redis would have in one string is written as one, unless that is a long one. */
static enum rdb_form form_of(const struct value *value, struct source *source) {
    enum { MOST = 1024 };
    return !value->edited && rdb_may_pack(&source->rdb, MOST, MOST) ? RDB_FORM_PACKED : RDB_FORM_PLAIN;
}

static enum rdb_type form(const struct value *value) {
    struct source source = source_of(value);
    return rdb_type_of(&source.rdb, form_of(value, &source));
}

static enum dumped dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget) {
    struct source source = source_of(value);
    return rdb_write(&source.rdb, form_of(value, &source), cursor,
                     (struct rdb_target){sink, sink->compressor}, budget);
}

const struct type type_zset = {.name = "zset",
                               .number = TYPE_ZSET,
                               .encoding = encoding,
                               .count = zset_count,
                               .digest = digest,
                               .dump = dump,
                               .form = form,
                               .load = zset_load,
                               .load_all = zset_load_all,
                               .loaded = zset_loaded,
                               .memory = collection_memory,
                               .fork = collection_fork,
                               .bury = collection_bury};
