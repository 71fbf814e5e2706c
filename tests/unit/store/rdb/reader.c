/* Values by hand, of every type, whole and in pieces; cut off, changed, and wrong in each way that a type can be. */
#include "store/rdb/reader.h"

#include <limits.h>

#include "store/memory/memory.h"
#include "tests/rdb_model.h"

static unsigned long long seed;
static unsigned memory_left = UINT_MAX; /* allocations that succeed from now on */

void *memory_resize(void *old, size_t size) {
    if (memory_left == 0) return NULL;
    if (memory_left != UINT_MAX) memory_left--;
    return realloc(old, size);
}

struct sample {
    unsigned type, version;
    struct bytes value, text;
};

#define ZL_AB "\x11\0\0\0\x0d\0\0\0\2\0\0\1a\3\1b\xff"
#define ZL_A1 "\x10\0\0\0\x0d\0\0\0\2\0\0\1a\3\xf2\xff"
#define LP_AB "\x0d\0\0\0\2\0\x81\x61\2\x81\x62\2\xff"
#define LP_A1 "\x0c\0\0\0\2\0\x81\x61\2\1\1\xff"
#define BASE  "\xe8\3\0\0\0\0\0\0" /* 1000 */

static const struct sample samples[] = {
    {RDB_TYPE_STRING, 1, BYTES_INIT("\5hello"), BYTES_INIT("string\n  \"hello\"\n")},
    {RDB_TYPE_STRING, 1, BYTES_INIT("\xc0\7"), BYTES_INIT("string\n  \"7\"\n")},
    {RDB_TYPE_STRING, 1, BYTES_INIT("\0"), BYTES_INIT("string\n  \"\"\n")},
    {RDB_TYPE_LIST, 1, BYTES_INIT("\3\1b\1a\1b"), BYTES_INIT("list\n  \"b\"\n  \"a\"\n  \"b\"\n")},
    {RDB_TYPE_SET, 1, BYTES_INIT("\2\1b\1a"), BYTES_INIT("set\n  \"a\"\n  \"b\"\n")},
    {RDB_TYPE_ZSET_TEXT, 1,
     BYTES_INIT("\4\1b\3"
                "1.5\1a\1"
                "2\1c\xfe\1d\xff"),
     BYTES_INIT("zset\n  -inf \"d\"\n  1.5 \"b\"\n  2 \"a\"\n  inf \"c\"\n")},
    {RDB_TYPE_HASH, 1, BYTES_INIT("\2\1f\1v\1g\xc3\4\4\0a\x20\0"),
     BYTES_INIT("hash\n  \"f\" \"v\"\n  \"g\" \"aaaa\"\n")},
    {RDB_TYPE_ZSET, 8, BYTES_INIT("\1\1a\0\0\0\0\0\0\xf8\x3f"), BYTES_INIT("zset\n  1.5 \"a\"\n")},
    {RDB_TYPE_HASH_ZIPMAP, 1, BYTES_INIT("\x07\1\1a\1\0b\xff"), BYTES_INIT("hash\n  \"a\" \"b\"\n")},
    {RDB_TYPE_LIST_ZIPLIST, 2, BYTES_INIT("\x11" ZL_AB), BYTES_INIT("list\n  \"a\"\n  \"b\"\n")},
    {RDB_TYPE_SET_INTSET, 2, BYTES_INIT("\x0c\2\0\0\0\2\0\0\0\xff\xff\1\0"),
     BYTES_INIT("set\n  \"-1\"\n  \"1\"\n")},
    {RDB_TYPE_ZSET_ZIPLIST, 2, BYTES_INIT("\x10" ZL_A1), BYTES_INIT("zset\n  1 \"a\"\n")},
    {RDB_TYPE_HASH_ZIPLIST, 4, BYTES_INIT("\x11" ZL_AB), BYTES_INIT("hash\n  \"a\" \"b\"\n")},
    {RDB_TYPE_LIST_QUICKLIST, 7, BYTES_INIT("\3\x11" ZL_AB "\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff\x10" ZL_A1),
     BYTES_INIT("list\n  \"a\"\n  \"b\"\n  \"a\"\n  \"1\"\n")},
    {RDB_TYPE_HASH_LISTPACK, 10, BYTES_INIT("\x0d" LP_AB), BYTES_INIT("hash\n  \"a\" \"b\"\n")},
    {RDB_TYPE_ZSET_LISTPACK, 10, BYTES_INIT("\x0c" LP_A1), BYTES_INIT("zset\n  1 \"a\"\n")},
    {RDB_TYPE_LIST_QUICKLIST_2, 10, BYTES_INIT("\3\2\x0d" LP_AB "\1\5plain\2\x0c" LP_A1),
     BYTES_INIT("list\n  \"a\"\n  \"b\"\n  \"plain\"\n  \"a\"\n  \"1\"\n")},
    {RDB_TYPE_SET_LISTPACK, 11, BYTES_INIT("\x0d" LP_AB), BYTES_INIT("set\n  \"a\"\n  \"b\"\n")},
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 12, BYTES_INIT("\2\0\1f\1v\x43\xe8\1g\1w"),
     BYTES_INIT("hash\n  \"f\" \"v\"\n  \"g\" \"w\" expire=1000\n")},
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 80, BYTES_INIT("\2\1f\1v" BASE "\1g\1w\xff\xff\xff\xff\xff\xff\xff\xff"),
     BYTES_INIT("hash\n  \"f\" \"v\" expire=1000\n  \"g\" \"w\"\n")},
    {RDB_TYPE_HASH_EXPIRING_LISTPACK_DRAFT, 12, BYTES_INIT("\x0f\x0f\0\0\0\3\0\x81\x61\2\x81\x62\2\5\1\xff"),
     BYTES_INIT("hash\n  \"a\" \"b\" expire=5\n")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT(BASE "\3\0\1f\1v\1\1g\1w\2\1h\1x"),
     BYTES_INIT("hash\n  \"f\" \"v\"\n  \"g\" \"w\" expire=1000\n  \"h\" \"x\" expire=1001\n")},
    {RDB_TYPE_HASH_EXPIRING_LISTPACK, 12,
     BYTES_INIT(BASE "\x10\x10\0\0\0\3\0\x81\x61\2\x81\x62\2\xc3\xe8\2\xff"),
     BYTES_INIT("hash\n  \"a\" \"b\" expire=1000\n")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT(BASE "\2\1\1g\1w\0\1h\1x"),
     BYTES_INIT("hash\n  \"g\" \"w\" expire=1000\n  \"h\" \"x\"\n")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT("\xff\xff\xff\xff\xff\xff\0\0\1\0\1f\1v"), /* 2^48 - 1: none */
     BYTES_INIT("hash\n  \"f\" \"v\"\n")},
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 80, BYTES_INIT("\1\1f\1v\xfe\xff\xff\xff\xff\xff\0\0"), /* the latest */
     BYTES_INIT("hash\n  \"f\" \"v\" expire=281474976710654\n")},
    /* What is wrong. */
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 80, BYTES_INIT("\1\1f\1v\xff\xff\xff\xff\xff\xff\0\0"), BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT(BASE "\1\x81\xff\xff\xff\xff\xff\xff\xff\xff\1f\1v"),
     BYTES_INIT("")},
    {RDB_TYPE_SET, 1, BYTES_INIT("\2\1a\1a"), BYTES_INIT("")},
    {RDB_TYPE_HASH, 1, BYTES_INIT("\2\1f\1v\1f\1w"), BYTES_INIT("")},
    {RDB_TYPE_ZSET_TEXT, 1, BYTES_INIT("\1\1b\xfd"), BYTES_INIT("")},
    {RDB_TYPE_ZSET_TEXT, 1, BYTES_INIT("\1\1b\0"), BYTES_INIT("")},
    {RDB_TYPE_ZSET_TEXT, 1,
     BYTES_INIT("\1\1b\2"
                "1x"),
     BYTES_INIT("")},
    {RDB_TYPE_ZSET, 8, BYTES_INIT("\1\1a\0\0\0\0\0\0\xf8\x7f"), BYTES_INIT("")},
    {RDB_TYPE_ZSET_LISTPACK, 10, BYTES_INIT("\x0d" LP_AB), BYTES_INIT("")},
    {RDB_TYPE_HASH_LISTPACK, 10, BYTES_INIT("\x0a\x0a\0\0\0\1\0\x81\x61\2\xff"), BYTES_INIT("")},
    {RDB_TYPE_LIST_QUICKLIST_2, 10, BYTES_INIT("\1\3\x0d" LP_AB), BYTES_INIT("")},
    {RDB_TYPE_LIST_QUICKLIST_2, 10, BYTES_INIT("\1\1\0"), BYTES_INIT("")},
    {RDB_TYPE_LIST, 1, BYTES_INIT("\xc0\1\1a"), BYTES_INIT("")}, /* an integer for a count */
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT("\xff\xff\xff\xff\xff\xff\0\0\1\2\1f\1v"), BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\1\0\1f\1v"), BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING, 12, BYTES_INIT("\0\0\0\0\0\0\1\0\1\0\1f\1v"), BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 12, BYTES_INIT("\1\x81\xff\xff\xff\xff\xff\xff\xff\xff\1g\1w"),
     BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING_DRAFT, 80, BYTES_INIT("\1\1f\1v\xfe\xff\xff\xff\xff\xff\xff\xff"),
     BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING_LISTPACK_DRAFT, 12,
     BYTES_INIT("\x10\x10\0\0\0\3\0\x81\x61\2\x81\x62\2\x81x\2\xff"), BYTES_INIT("")},
    {RDB_TYPE_HASH_EXPIRING_LISTPACK_DRAFT, 12, BYTES_INIT("\x0d" LP_AB), BYTES_INIT("")},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static bool valid(const struct sample *sample) {
    return sample->text.len > 0;
}

static void each_says_what_is_in_it(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        const struct sample *sample = &samples[i];
        for (size_t piece = 0; piece <= sample->value.len; piece++) {
            struct model model;
            enum rdb_read read = model_read(&model, sample->type, sample->version, sample->value, piece);
            if ((read == RDB_READ_DONE) != valid(sample)) printf("sample %zu\n", i);
            CHECK(read == (valid(sample) ? RDB_READ_DONE : RDB_READ_CORRUPT));
            if (valid(sample)) {
                struct text text = model_text(&model);
                CHECK(model.ended && model.rest == 0);
                CHECK_BYTES(text_bytes(&text), sample->text);
                free(text.data);
            }
            model_clear(&model);
        }
    }
}

static void what_follows_is_left(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        char longer[300];
        struct model model;
        size_t len = samples[i].value.len;
        if (!valid(&samples[i])) continue;
        memcpy(longer, samples[i].value.data, len);
        memset(longer + len, 'x', 7);
        CHECK(model_read(&model, samples[i].type, samples[i].version, (struct bytes){longer, len + 7}, 0) ==
              RDB_READ_DONE);
        CHECK_INT(model.rest, 7);
        model_clear(&model);
    }
}

static void none_may_be_cut_off(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t len = 0; valid(&samples[i]) && len < samples[i].value.len; len++) {
            struct model model;
            struct bytes cut = {samples[i].value.data, len};
            CHECK(model_read(&model, samples[i].type, samples[i].version, cut, 0) == RDB_READ_CORRUPT);
            model_clear(&model);
            CHECK(model_read(&model, samples[i].type, samples[i].version, cut, 2) == RDB_READ_MORE);
            model_clear(&model);
        }
    }
}

static void what_is_skipped_ends_where_it_would_be_read_to(void) {
    for (size_t i = 0; i < SAMPLES; i++) {
        char longer[300];
        size_t len = samples[i].value.len;
        if (!valid(&samples[i])) continue;
        memcpy(longer, samples[i].value.data, len);
        memset(longer + len, 'x', 7);
        struct bytes input = {longer, len + 7};
        CHECK(rdb_skip_value(samples[i].type, samples[i].version, &input));
        CHECK(input.data == longer + len && input.len == 7);
        for (size_t cut = 0; cut < len; cut++) {
            input = (struct bytes){longer, cut};
            CHECK(!rdb_skip_value(samples[i].type, samples[i].version, &input));
        }
    }
    struct bytes stream = BYTES_INIT("\0\0\0\0\0"), none = stream;
    CHECK(!rdb_skip_value(RDB_TYPE_STREAM, 10, &stream) && !rdb_skip_value(RDB_TYPE_MODULE_2, 10, &none));
    CHECK(!rdb_skip_value(200, 10, &none));
}

static void strings_are_skipped(void) {
    static const struct {
        struct bytes text;
        size_t len;
        bool plain;
    } texts[] = {{BYTES_INIT("\3abc+"), 4, true},
                 {BYTES_INIT("\0+"), 1, true},
                 {BYTES_INIT("\x40\2ab+"), 4, true},
                 {BYTES_INIT("\x80\0\0\0\1a+"), 6, true},
                 {BYTES_INIT("\xc0\7+"), 2, false},
                 {BYTES_INIT("\xc2\1\1\1\1+"), 5, false},
                 {BYTES_INIT("\xc3\4\4\0a\x20\0+"), 7, false}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct bytes input = texts[i].text, plain;
        CHECK(rdb_skip_text(&input, &plain) && input.data == texts[i].text.data + texts[i].len);
        CHECK(texts[i].plain == (plain.data != NULL) &&
              (!texts[i].plain || plain.data + plain.len == input.data));
        for (size_t cut = 0; cut < texts[i].len; cut++) {
            input = (struct bytes){texts[i].text.data, cut};
            CHECK(!rdb_skip_text(&input, &plain));
        }
    }
    struct bytes none = BYTES_INIT("\xc4....."),
                 endless = BYTES_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff.....");
    CHECK(!rdb_skip_text(&none, NULL) && !rdb_skip_text(&endless, NULL));
}

static void changed_bytes_lead_nowhere(void) {
    for (unsigned i = 0; i < 100000; i++) {
        const struct sample *sample = &samples[check_random(&seed) % SAMPLES];
        char changed[300];
        struct model model;
        memcpy(changed, sample->value.data, sample->value.len);
        for (unsigned changes = 0; changes < 1 + i % 3; changes++)
            changed[check_random(&seed) % sample->value.len] = (char)check_random(&seed);
        struct bytes value = {changed, sample->value.len};
        enum rdb_read whole = model_read(&model, sample->type, sample->version, value, 0);
        model_clear(&model);
        enum rdb_read pieces = model_read(&model, sample->type, sample->version, value, 1 + i % 5);
        CHECK(whole == pieces || (whole == RDB_READ_CORRUPT && pieces == RDB_READ_MORE));
        model_clear(&model);
    }
}

static enum rdb_read open(unsigned type) {
    struct rdb_reader reader;
    struct model model = {.loader = model_loader};
    enum rdb_read read = rdb_reader_open(&reader, &model.loader, type, 10);
    rdb_reader_close(&reader);
    return read;
}

static void what_cannot_be_read_has_a_name(void) {
    unsigned known = 0;
    for (unsigned type = 0; type < 300; type++) {
        bool module = type == 6 || type == 7;
        enum rdb_read read = open(type);
        CHECK((read == RDB_READ_MODULE) == module);
        known += read == RDB_READ_DONE;
    }
    CHECK_INT(known, 25);
}

static void what_is_empty_has_a_name(void) {
    static const struct sample empty[] = {
        {RDB_TYPE_LIST, 1, BYTES_INIT("\0"), BYTES_INIT("")},
        {RDB_TYPE_HASH, 1, BYTES_INIT("\0"), BYTES_INIT("")},
        {RDB_TYPE_LIST_QUICKLIST, 7, BYTES_INIT("\1\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"), BYTES_INIT("")},
        {RDB_TYPE_HASH_LISTPACK, 10, BYTES_INIT("\7\7\0\0\0\0\0\xff"), BYTES_INIT("")},
    };
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct model model;
        CHECK(model_read(&model, empty[i].type, empty[i].version, empty[i].value, 0) == RDB_READ_EMPTY);
        model_clear(&model);
    }
}

/* Nobody is told of more than can come. */
static void hints_are_no_larger_than_what_pays_for_them(void) {
    struct model model;
    CHECK(model_read(&model, RDB_TYPE_SET, 10, BYTES("\x80\xff\xff\xff\xff\1a"), 0) == RDB_READ_CORRUPT);
    CHECK(model.begun && model.hint == 0);
    model_clear(&model);
    CHECK(model_read(&model, RDB_TYPE_SET, 10, BYTES("\2\1a\1b"), 0) == RDB_READ_DONE);
    CHECK_INT(model.hint, 2);
    model_clear(&model);
    CHECK(model_read(&model, RDB_TYPE_HASH_LISTPACK, 10, BYTES("\x0d" LP_AB), 0) == RDB_READ_DONE);
    CHECK_INT(model.hint, 1);
    model_clear(&model);
}

static void long_strings_are_refused(void) {
    struct rdb_reader reader;
    struct model model = {.loader = model_loader};
    struct bytes input = BYTES("\5hello");
    CHECK(rdb_reader_open(&reader, &model.loader, RDB_TYPE_STRING, 10) == RDB_READ_DONE);
    reader.max_bytes = 4;
    CHECK(rdb_read(&reader, &input) == RDB_READ_CORRUPT);
    rdb_reader_close(&reader);
}

/* ---- Loaders that have no room -------------------------------------------------------------------- */

static unsigned answers_left;
static enum rdb_answer limited(void) {
    return answers_left-- ? RDB_TAKEN : RDB_NO_ROOM;
}
static enum rdb_answer limited_begin(struct rdb_loader *loader, enum rdb_kind kind, uint64_t hint) {
    return limited();
}
static enum rdb_answer limited_element(struct rdb_loader *loader, const struct rdb_element *element) {
    return limited();
}
static enum rdb_answer limited_end(struct rdb_loader *loader) {
    return limited();
}

static void a_loader_without_room_ends_it(void) {
    struct rdb_loader loader = {limited_begin, limited_element, limited_end, NULL};
    for (size_t i = 0; i < SAMPLES; i++) {
        enum rdb_read read = RDB_READ_NO_MEMORY;
        for (unsigned answers = 0; valid(&samples[i]) && read != RDB_READ_DONE; answers++) {
            struct rdb_reader reader;
            struct bytes input = samples[i].value;
            CHECK(rdb_reader_open(&reader, &loader, samples[i].type, samples[i].version) == RDB_READ_DONE);
            answers_left = answers;
            read = rdb_read(&reader, &input);
            CHECK(read == RDB_READ_NO_MEMORY || (read == RDB_READ_DONE && answers >= 3));
            rdb_reader_close(&reader);
        }
    }
}

/* Wherever memory ends, it is said; with enough of it, the value is there. */
static void without_memory_it_ends(void) {
    unsigned failures = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        enum rdb_read read = RDB_READ_NO_MEMORY;
        for (unsigned allocations = 0; valid(&samples[i]) && read != RDB_READ_DONE; allocations++) {
            struct model model;
            memory_left = allocations;
            read = model_read(&model, samples[i].type, samples[i].version, samples[i].value, 2);
            memory_left = UINT_MAX;
            CHECK(read == RDB_READ_NO_MEMORY || read == RDB_READ_DONE);
            failures += read == RDB_READ_NO_MEMORY;
            struct text text = model_text(&model);
            if (read == RDB_READ_DONE) CHECK_BYTES(text_bytes(&text), samples[i].text);
            free(text.data);
            model_clear(&model);
        }
    }
    CHECK(failures > SAMPLES);
}

int main(void) {
    seed = check_seed();
    RUN(each_says_what_is_in_it);
    RUN(what_follows_is_left);
    RUN(none_may_be_cut_off);
    RUN(what_is_skipped_ends_where_it_would_be_read_to);
    RUN(strings_are_skipped);
    RUN(changed_bytes_lead_nowhere);
    RUN(what_cannot_be_read_has_a_name);
    RUN(what_is_empty_has_a_name);
    RUN(hints_are_no_larger_than_what_pays_for_them);
    RUN(long_strings_are_refused);
    RUN(a_loader_without_room_ends_it);
    RUN(without_memory_it_ends);
    return 0;
}
