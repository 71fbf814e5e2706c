/* streams.c - something harmless in the places of streams that are closed. */
#include "server/process/streams.h"

#include <fcntl.h>
#include <unistd.h>

/* Where there is no /dev/null, a descriptor that only names the root directory: whatever is written to it fails. */
static int open_nothing(void) {
    int fd = open("/dev/null", O_RDWR);
    return fd < 0 ? open("/", O_PATH | O_DIRECTORY) : fd;
}

bool streams_hold(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open_nothing() != fd) return false;
    return true;
}
