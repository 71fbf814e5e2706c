/* pace.h - what the recent traffic promises, and so how a shard waits: for one completion, for several, or spinning.
 *
 * Gathering several completions in one wait mostly saves CPU time. It costs latency, unless the clients are such that
 * they lose nothing by it: those that send pipelines, and closed loops at saturation, where each client sends its next
 * request as soon as it gets to the reply, and is late with that already. pace.c finds out which they are. It has no
 * clock and makes no system call. */
#ifndef KEVY_SERVER_LOOP_PACE_H
#define KEVY_SERVER_LOOP_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* Traffic is looked at once an epoch. An ordinary one lasts 10 ms or longer; the others are short and seldom. */
enum pace_epoch {
    PACE_ORDINARY,
    PACE_LOOK, /* until as many receives have come as there are connections: are they of all of them? */
    PACE_PROBE, /* one wait, longer than a connection is ever silent: does anybody send again without a reply? */
};

struct pace {
    uint32_t receives;            /* receive completions of this turn */
    uint32_t epoch;               /* counts epochs; connections note the last one they were heard in */
    uint32_t active, active_last; /* distinct connections heard in this epoch, and in the last ordinary one */
    uint64_t epoch_receives, receives_per_second;
    uint64_t epoch_start_us, epoch_end_us;
    uint64_t requests, cpu_ns; /* of the shard, when this epoch began */
    uint64_t gap_us;           /* smoothed time from the start of a wait to its first completion */
    enum pace_epoch kind;

    bool throughput; /* the traffic is such that it may be made to wait */
    bool brisk;      /* completions come faster than a sleeping CPU wakes */

    bool closed;                  /* the clients are a closed loop at saturation, as far as is known */
    unsigned against;             /* findings to the contrary, one after the other */
    unsigned probe_in, probe_gap; /* epochs until the next look and probe, and from one to the next */
    unsigned strange;             /* epochs in a row that were not like those when this was found out ... */
    uint64_t candidate_us;        /* when traffic was last such that it could be one */
    uint64_t known_rate;          /* ... which had so many receives a second */
    uint64_t cycle_us;            /* in which each connection is heard once, on average */
    uint64_t sixteenths;          /* requests that 16 receives bring */

    bool gather;                  /* the way of waiting that has cost less of late ... */
    bool trial;                   /* ... but this epoch takes the other way, to compare */
    unsigned wins;                /* of the other way, one after the other */
    unsigned trial_in, trial_gap; /* epochs until the next trial, and from one to the next */
    uint64_t cost_ns,
        trial_rate; /* of a request, and receives a second, in the last ordinary epoch that was no trial */
};

void pace_open(struct pace *pace);

enum { PACE_GATHER_MOST = 16 }; /* completions to wait for: what a wake-up costs is well shared by then */

/* A long sleep must not outweigh the short gaps that follow: after fourteen of 1 us the mean is below 50 us again. */
enum { PACE_GAP_MAX_US = 10000, PACE_GAP_SLOW_US = 50 };

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

/* Are waits so long that a system call more for each costs next to nothing? Not those that gather. */
static inline bool pace_is_slow(const struct pace *pace) {
    return pace->gap_us >= PACE_GAP_SLOW_US && !pace->throughput;
}

/* The epoch has lasted long enough: pace_next is due, before the next wait. */
static inline bool pace_due(const struct pace *pace, uint64_t now_us) {
    return now_us >= pace->epoch_end_us ||
           (pace->kind == PACE_LOOK && pace->epoch_receives >= pace->active_last);
}
/* Draws the conclusions of the epoch. `requests` were processed, and the thread has run `cpu_ns`, since the shard began. */
void pace_next(struct pace *pace, uint64_t now_us, uint64_t requests, uint64_t cpu_ns);

/* How many completions to wait for. 1: no company is worth waiting for. With more than that, fewer will do after *wait_us,
 * which is at most that of the option except in a probe. */
unsigned pace_want(const struct pace *pace, uint64_t option_us, uint64_t *wait_us);

/* Whether the next completion will likely come sooner than a sleeping CPU wakes. With one or two busy connections it
 * may, and where many send at a brisk rate; spinning for up to most_us has to be earned by gaps that were shorter.
 * A trial of not gathering does without where gathering waits for a part of the clients only: the others keep the shard
 * busy, so spinning would gain nothing, and it costs a whole CPU. */
static inline bool pace_may_spin(const struct pace *pace, uint64_t most_us) {
    bool brisk = pace->brisk && !(pace->trial && pace->active_last > 2 * PACE_GATHER_MOST);
    return most_us && pace->active_last && (pace->active_last <= 2 || brisk) && pace->gap_us <= most_us;
}

#endif
