/* What INFO says of a load that goes on, and the delays that tests ask for. */
#include "server/journal/intake.h"

#include "server/clock.h"
#include "server/config/config.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static void it_goes_on_until_it_is_over(void) {
    CHECK(!intake_going() && !intake_cancelled());
    intake_begin(1000, 50);
    CHECK(intake_going() && !intake_cancelled());
    intake_cancel();
    CHECK(intake_cancelled());
    intake_end();
    CHECK(!intake_going() && !intake_cancelled());
    intake_cancel(); /* nothing is being loaded: the next load is another one */
    intake_begin(1000, 50);
    CHECK(!intake_cancelled());
    intake_end();
}

static void figures_are_redis_s(void) {
    intake_begin(1000, 50);
    struct intake_figures figures = intake_figures(50);
    CHECK(figures.begun_s == 50 && figures.total == 1000 && figures.taken == 0 && figures.memory == 0);
    CHECK(figures.percent == 0 && figures.eta_s == 1);
    intake_note(250, 4000);
    intake_note(249, 0); /* the memory is told of once */
    figures = intake_figures(60);
    CHECK(figures.taken == 249 && figures.memory == 4000 && figures.percent == 24.9);
    CHECK_INT(figures.eta_s, 10 * 751 / 250);
    CHECK_INT(intake_figures(40).eta_s, 1); /* the clock was set back */
    intake_note(1200, 0);                   /* the file has grown */
    CHECK(intake_figures(60).percent == 100 && intake_figures(60).eta_s == 0);
    intake_end();
}

static void without_a_length_memory_stands_for_it(void) {
    intake_begin(0, 50);
    CHECK(intake_figures(52).percent == 0 && intake_figures(52).eta_s == 2);
    intake_note(100, 400);
    CHECK(intake_figures(52).percent == 25);
    intake_end();
}

static void delays_are_as_long_as_they_should_be(void) {
    uint64_t begun_us = clock_monotonic_us();
    intake_delay();
    CHECK(!intake_delays());
    options_set("key-load-delay 2000\n");
    CHECK(intake_delays());
    intake_delay();
    CHECK(clock_monotonic_us() - begun_us >= 2000);
    options_set("key-load-delay -3\n");
    for (unsigned i = 0; i < 6; i++) intake_delay();
    options_set("key-load-delay 0\n");
}

int main(void) {
    config_defaults();
    RUN(it_goes_on_until_it_is_over);
    RUN(figures_are_redis_s);
    RUN(without_a_length_memory_stands_for_it);
    RUN(delays_are_as_long_as_they_should_be);
    return 0;
}
