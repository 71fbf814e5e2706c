/* buffer.h - a growable byte buffer with a named maximum.
 *
 * Zero-initialised is empty and owns nothing. Growth doubles up to a limit that the caller gives; beyond it, or
 * without memory, an append fails and leaves the buffer as it was. */
#ifndef KEVY_PROTOCOL_BUFFER_H
#define KEVY_PROTOCOL_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "protocol/bytes.h"

struct buffer {
    char *data;      /* malloc'd, NULL while empty and unused */
    size_t len;      /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Room for `extra` more bytes without passing `max` in all. False (and unchanged) if over max or out of memory. */
bool buffer_reserve(struct buffer *b, size_t extra, size_t max) __attribute__((warn_unused_result));
bool buffer_append(struct buffer *b, struct bytes bytes, size_t max) __attribute__((warn_unused_result));
/* Drops the first n bytes (n <= len), moving the rest down. */
void buffer_consume(struct buffer *b, size_t n);
/* Frees the memory; the buffer is empty and usable again. */
void buffer_free(struct buffer *b);

static inline struct bytes buffer_bytes(const struct buffer *b) {
    return (struct bytes){b->data, b->len};
}

#endif
