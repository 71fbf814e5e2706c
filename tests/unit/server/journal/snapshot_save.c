/* Saving: whatever fails, and whenever the process is killed, the old or the new file is there, whole. */
#include "server/journal/snapshot_save.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/journal/snapshot_load.h"
#include "store/rdb/crc64.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;

static int save_to(struct disk *where, struct snapshot_save *save) {
    *save = (struct snapshot_save){
        .disk = where, .name = "dump.rdb", .compressed = true, .summed = true, .now_ms = now_ms};
    return snapshot_save_run(save);
}

static struct snapshot_load look(struct disk *where) {
    struct snapshot_load load = {
        .disk = where, .name = "dump.rdb", .summed = true, .only_looks = true, .now_ms = now_ms};
    if (snapshot_load_run(&load) != SNAPSHOT_LOADED) {
        fprintf(stderr, "%s\n", load.why);
        exit(1);
    }
    return load;
}

/* No name is given to a file that is not synced. */
static void check_order(enum disk_call call) {
    if (call != DISK_RENAMES) return;
    for (int i = 0; i < DISK_FILES; i++)
        if (disk.files[i].name[0]) CHECK_INT(disk.files[i].synced, disk.files[i].len);
}

static void a_file_is_synced_before_it_is_named(void) {
    struct snapshot_save save;
    open_shards(3);
    make_values();
    disk_new(&disk);
    disk.before = check_order;
    CHECK_INT(save_to(&disk.disk, &save), 0);
    CHECK(save.failed == NULL && disk.named);
    CHECK_INT(disk_files(&disk), 1);
    CHECK_INT(save.keys, keys_now());
    CHECK_INT(save.bytes, disk_contents(&disk, "dump.rdb").len);
    CHECK_INT(look(&disk.disk).keys, keys_now());
    CHECK_INT(disk.calls[DISK_RENAMES], 1);
    disk_free(&disk);
    end();
}

/* What Redis 7.0 cannot read makes another version of the file, and a field that has lost its expiry does not. */
static void the_version_is_the_least_that_does(void) {
    struct snapshot_save save;
    open_shards(3);
    disk_new(&disk);
    run_format("hset h a 1\nset k v px 1000\n");
    CHECK_INT(save_to(&disk.disk, &save), 0);
    CHECK(memcmp(disk_contents(&disk, "dump.rdb").data, "REDIS0010", 9) == 0);
    run_format("hpexpireat h 1800000000000 fields 1 a\n");
    CHECK_INT(save_to(&disk.disk, &save), 0);
    CHECK(memcmp(disk_contents(&disk, "dump.rdb").data, "REDIS0012", 9) == 0);
    run_format("hpersist h fields 1 a\n");
    CHECK_INT(save_to(&disk.disk, &save), 0);
    CHECK(memcmp(disk_contents(&disk, "dump.rdb").data, "REDIS0010", 9) == 0);
    disk_free(&disk);
    end();
}

static void what_compresses_is_smaller(void) {
    struct snapshot_save save;
    open_shards(1);
    disk_new(&disk);
    make_values();
    CHECK_INT(save_to(&disk.disk, &save), 0);
    uint64_t compressed = save.bytes;
    save.compressed = save.summed = false;
    CHECK_INT(snapshot_save_run(&save), 0);
    CHECK(save.bytes > compressed + 4000);
    struct bytes file = disk_contents(&disk, "dump.rdb");
    CHECK_BYTES(((struct bytes){file.data + file.len - 8, 8}), BYTES("\0\0\0\0\0\0\0\0"));
    CHECK_INT(look(&disk.disk).keys, keys_now());
    disk_free(&disk);
    end();
}

/* One call after the other fails, of every kind: the old file stays as it was, and no other. */
static void an_error_leaves_the_old_file(void) {
    static const enum disk_call calls[] = {DISK_OPENS, DISK_WRITES, DISK_SYNCS, DISK_CLOSES, DISK_RENAMES};
    struct snapshot_save save;
    unsigned failures = 0;
    open_shards(3);
    make_values();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        for (unsigned at = 1; at < 100; at++) {
            disk_new(&disk);
            disk_put(&disk, "dump.rdb", BYTES("the old one"));
            disk_mend(&disk);
            disk.piece = 10000;
            disk.fails = calls[i];
            disk.fails_at = at;
            int error = save_to(&disk.disk, &save);
            CHECK(error == 0 || (error == -EIO && save.failed));
            CHECK_INT(disk_files(&disk), 1);
            if (error) CHECK_BYTES(disk_contents(&disk, "dump.rdb"), BYTES("the old one"));
            failures += error != 0;
            disk_free(&disk);
            if (!error) break;
        }
    CHECK(failures > 8);
    end();
}

static void a_full_disk_leaves_the_old_file(void) {
    struct snapshot_save save;
    open_shards(3);
    make_values();
    for (size_t room = 0; room < 100000; room += 5003) {
        disk_new(&disk);
        disk_put(&disk, "dump.rdb", BYTES("the old one"));
        disk_mend(&disk);
        disk.room = room;
        int error = save_to(&disk.disk, &save);
        CHECK(error == 0 || error == -ENOSPC);
        CHECK_INT(disk_files(&disk), 1);
        CHECK(!error || bytes_equal(disk_contents(&disk, "dump.rdb"), BYTES("the old one")));
        disk_free(&disk);
    }
    end();
}

/* The new file is there by name, and whole, but it is not said to be durable. */
static void a_directory_that_is_not_synced_is_told(void) {
    struct snapshot_save save;
    open_shards(1);
    run_format("set k v\n");
    disk_new(&disk);
    disk.fails = DISK_SYNCS_DIRECTORY;
    disk.fails_at = 1;
    CHECK_INT(save_to(&disk.disk, &save), -EIO);
    CHECK(strcmp(save.failed, "sync the directory") == 0);
    CHECK_INT(look(&disk.disk).keys, 1);
    disk_free(&disk);
    end();
}

static void without_memory_nothing_is_touched(void) {
    struct snapshot_save save;
    open_shards(1);
    disk_new(&disk);
    memory_left = 0;
    int error = save_to(&disk.disk, &save);
    memory_left = UINT_MAX;
    CHECK_INT(error, -ENOMEM);
    CHECK_INT(disk.calls[DISK_OPENS], 0);
    disk_free(&disk);
    end();
}

/* ---- Killed at every step ------------------------------------------------------------------------- */

/* The kernel's files, until the step at which the process is killed. */
static unsigned steps_left;
static void step(void) {
    if (steps_left-- == 0) raise(SIGKILL);
}
static int killed_open(struct disk *unused, const char *path, enum disk_mode mode) {
    step();
    return disk_kernel.open(&disk_kernel, path, mode);
}
static ssize_t killed_write(struct disk *unused, int file, const void *data, size_t len) {
    step();
    return disk_kernel.write(&disk_kernel, file, data, len < 7000 ? len : 7000);
}
static int killed_sync(struct disk *unused, int file) {
    step();
    return disk_kernel.sync(&disk_kernel, file);
}
static int killed_close(struct disk *unused, int file) {
    step();
    return disk_kernel.close(&disk_kernel, file);
}
static int killed_rename(struct disk *unused, const char *from, const char *to) {
    step();
    return disk_kernel.rename(&disk_kernel, from, to);
}
static int killed_sync_directory(struct disk *unused, const char *path) {
    step();
    int result = disk_kernel.sync_directory(&disk_kernel, path);
    step();
    return result;
}
static struct disk killed = {.open = killed_open,
                             .write = killed_write,
                             .sync = killed_sync,
                             .close = killed_close,
                             .rename = killed_rename,
                             .sync_directory = killed_sync_directory};

/* Saves in a child that is killed after so many steps. True: it was. */
static bool save_and_die(unsigned steps, char temporary[32]) {
    struct snapshot_save save;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        steps_left = steps;
        _exit(save_to(&killed, &save) == 0 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    snprintf(temporary, 32, "temp-%d.rdb", (int)child);
    CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0);
    return WIFSIGNALED(status);
}

static void killed_at_any_step_it_leaves_a_whole_file(void) {
    char directory[] = "/tmp/kevy-save-XXXXXX", temporary[32];
    struct snapshot_save save;
    unsigned old_files = 0, new_files = 0;
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    open_shards(3);
    make_values();
    uint64_t old_keys = keys_now();
    for (unsigned steps = 0;; steps++) {
        CHECK_INT(save_to(&disk_kernel, &save), 0);
        run_format("set one:more 1\n");
        bool died = save_and_die(steps, temporary);
        uint64_t keys = look(&disk_kernel).keys;
        CHECK(keys == old_keys || keys == old_keys + 1);
        old_files += keys == old_keys;
        new_files += keys != old_keys;
        (void)unlink(temporary);
        run_format("del one:more\n");
        if (!died) break;
    }
    printf("killed at %u steps: %u times the old file, %u times the new one\n", old_files + new_files - 1,
           old_files, new_files);
    CHECK(old_files > 5 && new_files >= 3);
    CHECK(unlink("dump.rdb") == 0 && rmdir(directory) == 0);
    end();
}

int main(void) {
    RUN(a_file_is_synced_before_it_is_named);
    RUN(the_version_is_the_least_that_does);
    RUN(what_compresses_is_smaller);
    RUN(an_error_leaves_the_old_file);
    RUN(a_full_disk_leaves_the_old_file);
    RUN(a_directory_that_is_not_synced_is_told);
    RUN(without_memory_nothing_is_touched);
    RUN(killed_at_any_step_it_leaves_a_whole_file);
    return 0;
}
