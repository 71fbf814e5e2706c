/* Unions, intersections and differences of sorted sets. */
#include "server/commands/zset.h"
#include "tests/unit/failing_commands.h"

#define BULK(text) "$1\r\n" text "\r\n"

static void one_is_made_of_several(void) {
    begin();
    static const struct exchange table[] = {
        {"zadd a 1 x 2 y 3 z", ":3\r\n"},
        {"zadd b 3 y 1 w", ":2\r\n"},
        {"zunion 2 a b", "*4\r\n" BULK("w") BULK("x") BULK("z") BULK("y")},
        {"zunion 2 a b withscores",
         "*8\r\n" BULK("w") BULK("1") BULK("x") BULK("1") BULK("z") BULK("3") BULK("y") BULK("5")},
        {"zunion 2 a b weights 2 0 aggregate max withscores",
         "*8\r\n" BULK("w") BULK("0") BULK("x") BULK("2") BULK("y") BULK("4") BULK("z") BULK("6")},
        {"zunion 3 a a none aggregate min withscores",
         "*6\r\n" BULK("x") BULK("1") BULK("y") BULK("2") BULK("z") BULK("3")},
        {"zunion 2 none nothing", "*0\r\n"},
        {"zinter 2 a b withscores", "*2\r\n" BULK("y") BULK("5")},
        {"zinter 2 a b weights 1 3 aggregate max withscores", "*2\r\n" BULK("y") BULK("9")},
        {"zinter 2 a a", "*3\r\n" BULK("x") BULK("y") BULK("z")},
        {"zinter 2 a a weights 2 3 withscores",
         "*6\r\n" BULK("x") BULK("5") BULK("y") "$2\r\n10\r\n" BULK("z") "$2\r\n15\r\n"},
        {"zinter 2 a none", "*0\r\n"},
        {"zdiff 2 a b withscores", "*4\r\n" BULK("x") BULK("1") BULK("z") BULK("3")},
        {"zdiff 2 a none", "*3\r\n" BULK("x") BULK("y") BULK("z")},
        {"zdiff 2 a a", "*0\r\n"},
        {"zintercard 2 a b", ":1\r\n"},
        {"zintercard 1 a", ":3\r\n"},
        {"zintercard 1 a limit 2", ":2\r\n"},
        {"zintercard 1 a limit 0", ":3\r\n"},
        {"zintercard 1 a limit -1", "-ERR LIMIT can't be negative\r\n"},
        {"zunion 0 a", "-ERR at least 1 input key is needed for 'zunion' command\r\n"},
        {"zunionstore d 0 a", "-ERR at least 1 input key is needed for 'zunionstore' command\r\n"},
        {"zunion x a", NOT_AN_INTEGER},
        {"zunion 3 a b", SYNTAX_ERROR},
        {"zunion 2 a b weights 1", SYNTAX_ERROR},
        {"zunion 2 a b weights 1 x", "-ERR weight value is not a float\r\n"},
        {"zunion 2 a b aggregate avg", SYNTAX_ERROR},
        {"zunionstore d 2 a b withscores", SYNTAX_ERROR},
        {"zdiff 2 a b weights 1 1", SYNTAX_ERROR},
        {"zintercard 2 a b withscores", SYNTAX_ERROR},
        {"zadd i inf x -inf y", ":2\r\n"},
        {"zunion 1 i weights 0 withscores", "*4\r\n" BULK("x") BULK("0") BULK("y") BULK("0")},
        {"zadd j -inf x", ":1\r\n"},
        {"zinter 2 i j withscores", "*2\r\n" BULK("x") BULK("0")},
    };
    EXPECT_ALL(table);
    end();
}

static void results_are_stored(void) {
    begin();
    EXPECT("zadd a 1 x 2 y\nzadd b 3 y 1 w\n", ":2\r\n:2\r\n");
    EXPECT_CHANGES(1, "zunionstore d 2 a b\n", ":3\r\n");
    EXPECT("zrange d 0 -1\nobject encoding d\n", "*3\r\n" BULK("w") BULK("x") BULK("y") "$8\r\nlistpack\r\n");
    EXPECT_CHANGES(1, "zinterstore a 2 a b\n", ":1\r\n");
    EXPECT("zrange a 0 -1 withscores\n", "*2\r\n" BULK("y") BULK("5"));
    EXPECT_CHANGES(1, "zdiffstore d 2 a b\n", ":0\r\n");
    EXPECT_CHANGES(0, "exists d\nzinterstore d 2 a none\n", ":0\r\n:0\r\n");
    EXPECT_CHANGES(2, "set d text\nzunionstore d 1 b\ntype d\n", OK ":2\r\n+zset\r\n");
    end();
}

enum { MANY = 2000 };

static void large_ones_are_combined(void) {
    char line[128];
    begin();
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(line, sizeof line, "zadd %s %u member:%06u\n", i % 3 ? "a" : "b", i, i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
    static const struct exchange table[] = {
        {"zunionstore u 2 a b", ":2000\r\n"},
        {"object encoding u", "$8\r\nskiplist\r\n"},
        {"zrange u 700 701", "*2\r\n$13\r\nmember:000700\r\n$13\r\nmember:000701\r\n"},
        {"zscore u member:001500", "$4\r\n1500\r\n"},
        {"zinterstore i 2 u b weights 1 2", ":667\r\n"},
        {"zscore i member:000300", "$3\r\n900\r\n"},
        {"zdiffstore u 2 u b", ":1333\r\n"},
        {"zintercard 2 u a", ":1333\r\n"},
        {"zscore u member:000300", NIL},
        {"zrank u member:000301", ":200\r\n"},
        {"zadd c 1 member:000001 1 member:000002 1 x", ":3\r\n"},
        {"sadd s 1 2 3", ":3\r\n"},
        {"zdiffstore u 9 a c s none c c c c s", ":1331\r\n"},
        {"zscore u member:000002", NIL},
        {"zscore u member:000004", BULK("4")},
        {"zdiffstore u 9 none a a a a a a a a", ":0\r\n"},
        {"zdiffstore u 9 a c c c c c c c a", ":0\r\n"},
        {"del i a b c s", ":5\r\n"},
    };
    EXPECT_ALL(table);
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 10)) {
        }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

static void without_memory_nothing_is_stored(void) {
    begin();
    EXPECT("zadd a 1 x 2 y\nzadd b 3 y 1 w\nzadd d 1 d\n", ":2\r\n:2\r\n:1\r\n");
    for (unsigned allocations = 0; allocations < 3; allocations++)
        CHECK_BYTES(run_with(allocations, BYTES("zunionstore d 2 a b\n")), BYTES(NO_MEMORY));
    CHECK_BYTES(run_with(0, BYTES("zdiffstore d 2 a b\n")), BYTES(NO_MEMORY));
    EXPECT("zrange d 0 -1\n", "*1\r\n" BULK("d"));
    end();
}

int main(void) {
    RUN(one_is_made_of_several);
    RUN(results_are_stored);
    RUN(large_ones_are_combined);
    RUN(without_memory_nothing_is_stored);
    return 0;
}
