/* text.h - a text that is put together piece by piece, and never longer than it may be.
 *
 *     char memory[64];
 *     struct text text = text_fixed(memory, sizeof memory);
 *     text_format(&text, "%u of %u: ", n, total);
 *     text_add(&text, name);                         memory is "3 of 4: shard"
 *
 * What does not fit is cut off: `cut` says so from then on, and nothing is added any more. So a text is
 * written without looking at each step, and whoever needs all of it asks once, at the end. It is always
 * followed by a NUL that does not count. */
#ifndef KEVY_PROTOCOL_TEXT_H
#define KEVY_PROTOCOL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/bytes.h"

struct text {
    char *data;      /* NULL while there is neither memory nor text */
    size_t len;      /* bytes, without the NUL */
    size_t capacity; /* bytes of memory, with the NUL's */
    size_t max;      /* bytes that it may have, without the NUL */
    bool owned;      /* data comes from malloc: text_free gives it back */
    bool cut;        /* something did not fit, or there was no memory for it */
};

/* In `size` bytes of the caller's, the NUL included; never allocates, and needs no text_free. size 0: nothing is written. */
struct text text_fixed(char *memory, size_t size);
/* In `size` bytes of the caller's (NULL and 0: none), and when these are full, in memory of its own: `max`
 * bytes at most. Needs text_free. */
struct text text_growing(char *memory, size_t size, size_t max);
/* Frees what the text allocated; it is empty then, and can take nothing. */
void text_free(struct text *text);

/* Good until the next piece is added. */
static inline struct bytes text_bytes(const struct text *text) {
    return (struct bytes){text->data, text->len};
}

void text_add(struct text *text, struct bytes bytes);
static inline void text_string(struct text *text, const char *string) {
    text_add(text, bytes_of(string));
}
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* ASCII letters in upper case. */
void text_upper(struct text *text, struct bytes bytes);
/* As redis-cli shows and reads what stands between its double quotes: \n \r \t \a \b \\ \" and \xff for what is no printable
 * ASCII. The quotes themselves are the caller's. Stops at the first byte before which the text has `end` bytes, and
 * returns how many were taken; a byte is never taken in part. */
size_t text_escaped(struct text *text, struct bytes bytes, size_t end);

#endif
