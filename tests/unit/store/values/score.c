/* Scores: how many bytes each takes, and that it comes back as it was. */
#include "store/values/score.h"

#include <math.h>

#include "tests/check.h"

static unsigned long long seed;

static bool same(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

static size_t round_trip(double score) {
    char at[SCORE_MAX_LEN];
    size_t len = score_put(at, score);
    CHECK(score_valid((struct bytes){at, len}));
    CHECK(same(score_of((struct bytes){at, len}), score));
    return len;
}

static void integers_are_short(void) {
    static const struct {
        double score;
        size_t len;
    } cases[] = {
        {0, 1},           {1, 1},
        {-1, 1},          {127, 1},
        {-128, 1},        {128, 2},
        {-129, 2},        {32767, 2},
        {-32768, 2},      {32768, 3},
        {-32769, 3},      {8388607, 3},
        {-8388608, 3},    {8388608, 4},
        {-8388609, 4},    {2147483647, 4},
        {-2147483648, 4}, {2147483648, 8},
        {-2147483649, 8}, {0.5, 8},
        {-0.0, 8},        {1e300, 8},
        {-1e-300, 8},     {INFINITY, 8},
        {-INFINITY, 8},   {1700000000.5, 8},
        {99999, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_INT(round_trip(cases[i].score), cases[i].len);
}

static void every_double_comes_back(void) {
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t random = check_random(&seed);
        double score;
        memcpy(&score, &random, sizeof score);
        if (!isnan(score)) round_trip(score);
        round_trip((double)(int32_t)(random >> random % 32));
    }
}

static void what_is_no_score_is_refused(void) {
    double nan = NAN;
    CHECK(!score_valid(BYTES("")));
    CHECK(!score_valid(BYTES("12345")));
    CHECK(!score_valid(BYTES("1234567")));
    CHECK(!score_valid(BYTES("123456789")));
    CHECK(score_valid(BYTES("1234")));
    CHECK(!score_valid((struct bytes){(char *)&nan, sizeof nan}));
}

int main(void) {
    seed = check_seed();
    RUN(integers_are_short);
    RUN(every_double_comes_back);
    RUN(what_is_no_score_is_refused);
    return 0;
}
