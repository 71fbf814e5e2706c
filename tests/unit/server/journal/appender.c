/* How old changes are that are not on the disk, in whatever order they came there, and what is said when they cannot be. */
#include "server/journal/appender.h"

#include <pthread.h>

#include "tests/unit/appender_fixture.h"

static void there_is_room_or_not(void) {
    static char text[1 << 20];
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    CHECK(appender_has_room(0));
    EXPECT("set k v\n", OK);
    log_turns(1000);
    CHECK(appender_has_room(1000 + APPENDER_AGE_MAX_MS) && !appender_has_room(1001 + APPENDER_AGE_MAX_MS));
    config.appendfsync = CONFIG_NO;
    CHECK(appender_has_room(5000));
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < APPENDER_BYTES_MAX / sizeof text; i++) {
        queue_add_text(journal_queue(1), 0, (struct bytes){text, sizeof text});
        (void)journal_seal(journal_queue(1), 0);
    }
    CHECK(!appender_has_room(5000));
    gate_raise(GATE_ROOM);
    disk.disk.write = disk_write;
    for (unsigned i = 0; i < APPENDER_BYTES_MAX / sizeof text + 2; i++) {
        disk_empty(&disk, LOG_INCR(1)); /* it is not looked at, and would be large */
        appender_turn(5001 + i);
    }
    CHECK(appender_has_room(6000) && !fixture_raised(GATE_ROOM));
    CHECK_INT(appender_figures().delayed, 1);
    log_stop();
    disk_free(&disk);
}

/* A turn at 2000 writes the first of several changes, one at 3000 the second; what comes behind is of before 2000, too. */
static void write_two_of_them(void) {
    appender_limit(1);
    appender_turn(2000);
    appender_limit(0);
    appender_turn(3000);
    CHECK(appender_has_room(2000 + APPENDER_AGE_MAX_MS) && !appender_has_room(2001 + APPENDER_AGE_MAX_MS));
}

/* Written by now, and not synced. */
static void check_age_of_the_others(int64_t at_ms) {
    CHECK(appender_figures().unsynced && appender_turn(at_ms) > at_ms);
    CHECK(appender_has_room(2000 + APPENDER_AGE_MAX_MS) && !appender_has_room(2001 + APPENDER_AGE_MAX_MS));
    log_turns(at_ms + WRITER_SYNC_MS);
    CHECK(!appender_figures().unsynced && appender_has_room((uint64_t)at_ms + WRITER_SYNC_MS));
}

static void what_stands_behind_a_cut_is_as_old_as_it_was(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
    appender_turn(1000);
    EXPECT("set k v\nset l v\n", OK OK);
    CHECK(aof_rewrite_wants_cut());
    upkeep_cut(shards);
    EXPECT("set m v\n", OK);
    write_two_of_them();
    appender_turn(3000); /* the cut */
    appender_turn(3000);
    CHECK(disk_says(LOG_INCR(2), "$1\r\nm\r\n"));
    check_age_of_the_others(3000);
    log_stop();
    disk_free(&disk);
}

static void what_stands_behind_a_late_ticket_is_as_old_as_it_was(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("set k v\nset l v\n", OK OK);
    uint64_t late = journal_take();
    EXPECT("set m v\n", OK);
    write_two_of_them();
    queue_add_text(journal_queue(1), 0, BYTES("*1\r\n$4\r\nPING\r\n"));
    (void)journal_seal(journal_queue(1), late);
    appender_turn(3100);
    CHECK(disk_says(LOG_INCR(1), "$1\r\nm\r\n"));
    check_age_of_the_others(3100);
    log_stop();
    disk_free(&disk);
}

static void a_disk_that_fails_under_always_is_the_end(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\nappendfsync always\n"));
    disk_mend(&disk);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    EXPECT("set k v\n", OK);
    CHECK_INT(appender_fatal(), 0);
    log_turns(1);
    CHECK_INT(appender_fatal(), -EIO);
    log_stop();
    disk_free(&disk);
}

/* A client of WAITAOF, which holds no stripes. */
static _Atomic bool looks;
static _Atomic unsigned believed;
static void *look(void *unused) {
    (void)unused;
    unsigned wrong = 0;
    while (looks) wrong += appender_has_synced(0);
    believed = wrong;
    return NULL;
}

/* Switched on and off before its first base is there, again and again: none of its files is ever listed. Who reads two words
 * for that is caught in most runs, not in each. */
static void nobody_takes_a_file_for_listed_while_the_log_is_switched_off(void) {
    pthread_t thread;
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    looks = true;
    CHECK_INT(pthread_create(&thread, NULL, look, NULL), 0);
    for (int64_t i = 0; i < 10000; i++) {
        EXPECT("config set appendonly yes\nconfig set appendonly no\n", OK OK);
        log_turns(i);
    }
    looks = false;
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_INT(believed, 0);
    log_stop();
    disk_free(&disk);
}

int main(void) {
    RUN(there_is_room_or_not);
    RUN(what_stands_behind_a_cut_is_as_old_as_it_was);
    RUN(what_stands_behind_a_late_ticket_is_as_old_as_it_was);
    RUN(a_disk_that_fails_under_always_is_the_end);
    RUN(nobody_takes_a_file_for_listed_while_the_log_is_switched_off);
    return 0;
}
