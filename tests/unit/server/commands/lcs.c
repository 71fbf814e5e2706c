/* LCS: the subsequence, its length and its runs, against the textbook's table. */
#include "tests/unit/commands_fixture.h"

static void text_length_and_runs_of_the_manual_s_example(void) {
    begin();
    EXPECT("mset a ohmytext b mynewtext\n", OK);
    EXPECT("lcs a b\n", "$6\r\nmytext\r\n");
    EXPECT("lcs a b len\n", ":6\r\n");
    EXPECT("lcs a b idx\n", "*4\r\n$7\r\nmatches\r\n*2\r\n"
                            "*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
                            "*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n"
                            "$3\r\nlen\r\n:6\r\n");
    EXPECT("lcs a b IDX minmatchlen 4 withmatchlen\n", "*4\r\n$7\r\nmatches\r\n*1\r\n"
                                                       "*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
                                                       "$3\r\nlen\r\n:6\r\n");
    EXPECT("lcs a b idx minmatchlen 5\n", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n");
    end();
}

static void what_is_absent_or_expired_is_an_empty_string(void) {
    begin();
    EXPECT("set a text\nset gone text px 1\n", OK OK);
    now_ms++;
    static const struct exchange table[] = {
        {"lcs a none", "$0\r\n\r\n"},
        {"lcs none a len", ":0\r\n"},
        {"lcs a gone", "$0\r\n\r\n"},
        {"lcs none none idx", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void options_are_checked(void) {
    begin();
    EXPECT("set a 12345\nset b 1245\n", OK OK);
    static const struct exchange table[] = {
        {"lcs a b", "$4\r\n1245\r\n"}, /* integers are texts too */
        {"lcs a a", "$5\r\n12345\r\n"},
        {"lcs a b len idx", "-ERR If you want both the length and indexes, please just use IDX.\r\n"},
        {"lcs a b idx minmatchlen", SYNTAX_ERROR},
        {"lcs a b idx minmatchlen x", NOT_AN_INTEGER},
        {"lcs a b long", SYNTAX_ERROR},
        {"lcs a b idx minmatchlen -5",
         "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:3\r\n:4\r\n*2\r\n:2\r\n:3\r\n"
         "*2\r\n*2\r\n:0\r\n:1\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:4\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* Four bytes a cell of a table that has one row and one column more than the strings have bytes. */
static void redis_s_bound_on_the_table_holds(void) {
    begin();
    EXPECT("set a abc\nset b abc\n", OK OK);
    config.proto_max_bulk_len = 4 * 4 * 4;
    EXPECT("lcs a b len\n", ":3\r\n");
    config.proto_max_bulk_len--;
    EXPECT("lcs a b len\n",
           "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n");
    end();
}

enum { LEN_MAX = 40 };

static unsigned textbook_length(struct bytes a, struct bytes b) {
    unsigned table[LEN_MAX + 1][LEN_MAX + 1] = {{0}};
    for (size_t i = 1; i <= a.len; i++)
        for (size_t j = 1; j <= b.len; j++) {
            unsigned up = table[i - 1][j], left = table[i][j - 1];
            table[i][j] = a.data[i - 1] == b.data[j - 1] ? table[i - 1][j - 1] + 1 : up > left ? up : left;
        }
    return table[a.len][b.len];
}

static bool is_subsequence(struct bytes part, struct bytes whole) {
    size_t found = 0;
    for (size_t i = 0; i < whole.len && found < part.len; i++) found += whole.data[i] == part.data[found];
    return found == part.len;
}

/* Lengths around whole bytes of the way back's bits, few letters so that much is common. */
static void random_texts_share_as_much_as_the_textbook_says(void) {
    unsigned long long random = check_seed();
    begin();
    for (int round = 0; round < 500; round++) {
        char text[2][LEN_MAX], line[256];
        struct bytes of[2];
        for (int k = 0; k < 2; k++) {
            of[k] = (struct bytes){text[k], 1 + check_random(&random) % LEN_MAX};
            for (size_t i = 0; i < of[k].len; i++) text[k][i] = (char)('a' + check_random(&random) % 3);
        }
        int len = snprintf(line, sizeof line, "mset a %.*s b %.*s\nlcs a b\n", (int)of[0].len, text[0],
                           (int)of[1].len, text[1]);
        struct bytes reply = run((struct bytes){line, (size_t)len});
        unsigned expected = textbook_length(of[0], of[1]);
        char head[32];
        size_t head_len = (size_t)snprintf(head, sizeof head, "+OK\r\n$%u\r\n", expected);
        CHECK_INT(reply.len, head_len + expected + 2);
        CHECK_BYTES(((struct bytes){reply.data, head_len}), ((struct bytes){head, head_len}));
        struct bytes common = {reply.data + head_len, expected};
        CHECK(is_subsequence(common, of[0]) && is_subsequence(common, of[1]));
    }
    end();
}

int main(void) {
    RUN(text_length_and_runs_of_the_manual_s_example);
    RUN(what_is_absent_or_expired_is_an_empty_string);
    RUN(options_are_checked);
    RUN(redis_s_bound_on_the_table_holds);
    RUN(random_texts_share_as_much_as_the_textbook_says);
    return 0;
}
