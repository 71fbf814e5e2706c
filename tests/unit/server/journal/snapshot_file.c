/* An RDB file, key by key: keys of all databases may come in any order, and the file is there when it is whole, or not. */
#include "server/journal/snapshot_file.h"

#include "server/journal/snapshot_load.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;
static struct snapshot_file file;
static const struct snapshot_names names = {"temp", "dump.rdb", "."};

static void open_file(void) {
    disk_new(&disk);
    CHECK_INT(snapshot_file_open(&file, &disk.disk, names, (struct snapshot_form){.summed = true}), 0);
    CHECK(snapshot_file_head(&file, &(struct snapshot_head){.now_ms = now_ms}));
}

static const struct entry *entry_of(const char *name, unsigned db) {
    struct key key = {bytes_of(name), hash_bytes(&stripes.seed, bytes_of(name))};
    struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, db, key);
    CHECK(e);
    return e;
}

static void keys_of_several_databases_take_turns(void) {
    struct snapshot_load load = {.disk = &disk.disk, .name = "dump.rdb", .summed = true, .now_ms = now_ms};
    open_shards(3);
    run_format("set a 1\nset b 2\nselect 3\nset c 3\nset d 4 px 1000\nselect 0\n");
    struct digest digest = digest_now();
    open_file();
    CHECK(snapshot_file_size(&file, 3, 2, 1) && snapshot_file_entry(&file, 3, entry_of("c", 3)));
    CHECK(snapshot_file_entry(&file, 0, entry_of("a", 0)) && snapshot_file_entry(&file, 0, entry_of("b", 0)));
    CHECK(snapshot_file_entry(&file, 3, entry_of("d", 3)));
    CHECK(snapshot_file_close(&file) == 0 && file.keys == 4 && !file.failed);
    CHECK(disk_files(&disk) == 1 && disk.named);
    empty_all();
    CHECK(snapshot_load_run(&load) == SNAPSHOT_LOADED);
    check_digest(&digest);
    disk_free(&disk);
    end();
}

static void what_is_dropped_or_fails_is_gone(void) {
    open_shards(1);
    run_format("set a 1\n");
    open_file();
    snapshot_file_drop(&file);
    CHECK(disk_files(&disk) == 0 && disk.calls[DISK_SYNCS] == 0);
    disk_free(&disk);
    open_file();
    disk.fails = DISK_WRITES;
    disk.fails_at = 1;
    CHECK(snapshot_file_entry(&file, 0, entry_of("a", 0))); /* it lies in a buffer */
    CHECK_INT(snapshot_file_close(&file), -EIO);
    CHECK(file.failed && disk_files(&disk) == 0);
    disk_free(&disk);
    disk_new(&disk);
    disk.fails = DISK_OPENS;
    disk.fails_at = 1;
    CHECK_INT(snapshot_file_open(&file, &disk.disk, names, (struct snapshot_form){0}), -EIO);
    disk_free(&disk);
    end();
}

int main(void) {
    RUN(keys_of_several_databases_take_turns);
    RUN(what_is_dropped_or_fails_is_gone);
    return 0;
}
