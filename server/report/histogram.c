/* histogram.c - counting is an addition; sums walk over the shards' histograms under one mutex. */
#include "server/report/histogram.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "server/lock_order.h"

enum { LONGEST_NS = 1000000000 };

static struct {
    struct mutex mutex;
    struct histograms *first;
    uint64_t generation; /* atomic */
} register_ = {.mutex = MUTEX(LOCK_HISTOGRAMS)};

/* ---- Buckets -------------------------------------------------------------------------------------- */

static unsigned bucket_of(uint64_t nanoseconds) {
    uint64_t ns = nanoseconds < 1 ? 1 : nanoseconds > LONGEST_NS ? LONGEST_NS : nanoseconds;
    if (ns < 2 * HISTOGRAM_OCTAVE) return (unsigned)ns;
    unsigned bit = 63 - (unsigned)__builtin_clzll(ns), shift = bit - 7;
    unsigned bucket = (shift + 1) * HISTOGRAM_OCTAVE + (unsigned)(ns >> shift) - HISTOGRAM_OCTAVE;
    assert(bucket < HISTOGRAM_BUCKETS);
    return bucket;
}

uint64_t histogram_highest(unsigned bucket) {
    assert(bucket < HISTOGRAM_BUCKETS);
    if (bucket < 2 * HISTOGRAM_OCTAVE) return bucket;
    unsigned shift = bucket / HISTOGRAM_OCTAVE - 1;
    uint64_t within = bucket % HISTOGRAM_OCTAVE + HISTOGRAM_OCTAVE;
    return ((within + 1) << shift) - 1;
}

/* ---- Counting ------------------------------------------------------------------------------------- */

static void set(uint64_t *field, uint64_t value) {
    __atomic_store_n(field, value, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t *field) {
    return __atomic_load_n(field, __ATOMIC_RELAXED);
}

static struct histogram *histogram_new(struct histograms *histograms, uint32_t command) {
    struct histogram *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->generation = get(&register_.generation);
    __atomic_store_n(&histograms->of[command], made, __ATOMIC_RELEASE);
    return made;
}

void histogram_note(struct histograms *histograms, uint32_t command, uint64_t nanoseconds, uint64_t calls) {
    assert(command < MAX_COMMANDS);
    struct histogram *histogram = histograms->of[command];
    if (!histogram && !(histogram = histogram_new(histograms, command))) return;
    uint64_t generation = get(&register_.generation);
    if (histogram->generation != generation) {
        for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) set(&histogram->counts[i], 0);
        __atomic_store_n(&histogram->generation, generation, __ATOMIC_RELEASE);
    }
    uint64_t *count = &histogram->counts[bucket_of(nanoseconds)];
    set(count, get(count) + calls);
}

/* ---- Sums ----------------------------------------------------------------------------------------- */

void histograms_register(struct histograms *histograms) {
    mutex_lock(&register_.mutex);
    histograms->next = register_.first;
    register_.first = histograms;
    mutex_unlock(&register_.mutex);
}

void histograms_unregister(struct histograms *histograms) {
    mutex_lock(&register_.mutex);
    struct histograms **link = &register_.first;
    while (*link && *link != histograms) link = &(*link)->next;
    if (*link) *link = histograms->next;
    mutex_unlock(&register_.mutex);
    for (unsigned i = 0; i < MAX_COMMANDS; i++) {
        free(histograms->of[i]);
        histograms->of[i] = NULL;
    }
}

void histograms_reset(void) {
    __atomic_add_fetch(&register_.generation, 1, __ATOMIC_RELAXED);
}

static uint64_t add(struct histogram *sum, const struct histogram *one) {
    uint64_t calls = 0;
    if (__atomic_load_n(&one->generation, __ATOMIC_ACQUIRE) != get(&register_.generation)) return 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t count = get(&one->counts[i]);
        sum->counts[i] += count;
        calls += count;
    }
    return calls;
}

uint64_t histogram_sum(uint32_t command, struct histogram *sum) {
    uint64_t calls = 0;
    assert(command < MAX_COMMANDS);
    memset(sum, 0, sizeof *sum);
    mutex_lock(&register_.mutex);
    for (const struct histograms *all = register_.first; all; all = all->next) {
        const struct histogram *one = __atomic_load_n(&all->of[command], __ATOMIC_ACQUIRE);
        if (one) calls += add(sum, one);
    }
    mutex_unlock(&register_.mutex);
    return calls;
}

uint64_t histogram_percentile(const struct histogram *sum, uint64_t calls, double percent) {
    uint64_t wanted = (uint64_t)(percent / 100 * (double)calls + 0.5), seen = 0;
    assert(calls > 0 && percent >= 0 && percent <= 100);
    if (wanted < 1) wanted = 1;
    unsigned bucket = 0;
    for (; bucket + 1 < HISTOGRAM_BUCKETS; bucket++) {
        seen += sum->counts[bucket];
        if (seen >= wanted) break;
    }
    return histogram_highest(bucket);
}
