/* clock.h - time as the server asks for it: the one place that reads the system's clocks.
 *
 * A shard reads both clocks once a turn and everything in that turn goes by what was read (struct clock).
 * Unix time may jump both ways; whatever measures a span uses the monotonic clock. */
#ifndef KEVY_SERVER_CLOCK_H
#define KEVY_SERVER_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t clock_unix_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline int64_t clock_unix_ms(void) {
    return clock_unix_us() / 1000;
}

static inline uint64_t clock_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_monotonic_us(void) {
    return clock_monotonic_ns() / 1000;
}

/* CPU time of the calling thread. */
static inline uint64_t clock_thread_cpu_ns(void) {
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (uint64_t)spent.tv_sec * 1000000000ull + (uint64_t)spent.tv_nsec;
}

/* What was read last. */
struct clock {
    int64_t now_ms;  /* Unix time */
    uint64_t now_us; /* monotonic */
    uint64_t
        timed_ns; /* monotonic: commands are timed from here, so it also moves on with what was timed since */
};

static inline void clock_read(struct clock *clock) {
    clock->now_ms = clock_unix_ms();
    clock->timed_ns = clock_monotonic_ns();
    clock->now_us = clock->timed_ns / 1000;
}

#endif
