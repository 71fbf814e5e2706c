/* score.c - scores as the shortest bytes. */
#include "store/values/score.h"

#include <math.h>

#include "protocol/assert.h"

enum { INTEGER_MAX_LEN = 4 };

/* In how many bytes the integer fits. */
static unsigned integer_len(int32_t integer) {
    if (integer >= INT8_MIN && integer <= INT8_MAX) return 1;
    if (integer >= INT16_MIN && integer <= INT16_MAX) return 2;
    return integer >= -(1 << 23) && integer < 1 << 23 ? 3 : INTEGER_MAX_LEN;
}

size_t score_put(char *at, double score) {
    assert(!isnan(score));
    bool fits = score >= INT32_MIN && score <= INT32_MAX && !(score == 0 && signbit(score));
    int32_t integer = fits ? (int32_t)score : 0;
    if (!fits || (double)integer != score) {
        memcpy(at, &score, sizeof score);
        return sizeof score;
    }
    unsigned len = integer_len(integer);
    for (unsigned i = 0; i < len; i++) at[i] = (char)((uint32_t)integer >> 8 * i);
    return len;
}

double score_of(struct bytes bytes) {
    assert(score_valid(bytes));
    if (bytes.len == sizeof(double)) {
        double score;
        memcpy(&score, bytes.data, sizeof score);
        return score;
    }
    uint32_t integer = 0, sign = 1u << (8 * bytes.len - 1);
    for (unsigned i = 0; i < bytes.len; i++) integer |= (uint32_t)(unsigned char)bytes.data[i] << 8 * i;
    return (int32_t)((integer ^ sign) - sign);
}

bool score_valid(struct bytes bytes) {
    double score;
    if (bytes.len != sizeof score) return bytes.len > 0 && bytes.len <= INTEGER_MAX_LEN;
    memcpy(&score, bytes.data, sizeof score);
    return !isnan(score);
}
