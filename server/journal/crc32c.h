/* crc32c.h - the checksum of a batch in an append-only file: CRC-32C (Castagnoli's polynomial, 1edc6f41, reflected; begins
 * with all ones and is inverted at the end), as in iSCSI, RFC 3720. "123456789" has e3069283. */
#ifndef KEVY_SERVER_JOURNAL_CRC32C_H
#define KEVY_SERVER_JOURNAL_CRC32C_H

#include <stdint.h>

#include "protocol/bytes.h"

/* The checksum of what had this one (0: of nothing), and these bytes behind it. */
uint32_t crc32c(uint32_t crc, struct bytes bytes);
/* The same by tables, whatever the processor has: for tests. */
uint32_t crc32c_by_table(uint32_t crc, struct bytes bytes);

#endif
