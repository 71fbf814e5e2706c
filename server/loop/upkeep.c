/* upkeep.c - expires keys and frees flushed tables, a bounded number of steps at a time. */
#include "server/loop/upkeep.h"

#include "server/exec/pause.h"
#include "server/loop/shard.h"
#include "server/process/server.h"

struct expiring {
    struct shard *shard;
    struct stripe *stripe;
};

static void expired(void *context, unsigned db, const struct entry *e) {
    struct expiring *expiring = context;
    effect_expired(&expiring->shard->exec.effects, expiring->stripe, db, e);
}

/* Whether that took all of its budget. The clock is read only where there is something to do. */
static bool expire_stripe(struct shard *shard, struct stripe *stripe) {
    struct metrics *metrics = &shard->exec.metrics;
    struct expiring expiring = {shard, stripe};
    int64_t now_ms = shard->exec.clock.now_ms;
    bool due = keyspace_next_expiry(stripe->keyspace) <= now_ms;
    uint64_t begun_ns = due ? clock_monotonic_ns() : 0;
    bool spent = keyspace_expire(stripe->keyspace, now_ms, EXPIRE_BUDGET, expired, &expiring) ==
                 EXPIRE_BUDGET;
    if (due) metric_add(&metrics->expire_ns, clock_monotonic_ns() - begun_ns);
    if (spent) metric_add(&metrics->expire_budgets_spent, 1);
    return spent;
}

static void upkeep_stripe(struct shard *shard, struct stripe *stripe) {
    int64_t paused_ms = pause_until_ms();
    bool expires = server_active_expire && paused_ms <= shard->exec.clock.now_ms;
    stripe_lock(stripe);
    if (expires && expire_stripe(shard, stripe)) shard->upkeep_left = true;
    uint64_t buried = keyspace_buried(stripe->keyspace);
    if (keyspace_upkeep(stripe->keyspace, UPKEEP_BUDGET)) shard->upkeep_left = true;
    metric_add(&shard->exec.metrics.lazyfreed_objects, buried - keyspace_buried(stripe->keyspace));
    int64_t next_ms = server_active_expire ? keyspace_next_expiry(stripe->keyspace) : INT64_MAX;
    if (next_ms < paused_ms) next_ms = paused_ms; /* until then the data stay as they are */
    stripe_unlock(stripe);
    if (next_ms < shard->next_expiry_ms) shard->next_expiry_ms = next_ms;
}

void upkeep_run(struct shard *shard) {
    shard->upkeep_left = false;
    shard->next_expiry_ms = INT64_MAX;
    for (unsigned i = shard->index; i < stripes.count; i += shard_count)
        upkeep_stripe(shard, &stripes.all[i]);
}
