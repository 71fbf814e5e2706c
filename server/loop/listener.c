/* listener.c - opening the sockets that clients connect to. */
#include "server/loop/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "server/config/config.h"
#include "server/log.h"

struct listener listeners[LISTENERS_MAX];
unsigned listener_count;
static atomic_bool unix_socket_made; /* its file is there, and is to be removed */
static bool adopted;
static atomic_bool refusing;

/* False, and the descriptor closed, when there is no room. */
static bool add(int fd, bool unix_socket) {
    if (listener_count == LISTENERS_MAX) {
        close(fd);
        return false;
    }
    listeners[listener_count++] = (struct listener){.fd = fd, .unix_socket = unix_socket};
    return true;
}

static bool too_many(char *error, size_t size) {
    snprintf(error, size, "more than %d sockets to listen on", LISTENERS_MAX);
    return false;
}

/* A process that was killed holds its sockets until the kernel has torn its rings down, a moment later: what is
 * still in use is asked for again this often. */
enum { HELD_TRIES = 20 };
static const struct timespec held_pause = {.tv_nsec = 50 * 1000 * 1000};

/* ---- TCP ------------------------------------------------------------------------------------------ */

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

static int socket_listen_patiently(const struct addrinfo *address) {
    int fd = socket_listen(address);
    for (unsigned i = 0; fd == -EADDRINUSE && i < HELD_TRIES; i++) {
        nanosleep(&held_pause, NULL);
        fd = socket_listen(address);
    }
    return fd;
}

/* One word of `bind`: an address, a name, "*" for every IPv4 address, "::*" for every IPv6 one; "-" in front:
 * may be missing. */
struct bind_word {
    const char *text, *host; /* host: NULL for all addresses */
    int family;
    bool optional;
};

static struct bind_word bind_word(const char *text) {
    struct bind_word word = {.text = text, .family = AF_UNSPEC, .optional = text[0] == '-'};
    word.host = text + word.optional;
    if (strcmp(word.host, "*") == 0)
        word.host = NULL, word.family = AF_INET;
    else if (strcmp(word.host, "::*") == 0)
        word.host = NULL, word.family = AF_INET6;
    return word;
}

/* NULL, or why there are no addresses. */
static const char *resolve(const struct bind_word *word, struct addrinfo **found) {
    char port[16];
    struct addrinfo hints = {.ai_family = word->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    snprintf(port, sizeof port, "%d", (int)config.port);
    int error = getaddrinfo(word->host, port, &hints, found);
    if (error == 0) return NULL;
    *found = NULL;
    return error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error);
}

enum { PLACE_MAX = 2 * NI_MAXHOST + 32 };

/* "kevy (10.0.0.5) port 6379", or without what stands in parentheses where the word is the address. */
static void address_describe(const struct bind_word *word, const struct addrinfo *address,
                             char text[PLACE_MAX]) {
    char host[NI_MAXHOST] = "";
    (void)getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    bool named = word->host && host[0] && strcmp(host, word->host) != 0;
    snprintf(text, PLACE_MAX, "%s%s%s%s port %d", word->text, named ? " (" : "", named ? host : "",
             named ? ")" : "", (int)config.port);
}

/* Some files of hosts name one address twice. */
static bool came_before(const struct addrinfo *first, const struct addrinfo *address) {
    for (; first != address; first = first->ai_next)
        if (first->ai_addrlen == address->ai_addrlen &&
            memcmp(first->ai_addr, address->ai_addr, address->ai_addrlen) == 0)
            return true;
    return false;
}

/* The kernel was built or started without this family of addresses. */
static bool is_missing_family(int error) {
    return error == EAFNOSUPPORT || error == EPFNOSUPPORT || error == EPROTONOSUPPORT ||
           error == ENOPROTOOPT || error == ESOCKTNOSUPPORT;
}

/* What is skipped, with a warning: an address whose family is missing, as Redis does; one that this machine does not
 * have if the word says that it may be missing, and also where it is one of several of a name, such as ::1 of localhost
 * where IPv6 is switched off: then one of them must be here. */
static bool may_skip(const struct bind_word *word, bool several, int error) {
    return is_missing_family(error) || (error == EADDRNOTAVAIL && (word->optional || several));
}

static bool open_addresses(const struct bind_word *word, const struct addrinfo *found, char *error,
                           size_t size) {
    bool opened = false, absent = false;
    for (const struct addrinfo *address = found; address; address = address->ai_next) {
        char place[PLACE_MAX];
        if (came_before(found, address)) continue;
        int fd = socket_listen_patiently(address);
        if (fd >= 0) {
            if (!add(fd, false)) return too_many(error, size);
            opened = true;
            continue;
        }
        address_describe(word, address, place);
        if (!may_skip(word, found->ai_next, -fd)) {
            snprintf(error, size, "cannot listen on %s: %s", place, strerror(-fd));
            return false;
        }
        log_write(word->optional ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARNING, "Not listening on %s: %s", place,
                  strerror(-fd));
        absent |= fd == -EADDRNOTAVAIL;
    }
    if (opened || !absent || word->optional) return true;
    snprintf(error, size, "cannot listen on %s port %d: this machine has none of its addresses", word->text,
             (int)config.port);
    return false;
}

static bool open_bind(const char *text, char *error, size_t size) {
    struct bind_word word = bind_word(text);
    struct addrinfo *found;
    const char *why = resolve(&word, &found);
    if (why) {
        snprintf(error, size, "cannot listen on %s port %d: %s", text, (int)config.port, why);
        return false;
    }
    bool ok = open_addresses(&word, found, error, size);
    freeaddrinfo(found);
    return ok;
}

/* ---- The Unix socket ------------------------------------------------------------------------------ */

/* Who holds this path? NULL if nobody does: then its file is left over from a crash. It is asked without waiting, for a
 * server that hangs lets connections wait for ever, once its backlog is full. */
static const char *path_holder(const struct sockaddr_un *address) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return strerror(errno);
    bool connected = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0;
    int error = connected ? 0 : errno;
    close(fd);
    if (error == ECONNREFUSED) return NULL;
    return error == EAGAIN ? "another server holds it, and does not accept" : "another server answers there";
}

static const char *path_holder_patiently(const struct sockaddr_un *address) {
    const char *holder = path_holder(address);
    for (unsigned i = 0; holder && i < HELD_TRIES; i++) {
        nanosleep(&held_pause, NULL);
        holder = path_holder(address);
    }
    return holder;
}

/* Why the file that is there may not be replaced; NULL: it may. An empty one is what mkstemp() and its like leave of a path
 * that somebody has had chosen for the socket, as test suites of client libraries do: nothing is lost with it. */
static const char *path_fault(const struct sockaddr_un *address, const struct stat *there) {
    if (S_ISSOCK(there->st_mode)) return path_holder_patiently(address);
    return S_ISREG(there->st_mode) && there->st_size == 0 ? NULL : "exists and is no socket";
}

/* The mode is set by the umask, so that there is no moment in which the socket is open to more than it should be. */
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
        const char *fault = path_fault(&address, &old);
        if (fault) {
            snprintf(error, size, "unixsocket %s: %s", path, fault);
            return false;
        }
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        result = fd < 0 ? -errno : bind_unix(fd, &address);
    if (result == 0) unix_socket_made = true;
    if (result == 0 && listen(fd, (int)config.tcp_backlog) == 0)
        return add(fd, true) || too_many(error, size);
    snprintf(error, size, "unixsocket %s: %s", path, strerror(result ? -result : errno));
    if (fd >= 0) close(fd);
    return false;
}

static bool is_unix(int fd) {
    struct sockaddr address;
    socklen_t len = sizeof address;
    return getsockname(fd, &address, &len) == 0 && address.sa_family == AF_UNIX;
}

/* NULL, or why no connections can come from this descriptor. */
static const char *passed_fault(int fd) {
    struct stat file;
    struct sockaddr address = {0};
    int type = 0, listens = 0;
    socklen_t type_len = sizeof type, listens_len = sizeof listens, address_len = sizeof address;
    if (fstat(fd, &file) < 0) return strerror(errno);
    if (!S_ISSOCK(file.st_mode)) return "it is no socket";
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM)
        return "it is no stream socket";
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) < 0 || !listens)
        return "it does not listen (a unit of systemd needs Accept=no)";
    if (getsockname(fd, &address, &address_len) < 0) return strerror(errno);
    if (address.sa_family != AF_INET && address.sa_family != AF_INET6 && address.sa_family != AF_UNIX)
        return "it is of another family than IPv4, IPv6 and Unix";
    return NULL;
}

static bool adopt(int fd, char *error, size_t size) {
    const char *fault = passed_fault(fd);
    if (!fault) return add(fd, is_unix(fd)) || too_many(error, size);
    snprintf(error, size, "descriptor %d was passed to be listened on, and cannot be: %s", fd, fault);
    close(fd);
    return false;
}

bool listeners_adopt(const int *fds, unsigned count, char *error, size_t size) {
    bool ok = true;
    adopted = true;
    refusing = false;
    for (unsigned i = 0; i < count; i++) {
        if (ok)
            ok = adopt(fds[i], error, size);
        else
            close(fds[i]);
    }
    if (!ok) listeners_close();
    return ok;
}

bool listeners_open(char *error, size_t size) {
    bool ok = true;
    adopted = false;
    refusing = false;
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

void listeners_refuse(void) {
    refusing = true;
    for (unsigned i = 0; i < listener_count && !adopted; i++) (void)shutdown(listeners[i].fd, SHUT_RDWR);
}

bool listeners_refusing(void) {
    return refusing;
}

void listeners_close(void) {
    for (unsigned i = 0; i < listener_count; i++) close(listeners[i].fd);
    listener_count = 0;
    listeners_remove_file();
}

void listeners_remove_file(void) {
    if (atomic_exchange(&unix_socket_made, false)) unlink(config.unixsocket);
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
