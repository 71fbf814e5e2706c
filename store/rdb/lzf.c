/* lzf.c - LZF both ways. The compressor is greedy: it looks at the last place where the next three
 * bytes began alike. */
#include "store/rdb/lzf.h"

#include "protocol/assert.h"

enum {
    LITERALS_MAX = 32,
    MATCH_MIN = 3,
    MATCH_MAX = 264,
    DISTANCE_MAX = 1 << 13,
    WORD = 16,
    HALF_WORD = WORD / 2,
};

/* ---- Compressing ---------------------------------------------------------------------------------- */

struct output {
    char *at, *end;
    bool full;
};

static void put(struct output *out, unsigned byte) {
    if (out->at == out->end)
        out->full = true;
    else
        *out->at++ = (char)byte;
}

static void put_literals(struct output *out, const char *from, size_t len) {
    while (len > 0 && !out->full) {
        size_t part = len < LITERALS_MAX ? len : LITERALS_MAX;
        put(out, (unsigned)part - 1);
        if ((size_t)(out->end - out->at) < part) {
            out->full = true;
            return;
        }
        memcpy(out->at, from, part);
        out->at += part, from += part, len -= part;
    }
}

static void put_match(struct output *out, size_t distance, size_t len) {
    unsigned offset = (unsigned)distance - 1, more = (unsigned)len - 2;
    assert(distance >= 1 && distance <= DISTANCE_MAX && len >= MATCH_MIN && len <= MATCH_MAX);
    if (more < 7) {
        put(out, more << 5 | offset >> 8);
    } else {
        put(out, 7u << 5 | offset >> 8);
        put(out, more - 7);
    }
    put(out, offset & 0xff);
}

static uint32_t three_bytes(const char *at) {
    return (uint32_t)(unsigned char)at[0] | (uint32_t)(unsigned char)at[1] << 8 |
           (uint32_t)(unsigned char)at[2] << 16;
}

static size_t match_len(const char *a, const char *b, size_t most) {
    size_t len = MATCH_MIN;
    while (len < most && a[len] == b[len]) len++;
    return len;
}

/* A short string needs a small table, which is soon cleared. */
static unsigned table_bits(size_t len) {
    unsigned bits = 5;
    while (bits < LZF_TABLE_BITS && (size_t)1 << bits < len) bits++;
    return bits;
}

size_t lzf_compress(struct lzf_table *table, struct bytes input, char *to, size_t room) {
    struct output out = {.at = to, .end = to + room};
    unsigned bits = table_bits(input.len);
    size_t literals = 0, i = 0; /* where those begin that were not written yet */
    if (input.len > UINT32_MAX) return 0;
    memset(table->at, 0, sizeof *table->at << bits);
    while (i + MATCH_MIN <= input.len && !out.full) {
        uint32_t bytes = three_bytes(input.data + i), *slot = &table->at[bytes * 2654435761u >> (32 - bits)];
        size_t before = *slot;
        *slot = (uint32_t)i;
        if (before >= i || i - before > DISTANCE_MAX || three_bytes(input.data + before) != bytes) {
            i++;
            continue;
        }
        size_t most = input.len - i < MATCH_MAX ? input.len - i : MATCH_MAX;
        size_t len = match_len(input.data + before, input.data + i, most);
        put_literals(&out, input.data + literals, i - literals);
        put_match(&out, i - before, len);
        literals = i += len;
    }
    put_literals(&out, input.data + literals, input.len - literals);
    return out.full ? 0 : (size_t)(out.at - to);
}

/* ---- Decompressing -------------------------------------------------------------------------------- */

/* The two or three bytes of a copy, the first of which was read. False if they are not there. */
static bool read_match(const unsigned char **at, const unsigned char *end, unsigned first, size_t *distance,
                       size_t *len) {
    *len = (first >> 5) + 2;
    if (end - *at < (first >> 5 == 7 ? 2 : 1)) return false;
    if (first >> 5 == 7) *len += *(*at)++;
    *distance = ((size_t)(first & 31) << 8 | *(*at)++) + 1;
    return true;
}

/* Copies words of 16 or 8 bytes, the last of which may go beyond the end, where there is room: that is
 * no part of the result yet. Each word is written before the next is read, so what repeats does so. */
static void copy_words(char *to, const char *from, size_t len, size_t word) {
    size_t i = 0;
    if (word == WORD) do
            memcpy(to + i, from + i, WORD);
        while ((i += WORD) < len);
    else
        do memcpy(to + i, from + i, HALF_WORD);
        while ((i += HALF_WORD) < len);
}

/* Copies what was made; `room` bytes may be written, `len` at least. */
static void copy(char *to, size_t distance, size_t len, size_t room) {
    const char *from = to - distance;
    if (room >= len + WORD && distance >= HALF_WORD)
        copy_words(to, from, len, distance >= WORD ? WORD : HALF_WORD);
    else if (distance >= len)
        memcpy(to, from, len);
    else
        for (size_t i = 0; i < len; i++) to[i] = from[i]; /* it repeats */
}

bool lzf_decompress(struct bytes input, char *to, size_t len) {
    const unsigned char *at = (const unsigned char *)input.data, *end = input.len ? at + input.len : at;
    size_t made = 0;
    while (at < end) {
        unsigned first = *at++;
        size_t distance, part, left = (size_t)(end - at), room = len - made;
        if (first < LITERALS_MAX) {
            part = first + 1;
            if (part > left || part > room) return false;
            if (left >= LITERALS_MAX && room >= LITERALS_MAX)
                memcpy(to + made, at, LITERALS_MAX);
            else
                memcpy(to + made, at, part);
            at += part;
        } else {
            if (!read_match(&at, end, first, &distance, &part)) return false;
            if (distance > made || part > room) return false;
            copy(to + made, distance, part, room);
        }
        made += part;
    }
    return made == len;
}
