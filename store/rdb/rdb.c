/* rdb.c - lengths and integers of RDB files. */
#include "store/rdb/rdb.h"

#include "protocol/assert.h"

enum { LEN_32 = 0x80, LEN_64 = 0x81, INT_8 = 0xc0, INT_16 = 0xc1, INT_32 = 0xc2, COMPRESSED = 0xc3 };

static void put_high_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * (len - 1 - i));
}
static void put_low_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * i);
}
static uint64_t high_first(const char *at, unsigned len) {
    uint64_t number = 0;
    for (unsigned i = 0; i < len; i++) number = number << 8 | (unsigned char)at[i];
    return number;
}
/* Signed. */
static int64_t low_first(const char *at, unsigned len) {
    uint64_t number = 0, sign = 1ull << (8 * len - 1);
    for (unsigned i = 0; i < len; i++) number |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return (int64_t)((number ^ sign) - sign);
}

size_t rdb_put_len(char *at, uint64_t len) {
    if (len < 1 << 6) {
        at[0] = (char)len;
        return 1;
    }
    if (len < 1 << 14) {
        put_high_first(at, len | 1 << 14, 2);
        return 2;
    }
    bool wide = len > UINT32_MAX;
    at[0] = (char)(wide ? LEN_64 : LEN_32);
    put_high_first(at + 1, len, wide ? 8 : 4);
    return wide ? RDB_LEN_MAX : 5;
}

size_t rdb_put_int(char *at, int64_t number) {
    unsigned len = number >= INT8_MIN && number <= INT8_MAX     ? 1
                   : number >= INT16_MIN && number <= INT16_MAX ? 2
                   : number >= INT32_MIN && number <= INT32_MAX ? 4
                                                                : 0;
    if (len == 0) return 0;
    at[0] = (char)(len == 1 ? INT_8 : len == 2 ? INT_16 : INT_32);
    put_low_first(at + 1, (uint64_t)number, len);
    assert(low_first(at + 1, len) == number);
    return 1 + len;
}

/* How many bytes begin with this one; 0 where none may. */
static unsigned len_from(unsigned char first) {
    if (first < 0x40) return 1;
    if (first < 0x80) return 2;
    switch (first) {
    case LEN_32: return 5;
    case LEN_64: return RDB_LEN_MAX;
    case INT_8: return 2;
    case INT_16: return 3;
    case INT_32: return RDB_INT_MAX;
    case COMPRESSED: return 1;
    default: return 0;
    }
}

enum rdb_taken rdb_take(struct bytes *input, uint64_t *len, int64_t *number) {
    if (input->len == 0) return RDB_SHORT;
    const char *at = input->data;
    unsigned char first = (unsigned char)at[0];
    unsigned whole = len_from(first);
    if (whole == 0) return RDB_CORRUPT;
    if (whole > input->len) return RDB_SHORT;
    *input = (struct bytes){at + whole, input->len - whole};
    if (first == COMPRESSED) return RDB_COMPRESSED;
    if (first >= INT_8) {
        *number = low_first(at + 1, whole - 1);
        return RDB_INT;
    }
    *len = first < 0x40 ? first : first < 0x80 ? high_first(at, 2) & 0x3fff : high_first(at + 1, whole - 1);
    return RDB_LEN;
}
