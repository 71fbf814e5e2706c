/* listener.c - opening sockets, accepting, spreading connections over the shards. */
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
#include "server/log.h"
#include "server/loop/shard.h"
#include "server/op.h"
#include "server/process/systemd.h"
#include "uring/prep.h"

struct listener {
    int fd;
    bool unix_socket;
    bool armed;
    bool pausing; /* out of descriptors: a timer is running */
};

static struct listener listeners[LISTENERS_MAX];
static unsigned listener_count;
static bool unix_socket_made;

/* How long accepting rests after EMFILE, ENFILE, ENOBUFS or ENOMEM: nothing tells when descriptors are free
 * again. */
static const struct __kernel_timespec accept_pause = {.tv_nsec = 100 * 1000 * 1000};

/* ---- Opening -------------------------------------------------------------------------------------- */

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

bool listeners_open(char *error, size_t size) {
    int passed[LISTENERS_MAX];
    unsigned count = systemd_listen_fds(passed, LISTENERS_MAX);
    for (unsigned i = 0; i < count; i++) add(passed[i], is_unix(passed[i]));
    if (count) return true;
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

/* ---- Accepting ------------------------------------------------------------------------------------ */

/* NULL when the queue is full and the kernel takes nothing from it now. */
static struct io_uring_sqe *shard_sqe(struct shard *shard) {
    struct io_uring_sqe *sqe = ring_sqe(&shard->ring);
    if (!sqe && ring_submit(&shard->ring) >= 0) sqe = ring_sqe(&shard->ring);
    return sqe;
}

void listeners_arm(struct shard *shard) {
    for (unsigned i = 0; i < listener_count; i++) {
        struct listener *listener = &listeners[i];
        if (listener->armed || listener->pausing) continue;
        struct io_uring_sqe *sqe = shard_sqe(shard);
        if (!sqe) {
            /* Nobody may ever come to wake it: so it sleeps until its next tick, and comes back here. */
            shard->worked = true;
            return;
        }
        prep_accept_multishot(sqe, listener->fd, SOCK_CLOEXEC, op_pack(OP_ACCEPT, 0, i));
        listener->armed = true;
    }
}

static struct shard *shard_with_fewest(void) {
    struct shard *best = &shards[0];
    for (unsigned i = 1; i < shard_count; i++)
        if (client_get(shards[i].connections) < client_get(best->connections)) best = &shards[i];
    return best;
}

void listener_adopt(struct shard *shard, int fd, bool unix_socket) {
    if (conn_open(shard, fd, unix_socket) < 0) __atomic_fetch_sub(&shard->connections, 1, __ATOMIC_RELAXED);
}

/* A handover that the kernel refused comes back as OP_ADOPT_SENT: the accepting shard then keeps the
 * connection. */
static void spread(struct shard *shard, int fd, bool unix_socket) {
    struct shard *target = shard_with_fewest();
    struct io_uring_sqe *sqe = target == shard ? NULL : shard_sqe(shard);
    if (!sqe) target = shard;
    __atomic_fetch_add(&target->connections, 1, __ATOMIC_RELAXED);
    if (target == shard) {
        listener_adopt(shard, fd, unix_socket);
        return;
    }
    prep_msg_ring(sqe, target->ring.fd, (unsigned)fd, op_pack(OP_ADOPT, 0, unix_socket),
                  op_pack(OP_ADOPT_SENT, unix_socket | target->index << 1, (uint32_t)fd));
}

static void pause_accepting(struct shard *shard, unsigned index, int error) {
    struct io_uring_sqe *sqe = shard_sqe(shard);
    log_warning("Accepting pauses for 100 ms: %s", strerror(-error));
    if (!sqe) return; /* the next turn arms the accept, and comes back here */
    prep_timeout(sqe, &accept_pause, op_pack(OP_TIMER, 0, index));
    listeners[index].pausing = true;
}

void listener_pause_over(struct shard *shard, unsigned index) {
    listeners[index].pausing = false;
    listeners_arm(shard);
}

void listener_accepted(struct shard *shard, unsigned index, int res, unsigned cqe_flags) {
    struct listener *listener = &listeners[index];
    if (!(cqe_flags & IORING_CQE_F_MORE)) listener->armed = false;
    if (res >= 0) {
        if (shard->stopping)
            close(res);
        else
            spread(shard, res, listener->unix_socket);
        return;
    }
    if (res == -EMFILE || res == -ENFILE || res == -ENOBUFS || res == -ENOMEM)
        pause_accepting(shard, index, res);
}
