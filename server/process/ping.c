/* ping.c - one connection, one request, one line of reply. */
#include "server/process/ping.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol/number.h"
#include "protocol/text.h"
#include "server/config/config.h"

enum { REPLY_MAX = 256 }; /* bytes of the reply's first line; the rest is not looked at */

/* ---- Patience ------------------------------------------------------------------------------------- */

static char too_late[1024]; /* what is said when time is over */

static void give_up(int signal) {
    (void)signal;
    (void)!write(STDERR_FILENO, too_late, strlen(too_late));
    _exit(1);
}

/* A timer that ends the process bounds names that are slow to resolve, too. */
static void be_patient(const char *address, unsigned patience_ms) {
    struct sigaction action = {.sa_handler = give_up};
    struct itimerval timer = {.it_value = {patience_ms / 1000, patience_ms % 1000 * 1000}};
    sigset_t set;
    snprintf(too_late, sizeof too_late - 1, "kevy: %.900s: no answer within %u ms\n", address, patience_ms);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* ---- The address ---------------------------------------------------------------------------------- */

struct target {
    char host[NI_MAXHOST], port[8];
};

static bool target_parse(struct target *target, const char *address) {
    const char *host = address, *end = strchr(address, ':'), *port = NULL;
    if (address[0] == '[') {
        host++;
        end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':')) return false;
        if (end[1]) port = end + 2;
    } else if (end && strchr(end + 1, ':')) {
        end = NULL; /* an IPv6 address without a port */
    } else if (end) {
        port = end + 1;
    }
    size_t len = end ? (size_t)(end - host) : strlen(host);
    uint64_t number = (uint64_t)config.port;
    if (port && (!number_parse_u64(bytes_of(port), &number) || number < 1 || number > UINT16_MAX))
        return false;
    if (len >= sizeof target->host || (!len && address[0] == '[')) return false;
    snprintf(target->port, sizeof target->port, "%u", (unsigned)number);
    if (len)
        snprintf(target->host, sizeof target->host, "%.*s", (int)len, host);
    else
        snprintf(target->host, sizeof target->host, "%s", config.bind[0]);
    return true;
}

/* ---- Connecting: a descriptor, or -1 after saying why not ----------------------------------------- */

static int failed(const char *address, const char *why) {
    fprintf(stderr, "kevy: %s: %s\n", address, why);
    return -1;
}

static int connect_unix(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof to.sun_path) return failed(path, "too long for the path of a Unix socket");
    memcpy(to.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    return failed(path, strerror(errno));
}

/* One address of a name after the other. */
static int connect_tcp(const char *address) {
    struct target target;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (!target_parse(&target, address))
        return failed(address, "not a host, host:port, [address]:port, or path of a Unix socket");
    int error = getaddrinfo(target.host, target.port, &hints, &found);
    if (error) return failed(address, error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    for (const struct addrinfo *to = found; to; to = to->ai_next) {
        int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) == 0) return fd;
        error = errno;
    }
    return failed(address, strerror(error));
}

/* ---- Asking --------------------------------------------------------------------------------------- */

/* The first line of the reply, without its end; what is no printable character becomes a question mark. */
static bool ask(int fd, char line[REPLY_MAX]) {
    static const char request[] = "*1\r\n$4\r\nPING\r\n";
    size_t len = 0;
    bool whole = false;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1) return false;
    while (!whole && len < REPLY_MAX - 1) {
        ssize_t got = recv(fd, line + len, REPLY_MAX - 1 - len, 0);
        if (got <= 0) break;
        len += (size_t)got;
        whole = memchr(line, '\n', len);
    }
    line[len] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    for (char *at = line; *at; at++)
        if (*at < ' ' || *at > '~') *at = '?';
    return whole;
}

int ping(const char *address, unsigned patience_ms) {
    char line[REPLY_MAX], standard[NI_MAXHOST + 16];
    snprintf(standard, sizeof standard, "%s:%d", config.bind[0], (int)config.port);
    if (!address) address = standard;
    be_patient(address, patience_ms);
    int fd = strchr(address, '/') ? connect_unix(address) : connect_tcp(address);
    if (fd < 0) return 1;
    if (!ask(fd, line)) {
        failed(address, "closed the connection without an answer");
        return 1;
    }
    if (strcmp(line, "+PONG") == 0 || strncmp(line, "-NOAUTH ", 8) == 0) {
        printf("%s\n", line + 1);
        return 0;
    }
    fprintf(stderr, "kevy: %s: answers '%s'\n", address, line);
    return 1;
}
