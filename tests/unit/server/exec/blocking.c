/* Waits: they begin, are served in order of arrival, and end once, whoever comes first. */
#include "server/exec/blocking.h"

#include "server/exec/slowlog.h"
#include "server/stripes/waiters.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/waiting_fixture.h"

static void who_waits_longest_is_served_first(void) {
    begin();
    WAITS(0, "blpop k 0");
    WAITS(1, "brpop other k 0");
    WAITS(2, "blpop k 0");
    EXPECT(3, "rpush k a b c d", ":4\r\n");
    EXPECT(3, "lrange k 0 -1", "*1\r\n$1\r\nc\r\n"); /* at once: nobody comes in between */
    TOLD(2, "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    TOLD(1, "*2\r\n$1\r\nk\r\n$1\r\nd\r\n");
    end();
}

static void other_keys_types_and_databases_serve_nobody(void) {
    begin();
    WAITS(0, "blpop k 0");
    EXPECT(3, "rpush j a", ":1\r\n");
    EXPECT(3, "sadd k a", ":1\r\n");
    EXPECT(3, "del k", ":1\r\n");
    EXPECT(3, "zadd k 1 a", ":1\r\n");
    EXPECT(3, "del k", ":1\r\n");
    EXPECT(3, "select 1", "+OK\r\n");
    EXPECT(3, "rpush k a", ":1\r\n");
    STILL(0);
    EXPECT(3, "move k 0", ":1\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    end();
}

static void a_transaction_serves_when_it_has_ended(void) {
    begin();
    WAITS(0, "blpop k 0");
    EXPECT(1, "multi", "+OK\r\n");
    EXPECT(1, "rpush k a", "+QUEUED\r\n");
    EXPECT(1, "lpush k b", "+QUEUED\r\n");
    EXPECT(1, "llen k", "+QUEUED\r\n");
    EXPECT(1, "blpop nothing 0", "+QUEUED\r\n"); /* in it nobody waits */
    EXPECT(1, "exec", "*4\r\n:1\r\n:2\r\n:2\r\n*-1\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
    end();
}

/* A key that begins as what nobody waits for, and is overwritten by what somebody waits for, serves nobody: as in Redis. */
static void a_key_counts_as_what_it_was_created(void) {
    begin();
    EXPECT(1, "rpush seed x", ":1\r\n");
    WAITS(0, "blpop k 0");
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(1, "multi", "+OK\r\n");
        EXPECT(1, "zadd k 1 m", "+QUEUED\r\n");
        EXPECT(1, "sort seed by nosort store k", "+QUEUED\r\n");
        EXPECT(1, "exec", "*2\r\n:1\r\n:1\r\n");
        if (i == 1) break;
        STILL(0);
        EXPECT(1, "del k", ":1\r\n");
        WAITS(2, "bzpopmin elsewhere 0"); /* somebody waits for sorted sets: then it is looked at */
    }
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\nx\r\n");
    end();
}

/* What is pushed by who is served is served too, whatever stripes it takes. */
static void chains_are_followed(void) {
    begin();
    WAITS(0, "blmove a b left right 0");
    WAITS(1, "brpoplpush b c 0");
    WAITS(2, "blmove c a left left 0");
    WAITS(4, "blpop c 0");
    EXPECT(3, "rpush a x", ":1\r\n");
    TOLD(0, "$1\r\nx\r\n");
    TOLD(1, "$1\r\nx\r\n");
    TOLD(2, "$1\r\nx\r\n");
    EXPECT(3, "lrange a 0 -1", "*1\r\n$1\r\nx\r\n"); /* around, and nobody waits there any more */
    STILL(4);
    EXPECT(3, "rpush c y", ":1\r\n");
    TOLD(4, "*2\r\n$1\r\nc\r\n$1\r\ny\r\n");
    end();
}

static void a_time_that_is_over_ends_the_wait(void) {
    begin();
    WAITS(0, "blpop k 1000");
    WAITS(4, "blpop k 0.001");
    struct executor *executor = &shards[0].exec;
    uint64_t due_us = blocking_due_us(executor), now_us = clock_monotonic_us();
    CHECK(due_us <= now_us + 1000);
    executor->clock.now_us = due_us - 1;
    CHECK(!blocking_expired(executor));
    executor->clock.now_us = due_us;
    struct client *client = blocking_expired(executor);
    CHECK(client == &peers[4].client && !blocking_expired(executor));
    EXPECT(3, "rpush k a", ":1\r\n"); /* it is not for it any more */
    blocking_answer(executor, client, &peers[4].output.reply);
    CHECK(!waits(&peers[4]));
    CHECK_BYTES(take_sent(&peers[4]), BYTES("*-1\r\n"));
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    CHECK_INT(blocking_due_us(executor), UINT64_MAX);
    CHECK_INT(counted(&peers[0], "blpop")->failed, 0);
    end();
}

/* However it ends, and however far away its end is. */
static void waits_that_end_by_themselves_are_counted(void) {
    begin();
    const uint64_t *timed = &shards[0].exec.metrics.timed_waits;
    WAITS(0, "blpop k 0");
    CHECK_INT(*timed, 0);
    CHECK(blocking_leave(&shards[0].exec, &peers[0].client));
    WAITS(0, "blpop k 1000");
    WAITS(4, "blmpop 9223372036854775 2 k j left");
    CHECK_INT(*timed, 2);
    EXPECT(1, "rpush k a", ":1\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    CHECK_INT(*timed, 1);
    WAITS(0, "wait 1 1");
    CHECK_INT(*timed, 2);
    shards[0].exec.clock.now_us = clock_monotonic_us() + 1000;
    struct client *client = blocking_expired(&shards[0].exec);
    CHECK(client == &peers[0].client);
    blocking_answer(&shards[0].exec, client, &peers[0].output.reply);
    CHECK_BYTES(take_sent(&peers[0]), BYTES(":0\r\n"));
    CHECK_INT(*timed, 1);
    CHECK(blocking_leave(&shards[0].exec, &peers[4].client));
    CHECK_INT(*timed, 0);
    end();
}

/* Its time is over when it has been served already: the reply is yet to come, and comes. */
static void who_is_served_does_not_time_out(void) {
    begin();
    WAITS(0, "blpop k 0.001");
    EXPECT(1, "rpush k a", ":1\r\n");
    shards[0].exec.clock.now_us = UINT64_MAX;
    CHECK(!blocking_expired(&shards[0].exec));
    CHECK(!blocking_leave(&shards[0].exec, &peers[0].client)); /* nor may it go yet */
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    end();
}

static void who_leaves_takes_nothing(void) {
    begin();
    WAITS(0, "blmpop 0 3 a b c left");
    CHECK(blocking_leave(&shards[0].exec, &peers[0].client));
    CHECK(!waits(&peers[0]));
    for (unsigned i = 0; i < stripes.count; i++) CHECK(!stripes.all[i].waiters);
    EXPECT(1, "rpush b x", ":1\r\n");
    EXPECT(1, "llen b", ":1\r\n");
    CHECK(!post_take_all(&mailboxes[0]));
    end();
}

static void who_is_named_by_unblock_is_told(void) {
    struct wakes wakes = {0};
    begin();
    WAITS(0, "blpop k 0");
    WAITS(1, "blpop k 0");
    clients_lock();
    CHECK(blocking_unblock(&wakes, &peers[0].client, false));
    CHECK(!blocking_unblock(&wakes, &peers[0].client, true)); /* once */
    CHECK(blocking_unblock(&wakes, &peers[1].client, true));
    CHECK(!blocking_unblock(&wakes, &peers[2].client, true)); /* it does not wait */
    clients_unlock();
    unsigned shard;
    CHECK(wakes_take(&wakes, &shard) && shard == 0 && wakes_take(&wakes, &shard) && shard == 1);
    EXPECT(2, "rpush k a", ":1\r\n");
    TOLD(0, "*-1\r\n");
    TOLD(1, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    EXPECT(2, "llen k", ":1\r\n");
    CHECK_INT(counted(&peers[0], "blpop")->failed, 1);
    CHECK_INT(counted(&peers[1], "blpop")->failed, 1);
    CHECK_INT(shards[1].exec.metrics.error_replies, 1);
    end();
}

/* It is marked before its wait is claimed: who begins to wait in between sees the mark. */
static void who_is_killed_is_not_served(void) {
    begin();
    peers[0].client.killed = true;
    WAITS(0, "blpop k 0");
    EXPECT(1, "rpush k a", ":1\r\n");
    EXPECT(1, "llen k", ":1\r\n");
    CHECK(blocking_leave(&shards[0].exec, &peers[0].client));
    end();
}

static void a_wait_is_one_call_and_no_slow_one(void) {
    begin();
    config.slowlog_log_slower_than = 0;
    slowlog_reset();
    WAITS(0, "blpop k 0");
    CHECK_INT(slowlog_count(), 0);
    CHECK_INT(counted(&peers[0], "blpop")->calls, 1);
    EXPECT(1, "set k text", "+OK\r\n");
    EXPECT(1, "del k", ":1\r\n");
    uint64_t before = slowlog_count();
    EXPECT(1, "rpush k a", ":1\r\n");
    CHECK_INT(slowlog_count(), before + 1);
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\na\r\n");
    CHECK_INT(slowlog_count(), before + 2);
    CHECK_INT(counted(&peers[0], "blpop")->calls, 1);
    CHECK_INT(counted(&peers[1], "blpop")->calls, 0);
    slowlog_reset();
    end();
}

static void errors_of_who_is_served_are_its_commands(void) {
    begin();
    EXPECT(1, "set str x", "+OK\r\n");
    WAITS(0, "blmove k str left left 0");
    WAITS(2, "blpop k 0");
    EXPECT(1, "rpush k a", ":1\r\n");
    TOLD(0, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    TOLD(2, "*2\r\n$1\r\nk\r\n$1\r\na\r\n"); /* the element was still there */
    CHECK_INT(counted(&peers[1], "blmove")->failed, 1);
    CHECK_INT(counted(&peers[1], "rpush")->failed, 0);
    end();
}

static void replies_that_nobody_wants_are_dropped(void) {
    begin();
    EXPECT(0, "client reply skip", "");
    WAITS(0, "blpop k 0");
    EXPECT(1, "rpush k a", ":1\r\n");
    TOLD(0, "");
    EXPECT(0, "ping", "+PONG\r\n"); /* one reply was skipped, and no more */
    end();
}

static void the_session_is_that_of_who_waits(void) {
    begin();
    EXPECT(1, "select 2", "+OK\r\n");
    EXPECT(1, "rpush seed a", ":1\r\n");
    EXPECT(0, "select 2", "+OK\r\n");
    CHECK(ask(&peers[0], "hello 3").data[0] == '%');
    WAITS(0, "bzpopmin z 0");
    EXPECT(2, "zadd z 1.5 m", ":1\r\n"); /* in database 0 */
    STILL(0);
    EXPECT(1, "zadd z 1.5 m", ":1\r\n");
    TOLD(0, "*3\r\n$1\r\nz\r\n$1\r\nm\r\n,1.5\r\n");
    EXPECT(1, "exists z", ":0\r\n");
    end();
}

/* Whatever is missing, the client is told, or waits on; and no element is lost. */
static void without_memory_nobody_is_lost(void) {
    bool waited = false;
    for (unsigned left = 0; !waited; left++) {
        begin();
        EXPECT(0, "ping", "+PONG\r\n"); /* there is room for replies */
        parse_for(&peers[0], "blpop k1 k2 5");
        memory_left = left;
        run_parsed(&peers[0]);
        memory_left = UINT_MAX;
        struct bytes reply = take_sent(&peers[0]);
        waited = waits(&peers[0]);
        if (!waited) CHECK_BYTES(reply, BYTES("-ERR Out of memory\r\n"));
        if (waited) CHECK_BYTES(reply, BYTES(""));
        CHECK(left < 50);
        end();
    }
    begin();
    EXPECT(1, "rpush seed a", ":1\r\n");
    EXPECT(1, "rename seed k", "+OK\r\n"); /* there is room for both */
    EXPECT(1, "rename k seed", "+OK\r\n");
    WAITS(0, "blpop k 0");
    parse_for(&peers[1], "rename seed k");
    memory_left = 0; /* RENAME takes none here, but the reply of who would be served does */
    run_parsed(&peers[1]);
    memory_left = UINT_MAX;
    CHECK_BYTES(take_sent(&peers[1]), BYTES("+OK\r\n"));
    STILL(0);
    EXPECT(1, "del k", ":1\r\n");
    EXPECT(1, "rpush k b", ":1\r\n");
    TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\nb\r\n");
    end();
}

int main(void) {
    RUN(who_waits_longest_is_served_first);
    RUN(other_keys_types_and_databases_serve_nobody);
    RUN(a_transaction_serves_when_it_has_ended);
    RUN(a_key_counts_as_what_it_was_created);
    RUN(chains_are_followed);
    RUN(a_time_that_is_over_ends_the_wait);
    RUN(waits_that_end_by_themselves_are_counted);
    RUN(who_is_served_does_not_time_out);
    RUN(who_leaves_takes_nothing);
    RUN(who_is_named_by_unblock_is_told);
    RUN(who_is_killed_is_not_served);
    RUN(a_wait_is_one_call_and_no_slow_one);
    RUN(errors_of_who_is_served_are_its_commands);
    RUN(replies_that_nobody_wants_are_dropped);
    RUN(the_session_is_that_of_who_waits);
    RUN(without_memory_nobody_is_lost);
    return 0;
}
