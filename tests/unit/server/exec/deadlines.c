/* Deadlines come in their order, whichever were taken out in between. */
#include "server/exec/deadlines.h"

#include <stdlib.h>

#include "tests/check.h"

enum { MANY = 1000 };

static struct deadline all[MANY];

static void the_earliest_comes_first(void) {
    struct deadlines deadlines = {0};
    unsigned state = 1;
    CHECK(!deadlines_first(&deadlines));
    for (unsigned i = 0; i < MANY; i++) {
        state = state * 1103515245 + 12345;
        all[i] = (struct deadline){.at_us = state >> 16 & 511};
        CHECK(deadlines_add(&deadlines, &all[i]));
    }
    for (unsigned i = 0; i < MANY; i += 3) { /* some end otherwise */
        deadlines_remove(&deadlines, &all[i]);
        deadlines_remove(&deadlines, &all[i]); /* it is in none any more */
        CHECK_INT(all[i].place, 0);
    }
    uint64_t before = 0;
    unsigned left = 0;
    for (struct deadline *first; (first = deadlines_first(&deadlines)); left++) {
        for (unsigned i = 0; left == 0 && i < MANY; i++) CHECK(!all[i].place || all[i].at_us >= first->at_us);
        CHECK(first->at_us >= before && (first - all) % 3 != 0);
        before = first->at_us;
        deadlines_remove(&deadlines, first);
    }
    CHECK_INT(left, MANY - (MANY + 2) / 3);
    deadlines_close(&deadlines);
}

int main(void) {
    RUN(the_earliest_comes_first);
    return 0;
}
