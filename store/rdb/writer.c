/* writer.c - values, from their elements. */
#include "store/rdb/writer.h"

#include "protocol/assert.h"
#include "protocol/number.h"
#include "store/rdb/packed.h"
#include "store/rdb/rdb.h"

enum {
    INT_TEXT_MAX = 11, /* "-2147483648" */
    COMPRESSED_MIN = 21,
    COMPRESSED_GAIN = 4, /* bytes that its lengths take */
    COMPRESSED_MARK = 0xc3,
    CONTAINER_PACKED = 2,
    END = 0xff,
    INTSET_HEAD = 8,
};

bool rdb_write_bytes(struct sink *sink, const void *data, size_t len) {
    return len == 0 || sink->write(sink, (struct bytes){data, len});
}
bool rdb_write_len(struct sink *sink, uint64_t len) {
    char at[RDB_LEN_MAX];
    return rdb_write_bytes(sink, at, rdb_put_len(at, len));
}
static void low_first(char *at, uint64_t number, unsigned len) {
    for (unsigned i = 0; i < len; i++) at[i] = (char)(number >> 8 * i);
}
bool rdb_write_number(struct sink *sink, uint64_t number, unsigned len) {
    char at[8];
    low_first(at, number, len);
    return rdb_write_bytes(sink, at, len);
}
static bool put_double(struct sink *sink, double score) {
    uint64_t bits;
    assert(score == score);
    memcpy(&bits, &score, sizeof bits);
    return rdb_write_number(sink, bits, sizeof bits);
}

/* ---- Strings -------------------------------------------------------------------------------------- */

static bool put_compressed(struct sink *sink, struct bytes packed, size_t len) {
    char at[1 + 2 * RDB_LEN_MAX] = {(char)COMPRESSED_MARK};
    size_t head = 1 + rdb_put_len(at + 1, packed.len);
    head += rdb_put_len(at + head, len);
    return rdb_write_bytes(sink, at, head) && rdb_write_bytes(sink, packed.data, packed.len);
}

bool rdb_write_text(struct sink *sink, struct rdb_compressor *compressor, struct bytes text) {
    int64_t number;
    char at[RDB_INT_MAX];
    size_t len = text.len <= INT_TEXT_MAX && number_parse_i64(text, &number) ? rdb_put_int(at, number) : 0;
    if (len) return rdb_write_bytes(sink, at, len);
    if (compressor && text.len >= COMPRESSED_MIN && text.len <= RDB_COMPRESSED_MAX) {
        len = lzf_compress(&compressor->table, text, compressor->packed, text.len - COMPRESSED_GAIN);
        if (len) return put_compressed(sink, (struct bytes){compressor->packed, len}, text.len);
    }
    return rdb_write_len(sink, text.len) && rdb_write_bytes(sink, text.data, text.len);
}

/* ---- Plain values --------------------------------------------------------------------------------- */

enum { BEGUN, WRITTEN, PLACE };

static bool expires(const struct rdb_source *source) {
    assert(source->soonest_ms == 0 || source->kind == RDB_HASH);
    return source->soonest_ms != 0;
}

static bool begin_plain(const struct rdb_source *source, struct sink *sink) {
    if (source->kind == RDB_STRING) return true;
    if (expires(source) && !rdb_write_number(sink, (uint64_t)source->soonest_ms, 8)) return false;
    return rdb_write_len(sink, source->count);
}

/* Counted from the soonest, which is 1. */
static bool put_expiry(const struct rdb_source *source, struct sink *sink, int64_t expiry_ms) {
    assert(expiry_ms == 0 || expiry_ms >= source->soonest_ms);
    return rdb_write_len(sink, expiry_ms ? (uint64_t)(expiry_ms - source->soonest_ms) + 1 : 0);
}

static bool put_element(const struct rdb_source *source, struct sink *sink, struct rdb_compressor *compressor,
                        const struct rdb_element *element) {
    if (expires(source) && !put_expiry(source, sink, element->expiry_ms)) return false;
    if (!rdb_write_text(sink, compressor, element->name)) return false;
    if (source->kind == RDB_HASH) return rdb_write_text(sink, compressor, element->value);
    return source->kind != RDB_ZSET || put_double(sink, element->score);
}

/* Counts on the way to another sink. */
struct meter {
    struct sink sink;
    struct sink *to;
    size_t bytes;
};
static bool meter_write(struct sink *sink, struct bytes bytes) {
    struct meter *meter = (struct meter *)(void *)sink;
    meter->bytes += bytes.len;
    return meter->to->write(meter->to, bytes);
}

static enum dumped write_plain(struct rdb_source *source, struct rdb_compressor *compressor,
                               struct cursor *cursor, struct sink *sink, size_t budget) {
    struct meter meter = {.sink = {.write = meter_write}, .to = sink};
    if (!cursor->words[BEGUN] && !begin_plain(source, &meter.sink)) return DUMP_FAILED;
    cursor->words[BEGUN] = true;
    while (cursor->words[WRITTEN] < source->count) {
        struct rdb_element element = {0};
        if (meter.bytes >= budget) return DUMP_MORE;
        source->next(source, &cursor->words[PLACE], &element);
        if (!put_element(source, &meter.sink, compressor, &element)) return DUMP_FAILED;
        cursor->words[WRITTEN]++;
    }
    return DUMP_DONE;
}

/* ---- Packed values -------------------------------------------------------------------------------- */

/* The strings that an element is in a listpack; returns how many. */
static unsigned parts_of(const struct rdb_source *source, const struct rdb_element *element, char *scratch,
                         struct bytes parts[2]) {
    parts[0] = element->name;
    if (source->kind == RDB_LIST) return 1;
    parts[1] = element->value;
    if (source->kind == RDB_ZSET)
        parts[1] = (struct bytes){scratch, number_format_double(scratch, element->score)};
    return 2;
}

/* Goes through a listpack's elements, into the sink if there is one; what they take is added up. */
static bool walk_listpack(struct rdb_source *source, struct sink *sink, size_t *bytes, uint64_t *count) {
    uint64_t place = 0;
    *bytes = *count = 0;
    for (uint64_t i = 0; i < source->count; i++) {
        char scratch[NUMBER_DOUBLE_MAX_LEN];
        struct rdb_element element = {0};
        struct bytes parts[2];
        source->next(source, &place, &element);
        unsigned many = parts_of(source, &element, scratch, parts);
        for (unsigned part = 0; part < many; part++, ++*count) {
            struct listpack_element packed;
            listpack_element(&packed, parts[part]);
            *bytes += listpack_element_len(&packed);
            if (!sink) continue;
            bool written = rdb_write_bytes(sink, packed.head, packed.head_len) &&
                           rdb_write_bytes(sink, packed.text.data, packed.text.len) &&
                           rdb_write_bytes(sink, packed.tail, packed.tail_len);
            if (!written) return false;
        }
    }
    return true;
}

static size_t measure_listpack(struct rdb_source *source, uint64_t *count) {
    size_t bytes;
    walk_listpack(source, NULL, &bytes, count);
    assert(bytes <= UINT32_MAX - LISTPACK_HEAD - 1);
    return LISTPACK_HEAD + bytes + 1;
}

static bool write_listpack(struct rdb_source *source, struct sink *sink, size_t bytes, uint64_t count) {
    char head[LISTPACK_HEAD], end = (char)END;
    size_t again;
    uint64_t counted;
    listpack_head(head, (uint32_t)bytes, count);
    bool written = rdb_write_bytes(sink, head, sizeof head) &&
                   walk_listpack(source, sink, &again, &counted) && rdb_write_bytes(sink, &end, 1);
    assert(!written || (again + sizeof head + 1 == bytes && counted == count));
    return written;
}

static int64_t integer_of(const struct rdb_element *element) {
    int64_t number = 0;
    bool parsed = number_parse_i64(element->name, &number);
    assert(parsed);
    return number;
}

/* What the widest of the integers needs. They come in order, so that is the first or the last. */
static unsigned intset_width(struct rdb_source *source) {
    unsigned width = 2;
    uint64_t place = 0;
    for (uint64_t i = 0; i < source->count; i++) {
        struct rdb_element element = {0};
        source->next(source, &place, &element);
        int64_t number = integer_of(&element);
        if (number < INT16_MIN || number > INT16_MAX) width = width > 4 ? width : 4;
        if (number < INT32_MIN || number > INT32_MAX) width = 8;
    }
    return width;
}

static size_t measure_intset(struct rdb_source *source, unsigned *width) {
    *width = intset_width(source);
    assert(source->count <= UINT32_MAX);
    return INTSET_HEAD + source->count * *width;
}

static bool write_intset(struct rdb_source *source, struct sink *sink, unsigned width) {
    uint64_t place = 0;
    if (!rdb_write_number(sink, width, 4) || !rdb_write_number(sink, source->count, 4)) return false;
    for (uint64_t i = 0; i < source->count; i++) {
        struct rdb_element element = {0};
        source->next(source, &place, &element);
        if (!rdb_write_number(sink, (uint64_t)integer_of(&element), width)) return false;
    }
    return true;
}

/* Collects in memory that is large enough. */
struct collector {
    struct sink sink;
    char *at, *end;
};
static bool collect(struct sink *sink, struct bytes bytes) {
    struct collector *collector = (struct collector *)(void *)sink;
    assert(bytes.len <= (size_t)(collector->end - collector->at));
    memcpy(collector->at, bytes.data, bytes.len);
    collector->at += bytes.len;
    return true;
}

/* The one string of a packed value. */
static bool write_packed(struct rdb_source *source, struct rdb_compressor *compressor, struct sink *sink) {
    unsigned width = 0;
    uint64_t count = 0;
    bool set = source->kind == RDB_SET;
    size_t bytes = set ? measure_intset(source, &width) : measure_listpack(source, &count);
    bool collected = compressor && bytes <= RDB_COMPRESSED_MAX;
    struct collector collector = {.sink = {.write = collect}};
    struct sink *to = sink;
    if (collected) {
        collector.at = compressor->plain, collector.end = compressor->plain + bytes;
        to = &collector.sink;
    } else if (!rdb_write_len(sink, bytes)) {
        return false;
    }
    if (!(set ? write_intset(source, to, width) : write_listpack(source, to, bytes, count))) return false;
    return !collected || rdb_write_text(sink, compressor, (struct bytes){compressor->plain, bytes});
}

/* ---- Any value ------------------------------------------------------------------------------------ */

bool rdb_may_pack(struct rdb_source *source, uint64_t max_elements, size_t max_len) {
    uint64_t place = 0;
    int64_t before = 0, number;
    if (source->kind == RDB_STRING || source->count > max_elements || expires(source)) return false;
    for (uint64_t i = 0; i < source->count; i++) {
        struct rdb_element element = {0};
        source->next(source, &place, &element);
        if (element.name.len > max_len || element.value.len > max_len) return false;
        if (source->kind != RDB_SET) continue;
        if (!number_parse_i64(element.name, &number) || (i > 0 && number <= before)) return false;
        before = number;
    }
    return true;
}

enum rdb_type rdb_type_of(const struct rdb_source *source, enum rdb_form form) {
    assert(source->kind != RDB_STREAM);
    static const enum rdb_type types[][2] = {
        [RDB_STRING] = {RDB_TYPE_STRING, RDB_TYPE_STRING},
        [RDB_LIST] = {RDB_TYPE_LIST, RDB_TYPE_LIST_QUICKLIST_2},
        [RDB_SET] = {RDB_TYPE_SET, RDB_TYPE_SET_INTSET},
        [RDB_ZSET] = {RDB_TYPE_ZSET, RDB_TYPE_ZSET_LISTPACK},
        [RDB_HASH] = {RDB_TYPE_HASH, RDB_TYPE_HASH_LISTPACK},
    };
    return expires(source) ? RDB_TYPE_HASH_EXPIRING : types[source->kind][form];
}

unsigned rdb_version_of(const struct rdb_source *source) {
    return expires(source) ? RDB_VERSION_EXPIRING : RDB_VERSION_WRITTEN;
}

enum dumped rdb_write(struct rdb_source *source, enum rdb_form form, struct cursor *cursor,
                      struct rdb_target target, size_t budget) {
    struct sink *sink = target.sink;
    assert(source->count > 0 && budget > 0);
    if (form == RDB_FORM_PLAIN || source->kind == RDB_STRING || expires(source))
        return write_plain(source, target.compressor, cursor, sink, budget);
    if (source->kind == RDB_LIST && !(rdb_write_len(sink, 1) && rdb_write_len(sink, CONTAINER_PACKED)))
        return DUMP_FAILED;
    return write_packed(source, target.compressor, sink) ? DUMP_DONE : DUMP_FAILED;
}
