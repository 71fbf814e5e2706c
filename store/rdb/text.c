/* text.c - strings, in pieces. */
#include "store/rdb/text.h"

#include "store/rdb/lzf.h"

/* The first byte, and a length or an integer with it. */
static enum rdb_text_read read_begin(struct rdb_text *text, struct bytes *input) {
    int64_t number;
    switch (rdb_take(input, &text->len, &number)) {
    case RDB_SHORT: return TEXT_MORE;
    case RDB_LEN: text->packed_len = text->len; return TEXT_DONE;
    case RDB_COMPRESSED: text->compressed = true; return TEXT_DONE;
    case RDB_INT:
        text->bytes = (struct bytes){text->number, number_format_i64(text->number, number)};
        text->step = TEXT_WHOLE;
        return TEXT_DONE;
    default: return TEXT_CORRUPT;
    }
}

static enum rdb_text_read read_len(struct bytes *input, uint64_t *len) {
    int64_t number;
    enum rdb_taken taken = rdb_take(input, len, &number);
    return taken == RDB_LEN ? TEXT_DONE : taken == RDB_SHORT ? TEXT_MORE : TEXT_CORRUPT;
}

/* May so many bytes be what so many compressed ones become? */
static bool pays(uint64_t packed_len, uint64_t len) {
    return packed_len > 0 && (len + LZF_GAIN_MAX - 1) / LZF_GAIN_MAX <= packed_len;
}

static enum rdb_text_read check_lens(const struct rdb_text *text, uint64_t max_bytes) {
    if (text->len > max_bytes || text->packed_len > max_bytes) return TEXT_CORRUPT;
    return !text->compressed || pays(text->packed_len, text->len) ? TEXT_DONE : TEXT_CORRUPT;
}

/* All bytes are there, in the input or in `packed`. */
static enum rdb_text_read finish(struct rdb_text *text, struct bytes packed) {
    text->step = TEXT_WHOLE;
    text->bytes = packed;
    if (!text->compressed) return TEXT_DONE;
    text->plain = block_new(text->len, text->len);
    if (text->plain == NULL) return TEXT_NO_MEMORY;
    if (!lzf_decompress(packed, text->plain->data, text->len)) return TEXT_CORRUPT;
    text->bytes = block_bytes(text->plain);
    if (text->packed) block_release(text->packed);
    text->packed = NULL;
    return TEXT_DONE;
}

static enum rdb_text_read read_bytes(struct rdb_text *text, struct bytes *input, bool more) {
    size_t left = text->packed_len - text->filled, len = left < input->len ? left : input->len;
    struct bytes part = {input->data, len};
    if (len < left && !more) return TEXT_CORRUPT;
    if (text->packed == NULL && len == left) {
        *input = (struct bytes){input->data + len, input->len - len};
        return finish(text, part);
    }
    if (text->packed == NULL) text->packed = block_new(text->packed_len, text->packed_len);
    if (text->packed == NULL) return TEXT_NO_MEMORY;
    if (len) memcpy(text->packed->data + text->filled, part.data, len);
    text->filled += len;
    assert(text->filled <= text->packed->len);
    *input = (struct bytes){input->data + len, input->len - len};
    return len == left ? finish(text, block_bytes(text->packed)) : TEXT_MORE;
}

enum rdb_text_read rdb_text_read(struct rdb_text *text, struct bytes *input, bool more, uint64_t max_bytes) {
    while (text->step != TEXT_WHOLE) {
        enum rdb_text_read read = TEXT_DONE;
        enum rdb_text_step next = text->step + 1;
        switch (text->step) {
        case TEXT_BEGINS:
            read = read_begin(text, input);
            if (text->step == TEXT_WHOLE) return read;
            if (!text->compressed) next = TEXT_BYTES;
            break;
        case TEXT_PACKED_LEN: read = read_len(input, &text->packed_len); break;
        case TEXT_LEN: read = read_len(input, &text->len); break;
        default: return read_bytes(text, input, more);
        }
        if (read == TEXT_DONE && next == TEXT_BYTES) read = check_lens(text, max_bytes);
        if (read != TEXT_DONE) return read == TEXT_MORE && !more ? TEXT_CORRUPT : read;
        text->step = next;
    }
    return TEXT_DONE;
}

bool rdb_text_keep(struct rdb_text *text) {
    assert(text->step == TEXT_WHOLE);
    bool kept = text->packed || text->plain || text->bytes.data == text->number;
    if (kept) return true;
    text->packed = block_of(text->bytes);
    if (text->packed) text->bytes = block_bytes(text->packed);
    return text->packed != NULL;
}

void rdb_text_drop(struct rdb_text *text) {
    if (text->packed) block_release(text->packed);
    if (text->plain) block_release(text->plain);
    *text = (struct rdb_text){0};
}
