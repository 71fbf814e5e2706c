/* The bounded text: pieces in order, cut to the byte where it must end, whole again never. */
#include "protocol/text.h"

#include <stdint.h>

#include "tests/check.h"
#include "tests/unit/failing_memory.h"

#define CHECK_TEXT(text, expected)                                                                           \
    do {                                                                                                     \
        CHECK_BYTES(text_bytes(&(text)), BYTES(expected));                                                   \
        CHECK((text).data && (text).data[(text).len] == '\0');                                               \
    } while (0)

static void pieces_come_in_order(void) {
    char memory[64];
    struct text text = text_fixed(memory, sizeof memory);
    CHECK_TEXT(text, "");
    text_add(&text, BYTES("a\0b"));
    text_add(&text, (struct bytes){NULL, 0});
    text_string(&text, " c");
    text_format(&text, " %u%% %-3s|", 7u, "d");
    text_upper(&text, BYTES("client|id-2 \xe4z{`"));
    CHECK_TEXT(text, "a\0b c 7% d  |CLIENT|ID-2 \xe4Z{`");
    CHECK(!text.cut && text.data == memory && !text.owned);
}

/* One piece of each kind, behind what is there already. */
static void add_string(struct text *text) {
    text_string(text, "0123456789");
}
static void add_format(struct text *text) {
    text_format(text, "%d%s", 1234, "567890");
}
static void add_upper(struct text *text) {
    text_upper(text, BYTES("abcdefghij"));
}
static const struct piece {
    void (*add)(struct text *text);
    const char *whole;
} pieces[] = {{add_string, "0123456789"}, {add_format, "1234567890"}, {add_upper, "ABCDEFGHIJ"}};
enum { PIECES = sizeof pieces / sizeof *pieces };

static void a_fixed_text_is_cut_to_the_byte(void) {
    for (unsigned p = 0; p < PIECES; p++) {
        for (size_t size = 0; size < 20; size++) {
            char memory[24];
            memset(memory, '#', sizeof memory);
            struct text text = text_fixed(memory, size);
            text_string(&text, "<");
            pieces[p].add(&text);
            char expected[24];
            snprintf(expected, sizeof expected, "<%s", pieces[p].whole);
            CHECK(text.cut == (size < 12));
            if (size) CHECK_BYTES(bytes_of(memory), ((struct bytes){expected, size < 12 ? size - 1 : 11}));
            CHECK_INT(text.len, size == 0 ? 0 : size < 12 ? size - 1 : 11);
            for (size_t i = size < 12 ? size : 12; i < sizeof memory; i++) CHECK(memory[i] == '#');
        }
    }
}

/* Else a short piece would follow a long one that was left out. */
static void nothing_is_added_behind_a_cut(void) {
    char memory[8];
    struct text text = text_fixed(memory, sizeof memory);
    text_string(&text, "123456");
    text_escaped(&text, BYTES("\n"), SIZE_MAX); /* two bytes, and there is room for one */
    CHECK(text.cut);
    CHECK_TEXT(text, "123456");
    for (unsigned p = 0; p < PIECES; p++) pieces[p].add(&text);
    CHECK_INT(text_escaped(&text, BYTES("x"), SIZE_MAX), 0);
    CHECK_TEXT(text, "123456");
}

static void a_full_text_is_not_cut(void) {
    char memory[7];
    struct text text = text_fixed(memory, sizeof memory);
    text_string(&text, "123456");
    text_string(&text, "");
    text_format(&text, "%s", "");
    CHECK(!text.cut);
    text_string(&text, "7");
    CHECK(text.cut);
    CHECK_TEXT(text, "123456");
}

static void a_growing_text_leaves_the_memory_that_it_began_in(void) {
    char memory[16], expected[5000];
    for (unsigned first = 0; first <= sizeof memory; first += 8) {
        struct text text = text_growing(first ? memory : NULL, first, sizeof expected);
        for (size_t i = 0; i < sizeof expected; i++) {
            expected[i] = (char)('a' + i % 26);
            text_add(&text, (struct bytes){&expected[i], 1});
            CHECK((text.data == memory) == (text.len < first) && text.owned == (text.len >= first));
        }
        CHECK(!text.cut && text.owned && text.capacity == sizeof expected + 1);
        CHECK_BYTES(text_bytes(&text), ((struct bytes){expected, sizeof expected}));
        CHECK(text.data[text.len] == '\0');
        text_string(&text, "!");
        CHECK(text.cut && text.len == sizeof expected);
        text_free(&text);
        CHECK(!text.data && text.len == 0);
        text_string(&text, "after the end");
        CHECK(!text.data && text.len == 0);
    }
}

static void a_long_piece_takes_one_step(void) {
    struct text text = text_growing(NULL, 0, 1 << 20);
    text_format(&text, "%0*d", 100000, 5);
    CHECK_INT(text.len, 100000);
    CHECK(text.data[0] == '0' && text.data[99999] == '5' && !text.cut);
    text_free(&text);
}

static void a_limit_below_the_first_memory_holds(void) {
    char memory[16];
    memset(memory, '#', sizeof memory);
    struct text text = text_growing(memory, sizeof memory, 4);
    text_string(&text, "123456");
    CHECK(text.cut && !text.owned && memory[5] == '#');
    CHECK_TEXT(text, "1234");
    text_free(&text);
}

static void without_memory_a_text_is_cut_where_its_memory_ends(void) {
    for (unsigned p = 0; p < PIECES; p++) {
        char memory[8];
        struct text text = text_growing(memory, sizeof memory, 1000);
        memory_left = 0;
        text_string(&text, "<");
        pieces[p].add(&text);
        memory_left = UINT_MAX;
        CHECK(text.cut && text.len == 7 && memcmp(text.data + 1, pieces[p].whole, 6) == 0 && !text.data[7]);
        pieces[p].add(&text); /* also when there is memory again */
        CHECK_INT(text.len, 7);
        text_free(&text);

        struct text none = text_growing(NULL, 0, 1000);
        memory_left = 0;
        pieces[p].add(&none);
        memory_left = UINT_MAX;
        CHECK(none.cut && none.len == 0 && !none.data);
        text_free(&none);
    }
}

static void growth_that_fails_keeps_what_was_there(void) {
    struct text text = text_growing(NULL, 0, 1 << 20);
    text_format(&text, "%0*d", 1000, 5);
    size_t capacity = text.capacity;
    memory_left = 0;
    text_format(&text, "%0*d", 5000, 6);
    memory_left = UINT_MAX;
    CHECK(text.cut && text.len == capacity - 1 && text.data[999] == '5' && text.data[1000] == '0');
    text_free(&text);
}

/* What redis-server's MONITOR shows for all bytes, in their order. */
static void every_byte_is_escaped_as_redis_does(void) {
    char all[256], memory[2048], expected[2048];
    size_t len = 0;
    for (int c = 0; c < 256; c++) {
        static const char named[] = "\a\b\t\n\r\"\\", names[] = "abtnr\"\\";
        const char *at = c ? strchr(named, c) : NULL;
        all[c] = (char)c;
        if (at)
            len += (size_t)snprintf(expected + len, sizeof expected - len, "\\%c", names[at - named]);
        else
            len += (size_t)snprintf(expected + len, sizeof expected - len,
                                    c >= ' ' && c <= '~' ? "%c" : "\\x%02x", c);
    }
    struct text text = text_fixed(memory, sizeof memory);
    CHECK_INT(text_escaped(&text, (struct bytes){all, sizeof all}, SIZE_MAX), 256);
    CHECK_BYTES(text_bytes(&text), ((struct bytes){expected, len}));
}

static void escaping_stops_at_its_end_and_tells_what_is_left(void) {
    char memory[64];
    struct text text = text_fixed(memory, sizeof memory);
    CHECK_INT(text_escaped(&text, BYTES("ab\n\ncd"), 3), 3);
    CHECK_TEXT(text, "ab\\n"); /* the last byte may go beyond */
    CHECK_INT(text_escaped(&text, BYTES("more"), 3), 0);
    CHECK(!text.cut);
}

int main(void) {
    RUN(pieces_come_in_order);
    RUN(a_fixed_text_is_cut_to_the_byte);
    RUN(nothing_is_added_behind_a_cut);
    RUN(a_full_text_is_not_cut);
    RUN(a_growing_text_leaves_the_memory_that_it_began_in);
    RUN(a_long_piece_takes_one_step);
    RUN(a_limit_below_the_first_memory_holds);
    RUN(without_memory_a_text_is_cut_where_its_memory_ends);
    RUN(growth_that_fails_keeps_what_was_there);
    RUN(every_byte_is_escaped_as_redis_does);
    RUN(escaping_stops_at_its_end_and_tells_what_is_left);
    return 0;
}
