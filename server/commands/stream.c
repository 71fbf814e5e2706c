/* stream.c - streams: what all of their commands share, and those that add, delete, trim and read ranges. What a stream is,
 * and how it is kept, is in store/types/stream.h. */
#include "server/commands/stream.h"

#include <stdlib.h>

#include "server/config/config.h"

/* ---- Numbers of entries --------------------------------------------------------------------------- */

size_t stream_id_format(char *text, struct stream_id id) {
    size_t len = number_format_u64(text, id.ms);
    text[len++] = '-';
    return len + number_format_u64(text + len, id.sequence);
}

void stream_reply_id(struct reply *reply, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    reply_bulk(reply, stream_id_text(text, id));
}

/* An unsigned number as Redis reads it: in its one form, or as strtoull takes it, with spaces, zeroes and a sign. */
static bool parse_half(struct bytes text, uint64_t *number) {
    int64_t value;
    size_t i = 0;
    if (number_parse_i64(text, &value)) {
        *number = (uint64_t)value;
        return value >= 0;
    }
    while (i < text.len && byte_is_space(text.data[i])) i++;
    bool negative = i < text.len && text.data[i] == '-';
    if (i < text.len && (negative || text.data[i] == '+')) i++;
    if (i == text.len) return false;
    for (*number = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, digit, number))
            return false;
    }
    if (negative) *number = 0 - *number;
    return true;
}

/* A number of an entry, or "ms-*" where that may be: *star tells. */
static bool parse_id(struct bytes text, uint64_t sequence, struct stream_id *id, bool *star) {
    enum { MOST = 127 };
    if (text.len > MOST) return false;
    const char *end = memchr(text.data, '\0', text.len); /* where Redis sees the end */
    if (end) text.len = (size_t)(end - text.data);
    const char *dash = text.len ? memchr(text.data, '-', text.len) : NULL;
    struct bytes ms = {text.data, dash ? (size_t)(dash - text.data) : text.len};
    if (!parse_half(ms, &id->ms)) return false;
    id->sequence = sequence;
    if (dash == NULL) return true;
    struct bytes rest = {dash + 1, text.len - ms.len - 1};
    if (star && bytes_equal(rest, BYTES("*"))) {
        *star = true;
        id->sequence = 0;
        return true;
    }
    return parse_half(rest, &id->sequence);
}

bool stream_id_parse(struct bytes text, uint64_t sequence, struct stream_id *id) {
    return parse_id(text, sequence, id, NULL);
}

static bool invalid_id(struct call *call) {
    reply_error(call->reply, "ERR Invalid stream ID specified as stream command argument");
    return false;
}

bool stream_id_or_reply(struct call *call, uint32_t arg, uint64_t sequence, struct stream_id *id) {
    return parse_id(call->argv[arg], sequence, id, NULL) || invalid_id(call);
}

bool stream_ids_counted_or_reply(struct call *call, uint32_t arg, uint32_t *count) {
    int64_t told;
    if (!number_parse_i64(call->argv[arg + 1], &told) || told <= 0) {
        reply_error(call->reply, "ERR Number of IDs must be a positive integer");
        return false;
    }
    if (told > call->argc - arg - 2) {
        reply_error(call->reply, "ERR The `numids` parameter must match the number of arguments");
        return false;
    }
    *count = (uint32_t)told;
    return true;
}

bool stream_ids_or_reply(struct call *call, uint32_t first, uint32_t count) {
    struct stream_id id;
    for (uint32_t i = 0; i < count; i++)
        if (!stream_id_or_reply(call, first + i, 0, &id)) return false;
    return true;
}

bool stream_bound_parse(struct bytes text, uint64_t sequence, struct stream_id *id) {
    bool least = bytes_equal(text, BYTES("-"));
    if (!least && !bytes_equal(text, BYTES("+"))) return parse_id(text, sequence, id, NULL);
    *id = least ? (struct stream_id){0, 0} : STREAM_ID_MAX;
    return true;
}

bool stream_end_or_reply(struct call *call, uint32_t arg, bool start, struct stream_id *id) {
    struct bytes text = call->argv[arg];
    uint64_t sequence = start ? 0 : UINT64_MAX;
    bool exclusive = text.len > 1 && text.data[0] == '(';
    if (!exclusive) return stream_bound_parse(text, sequence, id) || invalid_id(call);
    struct bytes rest = {text.data + 1, text.len - 1};
    if (!parse_id(rest, sequence, id, NULL)) return invalid_id(call);
    if (start ? stream_id_next(id) : stream_id_previous(id)) return true;
    reply_error(call->reply,
                start ? "ERR invalid start ID for the interval" : "ERR invalid end ID for the interval");
    return false;
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

const struct stream *stream_or_reply(struct call *call, uint32_t arg, void (*absent)(struct reply *reply)) {
    struct value value;
    bool there;
    if (!collection_read(call, arg, TYPE_STREAM, &value, &there)) return NULL;
    if (there) return stream_at(&value);
    absent(call->reply);
    return NULL;
}

bool stream_open_as_reader(struct call *call, struct edit *edit) {
    bool opened = collection_open(call, 1, TYPE_STREAM, false, edit), hit = edit->entry;
    struct metrics *metrics = call->effects->metrics;
    metric_add(hit ? &metrics->keyspace_hits : &metrics->keyspace_misses, 1);
    if (!hit) call_missed(call, 1);
    return opened;
}

/* The limits of a node, as configured. */
static struct stream_node_limits stream_limits(void) {
    return (struct stream_node_limits){.bytes = (uint64_t)config.stream_node_max_bytes,
                                       .entries = (uint64_t)config.stream_node_max_entries};
}

/* ---- Replies -------------------------------------------------------------------------------------- */

void stream_reply_item(struct reply *reply, struct metrics *metrics, const struct block *names,
                       const struct stream_item *item) {
    struct stream_fields fields = stream_fields(item->entry, names);
    struct element field = {.block = NULL}, value = {.block = item->block};
    reply_literal(reply, "*2\r\n");
    stream_reply_id(reply, item->id);
    reply_array(reply, fields.left * 2);
    while (stream_fields_next(&fields, &field.bytes, &value.bytes)) {
        reply_bulk(reply, field.bytes);
        collection_reply_element(reply, metrics, &value);
    }
}

enum {
    WRITTEN_AT_ONCE = 65536, /* bytes of entries, about, that are written into the reply at once */
    ITEM_OVERHEAD = 64,      /* of an entry in a reply, in bytes */
};

static void parts_drop(struct reply_source *source) {
    struct stream_parts *parts = (struct stream_parts *)source;
    collection_let_go(&parts->value, parts->effects, parts->stripe);
    free(parts);
}
_Static_assert(offsetof(struct stream_parts, source) == 0, "a source is found at its parts' address");

void stream_reply_parts(struct call *call, const struct stream *stream, struct stream_parts *parts,
                        size_t size) {
    parts->source.drop = parts_drop;
    parts->effects = call->effects;
    parts->stripe = call->stripe != STRIPE_NONE ? call->stripe : 0;
    parts->value = (struct value){
        .type = TYPE_STREAM, .kind = VALUE_OBJECT, .object = (struct object *)(uintptr_t)stream};
    if (!parts->source.more(&parts->source, call->reply, WRITTEN_AT_ONCE)) return;
    struct stream_parts *later = malloc(size);
    if (later == NULL) { /* the header has been written: the rest follows, or the connection ends */
        call->reply->failed = true;
        call->reply->end = call->reply->at;
        return;
    }
    memcpy(later, parts, size);
    value_retain(&later->value);
    reply_source(call->reply, &later->source);
}

/* Entries of a walk. */
struct entries {
    struct stream_parts parts;
    struct stream_walk walk;
    uint64_t left;
};

static bool entries_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct entries *entries = (struct entries *)source;
    const struct stream *stream = stream_at(&entries->parts.value);
    struct stream_item item;
    for (size_t written = 0; entries->left > 0 && written < budget; entries->left--) {
        bool any = stream_next(&entries->walk, &item);
        assert(any);
        stream_reply_item(reply, entries->parts.effects->metrics, stream->names, &item);
        written += item.entry.len + ITEM_OVERHEAD;
    }
    return entries->left > 0;
}

void stream_reply_entries(struct call *call, const struct stream *stream, const struct stream_walk *walk,
                          uint64_t count) {
    reply_array(call->reply, count);
    if (count == 0) return;
    struct entries entries = {.parts.source.more = entries_more, .walk = *walk, .left = count};
    stream_reply_parts(call, stream, &entries.parts, sizeof entries);
}

void stream_reply_range(struct call *call, const struct stream *stream, const struct stream_range *range) {
    struct stream_walk walk;
    uint64_t count = 0;
    if (range->count > 0 && stream->entries.count > 0 && stream_id_compare(range->from, range->to) <= 0) {
        stream_walk(&walk, stream, range->from, range->to, range->backwards);
        if (!range->backwards && stream_id_compare(range->to, stream->last) >= 0)
            count = walk.cursor.leaf ? stream->entries.count - tree_rank(&walk.cursor) : 0;
        else
            count = stream_between(stream, range->from, range->to);
        if (count > range->count) count = range->count;
    }
    stream_reply_entries(call, stream, &walk, count);
}

/* ---- Trimming ------------------------------------------------------------------------------------- */

enum trim_by { TRIM_NONE, TRIM_MAXLEN, TRIM_MINID };

/* MAXLEN or MINID, with what belongs to it. */
struct trimming {
    enum trim_by by;
    bool approximate; /* ~: whole nodes alone */
    bool limited;     /* LIMIT is there */
    int64_t maxlen, limit;
    struct stream_id minid;
    enum stream_refs refs;
    uint32_t operator_arg, threshold_arg, limit_arg, refs_arg; /* 0: there is none */
};

/* What stands behind MAXLEN or MINID. The last argument that it has; 0 after replying. */
static uint32_t read_threshold(struct call *call, struct trimming *trimming, enum trim_by by, uint32_t arg) {
    if (trimming->by != TRIM_NONE) {
        reply_error(call->reply,
                    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
        return 0;
    }
    bool approximate = bytes_equal(call->argv[arg + 1], BYTES("~"));
    trimming->approximate = false;
    if (arg + 2 < call->argc && (approximate || bytes_equal(call->argv[arg + 1], BYTES("=")))) {
        trimming->approximate = approximate;
        trimming->operator_arg = ++arg;
    }
    arg++;
    if (by == TRIM_MINID && !stream_id_or_reply(call, arg, 0, &trimming->minid)) return 0;
    if (by == TRIM_MAXLEN && !call_int_or_reply(call, arg, &trimming->maxlen)) return 0;
    if (by == TRIM_MAXLEN && trimming->maxlen < 0) {
        reply_error(call->reply, "ERR The MAXLEN argument must be >= 0.");
        return 0;
    }
    trimming->by = by;
    return trimming->threshold_arg = arg;
}

/* Reads the option at argv[arg], which is one of trimming. The last argument that belongs to it; 0 after replying; or
 * UINT32_MAX where it is no such option. */
static uint32_t read_trimming(struct call *call, struct trimming *trimming, uint32_t arg) {
    struct bytes word = call->argv[arg];
    if (stream_refs_read(word, &trimming->refs)) {
        if (trimming->refs_arg) call_syntax_error(call);
        return trimming->refs_arg ? 0 : (trimming->refs_arg = arg);
    }
    if (arg + 1 == call->argc) return UINT32_MAX;
    if (bytes_is(word, "maxlen")) return read_threshold(call, trimming, TRIM_MAXLEN, arg);
    if (bytes_is(word, "minid")) return read_threshold(call, trimming, TRIM_MINID, arg);
    if (!bytes_is(word, "limit")) return UINT32_MAX;
    if (!call_int_or_reply(call, arg + 1, &trimming->limit)) return 0;
    if (trimming->limit < 0) {
        reply_error(call->reply, "ERR The LIMIT argument must be >= 0.");
        return 0;
    }
    trimming->limited = true;
    trimming->limit_arg = arg;
    return arg + 1;
}

/* After all options. False after replying. */
static bool check_trimming(struct call *call, struct trimming *trimming) {
    const int64_t default_limit = 10000, limit_max = 1000000;
    const char *error = NULL;
    if (trimming->limit && trimming->by == TRIM_NONE)
        error = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
    else if (trimming->limited && !trimming->approximate)
        error = "ERR syntax error, LIMIT cannot be used without the special ~ option";
    if (error) {
        reply_error(call->reply, error);
        return false;
    }
    if (trimming->limited || !trimming->approximate) return true;
    if (__builtin_mul_overflow(config.stream_node_max_entries, 100, &trimming->limit) ||
        trimming->limit > limit_max)
        trimming->limit = limit_max;
    if (trimming->limit <= 0) trimming->limit = default_limit;
    return true;
}

/* How many entries are to go. */
static uint64_t entries_to_trim(const struct stream *stream, const struct trimming *trimming) {
    uint64_t count = stream->entries.count, most = 0;
    if (trimming->by == TRIM_MAXLEN && count > (uint64_t)trimming->maxlen)
        most = count - (uint64_t)trimming->maxlen;
    else if (trimming->by == TRIM_MINID && trimming->approximate)
        most = stream_nodes_below(&stream->nodes, &stream->entries, trimming->minid);
    else if (trimming->by == TRIM_MINID)
        most = stream_rank(&stream->entries, trimming->minid);
    if (!trimming->approximate || most == 0) return most;
    if (trimming->limit > 0 && most > (uint64_t)trimming->limit) most = (uint64_t)trimming->limit;
    return stream_whole_nodes(stream, most);
}

/* What a stream has been trimmed to, as exact trimming is asked for. */
static struct bytes trimmed_to(char *text, const struct stream *stream, const struct trimming *trimming) {
    struct stream_id first = stream->entries.count ? stream_end(stream, TREE_FRONT) : STREAM_ID_MAX;
    return trimming->by == TRIM_MINID ? stream_id_text(text, first)
                                      : (struct bytes){text, number_format_u64(text, stream->entries.count)};
}

static void log_trim(struct call *call, const struct stream *stream, const struct trimming *trimming) {
    char text[STREAM_ID_TEXT_MAX];
    CALL_LOG(call, BYTES("XTRIM"), call->argv[1],
             trimming->by == TRIM_MINID ? BYTES("MINID") : BYTES("MAXLEN"), BYTES("="),
             trimmed_to(text, stream, trimming));
}

/* The number of the entry with this rank. */
static struct stream_id id_at_rank(const struct stream *stream, uint64_t rank) {
    struct tree_cursor cursor;
    struct tree_item item;
    tree_select(&cursor, &stream->entries, rank);
    tree_get(&cursor, &item);
    return stream_id_of(&item);
}

/* Trims the stream of the edit. How many entries have gone; *failed: there was no memory for it. */
static uint64_t trim(struct edit *edit, const struct trimming *trimming, bool *failed) {
    uint64_t count = trimming->by == TRIM_NONE ? 0 : entries_to_trim(stream_in(edit), trimming);
    struct stream_id from = trimming->by == TRIM_MINID ? trimming->minid : STREAM_ID_MAX;
    *failed = count > 0 && !stream_trim(edit, count, from);
    return *failed ? 0 : count;
}

/* Where trimming by MAXLEN or MINID goes by references: all of it is recorded here. */
static bool goes_by_references(const struct stream *stream, const struct trimming *trimming) {
    return trimming->by != TRIM_NONE && trimming->refs != STREAM_KEEPREF && stream->groups.count > 0;
}

/* With ~ it takes what lies in whole nodes that might go, and no more. */
static uint64_t trim_acked(struct call *call, struct edit *edit, const struct trimming *trimming,
                           bool *failed) {
    const struct stream *stream = stream_in(edit);
    uint64_t length = stream->entries.count, looks = length, most = UINT64_MAX;
    if (trimming->approximate || trimming->by == TRIM_MINID) looks = entries_to_trim(stream, trimming);
    if (trimming->by == TRIM_MAXLEN)
        most = length > (uint64_t)trimming->maxlen ? length - (uint64_t)trimming->maxlen : 0;
    return stream_trim_acked(call, edit, looks, most, failed);
}

/* What is pending goes first: so nothing is, where memory runs out, of what is not there. */
static uint64_t trim_delref(struct call *call, struct edit *edit, const struct trimming *trimming,
                            bool *failed) {
    uint64_t count = entries_to_trim(stream_in(edit), trimming), forgotten = 0;
    *failed = false;
    if (count == 0) return 0;
    struct stream_id until = id_at_rank(stream_in(edit), count - 1);
    *failed = !stream_forget_until(call, edit, until, &forgotten);
    stream_told(call, 1, EVENT_NONE, forgotten);
    if (*failed) return 0;
    count = trim(edit, trimming, failed);
    if (count) log_trim(call, stream_in(edit), trimming);
    return count;
}

static uint64_t trim_by_references(struct call *call, struct edit *edit, const struct trimming *trimming,
                                   bool *failed) {
    return trimming->refs == STREAM_ACKED ? trim_acked(call, edit, trimming, failed)
                                          : trim_delref(call, edit, trimming, failed);
}

/* ---- The journal ---------------------------------------------------------------------------------- */

/* The request as it is to be recorded: with this number instead of the argument `id_arg`, unless that is 0; and with what
 * trimming by whole nodes has come to, which may be another thing next time. */
struct recorded {
    uint32_t id_arg;
    struct bytes id;
    const struct trimming *trimming; /* NULL: none */
    uint32_t apart_arg, apart; /* so many arguments that are not recorded with the others, from there on */
};

static void log_rewritten(struct call *call, const struct stream *stream, const struct recorded *recorded) {
    enum { FEW = 32 };
    struct bytes few[FEW], *argv = call->argc <= FEW ? few : malloc(call->argc * sizeof *argv);
    const struct trimming *trimming = recorded->trimming;
    char text[STREAM_ID_TEXT_MAX];
    uint32_t argc = 0;
    if (argv ==
        NULL) { /* then it is recorded as it came, which says the same but for the number that is to be chosen */
        call_log_request(call);
        return;
    }
    bool exact = trimming && trimming->by != TRIM_NONE && trimming->approximate;
    for (uint32_t i = 0; i < call->argc; i++) {
        struct bytes arg = call->argv[i];
        if (exact && trimming->limit_arg && (i == trimming->limit_arg || i == trimming->limit_arg + 1))
            continue;
        if (trimming && trimming->refs_arg && i == trimming->refs_arg) continue;
        if (i - recorded->apart_arg < recorded->apart) continue;
        if (recorded->id_arg && i == recorded->id_arg) arg = recorded->id;
        if (exact && i == trimming->operator_arg) arg = BYTES("=");
        if (exact && i == trimming->threshold_arg) arg = trimmed_to(text, stream, trimming);
        argv[argc++] = arg;
    }
    call_log(call, argv, argc);
    if (argv != few) free(argv);
}

/* ---- XADD ----------------------------------------------------------------------------------------- */

/* What XADD shall do. */
struct adding {
    struct trimming trimming;
    bool no_stream;    /* NOMKSTREAM */
    bool id_given;     /* else it is chosen by the time */
    bool any_sequence; /* ms-* */
    struct stream_id id;
    uint32_t id_arg;
    struct stream_pairs pairs;
    struct stream_idmp *idmp;
};

/* Options, number and arity. False after replying. What is said of a producer comes to `idmp`. */
static bool read_adding(struct call *call, struct adding *adding, struct stream_idmp *idmp) {
    uint32_t i = 2;
    *adding = (struct adding){.idmp = idmp};
    idmp->word_arg = idmp->words = 0; /* and the rest as it may be: most say nothing */
    for (; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (word.len == 1 && word.data[0] == '*') break;
        uint32_t last = read_trimming(call, &adding->trimming, i);
        if (last == 0) return false;
        if (last != UINT32_MAX) {
            i = last;
        } else if (bytes_is(word, "nomkstream")) {
            adding->no_stream = true;
        } else if ((last = stream_idmp_read(call, i, adding->idmp)) != UINT32_MAX) {
            if (last == 0) return false;
            i = last;
        } else {
            adding->id_given = true;
            if (!parse_id(word, 0, &adding->id, &adding->any_sequence)) return invalid_id(call);
            break;
        }
    }
    adding->id_arg = i;
    if (!check_trimming(call, &adding->trimming)) return false;
    if (adding->idmp->words && !stream_idmp_allows(call, adding->id_given)) return false;
    adding->pairs = (struct stream_pairs){call->argv + i + 1, (call->argc - i - 1) / 2};
    if (i + 2 < call->argc && (call->argc - i) % 2 == 1) return true;
    reply_error(call->reply, "ERR wrong number of arguments for 'xadd' command");
    return false;
}

/* The number that the new entry gets, above the stream's last one. False if it cannot be. */
static bool choose_id(const struct call *call, const struct adding *adding, struct stream_id last,
                      struct stream_id *id) {
    uint64_t now_ms = (uint64_t)call_clock_ms(call);
    *id = adding->id;
    if (!adding->id_given) {
        *id = (struct stream_id){now_ms, 0};
        if (now_ms > last.ms) return true;
        *id = last;
        return stream_id_next(id);
    }
    if (adding->any_sequence && id->ms == last.ms) {
        if (last.sequence == UINT64_MAX) return false;
        id->sequence = last.sequence + 1;
    }
    return stream_id_compare(*id, last) > 0;
}

/* Records that an entry was added, and nothing of trimming. */
static void log_added(struct call *call, const struct adding *adding, struct stream_id id) {
    enum { FEW = 32, WORDS = 3 };
    char text[STREAM_ID_TEXT_MAX];
    uint32_t words = adding->idmp->words && !adding->idmp->apart ? adding->idmp->words : 0;
    uint32_t pairs = call->argc - adding->id_arg - 1, head = WORDS + words;
    struct bytes few[FEW], *argv = head + pairs <= FEW ? few : malloc((head + pairs) * sizeof *argv);
    if (argv == NULL) {
        call_log_request(call); /* as log_rewritten does */
        return;
    }
    argv[0] = BYTES("XADD");
    argv[1] = call->argv[1];
    memcpy(argv + 2, call->argv + adding->idmp->word_arg, words * sizeof *argv);
    argv[head - 1] = stream_id_text(text, id);
    memcpy(argv + head, call->argv + adding->id_arg + 1, pairs * sizeof *argv);
    call_log(call, argv, head + pairs);
    if (argv != few) free(argv);
}

/* Adds the entry, which is not too long. False without memory. */
static bool put_entry(struct edit *edit, const struct adding *adding, struct stream_id id) {
    struct stream_node_limits limits = stream_limits();
    if (adding->idmp->words) return stream_add_once(edit, &adding->idmp->once, id, &adding->pairs, &limits);
    return stream_add(edit, id, &adding->pairs, &limits);
}

/* Adds and trims; the edit is closed then. False after replying. */
static bool add_entry(struct call *call, struct edit *edit, const struct adding *adding,
                      struct stream_id *id) {
    struct value value = entry_value(edit->entry);
    const struct stream *stream = value.kind == VALUE_OBJECT ? stream_at(&value) : NULL;
    struct stream_id last = stream ? stream->last : (struct stream_id){0, 0};
    const char *error = NULL;
    bool failed = false;
    if (stream_id_compare(last, STREAM_ID_MAX) == 0)
        error = "ERR The stream has exhausted the last possible ID, unable to add more items";
    else if (!choose_id(call, adding, last, id))
        error = "ERR The ID specified in XADD is equal or smaller than the target stream top item";
    else if (stream_pairs_bytes(&adding->pairs) > STREAM_ENTRY_MOST)
        error = "ERR Elements are too large to be stored";
    else
        failed = !put_entry(edit, adding, *id);
    if (error || failed) {
        collection_close(call, 1, edit, EVENT_NONE, 0);
        if (failed)
            call_out_of_memory(call);
        else
            reply_error(call->reply, error);
        return false;
    }
    /* Where there is no memory to trim by then, the entry stays, and so does what was to go. */
    uint64_t trimmed = 0;
    if (adding->trimming.by != TRIM_NONE && goes_by_references(stream_in(edit), &adding->trimming)) {
        log_added(call, adding, *id);
        trimmed = trim_by_references(call, edit, &adding->trimming, &failed);
    } else if (adding->trimming.by != TRIM_NONE) {
        trimmed = trim(edit, &adding->trimming, &failed);
    }
    collection_close(call, 1, edit, EVENT_XADD, 1);
    if (trimmed) call_event(call, 1, EVENT_XTRIM);
    return true;
}

static void xadd(struct call *call) {
    struct adding adding;
    struct stream_idmp idmp;
    struct edit edit;
    struct stream_id id;
    char text[STREAM_ID_TEXT_MAX];
    if (!read_adding(call, &adding, &idmp)) return;
    if (adding.id_given && !adding.any_sequence && stream_id_is_zero(adding.id)) {
        reply_error(call->reply, "ERR The ID specified in XADD must be greater than 0-0");
        return;
    }
    if (!collection_open(call, 1, TYPE_STREAM, !adding.no_stream, &edit)) return;
    if (edit.entry == NULL) {
        reply_null(call->reply);
        return;
    }
    if (idmp.words && stream_idmp_answer(call, &edit, &idmp, &adding.pairs, adding.id)) return;
    if (!add_entry(call, &edit, &adding, &id)) return;
    struct bytes shown = stream_id_text(text, id);
    if (call->effects->journal && !call->logged) {
        struct value value = entry_value(edit.entry);
        struct recorded recorded = {.id_arg = adding.id_arg, .id = shown, .trimming = &adding.trimming};
        recorded.apart_arg = idmp.word_arg;
        recorded.apart = idmp.words && idmp.apart ? idmp.words : 0;
        log_rewritten(call, stream_at(&value), &recorded);
    }
    if (idmp.words && idmp.apart) stream_idmp_log(call, &idmp.once, id);
    reply_bulk(call->reply, shown);
}

#define TRIM_WORDS                                                                                           \
    "trim:{ strategy:( MAXLEN | MINID@6.2.0 ) [operator:( equal:= | approximately:~ )] <threshold> [{LIMIT " \
    "<count:integer>}@6.2.0] }"
#define REFS_WORDS "[condition:( KEEPREF | DELREF | ACKED )@8.2.0]"

COMMAND(xadd) = {
    .name = "xadd",
    .arity = -5,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {{.flags = KEY_RW | KEY_UPDATE,
              .first = 1,
              .last = 1,
              .step = 1,
              .note = "UPDATE instead of INSERT because of the optional trimming feature"}},
    .run = xadd,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1) when adding a new entry, O(N) when trimming where N being the number of entries "
                  "evicted.",
    .summary = "Appends a new entry to a stream",
    .tips = "nondeterministic_output",
    .history = "6.2.0: Added the `NOMKSTREAM` option, `MINID` trimming strategy and the `LIMIT` option.\n"
               "7.0.0: Added support for the `<ms>-*` explicit ID form.\n"
               "8.2.0: Added the `KEEPREF`, `DELREF` and `ACKED` options.\n"
               "8.6.0: Added the `IDMP` and `IDMPAUTO` options.",
    .syntax = "<key:key> [nomkstream:NOMKSTREAM@6.2.0] " REFS_WORDS
              " [idmp:( {IDMPAUTO <producer-id>} | {IDMP explicit:{ <producer-id> <idempotent-id> }} "
              ")@8.6.0] [" TRIM_WORDS "] id_or_auto:( auto_id:* | <id> ) "
              "field_value:{ <field> <value> } ..."};

/* ---- XTRIM, XDEL, XSETID -------------------------------------------------------------------------- */

/* XTRIM's options. False after replying. */
static bool read_trim(struct call *call, struct trimming *trimming) {
    *trimming = (struct trimming){.by = TRIM_NONE};
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t last = read_trimming(call, trimming, i);
        if (last == UINT32_MAX) call_syntax_error(call);
        if (last == 0 || last == UINT32_MAX) return false;
        i = last;
    }
    return check_trimming(call, trimming);
}

static void xtrim(struct call *call) {
    struct trimming trimming;
    struct edit edit;
    bool failed;
    if (!read_trim(call, &trimming)) return;
    if (!collection_open(call, 1, TYPE_STREAM, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    bool by_references = goes_by_references(stream_in(&edit), &trimming);
    uint64_t trimmed = by_references ? trim_by_references(call, &edit, &trimming, &failed)
                                     : trim(&edit, &trimming, &failed);
    collection_close(call, 1, &edit, EVENT_XTRIM, trimmed);
    if (by_references) {
        keyspace_note_nodes(edit.keyspace);
    } else if (trimmed && (trimming.approximate || trimming.refs_arg) && call->effects->journal) {
        struct value value = entry_value(edit.entry);
        log_rewritten(call, stream_at(&value), &(struct recorded){.trimming = &trimming});
    }
    if (failed)
        call_out_of_memory(call);
    else
        reply_int(call->reply, (int64_t)trimmed);
}
COMMAND(xtrim) = {
    .name = "xtrim",
    .arity = -4,
    .flags = CMD_WRITE,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = xtrim,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity =
        "O(N), with N being the number of evicted entries. Constant times are very small however, since "
        "entries are organized in macro nodes containing multiple entries that can be released with a single "
        "deallocation.",
    .summary = "Trims the stream to (approximately if '~' is passed) a certain size",
    .tips = "nondeterministic_output",
    .history = "6.2.0: Added the `MINID` trimming strategy and the `LIMIT` option.\n"
               "8.2.0: Added the `KEEPREF`, `DELREF` and `ACKED` options.",
    .syntax = "<key:key> " TRIM_WORDS " " REFS_WORDS};

static void xdel(struct call *call) {
    struct edit edit;
    struct stream_id id;
    uint64_t deleted = 0;
    enum stream_changed changed = STREAM_UNCHANGED;
    uint32_t i = 2;
    if (!collection_open(call, 1, TYPE_STREAM, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_int(call->reply, 0);
        return;
    }
    while (i < call->argc && stream_id_parse(call->argv[i], 0, &id)) i++;
    bool valid = i == call->argc;
    for (i = 2; valid && i < call->argc && changed != STREAM_NO_MEMORY; i++) {
        if (!stream_id_parse(call->argv[i], 0, &id)) break;
        changed = stream_delete(&edit, id);
        deleted += changed == STREAM_CHANGED;
    }
    collection_close(call, 1, &edit, EVENT_XDEL, deleted);
    if (!valid) {
        invalid_id(call);
    } else if (changed == STREAM_NO_MEMORY) {
        if (deleted) call_log(call, call->argv, i - 1);
        call_out_of_memory(call);
    } else {
        reply_int(call->reply, (int64_t)deleted);
    }
}
COMMAND(xdel) = {
    .name = "xdel",
    .arity = -3,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = xdel,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1) for each single item to delete in the stream, regardless of the stream size.",
    .summary = "Removes the specified entries from the stream. Returns the number of items actually deleted, "
               "that may be different from the number of IDs passed in case certain IDs do not exist.",
    .syntax = "<key:key> <id> ..."};

/* What XSETID sets. */
struct setting {
    struct stream_id last, max_deleted;
    int64_t added; /* -1: as it is */
};

static bool read_setting(struct call *call, struct setting *setting) {
    *setting = (struct setting){.added = -1};
    if (!stream_id_or_reply(call, 2, 0, &setting->last)) return false;
    for (uint32_t i = 3; i < call->argc; i += 2) {
        const char *error = NULL;
        if (i + 1 < call->argc && bytes_is(call->argv[i], "entriesadded")) {
            if (!call_int_or_reply(call, i + 1, &setting->added)) return false;
            if (setting->added < 0) error = "ERR entries_added must be positive";
        } else if (i + 1 < call->argc && bytes_is(call->argv[i], "maxdeletedid")) {
            if (!stream_id_or_reply(call, i + 1, 0, &setting->max_deleted)) return false;
            if (stream_id_compare(setting->last, setting->max_deleted) < 0)
                error = "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
        } else {
            error = "ERR syntax error";
        }
        if (error) {
            reply_error(call->reply, error);
            return false;
        }
    }
    return true;
}

/* Why this stream cannot be set so; NULL: it can. */
static const char *why_not_set(const struct stream *stream, const struct setting *setting) {
    if (stream_id_compare(setting->last, stream_end(stream, TREE_BACK)) < 0)
        return "ERR The ID specified in XSETID is smaller than the target stream top item";
    if (setting->added != -1 && stream->entries.count > (uint64_t)setting->added)
        return "ERR The entries_added specified in XSETID is smaller than the target stream length";
    return NULL;
}

static void xsetid(struct call *call) {
    struct setting setting;
    struct edit edit;
    if (!read_setting(call, &setting)) return;
    if (!collection_open(call, 1, TYPE_STREAM, false, &edit)) return;
    if (edit.entry == NULL) {
        reply_error(call->reply, "ERR no such key");
        return;
    }
    struct value value = entry_value(edit.entry);
    const char *error = why_not_set(stream_at(&value), &setting);
    struct stream *stream = error ? NULL : stream_edit(&edit);
    if (stream) {
        stream->last = setting.last;
        if (setting.added != -1) stream->added = (uint64_t)setting.added;
        if (!stream_id_is_zero(setting.max_deleted)) stream->max_deleted = setting.max_deleted;
    }
    collection_close(call, 1, &edit, EVENT_NONE, 0);
    if (error) {
        reply_error(call->reply, error);
    } else if (stream == NULL) {
        call_out_of_memory(call);
    } else {
        call_effect(call, 1, EFFECT_EVENT, EVENT_XSETID, 1); /* no watcher feels it, as in Redis */
        reply_ok(call->reply);
    }
}
COMMAND(xsetid) = {
    .name = "xsetid",
    .arity = -3,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xsetid,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1)",
    .summary = "An internal command for replicating stream values",
    .history = "7.0.0: Added the `entries_added` and `max_deleted_entry_id` arguments.",
    .syntax = "<key:key> <last-id> [{ENTRIESADDED <entries_added:integer>}@7.0.0] [{MAXDELETEDID "
              "<max_deleted_entry_id>}@7.0.0]"};

/* ---- XLEN, XRANGE, XREVRANGE ---------------------------------------------------------------------- */

static void reply_zero(struct reply *reply) {
    reply_int(reply, 0);
}

static void xlen(struct call *call) {
    const struct stream *stream = stream_or_reply(call, 1, reply_zero);
    if (stream) reply_int(call->reply, (int64_t)stream->entries.count);
}
COMMAND(xlen) = {.name = "xlen",
                 .arity = 2,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEY(1, KEY_RO)},
                 .run = xlen,
                 .group = GROUP_STREAM,
                 .since = "5.0.0",
                 .complexity = "O(1)",
                 .summary = "Return the number of entries in a stream",
                 .syntax = "<key:key>"};

static void reply_nothing(struct reply *reply) {
    reply_array(reply, 0);
}

static void reply_range(struct call *call, bool backwards) {
    struct stream_range range = {.backwards = backwards};
    int64_t count = -1;
    if (!stream_end_or_reply(call, backwards ? 3 : 2, true, &range.from)) return;
    if (!stream_end_or_reply(call, backwards ? 2 : 3, false, &range.to)) return;
    for (uint32_t i = 4; i < call->argc; i += 2) {
        if (i + 1 == call->argc || !bytes_is(call->argv[i], "count")) {
            call_syntax_error(call);
            return;
        }
        if (!call_int_or_reply(call, i + 1, &count)) return;
        if (count < 0) count = 0;
    }
    range.count = count < 0 ? UINT64_MAX : (uint64_t)count;
    const struct stream *stream = stream_or_reply(call, 1, reply_nothing);
    if (stream == NULL) return;
    if (count == 0)
        reply_null_array(call->reply);
    else
        stream_reply_range(call, stream, &range);
}

#define RANGES                                                                                               \
    .arity = -4, .flags = CMD_READONLY, .keys = {KEY(1, KEY_RO | KEY_ACCESS)}, .group = GROUP_STREAM,        \
    .since = "5.0.0", .history = "6.2.0: Added exclusive ranges."

static void xrange(struct call *call) {
    reply_range(call, false);
}
COMMAND(xrange) = {
    .name = "xrange",
    RANGES,
    .run = xrange,
    .complexity = "O(N) with N being the number of elements being returned. If N is constant (e.g. always "
                  "asking for the first 10 elements with COUNT), you can consider it O(1).",
    .summary = "Return a range of elements in a stream, with IDs matching the specified IDs interval",
    .syntax = "<key:key> <start> <end> [{COUNT <count:integer>}]"};

static void xrevrange(struct call *call) {
    reply_range(call, true);
}
COMMAND(xrevrange) = {
    .name = "xrevrange",
    RANGES,
    .run = xrevrange,
    .complexity = "O(N) with N being the number of elements returned. If N is constant (e.g. always asking "
                  "for the first 10 elements with COUNT), you can consider it O(1).",
    .summary = "Return a range of elements in a stream, with IDs matching the specified IDs interval, in "
               "reverse order (from greater to smaller IDs) compared to XRANGE",
    .syntax = "<key:key> <end> <start> [{COUNT <count:integer>}]"};
