/* Producers who say which entries are the same: what is answered and counted as changes, the clock that ids go by, and that
 * memory which runs out leaves a stream whole. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

#define FIRST  "$15\r\n1700000000000-0\r\n"
#define SECOND "$15\r\n1700000000000-1\r\n"

/* Of a 1 and b 2: 16 bytes of hashes added up. */
#define MADE "\\x51\\xc9\\x0a\\x1a\\xd1\\xe5\\xff\\xca\\x81\\x6e\\xda\\xe6\\xf8\\xd2\\xc5\\xa6"

static void begin_clock(void) {
    begin();
    now_ms = 1700000000000;
}

static void what_comes_again_is_answered_as_before(void) {
    begin_clock();
    EXPECT_CHANGES(1, "xadd s idmp p a * f v\n", FIRST);
    EXPECT_CHANGES(1, "xadd s idmp p a * other thing\n", FIRST); /* it is counted */
    EXPECT_CHANGES(1, "xadd s maxlen 0 idmp p a * f v\n", FIRST);
    EXPECT("xlen s\n", ":1\r\n");
    EXPECT("xadd s idmp q a * f v\n", SECOND);
    EXPECT("xdel s 1700000000000-0\n", ":1\r\n");
    EXPECT("xadd s idmp p a nomkstream * f v\n", FIRST);
    EXPECT("xlen s\n", ":1\r\n");
    EXPECT_CHANGES(0, "xadd none nomkstream idmp p a * f v\n", NIL);
    EXPECT("exists none\n", ":0\r\n");
    end();
}

static void ids_are_over_by_the_clock(void) {
    begin_clock();
    EXPECT("xadd s idmp p a * f v\n", FIRST);
    now_ms += 99999;
    EXPECT("xadd s idmp p a * f v\n", FIRST);
    now_ms += 1;
    EXPECT("xadd s idmp p a * f v\n", "$15\r\n1700000100000-0\r\n");
    EXPECT("xcfgset s idmp-duration 1\nxadd s idmp p a * f v\n", OK "$15\r\n1700000100000-1\r\n");
    now_ms += 1000;
    EXPECT("multi\nxadd s idmp p a * f v\nxadd s idmp p a * f v\nexec\n",
           OK "+QUEUED\r\n+QUEUED\r\n*2\r\n$15\r\n1700000101000-0\r\n$15\r\n1700000101000-0\r\n");
    end();
}

/* The same pairs in any order, and no others: neither pairs that are said twice, nor names and values that have changed
 * places or parts. */
static void ids_are_made_of_fields_and_values(void) {
    static const struct exchange table[] = {
        {"xadd s idmpauto p * a 1 b 2", FIRST},
        {"xadd s idmpauto p * b 2 a 1", FIRST},
        {"xadd s idmpauto q * a 1 b 2", SECOND},
        {"xadd s idmpauto p * a 2 b 1", "$15\r\n1700000000000-2\r\n"},
        {"xadd s idmpauto p * 1 a 2 b", "$15\r\n1700000000000-3\r\n"},
        {"xadd s idmpauto p * a1 \"\" b2 \"\"", "$15\r\n1700000000000-4\r\n"},
        {"xadd s idmpauto p * a 1 b 2 c 3 c 3", "$15\r\n1700000000000-5\r\n"},
        {"xadd s idmpauto p * a 1", "$15\r\n1700000000000-6\r\n"},
        {"xadd s idmpauto p * a 1 a 1", "$15\r\n1700000000000-7\r\n"},
    };
    begin_clock();
    EXPECT_ALL(table);
    /* It is in files: it may never be another one. */
    EXPECT("xadd s idmp p \"" MADE "\" * f v\n", FIRST);
    end();
}

static void limits_are_kept(void) {
    static const struct exchange table[] = {
        {"xcfgset s idmp-maxsize 2", "-ERR no such key\r\n"},
        {"xadd s idmp p a * f v", FIRST},
        {"xcfgset s", "-ERR At least one parameter must be specified\r\n"},
        {"xcfgset s idmp-maxsize", SYNTAX_ERROR},
        {"xcfgset s maxsize 3", SYNTAX_ERROR},
        {"xcfgset s idmp-maxsize x", NOT_AN_INTEGER},
        {"xcfgset s idmp-maxsize 0", "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries\r\n"},
        {"xcfgset s idmp-maxsize 10001", "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries\r\n"},
        {"xcfgset s idmp-duration 0", "-ERR IDMP-DURATION must be between 1 and 86400 seconds\r\n"},
        {"xcfgset s idmp-maxsize 3 idmp-duration 86401",
         "-ERR IDMP-DURATION must be between 1 and 86400 seconds\r\n"},
        {"xcfgset s idmp-maxsize 100 idmp-duration 100", OK}, /* as it was */
        {"xadd s idmp p a * f v", FIRST},
        {"xcfgset s idmp-maxsize 2", OK}, /* forgets all */
        {"xadd s idmp p a * f v", SECOND},
        {"xadd s idmp p b * f v", "$15\r\n1700000000000-2\r\n"},
        {"xadd s idmp p c * f v", "$15\r\n1700000000000-3\r\n"}, /* for which the oldest one goes */
        {"xadd s idmp p b * f v", "$15\r\n1700000000000-2\r\n"},
        {"xadd s idmp p a * f v", "$15\r\n1700000000000-4\r\n"},
        {"set string 1", OK},
        {"xcfgset string idmp-maxsize 2",
         "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"},
    };
    begin_clock();
    EXPECT_ALL(table);
    EXPECT_CHANGES(0, "xcfgset s idmp-maxsize 2\n", OK);
    EXPECT_CHANGES(1, "xcfgset s idmp-duration 7 idmp-maxsize 3\n", OK);
    EXPECT_CHANGES(0, "xcfgset s idmp-duration 7\n", OK);
    end();
}

static void what_is_recorded_is_what_there_is(void) {
    static const struct exchange table[] = {
        {"xidmprecord s p a 1-1", "-ERR no such key\r\n"},
        {"xadd s 1-1 f v", "$3\r\n1-1\r\n"},
        {"xidmprecord s p a x", "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"xidmprecord s p a 1-2", "-ERR The specified stream ID was deleted or doesn't exist\r\n"},
        {"xidmprecord s \"\" a 1-1", "-ERR XIDMPRECORD requires a non-empty producer ID\r\n"},
        {"xidmprecord s p \"\" 1-1", "-ERR XIDMPRECORD requires a non-empty idempotent ID\r\n"},
        {"xadd s 1700000000000-0 f v", FIRST},
        {"xidmprecord s p a 1700000000000-0", OK},
        {"xidmprecord s p a 1700000000000-0", OK},
        {"xidmprecord s p a 1-1",
         "-ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID\r\n"},
        {"xadd s idmp p a * f v", FIRST},
    };
    begin_clock();
    EXPECT_ALL(table);
    EXPECT_CHANGES(0, "xidmprecord s p a 1700000000000-0\n", OK);
    EXPECT_CHANGES(1, "xidmprecord s p c 1700000000000-0\n", OK);
    EXPECT("xidmprecord s p b 1-1\nxadd s idmp p b * f v\n", OK SECOND); /* over at once */
    end();
}

static void memory_that_runs_out_leaves_a_stream_whole(void) {
    for (unsigned left = 0; left < 40; left++) {
        begin_clock();
        EXPECT("xadd s idmp p a * f v\ncopy s copied\n", FIRST ":1\r\n");
        struct bytes reply = run_with(left, BYTES("xadd s idmp p b * f v\n"));
        bool added = reply.data[0] == '$';
        CHECK(added || bytes_equal(reply, BYTES(NO_MEMORY)));
        EXPECT("xadd s idmp p b * f v\nxlen s\nxadd s idmp p a * f v\n", SECOND ":2\r\n" FIRST);
        (void)run_with(left, BYTES("xadd new idmp p a * f v\n"));
        EXPECT("xadd new idmp p a * f v\nxlen new\n", FIRST ":1\r\n");
        (void)run_with(left, BYTES("xcfgset copied idmp-maxsize 1\n"));
        EXPECT("xcfgset copied idmp-maxsize 1\n", OK);
        (void)run_with(left, BYTES("xadd copied idmp p a * f v\n"));
        EXPECT("xadd copied idmp p a * f v\nxlen copied\n", SECOND ":2\r\n");
        end();
    }
}

int main(void) {
    RUN(what_comes_again_is_answered_as_before);
    RUN(ids_are_over_by_the_clock);
    RUN(ids_are_made_of_fields_and_values);
    RUN(limits_are_kept);
    RUN(what_is_recorded_is_what_there_is);
    RUN(memory_that_runs_out_leaves_a_stream_whole);
    return 0;
}
