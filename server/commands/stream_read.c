/* stream_read.c - XREAD and XREADGROUP: what is behind a number, in several streams. */
#include <stdlib.h>

#include "server/commands/stream.h"

/* ---- Options -------------------------------------------------------------------------------------- */

enum option { NO_OPTION, BLOCK, COUNT, GROUP, NOACK, STREAMS };

/* The first four bytes of a word and its last four, as small letters if they are letters at all. */
static inline uint64_t ends_of(struct bytes word) {
    return ((uint64_t)load_u32(word.data) << 32 | load_u32(word.data + word.len - 4)) | 0x2020202020202020;
}

static enum option option_of(struct bytes word) {
    if (word.len == 7) return ends_of(word) == ends_of(BYTES("streams")) ? STREAMS : NO_OPTION;
    if (word.len != 5) return NO_OPTION;
    uint64_t ends = ends_of(word);
    if (ends == ends_of(BYTES("count"))) return COUNT;
    if (ends == ends_of(BYTES("group"))) return GROUP;
    if (ends == ends_of(BYTES("block"))) return BLOCK;
    return ends == ends_of(BYTES("noack")) ? NOACK : NO_OPTION;
}

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

static bool read_timeout(struct call *call, uint32_t arg, struct reading *reading) {
    reading->blocks = true;
    return call_timeout_ms_or_reply(call, arg, &reading->timeout_ms);
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
    bool more = *arg + 1 < call->argc;
    enum option option = option_of(call->argv[*arg]);
    int64_t count;
    if (more && option == BLOCK) return read_timeout(call, ++*arg, reading);
    if (more && option == COUNT) {
        if (!call_int_or_reply(call, ++*arg, &count)) return false;
        reading->count = count > 0 ? (uint64_t)count : UINT64_MAX;
        return true;
    }
    if (more && option == STREAMS) return read_streams(call, *arg, reading);
    bool group = *arg + 2 < call->argc && option == GROUP;
    if (!group && option != NOACK) {
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

/* Where STREAMS stands; 0: nowhere, or something is wrong in front of it. *count is where COUNT's number stands, or 0;
 * *blocks tells whether BLOCK is among them. */
static uint32_t find_streams(const struct bytes *argv, uint32_t argc, uint32_t *count, bool *blocks) {
    *count = 0;
    *blocks = false;
    for (uint32_t i = 1; i < argc; i++) {
        switch (option_of(argv[i])) {
        case STREAMS: return i;
        case NOACK: break;
        case BLOCK:
            *blocks = true;
            i++;
            break;
        case COUNT: *count = ++i; break;
        case GROUP: i += 2; break;
        case NO_OPTION: return 0;
        }
    }
    return 0;
}

/* The keys stand behind STREAMS, and as many numbers follow them. */
static int streams_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    uint32_t at, i;
    bool blocks;
    i = find_streams(argv, argc, &at, &blocks);
    if (i == 0 || i + 1 >= argc || (argc - i - 1) % 2) return -1;
    uint32_t count = (argc - i - 1) / 2;
    for (uint32_t k = 0; k < count && k < max; k++)
        keys[k] = (struct command_key){i + 1 + k, KEY_RO | KEY_ACCESS};
    return (int)count;
}

/* A few entries of each stream, and no waiting. */
static bool is_quick(const struct bytes *argv, uint32_t argc) {
    enum { FEW = 10 };
    uint32_t at;
    int64_t count;
    bool blocks;
    if (find_streams(argv, argc, &at, &blocks) == 0 || blocks || at == 0 || at >= argc) return false;
    return number_parse_i64(argv[at], &count) && count > 0 && count <= FEW;
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

/* The number behind which there is the last entry alone; that of all entries where there is none yet. */
static struct stream_id before_the_last(const struct stream *stream) {
    if (!stream || stream->entries.count == 0) return (struct stream_id){0, 0};
    struct stream_id id = stream_end(stream, TREE_BACK);
    bool less = stream_id_previous(&id);
    assert(less); /* no entry has the number 0-0 */
    return id;
}

/* Is the last entry asked for, whichever that is when it is read? */
static bool is_last(const struct call *call, uint32_t arg, uint32_t streams) {
    return bytes_equal(call->argv[arg + streams], BYTES("+"));
}

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
    if (is_last(call, arg, streams)) {
        asked->behind = before_the_last(asked->stream);
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
    if (is_last(call, arg, reading.streams)) return stream_at(&value)->entries.count > 0;
    return stream_id_compare(stream_at(&value)->last, noted_id(call, arg, &reading)) > 0;
}

static void serve_xread(struct call *call, uint32_t arg) {
    struct reading reading;
    struct value value = entry_value(call_peek(call, arg));
    reread(call, false, &reading);
    struct asked asked = {.stream = stream_at(&value), .behind = noted_id(call, arg, &reading)};
    if (is_last(call, arg, reading.streams)) asked.behind = before_the_last(asked.stream);
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

/* Where nothing is there: what is read later is behind these numbers, also where `$` was said. All keys are looked up once
 * more in any case, as Redis does, which counts and tells each miss twice. */
static void note_and_wait(struct call *call, const struct reading *reading) {
    struct stream_id *noted = NULL;
    if (reading->blocks && !(noted = malloc((reading->streams + 1) * sizeof *noted))) {
        call_out_of_memory(call);
        return;
    }
    for (uint32_t i = 0; i < reading->streams; i++) {
        struct asked asked;
        bool read = read_asked(call, reading->first + i, reading->streams, &asked);
        assert(read);
        if (noted) noted[i] = asked.behind;
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
    .is_quick = is_quick,
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
    struct stream_id from;       /* of history: the first number that may be among them */
    uint64_t count;              /* entries, or numbers of what is pending */
    bool any;                    /* it is a part of the reply */
    bool history;                /* what is pending for the consumer, not what is new */
    const struct stream *stream; /* as it is until the command ends */
    struct stream_walk walk;     /* what is new begins here */
};

/* Whom the stream argv[arg] is read for, to change him. */
struct reader {
    struct call *call;
    uint32_t arg;
    const struct reading *reading;
    struct tree_context context;
    const struct stream *stream;
    struct stream_group *group;
    const struct stream_consumer *consumer;
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
    if (bytes_equal(text, BYTES("$")) || bytes_equal(text, BYTES("+"))) {
        reply_errorf(
            call->reply,
            "ERR The %c ID is meaningless in the context of XREADGROUP: you want to read the history of "
            "this consumer by specifying a proper ID, or use the > ID to get new messages. The %c ID "
            "would just return an empty result set.",
            text.data[0], text.data[0]);
        return false;
    }
    return bytes_equal(text, BYTES(">")) || stream_id_or_reply(call, arg + reading->streams, 0, &id);
}

/* The group delivers what is new to the consumer, from where the walk is; how many entries. Fewer where memory runs out. */
static uint64_t deliver(const struct reader *reader, struct stream_walk walk) {
    const struct reading *reading = reader->reading;
    struct call *call = reader->call;
    struct stream_group *group = reader->group;
    struct stream_pending pending = {
        .consumer = reader->consumer->head.number, .time_ms = call_clock_ms(call), .count = 1};
    struct stream_item item;
    uint64_t count = 0;
    for (; count < reading->count && stream_next(&walk, &item); count++) {
        pending.id = item.id;
        if (!reading->no_ack && !stream_pending_put(group, &reader->context, &pending)) break;
        stream_note_read(reader->stream, group, item.id);
        if (!reading->no_ack && call->effects->journal)
            stream_log_claim(call, reader->arg, group, &reader->consumer->head, &pending);
    }
    if (reading->no_ack && count) stream_log_last(call, reader->arg, group);
    return count;
}

/* What is pending for the consumer is delivered to it once more, unless the entry is gone; how many numbers. */
static uint64_t redeliver(const struct reader *reader, struct stream_id from) {
    struct stream_pending pending;
    uint64_t count = 0;
    for (; count < reader->reading->count; count++) {
        struct stream_pending_walk walk; /* anew, for the trees change */
        stream_pending_walk(&walk, reader->group, reader->consumer, from);
        if (!stream_pending_next(&walk, &pending)) break;
        from = pending.id;
        bool more = stream_id_next(&from);
        if (stream_has(reader->stream, pending.id)) {
            pending.time_ms = call_clock_ms(reader->call);
            stream_pending_again(&pending);
            if (!stream_pending_put(reader->group, &reader->context, &pending)) break;
        }
        if (!more) return count + 1;
    }
    return count;
}

/* Is there an entry that the group has not delivered yet? */
static bool has_news(const struct stream *stream, const struct stream_group *group) {
    return stream->entries.count > 0 && stream_id_compare(stream_end(stream, TREE_BACK), group->last) > 0;
}

/* Delivers, and tells of it. */
static void serve_reader(const struct reader *reader, bool created, struct served *served) {
    struct call *call = reader->call;
    struct stream_id from = reader->group->last;
    served->any = true;
    served->stream = reader->stream;
    if (created) stream_told(call, reader->arg, EVENT_XGROUP_CREATECONSUMER, 1);
    bool logged = created && (reader->reading->no_ack || served->history);
    if (logged) stream_log_consumer(call, reader->arg, reader->reading->group);
    if (served->history) {
        served->count = redeliver(reader, served->from);
    } else if (stream_id_next(&from)) {
        stream_walk(&served->walk, reader->stream, from, STREAM_ID_MAX, false);
        served->count = deliver(reader, served->walk);
    }
    if (created && !logged && served->count == 0)
        stream_log_consumer(call, reader->arg, reader->reading->group);
}

/* Serves the key argv[arg], if there is something new, or in any case. False without memory, and then nothing was done. */
static bool serve_key(struct call *call, uint32_t arg, const struct reading *reading, bool anyway,
                      struct served *served) {
    struct edit edit;
    struct reader reader = {.call = call, .arg = arg, .reading = reading};
    bool created = false, opened = collection_open(call, arg, TYPE_STREAM, false, &edit);
    struct bytes group = call->argv[reading->group], text = call->argv[arg + reading->streams];
    assert(opened && edit.entry); /* it has been looked at */
    *served = (struct served){.any = false};
    served->history = stream_id_parse(text, 0, &served->from) && stream_id_next(&served->from);
    reader.stream = stream_in(&edit);
    if (!served->history && !anyway &&
        !has_news(reader.stream, stream_group_find(&reader.stream->groups, group)))
        return true;
    reader.group = stream_open_group(&edit, group);
    if (reader.group == NULL) return false;
    reader.consumer = stream_hear(call, &edit, reader.group, call->argv[reading->group + 1], &created);
    if (reader.consumer == NULL) return false;
    reader.stream = stream_in(&edit);
    reader.context = collection_context(edit.keyspace);
    serve_reader(&reader, created, served);
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
    if (call->reply->resp < 3) reply_array(call->reply, 2);
    reply_bulk(call->reply, call->argv[arg]);
    if (served->history)
        reply_history(call, served->stream, reading, served);
    else
        stream_reply_entries(call, served->stream, &served->walk, served->count);
}

/* True if it has replied. */
static bool serve_keys(struct call *call, const struct reading *reading, struct served *served) {
    uint32_t count = 0, done = 0;
    bool failed = false;
    for (; done < reading->streams && !failed; done++) {
        metric_add(&call->effects->metrics->keyspace_hits, 1); /* looked up once more, as Redis does */
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
    .is_quick = is_quick,
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
