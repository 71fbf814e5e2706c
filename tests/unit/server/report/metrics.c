/* Counters: sums over the shards, resets that lose nothing, error codes, and rates. */
#include "server/report/metrics.h"

#include <pthread.h>

#include "server/report/errorstats.h"
#include "server/report/rates.h"
#include "tests/check.h"

static struct metrics counting[2], sum; /* too large for comfort on a stack */

static void sums_run_over_all_that_are_registered(void) {
    metric_add(&counting[0].commands_processed, 5);
    metric_add(&counting[1].commands_processed, 7);
    metric_add(&counting[1].commands[3].nanoseconds, 11);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 12);
    CHECK_INT(sum.commands[3].nanoseconds, 11);
    CHECK_INT(sum.commands[4].calls, 0);
    CHECK_INT(sum.command_count, 5); /* of whoever knows most */
}

static void a_reset_counts_from_zero_and_touches_no_counter(void) {
    uint64_t counted = counting[0].commands_processed;
    errorstats_note(BYTES("ERR"));
    metrics_reset();
    CHECK_INT(counting[0].commands_processed, counted);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 0);
    CHECK_INT(sum.commands[3].nanoseconds, 0);
    struct errorstat list[ERRORSTATS_MAX];
    CHECK_INT(errorstats_list(list), 0);
    metric_add(&counting[0].commands_processed, 2);
    metrics_sum(&sum);
    CHECK_INT(sum.commands_processed, 2);
    struct metrics_traffic traffic;
    metrics_traffic(&traffic);
    CHECK_INT(traffic.commands, counted + 7 + 2); /* traffic is never reset */
}

enum { ADDED = 200000 };

static void *count(void *one) {
    for (int i = 0; i < ADDED; i++) metric_add(&((struct metrics *)one)->keyspace_hits, 1);
    return NULL;
}

/* What is seen between two resets must add up to what was counted: none is lost, none is seen twice. */
static void resets_beside_counting_lose_nothing(void) {
    pthread_t threads[2];
    uint64_t before = counting[0].keyspace_hits + counting[1].keyspace_hits;
    metrics_reset();
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, count, &counting[i]) == 0);
    for (int i = 0; i < 200; i++) {
        metrics_sum(&sum);
        CHECK(sum.keyspace_hits <= 2 * ADDED); /* and so never below zero */
        if (i % 8 == 0) metrics_reset();
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK_INT(counting[0].keyspace_hits + counting[1].keyspace_hits, before + 2 * ADDED);
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
    metric_add(&counting[0].commands_processed, 1000);
    rates = rates_now(); /* the only sample is too fresh */
    CHECK(rates.commands == 0);
}

static void what_was_counted_stays_when_its_counter_goes(void) {
    static struct metrics third;
    metrics_reset();
    metrics_register(&third, 5);
    metric_add(&third.keyspace_hits, 3);
    metric_add(&third.commands[4].calls, 2);
    metrics_sum(&sum);
    CHECK(sum.keyspace_hits == 3 && sum.commands[4].calls == 2);
    metrics_unregister(&third);
    metrics_unregister(&third); /* twice is once */
    metric_add(&third.keyspace_hits, 100);
    metrics_sum(&sum);
    CHECK(sum.keyspace_hits == 3 && sum.commands[4].calls == 2);
    metrics_reset();
    metrics_sum(&sum);
    CHECK(sum.keyspace_hits == 0 && sum.commands[4].calls == 0);
}

/* A name as Prometheus has them, but for colons, which are for rules. */
static bool is_metric_name(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return *name && strspn(name, letters) == strlen(name) && !(*name >= '0' && *name <= '9');
}

static void names_of_metrics_are_told_from_others(void) {
    CHECK(is_metric_name("used_cpu_sys") && is_metric_name("_Z9"));
    CHECK(!is_metric_name("") && !is_metric_name("9a") && !is_metric_name("a-b") && !is_metric_name("a b"));
}

/* What an exporter shows: a name that can be one, a type, one sentence of help. */
static void every_row_says_what_it_is(void) {
    static const struct {
        const char *field, *kind, *name, *help;
    } rows[] = {
#define METRIC(field, kind, section, name, help)  {#field, #kind, name, help},
#define FIGURE(name, kind, section, format, help) {#name, #kind, #name, help},
#include "server/report/metrics.def"
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    CHECK(ROWS > 50);
    for (unsigned i = 0; i < ROWS; i++) {
        CHECK(is_metric_name(rows[i].name));
        CHECK(strcmp(rows[i].kind, "COUNTER") == 0 || strcmp(rows[i].kind, "GAUGE") == 0 ||
              strcmp(rows[i].kind, "TIME") == 0);
        CHECK(strlen(rows[i].help) > 8 && !strpbrk(rows[i].help, "\r\n\\\""));
        for (unsigned j = 0; j < i; j++)
            CHECK(strcmp(rows[i].name, rows[j].name) != 0 && strcmp(rows[i].help, rows[j].help) != 0);
    }
}

/* A gauge tells what there is: neither a reset nor an end may make it tell anything else. */
static void a_gauge_is_never_reset(void) {
    static struct metrics third;
    metrics_register(&third, 0);
    metric_add(&third.blocked_clients, 3);
    metric_add(&counting[0].blocked_clients, 1);
    metrics_reset();
    metrics_sum(&sum);
    CHECK_INT(sum.blocked_clients, 4);
    metric_take(&third.blocked_clients, 2);
    metrics_sum(&sum);
    CHECK_INT(sum.blocked_clients, 2);
    metrics_unregister(&third);
    metrics_sum(&sum);
    CHECK_INT(sum.blocked_clients, 1);
    metric_take(&counting[0].blocked_clients, 1);
}

int main(void) {
    for (unsigned i = 0; i < 2; i++) metrics_register(&counting[i], 4 + i);
    RUN(sums_run_over_all_that_are_registered);
    RUN(a_reset_counts_from_zero_and_touches_no_counter);
    RUN(resets_beside_counting_lose_nothing);
    RUN(error_codes_are_told_apart_and_ordered);
    RUN(error_codes_have_a_bound);
    RUN(rates_need_a_sample_to_count_from);
    RUN(what_was_counted_stays_when_its_counter_goes);
    RUN(a_gauge_is_never_reset);
    RUN(names_of_metrics_are_told_from_others);
    RUN(every_row_says_what_it_is);
    return 0;
}
