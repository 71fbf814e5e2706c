/* Ziplists, listpacks, zipmaps and intsets by hand: what is in them, and everything in them that may be wrong. */
#include "store/rdb/packed.h"

#include <stdlib.h>

#include "tests/check.h"

static unsigned long long seed;

/* Another walk, which takes short strings together, has the same elements, and the same end. */
static void walk_again(struct packed packed, enum packed_next end, struct bytes expected) {
    enum { MOST = 3 };
    struct bytes texts[MOST];
    char scratch[NUMBER_I64_MAX_LEN];
    const char *at = expected.data;
    enum packed_next next = PACKED_ELEMENT;
    while (next == PACKED_ELEMENT) {
        unsigned count = packed_take_short(&packed, texts, MOST);
        CHECK(count <= MOST && (count == 0 || packed.kind == PACKED_LISTPACK));
        if (count == 0 && (next = packed_next(&packed, scratch, texts)) == PACKED_ELEMENT) count = 1;
        for (unsigned i = 0; i < count; at += texts[i++].len + 1) {
            CHECK(texts[i].len < (size_t)(expected.data + expected.len - at));
            CHECK(memcmp(texts[i].data, at, texts[i].len) == 0 && at[texts[i].len] == ',');
        }
    }
    CHECK(next == end && at == expected.data + expected.len);
}

/* Walks over a copy of exact size. The elements, each with a comma behind it; "!" where it is corrupt. */
static struct bytes walk(enum packed_kind kind, struct bytes bytes, char *to) {
    char *copy = malloc(bytes.len ? bytes.len : 1), scratch[NUMBER_I64_MAX_LEN], *at = to;
    struct packed packed;
    struct bytes element;
    enum packed_next next = PACKED_CORRUPT;
    CHECK(copy);
    if (bytes.len) memcpy(copy, bytes.data, bytes.len);
    bool open = packed_open(&packed, kind, (struct bytes){copy, bytes.len});
    struct packed again = packed;
    while (open && (next = packed_next(&packed, scratch, &element)) == PACKED_ELEMENT) {
        CHECK(element.data == scratch ||
              (element.data >= copy && element.data + element.len <= copy + bytes.len));
        memcpy(at, element.data, element.len);
        at += element.len;
        *at++ = ',';
    }
    if (open) walk_again(again, next, (struct bytes){to, (size_t)(at - to)});
    if (next == PACKED_CORRUPT) *at++ = '!';
    free(copy);
    return (struct bytes){to, (size_t)(at - to)};
}

struct sample {
    enum packed_kind kind;
    struct bytes bytes, text;
};

#define LONG_TEXT "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct sample samples[] = {
    {PACKED_LISTPACK, BYTES_INIT("\7\0\0\0\0\0\xff"), BYTES_INIT("")},
    {PACKED_LISTPACK, BYTES_INIT("\x0a\0\0\0\1\0\x81\x61\2\xff"), BYTES_INIT("a,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0d\0\0\0\2\0\x7f\1\xdf\xff\2\x80\xff"), BYTES_INIT("127,-1,!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0e\0\0\0\3\0\x7f\1\xdf\xff\2\x80\1\xff"), BYTES_INIT("127,-1,,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0b\0\0\0\xff\xff\xf1\xff\x7f\3\xff"), BYTES_INIT("32767,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0a\0\0\0\1\0\xd0\0\2\xff"), BYTES_INIT("-4096,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0c\0\0\0\1\0\xf2\0\0\x80\4\xff"), BYTES_INIT("-8388608,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0d\0\0\0\1\0\xf3\0\0\0\x80\5\xff"), BYTES_INIT("-2147483648,")},
    {PACKED_LISTPACK, BYTES_INIT("\x11\0\0\0\1\0\xf4\xff\xff\xff\xff\xff\xff\xff\x7f\x09\xff"),
     BYTES_INIT("9223372036854775807,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0c\0\0\0\1\0\xe0\2ab\4\xff"), BYTES_INIT("ab,")},
    {PACKED_LISTPACK, BYTES_INIT("\x0f\0\0\0\1\0\xf0\2\0\0\0ab\7\xff"), BYTES_INIT("ab,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0b\0\0\0\x0a\0\0\0\0\0\xff"), BYTES_INIT("")},
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0d\0\0\0\2\0\0\1a\3\xf1\xff"), BYTES_INIT("a,0,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0d\0\0\0\xff\xff\0\1a\3\xfd\xff"), BYTES_INIT("a,12,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x14\0\0\0\x0d\0\0\0\2\0\0\1a\xfe\3\0\0\0\xf1\xff"), BYTES_INIT("a,0,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0f\0\0\0\x0a\0\0\0\1\0\0\xc0\xff\xff\xff"), BYTES_INIT("-1,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x11\0\0\0\x0a\0\0\0\1\0\0\xd0\1\0\0\0\xff"), BYTES_INIT("1,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x15\0\0\0\x0a\0\0\0\1\0\0\xe0\1\0\0\0\1\0\0\0\xff"),
     BYTES_INIT("4294967297,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0a\0\0\0\1\0\0\xf0\0\0\x80\xff"), BYTES_INIT("-8388608,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0e\0\0\0\x0a\0\0\0\1\0\0\xfe\x80\xff"), BYTES_INIT("-128,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0f\0\0\0\x0a\0\0\0\1\0\0\x40\1a\xff"), BYTES_INIT("a,")},
    {PACKED_ZIPLIST, BYTES_INIT("\x12\0\0\0\x0a\0\0\0\1\0\0\x80\0\0\0\1a\xff"), BYTES_INIT("a,")},
    {PACKED_ZIPMAP, BYTES_INIT("\1\1a\1\0b\xff"), BYTES_INIT("a,b,")},
    {PACKED_ZIPMAP, BYTES_INIT("\2\1a\1\2bxx\1c\0\0\xff"), BYTES_INIT("a,b,c,,")},
    {PACKED_ZIPMAP, BYTES_INIT("\xfe\xfe\1\0\0\0a\1\0b\xff"), BYTES_INIT("a,b,")},
    {PACKED_INTSET, BYTES_INIT("\2\0\0\0\2\0\0\0\xff\xff\1\0"), BYTES_INIT("-1,1,")},
    {PACKED_INTSET, BYTES_INIT("\4\0\0\0\1\0\0\0\1\0\0\0"), BYTES_INIT("1,")},
    {PACKED_INTSET, BYTES_INIT("\x8\0\0\0\1\0\0\0\0\0\0\0\0\0\0\x80"), BYTES_INIT("-9223372036854775808,")},
    /* What is wrong. */
    {PACKED_LISTPACK, BYTES_INIT(""), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\6\0\0\0\0\0"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\x08\0\0\0\0\0\xff"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\7\0\0\0\1\0\xff"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0a\0\0\0\2\0\x81\x61\2\xff"), BYTES_INIT("a,!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0a\0\0\0\1\0\x81\x61\3\xff"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0a\0\0\0\1\0\x82\x61\2\xff"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0b\0\0\0\1\0\x81\x61\2\xff\xff"), BYTES_INIT("a,!")},
    {PACKED_LISTPACK, BYTES_INIT("\x09\0\0\0\1\0\xf5\1\xff"), BYTES_INIT("!")},
    {PACKED_LISTPACK, BYTES_INIT("\x0d\0\0\0\1\0\xf0\xff\xff\xff\xff\1\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0b\0\0\0\x0a\0\0\0\1\0\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0b\0\0\0\x0b\0\0\0\0\0\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0a\0\0\0\2\0\0\1a\3\xf1\xff"),
     BYTES_INIT("a,0,!")}, /* the last */
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0d\0\0\0\2\0\0\1a\2\xf1\xff"),
     BYTES_INIT("a,!")}, /* the one before */
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0d\0\0\0\2\0\1\1a\3\xf1\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x10\0\0\0\x0d\0\0\0\3\0\0\1a\3\xf1\xff"), BYTES_INIT("a,0,!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x12\0\0\0\x0a\0\0\0\1\0\0\x80\xff\xff\xff\xff\x61\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x0d\0\0\0\x0a\0\0\0\1\0\0\xff\xff"), BYTES_INIT("!")},
    {PACKED_ZIPLIST, BYTES_INIT("\x12\0\0\0\x0d\0\0\0\2\0\0\1a\xfe\3\0\0\xff"), BYTES_INIT("a,!")},
    {PACKED_ZIPMAP, BYTES_INIT("\0\xff"), BYTES_INIT("!")},
    {PACKED_ZIPMAP, BYTES_INIT("\2\1a\1\0b\xff"), BYTES_INIT("a,b,!")},
    {PACKED_ZIPMAP, BYTES_INIT("\1\1a\xff"), BYTES_INIT("a,!")},
    {PACKED_ZIPMAP, BYTES_INIT("\xff\1a\1\0b\xff"),
     BYTES_INIT("a,b,!")}, /* a count that Redis never writes */
    {PACKED_ZIPMAP, BYTES_INIT("\xfe\1a\xff"), BYTES_INIT("a,!")},
    {PACKED_ZIPMAP, BYTES_INIT("\1\1a\1\1b\xff"), BYTES_INIT("a,!")},
    {PACKED_ZIPMAP, BYTES_INIT("\1\xfe\xff\xff\xff\xff\x61\1\0b\xff"), BYTES_INIT("!")},
    {PACKED_INTSET, BYTES_INIT("\2\0\0\0\2\0\0\0\1\0\1\0"), BYTES_INIT("1,!")},
    {PACKED_INTSET, BYTES_INIT("\2\0\0\0\0\0\0\0"), BYTES_INIT("!")},
    {PACKED_INTSET, BYTES_INIT("\3\0\0\0\1\0\0\0\1\0\1"), BYTES_INIT("!")},
    {PACKED_INTSET, BYTES_INIT("\2\0\0\0\2\0\0\0\1\0"), BYTES_INIT("!")},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void each_says_what_is_in_it(void) {
    char text[1000];
    for (size_t i = 0; i < SAMPLES; i++)
        CHECK_BYTES(walk(samples[i].kind, samples[i].bytes, text), samples[i].text);
}

static void none_may_be_cut_off_or_go_on(void) {
    char text[1000], more[1000];
    for (size_t i = 0; i < SAMPLES; i++) {
        struct bytes whole = samples[i].text;
        if (whole.len && whole.data[whole.len - 1] == '!') continue;
        for (size_t len = 0; len < samples[i].bytes.len; len++) {
            struct bytes got = walk(samples[i].kind, (struct bytes){samples[i].bytes.data, len}, text);
            CHECK(got.len > 0 && got.data[got.len - 1] == '!');
        }
        memcpy(more, samples[i].bytes.data, samples[i].bytes.len);
        more[samples[i].bytes.len] = '\xff';
        struct bytes got = walk(samples[i].kind, (struct bytes){more, samples[i].bytes.len + 1}, text);
        CHECK(got.len > 0 && got.data[got.len - 1] == '!');
    }
}

static void changed_bytes_lead_nowhere(void) {
    char text[1000], changed[1000];
    for (unsigned i = 0; i < 300000; i++) {
        const struct sample *sample = &samples[check_random(&seed) % SAMPLES];
        if (sample->bytes.len == 0) continue;
        memcpy(changed, sample->bytes.data, sample->bytes.len);
        for (unsigned changes = 0; changes < 1 + i % 3; changes++)
            changed[check_random(&seed) % sample->bytes.len] = (char)check_random(&seed);
        walk(sample->kind, (struct bytes){changed, sample->bytes.len}, text);
    }
}

/* ---- Writing -------------------------------------------------------------------------------------- */

static size_t put_listpack(char *at, const struct bytes *elements, size_t count) {
    size_t len = LISTPACK_HEAD;
    for (size_t i = 0; i < count; i++) {
        struct listpack_element element;
        listpack_element(&element, elements[i]);
        memcpy(at + len, element.head, element.head_len);
        if (element.text.len) memcpy(at + len + element.head_len, element.text.data, element.text.len);
        memcpy(at + len + element.head_len + element.text.len, element.tail, element.tail_len);
        len += listpack_element_len(&element);
    }
    at[len++] = '\xff';
    listpack_head(at, (uint32_t)len, count);
    return len;
}

static void listpacks_are_written_as_redis_does(void) {
    static const struct {
        struct bytes element, bytes;
    } cases[] = {
        {BYTES_INIT("0"), BYTES_INIT("\0\1")},
        {BYTES_INIT("127"), BYTES_INIT("\x7f\1")},
        {BYTES_INIT("128"), BYTES_INIT("\xc0\x80\2")},
        {BYTES_INIT("-1"), BYTES_INIT("\xdf\xff\2")},
        {BYTES_INIT("4095"), BYTES_INIT("\xcf\xff\2")},
        {BYTES_INIT("-4096"), BYTES_INIT("\xd0\0\2")},
        {BYTES_INIT("4096"), BYTES_INIT("\xf1\0\x10\3")},
        {BYTES_INIT("-32769"), BYTES_INIT("\xf2\xff\x7f\xff\4")},
        {BYTES_INIT("8388608"), BYTES_INIT("\xf3\0\0\x80\0\5")},
        {BYTES_INIT("2147483648"), BYTES_INIT("\xf4\0\0\0\x80\0\0\0\0\x09")},
        {BYTES_INIT("01"), BYTES_INIT("\x82\x30\x31\3")},
        {BYTES_INIT(""), BYTES_INIT("\x80\1")},
        {BYTES_INIT(LONG_TEXT), BYTES_INIT("\xe0\x46" LONG_TEXT "\x48")},
    };
    char at[1000];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = put_listpack(at, &cases[i].element, 1);
        struct bytes body = {at + LISTPACK_HEAD, len - LISTPACK_HEAD - 1};
        CHECK_BYTES(body, cases[i].bytes);
    }
}

/* The bytes behind an element are as many as in Redis, whose limits are not quite those of seven bits. */
static void lengths_behind_are_as_long_as_in_redis(void) {
    static char data[2097200];
    static const struct {
        size_t len;
        unsigned behind;
    } cases[] = {{125, 1}, {126, 2}, {16377, 2}, {16378, 3}, {2097145, 3}, {2097146, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct listpack_element element;
        listpack_element(&element, (struct bytes){data, cases[i].len});
        CHECK_INT(element.tail_len, cases[i].behind);
        CHECK(listpack_element_len(&element) == element.head_len + cases[i].len + cases[i].behind);
    }
}

/* The last byte of what is behind an element may look like the end. */
static void strings_are_short_up_to_63_bytes(void) {
    static char at[300], data[64];
    struct bytes elements[] = {{data, 63}, {data, 0}, {data, 64}, {data, 1}}, texts[4];
    struct packed packed;
    memset(data, 'x', sizeof data);
    size_t len = put_listpack(at, elements, 4);
    CHECK(packed_open(&packed, PACKED_LISTPACK, (struct bytes){at, len}));
    CHECK_INT(packed_take_short(&packed, texts, 4), 2);
    CHECK(texts[0].len == 63 && texts[1].len == 0);
    CHECK_INT(packed_take_short(&packed, texts, 4), 0);
    CHECK(packed_next(&packed, at, texts) == PACKED_ELEMENT);
    CHECK_INT(packed_take_short(&packed, texts, 4), 1);
    CHECK(packed_next(&packed, at, texts) == PACKED_END);
}

static void an_end_that_belongs_to_an_element_is_none(void) {
    static char at[300], text[300], data[253];
    struct bytes element = {data, sizeof data};
    size_t len = put_listpack(at, &element, 1);
    CHECK(at[len - 2] == '\xff' &&
          walk(PACKED_LISTPACK, (struct bytes){at, len}, text).len == sizeof data + 1);
    listpack_head(at, (uint32_t)len - 1, 1);
    CHECK_BYTES(walk(PACKED_LISTPACK, (struct bytes){at, len - 1}, text), BYTES("!"));
}

static void counts_that_are_too_large_are_not_told(void) {
    char head[LISTPACK_HEAD];
    listpack_head(head, 1000, 65534);
    CHECK_BYTES(((struct bytes){head, sizeof head}), BYTES("\xe8\3\0\0\xfe\xff"));
    listpack_head(head, 1000, 65536 + 7);
    CHECK_BYTES(((struct bytes){head, sizeof head}), BYTES("\xe8\3\0\0\xff\xff"));
}

/* Of all lengths where something changes; the length behind has up to three bytes here. */
static void what_is_written_is_read(void) {
    static char at[2100000], text[2100000], data[2097200];
    static const size_t lens[] = {0,    1,     63,    64,    125,   126,     127,     4095,
                                  4096, 16377, 16378, 16379, 16383, 2097145, 2097146, 2097151};
    memset(data, 'x', sizeof data);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct bytes element = {data, lens[i]};
        size_t len = put_listpack(at, &element, 1);
        struct bytes read = walk(PACKED_LISTPACK, (struct bytes){at, len}, text);
        CHECK(read.len == element.len + 1 && memcmp(read.data, data, element.len) == 0);
    }
    for (unsigned i = 0; i < 100000; i++) {
        char number[2][NUMBER_I64_MAX_LEN];
        struct bytes elements[2];
        for (unsigned n = 0; n < 2; n++) {
            int64_t value = (int64_t)check_random(&seed) >> check_random(&seed) % 64;
            elements[n] = (struct bytes){number[n], number_format_i64(number[n], value)};
        }
        size_t len = put_listpack(at, elements, 2);
        struct bytes read = walk(PACKED_LISTPACK, (struct bytes){at, len}, text);
        CHECK(read.len == elements[0].len + elements[1].len + 2);
        CHECK(memcmp(read.data, elements[0].data, elements[0].len) == 0);
        CHECK(memcmp(read.data + elements[0].len + 1, elements[1].data, elements[1].len) == 0);
    }
}

int main(void) {
    seed = check_seed();
    RUN(each_says_what_is_in_it);
    RUN(none_may_be_cut_off_or_go_on);
    RUN(changed_bytes_lead_nowhere);
    RUN(listpacks_are_written_as_redis_does);
    RUN(lengths_behind_are_as_long_as_in_redis);
    RUN(strings_are_short_up_to_63_bytes);
    RUN(an_end_that_belongs_to_an_element_is_none);
    RUN(counts_that_are_too_large_are_not_told);
    RUN(what_is_written_is_read);
    return 0;
}
