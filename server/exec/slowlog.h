/* slowlog.h - the commands that took longest to run, newest first. One log for the process; any thread.
 *
 * Only the time of the command itself counts, not that of receiving it, waiting for its locks, or sending its reply. */
#ifndef KEVY_SERVER_EXEC_SLOWLOG_H
#define KEVY_SERVER_EXEC_SLOWLOG_H

#include <stdint.h>

#include "server/call/call.h"
#include "server/config/config.h"
#include "server/limits.h"

struct slowlog_entry {
    struct slowlog_entry *older;
    uint64_t id;    /* from 0, never reused */
    int64_t time_s; /* Unix time when the command was logged */
    uint64_t microseconds;
    struct bytes peer, name; /* of the client */
    uint32_t argc;
    struct bytes argv[]; /* the bytes lie behind it */
};

/* Logs it, whatever its time. Without memory it is left out. */
void slowlog_push(const struct call *call, uint64_t nanoseconds);

/* The command of this call took so long: it is logged if that is longer than slowlog-log-slower-than. */
static inline void slowlog_add(const struct call *call, uint64_t nanoseconds) {
    int64_t limit_us = config.slowlog_log_slower_than;
    if (limit_us >= 0 && nanoseconds / 1000 >= (uint64_t)limit_us) slowlog_push(call, nanoseconds);
}

/* A threshold below this times every command by itself, not only those that may take long; so does the latency monitor. */
enum { SLOWLOG_TIMES_ALL_US = 1000 };
static inline bool slowlog_times_all(void) {
    int64_t limit_us = config.slowlog_log_slower_than;
    return (limit_us >= 0 && limit_us < SLOWLOG_TIMES_ALL_US) || config.latency_monitor_threshold > 0;
}

uint64_t slowlog_count(void);
void slowlog_reset(void);

/* The newest `max` entries, from first to last: `begin` hears how many there are, then `each` sees them.
 * Whoever else wants to log waits meanwhile, and the entries are gone afterwards. */
void slowlog_walk(uint64_t max, void (*begin)(void *context, uint64_t count),
                  void (*each)(void *context, const struct slowlog_entry *entry), void *context);

#endif
