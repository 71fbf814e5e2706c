/* value.h - a value on its way into an entry or out of it, whatever its type, and where its contents are. */
#ifndef KEVY_STORE_VALUES_VALUE_H
#define KEVY_STORE_VALUES_VALUE_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/number.h"
#include "store/memory/block.h"

/* Redis's numbers, which digests contain. 5 is for values of modules. */
enum entry_type { TYPE_STRING, TYPE_LIST, TYPE_SET, TYPE_ZSET, TYPE_HASH, TYPE_STREAM = 6, TYPES };

/* Small values are bytes, of any type: what the bytes mean is the type's business. Large ones of types with elements are
 * objects, of which the store knows the head alone (object.h). */
enum value_kind {
    VALUE_INLINE, /* bytes beside the key */
    VALUE_INT,    /* an integer, and stands for its decimal text; of strings alone */
    VALUE_BLOCK,  /* bytes in a block */
    VALUE_OBJECT,
};

struct value {
    enum entry_type type : 8;
    enum value_kind kind : 8;
    bool edited;        /* a mark of the type's own that stays with a value; strings: changed in place once */
    struct bytes bytes; /* of VALUE_INLINE alone */
    union {
        int64_t number;
        struct block *block;
        struct object *object;
    };
};
_Static_assert(sizeof(struct value) == 32, "a value is passed by value");

/* The string with these bytes, which are borrowed. Integers are recognised. */
static inline struct value value_of_bytes(struct bytes bytes) {
    struct value value = {.kind = VALUE_INLINE, .bytes = bytes};
    bool may_be_number = bytes.len > 0 && bytes.len < NUMBER_I64_MAX_LEN && bytes.data[0] <= '9';
    if (may_be_number && number_parse_i64(bytes, &value.number)) value.kind = VALUE_INT;
    return value;
}

struct object; /* object.h */
struct dead;

/* One more reference to a block or an object, for a value that shall hold one. */
void value_retain(const struct value *value);
/* Gives it back; an object that nobody holds any more is left to `dead`. */
void value_release(const struct value *value, struct dead *dead);

/* The bytes of VALUE_INLINE or VALUE_BLOCK. */
static inline struct bytes value_bytes(const struct value *value) {
    debug_assert(value->kind == VALUE_INLINE || value->kind == VALUE_BLOCK);
    return value->kind == VALUE_BLOCK ? block_bytes(value->block) : value->bytes;
}
/* The same of a string, whose integer is written to scratch (NUMBER_I64_MAX_LEN bytes). */
static inline struct bytes value_text(const struct value *value, char *scratch) {
    if (value->kind == VALUE_INT) return (struct bytes){scratch, number_format_i64(scratch, value->number)};
    return value_bytes(value);
}

#endif
