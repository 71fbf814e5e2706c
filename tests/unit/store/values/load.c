/* Values of every type that there is, loaded from pieces, from bytes that are none, and without memory. */
#include "store/values/load.h"

#include "store/rdb/writer.h"
#include "store/types/hash.h"
#include "tests/unit/store/types/collection_fixture.h"

enum { DUMP_MAX = 1 << 18 };

struct paper {
    struct sink sink;
    char bytes[DUMP_MAX];
    size_t len;
};
static struct paper paper;

static bool write_down(struct sink *sink, struct bytes bytes) {
    CHECK(sink == &paper.sink && bytes.len <= DUMP_MAX - paper.len);
    if (bytes.len) memcpy(paper.bytes + paper.len, bytes.data, bytes.len);
    paper.len += bytes.len;
    return true;
}

static struct bytes dump(const struct value *value, size_t budget) {
    struct cursor cursor = {{0}};
    enum dumped dumped = DUMP_MORE;
    paper.sink.write = write_down;
    paper.len = 0;
    while (dumped == DUMP_MORE) dumped = type_rows[value->type]->dump(value, &cursor, &paper.sink, budget);
    CHECK(dumped == DUMP_DONE);
    return (struct bytes){paper.bytes, paper.len};
}

static struct load_options options_of(bool whole) {
    return (struct load_options){.context = collection_context(ks),
                                 .dead = &ks->dead,
                                 .thresholds = {[TYPE_HASH] = {512, 64}},
                                 .max_bytes = DUMP_MAX,
                                 .whole = whole};
}

/* From input that grows by random steps, as a reader of a file would: what was not taken comes again. */
static enum loaded load_in_pieces(struct loading *loading, struct bytes input) {
    size_t taken = 0, known = 0;
    for (;;) {
        struct bytes part = {input.data + taken, known - taken};
        enum loaded loaded = load_more(loading, &part);
        CHECK(part.data + part.len == input.data + known);
        taken = known - part.len;
        if (loaded != LOAD_MORE || known == input.len) return loaded;
        size_t step = 1 + random_below(random_below(2) ? 10 : 50000);
        known = input.len - known < step ? input.len : known + step;
    }
}

static void make_hash(unsigned count, unsigned value) {
    struct edit edit = edit_of("h", TYPE_HASH);
    char texts[2][TEXT_MAX];
    CHECK(edit_open(&edit, true) == EDIT_OPENED);
    for (unsigned i = 0; i < count; i++)
        CHECK(hash_set(&edit, text_of(i + 1, texts[0]), text_of(value + i, texts[1]), NULL) == HASH_ADDED);
    CHECK(!edit_close(&edit));
}

static struct digest digest_at(const struct value *value) {
    struct digest digest = {{0}};
    type_rows[value->type]->digest(value, &digest);
    return digest;
}

static void hashes_of_all_sizes_come_back(void) {
    for (unsigned count = 1; count < 2000; count += count < 150 ? 29 : 500)
        for (unsigned marked = 0; marked < 2; marked++) {
            begin();
            make_hash(count, 100);
            struct load_options options = options_of(false);
            struct value value = entry_value(keyspace_find(ks, 0, key_of("h")));
            struct loading loading;
            value.edited = marked;
            struct digest before = digest_at(&value), after;
            struct bytes dumped = dump(&value, 1 + random_below(5000));
            load_begin(&loading, &options, type_hash.form(&value), RDB_VERSION_WRITTEN);
            CHECK(load_in_pieces(&loading, dumped) == LOAD_DONE);
            CHECK_INT(hash_count(&loading.value), count);
            CHECK(loading.value.type == TYPE_HASH);
            after = digest_at(&loading.value);
            CHECK_BYTES(digest_bytes(&after), digest_bytes(&before));
            CHECK(keyspace_set(ks, 0, key_of("copy"), &loading.value, EXPIRY_NONE));
            load_end(&loading);
            value = entry_value(keyspace_find(ks, 0, key_of("copy")));
            after = digest_at(&value);
            CHECK_BYTES(digest_bytes(&after), digest_bytes(&before));
            end();
        }
}

/* The thresholds give the mark that OBJECT ENCODING goes by. */
static void thresholds_mark_what_is_loaded(void) {
    static const struct {
        struct bytes dump;
        bool marked;
    } cases[] = {
        {BYTES_INIT("\2\1a\1b\1c\1d"), false},
        {BYTES_INIT("\3\1a\1b\1c\1d\1e\1f"), true},
        {BYTES_INIT("\1\1a\4long"), true},
        {BYTES_INIT("\1\4long\1a"), true},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct load_options options = options_of(true);
        struct bytes input = cases[i].dump;
        struct loading loading;
        options.thresholds[TYPE_HASH] = (struct load_threshold){2, 3};
        load_begin(&loading, &options, RDB_TYPE_HASH, RDB_VERSION_WRITTEN);
        CHECK(load_more(&loading, &input) == LOAD_DONE && input.len == 0);
        CHECK(loading.value.edited == cases[i].marked);
        load_end(&loading);
    }
    end();
}

static void what_is_no_value_is_refused(void) {
    static const struct {
        unsigned type;
        struct bytes dump;
        enum loaded loaded;
    } cases[] = {
        {RDB_TYPE_STRING, BYTES_INIT("\xc4"), LOAD_CORRUPT},
        {RDB_TYPE_STRING, BYTES_INIT("\3ab"), LOAD_CORRUPT},
        {RDB_TYPE_STRING, BYTES_INIT("\x80\0\4\0\1"), LOAD_CORRUPT}, /* a byte above the limit */
        {RDB_TYPE_HASH, BYTES_INIT("\0"), LOAD_EMPTY},
        {RDB_TYPE_HASH, BYTES_INIT("\2\1a\1b\1a\1c"), LOAD_CORRUPT}, /* a field twice */
        {RDB_TYPE_HASH, BYTES_INIT("\2\1a\1b\1c"), LOAD_CORRUPT},
        {RDB_TYPE_HASH_EXPIRING, BYTES_INIT("\1\0\0\0\0\0\0\0\1\1\1a\1b"), LOAD_DONE},
        {RDB_TYPE_HASH_EXPIRING, BYTES_INIT("\1\0\0\0\0\0\0\0\2\1\1a\1b\0\1a\1c"), LOAD_CORRUPT},
        {RDB_TYPE_SET, BYTES_INIT("\1\1a"), LOAD_DONE},
        {RDB_TYPE_SET, BYTES_INIT("\2\1a\1a"), LOAD_CORRUPT}, /* a member twice */
        {RDB_TYPE_LIST, BYTES_INIT("\2\1a\1a"), LOAD_DONE},
        {RDB_TYPE_STREAM, BYTES_INIT("\1\1a"), LOAD_CORRUPT},
        {RDB_TYPE_STREAM, BYTES_INIT("\0\0\0\0\0"), LOAD_DONE},
        {RDB_TYPE_STREAM_4, BYTES_INIT("\0\0\0\0\0\0\0\0\0\0\x40\x64\x40\x64\0\0\0"), LOAD_DONE},
        {RDB_TYPE_STREAM_4, BYTES_INIT("\0\0\0\0\0\0\0\0\0\0\x40\x64\x40\x64\1\0\0"), LOAD_CORRUPT},
        {RDB_TYPE_MODULE_2, BYTES_INIT("\1\1a"), LOAD_UNKNOWN},
        {200, BYTES_INIT("\1\1a"), LOAD_CORRUPT},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct load_options options = options_of(true);
        struct bytes input = cases[i].dump;
        struct loading loading;
        load_begin(&loading, &options, cases[i].type, RDB_VERSION_WRITTEN);
        enum loaded loaded = load_more(&loading, &input);
        CHECK_INT(loaded, cases[i].loaded);
        load_end(&loading);
    }
    end();
}

/* A field twice, far apart, in what has become a tree. */
static void a_field_twice_is_refused_in_trees_too(void) {
    static char dump_of[3 + 400 * 8];
    char *at = dump_of;
    begin();
    at += rdb_put_len(at, 301);
    for (unsigned i = 0; i < 301; i++) {
        at += rdb_put_len(at, 4);
        at += snprintf(at, 5, "f%03u", i == 300 ? 7 : i);
        at += rdb_put_len(at, 1);
        *at++ = 'v';
    }
    struct load_options options = options_of(true);
    struct loading loading;
    struct bytes input = {dump_of, (size_t)(at - dump_of)};
    load_begin(&loading, &options, RDB_TYPE_HASH, RDB_VERSION_WRITTEN);
    CHECK(load_more(&loading, &input) == LOAD_CORRUPT);
    CHECK(loading.value.kind == VALUE_OBJECT);
    load_end(&loading);
    end();
}

static void without_memory_everything_is_given_back(void) {
    static char copy[DUMP_MAX];
    begin();
    make_hash(300, 60);
    struct value value = entry_value(keyspace_find(ks, 0, key_of("h")));
    struct bytes dumped = dump(&value, 1000);
    memcpy(copy, dumped.data, dumped.len);
    long before = nodes_live;
    for (long failed = 1, at = 0; failed; at++) {
        struct load_options options = options_of(true);
        struct bytes input = {copy, dumped.len};
        struct loading loading;
        load_begin(&loading, &options, type_hash.form(&value), RDB_VERSION_WRITTEN);
        fail_at = at;
        enum loaded loaded = load_more(&loading, &input);
        failed = loaded == LOAD_NO_MEMORY;
        fail_at = -1;
        CHECK(failed || loaded == LOAD_DONE);
        load_end(&loading);
        bury_all();
        CHECK_INT(nodes_live, before);
        CHECK(at < 2000);
    }
    end();
}

int main(void) {
    seed = check_seed();
    RUN(hashes_of_all_sizes_come_back);
    RUN(thresholds_mark_what_is_loaded);
    RUN(what_is_no_value_is_refused);
    RUN(a_field_twice_is_refused_in_trees_too);
    RUN(without_memory_everything_is_given_back);
    return 0;
}
