/* packed.c - walks over ziplists, listpacks, zipmaps and intsets that nobody vouches for; and how
 * listpacks are written. */
#include "store/rdb/packed.h"

#include "protocol/assert.h"

enum {
    END = 0xff,
    ZIPLIST_HEAD = 10,
    ZIPLIST_FAR = 0xfe, /* a length of four bytes follows */
    ZIPMAP_HEAD = 1,
    ZIPMAP_LONG = 0xfe,
    INTSET_HEAD = 8,
};

static unsigned byte_at(const struct packed *packed, size_t at) {
    assert(at < packed->bytes.len);
    return (unsigned char)packed->bytes.data[at];
}
/* So many bytes, lowest first. */
static uint64_t low_first(const char *at, unsigned len) {
    uint64_t number = 0;
    for (unsigned i = 0; i < len; i++) number |= (uint64_t)(unsigned char)at[i] << 8 * i;
    return number;
}
static int64_t signed_low_first(const char *at, unsigned len) {
    uint64_t sign = 1ull << (8 * len - 1);
    return (int64_t)((low_first(at, len) ^ sign) - sign);
}
/* Bytes that are left, the end's own byte not counted. */
static size_t left_of(const struct packed *packed, size_t at) {
    assert(at < packed->bytes.len);
    return packed->bytes.len - 1 - at;
}

/* What an element's encoding says. */
struct encoding {
    size_t len;       /* of the encoding itself; 0: it is none, or not all there */
    size_t string;    /* bytes behind it */
    unsigned integer; /* or an integer of so many bytes behind it */
    bool is_string;
    int64_t number; /* or, with neither, this one */
};

static enum packed_next give_number(int64_t number, struct packed_element *element) {
    *element = (struct packed_element){.number = number};
    return PACKED_ELEMENT;
}

/* What stands at *at, which is where the encoding begins; it becomes the place behind it. */
static enum packed_next give(struct packed *packed, size_t *at, struct encoding encoding,
                             struct packed_element *element) {
    if (encoding.len == 0 || encoding.len > left_of(packed, *at)) return PACKED_CORRUPT;
    size_t body = encoding.is_string ? encoding.string : encoding.integer;
    if (body > left_of(packed, *at) - encoding.len) return PACKED_CORRUPT;
    const char *data = packed->bytes.data + *at + encoding.len;
    *at += encoding.len + body;
    if (encoding.is_string) {
        element->text = (struct bytes){data, encoding.string};
        return PACKED_ELEMENT;
    }
    return give_number(encoding.integer ? signed_low_first(data, encoding.integer) : encoding.number,
                       element);
}

/* ---- Ziplists ------------------------------------------------------------------------------------- */

static bool ziplist_open(struct packed *packed) {
    struct bytes bytes = packed->bytes;
    if (bytes.len < ZIPLIST_HEAD + 1 || low_first(bytes.data, 4) != bytes.len) return false;
    if (byte_at(packed, bytes.len - 1) != END || low_first(bytes.data + 4, 4) >= bytes.len) return false;
    uint64_t count = low_first(bytes.data + 8, 2);
    packed->count = count == UINT16_MAX ? UINT64_MAX : count;
    packed->at = packed->last = ZIPLIST_HEAD;
    return true;
}

static bool ziplist_ends_well(const struct packed *packed) {
    return packed->seen == 0 || low_first(packed->bytes.data + 4, 4) == packed->last;
}

static struct encoding ziplist_encoding(const struct packed *packed, size_t at) {
    size_t left = left_of(packed, at);
    const char *data = packed->bytes.data + at;
    unsigned first = byte_at(packed, at);
    if (first < 0x40) return (struct encoding){.len = 1, .is_string = true, .string = first};
    if (first < 0x80) {
        if (left < 2) return (struct encoding){0};
        return (struct encoding){
            .len = 2, .is_string = true, .string = (first & 0x3f) << 8 | byte_at(packed, at + 1)};
    }
    if (first < 0xc0) {
        if (left < 5) return (struct encoding){0};
        return (struct encoding){
            .len = 5, .is_string = true, .string = __builtin_bswap32((uint32_t)low_first(data + 1, 4))};
    }
    switch (first) {
    case 0xc0: return (struct encoding){.len = 1, .integer = 2};
    case 0xd0: return (struct encoding){.len = 1, .integer = 4};
    case 0xe0: return (struct encoding){.len = 1, .integer = 8};
    case 0xf0: return (struct encoding){.len = 1, .integer = 3};
    case 0xfe: return (struct encoding){.len = 1, .integer = 1};
    default:
        if (first < 0xf1 || first > 0xfd) return (struct encoding){0};
        return (struct encoding){.len = 1, .number = (int64_t)(first & 0xf) - 1};
    }
}

static enum packed_next ziplist_next(struct packed *packed, struct packed_element *element) {
    size_t at = packed->at, before = packed->seen ? at - packed->last : 0, stated = byte_at(packed, at++);
    if (stated == ZIPLIST_FAR) {
        if (left_of(packed, at) < 4) return PACKED_CORRUPT;
        stated = low_first(packed->bytes.data + at, 4);
        at += 4;
    }
    if (stated != before || left_of(packed, at) == 0) return PACKED_CORRUPT;
    enum packed_next next = give(packed, &at, ziplist_encoding(packed, at), element);
    if (next != PACKED_ELEMENT) return next;
    packed->last = packed->at;
    packed->at = at;
    return PACKED_ELEMENT;
}

/* ---- Listpacks ------------------------------------------------------------------------------------ */

static bool listpack_open(struct packed *packed) {
    struct bytes bytes = packed->bytes;
    if (bytes.len < LISTPACK_HEAD + 1 || low_first(bytes.data, 4) != bytes.len) return false;
    if (byte_at(packed, bytes.len - 1) != END) return false;
    uint64_t count = low_first(bytes.data + 4, 2);
    packed->count = count == LISTPACK_COUNT_UNKNOWN ? UINT64_MAX : count;
    packed->at = LISTPACK_HEAD;
    return true;
}

static struct encoding listpack_encoding(const struct packed *packed, size_t at) {
    size_t left = left_of(packed, at);
    unsigned first = byte_at(packed, at);
    if (first < 0x80) return (struct encoding){.len = 1, .number = first};
    if (first < 0xc0) return (struct encoding){.len = 1, .is_string = true, .string = first & 0x3f};
    if (first < 0xf0) {
        if (left < 2) return (struct encoding){0};
        unsigned low = byte_at(packed, at + 1);
        if (first >= 0xe0)
            return (struct encoding){.len = 2, .is_string = true, .string = (first & 0xf) << 8 | low};
        int64_t number = (first & 0x1f) << 8 | low;
        return (struct encoding){.len = 2, .number = number < 1 << 12 ? number : number - (1 << 13)};
    }
    switch (first) {
    case 0xf0:
        if (left < 5) return (struct encoding){0};
        return (struct encoding){
            .len = 5, .is_string = true, .string = low_first(packed->bytes.data + at + 1, 4)};
    case 0xf1: return (struct encoding){.len = 1, .integer = 2};
    case 0xf2: return (struct encoding){.len = 1, .integer = 3};
    case 0xf3: return (struct encoding){.len = 1, .integer = 4};
    case 0xf4: return (struct encoding){.len = 1, .integer = 8};
    default: return (struct encoding){0};
    }
}

/* In how many bytes an element's length is written behind it; each holds seven bits. */
static unsigned tail_len(size_t len) {
    return len < 128 ? 1 : len < 16383 ? 2 : len < 2097151 ? 3 : len < 268435455 ? 4 : 5;
}
/* The highest bits come first, and all bytes but the first say that there are more before them. */
static void put_tail(char *at, unsigned bytes, size_t len) {
    for (unsigned i = 0; i < bytes; i++)
        at[bytes - 1 - i] = (char)((len >> 7 * i & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
}

static enum packed_next listpack_next(struct packed *packed, struct packed_element *element) {
    size_t behind = packed->at;
    enum packed_next next = give(packed, &behind, listpack_encoding(packed, packed->at), element);
    if (next != PACKED_ELEMENT) return next;
    size_t len = behind - packed->at;
    unsigned bytes = tail_len(len);
    char tail[5];
    if (bytes > left_of(packed, behind)) return PACKED_CORRUPT;
    if (bytes == 1) { /* as a rule */
        if (byte_at(packed, behind) != len) return PACKED_CORRUPT;
    } else {
        put_tail(tail, bytes, len);
        if (memcmp(tail, packed->bytes.data + behind, bytes) != 0) return PACKED_CORRUPT;
    }
    packed->at = behind + bytes;
    return PACKED_ELEMENT;
}

/* ---- Zipmaps -------------------------------------------------------------------------------------- */

static bool zipmap_open(struct packed *packed) {
    struct bytes bytes = packed->bytes;
    if (bytes.len < ZIPMAP_HEAD + 1 || byte_at(packed, bytes.len - 1) != END) return false;
    unsigned count = byte_at(packed, 0);
    packed->count = count == ZIPMAP_LONG ? UINT64_MAX : 2 * count;
    packed->at = ZIPMAP_HEAD;
    return count > 0;
}

/* Fields and values in turns. */
static enum packed_next zipmap_next(struct packed *packed, struct packed_element *element) {
    size_t at = packed->at, len = byte_at(packed, at++), slack = 0;
    if (len == END) return PACKED_CORRUPT;
    if (len == ZIPMAP_LONG) {
        if (left_of(packed, at) < 4) return PACKED_CORRUPT;
        len = low_first(packed->bytes.data + at, 4);
        at += 4;
    }
    if (packed->seen % 2) {
        if (left_of(packed, at) == 0) return PACKED_CORRUPT;
        slack = byte_at(packed, at++);
    }
    if (len > left_of(packed, at) || slack > left_of(packed, at) - len) return PACKED_CORRUPT;
    element->text = (struct bytes){packed->bytes.data + at, len};
    packed->at = at + len + slack;
    return PACKED_ELEMENT;
}

/* ---- Intsets -------------------------------------------------------------------------------------- */

static bool intset_open(struct packed *packed) {
    struct bytes bytes = packed->bytes;
    if (bytes.len < INTSET_HEAD) return false;
    uint64_t width = low_first(bytes.data, 4), count = low_first(bytes.data + 4, 4);
    if (count == 0 || (width != 2 && width != 4 && width != 8)) return false;
    packed->width = width;
    packed->count = count;
    packed->at = INTSET_HEAD;
    return bytes.len == INTSET_HEAD + width * count;
}

static enum packed_next intset_next(struct packed *packed, struct packed_element *element) {
    int64_t number = signed_low_first(packed->bytes.data + packed->at, (unsigned)packed->width);
    if (packed->seen && number <= packed->largest) return PACKED_CORRUPT;
    packed->largest = number;
    packed->at += packed->width;
    return give_number(number, element);
}

/* ---- All of them ---------------------------------------------------------------------------------- */

bool packed_open(struct packed *packed, enum packed_kind kind, struct bytes bytes) {
    *packed = (struct packed){.kind = kind, .bytes = bytes};
    switch (kind) {
    case PACKED_ZIPLIST: return ziplist_open(packed);
    case PACKED_LISTPACK: return listpack_open(packed);
    case PACKED_ZIPMAP: return zipmap_open(packed);
    default: return intset_open(packed);
    }
}

/* No element begins here: is that as it should be? */
static enum packed_next end_of(const struct packed *packed, size_t end) {
    bool counted = packed->count == UINT64_MAX || packed->count == packed->seen;
    if (packed->at != end || !counted) return PACKED_CORRUPT;
    if (packed->kind == PACKED_ZIPLIST && !ziplist_ends_well(packed)) return PACKED_CORRUPT;
    return packed->kind == PACKED_ZIPMAP && packed->seen % 2 ? PACKED_CORRUPT : PACKED_END;
}

enum packed_next packed_take(struct packed *packed, struct packed_element *element) {
    size_t end = packed->kind == PACKED_INTSET ? packed->bytes.len : packed->bytes.len - 1;
    enum packed_next next;
    assert(packed->at <= end);
    if (packed->at == end || (packed->kind != PACKED_INTSET && byte_at(packed, packed->at) == END))
        return end_of(packed, end);
    switch (packed->kind) {
    case PACKED_ZIPLIST: next = ziplist_next(packed, element); break;
    case PACKED_LISTPACK: next = listpack_next(packed, element); break;
    case PACKED_ZIPMAP: next = zipmap_next(packed, element); break;
    default: next = intset_next(packed, element); break;
    }
    if (next == PACKED_ELEMENT) packed->seen++;
    return next;
}

unsigned packed_take_short(struct packed *packed, struct bytes *texts, unsigned most) {
    if (packed->kind != PACKED_LISTPACK) return 0;
    assert(packed->at < packed->bytes.len);
    const char *at = packed->bytes.data + packed->at, *end = packed->bytes.data + packed->bytes.len - 1;
    unsigned count = 0;
    for (; count < most && at < end; count++) {
        unsigned head = (unsigned char)*at, len = head & 0x3f;
        if (head >> 6 != 2 || end - at < len + 2 || (unsigned char)at[len + 1] != len + 1) break;
        texts[count] = (struct bytes){at + 1, len};
        at += len + 2;
    }
    assert(at <= end);
    packed->at = (size_t)(at - packed->bytes.data);
    packed->seen += count;
    return count;
}

enum packed_next packed_next(struct packed *packed, char *scratch, struct bytes *element) {
    struct packed_element taken;
    enum packed_next next = packed_take(packed, &taken);
    if (next != PACKED_ELEMENT) return next;
    *element = taken.text;
    if (taken.text.data == NULL) *element = (struct bytes){scratch, number_format_i64(scratch, taken.number)};
    return next;
}

/* ---- Writing listpacks ---------------------------------------------------------------------------- */

static void put_low_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * i);
}

static unsigned put_number(char *at, int64_t number) {
    if (number >= 0 && number < 128) {
        at[0] = (char)number;
        return 1;
    }
    if (number >= -(1 << 12) && number < 1 << 12) {
        at[0] = (char)(0xc0 | (number >> 8 & 0x1f));
        at[1] = (char)number;
        return 2;
    }
    unsigned len = number >= INT16_MIN && number <= INT16_MAX   ? 2
                   : number >= -(1 << 23) && number < 1 << 23   ? 3
                   : number >= INT32_MIN && number <= INT32_MAX ? 4
                                                                : 8;
    at[0] = (char)(len == 2 ? 0xf1 : len == 3 ? 0xf2 : len == 4 ? 0xf3 : 0xf4);
    put_low_first(at + 1, (uint64_t)number, len);
    return 1 + len;
}

static unsigned put_string_head(char *at, size_t len) {
    assert(len <= UINT32_MAX);
    if (len < 1 << 6) {
        at[0] = (char)(0x80 | len);
        return 1;
    }
    if (len < 1 << 12) {
        at[0] = (char)(0xe0 | len >> 8);
        at[1] = (char)len;
        return 2;
    }
    at[0] = (char)0xf0;
    put_low_first(at + 1, len, 4);
    return 5;
}

void listpack_element(struct listpack_element *element, struct bytes text) {
    int64_t number;
    bool is_number = text.len < NUMBER_I64_MAX_LEN && number_parse_i64(text, &number);
    element->text = is_number ? BYTES("") : text;
    element->head_len =
        (uint8_t)(is_number ? put_number(element->head, number) : put_string_head(element->head, text.len));
    size_t len = element->head_len + element->text.len;
    element->tail_len = (uint8_t)tail_len(len);
    put_tail(element->tail, element->tail_len, len);
}

void listpack_head(char *at, uint32_t bytes, uint64_t count) {
    put_low_first(at, bytes, 4);
    put_low_first(at + 4, count < LISTPACK_COUNT_UNKNOWN ? count : LISTPACK_COUNT_UNKNOWN, 2);
}
