/* stream_entry.h - how an entry of a stream is written: its fields and their values, one string of bytes.
 *
 * Most entries of a stream have the same fields. So a stream knows the lists of fields that its entries have had, up to
 * STREAM_NAMES_MOST of them, and an entry names its list by one byte:
 *
 *     entry | number u8, above 0 | { len | value } for each field of the list |
 *     entry | 0 | count of fields | { len | field | len | value } ... |                 of a list that is not known
 *     names | count u16 | offset u16 x count | list ... |                               a block, which never changes
 *     list  | bytes behind this head u16 | count of fields u16 | { len | field } ... |
 *
 * A len is a number in groups of seven bits, the lowest first. The last value of an entry has none: it is what is left. */
#ifndef KEVY_STORE_TYPES_STREAM_ENTRY_H
#define KEVY_STORE_TYPES_STREAM_ENTRY_H

#include "store/memory/block.h"

struct stream_id {
    uint64_t ms, sequence;
};
#define STREAM_ID_MAX ((struct stream_id){UINT64_MAX, UINT64_MAX})

/* < 0, 0 or > 0. */
static inline int stream_id_compare(struct stream_id a, struct stream_id b) {
    if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
    return (a.sequence > b.sequence) - (a.sequence < b.sequence);
}
static inline bool stream_id_is_zero(struct stream_id id) {
    return (id.ms | id.sequence) == 0;
}
/* The next number and the one before it. False if there is none, and then the number stays what it is. */
bool stream_id_next(struct stream_id *id);
bool stream_id_previous(struct stream_id *id);

/* Fields and values in turn: `count` pairs. */
struct stream_pairs {
    const struct bytes *list;
    uint32_t count;
};

enum {
    STREAM_NAMES_MOST = 255,        /* lists of fields that a stream knows */
    STREAM_NAMES_BYTES_MOST = 4096, /* that these take together */
    STREAM_LEN_MOST = 10,           /* bytes of a number */
};
/* Bytes of one entry, about: Redis takes no longer one. */
#define STREAM_ENTRY_MOST ((size_t)1 << 30)

/* The number of the list that these fields are, from 1 on; it is likely to be `likely`. 0: it is not known. There may be no
 * names at all yet. */
unsigned stream_names_find(const struct block *names, const struct stream_pairs *pairs, unsigned likely);
/* Makes this list known, which is not known yet: a new block, whose last list it is. NULL if there is no room for it, or no
 * memory; then its entries have their fields with them. */
struct block *stream_names_add(const struct block *names, const struct stream_pairs *pairs);
static inline unsigned stream_names_count(const struct block *names) {
    uint16_t count = 0;
    if (names) memcpy(&count, names->data, sizeof count);
    return count;
}

/* Bytes of all fields and values; SIZE_MAX where these are too many to count. */
size_t stream_pairs_bytes(const struct stream_pairs *pairs);
/* Bytes of the entry with these pairs, whose list of fields has this number, or 0; and the entry itself. */
size_t stream_entry_len(const struct stream_pairs *pairs, unsigned number);
void stream_entry_write(char *at, const struct stream_pairs *pairs, unsigned number);

/* A walk over the pairs of an entry, which lie in it and in the names. */
struct stream_fields {
    uint64_t left;       /* pairs */
    unsigned number;     /* of the list, or 0 */
    struct bytes names;  /* what is left of the list */
    struct bytes values; /* what is left of the entry */
};
struct stream_fields stream_fields(struct bytes entry, const struct block *names);
bool stream_fields_next(struct stream_fields *fields, struct bytes *field, struct bytes *value);
/* A walk over the fields of the list with this number, which have no values. */
struct stream_fields stream_names_list(const struct block *names, unsigned number);
bool stream_names_next(struct stream_fields *fields, struct bytes *field);

#endif
