/* score.c - scores as the shortest bytes. */
#include "store/values/score.h"

#include <math.h>

#include "protocol/assert.h"

size_t score_put(char *at, double score) {
    assert(!isnan(score));
    bool fits = score >= INT32_MIN && score <= INT32_MAX && !(score == 0 && signbit(score));
    int32_t integer = fits ? (int32_t)score : 0;
    if (!fits || (double)integer != score) {
        memcpy(at, &score, sizeof score);
        return sizeof score;
    }
    return score_put_integer(at, integer);
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
    if (bytes.len != sizeof score) return bytes.len > 0 && bytes.len <= SCORE_INTEGER_MAX;
    memcpy(&score, bytes.data, sizeof score);
    return !isnan(score);
}
