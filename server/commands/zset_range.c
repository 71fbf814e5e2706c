/* zset_range.c - ranges of sorted sets, by rank, by score and by member: read, counted, stored and removed. */
#include <math.h>
#include <stdlib.h>

#include "server/commands/zset.h"

/* ---- Bounds --------------------------------------------------------------------------------------- */

/* A range as it was asked for. */
struct bounds {
    enum { BY_RANK, BY_SCORE, BY_LEX } by;
    int64_t start, stop; /* ranks; negative ones count from the end */
    double min, max;
    bool min_exclusive, max_exclusive;
    struct zset_lex lex_min, lex_max;
};

/* A score that begins or ends a range, as strtod reads it, for that is what Redis asks: spaces may come before it, and
 * no text at all is 0. A "(" leaves the score itself out. */
static bool parse_end(struct bytes text, double *score, bool *exclusive) {
    enum { TEXT_MAX = 1024 };
    char buffer[TEXT_MAX], *end;
    *exclusive = text.len > 0 && text.data[0] == '(';
    if (*exclusive) text = (struct bytes){text.data + 1, text.len - 1};
    text.len = text.len ? strnlen(text.data, text.len) : 0;
    if (text.len >= TEXT_MAX) return false;
    if (text.len) memcpy(buffer, text.data, text.len);
    buffer[text.len] = '\0';
    *score = strtod(buffer, &end);
    return *end == '\0' && !isnan(*score);
}

static bool parse_lex(struct bytes text, struct zset_lex *lex) {
    *lex = (struct zset_lex){.kind = ZSET_LEX_MEMBER};
    if (text.len == 0) return false;
    if (text.data[0] == '-' || text.data[0] == '+') {
        lex->kind = text.data[0] == '-' ? ZSET_LEX_FIRST : ZSET_LEX_LAST;
        return text.len == 1;
    }
    lex->exclusive = text.data[0] == '(';
    lex->member = (struct bytes){text.data + 1, text.len - 1};
    return lex->exclusive || text.data[0] == '[';
}

/* Reads both ends of a range. False after replying. */
static bool bounds_or_reply(struct call *call, uint32_t min, uint32_t max, struct bounds *bounds) {
    const struct bytes *argv = call->argv;
    const char *error = NULL;
    switch (bounds->by) {
    case BY_RANK:
        return call_int_or_reply(call, min, &bounds->start) && call_int_or_reply(call, max, &bounds->stop);
    case BY_SCORE:
        if (!parse_end(argv[min], &bounds->min, &bounds->min_exclusive) ||
            !parse_end(argv[max], &bounds->max, &bounds->max_exclusive))
            error = "ERR min or max is not a float";
        break;
    case BY_LEX:
        if (!parse_lex(argv[min], &bounds->lex_min) || !parse_lex(argv[max], &bounds->lex_max))
            error = "ERR min or max not valid string range item";
        break;
    }
    if (error) reply_error(call->reply, error);
    return error == NULL;
}

static struct zset_span span_of_ranks(const struct bounds *bounds, uint64_t count, bool backwards) {
    int64_t start = bounds->start, stop = bounds->stop, all = (int64_t)count;
    if (start < 0) start += all;
    if (stop < 0) stop += all;
    if (start < 0) start = 0;
    if (start > stop || start >= all) return (struct zset_span){0, 0};
    if (stop >= all) stop = all - 1;
    uint64_t first = (uint64_t)(backwards ? all - 1 - stop : start);
    return (struct zset_span){first, (uint64_t)(stop - start + 1)};
}

/* The ranks that are in the range. Backwards, ranks count from the end. */
static struct zset_span span_of(const struct value *value, const struct bounds *bounds, bool backwards) {
    if (bounds->by == BY_RANK) return span_of_ranks(bounds, zset_count(value), backwards);
    if (bounds->by == BY_LEX) return zset_lex_span(value, &bounds->lex_min, &bounds->lex_max, backwards);
    uint64_t from = zset_below(value, bounds->min, bounds->min_exclusive);
    uint64_t to = zset_below(value, bounds->max, !bounds->max_exclusive);
    return (struct zset_span){from, to > from ? to - from : 0};
}

/* ---- Reading -------------------------------------------------------------------------------------- */

/* A command that reads a range. */
struct range {
    struct bounds bounds;
    bool any_order, any_kind; /* options may say REV, and BYSCORE or BYLEX */
    bool backwards, scores;
    int64_t offset, limit; /* a negative limit is none */
    uint32_t source;       /* argument number of the key, which the ends follow */
};

/* The option argv[*arg], which *arg is moved past. False after replying. */
static bool take_option(struct call *call, struct range *range, bool stores, uint32_t *arg) {
    struct bytes word = call->argv[*arg];
    if (!stores && bytes_is(word, "withscores")) {
        range->scores = true;
    } else if (bytes_is(word, "limit") && call->argc - *arg > 2) {
        if (!call_int_or_reply(call, *arg + 1, &range->offset) ||
            !call_int_or_reply(call, *arg + 2, &range->limit))
            return false;
        *arg += 2;
    } else if (range->any_order && bytes_is(word, "rev")) {
        range->any_order = false;
        range->backwards = true;
    } else if (range->any_kind && (bytes_is(word, "bylex") || bytes_is(word, "byscore"))) {
        range->any_kind = false;
        range->bounds.by = bytes_is(word, "bylex") ? BY_LEX : BY_SCORE;
    } else {
        call_syntax_error(call);
        return false;
    }
    return true;
}

/* Options and ends. False after replying. */
static bool range_or_reply(struct call *call, struct range *range, bool stores) {
    const char *error = NULL;
    uint32_t min = range->source + 1, max = range->source + 2;
    range->limit = -1;
    for (uint32_t i = max + 1; i < call->argc; i++)
        if (!take_option(call, range, stores, &i)) return false;
    if (range->limit != -1 && range->bounds.by == BY_RANK)
        error = "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
    else if (range->scores && range->bounds.by == BY_LEX)
        error = "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    if (error) {
        reply_error(call->reply, error);
        return false;
    }
    bool swapped = range->backwards && range->bounds.by != BY_RANK;
    return bounds_or_reply(call, swapped ? max : min, swapped ? min : max, &range->bounds);
}

/* What of a value the range is, after the offset and up to the limit. */
static struct collection_range members_of(const struct value *value, const struct range *range) {
    struct zset_span span = span_of(value, &range->bounds, range->backwards);
    uint64_t offset = range->bounds.by == BY_RANK ? 0
                                                  : (uint64_t)range->offset; /* a negative one is past all */
    if (offset >= span.count) return (struct collection_range){.count = 0};
    uint64_t count = span.count - offset;
    if (range->limit >= 0 && count > (uint64_t)range->limit) count = (uint64_t)range->limit;
    uint64_t position = range->backwards ? span.from + span.count - 1 - offset : span.from + offset;
    return (struct collection_range){position, count, range->backwards};
}

static void reply_members(struct call *call, struct range range) {
    struct collection_range members = {.count = 0};
    struct value value;
    bool there;
    range.source = 1;
    if (!range_or_reply(call, &range, false)) return;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    unsigned show = zset_show(call, range.scores);
    if (there) members = members_of(&value, &range);
    zset_reply_header(call, members.count, show);
    zset_reply_range(call, &value, members, show);
}

static void zrange(struct call *call) {
    reply_members(call, (struct range){.any_order = true, .any_kind = true});
}
COMMAND(zrange) = {
    .name = "zrange",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrange,
    .group = GROUP_SORTED_SET,
    .since = "1.2.0",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements returned.",
    .summary = "Return a range of members in a sorted set",
    .history = "6.2.0: Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.",
    .syntax = "<key:key> <start> <stop> [sortby:( BYSCORE | BYLEX )@6.2.0] [REV@6.2.0] [{LIMIT "
              "offset_count:{ <offset:integer> <count:integer> }}@6.2.0] [WITHSCORES]"};

static void zrevrange(struct call *call) {
    reply_members(call, (struct range){.backwards = true});
}
COMMAND(zrevrange) = {
    .name = "zrevrange",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrevrange,
    .group = GROUP_SORTED_SET,
    .since = "1.2.0",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements returned.",
    .summary = "Return a range of members in a sorted set, by index, with scores ordered from high to low",
    .deprecated_since = "6.2.0",
    .replaced_by = "`ZRANGE` with the `REV` argument",
    .syntax = "<key:key> <start:integer> <stop:integer> [WITHSCORES]"};

static void zrangebyscore(struct call *call) {
    reply_members(call, (struct range){.bounds.by = BY_SCORE});
}
COMMAND(zrangebyscore) = {
    .name = "zrangebyscore",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrangebyscore,
    .group = GROUP_SORTED_SET,
    .since = "1.0.5",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements being returned. If M is constant (e.g. always asking for the first 10 elements "
                  "with LIMIT), you can consider it O(log(N)).",
    .summary = "Return a range of members in a sorted set, by score",
    .history = "2.0.0: Added the `WITHSCORES` modifier.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`ZRANGE` with the `BYSCORE` argument",
    .syntax = "<key:key> <min:double> <max:double> [WITHSCORES@2.0.0] [{LIMIT offset_count:{ "
              "<offset:integer> <count:integer> }}]"};

static void zrevrangebyscore(struct call *call) {
    reply_members(call, (struct range){.bounds.by = BY_SCORE, .backwards = true});
}
COMMAND(zrevrangebyscore) = {
    .name = "zrevrangebyscore",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrevrangebyscore,
    .group = GROUP_SORTED_SET,
    .since = "2.2.0",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements being returned. If M is constant (e.g. always asking for the first 10 elements "
                  "with LIMIT), you can consider it O(log(N)).",
    .summary = "Return a range of members in a sorted set, by score, with scores ordered from high to low",
    .history = "2.1.6: `min` and `max` can be exclusive.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`ZRANGE` with the `REV` and `BYSCORE` arguments",
    .syntax = "<key:key> <max:double> <min:double> [WITHSCORES] [{LIMIT offset_count:{ <offset:integer> "
              "<count:integer> }}]"};

static void zrangebylex(struct call *call) {
    reply_members(call, (struct range){.bounds.by = BY_LEX});
}
COMMAND(zrangebylex) = {
    .name = "zrangebylex",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrangebylex,
    .group = GROUP_SORTED_SET,
    .since = "2.8.9",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements being returned. If M is constant (e.g. always asking for the first 10 elements "
                  "with LIMIT), you can consider it O(log(N)).",
    .summary = "Return a range of members in a sorted set, by lexicographical range",
    .deprecated_since = "6.2.0",
    .replaced_by = "`ZRANGE` with the `BYLEX` argument",
    .syntax = "<key:key> <min> <max> [{LIMIT offset_count:{ <offset:integer> <count:integer> }}]"};

static void zrevrangebylex(struct call *call) {
    reply_members(call, (struct range){.bounds.by = BY_LEX, .backwards = true});
}
COMMAND(zrevrangebylex) = {
    .name = "zrevrangebylex",
    .arity = -4,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zrevrangebylex,
    .group = GROUP_SORTED_SET,
    .since = "2.8.9",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements being returned. If M is constant (e.g. always asking for the first 10 elements "
                  "with LIMIT), you can consider it O(log(N)).",
    .summary = "Return a range of members in a sorted set, by lexicographical range, ordered from higher to "
               "lower strings.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`ZRANGE` with the `REV` and `BYLEX` arguments",
    .syntax = "<key:key> <max> <min> [{LIMIT offset_count:{ <offset:integer> <count:integer> }}]"};

/* ---- Counting ------------------------------------------------------------------------------------- */

static void reply_count(struct call *call, struct bounds bounds) {
    struct value value;
    bool there;
    if (!bounds_or_reply(call, 2, 3, &bounds)) return;
    if (!collection_read(call, 1, TYPE_ZSET, &value, &there)) return;
    reply_int(call->reply, there ? (int64_t)span_of(&value, &bounds, false).count : 0);
}

static void zcount(struct call *call) {
    reply_count(call, (struct bounds){.by = BY_SCORE});
}
COMMAND(zcount) = {.name = "zcount",
                   .arity = 4,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = zcount,
                   .group = GROUP_SORTED_SET,
                   .since = "2.0.0",
                   .complexity = "O(log(N)) with N being the number of elements in the sorted set.",
                   .summary = "Count the members in a sorted set with scores within the given values",
                   .syntax = "<key:key> <min:double> <max:double>"};

static void zlexcount(struct call *call) {
    reply_count(call, (struct bounds){.by = BY_LEX});
}
COMMAND(zlexcount) = {
    .name = "zlexcount",
    .arity = 4,
    .flags = CMD_READONLY | CMD_FAST,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = zlexcount,
    .group = GROUP_SORTED_SET,
    .since = "2.8.9",
    .complexity = "O(log(N)) with N being the number of elements in the sorted set.",
    .summary = "Count the number of members in a sorted set between a given lexicographical range",
    .syntax = "<key:key> <min> <max>"};

/* ---- Storing -------------------------------------------------------------------------------------- */

/* Redis stores members one by one, as a listpack as long as it may be one, and a listpack has 0 for -0. */
static void store_zeroes(struct zset_item *items, struct collection_range members, bool counted) {
    bool large = counted && zset_is_large(members.count, 0);
    for (uint64_t i = 0; i < members.count; i++) {
        struct zset_item *item = &items[members.backwards ? members.count - 1 - i : i];
        large = large || zset_is_large(i + 1, item->member.bytes.len);
        if (!large && item->score == 0) item->score = 0;
    }
}

/* Stores members of a value, which may be what they replace. `counted`: their number was known in advance. */
static void store_members(struct call *call, const struct value *value, struct collection_range members,
                          bool counted) {
    struct zset_item *items = calloc(members.count ? members.count : 1, sizeof *items);
    struct zset_walk walk;
    if (items == NULL) {
        call_out_of_memory(call);
        return;
    }
    if (members.backwards && members.count) members.position -= members.count - 1;
    if (members.count) zset_walk(&walk, value, members.position, false);
    for (uint64_t i = 0; i < members.count && zset_next(&walk, &items[i]); i++) {
    }
    store_zeroes(items, members, counted);
    zset_store(call, 1, (struct zset_items){items, members.count}, EVENT_ZRANGESTORE, 1);
    free(items);
}

static void zrangestore(struct call *call) {
    struct range range = {.any_order = true, .any_kind = true, .source = 2};
    struct collection_range members = {.count = 0};
    struct value value;
    bool there;
    if (!range_or_reply(call, &range, true)) return;
    if (!collection_read(call, 2, TYPE_ZSET, &value, &there)) return;
    if (there) members = members_of(&value, &range);
    store_members(call, &value, members, range.bounds.by == BY_RANK);
}
COMMAND(zrangestore) = {.name = "zrangestore",
                        .arity = -5,
                        .flags = CMD_WRITE | CMD_DENYOOM,
                        .keys = {KEY(1, KEY_OW | KEY_UPDATE), KEY(2, KEY_RO | KEY_ACCESS)},
                        .run = zrangestore,
                        .group = GROUP_SORTED_SET,
                        .since = "6.2.0",
                        .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and "
                                      "M the number of elements stored into the destination key.",
                        .summary = "Store a range of members from sorted set into another key",
                        .syntax = "<dst:key> <src:key> <min> <max> [sortby:( BYSCORE | BYLEX )] [REV] "
                                  "[{LIMIT offset_count:{ <offset:integer> <count:integer> }}]"};

/* ---- Removing ------------------------------------------------------------------------------------- */

/* Memory ran out after so many of the span were removed: these are recorded. */
static void log_part(struct call *call, uint64_t from, uint64_t count) {
    char digits[2][NUMBER_I64_MAX_LEN];
    if (count == 0) return;
    CALL_LOG(call, BYTES("ZREMRANGEBYRANK"), call->argv[1],
             (struct bytes){digits[0], number_format_u64(digits[0], from)},
             (struct bytes){digits[1], number_format_u64(digits[1], from + count - 1)});
}

static void remove_members(struct call *call, struct bounds bounds, enum event event) {
    struct edit edit;
    if (!bounds_or_reply(call, 2, 3, &bounds)) return;
    if (!collection_open(call, 1, TYPE_ZSET, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    struct value value = entry_value(edit.entry);
    struct zset_span span = span_of(&value, &bounds, false);
    uint64_t removed = zset_delete_span(&edit, span);
    collection_close(call, 1, &edit, event, removed);
    if (removed == span.count) {
        reply_int(call->reply, (int64_t)removed);
        return;
    }
    log_part(call, span.from, removed);
    call_out_of_memory(call);
}

static void zremrangebyrank(struct call *call) {
    remove_members(call, (struct bounds){.by = BY_RANK}, EVENT_ZREMRANGEBYRANK);
}
COMMAND(zremrangebyrank) = {.name = "zremrangebyrank",
                            .arity = 4,
                            .flags = CMD_WRITE,
                            .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                            .run = zremrangebyrank,
                            .group = GROUP_SORTED_SET,
                            .since = "2.0.0",
                            .complexity = "O(log(N)+M) with N being the number of elements in the sorted set "
                                          "and M the number of elements removed by the operation.",
                            .summary = "Remove all members in a sorted set within the given indexes",
                            .syntax = "<key:key> <start:integer> <stop:integer>"};

static void zremrangebyscore(struct call *call) {
    remove_members(call, (struct bounds){.by = BY_SCORE}, EVENT_ZREMRANGEBYSCORE);
}
COMMAND(zremrangebyscore) = {.name = "zremrangebyscore",
                             .arity = 4,
                             .flags = CMD_WRITE,
                             .keys = {KEY(1, KEY_RW | KEY_DELETE)},
                             .run = zremrangebyscore,
                             .group = GROUP_SORTED_SET,
                             .since = "1.2.0",
                             .complexity = "O(log(N)+M) with N being the number of elements in the sorted "
                                           "set and M the number of elements removed by the operation.",
                             .summary = "Remove all members in a sorted set within the given scores",
                             .syntax = "<key:key> <min:double> <max:double>"};

static void zremrangebylex(struct call *call) {
    remove_members(call, (struct bounds){.by = BY_LEX}, EVENT_ZREMRANGEBYLEX);
}
COMMAND(zremrangebylex) = {
    .name = "zremrangebylex",
    .arity = 4,
    .flags = CMD_WRITE,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = zremrangebylex,
    .group = GROUP_SORTED_SET,
    .since = "2.8.9",
    .complexity = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of "
                  "elements removed by the operation.",
    .summary = "Remove all members in a sorted set between the given lexicographical range",
    .syntax = "<key:key> <min> <max>"};
