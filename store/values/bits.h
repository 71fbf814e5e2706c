/* bits.h - long arrays of bits: counting, finding, combining. As fast as memory gives them.
 *
 * Bit 0 is the highest one of the first byte, as in Redis. Arrays lie anywhere; nothing need be aligned. */
#ifndef KEVY_STORE_VALUES_BITS_H
#define KEVY_STORE_VALUES_BITS_H

#include <stdint.h>

#include "protocol/bytes.h"

/* How many bits are set. */
uint64_t bits_count(struct bytes bits);

/* The index of the first byte, from `at` on and below `end`, that is not `byte`; `end` if there is none. */
size_t bits_skip(const char *data, size_t at, size_t end, unsigned char byte);

enum bits_operation { BITS_AND, BITS_OR, BITS_XOR, BITS_NOT };

/* Makes to[0, len) what the operation gives for these arrays, at least one, each of which goes on in
 * zeroes up to `len`, which is not less than its length: for BITS_NOT, the complement of the only one.
 * None of them overlaps `to`. */
void bits_combine(enum bits_operation operation, char *to, size_t len, const struct bytes *arrays,
                  uint32_t count);

#endif
