/* times.c - two trees that order the fields of a hash by their expiry, and find the expiry of a field. */
#include "store/types/times.h"

#include "protocol/assert.h"

struct times *times_new(struct heap *heap, const struct hash_seed *seed) {
    struct times *times = node_alloc(heap, sizeof *times);
    if (times)
        *times =
            (struct times){.seed = seed, .due = tree_empty(TREE_SCORES), .index = tree_empty(TREE_INDEX)};
    return times;
}

struct times *times_fork(struct times *times, struct heap *heap) {
    struct times *to = times_new(heap, times->seed);
    if (to == NULL) return NULL;
    tree_fork(&to->due, &times->due);
    tree_fork(&to->index, &times->index);
    return to;
}

void times_free(struct times *times, struct graves *graves) {
    tree_release(&times->due, graves);
    tree_release(&times->index, graves);
    node_free(times);
}

size_t times_memory(const struct times *times) {
    return node_bytes(sizeof *times) + times->due.bytes + times->index.bytes;
}

/* ---- Looking -------------------------------------------------------------------------------------- */

/* `hash` stays where it is. */
static struct tree_item due_item(const uint64_t *hash, int64_t expiry_ms) {
    assert(expiry_ms > 0 && expiry_ms <= TIMES_MAX);
    return (struct tree_item){.score = (double)expiry_ms, .parts = {{(const char *)hash, sizeof *hash}}};
}
static struct tree_item index_item(uint64_t hash, int64_t expiry_ms) {
    return (struct tree_item){.key.high = hash >> 32, .score = (double)expiry_ms};
}

uint64_t times_overdue(const struct times *times, int64_t now_ms) {
    struct tree_cursor cursor;
    struct tree_item later = {.score = (double)now_ms + 1, .parts = {BYTES("")}};
    if (now_ms >= TIMES_MAX) return times->due.count;
    tree_lower_bound(&cursor, &times->due, &later);
    return cursor.leaf ? tree_rank(&cursor) : times->due.count;
}

static void first_item(const struct times *times, struct tree_item *item) {
    struct tree_cursor cursor;
    assert(times->due.count > 0);
    tree_select(&cursor, &times->due, 0);
    tree_get(&cursor, item);
}

int64_t times_first(const struct times *times) {
    struct tree_item item;
    first_item(times, &item);
    return (int64_t)item.score;
}

uint64_t times_first_hash(const struct times *times) {
    struct tree_item item;
    uint64_t hash;
    first_item(times, &item);
    assert(item.parts[0].len == sizeof hash);
    memcpy(&hash, item.parts[0].data, sizeof hash);
    return hash;
}

static bool is_due_at(const struct times *times, uint64_t hash, int64_t expiry_ms) {
    struct tree_cursor cursor;
    struct tree_item item = due_item(&hash, expiry_ms);
    return tree_lower_bound(&cursor, &times->due, &item);
}

int64_t times_of(const struct times *times, uint64_t hash) {
    struct tree_cursor candidate;
    struct tree_item wanted = index_item(hash, 0), item;
    bool more = tree_lower_bound(&candidate, &times->index, &wanted);
    for (; more; more = tree_next(&candidate)) {
        tree_get(&candidate, &item);
        if (item.key.high != wanted.key.high) return 0;
        if (is_due_at(times, hash, (int64_t)item.score)) return (int64_t)item.score;
    }
    return 0;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

bool times_prepare(struct times *times, const struct tree_context *context, uint64_t hash,
                   int64_t expiry_ms) {
    struct tree_item item = due_item(&hash, expiry_ms);
    enum tree_changed changed = tree_put(&times->due, context, &item, true);
    assert(changed == TREE_REPLACED || changed == TREE_NO_MEMORY);
    return changed == TREE_REPLACED;
}

void times_remove(struct times *times, const struct tree_context *context, uint64_t hash, int64_t expiry_ms) {
    struct tree_item item = due_item(&hash, expiry_ms), indexed = index_item(hash, expiry_ms);
    enum tree_changed changed = tree_remove(&times->due, context, &item);
    assert(changed == TREE_REMOVED); /* it was put a moment ago: the way to it is the tree's own */
    tree_remove(&times->index, context, &indexed);
    if (times->due.count == 0) tree_release(&times->index, context->graves);
}

bool times_put(struct times *times, const struct tree_context *context, uint64_t hash, int64_t old_ms,
               int64_t expiry_ms) {
    struct tree_item item = due_item(&hash, expiry_ms), indexed = index_item(hash, expiry_ms);
    assert(old_ms != expiry_ms);
    if (tree_put(&times->index, context, &indexed, true) == TREE_NO_MEMORY) return false;
    bool put = tree_put(&times->due, context, &item, true) == TREE_ADDED;
    bool done = put && (old_ms == 0 || times_prepare(times, context, hash, old_ms));
    if (done && old_ms) times_remove(times, context, hash, old_ms);
    if (put && !done) times_remove(times, context, hash, expiry_ms); /* which nobody else has seen yet */
    if (!put) tree_remove(&times->index, context, &indexed);
    return done;
}
