/* The service manager's protocols: messages, the watchdog's interval, passed sockets. */
#include "server/process/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/config/config.h"
#include "tests/check.h"

/* A manager that listens at an abstract address or at a path. */
static int manager_open(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(fd >= 0);
    CHECK(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ==
          0);
    setenv("NOTIFY_SOCKET", name, 1);
    config.supervised = CONFIG_AUTO;
    return fd;
}

static void expect(int manager, const char *message) {
    char got[512];
    ssize_t len = recv(manager, got, sizeof got, 0);
    CHECK(len >= 0);
    CHECK_BYTES(((struct bytes){got, (size_t)len}), bytes_of(message));
}

static void expect_nothing(int manager) {
    char got[512];
    CHECK(recv(manager, got, sizeof got, 0) < 0 && errno == EAGAIN);
}

static const char *abstract_name(void) {
    static char name[64];
    static int number;
    snprintf(name, sizeof name, "@kevy-test-%d-%d", (int)getpid(), number++);
    return name;
}

static void messages_reach_an_abstract_address(void) {
    int manager = manager_open(abstract_name());
    CHECK(systemd_supervised());
    systemd_ready();
    expect(manager, "READY=1");
    systemd_stopping();
    expect(manager, "STOPPING=1");
    systemd_watchdog();
    expect(manager, "WATCHDOG=1");
    systemd_extend(60);
    expect(manager, "EXTEND_TIMEOUT_USEC=60000000");
    systemd_status("%d of\n%s", 3, "five");
    expect(manager, "STATUS=3 of five");
    expect_nothing(manager);
    close(manager);
    systemd_ready(); /* nobody is there any more: no harm */
}

static void messages_reach_a_path(void) {
    char directory[] = "/tmp/kevy-notify-XXXXXX", path[64];
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/socket", directory);
    int manager = manager_open(path);
    systemd_ready();
    expect(manager, "READY=1");
    close(manager);
    unlink(path);
    rmdir(directory);
}

static void a_long_status_is_cut(void) {
    char text[600];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    int manager = manager_open(abstract_name());
    systemd_status("%s", text);
    char got[512];
    CHECK_INT(recv(manager, got, sizeof got, 0), 200 + 7);
    close(manager);
}

static void nothing_is_told_where_nobody_asked(void) {
    int manager = manager_open(abstract_name());
    config.supervised = CONFIG_NO;
    CHECK(!systemd_supervised());
    systemd_ready();
    expect_nothing(manager);
    config.supervised = CONFIG_SYSTEMD;
    CHECK(systemd_supervised());
    unsetenv("NOTIFY_SOCKET");
    CHECK(!systemd_supervised());
    systemd_ready();
    static const char *const bad[] = {"", "/", "relative", "@"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        CHECK(!systemd_supervised());
    }
    char too_long[200];
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[0] = '/', too_long[sizeof too_long - 1] = 0;
    setenv("NOTIFY_SOCKET", too_long, 1);
    CHECK(!systemd_supervised());
    close(manager);
}

static void set_pid(const char *name, long pid) {
    char text[32];
    snprintf(text, sizeof text, "%ld", pid);
    setenv(name, text, 1);
}

static void the_watchdog_looks_at_half_of_the_managers_patience(void) {
    struct timespec interval;
    int manager = manager_open(abstract_name());
    unsetenv("WATCHDOG_USEC");
    CHECK(systemd_interval(&interval) == NULL);
    CHECK(!systemd_due());
    setenv("WATCHDOG_USEC", "20000000", 1);
    CHECK(systemd_interval(&interval) == &interval);
    CHECK(interval.tv_sec == 9 || (interval.tv_sec == 10 && interval.tv_nsec == 0));
    CHECK(!systemd_due());
    set_pid("WATCHDOG_PID", (long)getpid() + 1); /* meant for somebody else */
    CHECK(systemd_interval(&interval) == NULL);
    set_pid("WATCHDOG_PID", getpid());
    CHECK(systemd_interval(&interval) == &interval);
    static const char *const bad[] = {"", "0", "x", "-5", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        setenv("WATCHDOG_USEC", bad[i], 1);
        CHECK(systemd_interval(&interval) == NULL);
    }
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(manager);
}

static void passed_sockets_are_taken_once(void) {
    int fds[4], pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(dup2(pair[0], 3) == 3 && dup2(pair[1], 4) == 4); /* where a manager puts them */
    setenv("LISTEN_FDS", "2", 1);
    set_pid("LISTEN_PID", getpid());
    setenv("LISTEN_FDNAMES", "a:b", 1);
    CHECK_INT(systemd_listen_fds(fds, 4), 2);
    CHECK(fds[0] == 3 && fds[1] == 4);
    CHECK(fcntl(3, F_GETFD) & FD_CLOEXEC && fcntl(4, F_GETFD) & FD_CLOEXEC);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    CHECK_INT(systemd_listen_fds(fds, 4), 0);
}

static void sockets_beyond_the_room_are_closed(void) {
    int fds[1];
    setenv("LISTEN_FDS", "2", 1);
    set_pid("LISTEN_PID", getpid());
    CHECK_INT(systemd_listen_fds(fds, 1), 1);
    CHECK(fcntl(3, F_GETFD) >= 0);
    CHECK(fcntl(4, F_GETFD) < 0);
}

/* Whoever uses them finds out. */
static void descriptors_that_are_none_are_not_left_out(void) {
    int fds[4];
    CHECK(fcntl(4, F_GETFD) < 0);
    setenv("LISTEN_FDS", "2", 1);
    set_pid("LISTEN_PID", getpid());
    CHECK_INT(systemd_listen_fds(fds, 4), 2);
    CHECK(fds[0] == 3 && fds[1] == 4);
}

static void sockets_of_another_process_are_left_alone(void) {
    int fds[4];
    setenv("LISTEN_FDS", "1", 1);
    set_pid("LISTEN_PID", (long)getpid() + 1);
    CHECK_INT(systemd_listen_fds(fds, 4), 0);
    CHECK(fcntl(3, F_GETFD) >= 0);
    CHECK(!getenv("LISTEN_FDS"));
    setenv("LISTEN_FDS", "1", 1); /* without a pid */
    CHECK_INT(systemd_listen_fds(fds, 4), 0);
    setenv("LISTEN_FDS", "nonsense", 1);
    set_pid("LISTEN_PID", getpid());
    CHECK_INT(systemd_listen_fds(fds, 4), 0);
}

int main(void) {
    RUN(messages_reach_an_abstract_address);
    RUN(messages_reach_a_path);
    RUN(a_long_status_is_cut);
    RUN(nothing_is_told_where_nobody_asked);
    RUN(the_watchdog_looks_at_half_of_the_managers_patience);
    RUN(passed_sockets_are_taken_once);
    RUN(sockets_beyond_the_room_are_closed);
    RUN(descriptors_that_are_none_are_not_left_out);
    RUN(sockets_of_another_process_are_left_alone);
    return 0;
}
