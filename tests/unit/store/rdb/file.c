/* RDB files but for their values: every item in pieces of every size, what is no file, and what is written is read. */
#include "store/rdb/file.h"

#include <stdarg.h>

#include "tests/check.h"
#include "tests/unit/failing_memory.h"

enum { MAX_BYTES = 1000, TOLD_MAX = 4096 };

static char told[TOLD_MAX];
static size_t told_len;

static unsigned allowed = UINT_MAX; /* allocations of the reader that succeed from now on */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...) {
    va_list values;
    va_start(values, format);
    told_len += (size_t)vsnprintf(told + told_len, sizeof told - told_len, format, values);
    va_end(values);
    CHECK(told_len < sizeof told);
}

static void tell_key(const struct rdb_file_reader *reader) {
    tell("key %.*s type %u", (int)reader->name.bytes.len, reader->name.bytes.data, reader->type);
    if (reader->expires) tell(" until %lld", (long long)reader->expiry_ms);
    if (reader->idle) tell(" idle %llu", (unsigned long long)reader->idle_s);
    tell(" at %llu; ", (unsigned long long)reader->item_begin);
}

/* Values are strings of one length byte here. Returns whether reading goes on. */
static bool tell_item(struct rdb_file_reader *reader, enum rdb_file_read read, struct bytes *input) {
    switch (read) {
    case RDB_FILE_AUX:
        tell("%.*s=%.*s; ", (int)reader->name.bytes.len, reader->name.bytes.data,
             (int)reader->value.bytes.len, reader->value.bytes.data);
        return true;
    case RDB_FILE_DATABASE: tell("db %llu; ", (unsigned long long)reader->db); return true;
    case RDB_FILE_SIZE:
        tell("size %llu %llu; ", (unsigned long long)reader->keys, (unsigned long long)reader->expiring);
        return true;
    case RDB_FILE_KEY: tell_key(reader); return true;
    case RDB_FILE_END: tell("end of version %u, %zu left", reader->version, input->len); return false;
    case RDB_FILE_BAD: tell("bad at %llu", (unsigned long long)reader->item_begin); return false;
    default: tell("no memory"); return false;
    }
}

/* Reads from input that comes `piece` bytes at a time, each time at another address. */
static const char *read_in_pieces(struct bytes file, size_t piece) {
    struct rdb_file_reader reader = {.max_bytes = MAX_BYTES};
    size_t taken = 0, known = 0;
    bool on = true;
    size_t skip = 0; /* a byte of a value */
    told_len = 0;
    told[0] = '\0';
    while (on) {
        char *copy = malloc(known - taken + 1);
        CHECK(copy);
        memcpy(copy, file.data + taken, known - taken);
        struct bytes input = {copy, known - taken};
        enum rdb_file_read read = RDB_FILE_MORE;
        if (skip && input.len) {
            input = (struct bytes){input.data + 1, input.len - 1};
            reader.taken++;
            skip = 0;
        }
        memory_left = allowed;
        if (!skip) read = rdb_file_read(&reader, &input);
        if (!rdb_file_keep(&reader)) read = RDB_FILE_NO_MEMORY;
        allowed = memory_left;
        memory_left = UINT_MAX;
        taken = known - input.len;
        CHECK_INT(reader.taken, taken);
        if (read != RDB_FILE_MORE) {
            on = tell_item(&reader, read, &input);
            skip = read == RDB_FILE_KEY;
        } else if (known == file.len) {
            tell("cut at %llu", (unsigned long long)reader.item_begin);
            on = false;
        } else {
            known = file.len - known < piece ? file.len : known + piece;
        }
        free(copy);
    }
    rdb_file_close(&reader);
    return told;
}

static const struct {
    struct bytes file;
    const char *told; /* where all of it came at once */
} samples[] = {
    {BYTES_INIT("REDIS0003\xff"), "end of version 3, 0 left"},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k.\xff"), "db 0; key k type 0 at 11; end of version 10, 0 left"},
    {BYTES_INIT("REDIS0014\xfa\3ver\xc0\7\xfe\x41\0\xfb\2\1\xff........"),
     "ver=7; db 256; size 2 1; end of version 14, 8 left"},
    {BYTES_INIT("VALKEY080\xf4\1\2\3\4\1k.\xff"), "key k type 4 at 13; end of version 80, 0 left"},
    /* What was said of a key is not said of the next. */
    {BYTES_INIT("REDIS0009\xfc\1\2\0\0\0\0\0\0\xf8\5\0\1a.\1\1b.\xff"),
     "key a type 0 until 513 idle 5 at 20; key b type 1 at 24; end of version 9, 0 left"},
    {BYTES_INIT("REDIS0009\xfd\1\0\0\0\xf9\7\0\1a.\xff"),
     "key a type 0 until 1000 at 16; end of version 9, 0 left"},
    {BYTES_INIT("REDIS0009\xfd\xff\xff\xff\xff\0\1a.\xff"),
     "key a type 0 until -1000 at 14; end of version 9, 0 left"},
    {BYTES_INIT("REDIS0009\xfc\xff\xff\xff\xff\xff\xff\xff\xff\0\1a.\xff"),
     "key a type 0 at 18; end of version 9, 0 left"}, /* as in Redis's memory: none */
    {BYTES_INIT("REDIS0009\xfa\3abc\xc3\4\4\0a\x20\0\xff"), "abc=aaaa; end of version 9, 0 left"},
    {BYTES_INIT("REDIS0009\xfe\xc0\1\xff"), "bad at 9"},         /* an integer is no length */
    {BYTES_INIT("REDIS0009\xfe\xc4\xff"), "bad at 9"},           /* nor is this */
    {BYTES_INIT("REDIS0009\xfe\0\0\x44\0k"), "db 0; bad at 11"}, /* a key that is too long */
    {BYTES_INIT("REDIS0009\0\xc3\1\x41\0"), "bad at 9"},         /* a byte that cannot be so many */
    {BYTES_INIT("REDIS0009\xf5\1a"), "bad at 9"},                /* functions */
    {BYTES_INIT("REDIS0009\xf6\1a"), "bad at 9"},                /* as they were before */
    {BYTES_INIT("REDIS0009\xf7\1a"), "bad at 9"},                /* a module */
    {BYTES_INIT("REDIS0009\xf0"), "bad at 9"},
    {BYTES_INIT("REDIS0000\xff"), "bad at 0"},
    {BYTES_INIT("REDIS0015\xff"), "bad at 0"},
    {BYTES_INIT("REDIS0080\xff"), "bad at 0"},
    {BYTES_INIT("REDIS00:0\xff"), "bad at 0"},
    {BYTES_INIT("VALKEY081\xff"), "bad at 0"},
    {BYTES_INIT("VALKEY010\xff"), "bad at 0"},
    {BYTES_INIT("redis0010\xff"), "bad at 0"},
    {BYTES_INIT("REDIS"), "cut at 0"},
    {BYTES_INIT(""), "cut at 0"},
    {BYTES_INIT("REDIS0010"), "cut at 9"},
    {BYTES_INIT("REDIS0010\xfe\0\0\3ke"), "db 0; cut at 11"},
};

static void all_pieces_give_the_same(void) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const char *all = read_in_pieces(samples[i].file, 1000);
        if (strcmp(all, samples[i].told) != 0) {
            fprintf(stderr, "sample %zu: %s, expected %s\n", i, all, samples[i].told);
            exit(1);
        }
        bool footer = strstr(samples[i].told, "8 left") != NULL;
        for (size_t piece = 1; piece < samples[i].file.len && !footer; piece++)
            CHECK_BYTES(bytes_of(read_in_pieces(samples[i].file, piece)), bytes_of(samples[i].told));
    }
}

static void every_cut_is_found(void) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        if (!strstr(samples[i].told, "end")) continue;
        const char *end = memchr(samples[i].file.data + 9, 0xff, samples[i].file.len - 9);
        for (size_t len = 0; end && len < 9; len++)
            CHECK(strstr(read_in_pieces((struct bytes){samples[i].file.data, len}, 1), "cut at 0"));
        size_t whole = samples[i].file.len - (strstr(samples[i].told, "8 left") ? 8 : 0);
        for (size_t len = 9; len < whole; len++)
            CHECK(strstr(read_in_pieces((struct bytes){samples[i].file.data, len}, 3), "cut at"));
    }
}

static void whole_keys_are_skipped(void) {
    static const struct bytes key = BYTES_INIT("\xfc\1\2\0\0\0\0\0\0\xf8\5\0\1a\2vw");
    static const struct bytes other = BYTES_INIT("\xfd\1\0\0\0\xf9\7\2\xc0\7\1\1m");
    static const struct bytes no_keys[] = {BYTES_INIT("\xfe\0\0\1a\1b"), BYTES_INIT("\xff........"),
                                           BYTES_INIT("\xf5\1a"),        BYTES_INIT("\xfa\1a\1b"),
                                           BYTES_INIT("\xf0\1a\1b"),     BYTES_INIT("\x0f\1a\0\0\0\0")};
    char bytes[64];
    struct bytes plain, rest;
    memcpy(bytes, key.data, key.len);
    memcpy(bytes + key.len, other.data, other.len);
    CHECK(rdb_file_skip(10, (struct bytes){bytes, key.len + other.len}, &plain, &rest));
    CHECK(rest.data == bytes + key.len && rest.len == other.len);
    CHECK_BYTES(plain, BYTES("a"));
    CHECK(rdb_file_skip(10, rest, &plain, &rest) && plain.data == NULL && rest.len == 0);
    for (size_t len = 0; len < key.len; len++)
        CHECK(!rdb_file_skip(10, (struct bytes){bytes, len}, &plain, &rest));
    for (size_t i = 0; i < sizeof no_keys / sizeof *no_keys; i++)
        CHECK(!rdb_file_skip(10, no_keys[i], &plain, &rest));
}

static void reading_may_begin_between_keys(void) {
    struct rdb_file_reader reader = {.max_bytes = 100};
    struct bytes input = BYTES_INIT("\xfc\1\2\0\0\0\0\0\0\0\1a\2vw\0\1b\1v"), none = {NULL, 0};
    rdb_file_begin_at(&reader, 10, 3, 1000);
    CHECK(rdb_file_between(&reader));
    struct bytes part = {input.data, 9};
    CHECK(rdb_file_read(&reader, &part) == RDB_FILE_MORE &&
          !rdb_file_between(&reader)); /* the key's expiry is known */
    input = (struct bytes){input.data + 9, input.len - 9};
    CHECK(rdb_file_read(&reader, &input) == RDB_FILE_KEY && rdb_file_between(&reader));
    CHECK(reader.db == 3 && reader.expires && reader.expiry_ms == 513 && reader.item_begin == 1009 &&
          reader.taken == 1012);
    input = (struct bytes){input.data + 3, input.len - 3}; /* its value */
    reader.taken += 3;
    CHECK(rdb_file_read(&reader, &input) == RDB_FILE_KEY && !reader.expires && reader.item_begin == 1015);
    CHECK(rdb_file_read(&reader, &none) == RDB_FILE_MORE && rdb_file_between(&reader));
    rdb_file_close(&reader);
}

/* A text about the file may stand between what is said of a key and the key. */
static void a_text_does_not_end_what_is_said_of_a_key(void) {
    static const struct bytes file = BYTES_INIT("\xfa\1x\1y\xfc\1\2\0\0\0\0\0\0\xfa\1x\1y\0\1a\1v");
    struct rdb_file_reader reader = {.max_bytes = 100};
    struct bytes input = file;
    rdb_file_begin_at(&reader, 10, 0, 0);
    CHECK(rdb_file_read(&reader, &input) == RDB_FILE_AUX && rdb_file_between(&reader));
    CHECK(rdb_file_read(&reader, &input) == RDB_FILE_AUX && !rdb_file_between(&reader));
    CHECK(rdb_file_read(&reader, &input) == RDB_FILE_KEY && rdb_file_between(&reader));
    CHECK(reader.expires && reader.expiry_ms == 513);
    rdb_file_close(&reader);
}

static void without_memory_it_says_so(void) {
    static const struct bytes file = BYTES_INIT("REDIS0010\xfa\3abc\xc3\4\4\0a\x20\0\0\3key.\xff");
    unsigned failures = 0;
    for (unsigned left = 0;; left++) {
        allowed = left;
        const char *read = read_in_pieces(file, 1);
        allowed = UINT_MAX;
        if (!strstr(read, "no memory")) break;
        failures++;
    }
    CHECK_INT(failures, 4); /* a name and a value in pieces, what the value is, and a key */
}

struct paper {
    struct sink sink;
    char bytes[512];
    size_t len, room;
};
static bool write_down(struct sink *sink, struct bytes bytes) {
    struct paper *paper = (struct paper *)(void *)sink;
    if (bytes.len > paper->room - paper->len) return false;
    memcpy(paper->bytes + paper->len, bytes.data, bytes.len);
    paper->len += bytes.len;
    return true;
}

static bool write_sample(struct sink *sink) {
    return rdb_file_write_header(sink, 10) && rdb_file_write_aux(sink, BYTES("a"), BYTES("12")) &&
           rdb_file_write_database(sink, 300, 2, 1) &&
           rdb_file_write_key(sink, BYTES("x"), RDB_TYPE_SET, 1700000000123) &&
           sink->write(sink, BYTES(".")) && rdb_file_write_key(sink, BYTES("-5"), RDB_TYPE_HASH, 0) &&
           sink->write(sink, BYTES(".")) && rdb_file_write_end(sink);
}

static void what_is_written_is_read(void) {
    struct paper paper = {.sink = {.write = write_down}, .room = sizeof paper.bytes};
    CHECK(write_sample(&paper.sink));
    CHECK_BYTES(bytes_of(read_in_pieces((struct bytes){paper.bytes, paper.len}, 7)),
                BYTES("a=12; db 300; size 2 1; key x type 2 until 1700000000123 at 29; key -5 type 4 at 33; "
                      "end of version 10, 0 left"));
    size_t whole = paper.len;
    for (size_t room = 0; room < whole; room++) {
        paper.len = 0;
        paper.room = room;
        CHECK(!write_sample(&paper.sink));
    }
}

static void a_footer_is_a_number_lowest_byte_first(void) {
    char at[RDB_FOOTER_LEN];
    rdb_file_put_footer(at, 0x0807060504030201);
    CHECK_BYTES(((struct bytes){at, sizeof at}), BYTES("\1\2\3\4\5\6\7\10"));
    CHECK(rdb_file_footer(at) == 0x0807060504030201);
}

int main(void) {
    RUN(all_pieces_give_the_same);
    RUN(every_cut_is_found);
    RUN(whole_keys_are_skipped);
    RUN(reading_may_begin_between_keys);
    RUN(a_text_does_not_end_what_is_said_of_a_key);
    RUN(without_memory_it_says_so);
    RUN(what_is_written_is_read);
    RUN(a_footer_is_a_number_lowest_byte_first);
    return 0;
}
