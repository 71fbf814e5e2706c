/* What was saved is loaded before there are threads, and is looked at where that alone is asked for. */
#include "server/process/recover.h"

#include <fcntl.h>
#include <sys/wait.h>
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
    recover_begin();
    CHECK(!intake_going() && recover());
    CHECK_INT(keys_now(), 0);
    CHECK_INT(snapshot_figures().changes, 0);
    end();
}

static void what_was_saved_is_there(void) {
    open_shards(3);
    put_file(whole);
    recover_begin();
    CHECK(intake_going());
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
    CHECK_INT(snapshot_figures().loaded_keys, 1);
    CHECK_INT(snapshot_figures().expired_keys, 1);
    end();
}

static void a_file_that_cannot_be_loaded_ends_the_start(void) {
    open_shards(3);
    put_file(torn);
    recover_begin();
    CHECK(!recover());
    CHECK(intake_going()); /* until the end nobody sees half of it */
    EXPECT("get k\n", "-LOADING Redis is loading the dataset in memory\r\n");
    intake_end();
    gate_lower(GATE_LOADING);
    end();
}

/* Stripes of its own are opened, in a process of its own. */
static void whole_is_well(void) {
    put_file(whole);
    _exit(recover_check(directory));
}
static void torn_is_not(void) {
    put_file(torn);
    _exit(recover_check(directory) == 1 ? 0 : 1);
}
static void none_is_not(void) {
    CHECK(unlink("dump.rdb") == 0);
    _exit(recover_check(directory) == 1 ? 0 : 1);
}
static void no_directory_is_not(void) {
    _exit(recover_check("/nonexistent") == 1 ? 0 : 1);
}

static void in_child(void (*check)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) check();
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void looking_tells_whether_all_is_well(void) {
    in_child(whole_is_well);
    in_child(torn_is_not);
    in_child(none_is_not);
    in_child(no_directory_is_not);
}

int main(void) {
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(without_a_file_there_is_nothing_to_do);
    RUN(what_was_saved_is_there);
    RUN(a_file_that_cannot_be_loaded_ends_the_start);
    RUN(looking_tells_whether_all_is_well);
    (void)unlink("dump.rdb");
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
