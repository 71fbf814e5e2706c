/* bits.c - long arrays of bits, by vectors.
 *
 * Each of the loops is there twice, once for processors with AVX2, which is younger than the oldest that we are
 * compiled for; for other architectures there is only the plain one. Results are made in tiles which stay in the
 * first-level cache until all arrays are in them, so that every array is read and the result written once.
 * store/README.md has the figures. */
#include "store/values/bits.h"

#include "protocol/assert.h"
#include "protocol/load.h"

#ifdef __x86_64__
#include <immintrin.h>
#define POPCNT __attribute__((target("popcnt")))
#define AVX2   __attribute__((target("avx2,popcnt")))
static bool has_popcnt(void) {
    return __builtin_cpu_supports("popcnt");
}
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && has_popcnt();
}
#endif

#define INLINE static inline __attribute__((always_inline))

/* As wide as the widest vector, at any address. */
typedef uint64_t words __attribute__((vector_size(32), aligned(1), may_alias));

enum { TILE = 16 << 10, STEP = 256 };

/* ---- Counting ------------------------------------------------------------------------------------- */

INLINE uint64_t count_words(const char *data, size_t len) {
    uint64_t count[4] = {0}; /* four sums, so that no addition waits for the one before */
    size_t i = 0;
    for (; i + 32 <= len; i += 32)
        for (size_t k = 0; k < 4; k++) count[k] += (uint64_t)__builtin_popcountll(load_u64(data + i + 8 * k));
    for (; i < len; i++) count[0] += (uint64_t)__builtin_popcount((unsigned char)data[i]);
    return count[0] + count[1] + count[2] + count[3];
}

static uint64_t count_plain(const char *data, size_t len) {
    return count_words(data, len);
}

#ifdef __x86_64__
POPCNT static uint64_t count_popcnt(const char *data, size_t len) {
    return count_words(data, len);
}

/* The bits of 32 bytes, byte by byte: a table of sixteen counts, looked up for both halves of each (W. Mula). */
AVX2 static inline __m256i count_bytes(const char *at) {
    const __m256i counts = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2,
                                            2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256((const __m256i *)at);
    __m256i high_half = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low);
    return _mm256_add_epi8(_mm256_shuffle_epi8(counts, _mm256_and_si256(bytes, low)),
                           _mm256_shuffle_epi8(counts, high_half));
}

/* The bits of STEP bytes, as four sums. */
AVX2 static inline __m256i count_step(const char *at) {
    __m256i bytes = count_bytes(at);
#pragma GCC unroll 8
    for (size_t k = 32; k < STEP; k += 32) bytes = _mm256_add_epi8(bytes, count_bytes(at + k));
    return _mm256_sad_epu8(bytes, _mm256_setzero_si256()); /* no byte was more than 64 */
}

/* Four places of the array at once: memory gives more to who asks for several things. */
AVX2 static uint64_t count_avx2(const char *data, size_t len) {
    __m256i sum = _mm256_setzero_si256();
    size_t quarter = len / 4 / STEP * STEP, i = 0;
    for (; i < quarter; i += STEP)
        for (size_t k = 0; k < 4; k++) sum = _mm256_add_epi64(sum, count_step(data + k * quarter + i));
    for (i = 4 * quarter; i + STEP <= len; i += STEP) sum = _mm256_add_epi64(sum, count_step(data + i));
    uint64_t sums[4];
    memcpy(sums, &sum, sizeof sums);
    return sums[0] + sums[1] + sums[2] + sums[3] + count_words(data + i, len - i);
}
#endif

uint64_t bits_count(struct bytes bits) {
#ifdef __x86_64__
    if (has_avx2()) return count_avx2(bits.data, bits.len);
    if (has_popcnt()) return count_popcnt(bits.data, bits.len);
#endif
    return count_plain(bits.data, bits.len);
}

/* ---- Finding -------------------------------------------------------------------------------------- */

INLINE size_t skip(const char *data, size_t at, size_t end, unsigned char byte) {
    uint64_t word = 0x0101010101010101u * byte;
    words all = {word, word, word, word};
    for (; at + 128 <= end; at += 128) {
        const words *from = (const words *)(data + at);
        words differ = (from[0] ^ all) | (from[1] ^ all) | (from[2] ^ all) | (from[3] ^ all);
        if (differ[0] | differ[1] | differ[2] | differ[3]) break;
    }
    while (at < end && (unsigned char)data[at] == byte) at++;
    return at;
}

static size_t skip_plain(const char *data, size_t at, size_t end, unsigned char byte) {
    return skip(data, at, end, byte);
}

#ifdef __x86_64__
AVX2 static size_t skip_avx2(const char *data, size_t at, size_t end, unsigned char byte) {
    return skip(data, at, end, byte);
}
#endif

size_t bits_skip(const char *data, size_t at, size_t end, unsigned char byte) {
    assert(at <= end);
#ifdef __x86_64__
    if (has_avx2()) return skip_avx2(data, at, end, byte);
#endif
    return skip_plain(data, at, end, byte);
}

/* ---- Combining ------------------------------------------------------------------------------------ */

/* to[i] = a[i] operation b[i]; `to` may be `a`. The operation is known when this is compiled. */
INLINE void combine_as(enum bits_operation operation, char *to, const char *a, const char *b, size_t len) {
    size_t i = 0;
    for (; i + 128 <= len; i += 128) {
        words *result = (words *)(to + i);
        const words *left = (const words *)(a + i), *right = (const words *)(b + i);
#pragma GCC unroll 4
        for (size_t k = 0; k < 4; k++) {
            if (operation == BITS_AND) result[k] = left[k] & right[k];
            if (operation == BITS_OR) result[k] = left[k] | right[k];
            if (operation == BITS_XOR) result[k] = left[k] ^ right[k];
            if (operation == BITS_NOT) result[k] = ~left[k];
        }
    }
    for (; i < len; i++) {
        if (operation == BITS_AND) to[i] = a[i] & b[i];
        if (operation == BITS_OR) to[i] = a[i] | b[i];
        if (operation == BITS_XOR) to[i] = a[i] ^ b[i];
        if (operation == BITS_NOT) to[i] = (char)~a[i];
    }
}

INLINE void combine(enum bits_operation operation, char *to, const char *a, const char *b, size_t len) {
    switch (operation) {
    case BITS_AND: combine_as(BITS_AND, to, a, b, len); break;
    case BITS_OR: combine_as(BITS_OR, to, a, b, len); break;
    case BITS_XOR: combine_as(BITS_XOR, to, a, b, len); break;
    case BITS_NOT: combine_as(BITS_NOT, to, a, b, len); break;
    }
}

static void combine_plain(enum bits_operation operation, char *to, const char *a, const char *b, size_t len) {
    combine(operation, to, a, b, len);
}

#ifdef __x86_64__
AVX2 static void combine_avx2(enum bits_operation operation, char *to, const char *a, const char *b,
                              size_t len) {
    combine(operation, to, a, b, len);
}
#endif

static void combine_best(enum bits_operation operation, char *to, const char *a, const char *b, size_t len) {
#ifdef __x86_64__
    if (has_avx2()) {
        combine_avx2(operation, to, a, b, len);
        return;
    }
#endif
    combine_plain(operation, to, a, b, len);
}

/* The bytes [at, at + len) of an array, as far as there are any. */
static struct bytes part_of(struct bytes array, size_t at, size_t len) {
    if (at >= array.len) return (struct bytes){"", 0};
    return (struct bytes){array.data + at, array.len - at < len ? array.len - at : len};
}

/* Makes to[0, len) what two arrays give, of no more bytes; `to` may be the first. */
static void combine_two(enum bits_operation operation, char *to, size_t len, struct bytes a, struct bytes b) {
    size_t both = a.len < b.len ? a.len : b.len, end = both;
    combine_best(operation, to, a.data, b.data, both);
    if (operation != BITS_AND) { /* the rest of the longer one stays as it is */
        struct bytes longer = a.len > b.len ? a : b;
        if (to != longer.data) memcpy(to + both, longer.data + both, longer.len - both);
        end = longer.len;
    }
    memset(to + end, 0, len - end);
}

void bits_combine(enum bits_operation operation, char *to, size_t len, const struct bytes *arrays,
                  uint32_t count) {
    assert(count >= 1 && (operation != BITS_NOT || count == 1));
    for (size_t at = 0; at < len; at += TILE) {
        size_t some = len - at < TILE ? len - at : TILE;
        struct bytes first = part_of(arrays[0], at, some);
        if (operation == BITS_NOT) {
            combine_best(BITS_NOT, to + at, first.data, first.data, first.len);
            memset(to + at + first.len, 0xff, some - first.len);
        } else {
            /* An array alone is combined with nothing, or with itself. */
            struct bytes second = count == 1 ? first : part_of(arrays[1], at, some);
            combine_two(operation == BITS_XOR && count == 1 ? BITS_OR : operation, to + at, some, first,
                        second);
        }
        for (uint32_t i = 2; i < count; i++)
            combine_two(operation, to + at, some, (struct bytes){to + at, some},
                        part_of(arrays[i], at, some));
    }
}
