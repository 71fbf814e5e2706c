/* Manifests as Redis 7 writes and reads them; what is refused, and why; one whole manifest on the disk whatever fails. */
#include "server/journal/manifest.h"

#include "tests/unit/failing_disk.h"
#include "tests/unit/failing_memory.h"

char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static const struct manifest_place place = {"appendonlydir", "appendonly.aof"};
static struct failing_disk disk;
static char why[MANIFEST_WHY_SIZE];

static const char plain[] = "file appendonly.aof.2.base.rdb seq 2 type b\n"
                            "file appendonly.aof.1.base.rdb seq 1 type h\n"
                            "file appendonly.aof.1.incr.aof seq 1 type h\n"
                            "file appendonly.aof.2.incr.aof seq 2 type i\n"
                            "file appendonly.aof.3.incr.aof seq 3 type i\n";

static void expect_printed(const struct manifest *manifest, struct bytes expected) {
    struct buffer text = {0};
    CHECK_INT(manifest_print(manifest, &text), 0);
    CHECK_BYTES(buffer_bytes(&text), expected);
    buffer_free(&text);
}

static void expect_reads_as(struct bytes given, struct bytes expected) {
    struct manifest manifest = {0};
    int error = manifest_parse(&manifest, given, why);
    if (error) fprintf(stderr, "%s\n", why);
    CHECK_INT(error, 0);
    expect_printed(&manifest, expected);
    manifest_free(&manifest);
}

static void expect_refused(struct bytes given, const char *expected) {
    struct manifest manifest = {0};
    CHECK_INT(manifest_parse(&manifest, given, why), -EINVAL);
    CHECK_BYTES(bytes_of(why), bytes_of(expected));
    CHECK(manifest.files == NULL && manifest.count == 0);
}

static void what_is_read_is_printed_alike(void) {
    struct manifest manifest = {0};
    CHECK_INT(manifest_parse(&manifest, bytes_of(plain), why), 0);
    CHECK_INT(manifest.count, 5);
    CHECK_INT(manifest.base_seq, 2);
    CHECK_INT(manifest.incr_seq, 3);
    CHECK(strcmp(manifest_base(&manifest)->name, "appendonly.aof.2.base.rdb") == 0);
    CHECK(strcmp(manifest_last(&manifest)->name, "appendonly.aof.3.incr.aof") == 0);
    CHECK(manifest_has(&manifest, "appendonly.aof.3.incr.aof") && !manifest_has(&manifest, "appendonly.aof"));
    expect_printed(&manifest, bytes_of(plain));
    manifest_free(&manifest);
}

static void comments_blanks_and_unknown_pairs_are_skipped(void) {
    expect_reads_as(
        BYTES(
            "# made by hand\n  TYPE i startoffset 5  Seq 1\tfile a endoffset 9 \r\n#\nfile b seq 2 type i\n"),
        BYTES("file a seq 1 type i\nfile b seq 2 type i\n"));
    expect_reads_as(BYTES("# nothing but this\n"), BYTES(""));
}

static void names_are_quoted_where_that_is_needed(void) {
    expect_reads_as(BYTES("file \"a b\\x01\\\"\" seq 1 type b\nfile 'it\\'s' seq 1 type i\n"),
                    BYTES("file \"a b\\x01\\\"\" seq 1 type b\nfile \"it's\" seq 1 type i\n"));
    expect_reads_as(BYTES("file \xc3\xa4 seq 1 type b\n"), BYTES("file \"\\xc3\\xa4\" seq 1 type b\n"));
}

static void numbers_have_bounds(void) {
    expect_reads_as(BYTES("file a seq 9223372036854775807 type b\n"),
                    BYTES("file a seq 9223372036854775807 type b\n"));
    expect_refused(BYTES("file a seq 9223372036854775808 type b\n"),
                   "line 1: Invalid AOF manifest file format");
    expect_refused(BYTES("file a seq 0 type b\n"), "line 1: Invalid AOF manifest file format");
    expect_refused(BYTES("file a seq -1 type b\n"), "line 1: Invalid AOF manifest file format");
    expect_refused(BYTES("file a seq 1x type b\n"), "line 1: Invalid AOF manifest file format");
}

static void what_is_no_manifest_is_refused(void) {
    static const char invalid[] = "line 2: Invalid AOF manifest file format";
    expect_refused(BYTES(""), "Found an empty AOF manifest");
    expect_refused(BYTES("#\n\n"), invalid);
    expect_refused(BYTES("#\nfile a seq 1\n"), invalid);
    expect_refused(BYTES("#\nfile a seq 1 type b more\n"), invalid);
    expect_refused(BYTES("#\nfile a seq 1 other b\n"), invalid);
    expect_refused(BYTES("#\nfile a seq 1 seq 2 type b\n"), invalid);
    expect_refused(BYTES("#\nfile \"a seq 1 type b\n"), invalid);
    expect_refused(BYTES("#\nfile a seq 1 type bi\n"), invalid);
    expect_refused(BYTES("#\nfile \"\" seq 1 type b\n"), invalid);
    expect_refused(BYTES("#\nfile \"a\\x00b\" seq 1 type b\n"), invalid);
    expect_refused(BYTES("file a seq 1 type x\n"), "line 1: Unknown AOF file type");
    expect_refused(BYTES("file a seq 1 type b\nfile b seq 2 type b\n"),
                   "line 2: Found duplicate base file information");
    expect_refused(BYTES("file a seq 2 type i\nfile b seq 2 type i\n"),
                   "line 2: Found a non-monotonic sequence number");
    expect_refused(BYTES("file a seq 1 type b\nfile b seq 2 type i"), "line 2: the line has no end");
}

static void names_are_no_paths(void) {
    static const char no_path[] = "line 1: File can't be a path, just a filename";
    expect_refused(BYTES("file ../a seq 1 type b\n"), no_path);
    expect_refused(BYTES("file a\\b seq 1 type b\n"), no_path);
    expect_refused(BYTES("file .. seq 1 type b\n"), no_path);
    expect_refused(BYTES("file . seq 1 type b\n"), no_path);
}

static void lines_and_names_have_bounds(void) {
    char text[2048];
    char name[300];
    memset(name, 'n', sizeof name);
    int len = snprintf(text, sizeof text, "file %.255s seq 1 type b\n", name);
    expect_reads_as((struct bytes){text, (size_t)len}, (struct bytes){text, (size_t)len});
    len = snprintf(text, sizeof text, "file %.256s seq 1 type b\n", name);
    expect_refused((struct bytes){text, (size_t)len}, "line 1: The file's name is too long");
    len = snprintf(text, sizeof text, "file a seq 1 type b %1003s b\n", "x");
    CHECK_INT(len, MANIFEST_LINE_MAX + 2);
    expect_refused((struct bytes){text, (size_t)len}, "line 1: The AOF manifest file contains too long line");
    text[0] = '#';
    expect_reads_as((struct bytes){text, (size_t)len}, BYTES(""));
}

static void new_files_are_named_as_redis_names_them(void) {
    struct manifest manifest = {0};
    char name[MANIFEST_NAME_MAX + 1];
    CHECK(manifest_base(&manifest) == NULL && manifest_last(&manifest) == NULL);
    CHECK(manifest_next_base(name, &manifest, &place, true));
    CHECK_INT(manifest_add_base(&manifest, name, 1), 0);
    CHECK_INT(manifest_add_incr(&manifest, &place), 0);
    CHECK_INT(manifest_add_incr(&manifest, &place), 0);
    expect_printed(&manifest, BYTES("file appendonly.aof.1.base.rdb seq 1 type b\n"
                                    "file appendonly.aof.1.incr.aof seq 1 type i\n"
                                    "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    CHECK(manifest_next_base(name, &manifest, &place, false));
    CHECK_INT(manifest_add_base(&manifest, name, 2), 0);
    expect_printed(&manifest, BYTES("file appendonly.aof.2.base.aof seq 2 type b\n"
                                    "file appendonly.aof.1.base.rdb seq 1 type h\n"
                                    "file appendonly.aof.1.incr.aof seq 1 type h\n"
                                    "file appendonly.aof.2.incr.aof seq 2 type i\n"));
    manifest_free(&manifest);
}

static void behind_the_last_number_nothing_is_added(void) {
    struct manifest manifest = {0};
    struct bytes text =
        BYTES("file a seq 9223372036854775807 type b\nfile b seq 9223372036854775806 type i\n");
    CHECK_INT(manifest_parse(&manifest, text, why), 0);
    CHECK_INT(manifest_add_incr(&manifest, &place), 0);
    CHECK_INT(manifest_add_incr(&manifest, &place), -EOVERFLOW);
    CHECK_INT(manifest_add_base(&manifest, "c", 1), -EOVERFLOW);
    CHECK_INT(manifest.count, 3);
    manifest_free(&manifest);
}

static void names_that_are_too_long_are_not_added(void) {
    struct manifest manifest = {0};
    char path[MANIFEST_PATH_SIZE], name[300], next[MANIFEST_NAME_MAX + 1];
    memset(name, '\xff', sizeof name);
    name[253] = '\0';
    struct manifest_place odd = {"d", name};
    CHECK_INT(manifest_add_incr(&manifest, &odd), -ENAMETOOLONG);
    CHECK(!manifest_next_base(next, &manifest, &odd, true));
    CHECK_INT(manifest_add(&manifest, MANIFEST_INCR, 1, name), -ENAMETOOLONG); /* quoted */
    CHECK_INT(manifest.count, 0);
    CHECK(manifest_path(path, &place, "file") && strcmp(path, "appendonlydir/file") == 0);
    odd.directory = name;
    CHECK(manifest_path(path, &odd, name) && strlen(path) == 253 + 1 + 253);
    manifest_free(&manifest);
}

static void a_number_of_history_is_not_given_out_again(void) {
    struct manifest manifest = {0};
    char name[MANIFEST_NAME_MAX + 1];
    CHECK_INT(manifest_parse(&manifest, BYTES("file appendonly.aof.7.base.rdb seq 7 type h\n"), why), 0);
    CHECK(manifest_next_base(name, &manifest, &place, true));
    CHECK(strcmp(name, "appendonly.aof.8.base.rdb") == 0);
    manifest_free(&manifest);
    CHECK_INT(manifest_parse(&manifest,
                             BYTES("file appendonly.aof.9.incr.aof seq 9 type h\n"
                                   "file appendonly.aof.3.incr.aof seq 3 type i\n"),
                             why),
              0);
    CHECK_INT(manifest_add_incr(&manifest, &place), 0);
    CHECK(strcmp(manifest_last(&manifest)->name, "appendonly.aof.10.incr.aof") == 0);
    manifest_free(&manifest);
}

static void without_memory_nothing_changes(void) {
    struct manifest manifest = {0};
    for (unsigned left = 0;; left++) {
        memory_left = left;
        int error = manifest_parse(&manifest, bytes_of(plain), why);
        memory_left = UINT_MAX;
        if (!error) break;
        CHECK_INT(error, -EINVAL);
        CHECK(manifest.count == 0 && manifest.files == NULL);
    }
    memory_left = 0;
    CHECK_INT(manifest_add_base(&manifest, "b", 3), -ENOMEM);
    struct buffer text = {0};
    CHECK_INT(manifest_print(&manifest, &text), -ENOMEM);
    memory_left = UINT_MAX;
    expect_printed(&manifest, bytes_of(plain));
    manifest_free(&manifest);
}

/* ---- On the disk ---------------------------------------------------------------------------------- */

static const char file_name[] = "appendonlydir/appendonly.aof.manifest";

static void what_is_written_is_read(void) {
    struct manifest manifest = {0};
    const char *failed;
    disk_new(&disk);
    CHECK_INT(manifest_read(&manifest, &disk.disk, &place, why), -ENOENT);
    CHECK_INT(manifest_parse(&manifest, bytes_of(plain), why), 0);
    disk.piece = 10;
    CHECK_INT(manifest_write(&manifest, &disk.disk, &place, &failed), 0);
    CHECK(disk.named && failed == NULL);
    CHECK_INT(disk_files(&disk), 1);
    manifest_free(&manifest);
    CHECK_INT(manifest_read(&manifest, &disk.disk, &place, why), 0);
    expect_printed(&manifest, bytes_of(plain));
    manifest_free(&manifest);
    disk_put(&disk, file_name, BYTES("file a seq 1 type b\nfile\n"));
    CHECK_INT(manifest_read(&manifest, &disk.disk, &place, why), -EINVAL);
    CHECK_BYTES(bytes_of(why),
                BYTES("appendonlydir/appendonly.aof.manifest: line 2: Invalid AOF manifest file format"));
    disk_free(&disk);
}

static const enum disk_call calls_of_a_write[] = {DISK_OPENS,  DISK_WRITES,  DISK_SYNCS,
                                                  DISK_CLOSES, DISK_RENAMES, DISK_SYNCS_DIRECTORY};

static void what_fails_leaves_the_old_one(void) {
    struct manifest manifest = {0};
    const char *failed;
    CHECK_INT(manifest_parse(&manifest, bytes_of(plain), why), 0);
    for (size_t i = 0; i < sizeof calls_of_a_write / sizeof calls_of_a_write[0]; i++) {
        disk_new(&disk);
        disk_put(&disk, file_name, BYTES("old"));
        disk_mend(&disk);
        disk.fails = calls_of_a_write[i];
        disk.fails_at = 1;
        disk.piece = 10;
        CHECK_INT(manifest_write(&manifest, &disk.disk, &place, &failed), -EIO);
        CHECK(failed != NULL);
        CHECK_INT(disk_files(&disk), 1);
        if (disk.fails != DISK_SYNCS_DIRECTORY) CHECK_BYTES(disk_contents(&disk, file_name), BYTES("old"));
        disk_free(&disk);
    }
    manifest_free(&manifest);
}

static void what_cannot_be_read_is_told(void) {
    struct manifest manifest = {0};
    disk_new(&disk);
    disk_put(&disk, file_name, bytes_of(plain));
    disk_mend(&disk);
    disk.fails = DISK_READS;
    disk.fails_at = 1;
    CHECK_INT(manifest_read(&manifest, &disk.disk, &place, why), -EIO);
    CHECK_BYTES(bytes_of(why), BYTES("appendonlydir/appendonly.aof.manifest: Input/output error"));
    disk_free(&disk);
}

static void history_is_deleted(void) {
    struct manifest manifest = {0};
    int error;
    disk_new(&disk);
    disk_put(&disk, "appendonlydir/appendonly.aof.1.incr.aof", BYTES("x"));
    disk_put(&disk, "appendonlydir/appendonly.aof.2.incr.aof", BYTES("x"));
    disk_mend(&disk);
    CHECK_INT(manifest_parse(&manifest, bytes_of(plain), why), 0);
    disk.fails = DISK_UNLINKS;
    disk.fails_at = 2;
    CHECK(manifest_delete_history(&manifest, &disk.disk, &place, &error)); /* the base is not there */
    CHECK_INT(error, -EIO);
    expect_printed(&manifest, BYTES("file appendonly.aof.2.base.rdb seq 2 type b\n"
                                    "file appendonly.aof.1.incr.aof seq 1 type h\n"
                                    "file appendonly.aof.2.incr.aof seq 2 type i\n"
                                    "file appendonly.aof.3.incr.aof seq 3 type i\n"));
    CHECK(manifest_delete_history(&manifest, &disk.disk, &place, &error));
    CHECK_INT(error, 0);
    CHECK(!manifest_delete_history(&manifest, &disk.disk, &place, &error));
    expect_printed(&manifest, BYTES("file appendonly.aof.2.base.rdb seq 2 type b\n"
                                    "file appendonly.aof.2.incr.aof seq 2 type i\n"
                                    "file appendonly.aof.3.incr.aof seq 3 type i\n"));
    CHECK_INT(disk_files(&disk), 1);
    manifest_free(&manifest);
    disk_free(&disk);
}

static void files_that_no_manifest_names_are_not_written_over(void) {
    struct manifest manifest = {0};
    char name[MANIFEST_NAME_MAX + 1];
    disk_new(&disk);
    CHECK_INT(manifest_pass_strays(&manifest, &disk.disk, &place), 0);
    CHECK_INT(manifest.base_seq + manifest.incr_seq, 0);
    disk_put(&disk, "appendonlydir/appendonly.aof.7.base.rdb", BYTES(""));
    disk_put(&disk, "appendonlydir/appendonly.aof.12.incr.aof", BYTES(""));
    disk_put(&disk, "appendonlydir/appendonly.aof.13x.incr.aof", BYTES(""));
    disk_put(&disk, "appendonlydir/other.20.incr.aof", BYTES(""));
    CHECK_INT(manifest_pass_strays(&manifest, &disk.disk, &place), 0);
    CHECK(manifest_next_base(name, &manifest, &place, false) &&
          strcmp(name, "appendonly.aof.8.base.aof") == 0);
    CHECK_INT(manifest.incr_seq, 12);
    disk_mend(&disk);
    disk.fails = DISK_LISTS;
    disk.fails_at = 1;
    CHECK_INT(manifest_pass_strays(&manifest, &disk.disk, &place), -EIO);
    disk_free(&disk);
}

int main(void) {
    RUN(what_is_read_is_printed_alike);
    RUN(comments_blanks_and_unknown_pairs_are_skipped);
    RUN(names_are_quoted_where_that_is_needed);
    RUN(numbers_have_bounds);
    RUN(what_is_no_manifest_is_refused);
    RUN(names_are_no_paths);
    RUN(lines_and_names_have_bounds);
    RUN(new_files_are_named_as_redis_names_them);
    RUN(behind_the_last_number_nothing_is_added);
    RUN(names_that_are_too_long_are_not_added);
    RUN(a_number_of_history_is_not_given_out_again);
    RUN(without_memory_nothing_changes);
    RUN(what_is_written_is_read);
    RUN(what_fails_leaves_the_old_one);
    RUN(what_cannot_be_read_is_told);
    RUN(history_is_deleted);
    RUN(files_that_no_manifest_names_are_not_written_over);
    return 0;
}
