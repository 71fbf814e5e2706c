/* glob.c - glob patterns: compiled, then matched without recursion and without going back.
 *
 * Stars cut a pattern into stretches of elements, each of which takes one byte. The first stretch has its
 * place at the beginning of the text and the last one at its end. Those in between are looked for from left to
 * right, and the first place where one is found is right: whatever a place further on would leave to the
 * stretches behind it, this one leaves to them too. A `?` beside a star only says that the star takes at least
 * one byte: such are counted as the gap in front of the next stretch and belong to none.
 *
 * The code has, for each stretch that is not empty, and for the first and the last in any case:
 *
 *  - gap: a number.
 *  - elements: a number, twice as many as there are, and one more if the stretch is mixed.
 *  - body: the bytes themselves; if it is mixed, the elements, each an ELEMENT_* with its operands.
 *
 * Numbers are written seven bits a byte, the low ones first. So the code is not much longer than the pattern,
 * whatever that is made of: a class is listed as ranges, or as a bitmap of 256 bits where that is shorter. */
#include "protocol/glob.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/* Its test counts the steps: elements compared, at one place or at sixteen at once, and bytes of the
 * pattern and the text that are looked at. */
#ifndef GLOB_STEPS
#define GLOB_STEPS(count) ((void)(count))
#endif

enum element_kind {
    ELEMENT_ANY,    /* any byte */
    ELEMENT_BYTE,   /* this byte */
    ELEMENT_LETTER, /* this lower-case letter, in either case */
    ELEMENT_RANGES, /* a count, and so many pairs of first and last byte */
    ELEMENT_BITMAP, /* 32 bytes: byte b is bit b % 8 of the one at b / 8 */
};

enum { BITMAP_BYTES = 32, RANGES_MAX = 15 /* more take more than a bitmap */ };

/* ---- Compiling: classes --------------------------------------------------------------------------- */

struct set {
    uint64_t bits[4]; /* byte b is bit b % 64 of bits[b / 64] */
};

/* Adds the bytes first..last. */
static void set_add(struct set *set, unsigned first, unsigned last) {
    assert(first <= last && last <= 255);
    for (unsigned word = first / 64; word <= last / 64; word++) {
        unsigned low = word == first / 64 ? first % 64 : 0, high = word == last / 64 ? last % 64 : 63;
        set->bits[word] |= UINT64_MAX >> (63 - (high - low)) << low;
    }
}

/* Adds a range as Redis orders bytes: those above 127 are negative numbers. */
static void set_add_signed(struct set *set, int first, int last) {
    if (first > last) return;
    if (first < 0 && last >= 0) {
        set_add(set, (unsigned char)first, 255);
        set_add(set, 0, (unsigned)last);
    } else {
        set_add(set, (unsigned char)first, (unsigned char)last);
    }
}

/* The set was made of lower-case letters: upper-case ones are in it as far as their lower-case ones are. */
static void set_fold(struct set *set) {
    const uint64_t upper = (uint64_t)0x3ffffff << 1; /* 'A' is 65 and 'a' is 97: all lie in the second word */
    set->bits[1] = (set->bits[1] & ~upper) | (set->bits[1] >> 32 & upper);
}

static int fold(char c, bool nocase) {
    return (signed char)(nocase ? byte_lower(c) : c);
}

/* The two bytes are put in order before their case is folded, as in Redis: "[Z-a]" is then an empty range. */
static void add_range(struct set *set, char from, char to, bool nocase) {
    bool ordered = (signed char)from <= (signed char)to;
    set_add_signed(set, fold(ordered ? from : to, nocase), fold(ordered ? to : from, nocase));
}

/* Reads the class whose first byte behind '[' is at *at; leaves *at behind it, at the end if it is not closed. */
static struct set read_class(const char **at, const char *end, bool nocase) {
    const char *p = *at;
    struct set set = {0}, escaped = {0};
    bool negated = p < end && *p == '^';
    for (p += negated; p < end && *p != ']'; p++) {
        GLOB_STEPS(1);
        if (*p == '\\' && end - p >= 2) {
            p++;
            set_add(&escaped, (unsigned char)*p, (unsigned char)*p);
        } else if (end - p >= 3 && p[1] == '-') {
            add_range(&set, p[0], p[2], nocase);
            p += 2;
        } else {
            add_range(&set, *p, *p, nocase);
        }
    }
    *at = p < end ? p + 1 : end;
    if (nocase) set_fold(&set);
    for (unsigned i = 0; i < 4; i++) {
        set.bits[i] |= escaped.bits[i];
        if (negated) set.bits[i] = ~set.bits[i];
    }
    return set;
}

/* ---- Compiling: elements -------------------------------------------------------------------------- */

struct element {
    enum element_kind kind;
    unsigned char byte;                      /* of a BYTE or a LETTER */
    unsigned ranges;                         /* of RANGES; none: an empty class */
    unsigned char pairs[2 * RANGES_MAX + 2]; /* of RANGES */
    struct set set;                          /* of a BITMAP */
};

/* Lists the ranges that a set consists of, up to one more than RANGES_MAX. Returns their number. */
static unsigned list_ranges(const struct set *set, unsigned char pairs[2 * RANGES_MAX + 2]) {
    unsigned edges = 0; /* bytes that are in the set and their predecessors are not, or the other way round */
    uint64_t before = 0;
    for (unsigned word = 0; word < 4 && edges < 2 * RANGES_MAX + 2; word++) {
        uint64_t left = set->bits[word] ^ (set->bits[word] << 1 | before);
        for (; left && edges < 2 * RANGES_MAX + 2; left &= left - 1) {
            unsigned edge = word * 64 + (unsigned)__builtin_ctzll(left);
            pairs[edges] = (unsigned char)(edge - edges % 2);
            edges++;
        }
        before = set->bits[word] >> 63;
    }
    if (edges % 2) pairs[edges++] = 255;
    return edges / 2;
}

static void class_element(struct element *element, const struct set *set) {
    element->kind = ELEMENT_RANGES;
    element->ranges = list_ranges(set, element->pairs);
    unsigned char first = element->pairs[0], last = element->pairs[1];
    if (element->ranges > RANGES_MAX) {
        element->kind = ELEMENT_BITMAP;
        element->set = *set;
    } else if (element->ranges == 1 && first == 0 && last == 255) {
        element->kind = ELEMENT_ANY;
    } else if (element->ranges == 1 && first == last) {
        element->kind = ELEMENT_BYTE;
        element->byte = first;
    }
}

static void byte_element(struct element *element, char c, bool nocase) {
    char lower = byte_lower(c);
    bool letter = nocase && lower >= 'a' && lower <= 'z';
    element->kind = letter ? ELEMENT_LETTER : ELEMENT_BYTE;
    element->byte = (unsigned char)(letter ? lower : c);
}

/* Reads the element at *at, which is no star; leaves *at behind it. */
static void read_element(struct element *element, const char **at, const char *end, bool nocase) {
    char c = *(*at)++;
    GLOB_STEPS(1);
    if (c == '?') {
        element->kind = ELEMENT_ANY;
    } else if (c == '[') {
        struct set set = read_class(at, end, nocase);
        class_element(element, &set);
    } else {
        if (c == '\\' && *at < end) c = *(*at)++;
        byte_element(element, c, nocase);
    }
}

/* ---- Compiling: code ------------------------------------------------------------------------------ */

struct writer {
    unsigned char *code;
    size_t length, capacity;
};

static void put(struct writer *to, const void *bytes, size_t count) {
    assert(count <= to->capacity - to->length);
    memcpy(to->code + to->length, bytes, count);
    to->length += count;
}

static void put_byte(struct writer *to, unsigned char byte) {
    put(to, &byte, 1);
}

static void put_number(struct writer *to, size_t number) {
    for (; number >= 128; number >>= 7) put_byte(to, (unsigned char)(number | 128));
    put_byte(to, (unsigned char)number);
}

static void put_element(struct writer *to, const struct element *element) {
    put_byte(to, (unsigned char)element->kind);
    switch (element->kind) {
    case ELEMENT_ANY: return;
    case ELEMENT_BYTE:
    case ELEMENT_LETTER: put_byte(to, element->byte); return;
    case ELEMENT_RANGES:
        put_byte(to, (unsigned char)element->ranges);
        put(to, element->pairs, 2 * (size_t)element->ranges);
        return;
    case ELEMENT_BITMAP:
        for (unsigned byte = 0; byte < 256; byte += 8)
            put_byte(to, (unsigned char)(element->set.bits[byte / 64] >> byte % 64));
        return;
    }
}

/* What stands between two stars, or between one and an end. */
struct stretch {
    const char *begin; /* in the pattern, behind what `leading` counts */
    const char *end;   /* the star behind it, or the pattern's end */
    size_t elements;   /* without those that the next two count */
    size_t leading;    /* how many elements that take any byte follow the star in front of it; */
    size_t trailing;   /* how many stand before the star behind it, unless they are counted already */
    bool mixed;        /* not all elements are bytes */
    bool hopeless;     /* there is an empty class */
};

static struct stretch measure(const char *p, const char *end, bool nocase, bool behind_star) {
    struct stretch s = {.begin = p};
    struct element element;
    while (p < end && *p != '*') {
        read_element(&element, &p, end, nocase);
        if (element.kind == ELEMENT_ANY && behind_star && s.elements == 0 && s.trailing == 0) {
            s.leading++;
            s.begin = p;
        } else if (element.kind == ELEMENT_ANY) {
            s.trailing++;
        } else {
            s.mixed |= element.kind != ELEMENT_BYTE || s.trailing > 0;
            s.hopeless |= element.kind == ELEMENT_RANGES && element.ranges == 0;
            s.elements += s.trailing + 1;
            s.trailing = 0;
        }
    }
    s.end = p;
    if (p == end) { /* no star: they are elements like any other */
        s.mixed |= s.trailing > 0;
        s.elements += s.trailing;
        s.trailing = 0;
    }
    return s;
}

static void put_stretch(struct writer *to, const struct stretch *s, size_t gap, bool nocase) {
    const char *p = s->begin;
    struct element element;
    put_number(to, gap);
    put_number(to, s->elements * 2 + s->mixed);
    for (size_t i = 0; i < s->elements; i++) {
        read_element(&element, &p, s->end, nocase);
        if (s->mixed)
            put_element(to, &element);
        else
            put_byte(to, element.byte);
    }
}

/* Bytes for the headers of the first and the last stretch, which may be empty. */
enum { CODE_MIN = 4 };

bool glob_compile(struct glob *glob, struct bytes pattern, bool nocase) {
    struct writer to = {0};
    const char *p = pattern.data, *end = p + pattern.len;
    size_t gap = 0;
    *glob = (struct glob){0};
    if (__builtin_mul_overflow(pattern.len, GLOB_BYTES, &to.capacity)) return false;
    if (__builtin_add_overflow(to.capacity, CODE_MIN, &to.capacity)) return false;
    to.code = malloc(to.capacity);
    if (!to.code) return false;
    for (bool more = true; more;) {
        struct stretch s = measure(p, end, nocase, glob->starred);
        bool first = !glob->starred;
        more = s.end < end;
        gap += s.leading;
        if (first || !more || s.elements > 0) {
            if (!more) glob->last = to.length;
            put_stretch(&to, &s, gap, nocase);
            gap = 0;
        }
        glob->shortest += s.leading + s.elements + s.trailing;
        glob->hopeless |= s.hopeless;
        glob->starred |= more;
        gap += s.trailing;
        for (p = s.end; p < end && *p == '*'; p++) GLOB_STEPS(1);
    }
    glob->code = to.code;
    return true;
}

void glob_free(struct glob *glob) {
    free(glob->code);
    glob->code = NULL;
}

/* ---- Matching: elements --------------------------------------------------------------------------- */

static enum element_kind kind_of(const unsigned char *code) {
    return (enum element_kind)code[0];
}

static bool in_ranges(const unsigned char *pairs, unsigned count, unsigned char c) {
    bool found = false;
    for (unsigned i = 0; i < count; i++) found |= c >= pairs[2 * i] && c <= pairs[2 * i + 1];
    return found;
}

/* Does the element take this byte? */
static bool takes(const unsigned char *code, unsigned char c) {
    switch (kind_of(code)) {
    case ELEMENT_ANY: return true;
    case ELEMENT_BYTE: return c == code[1];
    case ELEMENT_LETTER: return (c | 0x20) == code[1];
    case ELEMENT_RANGES: return in_ranges(code + 2, code[1], c);
    case ELEMENT_BITMAP: return code[1 + c / 8] >> c % 8 & 1;
    }
    assert(!"an element");
    return false;
}

/* The same for 64 neighbouring places at once, in vectors that every processor with vectors has; compilers do what
 * they can for the others. */
typedef unsigned char vector __attribute__((vector_size(16)));
enum { VECTORS = 4, LANES = VECTORS * sizeof(vector) };
struct lanes {
    vector part[VECTORS];
};
#define EACH_VECTOR(k) _Pragma("GCC unroll 4") for (unsigned k = 0; k < VECTORS; k++)
#define INLINE         inline __attribute__((always_inline))

static INLINE vector vector_of(unsigned char byte) {
    return (vector){0} + byte;
}

/* Loads what there is; the rest is zero. */
static INLINE void load(struct lanes *loaded, const char *at, size_t room) {
    if (__builtin_expect(room < LANES, 0)) {
        memset(loaded, 0, LANES);
        memcpy(loaded, at, room);
        return;
    }
    memcpy(loaded, at, LANES);
}

static INLINE void strike_ranges(const unsigned char *pairs, unsigned count, const struct lanes *text,
                                 struct lanes *left) {
    struct lanes found = {{{0}}};
    for (unsigned i = 0; i < count; i++, pairs += 2) {
        vector first = vector_of(pairs[0]), span = vector_of((unsigned char)(pairs[1] - pairs[0]));
        if (pairs[0] == pairs[1]) {
            EACH_VECTOR(k) found.part[k] |= (vector)(text->part[k] == first);
        } else {
            EACH_VECTOR(k) found.part[k] |= (vector)(text->part[k] - first <= span);
        }
    }
    EACH_VECTOR(k) left->part[k] &= found.part[k];
}

static void strike_bitmap(const unsigned char *bitmap, const struct lanes *text, struct lanes *left) {
    unsigned char byte[LANES];
    struct lanes found;
    memcpy(byte, text, LANES);
    for (unsigned i = 0; i < LANES; i++) byte[i] = bitmap[byte[i] / 8] >> byte[i] % 8 & 1 ? 0xff : 0;
    memcpy(&found, byte, LANES);
    EACH_VECTOR(k) left->part[k] &= found.part[k];
}

/* Strikes out the places whose byte the element does not take. */
static INLINE void strike(const unsigned char *code, const struct lanes *text, struct lanes *left) {
    switch (kind_of(code)) {
    case ELEMENT_ANY: break;
    case ELEMENT_BYTE: {
        vector byte = vector_of(code[1]);
        EACH_VECTOR(k) left->part[k] &= (vector)(text->part[k] == byte);
        break;
    }
    case ELEMENT_LETTER: {
        vector byte = vector_of(code[1]), lower = vector_of(0x20);
        EACH_VECTOR(k) left->part[k] &= (vector)((text->part[k] | lower) == byte);
        break;
    }
    case ELEMENT_RANGES: strike_ranges(code + 2, code[1], text, left); break;
    case ELEMENT_BITMAP: strike_bitmap(code + 1, text, left); break;
    }
}

static size_t element_bytes(const unsigned char *code) {
    switch (kind_of(code)) {
    case ELEMENT_ANY: return 1;
    case ELEMENT_BYTE:
    case ELEMENT_LETTER: return 2;
    case ELEMENT_RANGES: return 2 + 2 * (size_t)code[1];
    case ELEMENT_BITMAP: return 1 + BITMAP_BYTES;
    }
    assert(!"an element");
    return 0;
}

/* How many steps it takes to compare an element at 64 places. */
static inline unsigned element_steps(const unsigned char *code) {
    if (kind_of(code) == ELEMENT_BITMAP) return LANES;
    return kind_of(code) == ELEMENT_RANGES ? 4 * (1 + code[1]) : 4;
}

/* ---- Matching: what is rare in a text ------------------------------------------------------------- */

/* A text, and how many of its bytes are below each byte, once that is asked for. */
struct text {
    struct bytes bytes;
    bool counted;
    size_t below[257];
};

static void text_count(struct text *text) {
    size_t count[256] = {0};
    GLOB_STEPS(text->bytes.len + 256);
    for (size_t i = 0; i < text->bytes.len; i++) count[(unsigned char)text->bytes.data[i]]++;
    text->below[0] = 0;
    for (unsigned byte = 0; byte < 256; byte++) text->below[byte + 1] = text->below[byte] + count[byte];
    text->counted = true;
}

static size_t count_range(const struct text *text, unsigned first, unsigned last) {
    GLOB_STEPS(1);
    return text->below[last + 1] - text->below[first];
}

/* How many bytes of the text the element takes. */
static size_t count_taken(const struct text *text, const unsigned char *code) {
    size_t count = 0;
    switch (kind_of(code)) {
    case ELEMENT_ANY: return text->bytes.len;
    case ELEMENT_BYTE: return count_range(text, code[1], code[1]);
    case ELEMENT_LETTER:
        return count_range(text, code[1], code[1]) + count_range(text, code[1] & ~0x20u, code[1] & ~0x20u);
    case ELEMENT_RANGES:
        for (unsigned i = 0; i < code[1]; i++) count += count_range(text, code[2 + 2 * i], code[3 + 2 * i]);
        return count;
    case ELEMENT_BITMAP:
        for (unsigned byte = 0; byte < 256; byte++)
            if (takes(code, (unsigned char)byte)) count += count_range(text, byte, byte);
        return count;
    }
    return count;
}

/* ---- Matching: stretches -------------------------------------------------------------------------- */

/* A stretch as its code says. */
struct part {
    size_t gap, elements;
    bool mixed;
    const unsigned char *body;
};

static size_t get_number(const unsigned char **code) {
    size_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = *(*code)++;
        number |= (size_t)(byte & 127) << shift;
        if (byte < 128) return number;
    }
}

/* Leaves *code at the stretch's body. */
static struct part get_part(const unsigned char **code) {
    struct part part = {.gap = get_number(code)};
    size_t number = get_number(code);
    part.elements = number / 2;
    part.mixed = number % 2;
    part.body = *code;
    GLOB_STEPS(1);
    return part;
}

/* Is the stretch at this place of the text, which has bytes enough? Where it is, *behind is what follows it
 * in the code. */
static bool is_at(const struct part *part, const char *text, const unsigned char **behind) {
    const unsigned char *code = part->body;
    if (!part->mixed) {
        GLOB_STEPS(part->elements);
        *behind = code + part->elements;
        return part->elements == 0 || memcmp(text, code, part->elements) == 0;
    }
    for (size_t i = 0; i < part->elements; i++) {
        GLOB_STEPS(1);
        if (!takes(code, (unsigned char)text[i])) return false;
        code += element_bytes(code);
    }
    *behind = code;
    return true;
}

/* The element of a mixed stretch that takes the fewest bytes of the text. */
struct rarest {
    const unsigned char *code;
    size_t index;
    size_t count; /* how many it takes */
};

static struct rarest find_rarest(const struct part *part, const struct text *text) {
    const unsigned char *code = part->body;
    struct rarest rarest = {.count = SIZE_MAX};
    for (size_t i = 0; i < part->elements; i++) {
        size_t count = count_taken(text, code);
        if (count < rarest.count) rarest = (struct rarest){code, i, count};
        code += element_bytes(code);
    }
    return rarest;
}

/* Strikes out places as strike() does: the byte of the first one is at `at`. False if none is left. */
static INLINE bool strike_some(const unsigned char *code, const char *at, const char *end,
                               struct lanes *left) {
    typedef unsigned long long halves __attribute__((vector_size(16)));
    struct lanes text;
    vector any = {0};
    GLOB_STEPS(element_steps(code));
    load(&text, at, (size_t)(end - at));
    strike(code, &text, left);
    EACH_VECTOR(k) any |= left->part[k];
    return (((halves)any)[0] | ((halves)any)[1]) != 0;
}

/* At which of `places` places, LANES at most, is a mixed stretch found first? NULL: at none. */
static const char *find_near(const struct part *part, const struct rarest *rarest, struct bytes text,
                             size_t places, const unsigned char **behind) {
    const unsigned char *code = part->body;
    const char *end = text.data + text.len;
    unsigned char first[LANES] = {0};
    struct lanes left;
    assert(places <= LANES && places + part->elements <= text.len + 1);
    memset(first, 0xff, places);
    memcpy(&left, first, LANES);
    if (rarest->code && !strike_some(rarest->code, text.data + rarest->index, end, &left)) return NULL;
    for (size_t i = 0; i < part->elements; i++) {
        if (!strike_some(code, text.data + i, end, &left)) return NULL;
        code += element_bytes(code);
    }
    *behind = code;
    memcpy(first, &left, LANES);
    return text.data + ((const unsigned char *)memchr(first, 0xff, LANES) - first);
}

/* Counting is worth its while from so many elements on, in texts of so many bytes: anything shorter is soon
 * compared. And so are places one by one, if they are few. */
enum { RAREST_MIN_ELEMENTS = 4, RAREST_MIN_TEXT = 256, LANES_MIN = 16 };

/* The first place in `rest`, a part of the text, where a mixed stretch is found, or NULL. The rarest element is
 * asked first, so that a text in which most elements take most bytes is seldom compared with all of them. */
static const char *find_mixed(const struct part *part, struct text *text, struct bytes rest,
                              const unsigned char **behind) {
    struct rarest rarest = {0};
    size_t places = rest.len - part->elements + 1;
    if (part->elements >= RAREST_MIN_ELEMENTS && text->bytes.len >= RAREST_MIN_TEXT) {
        if (!text->counted) text_count(text);
        rarest = find_rarest(part, text);
        if (rarest.count == 0) return NULL;
    }
    if (places < LANES_MIN) {
        for (const char *at = rest.data; at < rest.data + places; at++)
            if (is_at(part, at, behind)) return at;
        return NULL;
    }
    for (size_t tried = 0; tried < places; tried += LANES) {
        struct bytes near = {rest.data + tried, rest.len - tried};
        size_t some = places - tried < LANES ? places - tried : LANES;
        const char *found = find_near(part, &rarest, near, some, behind);
        if (found) return found;
    }
    return NULL;
}

/* The first place in `rest`, a part of the text, where the stretch is found, or NULL. Where it is, *behind is
 * what follows it in the code. */
static const char *find(const struct part *part, struct text *text, struct bytes rest,
                        const unsigned char **behind) {
    if (rest.len < part->elements) return NULL;
    if (part->mixed) return find_mixed(part, text, rest, behind);
    const char *found = memmem(rest.data, rest.len, part->body, part->elements);
    GLOB_STEPS(part->elements + (found ? (size_t)(found - rest.data) : rest.len));
    *behind = part->body + part->elements;
    return found;
}

/* Looks for the stretches between the stars one after the other, from `at` on, and asks whether what the last
 * gap needs is left before `end`. */
static bool find_all(const struct glob *glob, const unsigned char *code, struct text *text, const char *at,
                     const char *end) {
    while (code < glob->code + glob->last) {
        struct part part = get_part(&code);
        if ((size_t)(end - at) < part.gap) return false;
        at = find(&part, text, (struct bytes){at + part.gap, (size_t)(end - at) - part.gap}, &code);
        if (!at) return false;
        at += part.elements;
        assert(at <= end);
    }
    assert(code == glob->code + glob->last);
    return get_part(&code).gap <= (size_t)(end - at);
}

bool glob_matches(const struct glob *glob, struct bytes bytes) {
    if (bytes.len < glob->shortest || glob->hopeless) return false;
    if (!glob->starred && bytes.len > glob->shortest) return false;
    if (bytes.len == 0) return !glob->starred;
    const unsigned char *code = glob->code, *behind = glob->code + glob->last;
    struct part first = get_part(&code);
    assert(first.gap == 0);
    if (!is_at(&first, bytes.data, &code)) return false;
    if (!glob->starred) return true;
    struct part last = get_part(&behind);
    assert(first.elements + last.elements <= bytes.len);
    const char *end = bytes.data + bytes.len - last.elements;
    if (!is_at(&last, end, &behind)) return false;
    struct text text;
    text.bytes = bytes;
    text.counted = false;
    return find_all(glob, code, &text, bytes.data + first.elements, end);
}

bool glob_is_literal(struct bytes pattern) {
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.data[i];
        if (c == '*' || c == '?' || c == '[' || c == '\\') return false;
    }
    return true;
}
