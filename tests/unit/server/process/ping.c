/* What kevy --ping says of servers that answer this or that, or nothing, and of addresses. */
#include "server/process/ping.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/config/config.h"
#include "tests/unit/child.h"

enum { PATIENT_MS = 50 * 1000, DEADLINE_S = 250 };

static char told[4096]; /* by the last ping */

static int listener_at(const struct sockaddr *address, socklen_t len) {
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, address, len) == 0 && listen(fd, 8) == 0);
    return fd;
}

static int listener_tcp(unsigned *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = listener_at((struct sockaddr *)&address, sizeof address);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* Takes one connection, which must ask for a PONG, and answers. NULL: says nothing, and keeps it open. */
static int answer(int listener, const char *reply) {
    static const char expected[] = "*1\r\n$4\r\nPING\r\n";
    char request[sizeof expected];
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    CHECK(recv(fd, request, sizeof expected - 1, MSG_WAITALL) == sizeof expected - 1);
    CHECK(memcmp(request, expected, sizeof expected - 1) == 0);
    for (const char *at = reply; at && *at; at++) { /* byte by byte */
        if (send(fd, at, 1, MSG_NOSIGNAL) == 1) continue;
        CHECK(errno == EPIPE || errno == ECONNRESET); /* it has heard enough */
        break;
    }
    if (!reply) return fd;
    close(fd);
    return -1;
}

/* Its exit status; `told` holds what it said on both streams. */
static int run(const char *address, unsigned patience_ms, int listener, const char *reply) {
    int ends[2], status, kept = -1;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        child_speaks(ends);
        status = ping(address, patience_ms);
        fflush(stdout);
        _exit(status);
    }
    close(ends[1]);
    if (listener >= 0) kept = answer(listener, reply);
    child_heard(ends[0], told, sizeof told);
    CHECK(waitpid(child, &status, 0) == child);
    if (kept >= 0) close(kept);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void check_told(const char *expected) {
    CHECK_BYTES(bytes_of(told), bytes_of(expected));
}

static void what_a_server_answers_decides(void) {
    unsigned port;
    int listener = listener_tcp(&port);
    char where[64], expected[256];
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    CHECK_INT(run(where, PATIENT_MS, listener, "+PONG\r\n"), 0);
    check_told("PONG\n");
    CHECK_INT(run(where, PATIENT_MS, listener, "-NOAUTH Authentication required.\r\n"), 0);
    check_told("NOAUTH Authentication required.\n");
    static const char *const unwell[] = {
        "-LOADING x", "-NOAUTHENTIC x", "+PONGO", "$4", "-ERR max number of clients reached", ""};
    for (unsigned i = 0; i < sizeof unwell / sizeof unwell[0]; i++) {
        char reply[64];
        snprintf(reply, sizeof reply, "%s\r\nmore", unwell[i]);
        CHECK_INT(run(where, PATIENT_MS, listener, reply), 1);
        snprintf(expected, sizeof expected, "kevy: %s: answers '%s'\n", where, unwell[i]);
        check_told(expected);
    }
    CHECK_INT(run(where, PATIENT_MS, listener, "+\033[2J\177\r\n"), 1);
    snprintf(expected, sizeof expected, "kevy: %s: answers '+?[2J?'\n", where);
    check_told(expected);
    close(listener);
}

static void what_is_no_whole_line_is_no_answer(void) {
    unsigned port;
    int listener = listener_tcp(&port);
    char where[64], expected[256], large[2000];
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    snprintf(expected, sizeof expected, "kevy: %s: closed the connection without an answer\n", where);
    CHECK_INT(run(where, PATIENT_MS, listener, ""), 1);
    check_told(expected);
    CHECK_INT(run(where, PATIENT_MS, listener, "+PONG"), 1);
    check_told(expected);
    memset(large, 'x', sizeof large);
    large[100] = '\0'; /* more than one read, and less than the line that is kept */
    CHECK_INT(run(where, PATIENT_MS, listener, large), 1);
    check_told(expected);
    close(listener);
}

static void patience_has_an_end(void) {
    unsigned port;
    int listener = listener_tcp(&port);
    char where[64], expected[256];
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    CHECK_INT(run(where, 100, listener, NULL), 1);
    snprintf(expected, sizeof expected, "kevy: %s: no answer within 100 ms\n", where);
    check_told(expected);
    close(listener);
}

static void a_unix_socket_is_a_path(void) {
    char dir[] = "/tmp/kevy-ping-XXXXXX", expected[256], path[64], longer[300];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CHECK(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a:b", dir);
    CHECK_INT(run(path, PATIENT_MS, -1, NULL), 1);
    snprintf(expected, sizeof expected, "kevy: %s: No such file or directory\n", path);
    check_told(expected);
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int listener = listener_at((struct sockaddr *)&address, sizeof address);
    CHECK_INT(run(path, PATIENT_MS, listener, "+PONG\r\n"), 0);
    CHECK_INT(chdir(dir), 0);
    CHECK_INT(run("./a:b", PATIENT_MS, listener, "+PONG\r\n"), 0);
    close(listener);
    CHECK_INT(run(path, PATIENT_MS, -1, NULL), 1);
    snprintf(expected, sizeof expected, "kevy: %s: Connection refused\n", path);
    check_told(expected);
    memset(longer, '/', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    CHECK_INT(run(longer, PATIENT_MS, -1, NULL), 1);
    CHECK(strstr(told, ": too long for the path of a Unix socket\n"));
    CHECK_INT(unlink(path), 0);
    CHECK_INT(rmdir(dir), 0);
}

/* The port of the configuration is asked where none is named, and the first address that it binds. */
static void what_is_not_named_is_the_configuration_s(void) {
    unsigned port;
    int listener = listener_tcp(&port);
    char text[64];
    config.port = port;
    CHECK_INT(run(NULL, PATIENT_MS, listener, "+PONG\r\n"), 0);
    CHECK_INT(run("127.0.0.1", PATIENT_MS, listener, "+PONG\r\n"), 0);
    config.port = 6379;
    snprintf(text, sizeof text, ":%u", port);
    CHECK_INT(run(text, PATIENT_MS, listener, "+PONG\r\n"), 0);
    close(listener);
    config.port = port;
    CHECK_INT(run(NULL, PATIENT_MS, -1, NULL), 1);
    snprintf(text, sizeof text, "kevy: 127.0.0.1:%u: Connection refused\n", port);
    check_told(text);
    config.port = 6379;
}

static void an_ipv6_address_stands_in_brackets_before_a_port(void) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0) {
        printf("   (no IPv6 here)\n");
        if (listener >= 0) close(listener);
        return;
    }
    CHECK(listen(listener, 8) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    char where[64];
    snprintf(where, sizeof where, "[::1]:%u", ntohs(address.sin6_port));
    CHECK_INT(run(where, PATIENT_MS, listener, "+PONG\r\n"), 0);
    config.port = ntohs(address.sin6_port);
    CHECK_INT(run("[::1]", PATIENT_MS, listener, "+PONG\r\n"), 0);
    CHECK_INT(run("::1", PATIENT_MS, listener, "+PONG\r\n"), 0);
    config.port = 6379;
    close(listener);
}

static void what_is_no_address_is_told(void) {
    static const char *const bad[] = {"127.0.0.1:",
                                      "127.0.0.1:0",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:x",
                                      "127.0.0.1:+1",
                                      "127.0.0.1: 1",
                                      "127.0.0.1:18446744073709551617",
                                      "[::1",
                                      "[::1]x80",
                                      "[::1]:",
                                      "[]:1",
                                      "[",
                                      ":"};
    char expected[256], longer[3000];
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_INT(run(bad[i], PATIENT_MS, -1, NULL), 1);
        snprintf(expected, sizeof expected,
                 "kevy: %s: not a host, host:port, [address]:port, or path of a Unix socket\n", bad[i]);
        check_told(expected);
    }
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    CHECK_INT(run(longer, PATIENT_MS, -1, NULL), 1);
    CHECK(strstr(told, "x: not a host"));
}

int main(void) {
    alarm(DEADLINE_S);
    config_defaults();
    RUN(what_a_server_answers_decides);
    RUN(what_is_no_whole_line_is_no_answer);
    RUN(patience_has_an_end);
    RUN(a_unix_socket_is_a_path);
    RUN(what_is_not_named_is_the_configuration_s);
    RUN(an_ipv6_address_stands_in_brackets_before_a_port);
    RUN(what_is_no_address_is_told);
    return 0;
}
