/* Buckets, sums over those that count, percentiles, reset, and memory that runs out. */
#include "server/report/histogram.h"

#include "tests/check.h"
#include "tests/unit/failing_memory.h"

static struct histograms one, other;
static struct histogram sum;

static void every_time_falls_into_the_bucket_that_ends_behind_it(void) {
    histograms_register(&one);
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) CHECK(histogram_highest(i) > histogram_highest(i - 1));
    static const uint64_t times[] = {0,    1,     255,   256,   257,       1023,      1024,
                                     1031, 32768, 33023, 33024, 999999999, UINT64_MAX};
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        histogram_note(&one, 3, times[i], 2);
        CHECK_INT(histogram_sum(3, &sum), 2);
        unsigned bucket = 0;
        while (!sum.counts[bucket]) bucket++;
        uint64_t ns = times[i] < 1 ? 1 : times[i] > 1000000000 ? 1000000000 : times[i];
        CHECK(histogram_highest(bucket) >= ns && (bucket == 0 || histogram_highest(bucket - 1) < ns));
        CHECK(histogram_highest(bucket) - ns <= ns / 128);
        histograms_reset();
        CHECK_INT(histogram_sum(3, &sum), 0);
    }
    histograms_unregister(&one);
}

static void sums_are_of_all_and_percentiles_of_sums(void) {
    histograms_register(&one);
    histograms_register(&other);
    CHECK_INT(histogram_sum(7, &sum), 0);
    histogram_note(&one, 7, 1000, 90);
    histogram_note(&other, 7, 50000, 9);
    histogram_note(&other, 7, 2000000000, 1);
    histogram_note(&other, 8, 1, 1);
    CHECK_INT(histogram_sum(7, &sum), 100);
    CHECK_INT(histogram_percentile(&sum, 100, 0), 1003);
    CHECK_INT(histogram_percentile(&sum, 100, 50), 1003);
    CHECK_INT(histogram_percentile(&sum, 100, 90), 1003);
    CHECK_INT(histogram_percentile(&sum, 100, 99), 50175);
    CHECK(histogram_percentile(&sum, 100, 100) >= 1000000000);
    histograms_unregister(&other);
    CHECK_INT(histogram_sum(7, &sum), 90);
    histograms_unregister(&one);
    CHECK_INT(histogram_sum(7, &sum), 0);
}

static void without_memory_nothing_is_counted(void) {
    histograms_register(&one);
    memory_left = 0;
    histogram_note(&one, 7, 1, 1);
    memory_left = UINT_MAX;
    CHECK_INT(histogram_sum(7, &sum), 0);
    histogram_note(&one, 7, 1, 1);
    CHECK_INT(histogram_sum(7, &sum), 1);
    histograms_unregister(&one);
}

int main(void) {
    RUN(every_time_falls_into_the_bucket_that_ends_behind_it);
    RUN(sums_are_of_all_and_percentiles_of_sums);
    RUN(without_memory_nothing_is_counted);
    return 0;
}
