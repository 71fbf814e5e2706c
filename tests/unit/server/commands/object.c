/* OBJECT: encodings at their thresholds, idle times, references. */
#include "tests/unit/commands_fixture.h"

#define INT    "$3\r\nint\r\n"
#define EMBSTR "$6\r\nembstr\r\n"
#define RAW    "$3\r\nraw\r\n"

static void encodings_are_redis_s(void) {
    begin();
    static const struct exchange table[] = {
        {"set k 9223372036854775807", OK},
        {"object encoding k", INT},
        {"set k -0", OK},
        {"object encoding k", EMBSTR},
        {"set k 9223372036854775808", OK},
        {"object encoding k", EMBSTR},
        {"set k \"\"", OK},
        {"object encoding k", EMBSTR},
        {"set k 12345678901234567890123456789012345678901234", OK},
        {"object encoding k", EMBSTR},
        {"set k 123456789012345678901234567890123456789012345", OK},
        {"object encoding k", RAW},
        {"set k 1", OK},
        {"append k 2", ":2\r\n"},
        {"object encoding k", RAW},
        {"incr k", ":13\r\n"},
        {"object encoding k", INT},
    };
    EXPECT_ALL(table);
    end();
}

static void idle_time_counts_from_the_last_access_and_asking_is_none(void) {
    begin();
    EXPECT("set k v\n", OK);
    now_ms += 999;
    EXPECT("object idletime k\n", ":0\r\n");
    now_ms += 60 * 1000;
    EXPECT("object idletime k\nobject encoding k\nobject refcount k\nobject idletime k\n",
           ":60\r\n" EMBSTR ":1\r\n:60\r\n");
    EXPECT("get k\nobject idletime k\n", "$1\r\nv\r\n:0\r\n");
    now_ms += 1000ll * 10000000;
    EXPECT("object idletime k\nget k\n", ":10000000\r\n$1\r\nv\r\n");
    now_ms += 1000ll << 24; /* the record of 24 bits comes round: 194 days */
    EXPECT("object idletime k\n", ":0\r\n");
    end();
}

/* Redis keeps one object for each of them, for good. */
static void small_integers_have_redis_s_count_of_references(void) {
    begin();
    static const struct exchange table[] = {
        {"set k 0", OK},     {"object refcount k", ":2147483647\r\n"},
        {"set k 9999", OK},  {"object refcount k", ":2147483647\r\n"},
        {"set k 10000", OK}, {"object refcount k", ":1\r\n"},
        {"set k -1", OK},    {"object refcount k", ":1\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void what_is_not_there_is_null(void) {
    begin();
    EXPECT("set k v px 10\n", OK);
    now_ms += 10;
    EXPECT("object encoding k\nobject idletime none\nobject refcount none\nobject freq none\n",
           NIL NIL NIL NIL);
    end();
}

static void frequencies_need_a_policy_that_is_not_selected(void) {
    begin();
    EXPECT(
        "set k v\nobject freq k\n", OK
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n");
    end();
}

static void subcommands_are_checked(void) {
    begin();
    static const struct exchange table[] = {
        {"object", "-ERR wrong number of arguments for 'object' command\r\n"},
        {"object encoding", "-ERR wrong number of arguments for 'object|encoding' command\r\n"},
        {"object encoding a b", "-ERR wrong number of arguments for 'object|encoding' command\r\n"},
        {"object Colour k", "-ERR unknown subcommand 'Colour'. Try OBJECT HELP.\r\n"},
    };
    EXPECT_ALL(table);
    struct bytes help = run(BYTES("object help\n"));
    CHECK_BYTES(((struct bytes){help.data, 13}), BYTES("*15\r\n+OBJECT "));
    end();
}

int main(void) {
    RUN(encodings_are_redis_s);
    RUN(idle_time_counts_from_the_last_access_and_asking_is_none);
    RUN(small_integers_have_redis_s_count_of_references);
    RUN(what_is_not_there_is_null);
    RUN(frequencies_need_a_policy_that_is_not_selected);
    RUN(subcommands_are_checked);
    return 0;
}
