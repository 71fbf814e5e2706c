/* value.c - what values are made from, and what they hold on to. */
#include "store/values/value.h"

#include "store/values/object.h"

struct value value_of_bytes(struct bytes bytes) {
    struct value value = {.kind = VALUE_INLINE, .bytes = bytes};
    bool may_be_number = bytes.len > 0 && bytes.len < NUMBER_I64_MAX_LEN && bytes.data[0] <= '9';
    if (may_be_number && number_parse_i64(bytes, &value.number)) value.kind = VALUE_INT;
    return value;
}

void value_retain(const struct value *value) {
    if (value->kind == VALUE_BLOCK) block_retain(value->block);
    if (value->kind == VALUE_OBJECT) object_retain(value->object);
}

void value_release(const struct value *value, struct dead *dead) {
    if (value->kind == VALUE_BLOCK) block_release(value->block);
    if (value->kind == VALUE_OBJECT) object_release(value->object, dead);
}
