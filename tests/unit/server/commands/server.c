/* INFO, LOLWUT, MONITOR, ROLE, SHUTDOWN, SLOWLOG, TIME as a client meets them. */
#include <time.h>

#include "server/exec/monitor.h"
#include "server/exec/slowlog.h"
#include "server/process/server.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

/* The text within a bulk. */
static struct bytes bulk(struct bytes reply) {
    CHECK(reply.len > 5 && reply.data[0] == '$');
    const char *text = (const char *)memchr(reply.data, '\n', reply.len) + 1;
    CHECK_INT(strtoll(reply.data + 1, NULL, 10), reply.data + reply.len - text - 2);
    return (struct bytes){text, (size_t)(reply.data + reply.len - text) - 2};
}

static bool has(struct bytes text, const char *part) {
    return memmem(text.data, text.len, part, strlen(part)) != NULL;
}

static void info_shows_the_sections_that_are_named(void) {
    begin();
    struct bytes text = bulk(run(BYTES("info\n")));
    CHECK(has(text, "# Server\r\n") && has(text, "# Keyspace\r\n") && !has(text, "# Commandstats\r\n"));
    text = bulk(run(BYTES("info Cluster nosuch KEYSPACE\n")));
    CHECK_BYTES(text, BYTES("# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\n"));
    EXPECT("info nosuch\n", "$0\r\n\r\n");
    run(BYTES("hello 3\n"));
    EXPECT("info cluster\n", "=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n");
    end();
}

static void role_is_that_of_a_master(void) {
    begin();
    EXPECT("role\n", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    end();
}

static void time_is_in_seconds_and_microseconds(void) {
    long long seconds, microseconds;
    struct timespec before, after; /* time() goes by a clock that may be some milliseconds behind */
    begin();
    clock_gettime(CLOCK_REALTIME, &before);
    struct bytes reply = run(BYTES("time\n"));
    clock_gettime(CLOCK_REALTIME, &after);
    CHECK_INT(sscanf(reply.data, "*2\r\n$10\r\n%lld\r\n$%*d\r\n%lld\r\n", &seconds, &microseconds), 2);
    CHECK(seconds >= before.tv_sec && seconds <= after.tv_sec);
    CHECK(microseconds >= 0 && microseconds < 1000000);
    end();
}

static void lolwut_draws_by_the_rule_that_is_named(void) {
    enum { ROWS = 24, COLUMNS = 64 };
    begin();
    struct bytes text = bulk(run(BYTES("lolwut\n")));
    CHECK(has(text, "Redis ver. 7.0.15") && text.data[COLUMNS] == '\n' &&
          text.data[ROWS * (COLUMNS + 1) - 1] == '\n');
    CHECK(has(text, " ###"));
    text = bulk(run(BYTES("lolwut version 0\n"))); /* one cell, and then nothing ever again */
    unsigned cells = 0;
    for (size_t i = 0; i < text.len; i++) cells += text.data[i] == '#';
    CHECK_INT(cells, 1);
    EXPECT("lolwut version x\n", NOT_AN_INTEGER);
    end();
}

static void a_monitor_is_told_once_and_reads_no_keys(void) {
    begin();
    EXPECT("multi\nmonitor\nexec\n",
           OK "+QUEUED\r\n*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
    CHECK(!fixture_raised(MODE_MONITORED));
    EXPECT("monitor\n", OK);
    CHECK(fixture_raised(MODE_MONITORED));
    EXPECT("monitor\n", ""); /* as Redis: silence */
    CHECK(fixture_raised(MODE_MONITORED));
    EXPECT("get k\n", "-ERR Replica can't interact with the keyspace\r\n");
    EXPECT("reset\n", "+RESET\r\n");
    for (unsigned i = 0; i < shard_count; i++) deliver_posts(&shards[i]);
    end();
}

/* Those that stop the server are tested with one that runs. */
static void shutdown_refuses_what_it_cannot_do(void) {
    begin();
    static const struct exchange table[] = {
        {"shutdown save nosave", SYNTAX_ERROR},
        {"shutdown abort now", SYNTAX_ERROR},
        {"shutdown tomorrow", SYNTAX_ERROR},
        {"shutdown ABORT", "-ERR No shutdown in progress.\r\n"},
        {"multi", OK},
        {"shutdown", "-ERR Command not allowed inside a transaction\r\n"},
        {"discard", OK},
    };
    EXPECT_ALL(table);
    CHECK(!(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY));
    end();
}

static void the_slow_log_is_told_newest_first(void) {
    begin();
    slowlog_reset();
    EXPECT("slowlog len\nslowlog get\n", ":0\r\n*0\r\n");
    config.slowlog_log_slower_than = 0; /* everything is slow */
    EXPECT("echo one\necho two\n", "$3\r\none\r\n$3\r\ntwo\r\n");
    config.slowlog_log_slower_than = -1;
    EXPECT("slowlog len\n", ":2\r\n");
    struct bytes reply = run(BYTES("slowlog get 1\n"));
    CHECK(reply.len > 12 && memcmp(reply.data, "*1\r\n*6\r\n:", 9) == 0);
    CHECK(has(reply, "*2\r\n$4\r\necho\r\n$3\r\ntwo\r\n$3\r\n?:0\r\n$0\r\n\r\n"));
    CHECK_BYTES(((struct bytes){run(BYTES("slowlog get -1\n")).data, 4}), BYTES("*2\r\n"));
    CHECK_BYTES(((struct bytes){run(BYTES("slowlog get 9223372036854775807\n")).data, 4}), BYTES("*2\r\n"));
    static const struct exchange table[] = {
        {"slowlog get 0", "*0\r\n"},
        {"slowlog get -2", "-ERR count should be greater than or equal to -1\r\n"},
        {"slowlog get x", "-ERR count should be greater than or equal to -1\r\n"},
        {"slowlog get 1 2",
         "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n"},
        {"slowlog Size", "-ERR unknown subcommand 'Size'. Try SLOWLOG HELP.\r\n"},
        {"slowlog reset", OK},
        {"slowlog len", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

int main(void) {
    RUN(info_shows_the_sections_that_are_named);
    RUN(role_is_that_of_a_master);
    RUN(time_is_in_seconds_and_microseconds);
    RUN(lolwut_draws_by_the_rule_that_is_named);
    RUN(a_monitor_is_told_once_and_reads_no_keys);
    RUN(shutdown_refuses_what_it_cannot_do);
    RUN(the_slow_log_is_told_newest_first);
    return 0;
}
