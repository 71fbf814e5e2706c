/* fan.c - one publisher and many subscribers: how many messages arrive, and how long each is under way.
 *
 *     fan PORT [--subscribers N] [--pipeline N] [--rate N] [--milliseconds N]
 *
 * DESIGN
 * The loop is closed: the publisher sends `pipeline` messages at once, and the next when all of them have been answered,
 * whether subscribers have read them or not. With --rate it sends one at a time and no sooner than it is due, so that what
 * is under way has no queue before it. Subscribers are read before the publisher, so that they are never behind by their
 * own fault.
 *
 * A message carries the time when it was sent, and all are of one length. So messages are counted by their bytes, and the
 * first of each that is read whole in one piece says how long it was under way; that is read out of memory which is read
 * anyway. One thread, epoll, no sleep. Prints one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000LL
#define TIME_MOD      10000000000000000ULL
#define CONFIRMED     "*3\r\n$9\r\nsubscribe\r\n$3\r\nfan\r\n:1\r\n"
#define MESSAGE       "*3\r\n$7\r\nmessage\r\n$3\r\nfan\r\n$16\r\n%016llu\r\n"
#define PUBLISH       "*3\r\n$7\r\nPUBLISH\r\n$3\r\nfan\r\n$16\r\n%016llu\r\n"
enum {
    TIME_AT = sizeof "*3\r\n$7\r\nmessage\r\n$3\r\nfan\r\n$16\r\n" - 1,
    TIME_DIGITS = 16,
    MESSAGE_BYTES = TIME_AT + TIME_DIGITS + 2,
    PUBLISH_BYTES = sizeof "*3\r\n$7\r\nPUBLISH\r\n$3\r\nfan\r\n$16\r\n\r\n" - 1 + TIME_DIGITS,
    SUBSCRIBERS_MAX = 16384,
    PIPELINE_MAX = 1024,
    EVENTS = 256,
    SAMPLES_MAX = 1 << 22,
};

static long subscribers = 50, pipeline = 1, rate = 0, milliseconds = 1000;
static int publisher, epoll;
static size_t at[SUBSCRIBERS_MAX]; /* how much of its message a subscriber has read */
static int fds[SUBSCRIBERS_MAX];
static long long delivered, published, unanswered;
static uint32_t *samples; /* nanoseconds under way, saturated */
static size_t sample_count;

static void fail(const char *what) {
    fprintf(stderr, "fan: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

static void say(int fd, const char *text, size_t len) {
    for (ssize_t n; len; text += n, len -= (size_t)n)
        if ((n = send(fd, text, len, MSG_NOSIGNAL)) <= 0) fail("send");
}

static int open_socket(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void watch(int fd, uint32_t who) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = who};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

static void subscribe(int port) {
    char heard[sizeof CONFIRMED - 1];
    for (long i = 0; i < subscribers; i++) {
        fds[i] = open_socket(port);
        say(fds[i], "SUBSCRIBE fan\r\n", sizeof "SUBSCRIBE fan\r\n" - 1);
    }
    for (long i = 0; i < subscribers; i++) {
        if (recv(fds[i], heard, sizeof heard, MSG_WAITALL) != (ssize_t)sizeof heard ||
            memcmp(heard, CONFIRMED, sizeof heard) != 0)
            fail("no confirmation of SUBSCRIBE");
        watch(fds[i], (uint32_t)i);
    }
}

static void publish(void) {
    static char text[PIPELINE_MAX * PUBLISH_BYTES + 1];
    unsigned long long time = (unsigned long long)now_ns() % TIME_MOD;
    for (long i = 0; i < pipeline; i++) snprintf(text + i * PUBLISH_BYTES, PUBLISH_BYTES + 1, PUBLISH, time);
    say(publisher, text, (size_t)pipeline * PUBLISH_BYTES);
    published += pipeline;
    unanswered = pipeline;
}

static void hear_replies(void) {
    char replies[16384];
    ssize_t n = recv(publisher, replies, sizeof replies, MSG_DONTWAIT);
    if (n <= 0) fail("the publisher's connection");
    for (ssize_t i = 0; i < n; i++) unanswered -= replies[i] == '\n';
}

static void note(const char *message, long long time) {
    char digits[TIME_DIGITS + 1] = {0};
    memcpy(digits, message + TIME_AT, TIME_DIGITS);
    long long took = time % (long long)TIME_MOD - strtoll(digits, NULL, 10);
    if (sample_count < SAMPLES_MAX)
        samples[sample_count++] = took < 0 || took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static void hear_messages(uint32_t who) {
    static char heard[1 << 16];
    ssize_t n = recv(fds[who], heard, sizeof heard, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) fail("a subscriber's connection");
    size_t first = (MESSAGE_BYTES - at[who]) % MESSAGE_BYTES, end = at[who] + (size_t)n;
    if (first + MESSAGE_BYTES <= (size_t)n) note(heard + first, now_ns());
    delivered += (long long)(end / MESSAGE_BYTES);
    at[who] = end % MESSAGE_BYTES;
}

/* Subscribers first. True: the publisher has been answered, or had nothing to hear. */
static bool hear(void) {
    struct epoll_event events[EVENTS];
    bool answered = false;
    int count = epoll_wait(epoll, events, EVENTS, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == UINT32_MAX)
            answered = true;
        else
            hear_messages(events[i].data.u32);
    }
    if (answered) hear_replies();
    return unanswered == 0;
}

static int by_value(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double percentile_us(double part) {
    return sample_count ? samples[(size_t)((double)(sample_count - 1) * part)] / 1e3 : 0;
}

static long number(const char *text, long most) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end != text && !*end && value >= 0 && value <= most) return value;
    fprintf(stderr, "fan: %s is no number from 0 to %ld\n", text, most);
    exit(2);
}

int main(int argc, char **argv) {
    long port = argc < 2 ? 0 : number(argv[1], UINT16_MAX);
    bool known = argc % 2 == 0;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--subscribers") == 0)
            subscribers = number(argv[i + 1], SUBSCRIBERS_MAX);
        else if (strcmp(argv[i], "--pipeline") == 0)
            pipeline = number(argv[i + 1], PIPELINE_MAX);
        else if (strcmp(argv[i], "--rate") == 0)
            rate = number(argv[i + 1], 1000000);
        else if (strcmp(argv[i], "--milliseconds") == 0)
            milliseconds = number(argv[i + 1], 3600000);
        else
            known = false;
    }
    if (!known || !port || !pipeline) {
        fputs("usage: fan PORT [--subscribers N] [--pipeline N] [--rate N] [--milliseconds N]\n", stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    epoll = epoll_create1(0);
    if (!samples || epoll < 0) fail("epoll");
    subscribe((int)port);
    publisher = open_socket((int)port);
    watch(publisher, UINT32_MAX);
    long long start = now_ns(), end = start + milliseconds * 1000000LL, now;
    for (long long i = 0; (now = now_ns()) < end;) {
        if (!hear() || (rate && now < start + i * NS_PER_SECOND / rate)) continue;
        publish();
        i++;
    }
    while (delivered < published * subscribers || unanswered) /* what is under way */
        if ((void)hear(), now_ns() > end + 10 * NS_PER_SECOND) fail("messages are missing after 10 seconds");
    qsort(samples, sample_count, sizeof *samples, by_value);
    printf(
        "{\"published\": %lld, \"delivered\": %lld, \"seconds\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
        published, delivered, (double)(now_ns() - start) / 1e9, percentile_us(0.5), percentile_us(0.99));
    return 0;
}
