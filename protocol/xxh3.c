/* xxh3.c - after the specification of XXH3 (Yann Collet, "xxHash fast digest algorithm", version 0.2). Texts of up to
 * 16, 128 and 240 bytes have a way each; longer ones are added up in eight sums, stripe by stripe of 64 bytes. */
#include "protocol/xxh3.h"

#include <assert.h>

#include "protocol/load.h"

#define PRIME32_1 0x9e3779b1u
#define PRIME32_2 0x85ebca77u
#define PRIME32_3 0xc2b2ae3du
#define PRIME64_1 0x9e3779b185ebca87u
#define PRIME64_2 0xc2b2ae3d27d4eb4fu
#define PRIME64_3 0x165667b19e3779f9u
#define PRIME64_4 0x85ebca77c2b2ae63u
#define PRIME64_5 0x27d4eb2f165667c5u
#define PRIME_MX1 0x165667919e3779f9u
#define PRIME_MX2 0x9fb21c651e98df25u

enum {
    SECRET_LEN = 192,
    STRIPE_LEN = 64,
    SUMS = 8,
    STRIPES_OF_BLOCK = (SECRET_LEN - STRIPE_LEN) / 8, /* each begins 8 bytes further in the secret */
    BLOCK_LEN = STRIPES_OF_BLOCK * STRIPE_LEN,
};

static const unsigned char secret_bytes[SECRET_LEN] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};
static const char *const secret = (const char *)secret_bytes;

static uint64_t rotated(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}
static uint64_t folded_product(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Each bit of the result depends on all bits: XXH64's way, XXH3's, and that for 4 to 8 bytes. */
static uint64_t stirred_old(uint64_t x) {
    x = (x ^ x >> 33) * PRIME64_2;
    x = (x ^ x >> 29) * PRIME64_3;
    return x ^ x >> 32;
}
static uint64_t stirred(uint64_t x) {
    x = (x ^ x >> 37) * PRIME_MX1;
    return x ^ x >> 32;
}
static uint64_t stirred_short(uint64_t x, uint64_t len) {
    x = (x ^ rotated(x, 49) ^ rotated(x, 24)) * PRIME_MX2;
    x = (x ^ ((x >> 35) + len)) * PRIME_MX2;
    return x ^ x >> 28;
}

/* Sixteen bytes under sixteen of the secret. */
static uint64_t mixed(const char *at, const char *key) {
    return folded_product(load_u64(at) ^ load_u64(key), load_u64(at + 8) ^ load_u64(key + 8));
}

static uint64_t hash_0_to_16(struct bytes b) {
    const char *at = b.data;
    if (b.len > 8) {
        uint64_t low = load_u64(at) ^ load_u64(secret + 24) ^ load_u64(secret + 32);
        uint64_t high = load_u64(at + b.len - 8) ^ load_u64(secret + 40) ^ load_u64(secret + 48);
        return stirred(b.len + __builtin_bswap64(low) + high + folded_product(low, high));
    }
    if (b.len >= 4) {
        uint64_t both = load_u32(at + b.len - 4) + ((uint64_t)load_u32(at) << 32);
        return stirred_short(both ^ load_u64(secret + 8) ^ load_u64(secret + 16), b.len);
    }
    if (b.len == 0) return stirred_old(load_u64(secret + 56) ^ load_u64(secret + 64));
    uint32_t first = (unsigned char)at[0], middle = (unsigned char)at[b.len / 2],
             last = (unsigned char)at[b.len - 1];
    uint32_t all = first << 16 | middle << 24 | last | (uint32_t)b.len << 8;
    return stirred_old(all ^ (uint64_t)(load_u32(secret) ^ load_u32(secret + 4)));
}

/* From both ends towards the middle. */
static uint64_t hash_17_to_128(struct bytes b) {
    uint64_t sum = b.len * PRIME64_1;
    for (size_t i = 0; i < (b.len + 31) / 32; i++) {
        sum += mixed(b.data + i * 16, secret + i * 32);
        sum += mixed(b.data + b.len - (i + 1) * 16, secret + i * 32 + 16);
    }
    return stirred(sum);
}

static uint64_t hash_129_to_240(struct bytes b) {
    enum { FIRST = 8, LAST_KEY = 119, NEXT_KEY = 3 };
    uint64_t sum = b.len * PRIME64_1;
    for (size_t i = 0; i < FIRST; i++) sum += mixed(b.data + i * 16, secret + i * 16);
    sum = stirred(sum);
    for (size_t i = FIRST; i < b.len / 16; i++)
        sum += mixed(b.data + i * 16, secret + (i - FIRST) * 16 + NEXT_KEY);
    return stirred(sum + mixed(b.data + b.len - 16, secret + LAST_KEY));
}

static void add_stripe(uint64_t sums[SUMS], const char *at, const char *key) {
    for (unsigned i = 0; i < SUMS; i++) {
        uint64_t data = load_u64(at + i * 8), keyed = data ^ load_u64(key + i * 8);
        sums[i ^ 1] += data;
        sums[i] += (keyed & UINT32_MAX) * (keyed >> 32);
    }
}
static void add_stripes(uint64_t sums[SUMS], const char *at, size_t count) {
    assert(count <= STRIPES_OF_BLOCK);
    for (size_t i = 0; i < count; i++) add_stripe(sums, at + i * STRIPE_LEN, secret + i * 8);
}

static uint64_t hash_long(struct bytes b) {
    enum { LAST_KEY = SECRET_LEN - STRIPE_LEN - 7, END_KEY = 11 };
    uint64_t sums[SUMS] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                           PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
    size_t blocks = (b.len - 1) / BLOCK_LEN;
    for (size_t i = 0; i < blocks; i++) {
        add_stripes(sums, b.data + i * BLOCK_LEN, STRIPES_OF_BLOCK);
        for (unsigned j = 0; j < SUMS; j++) {
            uint64_t key = load_u64(secret + SECRET_LEN - STRIPE_LEN + j * 8);
            sums[j] = (sums[j] ^ sums[j] >> 47 ^ key) * PRIME32_1;
        }
    }
    add_stripes(sums, b.data + blocks * BLOCK_LEN, (b.len - 1 - blocks * BLOCK_LEN) / STRIPE_LEN);
    add_stripe(sums, b.data + b.len - STRIPE_LEN, secret + LAST_KEY);
    uint64_t sum = b.len * PRIME64_1;
    for (unsigned i = 0; i < SUMS; i += 2)
        sum += folded_product(sums[i] ^ load_u64(secret + END_KEY + i * 8),
                              sums[i + 1] ^ load_u64(secret + END_KEY + i * 8 + 8));
    return stirred(sum);
}

uint64_t xxh3(struct bytes bytes) {
    if (bytes.len <= 16) return hash_0_to_16(bytes);
    if (bytes.len <= 128) return hash_17_to_128(bytes);
    return bytes.len <= 240 ? hash_129_to_240(bytes) : hash_long(bytes);
}
