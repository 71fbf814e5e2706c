/* What options must be together, and on this machine. */
#include "server/config/relations.h"

#include <sched.h>

#include "tests/unit/config_fixture.h"

static bool checks(const char *text) {
    check_load(text);
    errors_forget();
    return relations_check(&errors);
}

static void options_that_contradict_each_other_are_refused(void) {
    cpu_set_t mine;
    CHECK_INT(sched_getaffinity(0, sizeof mine, &mine), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &mine)) cpu++;
    char text[128];

    CHECK(checks(""));
    CHECK_INT(config_shards(), 1);
    config_usable_cpus(3);
    CHECK_INT(config_shards(), 3);
    config_usable_cpus(MAX_SHARDS + 1);
    CHECK_INT(config_shards(), MAX_SHARDS);
    snprintf(text, sizeof text, "shard-cpus %d\n", cpu);
    CHECK(checks(text));
    CHECK_INT(config_shards(), 1);
    snprintf(text, sizeof text, "shards 2\nshard-cpus %d\n", cpu);
    CHECK(!checks(text));
    CHECK_BYTES(bytes_of(errors_text()), BYTES("shard-cpus: 1 CPUs for 2 shards\n"));
    CHECK(!checks("io-sqpoll no\nio-sqpoll-threads 1\n"));
    CHECK(!checks("shards 1\nio-sqpoll-threads 2\n"));
    CHECK(!checks("io-mode epoll\nio-sqpoll yes\n"));
    CHECK_BYTES(bytes_of(errors_text()),
                BYTES("io-sqpoll: there are no poll threads with 'io-mode epoll'\n"));
    CHECK(checks("io-mode epoll\n") && checks("io-mode auto\nio-sqpoll yes\n"));
    CHECK(!checks("shard-cpus 1023\n"));
    CHECK(strstr(errors_text(), "may not run on CPU 1023"));
    CHECK(!checks("dir /no/such/place\n"));
    CHECK(strstr(errors_text(), "dir: '/no/such/place': No such file or directory"));
}

int main(void) {
    CHECK(mkdtemp(dir));
    log_set_level(LOG_LEVEL_WARNING);
    config_defaults();
    RUN(options_that_contradict_each_other_are_refused);
    return dir_remove();
}
