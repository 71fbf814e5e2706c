/* entry.c - the names of string encodings. */
#include "store/index/entry.h"

const char *entry_encoding_name(const struct entry *e) {
    if (e->kind == ENTRY_INT) return "int";
    return e->kind == ENTRY_INLINE && !e->edited && e->value_len <= ENTRY_EMBSTR_MAX ? "embstr" : "raw";
}
