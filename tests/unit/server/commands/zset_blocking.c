/* BZPOPMIN, BZPOPMAX, BZMPOP: what they wait for, and what they give. */
#include "tests/unit/waiting_fixture.h"

static void what_is_there_is_taken_at_once(void) {
    begin();
    EXPECT(0, "zadd z 1 a 2 b 3 c 4 d", ":4\r\n");
    EXPECT(0, "bzpopmin nothing z 0", "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
    EXPECT(0, "bzpopmax z 0", "*3\r\n$1\r\nz\r\n$1\r\nd\r\n$1\r\n4\r\n");
    EXPECT(0, "bzmpop 0 2 nothing z min count 5",
           "*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    EXPECT(0, "exists z", ":0\r\n");
    end();
}

static void each_gets_its_end(void) {
    begin();
    WAITS(0, "bzpopmax y z 0");
    WAITS(1, "bzpopmin z 0");
    WAITS(2, "bzmpop 0 1 z max count 2");
    WAITS(4, "blpop z 0");
    EXPECT(3, "zadd z 1 a 2 b 3 c 4 d 5 e", ":5\r\n");
    TOLD(0, "*3\r\n$1\r\nz\r\n$1\r\ne\r\n$1\r\n5\r\n");
    TOLD(1, "*3\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\n1\r\n");
    TOLD(2, "*2\r\n$1\r\nz\r\n*2\r\n*2\r\n$1\r\nd\r\n$1\r\n4\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n");
    STILL(4);
    EXPECT(3, "zrange z 0 -1", "*1\r\n$1\r\nb\r\n");
    end();
}

static void words_that_are_wrong_do_not_wait(void) {
    begin();
    EXPECT(0, "bzpopmin z -1", "-ERR timeout is negative\r\n");
    EXPECT(0, "bzmpop 0 1 z up", "-ERR syntax error\r\n");
    EXPECT(0, "bzmpop 0 0 z min", "-ERR numkeys should be greater than 0\r\n");
    EXPECT(0, "set str x", "+OK\r\n");
    EXPECT(0, "bzpopmax nothing str 0",
           "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    CHECK(!waits(&peers[0]));
    end();
}

int main(void) {
    RUN(what_is_there_is_taken_at_once);
    RUN(each_gets_its_end);
    RUN(words_that_are_wrong_do_not_wait);
    return 0;
}
