/* trees.c - what the elements of large values cost: bytes an element, and time a lookup.
 *
 *     trees [ELEMENTS [SHAPE]]       a million of each shape; or of one: hash, set, zset, list, stream
 *
 * Each value is built element by element in random order (a list and a stream in the order in which they come), then
 * half of its elements, drawn at random, are deleted, then as many new ones come. Bytes are those of nodes, and those
 * of the chunks in which they lie. Lookups are of random members, all present. The open table of the last lines is what
 * they are compared with: a plain array of pointers to members, half full, by the same hash. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/values/tree_change.h"

enum { LOOKUPS = 2000000, BATCH = 64 };

static const struct hash_seed seed = {{11, 22, 33, 44}};
static struct graves graves;
static struct heap *heap;
static struct tree_context context;

/* splitmix64 (Steele, Lea and Flood, 2014): a permutation, so that no member comes twice. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A value with its elements, which are numbered. */
struct value {
    struct tree tree, index; /* index: of a sorted set, by member */
    const struct shape *shape;
    uint64_t next_number;
};

struct shape {
    const char *name;
    enum tree_kind kind;
    size_t member, value; /* bytes */
    double target;        /* bytes an element */
};
static const struct shape shapes[] = {
    {"hash", TREE_HASH, 12, 16, 46},  {"set", TREE_SET, 12, 0, 28},       {"zset", TREE_SCORES, 12, 0, 48},
    {"list", TREE_LIST, 16, 0, 18.2}, {"stream", TREE_STREAM, 21, 0, 27},
};

static struct tree_item item_of(const struct shape *shape, uint64_t number, char text[2][32]) {
    struct tree_item item = {.score = 0};
    uint64_t random = mix(number);
    uint64_t words[4] = {random, number, ~random, ~number};
    memcpy(text[0], words, sizeof words);
    memcpy(text[1], text[0], sizeof text[1]);
    item.parts[0] = (struct bytes){text[0], shape->member};
    item.parts[1] = (struct bytes){text[1], shape->value};
    if (shape->kind == TREE_SET || shape->kind == TREE_HASH) item.key.high = hash_bytes(&seed, item.parts[0]);
    if (shape->kind == TREE_SCORES) item.score = (double)(random >> 40);
    if (shape->kind == TREE_STREAM)
        item.key.high = 1700000000000 + number * 3; /* one every three milliseconds */
    return item;
}

static struct tree_item index_item(const struct tree_item *item) {
    return (struct tree_item){.key = {(uint32_t)hash_bytes(&seed, item->parts[0]), 0}, .score = item->score};
}

static void add(struct value *value, uint64_t number) {
    char text[2][32];
    struct tree_item item = item_of(value->shape, number, text);
    bool in_order = value->shape->kind == TREE_LIST || value->shape->kind == TREE_STREAM;
    bool done = in_order ? tree_push(&value->tree, &context, &item, TREE_BACK)
                         : tree_put(&value->tree, &context, &item, false) == TREE_ADDED;
    if (value->shape->kind == TREE_SCORES) {
        struct tree_item entry = index_item(&item);
        done = done && tree_put(&value->index, &context, &entry, false) == TREE_ADDED;
    }
    if (!done) abort();
}

static void delete_random(struct value *value, uint64_t random) {
    uint64_t position = random % value->tree.count;
    if (value->shape->kind == TREE_SCORES) {
        struct tree_cursor cursor;
        struct tree_item item;
        tree_select(&cursor, &value->tree, position);
        tree_get(&cursor, &item);
        struct tree_item entry = index_item(&item);
        if (tree_remove(&value->index, &context, &entry) != TREE_REMOVED) abort();
    }
    if (!tree_remove_range(&value->tree, &context, position, 1)) abort();
}

static void fill(struct value *value, uint64_t elements) {
    while (value->tree.count < elements) add(value, value->next_number++);
}

static void report(const struct value *value, const char *when) {
    unsigned budget = UINT32_MAX;
    graves_dig(&graves, &budget);
    double count = (double)value->tree.count, used = (double)heap_used(heap) / count;
    printf("%-7s %-22s %9.0f elements  %6.2f bytes each  %6.2f in chunks", value->shape->name, when, count,
           used, (double)heap_resident(heap) / count);
    if (value->tree.bytes + value->index.bytes != heap_used(heap))
        printf("  (the tree says %.2f)", (double)(value->tree.bytes + value->index.bytes) / count);
    printf("  %s\n", used <= value->shape->target ? "MET" : "missed");
}

/* ---- Lookups -------------------------------------------------------------------------------------- */

static bool look_up(const struct value *value, const struct tree_item *item) {
    struct tree_cursor cursor;
    struct tree_item found;
    if (value->shape->kind != TREE_SCORES)
        return tree_look_up(&value->tree, item->key.high, item->parts[0], &found);
    struct tree_item entry = index_item(item), wanted = *item;
    for (tree_lower_bound(&cursor, &value->index, &entry); cursor.leaf; tree_next(&cursor)) {
        struct tree_cursor member;
        tree_get(&cursor, &found);
        if (found.key.high != entry.key.high) return false;
        wanted.score = found.score;
        if (tree_lower_bound(&member, &value->tree, &wanted)) return true;
    }
    return false;
}

static void ask_ahead(const struct value *value, const struct tree_item *items) {
    struct tree_found found[TREE_AHEAD_MOST];
    uint64_t hashes[TREE_AHEAD_MOST];
    for (unsigned i = 0; i < TREE_AHEAD_MOST; i++) hashes[i] = items[i].key.high;
    tree_ahead_of_hashes(&value->tree, hashes, TREE_AHEAD_MOST, found);
}

static void time_lookups(const struct value *value, uint64_t elements) {
    static char text[BATCH][2][32];
    static struct tree_item items[BATCH];
    uint64_t found[2] = {0, 0};
    double taken[2] = {0, 0};
    for (unsigned prefetched = 0; prefetched < 2; prefetched++)
        for (unsigned batch = 0; batch < LOOKUPS / BATCH; batch++) {
            for (unsigned i = 0; i < BATCH; i++)
                items[i] = item_of(value->shape, mix(batch * BATCH + i + 7) % elements, text[i]);
            double begin = seconds();
            for (unsigned i = 0; prefetched && i < BATCH; i += TREE_AHEAD_MOST) ask_ahead(value, items + i);
            for (unsigned i = 0; i < BATCH; i++) found[prefetched] += look_up(value, &items[i]);
            taken[prefetched] += seconds() - begin;
        }
    printf("%-7s lookup %6.1f ns, prefetched over batches of %d %6.1f ns\n", value->shape->name,
           taken[0] / LOOKUPS * 1e9, BATCH, taken[1] / LOOKUPS * 1e9);
    if (found[0] != LOOKUPS / BATCH * BATCH || found[1] != found[0]) abort();
}

static void time_open_table(uint64_t elements) {
    const struct shape *shape = &shapes[1];
    uint64_t size = 1, found = 0;
    double taken = 0;
    while (size < elements * 2) size *= 2;
    char(**table)[32] = calloc(size, sizeof *table), (*members)[32] = calloc(elements, sizeof *members);
    if (!table || !members) abort();
    for (uint64_t i = 0; i < elements; i++) {
        char text[2][32];
        struct tree_item item = item_of(shape, i, text);
        uint64_t at = item.key.high & (size - 1);
        memcpy(members[i], text[0], 32);
        while (table[at]) at = (at + 1) & (size - 1);
        table[at] = &members[i];
    }
    static char text[BATCH][2][32];
    static struct tree_item items[BATCH];
    for (unsigned batch = 0; batch < LOOKUPS / BATCH; batch++) {
        for (unsigned i = 0; i < BATCH; i++)
            items[i] = item_of(shape, mix(batch * BATCH + i + 7) % elements, text[i]);
        double begin = seconds();
        for (unsigned i = 0; i < BATCH; i++) {
            uint64_t at = items[i].key.high & (size - 1);
            while (table[at] && memcmp(*table[at], text[i][0], shape->member) != 0)
                at = (at + 1) & (size - 1);
            found += table[at] != NULL;
        }
        taken += seconds() - begin;
    }
    printf("table   lookup %6.1f ns\n", taken / LOOKUPS * 1e9);
    if (found != LOOKUPS / BATCH * BATCH) abort();
    free(table);
    free(members);
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

static void measure(const struct shape *shape, uint64_t elements) {
    struct value value = {.tree = tree_empty(shape->kind), .index = tree_empty(TREE_INDEX), .shape = shape};
    double begin = seconds();
    fill(&value, elements);
    double taken = seconds() - begin;
    report(&value, "built");
    printf("%-7s %.0f ns to add one\n", shape->name, taken / (double)elements * 1e9);
    if (shape->kind == TREE_SET || shape->kind == TREE_HASH || shape->kind == TREE_SCORES)
        time_lookups(&value, elements);
    for (uint64_t i = 0; i < elements / 2; i++) delete_random(&value, mix(i));
    report(&value, "half deleted");
    fill(&value, elements);
    report(&value, "refilled");
    tree_release(&value.tree, &graves);
    tree_release(&value.index, &graves);
    unsigned budget = UINT32_MAX;
    graves_dig(&graves, &budget);
    if (heap_used(heap) != 0) abort();
    while (heap_return(heap, 1000)) {
    }
}

int main(int argc, char **argv) {
    uint64_t elements = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    struct heaps *heaps = heaps_new(1, false);
    if (heaps == NULL || elements == 0) return 1;
    heap = heaps_at(heaps, 0);
    context = (struct tree_context){heap, &seed, &graves, false, NULL};
    for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (argc < 3 || strcmp(argv[2], shapes[i].name) == 0) measure(&shapes[i], elements);
    if (argc < 3) time_open_table(elements);
    heaps_free(heaps);
    return 0;
}
