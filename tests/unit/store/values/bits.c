/* Long arrays of bits: every kernel, also those that this processor would not choose, against one bit after
 * the other, at all alignments and lengths. */
#include "store/values/bits.c"

#include "tests/check.h"

enum { LONGEST = 600, ALIGNMENTS = 40, GUARD = 64, COUNTED = 5 * STEP };

static unsigned long long seed;
static char area[4][GUARD + ALIGNMENTS + COUNTED + GUARD];

static void fill(char *at, size_t len, unsigned kind) {
    for (size_t i = 0; i < len; i++)
        at[i] = (char)(kind == 0 ? 0 : kind == 1 ? 0xff : check_random(&seed) >> 32);
}

static bool bit_at(struct bytes bits, size_t bit) {
    return bit / 8 < bits.len && (unsigned char)bits.data[bit / 8] >> (7 - bit % 8) & 1;
}

/* ---- Counting ------------------------------------------------------------------------------------- */

static uint64_t naive_count(struct bytes bits) {
    uint64_t count = 0;
    for (size_t bit = 0; bit < 8 * bits.len; bit++) count += bit_at(bits, bit);
    return count;
}

static void check_count(struct bytes bits) {
    uint64_t expected = naive_count(bits);
    CHECK_INT(bits_count(bits), expected);
    CHECK_INT(count_plain(bits.data, bits.len), expected);
#ifdef __x86_64__
    if (has_popcnt()) CHECK_INT(count_popcnt(bits.data, bits.len), expected);
    if (has_avx2()) CHECK_INT(count_avx2(bits.data, bits.len), expected);
#endif
}

static void bits_are_counted_at_all_alignments_and_lengths(void) {
    for (unsigned kind = 0; kind < 3; kind++) {
        fill(area[0], sizeof area[0], kind);
        for (size_t at = 0; at < ALIGNMENTS; at++)
            for (size_t len = 0; len <= COUNTED; len += 1 + (len > 70) * check_random(&seed) % 19)
                check_count((struct bytes){area[0] + GUARD + at, len});
    }
}

/* ---- Finding -------------------------------------------------------------------------------------- */

static void check_skip(const char *data, size_t at, size_t end, unsigned char byte, size_t expected) {
    CHECK_INT(bits_skip(data, at, end, byte), expected);
    CHECK_INT(skip_plain(data, at, end, byte), expected);
#ifdef __x86_64__
    if (has_avx2()) CHECK_INT(skip_avx2(data, at, end, byte), expected);
#endif
}

static void the_first_other_byte_is_found_wherever_it_is(void) {
    for (unsigned kind = 0; kind < 2; kind++) {
        unsigned char byte = kind ? 0xff : 0;
        fill(area[0], sizeof area[0], kind);
        for (size_t at = 0; at < ALIGNMENTS; at++)
            for (size_t len = 0; len <= LONGEST; len += 1 + check_random(&seed) % 13) {
                size_t end = GUARD + at + len, other = GUARD + at + (len ? check_random(&seed) % len : 0);
                check_skip(area[0], GUARD + at, end, byte, end);
                area[0][other] ^= (char)(1 << check_random(&seed) % 8);
                check_skip(area[0], GUARD + at, end, byte, len ? other : end);
                check_skip(area[0], other, end, byte, len ? other : end);
                fill(area[0] + other, 1, kind);
            }
    }
}

/* ---- Combining ------------------------------------------------------------------------------------ */

static bool naive_bit(enum bits_operation operation, const struct bytes *arrays, uint32_t count, size_t bit) {
    bool value = bit_at(arrays[0], bit);
    for (uint32_t i = 1; i < count && operation != BITS_NOT; i++) {
        bool other = bit_at(arrays[i], bit);
        value = operation == BITS_AND  ? value && other
                : operation == BITS_OR ? value || other
                                       : value != other;
    }
    return operation == BITS_NOT ? !value : value;
}

static void check_result(enum bits_operation operation, struct bytes result, const struct bytes *arrays,
                         uint32_t count) {
    for (size_t bit = 0; bit < 8 * result.len; bit++)
        if (bit_at(result, bit) != naive_bit(operation, arrays, count, bit)) {
            fprintf(stderr, "operation %d of %u arrays, %zu bytes: bit %zu\n", operation, count, result.len,
                    bit);
            CHECK(false);
        }
}

/* Nothing beside the result is written. */
static void check_guards(const char *begin, size_t at, size_t len) {
    for (size_t i = 0; i < GUARD; i++) CHECK(begin[at - 1 - i] == 0x5a && begin[at + len + i] == 0x5a);
}

static void arrays_are_combined_at_all_alignments_and_lengths(void) {
    for (int round = 0; round < 20000; round++) {
        enum bits_operation operation = (enum bits_operation)(check_random(&seed) % 4);
        uint32_t count = operation == BITS_NOT ? 1 : 1 + (uint32_t)(check_random(&seed) % 3);
        struct bytes arrays[3];
        size_t at = GUARD + check_random(&seed) % ALIGNMENTS, len = check_random(&seed) % LONGEST;
        for (uint32_t i = 0; i < count; i++) {
            fill(area[i], sizeof area[i], round % 3);
            arrays[i] = (struct bytes){area[i] + GUARD + check_random(&seed) % ALIGNMENTS,
                                       check_random(&seed) % 2 ? len
                                       : len                   ? check_random(&seed) % len
                                                               : 0};
        }
        memset(area[3], 0x5a, sizeof area[3]);
        bits_combine(operation, area[3] + at, len, arrays, count);
        check_result(operation, (struct bytes){area[3] + at, len}, arrays, count);
        check_guards(area[3], at, len);
    }
}

static void check_combiner(void (*run)(enum bits_operation, char *, const char *, const char *, size_t)) {
    for (unsigned operation = BITS_AND; operation <= BITS_NOT; operation++)
        for (size_t at = 0; at < ALIGNMENTS; at++)
            for (size_t len = 0; len <= LONGEST; len += 1 + (len > 40) * check_random(&seed) % 31) {
                struct bytes arrays[] = {{area[0] + GUARD + at, len}, {area[1] + GUARD + at / 3, len}};
                memset(area[2], 0x5a, sizeof area[2]);
                char *to = area[2] + GUARD + at / 5;
                run((enum bits_operation)operation, to, arrays[0].data, arrays[1].data, len);
                check_result((enum bits_operation)operation, (struct bytes){to, len}, arrays, 2);
                check_guards(area[2], GUARD + at / 5, len);
                /* In place of the first array, too. */
                memcpy(to, arrays[0].data, len);
                run((enum bits_operation)operation, to, to, arrays[1].data, len);
                check_result((enum bits_operation)operation, (struct bytes){to, len}, arrays, 2);
            }
}

static void every_combiner_agrees(void) {
    fill(area[0], sizeof area[0], 2);
    fill(area[1], sizeof area[1], 2);
    check_combiner(combine_plain);
#ifdef __x86_64__
    if (has_avx2()) check_combiner(combine_avx2);
#endif
}

static void arrays_longer_than_a_tile_are_combined_whole(void) {
    enum { LEN = 3 * TILE + 77 };
    static char one[LEN], other[LEN], result[LEN];
    fill(one, LEN, 2);
    fill(other, LEN, 2);
    static const size_t lengths[] = {0, 1, TILE - 1, TILE, TILE + 1, 2 * TILE, LEN};
    for (unsigned operation = BITS_AND; operation <= BITS_NOT; operation++)
        for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            struct bytes arrays[] = {{one, lengths[i]}, {other, LEN - lengths[i] % 100}};
            memset(result, 0x5a, LEN);
            bits_combine((enum bits_operation)operation, result, LEN, arrays, operation == BITS_NOT ? 1 : 2);
            check_result((enum bits_operation)operation, (struct bytes){result, LEN}, arrays,
                         operation == BITS_NOT ? 1 : 2);
        }
}

int main(void) {
    seed = check_seed();
    RUN(bits_are_counted_at_all_alignments_and_lengths);
    RUN(the_first_other_byte_is_found_wherever_it_is);
    RUN(arrays_are_combined_at_all_alignments_and_lengths);
    RUN(every_combiner_agrees);
    RUN(arrays_longer_than_a_tile_are_combined_whole);
    return 0;
}
