/* stream_read.c - XREAD: what is behind a number, in several streams. */
#include "server/commands/stream.h"

/* ---- Options -------------------------------------------------------------------------------------- */

/* What XREAD has in front of its keys. */
struct reading {
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
    if (*arg + 2 < call->argc && bytes_is(word, "group"))
        reply_error(call->reply,
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
    else if (bytes_is(word, "noack"))
        reply_error(call->reply,
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
    else
        call_syntax_error(call);
    return false;
}

static bool read_options(struct call *call, struct reading *reading) {
    *reading = (struct reading){.count = UINT64_MAX};
    for (uint32_t i = 1; i < call->argc && reading->first == 0; i++)
        if (!read_option(call, &i, reading)) return false;
    if (reading->first) return true;
    call_syntax_error(call);
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
    assert(more); /* there is an entry behind it */
    stream_reply_range(call, asked->stream, &range);
}

static void reply_streams_header(struct call *call, uint32_t streams) {
    if (call->reply->resp < 3)
        reply_array(call->reply, streams);
    else
        reply_map(call->reply, streams);
}

static void xread(struct call *call) {
    struct reading reading;
    struct asked asked;
    uint32_t found = 0;
    if (!read_options(call, &reading)) return;
    for (uint32_t i = 0; i < reading.streams; i++) {
        if (!read_asked(call, reading.first + i, reading.streams, &asked)) return;
        found += has_more(&asked);
    }
    if (found == 0) {
        reply_null_array(call->reply);
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
