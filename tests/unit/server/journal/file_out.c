/* Files that are written: all of it is there, in calls of any size, or an error is told and nothing comes after it. */
#include "server/journal/file_out.h"

#include "store/rdb/crc64.h"
#include "tests/unit/failing_disk.h"

static struct failing_disk disk;
static struct file_out out;
static char data[3 * FILE_OUT_BUFFER];

static void fill(void) {
    unsigned long long state = 1;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)check_random(&state);
}

/* Writes all of `data`, `piece` bytes at a time. */
static bool write_pieces(size_t piece) {
    bool taken = true;
    for (size_t at = 0; at < sizeof data && taken; at += piece) {
        size_t len = sizeof data - at < piece ? sizeof data - at : piece;
        taken = out.sink.write(&out.sink, (struct bytes){data + at, len});
    }
    return taken;
}

static void all_bytes_arrive(void) {
    static const size_t pieces[] = {
        1000, 4096, FILE_OUT_BUFFER - 1, FILE_OUT_BUFFER, FILE_OUT_BUFFER + 1, sizeof data};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (size_t short_write = 0; short_write < 3; short_write++) {
            disk_new(&disk);
            disk.piece = short_write * 70001;
            CHECK(file_out_open(&out, &disk.disk, "f", true));
            CHECK(write_pieces(pieces[i]));
            CHECK_INT(out.bytes, sizeof data);
            CHECK(out.checksum == crc64(0, (struct bytes){data, sizeof data}));
            CHECK_INT(file_out_close(&out), 0);
            CHECK_BYTES(disk_contents(&disk, "f"), ((struct bytes){data, sizeof data}));
            CHECK_INT(disk.files[disk_find(&disk, "f")].synced, sizeof data);
            disk_free(&disk);
        }
}

static ssize_t swallow(struct disk *base, int file, const void *bytes, size_t len) {
    (void)base, (void)file, (void)bytes;
    return (ssize_t)len;
}

/* So that the last sync has little to do. */
static void long_files_are_synced_on_the_way(void) {
    enum { HALF_MIB = 1 << 19, MIBS = 70 };
    disk_new(&disk);
    disk.disk.write = swallow;
    CHECK(file_out_open(&out, &disk.disk, "f", false));
    for (unsigned i = 0; i < 2 * MIBS; i++) CHECK(out.sink.write(&out.sink, (struct bytes){data, HALF_MIB}));
    CHECK_INT(disk.calls[DISK_SYNCS], 2);
    CHECK_INT(file_out_close(&out), 0);
    CHECK_INT(disk.calls[DISK_SYNCS], 3);
    disk_free(&disk);
}

static void an_error_stays(void) {
    static const enum disk_call calls[] = {DISK_WRITES, DISK_SYNCS, DISK_CLOSES};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        disk_new(&disk);
        disk.fails = calls[i];
        disk.fails_at = 1;
        CHECK(file_out_open(&out, &disk.disk, "f", false));
        CHECK(write_pieces(1000) == (calls[i] != DISK_WRITES));
        CHECK(out.sink.write(&out.sink, BYTES("x")) == (calls[i] != DISK_WRITES));
        CHECK_INT(file_out_close(&out), -EIO);
        CHECK_INT(disk.calls[DISK_WRITES] > 1, calls[i] != DISK_WRITES); /* nothing comes after it */
        CHECK_INT(disk.calls[DISK_CLOSES], 1);
        disk_free(&disk);
    }
}

static void a_full_disk_is_told(void) {
    disk_new(&disk);
    disk.room = 100;
    CHECK(file_out_open(&out, &disk.disk, "f", false));
    CHECK(out.sink.write(&out.sink, (struct bytes){data, 200})); /* into the buffer */
    CHECK_INT(file_out_close(&out), -ENOSPC);
    CHECK_INT(disk.calls[DISK_SYNCS], 0);
    disk_free(&disk);
}

static void a_file_that_cannot_be_made_is_told(void) {
    disk_new(&disk);
    disk.fails = DISK_OPENS;
    disk.fails_at = 1;
    disk.error = -EACCES;
    CHECK(!file_out_open(&out, &disk.disk, "f", false));
    CHECK_INT(out.error, -EACCES);
    disk_free(&disk);
}

int main(void) {
    fill();
    RUN(all_bytes_arrive);
    RUN(long_files_are_synced_on_the_way);
    RUN(an_error_stays);
    RUN(a_full_disk_is_told);
    RUN(a_file_that_cannot_be_made_is_told);
    return 0;
}
