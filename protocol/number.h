/* number.h - numbers as Redis reads and writes them, free of locale and of NUL terminators. */
#ifndef KEVY_PROTOCOL_NUMBER_H
#define KEVY_PROTOCOL_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"

enum {
    NUMBER_I64_MAX_LEN = 21,               /* "-9223372036854775808", or the longest u64, and one to spare */
    NUMBER_DOUBLE_MAX_LEN = 40,            /* %.17g of any double */
    NUMBER_LONG_DOUBLE_MAX_LEN = 5 * 1024, /* %.17Lf of the largest long double */
};

/* Strict decimal as Redis stores integers: no spaces, no '+', no leading zeros, no "-0", no overflow.
 * So a string parses exactly when number_format_i64 of the result gives the same string back.
 * False leaves *out untouched. */
bool number_parse_i64(struct bytes text, int64_t *out) __attribute__((warn_unused_result));
bool number_parse_u64(struct bytes text, uint64_t *out) __attribute__((warn_unused_result));

/* A finite double or inf/-inf, as strtod reads it: whole text, no leading spaces, no NaN; range errors fail. */
bool number_parse_double(struct bytes text, double *out) __attribute__((warn_unused_result));
/* The same for INCRBYFLOAT, as Redis string2ld does. */
bool number_parse_long_double(struct bytes text, long double *out) __attribute__((warn_unused_result));

/* "100", "64k", "64kb", "1Gb" ...: k=1000, kb=1024, and so on for m and g, in any case. Bytes; what is larger than they can
 * tell is UINT64_MAX. False on negative figures. */
bool number_parse_memory(struct bytes text, uint64_t *out) __attribute__((warn_unused_result));

/* Write digits without a NUL; dst must hold NUMBER_I64_MAX_LEN bytes. Return the length. */
size_t number_format_i64(char *dst, int64_t value);
size_t number_format_u64(char *dst, uint64_t value);
/* How many bytes number_format_u64 would write. */
size_t number_digits_u64(uint64_t value);

/* %.17g as RESP3 doubles and scores are sent ("inf", "-inf", "nan"; integral doubles as plain integers).
 * dst: NUMBER_DOUBLE_MAX_LEN bytes. Returns the length. */
size_t number_format_double(char *dst, double value);
/* %.17Lf with trailing zeros removed, the form INCRBYFLOAT stores ("-0" becomes "0").
 * dst: NUMBER_LONG_DOUBLE_MAX_LEN bytes. Returns the length. */
size_t number_format_long_double(char *dst, long double value);

#endif
