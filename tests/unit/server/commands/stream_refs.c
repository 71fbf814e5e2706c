/* XDELEX, XACKDEL, and KEEPREF, DELREF and ACKED of XTRIM and XADD: what they answer and count as changes, and that memory
 * which runs out leaves a stream and its groups whole. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

/* Three entries, which two groups have read, but for the third one that h has not. */
static void add_three(void) {
    EXPECT("xadd s 1-0 a b\nxadd s 2-0 a b\nxadd s 3-0 a b\n", "$3\r\n1-0\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n");
    EXPECT("xgroup create s g 0\nxgroup create s h 0\n", OK OK);
    EXPECT("xclaim s g c 0 1-0 2-0 3-0 force justid lastid 3-0\n",
           "*3\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n");
    EXPECT("xclaim s h d 0 1-0 2-0 force justid lastid 2-0\n", "*2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n");
}

#define NOTHING "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n"

static void entries_go_with_or_without_references(void) {
    begin();
    add_three();
    EXPECT_CHANGES(1, "xdelex s ids 2 1-0 9-9\n", "*2\r\n:1\r\n:-1\r\n");
    EXPECT_CHANGES(2, "xdelex s delref ids 1 1-0\n", "*1\r\n:-1\r\n");
    EXPECT_CHANGES(0, "xdelex s acked ids 2 2-0 3-0\n", "*2\r\n:2\r\n:2\r\n");
    EXPECT_CHANGES(1, "xackdel s g acked ids 2 2-0 1-0\n", "*2\r\n:2\r\n:-1\r\n");
    EXPECT_CHANGES(2, "xackdel s h acked ids 1 2-0\n", "*1\r\n:1\r\n");
    EXPECT_CHANGES(0, "xackdel s none ids 1 3-0\nxackdel none g ids 1 3-0\n", "*1\r\n:-1\r\n*1\r\n:-1\r\n");
    EXPECT_CHANGES(2, "xackdel s g delref ids 2 3-0 3-0\n", "*2\r\n:1\r\n:-1\r\n");
    EXPECT("xpending s g\nxpending s h\nxlen s\n", NOTHING NOTHING ":0\r\n");
    end();
}

static void trimming_goes_by_references(void) {
    begin();
    add_three();
    EXPECT_CHANGES(0, "xtrim s maxlen 0 acked\n", ":0\r\n");
    EXPECT_CHANGES(2, "xack s g 1-0\nxack s h 1-0\n", ":1\r\n:1\r\n");
    EXPECT_CHANGES(1, "xtrim s maxlen 0 acked\n", ":1\r\n");
    EXPECT_CHANGES(3, "xadd s maxlen 2 delref 4-0 a b\n", "$3\r\n4-0\r\n");
    EXPECT("xpending s h\nxlen s\n", NOTHING ":2\r\n");
    EXPECT_CHANGES(2, "xtrim s minid 9 delref keepref\nxtrim s minid 4 delref\n", SYNTAX_ERROR ":1\r\n");
    EXPECT("xpending s g\n", NOTHING);
    EXPECT_CHANGES(1, "xtrim s maxlen 0 keepref\n", ":1\r\n");
    end();
}

/* What is left of the entries, and of what is pending, can be read and goes; whatever had gone before memory ran out. */
static void memory_that_runs_out_leaves_all_whole(void) {
    static const char *const lines[] = {"xdelex s delref ids 3 1-0 2-0 3-0\n",
                                        "xackdel s g delref ids 3 1-0 2-0 3-0\n",
                                        "xackdel s g acked ids 3 1-0 2-0 3-0\n",
                                        "xtrim s maxlen 0 delref\n",
                                        "xtrim s maxlen 1 acked\n",
                                        "xadd s maxlen 1 delref 4-0 a b\n"};
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (unsigned left = 0; left < 30; left++) {
            begin();
            add_three();
            EXPECT("copy s copied\n", ":1\r\n");
            (void)run_with(left, bytes_of(lines[i]));
            (void)run(BYTES("xdelex s delref ids 4 1-0 2-0 3-0 4-0\n"));
            EXPECT("xlen s\nxpending s g\nxpending s h\n", ":0\r\n" NOTHING NOTHING);
            EXPECT("xlen copied\nxack copied g 1-0 2-0 3-0\n", ":3\r\n:3\r\n");
            end();
        }
    }
}

int main(void) {
    RUN(entries_go_with_or_without_references);
    RUN(trimming_goes_by_references);
    RUN(memory_that_runs_out_leaves_all_whole);
    return 0;
}
