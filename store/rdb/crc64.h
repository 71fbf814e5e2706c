/* crc64.h - the checksum at the end of RDB files and of DUMP's payloads: the CRC of 64 bits with Jones's polynomial
 * (ad93d23594c935a9), reflected, which begins with 0 and is not inverted. */
#ifndef KEVY_STORE_RDB_CRC64_H
#define KEVY_STORE_RDB_CRC64_H

#include <stdint.h>

#include "protocol/bytes.h"

/* The checksum of what had this one (0: of nothing), and these bytes behind it. */
uint64_t crc64(uint64_t crc, struct bytes bytes);

#endif
