/* Whatever call of the disk fails: what the manifest lists is there, what was listed before is not lost, and no number is
 * given to two files. */
#include "server/journal/aof_files.h"

#include "tests/unit/appender_fixture.h"

static struct aof_files files;
static struct manifest listed;

static void setup(void) {
    disk_new(&disk);
    CHECK(log_start("appendonly no\n"));
    EXPECT("set k v\n", OK);
    aof_files_open(&files, &disk.disk);
}

static void teardown(void) {
    manifest_free(&listed);
    aof_files_close(&files);
    log_stop();
    disk_free(&disk);
}

/* As it is on the disk. */
static void read_list(void) {
    static const struct manifest_place place = {"appendonlydir", "appendonly.aof"};
    char why[MANIFEST_WHY_SIZE];
    disk_mend(&disk);
    manifest_free(&listed);
    int error = manifest_read(&listed, &disk.disk, &place, why);
    CHECK(!error || error == -ENOENT);
}

static void check_listed_is_there(void) {
    char path[MANIFEST_PATH_SIZE];
    read_list();
    for (size_t i = 0; i < listed.count; i++) {
        snprintf(path, sizeof path, "appendonlydir/%s", listed.files[i].name);
        CHECK(listed.files[i].type == MANIFEST_HISTORY || disk_has(path));
    }
}

static void what_is_made_goes_on_behind_what_was_listed(void) {
    setup();
    CHECK_INT(aof_files_make(&files, false, now_ms), 0);
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.1.base.rdb seq 1 type b\n"
                                                      "file appendonly.aof.1.incr.aof seq 1 type i\n"));
    CHECK_BYTES(bytes_of(files.incr_path), BYTES(LOG_INCR(1)));
    CHECK_INT(aof_files_make(&files, false, now_ms), 0); /* nothing is in it yet */
    CHECK_BYTES(bytes_of(files.incr_path), BYTES(LOG_INCR(1)));
    int file = disk.disk.open(&disk.disk, LOG_INCR(1), DISK_CREATE);
    CHECK_INT(disk_write_whole(&disk.disk, file, BYTES("*1\r\n")), 0);
    CHECK_INT(disk.disk.close(&disk.disk, file), 0);
    CHECK_INT(aof_files_make(&files, false, now_ms), 0);
    CHECK_BYTES(bytes_of(files.incr_path), BYTES(LOG_INCR(2)));
    uint64_t base, others;
    aof_files_measure(&files, files.incr_path, &base, &others);
    CHECK_INT(base, disk_contents(&disk, LOG_BASE(1)).len);
    CHECK_INT(others, base + 4);
    CHECK_INT(aof_files_make(&files, true, now_ms), 0);
    CHECK(!disk_has(LOG_BASE(1)) && !disk_has(LOG_INCR(1)) && !disk_has(LOG_INCR(2)));
    CHECK_BYTES(disk_contents(&disk, LOG_LIST), BYTES("file appendonly.aof.2.base.rdb seq 2 type b\n"
                                                      "file appendonly.aof.3.incr.aof seq 3 type i\n"));
    teardown();
}

/* Each call of each kind fails once, where a base is made anew or a file is added. */
static void what_fails_leaves_what_was_listed(void) {
    unsigned failures = 0;
    for (enum disk_call call = DISK_OPENS; call < DISK_CALLS; call++)
        for (unsigned at = 1, anew = 0; at < 30; at += anew, anew = !anew) {
            setup();
            CHECK_INT(aof_files_make(&files, false, now_ms), 0);
            int file = disk.disk.open(&disk.disk, LOG_INCR(1), DISK_CREATE);
            CHECK_INT(disk_write_whole(&disk.disk, file, BYTES("*1\r\n")), 0);
            CHECK_INT(disk.disk.close(&disk.disk, file), 0);
            disk_mend(&disk);
            disk.fails = call;
            disk.fails_at = at;
            int error = aof_files_make(&files, anew, now_ms);
            bool met = disk.calls[call] >= at;
            failures += error != 0;
            CHECK(!files.lacks_room);
            check_listed_is_there();
            CHECK(manifest_base(&listed) && (error || manifest_has(&listed, "appendonly.aof.2.incr.aof")));
            CHECK_INT(aof_files_make(&files, anew, now_ms), 0);
            check_listed_is_there();
            CHECK(manifest_has(&listed, files.incr_path + strlen("appendonlydir/")));
            teardown();
            if (!met && anew) break;
        }
    CHECK(failures > 10);
}

static void a_number_is_given_to_one_file_alone(void) {
    setup();
    CHECK_INT(aof_files_make(&files, false, now_ms), 0);
    mutex_lock(&files.mutex);
    CHECK_INT(aof_files_make_incr(&files), 0);
    CHECK_BYTES(bytes_of(files.incr_path), BYTES(LOG_INCR(2)));
    aof_files_fall_back(&files); /* it was not listed */
    CHECK(!manifest_has(&files.manifest, "appendonly.aof.2.incr.aof"));
    CHECK_INT(aof_files_make_incr(&files), 0);
    CHECK_BYTES(bytes_of(files.incr_path), BYTES(LOG_INCR(3)));
    CHECK_INT(aof_files_write(&files), 0);
    mutex_unlock(&files.mutex);
    check_listed_is_there();
    CHECK(manifest_has(&listed, "appendonly.aof.3.incr.aof"));
    teardown();
}

static void a_base_is_dropped_unless_it_is_listed(void) {
    for (unsigned lists = 0; lists < 2; lists++) {
        setup();
        CHECK_INT(aof_files_make(&files, false, now_ms), 0);
        mutex_lock(&files.mutex);
        CHECK_INT(aof_files_name_base(&files), 0);
        CHECK_BYTES(bytes_of(files.base_path), BYTES(LOG_BASE(2)));
        int file = disk.disk.open(&disk.disk, files.base_path, DISK_CREATE);
        CHECK_INT(disk.disk.close(&disk.disk, file), 0);
        if (lists) CHECK_INT(aof_files_list_base(&files, 1), 0);
        aof_files_drop_base(&files);
        mutex_unlock(&files.mutex);
        CHECK_INT(disk_has(LOG_BASE(2)), lists);
        CHECK(disk_has(LOG_BASE(1)));
        teardown();
    }
}

static void only_what_is_not_listed_is_dropped(void) {
    setup();
    CHECK_INT(aof_files_make(&files, false, now_ms), 0);
    mutex_lock(&files.mutex);
    CHECK_INT(aof_files_make_incr(&files), 0);
    mutex_unlock(&files.mutex);
    CHECK(disk_has(LOG_INCR(2)));
    aof_files_drop_unlisted(&files);
    CHECK(!disk_has(LOG_INCR(2)) && disk_has(LOG_INCR(1)) && disk_has(LOG_BASE(1)));
    CHECK_INT(disk.disk.unlink(&disk.disk, LOG_LIST), 0); /* now nobody knows */
    aof_files_drop_unlisted(&files);
    CHECK(disk_has(LOG_INCR(1)) && disk_has(LOG_BASE(1)));
    teardown();
}

int main(void) {
    RUN(what_is_made_goes_on_behind_what_was_listed);
    RUN(what_fails_leaves_what_was_listed);
    RUN(a_number_is_given_to_one_file_alone);
    RUN(a_base_is_dropped_unless_it_is_listed);
    RUN(only_what_is_not_listed_is_dropped);
    return 0;
}
