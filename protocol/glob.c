/* glob.c - glob patterns, matched without recursion.
 *
 * A star takes as little as it can, and one byte more each time the rest fails. Once a later star is reached
 * the earlier ones need no second try: whatever they could give up, the later one can swallow. So one place
 * to go back to is enough, where plain backtracking is exponential in the number of stars. */
#include "protocol/glob.h"

/* Signed on every machine: it decides how bytes above 127 order in a range. */
typedef signed char byte;

static byte fold(char c, bool nocase) {
    return (byte)(nocase ? byte_lower(c) : c);
}

static bool in_range(char from, char to, char c, bool nocase) {
    byte low = (byte)from, high = (byte)to;
    if (low > high) low = (byte)to, high = (byte)from; /* ordered before the case is folded, as Redis does */
    byte folded = fold(c, nocase);
    return folded >= fold((char)low, nocase) && folded <= fold((char)high, nocase);
}

/* Does the class at *at, behind its '[', hold c? Leaves *at behind the class, at the end if it is not closed.
 */
static bool match_class(const char **at, const char *end, char c, bool nocase) {
    const char *p = *at;
    bool negated = p < end && *p == '^', found = false;
    for (p += negated; p < end && *p != ']'; p++) {
        if (*p == '\\' && end - p >= 2) {
            p++;
            found |= *p == c;
        } else if (end - p >= 3 && p[1] == '-') {
            found |= in_range(p[0], p[2], c, nocase);
            p += 2;
        } else {
            found |= fold(*p, nocase) == fold(c, nocase);
        }
    }
    *at = p < end ? p + 1 : end;
    return found != negated;
}

/* Matches c with the one-byte pattern at *at, which is no star. True: *at is behind it. */
static bool match_byte(const char **at, const char *end, char c, bool nocase) {
    const char *p = *at;
    switch (*p) {
    case '?': *at = p + 1; return true;
    case '[': *at = p + 1; return match_class(at, end, c, nocase);
    case '\\':
        if (end - p >= 2) p++;
        break;
    }
    *at = p + 1;
    return fold(*p, nocase) == fold(c, nocase);
}

static const char *skip_stars(const char *at, const char *end) {
    while (at < end && *at == '*') at++;
    return at;
}

bool glob_match(struct bytes pattern, struct bytes text, bool nocase) {
    if (text.len == 0 || pattern.len == 0) return text.len == pattern.len;
    const char *p = pattern.data, *pattern_end = p + pattern.len;
    const char *t = text.data, *text_end = t + text.len;
    const char *behind_star = NULL, *retry = NULL; /* of the last star: its rest, and where that was tried */
    while (t < text_end) {
        if (p < pattern_end && *p == '*') {
            p = behind_star = skip_stars(p, pattern_end);
            retry = t;
            if (p == pattern_end) return true;
        } else if (p < pattern_end && match_byte(&p, pattern_end, *t, nocase)) {
            t++;
        } else {
            if (!behind_star) return false;
            p = behind_star;
            t = ++retry;
        }
    }
    return skip_stars(p, pattern_end) == pattern_end;
}

bool glob_is_literal(struct bytes pattern) {
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.data[i];
        if (c == '*' || c == '?' || c == '[' || c == '\\') return false;
    }
    return true;
}
