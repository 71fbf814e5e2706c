/* stream_read.c - XREAD and XREADGROUP: what is behind a number, in several streams. */
#include <stdlib.h>

#include "server/commands/stream.h"

/* ---- Options -------------------------------------------------------------------------------------- */

/* What XREAD and XREADGROUP have in front of their keys. */
struct reading {
    bool of_group;      /* it is XREADGROUP */
    uint32_t group;     /* argument number of the group, which the consumer follows; 0: it is not there */
    bool no_ack;        /* nothing is to be acknowledged */
    uint64_t count;     /* entries of each stream at most */
    bool blocks;        /* BLOCK is there */
    int64_t timeout_ms; /* what it says; 0: for ever */
    uint32_t first,
        streams; /* argument number of the first key, and how many there are; as many numbers follow */
};

/* As call_timeout_or_reply, of milliseconds without a fraction. */
static bool read_timeout(struct call *call, uint32_t arg, struct reading *reading) {
    struct call_range any = {INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range"};
    if (!call_int_range_or_reply(call, arg, any, &reading->timeout_ms)) return false;
    reading->blocks = true;
    if (reading->timeout_ms >= 0) return true;
    reply_error(call->reply, "ERR timeout is negative");
    return false;
}

static bool read_streams(struct call *call, uint32_t arg, struct reading *reading) {
    uint32_t left = call->argc - arg - 1;
    reading->first = arg + 1;
    reading->streams = left / 2;
    if (left % 2 == 0) return true;
    reply_error(call->reply,
                "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");
    return false;
}

/* Reads the option at argv[*arg], and goes to its last argument. False after replying. */
static bool read_option(struct call *call, uint32_t *arg, struct reading *reading) {
    struct bytes word = call->argv[*arg];
    bool more = *arg + 1 < call->argc;
    int64_t count;
    if (more && bytes_is(word, "block")) return read_timeout(call, ++*arg, reading);
    if (more && bytes_is(word, "count")) {
        if (!call_int_or_reply(call, ++*arg, &count)) return false;
        reading->count = count > 0 ? (uint64_t)count : UINT64_MAX;
        return true;
    }
    if (more && bytes_is(word, "streams")) return read_streams(call, *arg, reading);
    bool group = *arg + 2 < call->argc && bytes_is(word, "group");
    if (!group && !bytes_is(word, "noack")) {
        call_syntax_error(call);
        return false;
    }
    if (!reading->of_group) {
        reply_errorf(call->reply,
                     "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.",
                     group ? "GROUP" : "NOACK");
        return false;
    }
    if (group) reading->group = *arg + 1;
    *arg += group ? 2 : 0;
    reading->no_ack = reading->no_ack || !group;
    return true;
}

static bool read_options(struct call *call, bool of_group, struct reading *reading) {
    *reading = (struct reading){.count = UINT64_MAX, .of_group = of_group};
    for (uint32_t i = 1; i < call->argc && reading->first == 0; i++)
        if (!read_option(call, &i, reading)) return false;
    if (reading->first == 0) {
        call_syntax_error(call);
        return false;
    }
    if (!of_group || reading->group) return true;
    reply_error(call->reply, "ERR Missing GROUP option for XREADGROUP");
    return false;
}

/* The keys stand behind STREAMS, and as many numbers follow them. */
static int streams_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    uint32_t i = 1;
    while (i < argc && !bytes_is(argv[i], "streams")) {
        if (bytes_is(argv[i], "noack"))
            i++;
        else if (bytes_is(argv[i], "block") || bytes_is(argv[i], "count"))
            i += 2;
        else if (bytes_is(argv[i], "group"))
            i += 3;
        else
            return -1;
    }
    if (i + 1 >= argc || (argc - i - 1) % 2) return -1;
    uint32_t count = (argc - i - 1) / 2;
    for (uint32_t k = 0; k < count && k < max; k++)
        keys[k] = (struct command_key){i + 1 + k, KEY_RO | KEY_ACCESS};
    return (int)count;
}

static void serve_xreadgroup(struct call *call, uint32_t arg);
static bool xreadgroup_due(struct call *call, uint32_t arg);

static void stream_lost(struct reply *reply) {
    reply_error(reply, "UNBLOCKED the stream key no longer exists");
}

/* ---- XREAD ---------------------------------------------------------------------------------------- */

/* The stream of a key, and the number behind which it is read. */
struct asked {
    const struct stream *stream; /* NULL: there is none */
    struct stream_id behind;
};

/* Of the key argv[arg]. False after replying. */
static bool read_asked(struct call *call, uint32_t arg, uint32_t streams, struct asked *asked) {
    struct value value;
    bool there;
    struct bytes id = call->argv[arg + streams];
    if (!collection_read(call, arg, TYPE_STREAM, &value, &there)) return false;
    asked->stream = there ? stream_at(&value) : NULL;
    if (bytes_equal(id, BYTES("$"))) {
        asked->behind = there ? asked->stream->last : (struct stream_id){0, 0};
        return true;
    }
    if (bytes_equal(id, BYTES(">"))) {
        reply_error(call->reply, "ERR The > ID can be specified only when calling XREADGROUP using the GROUP "
                                 "<group> <consumer> option.");
        return false;
    }
    return stream_id_or_reply(call, arg + streams, 0, &asked->behind);
}

/* Is there an entry behind the number? */
static bool has_more(const struct asked *asked) {
    return asked->stream && asked->stream->entries.count > 0 &&
           stream_id_compare(stream_end(asked->stream, TREE_BACK), asked->behind) > 0;
}

/* The name of the key argv[arg], as a part of a map, and its entries behind the number. */
static void reply_stream(struct call *call, uint32_t arg, const struct asked *asked, uint64_t count) {
    struct stream_range range = {.from = asked->behind, .to = STREAM_ID_MAX, .count = count};
    if (call->reply->resp < 3) reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[arg]);
    bool more = stream_id_next(&range.from);
    assert(more); /* the stream has had a number behind it */
    stream_reply_range(call, asked->stream, &range);
}

static void reply_streams_header(struct call *call, uint32_t streams) {
    if (call->reply->resp < 3)
        reply_array(call->reply, streams);
    else
        reply_map(call->reply, streams);
}

/* The number behind which a client that has waited reads the key argv[arg]. */
static struct stream_id noted_id(const struct call *call, uint32_t arg, const struct reading *reading) {
    return ((const struct stream_id *)call->noted)[arg - reading->first];
}

/* The request was read once already, before it waited. */
static void reread(struct call *call, bool of_group, struct reading *reading) {
    bool read = read_options(call, of_group, reading);
    assert(read);
}

/* Has the stream had numbers above the one that is waited for? Its entries may be gone again. */
static bool xread_due(struct call *call, uint32_t arg) {
    struct reading reading;
    struct value value = entry_value(call_peek(call, arg));
    reread(call, false, &reading);
    return stream_id_compare(stream_at(&value)->last, noted_id(call, arg, &reading)) > 0;
}

static void serve_xread(struct call *call, uint32_t arg) {
    struct reading reading;
    struct value value = entry_value(call_peek(call, arg));
    reread(call, false, &reading);
    struct asked asked = {.stream = stream_at(&value), .behind = noted_id(call, arg, &reading)};
    reply_streams_header(call, 1);
    reply_stream(call, arg, &asked, reading.count);
}

/* Nothing is there: waits for it, if it shall, or replies so. */
static void wait_to_read(struct call *call, const struct reading *reading, struct stream_id *noted) {
    struct wait wait = {.timeout_ms = reading->timeout_ms,
                        .type = TYPE_STREAM,
                        .first_key = reading->first,
                        .key_count = reading->streams,
                        .serve = reading->of_group ? serve_xreadgroup : serve_xread,
                        .due = reading->of_group ? xreadgroup_due : xread_due,
                        .lost = reading->of_group ? stream_lost : NULL,
                        .over = reply_null_array,
                        .noted = noted};
    if (reading->blocks && call_wait(call, &wait)) return;
    free(noted);
    reply_null_array(call->reply);
}

/* Where nothing is there: what is read later is behind these numbers, also where `$` was said. */
static void note_and_wait(struct call *call, const struct reading *reading) {
    struct stream_id *noted = NULL;
    if (reading->blocks && !(noted = malloc((reading->streams + 1) * sizeof *noted))) {
        call_out_of_memory(call);
        return;
    }
    for (uint32_t i = 0; reading->blocks && i < reading->streams; i++) {
        struct asked asked;
        bool read = read_asked(call, reading->first + i, reading->streams, &asked);
        assert(read);
        noted[i] = asked.behind;
    }
    wait_to_read(call, reading, noted);
}

static void xread(struct call *call) {
    struct reading reading;
    struct asked asked;
    uint32_t found = 0;
    if (!read_options(call, false, &reading)) return;
    for (uint32_t i = 0; i < reading.streams; i++) {
        if (!read_asked(call, reading.first + i, reading.streams, &asked)) return;
        found += has_more(&asked);
    }
    if (found == 0) {
        note_and_wait(call, &reading);
        return;
    }
    reply_streams_header(call, found);
    for (uint32_t i = 0; i < reading.streams; i++) {
        bool read = read_asked(call, reading.first + i, reading.streams, &asked);
        assert(read);
        if (has_more(&asked)) reply_stream(call, reading.first + i, &asked, reading.count);
    }
}
COMMAND(xread) = {
    .name = "xread",
    .arity = -4,
    .flags = CMD_READONLY | CMD_BLOCKING,
    .keys = {KEYS_BEHIND_BY_HALF("STREAMS", 1, KEY_RO | KEY_ACCESS)},
    .find_keys = streams_keys,
    .run = xread,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity =
        "For each stream mentioned: O(N) with N being the number of elements being returned, it means that "
        "XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) "
        "time in order to serve the M clients blocked on the stream getting new data.",
    .summary = "Return never seen elements in multiple streams, with IDs greater than the ones reported by "
               "the caller for each stream. Can block.",
    .syntax = "[{COUNT <count:integer>}] [{BLOCK <milliseconds:integer>}] {STREAMS streams:{ <key:key> ... "
              "<id> ... }}"};

/* ---- XREADGROUP ----------------------------------------------------------------------------------- */

/* What is served of one stream. */
struct served {
    struct stream_id from; /* the first number that may be among them */
    uint64_t count;        /* entries, or numbers of what is pending */
    bool any;              /* it is a part of the reply */
    bool history;          /* what is pending for the consumer, not what is new */
};

/* The stream argv[arg] as a value, and that the group is there. False after replying. */
static bool find_group(struct call *call, uint32_t arg, const struct reading *reading) {
    struct value value;
    bool there;
    if (!collection_read(call, arg, TYPE_STREAM, &value, &there)) return false;
    if (there && stream_group_find(&stream_at(&value)->groups, call->argv[reading->group])) return true;
    reply_errorf(call->reply,
                 "NOGROUP No such key '%.*s' or consumer group '%.*s' in XREADGROUP with GROUP option",
                 reply_repeated(call->argv[arg]), call->argv[arg].data,
                 reply_repeated(call->argv[reading->group]), call->argv[reading->group].data);
    return false;
}

/* Is the number of the key argv[arg] one, or ">"? False after replying. */
static bool check_number(struct call *call, uint32_t arg, const struct reading *reading) {
    struct stream_id id;
    struct bytes text = call->argv[arg + reading->streams];
    if (bytes_equal(text, BYTES("$"))) {
        reply_error(
            call->reply,
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of "
            "this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID "
            "would just return an empty result set.");
        return false;
    }
    return bytes_equal(text, BYTES(">")) || stream_id_or_reply(call, arg + reading->streams, 0, &id);
}

/* The group delivers what is new to the consumer; how many entries. Fewer where memory runs out. */
static uint64_t deliver(struct call *call, struct edit *edit, uint32_t arg, const struct reading *reading) {
    struct bytes group_name = call->argv[reading->group], consumer_name = call->argv[reading->group + 1];
    struct value value = entry_value(edit->entry);
    const struct stream *stream = stream_at(&value);
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_group *group = stream_group_edit(&stream_of(value.object)->groups, &context, group_name);
    const struct stream_consumer *consumer = stream_consumer_find(group, consumer_name);
    struct stream_pending pending = {
        .consumer = consumer->head.number, .time_ms = call->effects->now_ms, .count = 1};
    struct stream_walk walk;
    struct stream_item item;
    struct stream_id from = group->last;
    uint64_t count = 0;
    if (!stream_id_next(&from)) return 0;
    for (stream_walk(&walk, stream, from, STREAM_ID_MAX, false); count < reading->count; count++) {
        if (!stream_next(&walk, &item)) break;
        pending.id = item.id;
        if (!reading->no_ack && !stream_pending_put(group, &context, &pending)) break;
        stream_note_read(stream, group, item.id);
        if (!reading->no_ack && call->effects->journal)
            stream_log_claim(call, arg, group, &consumer->head, &pending);
    }
    if (reading->no_ack && count) stream_log_last(call, arg, group);
    return count;
}

/* What is pending for the consumer is delivered to it once more, unless the entry is gone; how many numbers. */
static uint64_t redeliver(struct call *call, struct edit *edit, struct stream_id from,
                          const struct reading *reading) {
    struct value value = entry_value(edit->entry);
    const struct stream *stream = stream_at(&value);
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_group *group =
        stream_group_edit(&stream_of(value.object)->groups, &context, call->argv[reading->group]);
    const struct stream_consumer *consumer = stream_consumer_find(group, call->argv[reading->group + 1]);
    struct stream_pending pending;
    uint64_t count = 0;
    for (; count < reading->count; count++) {
        struct stream_pending_walk walk; /* anew, for the trees change */
        stream_pending_walk(&walk, group, consumer, from);
        if (!stream_pending_next(&walk, &pending)) break;
        from = pending.id;
        bool more = stream_id_next(&from);
        if (stream_has(stream, pending.id)) {
            pending.time_ms = call->effects->now_ms;
            pending.count++;
            if (!stream_pending_put(group, &context, &pending)) break;
        }
        if (!more) return count + 1;
    }
    return count;
}

/* Is there an entry that the group has not delivered yet? */
static bool has_news(const struct stream *stream, const struct stream_group *group) {
    return stream->entries.count > 0 && stream_id_compare(stream_end(stream, TREE_BACK), group->last) > 0;
}

/* Records that the consumer is new, which nothing else would tell. */
static void log_consumer(struct call *call, uint32_t arg, const struct reading *reading) {
    CALL_LOG(call, BYTES("XGROUP"), BYTES("CREATECONSUMER"), call->argv[arg], call->argv[reading->group],
             call->argv[reading->group + 1]);
}

/* Serves the key argv[arg], if there is something new, or in any case. False without memory, and then nothing was done. */
static bool serve_key(struct call *call, uint32_t arg, const struct reading *reading, bool anyway,
                      struct served *served) {
    struct edit edit;
    bool created = false, opened = collection_open(call, arg, TYPE_STREAM, false, &edit);
    assert(opened && edit.entry); /* it has been looked at */
    struct value value = entry_value(edit.entry);
    struct bytes text = call->argv[arg + reading->streams];
    const struct stream_group *found =
        stream_group_find(&stream_at(&value)->groups, call->argv[reading->group]);
    *served = (struct served){.any = false};
    served->history = stream_id_parse(text, 0, &served->from) && stream_id_next(&served->from);
    if (!served->history && !anyway && !has_news(stream_at(&value), found)) return true;
    struct stream_group *group = stream_open_group(&edit, call->argv[reading->group]);
    if (group == NULL || !stream_hear(call, &edit, group, call->argv[reading->group + 1], &created))
        return false;
    if (!served->history) {
        served->from = group->last;
        stream_id_next(&served->from); /* there is one, which an entry has */
    }
    served->any = true;
    if (created) stream_told(call, arg, EVENT_XGROUP_CREATECONSUMER, 1);
    bool logged = created && (reading->no_ack || served->history);
    if (logged) log_consumer(call, arg, reading);
    served->count = served->history ? redeliver(call, &edit, served->from, reading)
                                    : deliver(call, &edit, arg, reading);
    if (created && !logged && served->count == 0) log_consumer(call, arg, reading);
    stream_close(call, arg, &edit);
    if (served->history)
        (void)effect_count(call->effects, stripe_of(call->hash[arg]),
                           1); /* as in Redis, none that is recorded */
    else
        stream_told(call, arg, EVENT_NONE, served->count > 0);
    return served->history || anyway || served->count > 0;
}

/* Numbers of a walk. */
struct history {
    struct stream_parts parts;
    struct stream_pending_walk walk;
    uint64_t left;
};

/* A number that is pending, with its entry where that is there yet; about how many bytes. */
static size_t reply_pending(const struct history *history, struct reply *reply, struct stream_id id) {
    enum { OVERHEAD = 64 };
    const struct stream *stream = stream_at(&history->parts.value);
    struct stream_walk walk;
    struct stream_item item;
    stream_walk(&walk, stream, id, id, false);
    if (stream_next(&walk, &item)) {
        stream_reply_item(reply, history->parts.effects->metrics, stream->names, &item);
        return item.entry.len + OVERHEAD;
    }
    reply_array(reply, 2);
    stream_reply_id(reply, id);
    reply_null_array(reply);
    return OVERHEAD;
}

static bool history_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct history *history = (struct history *)source;
    struct stream_id id;
    for (size_t written = 0; history->left > 0 && written < budget; history->left--) {
        bool any = stream_pending_next_id(&history->walk, &id);
        assert(any);
        written += reply_pending(history, reply, id);
    }
    return history->left > 0;
}

/* What is pending for the consumer, and the entries where these are there yet. */
static void reply_history(struct call *call, const struct stream *stream, const struct reading *reading,
                          const struct served *served) {
    struct history history = {.parts.source.more = history_more, .left = served->count};
    const struct stream_group *group = stream_group_find(&stream->groups, call->argv[reading->group]);
    reply_array(call->reply, served->count);
    stream_pending_walk(&history.walk, group, stream_consumer_find(group, call->argv[reading->group + 1]),
                        served->from);
    stream_reply_parts(call, stream, &history.parts, sizeof history);
}

static void reply_served(struct call *call, uint32_t arg, const struct reading *reading,
                         const struct served *served) {
    struct value value = entry_value(call_peek(call, arg));
    struct stream_range range = {.from = served->from, .to = STREAM_ID_MAX, .count = served->count};
    if (call->reply->resp < 3) reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[arg]);
    if (served->history)
        reply_history(call, stream_at(&value), reading, served);
    else
        stream_reply_range(call, stream_at(&value), &range);
}

/* True if it has replied. */
static bool serve_keys(struct call *call, const struct reading *reading, struct served *served) {
    uint32_t count = 0, done = 0;
    bool failed = false;
    for (; done < reading->streams && !failed; done++) {
        failed = !serve_key(call, reading->first + done, reading, false, &served[done]);
        if (failed) served[done].any = false;
        count += served[done].any;
    }
    if (count == 0 && failed) call_out_of_memory(call);
    if (count == 0) return failed;
    reply_streams_header(call, count);
    for (uint32_t i = 0; i < done; i++)
        if (served[i].any) reply_served(call, reading->first + i, reading, &served[i]);
    return true;
}

/* The group that is waited for, in the stream argv[arg]; NULL: it is gone. */
static const struct stream_group *awaited_group(struct call *call, uint32_t arg,
                                                const struct stream **stream) {
    struct reading reading;
    struct value value = entry_value(call_peek(call, arg));
    reread(call, true, &reading);
    *stream = stream_at(&value);
    return stream_group_find(&(*stream)->groups, call->argv[reading.group]);
}

static bool xreadgroup_due(struct call *call, uint32_t arg) {
    const struct stream *stream;
    const struct stream_group *group = awaited_group(call, arg, &stream);
    return !group || stream_id_compare(stream->last, group->last) > 0;
}

/* That something was read is no change to Redis where it was waited for. */
static void serve_xreadgroup(struct call *call, uint32_t arg) {
    struct reading reading;
    struct served served;
    const struct stream *stream;
    if (awaited_group(call, arg, &stream) == NULL) {
        reply_error(call->reply, "NOGROUP the consumer group this client was blocked on no longer exists");
        return;
    }
    reread(call, true, &reading);
    bool done = serve_key(call, arg, &reading, true, &served);
    if (done && served.count) effect_uncount(call->effects, stripe_of(call->hash[arg]), 1);
    if (!done) {
        call_out_of_memory(call);
        return;
    }
    reply_streams_header(call, 1);
    reply_served(call, arg, &reading, &served);
}

static void xreadgroup(struct call *call) {
    enum { FEW = 16 };
    struct served few[FEW], *served = few;
    struct reading reading;
    if (!read_options(call, true, &reading)) return;
    for (uint32_t i = 0; i < reading.streams; i++)
        if (!find_group(call, reading.first + i, &reading) ||
            !check_number(call, reading.first + i, &reading))
            return;
    if (reading.streams > FEW && !(served = malloc(reading.streams * sizeof *served))) {
        call_out_of_memory(call);
        return;
    }
    if (!serve_keys(call, &reading, served)) wait_to_read(call, &reading, NULL);
    if (served != few) free(served);
}
COMMAND(xreadgroup) = {
    .name = "xreadgroup",
    .arity = -7,
    .flags = CMD_WRITE | CMD_BLOCKING,
    .keys = {KEYS_BEHIND_BY_HALF("STREAMS", 4, KEY_RO | KEY_ACCESS)},
    .find_keys = streams_keys,
    .run = xreadgroup,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "For each stream mentioned: O(M) with M being the number of elements returned. If M is "
                  "constant (e.g. "
                  "always asking for the first 10 elements with COUNT), you can consider it O(1). On the "
                  "other side when "
                  "XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on "
                  "the stream "
                  "getting new data.",
    .summary =
        "Return new entries from a stream using a consumer group, or access the history of the pending "
        "entries for a given consumer. Can block.",
    .syntax = "{GROUP group_consumer:{ <group> <consumer> }} [{COUNT <count:integer>}] [{BLOCK "
              "<milliseconds:integer>}] [noack:NOACK] {STREAMS streams:{ <key:key> ... <id> ... }}"};
