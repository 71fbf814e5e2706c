/* stream_nack.c - XNACK, of Redis 8.8: who has been given entries gives them back. They stay pending, but for nobody, and as
 * if they had been delivered in 1970: whoever claims entries that have been idle for long gets them at once.
 *
 * Redis's page about it is what this is made after. */
#include "server/commands/stream.h"

enum { MODE_ARG = 3, IDS_ARG, FIRST_ID = IDS_ARG + 2 };

/* What becomes of the count of deliveries. */
enum nack_mode {
    NACK_SILENT, /* the last one is forgotten */
    NACK_FAIL,   /* it stays */
    NACK_FATAL,  /* it is the greatest that there is */
};

struct nacking {
    struct call *call;
    enum nack_mode mode;
    uint32_t ids;    /* numbers, from FIRST_ID on */
    int64_t retries; /* what the count is to be; -1: as the mode says */
    bool force;      /* what is not pending becomes it */
};

static bool read_mode(struct call *call, enum nack_mode *mode) {
    struct bytes word = call->argv[MODE_ARG];
    bool silent = bytes_is(word, "silent"), fail = bytes_is(word, "fail");
    *mode = silent ? NACK_SILENT : fail ? NACK_FAIL : NACK_FATAL;
    if (silent || fail || bytes_is(word, "fatal")) return true;
    reply_error(call->reply, "ERR The mode of XNACK must be SILENT, FAIL or FATAL");
    return false;
}

/* False after replying. */
static bool read_nacking(struct call *call, struct nacking *nacking) {
    struct call_range counts = {0, INT64_MAX, "ERR Invalid RETRYCOUNT option argument for XNACK"};
    *nacking = (struct nacking){.call = call, .retries = -1};
    if (!read_mode(call, &nacking->mode)) return false;
    if (!bytes_is(call->argv[IDS_ARG], "ids")) {
        call_syntax_error(call);
        return false;
    }
    if (!stream_ids_counted_or_reply(call, IDS_ARG, &nacking->ids)) return false;
    for (uint32_t i = FIRST_ID + nacking->ids; i < call->argc; i++) {
        if (bytes_is(call->argv[i], "force")) {
            nacking->force = true;
        } else if (i + 1 < call->argc && bytes_is(call->argv[i], "retrycount")) {
            if (!call_int_range_or_reply(call, ++i, counts, &nacking->retries)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return stream_ids_or_reply(call, FIRST_ID, nacking->ids);
}

static struct stream_id id_at(const struct nacking *nacking, uint32_t i) {
    struct stream_id id;
    bool valid = stream_id_parse(nacking->call->argv[FIRST_ID + i], 0, &id);
    assert(valid && i < nacking->ids);
    return id;
}

static uint64_t count_after(const struct nacking *nacking, uint64_t count) {
    if (nacking->retries >= 0) return (uint64_t)nacking->retries;
    if (nacking->mode == NACK_FATAL || count > INT64_MAX) return INT64_MAX;
    return count - (nacking->mode == NACK_SILENT && count > 0);
}

/* Gives one entry back. STREAM_UNCHANGED: it was not pending, and did not become it. */
static enum stream_changed give_back(const struct nacking *nacking, struct edit *edit,
                                     struct stream_group *group, struct stream_id id) {
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_pending pending = {.id = id};
    if (!stream_pending_find(group, id, &pending) && !(nacking->force && stream_has(stream_in(edit), id)))
        return STREAM_UNCHANGED;
    pending.consumer = STREAM_UNOWNED;
    pending.time_ms = 0;
    pending.count = count_after(nacking, pending.count);
    if (!stream_pending_put(group, &context, &pending)) return STREAM_NO_MEMORY;
    stream_log_nack(nacking->call, 1, group, &pending);
    return STREAM_CHANGED;
}

static void xnack(struct call *call) {
    struct nacking nacking;
    struct edit edit;
    uint64_t released = 0;
    if (!read_nacking(call, &nacking) || !stream_open_as_reader(call, &edit)) return;
    if (edit.entry == NULL || !stream_group_find(&stream_in(&edit)->groups, call->argv[2])) {
        stream_no_group(call, 1, 2);
        return;
    }
    struct stream_group *group = stream_open_group(&edit, call->argv[2]);
    enum stream_changed changed = group ? STREAM_UNCHANGED : STREAM_NO_MEMORY;
    for (uint32_t i = 0; i < nacking.ids && changed != STREAM_NO_MEMORY; i++) {
        changed = give_back(&nacking, &edit, group, id_at(&nacking, i));
        released += changed == STREAM_CHANGED;
    }
    if (released) stream_edit(&edit)->releases = true;
    stream_close(call, 1, &edit);
    stream_told(call, 1, EVENT_NONE, released);
    if (changed == STREAM_NO_MEMORY)
        call_out_of_memory(call);
    else
        reply_int(call->reply, (int64_t)released);
}
COMMAND(xnack) = {
    .name = "xnack",
    .arity = -7,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xnack,
    .group = GROUP_STREAM,
    .since = "8.8.0",
    .complexity = "O(1) for each message ID processed.",
    .summary = "Releases pending messages back to the group's PEL without acknowledging them, making them "
               "available for re-delivery.",
    .syntax =
        "<key:key> <group> mode:( SILENT | FAIL | FATAL ) ids:{ IDS <numids:integer> <id> ... } [{RETRYCOUNT "
        "<count:integer>}] [force:FORCE]"};
