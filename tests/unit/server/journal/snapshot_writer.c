/* The writer of a snapshot: entries that were handed over in parts stand in the file, whatever became of them since, and
 * nothing of them is left in memory. */
#include "server/journal/snapshot_writer.h"

#include "server/journal/snapshot_load.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;
static struct snapshot_written last;

static void ended(void *context, const struct snapshot_written *written) {
    (void)context;
    last = *written;
}
static const struct snapshot_order order = {.disk = &disk.disk,
                                            .names = {"temp.rdb", "dump.rdb", "."},
                                            .aof_base = true,
                                            .by_hand = true,
                                            .ended = ended};

static struct snapshot_part *filling;
static unsigned filling_db, given;

static void add(void *context, struct entry *e) {
    (void)context;
    if (filling && snapshot_part_add(filling, filling_db, e, true)) return;
    if (filling) snapshot_part_give(filling);
    given += filling != NULL;
    filling = snapshot_part_take();
    CHECK(filling && snapshot_part_add(filling, filling_db, e, true));
}

static void give_all(void) {
    given = 0;
    for (unsigned i = 0; i < stripes.count; i++)
        for (filling_db = 0; filling_db < FIXTURE_DATABASES; filling_db++) {
            uint64_t cursor = 0;
            do cursor = keyspace_scan(stripes.all[i].keyspace, filling_db, cursor, add, NULL);
            while (cursor);
        }
    snapshot_part_give(filling);
    filling = NULL;
}

static void what_is_handed_over_outlives_the_store(void) {
    struct snapshot_load load = {.disk = &disk.disk, .name = "dump.rdb", .now_ms = now_ms};
    open_shards(3);
    make_values();
    for (unsigned i = 0; i < 3000; i++) run_format("set many:%u some:%u\n", i, i);
    disk_new(&disk);
    struct digest digest = digest_now();
    uint64_t keys = keys_now();
    CHECK_INT(snapshot_writer_open(&order, now_ms), 0);
    CHECK(snapshot_writer_works() && snapshot_writer_turn() == SNAPSHOT_IDLE);
    CHECK_INT(snapshot_progress().total, keys);
    give_all();
    CHECK(given > 0 && snapshot_progress().bytes > given * sizeof(struct snapshot_part));
    empty_all();
    uint64_t work = snapshot_writer_work;
    CHECK_INT(snapshot_writer_turn(), SNAPSHOT_WROTE);
    CHECK(snapshot_writer_work > work && snapshot_progress().keys > 0);
    snapshot_writer_complete();
    snapshot_writer_join();
    CHECK(!snapshot_writer_works() && !last.error && last.keys == keys);
    CHECK(snapshot_progress().bytes == 0 && snapshot_progress().peak > 0);
    CHECK(memmem(disk_contents(&disk, "dump.rdb").data, 200, "aof-base\300\1", 10));
    load.now_ms = now_ms;
    CHECK(snapshot_load_run(&load) == SNAPSHOT_LOADED);
    check_digest(&digest);
    disk_free(&disk);
    end();
}

static void given_up_it_writes_nothing(void) {
    open_shards(3);
    make_values();
    disk_new(&disk);
    CHECK_INT(snapshot_writer_open(&order, now_ms), 0);
    give_all();
    CHECK_INT(snapshot_writer_turn(), SNAPSHOT_WROTE);
    snapshot_writer_give_up();
    CHECK(snapshot_writer_failed());
    snapshot_writer_complete();
    snapshot_writer_join();
    CHECK(last.given_up && !last.error && disk_files(&disk) == 0 && snapshot_progress().bytes == 0);
    disk_free(&disk);
    end();
}

/* rdb-key-save-delay: what is given up waits no longer. */
static void keys_may_be_delayed(void) {
    open_shards(1);
    for (unsigned i = 0; i < 5; i++) run_format("set a:%u some\n", i);
    disk_new(&disk);
    options_set("rdb-key-save-delay 3000\n");
    CHECK_INT(snapshot_writer_open(&order, now_ms), 0);
    give_all();
    snapshot_writer_complete();
    uint64_t begun_us = clock_monotonic_us(), work = snapshot_writer_work;
    snapshot_writer_join();
    CHECK(last.keys == 5 && !last.error);
    CHECK(clock_monotonic_us() - begun_us >= 5 * 3000 && snapshot_writer_work - work >= 10);
    options_set("rdb-key-save-delay 2000000000\n");
    CHECK_INT(snapshot_writer_open(&order, now_ms), 0);
    give_all();
    snapshot_writer_give_up();
    snapshot_writer_complete();
    snapshot_writer_join(); /* at once */
    CHECK(last.given_up);
    options_set("rdb-key-save-delay 0\n");
    disk_free(&disk);
    end();
}

int main(void) {
    RUN(what_is_handed_over_outlives_the_store);
    RUN(given_up_it_writes_nothing);
    RUN(keys_may_be_delayed);
    return 0;
}
