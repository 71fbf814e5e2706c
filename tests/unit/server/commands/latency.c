/* LATENCY: what was noted is told, drawn and forgotten; commands are noted when the monitor is on, and take long enough. */
#include "server/report/latency.h"

#include "tests/unit/commands_fixture.h"

#define LINE "--------------------------------------------------------------------------------\n"

static void note(enum latency_event event, int64_t ago_s, uint64_t milliseconds) {
    latency_note(event, (struct latency_sample){now_ms / 1000 - ago_s, milliseconds});
}

static void samples_are_told_and_forgotten(void) {
    begin();
    EXPECT("latency latest\nlatency history command\nlatency history nosuch\nlatency reset\n",
           "*0\r\n*0\r\n*0\r\n:0\r\n");
    note(LATENCY_COMMAND, 5, 100);
    note(LATENCY_COMMAND, 0, 30);
    note(LATENCY_FAST_COMMAND, 0, 20);
    EXPECT("latency latest\n", "*2\r\n*4\r\n$7\r\ncommand\r\n:1700000000\r\n:30\r\n:100\r\n"
                               "*4\r\n$12\r\nfast-command\r\n:1700000000\r\n:20\r\n:20\r\n");
    EXPECT("latency history command\n", "*2\r\n*2\r\n:1699999995\r\n:100\r\n*2\r\n:1700000000\r\n:30\r\n");
    EXPECT("latency history COMMAND\n", "*0\r\n");
    EXPECT("latency reset nosuch fast-command\nlatency history fast-command\n", ":1\r\n*0\r\n");
    EXPECT("latency reset\nlatency reset\nlatency latest\n", ":1\r\n:0\r\n*0\r\n");
    static const struct exchange table[] = {
        {"latency graph command", "-ERR No samples available for event 'command'\r\n"},
        {"latency graph", "-ERR wrong number of arguments for 'latency|graph' command\r\n"},
        {"latency nosuch", "-ERR unknown subcommand 'nosuch'. Try LATENCY HELP.\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static bool doctor_says(struct bytes words) {
    struct bytes told = run(BYTES("latency doctor\n"));
    return memmem(told.data, told.len, words.data, words.len) != NULL;
}

static void the_doctor_says_what_there_is_to_say(void) {
    begin();
    CHECK(doctor_says(BYTES("set latency-monitor-threshold")));
    EXPECT("config set latency-monitor-threshold 1\n", "+OK\r\n");
    CHECK(doctor_says(BYTES("No command has taken")));
    note(LATENCY_COMMAND, 10, 100);
    note(LATENCY_COMMAND, 0, 50);
    CHECK(strstr(run(BYTES("latency doctor\n")).data, "command: 2 seconds with a spike, mean 75 ms, mean "
                                                      "deviation 25 ms, longest ever 100 ms, one in 10 s."));
    EXPECT("config set latency-monitor-threshold 0\nlatency reset\n", "+OK\r\n:1\r\n");
    end();
}

static void a_histogram_has_what_has_run(void) {
    begin();
    EXPECT("config resetstat\nlatency histogram get nosuch\n", "+OK\r\n*0\r\n");
    EXPECT("get k\nget k\n", "$-1\r\n$-1\r\n");
    struct bytes told = run(BYTES("latency histogram get\n"));
    CHECK(told.len > 40 && !memcmp(told.data, "*2\r\n$3\r\nget\r\n*4\r\n$5\r\ncalls\r\n:2\r\n", 32));
    EXPECT("config set latency-tracking no\nconfig resetstat\nget k\nlatency histogram\nconfig set "
           "latency-tracking yes\n",
           "+OK\r\n+OK\r\n$-1\r\n*0\r\n+OK\r\n");
    end();
}

/* As redis-server draws it. */
static void samples_are_drawn(void) {
    begin();
    note(LATENCY_COMMAND, 0, 50);
    EXPECT("latency graph command\n", "$149\r\ncommand - high 50 ms, low 50 ms (all time high 50 ms)\n" LINE
                                      " \n \n \n_\n \n0\ns\n\r\n");
    CHECK(latency_reset(LATENCY_COMMAND));
    note(LATENCY_COMMAND, 2 * 86400, 10);
    note(LATENCY_COMMAND, 7200, 20);
    note(LATENCY_COMMAND, 90, 30);
    note(LATENCY_COMMAND, 3, 70);
    EXPECT("latency graph command\n", "$170\r\ncommand - high 70 ms, low 10 ms (all time high 70 ms)\n" LINE
                                      "   #\n   |\n  o|\n_#||\n    \n2213\ndhms\n\r\n");
    CHECK(latency_reset(LATENCY_COMMAND));
    end();
}

static void commands_that_take_long_are_noted(void) {
    begin();
    config.enable_debug_command = CONFIG_YES;
    EXPECT("debug sleep 0.02\nlatency latest\n", OK "*0\r\n"); /* the monitor is off */
    config.latency_monitor_threshold = 1000000;
    EXPECT("debug sleep 0.02\nlatency latest\n", OK "*0\r\n");
    config.latency_monitor_threshold = 10;
    EXPECT("debug sleep 0.02\n", OK);
    struct latency_history history;
    latency_history(LATENCY_COMMAND, &history);
    CHECK(history.count == 1 && history.longest_ms >= 20);
    latency_history(LATENCY_FAST_COMMAND, &history);
    CHECK_INT(history.count, 0);
    config.latency_monitor_threshold = 0;
    EXPECT("latency reset\n", ":1\r\n");
    end();
}

int main(void) {
    RUN(samples_are_told_and_forgotten);
    RUN(samples_are_drawn);
    RUN(the_doctor_says_what_there_is_to_say);
    RUN(a_histogram_has_what_has_run);
    RUN(commands_that_take_long_are_noted);
    return 0;
}
