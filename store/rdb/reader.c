/* reader.c - every encoding is a row of a table: which steps it goes through, and what its strings are.
 *
 *              STEP_BASE -> STEP_COUNT -> STEP_EXPIRY -> STEP_NAME -> STEP_VALUE -> STEP_SCORE -> STEP_LATE
 *     nodes:                STEP_COUNT -> STEP_CONTAINER -> STEP_NODE
 *
 * and then the next element or node, or the end. A row leaves out what it has not. A step that lacks input leaves it
 * there, or keeps what it took in the reader, and is entered again. */
#include "store/rdb/reader.h"

#include "store/rdb/reader_parts.h"

enum step {
    STEP_BASE,
    STEP_COUNT,
    STEP_CONTAINER,
    STEP_NODE,
    STEP_EXPIRY,
    STEP_NAME,
    STEP_VALUE,
    STEP_SCORE,
    STEP_LATE,
    STEPS
};

enum {
    HAS_BASE = 1 << STEP_BASE,
    HAS_COUNT = 1 << STEP_COUNT,
    HAS_CONTAINER = 1 << STEP_CONTAINER,
    HAS_NODE = 1 << STEP_NODE,
    HAS_EXPIRY = 1 << STEP_EXPIRY,
    HAS_NAME = 1 << STEP_NAME,
    HAS_VALUE = 1 << STEP_VALUE,
    HAS_SCORE = 1 << STEP_SCORE,
    HAS_LATE = 1 << STEP_LATE
};

struct rdb_shape {
    enum rdb_kind kind;
    unsigned steps;          /* a bit each */
    enum packed_kind packed; /* what a node is */
    unsigned parts;          /* strings of a node that make an element */
    bool text_score;
    bool from_base; /* expiries are counted from the base */
};

/* Of what has no elements of its own but one string with all of them. */
#define NODE(kind_, packed_, parts_)                                                                         \
    { .kind = kind_, .steps = HAS_NODE, .packed = packed_, .parts = parts_ }

static const struct rdb_shape shapes[] = {
    [RDB_TYPE_STRING] = {.kind = RDB_STRING, .steps = HAS_NAME},
    [RDB_TYPE_LIST] = {.kind = RDB_LIST, .steps = HAS_COUNT | HAS_NAME},
    [RDB_TYPE_SET] = {.kind = RDB_SET, .steps = HAS_COUNT | HAS_NAME},
    [RDB_TYPE_ZSET_TEXT] = {.kind = RDB_ZSET, .steps = HAS_COUNT | HAS_NAME | HAS_SCORE, .text_score = true},
    [RDB_TYPE_HASH] = {.kind = RDB_HASH, .steps = HAS_COUNT | HAS_NAME | HAS_VALUE},
    [RDB_TYPE_ZSET] = {.kind = RDB_ZSET, .steps = HAS_COUNT | HAS_NAME | HAS_SCORE},
    [RDB_TYPE_HASH_ZIPMAP] = NODE(RDB_HASH, PACKED_ZIPMAP, 2),
    [RDB_TYPE_LIST_ZIPLIST] = NODE(RDB_LIST, PACKED_ZIPLIST, 1),
    [RDB_TYPE_SET_INTSET] = NODE(RDB_SET, PACKED_INTSET, 1),
    [RDB_TYPE_ZSET_ZIPLIST] = NODE(RDB_ZSET, PACKED_ZIPLIST, 2),
    [RDB_TYPE_HASH_ZIPLIST] = NODE(RDB_HASH, PACKED_ZIPLIST, 2),
    [RDB_TYPE_LIST_QUICKLIST] = {.kind = RDB_LIST,
                                 .steps = HAS_COUNT | HAS_NODE,
                                 .packed = PACKED_ZIPLIST,
                                 .parts = 1},
    [RDB_TYPE_HASH_LISTPACK] = NODE(RDB_HASH, PACKED_LISTPACK, 2),
    [RDB_TYPE_ZSET_LISTPACK] = NODE(RDB_ZSET, PACKED_LISTPACK, 2),
    [RDB_TYPE_LIST_QUICKLIST_2] = {.kind = RDB_LIST,
                                   .steps = HAS_COUNT | HAS_CONTAINER | HAS_NODE,
                                   .packed = PACKED_LISTPACK,
                                   .parts = 1},
    [RDB_TYPE_SET_LISTPACK] = NODE(RDB_SET, PACKED_LISTPACK, 1),
    [RDB_TYPE_HASH_EXPIRING_DRAFT] = {.kind = RDB_HASH,
                                      .steps = HAS_COUNT | HAS_EXPIRY | HAS_NAME | HAS_VALUE},
    [RDB_TYPE_HASH_EXPIRING_LISTPACK_DRAFT] = NODE(RDB_HASH, PACKED_LISTPACK, 3),
    [RDB_TYPE_HASH_EXPIRING] = {.kind = RDB_HASH,
                                .steps = HAS_BASE | HAS_COUNT | HAS_EXPIRY | HAS_NAME | HAS_VALUE,
                                .from_base = true},
    [RDB_TYPE_HASH_EXPIRING_LISTPACK] = {.kind = RDB_HASH,
                                         .steps = HAS_BASE | HAS_NODE,
                                         .packed = PACKED_LISTPACK,
                                         .parts = 3},
};
static const struct rdb_shape valkey_hash = {.kind = RDB_HASH,
                                             .steps = HAS_COUNT | HAS_NAME | HAS_VALUE | HAS_LATE};

enum {
    CONTAINER_PLAIN = 1,
    CONTAINER_PACKED = 2,
    DOUBLE_NAN = 253,
    DOUBLE_INFINITE = 254,
    DOUBLE_NEGATIVE = 255,
};
#define EXPIRY_MAX_MS     ((int64_t)(1ull << 48) - 2) /* Redis has no later ones in fields */
#define DEFAULT_MAX_BYTES (512ull << 20)

/* Of all but streams and modules; NULL: nothing has this type. */
static const struct rdb_shape *shape_of(unsigned type, unsigned version) {
    if (type >= sizeof shapes / sizeof *shapes || !shapes[type].steps) return NULL;
    bool valkey = type == RDB_TYPE_HASH_EXPIRING_DRAFT && version >= RDB_VERSION_VALKEY;
    return valkey ? &valkey_hash : &shapes[type];
}

enum rdb_read rdb_reader_open(struct rdb_reader *reader, struct rdb_loader *loader, unsigned type,
                              unsigned version) {
    *reader = (struct rdb_reader){.loader = loader, .max_bytes = DEFAULT_MAX_BYTES};
    switch (type) {
    case RDB_TYPE_STREAM:
    case RDB_TYPE_STREAM_2:
    case RDB_TYPE_STREAM_3:
    case RDB_TYPE_STREAM_4:
    case RDB_TYPE_STREAM_5:
        reader->stream.is_one = true;
        reader->stream.has_counts = type >= RDB_TYPE_STREAM_2;
        reader->stream.has_active = type >= RDB_TYPE_STREAM_3;
        reader->stream.has_producers = type >= RDB_TYPE_STREAM_4;
        reader->stream.has_released = type >= RDB_TYPE_STREAM_5;
        return RDB_READ_DONE;
    case RDB_TYPE_MODULE:
    case RDB_TYPE_MODULE_2: return RDB_READ_MODULE;
    default: break;
    }
    reader->shape = shape_of(type, version);
    if (!reader->shape) return RDB_READ_CORRUPT;
    while (!(reader->shape->steps >> reader->step & 1)) reader->step++;
    return RDB_READ_DONE;
}

void rdb_reader_close(struct rdb_reader *reader) {
    rdb_text_drop(&reader->name);
    rdb_text_drop(&reader->value);
    rdb_stream_close(&reader->stream);
}

/* ---- The loader ----------------------------------------------------------------------------------- */

enum rdb_read rdb_read_of(enum rdb_answer answer) {
    return answer == RDB_TAKEN     ? RDB_READ_DONE
           : answer == RDB_REFUSED ? RDB_READ_CORRUPT
                                   : RDB_READ_NO_MEMORY;
}

static enum rdb_read hand_on(struct rdb_reader *reader) {
    if (reader->elements == 0 && reader->shape->kind == RDB_STRING) {
        enum rdb_read begun = rdb_read_of(reader->loader->begin(reader->loader, RDB_STRING, 1));
        if (begun != RDB_READ_DONE) return begun;
    }
    reader->elements++;
    enum rdb_read read = rdb_read_of(reader->loader->element(reader->loader, &reader->now));
    reader->now = (struct rdb_element){0};
    return read;
}

static enum rdb_read begin(struct rdb_reader *reader, uint64_t hint) {
    return rdb_read_of(reader->loader->begin(reader->loader, reader->shape->kind, hint));
}

static enum rdb_read end(struct rdb_reader *reader) {
    if (reader->elements == 0) return RDB_READ_EMPTY;
    return rdb_read_of(reader->loader->end(reader->loader));
}

/* ---- Numbers and strings of the input ------------------------------------------------------------- */

static enum rdb_read lacking(const struct rdb_reader *reader) {
    return reader->whole ? RDB_READ_CORRUPT : RDB_READ_MORE;
}

enum rdb_read rdb_take_len(const struct rdb_reader *reader, struct bytes *input, uint64_t *len) {
    int64_t number;
    enum rdb_taken taken = rdb_take(input, len, &number);
    return taken == RDB_LEN ? RDB_READ_DONE : taken == RDB_SHORT ? lacking(reader) : RDB_READ_CORRUPT;
}

enum rdb_read rdb_take_bytes(const struct rdb_reader *reader, struct bytes *input, void *bytes, size_t len) {
    if (input->len < len) return lacking(reader);
    memcpy(bytes, input->data, len);
    *input = (struct bytes){input->data + len, input->len - len};
    return RDB_READ_DONE;
}

/* Eight bytes, lowest first. */
static enum rdb_read take_word(const struct rdb_reader *reader, struct bytes *input, void *word) {
    return rdb_take_bytes(reader, input, word, 8);
}

enum rdb_read rdb_take_text(const struct rdb_reader *reader, struct rdb_text *text, struct bytes *input) {
    switch (rdb_text_read(text, input, !reader->whole, reader->max_bytes)) {
    case TEXT_DONE: return RDB_READ_DONE;
    case TEXT_MORE: return RDB_READ_MORE;
    case TEXT_NO_MEMORY: return RDB_READ_NO_MEMORY;
    default: return RDB_READ_CORRUPT;
    }
}

/* A length byte and so many digits, or a length byte that says it all. No digits are no number. */
static enum rdb_read take_text_score(struct rdb_reader *reader, struct bytes *input) {
    if (input->len < 1) return lacking(reader);
    unsigned len = (unsigned char)input->data[0], taken = len < DOUBLE_NAN ? 1 + len : 1;
    if (input->len < taken) return lacking(reader);
    struct bytes digits = {input->data + 1, taken - 1};
    *input = (struct bytes){input->data + taken, input->len - taken};
    if (len > DOUBLE_NAN) reader->now.score = len == DOUBLE_NEGATIVE ? -__builtin_inf() : __builtin_inf();
    return len > DOUBLE_NAN || number_parse_double(digits, &reader->now.score) ? RDB_READ_DONE
                                                                               : RDB_READ_CORRUPT;
}

static enum rdb_read take_score(struct rdb_reader *reader, struct bytes *input) {
    if (reader->shape->text_score) return take_text_score(reader, input);
    enum rdb_read read = take_word(reader, input, &reader->now.score);
    return read == RDB_READ_DONE && reader->now.score != reader->now.score ? RDB_READ_CORRUPT : read;
}

/* ---- Expiries of fields --------------------------------------------------------------------------- */

static enum rdb_read set_expiry(struct rdb_reader *reader, int64_t expiry_ms) {
    reader->now.expiry_ms = expiry_ms;
    return expiry_ms >= 0 && expiry_ms <= EXPIRY_MAX_MS ? RDB_READ_DONE : RDB_READ_CORRUPT;
}

static enum rdb_read take_base(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = take_word(reader, input, &reader->base_ms);
    bool known = reader->base_ms >= 0 && reader->base_ms <= EXPIRY_MAX_MS + 1; /* which stands for none */
    return read == RDB_READ_DONE && !known ? RDB_READ_CORRUPT : read;
}

static enum rdb_read take_expiry(struct rdb_reader *reader, struct bytes *input) {
    uint64_t expiry = 0;
    enum rdb_read read = rdb_take_len(reader, input, &expiry);
    if (read != RDB_READ_DONE || expiry == 0) return read;
    if (expiry > (uint64_t)EXPIRY_MAX_MS) return RDB_READ_CORRUPT;
    return set_expiry(reader, (int64_t)expiry + (reader->shape->from_base ? reader->base_ms - 1 : 0));
}

/* Behind the value, as Valkey has it; -1: none. */
static enum rdb_read take_late_expiry(struct rdb_reader *reader, struct bytes *input) {
    int64_t expiry_ms = 0;
    enum rdb_read read = take_word(reader, input, &expiry_ms);
    return read == RDB_READ_DONE ? set_expiry(reader, expiry_ms == -1 ? 0 : expiry_ms) : read;
}

/* ---- Nodes ---------------------------------------------------------------------------------------- */

/* What is written as text beside a member or a field. */
static enum rdb_read set_part(struct rdb_reader *reader, unsigned part, struct bytes text) {
    if (part == 0) {
        reader->now.name = text;
        return RDB_READ_DONE;
    }
    if (part == 1 && reader->shape->kind == RDB_ZSET)
        return number_parse_double(text, &reader->now.score) ? RDB_READ_DONE : RDB_READ_CORRUPT;
    if (part == 1) {
        reader->now.value = text;
        return RDB_READ_DONE;
    }
    int64_t expiry_ms;
    return number_parse_i64(text, &expiry_ms) ? set_expiry(reader, expiry_ms) : RDB_READ_CORRUPT;
}

static enum rdb_read walk_packed(struct rdb_reader *reader) {
    char scratch[3][NUMBER_I64_MAX_LEN];
    for (unsigned part = 0;; part = (part + 1) % reader->shape->parts) {
        struct bytes text;
        switch (packed_next(&reader->packed, scratch[part], &text)) {
        case PACKED_END: return part == 0 ? RDB_READ_DONE : RDB_READ_CORRUPT;
        case PACKED_CORRUPT: return RDB_READ_CORRUPT;
        default: break;
        }
        enum rdb_read read = set_part(reader, part, text);
        if (read == RDB_READ_DONE && part == reader->shape->parts - 1) read = hand_on(reader);
        if (read != RDB_READ_DONE) return read;
    }
}

/* Elements that a node says it has; each takes a byte at least. */
static uint64_t hint_of(const struct rdb_reader *reader) {
    uint64_t count = reader->packed.count;
    return count > reader->packed.bytes.len ? 0 : count / reader->shape->parts;
}

/* Hands all elements of a string on. */
static enum rdb_read hand_on_packed(struct rdb_reader *reader) {
    struct rdb_loader *loader = reader->loader;
    enum rdb_read read = RDB_READ_DONE;
    if (!(reader->shape->steps & HAS_COUNT)) read = begin(reader, hint_of(reader));
    if (read != RDB_READ_DONE) return read;
    enum rdb_answer answer = loader->all ? loader->all(loader, &reader->packed) : RDB_SINGLY;
    if (answer == RDB_SINGLY) return walk_packed(reader);
    if (answer == RDB_TAKEN) reader->elements += reader->packed.seen / reader->shape->parts;
    return rdb_read_of(answer);
}

static enum rdb_read take_node(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = rdb_take_text(reader, &reader->name, input);
    if (read != RDB_READ_DONE) return read;
    if (reader->container == CONTAINER_PLAIN) {
        reader->now.name = reader->name.bytes;
        return reader->name.bytes.len ? hand_on(reader) : RDB_READ_CORRUPT;
    }
    if (!packed_open(&reader->packed, reader->shape->packed, reader->name.bytes)) return RDB_READ_CORRUPT;
    return hand_on_packed(reader);
}

static enum rdb_read take_container(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = rdb_take_len(reader, input, &reader->container);
    bool known = reader->container == CONTAINER_PLAIN || reader->container == CONTAINER_PACKED;
    return read == RDB_READ_DONE && !known ? RDB_READ_CORRUPT : read;
}

/* ---- Steps ---------------------------------------------------------------------------------------- */

static enum rdb_read take_count(struct rdb_reader *reader, struct bytes *input) {
    enum rdb_read read = rdb_take_len(reader, input, &reader->left);
    bool nodes = reader->shape->steps & HAS_NODE;
    if (read != RDB_READ_DONE || reader->left == 0) return read;
    return begin(reader, nodes || reader->left > input->len ? 0 : reader->left);
}

static enum rdb_read take(struct rdb_reader *reader, struct bytes *input) {
    switch ((enum step)reader->step) {
    case STEP_BASE: return take_base(reader, input);
    case STEP_COUNT: return take_count(reader, input);
    case STEP_CONTAINER: return take_container(reader, input);
    case STEP_NODE: return take_node(reader, input);
    case STEP_EXPIRY: return take_expiry(reader, input);
    case STEP_NAME: return rdb_take_text(reader, &reader->name, input);
    case STEP_VALUE: return rdb_take_text(reader, &reader->value, input);
    case STEP_SCORE: return take_score(reader, input);
    default: return take_late_expiry(reader, input);
    }
}

/* All parts of an element are there, or a node was walked. */
static enum rdb_read finish_element(struct rdb_reader *reader) {
    enum rdb_read read = RDB_READ_DONE;
    if (!(reader->shape->steps & HAS_NODE)) {
        reader->now.name = reader->name.bytes;
        reader->now.value = reader->value.bytes;
        read = hand_on(reader);
    }
    rdb_text_drop(&reader->name);
    rdb_text_drop(&reader->value);
    return read;
}

/* A whole string must outlast the input. */
static enum rdb_read keep(struct rdb_reader *reader) {
    bool kept = reader->name.step != TEXT_WHOLE || rdb_text_keep(&reader->name);
    if (kept) kept = reader->value.step != TEXT_WHOLE || rdb_text_keep(&reader->value);
    return kept ? RDB_READ_MORE : RDB_READ_NO_MEMORY;
}

/* The first step from this one on that the shape has; STEPS: none, the element is whole. */
static unsigned step_from(const struct rdb_reader *reader, unsigned step) {
    while (step < STEPS && !(reader->shape->steps >> step & 1)) step++;
    return step;
}

/* All steps of a value with elements. */
static enum rdb_read read_elements(struct rdb_reader *reader, struct bytes *input) {
    bool counted = reader->shape->steps & HAS_COUNT;
    for (;;) {
        unsigned step = reader->step;
        enum rdb_read read = take(reader, input);
        if (read != RDB_READ_DONE) return read;
        reader->step = step_from(reader, step + 1);
        if (step == STEP_COUNT && reader->left == 0) return end(reader);
        if (reader->step < STEPS) continue;
        read = finish_element(reader);
        if (read != RDB_READ_DONE) return read;
        if (!counted || --reader->left == 0) return end(reader);
        reader->step = step_from(reader, STEP_COUNT + 1);
    }
}

enum rdb_read rdb_read(struct rdb_reader *reader, struct bytes *input) {
    bool stream = reader->stream.is_one;
    enum rdb_read read = stream ? rdb_stream_read(reader, input) : read_elements(reader, input);
    return read == RDB_READ_MORE ? keep(reader) : read;
}

/* ---- Skipping ------------------------------------------------------------------------------------- */

static bool skip(struct bytes *input, uint64_t len) {
    if (input->len < len) return false;
    *input = (struct bytes){input->data + len, input->len - (size_t)len};
    return true;
}

static bool skip_len(struct bytes *input, uint64_t *len) {
    int64_t unused;
    return rdb_take(input, len, &unused) == RDB_LEN;
}

bool rdb_skip_text(struct bytes *input, struct bytes *plain) {
    uint64_t len = 0, unpacked;
    int64_t unused;
    enum rdb_taken taken = RDB_LEN;
    if (input->len && (unsigned char)input->data[0] < 64) { /* most are so short */
        len = (unsigned char)input->data[0];
        (void)skip(input, 1);
    } else {
        taken = rdb_take(input, &len, &unused);
    }
    if (plain)
        *plain = (struct bytes){taken == RDB_LEN ? input->data : NULL, taken == RDB_LEN ? (size_t)len : 0};
    switch (taken) {
    case RDB_LEN: return skip(input, len);
    case RDB_INT: return true;
    case RDB_COMPRESSED: return skip_len(input, &len) && skip_len(input, &unpacked) && skip(input, len);
    default: return false;
    }
}

static bool skip_text_score(struct bytes *input) {
    unsigned len = input->len ? (unsigned char)input->data[0] : 0;
    return skip(input, len < DOUBLE_NAN ? 1 + len : 1);
}

static bool skip_step(const struct rdb_shape *shape, unsigned step, struct bytes *input) {
    uint64_t unused;
    switch ((enum step)step) {
    case STEP_CONTAINER:
    case STEP_EXPIRY: return skip_len(input, &unused);
    case STEP_NODE:
    case STEP_NAME:
    case STEP_VALUE: return rdb_skip_text(input, NULL);
    case STEP_SCORE: return shape->text_score ? skip_text_score(input) : skip(input, 8);
    default: return skip(input, 8); /* STEP_BASE, STEP_LATE */
    }
}

bool rdb_skip_value(unsigned type, unsigned version, struct bytes *input) {
    const struct rdb_shape *shape = shape_of(type, version);
    uint64_t count = 1;
    if (type == RDB_TYPE_STRING) return rdb_skip_text(input, NULL);
    if (!shape) return false;
    if (shape->steps & HAS_BASE && !skip_step(shape, STEP_BASE, input)) return false;
    if (shape->steps & HAS_COUNT && !skip_len(input, &count)) return false;
    for (; count > 0; count--) /* each takes a byte at least */
        for (unsigned step = STEP_CONTAINER; step < STEPS; step++)
            if (shape->steps >> step & 1 && !skip_step(shape, step, input)) return false;
    return true;
}
