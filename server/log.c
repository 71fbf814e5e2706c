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
#include <time.h>
#include <unistd.h>

#include "server/lock_order.h"

enum { LINE_MAX_LEN = 1024 };

static atomic_int least_level = LOG_LEVEL_NOTICE;
static atomic_int log_fd = STDOUT_FILENO;
static struct mutex path_lock = MUTEX(LOCK_LOG);
static char log_path[PATH_MAX];

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

/* "12345:M 22 Nov 2026 17:55:00.123 * ". All of this is far shorter than a line. */
static size_t head_format(char line[LINE_MAX_LEN], enum log_level level) {
    static const char marks[] = ".-*#";
    struct timespec now;
    struct tm local;
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);

    size_t len = (size_t)snprintf(line, LINE_MAX_LEN, "%d:M ", (int)getpid());
    len += strftime(line + len, LINE_MAX_LEN - len, "%d %b %Y %H:%M:%S", &local);
    len += (size_t)snprintf(line + len, LINE_MAX_LEN - len, ".%03d %c ", (int)(now.tv_nsec / 1000000),
                            marks[level]);
    return len;
}

static void controls_neutralise(char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f) text[i] = '?';
}

void log_write(enum log_level level, const char *format, ...) {
    if ((int)level < least_level || level >= LOG_LEVEL_NOTHING) return;
    int saved_errno = errno;
    char line[LINE_MAX_LEN];
    size_t head = head_format(line, level), room = LINE_MAX_LEN - head;

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
