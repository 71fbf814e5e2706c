/* pack.c - finding, inserting and deleting in packs. Length bytes are looked at sixteen at a time. */
#include "store/values/pack.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "store/values/score.h"

enum { GROUP = 16 };

/* What sixteen length bytes say: their sum, which of them are a certain one, and whether some are
 * no plain lengths. */
struct group {
    uint32_t sum;
    uint32_t equal; /* a bit each */
    bool odd;
};

static struct group look_plainly(const uint8_t *codes, uint8_t wanted) {
    struct group group = {0};
    for (unsigned i = 0; i < GROUP; i++) {
        group.sum += codes[i];
        group.equal |= (uint32_t)(codes[i] == wanted) << i;
        group.odd |= codes[i] > ELEMENT_PLAIN_MAX;
    }
    return group;
}

static inline struct group look(const uint8_t *codes, uint8_t wanted) {
#ifdef __SSE2__
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)codes);
    __m128i sums = _mm_sad_epu8(v, _mm_setzero_si128()), odd = _mm_set1_epi8((char)ELEMENT_LONG);
    struct group group = {
        .sum = (uint32_t)_mm_cvtsi128_si32(sums) + (uint32_t)_mm_extract_epi16(sums, 4),
        .equal = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)wanted))),
        .odd = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(v, odd), v)) != 0,
    };
    debug_assert(group.sum == look_plainly(codes, wanted).sum &&
                 group.equal == look_plainly(codes, wanted).equal &&
                 group.odd == look_plainly(codes, wanted).odd);
    return group;
#else
    return look_plainly(codes, wanted);
#endif
}

static const uint8_t *codes_of(struct bytes pack) {
    return (const uint8_t *)pack.data + PACK_HEAD;
}

/* Where the element behind so many begins. */
static const char *skip(const uint8_t *codes, uint32_t count, const char *at) {
    uint32_t i = 0;
    while (i < count) {
        if (count - i >= GROUP) {
            struct group group = look(codes + i, 0);
            if (!group.odd) {
                at += group.sum;
                i += GROUP;
                continue;
            }
        }
        for (uint32_t end = count - i < GROUP ? count : i + GROUP; i < end; i++)
            at += element_stored_at(codes[i], at);
    }
    return at;
}

/* How many bytes these elements have, if all are plain; false if not. */
static bool plain_sum(const uint8_t *codes, uint32_t count, size_t *sum) {
    uint32_t i = 0;
    bool odd = false;
    *sum = 0;
    for (; count - i >= GROUP && !odd; i += GROUP) {
        struct group group = look(codes + i, 0);
        *sum += group.sum;
        odd = group.odd;
    }
    for (; i < count && !odd; i++) {
        *sum += codes[i];
        odd = codes[i] > ELEMENT_PLAIN_MAX;
    }
    return !odd;
}

struct pack_walk pack_from(struct bytes pack, uint32_t index) {
    uint32_t count = pack_count(pack);
    assert(index <= count);
    if (count == 0) return (struct pack_walk){0};
    const uint8_t *codes = codes_of(pack);
    struct pack_walk walk = {.code = codes + index, .codes_end = codes + count};
    size_t behind;
    if (index > count / 2 && plain_sum(codes + index, count - index, &behind))
        walk.at = pack.data + pack.len - behind;
    else
        walk.at = skip(codes, index, (const char *)codes + count);
    debug_assert(walk.at == skip(codes, index, (const char *)codes + count)); /* 2 */
    assert(walk.at <= pack.data + pack.len);
    return walk;
}

/* The index of the one with these bytes among sixteen plain ones, or 16. */
static uint32_t find_plain(const uint8_t *codes, const char *at, uint32_t candidates, uint8_t wanted,
                           struct bytes bytes) {
    for (uint32_t i = 0; i < GROUP; at += codes[i], i++)
        if ((candidates >> i & 1) && element_equals(wanted, at, wanted, bytes)) return i;
    return GROUP;
}

uint32_t pack_find(struct bytes pack, unsigned step, struct bytes bytes) {
    uint32_t count = pack_count(pack), i = 0, steps = step == 1 ? 0xffff : 0x5555;
    assert((step == 1 || step == 2) && count % step == 0);
    if (count == 0) return 0;
    const uint8_t *codes = codes_of(pack), wanted = element_code(bytes.len);
    const char *at = (const char *)codes + count;
    while (i < count) {
        if (count - i >= GROUP) {
            struct group group = look(codes + i, wanted);
            if (!group.odd) {
                uint32_t candidates = group.equal & steps;
                uint32_t found = candidates ? find_plain(codes + i, at, candidates, wanted, bytes) : GROUP;
                if (found < GROUP) return i + found;
                at += group.sum;
                i += GROUP;
                continue;
            }
        }
        for (uint32_t end = count - i < GROUP ? count : i + GROUP; i < end; i++) {
            if (i % step == 0 && element_equals(codes[i], at, wanted, bytes)) return i;
            at += element_stored_at(codes[i], at);
        }
    }
    assert(at == pack.data + pack.len); /* 2 */
    return count;
}

uint32_t pack_rank(struct bytes pack, double score, struct bytes member) {
    struct pack_walk walk = pack_from(pack, 0);
    struct element other, number;
    uint32_t rank = 0;
    while (pack_next(&walk, &other) && pack_next(&walk, &number)) {
        double its = score_of(number.bytes);
        if (its > score || (its == score && bytes_compare(other.bytes, member) >= 0)) break;
        rank++;
    }
    return rank;
}

bool pack_valid(struct bytes pack, unsigned step) {
    if (pack.len == 0) return true;
    if (pack.len < PACK_HEAD) return false;
    uint32_t count = pack_count(pack);
    if (count == 0 || count % step || pack.len - PACK_HEAD < count) return false;
    const uint8_t *codes = codes_of(pack);
    const char *at = (const char *)codes + count, *end = pack.data + pack.len;
    for (uint32_t i = 0; i < count; i++) {
        if (!element_valid(codes[i], at, (size_t)(end - at))) return false;
        at += element_stored_at(codes[i], at);
    }
    return at == end;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

static void set_count(struct pack *pack, uint32_t count) {
    assert(count > 0 && count <= PACK_COUNT_MAX); /* 1 */
    pack->data[0] = (char)count;
    pack->data[1] = (char)(count >> 8);
}

/* Opens a gap of `codes` length bytes before this index, and one of `bytes` bytes where its element begins;
 * returns the second. */
static char *open_gap(struct pack *pack, uint32_t index, uint32_t codes, size_t bytes) {
    uint32_t count = pack_count(pack_bytes(pack));
    struct pack_walk walk = pack_from(pack_bytes(pack), index);
    char *code = pack->data + PACK_HEAD + index, *at = count ? pack->data + (walk.at - pack->data) : code;
    size_t behind = count ? pack->len - (size_t)(at - pack->data) : 0;
    memmove(at + codes + bytes, at, behind);
    memmove(code + codes, code, (size_t)(at - code));
    pack->len = (count ? pack->len : PACK_HEAD) + codes + bytes;
    set_count(pack, count + codes);
    return at + codes;
}

size_t pack_insert(struct pack *pack, uint32_t index, const struct element *elements, uint32_t count) {
    uint32_t before = pack_count(pack_bytes(pack));
    size_t bytes = 0;
    assert(index <= before && count > 0);
    if (count > PACK_COUNT_MAX - before) return PACK_NEVER;
    for (uint32_t i = 0; i < count; i++) bytes += element_stored(elements[i].bytes.len);
    size_t len = (before ? pack->len : PACK_HEAD) + count + bytes;
    if (len > pack->capacity) return len;
    char *at = open_gap(pack, index, count, bytes);
    for (uint32_t i = 0; i < count; i++) {
        pack->data[PACK_HEAD + index + i] = (char)element_code(elements[i].bytes.len);
        element_put(at, &elements[i]);
        at += element_stored(elements[i].bytes.len);
    }
    assert(pack->len == len);
    return len;
}

size_t pack_replace(struct pack *pack, uint32_t index, const struct element *element) {
    struct pack_walk walk = pack_from(pack_bytes(pack), index);
    assert(walk.code < walk.codes_end);
    char *at = pack->data + (walk.at - pack->data);
    size_t old = element_stored_at(*walk.code, at), new = element_stored(element->bytes.len);
    size_t len = pack->len - old + new;
    if (len > pack->capacity) return len;
    memmove(at + new, at + old, pack->len - (size_t)(at + old - pack->data));
    pack->data[PACK_HEAD + index] = (char)element_code(element->bytes.len);
    element_put(at, element);
    return pack->len = len;
}

void pack_delete(struct pack *pack, uint32_t index, uint32_t count) {
    uint32_t before = pack_count(pack_bytes(pack));
    assert(index <= before && count <= before - index && count > 0);
    if (count == before) {
        pack->len = 0;
        return;
    }
    struct pack_walk walk = pack_from(pack_bytes(pack), index);
    char *code = pack->data + PACK_HEAD + index, *at = pack->data + (walk.at - pack->data);
    const char *behind = skip((const uint8_t *)code, count, at), *end = pack->data + pack->len;
    memmove(code, code + count, (size_t)(at - (code + count)));
    memmove(at - count, behind, (size_t)(end - behind));
    pack->len -= count + (size_t)(behind - at);
    set_count(pack, before - count);
}
