/* machine.c - what a loop over the network meets on this machine: how long a wake-up, a sleep and a round trip take.
 *
 *     machine SERVER-CPU CLIENT-CPU
 *
 * DESIGN
 * Whether waiting for more requests pays depends on these: on the price of a system call and of a wake-up, which every
 * turn of the loop pays once, and on how much later than asked for a short wait ends. Two threads on two CPUs play server
 * and client; each figure is the median of many tries, since a try may be held up by whatever else runs. Prints one line
 * of JSON, all figures in nanoseconds. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "uring/prep.h"
#include "uring/ring.h"

enum { TRIES = 2001, CALLS = 50, PAUSE_NS = 50000, MIN_WAIT_US = 100 };

static int cpus[2];
static int64_t tries[TRIES];

static void fail(const char *what, int error) {
    fprintf(stderr, "machine: %s: %s\n", what, strerror(error));
    exit(1);
}

static void must(long result, const char *what) {
    if (result < 0) fail(what, errno);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    must(sched_setaffinity(0, sizeof(set), &set), "pinning");
}

static int ascending(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int64_t median(void) {
    qsort(tries, TRIES, sizeof(tries[0]), ascending);
    return tries[TRIES / 2];
}

static int64_t system_call(void) {
    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ns();
        for (int call = 0; call < CALLS; call++) must(syscall(SYS_getppid), "getppid");
        tries[i] = (now_ns() - start) / CALLS;
    }
    return median();
}

/* ---- Two threads: what one sends on its descriptor the other has on its own, and sends back ---- */

struct pair {
    int here, there;
};

static void *echo(void *argument) {
    const struct pair *pair = argument;
    char data[8];
    pin(cpus[0]);
    for (ssize_t len; (len = read(pair->there, data, sizeof(data))) > 0 && data[0];)
        must(write(pair->there, data, (size_t)len), "write");
    return NULL;
}

/* The way there and back, both of which wake a thread on another CPU. */
static int64_t round_trip(struct pair pair) {
    pthread_t thread;
    char data[8] = {1};
    int error = pthread_create(&thread, NULL, echo, &pair);
    if (error) fail("thread", error);
    for (int i = 0; i < TRIES; i++) {
        int64_t start = now_ns();
        must(write(pair.here, data, sizeof(data)), "write");
        must(read(pair.here, data, sizeof(data)), "read");
        tries[i] = now_ns() - start;
    }
    data[0] = 0;
    must(write(pair.here, data, sizeof(data)), "write");
    pthread_join(thread, NULL);
    close(pair.here);
    close(pair.there);
    return median();
}

static struct pair unix_pair(void) {
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
    return (struct pair){ends[0], ends[1]};
}

static struct pair tcp_pair(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(listener, (struct sockaddr *)&address, len), "bind");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &len), "getsockname");
    struct pair pair = {.here = socket(AF_INET, SOCK_STREAM, 0)};
    must(connect(pair.here, (struct sockaddr *)&address, len), "connect");
    must(pair.there = accept(listener, NULL, NULL), "accept");
    setsockopt(pair.here, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(pair.there, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close(listener);
    return pair;
}

/* ---- Sleeps ---- */

/* How much longer than asked for a sleep lasts. slack_ns 0: what threads begin with. */
static int64_t oversleep(unsigned long slack_ns) {
    must(prctl(PR_SET_TIMERSLACK, slack_ns, 0UL, 0UL, 0UL), "timer slack");
    for (int i = 0; i < TRIES; i++) {
        struct timespec pause = {.tv_nsec = PAUSE_NS};
        int64_t start = now_ns();
        nanosleep(&pause, NULL);
        tries[i] = now_ns() - start - PAUSE_NS;
    }
    return median();
}

/* The same for io_uring's minimum wait, with one completion there and two wanted; -1 where the kernel has none (6.12). */
static int64_t over_min_wait(void) {
    static struct ring ring;
    static const struct ring_options options = {
        .sq_entries = 8, .cq_entries = 16, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1};
    if (ring_open(&ring, &options) != 0) return -1;
    for (int i = 0; i < TRIES && ring.min_wait; i++) {
        *ring_sqe(&ring) = (struct io_uring_sqe){.opcode = IORING_OP_NOP};
        int64_t start = now_ns();
        ring_wait(&ring, 2, MIN_WAIT_US, UINT64_MAX);
        tries[i] = now_ns() - start - MIN_WAIT_US * 1000;
        ring_advance(&ring, ring_ready(&ring));
    }
    bool has = ring.min_wait;
    ring_close(&ring);
    return has ? median() : -1;
}

static int cpu_number(const char *text) {
    char *end;
    unsigned long cpu = strtoul(text, &end, 10);
    if (*text && !*end && cpu < CPU_SETSIZE) return (int)cpu;
    fprintf(stderr, "machine: '%s' is no CPU\n", text);
    exit(2);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: machine SERVER-CPU CLIENT-CPU\n");
        return 2;
    }
    for (int i = 0; i < 2; i++) cpus[i] = cpu_number(argv[i + 1]);
    pin(cpus[0]);
    int64_t call = system_call(), slack = oversleep(0), fine = oversleep(1), min_wait = over_min_wait();
    pin(cpus[1]);
    int64_t local = round_trip(unix_pair()), tcp = round_trip(tcp_pair());
    printf("{\"system_call\": %lld, \"wake_up\": %lld, \"tcp_round_trip\": %lld, \"oversleep\": %lld, "
           "\"oversleep_without_slack\": %lld, "
           "\"over_min_wait\": %lld}\n",
           (long long)call, (long long)local / 2, (long long)tcp, (long long)slack, (long long)fine,
           (long long)min_wait);
    return 0;
}
