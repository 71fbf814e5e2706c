/* string.c - the row of strings. They have no elements and need no objects: bytes, or the integer that they are the text
 * of. A dump is what an RDB file holds of a string. */
#include "protocol/assert.h"
#include "store/rdb/rdb.h"
#include "store/rdb/writer.h"
#include "store/values/load.h"

enum { EMBSTR_MAX = 44 }; /* what Redis keeps in one allocation with its head */

static const char *encoding(const struct value *value) {
    if (value->kind == VALUE_INT) return "int";
    return value->kind == VALUE_INLINE && !value->edited && value->bytes.len <= EMBSTR_MAX ? "embstr" : "raw";
}

static uint64_t count(const struct value *value) {
    assert(value->kind != VALUE_OBJECT);
    return 1;
}

static void digest(const struct value *value, struct digest *digest) {
    char scratch[NUMBER_I64_MAX_LEN];
    digest_mix(digest, value_text(value, scratch));
}

/* ---- Dumping -------------------------------------------------------------------------------------- */

/* Where the bytes begin that were not written yet; and that their length was. */
enum { WRITTEN, BEGUN };

static bool begin_dump(const struct value *value, struct bytes text, struct sink *sink, bool *whole) {
    char head[RDB_LEN_MAX];
    size_t len = value->kind == VALUE_INT ? rdb_put_int(head, value->number) : 0;
    *whole = len > 0;
    if (!*whole) len = rdb_put_len(head, text.len);
    return sink->write(sink, (struct bytes){head, len});
}

static enum dumped dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct bytes text = value_text(value, scratch);
    assert(budget > 0 && cursor->words[WRITTEN] <= text.len);
    if (sink->compressor && text.len <= RDB_COMPRESSED_MAX)
        return rdb_write_text(sink, sink->compressor, text) ? DUMP_DONE : DUMP_FAILED;
    if (!cursor->words[BEGUN]) {
        bool whole;
        if (!begin_dump(value, text, sink, &whole)) return DUMP_FAILED;
        if (whole) return DUMP_DONE;
        cursor->words[BEGUN] = true;
    }
    size_t at = cursor->words[WRITTEN], len = text.len - at < budget ? text.len - at : budget;
    if (len && !sink->write(sink, (struct bytes){text.data + at, len})) return DUMP_FAILED;
    cursor->words[WRITTEN] += len;
    return at + len == text.len ? DUMP_DONE : DUMP_MORE;
}

/* ---- Loading -------------------------------------------------------------------------------------- */

static enum rdb_type form(const struct value *value) {
    (void)value;
    return RDB_TYPE_STRING;
}

static enum rdb_answer load(struct loading *loading, const struct rdb_element *element) {
    struct bytes text = element->name;
    struct value *value = &loading->value;
    *value = value_of_bytes(text);
    if (value->kind == VALUE_INT) return RDB_TAKEN;
    if (text.len <= sizeof loading->bytes) {
        if (text.len) memcpy(loading->bytes, text.data, text.len);
        value->bytes.data = loading->bytes;
        return RDB_TAKEN;
    }
    struct block *block = block_of(text);
    *value = block ? (struct value){.kind = VALUE_BLOCK, .block = block} : (struct value){0};
    return block ? RDB_TAKEN : RDB_NO_ROOM;
}

const struct type type_string = {.name = "string",
                                 .number = TYPE_STRING,
                                 .keeps_empty = true,
                                 .encoding = encoding,
                                 .count = count,
                                 .digest = digest,
                                 .dump = dump,
                                 .form = form,
                                 .load = load};
