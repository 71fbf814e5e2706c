/* crc64.c - with the instruction that multiplies polynomials, or eight bytes at a time, with a table for the place of each
 * among them ("slicing by 8").
 *
 * A table is linear: its entry for a byte is the sum of those for the byte's bits. So eight numbers make each of the
 * eight tables, and the compiler adds them up. */
#include "store/rdb/crc64.h"

#include "protocol/assert.h"
#include "protocol/load.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define BIT(byte, bit, number) ((byte) >> (bit)&1 ? (number) : 0)
#define SUM(byte, b0, b1, b2, b3, b4, b5, b6, b7)                                                            \
    (BIT(byte, 0, b0) ^ BIT(byte, 1, b1) ^ BIT(byte, 2, b2) ^ BIT(byte, 3, b3) ^ BIT(byte, 4, b4) ^          \
     BIT(byte, 5, b5) ^ BIT(byte, 6, b6) ^ BIT(byte, 7, b7))
#define SLICE_0(byte)                                                                                        \
    SUM(byte, 0x7ad870c830358979ull, 0xf5b0e190606b12f2ull, 0xc038e5739841b68full, 0xab28ecb46814fe75ull,    \
        0x7d08ff3b88be6f81ull, 0xfa11fe77117cdf02ull, 0xdf7adabd7a6e2d6full, 0x95ac9329ac4bc9b5ull)
#define SLICE_1(byte)                                                                                        \
    SUM(byte, 0x89e99ffd73bddf69ull, 0x388a19a9bfec2db9ull, 0x711433537fd85b72ull, 0xe22866a6ffb0b6e4ull,    \
        0xef09eb1ea7f6fea3ull, 0xf54af06e177a6e2dull, 0xc1ccc68f76634f31ull, 0xa8c0ab4db4510d09ull)
#define SLICE_2(byte)                                                                                        \
    SUM(byte, 0xf4125129ce4038beull, 0xc37d8400c417e217ull, 0xada22e52d0b85745ull, 0x701d7af6f9e73de1ull,    \
        0xe03af5edf3ce7bc2ull, 0xeb2ccd88bf0b64efull, 0xfd00bd4226815ab5ull, 0xd1585cd715952601ull)
#define SLICE_3(byte)                                                                                        \
    SUM(byte, 0x8ce168638c796306ull, 0x329bf69440655567ull, 0x6537ed2880caaaceull, 0xca6fda510195559cull,    \
        0xbf8692f15bbd3853ull, 0x545403b1efede3cdull, 0xa8a80763dfdbc79aull, 0x7a092894e7201c5full)
#define SLICE_4(byte)                                                                                        \
    SUM(byte, 0x3504e58b9ba6dd1eull, 0x6a09cb17374dba3cull, 0xd413962e6e9b7478ull, 0x837e0a0f85a17b9bull,    \
        0x2da5324c53d5645dull, 0x5b4a6498a7aac8baull, 0xb694c9314f559174ull, 0x4670b431c63cb183ull)
#define SLICE_5(byte)                                                                                        \
    SUM(byte, 0xe39d1389931b9354ull, 0xec6301407ea0b5c3ull, 0xf39f24d3a5d6f8edull, 0xcc676ff4133a62b1ull,    \
        0xb397f9bb7ee35609ull, 0x4c76d525a5513f79ull, 0x98edaa4b4aa27ef2ull, 0x1a8272c5cdd36e8full)
#define SLICE_6(byte)                                                                                        \
    SUM(byte, 0x62a95de6e302eff2ull, 0xc552bbcdc605dfe4ull, 0xa1fc51c8d49c2ca3ull, 0x68a185c2f1afca2dull,    \
        0xd1430b85e35f945aull, 0x89df31589e28bbdfull, 0x38e744e264c6e4d5ull, 0x71ce89c4c98dc9aaull)
#define SLICE_7(byte)                                                                                        \
    SUM(byte, 0x381d0015c96f4444ull, 0x703a002b92de8888ull, 0xe074005725bd1110ull, 0xebb126fd13edb14bull,    \
        0xfc3b6ba97f4cf1fdull, 0xd32ff101a60e7091ull, 0x8d06c450148b7249ull, 0x3154aef3718177f9ull)

#define FOUR(slice, i)    slice(i), slice((i) + 1), slice((i) + 2), slice((i) + 3)
#define SIXTEEN(slice, i) FOUR(slice, i), FOUR(slice, (i) + 4), FOUR(slice, (i) + 8), FOUR(slice, (i) + 12)
#define MANY(slice, i)                                                                                       \
    SIXTEEN(slice, i), SIXTEEN(slice, (i) + 16), SIXTEEN(slice, (i) + 32), SIXTEEN(slice, (i) + 48)
#define ALL(slice)                                                                                           \
    { MANY(slice, 0), MANY(slice, 64), MANY(slice, 128), MANY(slice, 192) }

/* tables[n][byte]: what a byte adds that has n more behind it. */
static const uint64_t tables[8][256] = {ALL(SLICE_0), ALL(SLICE_1), ALL(SLICE_2), ALL(SLICE_3),
                                        ALL(SLICE_4), ALL(SLICE_5), ALL(SLICE_6), ALL(SLICE_7)};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's first byte is its lowest");

static uint64_t by_table(uint64_t crc, struct bytes bytes) {
    const char *at = bytes.data, *end = bytes.len ? at + bytes.len : at;
    for (; end - at >= 8; at += 8) {
        uint64_t word = crc ^ load_u64(at);
        crc = 0;
        for (unsigned i = 0; i < 8; i++) crc ^= tables[7 - i][word >> 8 * i & 0xff];
    }
    for (; at < end; at++) crc = crc >> 8 ^ tables[0][(crc ^ (unsigned char)*at) & 0xff];
    return crc;
}

#ifdef __x86_64__
/* Folding (Gopal and others, "Fast CRC Computation Using PCLMULQDQ", 2009). Sixteen bytes are a polynomial; what they are
 * worth so many bytes further on is the sum of two products: of either half with a power of x, modulo the checksum's
 * polynomial. A product of reflected halves comes out one place too low, so each power is one less than it would be. What is
 * left in the end is sixteen bytes with the same checksum. */
enum { FOLD_BYTES = 64, FOLDED_BYTES = 16, FOLD_MIN = 2 * FOLD_BYTES };
#define FOLD __attribute__((target("pclmul,sse2"), always_inline)) static inline

FOLD __m128i block_at(const char *at) {
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

FOLD __m128i folded(__m128i block, __m128i powers, __m128i next) {
    __m128i low = _mm_clmulepi64_si128(block, powers, 0x00), high = _mm_clmulepi64_si128(block, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static __attribute__((target("pclmul,sse2"))) uint64_t by_instruction(uint64_t crc, struct bytes bytes) {
    const __m128i by_64 = _mm_set_epi64x((long long)0xf49784a634f014e4ull, (long long)0xaf86efb16d9ab4fbull);
    const __m128i by_16 = _mm_set_epi64x((long long)0x381d0015c96f4444ull, (long long)0xd9d7be7d505da32cull);
    const char *at = bytes.data, *end = bytes.data + bytes.len;
    char left[FOLDED_BYTES];
    __m128i blocks[4];
    assert(bytes.len >= FOLD_BYTES);
    for (unsigned i = 0; i < 4; i++) blocks[i] = block_at(at + 16 * i);
    blocks[0] = _mm_xor_si128(blocks[0], _mm_cvtsi64_si128((long long)crc));
    for (at += FOLD_BYTES; end - at >= FOLD_BYTES; at += FOLD_BYTES)
        for (unsigned i = 0; i < 4; i++) blocks[i] = folded(blocks[i], by_64, block_at(at + 16 * i));
    for (unsigned i = 1; i < 4; i++) blocks[i] = folded(blocks[i - 1], by_16, blocks[i]);
    for (; end - at >= FOLDED_BYTES; at += FOLDED_BYTES) blocks[3] = folded(blocks[3], by_16, block_at(at));
    _mm_storeu_si128((__m128i *)(void *)left, blocks[3]);
    crc = by_table(0, (struct bytes){left, sizeof left});
    return by_table(crc, (struct bytes){at, (size_t)(end - at)});
}
#endif

uint64_t crc64(uint64_t crc, struct bytes bytes) {
#ifdef __x86_64__
    if (bytes.len >= FOLD_MIN && __builtin_cpu_supports("pclmul")) return by_instruction(crc, bytes);
#endif
    return by_table(crc, bytes);
}
