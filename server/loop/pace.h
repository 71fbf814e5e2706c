/* pace.h - what the recent traffic promises, and so how a shard waits: for one completion, for several, or spinning.
 *
 * Gathering several completions in one wait mostly saves CPU time and always costs latency. pace.c decides when it is
 * worth it; it has no clock and makes no system call. */
#ifndef KEVY_SERVER_LOOP_PACE_H
#define KEVY_SERVER_LOOP_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Traffic is looked at once an epoch, of PACE_EPOCH_US or longer. */
struct pace {
    uint32_t receives;            /* receive completions of this turn */
    uint32_t epoch;               /* counts epochs; connections note the last one they were heard in */
    uint32_t active, active_last; /* distinct connections heard in this epoch, and in the one before */
    uint64_t epoch_receives, receives_per_second;
    uint64_t epoch_end_us;
    uint64_t gap_us;           /* smoothed time from the start of a wait to its first completion */
    uint64_t requests, cpu_ns; /* of the shard, when this epoch began */

    bool throughput;              /* the traffic is such that it may be made to wait */
    bool gather;                  /* the way of waiting that has cost less of late ... */
    bool trial;                   /* ... but this epoch takes the other way, to compare */
    unsigned wins;                /* of the other way, one after the other */
    unsigned trial_in, trial_gap; /* epochs until the next trial, and from one to the next */
    uint64_t cost_ns;             /* of a request, in the last epoch that was no trial */
};

void pace_open(struct pace *pace);

/* A long sleep must not outweigh the short gaps that follow: after fourteen of 1 us the mean is below 50 us again. */
enum { PACE_GAP_MAX_US = 10000 };

/* Data came from a connection that notes in *heard_epoch when it last did. */
static inline void pace_heard(struct pace *pace, uint32_t *heard_epoch) {
    pace->receives++;
    if (*heard_epoch == pace->epoch) return;
    *heard_epoch = pace->epoch;
    pace->active++;
}

/* The first completion after a wait took that long to come. */
static inline void pace_waited(struct pace *pace, uint64_t gap_us) {
    if (gap_us > PACE_GAP_MAX_US) gap_us = PACE_GAP_MAX_US;
    pace->gap_us = (pace->gap_us * 3 + gap_us) / 4;
}

/* The epoch has lasted long enough: pace_next is due. */
static inline bool pace_due(const struct pace *pace, uint64_t now_us) {
    return now_us >= pace->epoch_end_us;
}
/* Draws the conclusions of the epoch. `requests` were processed, and the thread has run `cpu_ns`, since the shard began. */
void pace_next(struct pace *pace, uint64_t now_us, uint64_t requests, uint64_t cpu_ns);

/* How many completions to wait for, up to wait_us. 1: no company is worth waiting for. */
unsigned pace_want(const struct pace *pace, uint64_t wait_us);

/* Whether the next completion will likely come sooner than a sleeping CPU wakes. With one or two busy connections it may;
 * spinning for up to most_us has to be earned by gaps that were shorter. */
static inline bool pace_may_spin(const struct pace *pace, uint64_t most_us) {
    return most_us && pace->active_last && pace->active_last <= 2 && pace->gap_us <= most_us;
}

#endif
