/* relations.c - what no option's row can see alone. */
#include "server/config/relations.h"

#include <errno.h>
#include <sched.h>
#include <sys/stat.h>

#include "server/config/config.h"
#include "server/limits.h"

static void check_cpus_allowed(struct config_errors *errors, const char *name, const char *text) {
    const struct config_place place = {.file = name};
    int cpus[CPU_SETSIZE], count = config_cpu_list(text, cpus, CPU_SETSIZE);
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) < 0)
        return; /* more CPUs than the set knows: no way to tell */
    for (int i = 0; i < count; i++)
        if (!CPU_ISSET(cpus[i], &mine)) {
            config_error(errors, &place, "kevy may not run on CPU %d", cpus[i]);
            return;
        }
}

static void check_shards(struct config_errors *errors) {
    static const struct config_place place = {.file = "shard-cpus"};
    int cpus = config_cpu_count(config.shard_cpus);
    if (cpus > MAX_SHARDS) config_error(errors, &place, "%d CPUs for at most %d shards", cpus, MAX_SHARDS);
    if (cpus && config.shards && cpus != config.shards)
        config_error(errors, &place, "%d CPUs for %d shards", cpus, (int)config.shards);
    check_cpus_allowed(errors, place.file, config.shard_cpus);
}

static void check_poll_threads(struct config_errors *errors) {
    static const struct config_place threads_place = {.file = "io-sqpoll-threads"};
    static const struct config_place cpus_place = {.file = "io-sqpoll-cpus"};
    int cpus = config_cpu_count(config.io_sqpoll_cpus), threads = (int)config.io_sqpoll_threads;
    if (config.io_sqpoll == CONFIG_NO && threads)
        config_error(errors, &threads_place, "there are none with 'io-sqpoll no'");
    if (config.io_sqpoll == CONFIG_NO && cpus)
        config_error(errors, &cpus_place, "there are no poll threads with 'io-sqpoll no'");
    if (threads > (int)config_shards())
        config_error(errors, &threads_place, "%d poll threads for %u shards", threads, config_shards());
    if (threads && cpus && threads != cpus)
        config_error(errors, &cpus_place, "%d CPUs for %d poll threads", cpus, threads);
    check_cpus_allowed(errors, cpus_place.file, config.io_sqpoll_cpus);
}

/* Poll threads are io_uring's. Whether auto leads to epoll is not known here. */
static void check_io_mode(struct config_errors *errors) {
    static const struct config_place place = {.file = "io-sqpoll"};
    if (config.io_mode == CONFIG_EPOLL && config.io_sqpoll == CONFIG_YES)
        config_error(errors, &place, "there are no poll threads with 'io-mode epoll'");
}

static void check_dir(struct config_errors *errors) {
    const struct config_place place = {.file = "dir", .text = bytes_of(config.dir)};
    struct stat found;
    if (stat(config.dir, &found) < 0)
        config_error(errors, &place, "%s", strerror(errno));
    else if (!S_ISDIR(found.st_mode))
        config_error(errors, &place, "%s", strerror(ENOTDIR));
}

bool relations_check(struct config_errors *errors) {
    unsigned before = errors->count;
    check_shards(errors);
    check_poll_threads(errors);
    check_io_mode(errors);
    check_dir(errors);
    return errors->count == before;
}
