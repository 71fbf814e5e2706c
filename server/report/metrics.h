/* metrics.h - figures, one row each in metrics.def: a field here, a sum over the shards, a line of INFO.
 *
 * Every shard counts for itself; only its own thread writes, anyone may read. */
#ifndef KEVY_SERVER_REPORT_METRICS_H
#define KEVY_SERVER_REPORT_METRICS_H

#include <stdint.h>

#include "server/limits.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_TIME };
enum metric_section { METRIC_CLIENTS, METRIC_MEMORY, METRIC_STATS, METRIC_CPU, METRIC_IO }; /* of INFO */

struct command_metrics {
    uint64_t calls, nanoseconds, rejected, failed;
};

struct metrics {
#define METRIC(field, kind, section, name, help) uint64_t field;
#include "server/report/metrics.def"
    struct command_metrics commands[MAX_COMMANDS]; /* by the ids of the command table's rows */

    /* The register's. */
    unsigned command_count; /* rows of commands[] that are in use */
    struct metrics *next;
};

/* Adds without a locked instruction: the owner is the only writer. */
static inline void metric_add(uint64_t *field, uint64_t n) {
    __atomic_store_n(field, __atomic_load_n(field, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}
/* The same, for a gauge that falls. */
static inline void metric_take(uint64_t *field, uint64_t n) {
    __atomic_store_n(field, __atomic_load_n(field, __ATOMIC_RELAXED) - n, __ATOMIC_RELAXED);
}
static inline uint64_t metric_get(const uint64_t *field) {
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

/* From now on these are part of all sums, with the first `commands` rows of commands[]; they must stay where
 * they are. Any thread. */
void metrics_register(struct metrics *metrics, unsigned commands);
/* They may go: what they counted stays in the sums. Nothing if they are not registered. Any thread. */
void metrics_unregister(struct metrics *metrics);

/* What all together have counted since the start, or since the last metrics_reset. Any thread. */
void metrics_sum(struct metrics *sum);

/* What rates are made of, since the start: never reset. */
struct metrics_traffic {
    uint64_t commands, input_bytes, output_bytes;
};
void metrics_traffic(struct metrics_traffic *traffic);
/* CONFIG RESETSTAT: from now on everything counts from zero, error statistics too. Any thread. */
void metrics_reset(void);

#endif
