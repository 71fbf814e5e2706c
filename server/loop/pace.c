/* pace.c - when gathering pays.
 *
 * DESIGN
 * Pipelines may be made to wait for each other; whether that pays is tried (judge_trial). Of single requests only those
 * of a closed loop at saturation may: there a connection's time from request to request is what the slowest part needs
 * for all of them, wherever it is spent. Two things are true of such a loop and of no other traffic:
 *   1. Everybody is heard once before anybody is heard twice (PACE_LOOK). A pool with idle connections fails.
 *   2. Nobody sends again without a reply (PACE_PROBE). Requests at a rate of their own fail, in any order.
 *
 *      ordinary --- candidate, and it is time ---> look --- all were heard ---> probe ---> ordinary
 *         ^                                          |
 *         +------------------------------------------+ some were not
 *
 * The second costs those who are not like that a delay of one and a half cycles, so it is done seldom, ever more seldom
 * while it finds the same, and only where a cycle is short; two findings in a row change what is believed. */
#include "server/loop/pace.h"

#include "protocol/assert.h"
#include "server/limits.h"

enum {
    PACE_EPOCH_US = 10 * 1000,
    PIPELINE = 4,      /* requests a receive: who sends so many does not wait for a single reply */
    BUSY_PERCENT = 40, /* of a CPU, that one request a receive must keep busy */

    CLOSED_LEAST = 4,         /* connections, for half of them are waited for ... */
    CLOSED_MOST = 1024,       /* ... and a probe waits for twice as many */
    CLOSED_BUSY_PERCENT = 25, /* of a CPU: below, there is little to save ... */
    CLOSED_IDLE_PERCENT = 5,  /* ... and less than this is one, for gathering itself makes it less */
    CYCLE_MOST_US = 2 * 1000, /* of a closed loop that is worth a probe */
    PROBE_FIRST = 2,          /* epochs until new traffic is probed, */
    PROBE_NEXT = 64,          /* until it is probed again, */
    PROBE_LAST = 1024,        /* and in the long run */
    STRANGE = 8,              /* epochs of another rate make it new traffic */
    FORGET_US = 200 * 1000,   /* ... as does so long a time without any that could be a closed loop */

    TRIAL_MARGIN = 32, /* a trial wins by more than a part in so many, */
    RATE_MARGIN = 8,   /* ... and loses if the rate falls by more than that */
    TRIAL_FIRST = 8,   /* epochs from trial to trial at first, and when one has just won ... */
    TRIAL_LAST = 64,   /* ... and in the long run */

    BRISK_ON = 37500, /* receives a second: 27 us apart, which is what a wake-up takes */
    BRISK_OFF = 30000,
};

_Static_assert(TRIAL_FIRST > 0 && TRIAL_FIRST <= TRIAL_LAST, "trials become fewer, not more");
_Static_assert(PROBE_FIRST > 0 && PROBE_FIRST <= PROBE_NEXT && PROBE_NEXT <= PROBE_LAST,
               "probes become fewer, not more");
_Static_assert(2 * CLOSED_MOST <= CQ_ENTRIES, "the queue has room for what a probe waits for");
_Static_assert(BRISK_OFF < BRISK_ON, "a rate in between changes nothing");

void pace_open(struct pace *pace) {
    *pace = (struct pace){.gather = true,
                          .trial_in = TRIAL_FIRST,
                          .trial_gap = TRIAL_FIRST,
                          .probe_in = PROBE_FIRST,
                          .probe_gap = PROBE_NEXT};
}

/* ---- Is it a closed loop at saturation? ----------------------------------------------------------------- */

static void forget(struct pace *pace) {
    pace->closed = false;
    pace->against = 0;
    pace->strange = 0;
    pace->probe_in = PROBE_FIRST;
    pace->probe_gap = PROBE_NEXT;
}

static void found(struct pace *pace, bool closed) {
    assert(pace->against < 2 && pace->probe_gap >= PROBE_NEXT && pace->probe_gap <= PROBE_LAST);
    if (closed == pace->closed) {
        pace->against = 0;
        if (pace->probe_gap < PROBE_LAST) pace->probe_gap *= 2;
    } else if (++pace->against == 2) {
        pace->against = 0;
        pace->closed = closed;
        pace->probe_gap = PROBE_NEXT;
    }
    pace->probe_in = pace->against ? 1 : pace->probe_gap;
    pace->known_rate = pace->receives_per_second;
    pace->strange = 0;
}

/* All were heard, but for a few that the end of the last round still had to bring. */
static enum pace_epoch looked(struct pace *pace) {
    if (pace->active * 4 >= pace->active_last * 3 && pace->epoch_receives >= pace->active_last)
        return PACE_PROBE;
    found(pace, false);
    return PACE_ORDINARY;
}

/* Who are silent, all of them, after one request each, wait for us. If only some sent, the client stood still. */
static void probed(struct pace *pace, uint64_t done) {
    if (done * 16 * 8 > pace->active * pace->sixteenths * 9)
        found(pace, false);
    else if (pace->active * 4 >= pace->active_last * 3)
        found(pace, true);
    else
        pace->probe_in = pace->probe_gap;
}

/* The kind of the epoch that follows on one of traffic that could be a closed loop. */
static enum pace_epoch consider(struct pace *pace) {
    uint64_t rate = pace->receives_per_second, known = pace->known_rate;
    bool strange = rate * 4 > known * 5 || rate * 5 < known * 4;
    pace->strange = strange ? pace->strange + 1 : 0;
    if (pace->strange == STRANGE && pace->probe_in > 1) pace->probe_in = 1, pace->strange = 0;
    assert(pace->probe_in > 0);
    return --pace->probe_in == 0 ? PACE_LOOK : PACE_ORDINARY;
}

/* ---- Does gathering pay? ---------------------------------------------------------------------------------- */

/* Where a few connections send as soon as they are answered, they come together by themselves, and a wait costs more
 * than it saves, or makes clients slower. So now and then an epoch takes the other way, and two better ones in a row
 * make it the usual. */
static void judge_trial(struct pace *pace, uint64_t cost_ns, uint64_t rate) {
    bool cheaper = cost_ns + cost_ns / TRIAL_MARGIN < pace->cost_ns;
    bool slower = rate + rate / RATE_MARGIN < pace->trial_rate,
         faster = pace->trial_rate + pace->trial_rate / RATE_MARGIN < rate;
    bool better = (cheaper && !slower) || (pace->gather && faster);
    pace->trial = false;
    if (!better) {
        pace->wins = 0;
        if (pace->trial_gap < TRIAL_LAST) pace->trial_gap *= 2;
    } else if (++pace->wins == 2) {
        pace->wins = 0;
        pace->trial_gap = TRIAL_FIRST;
        pace->gather = !pace->gather;
    }
    assert(pace->wins < 2 && pace->trial_gap >= TRIAL_FIRST && pace->trial_gap <= TRIAL_LAST);
    pace->trial_in = pace->wins ? 1 : pace->trial_gap;
}

static void learn(struct pace *pace, uint64_t cost_ns, uint64_t rate) {
    if (pace->trial) {
        judge_trial(pace, cost_ns, rate);
    } else {
        assert(pace->trial_in > 0);
        pace->cost_ns = cost_ns;
        pace->trial_rate = rate;
        pace->trial = --pace->trial_in == 0;
    }
}

/* ---- Epochs ------------------------------------------------------------------------------------------- */

/* What an ordinary epoch tells, and the kind of the next. */
static enum pace_epoch ordinary(struct pace *pace, uint64_t now_us, uint64_t done, uint64_t busy_ns) {
    uint64_t receives = pace->epoch_receives, busy_us = busy_ns / 1000,
             span_us = now_us - pace->epoch_start_us;
    if (!span_us) span_us = 1;
    pace->receives_per_second = receives * 1000000 / span_us;
    pace->active_last = pace->active;
    pace->brisk = pace->receives_per_second >= (pace->brisk ? BRISK_OFF : BRISK_ON);
    pace->cycle_us = receives ? pace->active * span_us / receives : UINT64_MAX;
    pace->sixteenths = receives ? done * 16 / receives : 16;

    bool pipelines = done >= receives * PIPELINE && done * busy_us * 100 >= receives * span_us * BUSY_PERCENT;
    bool candidate = !pipelines && pace->active >= CLOSED_LEAST && pace->active <= CLOSED_MOST &&
                     pace->cycle_us <= CYCLE_MOST_US &&
                     busy_us * 100 >= span_us * (pace->closed ? CLOSED_IDLE_PERCENT : CLOSED_BUSY_PERCENT);
    if (candidate && now_us - pace->candidate_us > FORGET_US) forget(pace);
    if (candidate) pace->candidate_us = now_us;
    pace->throughput = done && (pipelines || (candidate && pace->closed));
    if (pace->throughput) learn(pace, busy_ns / done, pace->receives_per_second);
    return candidate ? consider(pace) : PACE_ORDINARY;
}

void pace_next(struct pace *pace, uint64_t now_us, uint64_t requests, uint64_t cpu_ns) {
    enum pace_epoch next = PACE_ORDINARY;
    assert(pace_due(pace, now_us));
    assert(requests >= pace->requests);
    uint64_t done = requests - pace->requests;
    if (done < pace->epoch_receives) done = pace->epoch_receives;
    switch (pace->kind) {
    case PACE_ORDINARY: next = ordinary(pace, now_us, done, cpu_ns - pace->cpu_ns); break;
    case PACE_LOOK: next = looked(pace); break;
    case PACE_PROBE: probed(pace, done); break;
    }
    assert(next == PACE_ORDINARY || (pace->active_last >= CLOSED_LEAST && pace->active_last <= CLOSED_MOST));
    pace->kind = next;
    pace->active = 0;
    pace->epoch_receives = 0;
    pace->requests = requests;
    pace->cpu_ns = cpu_ns;
    pace->epoch++;
    pace->epoch_start_us = now_us;
    pace->epoch_end_us = now_us + (next == PACE_PROBE ? 0 : PACE_EPOCH_US);
}

/* As many as the recent rate promises in that time, for a longer wait would be in vain; and at most half of the connections
 * that were heard lately, for the others wait for us. */
unsigned pace_want(const struct pace *pace, uint64_t option_us, uint64_t *wait_us) {
    *wait_us = 0;
    if (!option_us) return 1;
    if (pace->kind == PACE_PROBE) {
        *wait_us = pace->cycle_us * 3 / 2;
        return 2 * pace->active_last;
    }
    if (!pace->throughput || pace->gather == pace->trial) return 1;
    uint64_t want = pace->receives_per_second * option_us / 1000000, most = pace->active_last / 2;
    if (most > PACE_GATHER_MOST) most = PACE_GATHER_MOST;
    if (want > most) want = most;
    if (want < 2) return 1;
    *wait_us = option_us;
    return (unsigned)want;
}
