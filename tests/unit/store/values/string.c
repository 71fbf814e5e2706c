/* The row of strings: encodings, digests, and dumps that are loaded again, or not, where there is no memory. */
#include "store/memory/memory.h"
#include "store/values/load.h"
#include "tests/check.h"

static unsigned long long seed;

static bool no_memory;
void *memory_resize(void *old, size_t size) {
    return no_memory ? NULL : realloc(old, size);
}

static struct value inline_of(struct bytes bytes, bool edited) {
    return (struct value){.kind = VALUE_INLINE, .bytes = bytes, .edited = edited};
}

static void encodings_have_the_names_that_redis_gives(void) {
    static char bytes[5000];
    struct value number = value_of_bytes(BYTES("-12")), block = {.kind = VALUE_BLOCK};
    struct value values[] = {inline_of((struct bytes){bytes, 44}, false),
                             inline_of((struct bytes){bytes, 45}, false), inline_of(BYTES(""), false),
                             inline_of(BYTES(""), true)};
    static const char *const expected[] = {"embstr", "raw", "embstr", "raw"};
    for (int i = 0; i < 4; i++) CHECK(strcmp(type_string.encoding(&values[i]), expected[i]) == 0);
    CHECK(strcmp(type_string.encoding(&number), "int") == 0);
    block.block = block_of((struct bytes){bytes, sizeof bytes});
    CHECK(strcmp(type_string.encoding(&block), "raw") == 0);
    CHECK(type_string.count(&block) == 1 && type_string.count(&values[2]) == 1);
    block_release(block.block);
}

static void a_digest_does_not_see_how_a_string_is_kept(void) {
    struct digest number = {{0}}, text = {{0}}, other = {{0}};
    struct value integer = value_of_bytes(BYTES("-12")), bytes = inline_of(BYTES("-12"), true),
                 else_ = inline_of(BYTES("-13"), true);
    type_string.digest(&integer, &number);
    type_string.digest(&bytes, &text);
    type_string.digest(&else_, &other);
    CHECK(memcmp(&number, &text, sizeof number) == 0 && memcmp(&number, &other, sizeof number) != 0);
}

/* ---- Dumping -------------------------------------------------------------------------------------- */

enum { DUMP_MAX = 1 << 20 };

struct paper {
    struct sink sink;
    char bytes[DUMP_MAX];
    size_t len, pieces, most; /* of one piece */
    bool full;
};
static struct paper paper;

static bool write_down(struct sink *sink, struct bytes bytes) {
    struct paper *p = (struct paper *)sink;
    CHECK(bytes.len <= DUMP_MAX - p->len);
    if (p->full) return false;
    if (bytes.len) memcpy(p->bytes + p->len, bytes.data, bytes.len);
    p->len += bytes.len;
    p->pieces++;
    if (bytes.len > p->most) p->most = bytes.len;
    return true;
}

static struct bytes dump(const struct value *value, size_t budget) {
    struct cursor cursor = {{0}};
    enum dumped dumped;
    paper.sink.write = write_down;
    paper.len = paper.pieces = paper.most = 0;
    while ((dumped = type_string.dump(value, &cursor, &paper.sink, budget)) == DUMP_MORE) {
    }
    CHECK(dumped == DUMP_DONE);
    return (struct bytes){paper.bytes, paper.len};
}

static void dumps_are_those_of_rdb_files(void) {
    static const struct {
        struct bytes text, dump;
    } cases[] = {
        {BYTES_INIT("abc"), BYTES_INIT("\3abc")},
        {BYTES_INIT(""), BYTES_INIT("\0")},
        {BYTES_INIT("5"), BYTES_INIT("\xc0\5")},
        {BYTES_INIT("-300"), BYTES_INIT("\xc1\xd4\xfe")},
        {BYTES_INIT("2147483648"), BYTES_INIT("\x0a"
                                              "2147483648")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct value value = value_of_bytes(cases[i].text);
        CHECK_BYTES(dump(&value, SIZE_MAX), cases[i].dump);
        CHECK_BYTES(dump(&value, 1), cases[i].dump);
    }
}

static void a_large_string_is_dumped_in_parts(void) {
    static char bytes[100000];
    struct value value = {.kind = VALUE_BLOCK, .block = block_of((struct bytes){bytes, sizeof bytes})};
    CHECK_INT(dump(&value, 1000).len, 5 + sizeof bytes);
    CHECK(paper.pieces == 101 && paper.most == 1000);
    struct cursor cursor = {{0}};
    paper.full = true;
    CHECK(type_string.dump(&value, &cursor, &paper.sink, 1000) == DUMP_FAILED);
    paper.full = false;
    block_release(value.block);
}

/* ---- Loading -------------------------------------------------------------------------------------- */

/* What is dumped is loaded as it was: as an integer, in the loading's own bytes, or in a block. */
static void what_was_dumped_is_loaded(void) {
    static const size_t lengths[] = {0, 1, 63, 64, 4072, 4073, 16384, 300000};
    static char bytes[300000];
    struct dead dead = {0};
    const struct load_options options = {.dead = &dead, .max_bytes = DUMP_MAX, .whole = true};
    struct loading loading;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)check_random(&seed);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct value value = inline_of((struct bytes){bytes, lengths[i]}, false);
        struct bytes dumped = dump(&value, 5000);
        load_begin(&loading, &options, type_string.form(&value), RDB_VERSION_WRITTEN);
        CHECK(load_more(&loading, &dumped) == LOAD_DONE && dumped.len == 0);
        CHECK_BYTES(value_bytes(&loading.value), value.bytes);
        CHECK((loading.value.kind == VALUE_BLOCK) == (lengths[i] > LOAD_PACK_MAX));
        load_end(&loading);
    }
    struct bytes number = BYTES("\xc0\x80");
    load_begin(&loading, &options, RDB_TYPE_STRING, RDB_VERSION_WRITTEN);
    CHECK(load_more(&loading, &number) == LOAD_DONE);
    CHECK(loading.value.kind == VALUE_INT && loading.value.number == -128);
    load_end(&loading);
}

static void without_memory_nothing_is_loaded(void) {
    static char text[5005] = "\x53\x88";
    struct dead dead = {0};
    const struct load_options options = {.dead = &dead, .max_bytes = DUMP_MAX, .whole = true};
    struct loading loading;
    struct bytes input = {text, 2 + 0x1388};
    load_begin(&loading, &options, RDB_TYPE_STRING, RDB_VERSION_WRITTEN);
    no_memory = true;
    CHECK(load_more(&loading, &input) == LOAD_NO_MEMORY && loading.value.kind == VALUE_INLINE);
    no_memory = false;
    load_end(&loading);
}

int main(void) {
    seed = check_seed();
    RUN(encodings_have_the_names_that_redis_gives);
    RUN(a_digest_does_not_see_how_a_string_is_kept);
    RUN(dumps_are_those_of_rdb_files);
    RUN(a_large_string_is_dumped_in_parts);
    RUN(what_was_dumped_is_loaded);
    RUN(without_memory_nothing_is_loaded);
    return 0;
}
