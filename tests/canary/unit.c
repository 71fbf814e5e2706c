/* Wrong on purpose: tests/check.h must notice it and say where. */
#include "tests/check.h"

static void two_and_two_is_five(void) {
    CHECK_INT(2 + 2, 5);
}

int main(void) {
    RUN(two_and_two_is_five);
    return 0;
}
