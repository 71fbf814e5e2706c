/* A ring ends the sleep, whenever it comes, and costs nothing where nobody sleeps. */
#include "server/journal/bell.h"

#include <pthread.h>

#include "tests/check.h"

enum { ROUNDS = 20000 };

static struct bell bell, answer;
static _Atomic unsigned asked, answered;

static void *answer_all(void *unused) {
    (void)unused;
    while (answered < ROUNDS) {
        bell_park(&bell);
        if (asked == answered)
            bell_sleep(&bell, -1);
        else
            bell_leave(&bell);
        if (asked == answered) continue; /* for no reason */
        answered++;
        bell_ring(&answer);
    }
    return NULL;
}

/* One asks and waits, the other answers: a ring that is lost would leave both asleep. */
static void no_ring_is_lost(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, answer_all, NULL) == 0);
    for (unsigned i = 1; i <= ROUNDS; i++) {
        asked = i;
        bell_ring(&bell);
        while (answered < i) {
            bell_park(&answer);
            if (answered < i)
                bell_sleep(&answer, -1);
            else
                bell_leave(&answer);
        }
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!bell.parked && !answer.parked);
}

static void a_sleep_ends_by_itself(void) {
    bell_park(&bell);
    bell_sleep(&bell, 1);
    CHECK(!bell.parked);
    bell_park(&bell);
    bell_ring(&bell);
    bell_sleep(&bell, -1); /* it was rung before */
}

static void only_a_loud_ring_ends_a_sound_sleep(void) {
    bell_ring_aloud(&bell, 1); /* nobody sleeps */
    for (uint32_t sleep = 1; sleep <= BELL_LOUDEST; sleep++) {
        for (uint32_t ring = 1; ring <= BELL_LOUDEST; ring++) {
            bell_park_for(&bell, sleep);
            bell_ring_aloud(&bell, ring);
            CHECK_INT(bell.parked, ring >= sleep ? 0 : sleep);
            bell_sleep(&bell, 1);
            CHECK(!bell.parked);
        }
        bell_park_for(&bell, sleep);
        bell_ring(&bell);
        CHECK(!bell.parked);
    }
}

int main(void) {
    RUN(a_sleep_ends_by_itself);
    RUN(only_a_loud_ring_ends_a_sound_sleep);
    RUN(no_ring_is_lost);
    return 0;
}
