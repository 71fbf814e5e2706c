/* crc32c.c - by the processor's own instruction where it has one, else by a small table. */
#include "server/journal/crc32c.h"

#include <stdbool.h>

#include "protocol/load.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* Four bits are shifted out. */
static uint32_t of_nibble(uint32_t crc) {
    for (int i = 0; i < 4; i++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    return crc;
}

/* Two steps of four bits each: sixteen entries are made in a moment, so nothing is kept. */
uint32_t crc32c_by_table(uint32_t crc, struct bytes bytes) {
    uint32_t table[16];
    for (uint32_t i = 0; i < 16; i++) table[i] = of_nibble(i);
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#ifdef __x86_64__
/* The instruction takes eight bytes, and has its result three cycles later: three sums that need nothing of each other go on
 * side by side. What a sum is worth so many bytes further on is its product with a power of x, modulo the polynomial. The
 * instruction itself makes 32 bits of the 64 that a product has, and thereby multiplies by x^32; reflected, a product of 32
 * by 32 bits comes out one place too high. So each power is 33 less than it would be. */
enum { LANE_BYTES = 256 };
#define POWER_1 0xb9e02b86u /* x^(8 * LANE_BYTES - 33) */
#define POWER_2 0xdd7e3b0cu /* x^(16 * LANE_BYTES - 33) */

#define LANES   __attribute__((target("sse4.2,pclmul"), always_inline)) static inline

LANES uint64_t further(uint64_t sum, uint32_t power) {
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)sum), _mm_cvtsi32_si128((int)power), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/* Of three lanes that follow each other. */
LANES uint64_t by_lanes(uint64_t sum, const char *at) {
    uint64_t second = 0, third = 0;
    for (const char *end = at + LANE_BYTES; at < end; at += sizeof sum) {
        sum = _mm_crc32_u64(sum, load_u64(at));
        second = _mm_crc32_u64(second, load_u64(at + LANE_BYTES));
        third = _mm_crc32_u64(third, load_u64(at + 2 * LANE_BYTES));
    }
    return further(sum, POWER_2) ^ further(second, POWER_1) ^ third;
}

static __attribute__((target("sse4.2,pclmul"))) uint32_t by_instruction(uint32_t crc, struct bytes bytes) {
    uint64_t sum = ~crc;
    const char *at = bytes.data;
    size_t left = bytes.len;
    for (; left >= 3 * (size_t)LANE_BYTES; at += 3 * LANE_BYTES, left -= 3 * LANE_BYTES)
        sum = by_lanes(sum, at);
    for (; left >= sizeof sum; at += sizeof sum, left -= sizeof sum) sum = _mm_crc32_u64(sum, load_u64(at));
    uint32_t rest = (uint32_t)sum;
    for (; left; at++, left--) rest = _mm_crc32_u8(rest, (unsigned char)*at);
    return ~rest;
}

uint32_t crc32c(uint32_t crc, struct bytes bytes) {
    bool has = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return has ? by_instruction(crc, bytes) : crc32c_by_table(crc, bytes);
}
#else
uint32_t crc32c(uint32_t crc, struct bytes bytes) {
    return crc32c_by_table(crc, bytes);
}
#endif
