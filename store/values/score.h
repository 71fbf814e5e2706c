/* score.h - the scores of sorted sets as elements: the shortest integer that is the score, in one to four bytes,
 * two's complement, lowest first; else the eight bytes of the double. Equal scores have equal bytes, but for -0,
 * which is none of the integers: it has to be told from 0. */
#ifndef KEVY_STORE_VALUES_SCORE_H
#define KEVY_STORE_VALUES_SCORE_H

#include <stdint.h>

#include "protocol/bytes.h"

enum { SCORE_MAX_LEN = 8 };

/* Writes a score, which is a number; returns how many bytes. */
size_t score_put(char *at, double score);
/* Reads one that was written. */
double score_of(struct bytes bytes);
/* May these bytes, whoever wrote them, be a score? */
bool score_valid(struct bytes bytes);

#endif
