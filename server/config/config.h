/* config.h - the options: redis.conf's directives, as rows of options.def.
 *
 * One row makes a field, its line in --help and kevy.conf, its parser, and its CONFIG GET, SET and REWRITE. A
 * directive `io-batch-wait-us` is the field config.io_batch_wait_us. Numeric fields (numbers, sizes,
 * booleans, choices) are atomics that any thread reads as they are. Texts are fixed once the server runs, and
 * read as they are, except for those that CONFIG SET may change: these have accessors below and are touched
 * by nobody else.
 *
 * How main uses it:
 *
 *     title_keep(argc, argv);
 *     config_defaults();
 *     switch (command_line_mode(argc, argv))         HELP: config_help(stdout), exit 0; VERSION likewise
 *     config_usable_cpus(cpus_usable());
 *     struct config_errors errors = {0};
 *     if (!command_line_load(argc, argv, &errors) || !relations_check(&errors)) tell them and exit 1
 *     if the mode is CHECK, exit 0; if it is PROBE, tell and exit
 *     if (config.daemonize and not supervised) fork; a parent says no more
 *     if (!prepare_process(&errors)) tell them and exit 1 */
#ifndef KEVY_SERVER_CONFIG_CONFIG_H
#define KEVY_SERVER_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/bytes.h"
#include "server/limits.h"

/* The values of choices. loglevel's are those of enum log_level. */
enum {
    CONFIG_NO = 0,
    CONFIG_YES = 1,
    CONFIG_AUTO = 2,
    CONFIG_LOCAL = 3,
    CONFIG_SYSTEMD = 4,
    CONFIG_URING = 5,
    CONFIG_EPOLL = 6,
    CONFIG_ALWAYS = 7,
    CONFIG_EVERYSEC = 8,
    CONFIG_ALL = 9,
};

/* What shutdown-on-sigint and shutdown-on-sigterm ask for; 0: what save points do. */
enum {
    CONFIG_SHUTDOWN_SAVE = 1 << 0,
    CONFIG_SHUTDOWN_NOSAVE = 1 << 1,
    CONFIG_SHUTDOWN_NOW = 1 << 2,
    CONFIG_SHUTDOWN_FORCE = 1 << 3,
};

/* What notify-keyspace-events asks for: a bit for each of its letters, in the order in which Redis shows them. The letter A
 * stands for the first ten. */
#define NOTIFY_LETTERS "g$lshzxetdnKEm"
enum {
    NOTIFY_ALL = (1 << 10) - 1,
    NOTIFY_NEW = 1 << 10,
    NOTIFY_KEYSPACE = 1 << 11,
    NOTIFY_KEYEVENT = 1 << 12,
};

struct config_output_limit {
    _Atomic int64_t hard, soft, soft_seconds; /* bytes, bytes, seconds; 0: no limit */
};
enum { OUTPUT_LIMIT_NORMAL, OUTPUT_LIMIT_REPLICA, OUTPUT_LIMIT_PUBSUB, OUTPUT_LIMIT_CLASSES };

#define CONFIG_FIELD_BOOL(field)   _Atomic int64_t field;
#define CONFIG_FIELD_NUMBER(field) _Atomic int64_t field;
#define CONFIG_FIELD_OCTAL(field)  _Atomic int64_t field;
#define CONFIG_FIELD_MEMORY(field) _Atomic int64_t field;
#define CONFIG_FIELD_CHOICE(field) _Atomic int64_t field;
#define CONFIG_FIELD_EVENTS(field) _Atomic int64_t field; /* NOTIFY_* */
#define CONFIG_FIELD_TEXT(field)   char *field; /* never NULL after config_defaults; "" means none */
#define CONFIG_FIELD_LOCKED(field) char *field; /* the same, under a lock: see the accessors */
#define CONFIG_FIELD_SAVES(field)  char *field; /* under a lock too: config_save_points */
#define CONFIG_FIELD_WORDS(field)                                                                            \
    char *field[CONFIG_BIND_MAX];                                                                            \
    unsigned field##_count;
#define CONFIG_FIELD_LIMITS(field) struct config_output_limit field[OUTPUT_LIMIT_CLASSES];

struct config {
#define GROUP(title, text)
#define OPTION(kind, field, ...) CONFIG_FIELD_##kind(field)
#define ONLY(...)
#define NO_EFFECT(...)
#include "server/config/options.def"
#undef GROUP
#undef OPTION
#undef ONLY
#undef NO_EFFECT
};
extern struct config config;

/* ---- Start: main alone ---------------------------------------------------------------------------- */

/* Gives every option its default. Once, before anything else here. */
void config_defaults(void);
/* The file that kevy was started with, which is there: keeps its absolute path. */
void config_path_keep(const char *path);
/* How many CPUs' worth of time the process has: what `shards 0` means. 1 until it is told. */
void config_usable_cpus(unsigned count);
/* How many of `wanted` clients the limit on open files allows, which is raised as far as that needs and may be. */
int64_t config_clients_allowed(int64_t wanted);
/* Shows the title that the options ask for. Follows changes of the template from then on. */
void config_title_show(void);
/* Usage and every option, for --help. */
void config_help(FILE *out);
/* kevy.conf as it stands in the tree. */
void config_print(FILE *out);

/* ---- Any thread ----------------------------------------------------------------------------------- */

/* Shards to start: `shards`, or the CPUs that shard-cpus names, or those that config_usable_cpus was told of; no more than
 * MAX_SHARDS in any case. */
unsigned config_shards(void);
/* Reads "0-3,6" into cpus[0, max). How many there are, or -1 if the text is wrong, names a CPU twice or names
 * more than max. */
int config_cpu_list(const char *text, int *cpus, unsigned max);
/* How many such a list names, or -1. */
int config_cpu_count(const char *text);
/* The configuration file's absolute path, "" for none. */
const char *config_path(void);

/* The points of `save`, in their order. Returns how many. */
enum { CONFIG_SAVE_POINTS_MAX = 64 };
struct config_save_point {
    int64_t seconds, changes; /* so many changes, and so long after the last save */
};
unsigned config_save_points(struct config_save_point points[CONFIG_SAVE_POINTS_MAX]);
/* Are there any? */
bool config_saves(void);

/* requirepass. The time of the comparison says nothing about where they differ. */
bool config_has_password(void);
bool config_password_is(struct bytes password);

/* ---- CONFIG --------------------------------------------------------------------------------------- */

enum { CONFIG_ERROR_MAX = 1024 }; /* bytes of an error text, its NUL included */

/* Calls `counted` with the number of options that the patterns match, then `found` for each of them, in the
 * table's order. False without memory: nothing was called. */
typedef void config_counted(void *context, uint32_t matches);
typedef void config_found(void *context, struct bytes name, struct bytes value);
bool config_get(const struct bytes *patterns, uint32_t count, config_counted *counted, config_found *found,
                void *context) __attribute__((warn_unused_result));
/* Who is to do what options say, when they are in force. False with an error text: then all are as they were before. */
struct config_follower {
    bool (*follow)(void *context, char error[CONFIG_ERROR_MAX]); /* or NULL */
    void *context;
};
/* Changes `count` options, from pairs of name and value: all of them, or none. False with Redis's error text,
 * "ERR ...". Whoever calls this then asks all shards to look at what follows from options (post_look_again). */
bool config_set(const struct bytes *pairs, uint32_t count, struct config_follower follower,
                char error[CONFIG_ERROR_MAX]) __attribute__((warn_unused_result));
/* Brings the configuration file to what is in force. Waits for the disk. False with an error text, "ERR ...". */
bool config_rewrite(char error[CONFIG_ERROR_MAX]) __attribute__((warn_unused_result));
/* Calls `tell` with a line, "hz 100: no effect: kevy ...", for every directive that changes nothing and is
 * not at its default. */
void config_without_effect(void (*tell)(void *context, const char *line), void *context);

/* For config*.c: held while options change. */
void config_lock(void);
void config_unlock(void);

/* ---- What rows of options.def name ---------------------------------------------------------------- */

/* NULL, or what is wrong with a text. */
const char *config_check_file_name(const char *text);
const char *config_check_append_name(const char *text);
const char *config_check_append_directory(const char *text);
const char *config_check_cpus(const char *text);
enum { CONFIG_PERCENTILES_MAX = 64, CONFIG_PERCENT_MAX = sizeof "100.000000" };
const char *config_check_percentiles(const char *text);
/* The same as CONFIG GET shows them, each as config_write_percent; malloc'd, NULL without memory. */
char *config_spell_percentiles(const char *text);
/* As "%f" writes it, without what follows the last digit that is none of its zeros. Its length; no more than
 * CONFIG_PERCENT_MAX with the NUL that need not be its end. */
size_t config_write_percent(char *dst, double percent);
/* Those of latency-tracking-info-percentiles, at most `max` of them; returns how many. */
unsigned config_percentiles(double *percentiles, unsigned max);
const char *config_check_socket_path(const char *text);
const char *config_check_title(const char *text);
/* False with an error text. */
bool config_prepare_maxclients(int64_t number, char *error, size_t size);
/* The field has changed. */
void config_password_changed(void);
void config_saves_changed(void);
void config_title_changed(void);
void config_loglevel_changed(void);

#endif
