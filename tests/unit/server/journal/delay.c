/* How long who saves or loads waits after a key, for tests. */
#include "server/journal/delay.h"

#include "server/clock.h"
#include "tests/check.h"

static void what_is_below_0_is_one_of_so_many_keys(void) {
    CHECK_INT(delay_after_key(0, 7), 0);
    CHECK_INT(delay_after_key(50, 7), 50);
    CHECK_INT(delay_after_key(-3, 0), 1);
    CHECK_INT(delay_after_key(-3, 1), 0);
    CHECK_INT(delay_after_key(-3, 3), 1);
    CHECK_INT(delay_after_key(INT32_MIN, 1), 0);
}

static void a_sleep_takes_its_time(void) {
    uint64_t begun_us = clock_monotonic_us();
    delay_sleep(0);
    delay_sleep(2000);
    CHECK(clock_monotonic_us() - begun_us >= 2000);
}

int main(void) {
    RUN(what_is_below_0_is_one_of_so_many_keys);
    RUN(a_sleep_takes_its_time);
    return 0;
}
