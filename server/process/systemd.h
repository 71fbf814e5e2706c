/* systemd.h - talking to the service manager, in systemd's protocols and without its library.
 *
 * What we tell: datagrams to $NOTIFY_SOCKET, if `supervised` allows (sd_notify(3)). What we get: listening
 * sockets, in $LISTEN_FDS (sd_listen_fds(3)), and how often to prove that we live, in $WATCHDOG_USEC
 * (sd_watchdog_enabled(3)). For the main thread alone. How it is used:
 *
 *     systemd_listen_fds(...)                      before opening sockets of one's own
 *     systemd_ready()                              when connections are served
 *     for (;;) {
 *         sigtimedwait(..., systemd_interval(&interval));
 *         if (systemd_due() && watchdog_shards_turn(...)) systemd_watchdog();
 *     }
 *     systemd_stopping()                           when shutting down begins */
#ifndef KEVY_SERVER_PROCESS_SYSTEMD_H
#define KEVY_SERVER_PROCESS_SYSTEMD_H

#include <stdbool.h>
#include <time.h>

/* Is there a service manager that wants to be told? Such a process must not go into the background. */
bool systemd_supervised(void);

/* These do nothing where systemd_supervised is false. */
void systemd_ready(void);
void systemd_stopping(void);
/* One line about what goes on, at most 200 bytes. */
void systemd_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void systemd_watchdog(void);
/* What is under way (a start, an end) needs so many seconds more, from now on. */
void systemd_extend(unsigned seconds);

/* How long to wait at most until systemd_due will be true: a half of the manager's patience after it last was.
 * NULL where no watchdog is asked for: wait as long as you like. */
struct timespec *systemd_interval(struct timespec *interval);
/* Is it time to look whether all is well? Once per interval. */
bool systemd_due(void);

/* The descriptors that came with the process, to be listened on: writes at most `max` of them, made close-on-exec, and
 * returns how many; what is beyond is closed. That they are listening sockets is only said, and is to be checked. The
 * variables are removed, so that a second call finds none. */
unsigned systemd_listen_fds(int *fds, unsigned max);

#endif
