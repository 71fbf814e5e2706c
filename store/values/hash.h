/* hash.h - the keyed hash of keys: 64 bits, seeded at start with random bytes so that nobody can choose
 * collisions.
 *
 * The construction is the multiply-fold of the wyhash family (Wang Yi; also Abseil's and Go's default): two
 * words, each masked by a secret, are multiplied to 128 bits whose halves are folded by XOR. A key of up to
 * 16 bytes is two loads (overlapping where it is shorter) and two multiplications. The values differ between
 * runs and machines: they are never stored. */
#ifndef KEVY_STORE_VALUES_HASH_H
#define KEVY_STORE_VALUES_HASH_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/load.h"

struct hash_seed {
    uint64_t words[4];
};

/* Who uses which bits: the top HASH_STRIPE_BITS choose the stripe, the low bits the bucket, bits 48-55 the
 * slot tag (so at most 2^48 buckets). */
enum { HASH_STRIPE_SHIFT = 56, HASH_TAG_SHIFT = 48 };

static inline uint64_t hash_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The first 0-16 bytes as two words, which with the length tell any two such keys apart. */
static inline void hash_load_short(const char *at, size_t len, uint64_t *a, uint64_t *b) {
    if (len >= 8) {
        *a = load_u64(at);
        *b = load_u64(at + len - 8);
    } else if (len >= 4) {
        *a = load_u32(at);
        *b = load_u32(at + len - 4);
    } else if (len > 0) { /* first, middle and last byte: all of them for 1, 2 and 3 */
        *a = (uint64_t)(unsigned char)at[0] << 16 | (uint64_t)(unsigned char)at[len / 2] << 8 |
             (uint64_t)(unsigned char)at[len - 1];
        *b = 0;
    } else {
        *a = *b = 0;
    }
}

static inline uint64_t hash_bytes(const struct hash_seed *seed, struct bytes bytes) {
    const char *at = bytes.data;
    size_t len = bytes.len;
    uint64_t state = seed->words[0], a, b;
    if (len <= 16) {
        hash_load_short(at, len, &a, &b);
    } else {
        size_t left = len;
        for (; left > 16; left -= 16, at += 16)
            state = hash_fold(load_u64(at) ^ seed->words[1], load_u64(at + 8) ^ state);
        a = load_u64(at + left - 16); /* the last 16 bytes, some of them for the second time */
        b = load_u64(at + left - 8);
    }
    state = hash_fold(a ^ seed->words[1], b ^ seed->words[2] ^ state);
    return hash_fold(state ^ seed->words[3], (uint64_t)len ^ seed->words[0]);
}

#endif
