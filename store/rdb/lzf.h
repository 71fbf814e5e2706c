/* lzf.h - the compression of strings in RDB files: LZF, as LibLZF's documentation describes its format.
 *
 *     000nnnnn, n + 1 bytes                 these bytes
 *     nnnooooo, oooooooo                    n + 2 bytes (n from 1 to 6) that stood o + 1 bytes before
 *     111ooooo, nnnnnnnn, oooooooo          n + 9 bytes that did
 *
 * A copy may run into what it writes: it repeats then. */
#ifndef KEVY_STORE_RDB_LZF_H
#define KEVY_STORE_RDB_LZF_H

#include <stdint.h>

#include "protocol/bytes.h"

enum {
    LZF_GAIN_MAX = 88, /* bytes that one byte of input may become: 264 of 3 */
    LZF_TABLE_BITS = 13,
};

/* Where the compressor saw which beginnings last. 32 KiB; of any contents. */
struct lzf_table {
    uint32_t at[1 << LZF_TABLE_BITS];
};

/* Compresses into `room` bytes; how many it took, or 0 where they do not do. Input of more than 4 GiB
 * is refused so. */
size_t lzf_compress(struct lzf_table *table, struct bytes input, char *to, size_t room);

/* Decompresses what somebody else wrote. False if it is not exactly `len` bytes then. */
bool lzf_decompress(struct bytes input, char *to, size_t len);

#endif
