/* GET and SET and their kin: options against each other, edges of parts, and running out of memory. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

#define TOO_LONG "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"

static void set_s_conditions_are_kept(void) {
    begin();
    static const struct exchange table[] = {
        {"set k 1 xx", NIL},
        {"exists k", ":0\r\n"},
        {"set k 1 nx", OK},
        {"set k 2 nx", NIL},
        {"get k", "$1\r\n1\r\n"},
        {"set k 2 XX", OK},
        {"set k 3 nx get", "$1\r\n2\r\n"},
        {"set k 3 xx get", "$1\r\n2\r\n"},
        {"set new 1 get", NIL},
        {"get new", "$1\r\n1\r\n"},
        {"set none 1 xx get", NIL},
        {"exists none", ":0\r\n"},
        {"set k 4 ifeq 2", NIL},
        {"set k 4 ifeq 3", OK},
        {"set k 5 ifne 4", NIL},
        {"set k 5 ifne x get", "$1\r\n4\r\n"},
        {"set none 1 ifeq \"\"", NIL},
        {"set none 1 ifne x", OK},
        {"setnx k 9", ":0\r\n"},
        {"setnx fresh 9", ":1\r\n"},
        {"delifeq k 4", ":0\r\n"},
        {"delifeq k 5", ":1\r\n"},
        {"delifeq k 5", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void set_s_options_contradict_each_other(void) {
    static const char *const bad[] = {
        "set k v nx xx",     "set k v xx nx",        "set k v ifeq a nx", "set k v ifeq a ifne b",
        "set k v ex 1 px 1", "set k v keepttl ex 1", "set k v ex",        "set k v persist",
        "set k v ifeq",      "set k v nope",         "getex k keepttl",   "getex k ex 1 persist",
        "getex k nx",        "getex k ex",           "msetex 1 k v get",  "msetex 1 k v ifeq a"};
    begin();
    EXPECT("set k old\n", OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%s\n", bad[i]);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(SYNTAX_ERROR));
    }
    static const struct exchange table[] = {
        {"set k v ex 0", "-ERR invalid expire time in 'set' command\r\n"},
        {"set k v px -1", "-ERR invalid expire time in 'set' command\r\n"},
        {"set k v ex 9223372036854776", "-ERR invalid expire time in 'set' command\r\n"},
        {"set k v ex x", NOT_AN_INTEGER},
        {"setex k 0 v", "-ERR invalid expire time in 'setex' command\r\n"},
        {"psetex k -1 v", "-ERR invalid expire time in 'psetex' command\r\n"},
        {"getex k exat 0", "-ERR invalid expire time in 'getex' command\r\n"},
        {"get k", "$3\r\nold\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void a_plain_set_forgets_the_expiry_and_others_do_not(void) {
    begin();
    static const struct exchange table[] = {
        {"set k v ex 10", OK},
        {"set k v keepttl", OK},
        {"ttl k", ":10\r\n"},
        {"append k x", ":2\r\n"},
        {"setrange k 0 y", ":2\r\n"},
        {"ttl k", ":10\r\n"},
        {"set k v xx", OK},
        {"ttl k", ":-1\r\n"},
        {"setex k 5 v", OK},
        {"ttl k", ":5\r\n"},
        {"psetex k 1500 v", OK},
        {"pttl k", ":1500\r\n"},
        {"getset k w", "$1\r\nv\r\n"},
        {"ttl k", ":-1\r\n"},
        {"getex k px 700", "$1\r\nw\r\n"},
        {"pttl k", ":700\r\n"},
        {"getex k", "$1\r\nw\r\n"},
        {"pttl k", ":700\r\n"},
        {"getex k persist", "$1\r\nw\r\n"},
        {"ttl k", ":-1\r\n"},
        {"set k v exat 1700000003", OK},
        {"ttl k", ":3\r\n"},
        {"mset k v", OK},
        {"ttl k", ":-1\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void what_has_passed_is_gone_at_once(void) {
    begin();
    EXPECT("set k v exat 1\nget k\n", OK NIL);
    EXPECT("set k v\ngetex k exat 1\nexists k\n", OK "$1\r\nv\r\n:0\r\n");
    EXPECT("set k v px 1\n", OK);
    now_ms++;
    EXPECT("get k\nset k w xx\nset k w nx\nget k\n", NIL NIL OK "$1\r\nw\r\n");
    EXPECT("getdel k\ngetdel k\n", "$1\r\nw\r\n" NIL);
    end();
}

static void what_changes_nothing_tells_of_no_change(void) {
    begin();
    EXPECT_CHANGES(1, "set k v\n", OK);
    EXPECT_CHANGES(1, "set k v ex 10\n", OK);
    EXPECT_CHANGES(0, "set k v nx\nset none v xx\nsetnx k v\nget k\nstrlen k\n",
                   NIL NIL ":0\r\n$1\r\nv\r\n:1\r\n");
    EXPECT_CHANGES(0, "setrange none 5 \"\"\nexists none\ngetex k\n", ":0\r\n:0\r\n$1\r\nv\r\n");
    EXPECT_CHANGES(0, "getdel none\nmsetnx k a other b\nexists other\n", NIL ":0\r\n:0\r\n");
    EXPECT_CHANGES(2, "msetnx a 1 b 2\n", ":1\r\n");
    EXPECT_CHANGES(1, "getdel a\n", "$1\r\n1\r\n");
    end();
}

static void several_keys_are_set_together_or_refused_together(void) {
    begin();
    static const struct exchange table[] = {
        {"mset a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
        {"msetnx a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n"},
        {"exists a", ":0\r\n"},
        {"mset a 1 a 2", OK},
        {"mget a none a", "*3\r\n$1\r\n2\r\n" NIL "$1\r\n2\r\n"},
        {"msetex 2 a 3 b 4 xx", ":0\r\n"},
        {"msetex 2 a 3 b 4 nx", ":0\r\n"},
        {"msetex 2 a 3 b 4 ex 10", ":1\r\n"},
        {"ttl b", ":10\r\n"},
        {"msetex 2 a 5 b 6 keepttl xx", ":1\r\n"},
        {"ttl a", ":10\r\n"},
        {"msetex 0 a 1", "-ERR invalid numkeys value\r\n"},
        {"msetex x a 1", "-ERR invalid numkeys value\r\n"},
        {"msetex 2147483648 a 1", "-ERR invalid numkeys value\r\n"},
        {"msetex 2 a 1", "-ERR wrong number of key-value pairs\r\n"},
        {"mget a b", "*2\r\n$1\r\n5\r\n$1\r\n6\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void ranges_are_clamped_from_both_ends(void) {
    static const struct {
        const char *range, *part;
    } cases[] = {
        {"0 -1", "$5\r\nhello\r\n"},
        {"1 3", "$3\r\nell\r\n"},
        {"-3 -1", "$3\r\nllo\r\n"},
        {"-3 -2", "$2\r\nll\r\n"},
        {"4 99", "$1\r\no\r\n"},
        {"5 99", "$0\r\n\r\n"},
        {"3 1", "$0\r\n\r\n"},
        {"-1 -3", "$0\r\n\r\n"},
        {"-99 1", "$2\r\nhe\r\n"},
        {"-99 -98", "$1\r\nh\r\n"},
        {"0 -99", "$1\r\nh\r\n"},
        {"-98 -99", "$0\r\n\r\n"},
        {"-9223372036854775808 9223372036854775807", "$5\r\nhello\r\n"},
        {"9223372036854775807 -9223372036854775808", "$0\r\n\r\n"},
    };
    begin();
    EXPECT("set k hello\nset n 12345\nset empty \"\"\n", OK OK OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        for (int substr = 0; substr < 2; substr++) {
            int len =
                snprintf(line, sizeof line, "%s k %s\n", substr ? "substr" : "getrange", cases[i].range);
            struct bytes reply = run((struct bytes){line, (size_t)len});
            if (!bytes_equal(reply, bytes_of(cases[i].part))) {
                fprintf(stderr, "%.*s gives %.*s\n", len, line, (int)reply.len, reply.data);
                exit(1);
            }
        }
    }
    EXPECT("getrange n 1 2\ngetrange empty 0 -1\ngetrange none 0 -1\ngetrange k x 1\n",
           "$2\r\n23\r\n$0\r\n\r\n$0\r\n\r\n" NOT_AN_INTEGER);
    end();
}

static void a_string_grows_with_zeroes_and_within_its_bound(void) {
    begin();
    static const struct exchange table[] = {
        {"setrange k 3 x", ":4\r\n"},
        {"setrange k 0 abc", ":4\r\n"},
        {"setrange k -1 x", "-ERR offset is out of range\r\n"},
        {"setrange k x x", NOT_AN_INTEGER},
        {"setrange k 9223372036854775807 x", TOO_LONG},
        {"setrange k 9223372036854775807 \"\"", ":4\r\n"},
        {"setrange none 9223372036854775807 \"\"", ":0\r\n"},
        {"exists none", ":0\r\n"},
        {"get k", "$4\r\nabcx\r\n"},
        {"append none \"\"", ":0\r\n"},
        {"exists none", ":1\r\n"},
        {"set n 10", OK},
        {"append n 5", ":3\r\n"},
        {"incr n", ":106\r\n"},
    };
    EXPECT_ALL(table);
    EXPECT("setrange gap 2 x\nget gap\n", ":3\r\n$3\r\n\0\0x\r\n");
    config.proto_max_bulk_len = 6;
    EXPECT("append k yz\nappend k !\nsetrange k 5 !\nsetrange k 6 !\nsetrange k 0 1234567\nget k\n",
           ":6\r\n" TOO_LONG ":6\r\n" TOO_LONG TOO_LONG "$6\r\nabcxy!\r\n");
    end();
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static uint64_t keys(void) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stripes.count; i++) count += keyspace_count(stripes.all[i].keyspace, 0);
    return count;
}

/* Runs the line with ever more allocations that succeed before the rest fails, each time from the same
 * beginning, until it is answered as it should be. Until then it is refused, before it runs or while it
 * does, and nothing has changed. Returns how often. */
static unsigned starve(struct bytes before, struct bytes line, struct bytes reply) {
    for (unsigned allocations = 0;; allocations++) {
        CHECK(allocations < 100);
        begin();
        run(before);
        (void)run(BYTES("ping\n")); /* replies have their chunk */
        uint64_t unchanged = changes(), there = keys();
        buffer_free(&sent);
        CHECK(buffer_reserve(&sent, 4096, 4096));
        parse(line);
        memory_left = allocations;
        bool prepared = prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL);
        CHECK(!prepared || shards->exec.batch[0].hash_capacity >= shards->exec.batch[0].args.argc);
        if (prepared) run_parsed();
        memory_left = UINT_MAX;
        bool answered = prepared && bytes_equal(buffer_bytes(&sent), reply);
        if (!answered) {
            struct bytes reason = buffer_bytes(&sent);
            CHECK(!prepared || conn->output.reply.failed ||
                  (reason.data[0] == '-' && memmem(reason.data, reason.len, "memory", 6)));
            CHECK(changes() == unchanged && keys() == there);
        }
        end();
        if (answered) return allocations;
    }
}

static char large_set[3 * PIN_MIN], large_append[3 * PIN_MIN];

static void without_memory_a_write_is_refused_and_changes_nothing(void) {
    /* The first key of a stripe needs a table and a chunk, a longer value a block. */
    static const struct {
        const char *before, *line, *reply;
    } cases[] = {
        {"", "set k v\n", OK},
        {"", "append k v\n", ":1\r\n"},
        {"", "setrange k 100000 v\n", ":100001\r\n"},
        {"set k v\n", "setrange k 100000 v\n", ":100001\r\n"},
        {"", "incr n\n", ":1\r\n"},
        {"", "setbit k 7 1\n", ":0\r\n"},
        {"set k v\n", "bitop not k k\n", ":1\r\n"},
        {"", "bitfield k set u8 0 1\n", "*1\r\n:0\r\n"},
        {"", "multi\n", OK},
        {"", "watch k\n", OK},
        {"mset a abc b abd\n", "lcs a b\n", "$2\r\nab\r\n"},
        {"mset a abc b abd\n", "lcs a b len\n", ":2\r\n"},
        {"mset a 1 b 2\n", "mset a 3 b 4 a 3 b 4 a 3 b 4 a 3 b 4 a 3 b 4\n", OK},
        {"set k v\n", "keys *\n", "*1\r\n$1\r\nk\r\n"},
        {"set k v\n", "scan 0 count 100\n", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nk\r\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned refused =
            starve(bytes_of(cases[i].before), bytes_of(cases[i].line), bytes_of(cases[i].reply));
        if (refused > 0) continue;
        fprintf(stderr, "%s needs no memory, and so proves nothing here\n", cases[i].line);
        exit(1);
    }
}

static void without_memory_large_values_are_refused_too(void) {
    int len = snprintf(large_set, sizeof large_set, "set k ");
    memset(large_set + len, 'x', 2 * PIN_MIN);
    large_set[len + 2 * PIN_MIN] = '\n';
    CHECK(starve(BYTES("set k old\n"), (struct bytes){large_set, (size_t)len + 2 * PIN_MIN + 1}, BYTES(OK)) >
          0);
    len = snprintf(large_append, sizeof large_append, "append k ");
    memset(large_append + len, 'x', 2 * PIN_MIN);
    large_append[len + 2 * PIN_MIN] = '\n';
    CHECK(starve(BYTES("set k old\n"), (struct bytes){large_append, (size_t)len + 2 * PIN_MIN + 1},
                 BYTES(":32771\r\n")) > 0);
}

/* The old value is on its way when the new one finds no memory: there is no honest second reply. */
static void a_get_that_cannot_set_ends_the_connection(void) {
    static const char *const lines[] = {"getset k ", "set k "};
    for (int i = 0; i < 2; i++) {
        static char line[2 * PIN_MIN];
        begin();
        EXPECT("set k old\n", OK);
        int len = snprintf(line, sizeof line, "%s", lines[i]);
        memset(line + len, 'x', PIN_MIN);
        int tail = snprintf(line + len + PIN_MIN, 8, "%s", i ? " get\n" : "\n");
        parse((struct bytes){line, (size_t)(len + PIN_MIN + tail)});
        uint64_t unchanged = changes();
        buffer_free(&sent);
        CHECK(buffer_reserve(&sent, 4096, 4096));
        CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        memory_left = 0;
        run_parsed();
        memory_left = UINT_MAX;
        CHECK(conn->output.reply.failed);
        CHECK_INT(changes(), unchanged);
        end();
    }
}

/* A request whose keys do not fit the places that its batch has: refused before it has begun. */
static void a_request_of_many_keys_is_not_prepared_without_memory(void) {
    static char line[8192];
    int len = snprintf(line, sizeof line, "del");
    for (int i = 0; i < 1000; i++) len += snprintf(line + len, 8, " k%d", i);
    line[len++] = '\n';
    CHECK(starve(BYTES("set k1 v\n"), (struct bytes){line, (size_t)len}, BYTES(":1\r\n")) > 1);
}

static void digests_are_compared(void) {
    begin();
    static const struct exchange table[] = {
        {"set k v", OK},
        {"digest k", "$16\r\nf7042be43fb80714\r\n"},
        {"digest none", NIL},
        {"set k w ifdeq F7042be43fb80714", OK},
        {"set k x ifdeq f7042be43fb80714", NIL},
        {"set k y ifdne abc", "-ERR must be exactly 16 hexadecimal characters\r\n"},
        {"delex k ifdeq f7042be43fb80714", ":0\r\n"},
        {"delex k ifdne f7042be43fb80714", ":1\r\n"},
        {"delex k", ":0\r\n"},
        {"set k v", OK},
        {"delex k ifne v", ":0\r\n"},
        {"delex k ifeq v", ":1\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(set_s_conditions_are_kept);
    RUN(set_s_options_contradict_each_other);
    RUN(a_plain_set_forgets_the_expiry_and_others_do_not);
    RUN(what_has_passed_is_gone_at_once);
    RUN(what_changes_nothing_tells_of_no_change);
    RUN(several_keys_are_set_together_or_refused_together);
    RUN(ranges_are_clamped_from_both_ends);
    RUN(a_string_grows_with_zeroes_and_within_its_bound);
    RUN(without_memory_a_write_is_refused_and_changes_nothing);
    RUN(without_memory_large_values_are_refused_too);
    RUN(a_get_that_cannot_set_ends_the_connection);
    RUN(a_request_of_many_keys_is_not_prepared_without_memory);
    RUN(digests_are_compared);
    return 0;
}
