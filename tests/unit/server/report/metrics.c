/* Counters: sums over the shards, resets that lose nothing, error codes, and rates. */
#include "server/report/metrics.h"

#include <pthread.h>

#include "server/loop/shard.h"
#include "server/report/errorstats.h"
#include "server/report/rates.h"
#include "tests/check.h"

static struct metrics sum; /* too large for comfort on a stack */

static void sums_run_over_all_shards(void) {
    metric_add(&shards[0].exec.metrics.commands_processed, 5);
    metric_add(&shards[1].exec.metrics.commands_processed, 7);
    metric_add(&shards[1].exec.metrics.commands[3].nanoseconds, 11);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 12);
    CHECK_INT(sum.commands[3].nanoseconds, 11);
    CHECK_INT(sum.commands[4].calls, 0);
}

static void a_reset_counts_from_zero_and_touches_no_counter(void) {
    uint64_t counted = shards[0].exec.metrics.commands_processed;
    errorstats_note(BYTES("ERR"));
    metrics_reset();
    CHECK_INT(shards[0].exec.metrics.commands_processed, counted);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 0);
    CHECK_INT(sum.commands[3].nanoseconds, 0);
    struct errorstat list[ERRORSTATS_MAX];
    CHECK_INT(errorstats_list(list), 0);
    metric_add(&shards[0].exec.metrics.commands_processed, 2);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 2);
    struct metrics_traffic traffic;
    metrics_traffic(&traffic);
    CHECK_INT(traffic.commands, counted + 7 + 2); /* traffic is never reset */
}

enum { ADDED = 200000 };

static void *count(void *shard) {
    for (int i = 0; i < ADDED; i++) metric_add(&((struct shard *)shard)->exec.metrics.keyspace_hits, 1);
    return NULL;
}

/* What is seen between two resets must add up to what was counted: none is lost, none is seen twice. */
static void resets_beside_counting_lose_nothing(void) {
    pthread_t threads[2];
    uint64_t before = shards[0].exec.metrics.keyspace_hits + shards[1].exec.metrics.keyspace_hits;
    metrics_reset();
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, count, &shards[i]) == 0);
    for (int i = 0; i < 200; i++) {
        metrics_sum(&sum);
        CHECK(sum.keyspace_hits <= 2 * ADDED); /* and so never below zero */
        if (i % 8 == 0) metrics_reset();
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_INT(shards[0].exec.metrics.keyspace_hits + shards[1].exec.metrics.keyspace_hits,
              before + 2 * ADDED);
    metrics_reset();
    metrics_sum(&sum);
    CHECK_INT(sum.keyspace_hits, 0);
}

static void error_codes_are_told_apart_and_ordered(void) {
    struct errorstat list[ERRORSTATS_MAX];
    errorstats_reset();
    errorstats_note(BYTES("WRONGTYPE"));
    errorstats_note(BYTES("ERR"));
    errorstats_note(BYTES("ERR"));
    errorstats_note(BYTES("A:B,C=D\n"));
    errorstats_note(BYTES("A_CODE_OF_MORE_THAN_TWENTY_FOUR_BYTES"));
    CHECK_INT(errorstats_list(list), 4);
    CHECK_BYTES(((struct bytes){list[0].code, list[0].code_len}), BYTES("A_B_C_D_"));
    CHECK_INT(list[1].code_len, ERRORSTATS_CODE_MAX);
    CHECK_BYTES(((struct bytes){list[2].code, list[2].code_len}), BYTES("ERR"));
    CHECK_INT(list[2].count, 2);
    CHECK_INT(list[3].count, 1);
}

static void error_codes_have_a_bound(void) {
    struct errorstat list[ERRORSTATS_MAX];
    errorstats_reset();
    for (int i = 0; i < 3 * ERRORSTATS_MAX; i++) {
        char code[16];
        snprintf(code, sizeof code, "E%d", i);
        errorstats_note(bytes_of(code));
    }
    CHECK_INT(errorstats_list(list), ERRORSTATS_MAX);
    errorstats_note(BYTES("E0")); /* those that are there still count */
    errorstats_list(list);
    CHECK_BYTES(((struct bytes){list[0].code, list[0].code_len}), BYTES("E0"));
    CHECK_INT(list[0].count, 2);
    errorstats_reset();
}

static void rates_need_a_sample_to_count_from(void) {
    struct rates rates = rates_now();
    CHECK(rates.commands == 0 && rates.input_kbytes == 0);
    metric_add(&shards[0].exec.metrics.commands_processed, 1000);
    rates = rates_now(); /* the only sample is too fresh */
    CHECK(rates.commands == 0);
}

int main(void) {
    const char *error = command_table_open();
    CHECK(error == NULL);
    shards = aligned_alloc(64, (2 * sizeof *shards + 63) / 64 * 64);
    CHECK(shards != NULL);
    memset(shards, 0, 2 * sizeof *shards);
    shard_count = 2;
    RUN(sums_run_over_all_shards);
    RUN(a_reset_counts_from_zero_and_touches_no_counter);
    RUN(resets_beside_counting_lose_nothing);
    RUN(error_codes_are_told_apart_and_ordered);
    RUN(error_codes_have_a_bound);
    RUN(rates_need_a_sample_to_count_from);
    free(shards);
    return 0;
}
