/* glob_model.h - what a glob pattern means, as plainly as it can be said: recursion, and no thought for time.
 * It is written from Redis's manual and its odd ends, and not from glob.c. */
#ifndef KEVY_TESTS_GLOB_MODEL_H
#define KEVY_TESTS_GLOB_MODEL_H

#include <ctype.h>

#include "protocol/bytes.h"

static inline int model_fold(char c, bool nocase) {
    return nocase && (signed char)c >= 0 ? tolower(c) : (signed char)c;
}

/* Is c among the members of the class that begins at *p, behind '[' and '^'? Leaves *p at the ']' or at the end. */
static inline bool model_class(const char **p, const char *end, char c, bool nocase) {
    bool found = false;
    while (*p < end && **p != ']') {
        const char *at = *p;
        if (*at == '\\' && end - at > 1) {
            if (at[1] == c) found = true;
            *p += 2;
        } else if (end - at > 2 && at[1] == '-') {
            char low = (signed char)at[0] < (signed char)at[2] ? at[0] : at[2];
            char high = low == at[0] ? at[2] : at[0];
            int folded = model_fold(c, nocase);
            if (model_fold(low, nocase) <= folded && folded <= model_fold(high, nocase)) found = true;
            *p += 3;
        } else {
            if (model_fold(*at, nocase) == model_fold(c, nocase)) found = true;
            *p += 1;
        }
    }
    return found;
}

static inline bool model_rest(const char *p, const char *end, const char *t, const char *text_end,
                              bool nocase) {
    if (p == end) return t == text_end;
    if (*p == '*')
        return model_rest(p + 1, end, t, text_end, nocase) ||
               (t < text_end && model_rest(p, end, t + 1, text_end, nocase));
    if (t == text_end) return false;
    if (*p == '?') return model_rest(p + 1, end, t + 1, text_end, nocase);
    if (*p == '[') {
        bool negated = p + 1 < end && p[1] == '^';
        const char *at = p + 1 + negated;
        bool found = model_class(&at, end, *t, nocase);
        return found != negated && model_rest(at < end ? at + 1 : end, end, t + 1, text_end, nocase);
    }
    if (*p == '\\' && end - p > 1) p++;
    return model_fold(*p, nocase) == model_fold(*t, nocase) &&
           model_rest(p + 1, end, t + 1, text_end, nocase);
}

static inline bool model_matches(struct bytes pattern, struct bytes text, bool nocase) {
    if (text.len == 0) return pattern.len == 0;
    return model_rest(pattern.data, pattern.data + pattern.len, text.data, text.data + text.len, nocase);
}

#endif
