/* value.c - what values are made from, and what they hold on to. */
#include "store/values/value.h"

#include "store/values/object.h"

void value_retain(const struct value *value) {
    if (value->kind == VALUE_BLOCK) block_retain(value->block);
    if (value->kind == VALUE_OBJECT) object_retain(value->object);
}

void value_release(const struct value *value, struct dead *dead) {
    if (value->kind == VALUE_BLOCK) block_release(value->block);
    if (value->kind == VALUE_OBJECT) object_release(value->object, dead);
}
