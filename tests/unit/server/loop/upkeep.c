/* The upkeep of a shard's stripes. */
#include "server/loop/upkeep.h"

#include "server/exec/pause.h"
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
    CHECK(upkeep_asked(shards));
    do {
        upkeep_run(shards);
        uint64_t now = keys_of(0);
        CHECK(left - now <= (uint64_t)EXPIRE_BUDGET * stripes.count / 2);
        left = now;
        CHECK(++rounds < KEYS);
    } while (shards->want_ms <= shards->exec.clock.now_ms);
    CHECK(rounds > 1 && left == 0);
    CHECK_INT(keys_of(1), others);
    CHECK_INT(shards->exec.metrics.expired_keys, own);
    CHECK(shards->exec.metrics.expire_budgets_spent >= own / EXPIRE_BUDGET - stripes.count / 2 &&
          shards->exec.metrics.expire_budgets_spent <= own / EXPIRE_BUDGET);
    CHECK(shards->exec.metrics.expire_ns > 0 && shards[1].exec.metrics.expire_ns == 0);
    CHECK_INT(shards->want_ms, DUE_NEVER);
    fixture_close();
}

static void upkeep_knows_when_the_next_key_expires(void) {
    fixture_open(1);
    int64_t at_ms = shards->exec.clock.now_ms + 5000;
    put(1, at_ms);
    put(2, at_ms + 1000);
    CHECK(upkeep_asked(shards));
    upkeep_run(shards);
    CHECK(shards->want_ms <= at_ms && shards->want_ms > shards->exec.clock.now_ms);
    shards->exec.clock.now_ms = at_ms;
    while (keys_of(0) == 2) upkeep_run(shards);
    CHECK_INT(keys_of(0), 1);
    CHECK(shards->want_ms > at_ms && shards->want_ms <= at_ms + 1000);
    fixture_close();
}

static void upkeep_comes_when_it_is_due_and_not_before(void) {
    fixture_open(1);
    int64_t now_ms = shards->exec.clock.now_ms;
    put(1, now_ms - 1);
    shards->want_ms = now_ms + 1;
    upkeep_run(shards);
    CHECK(keys_of(0) == 1 && shards->want_ms == now_ms + 1);
    shards->exec.clock.now_ms++;
    upkeep_run(shards);
    CHECK(keys_of(0) == 0 && shards->want_ms == DUE_NEVER);
    fixture_close();
}

/* What others leave is asked for in the mailbox, and the earliest of all holds. */
static void what_others_leave_is_looked_at_in_time(void) {
    fixture_open(2);
    struct wakes *wakes = &shards[1].exec.wakes;
    int64_t now_ms = shards->exec.clock.now_ms;
    CHECK(upkeep_asked(shards)); /* the first time */
    upkeep_run(shards);
    CHECK(!upkeep_asked(shards) && shards->want_ms == DUE_NEVER);
    for (unsigned i = 0; i < 1000; i++) put(i, now_ms + 50);
    for (unsigned i = 0; i < stripes.count; i++) {
        stripe_lock(&stripes.all[i]);
        stripe_leave(&stripes.all[i], wakes, now_ms);
    }
    CHECK(wakes->any && wakes->words[0] == 3);
    CHECK(!upkeep_asked(shards) && shards->want_ms == now_ms + 50);
    CHECK(upkeep_asked(&shards[1]) && shards[1].want_ms == DUE_ALL); /* it has not looked at all yet */
    shards->exec.clock.now_ms = now_ms + 50;
    upkeep_run(shards);
    CHECK_INT(keys_of(0), 0);
    CHECK(keys_of(1) > 0 && shards->want_ms == DUE_NEVER);
    fixture_close();
}

static void flushed_memory_is_freed_in_steps(void) {
    enum { KEYS = 20000 };
    fixture_open(1);
    struct keyspace *ks = stripes.all->keyspace;
    CHECK(upkeep_asked(shards));
    upkeep_run(shards);
    uint64_t empty = keyspace_memory(ks);
    for (unsigned i = 0; i < KEYS; i++) put(i, EXPIRY_NONE);
    keyspace_flush(ks, 0);
    stripe_leave(stripes.all, &shards->exec.wakes, shards->exec.clock.now_ms);
    CHECK(!upkeep_asked(shards));
    CHECK_INT(shards->want_ms, shards->exec.clock.now_ms + TIDY_DELAY_MS);
    shards->exec.clock.now_ms += TIDY_DELAY_MS;
    unsigned rounds = 0;
    for (; shards->want_ms <= shards->exec.clock.now_ms; rounds++) upkeep_run(shards);
    CHECK(rounds > KEYS / UPKEEP_BUDGET && shards->want_ms == DUE_NEVER);
    CHECK(keyspace_memory(ks) <= empty + 4096 && !ks->slab.arena.resident);
    fixture_close();
}

static void during_a_pause_keys_stay_and_memory_is_freed(void) {
    fixture_open(1);
    int64_t now_ms = shards->exec.clock.now_ms;
    put(1, now_ms - 1);
    put(2, now_ms + 500);
    keyspace_flush(stripes.all->keyspace, 1);
    pause_begin(PAUSE_WRITE, now_ms + 300, now_ms);
    CHECK(upkeep_asked(shards));
    upkeep_run(shards);
    CHECK_INT(keys_of(0), 2);
    CHECK_INT(shards->want_ms, now_ms + 300);
    shards->exec.clock.now_ms = now_ms + 300;
    upkeep_run(shards);
    CHECK_INT(keys_of(0), 1);
    CHECK(shards->want_ms > now_ms + 300 && shards->want_ms <= now_ms + 500);
    pause_end();
    stripes_active_expire = 0;
    shards->exec.clock.now_ms = now_ms + 500;
    upkeep_run(shards);
    CHECK(keys_of(0) == 1 && shards->want_ms == DUE_NEVER);
    stripes_active_expire = 1;
    post_look_again(&shards->exec.wakes);
    CHECK(upkeep_asked(shards));
    upkeep_run(shards);
    CHECK_INT(keys_of(0), 0);
    fixture_close();
}

/* Whatever expires in the same step: nobody shall find them in one transaction. */
static void each_key_that_expires_is_recorded_by_itself(void) {
    enum { KEYS = 5 };
    CHECK(journal_open(2));
    fixture_open(2);
    journal_listen();
    for (unsigned i = 0; i < KEYS; i++) put(i, shards->exec.clock.now_ms - 1);
    uint64_t own = keys_of(0);
    CHECK(upkeep_asked(shards));
    free(journal_queue(0)->reserve); /* as if it had been used */
    journal_queue(0)->reserve = NULL;
    CHECK(upkeep_asked(&shards[1]));
    do upkeep_run(shards);
    while (keys_of(0));
    do upkeep_run(&shards[1]);
    while (keys_of(1));
    CHECK(journal_queue(0)->reserve);
    struct record *record;
    uint64_t ticket = 0;
    for (unsigned i = 0; i < 2; i++) {
        for (; (record = queue_first(journal_queue(i)));
             queue_pass(journal_queue(i)), queue_release(journal_queue(i))) {
            CHECK_INT(record->ticket, ++ticket);
            CHECK(!record->more);
        }
        CHECK_INT(ticket, i == 0 ? own : KEYS);
    }
    journal_ignore();
    fixture_close();
    journal_close();
}

int main(void) {
    RUN(upkeep_expires_the_shard_s_own_keys_a_bounded_number_at_a_time);
    RUN(upkeep_knows_when_the_next_key_expires);
    RUN(upkeep_comes_when_it_is_due_and_not_before);
    RUN(what_others_leave_is_looked_at_in_time);
    RUN(flushed_memory_is_freed_in_steps);
    RUN(each_key_that_expires_is_recorded_by_itself);
    RUN(during_a_pause_keys_stay_and_memory_is_freed);
    return 0;
}
