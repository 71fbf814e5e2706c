/* systemd.c - datagrams of "NAME=value" lines to an address found in the environment.
 *
 * A socket is made for each message: there are a handful in the life of a process, and one a watchdog
 * interval. A message that cannot be sent is lost; the manager will draw its own conclusions. */
#include "server/process/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/number.h"
#include "server/clock.h"
#include "server/config/config.h"

enum { STATUS_MAX = 200, LISTEN_FDS_FIRST = 3, LISTEN_FDS_MAX = 4096 };

static uint64_t due_us; /* monotonic time of the next look; 0: none was fixed yet */

/* ---- Numbers of the environment ------------------------------------------------------------------- */

static bool environment_u64(const char *name, uint64_t *value) {
    const char *text = getenv(name);
    return text && number_parse_u64(bytes_of(text), value);
}

/* Is this variable meant for this process? It names its pid where it may have been inherited by mistake. */
static bool is_own_pid(const char *name, bool required) {
    uint64_t pid;
    if (!getenv(name)) return !required;
    return environment_u64(name, &pid) && pid == (uint64_t)getpid();
}

/* ---- Telling -------------------------------------------------------------------------------------- */

/* A path, or with a leading @ a name in the abstract namespace. Returns the length, 0 where there is none. */
static socklen_t manager_address(struct sockaddr_un *address) {
    const char *path = getenv("NOTIFY_SOCKET");
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || (path[0] != '/' && path[0] != '@') || len >= sizeof address->sun_path) return 0;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, len);
    if (path[0] == '@') address->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

bool systemd_supervised(void) {
    struct sockaddr_un address;
    return config.supervised != CONFIG_NO && manager_address(&address) > 0;
}

static void tell(const char *message, size_t len) {
    struct sockaddr_un address;
    if (!systemd_supervised()) return;
    socklen_t address_len = manager_address(&address);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    while (sendto(fd, message, len, MSG_NOSIGNAL, (struct sockaddr *)&address, address_len) < 0 &&
           errno == EINTR) {
    }
    close(fd);
}

#define TELL(literal) tell("" literal, sizeof(literal) - 1)

void systemd_ready(void) {
    TELL("READY=1");
}

void systemd_stopping(void) {
    TELL("STOPPING=1");
}

void systemd_watchdog(void) {
    TELL("WATCHDOG=1");
}

void systemd_extend(unsigned seconds) {
    char message[64];
    int len = snprintf(message, sizeof message, "EXTEND_TIMEOUT_USEC=%llu", seconds * 1000000ull);
    tell(message, (size_t)len);
}

void systemd_status(const char *format, ...) {
    static const char name[] = "STATUS=";
    char message[sizeof name + STATUS_MAX];
    va_list values;
    memcpy(message, name, sizeof name);
    va_start(values, format);
    vsnprintf(message + sizeof name - 1, STATUS_MAX + 1, format, values);
    va_end(values);
    for (char *at = message; *at; at++)
        if (*at == '\n') *at = ' ';
    tell(message, strlen(message));
}

/* ---- Watchdog ------------------------------------------------------------------------------------- */

/* Half of the time after which the manager believes us dead; 0: it does not watch us. */
static uint64_t watchdog_interval_us(void) {
    uint64_t patience_us;
    if (!systemd_supervised() || !is_own_pid("WATCHDOG_PID", false)) return 0;
    return environment_u64("WATCHDOG_USEC", &patience_us) ? patience_us / 2 : 0;
}

struct timespec *systemd_interval(struct timespec *interval) {
    uint64_t interval_us = watchdog_interval_us(), now_us = clock_monotonic_us();
    if (interval_us == 0) return NULL;
    if (due_us == 0) due_us = now_us + interval_us;
    uint64_t left_us = due_us > now_us ? due_us - now_us : 0;
    *interval =
        (struct timespec){.tv_sec = (time_t)(left_us / 1000000), .tv_nsec = (long)(left_us % 1000000 * 1000)};
    return interval;
}

bool systemd_due(void) {
    uint64_t interval_us = watchdog_interval_us(), now_us = clock_monotonic_us();
    if (interval_us == 0 || now_us < due_us) return false;
    due_us = now_us + interval_us;
    return true;
}

/* ---- Sockets that came with the process ----------------------------------------------------------- */

static unsigned passed_count(void) {
    uint64_t count;
    if (!is_own_pid("LISTEN_PID", true) || !environment_u64("LISTEN_FDS", &count)) return 0;
    return count < LISTEN_FDS_MAX ? (unsigned)count : LISTEN_FDS_MAX;
}

unsigned systemd_listen_fds(int *fds, unsigned max) {
    unsigned passed = passed_count(), taken = 0;
    for (unsigned i = 0; i < passed; i++) {
        int fd = LISTEN_FDS_FIRST + (int)i;
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* if it is none, whoever uses it finds out */
        if (taken < max)
            fds[taken++] = fd;
        else
            close(fd);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return taken;
}
