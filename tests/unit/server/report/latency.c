/* The latency monitor: samples by the second, of which the longest counts, the last ones kept in order. */
#include "server/report/latency.h"

#include "tests/check.h"

static struct latency_history history;

static void note(int64_t time_s, uint64_t milliseconds) {
    latency_note(LATENCY_COMMAND, (struct latency_sample){time_s, milliseconds});
}

static void the_longest_sample_of_a_second_is_kept(void) {
    note(100, 20);
    note(100, 30);
    note(100, 10);
    note(101, 5);
    latency_history(LATENCY_COMMAND, &history);
    CHECK_INT(history.count, 2);
    CHECK_INT(history.longest_ms, 30);
    CHECK_INT(history.samples[0].time_s, 100);
    CHECK_INT(history.samples[0].milliseconds, 30);
    CHECK_INT(history.samples[1].time_s, 101);
    CHECK_INT(history.samples[1].milliseconds, 5);
    latency_history(LATENCY_FAST_COMMAND, &history);
    CHECK_INT(history.count, 0);
}

static void what_is_reset_is_forgotten(void) {
    CHECK(latency_reset(LATENCY_COMMAND));
    CHECK(!latency_reset(LATENCY_COMMAND) && !latency_reset(LATENCY_FAST_COMMAND));
    latency_history(LATENCY_COMMAND, &history);
    CHECK(history.count == 0 && history.longest_ms == 0);
    note(101, 7); /* the second of the last sample that was forgotten */
    latency_history(LATENCY_COMMAND, &history);
    CHECK(history.count == 1 && history.longest_ms == 7);
    CHECK(latency_reset(LATENCY_COMMAND));
}

static void the_last_samples_are_kept_oldest_first(void) {
    for (int64_t second = 0; second < LATENCY_SAMPLES + 50; second++) note(second, second == 3 ? 999 : 10);
    latency_history(LATENCY_COMMAND, &history);
    CHECK_INT(history.count, LATENCY_SAMPLES);
    CHECK_INT(history.longest_ms, 999); /* whose sample is gone */
    for (unsigned i = 0; i < history.count; i++) CHECK_INT(history.samples[i].time_s, 50 + i);
    CHECK(latency_reset(LATENCY_COMMAND));
}

int main(void) {
    RUN(the_longest_sample_of_a_second_is_kept);
    RUN(what_is_reset_is_forgotten);
    RUN(the_last_samples_are_kept_oldest_first);
    return 0;
}
