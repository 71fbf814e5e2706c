/* latency.c - a ring of samples for each kind of event, under one mutex: only what took long comes here. */
#include "server/report/latency.h"

#include "protocol/assert.h"
#include "server/lock_order.h"

const char *const latency_names[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = "command", [LATENCY_FAST_COMMAND] = "fast-command"};

static struct {
    struct mutex mutex;
    struct ring {
        uint64_t longest_ms;
        unsigned count, next; /* samples that there are; where the next one goes */
        struct latency_sample samples[LATENCY_SAMPLES];
    } rings[LATENCY_EVENTS];
} latency = {.mutex = MUTEX(LOCK_LATENCY)};

static struct latency_sample *newest(struct ring *ring) {
    return &ring->samples[(ring->next + LATENCY_SAMPLES - 1) % LATENCY_SAMPLES];
}

void latency_note(enum latency_event event, struct latency_sample sample) {
    struct ring *ring = &latency.rings[event];
    assert(event < LATENCY_EVENTS);
    mutex_lock(&latency.mutex);
    if (sample.milliseconds > ring->longest_ms) ring->longest_ms = sample.milliseconds;
    if (ring->count > 0 && newest(ring)->time_s == sample.time_s) {
        if (sample.milliseconds > newest(ring)->milliseconds)
            newest(ring)->milliseconds = sample.milliseconds;
    } else {
        ring->samples[ring->next] = sample;
        ring->next = (ring->next + 1) % LATENCY_SAMPLES;
        ring->count += ring->count < LATENCY_SAMPLES;
    }
    mutex_unlock(&latency.mutex);
}

void latency_history(enum latency_event event, struct latency_history *history) {
    const struct ring *ring = &latency.rings[event];
    assert(event < LATENCY_EVENTS);
    mutex_lock(&latency.mutex);
    history->longest_ms = ring->longest_ms;
    history->count = ring->count;
    unsigned first = ring->next + LATENCY_SAMPLES - ring->count;
    for (unsigned i = 0; i < ring->count; i++)
        history->samples[i] = ring->samples[(first + i) % LATENCY_SAMPLES];
    mutex_unlock(&latency.mutex);
}

bool latency_reset(enum latency_event event) {
    struct ring *ring = &latency.rings[event];
    assert(event < LATENCY_EVENTS);
    mutex_lock(&latency.mutex);
    bool any = ring->count > 0;
    ring->count = ring->next = 0;
    ring->longest_ms = 0;
    mutex_unlock(&latency.mutex);
    return any;
}
