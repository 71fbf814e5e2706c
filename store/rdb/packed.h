/* packed.h - the strings of bytes in which Redis keeps, and RDB files hold, what small collections are made of.
 *
 *     ziplist    | bytes u32 | last element u32 | count u16 | { length of the one before | encoding | bytes } ... | ff |
 *     listpack   | bytes u32 | count u16 | { encoding | bytes | length of both, from behind } ... | ff |
 *     zipmap     | count u8 | { length | field | length | slack u8 | value | slack bytes } ... | ff |
 *     intset     | bytes of an integer u32 | count u32 | integers in order ... |
 *
 * All numbers are little-endian, but for the lengths of ziplists' strings. Counts of ffff, in a zipmap of fe,
 * say nothing. An encoding tells a string's length or an integer.
 *
 * The walk believes nothing: what it gives was checked, and lies within the string; it ends well only if the whole
 * string is consistent, the header with the elements and these among themselves. Elements that are the same are
 * the caller's business. */
#ifndef KEVY_STORE_RDB_PACKED_H
#define KEVY_STORE_RDB_PACKED_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/number.h"

enum packed_kind { PACKED_ZIPLIST, PACKED_LISTPACK, PACKED_ZIPMAP, PACKED_INTSET };

struct packed {
    enum packed_kind kind;
    struct bytes bytes;
    size_t at;       /* where the next element begins */
    size_t last;     /* where the one before begins */
    size_t width;    /* of an intset's integers */
    int64_t largest; /* of those that were seen */
    uint64_t count;  /* as the header tells it; UINT64_MAX where it does not */
    uint64_t seen;
};

/* Begins a walk over a string that stays. False: its header is wrong. */
bool packed_open(struct packed *packed, enum packed_kind kind, struct bytes bytes);

enum packed_next { PACKED_ELEMENT, PACKED_END, PACKED_CORRUPT };

/* The next element; integers as text in scratch, NUMBER_I64_MAX_LEN bytes, the others within the string. */
enum packed_next packed_next(struct packed *packed, char *scratch, struct bytes *element);

/* An element as it stands there. */
struct packed_element {
    struct bytes text; /* within the string; NULL: it is an integer */
    int64_t number;
};
/* The same as packed_next, but integers are left what they are. */
enum packed_next packed_take(struct packed *packed, struct packed_element *element);

/* Of a listpack: the elements that come next as long as they are strings of up to 63 bytes, `most` at most, within the
 * string. Returns how many; of other kinds there are none. */
unsigned packed_take_short(struct packed *packed, struct bytes *texts, unsigned most);

/* ---- Writing listpacks ---------------------------------------------------------------------------- */

enum { LISTPACK_HEAD = 6, LISTPACK_EDGE = 9, LISTPACK_COUNT_UNKNOWN = UINT16_MAX };

/* An element as a listpack has it: what is before the string's bytes, the bytes, what is behind. */
struct listpack_element {
    char head[LISTPACK_EDGE];
    char tail[5];
    uint8_t head_len, tail_len;
    struct bytes text; /* none where the head is an integer */
};
/* Integers are recognised. */
void listpack_element(struct listpack_element *element, struct bytes text);
static inline size_t listpack_element_len(const struct listpack_element *element) {
    return element->head_len + element->text.len + element->tail_len;
}
/* The header of a listpack with so many bytes in all, its end included. LISTPACK_HEAD bytes. */
void listpack_head(char *at, uint32_t bytes, uint64_t count);

#endif
