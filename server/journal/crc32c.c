/* crc32c.c - by the processor's own instruction where it has one, else by a small table. */
#include "server/journal/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* reflected */

/* Four bits are shifted out. */
static uint32_t of_nibble(uint32_t crc) {
    for (int i = 0; i < 4; i++) crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
    return crc;
}

/* Two steps of four bits each: sixteen entries are made in a moment, so nothing is kept. */
uint32_t crc32c_by_table(uint32_t crc, struct bytes bytes) {
    uint32_t table[16];
    for (uint32_t i = 0; i < 16; i++) table[i] = of_nibble(i);
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
static __attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t crc, struct bytes bytes) {
    uint64_t sum = ~crc, word;
    const char *at = bytes.data;
    size_t left = bytes.len;
    for (; left >= sizeof word; at += sizeof word, left -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    uint32_t rest = (uint32_t)sum;
    for (; left; at++, left--) rest = __builtin_ia32_crc32qi(rest, (unsigned char)*at);
    return ~rest;
}

uint32_t crc32c(uint32_t crc, struct bytes bytes) {
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, bytes) : crc32c_by_table(crc, bytes);
}
#else
uint32_t crc32c(uint32_t crc, struct bytes bytes) {
    return crc32c_by_table(crc, bytes);
}
#endif
