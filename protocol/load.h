/* load.h - words out of memory at any address, in the machine's byte order. */
#ifndef KEVY_PROTOCOL_LOAD_H
#define KEVY_PROTOCOL_LOAD_H

#include <stdint.h>
#include <string.h>

static inline uint64_t load_u64(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}
static inline uint32_t load_u32(const char *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

#endif
