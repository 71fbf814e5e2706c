/* Rows of numbers: frames as narrow as they can be, rows that come back as they were, and the place of every number. */
#include "store/values/rows.h"

#include <stdlib.h>

#include "tests/check.h"

enum { MOST = 240 };

static unsigned long long seed;

static const uint64_t bounds[ROW_FIELDS] = {UINT64_MAX, UINT64_MAX, ROW_TIME_MAX, ROW_OWNER_MAX, UINT64_MAX};

static int compare(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    for (unsigned field = ROW_MS + 1; field-- > ROW_SEQUENCE;)
        if (x->fields[field] != y->fields[field]) return x->fields[field] < y->fields[field] ? -1 : 1;
    return 0;
}

/* A number that needs so many bytes above its base at most. */
static uint64_t some_number(unsigned bytes, uint64_t base, uint64_t bound) {
    uint64_t more = check_random(&seed) & rows_most(bytes);
    return more <= bound - base ? base + more : bound;
}

/* Rows in order, no two of one number, whose fields lie within some bytes each. How many. */
static unsigned make_rows(struct row *rows, unsigned count) {
    unsigned bytes[ROW_FIELDS], left = 1;
    uint64_t bases[ROW_FIELDS];
    for (unsigned field = 0; field < ROW_FIELDS; field++) {
        bytes[field] = (unsigned)(check_random(&seed) % 9);
        bases[field] = check_random(&seed) & rows_most((unsigned)(check_random(&seed) % 9)) & bounds[field];
    }
    for (unsigned i = 0; i < count; i++)
        for (unsigned field = 0; field < ROW_FIELDS; field++)
            rows[i].fields[field] = some_number(bytes[field], bases[field], bounds[field]);
    qsort(rows, count, sizeof *rows, compare);
    for (unsigned i = 1; i < count; i++)
        if (compare(&rows[i], &rows[left - 1])) rows[left++] = rows[i];
    return left;
}

/* The rows as they are written, in memory that begins where a leaf's would at the earliest and ends with the last one. */
static char *write_rows(const struct rows_frame *frame, const struct row *rows, unsigned count) {
    char *memory = malloc(ROW_BYTES_BEFORE + (size_t)count * frame->stride);
    CHECK(memory);
    for (unsigned i = 0; i < count; i++) {
        CHECK(rows_fit(frame, &rows[i]));
        rows_write(frame, memory + ROW_BYTES_BEFORE + (size_t)i * frame->stride, &rows[i]);
    }
    return memory;
}

static struct rows_frame frame_of_each(const struct row *rows, unsigned count) {
    struct rows_span span = rows_span_empty();
    for (unsigned i = 0; i < count; i++) rows_span_add(&span, &rows[i]);
    return rows_frame_for(&span);
}

static void check_place(const struct rows_frame *frame, const char *at, const struct row *rows,
                        unsigned count, const struct row *wanted) {
    bool equal;
    unsigned below = 0;
    while (below < count && compare(&rows[below], wanted) < 0) below++;
    CHECK_INT(rows_seek(frame, at, count, wanted, &equal), below);
    CHECK_INT(equal, below < count && compare(&rows[below], wanted) == 0);
}

/* Of each number that is there, and of those beside it in every way. */
static void check_places(const struct rows_frame *frame, const char *at, const struct row *rows,
                         unsigned count) {
    for (unsigned i = 0; i < count; i++)
        for (unsigned way = 0; way < 9; way++) {
            struct row wanted = rows[i];
            wanted.fields[ROW_MS] += way / 3 - 1u;
            wanted.fields[ROW_SEQUENCE] += way % 3 - 1u;
            check_place(frame, at, rows, count, &wanted);
            wanted.fields[ROW_SEQUENCE] = check_random(&seed) % 2 ? 0 : UINT64_MAX;
            check_place(frame, at, rows, count, &wanted);
        }
}

static void rows_come_back_and_are_found(void) {
    static struct row rows[MOST];
    for (unsigned round = 0; round < 400; round++) {
        unsigned count = make_rows(rows, 1 + (unsigned)(check_random(&seed) % (round % 10 ? 20 : MOST)));
        struct rows_frame frame = frame_of_each(rows, count);
        char *memory = write_rows(&frame, rows, count), *at = memory + ROW_BYTES_BEFORE;
        for (unsigned i = 0; i < count; i++) {
            struct row row;
            rows_read(&frame, at + (size_t)i * frame.stride, &row);
            CHECK(memcmp(&row, &rows[i], sizeof row) == 0);
        }
        check_places(&frame, at, rows, count);
        free(memory);
    }
}

/* What is known of rows as they are written is what is known of each; and a frame is as narrow as all of them allow. */
static void frames_are_as_narrow_as_can_be(void) {
    static struct row rows[MOST];
    for (unsigned round = 0; round < 400; round++) {
        unsigned count = make_rows(rows, 2 + (unsigned)(check_random(&seed) % 30));
        struct rows_frame frame = frame_of_each(rows, count), again;
        char *memory = write_rows(&frame, rows, count), *at = memory + ROW_BYTES_BEFORE;
        unsigned stride = 0;
        for (unsigned field = 0; field < ROW_FIELDS; field++) {
            uint64_t least = UINT64_MAX, most = 0;
            for (unsigned i = 0; i < count; i++) {
                uint64_t value = rows[i].fields[field];
                least = value < least ? value : least;
                most = value > most ? value : most;
            }
            unsigned width = frame.widths[field];
            if (field == ROW_TIMES) least = 0;
            CHECK(most - least <= rows_most(width) && (width == 0 || most - least > rows_most(width - 1)));
            stride += width;
        }
        CHECK_INT(frame.stride, stride);
        struct rows_span span = rows_span_empty();
        unsigned middle = 1 + (unsigned)(check_random(&seed) % count);
        rows_span_add_all(&span, &frame, at, middle);
        if (middle < count)
            rows_span_add_all(&span, &frame, at + middle * (size_t)frame.stride, count - middle);
        again = rows_frame_for(&span);
        CHECK(memcmp(&again, &frame, sizeof frame) == 0);
        free(memory);
    }
}

static void rows_are_rewritten_in_a_wider_frame(void) {
    static struct row rows[MOST];
    for (unsigned round = 0; round < 200; round++) {
        unsigned count = make_rows(rows, 2 + (unsigned)(check_random(&seed) % 30)), few = (count + 1) / 2;
        struct rows_frame from = frame_of_each(rows, few), to = frame_of_each(rows, count);
        char *narrow = write_rows(&from, rows, few), *wide = write_rows(&to, rows, count);
        char *out = malloc((size_t)few * to.stride + 1);
        CHECK(out);
        rows_rewrite(&to, out, &from, narrow + ROW_BYTES_BEFORE, few);
        CHECK(memcmp(out, wide + ROW_BYTES_BEFORE, (size_t)few * to.stride) == 0);
        free(out);
        free(narrow);
        free(wide);
    }
}

static void what_does_not_fit_is_refused(void) {
    static struct row rows[MOST];
    for (unsigned round = 0; round < 200; round++) {
        unsigned count = make_rows(rows, 3);
        struct rows_frame frame = frame_of_each(rows, count);
        for (unsigned field = 0; field < ROW_FIELDS; field++) {
            struct row row = rows[0];
            uint64_t base = rows_base(&frame, (enum row_field)field), most = rows_most(frame.widths[field]);
            if (base > 0) {
                row.fields[field] = base - 1;
                CHECK(!rows_fit(&frame, &row));
            }
            if (most <= UINT64_MAX - base) {
                row.fields[field] = base + most;
                CHECK(rows_fit(&frame, &row));
            }
            if (most < UINT64_MAX - base) {
                row.fields[field] = base + most + 1;
                CHECK(!rows_fit(&frame, &row));
            }
        }
    }
}

int main(void) {
    seed = check_seed();
    RUN(rows_come_back_and_are_found);
    RUN(frames_are_as_narrow_as_can_be);
    RUN(rows_are_rewritten_in_a_wider_frame);
    RUN(what_does_not_fit_is_refused);
    return 0;
}
