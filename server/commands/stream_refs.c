/* stream_refs.c - what becomes of an entry's references when it goes: KEEPREF, DELREF and ACKED of XDELEX, XACKDEL, XTRIM
 * and XADD. A reference is that the entry is pending in a group; a group that is yet to read it needs it, too.
 *
 * All of this is recorded as XDEL, XACK and XTRIM, which Redis 7.0 knows. */
#include <stdlib.h>

#include "server/commands/stream.h"

bool stream_refs_read(struct bytes word, enum stream_refs *refs) {
    bool keep = bytes_is(word, "keepref"), forget = bytes_is(word, "delref");
    if (!keep && !forget && !bytes_is(word, "acked")) return false;
    *refs = keep ? STREAM_KEEPREF : forget ? STREAM_DELREF : STREAM_ACKED;
    return true;
}

/* ---- Records -------------------------------------------------------------------------------------- */

/* Numbers that XDEL or XACK of the key argv[1] is recorded with, so many at a time. */
enum { RECORD_IDS = 32, RECORD_HEADS = 3 };
struct records {
    struct call *call;
    const struct stream_group *group; /* of XACK; NULL: XDEL */
    unsigned count;
    struct stream_id ids[RECORD_IDS];
};

static void records_end(struct records *records) {
    char text[RECORD_IDS][STREAM_ID_TEXT_MAX];
    struct bytes argv[RECORD_HEADS + RECORD_IDS] = {BYTES("XDEL"), records->call->argv[1]};
    uint32_t argc = 2;
    if (records->count == 0) return;
    if (records->group) {
        argv[0] = BYTES("XACK");
        argv[argc++] = stream_name_of(&records->group->head);
    }
    for (unsigned i = 0; i < records->count; i++) argv[argc++] = stream_id_text(text[i], records->ids[i]);
    call_log(records->call, argv, argc);
    records->count = 0;
}

static void records_add(struct records *records, struct stream_id id) {
    if (!records->call->effects->journal) return;
    records->ids[records->count++] = id;
    if (records->count == RECORD_IDS) records_end(records);
}

/* ---- References ----------------------------------------------------------------------------------- */

/* Has some group yet to read or to acknowledge it? */
static bool is_needed(const struct stream *stream, struct stream_id id) {
    struct stream_pending pending;
    const struct stream_group *group;
    for (uint64_t place = 0; (group = stream_group_next(&stream->groups, &place));)
        if (stream_id_compare(id, group->last) > 0 || stream_pending_find(group, id, &pending)) return true;
    return false;
}

/* The group at this place, as the edit has made it by now. NULL behind the last. */
static const struct stream_group *group_in(const struct edit *edit, uint64_t place) {
    return stream_group_at(&stream_in(edit)->groups, place);
}

/* It is pending in the group at this place no more. STREAM_UNCHANGED: it was not. */
static enum stream_changed forget(struct edit *edit, uint64_t place, struct stream_id id) {
    const struct stream_group *group = group_in(edit, place);
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_pending pending;
    if (!stream_pending_find(group, id, &pending)) return STREAM_UNCHANGED;
    struct stream_group *own = stream_open_group(edit, stream_name_of(&group->head));
    return own && stream_pending_remove(own, &context, &pending) ? STREAM_CHANGED : STREAM_NO_MEMORY;
}

/* The first number that is pending in a group, from *id on. */
static bool first_pending(const struct stream_group *group, struct stream_id *id) {
    struct stream_pending_walk walk;
    stream_pending_walk(&walk, group, NULL, *id);
    return stream_pending_next_id(&walk, id);
}

bool stream_forget_until(struct call *call, struct edit *edit, struct stream_id until, uint64_t *forgotten) {
    enum stream_changed changed = STREAM_CHANGED;
    uint64_t place = 0, next = 0;
    for (; changed != STREAM_NO_MEMORY && stream_group_next(&stream_in(edit)->groups, &next); place = next) {
        struct records records = {.call = call};
        struct stream_id id = {0, 0};
        while (first_pending(group_in(edit, place), &id) && stream_id_compare(id, until) <= 0) {
            changed = forget(edit, place, id);
            if (changed == STREAM_NO_MEMORY) break;
            records.group = group_in(edit, place);
            records_add(&records, id);
            ++*forgotten;
        }
        records_end(&records);
    }
    return changed != STREAM_NO_MEMORY;
}

/* ---- Trimming what all groups have acknowledged --------------------------------------------------- */

enum { GATHERED = 64 }; /* entries that are found before they are deleted, for a walk ends with a change */

/* A walk over entries that trimming may delete. */
struct unneeded {
    struct stream_id next;
    uint64_t looks; /* at so many more entries, at most */
    struct stream_id ids[GATHERED];
};

/* Finds the next ones, `most` or as many as fit. How many: 0, nothing is left. */
static unsigned find_unneeded(struct unneeded *unneeded, const struct stream *stream, uint64_t most) {
    struct stream_walk walk;
    struct stream_item item;
    unsigned count = 0;
    stream_walk(&walk, stream, unneeded->next, STREAM_ID_MAX, false);
    while (count < GATHERED && count < most && unneeded->looks > 0 && stream_next(&walk, &item)) {
        unneeded->looks--;
        if (!is_needed(stream, item.id)) unneeded->ids[count++] = item.id;
        unneeded->next = item.id;
    }
    if (!stream_id_next(&unneeded->next)) unneeded->looks = 0;
    return count;
}

uint64_t stream_trim_acked(struct call *call, struct edit *edit, uint64_t looks, uint64_t most,
                           bool *failed) {
    struct unneeded unneeded = {.looks = looks};
    struct records records = {.call = call};
    uint64_t gone = 0;
    *failed = false;
    while (!*failed && gone < most && unneeded.looks > 0) {
        unsigned count = find_unneeded(&unneeded, stream_in(edit), most - gone);
        if (count == 0) break;
        for (unsigned i = 0; i < count && !*failed; i++) {
            *failed = stream_delete(edit, unneeded.ids[i]) == STREAM_NO_MEMORY;
            if (*failed) break;
            records_add(&records, unneeded.ids[i]);
            gone++;
        }
    }
    records_end(&records);
    return gone;
}

/* ---- XDELEX, XACKDEL ------------------------------------------------------------------------------ */

/* What is replied of a number. */
enum answer { NO_SUCH_ID = -1, DELETED = 1, STILL_NEEDED };

/* The numbers of a request, and what has become of them. */
struct deleting {
    struct call *call;
    enum stream_refs refs;
    uint32_t first, count; /* arguments */
    signed char *answers;  /* malloc'd: enum answer of each */
    uint64_t deleted, forgotten;
    bool failed; /* memory has run out */
};

static struct stream_id id_at(const struct deleting *deleting, uint32_t i) {
    struct stream_id id;
    bool valid = stream_id_parse(deleting->call->argv[deleting->first + i], 0, &id);
    assert(valid);
    return id;
}

/* Options and numbers from argv[arg] on, in any order. False after replying; else the answers are to be freed. */
static bool read_deleting(struct call *call, uint32_t arg, struct deleting *deleting) {
    bool refs_given = false, valid = true;
    *deleting = (struct deleting){.call = call};
    for (; valid && arg < call->argc; arg++) {
        if (!refs_given && stream_refs_read(call->argv[arg], &deleting->refs)) {
            refs_given = true;
        } else if (deleting->count == 0 && arg + 1 < call->argc && bytes_is(call->argv[arg], "ids")) {
            if (!stream_ids_counted_or_reply(call, arg, &deleting->count)) return false;
            deleting->first = arg + 2;
            arg += 1 + deleting->count;
        } else {
            valid = false;
        }
    }
    if (!valid || deleting->count == 0) {
        call_syntax_error(call);
        return false;
    }
    if (!stream_ids_or_reply(call, deleting->first, deleting->count)) return false;
    deleting->answers = malloc(deleting->count);
    if (!deleting->answers) {
        call_out_of_memory(call);
        return false;
    }
    memset(deleting->answers, NO_SUCH_ID, deleting->count);
    return true;
}

/* Deletes an entry that is there, unless it is needed and shall stay then. */
static enum answer delete_one(struct deleting *deleting, struct edit *edit, struct records *records,
                              struct stream_id id) {
    const struct stream *stream = stream_in(edit);
    if (deleting->refs == STREAM_ACKED && is_needed(stream, id)) return STILL_NEEDED;
    enum stream_changed changed = stream_delete(edit, id);
    deleting->failed = changed == STREAM_NO_MEMORY;
    if (changed == STREAM_CHANGED) {
        records_add(records, id);
        deleting->deleted++;
    }
    return DELETED;
}

/* With DELREF: none of the numbers is pending in any group, or, with `answered`, of those that have been answered. */
static void forget_all(struct deleting *deleting, struct edit *edit, bool answered) {
    if (deleting->refs != STREAM_DELREF) return;
    uint64_t place = 0, next = 0;
    for (; !deleting->failed && stream_group_next(&stream_in(edit)->groups, &next); place = next) {
        struct records records = {.call = deleting->call};
        for (uint32_t i = 0; i < deleting->count && !deleting->failed; i++) {
            if (answered && deleting->answers[i] == NO_SUCH_ID) continue;
            enum stream_changed changed = forget(edit, place, id_at(deleting, i));
            deleting->failed = changed == STREAM_NO_MEMORY;
            if (changed != STREAM_CHANGED) continue;
            deleting->forgotten++;
            records.group = group_in(edit, place);
            records_add(&records, id_at(deleting, i));
        }
        records_end(&records);
    }
}

/* Closes the edit, if there is one, tells, replies and frees. */
static void end(struct deleting *deleting, struct edit *edit) {
    struct call *call = deleting->call;
    if (edit->entry) {
        collection_close(call, 1, edit, EVENT_XDEL, deleting->deleted);
        keyspace_note_nodes(edit->keyspace);
        stream_told(call, 1, EVENT_NONE, deleting->forgotten);
    }
    if (deleting->failed) {
        call_out_of_memory(call);
    } else {
        reply_array(call->reply, deleting->count);
        for (uint32_t i = 0; i < deleting->count; i++) reply_int(call->reply, deleting->answers[i]);
    }
    free(deleting->answers);
}

static void xdelex(struct call *call) {
    struct deleting deleting;
    struct edit edit;
    if (!read_deleting(call, 2, &deleting)) return;
    if (!collection_open(call, 1, TYPE_STREAM, false, &edit)) {
        free(deleting.answers);
        return;
    }
    struct records records = {.call = call};
    for (uint32_t i = 0; edit.entry && i < deleting.count && !deleting.failed; i++) {
        struct stream_id id = id_at(&deleting, i);
        if (!stream_has(stream_in(&edit), id)) continue;
        deleting.answers[i] = (signed char)delete_one(&deleting, &edit, &records, id);
    }
    records_end(&records);
    if (edit.entry) forget_all(&deleting, &edit, false);
    end(&deleting, &edit);
}

#define IDS_WORDS "[condition:( KEEPREF | DELREF | ACKED )] ids:{ IDS <numids:integer> <id> ... }"

COMMAND(xdelex) = {
    .name = "xdelex",
    .arity = -5,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_DELETE)},
    .run = xdelex,
    .group = GROUP_STREAM,
    .since = "8.2.0",
    .complexity = "O(1) for each single item to delete in the stream, regardless of the stream size.",
    .summary = "Deletes one or multiple entries from the stream.",
    .syntax = "<key:key> " IDS_WORDS};

/* Acknowledges the numbers that are pending in the group argv[2], and marks them as answered. */
static void acknowledge(struct deleting *deleting, struct edit *edit) {
    struct call *call = deleting->call;
    struct tree_context context = collection_context(edit->keyspace);
    struct stream_group *group = stream_open_group(edit, call->argv[2]);
    struct records records = {.call = call, .group = group};
    deleting->failed = group == NULL;
    for (uint32_t i = 0; i < deleting->count && !deleting->failed; i++) {
        struct stream_id id = id_at(deleting, i);
        bool there;
        deleting->failed = !stream_pending_take(group, &context, id, &there);
        if (deleting->failed) break;
        if (!there) continue;
        deleting->answers[i] = DELETED;
        deleting->forgotten++;
        records_add(&records, id);
    }
    records_end(&records);
}

static void xackdel(struct call *call) {
    struct deleting deleting;
    struct edit edit;
    if (!read_deleting(call, 3, &deleting)) return;
    if (!collection_open(call, 1, TYPE_STREAM, false, &edit)) {
        free(deleting.answers);
        return;
    }
    struct records records = {.call = call};
    bool there = edit.entry && stream_group_find(&stream_in(&edit)->groups, call->argv[2]);
    if (there) acknowledge(&deleting, &edit);
    for (uint32_t i = 0; there && i < deleting.count && !deleting.failed; i++)
        if (deleting.answers[i] == DELETED)
            deleting.answers[i] = (signed char)delete_one(&deleting, &edit, &records, id_at(&deleting, i));
    records_end(&records);
    if (there) forget_all(&deleting, &edit, true);
    end(&deleting, &edit);
}
COMMAND(xackdel) = {
    .name = "xackdel",
    .arity = -6,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE | KEY_DELETE)},
    .run = xackdel,
    .group = GROUP_STREAM,
    .since = "8.2.0",
    .complexity = "O(1) for each message ID processed.",
    .summary = "Acknowledges and deletes one or multiple messages for a stream consumer group.",
    .syntax = "<key:key> <group> " IDS_WORDS};
