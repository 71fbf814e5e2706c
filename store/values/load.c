/* load.c - the reader's elements go to the row of the type that they are of. */
#include "store/values/load.h"

#include "protocol/assert.h"

static struct loading *loading_of(struct rdb_loader *loader) {
    return (struct loading *)(void *)loader;
}
_Static_assert(offsetof(struct loading, loader) == 0, "a loader is found at its loading's address");

static enum rdb_answer begin(struct rdb_loader *loader, enum rdb_kind kind, uint64_t hint) {
    static const enum entry_type types[] = {
        [RDB_STRING] = TYPE_STRING, [RDB_LIST] = TYPE_LIST, [RDB_SET] = TYPE_SET,
        [RDB_ZSET] = TYPE_ZSET,     [RDB_HASH] = TYPE_HASH, [RDB_STREAM] = TYPE_STREAM};
    struct loading *loading = loading_of(loader);
    const struct type *const *rows = loading->options->types ? loading->options->types : type_rows;
    (void)hint;
    loading->type = rows[types[kind]];
    loading->value = (struct value){.type = types[kind], .bytes = {loading->bytes, 0}};
    return loading->type ? RDB_TAKEN : RDB_REFUSED;
}

static enum rdb_answer element(struct rdb_loader *loader, const struct rdb_element *element) {
    struct loading *loading = loading_of(loader);
    assert(loading->type);
    return loading->type->load(loading, element);
}

static enum rdb_answer all(struct rdb_loader *loader, struct packed *packed) {
    struct loading *loading = loading_of(loader);
    assert(loading->type && packed->seen == 0);
    return loading->type->load_all ? loading->type->load_all(loading, packed) : RDB_SINGLY;
}

static enum rdb_answer end(struct rdb_loader *loader) {
    struct loading *loading = loading_of(loader);
    assert(loading->type);
    return loading->type->loaded ? loading->type->loaded(loading) : RDB_TAKEN;
}

static enum loaded loaded_of(const struct loading *loading, enum rdb_read read) {
    switch (read) {
    case RDB_READ_DONE: return LOAD_DONE;
    case RDB_READ_MORE: return LOAD_MORE;
    case RDB_READ_EMPTY: return LOAD_EMPTY;
    case RDB_READ_MODULE: return LOAD_UNKNOWN;
    case RDB_READ_NO_MEMORY: return LOAD_NO_MEMORY;
    default: return loading->type || loading->value.type == TYPE_STRING ? LOAD_CORRUPT : LOAD_UNKNOWN;
    }
}

void load_begin(struct loading *loading, const struct load_options *options, unsigned type,
                unsigned version) {
    loading->loader = (struct rdb_loader){begin, element, end, all};
    loading->options = options;
    loading->type = NULL;
    loading->group = NULL;
    loading->producer = NULL;
    loading->consumer = 0;
    loading->gather = (struct gather){0};
    loading->packed = type == RDB_TYPE_HASH_ZIPLIST || type == RDB_TYPE_HASH_LISTPACK ||
                      type == RDB_TYPE_ZSET_ZIPLIST || type == RDB_TYPE_ZSET_LISTPACK;
    loading->value = (struct value){.kind = VALUE_INLINE};
    loading->opened = loaded_of(loading, rdb_reader_open(&loading->reader, &loading->loader, type, version));
    loading->reader.max_bytes = options->max_bytes;
    loading->reader.whole = options->whole;
}

enum loaded load_more(struct loading *loading, struct bytes *input) {
    if (loading->opened != LOAD_DONE) return loading->opened;
    return loaded_of(loading, rdb_read(&loading->reader, input));
}

void load_end(struct loading *loading) {
    if (loading->opened == LOAD_DONE) rdb_reader_close(&loading->reader);
    if (loading->gather.items) gather_drop(&loading->gather);
    value_release(&loading->value, loading->options->dead);
    loading->value = (struct value){.kind = VALUE_INLINE};
}

enum rdb_answer load_pour(struct loading *loading, struct tree *tree) {
    if (loading->gather.count == 0) return RDB_TAKEN;
    enum tree_changed changed = gather_pour(&loading->gather, tree, &loading->options->context);
    return changed == TREE_ADDED ? RDB_TAKEN : changed == TREE_NO_MEMORY ? RDB_NO_ROOM : RDB_REFUSED;
}

enum rdb_answer load_fit(struct loading *loading, struct tree *tree) {
    enum rdb_answer answer = load_pour(loading, tree);
    if (answer == RDB_TAKEN && loading->gather.fits) tree_fit(tree, &loading->options->context);
    return answer;
}
