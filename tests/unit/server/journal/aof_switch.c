/* The log at the start and when it is switched on and off: whatever call of the disk fails, it is on with files from which
 * all data can be had again, or it is not on. */
#include "server/journal/aof_switch.h"

#include "server/journal/snapshot.h"
#include "tests/unit/appender_fixture.h"

static void a_first_start_makes_a_base_and_a_file(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.1.base.rdb seq 1 type b\n"
                                                      "file appendonly.aof.1.incr.aof seq 1 type i\n"));
    CHECK(disk_has(LOG_BASE(1)) && disk_contents(&disk, LOG_INCR(1)).len == 0);
    CHECK_INT(appender_figures().buffered, 0);
    EXPECT("set k v\nget k\n", OK "$1\r\nv\r\n");
    CHECK(appender_figures().buffered > 30);
    log_turns(1);
    CHECK_INT(appender_figures().buffered, 0);
    CHECK(disk_says(LOG_INCR(1), "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n"));
    CHECK(appender_figures().unsynced);
    log_turns(1 + WRITER_SYNC_MS);
    CHECK(!appender_figures().unsynced);
    log_stop();
    disk_free(&disk);
}

static void later_starts_add_files(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    log_stop();
    CHECK(log_start("appendonly yes\n")); /* the last file is empty: it is used */
    CHECK(!disk_has(LOG_INCR(2)));
    EXPECT("set k v\n", OK);
    CHECK(appender_finish(1));
    log_stop();
    CHECK(log_start("appendonly yes\n"));
    CHECK(disk_has(LOG_INCR(2)) && disk_says(LOG_INCR(1), "set"));
    CHECK(disk_says(LOG_LIST, "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    CHECK(!disk_has(LOG_BASE(2)));
    log_stop();
    disk_free(&disk);
}

/* A log with a change in its file, and then, on a disk with so much room, a start that needs another file. */
static void start_on_a_full_disk(const char *options, size_t room) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("set k v\n", OK);
    CHECK(appender_finish(1));
    log_stop();
    disk.room = room;
    CHECK(log_start(options));
}

#define MISCONF "-MISCONF Errors writing to the AOF file: No space left on device\r\n"

static void a_start_on_a_full_disk_waits_for_room(void) {
    static const char *const policies[] = {"appendonly yes\n", "appendonly yes\nappendfsync always\n"};
    for (unsigned i = 0; i < 4; i++) {
        start_on_a_full_disk(policies[i / 2], i % 2 ? 20 : 0);
        CHECK(refused && on_when_refused && appender_figures().on && !appender_figures().write_ok);
        CHECK(!appender_figures().rewriting && appender_figures().size > 100);
        EXPECT("set l w\nget l\nbgrewriteaof\n",
               MISCONF "$-1\r\n"
                       "-ERR Can't execute an AOF background rewriting. Please check the server logs for "
                       "more information.\r\n");
        for (unsigned again = 1; again < 4; again++)
            CHECK_INT(log_turns(5000 + 1000 * again), 6000 + 1000 * again);
        CHECK(refused && !disk_says(LOG_LIST, "aof.2.incr.aof") && !disk_has(LOG_INCR(3)));
        disk.room = SIZE_MAX;
        log_turns(8500);
        CHECK(refused);
        log_turns(8999);
        CHECK(refused);
        log_turns(9000);
        CHECK(!refused && disk_says(LOG_LIST, "aof.2.incr.aof") && appender_figures().write_ok);
        EXPECT("set l w\n", OK);
        log_turns(9001);
        CHECK(disk_says(LOG_INCR(2), "$1\r\nw\r\n") && journal_safe() == journal_next());
        EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
        log_turns(20000);
        CHECK(appender_figures().rewrite_ok && disk_has(LOG_BASE(2)) && !disk_has(LOG_INCR(2)));
        log_stop();
        journal_hold(false);
        disk_free(&disk);
    }
}

/* What was changed meanwhile all the same: by expiry, say. */
static void what_waits_for_room_is_written_at_the_end(void) {
    for (size_t room = 0; room < 3; room++) {
        start_on_a_full_disk("appendonly yes\n", 0);
        if (room < 2) {
            queue_add_text(journal_queue(1), 0, BYTES("*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n"));
            (void)journal_seal(journal_queue(1), 0);
        }
        log_turns(5000);
        CHECK(refused && appender_figures().unsynced == (room < 2));
        if (room == 1) disk.room = SIZE_MAX;
        CHECK_INT(appender_finish(5001), room > 0); /* without a change nothing is lost */
        CHECK_INT(disk_has(LOG_INCR(2)) && disk_says(LOG_INCR(2), "DEL"), room == 1);
        log_stop();
        disk_free(&disk);
    }
}

static void what_waits_for_room_can_be_switched_off(void) {
    start_on_a_full_disk("appendonly yes\n", 0);
    queue_add_text(journal_queue(1), 0, BYTES("*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n"));
    (void)journal_seal(journal_queue(1), 0);
    log_turns(5000);
    EXPECT("config set appendonly no\nset l w\n", OK OK);
    log_turns(5001);
    CHECK(!refused && !appender_figures().unsynced);
    CHECK(disk_has(LOG_INCR(1)) && !disk_has(LOG_INCR(2)));
    disk.room = SIZE_MAX;
    EXPECT("config set appendonly yes\nset m x\n", OK OK);
    log_turns(5002);
    CHECK(!refused && disk_says(LOG_LIST, "aof.2.base.rdb") && disk_says(LOG_INCR(3), "$1\r\nx\r\n"));
    log_stop();
    disk_free(&disk);
}

static void without_its_manifest_no_file_is_deleted(void) {
    start_on_a_full_disk("appendonly yes\n", 0);
    CHECK_INT(disk.disk.unlink(&disk.disk, LOG_LIST), 0);
    EXPECT("config set appendonly no\n", OK);
    log_turns(5000);
    CHECK(!refused && disk_has(LOG_BASE(1)) && disk_has(LOG_INCR(1)));
    log_stop();
    disk_free(&disk);
}

/* Nothing else may be missing, nor may anything but room be. */
static void other_failures_end_a_start(void) {
    disk_new(&disk);
    disk.room = 0;
    CHECK(!log_start("appendonly yes\n"));
    log_stop();
    disk_free(&disk);
    start_on_a_full_disk("appendonly no\n", 0);
    CHECK(!refused);
    log_stop();
    CHECK(!log_start_with("appendonly yes\n", false));
    log_stop();
    disk.room = SIZE_MAX;
    disk_mend(&disk);
    disk.fails = DISK_RENAMES;
    disk.fails_at = 1;
    CHECK(!log_start("appendonly yes\n"));
    log_stop();
    disk_free(&disk);
}

/* As where it is switched on while an RDB file is loaded. */
static void files_of_an_earlier_time_are_not_gone_on_with(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("set k v\n", OK);
    CHECK(appender_finish(1));
    log_stop();
    CHECK(log_start_with("appendonly yes\n", false));
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.2.base.rdb seq 2 type b\n"
                                                      "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    CHECK(!disk_has(LOG_BASE(1)) && !disk_has(LOG_INCR(1)));
    log_stop();
    disk_free(&disk);
}

static void it_is_switched_on_and_off(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    CHECK_INT(disk_files(&disk), 0);
    EXPECT("set before 1\nconfig set appendonly yes\nset k v\n", OK OK OK);
    CHECK(appender_figures().on);
    log_turns(1);
    CHECK(disk_says(LOG_BASE(1), "before") && disk_says(LOG_INCR(1), "set") &&
          !disk_says(LOG_INCR(1), "before"));
    EXPECT("multi\nset l w\nconfig set appendonly no\nset m x\nexec\n",
           OK "+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n" OK OK OK);
    CHECK(!appender_figures().on);
    log_turns(2);
    CHECK(disk_says(LOG_INCR(1), "$1\r\nw\r\n") && !disk_says(LOG_INCR(1), "$1\r\nx\r\n"));
    CHECK(!appender_figures().unsynced);
    EXPECT("set n y\nconfig set appendonly yes appendfsync always\nset o z\n", OK OK OK);
    CHECK(journal_holds() && appender_hurries());
    log_turns(3);
    CHECK(disk_says(LOG_BASE(2), "before") && disk_says(LOG_INCR(2), "$1\r\nz\r\n"));
    CHECK(!disk_has(LOG_BASE(1)) && !disk_has(LOG_INCR(1)));
    CHECK_INT(journal_safe(), journal_next());
    EXPECT("config set appendfsync no\nconfig get appendonly\n",
           OK "*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n");
    CHECK(!journal_holds());
    log_stop();
    disk_free(&disk);
}

static void switched_off_before_its_first_base_it_leaves_nothing(void) {
    for (unsigned turns = 0; turns < 4; turns++) {
        disk_new(&disk);
        CHECK(log_start("appendonly no\n"));
        EXPECT("set before 1\nconfig set appendonly yes\nset k v\n", OK OK OK);
        for (unsigned i = 0; i < turns; i++) appender_turn(1);
        EXPECT("config set appendonly no\nset l w\n", OK OK);
        log_turns(2);
        CHECK_INT(disk_files(&disk), 0);
        EXPECT("config set appendonly yes\nset m x\n", OK OK);
        log_turns(3);
        CHECK(disk_says(LOG_LIST, "aof.1.base.rdb") && disk_says(LOG_LIST, "aof.2.incr.aof"));
        EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
        appender_turn(4);
        EXPECT("config set appendonly no\n", OK); /* what is listed stays */
        log_turns(5);
        CHECK(disk_says(LOG_INCR(2), "$1\r\nx\r\n") && disk_has(LOG_INCR(3)));
        log_stop();
        disk_free(&disk);
    }
}

/* Where a snapshot is under way its first base is written at once: what a rewrite makes later is listed before anything
 * goes into it. */
static void it_is_switched_on_again_beside_a_snapshot(void) {
    disk_new(&disk);
    struct snapshot_order other = {.disk = &disk.disk, .names = {"temp", "dump.rdb", "."}, .by_hand = true};
    CHECK(log_start("appendonly no\n"));
    EXPECT("config set appendonly yes\nconfig set appendonly no\n", OK OK);
    log_turns(1);
    EXPECT("set k v\n", OK);
    CHECK_INT(snapshot_start(&other, now_ms), 0);
    uint64_t work = snapshot_work();
    EXPECT("config set appendonly yes\n", OK);
    CHECK(snapshot_work() > work); /* shards do not turn meanwhile: the watchdog sees that they work */
    log_turns(2);
    EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
    for (unsigned i = 0; i < 3; i++) appender_turn(5000);
    CHECK(aof_rewrite_wants_cut() && disk_says(LOG_LIST, "aof.3.incr.aof"));
    log_stop();
    disk_free(&disk);
}

static void an_end_before_the_first_base_loses_nothing(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    EXPECT("set before 1\nconfig set appendonly yes\nset behind 2\n", OK OK OK);
    appender_turn(1);
    CHECK(!disk_has(LOG_LIST));
    snapshot_give_up();
    CHECK(appender_finish(2));
    CHECK(disk_says(LOG_LIST, "appendonly.aof.1.base.rdb") && disk_says(LOG_LIST, "aof.2.incr.aof"));
    CHECK(disk_says(LOG_BASE(1), "before") && disk_says(LOG_BASE(1), "behind") && !disk_has(LOG_INCR(1)));
    log_stop();
    disk_free(&disk);
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    EXPECT("set before 1\nconfig set appendonly yes\nset behind 2\n", OK OK OK);
    log_walk(); /* it is there, and is listed at the end */
    CHECK(!disk_has(LOG_LIST) && appender_finish(2));
    CHECK(disk_says(LOG_LIST, "appendonly.aof.1.base.rdb") && disk_says(LOG_LIST, "aof.1.incr.aof"));
    CHECK(disk_says(LOG_BASE(1), "before") && disk_says(LOG_INCR(1), "behind"));
    log_stop();
    disk_free(&disk);
}

#define NOT_ON                                                                                               \
    "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. Check "     \
    "server logs.\r\n"

/* Each call of each kind fails once: it is switched on or not, and if it is, the first base is tried until it is there. */
static void where_it_cannot_be_switched_on_nothing_changes(void) {
    unsigned refusals = 0, failures = 0;
    for (enum disk_call call = DISK_OPENS; call < DISK_CALLS; call++)
        for (unsigned at = 1; at < 20; at++) {
            disk_new(&disk);
            CHECK(log_start("appendonly no\n"));
            disk.fails = call;
            disk.fails_at = at;
            EXPECT("set before 1\n", OK);
            struct bytes reply = run(BYTES("config set appendonly yes\n"));
            bool failed = bytes_equal(reply, BYTES(NOT_ON));
            refusals += failed;
            CHECK(failed || bytes_equal(reply, BYTES(OK)));
            CHECK(appender_figures().on == !failed && journal_listens() == !failed);
            CHECK_INT(config.appendonly, !failed);
            log_turns(1);
            failures += !appender_figures().rewrite_ok;
            bool met = disk.calls[call] >= at;
            disk_mend(&disk);
            if (failed) EXPECT("config set appendonly yes\n", OK);
            for (unsigned i = 1; i < 4; i++) log_turns(1 + 1001 * i);
            EXPECT("set k v\n", OK);
            log_turns(6000);
            const char *last = disk_says(LOG_LIST, "aof.1.incr.aof")   ? LOG_INCR(1)
                               : disk_says(LOG_LIST, "aof.2.incr.aof") ? LOG_INCR(2)
                                                                       : LOG_INCR(3);
            CHECK(disk_says(LOG_LIST, "type b") && disk_says(LOG_LIST, last + strlen("appendonlydir/")));
            CHECK(disk_says(last, "$1\r\nv\r\n"));
            CHECK(appender_figures().rewrite_ok && !appender_figures().rewriting);
            log_stop();
            disk_free(&disk);
            if (!met) break;
        }
    CHECK(refusals > 2 && failures > 5);
}

/* Its name may have been lost when it could not be synced, whether it was this process that made it or one before. */
static void a_directory_that_is_there_already_is_synced(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    disk.fails = DISK_SYNCS_DIRECTORY;
    disk.fails_at = 1;
    EXPECT("config set timeout 7 appendonly yes\nconfig get timeout\n",
           NOT_ON "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n");
    CHECK(disk.calls[DISK_MAKES_DIRECTORY] == 1 && disk.calls[DISK_SYNCS_DIRECTORY] == 1);
    EXPECT("config set appendonly yes\n", OK);
    CHECK(disk.calls[DISK_MAKES_DIRECTORY] == 2);
    CHECK_INT(disk.calls[DISK_SYNCS_DIRECTORY], 3);
    log_stop();
    disk_free(&disk);
}

static void it_is_on_while_data_are_loaded(void) {
    disk_new(&disk);
    CHECK(appender_open(&disk.disk, &appender_stub, 3));
    open_shards(3);
    options_set("appendonly yes\n");
    CHECK(appender_figures().on && appender_figures().write_ok && !appender_figures().buffered);
    options_set("appendonly no\n");
    CHECK(!appender_figures().on);
    end();
    appender_close();
    disk_free(&disk);
}

static void who_waits_for_a_full_disk_is_let_go_when_it_is_switched_off(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\nappendfsync always\n"));
    disk.room = 0;
    EXPECT("set k v\n", OK);
    log_turns(1);
    CHECK(refused && journal_safe() < journal_next());
    EXPECT("config set appendonly no\n", OK);
    log_turns(2);
    CHECK(!refused && journal_safe() == journal_next());
    disk.room = SIZE_MAX;
    EXPECT("config set appendonly yes\nset l w\n", OK OK);
    log_turns(3);
    CHECK(!refused && journal_safe() == journal_next() && disk_says(LOG_INCR(2), "$1\r\nw\r\n"));
    log_stop();
    disk_free(&disk);
}

int main(void) {
    RUN(a_first_start_makes_a_base_and_a_file);
    RUN(later_starts_add_files);
    RUN(a_start_on_a_full_disk_waits_for_room);
    RUN(what_waits_for_room_is_written_at_the_end);
    RUN(what_waits_for_room_can_be_switched_off);
    RUN(without_its_manifest_no_file_is_deleted);
    RUN(other_failures_end_a_start);
    RUN(files_of_an_earlier_time_are_not_gone_on_with);
    RUN(it_is_switched_on_and_off);
    RUN(switched_off_before_its_first_base_it_leaves_nothing);
    RUN(it_is_switched_on_again_beside_a_snapshot);
    RUN(an_end_before_the_first_base_loses_nothing);
    RUN(where_it_cannot_be_switched_on_nothing_changes);
    RUN(a_directory_that_is_there_already_is_synced);
    RUN(it_is_on_while_data_are_loaded);
    RUN(who_waits_for_a_full_disk_is_let_go_when_it_is_switched_off);
    return 0;
}
