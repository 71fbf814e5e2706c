/* rates.c - a ring of the last samples, under a mutex that a tick never waits for. */
#include "server/report/rates.h"

#include "server/clock.h"
#include "server/lock_order.h"
#include "server/report/info.h"
#include "server/report/metrics.h"

struct sample {
    uint64_t at_us; /* monotonic; 0: none */
    struct metrics_traffic traffic;
};

static struct {
    struct mutex mutex;
    struct sample ring[RATES_SAMPLES];
    unsigned newest;
} rates = {.mutex = MUTEX(LOCK_RATES)};

static struct sample sample_now(void) {
    struct sample sample = {.at_us = clock_monotonic_us()};
    metrics_traffic(&sample.traffic);
    return sample;
}

/* Under the mutex. */
static void remember(const struct sample *sample) {
    if (sample->at_us < rates.ring[rates.newest].at_us + RATES_SAMPLE_US) return;
    rates.newest = (rates.newest + 1) % RATES_SAMPLES;
    rates.ring[rates.newest] = *sample;
}

void rates_sample(void) {
    if (!mutex_try_lock(&rates.mutex)) return;
    struct sample sample = sample_now();
    remember(&sample);
    mutex_unlock(&rates.mutex);
}

/* The sample to count from: the oldest one of the window, else the latest before it; NULL if all are too fresh. */
static const struct sample *sample_before(uint64_t now_us) {
    const struct sample *found = NULL;
    for (unsigned i = 0; i < RATES_SAMPLES; i++) {
        const struct sample *sample = &rates.ring[(rates.newest + RATES_SAMPLES - i) % RATES_SAMPLES];
        if (sample->at_us == 0 || now_us < sample->at_us + RATES_SAMPLE_US) continue;
        if (!found || now_us - sample->at_us <= RATES_WINDOW_US) found = sample;
    }
    return found;
}

static double a_second(uint64_t now, uint64_t then, uint64_t us) {
    return (double)(now - then) * 1e6 / (double)us;
}

struct rates rates_now(void) {
    struct rates result = {0};
    mutex_lock(&rates.mutex);
    struct sample now = sample_now();
    const struct sample *then = sample_before(now.at_us);
    if (then) {
        uint64_t us = now.at_us - then->at_us;
        result.commands = a_second(now.traffic.commands, then->traffic.commands, us);
        result.input_kbytes = a_second(now.traffic.input_bytes, then->traffic.input_bytes, us) / 1024;
        result.output_kbytes = a_second(now.traffic.output_bytes, then->traffic.output_bytes, us) / 1024;
    }
    remember(&now);
    mutex_unlock(&rates.mutex);
    return result;
}

static void measure_rates(struct info *info) {
    struct rates now = rates_now();
    info->figures.instantaneous_ops_per_sec = now.commands;
    info->figures.instantaneous_input_kbps = now.input_kbytes;
    info->figures.instantaneous_output_kbps = now.output_kbytes;
}
INFO_MEASURE(STATS, measure_rates);
