/* CLIENT PAUSE: which commands are held back, and until when. Time is an argument. */
#include "server/exec/pause.h"

#include <pthread.h>

#include "tests/check.h"

static const struct command reads = {.flags = CMD_READONLY}, writes = {.flags = CMD_WRITE},
                            publishes = {.flags = CMD_MAY_REPLICATE}, ends_it = {.flags = CMD_NO_PAUSE};

static void nothing_is_held_before_a_pause(void) {
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!pause_holds(&reads, false, 0));
    CHECK(!pause_holds(&writes, true, 1000));
}

static void a_pause_of_all_holds_all_until_its_end(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    CHECK_INT(pause_until_ms(), 2000);
    CHECK(pause_holds(&reads, false, 1000));
    CHECK(pause_holds(&writes, false, 1999));
    CHECK(!pause_holds(&ends_it, false, 1500));
    pause_end();
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!pause_holds(&writes, false, 1500));
}

static void a_pause_that_is_over_is_forgotten_when_asked_about(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    CHECK(pause_holds(&reads, false, 1999));
    CHECK(!pause_holds(&reads, false, 2000));
    CHECK_INT(pause_until_ms(), 0);
}

static void a_pause_of_writes_holds_what_would_change_data(void) {
    pause_begin(PAUSE_WRITE, 2000, 1000);
    CHECK(!pause_holds(&reads, false, 1000));
    CHECK(pause_holds(&writes, false, 1000));
    CHECK(pause_holds(&publishes, false, 1000));
    CHECK(pause_holds(&reads, true, 1000)); /* as EXEC with writes queued */
    pause_end();
}

static void a_second_pause_only_makes_it_longer_and_wider(void) {
    pause_begin(PAUSE_WRITE, 2000, 1000);
    pause_begin(PAUSE_ALL, 1500, 1000);
    CHECK_INT(pause_until_ms(), 2000);
    CHECK(pause_holds(&reads, false, 1999));
    pause_begin(PAUSE_WRITE, 3000, 1000);
    CHECK_INT(pause_until_ms(), 3000);
    CHECK(pause_holds(&reads, false, 2999));
    pause_end();
}

static void a_pause_that_is_over_leaves_nothing_to_the_next(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    pause_begin(PAUSE_WRITE, 4000, 3000);
    CHECK(!pause_holds(&reads, false, 3500));
    CHECK(pause_holds(&writes, false, 3500));
    pause_end();
}

static void extreme_ends_are_cut_not_wrapped(void) {
    pause_begin(PAUSE_ALL, INT64_MAX, 1000);
    CHECK(pause_until_ms() > INT64_MAX / 4);
    CHECK(pause_holds(&reads, false, INT64_MAX / 4));
    pause_end();
    pause_begin(PAUSE_ALL, -5, 1000);
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!pause_holds(&reads, false, 1000));
    pause_end();
}

enum { ROUNDS = 20000 };

/* One thread pauses writes to odd ends and everything to even ones, each time from nothing. */
static void *pause_and_resume(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        pause_begin(i & 1 ? PAUSE_WRITE : PAUSE_ALL, 1000 + (i & 1), 1);
        pause_end();
    }
    return unused;
}

static void no_thread_sees_the_end_of_one_pause_with_the_mode_of_another(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, pause_and_resume, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++)
        CHECK(!pause_holds(&reads, false, 1000)); /* only writes are held as late as that */
    pthread_join(thread, NULL);
}

int main(void) {
    RUN(nothing_is_held_before_a_pause);
    RUN(a_pause_of_all_holds_all_until_its_end);
    RUN(a_pause_that_is_over_is_forgotten_when_asked_about);
    RUN(a_pause_of_writes_holds_what_would_change_data);
    RUN(a_second_pause_only_makes_it_longer_and_wider);
    RUN(a_pause_that_is_over_leaves_nothing_to_the_next);
    RUN(extreme_ends_are_cut_not_wrapped);
    RUN(no_thread_sees_the_end_of_one_pause_with_the_mode_of_another);
    return 0;
}
