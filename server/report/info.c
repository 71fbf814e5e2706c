/* info.c - one function a section, one row a section.
 *
 * Memory is told from our own accounts (keyspaces, clients, what the start took) and the kernel's, because
 * asking malloc for its state walks its free lists, which takes the longer the more there are. */
#include "server/report/info.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/call/command.h"
#include "server/clients/clients.h"
#include "server/config/config.h"
#include "server/loop/conn.h"
#include "server/loop/listener.h"
#include "server/process/server.h"
#include "server/process/systemd.h"
#include "server/report/errorstats.h"
#include "server/report/metrics.h"
#include "server/report/rates.h"
#include "server/stripes/stripes.h"

enum {
    ID_BYTES = 20,
    TTL_SAMPLES = 64, /* keys that an average time to live is taken from */
};

/* What sections are written to, and from. */
struct info {
    struct text *text;
    int64_t now_ms;
    struct metrics metrics;
};

/* ---- Lines ---------------------------------------------------------------------------------------- */

#define LINE(info, format, ...) text_format((info)->text, format "\r\n", __VA_ARGS__)
#define FIXED(info, lines)      text_string((info)->text, lines "\r\n")
#define NUMBER(info, name, n)   text_format((info)->text, "%s:%lld\r\n", (name), (long long)(n))

enum { HUMAN_MAX = 24 };

/* "1.23M", as Redis rounds it. */
static const char *human(uint64_t bytes, char text[HUMAN_MAX]) {
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && units[unit + 1]) value /= 1024, unit++;
    snprintf(text, HUMAN_MAX, unit ? "%.2f%c" : "%.0f%c", value, units[unit]);
    return text;
}

/* A line in bytes, and one for people. */
static void bytes_lines(struct info *info, const char *name, uint64_t bytes) {
    char text[HUMAN_MAX];
    LINE(info, "%s:%llu", name, (unsigned long long)bytes);
    LINE(info, "%s_human:%s", name, human(bytes, text));
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* ---- Names of this run ---------------------------------------------------------------------------- */

static char run_id[2 * ID_BYTES + 1], replication_id[2 * ID_BYTES + 1];
static pthread_once_t ids_once = PTHREAD_ONCE_INIT;

/* 40 hexadecimal digits that no other run has. */
static void make_id(char id[2 * ID_BYTES + 1]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char random[ID_BYTES] = {0};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        abort(); /* cannot happen below 256 bytes */
    for (unsigned i = 0; i < ID_BYTES; i++) {
        id[2 * i] = digits[random[i] >> 4];
        id[2 * i + 1] = digits[random[i] & 15];
    }
}

static void make_ids(void) {
    make_id(run_id);
    make_id(replication_id);
}

static const char *info_run_id(void) {
    pthread_once(&ids_once, make_ids);
    return run_id;
}

static const char *info_replication_id(void) {
    pthread_once(&ids_once, make_ids);
    return replication_id;
}

/* ---- Server --------------------------------------------------------------------------------------- */

static void executable_line(struct info *info) {
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    LINE(info, "executable:%.*s", (int)(len > 0 ? len : 0), path);
}

static void section_server(struct info *info) {
    struct utsname os;
    int64_t uptime_s = (info->now_ms - server_started_ms) / 1000;
    uname(&os);
    FIXED(info, "redis_version:" INFO_REDIS_VERSION);
    FIXED(info, "kevy_version:" KEVY_VERSION);
    FIXED(info, "redis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\nredis_mode:standalone");
    LINE(info, "os:%s %s %s", os.sysname, os.release, os.machine);
    LINE(info, "arch_bits:%zu", sizeof(void *) * 8);
    FIXED(info,
          "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:io_uring\r\natomicvar_api:c11-builtin");
    LINE(info, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    NUMBER(info, "process_id", getpid());
    LINE(info, "process_supervised:%s", systemd_supervised() ? "systemd" : "no");
    LINE(info, "run_id:%s", info_run_id());
    NUMBER(info, "tcp_port", listener_port());
    NUMBER(info, "server_time_usec", info->now_ms * 1000);
    NUMBER(info, "uptime_in_seconds", uptime_s);
    NUMBER(info, "uptime_in_days", uptime_s / (24 * 3600));
    FIXED(info, "hz:10\r\nconfigured_hz:10");
    NUMBER(info, "lru_clock", info->now_ms / 1000 & 0xffffff);
    executable_line(info);
    LINE(info, "config_file:%s", config_path());
    FIXED(info, "io_threads_active:0");
    NUMBER(info, "shards", config_shards());
    NUMBER(info, "stripes", stripes.count);
}

/* ---- Clients -------------------------------------------------------------------------------------- */

struct clients_usage {
    uint64_t count, bytes;          /* of all clients */
    uint64_t max_input, max_output; /* bytes of one client, now */
};

static uint64_t greater(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static struct clients_usage clients_usage(void) {
    struct clients_usage usage = {0};
    clients_lock();
    for (struct client *client = clients_first(); client; client = client->next) {
        uint64_t input = client_get(client->input_bytes), output = client_get(client->output_bytes);
        usage.count++;
        usage.bytes += sizeof(struct conn) + input + output;
        usage.max_input = greater(usage.max_input, input);
        usage.max_output = greater(usage.max_output, output);
    }
    clients_unlock();
    return usage;
}

static void section_clients(struct info *info) {
    struct clients_usage usage = clients_usage();
    NUMBER(info, "connected_clients", usage.count);
    FIXED(info, "cluster_connections:0");
    NUMBER(info, "maxclients", config.maxclients);
    NUMBER(info, "client_recent_max_input_buffer", usage.max_input);
    NUMBER(info, "client_recent_max_output_buffer", usage.max_output);
    FIXED(info, "blocked_clients:0\r\ntracking_clients:0\r\nclients_in_timeout_table:0");
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static uint64_t startup_bytes; /* atomic: shards run already when it is written */
static uint64_t peak_bytes;    /* atomic: the most that any INFO has seen */

void info_started(void) {
    struct mallinfo2 heap = mallinfo2();
    __atomic_store_n(&startup_bytes, heap.uordblks + heap.hblkhd, __ATOMIC_RELAXED);
}

static uint64_t bytes_at_startup(void) {
    return __atomic_load_n(&startup_bytes, __ATOMIC_RELAXED);
}

static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct data_usage {
    uint64_t used;     /* bytes of entries, blocks and tables */
    uint64_t reserved; /* bytes of the memory that these lie in */
};

static struct data_usage data_usage(void) {
    struct data_usage usage = {0};
    for (unsigned i = 0; i < stripes.count; i++) {
        const struct keyspace *ks = stripes.all[i].keyspace;
        usage.used += keyspace_memory(ks);
        usage.reserved += (uint64_t)ks->slab.arena.in_use * ARENA_CHUNK_BYTES + ks->block_bytes;
    }
    return usage;
}

static uint64_t peak_with(uint64_t bytes) {
    uint64_t peak = __atomic_load_n(&peak_bytes, __ATOMIC_RELAXED);
    while (bytes > peak && !__atomic_compare_exchange_n(&peak_bytes, &peak, bytes, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED)) {
    }
    return greater(bytes, peak);
}

static void used_lines(struct info *info, uint64_t used, uint64_t rss, uint64_t overhead) {
    uint64_t peak = peak_with(used);
    bytes_lines(info, "used_memory", used);
    bytes_lines(info, "used_memory_rss", rss);
    bytes_lines(info, "used_memory_peak", peak);
    LINE(info, "used_memory_peak_perc:%.2f%%", 100 * ratio((double)used, (double)peak));
    NUMBER(info, "used_memory_overhead", overhead);
    NUMBER(info, "used_memory_startup", bytes_at_startup());
    NUMBER(info, "used_memory_dataset", used - overhead);
    LINE(info, "used_memory_dataset_perc:%.2f%%",
         100 * ratio((double)(used - overhead), (double)(used - bytes_at_startup())));
}

static void scripts_lines(struct info *info) {
    FIXED(info, "used_memory_lua:0\r\nused_memory_vm_eval:0\r\nused_memory_lua_human:0B\r\n"
                "used_memory_scripts_eval:0\r\nnumber_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                "number_of_libraries:0\r\nused_memory_vm_functions:0\r\nused_memory_vm_total:0\r\n"
                "used_memory_vm_total_human:0B\r\nused_memory_functions:0\r\nused_memory_scripts:0\r\n"
                "used_memory_scripts_human:0B");
}

static void fragmentation_lines(struct info *info, uint64_t used, uint64_t active, uint64_t rss) {
    LINE(info, "allocator_frag_ratio:%.2f", ratio((double)active, (double)used));
    NUMBER(info, "allocator_frag_bytes", active - used);
    LINE(info, "allocator_rss_ratio:%.2f", ratio((double)rss, (double)active));
    NUMBER(info, "allocator_rss_bytes", (int64_t)rss - (int64_t)active);
    FIXED(info, "rss_overhead_ratio:1.00\r\nrss_overhead_bytes:0");
    LINE(info, "mem_fragmentation_ratio:%.2f", ratio((double)rss, (double)used));
    NUMBER(info, "mem_fragmentation_bytes", (int64_t)rss - (int64_t)used);
}

static void section_memory(struct info *info) {
    struct data_usage data = data_usage();
    uint64_t clients = clients_usage().bytes, overhead = bytes_at_startup() + clients, rss = resident_bytes();
    uint64_t used = overhead + data.used, active = overhead + data.reserved;
    used_lines(info, used, rss, overhead);
    NUMBER(info, "allocator_allocated", used);
    NUMBER(info, "allocator_active", active);
    NUMBER(info, "allocator_resident", rss);
    bytes_lines(info, "total_system_memory",
                (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    scripts_lines(info);
    FIXED(info, "maxmemory:0\r\nmaxmemory_human:0B\r\nmaxmemory_policy:noeviction");
    fragmentation_lines(info, used, active, rss);
    FIXED(info,
          "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\nmem_total_replication_buffers:0\r\n"
          "mem_clients_slaves:0");
    NUMBER(info, "mem_clients_normal", clients);
    FIXED(
        info,
        "mem_cluster_links:0\r\nmem_aof_buffer:0\r\nmem_allocator:slab+malloc\r\nactive_defrag_running:0\r\n"
        "lazyfree_pending_objects:0\r\nlazyfreed_objects:0");
}

/* ---- Persistence ---------------------------------------------------------------------------------- */

static void section_persistence(struct info *info) {
    uint64_t changes = 0;
    for (unsigned i = 0; i < stripes.count; i++) changes += stripes.all[i].changes;
    FIXED(info, "loading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
                "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\ncurrent_save_keys_processed:0\r\n"
                "current_save_keys_total:0");
    NUMBER(info, "rdb_changes_since_last_save", changes);
    FIXED(info, "rdb_bgsave_in_progress:0");
    NUMBER(info, "rdb_last_save_time", server_started_ms / 1000);
    FIXED(info,
          "rdb_last_bgsave_status:ok\r\nrdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\n"
          "rdb_saves:0\r\nrdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\n"
          "rdb_last_load_keys_loaded:0\r\naof_enabled:0\r\naof_rewrite_in_progress:0\r\n"
          "aof_rewrite_scheduled:0\r\naof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
          "aof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\naof_rewrites_consecutive_failures:0\r\n"
          "aof_last_write_status:ok\r\naof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
          "module_fork_last_cow_size:0");
}

/* ---- Stats, and the rings ------------------------------------------------------------------------- */

/* Which rows of metrics.def are lines of a section. */
enum metric_section { STATS, IO };

static void metric_lines(struct info *info, enum metric_section section) {
#define METRIC(field, kind, metric_section, name, help)                                                      \
    if (section == metric_section) NUMBER(info, name, info->metrics.field);
#include "server/report/metrics.def"
#undef METRIC
}

static void section_stats(struct info *info) {
    struct rates rates = rates_now();
    metric_lines(info, STATS);
    LINE(info, "instantaneous_ops_per_sec:%.0f", rates.commands);
    LINE(info, "instantaneous_input_kbps:%.2f", rates.input_kbytes);
    LINE(info, "instantaneous_output_kbps:%.2f", rates.output_kbytes);
    FIXED(info,
          "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n"
          "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n"
          "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n"
          "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n"
          "evicted_keys:0\r\nevicted_clients:0\r\ntotal_eviction_exceeded_time:0\r\n"
          "current_eviction_exceeded_time:0\r\npubsub_channels:0\r\npubsub_patterns:0\r\n"
          "pubsubshard_channels:0\r\nlatest_fork_usec:0\r\ntotal_forks:0\r\nmigrate_cached_sockets:0\r\n"
          "slave_expires_tracked_keys:0\r\nactive_defrag_hits:0\r\nactive_defrag_misses:0\r\n"
          "active_defrag_key_hits:0\r\nactive_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
          "current_active_defrag_time:0\r\ntracking_total_keys:0\r\ntracking_total_items:0\r\n"
          "tracking_total_prefixes:0\r\nunexpected_error_replies:0\r\ndump_payload_sanitizations:0\r\n"
          "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0");
}

static void section_io(struct info *info) {
    metric_lines(info, IO);
}

/* ---- Replication, CPU, modules -------------------------------------------------------------------- */

static void section_replication(struct info *info) {
    FIXED(info, "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover");
    LINE(info, "master_replid:%s", info_replication_id());
    FIXED(info, "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\n"
                "second_repl_offset:-1\r\nrepl_backlog_active:0\r\nrepl_backlog_size:1048576\r\n"
                "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0");
}

static void section_cpu(struct info *info) {
    struct rusage self = {0}, children = {0};
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
#define CPU_LINE(name, time)                                                                                 \
    LINE(info, name ":%lld.%06lld", (long long)(time).tv_sec, (long long)(time).tv_usec)
    CPU_LINE("used_cpu_sys", self.ru_stime);
    CPU_LINE("used_cpu_user", self.ru_utime);
    CPU_LINE("used_cpu_sys_children", children.ru_stime);
    CPU_LINE("used_cpu_user_children", children.ru_utime);
#undef CPU_LINE
}

static void section_empty(struct info *info) {
    (void)info; /* modules: none; latencystats: as Redis with latency-tracking off */
}

/* ---- Commands and errors -------------------------------------------------------------------------- */

static void section_commandstats(struct info *info) {
    for (unsigned id = 0; id < command_count(); id++) {
        const struct command_metrics *m = &info->metrics.commands[id];
        char name[COMMAND_FULL_NAME_MAX];
        if (!m->calls && !m->rejected && !m->failed) continue;
        size_t len = command_full_name(command_at(id), name);
        double usec = (double)m->nanoseconds / 1000;
        LINE(info,
             "cmdstat_%.*s:calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=%llu,failed_calls=%llu",
             (int)len, name, (unsigned long long)m->calls, (unsigned long long)(m->nanoseconds / 1000),
             ratio(usec, (double)m->calls), (unsigned long long)m->rejected, (unsigned long long)m->failed);
    }
}

static void section_errorstats(struct info *info) {
    struct errorstat list[ERRORSTATS_MAX];
    unsigned count = errorstats_list(list);
    for (unsigned i = 0; i < count; i++)
        LINE(info, "errorstat_%.*s:count=%llu", list[i].code_len, list[i].code,
             (unsigned long long)list[i].count);
}

static void section_cluster(struct info *info) {
    FIXED(info, "cluster_enabled:0");
}

/* ---- Keyspace ------------------------------------------------------------------------------------- */

/* A well-mixed sequence (Steele, Lea, Flood: SplitMix64). */
static uint64_t mixed(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Milliseconds that keys with an expiry still have, on average over those among some random keys; 0 if none
 * is. */
static int64_t average_ttl(unsigned db, int64_t now_ms) {
    uint64_t state = (uint64_t)now_ms, found = 0;
    double sum = 0;
    for (unsigned i = 0; i < TTL_SAMPLES; i++) {
        const struct keyspace *ks = stripes.all[mixed(&state) % stripes.count].keyspace;
        const struct entry *e = keyspace_random(ks, db, mixed(&state));
        if (!e || !entry_expiry(e) || entry_expired(e, now_ms)) continue;
        sum += (double)(entry_expiry(e) - now_ms);
        found++;
    }
    return found ? (int64_t)(sum / (double)found) : 0;
}

static void section_keyspace(struct info *info) {
    for (unsigned db = 0; db < (unsigned)config.databases; db++) {
        uint64_t keys = 0, expiring = 0;
        for (unsigned i = 0; i < stripes.count; i++) {
            keys += keyspace_count(stripes.all[i].keyspace, db);
            expiring += keyspace_count_expiring(stripes.all[i].keyspace, db);
        }
        if (keys)
            LINE(info, "db%u:keys=%llu,expires=%llu,avg_ttl=%lld", db, (unsigned long long)keys,
                 (unsigned long long)expiring, (long long)(expiring ? average_ttl(db, info->now_ms) : 0));
    }
}

/* ---- Sections ------------------------------------------------------------------------------------- */

static const struct section {
    const char *name, *title;
    bool by_default;
    void (*write)(struct info *info);
} sections[] = {
    {"server", "Server", true, section_server},
    {"clients", "Clients", true, section_clients},
    {"memory", "Memory", true, section_memory},
    {"persistence", "Persistence", true, section_persistence},
    {"stats", "Stats", true, section_stats},
    {"replication", "Replication", true, section_replication},
    {"cpu", "CPU", true, section_cpu},
    {"modules", "Modules", true, section_empty},
    {"commandstats", "Commandstats", false, section_commandstats},
    {"errorstats", "Errorstats", true, section_errorstats},
    {"latencystats", "Latencystats", false, section_empty},
    {"io", "IO", false, section_io},
    {"cluster", "Cluster", true, section_cluster},
    {"keyspace", "Keyspace", true, section_keyspace},
};
enum { SECTIONS = sizeof sections / sizeof *sections };
_Static_assert(SECTIONS < 32, "a set of sections is a word");

uint32_t info_sections(struct bytes word) {
    bool is_default = bytes_is(word, "default");
    uint32_t set = 0;
    if (bytes_is(word, "all") || bytes_is(word, "everything")) return (1u << SECTIONS) - 1;
    for (unsigned i = 0; i < SECTIONS; i++)
        if (is_default ? sections[i].by_default : bytes_equal_nocase(word, bytes_of(sections[i].name)))
            set |= 1u << i;
    return set;
}

void info_write(uint32_t set, int64_t now_ms, struct text *text) {
    struct info info = {.text = text, .now_ms = now_ms};
    const char *gap = "";
    metrics_sum(&info.metrics);
    for (unsigned i = 0; i < SECTIONS; i++) {
        if (!(set & 1u << i)) continue;
        text_format(text, "%s# %s\r\n", gap, sections[i].title);
        sections[i].write(&info);
        gap = "\r\n";
    }
}
