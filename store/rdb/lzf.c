/* lzf.c - LZF both ways. The compressor is greedy: it looks at the last place where the next three
 * bytes began alike. */
#include "store/rdb/lzf.h"

#include "protocol/assert.h"
#include "protocol/load.h"

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

struct decoder {
    const unsigned char *at, *end; /* what is to be read */
    char *to;
    size_t len, made; /* bytes: so many are to be made, and were */
};

/* One token, whatever it is. False where the input is not right. */
static bool decode_one(struct decoder *d) {
    unsigned first = *d->at++;
    size_t distance, part, left = (size_t)(d->end - d->at), room = d->len - d->made;
    if (first < LITERALS_MAX) {
        part = first + 1;
        if (part > left || part > room) return false;
        memcpy(d->to + d->made, d->at, part);
        d->at += part;
    } else {
        if (!read_match(&d->at, d->end, first, &distance, &part)) return false;
        if (distance > d->made || part > room) return false;
        copy(d->to + d->made, distance, part, room);
    }
    d->made += part;
    return true;
}

static inline void copy_word(char *to, const char *from) {
    uint64_t low = load_u64(from), high = load_u64(from + HALF_WORD);
    memcpy(to, &low, HALF_WORD);
    memcpy(to + HALF_WORD, &high, HALF_WORD);
}

/* Tokens in the midst of it, which are a run of literals or a short copy of what is not too near. Which of the two comes
 * next nobody can guess: so both are worked out, and none is jumped to. */
static void decode_some(struct decoder *d) {
    const unsigned char *at = d->at;
    char *to = d->to;
    size_t made = d->made;
    while (d->end - at > LITERALS_MAX + 1 && d->len - made >= LITERALS_MAX) {
        size_t first = at[0], literal = (size_t)0 - (first < LITERALS_MAX),
               distance = (first & 31) << 8 | at[1];
        size_t part = (first >> 5) + 2 + (literal & (first - 1));
        if (((distance - (HALF_WORD - 1)) & ~literal) > made - HALF_WORD || first >= 7 << 5) break;
        uintptr_t near = (uintptr_t)(to + made) - distance - 1, here = (uintptr_t)(at + 1);
        const char *from = (const char *)(near ^ ((near ^ here) & literal));
        copy_word(to + made, from);
        if (part > WORD) copy_word(to + made + WORD, from + WORD);
        made += part;
        at += 2 + (literal & first);
    }
    assert(at <= d->end && made <= d->len);
    d->at = at;
    d->made = made;
}

bool lzf_decompress(struct bytes input, char *to, size_t len) {
    struct decoder d = {.at = (const unsigned char *)input.data, .to = to, .len = len};
    d.end = input.len ? d.at + input.len : d.at;
    while (d.at < d.end) {
        if (d.made >= HALF_WORD) decode_some(&d);
        if (!decode_one(&d)) return false;
    }
    return d.made == len;
}
