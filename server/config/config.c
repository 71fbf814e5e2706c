/* config.c - the options as a whole: defaults, the command line, the relations between them, and CONFIG GET
 * and SET.
 *
 * One lock orders changes at run time and guards the texts that may change. Numbers are atomics and are read
 * without. */
#include "server/config/config.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/glob.h"
#include "protocol/reply.h"
#include "server/config/config_file.h"
#include "server/config/option.h"
#include "server/config/title.h"
#include "server/limits.h"
#include "server/lock_order.h"
#include "server/log.h"

static struct mutex lock = MUTEX(LOCK_CONFIG);
static char file_path[PATH_MAX];
static atomic_bool has_password;

void config_lock(void) {
    mutex_lock(&lock);
}

void config_unlock(void) {
    mutex_unlock(&lock);
}

void config_defaults(void) {
    file_path[0] = '\0';
    for (unsigned i = 0; i < option_count(); i++) {
        struct option *option = option_at(i);
        struct option_value value = {0};
        char error[OPTION_ERROR_MAX];
        option->set = false;
        if (!option->standard) continue;
        if (!option_parse(option, bytes_of(option->standard), &value, error)) {
            fprintf(stderr, "kevy: default of '%s': %s\n", option->name, error); /* no memory, or a bad row */
            exit(1);
        }
        option_store(option, &value);
    }
}

const char *config_file_path(void) {
    return file_path;
}

/* ---- The command line ----------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum config_mode mode;
    bool first; /* only as the first word: it may also be a value */
} modes[] = {
    {"--check-config", CONFIG_MODE_CHECK, false},
    {"--help", CONFIG_MODE_HELP, false},
    {"--version", CONFIG_MODE_VERSION, false},
    {"--probe", CONFIG_MODE_PROBE, false},
    {"-h", CONFIG_MODE_HELP, true},
    {"-v", CONFIG_MODE_VERSION, true},
};

static enum config_mode mode_of(char **argv, int i) {
    for (unsigned j = 0; j < sizeof modes / sizeof modes[0]; j++)
        if ((i == 1 || !modes[j].first) && strcmp(argv[i], modes[j].word) == 0) return modes[j].mode;
    return CONFIG_MODE_SERVE;
}

enum config_mode config_mode(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (mode_of(argv, i) != CONFIG_MODE_SERVE) return mode_of(argv, i);
    return CONFIG_MODE_SERVE;
}

static bool is_name(const char *word) {
    return word[0] == '-' && word[1] == '-' && word[2] != '\0';
}

/* Reads the file and keeps its absolute path, for CONFIG REWRITE after `dir` was entered. */
static void load_file(struct config_reading *reading, const char *path) {
    config_file_read(reading, path);
    if (strcmp(path, "-") != 0 && !realpath(path, file_path)) file_path[0] = '\0';
}

/* "--name value ...": words[0] is the name. */
static void load_option(struct config_reading *reading, char **words, int count) {
    struct buffer line = {0};
    struct bytes *list = calloc((size_t)count, sizeof *list);
    struct config_place place = {.file = "command line"};
    for (int i = 0; list && i < count; i++) list[i] = bytes_of(words[i]);
    if (list && config_file_join(list, (unsigned)count, &line)) {
        place.text = buffer_bytes(&line);
        list[0].data += 2, list[0].len -= 2;
        config_file_directive(reading, &place, list, (unsigned)count);
    } else {
        config_file_error(reading, &place, "too long");
    }
    buffer_free(&line);
    free(list);
}

bool config_load(int argc, char **argv, struct buffer *errors) {
    struct config_reading reading = {.errors = errors};
    bool file_seen = false;
    for (int i = 1, end; i < argc; i = end) {
        end = i + 1;
        if (mode_of(argv, i) != CONFIG_MODE_SERVE) continue;
        if (is_name(argv[i])) {
            while (end < argc && !is_name(argv[end])) end++;
            load_option(&reading, argv + i, end - i);
            file_seen = true; /* a file comes first, so that options override it */
        } else if (!file_seen) {
            load_file(&reading, argv[i]);
            file_seen = true;
        } else {
            struct config_place place = {.file = "command line", .text = bytes_of(argv[i])};
            config_file_error(&reading, &place, "neither a file before all options, nor an option");
        }
    }
    return !reading.failed;
}

bool config_load_text(const char *name, struct bytes text, struct buffer *errors) {
    struct config_reading reading = {.errors = errors};
    config_file_text(&reading, name, text);
    return !reading.failed;
}

/* ---- Relations between options -------------------------------------------------------------------- */

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

static int cpu_count(const char *text) {
    int cpus[CPU_SETSIZE];
    return config_cpu_list(text, cpus, CPU_SETSIZE);
}

const char *option_check_cpus(const struct option_value *value) {
    return cpu_count(value->text) < 0 ? "argument must be a list of CPUs such as 0-3,6" : NULL;
}

const char *option_check_socket_path(const struct option_value *value) {
    static const size_t max = sizeof((struct sockaddr_un){0}).sun_path - 1;
    return strlen(value->text) > max ? "path is too long for a Unix socket (107 bytes)" : NULL;
}

const char *option_check_title(const struct option_value *value) {
    return title_check(value->text);
}

unsigned config_shards(void) {
    int count = (int)config.shards;
    if (!count) count = cpu_count(config.shard_cpus);
    cpu_set_t mine;
    if (!count) count = sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 1;
    return count < 1 ? 1 : count > MAX_SHARDS ? MAX_SHARDS : (unsigned)count;
}

static void check_cpus_allowed(struct config_reading *reading, const char *name, const char *text) {
    const struct config_place place = {.file = name};
    int cpus[CPU_SETSIZE], count = config_cpu_list(text, cpus, CPU_SETSIZE);
    cpu_set_t mine;
    if (sched_getaffinity(0, sizeof mine, &mine) < 0)
        return; /* more CPUs than the set knows: no way to tell */
    for (int i = 0; i < count; i++)
        if (!CPU_ISSET(cpus[i], &mine)) {
            config_file_error(reading, &place, "kevy may not run on CPU %d", cpus[i]);
            return;
        }
}

static void check_shards(struct config_reading *reading) {
    static const struct config_place place = {.file = "shard-cpus"};
    int cpus = cpu_count(config.shard_cpus);
    if (cpus > MAX_SHARDS)
        config_file_error(reading, &place, "%d CPUs for at most %d shards", cpus, MAX_SHARDS);
    if (cpus && config.shards && cpus != config.shards)
        config_file_error(reading, &place, "%d CPUs for %d shards", cpus, (int)config.shards);
    check_cpus_allowed(reading, place.file, config.shard_cpus);
}

static void check_poll_threads(struct config_reading *reading) {
    static const struct config_place threads_place = {.file = "io-sqpoll-threads"};
    static const struct config_place cpus_place = {.file = "io-sqpoll-cpus"};
    int cpus = cpu_count(config.io_sqpoll_cpus), threads = (int)config.io_sqpoll_threads;
    if (config.io_sqpoll == CONFIG_NO && threads)
        config_file_error(reading, &threads_place, "there are none with 'io-sqpoll no'");
    if (config.io_sqpoll == CONFIG_NO && cpus)
        config_file_error(reading, &cpus_place, "there are no poll threads with 'io-sqpoll no'");
    if (threads > (int)config_shards())
        config_file_error(reading, &threads_place, "%d poll threads for %u shards", threads, config_shards());
    if (threads && cpus && threads != cpus)
        config_file_error(reading, &cpus_place, "%d CPUs for %d poll threads", cpus, threads);
    check_cpus_allowed(reading, cpus_place.file, config.io_sqpoll_cpus);
}

static void check_dir(struct config_reading *reading) {
    const struct config_place place = {.file = "dir", .text = bytes_of(config.dir)};
    struct stat found;
    if (stat(config.dir, &found) < 0)
        config_file_error(reading, &place, "%s", strerror(errno));
    else if (!S_ISDIR(found.st_mode))
        config_file_error(reading, &place, "%s", strerror(ENOTDIR));
}

bool config_check(struct buffer *errors) {
    struct config_reading reading = {.errors = errors};
    check_shards(&reading);
    check_poll_threads(&reading);
    check_dir(&reading);
    return !reading.failed;
}

/* ---- What the process must be --------------------------------------------------------------------- */

/* Descriptors that are no clients: rings, listeners, event descriptors, files. */
static rlim_t reserved_files(void) {
    return 32 + 16 * (rlim_t)config_shards();
}

/* Raises the limit on open files to what so many clients need, or as near to it as we may. Returns how many
 * it allows. */
static int64_t clients_allowed(int64_t wanted) {
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

bool option_prepare_maxclients(const struct option_value *value, char error[OPTION_ERROR_MAX]) {
    int64_t allowed = clients_allowed(value->number);
    if (allowed >= value->number) return true;
    snprintf(error, OPTION_ERROR_MAX,
             "The operating system is not able to handle the specified number of clients, try with %lld",
             (long long)allowed);
    return false;
}

static void apply_dir(struct config_reading *reading) {
    const struct config_place place = {.file = "dir", .text = bytes_of(config.dir)};
    char *absolute = chdir(config.dir) == 0 ? getcwd(NULL, 0) : NULL;
    if (absolute) {
        free(config.dir);
        config.dir = absolute;
    } else {
        config_file_error(reading, &place, "%s", strerror(errno));
    }
}

static void apply_logfile(struct config_reading *reading) {
    const struct config_place place = {.file = "logfile", .text = bytes_of(config.logfile)};
    int result = log_open(config.logfile);
    if (result < 0) config_file_error(reading, &place, "%s", strerror(-result));
}

static void apply_maxclients(struct config_reading *reading) {
    static const struct config_place place = {.file = "maxclients"};
    int64_t wanted = config.maxclients, allowed = clients_allowed(wanted);
    if (allowed >= wanted) return;
    if (allowed < 1) {
        config_file_error(reading, &place, "the limit on open files leaves room for no client");
        return;
    }
    log_warning(
        "maxclients lowered from %lld to %lld: the limit on open files allows no more (see ulimit -n)",
        (long long)wanted, (long long)allowed);
    config.maxclients = allowed;
}

bool config_apply(struct buffer *errors) {
    struct config_reading reading = {.errors = errors};
    apply_dir(&reading);
    if (!reading.failed) apply_logfile(&reading); /* its path is relative to dir */
    if (reading.failed) return false;
    apply_maxclients(&reading);
    if (config.disable_thp && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
        log_warning("disable-thp: %s", strerror(errno));
    title_show();
    return !reading.failed;
}

/* ---- requirepass ---------------------------------------------------------------------------------- */

void option_password_changed(void) {
    has_password = *config.requirepass != '\0';
}

bool config_has_password(void) {
    return has_password;
}

/* Every byte given is compared with some byte of the password, so that the time says nothing about where they
 * differ. */
bool config_password_is(struct bytes password) {
    config_lock();
    size_t len = strlen(config.requirepass);
    unsigned difference = password.len != len;
    for (size_t i = 0; i < password.len; i++)
        difference |= (unsigned char)password.data[i] ^ (unsigned char)config.requirepass[len ? i % len : 0];
    config_unlock();
    return difference == 0;
}

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

/* The name to reply with, if a pattern matches: as the client wrote it, unless by a pattern. */
static bool name_matches(const struct bytes *patterns, uint32_t count, const char *name,
                         struct bytes *shown) {
    for (uint32_t i = 0; i < count; i++) {
        if (!glob_match(patterns[i], bytes_of(name), true)) continue;
        bool literal = !memchr(patterns[i].data, '*', patterns[i].len) &&
                       !memchr(patterns[i].data, '?', patterns[i].len) &&
                       !memchr(patterns[i].data, '[', patterns[i].len);
        *shown = literal ? patterns[i] : bytes_of(name);
        return true;
    }
    return false;
}

uint32_t config_get(const struct bytes *patterns, uint32_t count, config_found *found, void *context) {
    uint32_t matches = 0;
    config_lock();
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        const char *names[] = {option->name, option->alias};
        struct bytes shown;
        for (unsigned j = 0; option->standard && j < 2 && names[j]; j++) {
            if (!name_matches(patterns, count, names[j], &shown)) continue;
            matches++;
            struct option_value value = {0};
            struct buffer text = {0};
            bool ok = !found || (option_current(option, &value) && option_format(option, &value, &text));
            if (found) found(context, shown, ok ? buffer_bytes(&text) : BYTES(""));
            option_value_free(&value);
            buffer_free(&text);
        }
    }
    config_unlock();
    return matches;
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

struct change {
    struct option *option;
    struct option_value value;
    struct bytes name; /* as the client wrote it */
};

static bool set_failed(char error[CONFIG_ERROR_MAX], struct bytes name, const char *why) {
    snprintf(error, CONFIG_ERROR_MAX, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
             reply_name(name), name.data, why);
    return false;
}

/* Whether the named options exist and may be changed, each once. Redis asks this of all pairs before it looks
 * at values. */
static bool changes_find(const struct bytes *pairs, uint32_t count, struct change *changes,
                         char error[CONFIG_ERROR_MAX]) {
    for (uint32_t i = 0; i < count; i++) {
        struct bytes name = pairs[2 * i];
        struct option *option = option_find(name);
        if (!option) {
            snprintf(error, CONFIG_ERROR_MAX,
                     "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                     name.len < CONFIG_ERROR_MAX ? (int)name.len : CONFIG_ERROR_MAX, name.data);
            return false;
        }
        if (option->when == START) return set_failed(error, name, "can't set immutable config");
        if (option->when == PROTECTED) return set_failed(error, name, "can't set protected config");
        for (uint32_t j = 0; j < i; j++)
            if (changes[j].option == option) return set_failed(error, name, "duplicate parameter");
        changes[i] = (struct change){.option = option, .name = name};
    }
    return true;
}

static bool changes_parse(const struct bytes *pairs, uint32_t count, struct change *changes,
                          char error[CONFIG_ERROR_MAX]) {
    for (uint32_t i = 0; i < count; i++) {
        struct change *change = &changes[i];
        char why[OPTION_ERROR_MAX] = "out of memory";
        bool ok = option_current(change->option, &change->value) &&
                  option_parse(change->option, pairs[2 * i + 1], &change->value, why) &&
                  (!change->option->prepare || change->option->prepare(&change->value, why));
        if (!ok) return set_failed(error, change->name, why);
    }
    return true;
}

bool config_set(const struct bytes *pairs, uint32_t count, char error[CONFIG_ERROR_MAX]) {
    /* A list longer than the table has a duplicate or an unknown name among its first option_count() + 1. */
    uint32_t most = count < option_count() ? count : option_count() + 1;
    struct change *changes = calloc(most + 1, sizeof *changes);
    if (!changes) return set_failed(error, pairs[0], "out of memory");
    bool ok = changes_find(pairs, most, changes, error);
    config_lock();
    ok = ok && changes_parse(pairs, count, changes, error);
    for (uint32_t i = 0; i < most; i++) {
        if (ok) changes[i].option->set = true, option_store(changes[i].option, &changes[i].value);
        option_value_free(&changes[i].value);
    }
    config_unlock();
    free(changes);
    return ok;
}
