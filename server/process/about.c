/* about.c - what INFO says about the process itself: its sections server, replication and cpu. */
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "server/call/command.h"
#include "server/config/config.h"
#include "server/loop/listener.h"
#include "server/process/io_mode.h"
#include "server/process/server.h"
#include "server/process/systemd.h"
#include "server/report/info.h"
#include "server/stripes/stripes.h"

/* ---- Names of this run ---------------------------------------------------------------------------- */

enum { ID_BYTES = 20, PATH_BYTES = 4096 };

static struct {
    pthread_once_t once;
    uint64_t build; /* 0 where the linker gave none */
    char run[2 * ID_BYTES + 1], replication[2 * ID_BYTES + 1];
} ids = {.once = PTHREAD_ONCE_INIT};

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

/* What the linker wrote into this program: it tells one build from another. Calls back with each object that is loaded, and
 * the program is the first. */
static int find_build_id(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    uint64_t *id = context;
    for (unsigned i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        const char *at = (const char *)object->dlpi_addr + segment->p_vaddr, *end = at + segment->p_memsz;
        while (segment->p_type == PT_NOTE && end - at > (ptrdiff_t)sizeof(ElfW(Nhdr))) {
            const ElfW(Nhdr) *note = (const void *)at;
            const char *name = at + sizeof *note, *text = name + (note->n_namesz + 3) / 4 * 4;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz >= sizeof *id) memcpy(id, text, sizeof *id);
            at = text + (note->n_descsz + 3) / 4 * 4;
        }
    }
    return 1; /* look no further */
}

static void make_ids(void) {
    dl_iterate_phdr(find_build_id, &ids.build);
    make_id(ids.run);
    make_id(ids.replication);
}

/* ---- Server --------------------------------------------------------------------------------------- */

static void executable_line(struct info *info) {
    char path[PATH_BYTES];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path);
    INFO_LINE(info, "executable:%.*s", (int)(len > 0 ? len : 0), path);
}

static void time_lines(struct info *info) {
    int64_t uptime_s = (info->now_ms - server_started_ms) / 1000;
    info_number(info, "server_time_usec", info->now_ms * 1000);
    info_number(info, "uptime_in_seconds", uptime_s);
    info_number(info, "uptime_in_days", uptime_s / (24 * 3600));
    info_fixed(info, "hz:10 configured_hz:10");
    info_number(info, "lru_clock", info->now_ms / 1000 & 0xffffff);
}

static void section_server(struct info *info) {
    struct utsname os;
    uname(&os);
    pthread_once(&ids.once, make_ids);
    info_fixed(info, "redis_version:" COMPATIBLE_REDIS_VERSION " kevy_version:" KEVY_VERSION
                     " redis_git_sha1:00000000 redis_git_dirty:0");
    INFO_LINE(info, "redis_build_id:%llx", (unsigned long long)ids.build);
    INFO_LINE(info, "redis_mode:%s", config.cluster_enabled ? "cluster" : "standalone");
    INFO_LINE(info, "os:%s %s %s", os.sysname, os.release, os.machine);
    info_number(info, "arch_bits", sizeof(void *) * 8);
    INFO_LINE(info, "monotonic_clock:%s", "POSIX clock_gettime");
    INFO_LINE(info, "multiplexing_api:%s", io_mode_is_epoll() ? "epoll" : "io_uring");
    info_fixed(info, "atomicvar_api:c11-builtin");
    INFO_LINE(info, "gcc_version:%d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
    info_number(info, "process_id", getpid());
    INFO_LINE(info, "process_supervised:%s", systemd_supervised() ? "systemd" : "no");
    INFO_LINE(info, "run_id:%s", ids.run);
    info_number(info, "tcp_port", listener_port());
    time_lines(info);
    executable_line(info);
    INFO_LINE(info, "config_file:%s", config_path());
    info_fixed(info, "io_threads_active:0");
    info_number(info, "shards", config_shards());
    info_number(info, "stripes", stripes.count);
}
INFO_SECTION(server) = {
    .name = "server", .title = "Server", .order = 10, .by_default = true, .write = section_server};

/* ---- Replication ---------------------------------------------------------------------------------- */

static void section_replication(struct info *info) {
    pthread_once(&ids.once, make_ids);
    info_fixed(info, "role:master connected_slaves:0 master_failover_state:no-failover");
    INFO_LINE(info, "master_replid:%s", ids.replication);
    info_fixed(info, "master_replid2:0000000000000000000000000000000000000000 master_repl_offset:0 "
                     "second_repl_offset:-1 repl_backlog_active:0 repl_backlog_size:1048576 "
                     "repl_backlog_first_byte_offset:0 repl_backlog_histlen:0");
}
INFO_SECTION(replication) = {.name = "replication",
                             .title = "Replication",
                             .order = 60,
                             .by_default = true,
                             .write = section_replication};

/* ---- CPU ------------------------------------------------------------------------------------------ */

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void measure_cpu(struct info *info) {
    struct rusage self = {0}, children = {0}, thread = {0};
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    info->figures.used_cpu_sys = seconds(self.ru_stime);
    info->figures.used_cpu_user = seconds(self.ru_utime);
    info->figures.used_cpu_sys_children = seconds(children.ru_stime);
    info->figures.used_cpu_user_children = seconds(children.ru_utime);
    /* Redis has one thread that serves: here it is the shard that answers. */
    info->figures.used_cpu_sys_main_thread = seconds(thread.ru_stime);
    info->figures.used_cpu_user_main_thread = seconds(thread.ru_utime);
}
INFO_MEASURE(CPU, measure_cpu);

static void section_cpu(struct info *info) {
    info_metrics(info, METRIC_CPU);
}
INFO_SECTION(cpu) = {.name = "cpu", .title = "CPU", .order = 70, .by_default = true, .write = section_cpu};
