/* stream_claim.c - pending entries go to another consumer: XCLAIM, XAUTOCLAIM. */
#include <stdlib.h>

#include "server/commands/stream.h"

/* ---- Claiming ------------------------------------------------------------------------------------- */

/* Who claims, and what that does to an entry. */
struct claiming {
    struct call *call;
    struct edit edit;
    struct stream_group *group;
    struct stream_consumer *consumer; /* NULL until the first entry is claimed */
    int64_t min_idle_ms;
    int64_t time_ms; /* of the delivery */
    int64_t
        retries; /* how often it has been delivered then; -1: once more than before, or as often if `just_id` */
    bool force, just_id, failed;
    bool created; /* the consumer is new, and nothing has been recorded that names it */
    uint64_t changes;
};

enum claimed {
    CLAIM_NO,      /* it stays where it is */
    CLAIM_YES,     /* it is the consumer's */
    CLAIM_DELETED, /* its entry is gone, and so is it */
};

static const struct stream *stream_of_claim(const struct claiming *claiming) {
    struct value value = entry_value(claiming->edit.entry);
    return stream_at(&value);
}

static void log_claim(const struct claiming *claiming, const struct stream_pending *pending) {
    const struct stream_consumer *consumer = stream_consumer_of(claiming->group, pending);
    stream_log_claim(claiming->call, 1, claiming->group, &consumer->head, pending);
}

/* An entry that is pending no longer exists. */
static enum claimed drop(struct claiming *claiming, const struct stream_pending *pending) {
    struct tree_context context = collection_context(claiming->edit.keyspace);
    claiming->failed = !stream_pending_remove(claiming->group, &context, pending);
    if (claiming->failed) return CLAIM_NO;
    claiming->changes++;
    if (claiming->call->effects->journal) {
        if (pending->consumer == STREAM_UNOWNED)
            stream_log_ack(claiming->call, 1, claiming->group, pending->id);
        else
            log_claim(claiming, pending); /* which deletes it there, too */
    }
    return CLAIM_DELETED;
}

/* The consumer, which begins to be there with the first entry that it claims. False without memory. */
static bool hear_consumer(struct claiming *claiming) {
    struct call *call = claiming->call;
    bool *created = &claiming->created;
    if (claiming->consumer) return true;
    claiming->consumer = stream_hear(call, &claiming->edit, claiming->group, call->argv[3], created);
    if (claiming->consumer && *created) stream_told(call, 1, EVENT_XGROUP_CREATECONSUMER, 1);
    return claiming->consumer;
}

static enum claimed claim(struct claiming *claiming, struct stream_id id) {
    struct tree_context context = collection_context(claiming->edit.keyspace);
    struct stream_pending pending = {.id = id, .count = 0};
    bool there = stream_pending_find(claiming->group, id, &pending);
    if (!stream_has(stream_of_claim(claiming), id)) return there ? drop(claiming, &pending) : CLAIM_NO;
    if (!there && !claiming->force) return CLAIM_NO;
    int64_t idle_ms = call_clock_ms(claiming->call) - pending.time_ms;
    if (there && claiming->min_idle_ms && idle_ms < claiming->min_idle_ms) return CLAIM_NO;
    if (!there) pending.count = 1;
    claiming->failed = !hear_consumer(claiming);
    if (claiming->failed) return CLAIM_NO;
    pending.consumer = claiming->consumer->head.number;
    pending.time_ms = claiming->time_ms;
    if (claiming->retries >= 0)
        pending.count = (uint64_t)claiming->retries;
    else if (!claiming->just_id)
        stream_pending_again(&pending);
    claiming->failed = !stream_pending_put(claiming->group, &context, &pending);
    if (claiming->failed) {
        if (claiming->created) stream_log_consumer(claiming->call, 1, 2);
        return CLAIM_NO;
    }
    claiming->created = false;
    claiming->changes++;
    if (claiming->call->effects->journal) log_claim(claiming, &pending);
    return CLAIM_YES;
}

/* Opens the stream argv[1] and its group argv[2]. False after replying. */
static bool open_claiming(struct call *call, struct claiming *claiming) {
    if (!stream_open_as_reader(call, &claiming->edit)) return false;
    claiming->call = call;
    if (claiming->edit.entry && stream_group_find(&stream_of_claim(claiming)->groups, call->argv[2]))
        return true;
    stream_no_group(call, 1, 2);
    return false;
}

/* Makes the group one that may be changed. False after replying. */
static bool own_group(struct claiming *claiming) {
    claiming->group = stream_open_group(&claiming->edit, claiming->call->argv[2]);
    if (claiming->group == NULL) call_out_of_memory(claiming->call);
    return claiming->group;
}

static void end_claiming(struct claiming *claiming) {
    struct call *call = claiming->call;
    stream_close(call, 1, &claiming->edit);
    stream_told(call, 1, EVENT_NONE, claiming->changes);
}

/* An entry that was claimed: its number, or all of it. */
static void reply_claimed(const struct claiming *claiming, struct stream_id id) {
    struct call *call = claiming->call;
    const struct stream *stream = stream_of_claim(claiming);
    struct stream_walk walk;
    struct stream_item item;
    if (claiming->just_id) {
        stream_reply_id(call->reply, id);
        return;
    }
    stream_walk(&walk, stream, id, id, false);
    bool there = stream_next(&walk, &item);
    assert(there);
    stream_reply_item(call->reply, call->effects->metrics, stream->names, &item);
}

/* ---- XCLAIM --------------------------------------------------------------------------------------- */

enum { FIRST_ID = 5 };

/* What stands behind the numbers. */
struct claim_options {
    uint32_t ids; /* how many there are */
    struct stream_id last;
};

/* A number behind the word argv[*arg]. */
static bool option_number(struct call *call, uint32_t *arg, const char *error, int64_t *number) {
    return call_int_range_or_reply(call, ++*arg, (struct call_range){INT64_MIN, INT64_MAX, error}, number);
}

static bool read_claim_option(struct call *call, uint32_t *arg, struct claiming *claiming,
                              struct claim_options *options) {
    struct bytes word = call->argv[*arg];
    bool more = *arg + 1 < call->argc;
    if (bytes_is(word, "force")) return claiming->force = true;
    if (bytes_is(word, "justid")) return claiming->just_id = true;
    if (more && bytes_is(word, "idle")) {
        if (!option_number(call, arg, "ERR Invalid IDLE option argument for XCLAIM", &claiming->time_ms))
            return false;
        claiming->time_ms = (int64_t)((uint64_t)call_clock_ms(call) - (uint64_t)claiming->time_ms);
        return true;
    }
    if (more && bytes_is(word, "time"))
        return option_number(call, arg, "ERR Invalid TIME option argument for XCLAIM", &claiming->time_ms);
    if (more && bytes_is(word, "retrycount"))
        return option_number(call, arg, "ERR Invalid RETRYCOUNT option argument for XCLAIM",
                             &claiming->retries);
    if (more && bytes_is(word, "lastid")) return stream_id_or_reply(call, ++*arg, 0, &options->last);
    reply_errorf(call->reply, "ERR Unrecognized XCLAIM option '%.*s'", reply_repeated(word), word.data);
    return false;
}

static bool read_claim(struct call *call, struct claiming *claiming, struct claim_options *options) {
    struct stream_id id;
    uint32_t i = FIRST_ID;
    const char *error = "ERR Invalid min-idle-time argument for XCLAIM";
    struct call_range any = {INT64_MIN, INT64_MAX, error};
    *options = (struct claim_options){.ids = 0};
    if (!call_int_range_or_reply(call, 4, any, &claiming->min_idle_ms)) return false;
    if (claiming->min_idle_ms < 0) claiming->min_idle_ms = 0;
    while (i < call->argc && stream_id_parse(call->argv[i], 0, &id)) i++;
    options->ids = i - FIRST_ID;
    for (; i < call->argc; i++)
        if (!read_claim_option(call, &i, claiming, options)) return false;
    if (claiming->time_ms < 0 || claiming->time_ms > call_clock_ms(call))
        claiming->time_ms = call_clock_ms(call);
    return true;
}

/* Claims all of them; which of them the consumer has now `claimed` tells. How many these are. */
static uint32_t claim_ids(struct claiming *claiming, uint32_t ids, bool *claimed) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < ids; i++) {
        struct stream_id id;
        bool valid = stream_id_parse(claiming->call->argv[FIRST_ID + i], 0, &id);
        assert(valid);
        claimed[i] = !claiming->failed && claim(claiming, id) == CLAIM_YES;
        count += claimed[i];
    }
    return count;
}

static void claim_and_reply(struct claiming *claiming, const struct claim_options *options, bool *claimed) {
    struct call *call = claiming->call;
    bool higher = stream_id_compare(options->last, claiming->group->last) > 0;
    if (higher) claiming->group->last = options->last;
    uint32_t count = claim_ids(claiming, options->ids, claimed);
    if (higher && claiming->changes == 0) {
        stream_log_last(call, 1, claiming->group);
        claiming->changes++;
    }
    if (claiming->failed && claiming->changes == 0) {
        call_out_of_memory(call);
    } else {
        reply_array(call->reply, count);
        for (uint32_t i = 0; i < options->ids; i++) {
            struct stream_id id;
            if (claimed[i] && stream_id_parse(call->argv[FIRST_ID + i], 0, &id)) reply_claimed(claiming, id);
        }
    }
    end_claiming(claiming);
}

static void xclaim(struct call *call) {
    enum { FEW = 64 };
    struct claiming claiming = {.retries = -1, .time_ms = -1};
    struct claim_options options;
    bool few[FEW], *claimed = few;
    if (!open_claiming(call, &claiming) || !read_claim(call, &claiming, &options)) return;
    if (options.ids > FEW && !(claimed = malloc(options.ids * sizeof *claimed))) {
        call_out_of_memory(call);
        return;
    }
    if (own_group(&claiming)) claim_and_reply(&claiming, &options, claimed);
    if (claimed != few) free(claimed);
}
COMMAND(xclaim) = {
    .name = "xclaim",
    .arity = -6,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xclaim,
    .group = GROUP_STREAM,
    .since = "5.0.0",
    .complexity = "O(log N) with N being the number of messages in the PEL of the consumer group.",
    .summary = "Changes (or acquires) ownership of a message in a consumer group, as if the message was "
               "delivered to the specified consumer.",
    .tips = "nondeterministic_output",
    .syntax = "<key:key> <group> <consumer> <min-idle-time> <id> ... [{IDLE <ms:integer>}] [{TIME "
              "<unix-time-milliseconds:unix-time>}] [{RETRYCOUNT <count:integer>}] [force:FORCE] "
              "[justid:JUSTID] [{LASTID <id>}]"};

/* ---- XAUTOCLAIM ----------------------------------------------------------------------------------- */

/* What XAUTOCLAIM has looked through. */
struct sweep {
    struct stream_id from; /* where it goes on */
    int64_t count;
    struct stream_id *claimed, *deleted; /* numbers, as many as `count` or as are pending */
    size_t claimed_count, deleted_count;
};

static bool read_sweep(struct call *call, struct claiming *claiming, struct sweep *sweep) {
    enum { COUNT_DEFAULT = 100, SMALLEST_ARG = 16 };
    struct call_range any = {INT64_MIN, INT64_MAX, "ERR Invalid min-idle-time argument for XAUTOCLAIM"};
    struct call_range counts = {1, INT64_MAX / SMALLEST_ARG, "ERR COUNT must be > 0"};
    *sweep = (struct sweep){.count = COUNT_DEFAULT};
    if (!call_int_range_or_reply(call, 4, any, &claiming->min_idle_ms)) return false;
    if (claiming->min_idle_ms < 0) claiming->min_idle_ms = 0;
    if (!stream_end_or_reply(call, 5, true, &sweep->from)) return false;
    for (uint32_t i = 6; i < call->argc; i++) {
        if (i + 1 < call->argc && bytes_is(call->argv[i], "count")) {
            if (!call_int_range_or_reply(call, ++i, counts, &sweep->count)) return false;
        } else if (bytes_is(call->argv[i], "justid")) {
            claiming->just_id = true;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* The first pending entry from a number on. */
static bool next_pending(const struct claiming *claiming, struct stream_id from, struct stream_id *id) {
    struct stream_pending_walk walk;
    struct stream_pending pending;
    stream_pending_walk(&walk, claiming->group, NULL, from);
    bool more = stream_pending_next(&walk, &pending);
    if (more) *id = pending.id;
    return more;
}

/* Claims up to `count` entries of ten times as many. Where it would go on stays in sweep->from; 0-0: it is through. */
static void sweep_group(struct claiming *claiming, struct sweep *sweep) {
    enum { ATTEMPTS = 10 };
    int64_t count = sweep->count, attempts = sweep->count * ATTEMPTS;
    struct stream_id id = {0, 0};
    bool more = next_pending(claiming, sweep->from, &id);
    for (; more && attempts > 0 && count > 0 && !claiming->failed; attempts--) {
        enum claimed claimed = claim(claiming, id);
        if (claiming->failed) break;
        if (claimed == CLAIM_DELETED) sweep->deleted[sweep->deleted_count++] = id;
        if (claimed == CLAIM_YES) sweep->claimed[sweep->claimed_count++] = id;
        count -= claimed != CLAIM_NO;
        more = stream_id_next(&id) && next_pending(claiming, id, &id);
    }
    sweep->from = more ? id : (struct stream_id){0, 0};
}

static void sweep_and_reply(struct claiming *claiming, struct sweep *sweep) {
    struct reply *reply = claiming->call->reply;
    sweep_group(claiming, sweep);
    if (claiming->failed && claiming->changes == 0) {
        call_out_of_memory(claiming->call);
    } else {
        reply_array(reply, 3);
        stream_reply_id(reply, sweep->from);
        reply_array(reply, sweep->claimed_count);
        for (size_t i = 0; i < sweep->claimed_count; i++) reply_claimed(claiming, sweep->claimed[i]);
        reply_array(reply, sweep->deleted_count);
        for (size_t i = 0; i < sweep->deleted_count; i++) stream_reply_id(reply, sweep->deleted[i]);
    }
    end_claiming(claiming);
}

static void xautoclaim(struct call *call) {
    struct claiming claiming = {.retries = -1, .time_ms = call_clock_ms(call)};
    struct sweep sweep;
    if (!read_sweep(call, &claiming, &sweep)) {
        (void)call_read(call, 1); /* Redis looks for it before it looks at the arguments: a hit or a miss */
        return;
    }
    if (!open_claiming(call, &claiming) || !own_group(&claiming)) return;
    uint64_t most = stream_pending_count(claiming.group);
    size_t room = (uint64_t)sweep.count < most ? (size_t)sweep.count : (size_t)most;
    sweep.claimed = malloc((2 * room + 1) * sizeof *sweep.claimed);
    if (sweep.claimed == NULL) {
        call_out_of_memory(call);
        return;
    }
    sweep.deleted = sweep.claimed + room;
    sweep_and_reply(&claiming, &sweep);
    free(sweep.claimed);
}
COMMAND(xautoclaim) = {
    .name = "xautoclaim",
    .arity = -6,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = xautoclaim,
    .group = GROUP_STREAM,
    .since = "6.2.0",
    .complexity = "O(1) if COUNT is small.",
    .summary = "Changes (or acquires) ownership of messages in a consumer group, as if the messages were "
               "delivered to the specified consumer.",
    .tips = "nondeterministic_output",
    .history = "7.0.0: Added an element to the reply array, containing deleted entries the command cleared "
               "from the PEL",
    .syntax = "<key:key> <group> <consumer> <min-idle-time> <start> [{COUNT <count:integer>}] "
              "[justid:JUSTID]"};
