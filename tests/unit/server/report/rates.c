/* Requests and bytes a second, from samples that somebody happened to take. */
#include "server/report/rates.h"

#include <time.h>

#include "tests/unit/server_fixture.h"

enum { REQUESTS = 1000, INPUT_BYTES = 1024 * 5000, OUTPUT_BYTES = 1024 * 300 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void until(double end) {
    while (seconds() < end) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void traffic(void) {
    metric_add(&shards->exec.metrics.commands_processed, REQUESTS);
    metric_add(&shards->exec.metrics.input_bytes, INPUT_BYTES);
    metric_add(&shards->exec.metrics.output_bytes, OUTPUT_BYTES);
}

/* The clock cannot be stopped: what was counted is certain, the time it took lies between two bounds. */
static void expect_rates(double requests, double least_s, double most_s) {
    struct rates rates = rates_now();
    CHECK(rates.commands >= requests / most_s && rates.commands <= requests / least_s);
    double kbytes = rates.commands / REQUESTS / 1024;
    CHECK(rates.input_kbytes > kbytes * INPUT_BYTES * 0.999 &&
          rates.input_kbytes < kbytes * INPUT_BYTES * 1.001);
    CHECK(rates.output_kbytes > kbytes * OUTPUT_BYTES * 0.999 &&
          rates.output_kbytes < kbytes * OUTPUT_BYTES * 1.001);
}

static void without_an_older_sample_there_is_no_rate(void) {
    traffic();
    struct rates rates = rates_now(); /* and is the first sample */
    CHECK(rates.commands == 0 && rates.input_kbytes == 0 && rates.output_kbytes == 0);
    rates = rates_now(); /* too fresh to divide by */
    CHECK(rates.commands == 0);
}

static void rates_are_what_was_counted_since_the_oldest_sample_by_its_age(void) {
    double sample = RATES_SAMPLE_US / 1e6, before = seconds();
    traffic();
    until(before + sample);
    expect_rates(REQUESTS, sample, seconds() - before + 1);
    for (unsigned i = 0; i < 50; i++)
        rates_sample(); /* more often than samples are kept: nothing is pushed out */
    traffic();
    expect_rates(2 * REQUESTS, sample, seconds() - before + 1);
}

int main(void) {
    fixture_open(1);
    RUN(without_an_older_sample_there_is_no_rate);
    RUN(rates_are_what_was_counted_since_the_oldest_sample_by_its_age);
    fixture_close();
    return 0;
}
