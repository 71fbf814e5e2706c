/* cpus.c - shards take the first of the CPUs that the process may use, poll threads those behind them. */
#include "server/process/cpus.h"

#include <sched.h>
#include <string.h>

#include "server/config/config.h"
#include "server/log.h"
#include "server/process/cgroup.h"

static struct {
    unsigned shards;
    int allowed[CPU_SETSIZE]; /* those the process may use, ascending */
    unsigned allowed_count;   /* 0: unknown */
    int list[CPU_SETSIZE];    /* those, or what shard-cpus says */
    unsigned count;           /* of these */
    uint64_t millicpus;       /* the quota of their time; CGROUP_UNLIMITED: none */
} cpus;

/* Does the quota take away time that the CPUs have? Then these are others' as well, and pinned shards would sit on the same
 * ones in each container of a machine: the first. */
static bool shared(void) {
    return cpus.millicpus != CGROUP_UNLIMITED && cpus.millicpus < (uint64_t)cpus.allowed_count * 1000;
}

unsigned cpus_usable(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    cpus.allowed_count = 0;
    cpus.millicpus = cgroup_share("").millicpus;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return 1; /* more CPUs than the set knows */
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus.allowed[cpus.allowed_count++] = cpu;
    return shared() ? (unsigned)((cpus.millicpus + 999) / 1000) : cpus.allowed_count;
}

void cpus_find(unsigned count) {
    cpus.shards = count;
    cpus.count = cpus.allowed_count;
    memcpy(cpus.list, cpus.allowed, sizeof cpus.list);
    int listed = config.shard_cpus[0] ? config_cpu_list(config.shard_cpus, cpus.list, CPU_SETSIZE) : 0;
    if (listed > 0) cpus.count = (unsigned)listed;
    if (shared())
        log_notice("CPU quota: the control group leaves %.2f of %u CPUs to kevy",
                   (double)cpus.millicpus / 1000, cpus.allowed_count);
}

unsigned cpus_spare(void) {
    unsigned paid = shared() ? (unsigned)(cpus.millicpus / 1000) : cpus.allowed_count;
    return paid > cpus.shards + 1 ? paid - cpus.shards - 1 : 0;
}

static int shard_cpu(unsigned index) {
    bool apart = cpus.shards <= cpus.count && !shared();
    return cpus.count && (apart || config.shard_cpus[0]) ? cpus.list[index % cpus.count] : -1;
}

/* Poll threads on CPUs that others need cost more than half of the throughput: by themselves they come only
 * where there are CPUs to spare (uring/README.md). */
static bool wants_poll_thread(void) {
    if (config.io_sqpoll != CONFIG_AUTO) return config.io_sqpoll == CONFIG_YES;
    return cpus_spare() > 0;
}

/* Which shard's io makes the poll thread that shard `index` uses: always one that is opened before it. */
static unsigned poll_leader(unsigned index) {
    unsigned threads = (unsigned)config.io_sqpoll_threads;
    if (!threads) threads = cpus_spare() ? cpus_spare() : 1;
    return index % (threads <= cpus.shards ? threads : cpus.shards);
}

/* Where io-sqpoll-cpus says, else on the CPUs behind the shards'. -1: wherever the kernel likes. */
static int poll_cpu(unsigned leader) {
    int listed[MAX_SHARDS];
    int count = config.io_sqpoll_cpus[0] ? config_cpu_list(config.io_sqpoll_cpus, listed, MAX_SHARDS) : 0;
    if (count > 0) return listed[leader % (unsigned)count];
    bool behind = !config.shard_cpus[0] && !shared() && cpus.shards + leader < cpus.allowed_count;
    return behind ? cpus.list[cpus.shards + leader] : -1;
}

struct shard_place cpus_place(unsigned index) {
    unsigned leader = poll_leader(index);
    return (struct shard_place){.cpu = shard_cpu(index),
                                .poll_thread = wants_poll_thread(),
                                .poll_leader = leader,
                                .poll_cpu = poll_cpu(leader)};
}
