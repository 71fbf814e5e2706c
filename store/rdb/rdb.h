/* rdb.h - how Redis's RDB files write lengths and integers, which all that they hold is made of.
 *
 *     00xxxxxx                      a length below 64
 *     01xxxxxx xxxxxxxx             below 16,384
 *     10000000, 4 bytes             below 2^32, highest byte first
 *     10000001, 8 bytes             any, highest byte first
 *     11000000, 1, 2 or 4 bytes     (11000001, 11000010) instead of a string: the integer that it is the text of, lowest
 *                                   byte first
 *     11000011                      instead of a string: a compressed one
 * */
#ifndef KEVY_STORE_RDB_RDB_H
#define KEVY_STORE_RDB_RDB_H

#include <stdint.h>

#include "protocol/bytes.h"

enum { RDB_LEN_MAX = 9, RDB_INT_MAX = 5 };

/* Writes a length; returns how many bytes, RDB_LEN_MAX at most. */
size_t rdb_put_len(char *at, uint64_t len);
/* Writes an integer, RDB_INT_MAX bytes at most; 0, and nothing written, for those of more than 32 bits,
 * which are written as text. */
size_t rdb_put_int(char *at, int64_t number);

enum rdb_taken { RDB_SHORT, RDB_LEN, RDB_INT, RDB_COMPRESSED, RDB_CORRUPT };

/* Reads what stands at the beginning of `input` and takes it off: RDB_LEN with *len, RDB_INT with *number, or what
 * else it is. RDB_SHORT: it is not all there, and nothing was taken. */
enum rdb_taken rdb_take(struct bytes *input, uint64_t *len, int64_t *number);

#endif
