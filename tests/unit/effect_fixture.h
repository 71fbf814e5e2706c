/* effect_fixture.h - what tests of effects share: one stripe, its keys, and what is counted. */
#ifndef KEVY_TESTS_EFFECT_FIXTURE_H
#define KEVY_TESTS_EFFECT_FIXTURE_H

#include "server/call/effect.h"
#include "server/stripes/watch.h"
#include "tests/check.h"

enum { NOW_MS = 1000 };

static struct metrics metrics;
static struct effects x;
static struct stripe *stripe;

static inline void begin(void) {
    CHECK_INT(stripes_open(1, 2), 0);
    stripe = &stripes.all[0];
    metrics = (struct metrics){0};
    x = (struct effects){.now_ms = NOW_MS, .metrics = &metrics};
}

static inline struct key key_of(const char *name) {
    struct bytes bytes = bytes_of(name);
    return (struct key){bytes, hash_bytes(&stripes.seed, bytes)};
}

static inline struct entry *put(unsigned db, const char *name, int64_t expiry_ms) {
    struct value value = value_of_bytes(BYTES("v"));
    struct entry *e = keyspace_set(stripe->keyspace, db, key_of(name), &value, expiry_ms);
    CHECK(e);
    return e;
}

#endif
