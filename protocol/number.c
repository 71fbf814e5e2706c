/* number.c - integers by hand, two digits at a time; floating point by libc.
 *
 * snprintf, strtod and strtold follow the locale of the process. The server never calls setlocale, so that is
 * the "C" locale and the decimal point is a point; a program that links this file and does call it must leave
 * LC_NUMERIC alone. The short, common floats never get as far as libc: an integral value is formatted as an
 * integer, and a text of up to 15 digits is an integer divided by a power of ten. Both are exact in a double,
 * so the results are libc's. */
#include "protocol/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/load.h"

/* Integers */

/* Eight characters less '0' each: digits are at most 9. */
static inline uint64_t load_digits(const char *at) {
    return load_u64(at) ^ 0x3030303030303030;
}

/* What eight digits say, added up in pairs, then fours (Lemire, "Quickly parsing eight digits", 2018). False if one of
 * them is no digit. */
static inline bool add_up_digits(uint64_t word, uint64_t *value) {
    uint64_t pairs = 0x000000ff000000ff;
    if (((word + 0x7676767676767676) | word) & 0x8080808080808080) return false;
    word = word * 10 + (word >> 8);
    *value = ((word & pairs) * 0x000f424000000064 + (word >> 16 & pairs) * 0x0000271000000001) >> 32;
    return true;
}
static inline bool parse_eight_digits(const char *at, uint64_t *value) {
    return add_up_digits(load_digits(at), value);
}

/* clang-format off */
static const uint64_t powers_of_ten[20] = {
    1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u,
    10000000000u, 100000000000u, 1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u,
    10000000000000000u, 100000000000000000u, 1000000000000000000u, 10000000000000000000u,
};
/* clang-format on */

/* What 9 to 16 digits say: the first eight, and the last eight, of which those that were among the first are zeroes. */
static inline bool parse_many_digits(const char *at, size_t len, uint64_t *value) {
    uint64_t first, last, new_ones = UINT64_MAX << (128 - 8 * len);
    if (!parse_eight_digits(at, &first)) return false;
    if (!add_up_digits(load_digits(at + len - 8) & new_ones, &last)) return false;
    *value = first * powers_of_ten[len - 8] + last;
    return true;
}

/* Any 19 digits fit 64 bits without a sign, so that only a twentieth needs an overflow check. */
enum { SAFE_DIGITS = 19 };

static bool parse_digits(const char *text, size_t len, uint64_t *out) {
    if (len == 0 || len > SAFE_DIGITS + 1) return false;
    if (text[0] == '0' && len > 1) return false;
    uint64_t value = 0, eight;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        if (!parse_eight_digits(text + i, &eight)) return false;
        value = value * 100000000 + eight;
    }
    for (; i < len; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9) return false;
        if (i < SAFE_DIGITS)
            value = value * 10 + digit;
        else if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
                 __builtin_add_overflow(value, (uint64_t)digit, &value))
            return false;
    }
    *out = value;
    return true;
}

bool number_parse_u64(struct bytes text, uint64_t *out) {
    return parse_digits(text.data, text.len, out);
}

bool number_parse_i64(struct bytes text, int64_t *out) {
    if (text.len == 0) return false;
    bool negative = text.data[0] == '-';
    uint64_t magnitude;
    if (!parse_digits(text.data + negative, text.len - negative, &magnitude)) return false;
    if (negative) {
        if (magnitude == 0 || magnitude > (uint64_t)INT64_MAX + 1) return false;
        *out = -1 - (int64_t)(magnitude - 1); /* reaches INT64_MIN without overflow */
    } else {
        if (magnitude > INT64_MAX) return false;
        *out = (int64_t)magnitude;
    }
    return true;
}

size_t number_digits_u64(uint64_t value) {
    /* 1233 / 4096 is just above log10(2): the estimate is right or one short of a power of ten. */
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned estimate = bits * 1233 >> 12;
    return estimate + (value >= powers_of_ten[estimate]) + (value == 0);
}

static const char digit_pairs[200] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

size_t number_format_u64(char *dst, uint64_t value) {
    size_t len = number_digits_u64(value);
    char *at = dst + len;
    while (value >= 100) {
        at -= 2;
        memcpy(at, &digit_pairs[value % 100 * 2], 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(at - 2, &digit_pairs[value * 2], 2);
    else
        at[-1] = (char)('0' + value);
    return len;
}

size_t number_format_i64(char *dst, int64_t value) {
    if (value >= 0) return number_format_u64(dst, (uint64_t)value);
    *dst = '-';
    return 1 + number_format_u64(dst + 1, 0 - (uint64_t)value);
}

/* Floating point */

/* "12", "-3.5", "0.001" with at most 15 digits: a whole number below 2^53 divided by an exact power of ten is
 * rounded once, which is what strtod gives (Clinger, "How to read floating point numbers accurately", 1990). */
static bool parse_short_decimal(struct bytes text, double *out) {
    static const double scale[16] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (text.len == 0 || text.len > 17) return false;
    bool negative = text.data[0] == '-';
    size_t i = negative, digits = 0, point = SIZE_MAX;
    uint64_t value = 0;
    if (text.len >= 9 && text.len <= 15 && parse_many_digits(text.data, text.len, &value)) {
        *out = (double)value;
        return true;
    }
    if (text.len >= i + 8 && parse_eight_digits(text.data + i, &value)) i += 8; /* digits alone, as a rule */
    for (unsigned digit; i < text.len && (digit = (unsigned)(unsigned char)text.data[i] - '0') <= 9; i++)
        value = value * 10 + digit;
    digits = i - negative;
    for (; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit <= 9)
            value = value * 10 + digit, digits++;
        else if (text.data[i] == '.' && point == SIZE_MAX)
            point = digits;
        else
            return false;
    }
    if (digits == 0 || digits > 15) return false;
    double magnitude = (double)value / scale[point == SIZE_MAX ? 0 : digits - point];
    *out = negative ? -magnitude : magnitude;
    return true;
}

/* libc wants a NUL behind the text; a longer text than this is no number that anybody writes. */
enum { FLOAT_TEXT_MAX = 5 * 1024 };

static bool terminate(char *dst, struct bytes text) {
    if (text.len == 0 || text.len >= FLOAT_TEXT_MAX || byte_is_space(text.data[0])) return false;
    memcpy(dst, text.data, text.len);
    dst[text.len] = '\0';
    return true;
}

bool number_parse_double(struct bytes text, double *out) {
    if (parse_short_decimal(text, out)) return true;
    char buffer[FLOAT_TEXT_MAX], *end;
    if (!terminate(buffer, text)) return false;
    errno = 0;
    double value = strtod(buffer, &end);
    if (end != buffer + text.len || isnan(value)) return false;
    if (errno == ERANGE && (isinf(value) || value == 0))
        return false; /* a subnormal is a result like any other */
    *out = value;
    return true;
}

bool number_parse_long_double(struct bytes text, long double *out) {
    char buffer[FLOAT_TEXT_MAX], *end;
    if (!terminate(buffer, text)) return false;
    errno = 0;
    long double value = strtold(buffer, &end);
    if (end != buffer + text.len || isnan(value)) return false;
    if (errno == ERANGE && (isinf(value) || value == 0)) return false;
    *out = value;
    return true;
}

size_t number_format_double(char *dst, double value) {
    static const double integral_limit = 1e17; /* %.17g turns to an exponent here */
    if (isnan(value)) return (size_t)snprintf(dst, NUMBER_DOUBLE_MAX_LEN, "nan");
    if (value > -integral_limit && value < integral_limit && value == (double)(int64_t)value &&
        !(value == 0 && signbit(value)))
        return number_format_i64(dst, (int64_t)value);
    return (size_t)snprintf(dst, NUMBER_DOUBLE_MAX_LEN, "%.17g", value);
}

size_t number_format_long_double(char *dst, long double value) {
    if (isnan(value)) return (size_t)snprintf(dst, NUMBER_LONG_DOUBLE_MAX_LEN, "nan");
    size_t len = (size_t)snprintf(dst, NUMBER_LONG_DOUBLE_MAX_LEN, "%.17Lf", value);
    if (isinf(value)) return len;
    while (dst[len - 1] == '0') len--; /* stops at the point at the latest */
    if (dst[len - 1] == '.') len--;
    if (len == 2 && dst[0] == '-' && dst[1] == '0') {
        dst[0] = '0';
        return 1;
    }
    return len;
}

/* Memory sizes */

static uint64_t memory_unit(struct bytes unit) {
    if (unit.len == 0 || bytes_is(unit, "b")) return 1;
    if (bytes_is(unit, "k")) return 1000;
    if (bytes_is(unit, "kb")) return 1024;
    if (bytes_is(unit, "m")) return 1000 * 1000;
    if (bytes_is(unit, "mb")) return 1024 * 1024;
    if (bytes_is(unit, "g")) return 1000 * 1000 * 1000;
    if (bytes_is(unit, "gb")) return 1024 * 1024 * 1024;
    return 0;
}

bool number_parse_memory(struct bytes text, uint64_t *out) {
    uint64_t value = 0;
    size_t i = 0;
    bool over = false;
    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        over = __builtin_mul_overflow(value, (uint64_t)10, &value) ||
               __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value) || over;
    if (i == 0) return false;
    uint64_t unit = memory_unit((struct bytes){text.data + i, text.len - i});
    if (unit == 0) return false;
    over = __builtin_mul_overflow(value, unit, &value) || over;
    *out = over ? UINT64_MAX : value;
    return true;
}
