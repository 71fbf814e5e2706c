/* PFADD, PFCOUNT, PFMERGE and PFDEBUG: what they answer, count as changes and record, and that memory which runs out, or a
 * value that somebody made up, leaves what was done. (Bytes and registers: tests/unit/store/values.) */
#include "store/values/hyperloglog.h"

#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

#define CORRUPT "-INVALIDOBJ Corrupted HLL object detected\r\n"
#define NOT_HLL "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n"
#define HEAD    "HYLL\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x80"

static void elements_are_added_and_counted(void) {
    begin();
    EXPECT_CHANGES(1, "pfadd k\n", ":1\r\n");
    EXPECT_CHANGES(0, "pfadd k\n", ":0\r\n");
    EXPECT("object encoding k\nstrlen k\n", "$3\r\nraw\r\n:18\r\n");
    EXPECT("get k\n", "$18\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff\r\n");
    EXPECT_CHANGES(1, "pfcount k\n", ":0\r\n"); /* which it keeps */
    EXPECT_CHANGES(0, "pfcount k\n", ":0\r\n");
    EXPECT_CHANGES(3, "pfadd k a ab abc\n", ":1\r\n");
    EXPECT_CHANGES(0, "pfadd k abc ab a a\n", ":0\r\n");
    EXPECT_CHANGES(1, "pfcount k\n", ":3\r\n");
    EXPECT("get k\n",
           "$27\r\nHYLL\x01\0\0\0\x03\0\0\0\0\0\0\0\x42\xce\x80\x62\x31\x80\x4c\xa3\x84\x4e\x57\r\n");
    EXPECT("pfdebug decode k\npfdebug encoding k\n",
           "$44\r\nZ:719 v:1,1 Z:8754 v:1,1 Z:3236 v:2,1 Z:3672\r\n+sparse\r\n");
    EXPECT_CHANGES(2, "pfadd new a\n", ":1\r\n"); /* it was created, and one was added */
    EXPECT_CHANGES(0, "pfcount k new none\npfcount none\n", ":3\r\n:0\r\n");
    end();
}

static void values_become_dense(void) {
    begin();
    EXPECT("pfadd k a b c\n", ":1\r\n");
    EXPECT_CHANGES(1, "pfdebug todense k\n", ":1\r\n");
    EXPECT_CHANGES(0, "pfdebug todense k\n", ":0\r\n");
    EXPECT("strlen k\npfdebug encoding k\npfcount k\n", ":12304\r\n+dense\r\n:3\r\n");
    EXPECT("pfadd k a b c d\npfcount k\n", ":1\r\n:4\r\n");
    EXPECT("pfdebug decode k\n", "-ERR HLL encoding is not sparse\r\n");
    config.hll_sparse_max_bytes = 20;
    EXPECT("pfadd other a\nstrlen other\n", ":1\r\n:12304\r\n");
    EXPECT("pfdebug getreg none\n", "-ERR The specified key does not exist\r\n");
    struct bytes reply = run(BYTES("pfadd third\npfdebug getreg third\n"));
    CHECK(reply.len > 8 * HLL_REGISTERS / 2 && memcmp(reply.data, ":1\r\n*16384\r\n:0\r\n", 16) == 0);
    EXPECT("strlen third\npfselftest\n", ":12304\r\n" OK);
    EXPECT("pfdebug nope third\n", "-ERR Unknown PFDEBUG subcommand 'nope'\r\n");
    end();
}

static void values_are_merged_across_stripes(void) {
    begin();
    EXPECT("pfadd a 1 2 3\npfadd b 3 4\npfadd c 5\npfadd d a\npfcount c\n", ":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
    EXPECT_CHANGES(1, "pfmerge a b none c\n", OK);
    EXPECT_CHANGES(0, "pfcount a b c\npfcount b c\n", ":5\r\n:3\r\n");
    EXPECT("pfcount a\npfdebug encoding a\n", ":5\r\n+sparse\r\n");
    EXPECT("pfmerge new a\npfcount new\npfmerge empty\npfcount empty\n", OK ":5\r\n" OK ":0\r\n");
    EXPECT("pfdebug todense b\npfmerge c b\npfdebug encoding c\npfcount c\n", ":1\r\n" OK "+dense\r\n:3\r\n");
    config.hll_sparse_max_bytes = 30;
    EXPECT("pfmerge d a\npfdebug encoding d\npfcount d\n", OK "+dense\r\n:6\r\n");
    EXPECT("command getkeys pfmerge a\ncommand getkeys pfmerge a b c\n",
           "-ERR Invalid arguments specified for command\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    end();
}

static void what_is_none_is_refused(void) {
    begin();
    EXPECT("set s text\nset n 12345678901234567\nrpush l 1\n", OK OK ":1\r\n");
    EXPECT("set half \"" HEAD "\\x7f\"\nset few \"" HEAD "\\x40\\x00\"\nset many \"" HEAD
           "\\x7f\\xff\\x00\"\n",
           OK OK OK);
    static const struct exchange table[] = {
        {"pfadd s a", NOT_HLL},
        {"pfadd n a", NOT_HLL},
        {"pfcount s", NOT_HLL},
        {"pfcount half s", CORRUPT},
        {"pfmerge d s", NOT_HLL},
        {"pfdebug encoding s", NOT_HLL},
        {"pfadd l a", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"pfcount l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"pfmerge d l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"pfdebug encoding l", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
        {"pfadd half a", CORRUPT},
        {"pfadd few a", CORRUPT},
        {"pfcount few", CORRUPT},
        {"pfcount many", CORRUPT},
        {"pfcount none many", CORRUPT},
        {"pfmerge d many", CORRUPT},
        {"pfmerge many", CORRUPT},
        {"pfdebug todense many", CORRUPT},
        {"pfdebug getreg few", CORRUPT},
        {"pfdebug decode many", "$11\r\nZ:16384 z:1\r\n"},
        {"exists d", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* The first register of "b" is there, that of "a" is not: what was added before the error stays. */
static void what_was_added_before_an_error_stays(void) {
    begin();
    EXPECT("set k \"" HEAD "\\x4f\\xff\"\n", OK);
    EXPECT_CHANGES(0, "pfadd k ab a\n", CORRUPT); /* as Redis counts it */
    EXPECT("get k\n", "$21\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x42\xce\x80\x4d\x2f\r\n");
    EXPECT_CHANGES(0, "pfadd k ab a\n", CORRUPT);
    end();
}

/* With each number of allocations, the value is what was there, or has some of the elements. */
static void memory_that_runs_out_leaves_a_value(void) {
    begin();
    static const char *const lines[] = {"pfadd k c d e f g h\n", "pfmerge k other\n", "pfdebug todense k\n",
                                        "pfcount k\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        bool failed = true;
        for (unsigned left = 0; failed; left++) {
            run(BYTES("del k other\n"));
            EXPECT("pfadd k a b\npfadd other x y z\ncopy k shared replace\n", ":1\r\n:1\r\n:1\r\n");
            struct bytes reply = run_with(left, bytes_of(lines[i]));
            failed = bytes_equal(reply, BYTES(NO_MEMORY));
            CHECK(left < 100);
            EXPECT("pfcount shared\n", ":2\r\n");
            struct bytes count = run(BYTES("pfcount k\n"));
            CHECK(count.data[0] == ':' && count.data[1] >= '2' && count.data[1] <= '8');
        }
    }
    end();
}

int main(void) {
    RUN(elements_are_added_and_counted);
    RUN(values_become_dense);
    RUN(values_are_merged_across_stripes);
    RUN(what_is_none_is_refused);
    RUN(what_was_added_before_an_error_stays);
    RUN(memory_that_runs_out_leaves_a_value);
    return 0;
}
