/* What is torn is kept beside the file before it is cut off, whatever fails. */
#include "server/journal/aof_cut.h"

#include "server/log.h"
#include "tests/unit/failing_disk.h"

static struct failing_disk disk;
static const char *failed;

static const struct bytes whole = BYTES_INIT("what is whole, and what is torn");

static void put_file(void) {
    disk_new(&disk);
    disk_put(&disk, "d/f", whole);
    disk_mend(&disk);
    disk.piece = 7;
}

static void the_tail_is_in_a_file_of_its_own(void) {
    put_file();
    CHECK_INT(aof_cut(&disk.disk, "d", "d/f", 13, &failed), 0);
    CHECK_BYTES(disk_contents(&disk, "d/f"), BYTES("what is whole"));
    CHECK_BYTES(disk_contents(&disk, "d/f.torn-13"), BYTES(", and what is torn"));
    CHECK(failed == NULL && disk.named);
    disk_free(&disk);
}

static void on_a_full_disk_it_is_cut_off_without_a_copy(void) {
    for (size_t room = 0; room < 18; room++) {
        put_file();
        disk.room = room;
        CHECK_INT(aof_cut(&disk.disk, "d", "d/f", 13, &failed), 0);
        CHECK_BYTES(disk_contents(&disk, "d/f"), BYTES("what is whole"));
        CHECK(disk_find(&disk, "d/f.torn-13") < 0);
        disk_free(&disk);
    }
}

static void what_fails_leaves_the_file(void) {
    for (unsigned call = 0; call < DISK_CALLS; call++)
        for (unsigned at = 1;; at++) {
            put_file();
            disk.fails = (enum disk_call)call;
            disk.fails_at = at;
            int error = aof_cut(&disk.disk, "d", "d/f", 13, &failed);
            bool was = disk.calls[call] >= at;
            bool reading = call == DISK_CLOSES && at == 2; /* of the file that was read alone */
            CHECK_INT(error, was && !reading ? -EIO : 0);
            size_t left = disk_contents(&disk, "d/f").len, kept = disk_contents(&disk, "d/f.torn-13").len;
            CHECK(left == whole.len || (left == 13 && kept == whole.len - 13));
            CHECK(!error == !failed);
            disk_free(&disk);
            if (!was) break;
        }
}

static void a_file_that_is_shorter_is_left(void) {
    put_file();
    CHECK_INT(aof_cut(&disk.disk, "d", "d/f", 100, &failed), -EINVAL);
    CHECK_INT(aof_cut(&disk.disk, "d", "d/g", 1, &failed), -ENOENT);
    CHECK_BYTES(disk_contents(&disk, "d/f"), whole);
    CHECK_INT(disk_files(&disk), 1);
    disk_free(&disk);
}

int main(void) {
    log_set_level(LOG_LEVEL_NOTHING);
    RUN(the_tail_is_in_a_file_of_its_own);
    RUN(on_a_full_disk_it_is_cut_off_without_a_copy);
    RUN(what_fails_leaves_the_file);
    RUN(a_file_that_is_shorter_is_left);
    return 0;
}
