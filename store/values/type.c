/* type.c - the table of types. */
#include "store/values/type.h"

const struct type *const type_rows[TYPES] = {
    [TYPE_STRING] = &type_string, [TYPE_LIST] = &type_list, [TYPE_SET] = &type_set,
    [TYPE_ZSET] = &type_zset,     [TYPE_HASH] = &type_hash, [TYPE_STREAM] = &type_stream,
};
