/* What is saved is looked at, and nothing is changed, but where that is asked for. Each look is a process of its own. */
#include "server/process/check_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/call/command.h"
#include "server/config/config.h"
#include "tests/unit/aof_fixture.h"

static char directory[] = "/tmp/kevy-check-XXXXXX";

static void put_file(const char *path, struct bytes bytes) {
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(file, bytes.data, bytes.len) == (ssize_t)bytes.len && close(file) == 0);
}

static off_t size_of(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

/* The exit status. */
static int look_at(const char *path, bool repairs) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        config_defaults();
        CHECK(command_table_open() == NULL);
        _exit(check_data(path, repairs));
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const struct bytes rdb = BYTES_INIT("REDIS0003\xfe\0\0\1k\1v\xfc\1\0\0\0\0\0\0\0\0\1x\1v\xff");
static const struct bytes torn_rdb = BYTES_INIT("REDIS0003\xfe\0\0\1k\1v\xfc\1\0\0");
static const struct bytes aof = BYTES_INIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n");
static const struct bytes torn_aof = BYTES_INIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n");
static const struct bytes manifest =
    BYTES_INIT("file a.1.base.rdb seq 1 type b\nfile a.1.incr.aof seq 1 type i\n");

static void rdb_files_are_looked_at(void) {
    CHECK_INT(look_at(directory, false), 1); /* nothing is there */
    CHECK_INT(look_at("/nonexistent", false), 1);
    put_file("dump.rdb", rdb);
    CHECK_INT(look_at(directory, false), 0);
    CHECK_INT(look_at("dump.rdb", false), 0);
    put_file("dump.rdb", torn_rdb);
    CHECK_INT(look_at(directory, false), 1);
    CHECK_INT(look_at(directory, true), 1);
    CHECK_INT(size_of("dump.rdb"), torn_rdb.len);
    CHECK_INT(unlink("dump.rdb"), 0);
}

static void single_files_are_looked_at(void) {
    put_file("appendonly.aof", aof);
    CHECK_INT(look_at(directory, false), 0);
    put_file("appendonly.aof", torn_aof);
    CHECK_INT(look_at(directory, false), 1);
    CHECK_INT(look_at("appendonly.aof", false), 1);
    CHECK_INT(size_of("appendonly.aof"), torn_aof.len);
    CHECK_INT(look_at("appendonly.aof", true), 0);
    CHECK_INT(size_of("appendonly.aof"), aof.len);
    CHECK_INT(size_of("appendonly.aof.torn-27"), torn_aof.len - aof.len);
    CHECK_INT(look_at(directory, false), 0);
    put_file("appendonly.aof", BYTES("*1\r\n$6\r\nNOSUCH\r\n"));
    CHECK_INT(look_at(directory, true), 1);
    CHECK_INT(unlink("appendonly.aof"), 0);
    CHECK_INT(unlink("appendonly.aof.torn-27"), 0);
}

static void directories_of_them_are_looked_at(void) {
    char path[sizeof directory + 32];
    snprintf(path, sizeof path, "%s/files", directory);
    CHECK_INT(mkdir("files", 0700), 0);
    put_file("files/a.manifest", manifest);
    put_file("files/a.1.base.rdb", rdb);
    CHECK_INT(look_at(directory, false), 1); /* one is not there */
    put_file("files/a.1.incr.aof", aof);
    CHECK_INT(look_at(directory, false), 0);
    CHECK_INT(look_at(path, false), 0);
    CHECK_INT(look_at("files/a.manifest", false), 0);
    put_file("files/a.1.incr.aof", torn_aof);
    CHECK_INT(look_at(directory, false), 1);
    CHECK_INT(look_at(path, true), 0);
    CHECK_INT(size_of("files/a.1.incr.aof"), aof.len);
    CHECK_INT(size_of("files/a.1.incr.aof.torn-27"), torn_aof.len - aof.len);
    CHECK_INT(look_at(directory, false), 0);
    CHECK_INT(unlink("files/a.1.incr.aof.torn-27"), 0);
    CHECK_INT(unlink("files/a.1.incr.aof"), 0);
    CHECK_INT(unlink("files/a.1.base.rdb"), 0);
    CHECK_INT(unlink("files/a.manifest"), 0);
    CHECK_INT(rmdir("files"), 0);
}

static void every_directory_is_looked_at(void) {
    enum { MANY = 150 };
    char path[64];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "files%u", i);
        CHECK_INT(mkdir(path, 0700), 0);
        snprintf(path, sizeof path, "files%u/a.manifest", i);
        put_file(path, BYTES("file a.1.incr.aof seq 1 type i\n"));
        snprintf(path, sizeof path, "files%u/a.1.incr.aof", i);
        put_file(path, torn_aof);
    }
    CHECK_INT(look_at(directory, true), 0);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "files%u/a.1.incr.aof", i);
        CHECK_INT(size_of(path), aof.len);
        CHECK_INT(unlink(path), 0);
        snprintf(path, sizeof path, "files%u/a.1.incr.aof.torn-27", i);
        CHECK_INT(unlink(path), 0);
        snprintf(path, sizeof path, "files%u/a.manifest", i);
        CHECK_INT(unlink(path), 0);
        snprintf(path, sizeof path, "files%u", i);
        CHECK_INT(rmdir(path), 0);
    }
}

int main(void) {
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(rdb_files_are_looked_at);
    RUN(single_files_are_looked_at);
    RUN(directories_of_them_are_looked_at);
    RUN(every_directory_is_looked_at);
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
