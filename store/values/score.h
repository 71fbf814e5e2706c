/* score.h - the scores of sorted sets as elements: the shortest integer that is the score, in one to four bytes,
 * two's complement, lowest first; else the eight bytes of the double. Equal scores have equal bytes, but for -0,
 * which is none of the integers: it has to be told from 0. */
#ifndef KEVY_STORE_VALUES_SCORE_H
#define KEVY_STORE_VALUES_SCORE_H

#include <stdint.h>

#include "protocol/bytes.h"

enum { SCORE_MAX_LEN = 8, SCORE_INTEGER_MAX = 4 };

/* Writes a score, which is a number; returns how many bytes. */
size_t score_put(char *at, double score);
/* The same of an integer; SCORE_INTEGER_MAX bytes may be written. */
static inline size_t score_put_integer(char *at, int32_t integer) {
    unsigned len = integer >= INT8_MIN && integer <= INT8_MAX     ? 1
                   : integer >= INT16_MIN && integer <= INT16_MAX ? 2
                   : integer >= -(1 << 23) && integer < (1 << 23) ? 3
                                                                  : SCORE_INTEGER_MAX;
    at[0] = (char)integer; /* a compiler makes one word of the four */
    at[1] = (char)((uint32_t)integer >> 8);
    at[2] = (char)((uint32_t)integer >> 16);
    at[3] = (char)((uint32_t)integer >> 24);
    return len;
}
/* Reads one that was written. */
double score_of(struct bytes bytes);
/* May these bytes, whoever wrote them, be a score? */
bool score_valid(struct bytes bytes);

#endif
