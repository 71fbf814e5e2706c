/* cpus.c - shards take the first of the CPUs that the process may use, poll threads those behind them. */
#include "server/process/cpus.h"

#include <sched.h>

#include "server/config/config.h"

static struct {
    unsigned shards;
    int list[CPU_SETSIZE];  /* those the process may use, ascending, or what shard-cpus says */
    unsigned count;         /* of these */
    unsigned allowed_count; /* those the process may use */
} cpus;

void cpus_find(unsigned count) {
    cpu_set_t set;
    CPU_ZERO(&set);
    cpus.shards = count;
    cpus.count = cpus.allowed_count = 0;
    if (sched_getaffinity(0, sizeof set, &set) < 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set)) cpus.list[cpus.count++] = cpu;
    cpus.allowed_count = cpus.count;
    int listed = config.shard_cpus[0] ? config_cpu_list(config.shard_cpus, cpus.list, CPU_SETSIZE) : 0;
    if (listed > 0) cpus.count = (unsigned)listed;
}

unsigned cpus_spare(void) {
    return cpus.allowed_count > cpus.shards + 1 ? cpus.allowed_count - cpus.shards - 1 : 0;
}

static int shard_cpu(unsigned index) {
    if (cpus.count == 0 || (cpus.shards > cpus.count && !config.shard_cpus[0])) return -1;
    return cpus.list[index % cpus.count];
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
    bool behind = !config.shard_cpus[0] && cpus.shards + leader < cpus.allowed_count;
    return behind ? cpus.list[cpus.shards + leader] : -1;
}

struct shard_place cpus_place(unsigned index) {
    unsigned leader = poll_leader(index);
    return (struct shard_place){.cpu = shard_cpu(index),
                                .poll_thread = wants_poll_thread(),
                                .poll_leader = leader,
                                .poll_cpu = poll_cpu(leader)};
}
