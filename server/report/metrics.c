/* metrics.c - the register of those who count, sums over them, and their reset.
 *
 * Counters have one writer each, their shard, and only grow. So nobody can zero them from outside without
 * losing counts: a reset remembers where they stood, and a sum is told from there. Sums are taken under a
 * mutex, so that one taken after a reset never sees an older figure than the reset did, and no difference
 * falls below zero. */
#include "server/report/metrics.h"

#include <stddef.h>

#include "protocol/assert.h"
#include "server/lock_order.h"
#include "server/report/errorstats.h"
#include "server/report/histogram.h"
#include "server/report/info.h"

static struct {
    struct mutex mutex;
    struct metrics *first;
    struct metrics left;     /* counters of those that are no longer registered */
    struct metrics baseline; /* what had been counted at the last reset; gauges are 0 */
} metrics = {.mutex = MUTEX(LOCK_METRICS)};

static void command_add(struct command_metrics *sum, const struct command_metrics *one) {
    sum->calls += metric_get(&one->calls);
    sum->nanoseconds += metric_get(&one->nanoseconds);
    sum->rejected += metric_get(&one->rejected);
    sum->failed += metric_get(&one->failed);
}

static void command_subtract(struct command_metrics *sum, const struct command_metrics *base) {
    assert(sum->calls >= base->calls && sum->nanoseconds >= base->nanoseconds);
    sum->calls -= base->calls;
    sum->nanoseconds -= base->nanoseconds;
    sum->rejected -= base->rejected;
    sum->failed -= base->failed;
}

static void add(struct metrics *sum, const struct metrics *one) {
#define METRIC(field, kind, section, name, help) sum->field += metric_get(&one->field);
#include "server/report/metrics.def"
    for (unsigned id = 0; id < one->command_count; id++) command_add(&sum->commands[id], &one->commands[id]);
    if (one->command_count > sum->command_count) sum->command_count = one->command_count;
}

static void subtract(struct metrics *sum, const struct metrics *base) {
#define METRIC(field, kind, section, name, help)                                                             \
    assert(sum->field >= base->field);                                                                       \
    sum->field -= base->field;
#include "server/report/metrics.def"
    for (unsigned id = 0; id < base->command_count; id++)
        command_subtract(&sum->commands[id], &base->commands[id]);
}

static void zero_gauges(struct metrics *some) {
#define METRIC(field, kind, section, name, help)                                                             \
    if (METRIC_##kind == METRIC_GAUGE) some->field = 0;
#include "server/report/metrics.def"
}

/* Under the mutex, as what follows. */
static void total(struct metrics *sum) {
    *sum = metrics.left;
    for (const struct metrics *one = metrics.first; one; one = one->next) add(sum, one);
}

/* The link to these, or the end of the list. */
static struct metrics **link_of(const struct metrics *one) {
    struct metrics **link = &metrics.first;
    while (*link && *link != one) link = &(*link)->next;
    return link;
}

void metrics_register(struct metrics *one, unsigned commands) {
    assert(commands <= MAX_COMMANDS);
    mutex_lock(&metrics.mutex);
    assert(!*link_of(one));
    one->command_count = commands;
    one->next = metrics.first;
    metrics.first = one;
    mutex_unlock(&metrics.mutex);
}

void metrics_unregister(struct metrics *one) {
    mutex_lock(&metrics.mutex);
    struct metrics **link = link_of(one);
    if (*link) {
        *link = one->next;
        add(&metrics.left, one);
        zero_gauges(&metrics.left);
    }
    mutex_unlock(&metrics.mutex);
}

void metrics_sum(struct metrics *sum) {
    mutex_lock(&metrics.mutex);
    total(sum);
    subtract(sum, &metrics.baseline);
    mutex_unlock(&metrics.mutex);
}

static void traffic_add(struct metrics_traffic *traffic, const struct metrics *one) {
    traffic->commands += metric_get(&one->commands_processed);
    traffic->input_bytes += metric_get(&one->input_bytes);
    traffic->output_bytes += metric_get(&one->output_bytes);
}

void metrics_traffic(struct metrics_traffic *traffic) {
    *traffic = (struct metrics_traffic){0};
    mutex_lock(&metrics.mutex);
    traffic_add(traffic, &metrics.left);
    for (const struct metrics *one = metrics.first; one; one = one->next) traffic_add(traffic, one);
    mutex_unlock(&metrics.mutex);
}

void metrics_reset(void) {
    mutex_lock(&metrics.mutex);
    total(&metrics.baseline);
    zero_gauges(&metrics.baseline);
    mutex_unlock(&metrics.mutex);
    errorstats_reset();
    histograms_reset();
}

static void section_stats(struct info *info) {
    info_metrics(info, METRIC_STATS);
}
INFO_SECTION(stats) = {
    .name = "stats", .title = "Stats", .order = 50, .by_default = true, .write = section_stats};
