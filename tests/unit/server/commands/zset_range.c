/* Ranges of sorted sets: by rank, score and member, in small ones and large ones. */
#include "server/commands/zset.h"
#include "tests/unit/commands_fixture.h"

#define BULK(text)      "$1\r\n" text "\r\n"
#define NOT_FLOATS      "-ERR min or max is not a float\r\n"
#define NO_STRING_RANGE "-ERR min or max not valid string range item\r\n"
#define LIMIT_NEEDS_RANGE                                                                                    \
    "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX\r\n"

static void ranges_are_read_in_all_forms(void) {
    begin();
    static const struct exchange table[] = {
        {"zadd z 1 a 2 b 3 c 4 d", ":4\r\n"},
        {"zrange z 0 -1", "*4\r\n" BULK("a") BULK("b") BULK("c") BULK("d")},
        {"zrange z 1 2 withscores", "*4\r\n" BULK("b") BULK("2") BULK("c") BULK("3")},
        {"zrange z -2 100", "*2\r\n" BULK("c") BULK("d")},
        {"zrange z 3 1", "*0\r\n"},
        {"zrange z 4 9", "*0\r\n"},
        {"zrange none 0 -1", "*0\r\n"},
        {"zrange z 0 1 rev", "*2\r\n" BULK("d") BULK("c")},
        {"zrevrange z 1 -1", "*3\r\n" BULK("c") BULK("b") BULK("a")},
        {"zrange z (1 3 byscore", "*2\r\n" BULK("b") BULK("c")},
        {"zrange z (3 1 byscore rev", "*2\r\n" BULK("b") BULK("a")},
        {"zrangebyscore z -inf +inf limit 1 2", "*2\r\n" BULK("b") BULK("c")},
        {"zrangebyscore z -inf +inf limit 3 -1", "*1\r\n" BULK("d")},
        {"zrangebyscore z -inf +inf limit -1 2", "*0\r\n"},
        {"zrangebyscore z -inf +inf limit 0 0", "*0\r\n"},
        {"zrangebyscore z 2 (2", "*0\r\n"},
        {"zrangebyscore z \" 2\" \"\"", "*0\r\n"},
        {"zrangebyscore z \"\" 1", "*1\r\n" BULK("a")},
        {"zrevrangebyscore z 3 (1 withscores limit 1 5", "*2\r\n" BULK("b") BULK("2")},
        {"zrevrangebyscore z 1 3", "*0\r\n"},
        {"zcount z (1 3", ":2\r\n"},
        {"zcount z 3 1", ":0\r\n"},
        {"zcount none 0 1", ":0\r\n"},
        {"zadd l 0 a 0 b 0 c 0 d", ":4\r\n"},
        {"zrange l [b (d bylex", "*2\r\n" BULK("b") BULK("c")},
        {"zrangebylex l - + limit 1 1", "*1\r\n" BULK("b")},
        {"zrevrangebylex l + (b", "*2\r\n" BULK("d") BULK("c")},
        {"zrange l + [c bylex rev", "*2\r\n" BULK("d") BULK("c")},
        {"zlexcount l - (c", ":2\r\n"},
        {"zlexcount l + -", ":0\r\n"},
        {"zlexcount l (b (b", ":0\r\n"},
        {"zrange z x 1", NOT_AN_INTEGER},
        {"zrange z x 1 byscore", NOT_FLOATS},
        {"zrange z nan 1 byscore", NOT_FLOATS},
        {"zcount z 1 y", NOT_FLOATS},
        {"zrange z a b bylex", NO_STRING_RANGE},
        {"zlexcount z +1 -", NO_STRING_RANGE},
        {"zrange z 0 1 limit 0 1", LIMIT_NEEDS_RANGE},
        {"zrange l - + bylex withscores",
         "-ERR syntax error, WITHSCORES not supported in combination with BYLEX\r\n"},
        {"zrange z 0 1 bylex byscore", SYNTAX_ERROR},
        {"zrevrange z 0 1 rev", SYNTAX_ERROR},
        {"zrange z 0 1 limit 0", SYNTAX_ERROR},
        {"zrangebyscore z 0 1 limit x 1", NOT_AN_INTEGER},
        {"zrangestore d z 0 1 withscores", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    run(BYTES("hello 3\n"));
    EXPECT("zrange z 0 1 withscores\n", "*2\r\n*2\r\n" BULK("a") ",1\r\n*2\r\n" BULK("b") ",2\r\n");
    end();
}

static void ranges_are_stored(void) {
    begin();
    EXPECT_CHANGES(2, "zadd z 1 a 2 b\n", ":2\r\n");
    EXPECT_CHANGES(1, "zrangestore d z 0 -1\n", ":2\r\n");
    EXPECT("zrange d 0 -1 withscores\n", "*4\r\n" BULK("a") BULK("1") BULK("b") BULK("2"));
    EXPECT_CHANGES(1, "zrangestore z z 1 1 rev\n", ":1\r\n");
    EXPECT("zrange z 0 -1\n", "*1\r\n" BULK("a"));
    EXPECT_CHANGES(2, "set d text\nzrangestore d none 0 -1\n", OK ":0\r\n");
    EXPECT("exists d\n", ":0\r\n");
    EXPECT_CHANGES(0, "zrangestore d z 5 9\n", ":0\r\n");
    end();
}

static void ranges_are_removed(void) {
    begin();
    EXPECT("zadd z 1 a 2 b 3 c 4 d 5 e 6 f\n", ":6\r\n");
    EXPECT_CHANGES(2, "zremrangebyrank z 0 1\n", ":2\r\n");
    EXPECT_CHANGES(1, "zremrangebyscore z (3 4\n", ":1\r\n");
    EXPECT_CHANGES(0, "zremrangebyscore z 8 9\nzremrangebyrank none 0 1\nzremrangebylex z ( x\n",
                   ":0\r\n:0\r\n" NO_STRING_RANGE);
    EXPECT("zrange z 0 -1\n", "*3\r\n" BULK("c") BULK("e") BULK("f"));
    EXPECT_CHANGES(3, "zremrangebylex z - +\nexists z\n", ":3\r\n:0\r\n");
    end();
}

enum { MANY = 4000 };

static void large_sorted_sets_have_the_same_ranges(void) {
    char line[128];
    begin();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(line, sizeof line, "zadd z %u member:%06u\n", i / 2, i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
    static const struct exchange table[] = {
        {"zcount z 10 (20", ":20\r\n"},
        {"zcount z -inf +inf", ":4000\r\n"},
        {"zrange z 1999 1999 byscore", "*2\r\n$13\r\nmember:003998\r\n$13\r\nmember:003999\r\n"},
        {"zrange z +inf -inf byscore rev limit 1 1", "*1\r\n$13\r\nmember:003998\r\n"},
        {"zremrangebyscore z 5 1994", ":3980\r\n"},
        {"zrange z 9 10", "*2\r\n$13\r\nmember:000009\r\n$13\r\nmember:003990\r\n"},
        {"zrangestore z z 0 9 rev", ":10\r\n"},
        {"zrange z 0 0", "*1\r\n$13\r\nmember:003990\r\n"},
    };
    struct bytes reply = run(BYTES("zrange z 0 -1\n"));
    CHECK_INT(reply.len, 7 + MANY * 20);
    CHECK(memcmp(reply.data + 7, "$13\r\nmember:000000\r\n$13\r\nmember:000001", 38) == 0);
    reply = run(BYTES("zrevrange z 0 -1\n"));
    CHECK_INT(reply.len, 7 + MANY * 20);
    CHECK(memcmp(reply.data + 7, "$13\r\nmember:003999\r\n$13\r\nmember:003998", 38) == 0);
    EXPECT_ALL(table);
    end();
}

static void an_empty_range_may_be_of_no_value(void) {
    struct value none = {.type = TYPE_ZSET, .kind = VALUE_OBJECT, .object = NULL};
    zset_reply_range(NULL, &none, (struct collection_range){.count = 0}, 0);
    begin();
    EXPECT("zrange nothing 0 -1\nzrange nothing 0 -1 withscores\nzrangebylex nothing - +\n",
           "*0\r\n*0\r\n*0\r\n");
    end();
}

int main(void) {
    RUN(an_empty_range_may_be_of_no_value);
    RUN(ranges_are_read_in_all_forms);
    RUN(ranges_are_stored);
    RUN(ranges_are_removed);
    RUN(large_sorted_sets_have_the_same_ranges);
    return 0;
}
