/* element.h - how one element of a small collection is written: a length byte, and apart from it the bytes that
 * it speaks of.
 *
 *     0 to 253     so many bytes
 *     254          two bytes, lowest first, that are the length of the bytes behind them (254 to 1,024)
 *     255          a pointer of eight bytes to a block, which holds an element of more than 1,024 bytes
 *
 * Where length bytes stand side by side, any number of elements is skipped by adding them up; only 254 and 255
 * need a look. Whatever holds a 255 holds a reference to its block, as replies do that are on their way with it. */
#ifndef KEVY_STORE_VALUES_ELEMENT_H
#define KEVY_STORE_VALUES_ELEMENT_H

#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/bytes.h"
#include "protocol/load.h"
#include "store/memory/block.h"

enum {
    ELEMENT_PLAIN_MAX = 253,
    ELEMENT_LONG = 254,
    ELEMENT_BLOCK = 255,
    ELEMENT_INLINE_MAX = 1024, /* bytes of an element that is in no block */
};

struct element {
    struct bytes bytes;
    struct block *block; /* whose bytes they are; NULL up to ELEMENT_INLINE_MAX, and never above */
};

/* The element with these bytes, which need no block. */
static inline struct element element_of(struct bytes bytes) {
    assert(bytes.len <= ELEMENT_INLINE_MAX);
    return (struct element){.bytes = bytes};
}
static inline struct element element_of_block(struct block *block) {
    assert(block->len > ELEMENT_INLINE_MAX);
    return (struct element){.bytes = block_bytes(block), .block = block};
}

/* The length byte of any element with so many bytes. */
static inline uint8_t element_code(size_t len) {
    if (len <= ELEMENT_PLAIN_MAX) return (uint8_t)len;
    return len <= ELEMENT_INLINE_MAX ? ELEMENT_LONG : ELEMENT_BLOCK;
}
/* How many bytes stand for it beside its length byte. */
static inline size_t element_stored(size_t len) {
    if (len <= ELEMENT_PLAIN_MAX) return len;
    return len <= ELEMENT_INLINE_MAX ? 2 + len : sizeof(struct block *);
}
/* The same of one that is there. */
static inline size_t element_stored_at(uint8_t code, const char *at) {
    if (code <= ELEMENT_PLAIN_MAX) return code;
    if (code == ELEMENT_BLOCK) return sizeof(struct block *);
    return 2 + ((size_t)(unsigned char)at[0] | (size_t)(unsigned char)at[1] << 8);
}

/* Reads one; its bytes lie where it does, or in its block. */
static inline struct element element_at(uint8_t code, const char *at) {
    if (code <= ELEMENT_PLAIN_MAX) return (struct element){.bytes = {at, code}};
    if (code == ELEMENT_LONG) return (struct element){.bytes = {at + 2, element_stored_at(code, at) - 2}};
    struct block *block;
    memcpy(&block, at, sizeof block);
    return element_of_block(block);
}

/* Writes what stands for it, element_stored bytes. */
static inline void element_put(char *at, const struct element *element) {
    struct bytes bytes = element->bytes;
    assert((element->block != NULL) == (bytes.len > ELEMENT_INLINE_MAX));
    if (element->block) {
        memcpy(at, &element->block, sizeof element->block);
        return;
    }
    if (bytes.len > ELEMENT_PLAIN_MAX) {
        *at++ = (char)bytes.len;
        *at++ = (char)(bytes.len >> 8);
    }
    if (bytes.len) memcpy(at, bytes.data, bytes.len);
}

/* Does the one that is there have these bytes, whose code is `wanted`? Short ones are compared without a call. */
static inline bool element_equals(uint8_t code, const char *at, uint8_t wanted, struct bytes bytes) {
    if (code != wanted) return false;
    if (code > ELEMENT_PLAIN_MAX) return bytes_equal(element_at(code, at).bytes, bytes);
    if (code >= 8 && code <= 16) {
        size_t last = code - 8u;
        return ((load_u64(at) ^ load_u64(bytes.data)) |
                (load_u64(at + last) ^ load_u64(bytes.data + last))) == 0;
    }
    return code == 0 || memcmp(at, bytes.data, code) == 0;
}

/* Bytes that somebody else wrote: is this a whole element without a block, within `left` bytes? */
static inline bool element_valid(uint8_t code, const char *at, size_t left) {
    if (code <= ELEMENT_PLAIN_MAX) return code <= left;
    if (code == ELEMENT_BLOCK || left < 2) return false;
    size_t stored = element_stored_at(code, at);
    return stored <= left && stored - 2 > ELEMENT_PLAIN_MAX && stored - 2 <= ELEMENT_INLINE_MAX;
}

#endif
