/* What the server knows of its saves: when the last one was, what has changed since, and what was loaded. */
#include "server/journal/snapshot.h"

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

int main(void) {
    RUN(figures_begin_with_the_start);
    RUN(a_save_counts_from_anew);
    RUN(what_is_loaded_is_no_change);
    RUN(options_are_obeyed);
    return 0;
}
