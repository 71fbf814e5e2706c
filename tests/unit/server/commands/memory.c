/* MEMORY: what a key takes, and all of them together. */
#include "tests/unit/commands_fixture.h"

static long long number(struct bytes lines) {
    struct bytes reply = run(lines);
    CHECK(reply.len > 3 && reply.data[0] == ':');
    return strtoll(reply.data + 1, NULL, 10);
}

static void a_key_takes_what_it_holds_and_not_much_more(void) {
    begin();
    EXPECT("set k v\nsetrange large 99999 x\n", OK ":100000\r\n");
    long long small = number(BYTES("memory usage k\n")), large = number(BYTES("memory usage large\n"));
    CHECK(small >= 2 && small <= 64);
    CHECK(large >= 100000 && large <= 140000);
    CHECK_INT(number(BYTES("memory usage k samples 0\n")), small);
    EXPECT("expire k 100\n", ":1\r\n");
    CHECK(number(BYTES("memory usage k\n")) >= small);
    end();
}

static void usage_s_arguments_are_checked(void) {
    begin();
    static const struct exchange table[] = {
        {"memory usage none", NIL},
        {"memory usage none samples -1", SYNTAX_ERROR},
        {"memory usage none samples", SYNTAX_ERROR},
        {"memory usage none samples x", NOT_AN_INTEGER},
        {"memory usage none depth 1", SYNTAX_ERROR},
        {"memory usage none samples 9223372036854775807", NIL},
        {"memory", "-ERR wrong number of arguments for 'memory' command\r\n"},
        {"memory usage", "-ERR wrong number of arguments for 'memory|usage' command\r\n"},
        {"memory Doctors", "-ERR unknown subcommand 'Doctors'. Try MEMORY HELP.\r\n"},
        {"memory purge", OK},
        {"memory malloc-stats", "$45\r\nStats not supported for the current allocator\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void an_expired_key_takes_nothing(void) {
    begin();
    EXPECT("set k v px 10\n", OK);
    now_ms += 10;
    EXPECT("memory usage k\n", NIL);
    end();
}

/* keys.count, keys.bytes-per-key, dataset.bytes: of all databases. */
static void stats_add_up(void) {
    long long keys, each, all;
    begin();
    EXPECT("mset a 1 b 2\nselect 3\nset c 3\n", OK OK OK);
    struct bytes reply = run(BYTES("memory stats\n"));
    CHECK_INT(sscanf(reply.data,
                     "*6\r\n$10\r\nkeys.count\r\n:%lld\r\n$18\r\nkeys.bytes-per-key\r\n:%lld\r\n"
                     "$13\r\ndataset.bytes\r\n:%lld\r\n",
                     &keys, &each, &all),
              3);
    CHECK_INT(keys, 3);
    CHECK_INT(each, all / 3);
    CHECK(all >= 3 * number(BYTES("memory usage c\n")));
    EXPECT("flushall\n", OK);
    reply = run(BYTES("memory stats\n"));
    CHECK_BYTES(((struct bytes){reply.data, 54}),
                BYTES("*6\r\n$10\r\nkeys.count\r\n:0\r\n$18\r\nkeys.bytes-per-key\r\n:0\r\n"));
    end();
}

int main(void) {
    RUN(a_key_takes_what_it_holds_and_not_much_more);
    RUN(usage_s_arguments_are_checked);
    RUN(an_expired_key_takes_nothing);
    RUN(stats_add_up);
    return 0;
}
