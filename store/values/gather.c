/* gather.c - copies side by side in one array, and their hashes in another, which is sorted where it lies. */
#include "store/values/gather.h"

#include <stdlib.h>

enum {
    ITEMS_LEAST = 512,
    BYTES_LEAST = 16384,
    SORT_FEW = 24, /* so few are inserted one after another */
    BYTE_VALUES = 256,
    HASH_TOP = 56,  /* the shift of a hash's highest byte */
    BYTES_AHEAD = 8 /* items */
};

/* ---- Gathering ------------------------------------------------------------------------------------ */

/* Room for `needed` more of an array's `used`. False without memory. */
static bool grow(void **array, size_t *room, size_t needed, size_t size) {
    size_t more = *room;
    if (needed <= *room) return true;
    while (more < needed) more *= 2;
    void *grown = memory_resize(*array, more * size);
    if (grown == NULL) return false;
    *array = grown;
    *room = more;
    return true;
}

static bool have_room(struct gather *gather, size_t bytes) {
    void *items = gather->items, *data = gather->bytes;
    if (gather->items_room == 0) gather->items_room = ITEMS_LEAST / 2;
    if (gather->bytes_room == 0) gather->bytes_room = BYTES_LEAST / 2;
    size_t items_needed = gather->items ? gather->count + 1 : ITEMS_LEAST;
    size_t bytes_needed = gather->bytes ? gather->used + bytes : BYTES_LEAST;
    bool room = grow(&items, &gather->items_room, items_needed, sizeof *gather->items) &&
                grow(&data, &gather->bytes_room, bytes_needed, 1);
    gather->items = items;
    gather->bytes = data;
    return room;
}

bool gather_add(struct gather *gather, const struct tree_item *item) {
    struct bytes first = item->parts[0], second = item->parts[1];
    size_t bytes = TREE_PARTS + first.len + second.len;
    size_t taken = gather->count * sizeof *gather->items + gather->used;
    if (first.len > GATHER_PART_MOST || second.len > GATHER_PART_MOST) return false;
    if (taken >= GATHER_BYTES_MOST || !have_room(gather, bytes)) return false;
    char *at = gather->bytes + gather->used;
    at[0] = (char)first.len;
    at[1] = (char)second.len;
    if (first.len) memcpy(at + TREE_PARTS, first.data, first.len);
    if (second.len) memcpy(at + TREE_PARTS + first.len, second.data, second.len);
    gather->items[gather->count++] = (struct gathered){item->key.high, (uint32_t)gather->used};
    gather->used += bytes;
    assert(gather->count <= gather->items_room && gather->used <= gather->bytes_room);
    return true;
}

void gather_drop(struct gather *gather) {
    free(gather->items);
    free(gather->bytes);
    *gather = (struct gather){0};
}

/* ---- Sorting -------------------------------------------------------------------------------------- */

static void sort_few(struct gathered *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct gathered item = items[i];
        size_t to = i;
        for (; to > 0 && items[to - 1].hash > item.hash; to--) items[to] = items[to - 1];
        items[to] = item;
    }
}

static unsigned byte_at(const struct gathered *item, unsigned shift) {
    return (unsigned)(item->hash >> shift) & (BYTE_VALUES - 1);
}

/* By this byte of the hashes alone: American flag sort (McIlroy, Bostic and McIlroy, "Engineering Radix Sort", 1993).
 * ends[i] is where those with the byte i end. */
static void sort_by_byte(struct gathered *items, size_t count, unsigned shift, size_t ends[BYTE_VALUES]) {
    size_t next[BYTE_VALUES], sum = 0;
    memset(ends, 0, BYTE_VALUES * sizeof *ends);
    for (size_t i = 0; i < count; i++) ends[byte_at(&items[i], shift)]++;
    for (unsigned i = 0; i < BYTE_VALUES; i++) {
        next[i] = sum;
        ends[i] = sum += ends[i];
    }
    assert(sum == count);
    for (unsigned i = 0; i < BYTE_VALUES; i++)
        while (next[i] < ends[i]) {
            struct gathered item = items[next[i]];
            for (unsigned to; (to = byte_at(&item, shift)) != i;) {
                struct gathered other = items[next[to]];
                items[next[to]++] = item;
                item = other;
            }
            items[next[i]++] = item;
        }
}

/* They are equal above this byte. Eight deep at most. */
static void sort_from(struct gathered *items, size_t count, unsigned shift) {
    size_t ends[BYTE_VALUES], begin = 0;
    if (count <= SORT_FEW) {
        sort_few(items, count);
        return;
    }
    sort_by_byte(items, count, shift, ends);
    for (unsigned i = 0; shift > 0 && i < BYTE_VALUES; begin = ends[i++])
        sort_from(items + begin, ends[i] - begin, shift - 8);
}

/* ---- Pouring -------------------------------------------------------------------------------------- */

static struct tree_item item_at(const struct gather *gather, size_t index) {
    const struct gathered *gathered = &gather->items[index];
    const char *at = gather->bytes + gathered->at;
    size_t first = (unsigned char)at[0], second = (unsigned char)at[1];
    return (struct tree_item){.key.high = gathered->hash,
                              .parts = {{at + TREE_PARTS, first}, {at + TREE_PARTS + first, second}}};
}

/* Asks the memory for what will be needed soon. */
static void ask_ahead(const struct gather *gather, const struct tree *tree, size_t index, bool pushes) {
    uint64_t hashes[TREE_AHEAD_MOST];
    struct tree_found found[TREE_AHEAD_MOST];
    unsigned count = 0;
    if (index + BYTES_AHEAD < gather->count)
        memory_prefetch(gather->bytes + gather->items[index + BYTES_AHEAD].at);
    if (pushes || index % TREE_AHEAD_MOST || tree->root == NULL) return;
    for (; count < TREE_AHEAD_MOST && index + count < gather->count; count++)
        hashes[count] = gather->items[index + count].hash;
    tree_ahead_of_hashes(tree, hashes, count, found);
}

enum tree_changed gather_pour(struct gather *gather, struct tree *tree, const struct tree_context *context) {
    enum tree_changed changed = TREE_ADDED;
    struct tree_context roomy = *context;
    bool pushes = tree->root == NULL;
    assert(tree->kind == TREE_SET || tree->kind == TREE_HASH);
    roomy.roomy = !pushes;
    sort_from(gather->items, gather->count, HASH_TOP);
    for (size_t i = 0; i < gather->count && changed == TREE_ADDED; i++) {
        struct tree_item item = item_at(gather, i);
        ask_ahead(gather, tree, i, pushes);
        /* Of equal hashes, which belong into one leaf, the second may be the same element again. */
        if (pushes && (i == 0 || gather->items[i - 1].hash != item.key.high))
            changed = tree_push(tree, context, &item, TREE_BACK) ? TREE_ADDED : TREE_NO_MEMORY;
        else
            changed = tree_put(tree, &roomy, &item, false);
    }
    if (!pushes && gather->count) gather->fits = true;
    gather->count = gather->used = 0;
    return changed;
}
