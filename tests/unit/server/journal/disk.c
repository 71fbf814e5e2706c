/* The kernel's files behind the interface: what is written is read, and errors are what the kernel says. */
#include "server/journal/disk.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

static struct disk *const disk = &disk_kernel;

static void make(const char *path, struct bytes bytes) {
    int file = disk->open(disk, path, DISK_CREATE);
    CHECK(file >= 0);
    CHECK_INT(disk_write_whole(disk, file, bytes), 0);
    CHECK_INT(disk->sync(disk, file), 0);
    CHECK_INT(disk->close(disk, file), 0);
}

static void expect(const char *path, struct bytes bytes) {
    char data[64];
    int file = disk->open(disk, path, DISK_READ);
    CHECK(file >= 0);
    CHECK_INT(disk->size(disk, file), bytes.len);
    ssize_t got = disk->read(disk, file, data, sizeof data);
    CHECK(got >= 0);
    CHECK_BYTES(((struct bytes){data, (size_t)got}), bytes);
    CHECK_INT(disk->read(disk, file, data, sizeof data), 0);
    CHECK_INT(disk->close(disk, file), 0);
}

static void what_is_written_is_read(void) {
    make("a", BYTES("hello"));
    expect("a", BYTES("hello"));
    make("a", BYTES("new"));
    expect("a", BYTES("new"));
}

static void what_is_cut_off_is_gone_and_more_comes_behind_it(void) {
    int file = disk->open(disk, "cut", DISK_CREATE);
    CHECK(file >= 0);
    CHECK_INT(disk_write_whole(disk, file, BYTES("hello world")), 0);
    CHECK_INT(disk->truncate(disk, file, 6), 0);
    CHECK_INT(disk_write_whole(disk, file, BYTES("all")), 0);
    CHECK_INT(disk->sync(disk, file), 0);
    CHECK_INT(disk->close(disk, file), 0);
    expect("cut", BYTES("hello all"));
    CHECK_INT(disk->unlink(disk, "cut"), 0);
}

static void check_padding(uint64_t from, uint64_t to) {
    static char data[1 << 19];
    int file = disk->open(disk, "padded", DISK_READ);
    size_t len = 0;
    for (ssize_t got = 1; got > 0; len += (size_t)got) {
        got = disk->read(disk, file, data + len, sizeof data - len);
        CHECK(got >= 0);
    }
    CHECK_INT(disk->close(disk, file), 0);
    CHECK_INT(len, to);
    for (uint64_t at = from; at < to; at++) CHECK_INT(data[at], disk_pad_byte(at, to, '#'));
}

static void padding_is_written_over(void) {
    struct stat status;
    int file = disk->open(disk, "padded", DISK_CREATE);
    CHECK(file >= 0);
    CHECK_INT(disk_write_whole(disk, file, BYTES("one ")), 0);
    CHECK_INT(disk->pad(disk, file, 4, 10, '#'), 0);
    CHECK_INT(disk_write_whole(disk, file, BYTES("two")), 0);
    expect("padded", BYTES("one two##\n"));
    CHECK_INT(disk->pad(disk, file, 10, 300000, '#'), 0);
    CHECK_INT(disk->size(disk, file), 300000);
    check_padding(10, 300000);
    CHECK(stat("padded", &status) == 0 && status.st_blocks * 512 >= 300000); /* no hole */
    CHECK_INT(disk->truncate(disk, file, 7), 0);
    CHECK_INT(disk->close(disk, file), 0);
    expect("padded", BYTES("one two"));
    file = disk->open(disk, "padded", DISK_READ);
    CHECK_INT(disk->pad(disk, file, 7, 8, '#'), -EBADF);
    CHECK_INT(disk->close(disk, file), 0);
    CHECK_INT(disk->unlink(disk, "padded"), 0);
}

static void directories_are_made_once(void) {
    CHECK_INT(disk->make_directory(disk, "made"), 0);
    CHECK_INT(disk->make_directory(disk, "made"), -EEXIST);
    CHECK_INT(disk->make_directory(disk, "none/made"), -ENOENT);
    make("made/file", BYTES("x"));
    CHECK_INT(disk->sync_directory(disk, "made"), 0);
    CHECK_INT(disk->unlink(disk, "made/file"), 0);
    CHECK_INT(rmdir("made"), 0);
}

static void a_file_takes_the_place_of_another(void) {
    make("b", BYTES("other"));
    CHECK_INT(disk->rename(disk, "b", "a"), 0);
    CHECK_INT(disk->sync_directory(disk, "."), 0);
    expect("a", BYTES("other"));
    CHECK_INT(disk->open(disk, "b", DISK_READ), -ENOENT);
    CHECK_INT(disk->unlink(disk, "a"), 0);
    CHECK_INT(disk->unlink(disk, "a"), -ENOENT);
    CHECK_INT(disk->rename(disk, "a", "b"), -ENOENT);
}

static void errors_are_those_of_the_kernel(void) {
    char data[8];
    CHECK_INT(mkdir("d", 0700), 0);
    int file = disk->open(disk, "d", DISK_READ);
    CHECK(file >= 0);
    CHECK_INT(disk->size(disk, file), -EISDIR);
    CHECK_INT(disk->read(disk, file, data, sizeof data), -EISDIR);
    CHECK_INT(disk->close(disk, file), 0);
    CHECK_INT(disk->open(disk, "d", DISK_CREATE), -EISDIR);
    CHECK_INT(disk->open(disk, "none/x", DISK_CREATE), -ENOENT);
    CHECK_INT(disk->sync_directory(disk, "none"), -ENOENT);
    CHECK_INT(rmdir("d"), 0);
    file = disk->open(disk, "/dev/full", DISK_CREATE);
    if (file < 0) return; /* a machine without it */
    CHECK_INT(disk->write(disk, file, "x", 1), -ENOSPC);
    CHECK_INT(disk->close(disk, file), 0);
}

/* Else the test would wait for whatever the whole machine writes. */
static unsigned all_synced;
void __wrap_sync(void);
void __wrap_sync(void) {
    all_synced++;
}

/* By somebody who is not root, to whom nothing is forbidden. */
static void what_may_be_entered_is_synced_whether_it_may_be_read_or_not(void) {
    uid_t user = geteuid();
    CHECK(chmod(".", 0711) == 0 && mkdir("entered", 0700) == 0 && mkdir("shut", 0700) == 0);
    CHECK(chmod("entered", 0311) == 0 && chmod("shut", 0) == 0);
    if (user != 0 || seteuid(65534) == 0) { /* a user that not every container has */
        CHECK_INT(disk->sync_directory(disk, "entered"), 0);
        CHECK_INT(disk->sync_directory(disk, "shut"), -EACCES);
        CHECK_INT(all_synced, 1);
    }
    CHECK_INT(seteuid(user), 0);
    CHECK(rmdir("entered") == 0 && rmdir("shut") == 0);
}

static unsigned names_seen;
static void note_name(void *context, const char *name) {
    names_seen += strcmp(name, context) == 0;
    CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
}

static void directories_are_listed(void) {
    char name[] = "one";
    CHECK_INT(disk->make_directory(disk, "d"), 0);
    names_seen = 0;
    CHECK_INT(disk->list(disk, "d", note_name, name), 0);
    CHECK_INT(names_seen, 0);
    make("d/one", BYTES("1"));
    make("d/two", BYTES("2"));
    CHECK_INT(disk->list(disk, "d", note_name, name), 0);
    CHECK_INT(names_seen, 1);
    CHECK_INT(disk->list(disk, "none", note_name, name), -ENOENT);
    CHECK_INT(disk->list(disk, "d/one", note_name, name), -ENOTDIR);
    CHECK_INT(disk->unlink(disk, "d/one"), 0);
    CHECK_INT(disk->unlink(disk, "d/two"), 0);
    CHECK_INT(rmdir("d"), 0);
}

static void what_is_there_is_cut_off(void) {
    make("a", BYTES("hello"));
    int file = disk->open(disk, "a", DISK_CHANGE);
    CHECK(file >= 0);
    CHECK_INT(disk->truncate(disk, file, 2), 0);
    CHECK_INT(disk->close(disk, file), 0);
    expect("a", BYTES("he"));
    CHECK_INT(disk->unlink(disk, "a"), 0);
    CHECK_INT(disk->open(disk, "a", DISK_CHANGE), -ENOENT);
}

int main(void) {
    char directory[] = "/tmp/kevy-disk-XXXXXX";
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(what_is_written_is_read);
    RUN(what_is_cut_off_is_gone_and_more_comes_behind_it);
    RUN(padding_is_written_over);
    RUN(directories_are_made_once);
    RUN(a_file_takes_the_place_of_another);
    RUN(errors_are_those_of_the_kernel);
    RUN(what_may_be_entered_is_synced_whether_it_may_be_read_or_not);
    RUN(directories_are_listed);
    RUN(what_is_there_is_cut_off);
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
