/* aof_out.c - commands, one type of values after the other. */
#include "server/journal/aof_out.h"

#include "protocol/assert.h"
#include "protocol/number.h"
#include "protocol/text.h"
#include "store/types/hash.h"
#include "store/types/list.h"
#include "store/types/set.h"
#include "store/types/stream.h"
#include "store/types/zset.h"

struct out {
    struct sink *sink;
    uint64_t *work;
    struct bytes key;
    uint64_t left; /* arguments of the command that is being written */
    bool failed;
};

/* ---- Words ---------------------------------------------------------------------------------------- */

static void put(struct out *out, struct bytes bytes) {
    if (!out->failed && bytes.len) out->failed = !out->sink->write(out->sink, bytes);
}

/* "*3\r\n", "$5\r\n" */
static void put_head(struct out *out, char kind, uint64_t number) {
    char line[1 + NUMBER_I64_MAX_LEN + 3];
    size_t len = 1 + number_format_u64(line + 1, number);
    line[0] = kind;
    line[len++] = '\r';
    line[len++] = '\n';
    put(out, (struct bytes){line, len});
}

static void word(struct out *out, struct bytes bytes) {
    assert(out->left > 0 || out->failed);
    out->left--;
    put_head(out, '$', bytes.len);
    put(out, bytes);
    put(out, BYTES("\r\n"));
}

/* A command of so many words, this one and the next among them. */
static void begin(struct out *out, uint64_t words, struct bytes name) {
    assert(out->left == 0 || out->failed);
    if (out->work) __atomic_fetch_add(out->work, 1, __ATOMIC_RELAXED);
    out->left = words;
    put_head(out, '*', words);
    word(out, name);
}
/* The same, and the key. */
static void begin_key(struct out *out, uint64_t words, struct bytes name) {
    begin(out, words, name);
    word(out, out->key);
}

static void word_number(struct out *out, int64_t number) {
    char text[NUMBER_I64_MAX_LEN];
    word(out, (struct bytes){text, number_format_i64(text, number)});
}
static void word_count(struct out *out, uint64_t number) {
    char text[NUMBER_I64_MAX_LEN];
    word(out, (struct bytes){text, number_format_u64(text, number)});
}
/* More is refused. */
static void word_most(struct out *out, uint64_t number) {
    word_count(out, number > INT64_MAX ? INT64_MAX : number);
}
static void word_score(struct out *out, double score) {
    char text[NUMBER_DOUBLE_MAX_LEN];
    word(out, (struct bytes){text, number_format_double(text, score)});
}
static void word_id(struct out *out, struct stream_id id) {
    char text[2 * NUMBER_I64_MAX_LEN + 1];
    size_t len = number_format_u64(text, id.ms);
    text[len++] = '-';
    len += number_format_u64(text + len, id.sequence);
    word(out, (struct bytes){text, len});
}

/* Where the last command is full the next one begins: `each` words for each of `left` elements that are yet to come. */
static void next_of(struct out *out, uint64_t left, unsigned each, struct bytes name) {
    uint64_t items = left < AOF_OUT_ITEMS ? left : AOF_OUT_ITEMS;
    assert(left > 0);
    if (out->left == 0) begin_key(out, 2 + each * items, name);
}

/* ---- Collections ---------------------------------------------------------------------------------- */

static void put_string(struct out *out, const struct value *value) {
    char scratch[NUMBER_I64_MAX_LEN];
    begin_key(out, 3, BYTES("SET"));
    word(out, value_text(value, scratch));
}

static void put_list(struct out *out, const struct value *value) {
    struct list_walk walk;
    struct element element;
    uint64_t left = list_count(value);
    assert(left > 0);
    list_walk(&walk, value, 0, false);
    while (!out->failed && list_next(&walk, &element)) {
        next_of(out, left--, 1, BYTES("RPUSH"));
        word(out, element.bytes);
    }
}

static void put_set(struct out *out, const struct value *value) {
    struct set_walk walk;
    struct element member;
    uint64_t left = set_count(value);
    assert(left > 0);
    set_walk(&walk, value, 0);
    while (!out->failed && set_next(&walk, &member)) {
        next_of(out, left--, 1, BYTES("SADD"));
        word(out, member.bytes);
    }
}

static void put_zset(struct out *out, const struct value *value) {
    struct zset_walk walk;
    struct zset_item item;
    uint64_t left = zset_count(value);
    zset_walk(&walk, value, 0, false);
    while (!out->failed && zset_next(&walk, &item)) {
        next_of(out, left--, 2, BYTES("ZADD"));
        word_score(out, item.score);
        word(out, item.member.bytes);
    }
}

static void put_times(struct out *out, const struct value *value) {
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, 0);
    while (!out->failed && hash_next(&walk, &field, &found)) {
        int64_t expiry_ms = hash_walk_expiry(&walk, field.bytes);
        if (!expiry_ms) continue;
        begin_key(out, 6, BYTES("HPEXPIREAT"));
        word_number(out, expiry_ms);
        word(out, BYTES("FIELDS"));
        word(out, BYTES("1"));
        word(out, field.bytes);
    }
}

static void put_hash(struct out *out, const struct value *value) {
    struct hash_walk walk;
    struct element field, found;
    uint64_t left = hash_count(value);
    hash_walk(&walk, value, 0);
    while (!out->failed && hash_next(&walk, &field, &found)) {
        next_of(out, left--, 2, BYTES("HMSET"));
        word(out, field.bytes);
        word(out, found.bytes);
    }
    put_times(out, value);
}

/* ---- Streams -------------------------------------------------------------------------------------- */

static void put_stream_entry(struct out *out, const struct stream *stream, const struct stream_item *item) {
    struct stream_fields fields = stream_fields(item->entry, stream->names);
    struct bytes field, value;
    assert(fields.left > 0 && stream_id_compare(item->id, stream->last) <= 0);
    begin_key(out, 3 + 2 * fields.left, BYTES("XADD"));
    word_id(out, item->id);
    while (stream_fields_next(&fields, &field, &value)) {
        word(out, field);
        word(out, value);
    }
}

/* A stream without entries: one is added, and none may be there. */
static void put_empty_stream(struct out *out, const struct stream *stream) {
    struct stream_id first = {.sequence = 1};
    begin_key(out, 7, BYTES("XADD"));
    word(out, BYTES("MAXLEN"));
    word(out, BYTES("0"));
    word_id(out, stream_id_is_zero(stream->last) ? first : stream->last);
    word(out, BYTES("x"));
    word(out, BYTES("y"));
}

/* XSETID is refused as a whole where one of its numbers cannot be, and then the last one that was given would be forgotten.
 * What was loaded may say so: some of Redis's versions have lost count. */
static void put_stream_numbers(struct out *out, const struct stream *stream) {
    uint64_t added = stream->added < stream->entries.count ? stream->entries.count : stream->added;
    bool deletes_more = stream_id_compare(stream->max_deleted, stream->last) > 0;
    begin_key(out, 7, BYTES("XSETID"));
    word_id(out, stream->last);
    word(out, BYTES("ENTRIESADDED"));
    word_most(out, added);
    word(out, BYTES("MAXDELETEDID"));
    word_id(out, deletes_more ? stream->last : stream->max_deleted);
}

static void put_pending(struct out *out, const struct stream_group *group, const struct stream_consumer *of) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    stream_pending_walk(&walk, group, of, (struct stream_id){0});
    while (!out->failed && stream_pending_next(&walk, &pending)) {
        begin_key(out, 12, BYTES("XCLAIM"));
        word(out, stream_name_of(&group->head));
        word(out, stream_name_of(&of->head));
        word(out, BYTES("0"));
        word_id(out, pending.id);
        word(out, BYTES("TIME"));
        word_number(out, pending.time_ms);
        word(out, BYTES("RETRYCOUNT"));
        word_most(out, pending.count);
        word(out, BYTES("JUSTID"));
        word(out, BYTES("FORCE"));
    }
}

/* What is pending for nobody. */
static void put_released(struct out *out, const struct stream_group *group) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    if (group->released == 0) return;
    stream_pending_walk(&walk, group, NULL, (struct stream_id){0});
    while (!out->failed && stream_pending_next(&walk, &pending)) {
        if (pending.consumer != STREAM_UNOWNED) continue;
        begin_key(out, 10, BYTES("XNACK"));
        word(out, stream_name_of(&group->head));
        word(out, BYTES("FAIL"));
        word(out, BYTES("IDS"));
        word(out, BYTES("1"));
        word_id(out, pending.id);
        word(out, BYTES("RETRYCOUNT"));
        word_most(out, pending.count);
        word(out, BYTES("FORCE"));
    }
}

static void put_consumer(struct out *out, const struct stream_group *group,
                         const struct stream_consumer *of) {
    begin(out, 5, BYTES("XGROUP"));
    word(out, BYTES("CREATECONSUMER"));
    word(out, out->key);
    word(out, stream_name_of(&group->head));
    word(out, stream_name_of(&of->head));
    put_pending(out, group, of);
}

static void put_group(struct out *out, const struct stream_group *group) {
    begin(out, 7, BYTES("XGROUP"));
    word(out, BYTES("CREATE"));
    word(out, out->key);
    word(out, stream_name_of(&group->head));
    word_id(out, group->last);
    word(out, BYTES("ENTRIESREAD"));
    word_number(out, group->read < 0 ? STREAM_READ_UNKNOWN : group->read); /* less is refused */
    const struct stream_consumer *consumer;
    for (uint64_t place = 0; !out->failed && (consumer = stream_consumer_next(group, &place));)
        put_consumer(out, group, consumer);
    put_released(out, group);
}

/* The limits, and each id with the number of its entry, which need not be there. What was counted is not told. */
static void put_producers(struct out *out, const struct stream_producers *producers) {
    const struct stream_producer *producer;
    struct stream_id entry;
    if (!stream_producers_matter(producers)) return;
    begin_key(out, 6, BYTES("XCFGSET"));
    word(out, BYTES("IDMP-DURATION"));
    word_count(out, producers->seconds);
    word(out, BYTES("IDMP-MAXSIZE"));
    word_count(out, producers->most);
    for (uint64_t place = 0; !out->failed && (producer = stream_producer_next(producers, &place));)
        for (uint64_t i = 0; !out->failed && i < producer->list.count; i++) {
            begin_key(out, 5, BYTES("XIDMPRECORD"));
            word(out, stream_name_of(&producer->head));
            word(out, stream_producer_id(producer, i, &entry));
            word_id(out, entry);
        }
}

static void put_stream(struct out *out, const struct value *value) {
    const struct stream *stream = stream_at(value);
    struct stream_walk walk;
    struct stream_item item;
    if (stream->entries.count == 0) put_empty_stream(out, stream);
    stream_walk(&walk, stream, (struct stream_id){0}, STREAM_ID_MAX, false);
    while (!out->failed && stream_next(&walk, &item)) put_stream_entry(out, stream, &item);
    put_stream_numbers(out, stream);
    const struct stream_group *group;
    for (uint64_t place = 0; !out->failed && (group = stream_group_next(&stream->groups, &place));)
        put_group(out, group);
    put_producers(out, stream->producers);
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

static void (*const puts_value[TYPES])(struct out *out, const struct value *value) = {
    [TYPE_STRING] = put_string, [TYPE_LIST] = put_list, [TYPE_SET] = put_set,
    [TYPE_ZSET] = put_zset,     [TYPE_HASH] = put_hash, [TYPE_STREAM] = put_stream,
};

bool aof_out_time(struct sink *sink, int64_t unix_s) {
    char memory[8 + NUMBER_I64_MAX_LEN], digits[NUMBER_I64_MAX_LEN];
    struct text line = text_fixed(memory, sizeof memory);
    text_string(&line, "#TS:");
    text_add(&line, (struct bytes){digits, number_format_i64(digits, unix_s)});
    text_string(&line, "\r\n");
    assert(!line.cut);
    return sink->write(sink, text_bytes(&line));
}

bool aof_out_select(struct sink *sink, unsigned db) {
    struct out out = {.sink = sink};
    begin(&out, 2, BYTES("SELECT"));
    word_count(&out, db);
    return !out.failed;
}

bool aof_out_entry(struct sink *sink, uint64_t *work, const struct entry *e) {
    struct out out = {.sink = sink, .work = work, .key = entry_key(e)};
    struct value value = entry_value(e);
    assert(puts_value[entry_type(e)] && !sink->compressor);
    puts_value[entry_type(e)](&out, &value);
    if (entry_expiry(e)) {
        begin_key(&out, 3, BYTES("PEXPIREAT"));
        word_number(&out, entry_expiry(e));
    }
    assert(out.left == 0 || out.failed);
    return !out.failed;
}
