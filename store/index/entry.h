/* entry.h - a key and its value: one allocation for a small pair.
 *
 *      0        3        4         6         8                     (+16)
 *      +--------+--------+---------+---------+---------------------+-----+-------+
 *      | access | kinds  | key len | val len | expiry record (opt) | key | value |
 *      +--------+--------+---------+---------+---------------------+-----+-------+
 *
 * access      24 bits: when the entry was last used (LRU), or how often (LFU); the server's business
 * val len     12 bits, and 4 of a stamp: which snapshot has it, or was on its way when it was made (snapshot.h)
 * value       the bytes themselves, an int64, or a pointer to a block or an object (which val len then measures)
 * A key of more than ENTRY_KEY_INLINE_MAX bytes is a pointer to a block too.
 *
 * Elements of an object may expire by themselves. Then the entry is timed: the key's own expiry, or 0, stands behind the
 * pointer, and the expiry record says what is due first of that and the elements.
 *
 * Invariants:
 *   1. The stored bytes of a key are at most ENTRY_KEY_INLINE_MAX; a key in a block is longer than that.
 *   2. Stored bytes of a value: VALUE_INLINE at most ENTRY_VALUE_INLINE_MAX, the others 8, a timed object
 *      ENTRY_TIMED_LEN. A value in a block is longer than ENTRY_VALUE_INLINE_MAX.
 *   3. An entry has an expiry record exactly when it expires or is timed, and what that says is above 0.
 *   4. Its slab object is of the class of entry_size. */
#ifndef KEVY_STORE_INDEX_ENTRY_H
#define KEVY_STORE_INDEX_ENTRY_H

#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/bytes.h"
#include "protocol/load.h"
#include "protocol/number.h"
#include "store/values/object.h"
#include "store/values/value.h"

struct entry; /* the layout is in the second half of this header, for the inline accessors alone */

/* ---- Accessors ------------------------------------------------------------------------------------ */
static inline enum entry_type entry_type(const struct entry *e);
static inline struct bytes entry_key(const struct entry *e);
/* Absolute Unix milliseconds, or 0 for none: of the key. */
static inline int64_t entry_expiry(const struct entry *e);
static inline bool entry_expired(const struct entry *e, int64_t now_ms); /* expiry != 0 && expiry <= now */
/* Has the time come for the key, or for elements of its value? A short answer to the usual question: most often it is no. */
static inline bool entry_is_due(const struct entry *e, int64_t now_ms);
/* Can elements of its value expire by themselves? */
static inline bool entry_timed(const struct entry *e);

static inline uint32_t entry_access(const struct entry *e);
static inline void entry_set_access(struct entry *e, uint32_t access24);

/* The value as it stands there: what it refers to is the entry's, and is valid until the next change. */
static inline struct value entry_value(const struct entry *e);
/* An object, or NULL. */
static inline struct object *entry_object(const struct entry *e);

/* ---- Strings -------------------------------------------------------------------------------------- */
/* The value as bytes; integers are written to scratch (NUMBER_I64_MAX_LEN bytes). Valid until the next change. */
static inline struct bytes entry_string(const struct entry *e, char *scratch);
static inline size_t entry_string_len(const struct entry *e);
/* Is it a string whose bytes lie in the entry? */
static inline bool entry_is_short_string(const struct entry *e);
/* The same of a value of any type that is no object. */
static inline struct bytes entry_bytes(const struct entry *e, char *scratch);
/* Is it stored as an integer? Sets *number. */
static inline bool entry_int(const struct entry *e, int64_t *number);
/* Overwrites the number of an entry for which entry_int said true: no allocation, the expiry stays. Preimage
 * hooks are the business of keyspace_set_int (change.h), which calls this. */
static inline void entry_set_int(struct entry *e, int64_t number);
/* The block of a large value, or NULL: retain it to send it without copying. */
static inline struct block *entry_block(const struct entry *e);

/* ---- Layout --------------------------------------------------------------------------------------- */
enum {
    ENTRY_KEY_INLINE_MAX = 4096,
    ENTRY_VALUE_INLINE_MAX = 4072, /* header, expiry, longest key and longest value fill one slab object */
    ENTRY_TIMED_LEN = 16,          /* a pointer to an object, and the key's own expiry */
    ENTRY_STAMPS = 16,             /* different stamps */
};

/* A place in a doubly linked list, by handles of links (arena.h). */
struct link {
    uint32_t prev, next;
};

struct entry_expiry_record {
    int64_t expiry_ms;
    struct link link; /* expiry.h */
};

struct entry {
    uint32_t access : 24;
    uint32_t type : 3;         /* enum entry_type */
    uint32_t kind : 2;         /* enum value_kind */
    uint32_t expires : 1;      /* has an expiry record */
    uint32_t edited : 1;       /* as in struct value */
    uint32_t key_in_block : 1; /* the key is a pointer */
    uint16_t key_len;          /* bytes here: of the key, or of the pointer to it */
    uint16_t value_len : 12;   /* bytes here: of the value, the integer or the pointer */
    uint16_t stamp : 4;        /* snapshot.h */
    char payload[];
};
_Static_assert(TYPES <= 8 && VALUE_OBJECT < 4, "kinds fit");
_Static_assert(sizeof(struct entry) == 8, "a 16-byte key with a 16-byte value takes 40 bytes");
_Static_assert(sizeof(struct entry_expiry_record) == 16, "and 16 more with an expiry");
_Static_assert(ENTRY_KEY_INLINE_MAX <= UINT16_MAX && ENTRY_VALUE_INLINE_MAX < 1 << 12, "lengths fit");

static inline size_t entry_size_of(bool expires, size_t key_len, size_t value_len) {
    return sizeof(struct entry) + (expires ? sizeof(struct entry_expiry_record) : 0) + key_len + value_len;
}
static inline size_t entry_size(const struct entry *e) {
    return entry_size_of(e->expires, e->key_len, e->value_len);
}

static inline struct entry_expiry_record *entry_expiry_record(const struct entry *e) {
    debug_assert(e->expires); /* 3 */
    return (struct entry_expiry_record *)(uintptr_t)e->payload;
}
/* Where the stored bytes of key and value begin. */
static inline char *entry_key_at(const struct entry *e) {
    return (char *)(uintptr_t)e->payload + (e->expires ? sizeof(struct entry_expiry_record) : 0);
}
static inline char *entry_value_at(const struct entry *e) {
    return entry_key_at(e) + e->key_len;
}

static inline void *entry_pointer_at(const char *at) {
    void *pointer;
    memcpy(&pointer, at, sizeof pointer);
    return pointer;
}
static inline struct block *entry_key_block(const struct entry *e) {
    debug_assert(!e->key_in_block || e->key_len == sizeof(struct block *)); /* 1 */
    return e->key_in_block ? entry_pointer_at(entry_key_at(e)) : NULL;
}

/* Do these begin with the same bytes, 4 to 16 of them? */
static inline bool entry_same_short(const char *a, const char *b, size_t len) {
    debug_assert(len >= 4 && len <= 16);
    if (len >= 8) return ((load_u64(a) ^ load_u64(b)) | (load_u64(a + len - 8) ^ load_u64(b + len - 8))) == 0;
    return ((load_u32(a) ^ load_u32(b)) | (load_u32(a + len - 4) ^ load_u32(b + len - 4))) == 0;
}
/* Is the key these bytes? True only of a key of 4 to 16 bytes, as most are: it takes no call to compare these. */
static inline bool entry_has_short_key(const struct entry *e, struct bytes name) {
    return e->key_len == name.len && name.len - 4 <= 12 && !e->key_in_block &&
           entry_same_short(entry_key_at(e), name.data, name.len);
}
/* Is the key these bytes? */
static inline bool entry_has_key(const struct entry *e, struct bytes name) {
    if (e->key_in_block) return bytes_equal(block_bytes(entry_key_block(e)), name);
    if (e->key_len != name.len) return false;
    if (name.len - 4 <= 12) return entry_same_short(entry_key_at(e), name.data, name.len);
    return name.len == 0 || memcmp(entry_key_at(e), name.data, name.len) == 0;
}

/* ---- Definitions of the above --------------------------------------------------------------------- */
static inline enum entry_type entry_type(const struct entry *e) {
    return (enum entry_type)e->type;
}

static inline struct bytes entry_key(const struct entry *e) {
    if (e->key_in_block) return block_bytes(entry_key_block(e));
    return (struct bytes){entry_key_at(e), e->key_len};
}

static inline bool entry_timed(const struct entry *e) {
    return e->kind == VALUE_OBJECT && e->value_len == ENTRY_TIMED_LEN;
}
static inline int64_t entry_expiry(const struct entry *e) {
    if (!e->expires) return 0;
    if (__builtin_expect(!entry_timed(e), 1)) return entry_expiry_record(e)->expiry_ms;
    return (int64_t)load_u64(entry_value_at(e) + sizeof(struct object *));
}
static inline bool entry_is_due(const struct entry *e, int64_t now_ms) {
    return e->expires && entry_expiry_record(e)->expiry_ms <= now_ms;
}
static inline bool entry_expired(const struct entry *e, int64_t now_ms) {
    return entry_is_due(e, now_ms) && (!entry_timed(e) || (entry_expiry(e) > 0 && entry_expiry(e) <= now_ms));
}

static inline uint32_t entry_access(const struct entry *e) {
    return e->access;
}
static inline void entry_set_access(struct entry *e, uint32_t access24) {
    e->access = access24 & 0xffffff;
}

static inline struct block *entry_block(const struct entry *e) {
    debug_assert(e->kind != VALUE_BLOCK || e->value_len == sizeof(struct block *)); /* 2 */
    return e->kind == VALUE_BLOCK ? entry_pointer_at(entry_value_at(e)) : NULL;
}

static inline struct object *entry_object(const struct entry *e) {
    debug_assert(e->kind != VALUE_OBJECT || entry_timed(e) ||
                 e->value_len == sizeof(struct object *)); /* 2 */
    return e->kind == VALUE_OBJECT ? entry_pointer_at(entry_value_at(e)) : NULL;
}

static inline bool entry_int(const struct entry *e, int64_t *number) {
    if (e->kind != VALUE_INT) return false;
    debug_assert(e->value_len == sizeof *number); /* 2 */
    memcpy(number, entry_value_at(e), sizeof *number);
    return true;
}
static inline void entry_set_int(struct entry *e, int64_t number) {
    debug_assert(e->kind == VALUE_INT && e->value_len == sizeof number); /* 2 */
    memcpy(entry_value_at(e), &number, sizeof number);
}

static inline bool entry_is_short_string(const struct entry *e) {
    return e->type == TYPE_STRING && e->kind == VALUE_INLINE;
}
static inline struct bytes entry_bytes(const struct entry *e, char *scratch) {
    int64_t number;
    debug_assert(e->kind != VALUE_OBJECT);
    if (e->kind == VALUE_INLINE) return (struct bytes){entry_value_at(e), e->value_len};
    if (entry_int(e, &number)) return (struct bytes){scratch, number_format_i64(scratch, number)};
    return block_bytes(entry_block(e));
}
static inline struct bytes entry_string(const struct entry *e, char *scratch) {
    debug_assert(e->type == TYPE_STRING);
    return entry_bytes(e, scratch);
}

static inline struct value entry_value(const struct entry *e) {
    struct value value = {.type = entry_type(e), .kind = (enum value_kind)e->kind, .edited = e->edited};
    if (e->kind == VALUE_INLINE) value.bytes = (struct bytes){entry_value_at(e), e->value_len};
    if (e->kind == VALUE_BLOCK) value.block = entry_block(e);
    if (e->kind == VALUE_OBJECT) value.object = entry_object(e);
    (void)entry_int(e, &value.number);
    return value;
}

static inline size_t entry_string_len(const struct entry *e) {
    char scratch[NUMBER_I64_MAX_LEN];
    return entry_string(e, scratch).len;
}

#endif
