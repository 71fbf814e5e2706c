/* config.c - what is in force, and the hooks of single options.
 *
 * One lock orders changes at run time and guards the texts that may change. Numbers are atomics and
 * are read without. */
#include "server/config/config.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "server/config/option.h"
#include "server/config/title.h"
#include "server/limits.h"
#include "server/lock_order.h"
#include "server/log.h"

struct config config;

static struct mutex lock = MUTEX(LOCK_CONFIG);
static char path_kept[PATH_MAX];
static atomic_bool has_password, has_save_points;
static unsigned usable_cpus = 1;

void config_lock(void) {
    mutex_lock(&lock);
}

void config_unlock(void) {
    mutex_unlock(&lock);
}

void config_path_keep(const char *path) {
    if (!realpath(path, path_kept)) path_kept[0] = '\0';
}

const char *config_path(void) {
    return path_kept;
}

/* ---- CPUs ----------------------------------------------------------------------------------------- */

int config_cpu_list(const char *text, int *cpus, unsigned max) {
    unsigned count = 0;
    cpu_set_t seen;
    CPU_ZERO(&seen);
    while (*text) {
        char *end;
        if (*text < '0' || *text > '9') return -1;
        unsigned long first = strtoul(text, &end, 10), last = first;
        if (*end == '-') {
            if (end[1] < '0' || end[1] > '9') return -1;
            last = strtoul(end + 1, &end, 10);
        }
        if (first > last || last >= CPU_SETSIZE) return -1;
        for (unsigned long cpu = first; cpu <= last; cpu++) {
            if (count == max || CPU_ISSET(cpu, &seen)) return -1;
            CPU_SET(cpu, &seen);
            cpus[count++] = (int)cpu;
        }
        if (*end == ',' && end[1])
            end++;
        else if (*end)
            return -1;
        text = end;
    }
    return (int)count;
}

int config_cpu_count(const char *text) {
    int cpus[CPU_SETSIZE];
    return config_cpu_list(text, cpus, CPU_SETSIZE);
}

const char *config_check_cpus(const char *text) {
    return config_cpu_count(text) < 0 ? "argument must be a list of CPUs such as 0-3,6" : NULL;
}

void config_usable_cpus(unsigned count) {
    usable_cpus = count;
}

unsigned config_shards(void) {
    int count = (int)config.shards;
    if (!count) count = config_cpu_count(config.shard_cpus);
    if (!count) count = (int)usable_cpus;
    return count < 1 ? 1 : count > MAX_SHARDS ? MAX_SHARDS : (unsigned)count;
}

/* ---- Open files ----------------------------------------------------------------------------------- */

/* Descriptors that are no clients: rings, listeners, event descriptors, files. */
static rlim_t reserved_files(void) {
    return 32 + 16 * (rlim_t)config_shards();
}

int64_t config_clients_allowed(int64_t wanted) {
    struct rlimit limit;
    rlim_t need = (rlim_t)wanted + reserved_files();
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return 1;
    if (limit.rlim_cur >= need) return wanted;

    struct rlimit higher = {need, need > limit.rlim_max ? need : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return wanted;
    higher = (struct rlimit){limit.rlim_max, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0) limit = higher;
    if (limit.rlim_cur >= need) return wanted;
    return limit.rlim_cur > reserved_files() ? (int64_t)(limit.rlim_cur - reserved_files()) : 0;
}

bool config_prepare_maxclients(int64_t number, char *error, size_t size) {
    int64_t allowed = config_clients_allowed(number);
    if (allowed >= number) return true;
    snprintf(error, size,
             "The operating system is not able to handle the specified number of clients, try with %lld",
             (long long)allowed);
    return false;
}

/* ---- Socket, log and title ------------------------------------------------------------------------ */

/* In Redis's words. */
/* As Redis does, which takes a backslash for a part of a path, too. */
static bool is_path(const char *text) {
    return strpbrk(text, "/\\");
}
const char *config_check_file_name(const char *text) {
    return is_path(text) ? "dbfilename can't be a path, just a filename" : NULL;
}
const char *config_check_append_name(const char *text) {
    if (text[0] == '\0') return "appendfilename can't be empty";
    return is_path(text) ? "appendfilename can't be a path, just a filename" : NULL;
}
const char *config_check_append_directory(const char *text) {
    if (text[0] == '\0') return "appenddirname can't be empty";
    /* Redis takes the latter, and then lays its files where nobody has claimed the directory. */
    bool leads_away = is_path(text) || strcmp(text, "..") == 0;
    return leads_away ? "appenddirname can't be a path, just a dirname" : NULL;
}

const char *config_check_socket_path(const char *text) {
    static const size_t max = sizeof((struct sockaddr_un){0}).sun_path - 1;
    return strlen(text) > max ? "path is too long for a Unix socket (107 bytes)" : NULL;
}

void config_loglevel_changed(void) {
    log_set_level((enum log_level)config.loglevel);
}

static struct title_values title_values(void) {
    return (struct title_values){.address = config.bind_count ? config.bind[0] : NULL,
                                 .port = (int)config.port,
                                 .unixsocket = config.unixsocket,
                                 .config_file = config_path(),
                                 .cluster = config.cluster_enabled};
}

const char *config_check_title(const char *text) {
    return title_check(text);
}

void config_title_show(void) {
    const struct title_values values = title_values();
    if (config.set_proc_title) title_show(config.proc_title_template, &values);
}

/* Nothing is shown before the first time: argv is still being read then. */
void config_title_changed(void) {
    if (title_is_shown()) config_title_show();
}

/* ---- Percentiles ---------------------------------------------------------------------------------- */

/* The numbers of a text, one space between any two, `max` of them at most; -1: one is none. */
static int read_numbers(const char *text, double *numbers, unsigned max) {
    unsigned count = 0;
    for (const char *at = text; *at; count++) {
        size_t len = strcspn(at, " ");
        if (count == max || !number_parse_double((struct bytes){at, len}, &numbers[count])) return -1;
        at += len;
        if (at[0] && at[1]) at++; /* else nothing, or a space, is left, which is no number */
    }
    return (int)count;
}

const char *config_check_percentiles(const char *text) {
    double numbers[CONFIG_PERCENTILES_MAX];
    int count = read_numbers(text, numbers, CONFIG_PERCENTILES_MAX);
    if (count < 0) return "Invalid latency-tracking-info-percentiles parameters";
    for (int i = 0; i < count; i++)
        if (!(numbers[i] >= 0 && numbers[i] <= 100))
            return "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
    return NULL;
}

size_t config_write_percent(char *dst, double percent) {
    size_t len = (size_t)snprintf(dst, CONFIG_PERCENT_MAX, "%f", percent);
    assert(percent >= 0 && percent <= 100 && len < CONFIG_PERCENT_MAX);
    while (dst[len - 1] == '0') len--;
    return dst[len - 1] == '.' ? len - 1 : len;
}

char *config_spell_percentiles(const char *text) {
    double numbers[CONFIG_PERCENTILES_MAX];
    int count = read_numbers(text, numbers, CONFIG_PERCENTILES_MAX);
    char *spelled = malloc((size_t)(count + 1) * (CONFIG_PERCENT_MAX + 1)), *at = spelled;
    if (!spelled) return NULL;
    for (int i = 0; i < count; i++) {
        if (i) *at++ = ' ';
        at += config_write_percent(at, numbers[i]);
    }
    *at = '\0';
    return spelled;
}

unsigned config_percentiles(double *percentiles, unsigned max) {
    config_lock();
    int count = read_numbers(config.latency_tracking_info_percentiles, percentiles, max);
    config_unlock();
    return count > 0 ? (unsigned)count : 0;
}

/* ---- save ----------------------------------------------------------------------------------------- */

void config_saves_changed(void) {
    has_save_points = *config.save != '\0';
}

bool config_saves(void) {
    return has_save_points;
}

unsigned config_save_points(struct config_save_point points[CONFIG_SAVE_POINTS_MAX]) {
    unsigned count = 0;
    config_lock();
    for (char *at = config.save; *at && count < CONFIG_SAVE_POINTS_MAX; count++) {
        points[count].seconds = strtoll(at, &at, 10);
        points[count].changes = strtoll(at, &at, 10);
    }
    config_unlock();
    return count;
}

/* ---- requirepass ---------------------------------------------------------------------------------- */

void config_password_changed(void) {
    has_password = *config.requirepass != '\0';
}

bool config_has_password(void) {
    return has_password;
}

/* Every byte given is compared with some byte of the password, so that the time says nothing about
 * where they differ. */
bool config_password_is(struct bytes password) {
    config_lock();
    const char *kept = config.requirepass;
    size_t len = 0;
    for (const char *at = kept; *at; len++) (void)secret_next(&at);
    unsigned difference = password.len != len;
    for (size_t i = 0; i < password.len; i++) {
        if (!*kept) kept = config.requirepass;
        difference |= (unsigned char)password.data[i] ^ (unsigned char)(*kept ? secret_next(&kept) : 0);
    }
    config_unlock();
    return difference == 0;
}
