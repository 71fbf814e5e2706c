/* zset_load.c - sorted sets from what DUMP or an RDB file has of them.
 *
 * Members of a large one come in the order of scores as a rule, redis-server's from the highest on, and are put at the ends
 * of the tree of scores. Only when all are there, the index is made, from the least hash on: so both trees have full
 * leaves, and whether a member came twice is asked of those alone that have one hash. */
#include <math.h>
#include <stdlib.h>

#include "store/types/zset.h"
#include "store/types/zset_parts.h"
#include "store/values/load.h"
#include "store/values/pack_load.h"

_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a pack is loaded there");

/* ---- Packs ---------------------------------------------------------------------------------------- */

/* Adds a member to the pack. False if it must be trees for that. */
static bool load_in_pack(struct loading *loading, const struct rdb_element *element,
                         enum rdb_answer *answer) {
    struct bytes now = loading->value.bytes;
    struct pair pair;
    if (element->name.len > ELEMENT_INLINE_MAX) return false;
    make_pair(&pair, element->name, element->score);
    size_t len = (now.len ? now.len : PACK_HEAD) + pair_len(&pair);
    if (!collection_may_pack(len, pack_count(now) + PARTS)) return false;
    *answer = pack_find(now, PARTS, element->name) < pack_count(now) ? RDB_REFUSED : RDB_TAKEN;
    if (*answer == RDB_REFUSED) return true;
    struct pack pack = {.data = loading->bytes, .len = now.len, .capacity = sizeof loading->bytes};
    uint32_t rank = pack_rank(now, element->score, element->name);
    size_t used = pack_insert(&pack, rank * PARTS, pair.elements, PARTS);
    assert(used == len && pack.len == len);
    loading->value.bytes.len = len;
    return true;
}

enum rdb_answer zset_load_all(struct loading *loading, struct packed *packed) {
    struct pack pack = {.data = loading->bytes, .capacity = COLLECTION_PACK_BYTES};
    if (!loading->packed || packed->count > COLLECTION_PACK_ELEMENTS) return RDB_SINGLY;
    if (!pack_load_scored(&pack, packed)) return RDB_SINGLY;
    loading->value.bytes.len = pack.len;
    loading->value.edited = packed->count / PARTS > loading->options->thresholds[TYPE_ZSET].elements;
    return RDB_TAKEN;
}

/* ---- The tree of scores --------------------------------------------------------------------------- */

/* No index is made yet. */
static bool push_to_tree(const struct tree_context *context, struct collection *collection,
                         const struct tree_item *item) {
    return tree_push(&collection->tree, context, item, TREE_BACK);
}

/* Does an item lie beyond this end of a tree that has some? */
static bool is_beyond(const struct tree *tree, enum tree_end end, const struct tree_item *item) {
    struct tree_item last;
    tree_get_end(tree, end, &last);
    int order = item->score < last.score   ? -1
                : item->score > last.score ? 1
                                           : bytes_compare(item->parts[0], last.parts[0]);
    return end == TREE_FRONT ? order < 0 : order > 0;
}

/* The ends are asked as long as one is at hand: what goes elsewhere forgets them. */
static enum rdb_answer add_to_tree(const struct tree_context *context, struct tree *tree,
                                   const struct tree_item *item) {
    bool known = tree->edges[TREE_FRONT] || tree->edges[TREE_BACK];
    enum tree_end likely = tree->edges[TREE_FRONT] ? TREE_FRONT : TREE_BACK;
    for (unsigned i = 0; i < 2 && known; i++) {
        enum tree_end end = i == 0 ? likely : 1 - likely;
        if (is_beyond(tree, end, item)) return tree_push(tree, context, item, end) ? RDB_TAKEN : RDB_NO_ROOM;
    }
    enum tree_changed changed = tree_put(tree, context, item, false);
    if (changed == TREE_UNCHANGED) return RDB_REFUSED; /* it came before */
    return changed == TREE_ADDED ? RDB_TAKEN : RDB_NO_ROOM;
}

static enum rdb_answer load_in_tree(struct loading *loading, const struct rdb_element *element) {
    const struct tree_context *context = &loading->options->context;
    struct value *value = &loading->value;
    struct tree_item item = {.score = element->score, .parts = {element->name}};
    if (value->kind != VALUE_OBJECT) {
        struct collection *made = trees_of_pack(context, value->bytes, push_to_tree, loading->options->dead);
        if (made == NULL) return RDB_NO_ROOM;
        value->kind = VALUE_OBJECT;
        value->object = &made->head;
    }
    return add_to_tree(context, &collection_of(value->object)->tree, &item);
}

enum rdb_answer zset_load(struct loading *loading, const struct rdb_element *element) {
    const struct load_threshold *threshold = &loading->options->thresholds[TYPE_ZSET];
    struct value *value = &loading->value;
    enum rdb_answer answer;
    if (isnan(element->score)) return RDB_REFUSED;
    if (value->kind == VALUE_OBJECT || !load_in_pack(loading, element, &answer))
        answer = load_in_tree(loading, element);
    size_t len = loading->packed ? 0 : element->name.len;
    if (len > threshold->len || zset_count(value) > threshold->elements) value->edited = true;
    return answer;
}

/* ---- The index ------------------------------------------------------------------------------------ */

/* An entry of the index that will be. */
struct coming {
    double score;
    uint32_t hash, rank;
};

/* Entries are sorted into buckets by the highest bits of their hashes, eight of them in one as a rule. */
struct sorting {
    struct coming *entries;
    uint64_t count;
    unsigned bits;
    uint32_t *ends; /* of buckets, in the entries: first how many come before each, at last where each ends */
};

static bool sorting_new(struct sorting *sorting, uint64_t count) {
    unsigned bits = 1;
    while (bits < 29 && count >> bits > 8) bits++;
    sorting->bits = bits;
    sorting->count = count;
    sorting->entries = memory_resize(NULL, count * sizeof *sorting->entries);
    sorting->ends = memory_zeroed(((size_t)1 << bits) * sizeof *sorting->ends);
    return sorting->entries && sorting->ends;
}

static void sorting_free(struct sorting *sorting) {
    free(sorting->entries);
    free(sorting->ends);
}

static uint32_t *bucket_of(const struct sorting *sorting, uint32_t hash) {
    return &sorting->ends[hash >> (32 - sorting->bits)];
}

/* What all long members take together, which is found on the way. */
static size_t count_buckets(struct sorting *sorting, const struct hash_seed *seed, const struct tree *tree) {
    struct tree_cursor cursor;
    struct tree_item item;
    size_t long_bytes = 0;
    uint32_t before = 0;
    for (tree_select(&cursor, tree, 0); cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        ++*bucket_of(sorting, (uint32_t)hash_of(seed, item.parts[0]));
        long_bytes += item.blocks[0] ? block_memory(item.blocks[0]) : 0;
    }
    for (size_t i = 0; i < (size_t)1 << sorting->bits; i++) {
        uint32_t some = sorting->ends[i];
        sorting->ends[i] = before;
        before += some;
    }
    assert(before == sorting->count);
    return long_bytes;
}

static void fill_buckets(struct sorting *sorting, const struct hash_seed *seed, const struct tree *tree) {
    struct tree_cursor cursor;
    struct tree_item item;
    uint32_t rank = 0;
    for (tree_select(&cursor, tree, 0); cursor.leaf; tree_next(&cursor)) {
        tree_get(&cursor, &item);
        uint32_t hash = (uint32_t)hash_of(seed, item.parts[0]), at = (*bucket_of(sorting, hash))++;
        assert(at < sorting->count);
        sorting->entries[at] = (struct coming){item.score, hash, rank++};
    }
}

/* Entries are near to where they belong: within their buckets. */
static void sort_in_buckets(struct sorting *sorting) {
    struct coming *entries = sorting->entries;
    for (uint64_t i = 1; i < sorting->count; i++) {
        struct coming entry = entries[i];
        uint64_t at = i;
        for (; at > 0 && entries[at - 1].hash > entry.hash; at--) entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static struct bytes member_of(struct tree_cursor *cursor, const struct tree *tree, uint32_t rank) {
    struct tree_item item;
    tree_select(cursor, tree, rank);
    tree_get(cursor, &item);
    return item.parts[0];
}

/* Is the member of an entry that of one before it? */
static bool came_before(const struct sorting *sorting, const struct tree *tree, uint64_t at) {
    const struct coming *entry = &sorting->entries[at];
    struct tree_cursor cursors[2];
    for (uint64_t i = at; i-- > 0 && sorting->entries[i].hash == entry->hash;)
        if (bytes_equal(member_of(&cursors[0], tree, entry->rank),
                        member_of(&cursors[1], tree, sorting->entries[i].rank)))
            return true;
    return false;
}

static enum rdb_answer push_to_index(const struct tree_context *context, struct collection *collection,
                                     const struct sorting *sorting) {
    for (uint64_t i = 0; i < sorting->count; i++) {
        const struct coming *entry = &sorting->entries[i];
        struct tree_item item = {.key.high = entry->hash, .score = entry->score};
        if (came_before(sorting, &collection->tree, i)) return RDB_REFUSED;
        if (!tree_push(&collection->index, context, &item, TREE_BACK)) return RDB_NO_ROOM;
    }
    return RDB_TAKEN;
}

static enum rdb_answer make_index(const struct tree_context *context, struct collection *collection) {
    struct sorting sorting;
    enum rdb_answer answer = RDB_NO_ROOM;
    assert(collection->index.count == 0 && collection->tree.count > 0);
    if (sorting_new(&sorting, collection->tree.count)) {
        collection->long_bytes = count_buckets(&sorting, context->seed, &collection->tree);
        fill_buckets(&sorting, context->seed, &collection->tree);
        sort_in_buckets(&sorting);
        answer = push_to_index(context, collection, &sorting);
    }
    sorting_free(&sorting);
    return answer;
}

/* ---- The end -------------------------------------------------------------------------------------- */

static void lose_sign_in_pack(struct loading *loading, uint32_t rank) {
    struct pack pack = {
        .data = loading->bytes, .len = loading->value.bytes.len, .capacity = sizeof loading->bytes};
    char text[SCORE_MAX_LEN];
    struct element zero = element_of((struct bytes){text, score_put(text, 0)});
    pack_replace(&pack, rank * PARTS + SCORE, &zero);
    loading->value.bytes.len = pack.len;
}

static bool lose_sign_in_tree(const struct tree_context *context, struct tree *tree, uint64_t rank) {
    struct tree_cursor cursor;
    struct tree_item item;
    char copy[ELEMENT_INLINE_MAX];
    tree_select(&cursor, tree, rank);
    tree_get(&cursor, &item);
    assert(item.score == 0);
    struct block *block = item.blocks[0];
    if (block) {
        block_retain(block);
    } else {
        assert(item.parts[0].len <= sizeof copy);
        if (item.parts[0].len) memcpy(copy, item.parts[0].data, item.parts[0].len);
        item.parts[0].data = copy;
    }
    item.score = 0;
    bool done = tree_remove(tree, context, &item) == TREE_REMOVED &&
                tree_put(tree, context, &item, false) == TREE_ADDED;
    if (block) block_release(block);
    return done;
}

/* What is a listpack to Redis in the end has no -0. False without memory. */
static bool lose_signs(struct loading *loading) {
    struct value *value = &loading->value;
    if (value->edited) return true;
    uint64_t from = zset_below(value, 0, false), to = zset_below(value, 0, true);
    for (uint64_t rank = from; rank < to; rank++) {
        if (value->kind != VALUE_OBJECT)
            lose_sign_in_pack(loading, (uint32_t)rank);
        else if (!lose_sign_in_tree(&loading->options->context, &collection_of(value->object)->tree, rank))
            return false;
    }
    return true;
}

enum rdb_answer zset_loaded(struct loading *loading) {
    struct value *value = &loading->value;
    if (!lose_signs(loading)) return RDB_NO_ROOM;
    if (value->kind != VALUE_OBJECT) return RDB_TAKEN;
    return make_index(&loading->options->context, collection_of(value->object));
}
