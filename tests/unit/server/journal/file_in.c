/* Files that are read: through a window, with what was not taken kept, and a checksum of what was. */
#include "server/journal/file_in.h"

#include "store/rdb/crc64.h"
#include "tests/unit/failing_disk.h"

static struct failing_disk disk;
static struct file_in in;
static char data[3 * FILE_IN_BUFFER + 77];

static void open_file(size_t piece) {
    unsigned long long state = 1;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)check_random(&state);
    disk_new(&disk);
    disk_put(&disk, "f", (struct bytes){data, sizeof data});
    disk_mend(&disk);
    disk.piece = piece;
    CHECK_INT(file_in_open(&in, &disk.disk, "f"), 0);
    CHECK_INT(in.size, sizeof data);
    CHECK_INT(in.input.len, 0);
}

static void close_file(void) {
    file_in_close(&in);
    disk_free(&disk);
}

/* Leaves up to `kept` bytes in each window. */
static void all_of_it_comes_in_order(void) {
    for (size_t kept = 0; kept < 300; kept += 149)
        for (size_t piece = 0; piece < 2; piece++) {
            open_file(piece * 30011);
            size_t at = 0;
            int more;
            while ((more = file_in_more(&in)) > 0) {
                size_t take = in.input.len > kept ? in.input.len - kept : 0;
                CHECK_INT(file_in_at(&in), at);
                CHECK(memcmp(in.input.data, data + at, in.input.len) == 0);
                in.input = (struct bytes){in.input.data + take, in.input.len - take};
                at += take;
                CHECK(file_in_checksum(&in) == crc64(0, (struct bytes){data, at}));
            }
            CHECK_INT(more, 0);
            CHECK_INT(at + in.input.len, sizeof data);
            CHECK_INT(file_in_more(&in), 0);
            CHECK(memcmp(in.input.data, data + at, in.input.len) == 0);
            close_file();
        }
}

static void errors_are_told(void) {
    open_file(0);
    disk.fails = DISK_READS;
    disk.fails_at = disk.calls[DISK_READS] + 2;
    CHECK_INT(file_in_more(&in), 1);
    in.input.data += in.input.len;
    in.input.len = 0;
    CHECK_INT(file_in_more(&in), -EIO);
    close_file();
    disk_new(&disk);
    CHECK_INT(file_in_open(&in, &disk.disk, "f"), -ENOENT);
    disk_put(&disk, "f", BYTES("x"));
    disk_mend(&disk);
    disk.fails = DISK_SIZES;
    disk.fails_at = 1;
    CHECK_INT(file_in_open(&in, &disk.disk, "f"), -EIO); /* and it is closed: disk_free looks */
    disk_free(&disk);
}

static void bytes_are_skipped(void) {
    static const size_t lens[] = {0, 1, FILE_IN_BUFFER - 1, FILE_IN_BUFFER, FILE_IN_BUFFER + 1, sizeof data};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        open_file(30011);
        in.unsummed = true;
        CHECK_INT(file_in_skip(&in, lens[i]), 1);
        CHECK_INT(file_in_at(&in), lens[i]);
        if (lens[i] < sizeof data) {
            CHECK(in.input.len || file_in_more(&in) == 1);
            CHECK(in.input.data[0] == data[lens[i]]);
        }
        CHECK_INT(file_in_skip(&in, sizeof data - lens[i] + 1), 0);
        CHECK_INT(in.checksum, 0);
        close_file();
    }
}

int main(void) {
    RUN(all_of_it_comes_in_order);
    RUN(errors_are_told);
    RUN(bytes_are_skipped);
    return 0;
}
