/* log.c - one write(2) per line, so that lines of several threads never mix.
 *
 * The first file opened gets a descriptor that is kept for ever: reopening puts the new file under the same number
 * with dup3, which the kernel does in one step, so writers need no lock. Text from users may hold anything;
 * control bytes become '?', so that nobody writes lines in our name or commands to the reader's terminal. */
#include "server/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/limits.h"
#include "server/lock_order.h"

enum {
    FOLLOW_US = 100 * 1000, /* between two looks whether the file is still where it was */
};

static atomic_int least_level = LOG_LEVEL_NOTICE;
static atomic_int log_fd = STDOUT_FILENO;
static struct mutex path_lock = MUTEX(LOCK_LOG);
static char log_path[PATH_MAX];
static _Atomic uint64_t next_look_us; /* monotonic */

/* Makes log_fd mean what fd means, and closes fd. */
static int target_replace(int fd) {
    if (log_fd == STDOUT_FILENO) {
        log_fd = fd;
        return 0;
    }
    int result = dup3(fd, log_fd, O_CLOEXEC) < 0 ? -errno : 0;
    close(fd);
    return result;
}

static int target_open(const char *path) {
    if (!*path && log_fd == STDOUT_FILENO) return 0;
    int fd = *path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644)
                   : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : target_replace(fd);
}

void log_set_level(enum log_level level) {
    least_level = (int)level;
}

int log_open(const char *path) {
    size_t len = strlen(path);
    if (len >= sizeof log_path) return -ENAMETOOLONG;
    mutex_lock(&path_lock);
    int result = target_open(path);
    if (result == 0) memcpy(log_path, path, len + 1);
    mutex_unlock(&path_lock);
    return result;
}

int log_reopen(void) {
    mutex_lock(&path_lock);
    int result = target_open(log_path);
    mutex_unlock(&path_lock);
    return result;
}

/* Is the open file no longer the one that the path means? What is no file (a terminal, a pipe) stays as it is. */
static bool target_is_elsewhere(void) {
    struct stat open_file, named;
    if (fstat(log_fd, &open_file) < 0 || !S_ISREG(open_file.st_mode)) return false;
    if (stat(log_path, &named) < 0) return errno == ENOENT;
    return S_ISREG(named.st_mode) && (named.st_ino != open_file.st_ino || named.st_dev != open_file.st_dev);
}

/* Log rotation need not tell us: redis-server opens the file for each line, so that files of logrotate rename it and send
 * no signal. Where the new one cannot be opened, the old one stays, and the next tick tries again. */
static void target_follow(void) {
    uint64_t now_us = clock_monotonic_us(), due_us = next_look_us;
    if (now_us < due_us || !atomic_compare_exchange_strong(&next_look_us, &due_us, now_us + FOLLOW_US))
        return;
    if (!mutex_try_lock(&path_lock)) return;
    if (*log_path && target_is_elsewhere()) (void)target_open(log_path);
    mutex_unlock(&path_lock);
}

/* "12345:M 22 Nov 2026 17:55:00.123 * ". All of this is far shorter than a line. */
static size_t head_format(char line[LOG_LINE_MAX], enum log_level level) {
    static const char marks[] = ".-*#";
    int64_t now_ms = clock_unix_ms();
    time_t now_s = (time_t)(now_ms / 1000);
    struct tm local;
    localtime_r(&now_s, &local);

    size_t len = (size_t)snprintf(line, LOG_LINE_MAX, "%d:M ", (int)getpid());
    len += strftime(line + len, LOG_LINE_MAX - len, "%d %b %Y %H:%M:%S", &local);
    len += (size_t)snprintf(line + len, LOG_LINE_MAX - len, ".%03d %c ", (int)(now_ms % 1000), marks[level]);
    return len;
}

static void controls_neutralise(char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f) text[i] = '?';
}

void log_write(enum log_level level, const char *format, ...) {
    if ((int)level < least_level || level >= LOG_LEVEL_NOTHING) return;
    int saved_errno = errno;
    char line[LOG_LINE_MAX];
    target_follow();
    size_t head = head_format(line, level), room = LOG_LINE_MAX - head;

    va_list arguments;
    va_start(arguments, format);
    int formatted = vsnprintf(line + head, room, format, arguments);
    va_end(arguments);
    size_t len = formatted < 0 ? 0 : (size_t)formatted < room ? (size_t)formatted : room - 1;

    controls_neutralise(line + head, len);
    line[head + len] = '\n'; /* where the NUL was */
    while (write(log_fd, line, head + len + 1) < 0 && errno == EINTR) {
    }
    errno = saved_errno;
}

void log_last(struct bytes line) {
    (void)!write(log_fd, line.data, line.len);
}
