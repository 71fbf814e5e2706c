/* CONFIG as a client sees it; what the options themselves do is tested in server_config.c and its like. */
#include "tests/unit/commands_fixture.h"

static void get_answers_a_map_in_the_table_s_order(void) {
    begin();
    static const struct exchange table[] = {
        {"config get timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n"},
        {"config get nosuch", "*0\r\n"},
        {"config get slowlog-* timeout TimeOut",
         "*6\r\n$7\r\ntimeout\r\n$1\r\n0\r\n$23\r\nslowlog-log-slower-than\r\n$5\r\n10000\r\n"
         "$15\r\nslowlog-max-len\r\n$3\r\n128\r\n"},
        {"config get", "-ERR wrong number of arguments for 'config|get' command\r\n"},
    };
    EXPECT_ALL(table);
    run(BYTES("hello 3\n"));
    EXPECT("config get timeout\n", "%1\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
    end();
}

static void set_takes_pairs_all_or_none(void) {
    begin();
    static const struct exchange table[] = {
        {"config set timeout 5 slowlog-max-len 9", OK},
        {"config get timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n5\r\n"},
        {"config set timeout 6 slowlog-max-len x", "-ERR CONFIG SET failed (possibly related to argument "
                                                   "'slowlog-max-len') - argument couldn't be parsed into an "
                                                   "integer\r\n"},
        {"config get timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n5\r\n"},
        {"config set timeout 6 slowlog-max-len", SYNTAX_ERROR},
        {"config set timeout", "-ERR wrong number of arguments for 'config|set' command\r\n"},
        {"config set nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"},
        {"config set port 1",
         "-ERR CONFIG SET failed (possibly related to argument 'port') - can't set immutable "
         "config\r\n"},
        {"config Sit timeout 1", "-ERR unknown subcommand 'Sit'. Try CONFIG HELP.\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

/* What a password does to sessions: those that are there stay, as in Redis. */
static void a_password_is_asked_of_those_who_come_later(void) {
    begin();
    EXPECT("config set requirepass secret\nping\n", OK "+PONG\r\n");
    struct conn *first = conn, *late = fixture_conn(shards);
    conn = late;
    EXPECT("ping\nauth secret\nping\n", "-NOAUTH Authentication required.\r\n" OK "+PONG\r\n");
    conn = first;
    fixture_conn_close(late);
    end();
}

static void resetstat_forgets_what_was_counted(void) {
    begin();
    EXPECT("set k v\nget k\nget none\nincr k\n", OK "$1\r\nv\r\n" NIL NOT_AN_INTEGER);
    CHECK(shards->exec.metrics.keyspace_hits == 1 && shards->exec.metrics.keyspace_misses == 1);
    EXPECT("config resetstat\n", OK);
    struct metrics sum = {0};
    metrics_sum(&sum);
    CHECK(sum.keyspace_hits == 0 && sum.keyspace_misses == 0 && sum.error_replies == 0);
    CHECK_INT(sum.commands[command_find_name(BYTES("get"))->id].calls, 0);
    EXPECT("get k\n", "$1\r\nv\r\n"); /* data are no statistics */
    end();
}

static void rewrite_needs_a_file(void) {
    begin();
    EXPECT("config rewrite\n", "-ERR The server is running without a config file\r\n");
    end();
}

int main(void) {
    RUN(get_answers_a_map_in_the_table_s_order);
    RUN(set_takes_pairs_all_or_none);
    RUN(a_password_is_asked_of_those_who_come_later);
    RUN(resetstat_forgets_what_was_counted);
    RUN(rewrite_needs_a_file);
    return 0;
}
