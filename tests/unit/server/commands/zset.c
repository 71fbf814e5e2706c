/* Sorted sets, but for ranges and what makes one of several: what commands say and tell of, and what is left where
 * memory runs out. */
#include "server/commands/zset.h"

#include "tests/unit/failing_commands.h"

#define WRONG_TYPE   "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
#define NOT_A_FLOAT  "-ERR value is not a valid float\r\n"
#define BULK(text)   "$1\r\n" text "\r\n"
#define NOT_POSITIVE "-ERR value is out of range, must be positive\r\n"

static void members_are_scored_asked_for_and_removed(void) {
    begin();
    static const struct exchange table[] = {
        {"zadd z 1 a 2 b 3 c", ":3\r\n"},
        {"zadd z 5 a 4 d", ":1\r\n"},
        {"zscore z a", BULK("5")},
        {"zscore z x", NIL},
        {"zscore none a", NIL},
        {"zmscore z a x b", "*3\r\n" BULK("5") NIL BULK("2")},
        {"zmscore none a", "*1\r\n" NIL},
        {"zcard z", ":4\r\n"},
        {"zcard none", ":0\r\n"},
        {"zrank z b", ":0\r\n"},
        {"zrank z a", ":3\r\n"},
        {"zrevrank z a", ":0\r\n"},
        {"zrank z x", NIL},
        {"zrank none x", NIL},
        {"zrank z d withscore", "*2\r\n:2\r\n" BULK("4")},
        {"zrevrank z d withscore", "*2\r\n:1\r\n" BULK("4")},
        {"zrank z x withscore", "*-1\r\n"},
        {"zrank z d withscores", SYNTAX_ERROR},
        {"zrank z d withscore x", "-ERR wrong number of arguments for 'zrank' command\r\n"},
        {"zrevrank z d x x", "-ERR wrong number of arguments for 'zrevrank' command\r\n"},
        {"zrem z x b b", ":1\r\n"},
        {"zrem none a", ":0\r\n"},
        {"zrem z a c d", ":3\r\n"},
        {"exists z", ":0\r\n"},
        {"zadd z 0.1 a -inf b", ":2\r\n"},
        {"zscore z a", "$19\r\n0.10000000000000001\r\n"},
        {"zscore z b", "$4\r\n-inf\r\n"},
        {"zadd z x a", NOT_A_FLOAT},
        {"zadd z nan a", NOT_A_FLOAT},
        {"zadd z 1 a 2", SYNTAX_ERROR},
        {"zadd z nx xx", SYNTAX_ERROR},
    };
    EXPECT_ALL(table);
    end();
}

static void scores_are_given_under_conditions(void) {
    begin();
    static const struct exchange table[] = {
        {"zadd z xx 1 a", ":0\r\n"},
        {"exists z", ":0\r\n"},
        {"zadd z nx 1 a", ":1\r\n"},
        {"zadd z nx 2 a", ":0\r\n"},
        {"zadd z xx ch 2 a 2 b", ":1\r\n"},
        {"zadd z gt ch 1 a 3 c", ":1\r\n"},
        {"zadd z lt ch 1 a 4 c", ":1\r\n"},
        {"zadd z gt 9 a", ":0\r\n"},
        {"zscore z a", BULK("9")},
        {"zadd z incr 1 c", BULK("4")},
        {"zadd z nx incr 1 c", NIL},
        {"zadd z xx incr 1 new", NIL},
        {"zadd z gt incr -1 c", NIL},
        {"zadd z lt incr -1 c", BULK("3")},
        {"zincrby z 2 c", BULK("5")},
        {"zincrby z 1.5 new", "$3\r\n1.5\r\n"},
        {"zincrby z x new", NOT_A_FLOAT},
        {"zadd z inf i", ":1\r\n"},
        {"zincrby z -inf i", "-ERR resulting score is not a number (NaN)\r\n"},
        {"zscore z i", "$3\r\ninf\r\n"},
        {"zadd z nx xx 1 a", "-ERR XX and NX options at the same time are not compatible\r\n"},
        {"zadd z gt lt 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n"},
        {"zadd z nx lt 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible\r\n"},
        {"zadd z incr 1 a 2 b", "-ERR INCR option supports a single increment-element pair\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void the_lowest_and_highest_are_popped(void) {
    begin();
    static const struct exchange table[] = {
        {"zadd z 1 a 2 b 3 c 4 d 5 e 6 f 7 g", ":7\r\n"},
        {"zpopmin z", "*2\r\n" BULK("a") BULK("1")},
        {"zpopmax z", "*2\r\n" BULK("g") BULK("7")},
        {"zpopmax z 2", "*4\r\n" BULK("f") BULK("6") BULK("e") BULK("5")},
        {"zpopmin z 0", "*0\r\n"},
        {"zpopmin z -1", NOT_POSITIVE},
        {"zpopmin z x", NOT_POSITIVE},
        {"zpopmin z 1 2", SYNTAX_ERROR},
        {"zpopmin none", "*0\r\n"},
        {"zmpop 2 none z min count 2",
         "*2\r\n" BULK("z") "*2\r\n*2\r\n" BULK("b") BULK("2") "*2\r\n" BULK("c") BULK("3")},
        {"zmpop 2 none z max", "*2\r\n" BULK("z") "*1\r\n*2\r\n" BULK("d") BULK("4")},
        {"exists z", ":0\r\n"},
        {"zmpop 2 none z max", "*-1\r\n"},
        {"zmpop 0 z max", "-ERR numkeys should be greater than 0\r\n"},
        {"zmpop 2 z max", SYNTAX_ERROR},
        {"zmpop 1 z middle", SYNTAX_ERROR},
        {"zmpop 1 z min count", SYNTAX_ERROR},
        {"zmpop 1 z min count 0", "-ERR count should be greater than 0\r\n"},
        {"zmpop 1 z min count 1 count 1", SYNTAX_ERROR},
        {"zadd z 1 a 2 b", ":2\r\n"},
        {"zpopmin z 10", "*4\r\n" BULK("a") BULK("1") BULK("b") BULK("2")},
        {"exists z", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void changes_are_counted_as_in_redis(void) {
    begin();
    EXPECT_CHANGES(3, "zadd z 1 a 2 b 2 b 1 c\n", ":3\r\n");
    EXPECT_CHANGES(1, "zadd z 5 a 2 b\n", ":0\r\n");
    EXPECT_CHANGES(0, "zadd z 5 a\nzadd z nx 1 a\nzincrby z 0 a\nzrem z x\nzpopmin none\nzscore z a\n",
                   ":0\r\n:0\r\n" BULK("5") ":0\r\n*0\r\n" BULK("5"));
    EXPECT_CHANGES(1, "zincrby z 1 a\n", BULK("6"));
    EXPECT_CHANGES(2, "zpopmin z 2\n", "*4\r\n" BULK("c") BULK("1") BULK("b") BULK("2"));
    EXPECT_CHANGES(1, "zrem z a\n", ":1\r\n"); /* that the key is gone is no change more */
    end();
}

static void other_types_are_refused(void) {
    static const char *const refused[] = {
        "zadd s 1 a",
        "zadd s xx 1 a",
        "zincrby s 1 a",
        "zcard s",
        "zscore s a",
        "zmscore s a",
        "zrank s a",
        "zrevrank s a",
        "zrem s a",
        "zpopmin s",
        "zpopmax s 0",
        "zmpop 2 none s min",
        "zscan s 0",
        "zrandmember s",
        "zrange s 0 1",
        "zcount s 0 1",
        "zlexcount s - +",
        "zrangestore d s 0 1",
        "zunion 1 s",
        "zinter 1 s",
        "zdiff 1 s",
        "zintercard 1 s",
        "zremrangebyrank s 0 1",
    };
    begin();
    EXPECT("set s v\nzadd z 1 a\n", OK ":1\r\n");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", refused[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(WRONG_TYPE));
    }
    EXPECT("get z\nhget z a\ntype z\n", WRONG_TYPE WRONG_TYPE "+zset\r\n");
    end();
}

static void what_redis_calls_it_goes_by_its_thresholds(void) {
    begin();
    EXPECT("zadd z 1 a\nobject encoding z\n", ":1\r\n$8\r\nlistpack\r\n");
    EXPECT("config set zset-max-ziplist-value 3\nzadd z 1 abc\nobject encoding z\nzadd z 1 abcd\nobject "
           "encoding z\n",
           OK ":1\r\n$8\r\nlistpack\r\n:1\r\n$8\r\nskiplist\r\n");
    EXPECT("zrem z abcd\nobject encoding z\n", ":1\r\n$8\r\nskiplist\r\n");
    EXPECT("config set zset-max-listpack-entries 2\nzadd y 1 a 2 b\nobject encoding y\nzadd y 3 b\nobject "
           "encoding y\n"
           "zadd y 3 c\nobject encoding y\n",
           OK ":2\r\n$8\r\nlistpack\r\n:0\r\n$8\r\nlistpack\r\n:1\r\n$8\r\nskiplist\r\n");
    /* Only a skiplist tells -0 from 0. */
    EXPECT("zadd n -0 a\nzscore n a\nzadd y -0 d\nzscore y d\n", ":1\r\n" BULK("0") ":1\r\n$2\r\n-0\r\n");
    EXPECT("config set zset-max-listpack-entries 128 zset-max-listpack-value 64\n", OK);
    end();
}

/* ---- Many members --------------------------------------------------------------------------------- */

enum { MANY = 3000 };

static void fill(const char *key, unsigned count, bool same) {
    for (unsigned i = 0; i < count; i++) {
        char line[128];
        snprintf(line, sizeof line, "zadd %s %u member:%06u\n", key, same ? 7 : i, i);
        CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
    }
}

static unsigned *seen_in(struct bytes reply, unsigned *seen) {
    for (const char *at = reply.data, *end = at + reply.len;
         (at = memmem(at, (size_t)(end - at), "member:", 7)); at += 7)
        seen[strtoul(at + 7, NULL, 10)]++;
    return seen;
}

static void scans_find_every_member(void) {
    for (unsigned same = 0; same < 2; same++) {
        unsigned seen[MANY] = {0}, steps = 0;
        char line[128] = "zscan z 0\n";
        begin();
        fill("z", MANY, same);
        for (bool more = true; more; steps++) {
            struct bytes reply = run(bytes_of(line));
            unsigned long long cursor = strtoull(strchr(reply.data + 4, '\n') + 1, NULL, 10);
            seen_in(reply, seen);
            snprintf(line, sizeof line, "zscan z %llu\n", cursor);
            more = cursor;
        }
        for (unsigned i = 0; i < MANY; i++) CHECK_INT(seen[i], 1);
        CHECK(steps > 20 && steps <= MANY / 10 + 1);
        end();
    }
    begin();
    static const struct exchange table[] = {
        {"zadd z 1 a 0.5 b 100000000000000000 c", ":3\r\n"},
        {"zscan z 7", "*2\r\n" BULK("0") "*6\r\n" BULK("b") "$3\r\n0.5\r\n" BULK("a") BULK("1")
                          BULK("c") "$18\r\n"
                                    "100000000000000000\r\n"},
        {"zscan z 0 match a*", "*2\r\n" BULK("0") "*2\r\n" BULK("a") BULK("1")},
        {"zscan none 0", "*2\r\n" BULK("0") "*0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void many_are_popped_as_they_were(void) {
    begin();
    fill("z", MANY, false);
    for (unsigned i = 0; i < 100; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "*2\r\n$13\r\nmember:%06u\r\n$%u\r\n%u\r\n", i, i < 10 ? 1 : 2,
                 i);
        CHECK_BYTES(run(BYTES("zpopmin z\n")), bytes_of(expected));
    }
    EXPECT("zpopmax z\nzcard z\n", "*2\r\n$13\r\nmember:002999\r\n$4\r\n2999\r\n:2899\r\n");
    unsigned seen[MANY] = {0};
    struct bytes reply = run(BYTES("zpopmax z 5000\n"));
    CHECK(memcmp(reply.data, "*5798\r\n$13\r\nmember:002998\r\n", 27) == 0);
    seen_in(reply, seen);
    for (unsigned i = 0; i < MANY; i++) CHECK_INT(seen[i], i >= 100 && i < MANY - 1);
    EXPECT("exists z\n", ":0\r\n");
    for (unsigned i = 0; i < stripes.count; i++)
        while (keyspace_upkeep(stripes.all[i].keyspace, 10)) {
        }
    CHECK_INT(heaps_used(stripes.heaps), 0);
    end();
}

static void random_members_are_members(void) {
    begin();
    fill("z", 300, false);
    static const struct exchange table[] = {
        {"zrandmember none", NIL},
        {"zrandmember none 5", "*0\r\n"},
        {"zrandmember z 0", "*0\r\n"},
        {"zrandmember z x", NOT_AN_INTEGER},
        {"zrandmember z 1 scores", SYNTAX_ERROR},
        {"zrandmember z -9223372036854775808",
         "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"},
        {"zrandmember z 9223372036854775807 withscores", "-ERR value is out of range\r\n"},
    };
    EXPECT_ALL(table);
    static const struct {
        const char *line;
        unsigned total, most;
    } draws[] = {{"zrandmember z 1000\n", 300, 1},
                 {"zrandmember z 7\n", 7, 1},
                 {"zrandmember z 299 withscores\n", 299, 1},
                 {"zrandmember z -700\n", 700, 700},
                 {"zrandmember z\n", 1, 1}};
    for (size_t d = 0; d < sizeof draws / sizeof *draws; d++) {
        unsigned seen[MANY] = {0}, total = 0;
        seen_in(run(bytes_of(draws[d].line)), seen);
        for (unsigned i = 0; i < MANY; i++) {
            CHECK(seen[i] <= draws[d].most && (i < 300 || !seen[i]));
            total += seen[i];
        }
        CHECK_INT(total, draws[d].total);
    }
    run(BYTES("hello 3\n"));
    CHECK(memcmp(run(BYTES("zrandmember z 2 withscores\n")).data, "*2\r\n*2\r\n$13\r\nmember:", 19) == 0);
    end();
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

/* As many members, as scores of all lengths, in what Redis has as a listpack and as a skiplist. */
static void what_is_dumped_is_restored(void) {
    static char line[1 << 16];
    begin();
    for (unsigned count = 1; count < 500; count = count * 3 + 1) {
        run(BYTES("del z copy\n"));
        for (unsigned i = 0; i < count; i++) {
            snprintf(line, sizeof line, "zadd z %d.%u member:%06u\n", (int)(i * i * i) - 5000, i % 3, i);
            CHECK_BYTES(run(bytes_of(line)), BYTES(":1\r\n"));
        }
        struct bytes payload = run(BYTES("dump z\n"));
        const char *body = memchr(payload.data, '\n', payload.len);
        size_t len = (size_t)strtoul(payload.data + 1, NULL, 10), at;
        CHECK(body && payload.len == (size_t)(body + 1 - payload.data) + len + 2);
        at = (size_t)snprintf(line, sizeof line, "restore copy 0 \"");
        for (size_t i = 0; i < len; i++)
            at += (size_t)snprintf(line + at, sizeof line - at, "\\x%02x", (unsigned char)body[1 + i]);
        at += (size_t)snprintf(line + at, sizeof line - at, "\"\n");
        CHECK_BYTES(run((struct bytes){line, at}), BYTES(OK));
        struct buffer one = {0};
        CHECK(buffer_append(&one, run(BYTES("zrange z 0 -1 withscores\nobject encoding z\n")), SIZE_MAX));
        CHECK_BYTES(run(BYTES("zrange copy 0 -1 withscores\nobject encoding copy\n")), buffer_bytes(&one));
        buffer_free(&one);
    }
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

/* A member of this length is a block in a tree. */
enum { LONG = 3000 };

static void what_was_added_before_memory_ran_out_stays(void) {
    char line[3 * LONG + 64], member[LONG + 1];
    memset(member, 'm', LONG);
    member[LONG] = 0;
    snprintf(line, sizeof line, "zadd z 1 a 2 b%s 3 c%s\n", member, member);
    begin();
    EXPECT("zadd z 1 z\n", ":1\r\n");
    uint64_t before = changes();
    CHECK_BYTES(run_with(1, bytes_of(line)), BYTES(NO_MEMORY)); /* for the block of the second */
    CHECK_INT(changes() - before, 2);
    EXPECT("zcard z\nzrank z a\n", ":3\r\n:0\r\n");
    end();
}

int main(void) {
    RUN(members_are_scored_asked_for_and_removed);
    RUN(scores_are_given_under_conditions);
    RUN(the_lowest_and_highest_are_popped);
    RUN(changes_are_counted_as_in_redis);
    RUN(other_types_are_refused);
    RUN(what_redis_calls_it_goes_by_its_thresholds);
    RUN(scans_find_every_member);
    RUN(many_are_popped_as_they_were);
    RUN(random_members_are_members);
    RUN(what_is_dumped_is_restored);
    RUN(what_was_added_before_memory_ran_out_stays);
    return 0;
}
