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

/* The first bytes of what `readelf -n` calls the build ID. */
static void a_build_has_an_id(void) {
    const char *id = strstr(info_text("server", 0), "\nredis_build_id:") + strlen("\nredis_build_id:");
    size_t len = strspn(id, "0123456789abcdef");
    CHECK(len > 8 && len <= 16 && id[len] == '\r');
}

static double seconds(const char *all, const char *name) {
    const char *at = strstr(all, name);
    CHECK(at && at[-1] == '\n' && at[strlen(name)] == ':');
    return strtod(at + strlen(name) + 1, NULL);
}

static void cpu_time_is_that_of_the_process_and_of_the_thread_that_answers(void) {
    const char *cpu = info_text("cpu", 0);
    double user = seconds(cpu, "used_cpu_user"), thread = seconds(cpu, "used_cpu_user_main_thread");
    double enough = thread + 0.02;
    while (thread < enough) { /* the limit of ctest ends a wait without end */
        cpu = info_text("cpu", 0);
        thread = seconds(cpu, "used_cpu_user_main_thread");
    }
    CHECK(seconds(cpu, "used_cpu_user") > user);
    CHECK(seconds(cpu, "used_cpu_user") + seconds(cpu, "used_cpu_sys") + 0.01 >
          thread + seconds(cpu, "used_cpu_sys_main_thread"));
    CHECK(seconds(cpu, "used_cpu_sys_children") == 0);
}

int main(void) {
    RUN(the_server_s_section_tells_who_it_is);
    RUN(a_build_has_an_id);
    RUN(cpu_time_is_that_of_the_process_and_of_the_thread_that_answers);
    return 0;
}
