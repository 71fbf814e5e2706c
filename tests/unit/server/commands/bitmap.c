/* Single bits, counting, finding and combining: edges by hand, and everything between against a naive model. */
#include "tests/unit/commands_fixture.h"

#define BAD_OFFSET "-ERR bit offset is not an integer or out of range\r\n"
#define BAD_BIT    "-ERR bit is not an integer or out of range\r\n"

static void single_bits_are_set_told_and_grown_to(void) {
    begin();
    static const struct exchange table[] = {
        {"setbit k 7 1", ":0\r\n"},
        {"get k", "$1\r\n\x01\r\n"},
        {"setbit k 0 1", ":0\r\n"},
        {"setbit k 0 1", ":1\r\n"},
        {"setbit k 0 0", ":1\r\n"},
        {"getbit k 7", ":1\r\n"},
        {"getbit k 8", ":0\r\n"},
        {"getbit k 4294967295", ":0\r\n"},
        {"getbit k 4294967296", BAD_OFFSET},
        {"getbit k -1", BAD_OFFSET},
        {"getbit k #1", BAD_OFFSET},
        {"getbit k 1.0", BAD_OFFSET},
        {"setbit k 4294967296 1", BAD_OFFSET},
        {"setbit k 9223372036854775807 1", BAD_OFFSET},
        {"setbit k 0 2", BAD_BIT},
        {"setbit k 0 -1", BAD_BIT},
        {"setbit k 0 x", BAD_BIT},
        {"getbit none 0", ":0\r\n"},
        {"strlen k", ":1\r\n"},
        {"set n 1", OK},
        {"getbit n 2", ":1\r\n"}, /* '1' is 0x31 */
        {"setbit n 6 1", ":0\r\n"},
        {"get n", "$1\r\n3\r\n"},
    };
    EXPECT_ALL(table);
    config.proto_max_bulk_len = 2;
    EXPECT("setbit k 15 1\nsetbit k 16 1\nstrlen k\n", ":0\r\n" BAD_OFFSET ":2\r\n");
    end();
}

static void a_bit_that_is_what_it_was_is_no_change_unless_the_string_grew(void) {
    begin();
    EXPECT_CHANGES(1, "setbit k 100 0\n", ":0\r\n");
    EXPECT_CHANGES(0, "setbit k 100 0\nsetbit k 3 0\n", ":0\r\n:0\r\n");
    EXPECT_CHANGES(1, "setbit k 3 1\n", ":0\r\n");
    EXPECT_CHANGES(0, "setbit k 3 1\n", ":1\r\n");
    EXPECT("strlen k\n", ":13\r\n");
    end();
}

static void bits_are_counted_within_ranges(void) {
    begin();
    EXPECT("set k foobar\n", OK);
    static const struct exchange table[] = {
        {"bitcount k", ":26\r\n"},
        {"bitcount k 0 0", ":4\r\n"},
        {"bitcount k 1 1 BYTE", ":6\r\n"},
        {"bitcount k 5 30 bit", ":17\r\n"},
        {"bitcount k -2 -1", ":7\r\n"},
        {"bitcount k -1 -2", ":0\r\n"},
        {"bitcount k 5 99", ":4\r\n"},
        {"bitcount k 6 99", ":0\r\n"},
        {"bitcount k -99 -1", ":26\r\n"},
        {"bitcount k 0 -99", ":4\r\n"},
        {"bitcount k -99 -98", ":4\r\n"},
        {"bitcount k -98 -99", ":0\r\n"},
        {"bitcount k 0 -1 bit", ":26\r\n"},
        {"bitcount k 1 2 bit", ":2\r\n"},
        {"bitcount k -9223372036854775808 9223372036854775807", ":26\r\n"},
        {"bitcount k 0", SYNTAX_ERROR},
        {"bitcount k 0 1 bits", SYNTAX_ERROR},
        {"bitcount k 0 1 bit x", SYNTAX_ERROR},
        {"bitcount k x 1", NOT_AN_INTEGER},
        {"bitcount none", ":0\r\n"},
        {"bitcount none 0", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void the_first_bit_is_found_also_behind_the_end(void) {
    begin();
    EXPECT("set ones \"\\xff\\xff\\xff\"\nset mixed \"\\x00\\xff\\xf0\"\nset zeroes \"\\x00\\x00\"\n",
           OK OK OK);
    static const struct exchange table[] = {
        {"bitpos ones 0", ":24\r\n"},
        {"bitpos ones 0 0", ":24\r\n"},
        {"bitpos ones 0 0 -1", ":-1\r\n"},
        {"bitpos ones 0 3", ":-1\r\n"},
        {"bitpos ones 1 1", ":8\r\n"},
        {"bitpos mixed 1", ":8\r\n"},
        {"bitpos mixed 0", ":0\r\n"},
        {"bitpos mixed 0 1", ":20\r\n"},
        {"bitpos mixed 1 2 2", ":16\r\n"},
        {"bitpos mixed 1 7 15 bit", ":8\r\n"},
        {"bitpos mixed 0 8 19 bit", ":-1\r\n"},
        {"bitpos mixed 0 8 20 BIT", ":20\r\n"},
        {"bitpos mixed 1 -3 -1 byte", ":8\r\n"},
        {"bitpos zeroes 1", ":-1\r\n"},
        {"bitpos zeroes 0 1", ":8\r\n"},
        {"bitpos zeroes 0 1 0", ":-1\r\n"},
        {"bitpos none 1", ":-1\r\n"},
        {"bitpos none 0", ":0\r\n"},
        {"bitpos none 0 5 9", ":0\r\n"},
        {"bitpos ones 2", "-ERR The bit argument must be 1 or 0.\r\n"},
        {"bitpos ones x", NOT_AN_INTEGER},
        {"bitpos ones 0 x", NOT_AN_INTEGER},
        {"bitpos ones 0 0 x", NOT_AN_INTEGER},
        {"bitpos ones 0 0 1 bits", SYNTAX_ERROR},
        {"bitpos ones 0 0 1 bit x", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    end();
}

static void results_are_combined_stored_or_deleted(void) {
    begin();
    EXPECT("set a \"\\xf0\\x0f\"\nset b \"\\x3c\"\n", OK OK);
    EXPECT("bitop and d a b none\nget d\n", ":2\r\n$2\r\n\0\0\r\n");
    EXPECT("bitop AND d a b\nget d\n", ":2\r\n$2\r\n\x30\0\r\n");
    EXPECT("bitop or d a b none\nget d\n", ":2\r\n$2\r\n\xfc\x0f\r\n");
    EXPECT("bitop xor d a b\nget d\n", ":2\r\n$2\r\n\xcc\x0f\r\n");
    EXPECT("bitop not d a\nget d\n", ":2\r\n$2\r\n\x0f\xf0\r\n");
    EXPECT("bitop not a a\nget a\nobject encoding a\n", ":2\r\n$2\r\n\x0f\xf0\r\n$3\r\nraw\r\n");
    EXPECT("set d v ex 10\nbitop or d b\nttl d\n", OK ":1\r\n:-1\r\n");
    EXPECT_CHANGES(1, "bitop or d none other\nexists d\n", ":0\r\n:0\r\n");
    EXPECT_CHANGES(0, "bitop or d none other\nbitop not d none\n", ":0\r\n:0\r\n");
    static const struct exchange table[] = {
        {"bitop not d a b", "-ERR BITOP NOT must be called with a single source key.\r\n"},
        {"bitop nand d a b", SYNTAX_ERROR},
        {"bitop or d", "-ERR wrong number of arguments for 'bitop' command\r\n"},
        {"exists d", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* ---- The model ------------------------------------------------------------------------------------ */

enum { BYTES_MAX = 80 };

static unsigned char model[3][BYTES_MAX];
static size_t model_len[3];

static bool model_bit(int k, size_t at) {
    return model[k][at / 8] >> (7 - at % 8) & 1;
}

/* Long runs of equal bytes, so that the gears for whole words have work. */
static void fill(unsigned long long *random, int k) {
    char line[16 + 4 * BYTES_MAX];
    size_t len = 1 + check_random(random) % BYTES_MAX;
    unsigned run_length = 0;
    unsigned char byte = 0;
    int at = snprintf(line, sizeof line, "set %c \"", "abc"[k]);
    model_len[k] = len;
    for (size_t i = 0; i < len; i++) {
        if (run_length-- == 0) {
            run_length = (unsigned)(check_random(random) % 24);
            byte = (unsigned char)(check_random(random) % 3 == 0 ? check_random(random)
                                   : check_random(random) % 2    ? 0xff
                                                                 : 0);
        }
        model[k][i] = byte;
        at += snprintf(line + at, sizeof line - (size_t)at, "\\x%02x", byte);
    }
    at += snprintf(line + at, sizeof line - (size_t)at, "\"\n");
    CHECK_BYTES(run((struct bytes){line, (size_t)at}), BYTES(OK));
}

static void check_number(const char *line, long long expected) {
    struct bytes reply = run(bytes_of(line));
    if (reply.len && reply.data[0] == ':' && strtoll(reply.data + 1, NULL, 10) == expected) return;
    fprintf(stderr, "%s is answered %.*s, expected %lld\n", line, (int)reply.len, reply.data, expected);
    exit(1);
}

static void ranges_of_bits_agree_with_a_naive_count_and_search(void) {
    unsigned long long random = check_seed();
    begin();
    for (int round = 0; round < 400; round++) {
        char line[64];
        fill(&random, 0);
        size_t bits = model_len[0] * 8, first = check_random(&random) % bits;
        size_t last = first + check_random(&random) % (bits - first);
        bool wanted = check_random(&random) % 2;
        long long count = 0, found = -1;
        for (size_t at = first; at <= last; at++) {
            count += model_bit(0, at);
            if (found < 0 && model_bit(0, at) == wanted) found = (long long)at;
        }
        snprintf(line, sizeof line, "bitcount a %zu %zu bit\n", first, last);
        check_number(line, count);
        snprintf(line, sizeof line, "bitpos a %d %zu %zu bit\n", wanted, first, last);
        check_number(line, found);
    }
    end();
}

static void combinations_agree_with_a_naive_one(void) {
    static const char *const names[] = {"and", "or", "xor"};
    unsigned long long random = check_seed();
    begin();
    for (int round = 0; round < 300; round++) {
        char line[64], expected[BYTES_MAX + 32];
        size_t longest = 0;
        for (int k = 0; k < 3; k++) {
            memset(model[k], 0, sizeof model[k]);
            fill(&random, k);
            if (model_len[k] > longest) longest = model_len[k];
        }
        int op = round % 3, head = snprintf(expected, sizeof expected, ":%zu\r\n$%zu\r\n", longest, longest);
        for (size_t i = 0; i < longest; i++) {
            unsigned char x = model[0][i], y = model[1][i], z = model[2][i];
            expected[(size_t)head + i] = (char)(op == 0 ? x & y & z : op == 1 ? x | y | z : x ^ y ^ z);
        }
        memcpy(expected + head + longest, "\r\n", 2);
        snprintf(line, sizeof line, "bitop %s d a b c\nget d\n", names[op]);
        CHECK_BYTES(run(bytes_of(line)), ((struct bytes){expected, (size_t)head + longest + 2}));
    }
    end();
}

int main(void) {
    RUN(single_bits_are_set_told_and_grown_to);
    RUN(a_bit_that_is_what_it_was_is_no_change_unless_the_string_grew);
    RUN(bits_are_counted_within_ranges);
    RUN(the_first_bit_is_found_also_behind_the_end);
    RUN(results_are_combined_stored_or_deleted);
    RUN(ranges_of_bits_agree_with_a_naive_count_and_search);
    RUN(combinations_agree_with_a_naive_one);
    return 0;
}
