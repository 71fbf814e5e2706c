/* INFO's commandstats and errorstats: who ran, who was refused, who failed. */
#include "server/report/errorstats.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

static void commands_and_errors_are_counted_by_name(void) {
    begin();
    errorstats_reset();
    EXPECT("set k v\nincr k\nincr k\nget\nobject encoding k\n", OK NOT_AN_INTEGER NOT_AN_INTEGER
           "-ERR wrong number of arguments for 'get' command\r\n$6\r\nembstr\r\n");
    const char *stats = info_text("commandstats", now_ms);
    CHECK(strstr(stats, "\r\ncmdstat_set:calls=1,usec=") &&
          strstr(stats, "\r\ncmdstat_object|encoding:calls=1,usec="));
    const char *incr = strstr(stats, "\r\ncmdstat_incr:calls=2,usec=");
    CHECK(incr && strstr(incr, ",rejected_calls=0,failed_calls=2\r\n") == strstr(incr, ",rejected_calls="));
    const char *get = strstr(
        stats, "\r\ncmdstat_get:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n");
    CHECK(get && get < incr); /* in order of names */
    CHECK(!strstr(stats, "cmdstat_mget"));
    CHECK(has_line(info_text("errorstats", now_ms), "errorstat_ERR:count=3"));
    CHECK_INT(figure(info_text("stats", now_ms), "total_error_replies"), 3);
    CHECK_INT(figure(info_text("stats", now_ms), "total_commands_processed"), 4);
    CHECK_INT(shards->exec.requests, 5);
    end();
}

int main(void) {
    RUN(commands_and_errors_are_counted_by_name);
    return 0;
}
