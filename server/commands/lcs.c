/* lcs.c - LCS: the longest common subsequence of two strings.
 *
 * The classic table of the lengths L(i, j) of the common subsequence of the first i bytes of a and the first
 * j of b is filled row by row, but only one row of it is kept. What the way back through the table needs
 * besides the strings is one bit a cell: where two bytes differ, whether L(i - 1, j) > L(i, j - 1), so that
 * the way leads up, or else left. That takes a thirtieth of the memory of the table. The bound on that
 * memory, and so the error, are nevertheless Redis's own: it also bounds the time. */
#include <stdlib.h>

#include "server/commands/string.h"
#include "server/config/config.h"

struct lcs {
    struct bytes a, b;
    unsigned char *up; /* a.len rows of b.len bits; NULL where only the length is asked for */
    uint32_t length;   /* of the subsequence */
};

/* A common run of bytes, as positions of its first and last byte. */
struct lcs_run {
    size_t a_first, a_last, b_first, b_last;
};

/* A place on the way back: the table's cell (i, j). */
struct lcs_place {
    size_t i, j;
};

struct lcs_options {
    bool len, idx, with_match_len;
    int64_t min_match_len;
};

/* Rows of bits begin at whole bytes. */
static size_t row_bytes(const struct lcs *lcs) {
    return lcs->b.len / 8 + 1;
}

static bool leads_up(const struct lcs *lcs, size_t i, size_t j) {
    return lcs->up[i * row_bytes(lcs) + j / 8] >> j % 8 & 1;
}

/* One row of the table: `row` holds L(i, 0..b.len) and gets L(i + 1, 0..b.len). Without branches on the data,
 * which no processor would foresee. */
static void fill_row(struct lcs *lcs, size_t i, uint32_t *row) {
    uint32_t diagonal = 0, left = 0; /* L(i, j) and L(i + 1, j) */
    unsigned char *up = lcs->up ? lcs->up + i * row_bytes(lcs) : NULL;
    char byte = lcs->a.data[i];
    unsigned bits = 0;
    for (size_t j = 0; j < lcs->b.len; j++) {
        uint32_t above = row[j + 1], longer = above > left ? above : left;
        bits = bits >> 1 | (above > left ? 0x80u : 0);
        left = byte == lcs->b.data[j] ? diagonal + 1 : longer;
        row[j + 1] = left;
        diagonal = above;
        if (up && j % 8 == 7) up[j / 8] = (unsigned char)bits;
    }
    if (up && lcs->b.len % 8) up[lcs->b.len / 8] = (unsigned char)(bits >> (8 - lcs->b.len % 8));
}

/* False without memory. Free lcs->up afterwards. */
static bool fill(struct lcs *lcs, bool way_back) {
    uint32_t *row = calloc(lcs->b.len + 1, sizeof(*row));
    lcs->up = way_back ? malloc(lcs->a.len * row_bytes(lcs) + 1) : NULL;
    if (!row || (way_back && !lcs->up)) {
        free(row);
        free(lcs->up);
        return false;
    }
    for (size_t i = 0; i < lcs->a.len; i++) fill_row(lcs, i, row);
    lcs->length = row[lcs->b.len];
    free(row);
    return true;
}

/* Goes back from a place to the run before it. False if there is none. */
static bool previous_run(const struct lcs *lcs, struct lcs_place *at, struct lcs_run *run) {
    const char *a = lcs->a.data, *b = lcs->b.data;
    while (at->i && at->j && a[at->i - 1] != b[at->j - 1]) {
        if (leads_up(lcs, at->i - 1, at->j - 1))
            at->i--;
        else
            at->j--;
    }
    if (!at->i || !at->j) return false;
    run->a_last = at->i - 1, run->b_last = at->j - 1;
    while (at->i && at->j && a[at->i - 1] == b[at->j - 1]) at->i--, at->j--;
    run->a_first = at->i, run->b_first = at->j;
    return true;
}

static size_t run_length(const struct lcs_run *run) {
    return run->a_last - run->a_first + 1;
}

static void reply_text(struct call *call, const struct lcs *lcs) {
    char *text = malloc((size_t)lcs->length + 1);
    struct lcs_place at = {lcs->a.len, lcs->b.len};
    struct lcs_run run;
    size_t begin = lcs->length;
    if (!text) {
        call_out_of_memory(call);
        return;
    }
    while (previous_run(lcs, &at, &run)) {
        begin -= run_length(&run);
        memcpy(text + begin, lcs->a.data + run.a_first, run_length(&run));
    }
    reply_bulk(call->reply, (struct bytes){text, lcs->length});
    free(text);
}

static void reply_positions(struct call *call, size_t first, size_t last) {
    reply_array(call->reply, 2);
    reply_int(call->reply, (int64_t)first);
    reply_int(call->reply, (int64_t)last);
}

static void reply_run(struct call *call, const struct lcs_run *run, bool with_length) {
    reply_array(call->reply, with_length ? 3 : 2);
    reply_positions(call, run->a_first, run->a_last);
    reply_positions(call, run->b_first, run->b_last);
    if (with_length) reply_int(call->reply, (int64_t)run_length(run));
}

/* The runs of some length, last one first. They are counted on a way of their own, so that none has
 * to be remembered. */
static void reply_runs(struct call *call, const struct lcs *lcs, const struct lcs_options *options) {
    struct lcs_place at = {lcs->a.len, lcs->b.len};
    struct lcs_run run;
    size_t count = 0;
    while (previous_run(lcs, &at, &run)) count += (int64_t)run_length(&run) >= options->min_match_len;
    reply_map(call->reply, 2);
    reply_bulk(call->reply, BYTES("matches"));
    reply_array(call->reply, count);
    for (at = (struct lcs_place){lcs->a.len, lcs->b.len}; previous_run(lcs, &at, &run);)
        if ((int64_t)run_length(&run) >= options->min_match_len)
            reply_run(call, &run, options->with_match_len);
    reply_bulk(call->reply, BYTES("len"));
    reply_int(call->reply, lcs->length);
}

/* Would Redis, which takes four bytes a cell, refuse? */
static bool fits_or_reply(struct call *call, const struct lcs *lcs) {
    uint64_t bytes, max = (uint64_t)config.proto_max_bulk_len;
    if (lcs->a.len >= UINT32_MAX - 1 || lcs->b.len >= UINT32_MAX - 1) {
        reply_error(call->reply, "ERR String too long for LCS");
        return false;
    }
    bool overflow =
        __builtin_mul_overflow((uint64_t)(lcs->a.len + 1) * (lcs->b.len + 1), sizeof(uint32_t), &bytes);
    if (!overflow && bytes <= max) return true;
    reply_error(call->reply, "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    return false;
}

static bool lcs_option(struct call *call, uint32_t *arg, struct lcs_options *options, bool *replied) {
    struct bytes word = call->argv[*arg];
    bool *flag = bytes_is(word, "IDX")            ? &options->idx
                 : bytes_is(word, "LEN")          ? &options->len
                 : bytes_is(word, "WITHMATCHLEN") ? &options->with_match_len
                                                  : NULL;
    if (flag) {
        *flag = true;
        return true;
    }
    if (!bytes_is(word, "MINMATCHLEN") || *arg + 1 == call->argc) return false;
    *replied = !call_int_or_reply(call, ++*arg, &options->min_match_len);
    return !*replied;
}

static bool options_or_reply(struct call *call, struct lcs_options *options) {
    bool replied = false;
    for (uint32_t i = 3; i < call->argc; i++)
        if (!lcs_option(call, &i, options, &replied)) {
            if (!replied) call_syntax_error(call);
            return false;
        }
    if (!options->len || !options->idx) return true;
    reply_error(call->reply, "ERR If you want both the length and indexes, please just use IDX.");
    return false;
}

static void compute_and_reply(struct call *call, struct lcs *lcs, const struct lcs_options *options) {
    if (!fill(lcs, !options->len)) {
        reply_error(call->reply, "ERR Insufficient memory, failed allocating transient memory for LCS");
        return;
    }
    if (options->len)
        reply_int(call->reply, lcs->length);
    else if (options->idx)
        reply_runs(call, lcs, options);
    else
        reply_text(call, lcs);
    free(lcs->up);
}

static void lcs(struct call *call) {
    char scratch[2][NUMBER_I64_MAX_LEN];
    struct lcs_options options = {0};
    const struct entry *e[2];
    struct bytes text[2];
    call_read(call, 1);
    call_read(call, 2); /* what has expired is gone now, so that looking again moves nothing */
    for (uint32_t i = 0; i < 2; i++) {
        e[i] = call_peek(call, i + 1);
        if (e[i] && entry_type(e[i]) != TYPE_STRING) {
            reply_error(call->reply, "ERR The specified keys must contain string values");
            return;
        }
        text[i] = e[i] ? entry_string(e[i], scratch[i]) : BYTES("");
    }
    struct lcs lcs = {.a = text[0], .b = text[1]};
    if (options_or_reply(call, &options) && fits_or_reply(call, &lcs))
        compute_and_reply(call, &lcs, &options);
}
COMMAND(lcs) = {.name = "lcs",
                .arity = -3,
                .flags = CMD_READONLY | CMD_SLOW_CLOCK,
                .keys = {KEYS(1, 2, 1, KEY_RO | KEY_ACCESS)},
                .run = lcs,
                .group = GROUP_STRING,
                .since = "7.0.0",
                .complexity = "O(N*M) where N and M are the lengths of s1 and s2, respectively",
                .summary = "Find longest common substring",
                .syntax = "<key1:key> <key2:key> [LEN] [IDX] [{MINMATCHLEN <len:integer>}] [WITHMATCHLEN]"};
