/* One scripted peer, both implementations: what a loop hears over epoll is what it hears over io_uring, step by step.
 * Turns in which nothing is heard are counted, and calls. --plant: one of the two plays another script, and the
 * comparison must find it. */
#include "uring/io.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>

#include "tests/unit/uring_fixture.h"

enum {
    BUFFERS = 8,
    SIZE = 64, /* small, so that much of what is said takes more than one */
    LARGE = 8 << 20,
    TURN_US = 2000, /* what comes comes at once: the peer is on this machine */
    STEPS = 16,
    TRACE = 4096,
    EMPTY_TURNS = 3, /* in a step, beside those that end it: more would be a spin */
};

enum kind {
    NO_STEP,
    SAY,          /* the peer sends text */
    SAY_AND_STOP, /* and it is no longer listened to, before anybody has looked; not noted */
    URGENT,       /* one urgent byte (TCP) */
    WITH_FD,      /* text, and a descriptor with its first byte (Unix) */
    HALF_CLOSE,   /* the peer will send no more */
    RESET,        /* it is gone, with what lies unread */
    PAUSE,        /* the receive is stopped */
    RESUME,
    ONCE,  /* a receive of n bytes at most */
    READ,  /* a read of n bytes */
    QUICK, /* a quick send of text */
    SEND,  /* a send of n bytes, in two parts */
    DRAIN, /* the peer reads n bytes */
    HOLD,  /* the buffers that come are kept ... */
    LOOSE, /* ... and go back */
    DETACH,
};
static const char *const names[] = {
    "",      "say",    "say and stop", "urgent", "with descriptor", "half-close", "reset",
    "pause", "resume", "receive once", "read",   "quick",           "send",       "drain",
    "hold",  "loose",  "detach",
};

struct step {
    enum kind kind;
    const char *text;
    unsigned n;
};

struct script {
    const char *name;
    struct step steps[STEPS];
    int family; /* 0: both */
};

/* What is done with one socket, over one of the two, and what was heard of it. */
static struct {
    struct io io;
    struct io_socket socket;
    int fd, peer;
    bool attached, many; /* a receive shall be under way */
    unsigned after_stop; /* events with data since the stop; above 1: broken */
    bool stopping, hold;
    uint32_t held[BUFFERS];
    unsigned held_count;
    struct iovec parts[2], *left;
    unsigned left_count;
    char read_to[256];
    uint64_t to_send;

    /* Heard in this step. */
    char got[1024];
    unsigned got_len;
    bool eof, sent, send_failed, settled;
    int error, read_len;
    unsigned empty_turns;

    char trace[TRACE];
    size_t len;
} loop;

static char *large;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(loop.trace + loop.len, TRACE - loop.len, format, arguments);
    va_end(arguments);
    CHECK(n >= 0 && loop.len + (size_t)n < TRACE);
    loop.len += (size_t)n;
}

static struct io_socket *find(void *context, uint64_t data) {
    CHECK(context == &loop && data == 5);
    return loop.attached ? &loop.socket : NULL;
}

/* ---- The loop ----------------------------------------------------------------------------------- */

static void arm(void) {
    if (loop.attached && loop.many && !io_is_receiving(&loop.socket) && !io_is_reading(&loop.socket))
        CHECK(io_receive_many(&loop.io, &loop.socket));
}

static void send_left(bool quick) {
    CHECK(io_send(&loop.io, &loop.socket, loop.left, loop.left_count, quick));
}

/* n bytes of what was to be sent have gone. */
static void has_gone(size_t n) {
    while (n && loop.left_count) {
        size_t part = n < loop.left->iov_len ? n : loop.left->iov_len;
        loop.left->iov_base = (char *)loop.left->iov_base + part;
        loop.left->iov_len -= part;
        n -= part;
        if (loop.left->iov_len == 0) loop.left++, loop.left_count--;
    }
    CHECK_INT(n, 0);
    if (loop.left_count)
        send_left(false);
    else
        loop.sent = true;
}

static void heard_bytes(const struct io_event *event) {
    CHECK(event->result <= SIZE && !event->eof && loop.got_len + (unsigned)event->result < sizeof loop.got);
    memcpy(loop.got + loop.got_len, io_buffer(&loop.io, event->buffer), (size_t)event->result);
    loop.got_len += (unsigned)event->result;
    if (loop.stopping) CHECK_INT(++loop.after_stop, 1);
    if (loop.hold)
        loop.held[loop.held_count++] = event->buffer;
    else
        io_release(&loop.io, event->buffer);
}

static void heard_receive(const struct io_event *event) {
    CHECK_INT(event->last, !io_is_receiving(&loop.socket));
    if (event->result > 0) heard_bytes(event);
    if (event->last) loop.stopping = false;
    if (event->result < 0 && event->result != -ENOBUFS) loop.error = event->result;
    if (event->eof) loop.eof = true;
    if (event->eof || loop.error) loop.many = false;
}

static bool heard(const struct io_event *event) {
    if (event->operation == IO_NOTHING) return false;
    CHECK(event->socket == &loop.socket && event->data == 5);
    switch (event->operation) {
    case IO_RECEIVE: heard_receive(event); return event->result != 0 || event->last;
    case IO_READ:
        CHECK(event->last && !io_is_reading(&loop.socket));
        loop.read_len = event->result < 0 ? event->result : loop.read_len + event->result;
        if (event->eof) loop.eof = true;
        return true;
    case IO_SEND:
        CHECK(event->last && !io_is_sending(&loop.socket));
        if (event->result < 0)
            loop.send_failed = true;
        else if (loop.attached)
            has_gone((size_t)event->result);
        return true;
    default: CHECK(!"no such operation"); return false;
    }
}

/* A turn of at most TURN_US. Was anything heard? */
static bool turn(void) {
    bool any = false;
    uint64_t calls = io_calls(&loop.io);
    if (!loop.held_count) arm(); /* where none came back, none would be there */
    (void)io_wait(&loop.io, 1, 0, TURN_US);
    unsigned count = io_ready(&loop.io);
    /* A look (and one that finds epoll_pwait2 missing), a read, a write. */
    if (loop.io.epoll) CHECK(io_calls(&loop.io) - calls <= 4 && count <= 2);
    for (unsigned i = 0; i < count; i++) {
        struct io_event event = io_event(&loop.io, i);
        any = heard(&event) || any;
    }
    io_advance(&loop.io, count);
    for (struct io_socket *s; (s = io_settled(&loop.io));) {
        CHECK(s == &loop.socket && !loop.settled);
        loop.settled = any = true;
        has_gone(loop.left->iov_len);
    }
    return any;
}

/* Turns until nothing comes any more. One in which nothing was heard and that did not last is a spin, or soon will be. */
static void settle(void) {
    for (unsigned silent = 0; silent < 2;) {
        uint64_t begun_us = now_us();
        if (turn())
            silent = 0;
        else if (now_us() - begun_us >= TURN_US / 2)
            silent++;
        else
            CHECK(++loop.empty_turns <= EMPTY_TURNS);
    }
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static void say(const char *text) {
    CHECK_INT(send(loop.peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void say_with_fd(const char *text) {
    struct iovec iov = {(char *)(uintptr_t)text, strlen(text)};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {
        .head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), &loop.peer, sizeof loop.peer);
    CHECK_INT(sendmsg(loop.peer, &message, MSG_NOSIGNAL), strlen(text));
}

static void reset_by_peer(void) {
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    CHECK_INT(setsockopt(loop.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(loop.peer);
    loop.peer = -1;
}

static void drain(size_t n) {
    char to[4096];
    while (n) {
        ssize_t got = recv(loop.peer, to, n < sizeof to ? n : sizeof to, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            turn();
            continue;
        }
        CHECK(got > 0);
        n -= (size_t)got;
    }
}

static void stop(void) {
    loop.many = false;
    loop.stopping = io_is_receiving(&loop.socket);
    loop.after_stop = 0;
    io_receive_stop(&loop.io, &loop.socket);
}

static void detach(void) {
    loop.many = false;
    while (!io_detach(&loop.io, &loop.socket)) {
        unsigned had = loop.got_len;
        turn();
        CHECK_INT(loop.got_len, had); /* nobody reads any more */
    }
    CHECK_INT(loop.socket.owed, 0);
    loop.attached = false;
    close(loop.fd);
}

static void begin_send(const char *data, size_t n, bool quick) {
    loop.parts[0] = (struct iovec){(char *)(uintptr_t)data, quick ? n : n / 2};
    loop.parts[1] = (struct iovec){(char *)(uintptr_t)data + n / 2, n - n / 2};
    loop.left = loop.parts;
    loop.left_count = quick ? 1 : 2;
    send_left(quick);
}

static void release_held(void) {
    while (loop.held_count) io_release(&loop.io, loop.held[--loop.held_count]);
    loop.hold = false;
}

static void take(const struct step *step) {
    switch (step->kind) {
    case SAY: say(step->text); break;
    case SAY_AND_STOP: say(step->text), stop(); break;
    case URGENT: CHECK_INT(send(loop.peer, "!", 1, MSG_OOB), 1); break;
    case WITH_FD: say_with_fd(step->text); break;
    case HALF_CLOSE: CHECK_INT(shutdown(loop.peer, SHUT_WR), 0); break;
    case RESET: reset_by_peer(); break;
    case PAUSE: stop(); break;
    case RESUME: loop.many = true; break;
    case ONCE: CHECK(io_receive_one(&loop.io, &loop.socket, step->n)); break;
    case READ:
        loop.read_len = 0;
        CHECK(step->n <= sizeof loop.read_to && io_read(&loop.io, &loop.socket, loop.read_to, step->n));
        break;
    case QUICK: begin_send(step->text, strlen(step->text), true); break;
    case SEND: begin_send(large, step->n, false); break;
    case DRAIN: drain(step->n); break;
    case HOLD: loop.hold = true; break;
    case LOOSE: release_held(); break;
    case DETACH: detach(); break;
    case NO_STEP: CHECK(!"a step"); break;
    }
}

/* Errors of sends depend on who was told of the reset first, and so does whether the other is told of an error. */
static void note_step(const struct step *step) {
    bool both = loop.send_failed && (loop.eof || loop.error);
    note("%s:", names[step->kind]);
    if (loop.got_len) note(" got '%.*s'", (int)loop.got_len, loop.got);
    if (loop.read_len)
        note(" read %d '%.*s'", loop.read_len, loop.read_len > 0 ? loop.read_len : 0, loop.read_to);
    if (both) note(" gone");
    if (!both && loop.eof) note(" end");
    if (!both && loop.error) note(" %s", strerror(-loop.error));
    if (!both && loop.send_failed) note(" send failed");
    if (loop.sent) note(" sent%s", loop.settled ? " at once" : "");
    if (loop.attached)
        note(" [%s%s%s]", io_is_receiving(&loop.socket) || loop.held_count ? "r" : "",
             io_is_reading(&loop.socket) ? "R" : "", io_is_sending(&loop.socket) ? "s" : "");
    note("\n");
    loop.got_len = loop.empty_turns = 0;
    loop.read_len = loop.error = 0;
    loop.eof = loop.sent = loop.send_failed = loop.settled = false;
}

/* ---- Scripts -------------------------------------------------------------------------------------- */

static void tcp_pair(int pair[2]) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 1) == 0);
    CHECK_INT(getsockname(listener, (struct sockaddr *)&name, &len), 0);
    pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(connect(pair[1], (struct sockaddr *)&name, len), 0);
    pair[0] = accept(listener, NULL, NULL);
    CHECK(pair[0] >= 0 && setsockopt(pair[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
    close(listener);
}

static void begin_loop(bool epoll, int family) {
    struct io_options how = {.epoll = epoll,
                             .submissions = 16,
                             .events = 64,
                             .buffers = BUFFERS,
                             .buffers_least = BUFFERS,
                             .buffer_size = SIZE,
                             .places = 8,
                             .poll_cpu = -1,
                             .find = find,
                             .context = &loop};
    int pair[2];
    memset(&loop, 0, sizeof loop);
    must(io_open(&loop.io, &how), epoll ? "epoll" : "io_uring");
    if (family == AF_UNIX)
        open_pair(pair);
    else
        tcp_pair(pair);
    loop.fd = pair[0], loop.peer = pair[1];
    io_attach(&loop.io, &loop.socket, loop.fd, 5, 5);
    loop.attached = loop.many = true;
}

static void end_loop(void) {
    release_held();
    if (loop.attached) detach();
    CHECK_INT(loop.io.buffers.taken, 0);
    if (loop.peer >= 0) close(loop.peer);
    io_close(&loop.io);
}

/* Leaves what was heard in loop.trace. */
static void play(const struct step *steps, bool epoll, int family) {
    begin_loop(epoll, family);
    settle();
    for (unsigned i = 0; i < STEPS && steps[i].kind; i++) {
        take(&steps[i]);
        if (steps[i].kind == SAY_AND_STOP) continue;
        settle();
        note_step(&steps[i]);
    }
    end_loop();
}

static bool plant;

static void compare(const char *name, const struct step *steps, int family) {
    char first[TRACE];
    struct step other[STEPS];
    play(steps, false, family);
    memcpy(first, loop.trace, TRACE);
    memcpy(other, steps, sizeof other);
    if (plant) other[0].text = "another text";
    play(other, true, family);
    if (strcmp(first, loop.trace) == 0) return;
    fprintf(stderr, "DIFFERENT in '%s' (%s)\n-- io_uring --\n%s-- epoll --\n%s", name,
            family == AF_UNIX ? "Unix" : "TCP", first, loop.trace);
    exit(1);
}

#define DO(what)                                                                                             \
    { .kind = what }
#define OF(what, count)                                                                                      \
    { .kind = what, .n = count }
#define WITH(what, said)                                                                                     \
    { .kind = what, .text = said }
#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct script scripts[] = {
    {.name = "bytes, and the end",
     .steps = {WITH(SAY, "one"), WITH(SAY, "two"), WITH(SAY, HUNDRED HUNDRED), DO(HALF_CLOSE),
               WITH(QUICK, "bye"), OF(DRAIN, 3), DO(DETACH)}},
    {.name = "bytes and the end at once, to one who does not listen",
     .steps = {WITH(SAY, "first"), DO(PAUSE), WITH(SAY, "last"), DO(HALF_CLOSE), DO(RESUME), DO(DETACH)}},
    {.name = "more bytes than there are buffers",
     .steps = {WITH(SAY, HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED), WITH(SAY, "more"),
               DO(HALF_CLOSE)}},
    {.name = "no buffer is free",
     .steps = {DO(PAUSE), WITH(SAY, HUNDRED HUNDRED HUNDRED HUNDRED HUNDRED), WITH(SAY, "12"), DO(HOLD),
               DO(RESUME), WITH(QUICK, "go"), DO(LOOSE), WITH(SAY, "more"), DO(HALF_CLOSE)}},
    {.name = "reset while it is listened to", .steps = {WITH(SAY, "one"), DO(RESET), DO(DETACH)}},
    {.name = "reset before the first byte", .steps = {DO(RESET), WITH(QUICK, "late"), DO(DETACH)}},
    {.name = "reset while nobody listens, with and without bytes",
     .steps = {WITH(SAY, "one"), DO(PAUSE), DO(RESET), DO(RESUME), DO(DETACH)}},
    {.name = "bytes, then a reset, while nobody listens",
     .steps = {DO(PAUSE), WITH(SAY, "lost"), DO(RESET), DO(RESUME), DO(DETACH)}},
    {.name = "reset with a reply unread",
     .steps = {WITH(SAY, "one"), WITH(QUICK, "reply"), DO(RESET), DO(DETACH)}},
    {.name = "reset while bytes are sent",
     .steps = {WITH(SAY, "one"), OF(SEND, LARGE), DO(RESET), DO(DETACH)}},
    {.name = "reset in a read",
     .steps = {WITH(SAY, "one"), DO(PAUSE), OF(READ, 20), WITH(SAY, "half"), DO(RESET), DO(RESUME),
               DO(DETACH)}},
    {.name = "half-close in a read",
     .steps = {WITH(SAY, "one"), DO(PAUSE), OF(READ, 20), WITH(SAY, "half"), DO(HALF_CLOSE), OF(READ, 20),
               DO(DETACH)}},
    {.name = "half-close before a read",
     .steps = {WITH(SAY, "one"), DO(PAUSE), DO(HALF_CLOSE), OF(READ, 20), OF(READ, 1), DO(DETACH)}},
    {.name = "a read among receives",
     .steps = {WITH(SAY, "one"), DO(PAUSE), WITH(SAY, "12345"), OF(READ, 10), WITH(SAY, "67890abc"),
               DO(RESUME), WITH(SAY, "d")}},
    {.name = "a read of what is there already",
     .steps = {DO(PAUSE), WITH(SAY, HUNDRED "rest"), OF(READ, 100), DO(RESUME)}},
    {.name = "receives of a few bytes each",
     .steps = {DO(PAUSE), WITH(SAY, "123456789"), OF(ONCE, 4), OF(ONCE, 4), OF(ONCE, 4), OF(ONCE, 4),
               WITH(SAY, "abcd"), DO(RESUME)}},
    {.name = "a receive of a few bytes is stopped",
     .steps = {DO(PAUSE), OF(ONCE, 4), DO(PAUSE), WITH(SAY, "abcd"), DO(RESUME)}},
    {.name = "stopped with bytes on their way",
     .steps = {WITH(SAY, "one"), WITH(SAY_AND_STOP, "late"), DO(RESUME), WITH(SAY_AND_STOP, "later"),
               DO(RESUME), WITH(SAY, "now")}},
    {.name = "stopped with nothing there, again and again",
     .steps = {DO(PAUSE), DO(RESUME), DO(PAUSE), DO(RESUME), WITH(SAY, "one"), DO(PAUSE), DO(PAUSE),
               DO(RESUME)}},
    {.name = "one who never reads",
     .steps = {WITH(SAY, "one"), OF(SEND, LARGE), WITH(SAY, "two"), DO(DETACH)}},
    {.name = "one who reads late",
     .steps = {WITH(SAY, "one"), OF(SEND, LARGE), OF(DRAIN, LARGE), WITH(QUICK, "four"), OF(DRAIN, 4),
               OF(SEND, 10), OF(DRAIN, 10)}},
    {.name = "one who reads late, and ends",
     .steps = {WITH(SAY, "one"), OF(SEND, LARGE), DO(HALF_CLOSE), OF(DRAIN, LARGE), DO(DETACH)}},
    {.name = "detached while all is under way", .steps = {WITH(SAY, "one"), OF(SEND, LARGE), DO(DETACH)}},
    {.name = "detached in a read",
     .steps = {WITH(SAY, "one"), DO(PAUSE), OF(READ, 20), WITH(SAY, "half"), DO(DETACH)}},
    {.name = "an urgent byte among others",
     .family = AF_INET,
     .steps = {WITH(SAY, "one"), DO(PAUSE), WITH(SAY, "before"), DO(URGENT), WITH(SAY, "behind"), DO(RESUME),
               WITH(SAY, "more"), DO(HALF_CLOSE)}},
    {.name = "an urgent byte, and the end",
     .family = AF_INET,
     .steps = {WITH(SAY, "one"), DO(URGENT), DO(HALF_CLOSE), DO(DETACH)}},
    {.name = "descriptors among bytes",
     .family = AF_UNIX,
     .steps = {WITH(SAY, "one"), DO(PAUSE), WITH(SAY, "before"), WITH(WITH_FD, "with"), WITH(SAY, "behind"),
               DO(RESUME), WITH(WITH_FD, "fd"), DO(HALF_CLOSE)}},
};

static const int families[] = {AF_UNIX, AF_INET};

static void a_loop_hears_the_same_over_both(void) {
    for (unsigned i = 0; i < sizeof scripts / sizeof scripts[0]; i++)
        for (unsigned f = 0; f < 2; f++)
            if (!scripts[i].family || scripts[i].family == families[f])
                compare(scripts[i].name, scripts[i].steps, families[f]);
}

/* A message with a large argument, cut in two at each byte. */
static void however_the_bytes_are_split(void) {
    static const char text[] = "head(twenty bytes of it!)tail";
    for (size_t cut = 1; cut < sizeof text - 1; cut++) {
        char first[sizeof text] = {0};
        memcpy(first, text, cut);
        const struct step steps[STEPS] = {WITH(SAY, "one"), DO(PAUSE),     WITH(SAY, first),
                                          OF(ONCE, 5),      OF(READ, 19),  WITH(SAY, text + cut),
                                          DO(RESUME),       DO(HALF_CLOSE)};
        compare("every byte split", steps, AF_INET);
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a send of several parts over io_uring raises it */
    plant = argc == 2 && strcmp(argv[1], "--plant") == 0;
    large = calloc(1, LARGE);
    CHECK(large);
    RUN(a_loop_hears_the_same_over_both);
    RUN(however_the_bytes_are_split);
    free(large);
    return 0;
}
