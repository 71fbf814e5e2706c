/* latency.h - the latency monitor: which commands took as long as latency-monitor-threshold says, when, and how long.
 * Any thread.
 *
 * Of the samples of one second the longest is kept, and of each kind the last LATENCY_SAMPLES. */
#ifndef KEVY_SERVER_REPORT_LATENCY_H
#define KEVY_SERVER_REPORT_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

enum latency_event {
    LATENCY_COMMAND,
    LATENCY_FAST_COMMAND, /* of those whose rows say CMD_FAST */
    LATENCY_EVENTS
};
extern const char *const latency_names[LATENCY_EVENTS];

enum { LATENCY_SAMPLES = 160 };

struct latency_sample {
    int64_t time_s; /* Unix time */
    uint64_t milliseconds;
};
struct latency_history {
    uint64_t longest_ms;                            /* also of samples that are no longer kept */
    unsigned count;                                 /* 0: none since the start, or since latency_reset */
    struct latency_sample samples[LATENCY_SAMPLES]; /* the oldest first */
};

void latency_note(enum latency_event event, struct latency_sample sample);
/* Writes what is known of these events. */
void latency_history(enum latency_event event, struct latency_history *history);
/* Forgets them. False if there were none. */
bool latency_reset(enum latency_event event);

#endif
