/* upkeep.c - expires keys and frees flushed tables, a bounded number of steps at a time.
 *
 * The shard sleeps until want_ms, and whoever leaves something earlier in its stripes says so (stripe_leave,
 * post_due): so it wakes up for no other reason. tests/models/wake.pml is a model of it, and changes with it. */
#include "server/loop/upkeep.h"

#include "protocol/assert.h"
#include "server/exec/blocking.h"
#include "server/exec/pause.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/journal/snapshot_walk.h"
#include "server/loop/shard.h"

struct expiring {
    struct shard *shard;
    struct stripe *stripe;
};

static void expired(void *context, const struct expired *what) {
    struct expiring *expiring = context;
    struct effects *effects = &expiring->shard->exec.effects;
    effect_expired(effects, expiring->stripe, what);
    effects_end(effects); /* each by itself: nothing else happens with it */
}

/* A stream that has expired was what somebody waited for. */
static __attribute__((noinline)) void tell_waiters(struct shard *shard, struct stripe *stripe) {
    struct call call = shard->exec.call;
    call.stripe = (uint32_t)(stripe - stripes.all);
    call.held = NULL;
    effects_set_time(&shard->exec.effects, shard->exec.clock.now_ms);
    blocking_serve(&call);
    effects_end(call.effects);
}

/* The clock is read only where there is something to do. */
static void expire_stripe(struct shard *shard, struct stripe *stripe) {
    if (shard->exec.effects.journal) queue_prepare(shard->exec.effects.journal);
    struct metrics *metrics = &shard->exec.metrics;
    struct expiring expiring = {shard, stripe};
    int64_t now_ms = shard->exec.clock.now_ms;
    bool due = keyspace_next_expiry(stripe->keyspace) <= now_ms;
    uint64_t begun_ns = due ? clock_monotonic_ns() : 0;
    bool spent = keyspace_expire(stripe->keyspace, now_ms, EXPIRE_BUDGET, expired, &expiring) ==
                 EXPIRE_BUDGET;
    if (due) metric_add(&metrics->expire_ns, clock_monotonic_ns() - begun_ns);
    if (spent) metric_add(&metrics->expire_budgets_spent, 1);
}

/* Do keys expire by themselves now? Not during a pause, as in Redis: then *from_ms is its end. */
static bool expiry_is_on(int64_t now_ms, int64_t *from_ms) {
    *from_ms = stripes_active_expire ? pause_until_ms() : DUE_NEVER;
    return *from_ms <= now_ms;
}

/* A bounded step. Returns when the stripe is to be looked at again. */
static int64_t upkeep_stripe(struct shard *shard, struct stripe *stripe) {
    struct keyspace *ks = stripe->keyspace;
    int64_t now_ms = shard->exec.clock.now_ms, from_ms;
    bool expires = expiry_is_on(now_ms, &from_ms);
    stripe_lock(stripe);
    if (expires) expire_stripe(shard, stripe);
    if (blocking_is_due(&shard->exec.call)) tell_waiters(shard, stripe);
    uint64_t buried = keyspace_buried(ks);
    bool more = keyspace_upkeep(ks, UPKEEP_BUDGET);
    metric_add(&shard->exec.metrics.lazyfreed_objects, buried - keyspace_buried(ks));
    int64_t next_ms = keyspace_next_expiry(ks);
    keyspace_take_news(ks, now_ms);
    stripe_unlock(stripe);
    if (more) return 0;
    return next_ms > from_ms ? next_ms : from_ms;
}

bool upkeep_asked(struct shard *shard) {
    int64_t due_ms = post_take_due(shard->mailbox);
    if (due_ms < shard->want_ms) shard->want_ms = due_ms;
    return due_ms == DUE_ALL;
}

/* What is found now replaces what was known before; what others ask for meanwhile waits in the mailbox. While data are
 * loaded nothing expires, and who has loaded them asks every shard to look at everything. */
void upkeep_run(struct shard *shard) {
    if (shard->exec.clock.now_ms < shard->want_ms) return;
    assert(shard->index < shard_count && stripes.count >= shard_count);
    shard->want_ms = DUE_NEVER;
    if (intake_going()) return;
    stripes_settle();
    for (unsigned i = shard->index; i < stripes.count; i += shard_count) {
        assert(stripes.all[i].owner == shard->index);
        int64_t next_ms = upkeep_stripe(shard, &stripes.all[i]);
        if (next_ms < shard->want_ms) shard->want_ms = next_ms;
    }
}

void upkeep_cut(struct shard *shard) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    bool begun = aof_rewrite_cut(shard->exec.effects.journal, shard->exec.clock.now_ms);
    stripe_set_leave(&all, &shard->exec.wakes, shard->exec.clock.now_ms);
    if (begun) post_look_again(&shard->exec.wakes);
}

/* ---- Snapshots ------------------------------------------------------------------------------------ */

enum { WALK_WAIT_MS = 1 }; /* until the writer is asked again whether it has caught up */

static enum snapshot_walked walk_stripe(struct shard *shard) {
    struct stripe *stripe = &stripes.all[shard->walked];
    assert(stripe->owner == shard->index);
    stripe_lock(stripe);
    enum snapshot_walked walked = snapshot_walk(stripe);
    stripe_leave(stripe, &shard->exec.wakes, shard->exec.clock.now_ms);
    return walked;
}

/* The writer frees what it has written: so nothing that it could write is kept from it while writes wait. */
static void hand_over(struct shard *shard) {
    for (unsigned i = shard->index; i < stripes.count; i += shard_count) {
        assert(stripes.all[i].owner == shard->index);
        stripe_lock(&stripes.all[i]);
        snapshot_hand_over(&stripes.all[i]);
        stripe_unlock(&stripes.all[i]);
    }
}

/* One stripe after the other. Those that are done stay so until the next cut. */
void upkeep_walk(struct shard *shard) {
    int64_t now_ms = shard->exec.clock.now_ms;
    shard->walk_ms = DUE_NEVER;
    if (!snapshot_is_under_way()) return;
    if (snapshot_is_full()) hand_over(shard);
    for (unsigned i = shard->index; i < stripes.count; i += shard_count) {
        enum snapshot_walked walked = walk_stripe(shard);
        if (walked == SNAPSHOT_WALK_MORE) shard->walk_ms = 0;
        if (walked == SNAPSHOT_WALK_WAITS) shard->walk_ms = now_ms + WALK_WAIT_MS;
        if (walked != SNAPSHOT_WALK_DONE) return;
        shard->walked += shard_count;
        if (shard->walked >= stripes.count) shard->walked = shard->index;
    }
}

void upkeep_save(struct shard *shard) {
    int64_t now_ms = shard->exec.clock.now_ms;
    shard->save_ms = snapshot_due_ms(now_ms);
    if (shard->save_ms > now_ms) return;
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    bool begun = snapshot_begin_due(now_ms);
    stripe_set_leave(&all, &shard->exec.wakes, now_ms);
    if (begun) post_look_again(&shard->exec.wakes);
    shard->save_ms = snapshot_due_ms(now_ms);
}

void upkeep_save_asked(struct shard *shard) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    stripe_set_lock(&all);
    if (snapshot_is_asked()) snapshot_answer(clock_unix_ms());
    stripe_set_leave(&all, &shard->exec.wakes, shard->exec.clock.now_ms);
    post_look_again(&shard->exec.wakes);
}
