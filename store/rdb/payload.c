/* payload.c - the envelope of one value. */
#include "store/rdb/payload.h"

#include "store/rdb/crc64.h"
#include "store/rdb/element.h"

enum { VERSION_LEN = 2, NO_TYPE = UINT8_MAX };

static uint64_t low_first(const char *at, unsigned len) {
    uint64_t number = 0;
    for (unsigned i = 0; i < len; i++) number |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return number;
}
static void put_low_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * i);
}

bool payload_open(struct bytes bytes, enum payload_checksum checksum, struct payload *payload) {
    if (bytes.len < PAYLOAD_FOOTER) return false;
    struct bytes body = {bytes.data, bytes.len - PAYLOAD_FOOTER};
    const char *footer = body.data + body.len;
    payload->version = (unsigned)low_first(footer, VERSION_LEN);
    if (payload->version > RDB_VERSION_MAX && payload->version != RDB_VERSION_VALKEY) return false;
    struct bytes summed = {bytes.data, body.len + VERSION_LEN};
    if (checksum == PAYLOAD_CHECKED && crc64(0, summed) != low_first(footer + VERSION_LEN, sizeof(uint64_t)))
        return false;
    payload->type = body.len ? (unsigned char)body.data[0] : NO_TYPE;
    payload->value = body.len ? (struct bytes){body.data + 1, body.len - 1} : body;
    return true;
}

void payload_close(char *at, uint64_t crc, unsigned version) {
    put_low_first(at, version, VERSION_LEN);
    put_low_first(at + VERSION_LEN, crc64(crc, (struct bytes){at, VERSION_LEN}), sizeof(uint64_t));
}
