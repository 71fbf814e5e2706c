/* The row of strings: encodings, digests, and dumps that are loaded again, whole and in pieces, damaged
 * and without memory. */
#include "store/memory/memory.h"
#include "store/values/type.h"
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

static const struct loading nothing_yet = {.max_bytes = DUMP_MAX};

/* Loads from input that grows by random steps, as a reader of a file would: what was not taken comes again. */
static enum loaded load_in_pieces(struct loading *loading, struct bytes input) {
    size_t taken = 0, known = 0;
    enum loaded loaded = LOAD_MORE;
    *loading = nothing_yet;
    while (loaded == LOAD_MORE) {
        struct bytes part = {input.data + taken, known - taken};
        loaded = type_string.load(loading, &part);
        CHECK(part.data + part.len == input.data + known);
        taken = known - part.len;
        if (loaded == LOAD_MORE && known == input.len) return LOAD_MORE;
        size_t step = 1 + check_random(&seed) % (check_random(&seed) % 2 ? 10 : 50000);
        if (loaded == LOAD_MORE) known = input.len - known < step ? input.len : known + step;
    }
    return loaded;
}

static void what_was_dumped_is_loaded(void) {
    static const size_t lengths[] = {0, 1, 63, 64, 4072, 4073, 16383, 16384, 65535, 65536, 65537, 300000};
    static char bytes[300000];
    struct dead dead = {0};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)check_random(&seed);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int round = 0; round < 20; round++) {
            struct value value = inline_of((struct bytes){bytes, lengths[i]}, false);
            struct loading loading;
            struct bytes dumped = dump(&value, 5000), whole = dumped;
            CHECK(load_in_pieces(&loading, dumped) == LOAD_DONE);
            CHECK_BYTES(value_bytes(&loading.value), value.bytes);
            value_release(&loading.value, &dead);
            loading = nothing_yet;
            CHECK(type_string.load(&loading, &whole) == LOAD_DONE && whole.len == 0);
            CHECK(loading.value.kind != VALUE_BLOCK); /* all was there: nothing was copied */
            dumped.len--;
            CHECK(load_in_pieces(&loading, dumped) == LOAD_MORE);
            value_release(&loading.value, &dead); /* half of it */
        }
}

static void integers_are_loaded_as_such(void) {
    static const struct {
        struct bytes dump, text;
    } cases[] = {
        {BYTES_INIT("\xc0\x80"), BYTES_INIT("-128")},
        {BYTES_INIT("\xc2\xff\xff\xff\x7f"), BYTES_INIT("2147483647")},
        {BYTES_INIT("\x02"
                    "42"),
         BYTES_INIT("42")}, /* as text */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char scratch[NUMBER_I64_MAX_LEN];
        struct loading loading;
        CHECK(load_in_pieces(&loading, cases[i].dump) == LOAD_DONE);
        CHECK(loading.value.kind == VALUE_INT);
        CHECK_BYTES(value_text(&loading.value, scratch), cases[i].text);
    }
}

static void what_is_no_dump_is_refused(void) {
    struct loading loading;
    CHECK(load_in_pieces(&loading, BYTES("\xc4")) == LOAD_CORRUPT);
    CHECK(load_in_pieces(&loading, BYTES("\x82\0\0\0\0")) == LOAD_CORRUPT);
    CHECK(load_in_pieces(&loading, BYTES("\x81\xff\xff\xff\xff\xff\xff\xff\xff")) == LOAD_CORRUPT);
    CHECK(load_in_pieces(&loading, BYTES("\x80\0\x10\0\1")) == LOAD_CORRUPT); /* a byte above the limit */
    CHECK(load_in_pieces(&loading, BYTES("\x80\0\x10\0\0")) == LOAD_MORE);
    value_release(&loading.value, NULL);
    CHECK(load_in_pieces(&loading, BYTES("\xc3\1\1a")) == LOAD_CORRUPT); /* compressed */
}

/* Every input is in memory of exactly its size: a sanitizer sees a byte too many. */
static void any_bytes_are_loaded_or_refused(void) {
    unsigned counts[LOAD_NO_MEMORY + 1] = {0};
    for (int round = 0; round < 200000; round++) {
        size_t len = check_random(&seed) % 40;
        char *bytes = malloc(len + 1);
        CHECK(bytes);
        for (size_t i = 0; i < len; i++) bytes[i] = (char)(check_random(&seed) >> 40);
        if (len && round % 2) bytes[0] &= 0x3f; /* a short length */
        struct loading loading = nothing_yet;
        struct bytes input = {bytes, len};
        enum loaded loaded = type_string.load(&loading, &input);
        CHECK(input.data >= bytes && input.data + input.len == bytes + len);
        CHECK(loaded == LOAD_DONE || input.len == len || loading.value.kind == VALUE_BLOCK);
        counts[loaded]++;
        value_release(&loading.value, NULL);
        free(bytes);
    }
    CHECK(counts[LOAD_MORE] > 1000 && counts[LOAD_DONE] > 1000 && counts[LOAD_CORRUPT] > 1000);
    CHECK_INT(counts[LOAD_NO_MEMORY], 0);
}

static void without_memory_nothing_is_taken(void) {
    struct loading loading = nothing_yet;
    struct bytes input = BYTES("\x80\0\x2\0\0begin"), all = input;
    no_memory = true;
    CHECK(type_string.load(&loading, &input) == LOAD_NO_MEMORY);
    CHECK(input.data == all.data && input.len == all.len);
    no_memory = false;
    CHECK(type_string.load(&loading, &input) == LOAD_MORE && input.len == 0);
    value_release(&loading.value, NULL);
}

int main(void) {
    seed = check_seed();
    RUN(encodings_have_the_names_that_redis_gives);
    RUN(a_digest_does_not_see_how_a_string_is_kept);
    RUN(dumps_are_those_of_rdb_files);
    RUN(a_large_string_is_dumped_in_parts);
    RUN(what_was_dumped_is_loaded);
    RUN(integers_are_loaded_as_such);
    RUN(what_is_no_dump_is_refused);
    RUN(any_bytes_are_loaded_or_refused);
    RUN(without_memory_nothing_is_taken);
    return 0;
}
