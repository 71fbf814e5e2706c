/* bytes.h - a borrowed byte string, passed by value.
 *
 * Keys, values and arguments may hold any byte, NUL included, so a length travels with every pointer.
 * A `struct bytes` owns nothing: whoever made it says how long the memory behind it lives. */
#ifndef KEVY_PROTOCOL_BYTES_H
#define KEVY_PROTOCOL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct bytes {
    const char *data; /* never NULL where len > 0 */
    size_t len;       /* in bytes */
};

/* A string literal as bytes, without its NUL: BYTES("OK"). As an initialiser of static data: BYTES_INIT("OK"). */
#define BYTES(literal) ((struct bytes){"" literal, sizeof(literal) - 1})
#define BYTES_INIT(literal)                                                                                  \
    { "" literal, sizeof(literal) - 1 }

static inline struct bytes bytes_of(const char *text) {
    return (struct bytes){text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII letters in the other case: unlike tolower() and toupper(), these know no locale. */
static inline char byte_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}
static inline char byte_upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

/* As isspace() in the C locale. */
static inline bool byte_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool bytes_equal_nocase(struct bytes a, struct bytes b) {
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (byte_lower(a.data[i]) != byte_lower(b.data[i])) return false;
    return true;
}

/* Order as Redis sorts strings: by bytes, a prefix before what it begins. Returns <0, 0 or >0. */
static inline int bytes_compare(struct bytes a, struct bytes b) {
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.data, b.data, n) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Is the argument this keyword, in any case? bytes_is(arg, "NX") */
#define bytes_is(b, literal) bytes_equal_nocase((b), BYTES(literal))

#endif
