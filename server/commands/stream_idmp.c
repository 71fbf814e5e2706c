/* stream_idmp.c - producers who say which of their entries are the same, of Redis 8.6: what XADD says of them, XCFGSET, and
 * XIDMPRECORD, by which files tell of them.
 *
 * Redis's pages, and what its tests show, are what this is made after. */
#include "protocol/load.h"
#include "protocol/sha1.h"
#include "server/commands/stream.h"
#include "server/config/config.h"

/* ---- XADD ----------------------------------------------------------------------------------------- */

uint32_t stream_idmp_read(struct call *call, uint32_t arg, struct stream_idmp *idmp) {
    bool automatic = bytes_is(call->argv[arg], "idmpauto");
    uint32_t words = automatic ? 2 : 3;
    const char *error = NULL;
    if (!automatic && !bytes_is(call->argv[arg], "idmp")) return UINT32_MAX;
    if (words > call->argc - arg) return UINT32_MAX;
    if (idmp->words)
        error = "ERR IDMP/IDMPAUTO specified multiple times";
    else if (call->argv[arg + 1].len == 0)
        error = automatic ? "ERR IDMPAUTO requires a non-empty producer ID"
                          : "ERR IDMP requires a non-empty producer ID";
    else if (!automatic && call->argv[arg + 2].len == 0)
        error = "ERR IDMP requires a non-empty idempotent ID";
    if (error) {
        reply_error(call->reply, error);
        return 0;
    }
    idmp->word_arg = arg;
    idmp->words = words;
    return arg + words - 1;
}

/* A file is run, which tells what has happened. */
static bool is_told(const struct call *call) {
    return call->effects->replay_ms != 0;
}

bool stream_idmp_allows(struct call *call, bool id_given) {
    if (!id_given || is_told(call)) return true;
    reply_error(call->reply, "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs");
    return false;
}

/* An id of fields and values in whatever order: the sum of what each pair is known by. Files have it, so it may
 * never become another one. */
static void make_id(const struct stream_pairs *pairs, char id[16]) {
    uint64_t sums[2] = {0, 0};
    for (uint32_t i = 0; i < pairs->count; i++) {
        unsigned char both[2 * SHA1_LEN], pair[SHA1_LEN];
        sha1(pairs->list[2 * i], both);
        sha1(pairs->list[2 * i + 1], both + SHA1_LEN);
        sha1((struct bytes){(const char *)both, sizeof both}, pair);
        sums[0] += load_u64((const char *)pair);
        sums[1] += load_u64((const char *)pair + 8);
    }
    memcpy(id, sums, sizeof sums);
}

/* The time at which something was told that a file tells now: what the number of the entry says, if that is over. What was
 * known to a shard whose clock was late is known longer. */
static int64_t time_of(const struct call *call, struct stream_id entry) {
    enum { LATE_MS = 60000 };
    int64_t now_ms = call_clock_ms(call);
    if (!is_told(call)) return now_ms;
    if (entry.ms < (uint64_t)now_ms) now_ms = (int64_t)entry.ms;
    return now_ms > LATE_MS ? now_ms - LATE_MS : 0;
}

/* Of a stream without producers. A file says where these were others than the built-in ones. */
static struct stream_idmp_limits limits_in_force(const struct call *call) {
    if (is_told(call))
        return (struct stream_idmp_limits){STREAM_IDMP_SECONDS_DEFAULT, STREAM_IDMP_MOST_DEFAULT};
    return (struct stream_idmp_limits){(uint32_t)config.stream_idmp_duration,
                                       (uint32_t)config.stream_idmp_maxsize};
}

static bool are_built_in(struct stream_idmp_limits limits) {
    return limits.seconds == STREAM_IDMP_SECONDS_DEFAULT && limits.most == STREAM_IDMP_MOST_DEFAULT;
}

static struct stream_once once_of(const struct call *call, struct stream_idmp *idmp,
                                  const struct stream_pairs *pairs, struct stream_id told) {
    const struct bytes *words = call->argv + idmp->word_arg;
    bool made = idmp->words == 2;
    if (made) make_id(pairs, idmp->made);
    return (struct stream_once){.producer = words[1],
                                .id = made ? (struct bytes){idmp->made, sizeof idmp->made} : words[2],
                                .now_ms = time_of(call, told),
                                .limits = limits_in_force(call)};
}

/* Is this about to give the stream of the edit limits that have to be recorded? */
static bool brings_limits(const struct call *call, const struct edit *edit, const struct stream_once *once) {
    const struct stream *stream = stream_in(edit);
    return call->effects->journal && (stream == NULL || stream->producers == NULL) &&
           !are_built_in(once->limits);
}

static void log_limits(struct call *call, struct stream_idmp_limits limits) {
    char seconds[NUMBER_I64_MAX_LEN], most[NUMBER_I64_MAX_LEN];
    CALL_LOG(call, BYTES("XCFGSET"), call->argv[1], BYTES("IDMP-DURATION"),
             (struct bytes){seconds, number_format_u64(seconds, limits.seconds)}, BYTES("IDMP-MAXSIZE"),
             (struct bytes){most, number_format_u64(most, limits.most)});
}

void stream_idmp_log(struct call *call, const struct stream_once *once, struct stream_id entry) {
    char text[STREAM_ID_TEXT_MAX];
    log_limits(call, once->limits);
    CALL_LOG(call, BYTES("XIDMPRECORD"), call->argv[1], once->producer, once->id,
             stream_id_text(text, entry));
}

/* Has an entry with this number, which a file tells, come again? What is added has a higher one than all before; and of
 * what came again the id may be over by now, and forgotten. */
static bool is_old(const struct stream *stream, struct stream_id told) {
    return !stream_id_is_zero(told) && stream_id_compare(told, stream->last) <= 0;
}

/* Does the stream know this id? Where a file tells so, which one it was. */
static bool is_known(const struct call *call, const struct edit *edit, struct stream_once once,
                     struct stream_id told, struct stream_id *entry) {
    const struct stream *stream = stream_in(edit);
    if (stream == NULL || stream->producers == NULL) return false;
    if (is_told(call)) once.now_ms = 0; /* then nothing is over */
    bool known = stream_producers_know(stream->producers, edit->keyspace->seed, &once, entry);
    if (!is_told(call)) return known;
    known = known && stream_id_compare(told, *entry) == 0;
    *entry = told;
    return known || is_old(stream, told);
}

bool stream_idmp_answer(struct call *call, struct edit *edit, struct stream_idmp *idmp,
                        const struct stream_pairs *pairs, struct stream_id told) {
    char text[STREAM_ID_TEXT_MAX];
    struct stream_id entry;
    idmp->once = once_of(call, idmp, pairs, told);
    idmp->apart = brings_limits(call, edit, &idmp->once);
    if (!is_known(call, edit, idmp->once, told, &entry)) return false;
    bool counted = stream_count_repeated(edit) == STREAM_CHANGED; /* where there is no memory it is not */
    stream_close(call, 1, edit);
    stream_told(call, 1, EVENT_NONE, counted);
    if (counted) /* which entry it is the number says; of its fields there must be one */
        CALL_LOG(call, BYTES("XADD"), call->argv[1], BYTES("IDMP"), idmp->once.producer, idmp->once.id,
                 stream_id_text(text, entry), pairs->list[0], pairs->list[1]);
    stream_reply_id(call->reply, entry);
    return true;
}

/* ---- XCFGSET -------------------------------------------------------------------------------------- */

/* What is said of limits; 0: nothing. */
static bool read_limits(struct call *call, struct stream_idmp_limits *limits) {
    static const struct call_range seconds = {1, STREAM_IDMP_SECONDS,
                                              "ERR IDMP-DURATION must be between 1 and 86400 seconds"},
                                   most = {1, STREAM_IDMP_MOST,
                                           "ERR IDMP-MAXSIZE must be between 1 and 10000 entries"};
    int64_t number;
    *limits = (struct stream_idmp_limits){0, 0};
    for (uint32_t i = 2; i < call->argc; i += 2) {
        bool of_seconds = bytes_is(call->argv[i], "idmp-duration");
        if ((!of_seconds && !bytes_is(call->argv[i], "idmp-maxsize")) || i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        if (!call_int_or_reply(call, i + 1, &number)) return false;
        if (!call_int_range_or_reply(call, i + 1, of_seconds ? seconds : most, &number)) return false;
        *(of_seconds ? &limits->seconds : &limits->most) = (uint32_t)number;
    }
    if (limits->seconds || limits->most) return true;
    reply_error(call->reply, "ERR At least one parameter must be specified");
    return false;
}

/* Opens the key argv[1], which is to be there. False after replying. */
static bool open_stream(struct call *call, struct edit *edit) {
    if (!collection_open(call, 1, TYPE_STREAM, false, edit)) return false;
    if (edit->entry == NULL) reply_error(call->reply, "ERR no such key");
    return edit->entry;
}

/* Closes the edit, and replies. Nothing that a command shows but XINFO has changed: no watcher feels it. */
static void reply_changed(struct call *call, struct edit *edit, enum stream_changed changed) {
    stream_close(call, 1, edit);
    stream_told(call, 1, EVENT_NONE, changed == STREAM_CHANGED);
    if (changed == STREAM_NO_MEMORY)
        call_out_of_memory(call);
    else
        reply_ok(call->reply);
}

static void xcfgset(struct call *call) {
    struct stream_idmp_limits limits, now = limits_in_force(call);
    struct edit edit;
    if (!read_limits(call, &limits) || !open_stream(call, &edit)) return;
    const struct stream_producers *producers = stream_in(&edit)->producers;
    bool plain = producers == NULL && are_built_in(now) && !is_told(call); /* such streams have those */
    if (producers) now = (struct stream_idmp_limits){producers->seconds, producers->most};
    bool whole = limits.seconds && limits.most;
    if (!limits.seconds) limits.seconds = now.seconds;
    if (!limits.most) limits.most = now.most;
    enum stream_changed changed = plain && are_built_in(limits) ? STREAM_UNCHANGED
                                                                : stream_limit_producers(&edit, limits);
    if (changed == STREAM_CHANGED && producers == NULL && !whole && !plain) log_limits(call, limits);
    reply_changed(call, &edit, changed);
}
COMMAND(xcfgset) = {
    .name = "xcfgset",
    .arity = -2,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xcfgset,
    .group = GROUP_STREAM,
    .since = "8.6.0",
    .complexity = "O(1)",
    .summary = "Sets for how long, and how many, idempotent IDs of each producer are known in a stream",
    .syntax = "<key:key> [{IDMP-DURATION <idmp-duration:integer>}] [{IDMP-MAXSIZE <idmp-maxsize:integer>}]"};

/* ---- XIDMPRECORD ---------------------------------------------------------------------------------- */

enum { PRODUCER_ARG = 2, ID_ARG, ENTRY_ARG };

/* What the stream of the edit knows of an id already, over or not. False: nothing. */
static bool find_known(const struct edit *edit, struct stream_once once, struct stream_id *entry) {
    once.now_ms = 0;
    return stream_producers_know(stream_in(edit)->producers, edit->keyspace->seed, &once, entry);
}

/* Why the stream of the edit is not to know this; NULL: it may. */
static const char *why_not_known(const struct edit *edit, const struct stream_once *once,
                                 struct stream_id entry) {
    const struct stream *stream = stream_in(edit);
    struct stream_id before;
    if (stream_producers_know(stream->producers, edit->keyspace->seed, once, &before))
        return "ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID";
    return stream_has(stream, entry) ? NULL : "ERR The specified stream ID was deleted or doesn't exist";
}

/* A file may tell of an entry that has gone; and what it tells was not known. */
static void xidmprecord(struct call *call) {
    struct stream_once once = {.producer = call->argv[PRODUCER_ARG], .id = call->argv[ID_ARG]};
    struct stream_id entry, before;
    struct edit edit;
    const char *error = NULL;
    if (!stream_id_or_reply(call, ENTRY_ARG, 0, &entry)) return;
    if (once.producer.len == 0 || once.id.len == 0) {
        reply_error(call->reply, once.id.len ? "ERR XIDMPRECORD requires a non-empty producer ID"
                                             : "ERR XIDMPRECORD requires a non-empty idempotent ID");
        return;
    }
    once.now_ms = time_of(call, entry);
    once.limits = limits_in_force(call);
    if (!open_stream(call, &edit)) return;
    bool same = find_known(&edit, once, &before) && stream_id_compare(before, entry) == 0;
    if (!is_told(call) && !same) error = why_not_known(&edit, &once, entry);
    if (error == NULL) {
        enum stream_changed changed = STREAM_UNCHANGED;
        bool apart = brings_limits(call, &edit, &once);
        if (is_told(call) || !same) changed = stream_note_once(&edit, &once, entry);
        if (apart && changed == STREAM_CHANGED) stream_idmp_log(call, &once, entry);
        reply_changed(call, &edit, changed);
        return;
    }
    stream_close(call, 1, &edit);
    reply_error(call->reply, error);
}
COMMAND(xidmprecord) = {
    .name = "xidmprecord",
    .arity = 5,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = xidmprecord,
    .group = GROUP_STREAM,
    .since = "8.6.2",
    .complexity = "O(1)",
    .summary = "An internal command for setting IDMP metadata on an existing stream message",
    .syntax = "<key:key> <pid> <iid> <stream-id>"};
