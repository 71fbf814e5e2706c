/* XCLAIM and XAUTOCLAIM: who owns what is pending afterwards, what is told of it, and what they refuse. */
#include "tests/unit/commands_fixture.h"

#define ENTRY(id) "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n"

static void begin_with_two_pending(void) {
    begin();
    EXPECT("xadd s 1-1 a b\nxadd s 2-1 a b\nxadd s 3-1 a b\nxgroup create s g 0\n",
           "$3\r\n1-1\r\n$3\r\n2-1\r\n$3\r\n3-1\r\n" OK);
    run(BYTES("xreadgroup group g c count 2 streams s >\n"));
    now_ms += 100;
}

static void entries_change_hands(void) {
    begin_with_two_pending();
    EXPECT_CHANGES(2, "xclaim s g d 50 1-1 3-1\n", "*1\r\n" ENTRY("1-1"));
    EXPECT_CHANGES(0, "xclaim s g c 50 1-1\n", "*0\r\n");
    EXPECT("xpending s g - + 9\n", "*2\r\n*4\r\n$3\r\n1-1\r\n$1\r\nd\r\n:0\r\n:2\r\n"
                                   "*4\r\n$3\r\n2-1\r\n$1\r\nc\r\n:100\r\n:1\r\n");
    EXPECT_CHANGES(1, "xclaim s g c 0 1-1 3-1 9-9 idle 30 retrycount 7 justid\n", "*1\r\n$3\r\n1-1\r\n");
    EXPECT("xpending s g 1-1 1-1 1\n", "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:30\r\n:7\r\n");
    EXPECT_CHANGES(1, "xclaim s g c 0 3-1 force time 0 justid\n", "*1\r\n$3\r\n3-1\r\n");
    EXPECT_CHANGES(1, "xdel s 1-1\n", ":1\r\n");
    EXPECT_CHANGES(1, "xclaim s g d 0 1-1\n", "*0\r\n");
    EXPECT("xpending s g\n", "*4\r\n:2\r\n$3\r\n2-1\r\n$3\r\n3-1\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n");
    EXPECT_CHANGES(1, "xclaim s g d 0 9-9 lastid 8-8\n", "*0\r\n");
    EXPECT_CHANGES(0, "xclaim s g d 0 9-9 lastid 8-8\n", "*0\r\n");
    end();
}

static void all_that_is_old_is_claimed(void) {
    begin_with_two_pending();
    EXPECT("xautoclaim s g d 50 0 count 1\n", "*3\r\n$3\r\n2-1\r\n*1\r\n" ENTRY("1-1") "*0\r\n");
    EXPECT("xautoclaim s g d 50 2-1 justid\n", "*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n2-1\r\n*0\r\n");
    EXPECT("xautoclaim s g d 50 0\n", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
    EXPECT("xdel s 1-1\n", ":1\r\n");
    EXPECT_CHANGES(3, "xautoclaim s g e 0 -\n",
                   "*3\r\n$3\r\n0-0\r\n*1\r\n" ENTRY("2-1") "*1\r\n$3\r\n1-1\r\n");
    end();
}

static void what_is_wrong_is_told(void) {
    begin_with_two_pending();
    static const struct exchange table[] = {
        {"xclaim s h c 0 1-1", "-NOGROUP No such key 's' or consumer group 'h'\r\n"},
        {"xclaim s g c x 1-1", "-ERR Invalid min-idle-time argument for XCLAIM\r\n"},
        {"xclaim s g c 0 1-1 idle x", "-ERR Invalid IDLE option argument for XCLAIM\r\n"},
        {"xclaim s g c 0 1-1 time x", "-ERR Invalid TIME option argument for XCLAIM\r\n"},
        {"xclaim s g c 0 1-1 retrycount x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM\r\n"},
        {"xclaim s g c 0 1-1 more", "-ERR Unrecognized XCLAIM option 'more'\r\n"},
        {"xautoclaim s g c x 0", "-ERR Invalid min-idle-time argument for XAUTOCLAIM\r\n"},
        {"xautoclaim s g c 0 0 count 0", "-ERR COUNT must be > 0\r\n"},
        {"xautoclaim s g c 0 0 more", SYNTAX_ERROR},
        {"xautoclaim none g c 0 0", "-NOGROUP No such key 'none' or consumer group 'g'\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(entries_change_hands);
    RUN(all_that_is_old_is_claimed);
    RUN(what_is_wrong_is_told);
    return 0;
}
