/* What is written is read again, in every form, in steps of any budget, compressed or not; and is
 * what Redis writes. */
#include "store/rdb/writer.h"

#include "tests/rdb_model.h"

static unsigned long long seed;
static struct rdb_compressor compressor;

static void add(struct model *model, struct bytes name, struct bytes value, double score, int64_t expiry_ms) {
    model_add(model,
              &(struct rdb_element){.name = name, .value = value, .score = score, .expiry_ms = expiry_ms});
}

static struct bytes some_bytes(char *at, size_t most) {
    size_t len = check_random(&seed) % (check_random(&seed) % 8 ? 30 : most);
    unsigned kind = (unsigned)(check_random(&seed) % 3);
    if (kind == 0)
        return (struct bytes){
            at, number_format_i64(at, (int64_t)check_random(&seed) >> check_random(&seed) % 64)};
    for (size_t i = 0; i < len; i++) at[i] = kind == 1 ? "ab"[i % 7 == 0] : (char)check_random(&seed);
    return (struct bytes){at, len};
}

/* A value of a kind with up to so many elements. A set has only integers sometimes. */
static void fill(struct model *model, enum rdb_kind kind, unsigned most, bool integers, bool expiring) {
    char name[3000], value[3000];
    unsigned count = kind == RDB_STRING ? 1 : 1 + (unsigned)(check_random(&seed) % most);
    *model = (struct model){.source.kind = kind};
    for (unsigned i = 0; i < count; i++) {
        struct bytes bytes = some_bytes(name, sizeof name);
        if (integers)
            bytes.len = number_format_i64(name, (int64_t)i * 7 - (int64_t)(check_random(&seed) % 7) - 70);
        /* Distinct: the number stands behind. */
        else if (kind != RDB_STRING && kind != RDB_LIST && bytes.len < sizeof name - 20)
            bytes.len += (size_t)snprintf(name + bytes.len, 20, ".%u", i);
        struct bytes other = kind == RDB_HASH ? some_bytes(value, sizeof value) : BYTES("");
        double score = kind != RDB_ZSET          ? 0
                       : check_random(&seed) % 2 ? (double)i
                                                 : (double)check_random(&seed) / 3;
        add(model, bytes, other, score,
            expiring && i % 3 ? 1000000 + (int64_t)(check_random(&seed) % 100000) : 0);
    }
    CHECK(model_sort(model));
}

/* Writes it, reads it, and compares. */
static void round_trip(struct model *model, enum rdb_form form, bool compress, size_t budget) {
    struct text written = model_write(model, form, compress ? &compressor : NULL, budget), before, after;
    struct model back;
    unsigned type = rdb_type_of(model_source(model), form), version = rdb_version_of(model_source(model));
    size_t piece = check_random(&seed) % 2 ? 0 : 1 + check_random(&seed) % 500;
    CHECK(model_read(&back, type, version, text_bytes(&written), piece) == RDB_READ_DONE);
    CHECK_INT(back.rest, 0);
    before = model_text(model), after = model_text(&back);
    CHECK_BYTES(text_bytes(&after), text_bytes(&before));
    for (size_t i = 0; i < model->count; i++) CHECK(back.elements[i].score == model->elements[i].score);
    free(written.data), free(before.data), free(after.data);
    model_clear(&back);
}

static void what_is_written_is_read(void) {
    for (unsigned i = 0; i < 3000; i++) {
        struct model model;
        enum rdb_kind kind = (enum rdb_kind)(i % 5);
        bool integers = kind == RDB_SET && i % 2, expiring = kind == RDB_HASH && i % 4 == 0;
        fill(&model, kind, i % 50 ? 20 : 600, integers, expiring);
        round_trip(&model, RDB_FORM_PLAIN, i % 3, 1 + check_random(&seed) % 300);
        if (rdb_may_pack(model_source(&model), UINT64_MAX, SIZE_MAX))
            round_trip(&model, RDB_FORM_PACKED, i % 3, 1);
        model_clear(&model);
    }
}

static void what_may_be_packed_has_bounds(void) {
    struct model model = {.source.kind = RDB_HASH};
    add(&model, BYTES("field"), BYTES("value!"), 0, 0);
    add(&model, BYTES("fiel"), BYTES(""), 0, 0);
    CHECK(rdb_may_pack(model_source(&model), 2, 6));
    CHECK(!rdb_may_pack(model_source(&model), 1, 6));
    CHECK(!rdb_may_pack(model_source(&model), 2, 5));
    model.elements[0].expiry_ms = 5;
    CHECK(!rdb_may_pack(model_source(&model), 2, 6));
    model_clear(&model);
    model.source.kind = RDB_SET;
    add(&model, BYTES("-1"), BYTES(""), 0, 0);
    add(&model, BYTES("10"), BYTES(""), 0, 0);
    CHECK(rdb_may_pack(model_source(&model), 2, 6));
    add(&model, BYTES("9"), BYTES(""), 0, 0); /* not in order */
    CHECK(!rdb_may_pack(model_source(&model), 9, 6));
    model.elements[2].name.len = 0; /* no integer */
    CHECK(!rdb_may_pack(model_source(&model), 9, 6));
    model_clear(&model);
}

static void the_bytes_are_those_of_redis(void) {
    static const struct {
        enum rdb_kind kind;
        enum rdb_form form;
        unsigned type;
        struct bytes bytes;
    } cases[] = {
        {RDB_STRING, RDB_FORM_PLAIN, 0, BYTES_INIT("\xc0\7")},
        {RDB_LIST, RDB_FORM_PLAIN, 1, BYTES_INIT("\1\xc0\7")},
        {RDB_LIST, RDB_FORM_PACKED, 18, BYTES_INIT("\1\2\x09\x09\0\0\0\1\0\7\1\xff")},
        {RDB_SET, RDB_FORM_PLAIN, 2, BYTES_INIT("\1\xc0\7")},
        {RDB_SET, RDB_FORM_PACKED, 11, BYTES_INIT("\x0a\2\0\0\0\1\0\0\0\7\0")},
        {RDB_ZSET, RDB_FORM_PLAIN, 5, BYTES_INIT("\1\xc0\7\0\0\0\0\0\0\xf8\x3f")},
        {RDB_ZSET, RDB_FORM_PACKED, 17, BYTES_INIT("\x0e\x0e\0\0\0\2\0\7\1\x83\x31\x2e\x35\4\xff")},
        {RDB_HASH, RDB_FORM_PLAIN, 4, BYTES_INIT("\1\xc0\7\1v")},
        {RDB_HASH, RDB_FORM_PACKED, 16, BYTES_INIT("\x0c\x0c\0\0\0\2\0\7\1\x81v\2\xff")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model model = {.source.kind = cases[i].kind};
        add(&model, BYTES("7"), BYTES("v"), 1.5, 0);
        struct text written = model_write(&model, cases[i].form, NULL, 1);
        CHECK_BYTES(text_bytes(&written), cases[i].bytes);
        CHECK_INT(rdb_type_of(model_source(&model), cases[i].form), cases[i].type);
        CHECK_INT(rdb_version_of(model_source(&model)), 10);
        free(written.data);
        model_clear(&model);
    }
}

static void fields_that_expire_are_counted_from_the_soonest(void) {
    struct model model = {.source.kind = RDB_HASH};
    add(&model, BYTES("f"), BYTES("v"), 0, 1001);
    add(&model, BYTES("g"), BYTES("w"), 0, 0);
    add(&model, BYTES("h"), BYTES("x"), 0, 1000);
    struct text written = model_write(&model, RDB_FORM_PACKED, NULL, 1);
    CHECK_BYTES(text_bytes(&written), BYTES("\xe8\3\0\0\0\0\0\0\3\2\1f\1v\0\1g\1w\1\1h\1x"));
    CHECK_INT(rdb_type_of(model_source(&model), RDB_FORM_PACKED), RDB_TYPE_HASH_EXPIRING);
    CHECK_INT(rdb_version_of(model_source(&model)), 12);
    free(written.data);
    model_clear(&model);
}

static void long_strings_are_compressed(void) {
    static char data[RDB_COMPRESSED_MAX + 1];
    static const size_t lens[] = {20, 21, RDB_COMPRESSED_MAX, RDB_COMPRESSED_MAX + 1};
    for (size_t i = 0; i < 4; i++) {
        struct text_sink to = {.sink = {.write = text_sink_write}};
        CHECK(rdb_write_text(&to.sink, &compressor, (struct bytes){data, lens[i]}));
        CHECK((to.text.data[0] == '\xc3') == (i == 1 || i == 2));
        CHECK((to.text.len < lens[i]) == (i == 1 || i == 2));
        free(to.text.data);
    }
}

/* Wherever the sink takes no more. */
static void a_full_sink_ends_it(void) {
    for (unsigned form = 0; form < 2; form++) {
        for (enum rdb_kind kind = RDB_STRING; kind <= RDB_HASH; kind++) {
            enum dumped dumped = DUMP_FAILED;
            struct model model;
            fill(&model, kind, 3, kind == RDB_SET, false);
            for (unsigned left = 1; dumped == DUMP_FAILED; left++) {
                struct text_sink to = {.sink = {.write = text_sink_write}, .left = left};
                struct cursor cursor = {0};
                dumped = rdb_write(model_source(&model), (enum rdb_form)form, &cursor,
                                   (struct rdb_target){&to.sink, NULL}, SIZE_MAX);
                CHECK(dumped == (to.left == 0 ? DUMP_FAILED : DUMP_DONE));
                free(to.text.data);
            }
            model_clear(&model);
        }
    }
}

int main(void) {
    seed = check_seed();
    RUN(what_is_written_is_read);
    RUN(what_may_be_packed_has_bounds);
    RUN(the_bytes_are_those_of_redis);
    RUN(fields_that_expire_are_counted_from_the_soonest);
    RUN(long_strings_are_compressed);
    RUN(a_full_sink_ends_it);
    return 0;
}
