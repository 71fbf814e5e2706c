/* A directory is one server's, and what killed ones left there goes. */
#include "server/journal/claim.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/config/config.h"
#include "tests/check.h"

static char directory[] = "/tmp/kevy-claim-XXXXXX";
static char locks[512]; /* what /proc/locks says; "": what it does say */

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode) {
    if (strcmp(path, "/proc/locks") == 0 && locks[0]) return fmemopen(locks, strlen(locks), "r");
    return __real_fopen(path, mode);
}

static void make(const char *name) {
    int file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(file >= 0 && close(file) == 0);
}

static bool exists(const char *name) {
    return access(name, F_OK) == 0;
}

/* In a process of its own, which inherits no claim. */
static void in_child(void (*check)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        check();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static int told[2], go_on[2];
static void claim_and_wait(void) {
    char why[CLAIM_WHY_SIZE], byte;
    CHECK(claim_directory(why) && write(told[1], "x", 1) == 1);
    CHECK(read(go_on[0], &byte, 1) == 1);
}

static void another_server_is_named(void) {
    char why[CLAIM_WHY_SIZE] = "", expected[CLAIM_WHY_SIZE], byte;
    int status;
    CHECK(pipe(told) == 0 && pipe(go_on) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        claim_and_wait();
        _exit(0);
    }
    CHECK(read(told[0], &byte, 1) == 1);
    CHECK(!claim_directory(why));
    snprintf(expected, sizeof expected,
             "another server (pid %d) keeps its data in the directory %s: ", (int)child, config.dir);
    CHECK(strncmp(why, expected, strlen(expected)) == 0);
    CHECK_INT(claim_holder("."), child);
    CHECK(!claim_for_repair(".", false) && !claim_for_repair(".", true));
    make("temp-999999999.rdb");
    CHECK_INT(claim_tidy(), 0); /* it may be the other's */
    CHECK(exists("temp-999999999.rdb"));
    CHECK(write(go_on[1], "x", 1) == 1 && waitpid(child, &status, 0) == child && status == 0);
    CHECK_INT(claim_holder("."), -1); /* it ends with the process */
    CHECK(claim_directory(why) && claim_directory(why));
    CHECK_INT(claim_holder(directory), getpid());
    claim_release();
    claim_release();
    CHECK_INT(claim_holder("."), -1);
    CHECK_INT(claim_tidy(), 1);
}

/* Numbers of inodes are a file system's own; and some show another device there than elsewhere. */
static void the_device_counts_unless_the_directory_is_locked(void) {
    static const char line[] = "%d: FLOCK  ADVISORY  WRITE %d %02x:%02x:%llu 0 EOF\n";
    struct stat here;
    char why[CLAIM_WHY_SIZE];
    CHECK_INT(stat(".", &here), 0);
    claim_release(); /* claim_tidy's */
    unsigned long long inode = here.st_ino;
    unsigned at = major(here.st_dev), minor_at = minor(here.st_dev);
    int len = snprintf(locks, sizeof locks, line, 1, 4711, at, minor_at + 1, inode);
    CHECK_INT(claim_holder("."), -1);
    CHECK(claim_directory(why));
    CHECK_INT(claim_holder("."), 4711);
    claim_release();
    CHECK_INT(claim_holder("."), -1);
    snprintf(locks + len, sizeof locks - (size_t)len, line, 2, 4712, at, minor_at, inode);
    CHECK_INT(claim_holder("."), 4712);
    locks[0] = '\0';
}

static void repair(void) {
    char why[CLAIM_WHY_SIZE];
    CHECK(claim_for_repair("nothing", false)); /* nobody has it */
    CHECK(claim_for_repair(".", false));
    CHECK(!claim_directory(why));
}
static void repair_within(void) {
    char why[CLAIM_WHY_SIZE];
    CHECK(claim_for_repair(".", true) && claim_for_repair(".", true)); /* two do so */
    CHECK(!claim_for_repair(".", false) && !claim_directory(why));
}
static void no_server_begins_where_files_are_repaired(void) {
    in_child(repair);
    in_child(repair_within);
    CHECK_INT(claim_holder("."), -1);
}

static void what_was_left_half_written_goes(void) {
    static const char *const others[] = {"temp-.rdb",   "temp-1x.rdb", "temp-1234567890.rdb",
                                         "temp-0.rdb",  "temp-7.rdb2", "dump.rdb",
                                         "xtemp-7.rdb", "temp-7.aof",  "temp-rewriteaof-bg-7.rdb"};
    char own[32], parent[32];
    snprintf(own, sizeof own, "temp-%d.rdb", (int)getpid());
    snprintf(parent, sizeof parent, "temp-%d.rdb", (int)getppid());
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) make(others[i]);
    make(own);
    make(parent); /* it lives, and may be another server's */
    make("temp-999999998.rdb");
    make("temp-rewriteaof-bg-999999998.aof");
    CHECK_INT(claim_tidy(), 3);
    CHECK(!exists("temp-rewriteaof-bg-999999998.aof"));
    CHECK(!exists(own) && !exists("temp-999999998.rdb") && exists(parent));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        CHECK(exists(others[i]) && unlink(others[i]) == 0);
    CHECK_INT(unlink(parent), 0);
    claim_release();
}

static void where_nothing_can_be_locked_it_goes_on(void) {
    char why[CLAIM_WHY_SIZE], deep[64];
    snprintf(deep, sizeof deep, "%s/gone", directory);
    CHECK(mkdir(deep, 0700) == 0 && chdir(deep) == 0 && rmdir(deep) == 0);
    CHECK_INT(claim_holder("gone"), -1);
    CHECK(claim_directory(why)); /* a directory that was removed can be locked still, or not */
    claim_release();
}

int main(void) {
    config_defaults();
    CHECK(mkdtemp(directory) && chdir(directory) == 0);
    RUN(another_server_is_named);
    RUN(the_device_counts_unless_the_directory_is_locked);
    RUN(no_server_begins_where_files_are_repaired);
    RUN(what_was_left_half_written_goes);
    in_child(where_nothing_can_be_locked_it_goes_on);
    CHECK_INT(rmdir(directory), 0);
    return 0;
}
