/* text.c - one bounds check for all kinds of pieces.
 *
 * Invariants:
 *   1. data is NULL and capacity 0, or len < capacity and data[len] is NUL.
 *   2. len <= max, and capacity <= max + 1: memory that the caller gave beyond that is not used.
 *   3. A fixed text has all the memory that its max allows, so it never asks for more. */
#include "protocol/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/assert.h"

enum { TEXT_FIRST_CAPACITY = 128, ESCAPE_MAX = 4 /* \xff */ };

struct text text_growing(char *memory, size_t size, size_t max) {
    assert(max < SIZE_MAX);
    struct text text = {.data = size ? memory : NULL, .capacity = size <= max ? size : max + 1, .max = max};
    if (size) memory[0] = '\0';
    return text;
}

struct text text_fixed(char *memory, size_t size) {
    struct text text = text_growing(memory, size, size ? size - 1 : 0);
    text.cut = size == 0;
    return text;
}

void text_free(struct text *text) {
    if (text->owned) free(text->data);
    *text = (struct text){.cut = true};
}

/* Memory for `len` bytes and the NUL. False, and nothing has changed, if there is none. */
static bool text_grow(struct text *text, size_t len) {
    size_t need = len + 1, most = text->max + 1;
    size_t capacity = text->capacity ? text->capacity : TEXT_FIRST_CAPACITY;
    while (capacity < need && capacity <= most / 2) capacity *= 2;
    if (capacity < need || capacity > most) capacity = most; /* need <= most: the last step */
    char *data = realloc(text->owned ? text->data : NULL, capacity);
    if (!data) return false;
    if (!text->owned) memcpy(data, text->data ? text->data : "", text->len + 1);
    text->data = data;
    text->capacity = capacity;
    text->owned = true;
    return true;
}

/* How many of `want` more bytes there is room for: fewer if the text is cut there. */
static size_t text_room(struct text *text, size_t want) {
    assert(text->len <= text->max && (text->capacity == 0 || text->len < text->capacity));
    if (text->cut) return 0;
    size_t room = text->max - text->len;
    if (want < room) room = want;
    if (room + 1 > text->capacity - text->len && !text_grow(text, text->len + room))
        room = text->capacity ? text->capacity - text->len - 1 : 0;
    text->cut = room < want;
    return room;
}

/* `added` bytes have been written behind the text. */
static void text_end(struct text *text, size_t added) {
    if (!text->capacity) return;
    text->len += added;
    assert(text->len < text->capacity && text->capacity <= text->max + 1);
    text->data[text->len] = '\0';
}

void text_add(struct text *text, struct bytes bytes) {
    size_t room = text_room(text, bytes.len);
    if (room) memcpy(text->data + text->len, bytes.data, room);
    text_end(text, room);
}

void text_format(struct text *text, const char *format, ...) {
    va_list values, again;
    if (text->cut) return;
    va_start(values, format);
    va_copy(again, values);
    size_t room = text->capacity - text->len;
    int len = vsnprintf(room ? text->data + text->len : NULL, room, format, values);
    assert(len >= 0); /* only a conversion to wide characters can fail */
    if ((size_t)len >= room) {
        room = text_room(text, (size_t)len);
        if (text->capacity) vsnprintf(text->data + text->len, room + 1, format, again);
        len = (int)room;
    }
    va_end(again);
    va_end(values);
    text_end(text, (size_t)len);
}

void text_upper(struct text *text, struct bytes bytes) {
    size_t room = text_room(text, bytes.len);
    for (size_t i = 0; i < room; i++) text->data[text->len + i] = byte_upper(bytes.data[i]);
    text_end(text, room);
}

/* What stands for this byte; returns how many bytes that are. */
static size_t escape(char c, char dst[ESCAPE_MAX]) {
    static const char plain[] = "\\\"\n\r\t\a\b", letter[] = "\\\"nrtab", digits[] = "0123456789abcdef";
    const char *at = c ? strchr(plain, c) : NULL;
    unsigned char byte = (unsigned char)c;
    dst[0] = '\\';
    if (at) {
        dst[1] = letter[at - plain];
        return 2;
    }
    if (byte >= ' ' && byte < 127) {
        dst[0] = c;
        return 1;
    }
    dst[1] = 'x';
    dst[2] = digits[byte >> 4];
    dst[3] = digits[byte & 15];
    return 4;
}

size_t text_escaped(struct text *text, struct bytes bytes, size_t end) {
    size_t taken = 0;
    for (; taken < bytes.len && text->len < end; taken++) {
        char escaped[ESCAPE_MAX];
        size_t len = escape(bytes.data[taken], escaped);
        size_t room = text_room(text, len);
        if (room < len) break;
        memcpy(text->data + text->len, escaped, len);
        text_end(text, len);
    }
    return taken;
}
