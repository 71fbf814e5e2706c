/* crc64.c - eight bytes at a time, with a table for the place of each among them ("slicing by 8").
 *
 * A table is linear: its entry for a byte is the sum of those for the byte's bits. So eight numbers make each of the
 * eight tables, and the compiler adds them up. */
#include "store/rdb/crc64.h"

#include "protocol/assert.h"
#include "protocol/load.h"

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

uint64_t crc64(uint64_t crc, struct bytes bytes) {
    const char *at = bytes.data, *end = bytes.len ? at + bytes.len : at;
    for (; end - at >= 8; at += 8) {
        uint64_t word = crc ^ load_u64(at);
        crc = 0;
        for (unsigned i = 0; i < 8; i++) crc ^= tables[7 - i][word >> 8 * i & 0xff];
    }
    for (; at < end; at++) crc = crc >> 8 ^ tables[0][(crc ^ (unsigned char)*at) & 0xff];
    return crc;
}
