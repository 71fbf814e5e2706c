/* check.h - the whole test framework: a check that fails says where, what and the values, and ends the program. */
#ifndef KEVY_TESTS_CHECK_H
#define KEVY_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/bytes.h"

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__, #condition);            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_INT(actual, expected)                                                                          \
    do {                                                                                                     \
        long long check_a = (long long)(actual), check_e = (long long)(expected);                            \
        if (check_a != check_e) {                                                                            \
            fprintf(stderr, "%s:%d: %s: %s is %lld, expected %lld\n", __FILE__, __LINE__, __func__, #actual, \
                    check_a, check_e);                                                                       \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

#define CHECK_BYTES(actual, expected)                                                                        \
    do {                                                                                                     \
        struct bytes check_a = (actual), check_e = (expected);                                               \
        if (!bytes_equal(check_a, check_e)) {                                                                \
            fprintf(stderr, "%s:%d: %s: %s is \"%.*s\" (%zu), expected \"%.*s\" (%zu)\n", __FILE__,          \
                    __LINE__, __func__, #actual, (int)check_a.len, check_a.data, check_a.len,                \
                    (int)check_e.len, check_e.data, check_e.len);                                            \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* The status of a test that cannot run here: ctest then says that it was skipped. It is to print why. */
enum { CHECK_SKIPPED = 77 };

/* Names the behaviour under test and runs it: RUN(empty_request_has_no_reply); */
#define RUN(test)                                                                                            \
    do {                                                                                                     \
        test();                                                                                              \
        printf("ok %s\n", #test);                                                                            \
    } while (0)

/* A small seeded generator (xorshift64*), so that a failing run can be repeated from the seed that it printed. */
static inline unsigned long long check_random(unsigned long long *state) {
    unsigned long long x = *state ? *state : 88172645463325252ull;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    *state = x;
    return x * 2685821657736338717ull;
}

/* The seed of this run: KEVY_SEED; one from the address-space layout where KEVY_NEW_SEED is set, as it is for tests that are
 * labelled slow; else always the same. It is printed. */
static inline unsigned long long check_seed(void) {
    const char *given = getenv("KEVY_SEED");
    unsigned long long seed = 1;
    if (given)
        seed = strtoull(given, NULL, 0);
    else if (getenv("KEVY_NEW_SEED"))
        seed = (unsigned long long)(size_t)&seed * 2654435761u;
    printf("seed %llu\n", seed);
    return seed;
}

#endif
