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
    uint64_t blocks = heaps_blocks(stripes.heaps);
    usage.used += heaps_used(stripes.heaps) + blocks;
    usage.reserved += heaps_resident(stripes.heaps) + blocks;
    usage.peak = peak_with(usage.used);
    return usage;
}

static double unfreed(void) {
    uint64_t objects = reaper_pending();
    for (unsigned i = 0; i < stripes.count; i++) objects += keyspace_buried(stripes.all[i].keyspace);
    return (double)objects;
}

static void measure_used(struct info_figures *figures, const struct usage *usage) {
    double used = (double)usage->used, startup = (double)usage->startup, clients = (double)usage->clients;
    figures->used_memory = used;
    figures->used_memory_rss = (double)usage->resident;
    figures->used_memory_peak = (double)usage->peak;
    figures->used_memory_peak_perc = 100 * info_ratio(used, (double)usage->peak);
    figures->used_memory_overhead = startup + clients;
    figures->used_memory_startup = startup;
    figures->used_memory_dataset = used - startup - clients;
    figures->used_memory_dataset_perc = 100 * info_ratio(used - startup - clients, used - startup);
    figures->mem_clients_normal = clients;
}

static void measure_allocators(struct info_figures *figures, const struct usage *usage) {
    double used = (double)usage->used, reserved = (double)usage->reserved, resident = (double)usage->resident;
    figures->allocator_allocated = used;
    figures->allocator_active = reserved;
    figures->allocator_resident = resident;
    figures->allocator_frag_ratio = info_ratio(reserved, used);
    figures->allocator_frag_bytes = reserved - used;
    figures->allocator_rss_ratio = info_ratio(resident, reserved);
    figures->allocator_rss_bytes = resident - reserved;
    figures->mem_fragmentation_ratio = info_ratio(resident, used);
    figures->mem_fragmentation_bytes = resident - used;
}

static void measure_memory(struct info *info) {
    struct usage usage = usage_now();
    measure_used(&info->figures, &usage);
    measure_allocators(&info->figures, &usage);
    info->figures.total_system_memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    info->figures.container_memory_limit = (double)limit_bytes;
    info->figures.lazyfree_pending_objects = unfreed();
}
INFO_MEASURE(MEMORY, measure_memory);

static void section_memory(struct info *info) {
    info_metrics(info, METRIC_MEMORY);
}
INFO_SECTION(memory) = {
    .name = "memory", .title = "Memory", .order = 30, .by_default = true, .write = section_memory};
