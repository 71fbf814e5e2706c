/* WAITAOF: who waits for the disk is answered when the log has come so far. */
#include "server/exec/blocking.h"

#include "tests/unit/appender_fixture.h"

static void begin_log(const char *options) {
    disk_new(&disk);
    CHECK(log_start(options));
}
static void end_log(void) {
    log_stop();
    disk_free(&disk);
}

/* The request begins to wait. */
static void waits(const char *line) {
    CHECK_BYTES(run(bytes_of(line)), BYTES(""));
    CHECK(conn->client.flags & CLIENT_BLOCKED && shards->exec.disk_waits.first);
}

/* Its shard looks, and it is answered this; or is not. */
static void answered(const char *reply) {
    struct client *client = blocking_passed(&shards->exec);
    CHECK(client == &conn->client);
    CHECK_INT(blocking_shows(client), 0);
    blocking_answer(&shards->exec, client, &conn->output.reply);
    fixture_take(&conn->output, &sent);
    CHECK_BYTES(buffer_bytes(&sent), bytes_of(reply));
    CHECK(!(client->flags & CLIENT_BLOCKED) && !shards->exec.disk_waits.first);
    buffer_free(&sent);
}
static void waits_on(void) {
    CHECK(!blocking_passed(&shards->exec));
    CHECK(!blocking_has_news(&shards->exec));
}

static void what_is_synced_need_not_be_waited_for(void) {
    begin_log("appendonly yes\n");
    EXPECT("waitaof 1 0 0\nwaitaof 0 0 0\n", "*2\r\n:1\r\n:0\r\n*2\r\n:1\r\n:0\r\n");
    EXPECT("set k v\nwaitaof 0 0 0\n", OK "*2\r\n:0\r\n:0\r\n");
    log_turns(1);
    EXPECT("waitaof 0 0 0\n", "*2\r\n:0\r\n:0\r\n"); /* written */
    log_turns(600);
    CHECK_INT(woken, 0); /* nobody waits */
    EXPECT("waitaof 1 0 0\n", "*2\r\n:1\r\n:0\r\n");
    end_log();
}

static void a_sync_ends_the_wait(void) {
    static const char *const policies[] = {"appendonly yes\n", "appendonly yes\nappendfsync always\n"};
    for (unsigned i = 0; i < 2; i++) {
        begin_log(policies[i]);
        log_turns(1);
        woken = 0;
        EXPECT("set k v\n", OK);
        waits("waitaof 1 0 1000\n");
        waits_on();
        log_turns(2);
        CHECK_INT(woken, i);
        if (i == 0) waits_on();
        log_turns(600);
        CHECK_INT(woken, 1);
        CHECK(blocking_has_news(&shards->exec));
        answered("*2\r\n:1\r\n:0\r\n");
        end_log();
    }
}

static void without_syncs_its_time_ends_it(void) {
    begin_log("appendonly yes\nappendfsync no\n");
    EXPECT("set k v\n", OK);
    shards->exec.clock.now_us = clock_monotonic_us();
    waits("waitaof 1 0 1000\n");
    log_turns(1);
    log_turns(5000);
    waits_on();
    shards->exec.clock.now_us = clock_monotonic_us() + 2000000;
    CHECK(blocking_expired(&shards->exec) == &conn->client);
    blocking_answer(&shards->exec, &conn->client, &conn->output.reply);
    fixture_take(&conn->output, &sent);
    CHECK_BYTES(buffer_bytes(&sent), BYTES("*2\r\n:0\r\n:0\r\n"));
    CHECK(!shards->exec.disk_waits.first);
    shards->exec.clock.now_us = 0;
    end_log();
}

/* A log whose first base is not there yet keeps nothing. */
static void a_log_that_is_not_complete_is_waited_for(void) {
    begin_log("appendonly no\n");
    EXPECT("set k v\nconfig set appendonly yes\n", OK OK);
    waits("waitaof 1 0 0\n");
    waits_on();
    log_turns(1);
    answered("*2\r\n:1\r\n:0\r\n");
    end_log();
}

#define OFF "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n"

static void who_waits_for_a_log_that_is_switched_off_hears_of_it(void) {
    static const char *const lines[] = {"waitaof 1 0 0\n", "waitaof 1 1 0\n"};
    for (unsigned i = 0; i < 2; i++) {
        begin_log("appendonly yes\n");
        EXPECT("set k v\n", OK);
        waits(lines[i]);
        log_turns(1);
        waits_on();
        options_set("appendonly no\n");
        struct stripe_set all = {{0}};
        stripe_set_add_all(&all);
        stripe_set_lock(&all);
        CHECK(aof_switch_follow(shards->exec.effects.journal, now_ms));
        stripe_set_unlock(&all);
        log_turns(2);
        answered(OFF);
        EXPECT("waitaof 1 0 0\nwaitaof 0 0 0\n", OFF "*2\r\n:0\r\n:0\r\n");
        end_log();
    }
}

/* Whoever leaves in the middle of a look, and whoever is looked at next. */
static void several_wait(void) {
    begin_log("appendonly yes\n");
    struct conn *others[2];
    for (unsigned i = 0; i < 2; i++) others[i] = fixture_conn(shards);
    struct conn *first = conn;
    EXPECT("set k v\n", OK);
    waits("waitaof 1 0 0\n");
    for (unsigned i = 0; i < 2; i++) {
        conn = others[i];
        waits("waitaof 1 0 0\n");
    }
    log_turns(1);
    log_turns(600);
    CHECK(blocking_passed(&shards->exec) == &first->client);
    CHECK(blocking_leave(&shards->exec, &others[0]->client));
    blocking_answer(&shards->exec, &first->client, &first->output.reply);
    answered("*2\r\n:1\r\n:0\r\n");
    CHECK(!blocking_passed(&shards->exec));
    fixture_conn_close(others[0]);
    fixture_conn_close(others[1]);
    conn = first;
    fixture_take(&conn->output, &sent);
    end_log();
}

static void within_exec_nobody_waits(void) {
    begin_log("appendonly yes\n");
    EXPECT("set k v\nmulti\nwaitaof 1 0 0\nwaitaof 0 1 0\nwaitaof 2 0 0\nexec\n",
           OK OK "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n*2\r\n:0\r\n:0\r\n*2\r\n:0\r\n:0\r\n"
                 "-ERR value is out of range, value must between 0 and 1\r\n");
    end_log();
}

int main(void) {
    RUN(what_is_synced_need_not_be_waited_for);
    RUN(a_sync_ends_the_wait);
    RUN(without_syncs_its_time_ends_it);
    RUN(a_log_that_is_not_complete_is_waited_for);
    RUN(who_waits_for_a_log_that_is_switched_off_hears_of_it);
    RUN(several_wait);
    RUN(within_exec_nobody_waits);
    return 0;
}
