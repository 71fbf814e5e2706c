/* What INFO says about the process: who it is, whom it follows, and the CPU time that it took. */
#include <unistd.h>

#include "server/process/server.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

static void the_server_s_section_tells_who_it_is(void) {
    begin();
    server_started_ms = now_ms - 90061 * 1000ll;
    const char *server = info_text("server", now_ms);
    char line[64];
    CHECK(has_line(server, "redis_version:7.0.15") && has_line(server, "redis_mode:standalone"));
    snprintf(line, sizeof line, "process_id:%d", (int)getpid());
    CHECK(has_line(server, line) && has_line(server, "tcp_port:0") && has_line(server, "config_file:"));
    CHECK_INT(figure(server, "uptime_in_seconds"), 90061);
    CHECK_INT(figure(server, "uptime_in_days"), 1);
    CHECK_INT(figure(server, "server_time_usec"), now_ms * 1000);
    CHECK_INT(figure(server, "lru_clock"), now_ms / 1000 & 0xffffff);
    CHECK_INT(figure(server, "stripes"), stripes.count);
    const char *id = strstr(server, "run_id:") + 7;
    CHECK_INT(strspn(id, "0123456789abcdef"), 40);
    char first[41];
    memcpy(first, id, 40), first[40] = 0;
    CHECK(strstr(info_text("server", now_ms), first)); /* the same for the whole run */
    const char *other = strstr(info_text("replication", now_ms), "master_replid:") + 14;
    CHECK(strspn(other, "0123456789abcdef") == 40 && memcmp(first, other, 40) != 0);
    end();
}

int main(void) {
    RUN(the_server_s_section_tells_who_it_is);
    return 0;
}
