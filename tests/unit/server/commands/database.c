/* DBSIZE, FLUSHDB, FLUSHALL, SWAPDB: which keys of which database are there afterwards, and who notices. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

static void each_database_counts_its_own(void) {
    begin();
    EXPECT("mset a 1 b 2 c 3\nselect 1\nset a 1\ndbsize\nselect 0\ndbsize\n", OK OK OK ":1\r\n" OK ":3\r\n");
    end();
}

static void expired_keys_count_until_they_are_deleted(void) {
    begin();
    EXPECT("set a 1 px 10\nset b 2\n", OK OK);
    now_ms += 10;
    EXPECT("dbsize\nget a\ndbsize\n", ":2\r\n" NIL ":1\r\n");
    end();
}

static void flushdb_empties_one_and_flushall_all(void) {
    begin();
    EXPECT("mset a 1 b 2\nselect 1\nmset a 3 b 4 c 5\n", OK OK OK);
    EXPECT_CHANGES(3, "flushdb\n", OK);
    EXPECT("dbsize\nselect 0\ndbsize\nselect 1\nset a 1\n", ":0\r\n" OK ":2\r\n" OK OK);
    EXPECT_CHANGES(3, "flushall\n", OK);
    EXPECT("dbsize\nselect 0\ndbsize\n", ":0\r\n" OK ":0\r\n");
    EXPECT_CHANGES(0, "flushall\nflushdb\n", OK OK);
    end();
}

static void flush_modes_are_words(void) {
    begin();
    EXPECT("set a 1\n", OK);
    static const struct exchange table[] = {
        {"flushdb now", SYNTAX_ERROR}, {"flushall now", SYNTAX_ERROR}, {"flushdb sync async", SYNTAX_ERROR},
        {"dbsize", ":1\r\n"},          {"flushdb ASYNC", OK},          {"dbsize", ":0\r\n"},
        {"flushall Sync", OK},
    };
    EXPECT_ALL(table);
    end();
}

static void swapdb_changes_places_for_everybody(void) {
    begin();
    EXPECT("set a zero\nselect 1\nset a one ex 10\n", OK OK OK);
    EXPECT("swapdb 0 1\nget a\nselect 0\nget a\nttl a\n", OK "$4\r\nzero\r\n" OK "$3\r\none\r\n:10\r\n");
    EXPECT_CHANGES(1, "swapdb 5 5\n", OK); /* as Redis counts it */
    static const struct exchange table[] = {
        {"swapdb x 1", "-ERR invalid first DB index\r\n"},
        {"swapdb 1 x", "-ERR invalid second DB index\r\n"},
        {"swapdb 2147483648 1", "-ERR invalid first DB index\r\n"},
        {"swapdb 0 16", "-ERR DB index is out of range\r\n"},
        {"swapdb -1 0", "-ERR DB index is out of range\r\n"},
        {"get a", "$3\r\none\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* A transaction that watches is told by what happens to whole databases. */
static void watchers_feel_what_happens_to_their_database(void) {
    static const struct {
        const char *line;
        bool felt;
    } cases[] = {
        {"flushdb", true}, {"flushall", true}, {"swapdb 0 1", true}, {"swapdb 1 2", false}, {"dbsize", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[128];
        begin();
        struct bytes reply = run(BYTES("set k v\nwatch k\n"));
        CHECK_BYTES(reply, BYTES(OK OK));
        int len = snprintf(line, sizeof line, "%s\n", cases[i].line);
        run((struct bytes){line, (size_t)len});
        CHECK_BYTES(run(BYTES("multi\nping\nexec\n")),
                    cases[i].felt ? BYTES(OK "+QUEUED\r\n*-1\r\n") : BYTES(OK "+QUEUED\r\n*1\r\n+PONG\r\n"));
        end();
    }
}

static void the_keyspace_is_counted_by_database(void) {
    begin();
    CHECK(!strstr(info_text("keyspace", now_ms), "db0"));
    EXPECT("mset a 1 b 2\nset c 3 px 5000\nselect 7\nset d 4\nset e 5 px 1\nselect 0\n", OK OK OK OK OK OK);
    const char *keyspace = info_text("keyspace", now_ms);
    CHECK(strstr(keyspace, "db0:keys=3,expires=1,avg_ttl="));
    CHECK(strstr(keyspace, "db7:keys=2,expires=1,avg_ttl=") && !strstr(keyspace, "db1:"));
    /* The average is taken from random keys: where all are alike it is exact. */
    EXPECT("flushall\n", OK);
    for (int k = 0; k < 1000; k++) {
        char line[64];
        int len = snprintf(line, sizeof line, "set %d v px 5000\n", k);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK));
    }
    CHECK(has_line(info_text("keyspace", now_ms), "db0:keys=1000,expires=1000,avg_ttl=5000"));
    CHECK(has_line(info_text("stats", now_ms), "expired_stale_perc:0.00"));
    now_ms += 6000; /* they are still there, but over */
    CHECK(has_line(info_text("stats", now_ms), "expired_stale_perc:100.00"));
    CHECK(has_line(info_text("keyspace", now_ms), "db0:keys=1000,expires=1000,avg_ttl=0"));
    end();
}

/* Whatever stripe it lies in. */
static void a_single_key_s_time_to_live_is_found(void) {
    for (int k = 0; k < 40; k++) {
        char line[64];
        begin();
        int len = snprintf(line, sizeof line, "set %d v px 5000\n", k);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK));
        CHECK(has_line(info_text("keyspace", now_ms), "db0:keys=1,expires=1,avg_ttl=5000"));
        end();
    }
}

static void a_part_that_is_over_is_estimated(void) {
    begin();
    for (int k = 0; k < 2000; k++) {
        char line[64];
        int len = snprintf(line, sizeof line, "set %d v px %d\n", k, k % 4 ? 5000 : 1);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK));
    }
    now_ms += 10;
    const char *at = strstr(info_text("stats", now_ms), "\nexpired_stale_perc:");
    CHECK(at);
    double percentage = strtod(at + strlen("\nexpired_stale_perc:"), NULL);
    CHECK(percentage > 5 && percentage < 60); /* 64 keys are looked at; a quarter of all is over */
    end();
}

int main(void) {
    RUN(each_database_counts_its_own);
    RUN(expired_keys_count_until_they_are_deleted);
    RUN(flushdb_empties_one_and_flushall_all);
    RUN(flush_modes_are_words);
    RUN(swapdb_changes_places_for_everybody);
    RUN(watchers_feel_what_happens_to_their_database);
    RUN(the_keyspace_is_counted_by_database);
    RUN(a_single_key_s_time_to_live_is_found);
    RUN(a_part_that_is_over_is_estimated);
    return 0;
}
