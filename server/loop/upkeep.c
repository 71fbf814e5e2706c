/* upkeep.c - expires keys and frees flushed tables, a bounded number of steps at a time. */
#include "server/loop/upkeep.h"

#include "server/loop/shard.h"
#include "server/process/server.h"
#include "server/stripes/watch.h"

struct expiring {
    struct shard *shard;
    struct stripe *stripe;
};

static void expired(void *context, unsigned db, const struct entry *e) {
    struct expiring *expiring = context;
    metric_add(&expiring->shard->exec.metrics.expired_keys, 1);
    if (!expiring->stripe->watches) return;
    struct bytes name = entry_key(e);
    watch_touch(expiring->stripe, db, (struct key){name, hash_bytes(&stripes.seed, name)});
}

static void upkeep_stripe(struct shard *shard, struct stripe *stripe) {
    struct expiring expiring = {shard, stripe};
    stripe_lock(stripe);
    if (server_active_expire && keyspace_expire(stripe->keyspace, shard->exec.clock.now_ms, EXPIRE_BUDGET,
                                                expired, &expiring) == EXPIRE_BUDGET)
        shard->upkeep_left = true;
    if (keyspace_upkeep(stripe->keyspace, UPKEEP_BUDGET)) shard->upkeep_left = true;
    int64_t next_ms = server_active_expire ? keyspace_next_expiry(stripe->keyspace) : INT64_MAX;
    stripe_unlock(stripe);
    if (next_ms < shard->next_expiry_ms) shard->next_expiry_ms = next_ms;
}

void upkeep_run(struct shard *shard) {
    shard->upkeep_left = false;
    shard->next_expiry_ms = INT64_MAX;
    for (unsigned i = shard->index; i < stripes.count; i += shard_count)
        upkeep_stripe(shard, &stripes.all[i]);
}
