/* BITFIELD: widths and ends of integers by hand, and everything between against an array of bits. */
#include "tests/unit/commands_fixture.h"

#define BAD_OFFSET "-ERR bit offset is not an integer or out of range\r\n"
#define BAD_TYPE                                                                                             \
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n"
#define MAX "9223372036854775807"
#define MIN "-9223372036854775808"

static void fields_are_set_read_and_added_to(void) {
    begin();
    static const struct exchange table[] = {
        {"bitfield k", "*0\r\n"},
        {"exists k", ":0\r\n"},
        {"bitfield k get u8 0", "*1\r\n:0\r\n"},
        {"exists k", ":0\r\n"},
        {"bitfield k set u8 0 255 get i8 0 set i8 0 -2 get u8 0", "*4\r\n:0\r\n:-1\r\n:-1\r\n:254\r\n"},
        {"bitfield k incrby u4 4 3", "*1\r\n:1\r\n"}, /* 14 + 3, wrapped */
        {"bitfield k set u16 #1 513 get u8 #2 get u8 #3", "*3\r\n:0\r\n:2\r\n:1\r\n"},
        {"strlen k", ":4\r\n"},
        {"bitfield k get u8 4294967295", "*1\r\n:0\r\n"},
        {"bitfield k get u8 4294967296", BAD_OFFSET},
        {"bitfield k get u8 #536870912", BAD_OFFSET},
        {"bitfield k get u8 #-1", BAD_OFFSET},
        {"bitfield k get u8 #9223372036854775807", BAD_OFFSET},
        {"bitfield k get u8 x", BAD_OFFSET},
    };
    EXPECT_ALL(table);
    end();
}

static void overflow_does_what_was_said_last(void) {
    begin();
    static const struct exchange table[] = {
        {"bitfield a set i64 0 " MAX " incrby i64 0 1", "*2\r\n:0\r\n:" MIN "\r\n"},
        {"bitfield a overflow sat incrby i64 0 -1", "*1\r\n:" MIN "\r\n"},
        {"bitfield a overflow fail incrby i64 0 -1 get i64 0", "*2\r\n" NIL ":" MIN "\r\n"},
        {"bitfield a overflow sat set i64 0 " MAX " incrby i64 0 " MAX, "*2\r\n:" MIN "\r\n:" MAX "\r\n"},
        {"bitfield b set u63 0 " MAX " incrby u63 0 1 overflow sat incrby u63 0 -1",
         "*3\r\n:0\r\n:0\r\n:0\r\n"},
        {"bitfield c set u8 0 -1 get u8 0", "*2\r\n:0\r\n:255\r\n"},
        {"bitfield c set u8 0 257 get u8 0", "*2\r\n:255\r\n:1\r\n"},
        {"bitfield c overflow sat set u8 0 -1 get u8 0", "*2\r\n:1\r\n:255\r\n"},
        {"bitfield c overflow fail set u8 0 256 set u8 0 7", "*2\r\n" NIL ":255\r\n"},
        {"bitfield d overflow sat set i8 0 128 get i8 0 set i8 0 -129 get i8 0",
         "*4\r\n:0\r\n:127\r\n:127\r\n:-128\r\n"},
        {"bitfield e set i1 0 1 get i1 0 overflow fail incrby i1 0 -1", "*3\r\n:0\r\n:-1\r\n" NIL},
        {"bitfield f overflow sat incrby u2 0 100 overflow wrap incrby u2 0 1 overflow fail incrby u2 0 4",
         "*3\r\n:3\r\n:0\r\n" NIL},
        {"bitfield g overflow odd incrby u2 0 1", "-ERR Invalid OVERFLOW type specified\r\n"},
        {"exists g", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void an_error_anywhere_changes_nothing(void) {
    static const struct exchange table[] = {
        {"bitfield k set u8 0 1 get u64 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get i65 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get u0 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get 8 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get \"\" 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get u 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get u-8 0", BAD_TYPE},
        {"bitfield k set u8 0 1 get U8 0", BAD_TYPE},
        {"bitfield k set u8 0 x", NOT_AN_INTEGER},
        {"bitfield k set u8 0", SYNTAX_ERROR},
        {"bitfield k set u8 0 1 get u8", SYNTAX_ERROR},
        {"bitfield k set u8 0 1 nope", SYNTAX_ERROR},
        {"bitfield k set u8 0 1 overflow", SYNTAX_ERROR},
        {"bitfield_ro k set u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
        {"bitfield_ro k incrby u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n"},
        {"exists k", ":0\r\n"},
        {"set k a", OK},
        {"bitfield_ro k get u8 0", "*1\r\n:97\r\n"},
    };
    begin();
    uint64_t before = changes();
    EXPECT_ALL(table);
    CHECK_INT(changes() - before, 1);
    end();
}

static void what_stays_is_no_change_and_what_grows_is(void) {
    begin();
    EXPECT_CHANGES(1, "bitfield k set u8 0 0\n", "*1\r\n:0\r\n");
    EXPECT_CHANGES(0, "bitfield k set u8 0 0 incrby u8 0 0 get u8 0\n", "*3\r\n:0\r\n:0\r\n:0\r\n");
    EXPECT_CHANGES(2, "bitfield k set u8 0 1 set u8 0 2\n", "*2\r\n:0\r\n:1\r\n");
    EXPECT_CHANGES(2, "bitfield k set u8 8 0 get u8 80 set u8 0 2\n", "*3\r\n:0\r\n:0\r\n:2\r\n");
    EXPECT_CHANGES(1, "bitfield k overflow fail incrby u8 80 -1\nstrlen k\n", "*1\r\n" NIL ":11\r\n");
    end();
}

/* ---- The model ------------------------------------------------------------------------------------ */

enum { BITS = 300 };
static bool bits[BITS];

static __int128 model_get(bool is_signed, unsigned width, unsigned offset) {
    __int128 value = 0;
    for (unsigned i = 0; i < width; i++) value = value << 1 | bits[offset + i];
    return is_signed && bits[offset] ? value - ((__int128)1 << width) : value;
}

static void model_set(unsigned width, unsigned offset, unsigned long long value) {
    for (unsigned i = 0; i < width; i++) bits[offset + i] = value >> (width - 1 - i) & 1;
}

static void fields_of_every_width_at_every_bit_are_those_of_an_array_of_bits(void) {
    unsigned long long random = check_seed();
    begin();
    EXPECT("setbit k 303 0\n", ":0\r\n");
    for (int round = 0; round < 3000; round++) {
        char line[160], expected[160];
        bool is_signed = check_random(&random) % 2;
        unsigned width = 1 + (unsigned)(check_random(&random) % (is_signed ? 64 : 63));
        unsigned offset = (unsigned)(check_random(&random) % (BITS - width));
        char type = is_signed ? 'i' : 'u';
        /* A value that fits, read in the field's own way. */
        unsigned long long raw = check_random(&random) >> (64 - width);
        long long old = (long long)model_get(is_signed, width, offset);
        model_set(width, offset, raw);
        long long value = (long long)model_get(is_signed, width, offset);
        snprintf(line, sizeof line, "bitfield k set %c%u %u %lld get %c%u %u\n", type, width, offset, value,
                 type, width, offset);
        snprintf(expected, sizeof expected, "*2\r\n:%lld\r\n:%lld\r\n", old, value);
        CHECK_BYTES(run(bytes_of(line)), bytes_of(expected));
    }
    /* And nothing beside the fields was touched. */
    for (unsigned at = 0; at < BITS; at++) {
        char line[32];
        snprintf(line, sizeof line, "getbit k %u\n", at);
        CHECK_BYTES(run(bytes_of(line)), bits[at] ? BYTES(":1\r\n") : BYTES(":0\r\n"));
    }
    end();
}

int main(void) {
    RUN(fields_are_set_read_and_added_to);
    RUN(overflow_does_what_was_said_last);
    RUN(an_error_anywhere_changes_nothing);
    RUN(what_stays_is_no_change_and_what_grows_is);
    RUN(fields_of_every_width_at_every_bit_are_those_of_an_array_of_bits);
    return 0;
}
