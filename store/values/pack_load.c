/* pack_load.c - the count is known from the header, so length bytes and elements are written to where they stay. Whether a
 * field was there before, a filter of bits knows as a rule. */
#include "store/values/pack_load.h"

#include <math.h>

#include "store/values/hash.h"
#include "store/values/score.h"

enum {
    PARTS = 2,
    WIDE = 16, /* bytes that are copied at once, where both sides have so many */
    FILTER_BITS = 11,
    FILTER_WORDS = (1 << FILTER_BITS) / 64,
};

/* A pack that is being made, of what stands in a string. */
struct work {
    struct packed packed;          /* behind `from` where that is not NULL */
    const unsigned char *from;     /* in a listpack: the next element */
    const unsigned char *from_end; /* its last byte, which is no element */
    uint8_t *codes, *code;         /* length bytes: the first, and the next */
    char *begin, *at, *end;        /* elements: the first, the next, and where the buffer ends */
    uint64_t filter[FILTER_WORDS];
};

/* ---- Reading -------------------------------------------------------------------------------------- */

/* Takes an integer of a listpack whose encoding and bytes take so many, and which a byte with that length follows. */
static inline bool take_integer(struct work *work, unsigned len, int64_t number,
                                struct packed_element *element) {
    if (work->from_end - work->from <= (ptrdiff_t)len || work->from[len] != len) return false;
    *element = (struct packed_element){.number = number};
    work->from += len + 1;
    return true;
}

/* What most elements of a listpack are: a short string, or an integer of no more than 24 bits. False: it is something
 * else, or wrong, and nothing was taken. */
static inline bool take_short(struct work *work, struct packed_element *element) {
    const unsigned char *from = work->from;
    ptrdiff_t left = work->from_end - from;
    if (left < 2) return false;
    unsigned first = from[0];
    if (first < 0x80) return take_integer(work, 1, first, element);
    if (first < 0xc0) {
        unsigned len = first & 0x3f;
        if (left < (ptrdiff_t)len + 2 || from[1 + len] != 1 + len) return false;
        element->text = (struct bytes){(const char *)from + 1, len};
        work->from += len + 2;
        return true;
    }
    if (first < 0xe0) /* thirteen bits, the highest of which is the sign */
        return take_integer(work, 2, (int64_t)(((first & 0x1f) << 8 | from[1]) ^ 0x1000) - 0x1000, element);
    if (first != 0xf1 && (first != 0xf2 || left < 5)) return false;
    if (left < 4) return false;
    if (first == 0xf1) return take_integer(work, 3, (int16_t)(from[1] | from[2] << 8), element);
    uint32_t bits = (uint32_t)from[1] | (uint32_t)from[2] << 8 | (uint32_t)from[3] << 16;
    return take_integer(work, 4, (int64_t)(bits ^ 0x800000) - 0x800000, element);
}

static __attribute__((noinline)) bool take_any(struct work *work, struct packed_element *element) {
    const char *data = work->packed.bytes.data;
    if (work->from) work->packed.at = (size_t)((const char *)work->from - data);
    if (packed_take(&work->packed, element) != PACKED_ELEMENT) return false;
    if (work->from) work->from = (const unsigned char *)data + work->packed.at;
    return true;
}

static inline bool take(struct work *work, struct packed_element *element) {
    return (work->from && take_short(work, element)) || take_any(work, element);
}

/* All elements that the header tells of were taken: is this the end? */
static bool is_end(struct work *work) {
    struct packed_element element;
    return work->from ? work->from == work->from_end : packed_take(&work->packed, &element) == PACKED_END;
}

/* ---- Writing -------------------------------------------------------------------------------------- */

static __attribute__((noinline)) bool put_any(struct work *work, struct bytes text) {
    if (text.len > ELEMENT_INLINE_MAX || element_stored(text.len) > (size_t)(work->end - work->at))
        return false;
    struct element element = element_of(text);
    element_put(work->at, &element);
    *work->code++ = element_code(text.len);
    work->at += element_stored(text.len);
    return true;
}

/* Puts a string into the pack. It lies in the string that is read. */
static inline bool put_text(struct work *work, struct bytes text) {
    const char *behind = work->packed.bytes.data + work->packed.bytes.len;
    if (text.len > WIDE || work->end - work->at < WIDE || behind - text.data < WIDE)
        return put_any(work, text);
    memcpy(work->at, text.data, WIDE); /* some of what follows too, which is written over */
    *work->code++ = (uint8_t)text.len;
    work->at += text.len;
    return true;
}

static inline bool put(struct work *work, const struct packed_element *element) {
    char digits[NUMBER_I64_MAX_LEN];
    if (__builtin_expect(element->text.data != NULL, 1)) return put_text(work, element->text);
    return put_any(work, (struct bytes){digits, number_format_i64(digits, element->number)});
}

/* A field or member that was put last, at `text`: was it there before? */
static __attribute__((noinline)) bool is_before(const struct work *work, struct bytes text) {
    uint8_t wanted = element_code(text.len);
    const char *at = work->begin;
    for (const uint8_t *code = work->codes; code < work->code - 1;) {
        if (element_equals(*code, at, wanted, text)) return true;
        for (unsigned part = 0; part < PARTS; part++) at += element_stored_at(*code++, at);
    }
    return false;
}

static inline bool is_new(struct work *work, struct bytes text) {
    uint64_t a, b, hash;
    hash_load_short(text.data, text.len <= WIDE ? text.len : WIDE, &a, &b);
    hash = hash_fold(a ^ 0x9e3779b97f4a7c15, b ^ 0xd1b54a32d192ed03) >> (64 - FILTER_BITS);
    uint64_t *word = &work->filter[hash / 64], bit = 1ull << hash % 64;
    bool maybe = *word & bit;
    *word |= bit;
    return !maybe || !is_before(work, text);
}

/* Puts the next element, a field or a member, which shall not be there yet. *name: its bytes, in the pack. */
static inline bool put_name(struct work *work, struct bytes *name) {
    struct packed_element element;
    const char *at = work->at;
    if (!take(work, &element) || !put(work, &element)) return false;
    size_t len = (size_t)(work->at - at), head = len > ELEMENT_PLAIN_MAX ? 2 : 0;
    *name = (struct bytes){at + head, len - head};
    return is_new(work, *name);
}

/* ---- Whole packs ---------------------------------------------------------------------------------- */

static bool begin(struct work *work, const struct pack *pack, const struct packed *packed) {
    uint64_t count = packed->count;
    assert(pack->len == 0 && packed->seen == 0);
    if (count == 0 || count % PARTS || count > PACK_COUNT_MAX) return false;
    if (PACK_HEAD + count > pack->capacity) return false;
    const unsigned char *data = (const unsigned char *)packed->bytes.data;
    bool listpack = packed->kind == PACKED_LISTPACK;
    work->packed = *packed;
    work->from = listpack ? data + packed->at : NULL;
    work->from_end = listpack ? data + packed->bytes.len - 1 : NULL;
    work->codes = work->code = (uint8_t *)pack->data + PACK_HEAD;
    work->begin = work->at = pack->data + PACK_HEAD + count;
    work->end = pack->data + pack->capacity;
    memset(work->filter, 0, sizeof work->filter);
    return true;
}

static bool finish(struct work *work, struct pack *pack, struct packed *packed) {
    uint64_t count = packed->count;
    if (!is_end(work)) return false;
    assert(work->code == work->codes + count && (char *)work->code == work->begin);
    pack->data[0] = (char)count;
    pack->data[1] = (char)(count >> 8);
    pack->len = (size_t)(work->at - pack->data);
    packed->seen = count;
    debug_assert(pack_valid(pack_bytes(pack), PARTS));
    return true;
}

bool pack_load_pairs(struct pack *pack, struct packed *packed) {
    struct work work;
    if (!begin(&work, pack, packed)) return false;
    for (uint64_t i = 0; i < packed->count; i += PARTS) {
        struct packed_element value;
        struct bytes name;
        if (!put_name(&work, &name) || !take(&work, &value) || !put(&work, &value)) return false;
    }
    return finish(&work, pack, packed);
}

static __attribute__((noinline)) bool put_score(struct work *work, const struct packed_element *element,
                                                double *score) {
    *score = (double)element->number;
    if (element->text.data && !number_parse_double(element->text, score)) return false;
    if (isnan(*score) || (*score == 0 && signbit(*score))) return false;
    char bytes[SCORE_MAX_LEN];
    return put_any(work, (struct bytes){bytes, score_put(bytes, *score)});
}

/* Puts the next element, which is a score. */
static inline bool put_next_score(struct work *work, double *score) {
    struct packed_element element;
    if (!take(work, &element)) return false;
    int32_t integer = (int32_t)element.number;
    bool small = element.text.data == NULL && integer == element.number;
    if (!small || work->end - work->at < SCORE_MAX_LEN) return put_score(work, &element, score);
    size_t len = score_put_integer(work->at, integer);
    *score = integer;
    *work->code++ = (uint8_t)len;
    work->at += len;
    return true;
}

bool pack_load_scored(struct pack *pack, struct packed *packed) {
    struct bytes before = {NULL, 0};
    double least = -INFINITY;
    struct work work;
    if (!begin(&work, pack, packed)) return false;
    for (uint64_t i = 0; i < packed->count; i += PARTS) {
        struct bytes name;
        double score;
        if (!put_name(&work, &name) || !put_next_score(&work, &score)) return false;
        if (score < least || (score == least && bytes_compare(before, name) >= 0 && i > 0)) return false;
        before = name;
        least = score;
    }
    return finish(&work, pack, packed);
}
