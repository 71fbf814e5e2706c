/* Streams: what adding, deleting, trimming and ranges answer, count as changes and record, and that memory which runs out
 * leaves what was done. (What a stream is, and how it is kept: tests/unit/store/types.) */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_commands.h"

static void entries_are_added_and_read(void) {
    begin();
    EXPECT_CHANGES(1, "xadd s 1-1 f v\n", "$3\r\n1-1\r\n");
    EXPECT_CHANGES(1, "xadd s 1-* f w g x\n", "$3\r\n1-2\r\n");
    EXPECT_CHANGES(1, "xadd s 5 a b\n", "$3\r\n5-0\r\n");
    EXPECT("xlen s\ntype s\nobject encoding s\n", ":3\r\n+stream\r\n$6\r\nstream\r\n");
    EXPECT("xrange s - (5-0\n", "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
                                "*2\r\n$3\r\n1-2\r\n*4\r\n$1\r\nf\r\n$1\r\nw\r\n$1\r\ng\r\n$1\r\nx\r\n");
    EXPECT("xrevrange s + - count 1\n", "*1\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    EXPECT("xrange s - + count 0\nxrange none - +\n", "*-1\r\n*0\r\n");
    EXPECT_CHANGES(0, "xadd none nomkstream * a b\n", "$-1\r\n");
    end();
}

static void numbers_that_do_not_rise_are_refused(void) {
    begin();
    EXPECT("xadd s 5-5 a b\n", "$3\r\n5-5\r\n");
    static const struct exchange table[] = {
        {"xadd s 5-5 a b",
         "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"},
        {"xadd s 4-* a b",
         "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n"},
        {"xadd n 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0\r\n"},
        {"xadd s x a b", "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"xadd s - a b", "-ERR Invalid stream ID specified as stream command argument\r\n"},
        {"xadd s 7 a", "-ERR wrong number of arguments for 'xadd' command\r\n"},
        {"xadd s maxlen 1 minid 2 7 a b",
         "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n"},
        {"xadd s maxlen 1 limit 2 7 a b",
         "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n"},
        {"xrange s (18446744073709551615-18446744073709551615 +",
         "-ERR invalid start ID for the interval\r\n"},
        {"xrange s - (0-0", "-ERR invalid end ID for the interval\r\n"},
        {"xadd s 18446744073709551615-18446744073709551615 a b",
         "$41\r\n18446744073709551615-18446744073709551615\r\n"},
        {"xadd s * a b", "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n"},
        {"exists n", ":0\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void streams_are_trimmed_and_may_be_empty(void) {
    char line[64];
    begin();
    config.stream_node_max_entries = 10;
    for (unsigned i = 1; i <= 55; i++) {
        snprintf(line, sizeof line, "xadd s %u a b\n", i);
        run(bytes_of(line));
    }
    EXPECT_CHANGES(0, "xtrim s maxlen ~ 50\n", ":0\r\n");
    EXPECT_CHANGES(10, "xtrim s maxlen ~ 41 limit 10\n", ":10\r\n");
    EXPECT_CHANGES(2, "xtrim s minid = 13\n", ":2\r\n");
    EXPECT_CHANGES(1, "xdel s 14 99 14\n", ":1\r\n");
    EXPECT_CHANGES(42, "xtrim s maxlen 0\n", ":42\r\n");
    EXPECT("xlen s\nexists s\n", ":0\r\n:1\r\n");
    EXPECT_CHANGES(1, "xsetid s 100 entriesadded 60 maxdeletedid 20\n", OK);
    EXPECT("xsetid s 19 maxdeletedid 20\n",
           "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id\r\n");
    EXPECT("xadd s 100 a b\n",
           "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n");
    end();
}

static void memory_that_runs_out_leaves_what_was_done(void) {
    begin();
    EXPECT("xadd s 1 a b\n", "$3\r\n1-0\r\n");
    for (unsigned left = 0; left < 40; left++) {
        struct bytes reply = run_with(left, BYTES("xadd new 1 a b\n"));
        if (reply.data[0] == '$')
            EXPECT("xlen new\ndel new\n", ":1\r\n:1\r\n");
        else
            EXPECT("exists new\n", ":0\r\n");
    }
    end();
}

int main(void) {
    RUN(entries_are_added_and_read);
    RUN(numbers_that_do_not_rise_are_refused);
    RUN(streams_are_trimmed_and_may_be_empty);
    RUN(memory_that_runs_out_leaves_what_was_done);
    return 0;
}
