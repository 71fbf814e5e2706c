/* What the server knows of its saves: when the last one was, what has changed since, and what was loaded. */
#include "server/journal/snapshot.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "server/journal/claim.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot_walk.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;

static void begin_on_disk(void) {
    open_shards(3);
    disk_new(&disk);
    snapshot_open(&disk.disk, now_ms);
}
static void end_on_disk(void) {
    disk_free(&disk);
    end();
}

static void figures_begin_with_the_start(void) {
    begin_on_disk();
    CHECK_INT(snapshot_saved_s(), now_ms / 1000);
    CHECK_INT(snapshot_figures(now_ms).saved_s, now_ms / 1000);
    CHECK_INT(snapshot_figures(now_ms).changes + snapshot_figures(now_ms).saves, 0);
    run_format("set k v\nset l w\n");
    CHECK_INT(snapshot_figures(now_ms).changes, 2);
    end_on_disk();
}

static void a_save_counts_from_anew(void) {
    begin_on_disk();
    run_format("set k v\nset l w\n");
    uint64_t work = snapshot_work();
    CHECK(snapshot_save(now_ms));
    CHECK_INT(snapshot_figures(now_ms).changes, 0);
    CHECK(snapshot_saved_s() > now_ms / 1000 && snapshot_work() > work);
    run_format("del k\n");
    CHECK_INT(snapshot_figures(now_ms).changes, 1);
    disk.fails = DISK_SYNCS;
    disk.fails_at = 2;
    CHECK(!snapshot_save(now_ms));
    CHECK_INT(snapshot_figures(now_ms).changes, 1);
    snapshot_count();
    CHECK_INT(snapshot_figures(now_ms).saves, 1);
    end_on_disk();
}

static void what_is_loaded_is_no_change(void) {
    begin_on_disk();
    run_format("set k v\nset l w px 10\nset m 1\n");
    CHECK(snapshot_save(now_ms));
    empty_all();
    struct snapshot_load load = {.now_ms = now_ms + 10, .only_looks = true};
    CHECK(snapshot_load(&load) == SNAPSHOT_LOADED);
    CHECK_INT(snapshot_figures(now_ms).loaded_keys, 0);
    load.only_looks = false;
    CHECK(snapshot_load(&load) == SNAPSHOT_LOADED);
    CHECK_INT(snapshot_figures(now_ms).changes, 0);
    CHECK_INT(snapshot_figures(now_ms).loaded_keys, 2);
    CHECK_INT(snapshot_figures(now_ms).expired_keys, 1);
    CHECK(snapshot_load(&load) == SNAPSHOT_FAILED); /* they are there */
    end_on_disk();
}

static void options_are_obeyed(void) {
    begin_on_disk();
    options_set("dbfilename other.rdb\nrdbchecksum no\nrdbcompression no\n");
    run_format("set k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n");
    CHECK(snapshot_save(now_ms));
    struct bytes file = disk_contents(&disk, "other.rdb");
    CHECK(file.len && memmem(file.data, file.len, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 36));
    CHECK_BYTES(((struct bytes){file.data + file.len - 8, 8}), BYTES("\0\0\0\0\0\0\0\0"));
    struct snapshot_load load = {.now_ms = now_ms, .replaces = true};
    CHECK(snapshot_load(&load) == SNAPSHOT_LOADED);
    options_set("dbfilename none.rdb\n");
    CHECK(snapshot_load(&load) == SNAPSHOT_ABSENT);
    end_on_disk();
}

/* ---- In the background ---------------------------------------------------------------------------- */

static void walk(void) {
    for (unsigned i = 0; i < stripes.count; i++)
        while (snapshot_walk(&stripes.all[i]) != SNAPSHOT_WALK_DONE) {
        }
}
static void walk_all(void) {
    walk();
    snapshot_writer_join();
}

/* Though the thread of the last one may not have come to its end. */
static void a_save_may_begin_right_behind_another(void) {
    begin_on_disk();
    for (unsigned i = 0; i < 200; i++) {
        CHECK(!snapshot_other() && snapshot_background(now_ms));
        walk();
        while (snapshot_in_background()) CHECK(!snapshot_other());
    }
    CHECK(!snapshot_other() && !snapshot_figures(now_ms).other);
    walk_all();
    end_on_disk();
}

static void a_save_in_the_background_counts_from_its_cut(void) {
    begin_on_disk();
    run_format("set k v\nset l w\n");
    CHECK(snapshot_background(now_ms) && snapshot_in_background() && !snapshot_other());
    CHECK(snapshot_figures(now_ms + 3000).in_background && snapshot_figures(now_ms + 3000).takes_s == 3);
    CHECK_INT(snapshot_figures(now_ms).total, 2);
    run_format("set m 1\n");
    walk_all();
    CHECK(!snapshot_in_background());
    struct snapshot_figures figures = snapshot_figures(now_ms);
    CHECK(figures.changes == 1 && figures.saves == 1 && !figures.failed && figures.took_s >= 0);
    CHECK(figures.takes_s == -1 && figures.last_peak > 0 && figures.keys + figures.bytes == 0);
    CHECK(disk_contents(&disk, "dump.rdb").len > 0 && disk_files(&disk) == 1);
    end_on_disk();
}

static void a_failure_stops_writes_until_a_save_is_well(void) {
    begin_on_disk();
    options_set("save 3600 1\nstop-writes-on-bgsave-error yes\n");
    CHECK(!snapshot_stops_writes());
    disk.fails = DISK_SYNCS;
    disk.fails_at = 1;
    CHECK(snapshot_background(now_ms));
    walk_all();
    CHECK(snapshot_figures(now_ms).failed && snapshot_stops_writes());
    options_set("save \"\"\n");
    CHECK(!snapshot_stops_writes());
    options_set("save 3600 1\nstop-writes-on-bgsave-error no\n");
    CHECK(!snapshot_stops_writes());
    options_set("save 3600 1\nstop-writes-on-bgsave-error yes\n");
    CHECK(snapshot_save(now_ms) && !snapshot_stops_writes());
    end_on_disk();
}

/* Another server has the directory, so each try fails: the next one waits. */
static void a_foreign_directory_is_a_failure(void) {
    int other = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    begin_on_disk();
    options_set("save 1 1\n");
    run_format("set k v\n");
    claim_release();
    CHECK_INT(flock(other, LOCK_EX | LOCK_NB), 0);
    CHECK(!snapshot_begin_due(now_ms + 10000) && snapshot_figures(now_ms).failed);
    CHECK_INT(snapshot_due_ms(now_ms + 10000), now_ms + 16000);
    close(other);
    CHECK(snapshot_begin_due(now_ms + 16000));
    walk_all();
    CHECK(!snapshot_figures(now_ms).failed);
    end_on_disk();
}

static void what_is_given_up_has_not_failed(void) {
    begin_on_disk();
    options_set("save 3600 1\n");
    run_format("set k v\n");
    CHECK(snapshot_background(now_ms));
    snapshot_stop();
    CHECK(!snapshot_in_background() && !snapshot_figures(now_ms).failed && disk_files(&disk) == 0);
    CHECK_INT(snapshot_figures(now_ms).changes, 1);
    snapshot_stop();
    snapshot_emptied(now_ms);
    CHECK_INT(disk_files(&disk), 1);
    end_on_disk();
}

static void save_points_say_when_it_is_time(void) {
    begin_on_disk();
    int64_t began_ms = now_ms;
    options_set("save 100 1\nsave 10 3\n");
    CHECK_INT(snapshot_due_ms(now_ms), INT64_MAX);
    run_format("set k v\n");
    CHECK_INT(snapshot_due_ms(now_ms), began_ms + 101000);
    CHECK(!snapshot_begin_due(began_ms + 100000));
    run_format("set k v\nset k v\n");
    CHECK_INT(snapshot_due_ms(now_ms), began_ms + 11000);
    disk.fails = DISK_OPENS;
    disk.fails_at = 1;
    CHECK(snapshot_begin_due(began_ms + 11000));
    CHECK(snapshot_due_ms(began_ms + 11000) > began_ms + 11000 && !snapshot_begin_due(began_ms + 11000));
    walk_all();
    CHECK_INT(snapshot_due_ms(began_ms + 11000), began_ms + 17000); /* not again at once */
    CHECK(snapshot_begin_due(began_ms + 17000));
    walk_all();
    CHECK_INT(snapshot_due_ms(began_ms + 20000), INT64_MAX);
    options_set("save \"\"\n");
    CHECK_INT(snapshot_due_ms(now_ms), INT64_MAX);
    snapshot_schedule();
    CHECK_INT(snapshot_due_ms(now_ms), now_ms);
    CHECK(snapshot_begin_due(now_ms));
    walk_all();
    CHECK_INT(snapshot_due_ms(now_ms), INT64_MAX);
    end_on_disk();
}

/* By a day: what is due within two minutes is not due in a day and two minutes. */
static void a_clock_that_is_set_back_puts_no_save_off(void) {
    begin_on_disk();
    int64_t back_ms = now_ms - 86400000;
    options_set("save 100 1\n");
    run_format("set k v\n");
    disk.fails = DISK_OPENS;
    disk.fails_at = 1;
    CHECK(snapshot_begin_due(now_ms + 101000));
    walk_all();
    CHECK(snapshot_figures(now_ms).failed);
    CHECK_INT(snapshot_due_ms(now_ms + 101000), now_ms + 107000);
    CHECK_INT(snapshot_due_ms(back_ms), back_ms + 101000);
    CHECK_INT(snapshot_due_ms(back_ms + 50000), back_ms + 101000);
    CHECK(!snapshot_begin_due(back_ms + 100000) && snapshot_begin_due(back_ms + 101000));
    walk_all();
    CHECK(!snapshot_figures(now_ms).failed);
    end_on_disk();
}

/* A save would put half of the data in the place of all. */
static void nothing_is_saved_while_data_are_loaded(void) {
    begin_on_disk();
    options_set("save 1 1\n");
    run_format("set k v\n");
    intake_begin(0, now_ms / 1000);
    snapshot_emptied(now_ms);
    CHECK(snapshot_due_ms(now_ms + 10000) == INT64_MAX && !snapshot_begin_due(now_ms + 10000));
    CHECK_INT(disk_files(&disk), 0);
    intake_end();
    CHECK_INT(snapshot_due_ms(now_ms), now_ms + 2000);
    CHECK(snapshot_begin_due(now_ms + 10000));
    snapshot_stop();
    end_on_disk();
}

int main(void) {
    char directory[] = "/tmp/kevy-snapshot-XXXXXX";
    CHECK(mkdtemp(directory) && chdir(directory) == 0); /* it is claimed */
    RUN(figures_begin_with_the_start);
    RUN(a_save_counts_from_anew);
    RUN(what_is_loaded_is_no_change);
    RUN(options_are_obeyed);
    RUN(a_save_in_the_background_counts_from_its_cut);
    RUN(a_failure_stops_writes_until_a_save_is_well);
    RUN(a_save_may_begin_right_behind_another);
    RUN(a_foreign_directory_is_a_failure);
    RUN(what_is_given_up_has_not_failed);
    RUN(save_points_say_when_it_is_time);
    RUN(a_clock_that_is_set_back_puts_no_save_off);
    RUN(nothing_is_saved_while_data_are_loaded);
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
