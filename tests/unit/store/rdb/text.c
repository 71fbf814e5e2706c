/* Strings of RDB files in pieces: all give the same, and none takes what was not paid for. */
#include "store/rdb/text.h"

#include <stdlib.h>

#include "tests/check.h"

enum { MAX_BYTES = 1000 };

/* Reads from copies of exact size, so many bytes more at a time (0: all at once, and no more will come). */
static enum rdb_text_read read(struct rdb_text *text, struct bytes bytes, size_t piece) {
    enum rdb_text_read read = TEXT_MORE;
    size_t at = 0, there = 0;
    while (read == TEXT_MORE && (there < bytes.len || there == 0)) {
        there = piece == 0 || bytes.len - there < piece ? bytes.len : there + piece;
        char *copy = malloc(there - at + 1);
        CHECK(copy);
        memcpy(copy, bytes.data + at, there - at);
        struct bytes input = {copy, there - at};
        read = rdb_text_read(text, &input, piece > 0, MAX_BYTES);
        at = there - input.len;
        if (read == TEXT_DONE) CHECK(rdb_text_keep(text));
        if (read == TEXT_MORE) CHECK(input.len < RDB_LEN_MAX);
        free(copy);
        if (there == bytes.len) break;
    }
    return read;
}

static const struct {
    struct bytes bytes, string;
} samples[] = {
    {BYTES_INIT("\0"), BYTES_INIT("")},
    {BYTES_INIT("\3abc"), BYTES_INIT("abc")},
    {BYTES_INIT("\x40\3abc"), BYTES_INIT("abc")},
    {BYTES_INIT("\x80\0\0\0\3abc"), BYTES_INIT("abc")},
    {BYTES_INIT("\x81\0\0\0\0\0\0\0\3abc"), BYTES_INIT("abc")},
    {BYTES_INIT("\xc0\xff"), BYTES_INIT("-1")},
    {BYTES_INIT("\xc1\x39\x30"), BYTES_INIT("12345")},
    {BYTES_INIT("\xc2\0\0\0\x80"), BYTES_INIT("-2147483648")},
    {BYTES_INIT("\xc3\4\4\0a\x20\0"), BYTES_INIT("aaaa")},
    {BYTES_INIT("\xc3\5\x14\0a\xe0\x0a\0"), BYTES_INIT("aaaaaaaaaaaaaaaaaaaa")},
};

static void all_pieces_give_the_same(void) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        for (size_t piece = 0; piece <= samples[i].bytes.len; piece++) {
            struct rdb_text text = {0};
            CHECK(read(&text, samples[i].bytes, piece) == TEXT_DONE);
            CHECK_BYTES(text.bytes, samples[i].string);
            rdb_text_drop(&text);
        }
        for (size_t len = 1; len < samples[i].bytes.len; len++) {
            struct rdb_text text = {0};
            struct bytes cut = {samples[i].bytes.data, len};
            CHECK(read(&text, cut, 0) == TEXT_CORRUPT);
            rdb_text_drop(&text);
            CHECK(read(&text, cut, 1) == TEXT_MORE);
            rdb_text_drop(&text);
        }
    }
}

static void what_is_no_string_is_refused(void) {
    static const struct bytes cases[] = {
        BYTES_INIT("\x82"),
        BYTES_INIT("\xc4"),
        BYTES_INIT("\xc3\xc0\1"), /* an integer for a length */
        BYTES_INIT("\xc3\4\xc3"),
        BYTES_INIT("\xc3\4\3\0a\x20\0"), /* it is longer */
        BYTES_INIT("\xc3\4\5\0a\x20\0"),
        BYTES_INIT("\xc3\4\x41\x61\0a\x20\0"), /* 353 bytes of 4 */
        BYTES_INIT("\xc3\0\0"),
        BYTES_INIT("\x43\xe9"), /* 1001 */
        BYTES_INIT("\x81\xff\xff\xff\xff\xff\xff\xff\xff"),
        BYTES_INIT("\xc3\x43\xe9\5"),
        BYTES_INIT("\xc3\x43\xe8\x43\xe9"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t piece = 0; piece < 3; piece++) {
            struct rdb_text text = {0};
            CHECK(read(&text, cases[i], piece) == TEXT_CORRUPT);
            rdb_text_drop(&text);
        }
    }
}

/* A length alone takes no memory where nothing more will come. */
static void a_length_takes_nothing(void) {
    struct rdb_text text = {0};
    struct bytes input = BYTES("\x43\xe8"
                               "abc");
    CHECK(rdb_text_read(&text, &input, false, MAX_BYTES) == TEXT_CORRUPT);
    CHECK(text.packed == NULL && text.plain == NULL);
    rdb_text_drop(&text);
    input = BYTES("\xc3\4\x43\xe8"
                  "abcd"); /* 1,000 bytes of four */
    CHECK(rdb_text_read(&text, &input, false, MAX_BYTES) == TEXT_CORRUPT);
    CHECK(text.packed == NULL && text.plain == NULL);
}

int main(void) {
    RUN(all_pieces_give_the_same);
    RUN(what_is_no_string_is_refused);
    RUN(a_length_takes_nothing);
    return 0;
}
