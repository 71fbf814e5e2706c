/* load.c - requests at a fixed rate, whatever the server does meanwhile, and how long each took.
 *
 *     load (PORT | PATH) [--rate N] [--connections N] [--seconds N] [--command ping|get|set] [--keys N] [--spin]
 *          [--realtime] [--thread TID]
 *
 * DESIGN
 * The loop is open: request i is due at start + i / rate and belongs to connection i % connections, and its time is
 * counted from that moment, also when the server or this program is late with it. A generator that waits for a
 * reply before it sends on would leave out just the requests that a stall would have hit. The k-th reply of
 * connection c answers request c + k * connections, so nothing need be kept per request.
 *
 * One thread, edge-triggered epoll. It sleeps until something is due or comes (--spin: it does not sleep, which
 * takes its own wake-up out of the figures), and counts how late it was itself (late_us). --realtime asks for
 * SCHED_FIFO, for a machine whose CPUs are busy. With --thread own_us is told besides: the longest time from sending to
 * reply without that for which this thread of the server, and this program, were ready to run and had no CPU, as the kernel
 * counts it (the second figure of /proc/TID/schedstat). Where the thread had no CPU before the request was sent, that is too
 * little; but others are sent meanwhile, and before. Ends after --seconds or at SIGTERM, and waits a moment for what
 * is outstanding; what is not answered then counts with the time that it has waited. Prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000LL
enum {
    OUTPUT = 16384,
    REQUEST_MAX = 128,
    CONNECTIONS_MAX = 16384,
    EVENTS = 256,
    DRAIN_SECONDS = 5,
    OUTSTANDING = 1 << 16
};
enum { SUB_BITS = 6, SUBS = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) << SUB_BITS }; /* error below 1/64 */
enum command { PING, GET, SET };

struct options {
    const char *address;
    const char *thread; /* of the server: its number */
    long rate, connections, keys;
    int64_t duration_ns;
    enum command command;
    bool spin, realtime;
};

struct conn {
    int fd;
    int64_t due, sent, replies; /* requests; due >= sent >= replies */
    size_t start, end;          /* what of output is not written yet */
    size_t skip;                /* bytes of a bulk that are still to come, its CRLF included */
    size_t line_len;            /* bytes of a reply's first line so far */
    char line[64];
    char output[OUTPUT];
};

static struct options options = {
    .rate = 1000, .connections = 1, .keys = 100000, .duration_ns = 10 * NS_PER_SECOND};
static struct conn *conns;
static int epoll;
static int64_t start; /* CLOCK_MONOTONIC, ns */
static uint64_t histogram[BUCKETS], recorded;
static int64_t longest, latest; /* ns: of all requests, and by how much this program was late */
static int64_t longest_own;     /* ns: without what others took */
static int waits[2] = {-1,
                       -1}; /* files that say how long the server's thread, and this one, waited for a CPU */
static struct sent {
    int64_t at, waited;
} sent_requests[OUTSTANDING]; /* the last so many, where --thread is given */
static volatile sig_atomic_t stopped;

static void fail(const char *what, int error) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(error));
    exit(1);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* When request i is due. Exact for hours at any rate: seconds and the rest apart. */
static int64_t due_at(int64_t i) {
    return start + i / options.rate * NS_PER_SECOND + i % options.rate * NS_PER_SECOND / options.rate;
}

/* ---- Histogram: every power of two in 64 equal parts ---- */

static unsigned bucket_of(uint64_t ns) {
    if (ns < SUBS) return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (unsigned)(ns >> shift) - SUBS;
}

/* The least value of the bucket. */
static uint64_t bucket_floor(unsigned bucket) {
    if (bucket < SUBS) return bucket;
    return (uint64_t)((bucket & (SUBS - 1)) + SUBS) << ((bucket >> SUB_BITS) - 1);
}

static void record(int64_t ns) {
    if (ns < 0) ns = 0;
    if (ns > longest) longest = ns;
    histogram[bucket_of((uint64_t)ns)]++;
    recorded++;
}

static double percentile_us(double percent) {
    uint64_t wanted = (uint64_t)((double)recorded * percent / 100.0), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > wanted) return (double)bucket_floor(i) / 1000.0;
    }
    return (double)longest / 1000.0;
}

/* ---- Waiting for a CPU ---- */

static int open_waits(const char *thread) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%s/schedstat", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(path, errno);
    return fd;
}

static int64_t read_waited(int fd) {
    char text[96], *end;
    ssize_t len = pread(fd, text, sizeof(text) - 1, 0);
    if (len <= 0) fail("schedstat", errno);
    text[len] = '\0';
    (void)strtoll(text, &end, 10);
    return strtoll(end, NULL, 10);
}

static int64_t waited_ns(void) {
    return read_waited(waits[0]) + read_waited(waits[1]);
}

static void note_sent(int64_t i) {
    if (options.thread) sent_requests[i % OUTSTANDING] = (struct sent){now_ns(), waited_ns()};
}

static void record_own(int64_t i, int64_t now) {
    const struct sent *sent = &sent_requests[i % OUTSTANDING];
    if (!options.thread) return;
    int64_t own = now - sent->at - (waited_ns() - sent->waited);
    if (own > longest_own) longest_own = own;
}

/* ---- Connections ---- */

static int dial(void) {
    char *end;
    unsigned long port = strtoul(options.address, &end, 10);
    struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    bool is_port = *end == '\0' && port <= UINT16_MAX;
    int fd = socket(is_port ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, error;
    if (fd < 0) fail("socket", errno);
    if (is_port) {
        tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        error = connect(fd, (struct sockaddr *)&tcp, sizeof(tcp));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    } else {
        if (strlen(options.address) >= sizeof(path.sun_path)) fail(options.address, ENAMETOOLONG);
        memcpy(path.sun_path, options.address, strlen(options.address) + 1);
        error = connect(fd, (struct sockaddr *)&path, sizeof(path));
    }
    if (error || fcntl(fd, F_SETFL, O_NONBLOCK)) fail(options.address, errno);
    return fd;
}

static void dial_all(void) {
    conns = calloc((size_t)options.connections, sizeof(*conns));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!conns || epoll < 0) fail("start", errno);
    for (long i = 0; i < options.connections; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &conns[i]};
        conns[i].fd = dial();
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event) != 0) fail("epoll_ctl", errno);
    }
}

static uint64_t random_key(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % (uint64_t)options.keys;
}

static size_t put_request(char *at) {
    unsigned long long key = options.command == PING ? 0 : random_key();
    int len = 0;
    switch (options.command) {
    case PING: len = snprintf(at, REQUEST_MAX, "*1\r\n$4\r\nPING\r\n"); break;
    case GET: len = snprintf(at, REQUEST_MAX, "*2\r\n$3\r\nGET\r\n$16\r\nkey:%012llu\r\n", key); break;
    case SET:
        len = snprintf(at, REQUEST_MAX, "*3\r\n$3\r\nSET\r\n$16\r\nkey:%012llu\r\n$16\r\n%016llu\r\n", key,
                       key);
        break;
    }
    return (size_t)len;
}

/* Which of all requests is the k-th of this connection? */
static int64_t number_of(const struct conn *conn, int64_t k) {
    return conn - conns + k * options.connections;
}

/* Writes what is due, as far as the socket takes it: the rest when it is writable again. */
static void pump(struct conn *conn) {
    for (;;) {
        if (conn->start == conn->end) conn->start = conn->end = 0;
        for (; conn->sent < conn->due && OUTPUT - conn->end >= REQUEST_MAX; conn->sent++) {
            note_sent(number_of(conn, conn->sent));
            conn->end += put_request(conn->output + conn->end);
        }
        if (conn->start == conn->end) return;
        ssize_t n = send(conn->fd, conn->output + conn->start, conn->end - conn->start, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) fail("send", errno);
        conn->start += (size_t)n;
    }
}

static void on_reply(struct conn *conn, int64_t now) {
    int64_t i = number_of(conn, conn->replies++);
    record(now - due_at(i));
    record_own(i, now);
}

/* A reply is a line, or a line that announces a bulk, and that. */
static void on_line(struct conn *conn, int64_t now) {
    conn->line[conn->line_len] = '\0';
    conn->line_len = 0;
    if (conn->line[0] == '-') {
        fprintf(stderr, "load: the server answered %s\n", conn->line);
        exit(1);
    }
    long len = conn->line[0] == '$' ? strtol(conn->line + 1, NULL, 10) : -1;
    if (len >= 0)
        conn->skip = (size_t)len + 2;
    else
        on_reply(conn, now);
}

static void on_data(struct conn *conn, const char *data, size_t len, int64_t now) {
    while (len) {
        size_t n = 1;
        if (conn->skip) {
            n = conn->skip < len ? conn->skip : len;
            conn->skip -= n;
            if (conn->skip == 0) on_reply(conn, now);
        } else if (*data == '\n') {
            on_line(conn, now);
        } else if (*data != '\r' && conn->line_len < sizeof(conn->line) - 1) {
            conn->line[conn->line_len++] = *data;
        }
        data += n;
        len -= n;
    }
}

static void receive(struct conn *conn) {
    char data[16384];
    for (;;) {
        ssize_t n = recv(conn->fd, data, sizeof(data), 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) fail("the server closed a connection", n ? errno : ECONNRESET);
        on_data(conn, data, (size_t)n, now_ns());
    }
}

/* ---- The loop ---- */

/* Until `until` at the latest. */
static void wait_and_serve(int64_t until) {
    struct epoll_event events[EVENTS];
    int64_t left = options.spin ? 0 : until - now_ns();
    if (left < 0) left = 0;
    struct timespec timeout = {.tv_sec = left / NS_PER_SECOND, .tv_nsec = left % NS_PER_SECOND};
    int n = epoll_pwait2(epoll, events, EVENTS, &timeout, NULL);
    if (n < 0 && errno != EINTR) fail("epoll_pwait2", errno);
    for (int i = 0; i < n; i++) {
        receive(events[i].data.ptr);
        pump(events[i].data.ptr);
    }
}

/* Sends what is due before the end, and returns the first request that is not. */
static int64_t send_due(int64_t next, int64_t end) {
    int64_t now = now_ns();
    for (; due_at(next) <= now && due_at(next) < end; next++) {
        struct conn *conn = &conns[next % options.connections];
        if (now - due_at(next) > latest) latest = now - due_at(next);
        conn->due++;
        pump(conn);
    }
    return next;
}

/* Returns the number of requests that were due. */
static int64_t run(void) {
    int64_t next = 0;
    start = now_ns() + NS_PER_SECOND / 100;
    int64_t end = start + options.duration_ns;
    while (!stopped && now_ns() < end) {
        next = send_due(next, end);
        wait_and_serve(due_at(next) < end ? due_at(next) : end);
    }
    for (end = now_ns() + DRAIN_SECONDS * NS_PER_SECOND; recorded < (uint64_t)next && now_ns() < end;)
        wait_and_serve(end);
    return next;
}

static void count_unanswered(void) {
    int64_t now = now_ns();
    for (long c = 0; c < options.connections; c++)
        while (conns[c].replies < conns[c].due) on_reply(&conns[c], now);
}

static void report(int64_t requests, uint64_t replies, bool realtime) {
    static const double percents[] = {10, 50, 90, 99, 99.9, 99.99};
    printf(
        "{\"requests\": %lld, \"unanswered\": %lld, \"max_us\": %.1f, \"late_us\": %.1f, \"realtime\": %s, "
        "\"percentiles_us\": {",
        (long long)requests, (long long)requests - (long long)replies, (double)longest / 1000.0,
        (double)latest / 1000.0, realtime ? "true" : "false");
    for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++)
        printf("%s\"%g\": %.1f", i ? ", " : "", percents[i], percentile_us(percents[i]));
    printf("}");
    if (options.thread) printf(", \"own_us\": %.1f", (double)longest_own / 1000.0);
    printf("}\n");
}

/* ---- Start ---- */

static void usage(void) {
    fprintf(stderr,
            "usage: load (PORT | PATH) [--rate N] [--connections N] [--seconds N] [--command ping|get|set]\n"
            "            [--keys N] [--spin] [--realtime] [--thread TID]\n");
    exit(2);
}

static long number(const char *text, long most) {
    char *end = NULL;
    long value = text ? strtol(text, &end, 10) : 0;
    if (!end || *end || value < 1 || value > most) usage();
    return value;
}

/* Seconds, with a fraction if you like, in nanoseconds. */
static int64_t duration(const char *text) {
    char *end = NULL;
    double seconds = text ? strtod(text, &end) : 0;
    if (!end || *end || !(seconds >= 0.001 && seconds <= 86400)) usage();
    return (int64_t)(seconds * (double)NS_PER_SECOND);
}

static enum command command_of(const char *name) {
    static const char *const names[] = {"ping", "get", "set"};
    for (int i = 0; name && i <= SET; i++)
        if (strcmp(name, names[i]) == 0) return (enum command)i;
    usage();
    return PING;
}

static void parse(char **argv) {
    if (!*argv || !argv[1]) usage();
    options.address = *++argv;
    while (*++argv) {
        if (strcmp(*argv, "--spin") == 0)
            options.spin = true;
        else if (strcmp(*argv, "--realtime") == 0)
            options.realtime = true;
        else if (strcmp(*argv, "--thread") == 0 && argv[1])
            options.thread = *++argv;
        else if (strcmp(*argv, "--rate") == 0)
            options.rate = number(*++argv, 10000000);
        else if (strcmp(*argv, "--connections") == 0)
            options.connections = number(*++argv, CONNECTIONS_MAX);
        else if (strcmp(*argv, "--seconds") == 0)
            options.duration_ns = duration(*++argv);
        else if (strcmp(*argv, "--keys") == 0)
            options.keys = number(*++argv, INT_MAX);
        else if (strcmp(*argv, "--command") == 0)
            options.command = command_of(*++argv);
        else
            usage();
    }
}

static void on_term(int signal_number) {
    stopped = signal_number;
}

int main(int argc, char **argv) {
    parse(argv);
    struct sigaction action = {.sa_handler = on_term};
    struct sched_param priority = {.sched_priority = 1};
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    bool realtime = options.realtime && sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    if (options.thread) waits[0] = open_waits(options.thread), waits[1] = open_waits("thread-self");
    dial_all();
    int64_t requests = run();
    uint64_t replies = recorded;
    count_unanswered();
    report(requests, replies, realtime);
    return 0;
}
