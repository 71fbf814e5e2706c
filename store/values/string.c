/* string.c - the row of strings. They have no elements and need no objects: bytes, or the integer that they are the text
 * of. A dump is what an RDB file holds of a string, never compressed. */
#include "protocol/assert.h"
#include "store/rdb/rdb.h"
#include "store/values/type.h"

enum {
    EMBSTR_MAX = 44, /* what Redis keeps in one allocation with its head */
    GATHERED_MAX =
        65536, /* a string up to this length is loaded when all of it has come, a longer one as it comes */
};

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

/* Bytes of the block that were filled. */
enum { FILLED };

static enum loaded fill(struct loading *loading, struct bytes *input) {
    struct block *block = loading->value.block;
    uint64_t *filled = &loading->cursor.words[FILLED];
    assert(*filled <= block->len);
    size_t len = block->len - *filled < input->len ? block->len - *filled : input->len;
    if (len) memcpy(block->data + *filled, input->data, len);
    *filled += len;
    *input = (struct bytes){input->data + len, input->len - len};
    return *filled == block->len ? LOAD_DONE : LOAD_MORE;
}

/* The length has come, and `rest` is what is there behind it. A length alone takes no memory that is written to. */
static enum loaded load_bytes(struct loading *loading, struct bytes *input, struct bytes rest, uint64_t len) {
    if (len > loading->max_bytes) return LOAD_CORRUPT;
    if (len <= rest.len) {
        loading->value = value_of_bytes((struct bytes){rest.data, len});
        *input = (struct bytes){rest.data + len, rest.len - len};
        return LOAD_DONE;
    }
    if (len <= GATHERED_MAX) return LOAD_MORE;
    struct block *block = block_new(len, len);
    if (block == NULL) return LOAD_NO_MEMORY;
    loading->value = (struct value){.kind = VALUE_BLOCK, .block = block};
    *input = rest;
    return fill(loading, input);
}

static enum loaded load(struct loading *loading, struct bytes *input) {
    if (loading->value.kind == VALUE_BLOCK) return fill(loading, input);
    struct bytes rest = *input;
    uint64_t len;
    int64_t number;
    switch (rdb_take(&rest, &len, &number)) {
    case RDB_SHORT: return LOAD_MORE;
    case RDB_LEN: return load_bytes(loading, input, rest, len);
    case RDB_INT:
        loading->value = (struct value){.kind = VALUE_INT, .number = number};
        *input = rest;
        return LOAD_DONE;
    default: return LOAD_CORRUPT;
    }
}

const struct type type_string = {.name = "string",
                                 .number = TYPE_STRING,
                                 .keeps_empty = true,
                                 .encoding = encoding,
                                 .count = count,
                                 .digest = digest,
                                 .dump = dump,
                                 .load = load};
