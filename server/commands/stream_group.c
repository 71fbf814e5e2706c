/* stream_group.c - consumer groups: XGROUP, XACK, XPENDING. */
#include "server/call/help.h"
#include "server/commands/stream.h"

/* ---- What all have in common ---------------------------------------------------------------------- */

void stream_no_group(struct call *call, uint32_t key, uint32_t group) {
    reply_errorf(call->reply, "NOGROUP No such key '%.*s' or consumer group '%.*s'",
                 reply_repeated(call->argv[key]), call->argv[key].data, reply_repeated(call->argv[group]),
                 call->argv[group].data);
}

void stream_told(struct call *call, uint32_t arg, enum event event, uint64_t count) {
    if (count) call_effect(call, arg, EFFECT_EVENT, event, count);
}

void stream_close(struct call *call, uint32_t arg, struct edit *edit) {
    collection_close(call, arg, edit, EVENT_NONE, 0);
    keyspace_note_nodes(edit->keyspace);
}

void stream_log_claim(struct call *call, uint32_t arg, const struct stream_group *group,
                      const struct stream_named *consumer, const struct stream_pending *pending) {
    char id[STREAM_ID_TEXT_MAX], last[STREAM_ID_TEXT_MAX], time[NUMBER_I64_MAX_LEN],
        count[NUMBER_I64_MAX_LEN];
    uint64_t times = pending->count < INT64_MAX ? pending->count : INT64_MAX; /* more are refused */
    CALL_LOG(call, BYTES("XCLAIM"), call->argv[arg], stream_name_of(&group->head), stream_name_of(consumer),
             BYTES("0"), stream_id_text(id, pending->id), BYTES("TIME"),
             (struct bytes){time, number_format_i64(time, pending->time_ms)}, BYTES("RETRYCOUNT"),
             (struct bytes){count, number_format_u64(count, times)}, BYTES("FORCE"), BYTES("JUSTID"),
             BYTES("LASTID"), stream_id_text(last, group->last));
}

void stream_log_ack(struct call *call, uint32_t arg, const struct stream_group *group, struct stream_id id) {
    char text[STREAM_ID_TEXT_MAX];
    CALL_LOG(call, BYTES("XACK"), call->argv[arg], stream_name_of(&group->head), stream_id_text(text, id));
}

void stream_log_nack(struct call *call, uint32_t arg, const struct stream_group *group,
                     const struct stream_pending *pending) {
    char text[STREAM_ID_TEXT_MAX], count[NUMBER_I64_MAX_LEN];
    assert(pending->consumer == STREAM_UNOWNED && pending->count <= INT64_MAX);
    CALL_LOG(call, BYTES("XNACK"), call->argv[arg], stream_name_of(&group->head), BYTES("FAIL"), BYTES("IDS"),
             BYTES("1"), stream_id_text(text, pending->id), BYTES("RETRYCOUNT"),
             (struct bytes){count, number_format_u64(count, pending->count)}, BYTES("FORCE"));
}

void stream_log_consumer(struct call *call, uint32_t arg, uint32_t group) {
    CALL_LOG(call, BYTES("XGROUP"), BYTES("CREATECONSUMER"), call->argv[arg], call->argv[group],
             call->argv[group + 1]);
}

void stream_log_last(struct call *call, uint32_t arg, const struct stream_group *group) {
    char last[STREAM_ID_TEXT_MAX], read[NUMBER_I64_MAX_LEN];
    int64_t entries = group->read >= 0 ? group->read : STREAM_READ_UNKNOWN; /* others are refused */
    CALL_LOG(call, BYTES("XGROUP"), BYTES("SETID"), call->argv[arg], stream_name_of(&group->head),
             stream_id_text(last, group->last), BYTES("ENTRIESREAD"),
             (struct bytes){read, number_format_i64(read, entries)});
}

/* ---- XGROUP --------------------------------------------------------------------------------------- */

enum { KEY_ARG = 2, GROUP_ARG, ID_ARG, CONSUMER_ARG = ID_ARG, CREATE_MOST = 8, SETID_MOST = 7 };

COMMAND(xgroup) = {.name = "xgroup",
                   .arity = -2,
                   .group = GROUP_STREAM,
                   .since = "5.0.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for consumer groups commands"};

/* What stands behind the number in CREATE and SETID. */
struct group_options {
    bool makes_stream;
    int64_t read;
};

static bool read_group_options(struct call *call, bool create, struct group_options *options) {
    *options = (struct group_options){.read = STREAM_READ_UNKNOWN};
    for (uint32_t i = ID_ARG + 1; i < call->argc; i++) {
        if (create && bytes_is(call->argv[i], "mkstream")) {
            options->makes_stream = true;
        } else if (i + 1 < call->argc && bytes_is(call->argv[i], "entriesread")) {
            if (!call_int_or_reply(call, ++i, &options->read)) return false;
            if (options->read >= 0 || options->read == STREAM_READ_UNKNOWN) continue;
            reply_error(call->reply, "ERR value for ENTRIESREAD must be positive or -1");
            return false;
        } else {
            help_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* Opens the key to change its groups, which must be there unless it is to be created. False after replying. */
static bool open_stream(struct call *call, bool create, struct edit *edit) {
    if (!collection_open(call, KEY_ARG, TYPE_STREAM, create, edit)) return false;
    if (edit->entry) return true;
    reply_error(call->reply,
                "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to "
                "use the MKSTREAM option to create an empty stream automatically.");
    return false;
}

/* The same, and the group must be there. */
static bool open_with_group(struct call *call, struct edit *edit) {
    if (!open_stream(call, false, edit)) return false;
    if (stream_group_find(&stream_in(edit)->groups, call->argv[GROUP_ARG])) return true;
    stream_close(call, KEY_ARG, edit);
    reply_errorf(call->reply, "NOGROUP No such consumer group '%.*s' for key name '%.*s'",
                 reply_repeated(call->argv[GROUP_ARG]), call->argv[GROUP_ARG].data,
                 reply_repeated(call->argv[KEY_ARG]), call->argv[KEY_ARG].data);
    return false;
}

/* The number argv[ID_ARG], of this stream, which may be NULL. */
static bool group_id(struct call *call, const struct stream *stream, bool strict, struct stream_id *id) {
    struct bytes text = call->argv[ID_ARG];
    if (bytes_equal(text, BYTES("$"))) {
        *id = stream ? stream->last : (struct stream_id){0, 0};
        return true;
    }
    if (!strict && stream_bound_parse(text, 0, id)) return true;
    return stream_id_or_reply(call, ID_ARG, 0, id);
}

static void xgroup_create(struct call *call) {
    struct group_options options;
    struct edit edit;
    struct stream_id id;
    if (!read_group_options(call, true, &options)) return;
    if (!open_stream(call, options.makes_stream, &edit)) return;
    const struct stream *stream = stream_in(&edit);
    bool created = edit.created, changed = false;
    if (call->argc > CREATE_MOST) {
        help_syntax_error(call);
    } else if (group_id(call, stream, true, &id)) {
        if (stream && stream_group_find(&stream->groups, call->argv[GROUP_ARG])) {
            reply_error(call->reply, "BUSYGROUP Consumer Group name already exists");
        } else if (stream_create_group(&edit, call->argv[GROUP_ARG], id, options.read) == STREAM_CHANGED) {
            changed = true;
            reply_ok(call->reply);
        } else {
            call_out_of_memory(call);
        }
    }
    collection_close(call, KEY_ARG, &edit, EVENT_XGROUP_CREATE, changed && created);
    stream_told(call, KEY_ARG, EVENT_XGROUP_CREATE, changed && !created);
}
COMMAND(xgroup_create) = {
    .container = "xgroup",
    .name = "create",
    .arity = -5,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(2, KEY_RW | KEY_INSERT)},
    .run = xgroup_create,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1)",
    .summary = "Create a consumer group.",
    .history = "7.0.0: Added the `entries_read` named argument.",
    .syntax = "<key:key> <groupname> id:( <id> | new_id:$ ) [mkstream:MKSTREAM] [{ENTRIESREAD "
              "<entries_read:integer>}]"};

static void xgroup_setid(struct call *call) {
    struct group_options options;
    struct edit edit;
    struct stream_id id;
    if (!read_group_options(call, false, &options)) return;
    if (!open_with_group(call, &edit)) return;
    bool changed = false;
    if (call->argc > SETID_MOST) {
        help_syntax_error(call);
    } else if (group_id(call, stream_in(&edit), false, &id)) {
        struct stream_group *group = stream_open_group(&edit, call->argv[GROUP_ARG]);
        changed = group;
        if (group) {
            group->last = id;
            group->read = options.read;
            reply_ok(call->reply);
        } else {
            call_out_of_memory(call);
        }
    }
    stream_close(call, KEY_ARG, &edit);
    stream_told(call, KEY_ARG, EVENT_XGROUP_SETID, changed);
}
COMMAND(xgroup_setid) = {
    .container = "xgroup",
    .name = "setid",
    .arity = -5,
    .flags = CMD_WRITE,
    .keys = {KEY(2, KEY_RW | KEY_UPDATE)},
    .run = xgroup_setid,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1)",
    .summary = "Set a consumer group to an arbitrary last delivered ID value.",
    .history = "7.0.0: Added the optional `entries_read` argument.",
    .syntax = "<key:key> <groupname> id:( <id> | new_id:$ ) [{ENTRIESREAD <entries_read:integer>}]"};

static void xgroup_destroy(struct call *call) {
    struct edit edit;
    if (!open_stream(call, false, &edit)) return;
    enum stream_changed changed = stream_destroy_group(&edit, call->argv[GROUP_ARG]);
    stream_close(call, KEY_ARG, &edit);
    stream_told(call, KEY_ARG, EVENT_XGROUP_DESTROY, changed == STREAM_CHANGED);
    if (changed == STREAM_NO_MEMORY)
        call_out_of_memory(call);
    else
        reply_int(call->reply, changed == STREAM_CHANGED);
}
COMMAND(xgroup_destroy) = {
    .container = "xgroup",
    .name = "destroy",
    .arity = 4,
    .flags = CMD_WRITE,
    .keys = {KEY(2, KEY_RW | KEY_DELETE)},
    .run = xgroup_destroy,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(N) where N is the number of entries in the group's pending entries list (PEL).",
    .summary = "Destroy a consumer group.",
    .syntax = "<key:key> <groupname>"};

struct stream_consumer *stream_hear(struct call *call, struct edit *edit, struct stream_group *group,
                                    struct bytes name, bool *created) {
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_consumer *consumer = stream_consumer_edit(group, &context, name, created);
    if (consumer) consumer->seen_ms = call_clock_ms(call);
    return consumer;
}

static void xgroup_createconsumer(struct call *call) {
    struct edit edit;
    bool created = false;
    if (!open_with_group(call, &edit)) return;
    struct stream_group *group = stream_open_group(&edit, call->argv[GROUP_ARG]);
    bool there = group && stream_consumer_find(group, call->argv[CONSUMER_ARG]);
    bool done = there || (group && stream_hear(call, &edit, group, call->argv[CONSUMER_ARG], &created));
    stream_close(call, KEY_ARG, &edit);
    stream_told(call, KEY_ARG, EVENT_XGROUP_CREATECONSUMER, done && created);
    if (done)
        reply_int(call->reply, created);
    else
        call_out_of_memory(call);
}
COMMAND(xgroup_createconsumer) = {.container = "xgroup",
                                  .name = "createconsumer",
                                  .arity = 5,
                                  .flags = CMD_WRITE | CMD_DENYOOM,
                                  .keys = {KEY(2, KEY_RW | KEY_INSERT)},
                                  .run = xgroup_createconsumer,
                                  .group = GROUP_STREAM,
                                  .since = "6.2.0",
                                  .complexity = "O(1)",
                                  .summary = "Create a consumer in a consumer group.",
                                  .syntax = "<key:key> <groupname> <consumername>"};

static void xgroup_delconsumer(struct call *call) {
    struct edit edit;
    uint64_t pending = 0;
    if (!open_with_group(call, &edit)) return;
    struct stream_group *group = stream_open_group(&edit, call->argv[GROUP_ARG]);
    const struct stream_consumer *there = group ? stream_consumer_find(group, call->argv[CONSUMER_ARG])
                                                : NULL;
    if (there) pending = there->pending.count;
    bool done = there && stream_delete_consumer(&edit, group, call->argv[CONSUMER_ARG]);
    stream_close(call, KEY_ARG, &edit);
    stream_told(call, KEY_ARG, EVENT_XGROUP_DELCONSUMER, done);
    if (group == NULL || (there && !done))
        call_out_of_memory(call);
    else
        reply_int(call->reply, (int64_t)pending);
}
COMMAND(xgroup_delconsumer) = {.container = "xgroup",
                               .name = "delconsumer",
                               .arity = 5,
                               .flags = CMD_WRITE,
                               .keys = {KEY(2, KEY_RW | KEY_DELETE)},
                               .run = xgroup_delconsumer,
                               .group = GROUP_STREAM,
                               .since = "5.0.0",
                               .complexity = "O(1)",
                               .summary = "Delete a consumer from a consumer group.",
                               .syntax = "<key:key> <groupname> <consumername>"};

static void xgroup_help(struct call *call) {
    static const char *const lines[] = {
        "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CREATE <key> <groupname> <id|$> [option]",
        "    Create a new consumer group. Options are:",
        "    * MKSTREAM",
        "      Create the empty stream if it does not exist.",
        "    * ENTRIESREAD entries_read",
        "      Set the group's entries_read counter (internal use).",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Create a new consumer in the specified group.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Remove the specified consumer.",
        "DESTROY <key> <groupname>",
        "    Remove the specified group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Set the current group ID and entries_read counter.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(xgroup_help) = {.container = "xgroup",
                        .name = "help",
                        HELP_ROW,
                        .run = xgroup_help,
                        .group = GROUP_STREAM,
                        .since = "5.0.0"};

/* ---- XACK ----------------------------------------------------------------------------------------- */

enum { XACK_IDS = 3 };

/* Acknowledges the numbers of the request, whose last one is known. How many were pending; *failed: where memory ran out. */
static uint64_t acknowledge(struct call *call, struct edit *edit, struct stream_group *group,
                            struct stream_id last, uint32_t *failed) {
    struct tree_context context = collection_context(edit->keyspace);
    uint64_t acknowledged = 0;
    *failed = 0;
    for (uint32_t i = XACK_IDS; i < call->argc; i++) {
        struct stream_id id = last;
        bool valid = i + 1 == call->argc || stream_id_parse(call->argv[i], 0, &id), there;
        assert(valid);
        if (!stream_pending_take(group, &context, id, &there)) {
            *failed = i;
            break;
        }
        acknowledged += there;
    }
    return acknowledged;
}

static void xack(struct call *call) {
    struct edit edit;
    struct stream_id id = {0};
    uint32_t failed = 0;
    if (!stream_open_as_reader(call, &edit)) return;
    if (edit.entry == NULL || !stream_group_find(&stream_in(&edit)->groups, call->argv[2])) {
        reply_int(call->reply, 0);
        return;
    }
    for (uint32_t i = XACK_IDS; i < call->argc; i++)
        if (!stream_id_or_reply(call, i, 0, &id)) return;
    struct stream_group *group = stream_open_group(&edit, call->argv[2]);
    uint64_t acknowledged = group ? acknowledge(call, &edit, group, id, &failed) : 0;
    stream_close(call, 1, &edit);
    stream_told(call, 1, EVENT_NONE, acknowledged);
    if (acknowledged && failed) call_log(call, call->argv, failed);
    if (group == NULL || failed)
        call_out_of_memory(call);
    else
        reply_int(call->reply, (int64_t)acknowledged);
}
COMMAND(xack) = {
    .name = "xack",
    .arity = -4,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xack,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(1) for each message ID processed.",
    .summary = "Marks a pending message as correctly processed, effectively removing it from the pending "
               "entries list of the consumer group. Return value of the command is the number of messages "
               "successfully acknowledged, that is, the IDs we were actually able to resolve in the PEL.",
    .syntax = "<key:key> <group> <id> ..."};

/* ---- XPENDING ------------------------------------------------------------------------------------- */

/* What XPENDING asks for beside the group. */
struct listing {
    int64_t min_idle_ms, count;
    struct stream_id from, to;
    uint32_t consumer; /* argument number; 0: of all of them */
};

static bool read_listing(struct call *call, struct listing *listing) {
    enum { IDLE_ARG = 3, MOST = 9, LEAST = 6 };
    uint32_t start = IDLE_ARG;
    *listing = (struct listing){.count = 0};
    if (call->argc < LEAST || call->argc > MOST) {
        call_syntax_error(call);
        return false;
    }
    if (bytes_is(call->argv[IDLE_ARG], "idle")) {
        if (!call_int_or_reply(call, IDLE_ARG + 1, &listing->min_idle_ms)) return false;
        start += 2;
        if (call->argc < LEAST + 2) {
            call_syntax_error(call);
            return false;
        }
    }
    if (!call_int_or_reply(call, start + 2, &listing->count)) return false;
    if (listing->count < 0) listing->count = 0;
    if (!stream_end_or_reply(call, start, true, &listing->from)) return false;
    if (!stream_end_or_reply(call, start + 1, false, &listing->to)) return false;
    if (start + 3 < call->argc) listing->consumer = start + 3;
    return true;
}

/* The consumers of a group for whom anything is pending, from a place on. */
struct busy {
    struct stream_parts parts;
    const struct stream_group *group;
    uint64_t place;
};

/* NULL: there are no more. */
static const struct stream_consumer *next_busy(struct busy *busy) {
    const struct stream_consumer *consumer;
    do consumer = stream_consumer_next(busy->group, &busy->place);
    while (consumer && consumer->pending.count == 0);
    return consumer;
}

static bool busy_more(struct reply_source *source, struct reply *reply, size_t budget) {
    enum { OVERHEAD = 32 };
    struct busy *busy = (struct busy *)source;
    const struct stream_consumer *consumer;
    for (size_t written = 0; written < budget; written += stream_name_of(&consumer->head).len + OVERHEAD) {
        consumer = next_busy(busy);
        if (consumer == NULL) return false;
        reply_array(reply, 2);
        reply_bulk(reply, stream_name_of(&consumer->head));
        reply_bulk_int(reply, (int64_t)consumer->pending.count);
    }
    return true;
}

static void reply_summary(struct call *call, const struct stream *stream, const struct stream_group *group) {
    struct busy busy = {.parts.source.more = busy_more, .group = group};
    struct stream_id first, last;
    uint32_t count = 0;
    reply_array(call->reply, 4);
    reply_int(call->reply, (int64_t)stream_pending_count(group));
    if (!stream_pending_end(group, TREE_FRONT, &first) || !stream_pending_end(group, TREE_BACK, &last)) {
        reply_null(call->reply);
        reply_null(call->reply);
        reply_null_array(call->reply);
        return;
    }
    stream_reply_id(call->reply, first);
    stream_reply_id(call->reply, last);
    while (next_busy(&busy)) count++;
    busy.place = 0;
    reply_array(call->reply, count);
    stream_reply_parts(call, stream, &busy.parts, sizeof busy);
}

/* Entries of a walk that have been idle for long enough. */
struct listed {
    struct stream_parts parts;
    struct stream_pending_walk walk;
    int64_t now_ms, min_idle_ms;
    uint64_t left;
};

static bool next_listed(struct listed *listed, struct stream_pending *pending) {
    while (stream_pending_next(&listed->walk, pending))
        if (listed->min_idle_ms == 0 || listed->now_ms - pending->time_ms >= listed->min_idle_ms) return true;
    return false;
}

static bool listed_more(struct reply_source *source, struct reply *reply, size_t budget) {
    enum { OVERHEAD = 64 };
    struct listed *listed = (struct listed *)source;
    for (size_t written = 0; listed->left > 0 && written < budget; listed->left--) {
        struct stream_pending pending;
        bool any = next_listed(listed, &pending);
        assert(any);
        const struct stream_consumer *consumer = stream_consumer_of(listed->walk.group, &pending);
        struct bytes name = consumer ? stream_name_of(&consumer->head) : BYTES("");
        int64_t idle_ms = listed->now_ms - pending.time_ms;
        if (idle_ms < 0) idle_ms = 0;
        reply_array(reply, 4);
        stream_reply_id(reply, pending.id);
        reply_bulk(reply, name);
        reply_int(reply, consumer ? idle_ms : -1);
        reply_int(reply, (int64_t)pending.count);
        written += name.len + OVERHEAD;
    }
    return listed->left > 0;
}

/* How many of the first `most` numbers have been idle for long enough, up to `count` of them. The walk is used up. */
static uint64_t count_idle(struct listed *listed, uint64_t most, uint64_t count) {
    uint64_t found = 0;
    for (struct stream_pending pending; most > 0 && found < count; most--) {
        bool any = stream_pending_next(&listed->walk, &pending);
        assert(any);
        found += listed->now_ms - pending.time_ms >= listed->min_idle_ms;
    }
    return found;
}

/* How many there are is a matter of ranks, unless each must be looked at for how long it has been idle. */
static void reply_listing(struct call *call, const struct stream *stream, const struct stream_group *group,
                          const struct listing *listing) {
    const struct stream_consumer *consumer =
        listing->consumer ? stream_consumer_find(group, call->argv[listing->consumer]) : NULL;
    struct listed listed = {.parts.source.more = listed_more,
                            .now_ms = call->effects->now_ms,
                            .min_idle_ms = listing->min_idle_ms};
    uint64_t most = 0, count = (uint64_t)listing->count;
    if (consumer || !listing->consumer)
        most = stream_pending_between(group, consumer, listing->from, listing->to);
    if (most > 0 && listing->min_idle_ms) {
        stream_pending_walk(&listed.walk, group, consumer, listing->from);
        most = count_idle(&listed, most, count);
    }
    listed.left = most < count ? most : count;
    reply_array(call->reply, listed.left);
    if (listed.left == 0) return;
    stream_pending_walk(&listed.walk, group, consumer, listing->from);
    stream_reply_parts(call, stream, &listed.parts, sizeof listed);
}

static void xpending(struct call *call) {
    struct listing listing;
    struct value value;
    bool there, brief = call->argc == 3;
    if (!brief && !read_listing(call, &listing)) return;
    if (!collection_read(call, 1, TYPE_STREAM, &value, &there)) return;
    const struct stream_group *group = there ? stream_group_find(&stream_at(&value)->groups, call->argv[2])
                                             : NULL;
    if (group == NULL)
        stream_no_group(call, 1, 2);
    else if (brief)
        reply_summary(call, stream_at(&value), group);
    else
        reply_listing(call, stream_at(&value), group, &listing);
}
COMMAND(xpending) = {
    .name = "xpending",
    .arity = -3,
    .flags = CMD_READONLY,
    .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
    .run = xpending,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity =
        "O(N) with N being the number of elements returned, so asking for a small fixed number of entries "
        "per "
        "call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. "
        "When the command returns just the summary and the list of consumers is small, it runs in O(1) time; "
        "otherwise, an additional O(N) time for iterating every consumer.",
    .summary = "Return information and entries from a stream consumer group pending entries list, that are "
               "messages fetched but never acknowledged.",
    .tips = "nondeterministic_output",
    .history = "6.2.0: Added the `IDLE` option and exclusive range intervals.",
    .syntax = "<key:key> <group> [filters:{ [{IDLE <min-idle-time:integer>}@6.2.0] <start> <end> "
              "<count:integer> [<consumer>] }]"};
