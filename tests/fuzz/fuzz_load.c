/* fuzz_load.c - RESTORE's way from bytes to values: the reader, and what every type makes of the elements that it gives.
 *
 * A value is taken or refused, and all the same in pieces. One that was taken holds what its invariants say, takes no more
 * memory than its bytes pay for, and gives the same again when it is dumped and loaded. What is taken all at once is what
 * comes of its elements, one after another. Of each of them nothing is left at the end.
 *
 * The first byte of an input is the size of the pieces, and its lowest bit says where the thresholds are; the second is the
 * version, the third the type; the rest is the value. */
#include "fuzz.h"

#include "protocol/buffer.h"
#include "store/types/collection.h"
#include "store/types/hash.h"
#include "store/types/hash_timed.h"
#include "store/types/stream.h"
#include "store/values/load.h"
#include "tests/check.h"
#include "tests/load_in_pieces.h"

enum {
    STRING_MAX = 1 << 16,
    DUMP_MAX = 1 << 26,
    /* A byte may stand for 88 once it is decompressed, and two of these for a member with its score in two trees. */
    BYTES_FOR_ONE = 4096,
    BYTES_FOR_NONE = 1 << 15,
};

/* As random as a server's: with small numbers some inputs multiply by zero, and then two fields have one hash. */
static const struct hash_seed seed = {
    {0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89}};
static struct heaps *heaps;
static struct keyspace *ks;
static struct load_options options;

static void open_keyspace(void) {
    CHECK((heaps = heaps_new(1, false)) != NULL);
    ks = keyspace_new(&(struct keyspace_options){.seed = &seed, .databases = 1, .heap = heaps_at(heaps, 0)});
    CHECK(ks);
}

static uint64_t memory_used(void) {
    return heaps_used(heaps) + heaps_blocks(heaps) + keyspace_memory(ks);
}

static void set_options(bool low, bool whole) {
    struct load_threshold threshold = low ? (struct load_threshold){3, 8} : (struct load_threshold){512, 64};
    options = (struct load_options){
        .context = collection_context(ks), .dead = &ks->dead, .max_bytes = STRING_MAX, .whole = whole};
    for (unsigned type = 0; type < TYPES; type++) options.thresholds[type] = threshold;
}

static const struct type *type_of(const struct value *value) {
    CHECK(type_rows[value->type]);
    return type_rows[value->type];
}

static struct digest digest_of(const struct value *value) {
    struct digest digest = {{0}};
    type_of(value)->digest(value, &digest);
    return digest;
}

static void check_same_producers(const struct value *a, const struct value *b) {
    const struct stream_producers *one, *other;
    if (a->type != TYPE_STREAM || a->kind != VALUE_OBJECT) return;
    one = stream_producers_or_none(stream_at(a)->producers);
    other = stream_producers_or_none(stream_at(b)->producers);
    CHECK_INT(one->list.count, other->list.count);
    CHECK_INT(one->ids, other->ids);
    CHECK(one->added == other->added && one->repeated == other->repeated);
    CHECK(one->seconds == other->seconds && one->most == other->most);
}

static void check_same(const struct value *a, const struct value *b) {
    struct digest one = digest_of(a), other = digest_of(b);
    CHECK(a->type == b->type);
    CHECK_INT(type_of(a)->count(a), type_of(b)->count(b));
    CHECK_BYTES(digest_bytes(&one), digest_bytes(&other));
    check_same_producers(a, b);
}

static void check_trees(const struct value *value) {
    if (value->kind != VALUE_OBJECT) return;
    if (value->type == TYPE_STREAM) {
        CHECK(tree_check(&stream_at(value)->entries, &seed) &&
              tree_check(&stream_at(value)->nodes.closed, &seed));
        return;
    }
    if (value->type == TYPE_HASH && value->object->form == HASH_FORM_TIMED) return;
    const struct collection *collection = collection_of(value->object);
    CHECK(tree_check(&collection->tree, &seed) && tree_check(&collection->index, &seed));
    if (value->type == TYPE_ZSET) CHECK_INT(collection->index.count, collection->tree.count);
    if (collection->times)
        CHECK(tree_check(&collection->times->due, &seed) && tree_check(&collection->times->index, &seed));
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

struct paper {
    struct sink sink;
    struct buffer buffer;
};

static bool write_down(struct sink *sink, struct bytes bytes) {
    return buffer_append(&((struct paper *)(void *)sink)->buffer, bytes, DUMP_MAX);
}

static void round_trip(const struct value *value, size_t budget) {
    struct paper paper = {.sink = {.write = write_down}};
    struct cursor cursor = {{0}};
    struct loading loading;
    enum dumped dumped = DUMP_MORE;
    while (dumped == DUMP_MORE) dumped = type_of(value)->dump(value, &cursor, &paper.sink, budget);
    CHECK(dumped == DUMP_DONE);
    struct bytes input = {paper.buffer.data, paper.buffer.len};
    load_begin(&loading, &options, type_of(value)->form(value), RDB_VERSION_MAX);
    CHECK(load_more(&loading, &input) == LOAD_DONE && input.len == 0);
    check_same(&loading.value, value);
    load_end(&loading);
    buffer_free(&paper.buffer);
}

/* What was loaded, as the value of a key. */
static void keep(const struct value *value, size_t size, size_t budget) {
    static const struct bytes name = BYTES_INIT("key");
    struct key key = {name, hash_bytes(&seed, name)};
    check_trees(value);
    struct entry *e = keyspace_set(ks, 0, key, value, EXPIRY_NONE);
    CHECK(e);
    struct value kept = entry_value(e);
    check_same(&kept, value);
    CHECK(memory_used() <= BYTES_FOR_NONE + size * BYTES_FOR_ONE);
    round_trip(&kept, budget);
}

/* Rows that take elements one by one alone. */
static const struct type *const *plain_rows(void) {
    static struct type rows[TYPES];
    static const struct type *pointers[TYPES];
    for (unsigned i = 0; i < TYPES; i++) {
        if (type_rows[i]) rows[i] = *type_rows[i];
        rows[i].load_all = NULL;
        pointers[i] = type_rows[i] ? &rows[i] : NULL;
    }
    return pointers;
}

static void check_one_by_one(const uint8_t *data, struct bytes input, const struct loading *whole,
                             enum loaded loaded) {
    struct loading plain;
    options.types = plain_rows();
    load_begin(&plain, &options, data[2], data[1]);
    CHECK(load_more(&plain, &input) == loaded);
    if (loaded == LOAD_DONE) {
        check_same(&plain.value, &whole->value);
        CHECK(plain.value.edited == whole->value.edited && plain.value.kind == whole->value.kind);
        if (plain.value.kind == VALUE_INLINE) CHECK_BYTES(plain.value.bytes, whole->value.bytes);
    }
    load_end(&plain);
    options.types = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct loading whole, pieces;
    if (size < 3) return 0;
    if (ks == NULL) open_keyspace();
    struct bytes input = {(const char *)data + 3, size - 3}, rest = input;
    size_t piece = 1 + data[0];
    set_options(data[0] % 2, false);
    load_begin(&pieces, &options, data[2], data[1]);
    enum loaded in_pieces = load_in_pieces(&pieces, input, piece);
    options.whole = true;
    load_begin(&whole, &options, data[2], data[1]);
    enum loaded loaded = load_more(&whole, &rest);
    check_one_by_one(data, input, &whole, loaded);
    CHECK(in_pieces == loaded || (in_pieces == LOAD_MORE && loaded == LOAD_CORRUPT));
    if (loaded == LOAD_DONE) {
        check_same(&pieces.value, &whole.value);
        keep(&whole.value, size, piece);
    }
    load_end(&pieces);
    load_end(&whole);
    keyspace_flush(ks, 0);
    while (keyspace_upkeep(ks, 64)) {
    }
    CHECK(memory_used() == 0);
    return 0;
}
