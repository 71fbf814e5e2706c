/* Directories of append-only files, and single ones of older servers: what is loaded, in which order, what is refused,
 * and what becomes of the files. */
#include "server/journal/aof_load.h"

#include "server/exec/replay.h"
#include "server/journal/batch.h"
#include "server/journal/snapshot_save.h"
#include "tests/unit/aof_fixture.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/snapshot_fixture.h"

#define DIRECTORY "appendonlydir"
#define BASE      DIRECTORY "/appendonly.aof.1.base.rdb"
#define INCR_1    DIRECTORY "/appendonly.aof.1.incr.aof"
#define INCR_2    DIRECTORY "/appendonly.aof.2.incr.aof"
#define MANIFEST  DIRECTORY "/appendonly.aof.manifest"

static struct failing_disk disk;
static struct aof_runner *runner;
static struct aof_load load;

static void begin_on_disk(void) {
    open_shards(3);
    disk_new(&disk);
    runner = replay_new(now_ms, false);
    CHECK(runner);
}

static void end_on_disk(void) {
    replay_free(runner);
    disk_free(&disk);
    end();
}

static void put_command(const char *path, const char *line) {
    struct buffer file = {0};
    aof_command(&file, line);
    disk_put(&disk, path, buffer_bytes(&file));
    buffer_free(&file);
}

/* Behind what the file has. */
static void add(const char *path, struct bytes bytes) {
    struct buffer file = {0};
    aof_add(&file, disk_contents(&disk, path));
    aof_add(&file, bytes);
    disk_put(&disk, path, buffer_bytes(&file));
    buffer_free(&file);
}

static enum aof_loaded load_with(struct aof_load options) {
    load = options;
    load.disk = &disk.disk;
    load.place = (struct manifest_place){DIRECTORY, "appendonly.aof"};
    load.runner = runner;
    load.now_ms = now_ms;
    enum aof_loaded loaded = aof_load(&load);
    manifest_free(&load.manifest);
    return loaded;
}

static void expect_loaded(void) {
    enum aof_loaded loaded = load_with((struct aof_load){.truncates = true, .summed = true});
    if (loaded == AOF_FAILED) fprintf(stderr, "%s\n", load.why);
    CHECK_INT(loaded, AOF_LOADED);
}

static void expect_refused(const char *why) {
    CHECK_INT(load_with((struct aof_load){.truncates = true}), AOF_FAILED);
    CHECK_BYTES(bytes_of(load.why), bytes_of(why));
}

/* A base with key a, two incremental files. */
static void put_directory(void) {
    run_format("set a base\nset old 1 pxat 1700000000001\n");
    struct snapshot_save save = {.disk = &disk.disk, .name = "saved", .summed = true, .now_ms = now_ms};
    CHECK_INT(snapshot_save_run(&save), 0);
    disk_put(&disk, BASE, disk_contents(&disk, "saved"));
    disk.disk.unlink(&disk.disk, "saved");
    empty_all();
    put_command(INCR_1, "SET b 1");
    put_command(INCR_2, "INCR b");
    disk_put(
        &disk, MANIFEST,
        BYTES("file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
              "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    disk_mend(&disk);
}

static void files_are_loaded_in_their_order(void) {
    begin_on_disk();
    put_directory();
    now_ms += 10; /* a key of the base has expired, and stays until it is looked at */
    expect_loaded();
    CHECK_INT(load.keys, 2);
    CHECK_INT(load.commands, 2);
    CHECK_INT(load.taken, load.size);
    CHECK_INT(keys_now(), 3);
    EXPECT("get a\nget b\nget old\n", "$4\r\nbase\r\n$1\r\n2\r\n$-1\r\n");
    CHECK_INT(disk_files(&disk), 4);
    end_on_disk();
}

static void the_size_is_known_before(void) {
    begin_on_disk();
    struct manifest_place place = {DIRECTORY, "appendonly.aof"};
    CHECK_INT(aof_size(&disk.disk, &place), 0);
    put_directory();
    size_t sum = disk_contents(&disk, BASE).len + disk_contents(&disk, INCR_1).len +
                 disk_contents(&disk, INCR_2).len;
    CHECK_INT(aof_size(&disk.disk, &place), sum);
    disk.disk.unlink(&disk.disk, MANIFEST);
    put_command("appendonly.aof", "SET k v");
    CHECK_INT(aof_size(&disk.disk, &place), disk_contents(&disk, "appendonly.aof").len);
    end_on_disk();
}

static void a_torn_end_is_cut_off_and_kept(void) {
    begin_on_disk();
    put_directory();
    uint64_t whole = disk_contents(&disk, INCR_2).len;
    add(INCR_2, BYTES("*2\r\n$4\r\nINCR\r\n$1"));
    CHECK_INT(load_with((struct aof_load){.keeps_disk = true}), AOF_LOADED);
    CHECK(load.torn && load.torn_at == whole && strcmp(load.last, "appendonly.aof.2.incr.aof") == 0);
    CHECK_INT(disk_contents(&disk, INCR_2).len, whole + 16);
    empty_all();
    CHECK_INT(load_with((struct aof_load){.truncates = false}), AOF_FAILED);
    CHECK(strstr(load.why,
                 "Unexpected end of file reading the append only file " INCR_2 " at offset 21. You can: 1)"));
    empty_all();
    expect_loaded();
    CHECK_INT(disk_contents(&disk, INCR_2).len, whole);
    CHECK_BYTES(disk_contents(&disk, INCR_2 ".torn-21"), BYTES("*2\r\n$4\r\nINCR\r\n$1"));
    EXPECT("get b\n", "$1\r\n2\r\n");
    end_on_disk();
}

/* Nothing is said of that, and no copy is kept. */
static void padding_is_cut_off(void) {
    for (int i = 0; i < 2; i++) {
        const char *path = i ? INCR_1 : INCR_2;
        struct buffer file = {0};
        char padding[300];
        memset(padding, BATCH_PAD, sizeof padding);
        begin_on_disk();
        put_directory();
        aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, i ? "SET b 1" : "INCR b");
        disk_put(&disk, path, buffer_bytes(&file));
        add(path, (struct bytes){padding, sizeof padding});
        CHECK_INT(load_with((struct aof_load){.keeps_disk = true}), AOF_LOADED);
        CHECK(!load.torn);
        CHECK_INT(disk_contents(&disk, path).len, file.len + sizeof padding);
        empty_all();
        CHECK_INT(load_with((struct aof_load){.truncates = false}), AOF_LOADED);
        CHECK(!load.torn && load.taken == load.size);
        CHECK_BYTES(disk_contents(&disk, path), buffer_bytes(&file));
        CHECK_INT(disk_files(&disk), 4);
        EXPECT("get b\n", "$1\r\n2\r\n");
        buffer_free(&file);
        end_on_disk();
    }
}

static void padding_that_cannot_be_cut_off_ends_the_load(void) {
    struct buffer file = {0};
    char padding[300];
    memset(padding, BATCH_PAD, sizeof padding);
    begin_on_disk();
    put_directory();
    aof_batch_of(&file, (struct aof_batch){1, 1, 0, NULL}, "INCR b");
    aof_add(&file, (struct bytes){padding, sizeof padding});
    disk_put(&disk, INCR_2, buffer_bytes(&file));
    disk_mend(&disk);
    disk.fails = DISK_TRUNCATES;
    disk.fails_at = 1;
    expect_refused("Could not cut off the padding, for " INCR_2 ": Input/output error");
    buffer_free(&file);
    end_on_disk();
}

/* The next one is there already, and nothing is in it: that was made before this one was synced. */
static void only_the_last_file_with_anything_in_it_may_be_torn(void) {
    begin_on_disk();
    put_directory();
    add(INCR_1, BYTES("*1"));
    expect_refused("Fatal error: the truncated file is not the last file: " INCR_1
                   " ends in the middle of something at offset 27");
    CHECK_INT(disk_contents(&disk, INCR_1).len, 29);
    empty_all();
    disk_put(&disk, INCR_2, BYTES(""));
    expect_loaded();
    CHECK_INT(disk_contents(&disk, INCR_1).len, 27);
    EXPECT("get b\n", "$1\r\n1\r\n");
    end_on_disk();
}

/* It was synced before the manifest named the file behind it, so whatever has cut it off was no crash. */
static void a_base_with_a_file_behind_it_is_never_torn(void) {
    begin_on_disk();
    put_directory();
    put_command(BASE, "SET a base");
    add(BASE, BYTES("*3\r\n$3\r\nSET"));
    struct buffer torn = {0};
    aof_add(&torn, disk_contents(&disk, BASE));
    disk_put(&disk, INCR_1, BYTES(""));
    for (unsigned empty = 0; empty < 2; empty++) {
        if (empty) disk_put(&disk, INCR_2, BYTES(""));
        empty_all();
        expect_refused("Fatal error: the truncated file is not the last file: " BASE
                       " ends in the middle of something at offset 30");
        CHECK_BYTES(disk_contents(&disk, BASE), buffer_bytes(&torn));
    }
    CHECK_INT(load_with((struct aof_load){.keeps_disk = true}), AOF_FAILED);
    empty_all();
    disk_put(&disk, MANIFEST, BYTES("file appendonly.aof.1.base.rdb seq 1 type b\n"));
    expect_loaded();
    CHECK_INT(disk_contents(&disk, BASE).len, 30);
    buffer_free(&torn);
    end_on_disk();
}

/* The first of two files was not synced when the second was begun, which says so, and then the power went. */
static void put_doubted(size_t lost, const char *doubt) {
    struct buffer first = {0}, second = {0}, third = {0};
    put_directory();
    aof_batch_of(&first, (struct aof_batch){1, 1, 0, NULL}, "SET b 1");
    aof_batch_of(&first, (struct aof_batch){2, 2, 1, NULL}, "SET b 2");
    char words[40];
    snprintf(words, sizeof words, " doubt=%zu", first.len);
    aof_batch_of(&second, (struct aof_batch){3, 3, 0, doubt ? doubt : words}, "SET b 3");
    aof_batch_of(&third, (struct aof_batch){4, 4, 3, NULL}, "SET b 4");
    disk_put(&disk, INCR_1, (struct bytes){first.data, first.len - lost});
    disk_put(&disk, INCR_2, buffer_bytes(&second));
    disk_put(&disk, DIRECTORY "/appendonly.aof.3.incr.aof", buffer_bytes(&third));
    add(MANIFEST, BYTES("file appendonly.aof.3.incr.aof seq 3 type i\n"));
    buffer_free(&first), buffer_free(&second), buffer_free(&third);
}

static void what_was_begun_in_doubt_goes_with_what_is_lost(void) {
    struct buffer batch = {0};
    aof_batch_of(&batch, (struct aof_batch){2, 2, 1, NULL}, "SET b 2");
    const size_t lost[] = {0, 1, batch.len, SIZE_MAX};
    for (unsigned i = 0; i < sizeof lost / sizeof lost[0]; i++) {
        begin_on_disk();
        put_doubted(lost[i] == SIZE_MAX ? 0 : lost[i], NULL);
        if (lost[i] == SIZE_MAX)
            disk_put(&disk, INCR_1, BYTES("")); /* not even its length came to the disk */
        expect_loaded();
        if (i == 0)
            EXPECT("get b\n", "$1\r\n4\r\n");
        else if (i < 3)
            EXPECT("get b\n", "$1\r\n1\r\n");
        else
            EXPECT("get b\n", "$-1\r\n");
        CHECK_INT(load.drops, i > 0);
        CHECK_INT(disk_contents(&disk, INCR_2).len == 0, i > 0);
        CHECK_INT(disk_find(&disk, INCR_2 ".torn-0") >= 0, i > 0);
        empty_all();
        expect_loaded();
        CHECK(!load.torn);
        end_on_disk();
    }
    begin_on_disk(); /* synced then, and damaged since */
    put_doubted(1, "");
    CHECK_INT(load_with((struct aof_load){.truncates = true}), AOF_FAILED);
    CHECK(strstr(load.why, "the truncated file is not the last file"));
    end_on_disk();
    begin_on_disk(); /* whoever only looks leaves it, and repairs it later */
    put_doubted(1, NULL);
    CHECK_INT(load_with((struct aof_load){.keeps_disk = true}), AOF_LOADED);
    CHECK(load.torn && load.drops && disk_contents(&disk, INCR_2).len > 0);
    end_on_disk();
    buffer_free(&batch);
}

static void a_transaction_is_whole_or_absent(void) {
    begin_on_disk();
    put_directory();
    add(INCR_2, BYTES("*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n"));
    expect_loaded();
    CHECK_INT(disk_contents(&disk, INCR_2).len, 21);
    EXPECT("get b\n", "$1\r\n2\r\n");
    empty_all();
    add(INCR_2, BYTES("*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n*1\r\n$4\r\nEXEC\r\n"));
    expect_loaded();
    EXPECT("get b\n", "$1\r\n3\r\n");
    end_on_disk();
}

static void faults_name_file_and_offset(void) {
    begin_on_disk();
    put_directory();
    add(INCR_1, BYTES("nonsense"));
    expect_refused("Bad file format reading the append only file " INCR_1
                   " at offset 27: make a backup of your AOF file, then use kevy --check-data DIR --repair");
    empty_all();
    disk_put(&disk, INCR_1, BYTES("*1\r\n$3\r\nFOO\r\n"));
    expect_refused("Unknown command 'FOO' reading the append only file " INCR_1 " at offset 0");
    empty_all();
    disk.disk.unlink(&disk.disk, INCR_1);
    expect_refused("The append only file " INCR_1
                   " of the manifest cannot be opened: No such file or directory");
    CHECK_INT(keys_now(), 0); /* it is noticed before anything is loaded */
    put_command(INCR_1, "SET b 1");
    add(BASE, BYTES("x"));
    CHECK_INT(load_with((struct aof_load){.truncates = true}), AOF_FAILED);
    CHECK(strstr(load.why, "Bad file format reading the append only file " BASE " at offset 1"));
    empty_all();
    disk_put(&disk, BASE, (struct bytes){disk_contents(&disk, BASE).data, 60});
    CHECK_INT(load_with((struct aof_load){.truncates = true}), AOF_FAILED);
    CHECK(strncmp(load.why, BASE ": offset ", sizeof BASE + 8) == 0);
    empty_all();
    disk_put(&disk, MANIFEST, BYTES("file a seq 1 type x\n"));
    expect_refused(MANIFEST ": line 1: Unknown AOF file type");
    end_on_disk();
}

static void without_files_there_is_nothing(void) {
    begin_on_disk();
    CHECK_INT(load_with((struct aof_load){.truncates = true}), AOF_ABSENT);
    put_directory();
    disk.disk.unlink(&disk.disk, MANIFEST);
    load = (struct aof_load){.disk = &disk.disk, .place = {DIRECTORY, "appendonly.aof"}, .runner = runner};
    CHECK_INT(aof_load(&load), AOF_ABSENT);
    CHECK_INT(load.manifest.base_seq, 1); /* files that are made now have other names */
    CHECK_INT(load.manifest.incr_seq, 2);
    manifest_free(&load.manifest);
    CHECK_INT(keys_now(), 0);
    CHECK_INT(disk_files(&disk), 3);
    end_on_disk();
}

static void history_is_deleted(void) {
    begin_on_disk();
    put_directory();
    disk_put(&disk, DIRECTORY "/old", BYTES("no such file"));
    add(MANIFEST, BYTES("file old seq 1 type h\n"));
    CHECK_INT(load_with((struct aof_load){.keeps_disk = true}), AOF_LOADED);
    CHECK_INT(disk_files(&disk), 5);
    empty_all();
    expect_loaded();
    CHECK_INT(disk_files(&disk), 4);
    CHECK(disk_find(&disk, DIRECTORY "/old") < 0);
    CHECK(!memmem(disk_contents(&disk, MANIFEST).data, disk_contents(&disk, MANIFEST).len, "type h", 6));
    end_on_disk();
}

/* ---- Single files --------------------------------------------------------------------------------- */

static void a_single_file_moves_to_the_directory(void) {
    begin_on_disk();
    put_command("appendonly.aof", "SET k v");
    add("appendonly.aof", BYTES("*"));
    expect_loaded();
    EXPECT("get k\n", "$1\r\nv\r\n");
    CHECK(disk_find(&disk, "appendonly.aof") < 0);
    CHECK_INT(disk_contents(&disk, DIRECTORY "/appendonly.aof").len, 27);
    CHECK_BYTES(disk_contents(&disk, MANIFEST), BYTES("file appendonly.aof seq 1 type b\n"));
    CHECK_BYTES(disk_contents(&disk, "appendonly.aof.torn-27"), BYTES("*"));
    empty_all();
    expect_loaded();
    EXPECT("get k\n", "$1\r\nv\r\n");
    end_on_disk();
}

/* It is a base then, and behind a base that a loss of power has torn no other file would be loaded. */
static void a_single_file_is_synced_before_another_stands_behind_it(void) {
    begin_on_disk();
    put_command("appendonly.aof", "SET k v");
    disk.files[disk_find(&disk, "appendonly.aof")].synced = 5; /* its server was killed */
    expect_loaded();
    const struct failing_file *base = &disk.files[disk_find(&disk, DIRECTORY "/appendonly.aof")];
    CHECK_INT(base->len, 27);
    CHECK_INT(base->synced, base->len);
    end_on_disk();
}

static void a_single_file_may_begin_as_rdb(void) {
    begin_on_disk();
    put_directory();
    disk_put(&disk, "appendonly.aof", disk_contents(&disk, BASE));
    disk.disk.unlink(&disk.disk, MANIFEST);
    add("appendonly.aof", BYTES("*3\r\n$6\r\nAPPEND\r\n$1\r\na\r\n$1\r\n!\r\n"));
    expect_loaded();
    EXPECT("get a\n", "$5\r\nbase!\r\n");
    end_on_disk();
}

/* The power went when the manifest was there and the file had not moved. */
static void a_move_that_was_cut_short_goes_on(void) {
    begin_on_disk();
    put_command("appendonly.aof", "SET k v");
    disk_put(&disk, MANIFEST, BYTES("file appendonly.aof seq 1 type b\n"));
    expect_loaded();
    EXPECT("get k\n", "$1\r\nv\r\n");
    CHECK(disk_find(&disk, DIRECTORY "/appendonly.aof") >= 0 && disk_find(&disk, "appendonly.aof") < 0);
    end_on_disk();
}

static void beside_other_files_a_single_one_is_left(void) {
    begin_on_disk();
    put_directory();
    put_command("appendonly.aof", "SET k v");
    expect_loaded();
    EXPECT("exists k\n", ":0\r\n");
    CHECK(disk_find(&disk, "appendonly.aof") >= 0);
    CHECK_INT(load_with((struct aof_load){.single = true, .keeps_disk = true}), AOF_LOADED);
    EXPECT("get k\n", "$1\r\nv\r\n");
    end_on_disk();
}

/* Whatever fails, what was there can be loaded still. */
static void errors_leave_what_was_there(void) {
    for (unsigned call = 0; call < DISK_CALLS; call++)
        for (unsigned at = 1;; at++) {
            begin_on_disk();
            put_command("appendonly.aof", "SET k v");
            add("appendonly.aof", BYTES("*"));
            disk_mend(&disk);
            disk.fails = (enum disk_call)call;
            disk.fails_at = at;
            enum aof_loaded loaded = load_with((struct aof_load){.truncates = true});
            bool was = disk.calls[call] >= at;
            CHECK(was || loaded == AOF_LOADED);
            CHECK(loaded == AOF_LOADED || load.why[0]);
            empty_all();
            disk_mend(&disk);
            expect_loaded();
            EXPECT("get k\n", "$1\r\nv\r\n");
            end_on_disk();
            if (!was) break;
        }
}

static void memory_that_runs_out_is_told(void) {
    begin_on_disk();
    put_directory();
    for (unsigned left = 0;; left++) {
        memory_left = left;
        enum aof_loaded loaded = load_with((struct aof_load){.keeps_disk = true});
        bool ran_out = memory_left == 0;
        memory_left = UINT_MAX;
        CHECK((loaded == AOF_FAILED) == (load.why[0] != '\0'));
        empty_all();
        if (!ran_out) break;
    }
    expect_loaded();
    end_on_disk();
}

int main(void) {
    RUN(files_are_loaded_in_their_order);
    RUN(the_size_is_known_before);
    RUN(a_torn_end_is_cut_off_and_kept);
    RUN(padding_is_cut_off);
    RUN(padding_that_cannot_be_cut_off_ends_the_load);
    RUN(only_the_last_file_with_anything_in_it_may_be_torn);
    RUN(a_base_with_a_file_behind_it_is_never_torn);
    RUN(what_was_begun_in_doubt_goes_with_what_is_lost);
    RUN(a_transaction_is_whole_or_absent);
    RUN(faults_name_file_and_offset);
    RUN(without_files_there_is_nothing);
    RUN(history_is_deleted);
    RUN(a_single_file_moves_to_the_directory);
    RUN(a_single_file_is_synced_before_another_stands_behind_it);
    RUN(a_single_file_may_begin_as_rdb);
    RUN(a_move_that_was_cut_short_goes_on);
    RUN(beside_other_files_a_single_one_is_left);
    RUN(errors_leave_what_was_there);
    RUN(memory_that_runs_out_is_told);
    return 0;
}
