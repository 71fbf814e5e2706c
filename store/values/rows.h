/* rows.h - rows of five whole numbers: a number of 128 bits by which they are in order, and three more, for the leaves of
 * TREE_PENDING (leaf.h).
 *
 * The rows of a leaf are of one size. Each field has as many bytes as its largest value needs there, counted from a base that
 * stands in the leaf's frame, with the lowest byte first: none where all are alike. (Zukowski, Heman, Nes and Boncz,
 * Super-Scalar RAM-CPU Cache Compression, 2006, call that a frame of reference.) So a row is found by a multiplication, and
 * compared with one load: its first bytes are the number of 128 bits, low half before high half.
 *
 *     frame | sequence u64 | ms u64 | owner u32 | time u48 | widths u8 x 5 | stride u8 |
 *     row   | sequence | ms | time | owner | times | */
#ifndef KEVY_STORE_VALUES_ROWS_H
#define KEVY_STORE_VALUES_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/assert.h"
#include "protocol/load.h"

/* ROW_SEQUENCE and ROW_MS are the low and the high half of the number by which rows are in order. The others mean nothing
 * here, but have bounds. */
enum row_field { ROW_SEQUENCE, ROW_MS, ROW_TIME, ROW_OWNER, ROW_TIMES, ROW_FIELDS };
enum {
    ROW_BYTES_MOST = 8 + 8 + 6 + 4 + 8,
    ROW_BYTES_BEFORE = 8 /* that may be read before the first row; no use is made of them */
};
#define ROW_TIME_MAX  (((uint64_t)1 << 48) - 1)
#define ROW_OWNER_MAX UINT32_MAX

struct row {
    uint64_t fields[ROW_FIELDS];
};

/* How the rows of a leaf are written. ROW_TIMES is counted from 0. */
struct rows_frame {
    uint64_t sequence, ms;
    uint32_t owner, time_low;
    uint16_t time_high;
    uint8_t widths[ROW_FIELDS];
    uint8_t stride; /* their sum */
};
_Static_assert(sizeof(struct rows_frame) == 32, "it has no bytes to spare");

static inline uint64_t rows_base(const struct rows_frame *frame, enum row_field field) {
    switch (field) {
    case ROW_SEQUENCE: return frame->sequence;
    case ROW_MS: return frame->ms;
    case ROW_TIME: return (uint64_t)frame->time_high << 32 | frame->time_low;
    case ROW_OWNER: return frame->owner;
    default: return 0;
    }
}

/* The largest number of so many bytes, 0 to 8. */
static inline uint64_t rows_most(unsigned width) {
    return width == 0 ? 0 : UINT64_MAX >> (64 - 8 * width);
}

/* The eight bytes that end here, as a number. */
static inline uint64_t rows_word(const char *end) {
    uint64_t word = load_u64(end - 8);
    return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* The number of so many bytes, 0 to 8, that ends here. */
static inline uint64_t rows_number(const char *end, unsigned width) {
    return width == 0 ? 0 : rows_word(end) >> (64 - 8 * width);
}

/* Reads one field, which begins here; where the next one does. */
static inline const char *rows_read_field(const struct rows_frame *frame, const char *at,
                                          enum row_field field, struct row *row) {
    at += frame->widths[field];
    row->fields[field] = rows_base(frame, field) + rows_number(at, frame->widths[field]);
    return at;
}
static inline void rows_read(const struct rows_frame *frame, const char *at, struct row *row) {
    at = rows_read_field(frame, at, ROW_SEQUENCE, row);
    at = rows_read_field(frame, at, ROW_MS, row);
    at = rows_read_field(frame, at, ROW_TIME, row);
    at = rows_read_field(frame, at, ROW_OWNER, row);
    rows_read_field(frame, at, ROW_TIMES, row);
}

/* Can this row be written in this frame? */
static inline bool rows_field_fits(const struct rows_frame *frame, enum row_field field,
                                   const struct row *row) {
    uint64_t base = rows_base(frame, field), value = row->fields[field];
    return value >= base && value - base <= rows_most(frame->widths[field]);
}
static inline bool rows_fit(const struct rows_frame *frame, const struct row *row) {
    return rows_field_fits(frame, ROW_SEQUENCE, row) && rows_field_fits(frame, ROW_MS, row) &&
           rows_field_fits(frame, ROW_TIME, row) && rows_field_fits(frame, ROW_OWNER, row) &&
           rows_field_fits(frame, ROW_TIMES, row);
}

/* Writes one that can. */
static inline void rows_write(const struct rows_frame *frame, char *at, const struct row *row) {
    for (unsigned field = 0; field < ROW_FIELDS; field++) {
        uint64_t rest = row->fields[field] - rows_base(frame, (enum row_field)field);
        for (unsigned i = 0; i < frame->widths[field]; i++, rest >>= 8) *at++ = (char)rest;
        debug_assert(rest == 0);
    }
}

/* The place of the first row that is not below the number ms, sequence, among `count` rows in its order. *equal: that is
 * its number. */
unsigned rows_seek(const struct rows_frame *frame, const char *rows, unsigned count, const struct row *wanted,
                   bool *equal);

/* Between which values the fields of some rows lie. */
struct rows_span {
    struct row least, most;
};
static inline struct rows_span rows_span_empty(void) {
    struct rows_span span;
    for (unsigned field = 0; field < ROW_FIELDS; field++) {
        span.least.fields[field] = UINT64_MAX;
        span.most.fields[field] = 0;
    }
    return span;
}
void rows_span_add(struct rows_span *span, const struct row *row);
/* Those of `count` rows, at least one, in order. A field that all of the frame have alike is not looked at in each. */
void rows_span_add_all(struct rows_span *span, const struct rows_frame *frame, const char *rows,
                       unsigned count);
/* The frame of the fewest bytes in which these can be written, at least one row. */
struct rows_frame rows_frame_for(const struct rows_span *span);

/* Writes `count` rows of one frame in another. */
void rows_rewrite(const struct rows_frame *to, char *out, const struct rows_frame *from, const char *rows,
                  unsigned count);

#endif
