/* usage.c - the memory that the process takes.
 *
 * It is told from our own accounts (keyspaces, clients, what the start took) and the kernel's, because
 * asking malloc for its state walks its free lists, which takes the longer the more there are. */
#include "server/process/usage.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "server/clients/clients.h"
#include "server/loop/conn.h"
#include "server/process/cgroup.h"
#include "server/process/reaper.h"
#include "server/report/info.h"
#include "server/stripes/stripes.h"

static uint64_t startup_bytes; /* atomic: shards run already when it is written */
static uint64_t peak_bytes;    /* atomic: the most that any INFO has seen */
static uint64_t limit_bytes;   /* of the control group, 0: none; written before there are threads */

void usage_starting(void) {
    uint64_t limit = cgroup_share("").memory_bytes;
    limit_bytes = limit == CGROUP_UNLIMITED ? 0 : limit;
}

void usage_started(void) {
    struct mallinfo2 heap = mallinfo2();
    __atomic_store_n(&startup_bytes, heap.uordblks + heap.hblkhd, __ATOMIC_RELAXED);
}

/* Bytes, but for the ratios that are made of them. */
struct usage {
    uint64_t startup, clients;
    uint64_t used;     /* by entries, blocks, tables and all of the above */
    uint64_t reserved; /* the memory that these lie in */
    uint64_t resident; /* of the process, says the kernel */
    uint64_t peak;     /* of `used` */
};

static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t peak_with(uint64_t bytes) {
    uint64_t peak = __atomic_load_n(&peak_bytes, __ATOMIC_RELAXED);
    while (bytes > peak && !__atomic_compare_exchange_n(&peak_bytes, &peak, bytes, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED)) {
    }
    return bytes > peak ? bytes : peak;
}

static struct usage usage_now(void) {
    struct clients_usage clients = clients_usage();
    struct usage usage = {.startup = __atomic_load_n(&startup_bytes, __ATOMIC_RELAXED),
                          .clients = clients.count * sizeof(struct conn) + clients.bytes,
                          .resident = resident_bytes()};
    usage.used = usage.reserved = usage.startup + usage.clients;
    for (unsigned i = 0; i < stripes.count; i++) {
        const struct keyspace *ks = stripes.all[i].keyspace;
        usage.used += keyspace_memory(ks);
        usage.reserved += (uint64_t)ks->slab.arena.in_use * ARENA_CHUNK_BYTES + ks->block_bytes;
    }
    usage.used += heaps_used(stripes.heaps);
    usage.reserved += heaps_resident(stripes.heaps);
    usage.peak = peak_with(usage.used);
    return usage;
}

static void used_lines(struct info *info, const struct usage *usage) {
    uint64_t overhead = usage->startup + usage->clients, data = usage->used - overhead;
    info_bytes(info, "used_memory", usage->used);
    info_bytes(info, "used_memory_rss", usage->resident);
    info_bytes(info, "used_memory_peak", usage->peak);
    INFO_LINE(info, "used_memory_peak_perc:%.2f%%",
              100 * info_ratio((double)usage->used, (double)usage->peak));
    info_number(info, "used_memory_overhead", (int64_t)overhead);
    info_number(info, "used_memory_startup", (int64_t)usage->startup);
    info_number(info, "used_memory_dataset", (int64_t)data);
    INFO_LINE(info, "used_memory_dataset_perc:%.2f%%",
              100 * info_ratio((double)data, (double)(usage->used - usage->startup)));
}

static void fragmentation_lines(struct info *info, const struct usage *usage) {
    double used = (double)usage->used, reserved = (double)usage->reserved, resident = (double)usage->resident;
    INFO_LINE(info, "allocator_frag_ratio:%.2f", info_ratio(reserved, used));
    info_number(info, "allocator_frag_bytes", (int64_t)(usage->reserved - usage->used));
    INFO_LINE(info, "allocator_rss_ratio:%.2f", info_ratio(resident, reserved));
    info_number(info, "allocator_rss_bytes", (int64_t)(usage->resident - usage->reserved));
    info_fixed(info, "rss_overhead_ratio:1.00 rss_overhead_bytes:0");
    INFO_LINE(info, "mem_fragmentation_ratio:%.2f", info_ratio(resident, used));
    info_number(info, "mem_fragmentation_bytes", (int64_t)(usage->resident - usage->used));
}

static double unfreed(const struct info *info) {
    (void)info;
    uint64_t objects = reaper_pending();
    for (unsigned i = 0; i < stripes.count; i++) objects += keyspace_buried(stripes.all[i].keyspace);
    return (double)objects;
}
INFO_FIGURE(lazyfree_pending_objects, unfreed);

static void section_memory(struct info *info) {
    struct usage usage = usage_now();
    used_lines(info, &usage);
    info_number(info, "allocator_allocated", (int64_t)usage.used);
    info_number(info, "allocator_active", (int64_t)usage.reserved);
    info_number(info, "allocator_resident", (int64_t)usage.resident);
    info_bytes(info, "total_system_memory",
               (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    info_bytes(info, "container_memory_limit", limit_bytes);
    info_fixed(info,
               "used_memory_lua:0 used_memory_vm_eval:0 used_memory_lua_human:0B "
               "used_memory_scripts_eval:0 number_of_cached_scripts:0 number_of_functions:0 "
               "number_of_libraries:0 used_memory_vm_functions:0 used_memory_vm_total:0 "
               "used_memory_vm_total_human:0B used_memory_functions:0 used_memory_scripts:0 "
               "used_memory_scripts_human:0B maxmemory:0 maxmemory_human:0B maxmemory_policy:noeviction");
    fragmentation_lines(info, &usage);
    info_fixed(info, "mem_not_counted_for_evict:0 mem_replication_backlog:0 mem_total_replication_buffers:0 "
                     "mem_clients_slaves:0");
    info_number(info, "mem_clients_normal", (int64_t)usage.clients);
    info_fixed(info,
               "mem_cluster_links:0 mem_aof_buffer:0 mem_allocator:slab+malloc active_defrag_running:0");
    info_metrics(info, METRIC_MEMORY);
}
INFO_SECTION(memory) = {
    .name = "memory", .title = "Memory", .order = 30, .by_default = true, .write = section_memory};
