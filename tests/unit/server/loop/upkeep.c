/* The upkeep of a shard's stripes. */
#include "server/loop/upkeep.h"

#include "tests/unit/server_fixture.h"

static void put(unsigned number, int64_t expiry_ms) {
    char name[16];
    struct bytes bytes = {name, (size_t)snprintf(name, sizeof name, "key%u", number)};
    struct key key = {bytes, hash_bytes(&stripes.seed, bytes)};
    struct value value = value_of_bytes(BYTES("v"));
    CHECK(keyspace_set(stripe_of(key.hash)->keyspace, 0, key, &value, expiry_ms));
}

static uint64_t keys_of(unsigned owner) {
    uint64_t keys = 0;
    for (unsigned i = owner; i < stripes.count; i += shard_count) {
        CHECK_INT(stripes.all[i].owner, owner);
        keys += keyspace_count(stripes.all[i].keyspace, 0);
    }
    return keys;
}

static void upkeep_expires_the_shard_s_own_keys_a_bounded_number_at_a_time(void) {
    enum { KEYS = 20000 };
    fixture_open(2);
    for (unsigned i = 0; i < KEYS; i++) put(i, shards->exec.clock.now_ms - (int64_t)(i % 7));
    uint64_t own = keys_of(0), others = keys_of(1), left = own;
    CHECK(own > KEYS / 4 && others > KEYS / 4);
    unsigned rounds = 0;
    do {
        upkeep_run(shards);
        uint64_t now = keys_of(0);
        CHECK(left - now <= (uint64_t)EXPIRE_BUDGET * stripes.count / 2);
        left = now;
        CHECK(++rounds < KEYS);
    } while (shards->upkeep_left || shards->next_expiry_ms <= shards->exec.clock.now_ms);
    CHECK(rounds > 1 && left == 0);
    CHECK_INT(keys_of(1), others);
    CHECK_INT(shards->exec.metrics.expired_keys, own);
    CHECK(shards->exec.metrics.expire_budgets_spent >= own / EXPIRE_BUDGET - stripes.count / 2 &&
          shards->exec.metrics.expire_budgets_spent <= own / EXPIRE_BUDGET);
    CHECK(shards->exec.metrics.expire_ns > 0 && shards[1].exec.metrics.expire_ns == 0);
    CHECK_INT(shards->next_expiry_ms, INT64_MAX);
    fixture_close();
}

static void upkeep_knows_when_the_next_key_expires(void) {
    fixture_open(1);
    int64_t at_ms = shards->exec.clock.now_ms + 5000;
    put(1, at_ms);
    put(2, at_ms + 1000);
    upkeep_run(shards);
    CHECK(shards->next_expiry_ms <= at_ms && shards->next_expiry_ms > shards->exec.clock.now_ms);
    shards->exec.clock.now_ms = at_ms;
    while (keys_of(0) == 2) upkeep_run(shards);
    CHECK_INT(keys_of(0), 1);
    CHECK(shards->next_expiry_ms > at_ms && shards->next_expiry_ms <= at_ms + 1000);
    fixture_close();
}

int main(void) {
    RUN(upkeep_expires_the_shard_s_own_keys_a_bounded_number_at_a_time);
    RUN(upkeep_knows_when_the_next_key_expires);
    return 0;
}
