/* Streams that are closed are held by something harmless, those that are open stay as they are. */
#include "server/process/streams.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static bool no_null, no_root;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    CHECK(!(flags & O_CREAT));
    if ((no_null && strcmp(path, "/dev/null") == 0) || (no_root && strcmp(path, "/") == 0)) {
        errno = ENOENT;
        return -1;
    }
    return __real_open(path, flags);
}

/* What became of a stream: 'n' for /dev/null, 'd' for a directory, 'x' for closed, '?' for anything else. */
static char kind(int fd) {
    struct stat found;
    if (fstat(fd, &found) < 0) return 'x';
    if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3)) return 'n';
    return S_ISDIR(found.st_mode) ? 'd' : '?';
}

/* In a process of its own, with pipes as streams: closes some, holds them, and checks what they are then. */
static void held(const char *closed, const char *expected, bool result) {
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int ends[2], told = fcntl(2, F_DUPFD, 10);
        if (told < 0 || pipe(ends) < 0) _exit(2);
        for (int fd = 0; fd < 3; fd++) dup2(ends[1], fd);
        for (const char *at = closed; *at; at++) close(*at - '0');
        char got[5] = {streams_hold() ? '+' : '-', kind(0), kind(1), kind(2), '\0'};
        if (got[0] == (result ? '+' : '-') && strcmp(got + 1, expected) == 0) _exit(0);
        dprintf(told, "closed %s: %s\n", closed, got);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(status, 0);
}

static void closed_streams_are_held_by_dev_null(void) {
    held("", "???", true);
    held("0", "n??", true);
    held("1", "?n?", true);
    held("2", "??n", true);
    held("02", "n?n", true);
    held("012", "nnn", true);
}

static void where_there_is_none_the_root_does(void) {
    no_null = true;
    held("012", "ddd", true);
    held("1", "?d?", true);
    no_root = true;
    held("", "???", true);
    held("1", "?x?", false);
    no_null = no_root = false;
}

int main(void) {
    RUN(closed_streams_are_held_by_dev_null);
    RUN(where_there_is_none_the_root_does);
    return 0;
}
