/* buffer.c - a growable byte buffer with a named maximum. */
#include "protocol/buffer.h"

#include <stdlib.h>

#include "protocol/assert.h"

enum { BUFFER_FIRST_CAPACITY = 64 };

bool buffer_reserve(struct buffer *b, size_t extra, size_t max) {
    assert(b->len <= b->capacity);
    if (b->len > max || extra > max - b->len) return false;
    size_t need = b->len + extra;
    if (need <= b->capacity) return true;

    size_t capacity = b->capacity ? b->capacity : BUFFER_FIRST_CAPACITY;
    while (capacity < need && capacity <= max / 2) capacity *= 2;
    if (capacity < need || capacity > max) capacity = max; /* need <= max: the last step before the limit */
    char *data = realloc(b->data, capacity);
    if (!data) return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

bool buffer_append(struct buffer *b, struct bytes bytes, size_t max) {
    if (!buffer_reserve(b, bytes.len, max)) return false;
    if (bytes.len) memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
    return true;
}

void buffer_consume(struct buffer *b, size_t n) {
    assert(n <= b->len);
    b->len -= n;
    if (n && b->len) memmove(b->data, b->data + n, b->len);
}

void buffer_free(struct buffer *b) {
    free(b->data);
    *b = (struct buffer){0};
}
