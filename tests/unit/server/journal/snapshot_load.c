/* Loading: all that was saved comes back, whatever the number of shards; what is no file is refused with its place; and
 * faults of the disk and of memory end in a word, not in half a value. */
#include "server/journal/snapshot_load.h"

#include "server/journal/snapshot_save.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/snapshot_fixture.h"

static struct failing_disk disk;
static uint64_t work;

static uint64_t told_taken;
static void progress(const struct snapshot_load *load) {
    CHECK(load->taken >= told_taken && load->taken <= load->size);
    told_taken = load->taken;
}

static enum snapshot_loaded load_it(struct snapshot_load *load) {
    load->disk = &disk.disk;
    load->name = "dump.rdb";
    load->work = &work;
    told_taken = 0;
    if (!load->now_ms) load->now_ms = now_ms;
    return snapshot_load_run(load);
}

static void save_it(void) {
    struct snapshot_save save = {
        .disk = &disk.disk, .name = "dump.rdb", .compressed = true, .summed = true, .now_ms = now_ms};
    CHECK_INT(snapshot_save_run(&save), 0);
    disk_mend(&disk);
}

static void all_comes_back_with_any_number_of_shards(void) {
    static const unsigned shard_counts[] = {1, 3, 8};
    for (size_t from = 0; from < 3; from++) {
        disk_new(&disk);
        open_shards(shard_counts[from]);
        make_values();
        struct digest saved = digest_now();
        uint64_t keys = keys_now();
        save_it();
        end();
        for (size_t to = 0; to < 3; to++) {
            struct snapshot_load load = {.summed = true, .progress = progress};
            open_shards(shard_counts[to]);
            disk.piece = 1 + 1000 * to;
            CHECK(load_it(&load) == SNAPSHOT_LOADED);
            check_digest(&saved);
            CHECK_INT(load.keys, keys);
            CHECK_INT(load.expired, 0);
            CHECK_INT(load.taken, load.size);
            CHECK(told_taken > 0);
            CHECK_INT(load.created_s, now_ms / 1000);
            CHECK(strcmp(load.version, COMPATIBLE_REDIS_VERSION) == 0 && work > 0);
            EXPECT("select 3\npttl soon\nselect 0\nhpttl fields fields 1 a\n",
                   "+OK\r\n:5000\r\n+OK\r\n*1\r\n:100000000000\r\n");
            end();
        }
        disk_free(&disk);
    }
}

static void keys_whose_time_has_come_are_left_out(void) {
    struct snapshot_load load = {.summed = true};
    disk_new(&disk);
    open_shards(3);
    run_format("set a 1 px 1000\nset b 1 px 2000\nset c 1\nhset h f v\nhpexpire h 1500 fields 1 f\n");
    save_it();
    empty_all();
    load.now_ms = now_ms += 1000;
    CHECK(load_it(&load) == SNAPSHOT_LOADED);
    CHECK_INT(load.keys, 3);
    CHECK_INT(load.expired, 1);
    EXPECT("exists a\nexists b\npttl b\nhlen h\n", ":0\r\n:1\r\n:1000\r\n:1\r\n");
    now_ms += 600;
    EXPECT("exists h\n", ":0\r\n");
    disk_free(&disk);
    end();
}

static void keys_that_are_there_are_replaced_only_if_asked_for(void) {
    struct snapshot_load load = {.summed = true};
    disk_new(&disk);
    open_shards(3);
    run_format("set k old\nset other v\n");
    save_it();
    run_format("set k new\ndel other\n");
    CHECK(load_it(&load) == SNAPSHOT_FAILED);
    CHECK(strstr(load.why, "dump.rdb: offset ") && strstr(load.why, "key \"k\": the key is there already"));
    load.replaces = true;
    CHECK(load_it(&load) == SNAPSHOT_LOADED);
    EXPECT("get k\nget other\n", "$3\r\nold\r\n$1\r\nv\r\n");
    disk_free(&disk);
    end();
}

static void looking_changes_nothing(void) {
    struct snapshot_load load = {.summed = true, .only_looks = true};
    disk_new(&disk);
    open_shards(3);
    make_values();
    save_it();
    run_format("set one more\n");
    struct digest before = digest_now();
    uint64_t keys = keys_now();
    CHECK(load_it(&load) == SNAPSHOT_LOADED);
    CHECK_INT(load.keys, keys - 1);
    check_digest(&before);
    disk_free(&disk);
    end();
}

static void check_nothing_is_left(uint64_t used) {
    CHECK_INT(heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps), used);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(!stripes.all[i].keyspace->dead.first);
}

/* Nor a large one's rest, which while commands run is freed in steps. */
static void a_value_that_is_not_kept_is_freed_before_the_next(void) {
    struct snapshot_load look = {.summed = true, .only_looks = true}, torn = look, late = {.summed = true};
    disk_new(&disk);
    open_shards(2);
    for (unsigned i = 0; i < 20000; i++)
        run_format("hset bighash field:%u %u\nsadd bigset member:%u\n", i, i, i);
    run_format("pexpire bighash 10\npexpire bigset 10\n");
    save_it();
    empty_all();
    uint64_t used = heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps);
    CHECK(load_it(&look) == SNAPSHOT_LOADED);
    check_nothing_is_left(used);
    now_ms += 100;
    CHECK(load_it(&late) == SNAPSHOT_LOADED);
    CHECK_INT(late.expired, 2);
    check_nothing_is_left(used);
    disk.files[disk_find(&disk, "dump.rdb")].len /= 2;
    CHECK(load_it(&torn) == SNAPSHOT_FAILED);
    check_nothing_is_left(used);
    disk_free(&disk);
    end();
}

static const struct {
    struct bytes file;
    const char *why; /* NULL: it is well */
} files[] = {
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v\xff\0\0\0\0\0\0\0\0"), NULL},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v\xff\0\0\0\0\0\0\0\0trailing"), NULL},
    {BYTES_INIT("REDIS0003\xfe\0\0\1k\1v\xff"), NULL}, /* has no checksum */
    {BYTES_INIT("REDIS0003\xfe\0\4\1k\0\xff"), NULL},  /* a hash of nothing is left out */
    {BYTES_INIT("REDIS0003\xff"), NULL},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v\xff\1\0\0\0\0\0\0\0"),
     "offset 17: RDB CRC error: what is before the checksum is not what was written"},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v\xff\0\0\0\0\0\0\0"),
     "offset 17: the file ends in the middle of this"},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v"), "offset 16: the file ends in the middle of this"},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\5v"),
     "offset 14: database 0, key \"k\": the file ends in the middle of this"},
    {BYTES_INIT("REDIS0010\xfe\0\0\2k"), "offset 11: the file ends in the middle of this"},
    {BYTES_INIT("REDIS0010\xfe\3\0\3\"\n\\\x81\0\0\0\x7f\xff\xff\xff\xff.........."),
     "offset 16: database 3, key \"\\x22\\x0a\\x5c\": no value is like this"},
    {BYTES_INIT("REDIS0010\xfe\0\4\1k\2\1a\1b\1a\1c\xff"),
     "offset 14: database 0, key \"k\": no value is like this"}, /* a field twice */
    {BYTES_INIT("REDIS0010\xfe\0\10\1k\1v\xff"),
     "offset 14: database 0, key \"k\": the value is of a type that kevy does not read"},
    {BYTES_INIT("REDIS0010\xfe\0\0\1k\1v\0\1k\1w\xff"),
     "offset 16: database 0, key \"k\": the key is there already"},
    {BYTES_INIT("REDIS0010\xfe\x11\0\1k\1v\xff"),
     "offset 9: database 17, where the option `databases` is 16"},
    {BYTES_INIT("REDIS0010\xf5\1f\xff"), "offset 9: it holds functions, and kevy has no scripts yet"},
    {BYTES_INIT("REDIS0099\xff"), "offset 0: it is of a version that kevy does not read"},
    {BYTES_INIT("nothing at all"), "offset 0: it is no RDB file"},
    {BYTES_INIT(""), "offset 0: the file ends in the middle of this"},
};

static void what_is_no_file_is_refused_with_its_place(void) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (unsigned piece = 0; piece < 4; piece++) {
            struct snapshot_load load = {.summed = true};
            char why[SNAPSHOT_WHY_SIZE] = "";
            disk_new(&disk);
            open_shards(3);
            disk_put(&disk, "dump.rdb", files[i].file);
            disk_mend(&disk);
            disk.piece = piece;
            bool loaded = load_it(&load) == SNAPSHOT_LOADED;
            if (files[i].why) snprintf(why, sizeof why, "dump.rdb: %s", files[i].why);
            if (loaded == (files[i].why != NULL) || strcmp(load.why, why) != 0) {
                fprintf(stderr, "file %zu: \"%s\", expected \"%s\"\n", i, load.why, why);
                exit(1);
            }
            disk_free(&disk);
            end();
        }
}

/* ---- Files that were changed ---------------------------------------------------------------------- */

static void make_small_file(void) {
    disk_new(&disk);
    open_shards(1);
    run_format("set text hello\nset number 17\nset soon 1 px 5000\nrpush list a 1 b\nsadd ints 1 2\nsadd "
               "words a b\n");
    run_format(
        "hset hash a b\nzadd scores 1 a 2.5 b\nhset fields a 1 b 2\nhpexpire fields 9000 fields 1 a\n");
    save_it();
    empty_all();
}

static void every_cut_is_refused(void) {
    make_small_file();
    struct failing_file *file = &disk.files[disk_find(&disk, "dump.rdb")];
    while (file->len-- > 0) {
        struct snapshot_load load = {.summed = true};
        CHECK(load_it(&load) == SNAPSHOT_FAILED);
        CHECK(strstr(load.why, "the file ends in the middle of this"));
        empty_all();
    }
    disk_free(&disk);
    end();
}

/* With the checksum none is taken, but that of a version which has none. Without it many are no faults, and none of
 * them does harm. */
static void every_flipped_bit_is_noticed(void) {
    unsigned taken = 0;
    make_small_file();
    struct failing_file *file = &disk.files[disk_find(&disk, "dump.rdb")];
    for (size_t bit = 0; bit < 8 * file->len; bit++) {
        struct snapshot_load load = {.summed = true}, unsummed = {.summed = false};
        file->data[bit / 8] ^= (char)(1 << bit % 8);
        bool summed = file->data[7] != '0';
        CHECK(load_it(&load) == SNAPSHOT_FAILED || !summed);
        empty_all();
        taken += load_it(&unsummed) == SNAPSHOT_LOADED;
        empty_all();
        file->data[bit / 8] ^= (char)(1 << bit % 8);
    }
    CHECK(taken > 100);
    disk_free(&disk);
    end();
}

/* ---- Faults --------------------------------------------------------------------------------------- */

static void errors_of_the_disk_are_told(void) {
    struct snapshot_load load = {.summed = true};
    make_small_file();
    CHECK(load_it(&load) == SNAPSHOT_LOADED);
    empty_all();
    static const enum disk_call calls[] = {DISK_OPENS, DISK_SIZES, DISK_READS};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        disk_mend(&disk);
        disk.piece = 100;
        disk.fails = calls[i];
        disk.fails_at = calls[i] == DISK_READS ? 3 : 1;
        CHECK(load_it(&load) == SNAPSHOT_FAILED);
        CHECK(strstr(load.why, "Input/output error"));
        CHECK(calls[i] != DISK_READS || strstr(load.why, "dump.rdb: offset "));
        empty_all();
    }
    disk_mend(&disk);
    disk.files[disk_find(&disk, "dump.rdb")].name[0] = '\0';
    CHECK(load_it(&load) == SNAPSHOT_ABSENT);
    disk_free(&disk);
    end();
}

static void without_memory_it_says_so(void) {
    unsigned failures = 0;
    disk_new(&disk);
    open_shards(3);
    make_values();
    save_it();
    empty_all();
    disk.piece = 4096;
    for (unsigned left = 0;; left += left < 40 ? 1 : 23) {
        struct snapshot_load load = {.summed = true};
        memory_left = left;
        enum snapshot_loaded loaded = load_it(&load);
        memory_left = UINT_MAX;
        empty_all();
        if (loaded == SNAPSHOT_LOADED) break;
        CHECK(strstr(load.why, "emory"));
        failures++;
    }
    printf("%u times\n", failures);
    CHECK(failures > 8);
    disk_free(&disk);
    end();
}

static void what_was_not_used_lately_is_not_new(void) {
    struct snapshot_load load = {.summed = true};
    disk_new(&disk);
    open_shards(3);
    disk_put(&disk, "dump.rdb", BYTES("REDIS0009\xf8\x40\xc8\0\1a\1v\xf9\7\0\1b\1v\xff\0\0\0\0\0\0\0\0"));
    CHECK(load_it(&load) == SNAPSHOT_LOADED);
    EXPECT("object idletime a\nobject idletime b\n", ":200\r\n:0\r\n");
    disk_free(&disk);
    end();
}

int main(void) {
    RUN(all_comes_back_with_any_number_of_shards);
    RUN(keys_whose_time_has_come_are_left_out);
    RUN(keys_that_are_there_are_replaced_only_if_asked_for);
    RUN(looking_changes_nothing);
    RUN(a_value_that_is_not_kept_is_freed_before_the_next);
    RUN(what_is_no_file_is_refused_with_its_place);
    RUN(every_cut_is_refused);
    RUN(every_flipped_bit_is_noticed);
    RUN(errors_of_the_disk_are_told);
    RUN(without_memory_it_says_so);
    RUN(what_was_not_used_lately_is_not_new);
    return 0;
}
