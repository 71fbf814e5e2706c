/* payload.h - what DUMP gives and RESTORE takes: a value as an RDB file has it, in an envelope.
 *
 *     | type u8 | value ... | version u16 | crc64 of all before u64 |          both numbers lowest byte first */
#ifndef KEVY_STORE_RDB_PAYLOAD_H
#define KEVY_STORE_RDB_PAYLOAD_H

#include <stdint.h>

#include "protocol/bytes.h"

enum { PAYLOAD_FOOTER = 10 };

struct payload {
    unsigned type; /* of a payload that has not even a type: one that no value has */
    unsigned version;
    struct bytes value;
};

enum payload_checksum { PAYLOAD_CHECKED, PAYLOAD_UNCHECKED /* whatever its checksum says */ };

/* Opens what somebody sent. False if it is no payload, of a version that is not read, or not what it was:
 * Redis says to this "DUMP payload version or checksum are wrong", and to whatever is wrong with the value
 * then "Bad data format". */
bool payload_open(struct bytes bytes, enum payload_checksum checksum, struct payload *payload);

/* Writes the footer, PAYLOAD_FOOTER bytes, of a payload whose type and value have this checksum. */
void payload_close(char *at, uint64_t crc, unsigned version);

#endif
