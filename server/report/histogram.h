/* histogram.h - how long commands took: for each command of each shard a histogram, made when the command first ran.
 *
 * Its buckets are those of an HDR histogram (G. Tene) of two significant digits, from a nanosecond to a second: each
 * octave has 128, so that figures made of it are as in Redis. Only its own shard's thread writes it, anybody may read. */
#ifndef KEVY_SERVER_REPORT_HISTOGRAM_H
#define KEVY_SERVER_REPORT_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "server/limits.h"

enum {
    HISTOGRAM_OCTAVE = 128, /* buckets; the first two are of one nanosecond each */
    HISTOGRAM_LAST_BIT = 29,
    HISTOGRAM_BUCKETS = 2 * HISTOGRAM_OCTAVE + (HISTOGRAM_LAST_BIT - 7) * HISTOGRAM_OCTAVE
};

struct histogram {
    uint64_t generation; /* atomic: of histograms_reset; what was counted before is void */
    uint64_t counts[HISTOGRAM_BUCKETS];
};

/* One for each executor. */
struct histograms {
    struct histogram *of[MAX_COMMANDS]; /* by the ids of rows; atomic: NULL, it has not run yet */
    struct histograms *next;
};

/* From now on these are part of all sums; they must stay where they are. Any thread. */
void histograms_register(struct histograms *histograms);
/* They may go, and are freed. Any thread. */
void histograms_unregister(struct histograms *histograms);
/* What was counted is forgotten. Any thread. */
void histograms_reset(void);

/* So many calls of the command took so long each, above a second as a second. By its own thread. Without memory for it
 * they are not counted. */
void histogram_note(struct histograms *histograms, uint32_t command, uint64_t nanoseconds, uint64_t calls);

/* Of all shards together; what it returns is the calls. Any thread. */
uint64_t histogram_sum(uint32_t command, struct histogram *sum);
/* The longest time that falls into this bucket, in nanoseconds. */
uint64_t histogram_highest(unsigned bucket);
/* So many of a hundred calls took no longer, in nanoseconds; `calls` is what histogram_sum returned, above 0. */
uint64_t histogram_percentile(const struct histogram *sum, uint64_t calls, double percent);

#endif
