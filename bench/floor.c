/* floor.c - what the kernel alone costs: the plainest io_uring server that redis-benchmark can be pointed at.
 *
 *     floor PORT [UNIX-SOCKET] [--batch-us N --batch-want M]        PORT 0: any free one, printed
 *     floor PORT [UNIX-SOCKET] --epoll [--batch-us N]
 *
 * DESIGN
 * One thread, one DEFER_TASKRUN ring, multishot accept, multishot receive over provided buffers, one SEND per
 * connection and turn, waiting for one completion (or, with --batch-*, for M requests' worth of them, at most
 * N microseconds). It parses nothing: redis-benchmark sends requests of one length, so the first of a
 * connection is measured and the rest is a division. Each is answered with the same 16-byte bulk, sent from
 * one constant block. A server that parses, looks up and replies is judged by the ratio of its CPU time
 * to that of this one.
 *
 * With --epoll the same is done by readiness: one receive for a socket that can be read, one send for it, and an
 * epoll_wait a turn, before which it sleeps for N microseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "uring/buffers.h"
#include "uring/prep.h"
#include "uring/ring.h"

#define REPLY "$16\r\n................\r\n"
enum { REPLY_LEN = sizeof(REPLY) - 1, REPLIES = 2048, CONNS = 16384, BUFFERS = 256, BUFFER_SIZE = 16384 };
enum kind { ACCEPT, RECV, SEND };

struct conn {
    size_t request_len; /* 0: not yet known */
    size_t rest;        /* bytes of a request that is not all here */
    size_t owed;        /* bytes of replies to send */
    size_t sent;        /* bytes into the reply that the next send begins with */
    bool config;        /* redis-benchmark's first connection: it asks for CONFIG values */
    bool queued, sending, ended;
};

static struct ring ring;
static struct buffers buffers;
static char replies[REPLIES * REPLY_LEN];
static struct conn conns[CONNS]; /* by descriptor */
static int queue[CONNS];         /* descriptors with something to do in this turn's flush */
static unsigned queue_len, sends;

static void fail(const char *what, int error) {
    fprintf(stderr, "floor: %s: %s\n", what, strerror(error));
    exit(1);
}

static struct io_uring_sqe *sqe_for(void) {
    struct io_uring_sqe *sqe;
    while (!(sqe = ring_sqe(&ring))) ring_submit(&ring);
    return sqe;
}

static uint64_t tag(enum kind kind, int fd) {
    return (uint64_t)kind << 32 | (uint32_t)fd;
}

static void arm_accept(int fd) {
    prep_accept_multishot(sqe_for(), fd, SOCK_CLOEXEC, tag(ACCEPT, fd));
}

static void arm_recv(int fd) {
    prep_recv_multishot(sqe_for(), fd, 0, tag(RECV, fd));
}

static void enqueue(int fd) {
    if (conns[fd].queued) return;
    conns[fd].queued = true;
    queue[queue_len++] = fd;
}

/* Skips "<mark><number>\r\n" and returns the number; 0 and at = end where it is not that. */
static size_t header(const char **at, const char *end, char mark) {
    size_t value = 0;
    const char *p = *at;
    if (p < end && *p == mark)
        for (p++; p < end && *p >= '0' && *p <= '9' && value < 1u << 28; p++)
            value = value * 10 + (size_t)(*p - '0');
    bool whole = end - p >= 2 && p[0] == '\r' && p[1] == '\n';
    *at = whole ? p + 2 : end;
    return whole ? value : 0;
}

/* Of the request that the data begins with. Its last value may still be on its way, its headers not. */
static size_t request_length(const char *data, size_t len) {
    const char *at = data, *end = data + len;
    for (size_t args = header(&at, end, '*'); args > 0; args--) {
        size_t arg = header(&at, end, '$') + 2;
        if (args == 1 || arg >= (size_t)(end - at)) return (size_t)(at - data) + arg;
        at += arg;
    }
    return len;
}

/* Any two CONFIG GETs will do; this happens once a run and may take its time. */
static void answer_config(int fd, const char *data, size_t len) {
    static const char answer[] = "*2\r\n$4\r\nsave\r\n$0\r\n\r\n";
    for (const char *end = data + len; (data = memmem(data, (size_t)(end - data), "CONFIG", 6)); data += 6)
        if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL) < 0) return;
}

static void on_data(int fd, char *data, size_t len) {
    struct conn *conn = &conns[fd];
    if (conn->request_len == 0) {
        conn->config = memmem(data, len, "CONFIG", 6) != NULL;
        conn->request_len = request_length(data, len);
    }
    if (conn->config) {
        answer_config(fd, data, len);
        return;
    }
    size_t bytes = conn->rest + len;
    conn->owed += bytes / conn->request_len * REPLY_LEN;
    conn->rest = bytes % conn->request_len;
    if (conn->owed) enqueue(fd);
}

static void on_recv(int fd, int result, unsigned flags) {
    if (flags & IORING_CQE_F_BUFFER) {
        unsigned id = buffers_id(flags);
        char *data = buffers_take(&buffers, id);
        if (result > 0) on_data(fd, data, (size_t)result);
        buffers_return(&buffers, id);
    }
    if (flags & IORING_CQE_F_MORE) return;
    if (result > 0 || result == -ENOBUFS) {
        arm_recv(fd); /* submitted after this turn's buffers are published */
        return;
    }
    conns[fd].ended = true;
    enqueue(fd);
}

static void on_send(int fd, int result) {
    struct conn *conn = &conns[fd];
    sends--;
    conn->sending = false;
    if (result < 0) conn->owed = 0;
    if (result > 0) {
        conn->owed -= (size_t)result;
        conn->sent = (conn->sent + (size_t)result) % REPLY_LEN;
    }
    if (conn->owed || conn->ended) enqueue(fd);
}

static void on_accept(int listener, int fd, unsigned flags) {
    if (fd >= CONNS) close(fd);
    if (fd >= 0 && fd < CONNS) {
        conns[fd] = (struct conn){0};
        arm_recv(fd);
    }
    if (!(flags & IORING_CQE_F_MORE)) arm_accept(listener);
}

static void reap(void) {
    unsigned ready = ring_ready(&ring);
    for (unsigned i = 0; i < ready; i++) {
        const struct io_uring_cqe *cqe = ring_cqe(&ring, i);
        int fd = (int)(uint32_t)cqe->user_data;
        switch ((enum kind)(cqe->user_data >> 32)) {
        case ACCEPT: on_accept(fd, cqe->res, cqe->flags); break;
        case RECV: on_recv(fd, cqe->res, cqe->flags); break;
        case SEND: on_send(fd, cqe->res); break;
        }
    }
    ring_advance(&ring, ready);
    buffers_publish(&buffers);
}

static void flush(void) {
    for (unsigned i = 0; i < queue_len; i++) {
        int fd = queue[i];
        struct conn *conn = &conns[fd];
        conn->queued = false;
        if (conn->sending) continue;
        if (conn->owed) {
            size_t room = sizeof(replies) - conn->sent;
            size_t len = conn->owed < room ? conn->owed : room;
            prep_send(sqe_for(), fd, (struct iovec){replies + conn->sent, len}, MSG_NOSIGNAL, tag(SEND, fd));
            conn->sending = true;
            sends++;
        } else if (conn->ended) {
            close(fd);
        }
    }
    queue_len = 0;
}

static int listen_tcp(unsigned port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0) fail("socket", errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* accepted sockets inherit it */
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 511) != 0) fail("bind", errno);
    getsockname(fd, (struct sockaddr *)&address, &len);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static int listen_unix(const char *path) {
    struct stat old;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) fail(path, ENAMETOOLONG);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (stat(path, &old) == 0 && S_ISSOCK(old.st_mode)) unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket", errno);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 511) != 0)
        fail(path, errno);
    return fd;
}

struct options {
    unsigned long port, batch_us, batch_want;
    const char *path;
    bool epoll;
};

static unsigned long number(const char *text, unsigned long most) {
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : ULONG_MAX;
    if (text && *text && !*end && value <= most) return value;
    fprintf(stderr, "usage: floor PORT [UNIX-SOCKET] [--epoll] [--batch-us N] [--batch-want M]\n");
    exit(2);
}

static struct options parse(char **argv) {
    struct options options = {.batch_want = 1};
    options.port = number(*argv ? *++argv : NULL, UINT16_MAX);
    for (argv++; *argv; argv++) {
        if (strcmp(*argv, "--batch-us") == 0)
            options.batch_us = number(*++argv, 1000000);
        else if (strcmp(*argv, "--batch-want") == 0)
            options.batch_want = number(*++argv, 1024);
        else if (strcmp(*argv, "--epoll") == 0)
            options.epoll = true;
        else if (**argv != '-' && !options.path)
            options.path = *argv;
        else
            number(NULL, 0);
    }
    return options;
}

/* ---- Over epoll ---- */

static int poll_fd;

static void watch(int fd, uint32_t of, enum kind kind) {
    struct epoll_event event = {.events = of, .data.u64 = tag(kind, fd)};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl", errno);
}

static void accept_ready(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= CONNS) close(fd);
    if (fd < 0 || fd >= CONNS) return;
    conns[fd] = (struct conn){0};
    watch(fd, EPOLLIN, RECV);
}

/* All that a socket's readiness leads to. What a full socket does not take, it gets when more of its requests come. */
static void serve_ready(int fd) {
    static char data[BUFFER_SIZE];
    struct conn *conn = &conns[fd];
    ssize_t len = recv(fd, data, sizeof(data), 0);
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR)) {
        close(fd);
        return;
    }
    if (len > 0) on_data(fd, data, (size_t)len);
    queue_len = 0; /* it is served here */
    conn->queued = false;
    if (!conn->owed) return;
    size_t room = sizeof(replies) - conn->sent;
    ssize_t sent = send(fd, replies + conn->sent, conn->owed < room ? conn->owed : room, MSG_NOSIGNAL);
    if (sent <= 0) return;
    conn->owed -= (size_t)sent;
    conn->sent = (conn->sent + (size_t)sent) % REPLY_LEN;
}

static void run_epoll(const struct options *options) {
    struct epoll_event events[256];
    struct timespec pause = {.tv_nsec = (long)options->batch_us * 1000};
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* it sleeps no longer than it says */
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) fail("epoll", errno);
    watch(listen_tcp((unsigned)options->port), EPOLLIN, ACCEPT);
    if (options->path) watch(listen_unix(options->path), EPOLLIN, ACCEPT);
    for (int last = 0;;) {
        if (options->batch_us && last) nanosleep(&pause, NULL);
        int count = last = epoll_wait(poll_fd, events, sizeof(events) / sizeof(events[0]), -1);
        for (int i = 0; i < count; i++) {
            int fd = (int)(uint32_t)events[i].data.u64;
            if (events[i].data.u64 >> 32 == ACCEPT)
                accept_ready(fd);
            else
                serve_ready(fd);
        }
    }
}

int main(int argc, char **argv) {
    struct options options = parse(argv);
    if (options.epoll && options.batch_us >= 1000000) number(NULL, 0);
    for (unsigned i = 0; i < REPLIES; i++) memcpy(replies + (size_t)i * REPLY_LEN, REPLY, REPLY_LEN);
    if (options.epoll) run_epoll(&options);
    static const struct ring_options ring_options = {
        .sq_entries = 1024, .cq_entries = 4096, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1};
    int error = ring_open(&ring, &ring_options);
    if (error) fail("io_uring", -error);
    error = buffers_open(&buffers, &ring, &(struct buffers_options){0, BUFFERS, BUFFERS, BUFFER_SIZE});
    if (error) fail("provided buffers", -error);
    if (options.batch_us && !ring.min_wait) fail("--batch-us needs Linux 6.12", ENOSYS);

    arm_accept(listen_tcp((unsigned)options.port));
    if (options.path) arm_accept(listen_unix(options.path));
    for (;;) {
        /* Sends complete at once: batched waiting is for requests, so it wants them on top. */
        unsigned want = options.batch_us ? (unsigned)options.batch_want + sends : 1;
        ring_wait(&ring, want, options.batch_us, UINT64_MAX);
        reap();
        flush();
    }
}
