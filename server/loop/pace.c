/* pace.c - when gathering pays: a first guess from the kind of traffic, corrected by trials. */
#include "server/loop/pace.h"

#include "protocol/assert.h"

enum {
    PACE_EPOCH_US = 10 * 1000,
    GATHER_MOST = 16,           /* completions: what a wake-up costs is well shared by then */
    BUSY_PERCENT = 40,          /* of a CPU, that one request a receive must keep busy, */
    RECEIVES_PER_SECOND = 1000, /* or so many of each connection that was heard */
    TRIAL_MARGIN = 32,          /* a trial wins by more than a part in so many */
    TRIAL_FIRST = 8,            /* epochs from trial to trial at first, and when one has just won ... */
    TRIAL_LAST = 64,            /* ... and in the long run */
};

_Static_assert(TRIAL_FIRST > 0 && TRIAL_FIRST <= TRIAL_LAST, "trials become fewer, not more");

void pace_open(struct pace *pace) {
    *pace = (struct pace){.gather = true, .trial_in = TRIAL_FIRST, .trial_gap = TRIAL_FIRST};
}

/* Latency counts where the thread has time to spare; the less so the more requests come in one receive, for who sends a
 * pipeline does not wait for a single reply. Nor where connections are heard so often that each must be sending its next
 * request as soon as it has its reply: then all gain when all cost less. */
static bool wants_throughput(const struct pace *pace, uint64_t requests, uint64_t busy_us, uint64_t span_us) {
    uint64_t receives = pace->epoch_receives;
    return requests * busy_us * 100 >= receives * span_us * BUSY_PERCENT ||
           receives * 1000000 >= pace->active * span_us * RECEIVES_PER_SECOND;
}

/* Where a few connections send as soon as they are answered, they come together by themselves, and a wait costs more than
 * it saves. So now and then an epoch takes the other way, and two better ones in a row make it the usual. */
static void judge_trial(struct pace *pace, uint64_t cost_ns) {
    bool better = cost_ns + cost_ns / TRIAL_MARGIN < pace->cost_ns;
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

static void learn(struct pace *pace, uint64_t cost_ns) {
    if (pace->trial) {
        judge_trial(pace, cost_ns);
    } else {
        assert(pace->trial_in > 0);
        pace->cost_ns = cost_ns;
        pace->trial = --pace->trial_in == 0;
    }
}

void pace_next(struct pace *pace, uint64_t now_us, uint64_t requests, uint64_t cpu_ns) {
    uint64_t span_us = now_us - pace->epoch_end_us + PACE_EPOCH_US, busy_ns = cpu_ns - pace->cpu_ns;
    assert(pace_due(pace, now_us) && span_us >= PACE_EPOCH_US);
    /* CONFIG RESETSTAT begins again. */
    uint64_t done = requests > pace->requests ? requests - pace->requests : 0;
    if (done < pace->epoch_receives) done = pace->epoch_receives;
    pace->throughput = done && wants_throughput(pace, done, busy_ns / 1000, span_us);
    if (pace->throughput) learn(pace, busy_ns / done);

    pace->receives_per_second = pace->epoch_receives * 1000000 / span_us;
    pace->active_last = pace->active;
    pace->active = 0;
    pace->epoch_receives = 0;
    pace->requests = requests;
    pace->cpu_ns = cpu_ns;
    pace->epoch++;
    pace->epoch_end_us = now_us + PACE_EPOCH_US;
}

/* As many as the recent rate promises in that time, for a longer wait would be in vain; and at most half of the connections
 * that were heard lately, for the others wait for us. */
unsigned pace_want(const struct pace *pace, uint64_t wait_us) {
    if (!pace->throughput || pace->gather == pace->trial) return 1;
    uint64_t want = pace->receives_per_second * wait_us / 1000000, most = pace->active_last / 2;
    if (most > GATHER_MOST) most = GATHER_MOST;
    if (want > most) want = most;
    return want < 2 ? 1 : (unsigned)want;
}
