/* listener.c - opening the sockets that clients connect to. */
#include "server/loop/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/config/config.h"

struct listener listeners[LISTENERS_MAX];
unsigned listener_count;
static bool unix_socket_made;

static bool add(int fd, bool unix_socket) {
    if (listener_count == LISTENERS_MAX) {
        close(fd);
        return false;
    }
    listeners[listener_count++] = (struct listener){.fd = fd, .unix_socket = unix_socket};
    return true;
}

/* A process that was killed holds its sockets until the kernel has torn its rings down, a moment later: what is
 * still in use is asked for again this often. */
enum { HELD_TRIES = 20 };
static const struct timespec held_pause = {.tv_nsec = 50 * 1000 * 1000};

static int socket_listen(const struct addrinfo *address) {
    int on = 1, fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ai_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, (int)config.tcp_backlog) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int open_address(const char *host, int family) {
    char port[16];
    snprintf(port, sizeof port, "%d", (int)config.port);
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) return -EADDRNOTAVAIL;
    int fd = socket_listen(found);
    for (unsigned i = 0; fd == -EADDRINUSE && i < HELD_TRIES; i++) {
        nanosleep(&held_pause, NULL);
        fd = socket_listen(found);
    }
    freeaddrinfo(found);
    return fd;
}

/* One `bind` word: an address, "*" for every IPv4 address, "::*" for every IPv6 one; "-" in front: may be
 * missing. */
static bool open_bind(const char *word, char *error, size_t size) {
    bool optional = word[0] == '-';
    const char *host = word + optional;
    int family = AF_UNSPEC;
    if (strcmp(host, "*") == 0)
        host = NULL, family = AF_INET;
    else if (strcmp(host, "::*") == 0)
        host = NULL, family = AF_INET6;
    int fd = open_address(host, family);
    if (fd >= 0) return add(fd, false);
    if (optional && (fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT || fd == -EPROTONOSUPPORT)) return true;
    snprintf(error, size, "cannot listen on %s port %d: %s", word, (int)config.port, strerror(-fd));
    return false;
}

/* Does anybody answer on this path? A socket file that nobody listens on is left over from a crash. */
static bool somebody_answers(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
                   errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

static bool still_answers(const struct sockaddr_un *address) {
    for (unsigned i = 0; i < HELD_TRIES; i++) {
        if (!somebody_answers(address)) return false;
        nanosleep(&held_pause, NULL);
    }
    return true;
}

/* The mode is set by the umask, so that there is no moment in which the socket is open to more than it should
 * be. */
static int bind_unix(int fd, const struct sockaddr_un *address) {
    mode_t mode = (mode_t)config.unixsocketperm, old = umask(mode ? ~mode & 0777 : 0077);
    int result = bind(fd, (const struct sockaddr *)address, sizeof *address) == 0 ? 0 : -errno;
    umask(old);
    return result;
}

static bool open_unix(const char *path, char *error, size_t size) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat old;
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(error, size, "unixsocket %s: the path is longer than %zu bytes", path,
                 sizeof address.sun_path - 1);
        return false;
    }
    memcpy(address.sun_path, path, strlen(path));
    if (lstat(path, &old) == 0) {
        if (!S_ISSOCK(old.st_mode) || still_answers(&address)) {
            snprintf(error, size, "unixsocket %s: %s", path,
                     S_ISSOCK(old.st_mode) ? "another server answers there" : "exists and is no socket");
            return false;
        }
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        result = fd < 0 ? -errno : bind_unix(fd, &address);
    if (result == 0 && listen(fd, (int)config.tcp_backlog) == 0) {
        unix_socket_made = true;
        return add(fd, true);
    }
    snprintf(error, size, "unixsocket %s: %s", path, strerror(result ? -result : errno));
    if (fd >= 0) close(fd);
    return false;
}

static bool is_unix(int fd) {
    struct sockaddr address;
    socklen_t len = sizeof address;
    return getsockname(fd, &address, &len) == 0 && address.sa_family == AF_UNIX;
}

void listeners_adopt(const int *fds, unsigned count) {
    for (unsigned i = 0; i < count; i++) add(fds[i], is_unix(fds[i]));
}

bool listeners_open(char *error, size_t size) {
    bool ok = true;
    for (unsigned i = 0; ok && config.port && i < config.bind_count; i++)
        ok = open_bind(config.bind[i], error, size);
    if (ok && config.unixsocket[0]) ok = open_unix(config.unixsocket, error, size);
    if (ok && listener_count == 0) {
        snprintf(
            error, size,
            "nothing to listen on: port is 0 or no bind address is available, and unixsocket is not set");
        ok = false;
    }
    if (!ok) listeners_close();
    return ok;
}

void listeners_close(void) {
    for (unsigned i = 0; i < listener_count; i++) close(listeners[i].fd);
    listener_count = 0;
    if (unix_socket_made) unlink(config.unixsocket);
    unix_socket_made = false;
}

int listener_port(void) {
    for (unsigned i = 0; i < listener_count; i++) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        if (getsockname(listeners[i].fd, (struct sockaddr *)&address, &len) < 0) continue;
        if (address.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&address)->sin_port);
        if (address.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    }
    return 0;
}
