/* entry.h - a key and its value: one allocation for a small pair.
 *
 *      0        3        4         6         8
 *      +--------+--------+---------+---------+---------------------+-----+-------+
 *      | access | kinds  | key len | val len | expiry record (opt) | key | value |
 *      +--------+--------+---------+---------+---------------------+-----+-------+
 *
 * access      24 bits: when the entry was last used (LRU), or how often (LFU); the server's business
 * value       the bytes themselves, an int64, or a pointer to a block
 * A key of more than ENTRY_KEY_INLINE_MAX bytes is a pointer to a block too. */
#ifndef KEVY_STORE_ENTRY_H
#define KEVY_STORE_ENTRY_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/number.h"
#include "store/block.h"

enum entry_type { TYPE_STRING, TYPE_LIST, TYPE_SET, TYPE_ZSET, TYPE_HASH, TYPE_STREAM };

struct entry; /* the layout is in the second half of this header, for the inline accessors alone */

/* ---- Accessors --------------------------------------------------------------------------------------------------- */
static inline enum entry_type entry_type(const struct entry *e);
static inline struct bytes entry_key(const struct entry *e);
/* Absolute Unix milliseconds, or 0 for none. */
static inline int64_t entry_expiry(const struct entry *e);
static inline bool entry_expired(const struct entry *e, int64_t now_ms); /* expiry != 0 && expiry <= now */

static inline uint32_t entry_access(const struct entry *e);
static inline void entry_set_access(struct entry *e, uint32_t access24);

/* ---- Strings ------------------------------------------------------------------------------------------------------ */
/* The value as bytes; integers are written to scratch (NUMBER_I64_MAX_LEN bytes). Valid until the next change. */
static inline struct bytes entry_string(const struct entry *e, char *scratch);
static inline size_t entry_string_len(const struct entry *e);
/* Is it stored as an integer? Sets *number. */
static inline bool entry_int(const struct entry *e, int64_t *number);
/* Overwrites the number of an entry for which entry_int said true: no allocation, the expiry stays. Preimage hooks are
 * the business of keyspace_set_int (keyspace.h), which calls this. */
static inline void entry_set_int(struct entry *e, int64_t number);
/* The block of a large value, or NULL: retain it to send it without copying. */
static inline struct block *entry_block(const struct entry *e);
/* "int", "embstr" (up to 44 bytes, as Redis) or "raw". */
const char *entry_encoding_name(const struct entry *e);

#endif
