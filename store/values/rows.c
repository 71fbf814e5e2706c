/* rows.c - looking for a row, and what rows need to be written. */
#include "store/values/rows.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

/* The order of a row's number and the wanted one: is the row's below? */
static bool is_below(const struct rows_frame *frame, const char *at, const struct row *wanted) {
    struct row row;
    rows_read(frame, at, &row);
    return row.fields[ROW_MS] < wanted->fields[ROW_MS] ||
           (row.fields[ROW_MS] == wanted->fields[ROW_MS] &&
            row.fields[ROW_SEQUENCE] < wanted->fields[ROW_SEQUENCE]);
}

/* Where the two halves have more than a word together. */
static __attribute__((noinline)) unsigned seek_wide(const struct rows_frame *frame, const char *rows,
                                                    unsigned count, const struct row *wanted) {
    unsigned low = 0, end = count;
    while (low < end) {
        unsigned middle = low + (end - low) / 2;
        if (is_below(frame, rows + (size_t)middle * frame->stride, wanted))
            low = middle + 1;
        else
            end = middle;
    }
    return low;
}

/* The step, or 0, without a branch that would have to be foreseen. */
static inline size_t step_if(bool taken, size_t step) {
    return step & -(size_t)taken;
}

/* Where they have one to eight bytes: as one number, with the bytes before it, which decide nothing. Each step looks at three
 * rows at once, and the steps are the same for all numbers. */
static unsigned seek_word(const char *first_end, size_t stride, unsigned count, unsigned bytes,
                          uint64_t wanted) {
    const char *at = first_end;
    unsigned left = count;
    size_t low = 0;
    assert(bytes > 0 && bytes <= 8);
    wanted <<= 64 - 8 * bytes;
    while (left > 3) {
        size_t step = left / 4, ahead = step * stride;
        const char *last = at + ahead - stride;
        bool first = rows_word(last) < wanted, second = rows_word(last + ahead) < wanted;
        bool third = rows_word(last + 2 * ahead) < wanted;
        at += step_if(first, ahead) + step_if(second, ahead) + step_if(third, ahead);
        low += step_if(first, step) + step_if(second, step) + step_if(third, step);
        left -= 3 *
                (unsigned)
                    step; /* of which, where it goes on before the last row, some are known not to be below */
    }
    size_t below = 0;
    for (; left > 0; left--, at += stride) below += rows_word(at) < wanted;
    return (unsigned)(low + below);
}

unsigned rows_seek(const struct rows_frame *frame, const char *rows, unsigned count, const struct row *wanted,
                   bool *equal) {
    unsigned low_bytes = frame->widths[ROW_SEQUENCE], bytes = low_bytes + frame->widths[ROW_MS], place;
    uint64_t ms = wanted->fields[ROW_MS] - frame->ms;
    uint64_t sequence = wanted->fields[ROW_SEQUENCE] - frame->sequence;
    *equal = false;
    if (wanted->fields[ROW_MS] < frame->ms) return 0;
    if (ms > rows_most(frame->widths[ROW_MS])) return count;
    if (wanted->fields[ROW_SEQUENCE] < frame->sequence || sequence > rows_most(low_bytes))
        return seek_wide(frame, rows, count, wanted); /* none has it */
    if (bytes == 0 || bytes > 8) {
        struct row row;
        place = seek_wide(frame, rows, count, wanted);
        if (place == count) return place;
        rows_read(frame, rows + (size_t)place * frame->stride, &row);
        *equal = row.fields[ROW_MS] == wanted->fields[ROW_MS] &&
                 row.fields[ROW_SEQUENCE] == wanted->fields[ROW_SEQUENCE];
        return place;
    }
    uint64_t word = low_bytes < 8 ? sequence | ms << 8 * low_bytes : sequence;
    place = seek_word(rows + bytes, frame->stride, count, bytes, word);
    *equal = place < count && rows_number(rows + bytes + (size_t)place * frame->stride, bytes) == word;
    return place;
}

/* ---- Frames --------------------------------------------------------------------------------------- */

static void span_add_value(struct rows_span *span, unsigned field, uint64_t value) {
    if (value < span->least.fields[field]) span->least.fields[field] = value;
    if (value > span->most.fields[field]) span->most.fields[field] = value;
}

void rows_span_add(struct rows_span *span, const struct row *row) {
    for (unsigned field = 0; field < ROW_FIELDS; field++) span_add_value(span, field, row->fields[field]);
}

void rows_span_add_all(struct rows_span *span, const struct rows_frame *frame, const char *rows,
                       unsigned count) {
    struct row end;
    size_t stride = frame->stride;
    assert(count > 0);
    rows_read(frame, rows, &end);
    rows_span_add(span, &end);
    rows_read(frame, rows + (count - 1) * stride, &end);
    rows_span_add(span, &end); /* and between these two are the milliseconds of the others */
    const char *at = rows;
    for (unsigned field = 0; field < ROW_FIELDS; field++) {
        unsigned width = frame->widths[field];
        uint64_t base = rows_base(frame, (enum row_field)field);
        at += width;
        if (width == 0 || field == ROW_MS) continue;
        for (unsigned i = 0; i < count; i++)
            span_add_value(span, field, base + rows_number(at + i * stride, width));
    }
}

static uint8_t bytes_of(uint64_t value) {
    return value ? (uint8_t)(8 - __builtin_clzll(value) / 8) : 0;
}

struct rows_frame rows_frame_for(const struct rows_span *span) {
    const uint64_t *least = span->least.fields, *most = span->most.fields;
    struct rows_frame frame = {.sequence = least[ROW_SEQUENCE], .ms = least[ROW_MS]};
    assert(most[ROW_TIME] <= ROW_TIME_MAX && most[ROW_OWNER] <= ROW_OWNER_MAX);
    frame.time_low = (uint32_t)least[ROW_TIME];
    frame.time_high = (uint16_t)(least[ROW_TIME] >> 32);
    frame.owner = (uint32_t)least[ROW_OWNER];
    for (unsigned field = 0; field < ROW_FIELDS; field++) {
        assert(least[field] <= most[field]);
        frame.widths[field] = bytes_of(most[field] - rows_base(&frame, (enum row_field)field));
        frame.stride = (uint8_t)(frame.stride + frame.widths[field]);
    }
    assert(frame.stride <= ROW_BYTES_MOST);
    return frame;
}

void rows_rewrite(const struct rows_frame *to, char *out, const struct rows_frame *from, const char *rows,
                  unsigned count) {
    for (unsigned i = 0; i < count; i++, rows += from->stride, out += to->stride) {
        struct row row;
        rows_read(from, rows, &row);
        debug_assert(rows_fit(to, &row));
        rows_write(to, out, &row);
    }
}
