/* leaf.c - packed elements: columns of one width, then the bytes. */
#include "store/values/leaf.h"

#include "store/memory/memory.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    HASHES,
    SCORES,
    TAGS,
    LENS,
    COLUMNS,
    ID_BYTES = 16,
    ID_CODE_MAX = 18, /* ten bytes of milliseconds, eight of a sequence */
    LONG_HEAD = 2,    /* bytes before a long part */
    IN_BLOCK = UINT16_MAX,
    IN_BLOCK_BYTES = LONG_HEAD + sizeof(struct block *),
    ROWS_MOST = 236, /* of a leaf */
};

/* What leaves of a kind are like. */
struct shape {
    uint8_t widths[COLUMNS];     /* bytes of an element in each */
    uint8_t before[COLUMNS + 1]; /* in those before it; the last: in all */
    uint8_t base;                /* bytes before the columns */
    uint8_t first_part;          /* the parts before it are not the user's */
    bool rows;                   /* of numbers; the frame is the base */
    uint16_t part_max;           /* a longer part is a block of its own; at least LEAF_LONG - 1 */
    uint16_t most;               /* bytes above which a leaf is split */
};
#define WIDTHS(a, b, c, d) .widths = {a, b, c, d}, .before = {0, a, a + b, a + b + c, a + b + c + d}
/* Hashes, scores, tags, lens. */
static const struct shape shapes[TREE_KINDS] = {
    [TREE_LIST] = {WIDTHS(0, 0, 0, 1), .part_max = 1024, .most = 8192 / LEAF_DIVISOR},
    [TREE_SET] = {WIDTHS(0, 0, 1, 1), .part_max = 1024, .most = 2048 / LEAF_DIVISOR},
    [TREE_HASH] = {WIDTHS(0, 0, 1, 2), .part_max = 512, .most = 2048 / LEAF_DIVISOR},
    [TREE_SCORES] = {WIDTHS(0, 8, 0, 1), .part_max = 1024, .most = 2048 / LEAF_DIVISOR},
    [TREE_INDEX] = {WIDTHS(4, 8, 0, 0), .most = 2048 / LEAF_DIVISOR},
    [TREE_STREAM] = {WIDTHS(0, 0, 0, 2), .base = ID_BYTES, .first_part = 1, .part_max = 1024,
                     .most = 4096 / LEAF_DIVISOR},
    [TREE_PENDING] = {WIDTHS(0, 0, 0, 0), .base = sizeof(struct rows_frame), .rows = true,
                      .most = (sizeof(struct leaf) + sizeof(struct rows_frame) + ROWS_MOST * ROW_BYTES_MOST) /
                              LEAF_DIVISOR},
};
_Static_assert(sizeof(struct leaf) + sizeof(struct rows_frame) + (ROWS_MOST + 1) * ROW_BYTES_MOST <=
                   HEAP_NODE_MAX,
               "however wide the rows of a leaf become, and one more, they are one node");

static inline const struct shape *shape_of(const struct leaf *leaf) {
    return &shapes[leaf->head.kind];
}

/* What is done often is written once, for any shape, and compiled for each kind: where the shape is a constant, a column
 * that a kind does not have costs nothing. */
#define FOR_ANY static inline __attribute__((always_inline))
#define BY_KIND(leaf, function, ...)                                                                         \
    switch ((enum tree_kind)(leaf)->head.kind) {                                                             \
    case TREE_LIST: function(&shapes[TREE_LIST], __VA_ARGS__); break;                                        \
    case TREE_SET: function(&shapes[TREE_SET], __VA_ARGS__); break;                                          \
    case TREE_HASH: function(&shapes[TREE_HASH], __VA_ARGS__); break;                                        \
    case TREE_SCORES: function(&shapes[TREE_SCORES], __VA_ARGS__); break;                                    \
    case TREE_INDEX: function(&shapes[TREE_INDEX], __VA_ARGS__); break;                                      \
    case TREE_PENDING: function(&shapes[TREE_PENDING], __VA_ARGS__); break;                                  \
    default: function(&shapes[TREE_STREAM], __VA_ARGS__); break;                                             \
    }

/* The column of a leaf of so many elements. */
FOR_ANY char *column_in(const struct shape *shape, const struct leaf *leaf, unsigned column, size_t count) {
    return (char *)(uintptr_t)leaf->bytes + shape->base + shape->before[column] * count;
}
static inline char *column_of(const struct leaf *leaf, unsigned column, size_t count) {
    return column_in(shape_of(leaf), leaf, column, count);
}

FOR_ANY uint8_t *lens_in(const struct shape *shape, const struct leaf *leaf) {
    return (uint8_t *)column_in(shape, leaf, LENS, leaf->head.count);
}
static inline uint8_t *lens_of(const struct leaf *leaf) {
    return lens_in(shape_of(leaf), leaf);
}
static inline char *element_at(const struct leaf *leaf, size_t offset) {
    return (char *)(uintptr_t)leaf + leaf->start + offset;
}

FOR_ANY size_t bytes_for(const struct shape *shape, size_t count, size_t used) {
    return sizeof(struct leaf) + shape->base + shape->before[COLUMNS] * count + used;
}
size_t leaf_bytes(enum tree_kind kind, unsigned count, size_t used) {
    return bytes_for(&shapes[kind], count, used);
}

size_t leaf_most(enum tree_kind kind) {
    return shapes[kind].most;
}

/* The frame of a leaf of rows. */
static inline const struct rows_frame *frame_of(const struct leaf *leaf) {
    debug_assert(leaf->head.kind == TREE_PENDING);
    return (const struct rows_frame *)(const void *)leaf->bytes;
}

static inline struct row row_of(const struct tree_item *item) {
    return (struct row){.fields = {[ROW_SEQUENCE] = item->key.low,
                                   [ROW_MS] = item->key.high,
                                   [ROW_TIME] = item->numbers[0],
                                   [ROW_OWNER] = item->numbers[1],
                                   [ROW_TIMES] = item->numbers[2]}};
}

size_t leaf_room(const struct leaf *leaf) {
    const struct shape *shape = shape_of(leaf);
    if (!shape->rows) return shape->most;
    return bytes_for(shape, 0, (size_t)ROWS_MOST / LEAF_DIVISOR * frame_of(leaf)->stride);
}

/* ---- Sums and tags -------------------------------------------------------------------------------- */

#ifdef __SSE2__
/* Sixteen bytes from here on are zeroes and then as many 0xff as it stands behind the first one. */
static const uint8_t last_bytes[32] = {[16] = 255, 255, 255, 255, 255, 255, 255, 255,
                                       255,        255, 255, 255, 255, 255, 255, 255};

/* The sixteen bytes before this one, which may be of a leaf's head, where other threads change the references meanwhile: no
 * use is made of these. */
__attribute__((no_sanitize("thread"))) static inline __m128i load_before(const uint8_t *end) {
    return _mm_loadu_si128((const __m128i *)(const void *)(end - 16));
}

/* The sum of lens of a leaf, before which there is its head, so that sixteen bytes that end where they end may be read. */
static inline size_t sum_bytes(const uint8_t *bytes, size_t count) {
    const __m128i zero = _mm_setzero_si128();
    size_t rest = count % 16;
    const uint8_t *end = bytes + count;
    __m128i last = load_before(end);
    __m128i mask = _mm_loadu_si128((const __m128i *)(const void *)(last_bytes + rest));
    __m128i sums = _mm_sad_epu8(_mm_and_si128(last, mask), zero);
    for (; bytes + rest < end; bytes += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)bytes);
        sums = _mm_add_epi64(sums, _mm_sad_epu8(some, zero));
    }
    return (size_t)_mm_cvtsi128_si32(sums) + (size_t)_mm_cvtsi128_si32(_mm_srli_si128(sums, 8));
}
#else
static inline size_t sum_bytes(const uint8_t *bytes, size_t count) {
    size_t sum = 0, i = 0;
    for (; i + 8 <= count; i += 8) sum += sum_word(load_u64((const char *)bytes + i));
    for (; i < count; i++) sum += bytes[i];
    return sum;
}
#endif

/* The first place from `from` on with this tag; the count if there is none. */
static inline unsigned next_tag(const uint8_t *tags, unsigned count, unsigned from, uint8_t tag) {
    unsigned i = from;
#ifdef __SSE2__
    const __m128i wanted = _mm_set1_epi8((char)tag);
    for (; i + 16 <= count; i += 16) {
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(tags + i));
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted));
        if (found) return i + (unsigned)__builtin_ctz(found);
    }
    if (i < count && count >= 16) { /* the last 16, some of them for the second time */
        __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(tags + count - 16));
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(some, wanted));
        found &= ~0u << (16 - (count - i));
        return found ? count - 16 + (unsigned)__builtin_ctz(found) : count;
    }
#endif
    while (i < count && tags[i] != tag) i++;
    return i;
}

/* ---- Parts ---------------------------------------------------------------------------------------- */

/* Bytes that a long part takes, its head included. */
static inline size_t long_size(const char *at) {
    uint16_t len;
    memcpy(&len, at, sizeof len);
    return len == IN_BLOCK ? (size_t)IN_BLOCK_BYTES : LONG_HEAD + (size_t)len;
}

static inline struct block *block_at(const char *at) {
    struct block *block = NULL;
    uint16_t len;
    memcpy(&len, at, sizeof len);
    if (len == IN_BLOCK) memcpy(&block, at + LONG_HEAD, sizeof block);
    return block;
}

/* The same where some of them are long. */
static __attribute__((noinline)) size_t size_of_long_parts(const struct leaf *leaf, size_t parts) {
    const uint8_t *lens = lens_of(leaf);
    size_t i = 0, at = 0;
    for (const uint8_t *found; i < parts && (found = memchr(lens + i, LEAF_LONG, parts - i)); i++) {
        at += sum_bytes(lens + i, (size_t)(found - lens) - i);
        at += long_size(element_at(leaf, at));
        i = (size_t)(found - lens);
    }
    return at + sum_bytes(lens + i, parts - i);
}

/* Bytes that the parts [0, parts) take. */
FOR_ANY size_t size_of_parts(const struct shape *shape, const struct leaf *leaf, size_t parts) {
    return leaf->longs == 0 ? sum_bytes(lens_in(shape, leaf), parts) : size_of_long_parts(leaf, parts);
}

FOR_ANY size_t offset_in(const struct shape *shape, const struct leaf *leaf, unsigned place) {
    size_t count = leaf->head.count, parts = shape->widths[LENS];
    assert(place <= count);
    if (shape->rows) return (size_t)place * frame_of(leaf)->stride;
    if (parts == 0 || place == 0) return 0;
    if (place == count) return leaf->used;
    if (leaf->longs > 0 || place < count / 2) return size_of_parts(shape, leaf, place * parts);
    return leaf->used -
           sum_bytes(lens_in(shape, leaf) + place * parts, (count - place) * parts); /* fewer to add up */
}

size_t leaf_offset(const struct leaf *leaf, unsigned place) {
    size_t offset;
    BY_KIND(leaf, offset = offset_in, leaf, place)
    return offset;
}

static inline size_t part_size(const struct leaf *leaf, uint8_t len, size_t offset) {
    return __builtin_expect(len < LEAF_LONG, 1) ? len : long_size(element_at(leaf, offset));
}

FOR_ANY size_t element_size(const struct shape *shape, const struct leaf *leaf, unsigned place,
                            size_t offset) {
    unsigned parts = shape->widths[LENS];
    if (shape->rows) return frame_of(leaf)->stride;
    const uint8_t *lens = lens_in(shape, leaf) + (size_t)place * parts;
    size_t size = parts > 0 ? part_size(leaf, lens[0], offset) : 0;
    return parts > 1 ? size + part_size(leaf, lens[1], offset + size) : size;
}

size_t leaf_size_at(const struct leaf *leaf, unsigned place, size_t offset) {
    size_t size;
    BY_KIND(leaf, size = element_size, leaf, place, offset)
    return size;
}

size_t leaf_offset_before(const struct leaf *leaf, unsigned place, size_t next_offset) {
    unsigned parts = shape_of(leaf)->widths[LENS];
    if (leaf->longs || shape_of(leaf)->rows)
        return leaf_offset(leaf, place); /* a long part's size stands at its beginning */
    for (unsigned i = 0; i < parts; i++) next_offset -= lens_of(leaf)[place * parts + i];
    return next_offset;
}

/* What a stored part holds; *block: in what block. */
static inline struct bytes part_bytes(const struct leaf *leaf, uint8_t len, size_t offset,
                                      struct block **block) {
    const char *at = element_at(leaf, offset);
    *block = NULL;
    if (__builtin_expect(len < LEAF_LONG, 1)) return (struct bytes){at, len};
    *block = block_at(at);
    if (*block) return block_bytes(*block);
    return (struct bytes){at + LONG_HEAD, long_size(at) - LONG_HEAD};
}

void leaf_run(const struct leaf *leaf, unsigned place, size_t offset, unsigned most, struct leaf_run *run) {
    const struct shape *shape = shape_of(leaf);
    unsigned parts = shape->widths[LENS], count = leaf->head.count - place;
    const uint8_t *lens = lens_of(leaf) + (size_t)place * parts;
    assert(parts > 0 && shape->first_part == 0 && place <= leaf->head.count && offset <= leaf->used);
    if (count > most) count = most;
    const uint8_t *found = leaf->longs ? memchr(lens, LEAF_LONG, (size_t)count * parts) : NULL;
    if (found) count = (unsigned)(found - lens) / parts;
    *run = (struct leaf_run){.lens = lens,
                             .data = element_at(leaf, offset),
                             .end = (const char *)leaf + leaf->capacity,
                             .bytes = sum_bytes(lens, (size_t)count * parts),
                             .count = count,
                             .parts = parts};
    assert(run->bytes <= leaf->used - offset);
}

/* The blocks of elements get a reference more, or one less, and their leaf's heap knows of it. */
static void each_block(struct leaf *leaf, size_t begin_part, size_t end_part, size_t offset, bool retain) {
    const uint8_t *lens = lens_of(leaf);
    int64_t bytes = 0;
    for (size_t i = begin_part; i < end_part; offset += part_size(leaf, lens[i], offset), i++) {
        struct block *block = lens[i] == LEAF_LONG ? block_at(element_at(leaf, offset)) : NULL;
        if (block == NULL) continue;
        bytes += (int64_t)block_memory(block);
        if (retain)
            block_retain(block);
        else
            block_release(block);
    }
    if (bytes) node_refers(leaf, retain ? bytes : -bytes);
}

uint64_t leaf_block_bytes(const struct leaf *leaf, unsigned from, unsigned to) {
    size_t parts = shape_of(leaf)->widths[LENS], offset = leaf_offset(leaf, from);
    const uint8_t *lens = lens_of(leaf);
    uint64_t bytes = 0;
    assert(from <= to && to <= leaf->head.count);
    for (size_t i = from * parts; leaf->longs > 0 && i < to * parts;
         offset += part_size(leaf, lens[i], offset), i++) {
        const struct block *block = lens[i] == LEAF_LONG ? block_at(element_at(leaf, offset)) : NULL;
        bytes += block ? block_memory(block) : 0;
    }
    return bytes;
}

void leaf_free(struct leaf *leaf) {
    size_t parts = (size_t)leaf->head.count * shape_of(leaf)->widths[LENS];
    if (leaf->longs) each_block(leaf, 0, parts, 0, false);
    node_free(leaf);
}

/* ---- The numbers of a stream ---------------------------------------------------------------------- */

/* What is above the base: milliseconds in groups of seven bits, then the bytes of the sequence, from the lowest on, as
 * far as there are any. In the base's own millisecond the sequence counts from the base's. */
static size_t encode_id(char *at, struct tree_key base, struct tree_key id) {
    uint64_t ms = id.high - base.high, sequence = ms ? id.low : id.low - base.low;
    size_t len = 0;
    assert(id.high > base.high || (id.high == base.high && id.low >= base.low));
    for (; ms >= 128; ms >>= 7) at[len++] = (char)(ms | 128);
    at[len++] = (char)ms;
    for (; sequence; sequence >>= 8) at[len++] = (char)sequence;
    return len;
}

static struct tree_key decode_id(const char *at, size_t len, struct tree_key base) {
    uint64_t ms = 0, sequence = 0;
    size_t i = 0;
    unsigned shift = 0;
    for (; at[i] & (char)128; i++, shift += 7) ms |= (uint64_t)(at[i] & 127) << shift;
    ms |= (uint64_t)at[i++] << shift;
    for (shift = 0; i < len; i++, shift += 8) sequence |= (uint64_t)(unsigned char)at[i] << shift;
    return (struct tree_key){base.high + ms, ms ? sequence : base.low + sequence};
}

static struct tree_key base_of(const struct leaf *leaf) {
    struct tree_key base;
    memcpy(&base, leaf->bytes, sizeof base);
    return base;
}

/* ---- Items ---------------------------------------------------------------------------------------- */

/* As bits in the order of scores; the two zeroes are one. */
static uint64_t score_order(double score) {
    uint64_t bits;
    score = score == 0 ? 0 : score;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t first_bytes(struct bytes bytes) {
    uint64_t word = 0;
    if (bytes.len >= 8) {
        memcpy(&word, bytes.data, sizeof word);
        return __builtin_bswap64(word); /* which is stored from its lowest byte on */
    }
    for (size_t i = 0; i < 8; i++) word = word << 8 | (i < bytes.len ? (unsigned char)bytes.data[i] : 0);
    return word;
}

struct tree_key tree_item_key(enum tree_kind kind, const struct tree_item *item) {
    if (kind == TREE_SCORES) return (struct tree_key){score_order(item->score), first_bytes(item->parts[0])};
    return item->key;
}

/* How many parts of an element are the user's. */
FOR_ANY unsigned user_parts(const struct shape *shape) {
    return shape->widths[LENS] - shape->first_part;
}

bool leaf_prepare_blocks(enum tree_kind kind, struct leaf_item *ready) {
    const struct tree_item *item = ready->item;
    for (unsigned i = 0; i < user_parts(&shapes[kind]); i++) {
        if (item->parts[i].len <= shapes[kind].part_max) continue;
        struct block *block = item->blocks[i];
        assert(block == NULL || block->len == item->parts[i].len);
        ready->blocks[i] = block ? block_retain(block) : block_of(item->parts[i]);
        if (ready->blocks[i]) continue;
        leaf_drop(ready);
        return false;
    }
    return true;
}

void leaf_drop_blocks(struct leaf_item *ready) {
    for (unsigned i = 0; i < TREE_PARTS; i++)
        if (ready->blocks[i]) block_release(ready->blocks[i]);
    *ready = (struct leaf_item){.item = NULL};
}

static inline size_t stored_size(const struct leaf_item *ready, unsigned part) {
    size_t len = ready->item->parts[part].len;
    if (__builtin_expect(len < LEAF_LONG, 1)) return len;
    return ready->blocks[part] ? (size_t)IN_BLOCK_BYTES : LONG_HEAD + len;
}

/* Bytes of all parts of an item that are the user's; of a row, at most. */
FOR_ANY size_t size_of_item(const struct shape *shape, const struct leaf_item *ready) {
    unsigned parts = user_parts(shape);
    if (shape->rows) return ROW_BYTES_MOST;
    return (parts > 0 ? stored_size(ready, 0) : 0) + (parts > 1 ? stored_size(ready, 1) : 0);
}

/* Bytes of an item's element in a leaf with this base. */
FOR_ANY size_t item_size(const struct shape *shape, const struct leaf_item *ready, struct tree_key base) {
    char code[ID_CODE_MAX];
    return (shape->first_part ? encode_id(code, base, ready->item->key) : 0) + size_of_item(shape, ready);
}

/* The same in this leaf, in which it can be written. */
FOR_ANY size_t item_size_in(const struct shape *shape, const struct leaf *leaf,
                            const struct leaf_item *ready) {
    if (shape->rows) return frame_of(leaf)->stride;
    return item_size(shape, ready, shape->base ? base_of(leaf) : (struct tree_key){0, 0});
}

size_t leaf_item_bytes(enum tree_kind kind, const struct leaf_item *ready) {
    const struct shape *shape = &shapes[kind];
    return shape->before[COLUMNS] + (shape->first_part ? ID_CODE_MAX : 0u) + size_of_item(shape, ready);
}

size_t leaf_taken_at(const struct leaf *leaf, unsigned place, size_t offset) {
    const struct shape *shape = shape_of(leaf);
    return shape->rows ? ROW_BYTES_MOST : shape->before[COLUMNS] + leaf_size_at(leaf, place, offset);
}

static __attribute__((noinline)) size_t write_long_part(char *at, const struct leaf_item *ready,
                                                        unsigned part) {
    struct bytes bytes = ready->item->parts[part];
    struct block *block = ready->blocks[part];
    uint16_t head = block ? IN_BLOCK : (uint16_t)bytes.len;
    memcpy(at, &head, sizeof head);
    at += LONG_HEAD;
    if (block) {
        block_retain(block);
        memcpy(at, &block, sizeof block);
    } else {
        memcpy(at, bytes.data, bytes.len);
    }
    return stored_size(ready, part);
}

/* Writes a part and its len. Returns how many bytes it takes. */
FOR_ANY size_t write_part(struct leaf *leaf, char *at, const struct leaf_item *ready, unsigned part,
                          uint8_t *len) {
    struct bytes bytes = ready->item->parts[part];
    if (__builtin_expect(bytes.len < LEAF_LONG, 1)) {
        assert(ready->blocks[part] == NULL);
        *len = (uint8_t)bytes.len;
        if (bytes.len) memcpy(at, bytes.data, bytes.len);
        return bytes.len;
    }
    *len = LEAF_LONG;
    leaf->longs++;
    if (ready->blocks[part]) node_refers(leaf, (int64_t)block_memory(ready->blocks[part]));
    return write_long_part(at, ready, part);
}

/* Writes an item's element at the offset and its columns at the place, which are open in a leaf that counts it. Returns
 * what the element takes. */
FOR_ANY size_t write_item(const struct shape *shape, struct leaf *leaf, unsigned place, size_t offset,
                          const struct leaf_item *ready) {
    unsigned parts = shape->widths[LENS], count = leaf->head.count, first = shape->first_part;
    uint8_t *lens = lens_in(shape, leaf) + (size_t)place * parts;
    char *begin = element_at(leaf, offset), *at = begin;
    if (shape->rows) {
        struct row row = row_of(ready->item);
        rows_write(frame_of(leaf), at, &row);
        return frame_of(leaf)->stride;
    }
    if (shape->widths[SCORES])
        memcpy(column_in(shape, leaf, SCORES, count) + 8 * place, &ready->item->score, 8);
    if (shape->widths[HASHES]) {
        uint32_t hash = (uint32_t)ready->item->key.high;
        memcpy(column_in(shape, leaf, HASHES, count) + 4 * place, &hash, sizeof hash);
    }
    if (shape->widths[TAGS]) column_in(shape, leaf, TAGS, count)[place] = (char)ready->item->key.high;
    if (first) at += lens[0] = (uint8_t)encode_id(at, base_of(leaf), ready->item->key);
    if (user_parts(shape) > 0) at += write_part(leaf, at, ready, 0, &lens[first]);
    if (user_parts(shape) > 1) at += write_part(leaf, at, ready, 1, &lens[first + 1]);
    return (size_t)(at - begin);
}

FOR_ANY void get(const struct shape *shape, const struct leaf *leaf, unsigned place, size_t offset,
                 struct tree_item *item) {
    unsigned parts = shape->widths[LENS], count = leaf->head.count, first = shape->first_part;
    const uint8_t *lens = lens_in(shape, leaf) + (size_t)place * parts;
    assert(place < count && offset <= leaf->used);
    *item = (struct tree_item){.score = 0};
    if (shape->rows) {
        struct row row;
        rows_read(frame_of(leaf), element_at(leaf, offset), &row);
        item->key = (struct tree_key){row.fields[ROW_MS], row.fields[ROW_SEQUENCE]};
        for (unsigned i = 0; i < LEAF_NUMBERS; i++) item->numbers[i] = row.fields[ROW_TIME + i];
        return;
    }
    if (shape->widths[SCORES]) memcpy(&item->score, column_in(shape, leaf, SCORES, count) + 8 * place, 8);
    if (shape->widths[HASHES]) item->key.high = load_u32(column_in(shape, leaf, HASHES, count) + 4 * place);
    if (first) {
        item->key = decode_id(element_at(leaf, offset), lens[0], base_of(leaf));
        offset += lens[0];
    }
    if (user_parts(shape) > 0) item->parts[0] = part_bytes(leaf, lens[first], offset, &item->blocks[0]);
    if (user_parts(shape) < 2) return;
    offset += part_size(leaf, lens[first], offset);
    item->parts[1] = part_bytes(leaf, lens[first + 1], offset, &item->blocks[1]);
}

void leaf_get(const struct leaf *leaf, unsigned place, size_t offset, struct tree_item *item) {
    BY_KIND(leaf, get, leaf, place, offset, item)
}

struct tree_key leaf_key(const struct leaf *leaf, unsigned place, const struct hash_seed *seed) {
    struct tree_item item;
    leaf_get(leaf, place, leaf_offset(leaf, place), &item);
    if (shape_of(leaf)->widths[TAGS]) item.key.high = hash_bytes(seed, item.parts[0]);
    return tree_item_key((enum tree_kind)leaf->head.kind, &item);
}

/* ---- Building ------------------------------------------------------------------------------------- */

struct leaf_piece leaf_piece(const struct leaf *leaf, unsigned from, unsigned to) {
    assert(from <= to && to <= leaf->head.count);
    return (struct leaf_piece){leaf, (uint16_t)from, (uint16_t)to, (uint16_t)leaf_offset(leaf, from),
                               (uint16_t)leaf_offset(leaf, to)};
}

/* What a leaf will hold. */
struct extent {
    unsigned count;
    size_t bytes;
    struct tree_key base;
    struct rows_frame frame; /* instead of that, in a leaf of rows */
    unsigned item_place;     /* of the new item; `count` if there is none */
};

static bool same_base(const struct leaf *leaf, struct tree_key base) {
    struct tree_key own = base_of(leaf);
    return own.high == base.high && own.low == base.low;
}

/* From what the numbers are counted: from the first one, or, where that is the first of its leaf, from where this counts
 * them, so that they need not be written anew. */
static struct tree_key choose_base(const struct leaf_piece *pieces, unsigned count,
                                   const struct leaf_item *item) {
    for (unsigned i = 0; i < count; i++) {
        if (pieces[i].leaf == NULL) return item->item->key;
        struct tree_item first;
        if (pieces[i].from == pieces[i].to) continue;
        if (pieces[i].from == 0) return base_of(pieces[i].leaf);
        leaf_get(pieces[i].leaf, pieces[i].from, pieces[i].begin, &first);
        return first.key;
    }
    return (struct tree_key){0, 0};
}

/* Bytes that the numbers of a piece take more with another base. */
static size_t id_growth(const struct leaf_piece *piece, struct tree_key base) {
    const struct leaf *leaf = piece->leaf;
    size_t offset = piece->begin, growth = 0;
    char code[ID_CODE_MAX];
    if (same_base(leaf, base)) return 0;
    for (unsigned i = piece->from; i < piece->to; offset += leaf_size_at(leaf, i, offset), i++) {
        struct tree_item item;
        leaf_get(leaf, i, offset, &item);
        growth += encode_id(code, base, item.key) - lens_of(leaf)[2 * i];
    }
    return growth;
}

static bool same_frame(const struct leaf *leaf, const struct rows_frame *frame) {
    return memcmp(frame_of(leaf), frame, sizeof *frame) == 0;
}

/* In what frame pieces can be written and, if it is among them, the item. Where all of them have one, and it serves, that
 * is it; else one of as few bytes as can be. */
static struct rows_frame choose_frame(struct leaf_parts parts) {
    const struct rows_frame *one = NULL;
    struct rows_span span = rows_span_empty();
    struct row row;
    bool serves = true;
    for (unsigned i = 0; i < parts.count; i++) {
        const struct leaf_piece *piece = &parts.pieces[i];
        if (piece->leaf && piece->from == piece->to) continue;
        if (piece->leaf && one == NULL) one = frame_of(piece->leaf);
        if (piece->leaf) serves = serves && same_frame(piece->leaf, one);
    }
    for (unsigned i = 0; i < parts.count; i++) {
        if (parts.pieces[i].leaf) continue;
        row = row_of(parts.item->item);
        serves = serves && one && rows_fit(one, &row);
        rows_span_add(&span, &row);
    }
    if (serves && one) return *one;
    for (unsigned i = 0; i < parts.count; i++) {
        const struct leaf_piece *piece = &parts.pieces[i];
        if (piece->leaf == NULL || piece->from == piece->to) continue;
        rows_span_add_all(&span, frame_of(piece->leaf), element_at(piece->leaf, piece->begin),
                          (unsigned)(piece->to - piece->from));
    }
    return rows_frame_for(&span);
}

static struct extent measure_rows(struct leaf_parts parts) {
    struct extent extent = {.item_place = UINT32_MAX, .frame = choose_frame(parts)};
    for (unsigned i = 0; i < parts.count; i++) {
        const struct leaf_piece *piece = &parts.pieces[i];
        if (piece->leaf == NULL) extent.item_place = extent.count;
        extent.count += piece->leaf ? (unsigned)(piece->to - piece->from) : 1u;
    }
    if (extent.item_place == UINT32_MAX) extent.item_place = extent.count;
    extent.bytes = (size_t)extent.count * extent.frame.stride;
    return extent;
}

static struct extent measure(const struct shape *shape, const struct leaf_piece *pieces, unsigned count,
                             const struct leaf_item *item) {
    if (shape->rows) return measure_rows((struct leaf_parts){pieces, count, item});
    struct extent extent = {.item_place = UINT32_MAX};
    if (shape->base) extent.base = choose_base(pieces, count, item);
    for (unsigned i = 0; i < count; i++) {
        const struct leaf_piece *piece = &pieces[i];
        if (piece->leaf) {
            extent.count += piece->to - piece->from;
            extent.bytes += (size_t)(piece->end - piece->begin) +
                            (shape->base ? id_growth(piece, extent.base) : 0);
        } else {
            extent.item_place = extent.count++;
            extent.bytes += item_size(shape, item, extent.base);
        }
    }
    if (extent.item_place == UINT32_MAX) extent.item_place = extent.count;
    return extent;
}

/* How much of the spare bytes goes before the elements, where the columns grow: for more to come at this place. */
static size_t share_in_front(size_t spare, unsigned place, unsigned count, size_t width, size_t bytes) {
    size_t mean = count ? bytes / count : 0;
    if (place == 0 && count > 1) return spare;
    size_t front = place + 1 >= count ? width : width + mean / 2;
    return width + mean ? spare * front / (width + mean) : spare;
}

/* A piece, its numbers counted from the leaf's base. */
static size_t fill_with_ids(struct leaf *leaf, unsigned place, size_t at, const struct leaf_piece *piece) {
    size_t offset = piece->begin, begin = at;
    uint8_t *lens = lens_of(leaf);
    for (unsigned i = piece->from; i < piece->to; i++, place++) {
        struct tree_item item;
        size_t size = leaf_size_at(piece->leaf, i, offset);
        uint8_t id_len = lens_of(piece->leaf)[2 * i];
        leaf_get(piece->leaf, i, offset, &item);
        lens[2 * place] = (uint8_t)encode_id(element_at(leaf, at), base_of(leaf), item.key);
        lens[2 * place + 1] = lens_of(piece->leaf)[2 * i + 1];
        at += lens[2 * place];
        memcpy(element_at(leaf, at), element_at(piece->leaf, offset + id_len), size - id_len);
        at += size - id_len;
        offset += size;
    }
    return at - begin;
}

static size_t fill_with_piece(struct leaf *leaf, unsigned place, size_t at, const struct leaf_piece *piece) {
    const struct shape *shape = shape_of(leaf);
    unsigned parts = shape->widths[LENS];
    size_t count = (size_t)(piece->to - piece->from), bytes = (size_t)(piece->end - piece->begin);
    if (shape->rows && !same_frame(piece->leaf, frame_of(leaf))) {
        bytes = count * frame_of(leaf)->stride;
        rows_rewrite(frame_of(leaf), element_at(leaf, at), frame_of(piece->leaf),
                     element_at(piece->leaf, piece->begin), (unsigned)count);
    } else if (shape->base && !shape->rows && !same_base(piece->leaf, base_of(leaf))) {
        bytes = fill_with_ids(leaf, place, at, piece);
    } else {
        for (unsigned column = 0; column < COLUMNS; column++) {
            size_t width = shape->widths[column];
            memcpy(column_of(leaf, column, leaf->head.count) + width * place,
                   column_of(piece->leaf, column, piece->leaf->head.count) + width * piece->from,
                   width * count);
        }
        memcpy(element_at(leaf, at), element_at(piece->leaf, piece->begin), bytes);
    }
    if (piece->leaf->longs == 0) return bytes;
    const uint8_t *lens = lens_of(leaf) + (size_t)place * parts;
    for (size_t i = 0; i < count * parts; i++) leaf->longs += lens[i] == LEAF_LONG;
    each_block(leaf, (size_t)place * parts, (place + count) * parts, at, true);
    return bytes;
}

struct leaf *leaf_build(struct heap *heap, enum tree_kind kind, struct leaf_parts parts, size_t capacity) {
    const struct shape *shape = &shapes[kind];
    struct extent extent = measure(shape, parts.pieces, parts.count, parts.item);
    size_t needs = leaf_bytes(kind, extent.count, extent.bytes), width = shape->before[COLUMNS];
    if (needs > HEAP_NODE_MAX) return NULL;
    capacity = node_bytes(capacity > needs ? capacity : needs);
    struct leaf *leaf = node_alloc(heap, capacity);
    if (leaf == NULL) return NULL;
    size_t front = share_in_front(capacity - needs, extent.item_place, extent.count, width, extent.bytes);
    *leaf = (struct leaf){
        .head = {.references = 1, .kind = (uint8_t)kind, .count = (uint16_t)extent.count},
        .capacity = (uint16_t)capacity,
        .start = (uint16_t)(leaf_bytes(kind, extent.count, 0) + front),
        .used = (uint16_t)extent.bytes,
    };
    if (shape->rows)
        memcpy(leaf->bytes, &extent.frame, sizeof extent.frame);
    else if (shape->base)
        memcpy(leaf->bytes, &extent.base, sizeof extent.base);
    unsigned place = 0;
    size_t at = 0;
    for (unsigned i = 0; i < parts.count; i++) {
        const struct leaf_piece *piece = &parts.pieces[i];
        at += piece->leaf ? fill_with_piece(leaf, place, at, piece)
                          : write_item(shape, leaf, place, at, parts.item);
        place += piece->leaf ? piece->to - piece->from : 1;
    }
    assert(place == extent.count && at == extent.bytes);
    debug_assert(leaf_is_whole(leaf));
    return leaf;
}

/* ---- Changing in place ---------------------------------------------------------------------------- */

/* The next column that a kind has; COLUMNS if there is none. */
FOR_ANY unsigned column_behind(const struct shape *shape, unsigned column) {
    if (column < SCORES && shape->widths[SCORES]) return SCORES;
    if (column < TAGS && shape->widths[TAGS]) return TAGS;
    return column < LENS && shape->widths[LENS] ? LENS : COLUMNS;
}
/* Bytes of `behind` elements at the end of a column and of `before` at the beginning of the next one, which lie side by side
 * and move together. */
FOR_ANY size_t bytes_between(const struct shape *shape, unsigned column, size_t behind, size_t before) {
    unsigned next = column_behind(shape, column);
    return shape->widths[column] * behind + (next < COLUMNS ? shape->widths[next] * before : 0);
}

/* Makes room for another element in a column. */
FOR_ANY void open_column(const struct shape *shape, struct leaf *leaf, unsigned column, unsigned place) {
    size_t count = leaf->head.count, width = shape->widths[column];
    size_t bytes = bytes_between(shape, column, count - place, place);
    char *from = column_in(shape, leaf, column, count) + width * place;
    if (width > 0 && bytes > 0) memmove(from + shape->before[column] + width, from, bytes);
}

/* The same in all, from the last one to the first. */
FOR_ANY void open_columns(const struct shape *shape, struct leaf *leaf, unsigned place) {
    open_column(shape, leaf, LENS, place);
    open_column(shape, leaf, TAGS, place);
    open_column(shape, leaf, SCORES, place);
    open_column(shape, leaf, HASHES, place);
    leaf->head.count++;
}

/* Takes `gone` elements out of a column. */
FOR_ANY void close_column(const struct shape *shape, struct leaf *leaf, unsigned column, unsigned place,
                          unsigned gone) {
    size_t count = leaf->head.count, width = shape->widths[column];
    size_t bytes = bytes_between(shape, column, count - gone - place, place);
    char *from = column_in(shape, leaf, column, count) + width * (place + gone);
    if (width > 0 && bytes > 0) memmove(from - (shape->before[column] + width) * gone, from, bytes);
}

/* The same in all, from the first one to the last. */
FOR_ANY void close_columns(const struct shape *shape, struct leaf *leaf, unsigned place, unsigned gone) {
    close_column(shape, leaf, HASHES, place, gone);
    close_column(shape, leaf, SCORES, place, gone);
    close_column(shape, leaf, TAGS, place, gone);
    close_column(shape, leaf, LENS, place, gone);
    leaf->head.count = (uint16_t)(leaf->head.count - gone);
}

/* Moves the elements apart at the offset, so that they begin at another place and `size` bytes are open. */
FOR_ANY void move_apart(struct leaf *leaf, size_t new_start, size_t offset, size_t size) {
    size_t start = leaf->start, behind = leaf->used - offset;
    char *base = (char *)leaf;
    if (new_start < start && offset > 0) memmove(base + new_start, base + start, offset);
    if (new_start + size != start && behind > 0)
        memmove(base + new_start + offset + size, base + start + offset, behind);
    if (new_start > start && offset > 0) memmove(base + new_start, base + start, offset);
    leaf->start = (uint16_t)new_start;
    leaf->used = (uint16_t)(leaf->used + size);
}

/* Where the elements are to begin anew, with room on both sides. */
static __attribute__((noinline)) size_t start_between(const struct leaf *leaf, unsigned place, size_t size) {
    const struct shape *shape = shape_of(leaf);
    unsigned count = leaf->head.count + 1u;
    size_t columns_end = bytes_for(shape, count, 0), used = leaf->used + size;
    size_t spare = leaf->capacity - columns_end - used;
    return columns_end + share_in_front(spare, place, count, shape->before[COLUMNS], used);
}

/* Opens `size` bytes at the offset, with room for the columns of one more element; there is enough in all. */
FOR_ANY void open_elements(const struct shape *shape, struct leaf *leaf, unsigned place, size_t offset,
                           size_t size) {
    size_t columns_end = bytes_for(shape, leaf->head.count + 1u, 0), start = leaf->start;
    bool fits_behind = start >= columns_end && start + leaf->used + size <= leaf->capacity;
    bool fits_before = start >= columns_end + size;
    if (fits_behind && (leaf->used - offset <= offset || !fits_before))
        move_apart(leaf, start, offset, size);
    else
        move_apart(leaf, fits_before ? start - size : start_between(leaf, place, size), offset, size);
}

FOR_ANY void close_elements(struct leaf *leaf, size_t offset, size_t size) {
    size_t behind = leaf->used - offset - size;
    char *at = element_at(leaf, offset);
    if (offset < behind) {
        if (offset > 0) memmove(element_at(leaf, size), element_at(leaf, 0), offset);
        leaf->start = (uint16_t)(leaf->start + size);
    } else if (behind > 0) {
        memmove(at, at + size, behind);
    }
    leaf->used = (uint16_t)(leaf->used - size);
}

/* Can an item of this leaf's order stand here without another base? */
FOR_ANY bool base_serves(const struct shape *shape, const struct leaf *leaf, unsigned place,
                         const struct leaf_item *ready) {
    if (shape->rows) {
        struct row row = row_of(ready->item);
        return rows_fit(frame_of(leaf), &row);
    }
    return place > 0 || shape->base == 0;
}

/* Would one row more be too many, if all of them became as wide as they can be? However narrow they are in a leaf that has
 * room for wide ones, its two halves are to be leaves then. */
FOR_ANY bool has_rows_enough(const struct shape *shape, const struct leaf *leaf) {
    return shape->rows && bytes_for(shape, 0, (leaf->head.count + (size_t)1) * ROW_BYTES_MOST) > shape->most;
}

FOR_ANY bool insert(const struct shape *shape, struct leaf *leaf, unsigned place,
                    const struct leaf_item *ready) {
    assert(place <= leaf->head.count && leaf->head.references <= 1);
    if (has_rows_enough(shape, leaf) || !base_serves(shape, leaf, place, ready)) return false;
    size_t size = item_size_in(shape, leaf, ready);
    if (bytes_for(shape, leaf->head.count + 1u, leaf->used + size) > leaf->capacity) return false;
    size_t offset = offset_in(shape, leaf, place);
    open_elements(shape, leaf, place, offset, size);
    open_columns(shape, leaf, place);
    write_item(shape, leaf, place, offset, ready);
    debug_assert(leaf_is_whole(leaf));
    return true;
}

bool leaf_insert(struct leaf *leaf, unsigned place, const struct leaf_item *ready) {
    bool done;
    BY_KIND(leaf, done = insert, leaf, place, ready)
    return done;
}

/* The blocks and counts of elements that go. */
static __attribute__((noinline)) void forget_long(struct leaf *leaf, unsigned place, unsigned count,
                                                  size_t offset) {
    size_t parts = shape_of(leaf)->widths[LENS], first = place * parts, end = first + count * parts;
    each_block(leaf, first, end, offset, false);
    for (size_t i = first; i < end; i++) leaf->longs -= lens_of(leaf)[i] == LEAF_LONG;
}
static inline void forget(struct leaf *leaf, unsigned place, unsigned count, size_t offset) {
    if (leaf->longs > 0) forget_long(leaf, place, count, offset);
}

FOR_ANY void take_out_at(const struct shape *shape, struct leaf *leaf, unsigned place, unsigned count,
                         size_t offset) {
    assert(count > 0 && place < leaf->head.count && count <= leaf->head.count - place);
    assert(leaf->head.references <= 1);
    size_t end = count == 1 ? offset + element_size(shape, leaf, place, offset)
                            : offset_in(shape, leaf, place + count);
    assert(offset <= end && end <= leaf->used);
    forget(leaf, place, count, offset);
    close_elements(leaf, offset, end - offset);
    close_columns(shape, leaf, place, count);
    debug_assert(leaf_is_whole(leaf));
}

FOR_ANY void take_out(const struct shape *shape, struct leaf *leaf, unsigned place, unsigned count) {
    take_out_at(shape, leaf, place, count, offset_in(shape, leaf, place));
}

void leaf_remove(struct leaf *leaf, unsigned place, unsigned count) {
    BY_KIND(leaf, take_out, leaf, place, count)
}

void leaf_remove_at(struct leaf *leaf, unsigned place, size_t offset) {
    debug_assert(offset == leaf_offset(leaf, place));
    BY_KIND(leaf, take_out_at, leaf, place, 1, offset)
}

FOR_ANY bool put_instead(const struct shape *shape, struct leaf *leaf, unsigned place,
                         const struct leaf_item *ready) {
    size_t offset = offset_in(shape, leaf, place), old = element_size(shape, leaf, place, offset);
    assert(place < leaf->head.count && leaf->head.references <= 1);
    if (shape->rows && !base_serves(shape, leaf, place, ready)) return false;
    size_t size = item_size_in(shape, leaf, ready);
    if (bytes_for(shape, leaf->head.count, leaf->used - old + size) > leaf->capacity) return false;
    forget(leaf, place, 1, offset);
    if (old != size) {
        close_elements(leaf, offset, old);
        leaf->head.count--; /* its columns stay where they are: only the element is opened anew */
        open_elements(shape, leaf, place, offset, size);
        leaf->head.count++;
    }
    write_item(shape, leaf, place, offset, ready);
    debug_assert(leaf_is_whole(leaf));
    return true;
}

bool leaf_replace(struct leaf *leaf, unsigned place, const struct leaf_item *ready) {
    bool done;
    BY_KIND(leaf, done = put_instead, leaf, place, ready)
    return done;
}

/* ---- Finding -------------------------------------------------------------------------------------- */

/* bytes_equal of the same length, without a call where it is 8 to 32. */
static inline bool same_bytes(const char *a, const char *b, size_t len) {
#ifdef __SSE2__
    if (len - 16 <= 16) {
        const __m128i *a_end = (const __m128i *)(const void *)(a + len - 16),
                      *b_end = (const __m128i *)(const void *)(b + len - 16);
        __m128i first = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a),
                                       _mm_loadu_si128((const __m128i *)(const void *)b));
        __m128i last = _mm_cmpeq_epi8(_mm_loadu_si128(a_end), _mm_loadu_si128(b_end));
        return _mm_movemask_epi8(_mm_and_si128(first, last)) == 0xffff;
    }
#endif
    if (len - 8 <= 8)
        return ((load_u64(a) ^ load_u64(b)) | (load_u64(a + len - 8) ^ load_u64(b + len - 8))) == 0;
    return len == 0 || memcmp(a, b, len) == 0;
}

/* Is this the member at that place? Then *offset is where it begins. */
FOR_ANY bool is_member(const struct shape *shape, const struct leaf *leaf, unsigned place,
                       struct bytes member, size_t *offset) {
    unsigned parts = shape->widths[LENS];
    uint8_t len = member.len < LEAF_LONG ? (uint8_t)member.len : LEAF_LONG;
    struct block *block;
    if (lens_in(shape, leaf)[place * parts] != len) return false;
    *offset = size_of_parts(shape, leaf, (size_t)place * parts);
    struct bytes found = part_bytes(leaf, len, *offset, &block);
    return found.len == member.len && same_bytes(found.data, member.data, member.len);
}

struct sought {
    uint64_t hash;
    struct bytes member;
    unsigned guess; /* its place, perhaps */
};

/* The guess is looked at first, where it has the tag at least. */
FOR_ANY unsigned find(const struct shape *shape, const struct leaf *leaf, struct sought sought,
                      size_t *offset) {
    unsigned count = leaf->head.count, guess = sought.guess;
    const uint8_t *tags = (const uint8_t *)column_in(shape, leaf, TAGS, count), tag = (uint8_t)sought.hash;
    bool guessed = guess < count && tags[guess] == tag;
    for (unsigned i = guessed ? guess : next_tag(tags, count, 0, tag); i < count; guessed = false) {
        if (is_member(shape, leaf, i, sought.member, offset)) return i;
        i = next_tag(tags, count, guessed ? 0 : i + 1, tag);
    }
    return count;
}

unsigned leaf_find(const struct leaf *leaf, uint64_t hash, struct bytes member, unsigned guess,
                   size_t *offset) {
    assert(leaf->head.kind == TREE_SET || leaf->head.kind == TREE_HASH);
    return leaf->head.kind == TREE_SET
               ? find(&shapes[TREE_SET], leaf, (struct sought){hash, member, guess}, offset)
               : find(&shapes[TREE_HASH], leaf, (struct sought){hash, member, guess}, offset);
}

bool leaf_find_second(const struct leaf *leaf, uint64_t hash, struct bytes field, unsigned guess,
                      struct leaf_part *second) {
    size_t offset;
    assert(leaf->head.kind == TREE_HASH);
    unsigned place = find(&shapes[TREE_HASH], leaf, (struct sought){hash, field, guess}, &offset);
    if (place == leaf->head.count) return false;
    const uint8_t *lens = lens_in(&shapes[TREE_HASH], leaf) + (size_t)2 * place;
    offset += part_size(leaf, lens[0], offset);
    second->bytes = part_bytes(leaf, lens[1], offset, &second->block);
    return true;
}

unsigned leaf_find_hash(const struct leaf *leaf, const struct hash_seed *seed, uint64_t hash,
                        size_t *offset) {
    unsigned count = leaf->head.count;
    const uint8_t *tags = (const uint8_t *)column_of(leaf, TAGS, count);
    for (unsigned i = 0; (i = next_tag(tags, count, i, (uint8_t)hash)) < count; i++) {
        struct tree_item item;
        *offset = leaf_offset(leaf, i);
        leaf_get(leaf, i, *offset, &item);
        if (hash_bytes(seed, item.parts[0]) == hash) return i;
    }
    return count;
}

/* Asks for an element, which stands there, or near, where all are of about the same size; it may lie across two lines. */
static inline void prefetch_about(const struct leaf *leaf, unsigned place, unsigned count) {
    const char *at = element_at(leaf, (size_t)((uint32_t)leaf->used * place / count));
    memory_prefetch(at);
    memory_prefetch(at + (uint32_t)leaf->used / count);
}

unsigned leaf_prefetch(const struct leaf *leaf, uint64_t hash) {
    unsigned count = leaf->head.count, first = count;
    const uint8_t *tags = (const uint8_t *)leaf->bytes; /* the first column */
    assert(leaf->head.kind == TREE_SET || leaf->head.kind == TREE_HASH);
    for (unsigned i = 0; (i = next_tag(tags, count, i, (uint8_t)hash)) < count; i++) {
        prefetch_about(leaf, i, count);
        if (first == count) first = i;
    }
    return first;
}

/* The first place whose score is not below this one. */
static unsigned score_bound(const struct leaf *leaf, double score) {
    const char *scores = column_in(&shapes[TREE_SCORES], leaf, SCORES, leaf->head.count);
    unsigned low = 0, half;
    for (unsigned left = leaf->head.count; left > 0; left -= half) {
        half = (left + 1) / 2;
        double other;
        memcpy(&other, scores + 8 * (low + half - 1), sizeof other);
        low += half & -(unsigned)(other < score); /* nobody could guess which: no jump */
    }
    return low;
}

static double score_at(const struct leaf *leaf, unsigned place) {
    double score;
    memcpy(&score, column_in(&shapes[TREE_SCORES], leaf, SCORES, leaf->head.count) + 8 * place, sizeof score);
    return score;
}

/* The order of the member that begins there and this one. */
static inline int compare_member(const struct leaf *leaf, unsigned place, size_t offset,
                                 struct bytes member) {
    struct block *block;
    struct bytes own = part_bytes(leaf, lens_in(&shapes[TREE_SCORES], leaf)[place], offset, &block);
    if (own.len == member.len && same_bytes(own.data, member.data, member.len)) return 0;
    return bytes_compare(own, member);
}

/* Is this the first place whose score is not below this one? */
static bool is_score_bound(const struct leaf *leaf, double score, unsigned place) {
    unsigned count = leaf->head.count;
    return place <= count && (place == 0 || score_at(leaf, place - 1) < score) &&
           (place == count || score_at(leaf, place) >= score);
}

unsigned leaf_score_ahead(const struct leaf *leaf, double score) {
    unsigned place = score_bound(leaf, score);
    assert(leaf->head.kind == TREE_SCORES);
    prefetch_about(leaf, place, leaf->head.count);
    return place;
}

/* Of members with one score, [low, end), the first that is not below this one. */
static unsigned bound_in_members(const struct leaf *leaf, struct bytes member, unsigned low, unsigned end,
                                 size_t *offset) {
    while (low < end) {
        unsigned middle = low + (end - low) / 2;
        *offset = offset_in(&shapes[TREE_SCORES], leaf, middle);
        int order = compare_member(leaf, middle, *offset, member);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            end = middle;
    }
    *offset = offset_in(&shapes[TREE_SCORES], leaf, low);
    return low;
}

static unsigned bound_in_scores(const struct leaf *leaf, const struct tree_item *item, unsigned guess,
                                bool *equal, size_t *offset) {
    enum { FEW = 4 };
    unsigned count = leaf->head.count;
    unsigned low = is_score_bound(leaf, item->score, guess) ? guess : score_bound(leaf, item->score);
    if (low == count || score_at(leaf, low) != item->score) return low;
    if (low + FEW < count && score_at(leaf, low + FEW) == item->score) {
        unsigned end = low + FEW;
        while (end < count && score_at(leaf, end) == item->score) end++;
        low = bound_in_members(leaf, item->parts[0], low, end, offset);
        *equal = low < end && compare_member(leaf, low, *offset, item->parts[0]) == 0;
        return low;
    }
    *offset = offset_in(&shapes[TREE_SCORES], leaf, low);
    for (; low < count && score_at(leaf, low) == item->score; low++) {
        int order = compare_member(leaf, low, *offset, item->parts[0]);
        *equal = order == 0;
        if (order >= 0) break;
        *offset += element_size(&shapes[TREE_SCORES], leaf, low, *offset);
    }
    return low;
}

static unsigned bound_in_index(const struct leaf *leaf, uint64_t hash, unsigned guess, bool *equal) {
    const char *hashes = column_in(&shapes[TREE_INDEX], leaf, HASHES, leaf->head.count);
    unsigned low = 0, half;
    if (guess < leaf->head.count && load_u32(hashes + 4 * (size_t)guess) == hash &&
        (guess == 0 || load_u32(hashes + 4 * (size_t)guess - 4) < hash)) {
        *equal = true;
        return guess;
    }
    for (unsigned left = leaf->head.count; left > 0; left -= half) {
        half = (left + 1) / 2;
        low += load_u32(hashes + 4 * (low + half - 1)) < hash ? half : 0;
    }
    *equal = low < leaf->head.count && load_u32(hashes + 4 * low) == hash;
    return low;
}

static bool is_below(struct tree_key a, struct tree_key b) {
    return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* Between which places the first element lies that is not below a number: that at `low` is below it, or is the first, and
 * that at `high` is not, or there is none. Where the two are the same it has been found. */
struct near {
    unsigned low, high;
    size_t offset; /* of the element at `low` */
};

/* Looks at one of the elements in between. The sizes that lead there are added up from `low` on, or from the end. */
static bool narrow(const struct leaf *leaf, struct tree_key key, struct near *near, unsigned at) {
    const uint8_t *lens = lens_in(&shapes[TREE_STREAM], leaf);
    unsigned before = at - near->low, behind = leaf->head.count - at;
    size_t offset = before <= behind
                        ? near->offset + sum_bytes(lens + (size_t)2 * near->low, (size_t)2 * before)
                        : leaf->used - sum_bytes(lens + (size_t)2 * at, (size_t)2 * behind);
    bool below = is_below(decode_id(element_at(leaf, offset), lens[(size_t)2 * at], base_of(leaf)), key);
    if (below) {
        near->low = at;
        near->offset = offset;
    } else {
        near->high = at;
    }
    return below;
}

/* Is the element at a place and its offset below a number, whose milliseconds are more than the base's? Those of two
 * bytes are compared as they are written. */
static inline bool below_at(const struct leaf *leaf, unsigned place, size_t offset, struct tree_key key) {
    const unsigned char *at = (const unsigned char *)element_at(leaf, offset);
    struct tree_key base = base_of(leaf);
    uint64_t wanted = key.high - base.high, ms = at[0];
    bool brief = ms < 128;
    if (!brief && at[1] < 128) {
        ms = (ms & 127) | (uint64_t)at[1] << 7;
        brief = true;
    }
    if (brief && ms != wanted) return ms < wanted;
    uint8_t len = lens_in(&shapes[TREE_STREAM], leaf)[(size_t)2 * place];
    return is_below(decode_id((const char *)at, len, base), key);
}

/* From an element on, in the direction of the bound, a few steps at most. */
static void walk_to_bound(const struct leaf *leaf, struct tree_key key, struct near *near, unsigned at) {
    enum { STEPS = 16 };
    const uint8_t *lens = lens_in(&shapes[TREE_STREAM], leaf);
    size_t offset = offset_in(&shapes[TREE_STREAM], leaf, at);
    unsigned left = STEPS;
    if (below_at(leaf, at, offset, key)) {
        do {
            if (left-- == 0) return;
            near->low = at;
            near->offset = offset;
            offset += (size_t)lens[(size_t)2 * at] + lens[(size_t)2 * at + 1];
        } while (++at < near->high && below_at(leaf, at, offset, key));
    } else {
        for (near->high = at; at > 0; near->high = --at) {
            size_t before = offset - lens[(size_t)2 * at - 2] - lens[(size_t)2 * at - 1];
            if (below_at(leaf, at - 1, before, key)) break;
            if (left-- == 0) return;
            offset = before;
        }
    }
    *near = (struct near){at, at, offset};
}

static uint64_t last_ms(const struct leaf *leaf) {
    const uint8_t *lens = lens_in(&shapes[TREE_STREAM], leaf) + (size_t)2 * (leaf->head.count - 1u);
    return decode_id(element_at(leaf, leaf->used - lens[0] - lens[1]), lens[0], base_of(leaf)).high;
}

/* Milliseconds lie evenly as a rule: so the elements around the place where it would be then are tried first. */
static void narrow_by_guess(const struct leaf *leaf, struct tree_key key, uint64_t most, struct near *near) {
    struct tree_key base = base_of(leaf);
    uint64_t last = most == UINT64_MAX ? last_ms(leaf) : most;
    if (key.high <= base.high || key.high >= last || last - base.high > UINT32_MAX) return;
    unsigned guess = (unsigned)((key.high - base.high) * near->high / (last - base.high));
    assert(guess < near->high);
    /* What is looked at lies within these lines: they come together. */
    const char *about = element_at(leaf, (size_t)((uint32_t)leaf->used * guess / near->high));
    for (int line = -2; line < 2; line++) memory_prefetch(about + 64 * line);
    walk_to_bound(leaf, key, near, guess);
}

/* A place near the bound, but not behind it, in a leaf without long parts. */
static unsigned near_bound(const struct leaf *leaf, struct tree_key key, uint64_t most, size_t *offset) {
    enum { NEAR = 4, MANY = 32 };
    struct near near = {.high = leaf->head.count};
    if (near.high >= MANY) narrow_by_guess(leaf, key, most, &near);
    while (near.high - near.low > NEAR) narrow(leaf, key, &near, near.low + (near.high - near.low) / 2);
    *offset = near.offset;
    return near.low;
}

static unsigned bound_in_stream(const struct leaf *leaf, struct tree_key key, uint64_t most, bool *equal,
                                size_t *offset) {
    const struct shape *shape = &shapes[TREE_STREAM];
    const uint8_t *lens = lens_in(shape, leaf);
    unsigned i = leaf->longs == 0 ? near_bound(leaf, key, most, offset) : 0;
    for (; i < leaf->head.count; *offset += element_size(shape, leaf, i, *offset), i++) {
        struct tree_key own = decode_id(element_at(leaf, *offset), lens[(size_t)2 * i], base_of(leaf));
        if (is_below(own, key)) continue;
        *equal = own.high == key.high && own.low == key.low;
        break;
    }
    return i;
}

static unsigned bound_in_rows(const struct leaf *leaf, struct tree_key key, unsigned guess, bool *equal,
                              size_t *offset) {
    struct row wanted = {.fields = {[ROW_SEQUENCE] = key.low, [ROW_MS] = key.high}};
    *offset = (size_t)guess * frame_of(leaf)->stride;
    if (guess > 0 && guess < leaf->head.count &&
        rows_is(frame_of(leaf), element_at(leaf, *offset), &wanted)) {
        *equal = true;
        return guess;
    }
    unsigned place = rows_seek(frame_of(leaf), element_at(leaf, 0), leaf->head.count, &wanted, equal);
    *offset = (size_t)place * frame_of(leaf)->stride;
    return place;
}

bool leaf_seek(const struct leaf *leaf, const struct tree_item *item, uint64_t most, unsigned *place,
               size_t *offset) {
    bool equal = false;
    *offset = 0; /* where all elements of TREE_INDEX are, which have columns alone */
    switch ((enum tree_kind)leaf->head.kind) {
    case TREE_SCORES: *place = bound_in_scores(leaf, item, *place, &equal, offset); break;
    case TREE_INDEX: *place = bound_in_index(leaf, item->key.high, *place, &equal); break;
    case TREE_STREAM: *place = bound_in_stream(leaf, item->key, most, &equal, offset); break;
    case TREE_PENDING: *place = bound_in_rows(leaf, item->key, *place, &equal, offset); break;
    default: assert(!"an ordered kind");
    }
    return equal;
}

/* ---- Checking ------------------------------------------------------------------------------------- */

bool leaf_is_whole(const struct leaf *leaf) {
    size_t parts = (size_t)leaf->head.count * shape_of(leaf)->widths[LENS], longs = 0, used = 0;
    const uint8_t *lens = lens_of(leaf);
    assert(leaf->head.level == 0 && leaf->head.kind < TREE_KINDS);
    assert(leaf->start >= leaf_bytes((enum tree_kind)leaf->head.kind, leaf->head.count, 0)); /* 1 */
    assert(leaf->start + leaf->used <= leaf->capacity);
    assert(leaf->capacity == node_bytes(leaf->capacity));
    for (size_t i = 0; i < parts; used += part_size(leaf, lens[i], used), i++) longs += lens[i] == LEAF_LONG;
    if (shape_of(leaf)->rows) used = (size_t)leaf->head.count * frame_of(leaf)->stride;
    assert(longs == leaf->longs); /* 2 */
    assert(used == leaf->used);   /* 3 */
    return true;
}
