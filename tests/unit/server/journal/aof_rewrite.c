/* Rewrites: whatever call of the disk fails, a manifest lists, at any moment, files from which all data can be had again,
 * and the next try is made in time. */
#include "server/journal/aof_rewrite.h"

#include "tests/unit/appender_fixture.h"

static void a_first_base_that_failed_is_tried_again_though_nothing_is_changed(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    EXPECT("set k v\n", OK);
    disk.room = 0;
    EXPECT("config set appendonly yes\n", OK);
    CHECK_INT(log_turns(5000), 6000);
    CHECK(!appender_figures().rewrite_ok && !disk_has(LOG_LIST));
    CHECK_INT(log_turns(6000), 7000);
    disk.room = SIZE_MAX;
    CHECK_INT(log_turns(7000), WRITER_NEVER);
    CHECK(appender_figures().rewrite_ok && disk_says(LOG_LIST, "type b"));
    log_stop();
    disk_free(&disk);
}

static void a_rewrite_makes_everything_anew(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("set k v\nbgrewriteaof\nbgrewriteaof\nset l w\n",
           OK "+Background append only file rewriting started\r\n"
              "-ERR Background append only file rewriting already in progress\r\n" OK);
    told = 0;
    appender_turn(5000);
    appender_turn(5000);
    CHECK(aof_rewrite_wants_cut() && told == 1); /* an executor is asked */
    log_turns(5000);
    EXPECT("set m x\n", OK);
    log_turns(5001);
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.2.base.rdb seq 2 type b\n"
                                                      "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    CHECK(!disk_has(LOG_BASE(1)) && !disk_has(LOG_INCR(1)));
    CHECK(disk_says(LOG_INCR(2), "$1\r\nx\r\n") && !disk_says(LOG_INCR(2), "$1\r\nw\r\n"));
    struct appender_figures figures = appender_figures();
    CHECK(figures.rewrites == 1 && figures.rewrite_ok && !figures.rewriting && figures.last_rewrite_s == 0);
    CHECK_INT(figures.base_size, disk_contents(&disk, LOG_BASE(2)).len);
    CHECK_INT(figures.size, figures.base_size + disk_contents(&disk, LOG_INCR(2)).len);
    log_stop();
    disk_free(&disk);
}

/* As in Redis, for which it is then only noted. */
static void within_exec_it_may_be_asked_for_twice(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    EXPECT("multi\nbgrewriteaof\nbgrewriteaof\nexec\n",
           OK "+QUEUED\r\n+QUEUED\r\n*2\r\n"
              "+Background append only file rewriting scheduled\r\n"
              "+Background append only file rewriting scheduled\r\n");
    log_turns(5000);
    CHECK_INT(appender_figures().rewrites, 1);
    log_stop();
    disk_free(&disk);
}

static void a_rewrite_without_a_log_makes_a_base(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    EXPECT("set k v\nbgrewriteaof\n", OK "+Background append only file rewriting started\r\n");
    log_turns(1);
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.1.base.rdb seq 1 type b\n"));
    log_stop();
    disk_free(&disk);
}

/* Where the log itself could not be synced it was made anew. */
static void check_files_in_use(enum disk_call failed) {
    if (failed == DISK_SYNCS && disk_says(LOG_LIST, "appendonly.aof.3.base.rdb")) {
        CHECK(disk_has(LOG_BASE(3)));
        return;
    }
    bool anew = disk_says(LOG_LIST, "appendonly.aof.2.base.rdb");
    CHECK(disk_has(anew ? LOG_BASE(2) : LOG_BASE(1)));
    CHECK(anew || disk_says(LOG_INCR(1), "$1\r\nv\r\n"));
    bool first = disk_says(LOG_INCR(1), "$1\r\nw\r\n"), second = disk_says(LOG_INCR(2), "$1\r\nw\r\n");
    CHECK(first != second && disk_says(LOG_LIST, first ? "aof.1.incr.aof" : "aof.2.incr.aof"));
    CHECK(second || disk_contents(&disk, LOG_INCR(2)).len == 0);
}

/* Whichever call fails: what the manifest lists is there, and what is changed behind it
 * goes into a file that it lists, behind which there is nothing. */
static void a_rewrite_that_fails_leaves_the_files_in_use(void) {
    unsigned failures = 0;
    for (enum disk_call call = DISK_OPENS; call < DISK_CALLS; call++)
        for (unsigned at = 1; at < 20; at++) {
            disk_new(&disk);
            CHECK(log_start("appendonly yes\n"));
            EXPECT("set k v\n", OK);
            log_turns(1);
            disk_mend(&disk);
            disk.fails = call;
            disk.fails_at = at;
            EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
            log_turns(5000);
            bool failed = !appender_figures().rewrite_ok, met = disk.calls[call] >= at;
            failures += failed;
            log_turns(5000 + WRITER_RETRY_MS); /* what could not be opened or synced is tried again */
            EXPECT("set l w\n", OK);
            for (unsigned i = 2; i < 6; i++) log_turns(5000 + i * WRITER_RETRY_MS);
            CHECK(appender_figures().write_ok && !refused);
            check_files_in_use(call);
            /* The next base takes the name of the one that is left where the directory could not be synced. */
            bool leaves = call == DISK_UNLINKS || call == DISK_SYNCS_DIRECTORY;
            CHECK(leaves || !log_has_strays());
            disk_mend(&disk);
            EXPECT("bgrewriteaof\n", "+Background append only file rewriting started\r\n");
            log_turns(20000);
            CHECK(appender_figures().rewrite_ok && (call == DISK_UNLINKS || !log_has_strays()));
            log_stop();
            disk_free(&disk);
            if (!met) break;
        }
    CHECK(failures > 10);
}

static void it_is_rewritten_when_it_has_grown(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\nauto-aof-rewrite-min-size 3000\nauto-aof-rewrite-percentage 100\n"));
    for (unsigned i = 0; i < 50; i++) EXPECT("set k v\n", OK);
    log_turns(1);
    CHECK_INT(appender_figures().rewrites, 0);
    for (unsigned i = 0; i < 100; i++) EXPECT("set k v\n", OK);
    log_turns(2);
    log_turns(3);
    CHECK_INT(appender_figures().rewrites, 1);
    CHECK(disk_has(LOG_BASE(2)));
    disk_mend(&disk);
    disk.fails = DISK_RENAMES; /* three that fail, and then it waits */
    for (unsigned i = 0; i < 200; i++) EXPECT("set k v\n", OK);
    for (unsigned i = 0; i < 6; i++) {
        disk.calls[DISK_RENAMES] = 0;
        disk.fails_at = 1;
        log_turns(5000 + 2000 * i);
    }
    CHECK_INT(appender_figures().failures, 3);
    log_stop();
    disk_free(&disk);
}

static size_t size_of_all(void) {
    return disk_contents(&disk, LOG_BASE(1)).len + disk_contents(&disk, LOG_INCR(1)).len +
           disk_contents(&disk, LOG_INCR(2)).len;
}

/* It fails behind its cut: what is in the file before counts all the same, and is reason enough for the next try. */
static void a_rewrite_that_failed_is_tried_again_though_nothing_is_changed(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\nauto-aof-rewrite-min-size 3000\nauto-aof-rewrite-percentage 0\n"));
    for (unsigned i = 0; i < 200; i++) EXPECT("set k v\n", OK);
    log_turns(1);
    CHECK_INT(log_turns(1 + WRITER_SYNC_MS), WRITER_NEVER);
    CHECK(disk_contents(&disk, LOG_INCR(1)).len > 3000);
    CHECK_INT(appender_figures().size, size_of_all());
    options_set("auto-aof-rewrite-percentage 100\n");
    disk_mend(&disk);
    disk.fails = DISK_RENAMES; /* the first is the manifest's, the second the base's */
    disk.fails_at = 2;
    CHECK_INT(log_turns(5000), 6000);
    CHECK(!appender_figures().rewrite_ok && disk_says(LOG_LIST, "aof.2.incr.aof"));
    CHECK_INT(appender_figures().size, size_of_all());
    CHECK_INT(log_turns(5999), 6000);
    CHECK_INT(appender_figures().rewrites, 1);
    CHECK_INT(log_turns(6000), WRITER_NEVER);
    CHECK(appender_figures().rewrite_ok && disk_has(LOG_BASE(2)) && !disk_has(LOG_INCR(1)));
    CHECK_INT(appender_figures().size, disk_contents(&disk, LOG_BASE(2)).len);
    log_stop();
    disk_free(&disk);
}

static void what_is_in_doubt_is_made_anew(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly yes\n"));
    disk_mend(&disk);
    EXPECT("set k v\n", OK);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    appender_turn(1);
    appender_turn(1 + WRITER_SYNC_MS); /* and a rewrite is begun */
    CHECK(refused && appender_figures().unsynced && appender_figures().rewriting);
    log_turns(600);
    CHECK(!refused && disk_has(LOG_BASE(2)) && !disk_has(LOG_INCR(1)));
    log_turns(2000);
    CHECK(!appender_figures().unsynced && appender_figures().rewrites == 1);
    log_stop();
    disk_free(&disk);
}

int main(void) {
    RUN(a_first_base_that_failed_is_tried_again_though_nothing_is_changed);
    RUN(a_rewrite_makes_everything_anew);
    RUN(within_exec_it_may_be_asked_for_twice);
    RUN(a_rewrite_without_a_log_makes_a_base);
    RUN(a_rewrite_that_fails_leaves_the_files_in_use);
    RUN(it_is_rewritten_when_it_has_grown);
    RUN(a_rewrite_that_failed_is_tried_again_though_nothing_is_changed);
    RUN(what_is_in_doubt_is_made_anew);
    return 0;
}
