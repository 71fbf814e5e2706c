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
 *     title_keep(argc, argv);                        server/config/title.h
 *     config_defaults();
 *     switch (config_mode(argc, argv))               HELP: config_help(stdout), exit 0; VERSION likewise
 *     struct buffer errors = {0};
 *     if (!config_load(argc, argv, &errors) || !config_check(&errors)) write errors to stderr, exit 1
 *     if the mode is CHECK, exit 0; if it is PROBE, tell and exit
 *     if (config.daemonize and not supervised) fork; a parent says no more
 *     if (!config_apply(&errors)) write errors to stderr, exit 1 */
#ifndef KEVY_SERVER_CONFIG_CONFIG_H
#define KEVY_SERVER_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "protocol/buffer.h"
#include "protocol/bytes.h"

/* The values of choices. loglevel's are those of enum log_level. */
enum { CONFIG_NO = 0, CONFIG_YES = 1, CONFIG_AUTO = 2, CONFIG_LOCAL = 3, CONFIG_SYSTEMD = 4 };

enum { CONFIG_BIND_MAX = 16 };

struct config_output_limit {
    _Atomic int64_t hard, soft, soft_seconds; /* bytes, bytes, seconds; 0: no limit */
};
enum { OUTPUT_LIMIT_NORMAL, OUTPUT_LIMIT_REPLICA, OUTPUT_LIMIT_PUBSUB, OUTPUT_LIMIT_CLASSES };

#define CONFIG_FIELD_BOOL(field)   _Atomic int64_t field;
#define CONFIG_FIELD_NUMBER(field) _Atomic int64_t field;
#define CONFIG_FIELD_OCTAL(field)  _Atomic int64_t field;
#define CONFIG_FIELD_MEMORY(field) _Atomic int64_t field;
#define CONFIG_FIELD_CHOICE(field) _Atomic int64_t field;
#define CONFIG_FIELD_TEXT(field)   char *field; /* never NULL after config_defaults; "" means none */
#define CONFIG_FIELD_SECRET(field) char *field; /* the same, under a lock: see the accessors */
#define CONFIG_FIELD_WORDS(field)                                                                            \
    char *field[CONFIG_BIND_MAX];                                                                            \
    unsigned field##_count;
#define CONFIG_FIELD_LIMITS(field) struct config_output_limit field[OUTPUT_LIMIT_CLASSES];

struct config {
#define GROUP(title, text)
#define OPTION(kind, field, ...) CONFIG_FIELD_##kind(field)
#define ONLY(...)
#include "server/config/options.def"
#undef GROUP
#undef OPTION
#undef ONLY
};
extern struct config config;

/* ---- Start: main alone ---------------------------------------------------------------------------- */

/* What the command line asks for: --check-config, --help or -h, --version or -v, --probe, or none of these.
 */
enum config_mode {
    CONFIG_MODE_SERVE,
    CONFIG_MODE_CHECK,
    CONFIG_MODE_HELP,
    CONFIG_MODE_VERSION,
    CONFIG_MODE_PROBE,
};
enum config_mode config_mode(int argc, char **argv);

/* Gives every option its default. Once, before anything else here. */
void config_defaults(void);
/* Reads `kevy [file|-] [--name value ...]`. Appends a line for everything that is wrong,
 * "kevy.conf:12: 'port x': ...", and goes on, so that all is told at once. False if there was any. */
bool config_load(int argc, char **argv, struct buffer *errors) __attribute__((warn_unused_result));
/* The same for a text with a file's syntax; `name` is what error lines call it. */
bool config_load_text(const char *name, struct bytes text, struct buffer *errors)
    __attribute__((warn_unused_result));
/* What no row can see alone: relations between options, and with the machine. False after appending lines. */
bool config_check(struct buffer *errors) __attribute__((warn_unused_result));
/* Gives the process what the options ask of it: working directory, log file, limit on open files (or fewer
 * clients), no huge pages, title. After daemonizing, before threads. False after appending lines. */
bool config_apply(struct buffer *errors) __attribute__((warn_unused_result));
/* Usage and every option, for --help. */
void config_help(FILE *out);
/* kevy.conf as it stands in the tree. */
void config_print(FILE *out);

/* ---- Any thread ----------------------------------------------------------------------------------- */

/* Shards to start: `shards`, or the CPUs that shard-cpus names, or those that the process may use. At most
 * MAX_SHARDS. */
unsigned config_shards(void);
/* Reads "0-3,6" into cpus[0, max). How many there are, or -1 if the text is wrong, names a CPU twice or names
 * more than max. */
int config_cpu_list(const char *text, int *cpus, unsigned max);
/* The configuration file's absolute path, "" for none. */
const char *config_file_path(void);

/* requirepass. The time of the comparison says nothing about where they differ. */
bool config_has_password(void);
bool config_password_is(struct bytes password);

/* ---- CONFIG --------------------------------------------------------------------------------------- */

enum { CONFIG_ERROR_MAX = 1024 }; /* bytes of an error text, its NUL included */

/* Calls `found` (NULL: nothing) for every option that a glob pattern matches, once each, in the table's
 * order. Returns how many there are, the same each time for the same patterns. */
typedef void config_found(void *context, struct bytes name, struct bytes value);
uint32_t config_get(const struct bytes *patterns, uint32_t count, config_found *found, void *context);
/* Changes `count` options, from pairs of name and value: all of them, or none. False with Redis's error text,
 * "ERR ...". */
bool config_set(const struct bytes *pairs, uint32_t count, char error[CONFIG_ERROR_MAX])
    __attribute__((warn_unused_result));
/* Brings the configuration file to what is in force. Waits for the disk. False with an error text, "ERR ...".
 */
bool config_rewrite(char error[CONFIG_ERROR_MAX]) __attribute__((warn_unused_result));

/* For config*.c: held while options change. */
void config_lock(void);
void config_unlock(void);

#endif
