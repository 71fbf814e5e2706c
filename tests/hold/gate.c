/* gate.c - stands between the server and fdatasync: as long as a test holds the lock of the file that KEVY_GATE names, the
 * disk takes nothing. Whoever waits there is let go by the kernel when the lock is given back. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

static int lock(int gate, int how) {
    int result;
    do result = flock(gate, how);
    while (result < 0 && errno == EINTR);
    return result;
}

int __wrap_fdatasync(int fd) {
    const char *path = getenv("KEVY_GATE");
    int gate = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (gate >= 0 && lock(gate, LOCK_SH) < 0) abort();
    int result = __real_fdatasync(fd), error = errno;
    if (gate >= 0) close(gate); /* and with it the lock */
    errno = error;
    return result;
}
