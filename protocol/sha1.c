/* sha1.c - SHA-1 as FIPS 180-4 describes it, of bytes that are all there. */
#include "protocol/sha1.h"

#include <stdint.h>

enum { BLOCK = 64, ROUNDS = 80, LENGTH_LEN = 8 };

static uint32_t rotated(uint32_t word, unsigned bits) {
    return word << bits | word >> (32 - bits);
}

static uint32_t load_big_endian(const unsigned char *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}
static void store_big_endian(unsigned char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (unsigned char)(number >> 8 * (len - 1 - i));
}

/* One block of input into the state. */
static void mix(uint32_t state[5], const unsigned char *block) {
    uint32_t w[ROUNDS], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < 16; i++) w[i] = load_big_endian(block + 4 * i);
    for (unsigned i = 16; i < ROUNDS; i++) w[i] = rotated(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t chosen = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                          : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                          : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                   : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotated(a, 5) + chosen + e + w[i];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1(struct bytes bytes, unsigned char hash[SHA1_LEN]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    const unsigned char *data = (const unsigned char *)bytes.data;
    size_t at = 0;
    for (; bytes.len - at >= BLOCK; at += BLOCK) mix(state, data + at);
    /* The end: a set bit, zeroes, and the number of bits; in two blocks where one has no room left. */
    unsigned char end[2 * BLOCK] = {0};
    size_t rest = bytes.len - at, padded = rest + 1 + LENGTH_LEN <= BLOCK ? BLOCK : 2 * BLOCK;
    if (rest) memcpy(end, data + at, rest);
    end[rest] = 0x80;
    store_big_endian(end + padded - LENGTH_LEN, (uint64_t)bytes.len * 8, LENGTH_LEN);
    for (size_t i = 0; i < padded; i += BLOCK) mix(state, end + i);
    for (unsigned i = 0; i < 5; i++) store_big_endian(hash + 4 * i, state[i], 4);
}
