/* XREAD: several streams, numbers and `$`, what is refused, and large replies that follow later. */
#include "tests/unit/commands_fixture.h"

#define ENTRY(id, field, value) "*2\r\n$3\r\n" id "\r\n*2\r\n$1\r\n" field "\r\n$1\r\n" value "\r\n"

static void what_is_behind_a_number_is_read(void) {
    begin();
    EXPECT("xadd s 1-1 a b\nxadd s 2-1 c d\nxadd t 1-1 e f\n", "$3\r\n1-1\r\n$3\r\n2-1\r\n$3\r\n1-1\r\n");
    EXPECT("xread streams s t 1-1 0\n",
           "*2\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("2-1", "c", "d") "*2\r\n$1\r\nt\r\n*1\r\n" ENTRY("1-1", "e",
                                                                                                  "f"));
    EXPECT("xread count 1 streams none s 0 0\n", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n" ENTRY("1-1", "a", "b"));
    EXPECT("xread streams s t $ 1-1\nxread streams none $\n", "*-1\r\n*-1\r\n");
    end();
}

/* As Redis does it: so are hits and misses counted, and the latter told. */
static void keys_are_looked_up_twice(void) {
    begin();
    const struct metrics *metrics = &shards->exec.metrics;
    EXPECT("xadd s 1-1 a b\nxgroup create s g $\n", "$3\r\n1-1\r\n" OK);
    EXPECT("xread streams none s $ $\n", "*-1\r\n");
    CHECK(metrics->keyspace_hits == 2 && metrics->keyspace_misses == 2);
    run(BYTES("xread streams none s 0 0\n"));
    CHECK(metrics->keyspace_hits == 4 && metrics->keyspace_misses == 4);
    EXPECT("xreadgroup group g c streams s >\n", "*-1\r\n");
    CHECK(metrics->keyspace_hits == 6 && metrics->keyspace_misses == 4);
    run(BYTES("xread streams none s 0 x\n"));
    CHECK(metrics->keyspace_hits == 7 && metrics->keyspace_misses == 5);
    end();
}

static void options_are_checked(void) {
    begin();
    EXPECT("set k v\n", OK);
    static const struct exchange table[] = {
        {"xread streams s", "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be "
                            "specified.\r\n"},
        {"xread streams a b 0",
         "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.\r\n"},
        {"xread count 1 s 0", SYNTAX_ERROR},
        {"xread count x streams s 0", NOT_AN_INTEGER},
        {"xread block x streams s 0", "-ERR timeout is not an integer or out of range\r\n"},
        {"xread block -1 streams s 0", "-ERR timeout is negative\r\n"},
        {"xread noack streams s 0",
         "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.\r\n"},
        {"xread group g c streams s 0",
         "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.\r\n"},
        {"xread streams s >", "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                              "<group> <consumer> option.\r\n"},
        {"xread streams s x", "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"xread streams k 0", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    /* The shortest ones are refused for their arity. */
    expect_all(table + 1, sizeof table / sizeof *table - 1);
    end();
}

/* What does not fit the reply at once follows from the stream as it was. */
static void large_replies_are_whole(void) {
    enum { COUNT = 3000 };
    char line[200];
    begin();
    for (unsigned i = 1; i <= COUNT; i++) {
        snprintf(line, sizeof line, "xadd s %u field %080u\n", i, i);
        run(bytes_of(line));
    }
    struct bytes reply = run(BYTES("xread streams s 0\n"));
    const char *at = reply.data;
    for (unsigned i = 1; i <= COUNT; i++) {
        snprintf(line, sizeof line, "\r\n%u-0\r\n", i);
        at = memmem(at, (size_t)(reply.data + reply.len - at), line, strlen(line));
        CHECK(at);
    }
    EXPECT("xlen s\n", ":3000\r\n");
    end();
}

int main(void) {
    RUN(what_is_behind_a_number_is_read);
    RUN(keys_are_looked_up_twice);
    RUN(options_are_checked);
    RUN(large_replies_are_whole);
    return 0;
}
