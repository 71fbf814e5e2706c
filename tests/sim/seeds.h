/* seeds.h - what programs of tests/sim share: runs from seeds, of which each can be made again.
 *
 *     PROGRAM [--seed N] [--seeds N]      one seed; or so many, from a first one that is printed (KEVY_SEED, check.h) */
#ifndef KEVY_TESTS_SEEDS_H
#define KEVY_TESTS_SEEDS_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

enum { SEEDS_TO_FIND = 1000 }; /* within so many what is wrong must show */

static struct {
    unsigned long long first, count, now;
    bool alone; /* a lone seed was asked for: it is told in detail */
} seeds;

/* What is wrong with this seed where the code is `mutated` so (0: not at all), or NULL. */
typedef const char *seed_run(unsigned long long seed, int mutated);

/* An assertion has failed, or memory was touched that should not be. */
static inline void seeds_tell(int number) {
    char text[80];
    int len = snprintf(text, sizeof text, "WRONG: --seed %llu ends with signal %d\n", seeds.now, number);
    if (write(2, text, (size_t)len) < 0) _exit(2);
    signal(number, SIG_DFL);
}

static inline void seeds_open(int argc, char **argv, unsigned long long count) {
    seeds.count = count;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGABRT, seeds_tell);
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long long number = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--seed") == 0) {
            seeds.first = number;
            seeds.alone = true;
        }
        if (strcmp(argv[i], "--seeds") == 0) seeds.count = number;
    }
    if (seeds.alone)
        seeds.count = 1;
    else
        seeds.first = check_seed() % 1000000000;
}

/* One in `part` of the seeds, and at least one. */
static inline void seeds_run_some(const char *what, seed_run *run, unsigned part) {
    unsigned long long count = (seeds.count + part - 1) / part;
    for (unsigned long long i = 0; i < count; i++) {
        seeds.now = seeds.first + i;
        const char *wrong = run(seeds.now, 0);
        if (!wrong) continue;
        fprintf(stderr, "WRONG: %s --seed %llu: %s\n", what, seeds.now, wrong);
        exit(1);
    }
    printf("%s: %llu seeds from %llu\n", what, count, seeds.first);
}
static inline void seeds_run(const char *what, seed_run *run) {
    seeds_run_some(what, run, 1);
}

/* A mutation that nobody notices is a hole in the test. The seeds are the same each time. A child tries them, for an
 * assertion that notices is as good. */
static inline void seeds_find(const char *what, seed_run *run, int mutated) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        const char *wrong = NULL;
        signal(SIGABRT, SIG_DFL);
        for (seeds.now = 0; !wrong && seeds.now < SEEDS_TO_FIND;) {
            seeds.now++;
            wrong = run(seeds.now, mutated);
        }
        if (wrong) printf("found with seed %llu: %s: %s\n", seeds.now, what, wrong);
        _exit(wrong ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (status == 0) return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) {
        printf("found by an assertion: %s\n", what);
        return;
    }
    fprintf(stderr, "NOT FOUND within %d seeds: %s\n", SEEDS_TO_FIND, what);
    exit(1);
}

#endif
