/* What was saved is loaded at the start: append-only files where there are to be some, else an RDB file. */
#include "server/process/recover.h"

#include <fcntl.h>
#include <unistd.h>

#include "server/call/gate.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "tests/unit/snapshot_fixture.h"

static char directory[] = "/tmp/kevy-recover-XXXXXX";

static void put_file(struct bytes bytes) {
    int file = open("dump.rdb", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(file, bytes.data, bytes.len) == (ssize_t)bytes.len && close(file) == 0);
}

static const struct bytes whole = BYTES_INIT("REDIS0003\xfe\0\0\1k\1v\xfc\1\0\0\0\0\0\0\0\0\1x\1v\xff");
static const struct bytes torn = BYTES_INIT("REDIS0003\xfe\0\0\1k\1v\xfc\1\0\0");

static void without_a_file_there_is_nothing_to_do(void) {
    open_shards(3);
    CHECK(recover_begin() && !intake_going() && recover());
    CHECK_INT(keys_now(), 0);
    CHECK_INT(snapshot_figures(1700000000000).changes, 0);
    end();
}

static void what_was_saved_is_there(void) {
    open_shards(3);
    put_file(whole);
    CHECK(recover_begin() && intake_going());
    EXPECT(
        "get k\nping\necho hi\nauth x\n",
        "-LOADING Redis is loading the dataset in memory\r\n-LOADING Redis is loading the dataset in "
        "memory\r\n"
        "$2\r\nhi\r\n"
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your "
        "configuration is correct?\r\n");
    EXPECT("multi\nget k\nexec\n", "+OK\r\n-LOADING Redis is loading the dataset in memory\r\n"
                                   "-EXECABORT Transaction discarded because of previous errors.\r\n");
    CHECK(recover() && !intake_going());
    EXPECT("get k\ndbsize\n", "$1\r\nv\r\n:1\r\n");
    for (unsigned i = 0; i < stripes.count; i++) CHECK(!keyspace_news(stripes.all[i].keyspace));
    CHECK_INT(snapshot_figures(1700000000000).loaded_keys, 1);
    CHECK_INT(snapshot_figures(1700000000000).expired_keys, 1);
    end();
}

static void a_file_that_cannot_be_loaded_ends_the_start(void) {
    open_shards(3);
    put_file(torn);
    CHECK(recover_begin() && !recover());
    CHECK(intake_going()); /* until the end nobody sees half of it */
    EXPECT("get k\n", "-LOADING Redis is loading the dataset in memory\r\n");
    intake_end();
    gate_lower(GATE_LOADING);
    end();
}

static void append_only_files_come_first(void) {
    open_shards(3);
    put_file(whole);
    options_set("appendonly yes\n");
    int file = open("appendonly.aof", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct bytes command = BYTES("*3\r\n$3\r\nSET\r\n$1\r\nl\r\n$1\r\nw\r\n");
    CHECK(file >= 0 && write(file, command.data, command.len) == (ssize_t)command.len && close(file) == 0);
    recover_begin();
    CHECK(intake_going());
    CHECK(recover() && !intake_going());
    EXPECT("get l\nexists k\n", "$1\r\nw\r\n:0\r\n");
    CHECK_INT(snapshot_figures(now_ms).changes, 0);
    CHECK(access("appendonlydir/appendonly.aof", F_OK) == 0 && access("appendonly.aof", F_OK) != 0);
    CHECK(unlink("appendonlydir/appendonly.aof") == 0);
    recover_begin();
    CHECK(!recover()); /* what the manifest names is not there */
    intake_end();
    gate_lower(GATE_LOADING);
    CHECK(unlink("appendonlydir/appendonly.aof.manifest") == 0 && rmdir("appendonlydir") == 0);
    end();
}

int main(void) {
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(without_a_file_there_is_nothing_to_do);
    RUN(what_was_saved_is_there);
    RUN(a_file_that_cannot_be_loaded_ends_the_start);
    RUN(append_only_files_come_first);
    (void)unlink("dump.rdb");
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
