/* Who came since the last batch began, beside those that were met of late. */
#include "server/journal/crowd.h"

#include "tests/check.h"

enum { CLIENTS = 50 };

static struct crowd_part parts[2];
static uint32_t noted[2 * CLIENTS];
static uint64_t now_us = 1000000;

/* Those of [from, until) come, half of them to each of two shards. */
static void come(unsigned from, unsigned until) {
    for (unsigned i = from; i < until; i++) noted[i] = crowd_join(&parts[i % 2], noted[i]);
    bool told = crowd_tell(&parts[0]);
    CHECK((crowd_tell(&parts[1]) || told) == (until > from));
    CHECK(!crowd_tell(&parts[0]) && !crowd_tell(&parts[1]));
}

static void batch(void) {
    now_us += CROWD_EPOCH_US / CROWD_BATCHES + 1;
    crowd_begin(now_us);
}

static void levels_are_parts_of_those_that_were_met(void) {
    CHECK_INT(crowd_members(), 0);
    come(0, CLIENTS);
    CHECK_INT(crowd_members(), CLIENTS);
    CHECK_INT(crowd_level(), CROWD_ALL);
    batch();
    CHECK_INT(crowd_level(), CROWD_FEW);
    come(0, CLIENTS / 2 - 1);
    CHECK_INT(crowd_level(), CROWD_FEW);
    come(CLIENTS / 2 - 1, CLIENTS / 2);
    CHECK_INT(crowd_level(), CROWD_HALF);
    come(CLIENTS / 2, CLIENTS - 7);
    CHECK_INT(crowd_level(), CROWD_HALF);
    come(CLIENTS - 7, CLIENTS - 6);
    CHECK_INT(crowd_level(), CROWD_ALL);
    CHECK_INT(crowd_members(), CLIENTS); /* each is counted once */
}

static void halves_take_turns(void) {
    for (unsigned i = 0; i < 20 * CROWD_BATCHES; i++) {
        batch();
        CHECK_INT(crowd_level(), CROWD_FEW);
        come(i % 2 * CLIENTS / 2, (i % 2 + 1) * CLIENTS / 2);
        CHECK_INT(crowd_level(), CROWD_HALF);
        CHECK_INT(crowd_members(), CLIENTS);
    }
}

static void who_stays_away_is_forgotten(void) {
    for (unsigned i = 0; i < 3 * CROWD_BATCHES; i++) batch(), come(0, 3);
    CHECK_INT(crowd_members(), 3);
    CHECK_INT(crowd_level(), CROWD_ALL);
    for (unsigned i = 0; i < 4 * CROWD_BATCHES; i++) batch();
    CHECK_INT(crowd_members(), 0);
}

static void many_are_enough(void) {
    come(0, 2 * CLIENTS);
    batch();
    come(0, CROWD_MANY - 1);
    CHECK_INT(crowd_level(), CROWD_FEW);
    come(CROWD_MANY - 1, CROWD_MANY);
    CHECK_INT(crowd_level(), CROWD_HALF);
}

int main(void) {
    RUN(levels_are_parts_of_those_that_were_met);
    RUN(halves_take_turns);
    RUN(who_stays_away_is_forgotten);
    RUN(many_are_enough);
    return 0;
}
