/* Listening: what the words of `bind` open, the Unix socket's file and its mode, what is refused. There are
 * stand-ins: for nanosleep (waiting costs nothing, and something may happen meanwhile), for getaddrinfo and socket (other
 * networks and kernels than this one). */
#include "server/loop/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/server_fixture.h"

static unsigned sleeps;
static int close_after = -1, close_fd; /* this descriptor goes after so many sleeps */

int __wrap_nanosleep(const struct timespec *request, struct timespec *left);
int __wrap_nanosleep(const struct timespec *request, struct timespec *left) {
    (void)left;
    CHECK(request->tv_sec == 0);
    if ((int)++sleeps == close_after) close(close_fd);
    return 0;
}

/* The names of a made-up network; addresses mean themselves. */
struct name {
    const char *name, *addresses[LISTENERS_MAX + 2];
};
static struct
    name
        names
            [] =
                {
                    {"kevy", {"127.0.0.1", "127.0.0.3"}},
                    {"twice", {"127.0.0.1", "127.0.0.1"}}, /* as some files of hosts have it */
                    {"here", {"192.0.2.1", "127.0.0.1"}},
                    {"there", {"192.0.2.1", "192.0.2.3"}},
                    {"many", {NULL}},
};
enum { NAME_COUNT = sizeof names / sizeof *names };

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **found) {
    struct addrinfo numeric = *hints, **end = found;
    numeric.ai_flags |= AI_NUMERICHOST;
    for (const struct name *at = names; host && at < names + NAME_COUNT; at++)
        for (unsigned i = 0; strcmp(host, at->name) == 0; i++) {
            if (!at->addresses[i]) return 0;
            CHECK_INT(__real_getaddrinfo(at->addresses[i], port, &numeric, end), 0);
            end = &(*end)->ai_next;
        }
    return __real_getaddrinfo(host, port, &numeric, found);
}

static int ipv6_error; /* what the kernel says to IPv6, if not 0 */

int __wrap_socket(int family, int type, int protocol);
int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol) {
    if (family != AF_INET6 || !ipv6_error) return __real_socket(family, type, protocol);
    errno = ipv6_error;
    return -1;
}

static char dir[] = "/tmp/kevy-listener-XXXXXX";
static char log_path[64];
static char error[256];

static void configure(const char *text) {
    config_defaults();
    options_set("bind\nport 0\nloglevel notice\n");
    options_set(text);
    CHECK_INT(truncate(log_path, 0), 0);
    sleeps = 0;
    close_after = -1;
}

/* Puts the port where `format` says PORT. */
static const char *with_port(const char *format, int port) {
    static char text[256];
    const char *at = strstr(format, "PORT");
    if (at)
        snprintf(text, sizeof text, "%.*s%d%s", (int)(at - format), format, port, at + 4);
    else
        snprintf(text, sizeof text, "%s", format);
    return text;
}

/* Was this told? */
static bool log_has(const char *format, int port) {
    static char text[1 << 16];
    FILE *in = fopen(log_path, "r");
    CHECK(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return strstr(text, with_port(format, port)) != NULL;
}

/* A TCP socket on a port that the kernel finds free: closed again, or kept to be in the way. */
static int listen_anywhere(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 1) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int free_port(void) {
    int port;
    close(listen_anywhere(&port));
    return port;
}

static int connect_to(const char *address, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK_INT(inet_pton(AF_INET, address, &to.sin_addr), 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

static int connect_unix(const char *path) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
    close(fd);
    return -1;
}

static bool reached(const char *address, int port) {
    int fd = connect_to(address, port);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static bool opens(void) {
    error[0] = 0;
    bool ok = listeners_open(error, sizeof error);
    CHECK(ok == (error[0] == 0)); /* never refused without a reason */
    return ok;
}

static void check_refused(const char *format, int port) {
    CHECK(!opens());
    CHECK_BYTES(bytes_of(error), bytes_of(with_port(format, port)));
    CHECK_INT(listener_port(), 0); /* nothing is left open */
}

/* ---- TCP ------------------------------------------------------------------------------------------ */

static void an_address_is_listened_on_and_others_are_not(void) {
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1\n", port);
    configure(text);
    CHECK(opens());
    CHECK_INT(listener_port(), port);
    CHECK(reached("127.0.0.1", port) && !reached("127.0.0.2", port) && !listeners_refusing());
    listeners_refuse();
    CHECK(!reached("127.0.0.1", port) && listeners_refusing());
    listeners_close();
    CHECK(!reached("127.0.0.1", port) && listener_port() == 0);
}

static void several_addresses_share_the_port(void) {
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1 127.0.0.3 -::1\n", port);
    configure(text);
    CHECK(opens());
    CHECK(reached("127.0.0.1", port) && reached("127.0.0.3", port) && !reached("127.0.0.2", port));
    listeners_close();
}

/* Each star is for its own family: both may stand side by side. */
static void stars_are_all_addresses_of_a_family(void) {
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "port %d\nbind * -::*\n", port);
    configure(text);
    CHECK(opens());
    CHECK(reached("127.0.0.1", port) && reached("127.0.0.2", port));
    listeners_close();
}

static void an_address_that_is_not_here_is_refused_unless_it_may_be_missing(void) {
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1 192.0.2.1\n", port);
    configure(text);
    check_refused("cannot listen on 192.0.2.1 port PORT: Cannot assign requested address", port);
    CHECK(!reached("127.0.0.1", port)); /* what was open by then is closed */
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1 -192.0.2.1\n", port);
    configure(text);
    CHECK(opens() && reached("127.0.0.1", port));
    CHECK(log_has("* Not listening on -192.0.2.1 port PORT: Cannot assign requested address", port));
    listeners_close();
    snprintf(text, sizeof text, "port %d\nbind -192.0.2.1\n", port);
    configure(text);
    check_refused(
        "nothing to listen on: port is 0 or no bind address is available, and unixsocket is not set", 0);
}

/* ---- Names ---------------------------------------------------------------------------------------- */

/* Opens a free port on these words of `bind`. */
static int open_words(const char *words) {
    char text[128];
    int port = free_port();
    snprintf(text, sizeof text, "port %d\nbind %s\n", port, words);
    configure(text);
    return port;
}

static void a_name_is_all_of_its_addresses(void) {
    int port = open_words("kevy");
    CHECK(opens());
    CHECK_INT(listener_count, 2);
    CHECK(reached("127.0.0.1", port) && reached("127.0.0.3", port) && !reached("127.0.0.2", port));
    listeners_close();
    port = open_words("twice");
    CHECK(opens());
    CHECK_INT(listener_count, 1);
    listeners_close();
}

static void a_name_that_means_nothing_is_refused(void) {
    static const char *const words[] = {"nobody", "-nobody",      "127.0.0.256",
                                        "::g",    "127.0.0.1:80", "fe80::1%nowhere0"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char expected[160];
        int port = open_words(words[i]);
        snprintf(expected, sizeof expected, "cannot listen on %s port PORT: Name or service not known",
                 words[i]);
        check_refused(expected, port);
    }
}

/* ::1 of localhost, where IPv6 is switched off; but not all of them may be elsewhere. */
static void some_of_a_name_s_addresses_may_be_elsewhere(void) {
    int port = open_words("here");
    CHECK(opens());
    CHECK_INT(listener_count, 1);
    CHECK(reached("127.0.0.1", port));
    CHECK(log_has("# Not listening on here (192.0.2.1) port PORT: Cannot assign requested address", port));
    listeners_close();
    port = open_words("127.0.0.1 there");
    check_refused("cannot listen on there port PORT: this machine has none of its addresses", port);
    port = open_words("127.0.0.1 -there");
    CHECK(opens());
    CHECK(log_has("* Not listening on -there (192.0.2.1) port PORT: Cannot assign requested address", port));
    CHECK(log_has("* Not listening on -there (192.0.2.3) port PORT: Cannot assign requested address", port));
    listeners_close();
}

/* With - or without: `bind 127.0.0.1 ::1` is in many files. */
static void a_family_that_the_kernel_lacks_is_skipped(void) {
    static const int errors[] = {EAFNOSUPPORT, EPFNOSUPPORT, EPROTONOSUPPORT, ENOPROTOOPT, ESOCKTNOSUPPORT};
    for (size_t i = 0; i < 2 * sizeof errors / sizeof *errors; i++) {
        char line[128];
        ipv6_error = errors[i / 2];
        int port = open_words(i % 2 ? "::1 127.0.0.1" : "-::1 127.0.0.1");
        CHECK(opens());
        CHECK_INT(listener_count, 1);
        snprintf(line, sizeof line, "Not listening on %s port PORT: %s", i % 2 ? "::1" : "-::1",
                 strerror(ipv6_error));
        CHECK(log_has(line, port));
        listeners_close();
    }
    (void)open_words("::1");
    check_refused(
        "nothing to listen on: port is 0 or no bind address is available, and unixsocket is not set", 0);
    ipv6_error = EMFILE;
    int port = open_words("127.0.0.1 -::1");
    check_refused("cannot listen on -::1 port PORT: Too many open files", port);
    ipv6_error = 0;
}

/* An address of a link, if this machine has one, is told from others by its interface. */
static void an_interface_may_stand_behind_an_address(void) {
    struct ifaddrs *all, *at;
    CHECK_INT(getifaddrs(&all), 0);
    for (at = all; at; at = at->ifa_next) {
        const struct sockaddr_in6 *address = (const void *)at->ifa_addr;
        if (address && address->sin6_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) break;
    }
    if (at) {
        char text[INET6_ADDRSTRLEN], word[128];
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr, text,
                  sizeof text);
        snprintf(word, sizeof word, "%s%%%s", text, at->ifa_name);
        (void)open_words(word);
        CHECK(opens());
        CHECK_INT(listener_count, 1);
        listeners_close();
    }
    freeifaddrs(all);
    int port = open_words("fe80::1%lo");
    check_refused("cannot listen on fe80::1%lo port PORT: Cannot assign requested address", port);
}

static void more_addresses_than_there_is_room_for_are_refused(void) {
    struct name *many = &names[NAME_COUNT - 1];
    char addresses[LISTENERS_MAX + 1][16];
    for (int i = 0; i <= LISTENERS_MAX; i++) {
        snprintf(addresses[i], sizeof addresses[i], "127.0.1.%d", i + 1);
        many->addresses[i] = addresses[i];
    }
    (void)open_words("many");
    check_refused("more than 32 sockets to listen on", 0);
    many->addresses[LISTENERS_MAX] = NULL;
    (void)open_words("many");
    CHECK(opens());
    CHECK_INT(listener_count, LISTENERS_MAX);
    listeners_close();
}

static void without_a_port_there_is_no_tcp(void) {
    configure("bind 127.0.0.1\n");
    check_refused(
        "nothing to listen on: port is 0 or no bind address is available, and unixsocket is not set", 0);
}

/* A server that was killed lets go of its sockets a moment later. */
static void a_port_in_use_is_waited_for_and_then_refused(void) {
    char text[128];
    int port, holder = listen_anywhere(&port);
    snprintf(text, sizeof text, "port %d\nbind 127.0.0.1\n", port);
    configure(text);
    check_refused("cannot listen on 127.0.0.1 port PORT: Address already in use", port);
    CHECK(sleeps >= 10 && sleeps <= 100);
    sleeps = 0;
    close_after = 3, close_fd = holder;
    CHECK(opens());
    CHECK_INT(sleeps, 3);
    listeners_close();
}

/* ---- The Unix socket ------------------------------------------------------------------------------ */

static const char *socket_path(void) {
    static char path[64];
    snprintf(path, sizeof path, "%s/kevy.sock", dir);
    return path;
}

static int listen_unix(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0);
    return fd;
}

static void configure_unix(const char *more) {
    char text[256];
    snprintf(text, sizeof text, "unixsocket %s\n%s", socket_path(), more);
    configure(text);
}

static void the_unix_socket_s_mode_is_what_was_asked_for(void) {
    static const struct {
        const char *line;
        unsigned mode;
    } cases[] = {{"", 0700},
                 {"unixsocketperm 700\n", 0700},
                 {"unixsocketperm 777\n", 0777},
                 {"unixsocketperm 0660\n", 0660},
                 {"unixsocketperm 600\n", 0600}};
    mode_t mask = umask(022);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stat found;
        configure_unix(cases[i].line);
        CHECK(opens());
        CHECK(stat(socket_path(), &found) == 0 && S_ISSOCK(found.st_mode));
        CHECK_INT(found.st_mode & 0777, cases[i].mode);
        int fd = connect_unix(socket_path());
        CHECK(fd >= 0);
        close(fd);
        listeners_close();
        CHECK(stat(socket_path(), &found) < 0 && errno == ENOENT);
    }
    CHECK_INT(umask(mask), 022); /* the process's own is as it was */
}

static void a_socket_that_nobody_answers_on_is_replaced(void) {
    int old = listen_unix(socket_path());
    configure_unix("");
    char expected[256];
    snprintf(expected, sizeof expected, "unixsocket %s: another server answers there", socket_path());
    check_refused(expected, 0);
    CHECK(sleeps >= 10);
    CHECK_INT(access(socket_path(), F_OK), 0); /* and is left to it */
    sleeps = 0;
    close_after = 2, close_fd = old;
    CHECK(opens());
    CHECK_INT(sleeps, 2);
    listeners_close();
}

/* connect() would wait until the server accepts. */
static void a_server_that_hangs_is_not_waited_for(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char expected[256];
    int waiting[64], holder = listen_unix(socket_path()), count = 0;
    CHECK_INT(listen(holder, 2), 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", socket_path());
    do {
        waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(waiting[count] >= 0);
    } while (connect(waiting[count++], (struct sockaddr *)&to, sizeof to) == 0 && count < 64);
    CHECK_INT(errno, EAGAIN);
    configure_unix("");
    snprintf(expected, sizeof expected, "unixsocket %s: another server holds it, and does not accept",
             socket_path());
    check_refused(expected, 0);
    CHECK_INT(access(socket_path(), F_OK), 0);
    while (count) close(waiting[--count]);
    close(holder);
    CHECK_INT(unlink(socket_path()), 0);
}

static void what_is_no_socket_is_left_alone(void) {
    char expected[256];
    FILE *file = fopen(socket_path(), "w");
    CHECK(file && fputs("precious", file) >= 0 && fclose(file) == 0);
    configure_unix("");
    snprintf(expected, sizeof expected, "unixsocket %s: exists and is no socket", socket_path());
    check_refused(expected, 0);
    CHECK_INT(unlink(socket_path()), 0);
    CHECK_INT(symlink("/nonexistent", socket_path()), 0); /* nor is a link followed */
    check_refused(expected, 0);
    CHECK_INT(unlink(socket_path()), 0);
}

static void an_empty_file_is_replaced(void) {
    struct stat made;
    FILE *file = fopen(socket_path(), "w");
    CHECK(file && fclose(file) == 0);
    configure_unix("");
    CHECK(opens());
    CHECK(stat(socket_path(), &made) == 0 && S_ISSOCK(made.st_mode));
    listeners_close();
    CHECK_INT(access(socket_path(), F_OK), -1);
}

static void a_directory_that_is_not_there_is_named(void) {
    char text[256], expected[256];
    snprintf(text, sizeof text, "unixsocket %s/none/kevy.sock\n", dir);
    configure(text);
    snprintf(expected, sizeof expected, "unixsocket %s/none/kevy.sock: No such file or directory", dir);
    check_refused(expected, 0);
}

/* ---- Sockets that came with the process ----------------------------------------------------------- */

static void sockets_that_listen_already_are_taken_over(void) {
    int port, fds[] = {listen_anywhere(&port), listen_unix(socket_path())};
    configure("");
    CHECK(listeners_adopt(fds, 2, error, sizeof error));
    CHECK_INT(listener_count, 2);
    CHECK(listeners[0].fd == fds[0] && !listeners[0].unix_socket && listeners[1].unix_socket);
    CHECK_INT(listener_port(), port);
    CHECK(reached("127.0.0.1", port));
    listeners_close();
    CHECK(!reached("127.0.0.1", port));
    CHECK_INT(unlink(socket_path()), 0); /* it was not made here, so it is left */
}

/* Takes over a socket that is well and this descriptor, which is at fault. */
static void check_fault(int fd, const char *fault) {
    char expected[256];
    int port, fds[] = {listen_anywhere(&port), fd, -1};
    CHECK(!listeners_adopt(fds, 3, error, sizeof error));
    snprintf(expected, sizeof expected, "descriptor %d was passed to be listened on, and cannot be: %s", fd,
             fault);
    CHECK_BYTES(bytes_of(error), bytes_of(expected));
    CHECK(listener_count == 0 && !reached("127.0.0.1", port));
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
}

static void descriptors_that_cannot_accept_are_refused(void) {
    static const char silent[] = "it does not listen (a unit of systemd needs Accept=no)";
    int port, pair[2], fds[LISTENERS_MAX + 1], listener = listen_anywhere(&port), connected;
    configure("");
    CHECK_INT(pipe(pair), 0);
    check_fault(pair[0], "it is no socket");
    check_fault(pair[1], "it is no socket");
    check_fault(999, "Bad file descriptor");
    check_fault(socket(AF_INET, SOCK_DGRAM, 0), "it is no stream socket");
    check_fault(socket(AF_UNIX, SOCK_SEQPACKET, 0), "it is no stream socket");
    check_fault(socket(AF_INET, SOCK_STREAM, 0), silent);
    CHECK((connected = connect_to("127.0.0.1", port)) >= 0);
    check_fault(connected, silent);
    CHECK_INT(shutdown(listener, SHUT_RD), 0); /* it was one */
    check_fault(listener, silent);
    int other = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (other >= 0 && listen(other, 1) == 0)
        check_fault(other, "it is of another family than IPv4, IPv6 and Unix");
    for (int i = 0; i <= LISTENERS_MAX; i++) fds[i] = listen_anywhere(&port);
    CHECK(!listeners_adopt(fds, LISTENERS_MAX + 1, error, sizeof error));
    CHECK_BYTES(bytes_of(error), BYTES("more than 32 sockets to listen on"));
    CHECK(!reached("127.0.0.1", port));
}

int main(void) {
    CHECK(mkdtemp(dir));
    snprintf(log_path, sizeof log_path, "%s/log", dir);
    CHECK_INT(log_open(log_path), 0);
    RUN(an_address_is_listened_on_and_others_are_not);
    RUN(several_addresses_share_the_port);
    RUN(stars_are_all_addresses_of_a_family);
    RUN(an_address_that_is_not_here_is_refused_unless_it_may_be_missing);
    RUN(a_name_is_all_of_its_addresses);
    RUN(a_name_that_means_nothing_is_refused);
    RUN(some_of_a_name_s_addresses_may_be_elsewhere);
    RUN(a_family_that_the_kernel_lacks_is_skipped);
    RUN(an_interface_may_stand_behind_an_address);
    RUN(more_addresses_than_there_is_room_for_are_refused);
    RUN(without_a_port_there_is_no_tcp);
    RUN(a_port_in_use_is_waited_for_and_then_refused);
    RUN(the_unix_socket_s_mode_is_what_was_asked_for);
    RUN(a_socket_that_nobody_answers_on_is_replaced);
    RUN(a_server_that_hangs_is_not_waited_for);
    RUN(what_is_no_socket_is_left_alone);
    RUN(an_empty_file_is_replaced);
    RUN(a_directory_that_is_not_there_is_named);
    RUN(sockets_that_listen_already_are_taken_over);
    RUN(descriptors_that_cannot_accept_are_refused);
    CHECK_INT(unlink(log_path), 0);
    return rmdir(dir) != 0;
}
