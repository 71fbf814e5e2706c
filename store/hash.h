/* hash.h - the keyed hash of keys: 64 bits, seeded at start with random bytes so that nobody can choose collisions. */
#ifndef KEVY_STORE_HASH_H
#define KEVY_STORE_HASH_H

#include <stdint.h>

#include "protocol/bytes.h"

struct hash_seed {
    uint64_t words[4];
};

/* Who uses which bits: the top HASH_STRIPE_BITS choose the stripe, the low bits the bucket, bits 48-55 the slot tag
 * (so at most 2^48 buckets). */
enum { HASH_STRIPE_SHIFT = 56, HASH_TAG_SHIFT = 48 };

static inline uint64_t hash_bytes(const struct hash_seed *seed, struct bytes bytes);

#include "store/hash_inline.h"

#endif
