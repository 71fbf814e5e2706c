/* Who changes something is held where there is no room, and refused where the disk fails; who reads is neither. */
#include "server/exec/durable.h"

#include "tests/unit/appender_fixture.h"

static void who_writes_is_held_without_room(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("set k v\n", OK);
    log_turns(0);
    shards->exec.clock.now_us = (APPENDER_AGE_MAX_MS + 1) * 1000;
    EXPECT("set k w\n", "");
    CHECK(held && fixture_raised(GATE_ROOM));
    EXPECT("get k\n", "$1\r\nv\r\n");
    EXPECT("multi\nget k\nexec\n", OK "+QUEUED\r\n*1\r\n$1\r\nv\r\n");
    EXPECT("multi\nset k w\n", OK);
    CHECK(held);
    EXPECT("discard\n", OK);
    freed = 0;
    log_turns(APPENDER_AGE_MAX_MS + 1);
    CHECK(freed == 1 && !fixture_raised(GATE_ROOM));
    EXPECT("set k w\nget k\n", OK "$1\r\nw\r\n");
    CHECK(!held);
    log_stop();
    disk_free(&disk);
}

/* The thread that writes has no turn. */
static void who_writes_is_held_while_nothing_is_written(void) {
    enum { BEGUN_MS = 5000, LATE_MS = BEGUN_MS + APPENDER_AGE_MAX_MS };
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    durable_note(&shards->exec); /* of nothing */
    shards->exec.clock.now_us = BEGUN_MS * 1000;
    EXPECT("get k\nset k v\n", NIL OK);
    durable_note(&shards->exec);
    shards->exec.clock.now_us = LATE_MS * 1000;
    EXPECT("set k w\n", OK);
    durable_note(&shards->exec);
    durable_tell(&shards->exec, false);
    shards->exec.clock.now_us = (LATE_MS + 1) * 1000;
    EXPECT("set k x\n", "");
    CHECK(held && fixture_raised(GATE_ROOM));
    freed = 0;
    log_turns(LATE_MS + 1); /* it is as old on its way to the disk */
    CHECK(disk_says(LOG_INCR(1), "$1\r\nw\r\n") && freed == 0);
    log_turns(LATE_MS + 1 + WRITER_SYNC_MS);
    CHECK(freed == 1 && !fixture_raised(GATE_ROOM));
    shards->exec.clock.now_us = (LATE_MS + 5000) * 1000;
    durable_note(&shards->exec); /* of nothing again */
    EXPECT("set k x\nget k\n", OK "$1\r\nx\r\n");
    CHECK(!held);
    log_stop();
    disk_free(&disk);
}

static void who_writes_is_refused_while_the_disk_fails(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("multi\nset a b\nset k v\n", OK "+QUEUED\r\n+QUEUED\r\n");
    disk_mend(&disk);
    disk.room = 0;
    struct record_queue *queue = journal_queue(1);
    queue_add_text(queue, 0, BYTES("x")), (void)journal_seal(queue, 0);
    log_turns(1);
    CHECK(refused && disk.calls[DISK_WRITES] == 1);
    EXPECT(
        "exec\n",
        "-EXECABORT Transaction discarded because of: MISCONF Errors writing to the AOF file: No space left "
        "on device\r\n");
    EXPECT("get a\nping\n", NIL "-MISCONF Errors writing to the AOF file: No space left on device\r\n");
    EXPECT("set a b\nmulti\nget a\nexec\n",
           "-MISCONF Errors writing to the AOF file: No space left on device\r\n" OK "+QUEUED\r\n*1\r\n" NIL);
    disk_mend(&disk);
    log_turns(1 + WRITER_RETRY_MS);
    CHECK(!refused);
    EXPECT("set a b\nping\n", OK "+PONG\r\n");
    log_stop();
    disk_free(&disk);
}

static void news_is_told_once(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    durable_tell(&shards->exec, false);
    bell_park(&aof_log_bell);
    EXPECT("get k\n", NIL);
    durable_tell(&shards->exec, false);
    CHECK(aof_log_bell.parked);
    EXPECT("set k v\nset k w\n", OK OK);
    CHECK(aof_log_bell.parked);
    durable_tell(&shards->exec, false);
    CHECK(!aof_log_bell.parked);
    bell_park(&aof_log_bell);
    durable_tell(&shards->exec, false);
    CHECK(aof_log_bell.parked);
    bell_leave(&aof_log_bell);
    log_stop();
    disk_free(&disk);
}

/* Else the next request would give them its ticket without their stripes' locks. */
static void marks_do_not_outlive_a_request_that_records_nothing(void) {
    static const struct stripe_set none = {{0}};
    disk_new(&disk);
    CHECK(log_start("appendonly yes\nappendfsync always\n"));
    config.enable_debug_command = CONFIG_YES;
    uint64_t before = journal_next();
    EXPECT("debug populate 9\n", OK);
    const struct stripe_set *marked = &shards->exec.effects.changed.stripes;
    CHECK(stripe_set_within(marked, &none) && !shards->exec.effects.ticket);
    CHECK_INT(journal_next(), before + 1);
    log_turns(1);
    CHECK_INT(journal_safe(), before + 1);
    log_stop();
    disk_free(&disk);
}

int main(void) {
    RUN(who_writes_is_held_without_room);
    RUN(who_writes_is_held_while_nothing_is_written);
    RUN(who_writes_is_refused_while_the_disk_fails);
    RUN(news_is_told_once);
    RUN(marks_do_not_outlive_a_request_that_records_nothing);
    return 0;
}
