/* Numbers: strict integers, sizes, and floating point that agrees with libc to the last byte. */
#include "protocol/number.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "tests/check.h"

static unsigned long long seed;

static void check_i64(const char *text, bool valid, int64_t expected) {
    int64_t value = 77;
    CHECK_INT(number_parse_i64(bytes_of(text), &value), valid);
    CHECK_INT(value, valid ? expected : 77);
}

static void integers_are_read_strictly(void) {
    check_i64("0", true, 0);
    check_i64("-1", true, -1);
    check_i64("9223372036854775807", true, INT64_MAX);
    check_i64("-9223372036854775808", true, INT64_MIN);
    const char *invalid[] = {"",
                             "-",
                             "+1",
                             "-0",
                             "00",
                             "01",
                             "-01",
                             " 1",
                             "1 ",
                             "1a",
                             "a",
                             "0x1",
                             "1.0",
                             "--1",
                             "1e3",
                             "9223372036854775808",
                             "-9223372036854775809",
                             "9999999999999999999",
                             "18446744073709551616",
                             "99999999999999999999",
                             "100000000000000000000"};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) check_i64(invalid[i], false, 0);
    int64_t value = 77;
    CHECK(!number_parse_i64((struct bytes){"1\0", 2}, &value));
    CHECK(!number_parse_i64((struct bytes){NULL, 0}, &value));
    CHECK_INT(value, 77);
}

static void unsigned_integers_reach_2_to_the_64(void) {
    uint64_t value = 77;
    CHECK(number_parse_u64(BYTES("18446744073709551615"), &value));
    CHECK(value == UINT64_MAX);
    CHECK(!number_parse_u64(BYTES("18446744073709551616"), &value));
    CHECK(!number_parse_u64(BYTES("20000000000000000000"), &value));
    CHECK(!number_parse_u64(BYTES("-1"), &value));
    CHECK(value == UINT64_MAX);
    CHECK(number_parse_u64(BYTES("0"), &value) && value == 0);
}

static void check_integer(int64_t value) {
    char text[32], expected[32];
    snprintf(expected, sizeof expected, "%lld", (long long)value);
    size_t len = number_format_i64(text, value);
    CHECK_BYTES(((struct bytes){text, len}), bytes_of(expected));
    int64_t back;
    CHECK(number_parse_i64((struct bytes){text, len}, &back));
    CHECK_INT(back, value);

    snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
    len = number_format_u64(text, (uint64_t)value);
    CHECK_BYTES(((struct bytes){text, len}), bytes_of(expected));
    CHECK_INT(number_digits_u64((uint64_t)value), len);
}

static void integers_survive_a_round_trip(void) {
    for (int64_t i = -1100; i <= 1100; i++) check_integer(i);
    for (int bit = 0; bit < 64; bit++)
        for (int64_t near = -1; near <= 1; near++)
            check_integer((int64_t)((UINT64_C(1) << bit) + (uint64_t)near));
    uint64_t power = 1;
    for (int i = 0; i < 20; i++, power *= 10)
        for (int64_t near = -1; near <= 1; near++) check_integer((int64_t)(power + (uint64_t)near));
    for (int i = 0; i < 100000; i++)
        check_integer((int64_t)(check_random(&seed) >> (check_random(&seed) & 63)));
}

static void check_double_text(const char *text, bool valid, double expected) {
    double value = 77;
    CHECK_INT(number_parse_double(bytes_of(text), &value), valid);
    if (valid) CHECK(memcmp(&value, &expected, sizeof value) == 0);
    if (!valid) CHECK(value == 77);
}

static void doubles_are_read_as_redis_does(void) {
    check_double_text("0", true, 0.0);
    check_double_text("-0", true, -0.0);
    check_double_text("-0.0", true, -0.0);
    check_double_text("+5", true, 5);
    check_double_text(".5", true, .5);
    check_double_text("5.", true, 5);
    check_double_text("0x10", true, 16);
    check_double_text("1e5", true, 1e5);
    check_double_text("4.9e-324", true, 4.9e-324);
    check_double_text("inf", true, INFINITY);
    check_double_text("+inf", true, INFINITY);
    check_double_text("-Infinity", true, -INFINITY);
    check_double_text("0.1", true, 0.1);
    check_double_text("123456789012345", true, 123456789012345.0);
    check_double_text("000000000000000", true, 0.0);
    check_double_text("000000054321", true, 54321);
    check_double_text("99999999", true, 99999999);
    check_double_text("999999999", true, 999999999);
    check_double_text("1234567890123456789", true, 1234567890123456789.0);
    const char *invalid[] = {"",  "nan", "-nan", "1e400", "-1e400", "1e-400", " 1", "1 ",
                             "-", ".",   "1_0",  "\n1",   "1..2",   "1.2.3",  "-.", "x"};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) check_double_text(invalid[i], false, 0);
    double value;
    CHECK(!number_parse_double((struct bytes){"1\0", 2}, &value));
    CHECK(!number_parse_double((struct bytes){"1.5\0x", 5}, &value));
}

/* Each length, and each character in each place of it. */
static void long_rows_of_digits_are_read_digit_by_digit(void) {
    for (size_t len = 7; len <= 17; len++)
        for (size_t at = 0; at < len; at++)
            for (int c = ' '; c < 127; c++) {
                if (c == 'e' || c == 'E') continue; /* what such an exponent makes is too large */
                char text[20] = "12345678901234567", *end;
                text[len] = '\0';
                text[at] = (char)c;
                bool space = c == ' ' && at == 0;
                double expected = strtod(text, &end), value = 77;
                bool valid = !space && end == text + len;
                CHECK_INT(number_parse_double((struct bytes){text, len}, &value), valid);
                CHECK(memcmp(&value, valid ? &expected : &(double){77}, sizeof value) == 0);
            }
}

static void check_double(double expected) {
    char text[NUMBER_DOUBLE_MAX_LEN], libc_text[64];
    size_t len = number_format_double(text, expected);
    CHECK(len < NUMBER_DOUBLE_MAX_LEN);
    snprintf(libc_text, sizeof libc_text, "%.17g", expected);
    CHECK_BYTES(((struct bytes){text, len}), bytes_of(libc_text));
    double back;
    CHECK(number_parse_double((struct bytes){text, len}, &back));
    CHECK(memcmp(&back, &expected, sizeof back) == 0);
}

static void doubles_survive_a_round_trip(void) {
    const double edges[] = {0.0,
                            -0.0,
                            1e17,
                            -1e17,
                            1e17 - 16,
                            1e18,
                            0.1,
                            3.0,
                            1e300,
                            5e-324,
                            1.5e-7,
                            1e15,
                            1e16,
                            1e22,
                            1e23,
                            0.3,
                            INFINITY,
                            -INFINITY,
                            9007199254740993.0};
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++) check_double(edges[i]);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = check_random(&seed);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isnan(value)) check_double(value);
        check_double((double)(int64_t)(bits >> (bits & 63)));
        check_double((double)(int64_t)(bits % 2000000) / 1000);
    }
    char text[NUMBER_DOUBLE_MAX_LEN];
    CHECK_BYTES(((struct bytes){text, number_format_double(text, NAN)}), BYTES("nan"));
    CHECK_BYTES(((struct bytes){text, number_format_double(text, -NAN)}), BYTES("nan"));
}

/* What is read without libc is what strtod would have said. */
static void short_decimals_are_rounded_as_strtod_does(void) {
    for (int i = 0; i < 100000; i++) {
        char text[32];
        int digits = 1 + (int)(check_random(&seed) % 16), at = 0;
        int point = (int)(check_random(&seed) % 18);
        if (check_random(&seed) & 1) text[at++] = '-';
        for (int d = 0; d < digits; d++) {
            if (d == point) text[at++] = '.';
            text[at++] = (char)('0' + check_random(&seed) % 10);
        }
        text[at] = '\0';
        check_double_text(text, true, strtod(text, NULL));
    }
}

static void check_long_double(const char *text, const char *expected) {
    long double value;
    char out[NUMBER_LONG_DOUBLE_MAX_LEN];
    CHECK(number_parse_long_double(bytes_of(text), &value));
    CHECK_BYTES(((struct bytes){out, number_format_long_double(out, value)}), bytes_of(expected));
}

static void long_doubles_are_written_without_exponents(void) {
    check_long_double("3.0", "3");
    check_long_double("-0", "0");
    check_long_double("-0.0", "0");
    check_long_double("0.1", "0.1");
    check_long_double("10.5", "10.5");
    check_long_double("100", "100");
    check_long_double("5.0e3", "5000");
    check_long_double("100000000000000000", "100000000000000000");
    check_long_double("99999999999999999", "99999999999999999");
    check_long_double("1e-18", "0");
    check_long_double("-1e-30", "0");
}

static void the_largest_long_double_fits(void) {
    char out[NUMBER_LONG_DOUBLE_MAX_LEN];
    long double value = -__LDBL_MAX__;
    size_t len = number_format_long_double(out, value);
    CHECK(len > 4000 && len < NUMBER_LONG_DOUBLE_MAX_LEN);
    long double back;
    CHECK(number_parse_long_double((struct bytes){out, len}, &back));
    CHECK(back == value);
    CHECK_BYTES(((struct bytes){out, number_format_long_double(out, (long double)INFINITY)}), BYTES("inf"));
    CHECK_BYTES(((struct bytes){out, number_format_long_double(out, -(long double)INFINITY)}), BYTES("-inf"));
    CHECK_BYTES(((struct bytes){out, number_format_long_double(out, (long double)NAN)}), BYTES("nan"));
}

static void long_doubles_refuse_what_redis_refuses(void) {
    const char *invalid[] = {"", " 1", "1 ", "nan", "1e5000", "1e-5000", "abc", "1,5", "-"};
    long double value = 77;
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        CHECK(!number_parse_long_double(bytes_of(invalid[i]), &value));
    static char zeros[8192];
    memset(zeros, '0', sizeof zeros);
    CHECK(!number_parse_long_double((struct bytes){zeros, sizeof zeros}, &value));
    double number;
    CHECK(!number_parse_double((struct bytes){zeros, sizeof zeros}, &number));
    CHECK(value == 77);
}

static void check_memory(const char *text, bool valid, uint64_t expected) {
    uint64_t value = 77;
    CHECK_INT(number_parse_memory(bytes_of(text), &value), valid);
    CHECK(value == (valid ? expected : 77));
}

static void memory_sizes_have_two_kinds_of_units(void) {
    check_memory("100", true, 100);
    check_memory("2b", true, 2);
    check_memory("1k", true, 1000);
    check_memory("1KB", true, 1024);
    check_memory("010k", true, 10000);
    check_memory("3m", true, 3000000);
    check_memory("64mb", true, 64 << 20);
    check_memory("2g", true, 2000000000);
    check_memory("1Gb", true, 1 << 30);
    check_memory("18446744073709551615", true, UINT64_MAX);
    check_memory("18446744073709551616", true, UINT64_MAX);
    check_memory("18446744073709551615k", true, UINT64_MAX);
    check_memory("18014398509481984kb", true, UINT64_MAX); /* 2 to the power of 64 */
    check_memory("18014398509481983kb", true, UINT64_MAX - 1023);
    check_memory("1844674407370955161699999999999999999999gb", true, UINT64_MAX);
    const char *invalid[] = {"", "kb", "-1", "1t", "1 k", " 1", "18446744073709551616t", "1.5gb", "1kk"};
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) check_memory(invalid[i], false, 0);
}

int main(void) {
    seed = check_seed();
    RUN(integers_are_read_strictly);
    RUN(unsigned_integers_reach_2_to_the_64);
    RUN(integers_survive_a_round_trip);
    RUN(doubles_are_read_as_redis_does);
    RUN(long_rows_of_digits_are_read_digit_by_digit);
    RUN(doubles_survive_a_round_trip);
    RUN(short_decimals_are_rounded_as_strtod_does);
    RUN(long_doubles_are_written_without_exponents);
    RUN(the_largest_long_double_fits);
    RUN(long_doubles_refuse_what_redis_refuses);
    RUN(memory_sizes_have_two_kinds_of_units);
    return 0;
}
