/* metrics.c - sums over the shards, and their reset.
 *
 * Counters have one writer each, their shard, and only grow. So nobody can zero them from outside without
 * losing counts: a reset remembers where they stood, and a sum is told from there. Sums are taken under a
 * mutex, so that one taken after a reset never sees an older figure than the reset did, and no difference
 * falls below zero. */
#include "server/report/metrics.h"

#include "server/lock_order.h"
#include "server/loop/shard.h"
#include "server/report/errorstats.h"

static struct mutex mutex = MUTEX(LOCK_METRICS);
static struct metrics baseline; /* under the mutex: what had been counted at the last reset */

static void command_add(struct command_metrics *sum, const struct command_metrics *one) {
    sum->calls += metric_get(&one->calls);
    sum->nanoseconds += metric_get(&one->nanoseconds);
    sum->rejected += metric_get(&one->rejected);
    sum->failed += metric_get(&one->failed);
}

static void metrics_total(struct metrics *sum) {
    *sum = (struct metrics){0};
    for (unsigned i = 0; i < shard_count; i++) {
        const struct metrics *one = &shards[i].exec.metrics;
#define METRIC(field, section, info_name, summary) sum->field += metric_get(&one->field);
#include "server/report/metrics.def"
#undef METRIC
        for (unsigned id = 0; id < command_count(); id++) command_add(&sum->commands[id], &one->commands[id]);
    }
}

static void command_subtract(struct command_metrics *sum, const struct command_metrics *base) {
    sum->calls -= base->calls;
    sum->nanoseconds -= base->nanoseconds;
    sum->rejected -= base->rejected;
    sum->failed -= base->failed;
}

void metrics_sum(struct metrics *sum) {
    mutex_lock(&mutex);
    metrics_total(sum);
#define METRIC(field, section, info_name, summary) sum->field -= baseline.field;
#include "server/report/metrics.def"
#undef METRIC
    for (unsigned id = 0; id < command_count(); id++)
        command_subtract(&sum->commands[id], &baseline.commands[id]);
    mutex_unlock(&mutex);
}

void metrics_traffic(struct metrics_traffic *traffic) {
    *traffic = (struct metrics_traffic){0};
    for (unsigned i = 0; i < shard_count; i++) {
        traffic->commands += metric_get(&shards[i].exec.metrics.commands_processed);
        traffic->input_bytes += metric_get(&shards[i].exec.metrics.input_bytes);
        traffic->output_bytes += metric_get(&shards[i].exec.metrics.output_bytes);
    }
}

void metrics_reset(void) {
    mutex_lock(&mutex);
    metrics_total(&baseline);
    mutex_unlock(&mutex);
    errorstats_reset();
}
