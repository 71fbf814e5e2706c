/* load.h - words out of memory at any address, in the machine's byte order, sums of their bytes, and short copies. */
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

/* The sum of eight bytes in a word. */
static inline size_t sum_word(uint64_t word) {
    const uint64_t low = 0x00ff00ff00ff00ff;
    return (size_t)(((word & low) + (word >> 8 & low)) * 0x0001000100010001 >> 48);
}

/* memcpy without the call for what is short: overlapping halves cover every length from 4 to 16, and the first, the middle
 * and the last byte those below. Returns the byte behind. */
static inline char *copy_short(char *to, const char *from, size_t len) {
    if (len - 8 <= 8) {
        uint64_t head = load_u64(from), tail = load_u64(from + len - 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len - 4 < 4) {
        uint32_t head = load_u32(from), tail = load_u32(from + len - 4);
        memcpy(to, &head, 4);
        memcpy(to + len - 4, &tail, 4);
    } else if (len > 16) {
        memcpy(to, from, len);
    } else if (len) {
        char head = from[0], middle = from[len / 2], tail = from[len - 1];
        to[0] = head;
        to[len / 2] = middle;
        to[len - 1] = tail;
    }
    return to + len;
}

#endif
