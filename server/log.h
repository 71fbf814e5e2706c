/* log.h - the server's log: levels, a file or standard output, one write per line, safe from any thread. */
#ifndef KEVY_SERVER_LOG_H
#define KEVY_SERVER_LOG_H

#include "protocol/bytes.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_VERBOSE, LOG_LEVEL_NOTICE, LOG_LEVEL_WARNING, LOG_LEVEL_NOTHING };

/* Lines below this level are not written; LOG_LEVEL_NOTICE at first. Any thread. */
void log_set_level(enum log_level level);
/* Opens `path` for appending, or standard output for "". 0 or a negative errno, and then the old target stays. */
int log_open(const char *path);
/* SIGHUP: opens the same path again, for logrotate. */
int log_reopen(void);
/* A line at most 1,024 bytes long, in Redis's form: "pid:role day month year time.ms level text". If the file was renamed
 * or removed (ten times a second this is looked at), a new one is begun at its path. */
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes this whole line as it is, from the handler of a signal that ends the process. */
void log_last(struct bytes line);

#define log_verbose(...) log_write(LOG_LEVEL_VERBOSE, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)

#endif
