/* stream_info.c - XINFO: what there is to know about a stream. */
#include "server/call/help.h"
#include "server/commands/stream.h"

COMMAND(xinfo) = {.name = "xinfo",
                  .arity = -2,
                  .group = GROUP_STREAM,
                  .since = "5.0.0",
                  .complexity = "Depends on subcommand.",
                  .summary = "A container for stream introspection commands"};

static void no_such_key(struct reply *reply) {
    reply_error(reply, "ERR no such key");
}

static void reply_field(struct reply *reply, const char *name, uint64_t value) {
    reply_bulk_text(reply, name);
    reply_int(reply, (int64_t)value);
}
static void reply_field_id(struct reply *reply, const char *name, struct stream_id id) {
    reply_bulk_text(reply, name);
    stream_reply_id(reply, id);
}

/* What both forms begin with: seven fields. */
static void reply_state(struct reply *reply, const struct stream *stream) {
    reply_field(reply, "length", stream->entries.count);
    reply_field(reply, "radix-tree-keys", stream_nodes_count(&stream->nodes));
    reply_field(reply, "radix-tree-nodes", stream_nodes_radix(&stream->nodes));
    reply_field_id(reply, "last-generated-id", stream->last);
    reply_field_id(reply, "max-deleted-entry-id", stream->max_deleted);
    reply_field(reply, "entries-added", stream->added);
    reply_field_id(reply, "recorded-first-entry-id", stream_end(stream, TREE_FRONT));
}

/* And what follows where there is something to know of producers: Redis 7.0 has no such fields. */
enum { STATE_FIELDS = 7, PRODUCERS_FIELDS = 6 };
static void reply_producers(struct reply *reply, const struct stream_producers *producers) {
    reply_field(reply, "idmp-duration", producers->seconds);
    reply_field(reply, "idmp-maxsize", producers->most);
    reply_field(reply, "pids-tracked", producers->list.count);
    reply_field(reply, "iids-tracked", producers->ids);
    reply_field(reply, "iids-added", producers->added);
    reply_field(reply, "iids-duplicates", producers->repeated);
}

/* The head of a map of these fields and so many others, and the former. */
static void reply_head(struct reply *reply, const struct stream *stream, unsigned others) {
    bool producers = stream_producers_matter(stream->producers);
    reply_map(reply, STATE_FIELDS + (producers ? PRODUCERS_FIELDS : 0) + others);
    reply_state(reply, stream);
    if (producers) reply_producers(reply, stream->producers);
}

static void reply_end(struct call *call, const struct stream *stream, bool first) {
    struct stream_walk walk;
    struct stream_item item;
    stream_walk(&walk, stream, (struct stream_id){0, 0}, STREAM_ID_MAX, !first);
    if (stream_next(&walk, &item))
        stream_reply_item(call->reply, call->effects->metrics, stream->names, &item);
    else
        reply_null(call->reply);
}

static void reply_brief(struct call *call, const struct stream *stream) {
    reply_head(call->reply, stream, 3);
    reply_field(call->reply, "groups", stream->groups.count);
    reply_bulk(call->reply, BYTES("first-entry"));
    reply_end(call, stream, true);
    reply_bulk(call->reply, BYTES("last-entry"));
    reply_end(call, stream, false);
}

static void reply_text(struct reply *reply, const char *name, struct bytes text) {
    reply_bulk_text(reply, name);
    reply_bulk(reply, text);
}

/* How much a group has read, and how much it has yet to. */
static void reply_progress(struct reply *reply, const struct stream *stream,
                           const struct stream_group *group) {
    int64_t lag;
    reply_field_id(reply, "last-delivered-id", group->last);
    reply_bulk(reply, BYTES("entries-read"));
    if (group->read == STREAM_READ_UNKNOWN)
        reply_null(reply);
    else
        reply_int(reply, group->read);
    reply_bulk(reply, BYTES("lag"));
    if (stream_lag(stream, group, &lag))
        reply_int(reply, lag);
    else
        reply_null(reply);
}

/* What is told of groups, their pending entries and their consumers; each step writes one of these. */
enum full_stage { NEXT_GROUP, OF_GROUP, NEXT_CONSUMER, OF_CONSUMER };
struct full {
    struct stream_parts parts;
    enum full_stage stage;
    uint64_t most; /* pending entries of each that are told */
    const struct stream_group *group;
    uint64_t group_place, consumer_place;
    struct stream_pending_walk walk;
    uint64_t left; /* pending entries of the group, or of a consumer, that are yet to be told */
};

static void begin_pending(struct full *full, struct reply *reply, const struct stream_consumer *consumer) {
    uint64_t count = consumer ? consumer->pending.count : stream_pending_count(full->group);
    full->left = count < full->most ? count : full->most;
    reply_field(reply, "pel-count", count);
    reply_bulk(reply, BYTES("pending"));
    reply_array(reply, full->left);
    stream_pending_walk(&full->walk, full->group, consumer, (struct stream_id){0, 0});
}

/* The group's have their consumers with them. About how many bytes. */
static size_t reply_pending(struct full *full, struct reply *reply) {
    struct stream_pending pending;
    bool of_group = full->stage == OF_GROUP, any = stream_pending_next(&full->walk, &pending);
    assert(any);
    const struct stream_consumer *consumer = stream_consumer_of(full->group, &pending);
    struct bytes name = consumer ? stream_name_of(&consumer->head) : BYTES("");
    full->left--;
    reply_array(reply, of_group ? 4 : 3);
    stream_reply_id(reply, pending.id);
    if (of_group) reply_bulk(reply, name);
    reply_int(reply, pending.time_ms);
    reply_int(reply, (int64_t)pending.count);
    return of_group ? name.len : 0;
}

/* What XNACK has released is told where there is any: Redis 7.0 has no such field. */
static size_t reply_group(struct full *full, struct reply *reply) {
    uint64_t released = full->group->released;
    reply_map(reply, released ? 8 : 7);
    reply_text(reply, "name", stream_name_of(&full->group->head));
    reply_progress(reply, stream_at(&full->parts.value), full->group);
    if (released) reply_field(reply, "nacked-count", released);
    begin_pending(full, reply, NULL);
    full->stage = OF_GROUP;
    return stream_name_of(&full->group->head).len;
}

static size_t reply_consumer(struct full *full, struct reply *reply, const struct stream_consumer *consumer) {
    reply_map(reply, 4);
    reply_text(reply, "name", stream_name_of(&consumer->head));
    reply_field(reply, "seen-time", (uint64_t)consumer->seen_ms);
    begin_pending(full, reply, consumer);
    full->stage = OF_CONSUMER;
    return stream_name_of(&consumer->head).len;
}

/* What comes when nothing pending is left to be told. False: nothing. */
static bool full_next(struct full *full, struct reply *reply, size_t *written) {
    const struct stream *stream = stream_at(&full->parts.value);
    const struct stream_consumer *consumer;
    switch (full->stage) {
    case NEXT_GROUP:
        full->group = stream_group_next(&stream->groups, &full->group_place);
        if (full->group) *written += reply_group(full, reply);
        return full->group;
    case OF_GROUP:
        reply_bulk(reply, BYTES("consumers"));
        reply_array(reply, full->group->consumers.count);
        full->consumer_place = 0;
        full->stage = NEXT_CONSUMER;
        return true;
    default:
        consumer = stream_consumer_next(full->group, &full->consumer_place);
        full->stage = NEXT_GROUP;
        if (consumer) *written += reply_consumer(full, reply, consumer);
        return true;
    }
}

enum { STEP_BYTES = 64 }; /* of what one step writes, beside names, or so */

static bool full_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct full *full = (struct full *)source;
    for (size_t written = 0; written < budget; written += STEP_BYTES) {
        if (full->left > 0)
            written += reply_pending(full, reply);
        else if (!full_next(full, reply, &written))
            return false;
    }
    return true;
}

static void reply_full(struct call *call, const struct stream *stream, uint64_t count) {
    struct stream_range all = {.from = {0, 0}, .to = STREAM_ID_MAX, .count = count};
    struct full full = {.parts.source.more = full_more, .most = count};
    reply_head(call->reply, stream, 2);
    reply_bulk(call->reply, BYTES("entries"));
    stream_reply_range(call, stream, &all);
    reply_bulk(call->reply, BYTES("groups"));
    reply_array(call->reply, stream->groups.count);
    stream_reply_parts(call, stream, &full.parts, sizeof full);
}

static void xinfo_stream(struct call *call) {
    enum { COUNT_DEFAULT = 10 };
    int64_t count = COUNT_DEFAULT;
    const struct stream *stream = stream_or_reply(call, 2, no_such_key);
    if (stream == NULL) return;
    if (call->argc == 3) {
        reply_brief(call, stream);
        return;
    }
    bool counted = call->argc == 6 && bytes_is(call->argv[4], "count");
    if (!bytes_is(call->argv[3], "full") || (call->argc != 4 && !counted)) {
        help_syntax_error(call);
        return;
    }
    if (counted && !call_int_or_reply(call, 5, &count)) return;
    if (count < 0) count = COUNT_DEFAULT;
    reply_full(call, stream, count ? (uint64_t)count : UINT64_MAX);
}
COMMAND(xinfo_stream) = {
    .container = "xinfo",
    .name = "stream",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(2, KEY_RO | KEY_ACCESS)},
    .run = xinfo_stream,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1)",
    .summary = "Get information about a stream",
    .history =
        "6.0.0: Added the `FULL` modifier.\n7.0.0: Added the `max-deleted-entry-id`, `entries-added`, "
        "`recorded-first-entry-id`, `entries-read` and `lag` fields\n8.6.0: Added the `idmp-duration`, "
        "`idmp-maxsize`, `pids-tracked`, `iids-tracked`, `iids-added` and `iids-duplicates` fields",
    .syntax = "<key:key> [{FULL full:{ [{COUNT <count:integer>}] }}]"};

/* The groups of a stream from a place on. */
struct groups {
    struct stream_parts parts;
    uint64_t place;
};

static bool groups_more(struct reply_source *source, struct reply *reply, size_t budget) {
    enum { GROUP_BYTES = 128 }; /* as STEP_BYTES */
    struct groups *groups = (struct groups *)source;
    const struct stream *stream = stream_at(&groups->parts.value);
    const struct stream_group *group;
    for (size_t written = 0; written < budget; written += stream_name_of(&group->head).len + GROUP_BYTES) {
        group = stream_group_next(&stream->groups, &groups->place);
        if (group == NULL) return false;
        reply_map(reply, 6);
        reply_text(reply, "name", stream_name_of(&group->head));
        reply_field(reply, "consumers", group->consumers.count);
        reply_field(reply, "pending", stream_pending_count(group));
        reply_progress(reply, stream, group);
    }
    return true;
}

static void xinfo_groups(struct call *call) {
    const struct stream *stream = stream_or_reply(call, 2, no_such_key);
    if (stream == NULL) return;
    struct groups groups = {.parts.source.more = groups_more};
    reply_array(call->reply, stream->groups.count);
    stream_reply_parts(call, stream, &groups.parts, sizeof groups);
}
COMMAND(xinfo_groups) = {.container = "xinfo",
                         .name = "groups",
                         .arity = 3,
                         .flags = CMD_READONLY,
                         .keys = {KEY(2, KEY_RO | KEY_ACCESS)},
                         .run = xinfo_groups,
                         .group = GROUP_STREAM,
                         .since = "5.0.0",
                         .complexity = "O(1)",
                         .summary = "List the consumer groups of a stream",
                         .history = "7.0.0: Added the `entries-read` and `lag` fields",
                         .syntax = "<key:key>"};

/* The consumers of a group from a place on. */
struct consumers {
    struct stream_parts parts;
    const struct stream_group *group;
    uint64_t place;
    int64_t now_ms;
};

static bool consumers_more(struct reply_source *source, struct reply *reply, size_t budget) {
    struct consumers *consumers = (struct consumers *)source;
    const struct stream_consumer *consumer;
    for (size_t written = 0; written < budget; written += stream_name_of(&consumer->head).len + STEP_BYTES) {
        consumer = stream_consumer_next(consumers->group, &consumers->place);
        if (consumer == NULL) return false;
        int64_t idle_ms = consumers->now_ms - consumer->seen_ms;
        reply_map(reply, 3);
        reply_text(reply, "name", stream_name_of(&consumer->head));
        reply_field(reply, "pending", consumer->pending.count);
        reply_field(reply, "idle", idle_ms < 0 ? 0 : (uint64_t)idle_ms);
    }
    return true;
}

static void xinfo_consumers(struct call *call) {
    const struct stream *stream = stream_or_reply(call, 2, no_such_key);
    if (stream == NULL) return;
    const struct stream_group *group = stream_group_find(&stream->groups, call->argv[3]);
    if (group == NULL) {
        reply_errorf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                     reply_repeated(call->argv[3]), call->argv[3].data, reply_repeated(call->argv[2]),
                     call->argv[2].data);
        return;
    }
    struct consumers consumers = {
        .parts.source.more = consumers_more, .group = group, .now_ms = call->effects->now_ms};
    reply_array(call->reply, group->consumers.count);
    stream_reply_parts(call, stream, &consumers.parts, sizeof consumers);
}
COMMAND(xinfo_consumers) = {.container = "xinfo",
                            .name = "consumers",
                            .arity = 4,
                            .flags = CMD_READONLY,
                            .keys = {KEY(2, KEY_RO | KEY_ACCESS)},
                            .run = xinfo_consumers,
                            .group = GROUP_STREAM,
                            .since = "5.0.0",
                            .complexity = "O(1)",
                            .summary = "List the consumers in a consumer group",
                            .tips = "nondeterministic_output",
                            .syntax = "<key:key> <groupname>"};

static void xinfo_help(struct call *call) {
    static const char *const lines[] = {
        "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(xinfo_help) = {.container = "xinfo",
                       .name = "help",
                       HELP_ROW,
                       .run = xinfo_help,
                       .group = GROUP_STREAM,
                       .since = "5.0.0"};
