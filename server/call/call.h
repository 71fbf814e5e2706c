/* call.h - the handler's window: all that a command sees of the server while it runs.
 *
 * A handler runs on the thread of the connection that sent the command, holding the locks of the stripes of
 * all its keys (of every stripe with CMD_ALL_STRIPES). It never yields, never waits and never touches a
 * connection. It reads its arguments, looks keys up, changes them, says what it changed, and replies once (or
 * not at all where dispatch knows).
 *
 *     static void strlen_(struct call *call) {
 *         struct entry *e = call_read(call, 1);
 *         if (e && !call_is_string_or_reply(call, e)) return;
 *         reply_int(call->reply, e ? (int64_t)entry_string_len(e) : 0);
 *     }
 *
 * What it changed goes through call_changed, call_deleted and their like: server/call/effect.h has who is told. */
#ifndef KEVY_SERVER_CALL_CALL_H
#define KEVY_SERVER_CALL_CALL_H

#include <assert.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/reply.h"
#include "server/call/command.h"
#include "server/call/effect.h"
#include "server/clients/client.h"
#include "server/stripes/stripes.h"
#include "store/edit.h"

struct client;

/* What a command waits for that has found nothing: see call_wait. */
struct wait {
    int64_t timeout_ms; /* from now; 0: for ever */
    uint8_t type;       /* enum entry_type: what its keys must hold */
    uint32_t first_key; /* its keys are argv[first_key] on; what stands there twice counts once */
    uint32_t key_count;
    uint32_t target; /* argument number of the key that it pushes to when it is served; 0: none */
    /* Runs the command for the key argv[arg] alone, which holds what it waits for. It replies once, and says itself what
     * the journal gets. */
    void (*serve)(struct call *call, uint32_t arg);
    /* Replies that the time is over. */
    void (*over)(struct reply *reply);
    /* Is there something for it in the key argv[arg], which holds a value of the type? NULL: there always is. */
    bool (*due)(struct call *call, uint32_t arg);
    /* Replies that one of its keys has gone, or holds another type now. NULL: then it waits on. */
    void (*lost)(struct reply *reply);
    void *
        noted; /* malloc'd, and given away: what the command has to know of its keys when it is served, or NULL */
    uint64_t spent_ns; /* dispatch's: what the command has taken until now */
    /* Who waits for the disk, and not for keys: instead of `over`, which is NULL then, `ended` replies. */
    uint64_t ticket; /* of the journal: what was changed up to it is to be on the disk */
    bool local;      /* the append-only log is to be on meanwhile */
    /* Is it over now? Asked whenever the log has come further; NULL: only its time ends it. */
    bool (*passed)(const struct wait *wait);
    void (*ended)(struct reply *reply, const struct wait *wait);
};

struct call {
    const struct bytes *argv; /* argv[0] is the name as sent */
    uint32_t argc;
    uint64_t *hash; /* hash[i] for every argv[i] that command_keys names; other places are not meaningful */
    struct reply *reply;
    const struct command *command;
    struct client *client;         /* who asks: session state (server/clients/client.h) */
    struct effects *effects;       /* the time, and where its changes are felt */
    unsigned db;                   /* selected database */
    uint32_t stripe;               /* the one stripe that is locked for this call, or STRIPE_NONE */
    bool again;                    /* it has asked for stripes that it does not hold: see call_want */
    const struct stripe_set *held; /* those that are locked where they are several, or NULL */
    struct stripe_set *want;       /* what call_want asks for is gathered here */
    struct wait *wait; /* what call_wait asks for is kept here; NULL: nobody waits here (within EXEC) */
    bool waits;        /* it has asked to wait */
    const void *noted; /* of one that is served after it has waited: that of its wait */
    bool logged;       /* where a journal is open: it has said itself what is to be recorded, see call_log */
    struct bytes raw;  /* its request as it came; empty where that is not at hand, or no journal is open */
    const struct tree_guess *guesses; /* of what `ahead` of its row has looked for, or NULL */
    struct block **arg_blocks;        /* large arguments with memory of their own: see call_block */
    unsigned arg_block_count;
    uint32_t arg_block_next; /* where call_block begins to search among them: behind the last it found */
};

/* Unix time, in milliseconds, for what is counted from now or noted as now. What is due is asked of effects->now_ms: that is
 * another one while a file is run. */
static inline int64_t call_clock_ms(const struct call *call) {
    return call->effects->now_ms + call->effects->replay_ms;
}

/* ---- Stripes -------------------------------------------------------------------------------------- */

/* Is the stripe locked for this call? */
static inline bool call_holds(const struct call *call, unsigned stripe) {
    return call->stripe == stripe || (call->held && stripe_set_has(call->held, stripe));
}
/* Gives a stripe back that the call may have changed, and none of whose others is held any more. */
static inline void call_leave(const struct call *call, struct stripe *stripe) {
    effects_end(call->effects);
    stripe_leave(stripe, call->effects->wakes, call->effects->now_ms);
}
/* Rows with CMD_MORE_STRIPES begin without a lock. call_walk locks this stripe and gives the one before back, in
 * any order: what was seen there is old news then. For rows that only read. */
void call_walk(struct call *call, unsigned stripe);
/* True if all of these are held. Else the handler returns without having replied or changed anything, and is run
 * anew with what it held and these. Only for rows with CMD_MORE_STRIPES. */
bool call_want(struct call *call, const struct stripe_set *more) __attribute__((warn_unused_result));

/* ---- Waiting -------------------------------------------------------------------------------------- */

/* The handler has looked at all its keys and found nothing, has changed and replied nothing, and returns: the client waits
 * until one of the keys holds what it asks for, or its time is over. False where nobody may wait: the handler then replies
 * that there is nothing. Rows that are quick by nature (CMD_FAST, CMD_BOUNDED) need CMD_BLOCKING for it. */
bool call_wait(struct call *call, const struct wait *wait) __attribute__((warn_unused_result));
/* How long, as Redis reads it: seconds with a fraction, rounded up to milliseconds. False after replying. */
bool call_timeout_or_reply(struct call *call, uint32_t arg, int64_t *timeout_ms)
    __attribute__((warn_unused_result));
/* The same of whole milliseconds. */
bool call_timeout_ms_or_reply(struct call *call, uint32_t arg, int64_t *timeout_ms)
    __attribute__((warn_unused_result));

/* ---- Keys ----------------------------------------------------------------------------------------- */

static inline struct key call_key(const struct call *call, uint32_t arg) {
    return (struct key){call->argv[arg], call->hash[arg]};
}
static inline struct keyspace *call_keyspace(const struct call *call, uint32_t arg) {
    return stripe_of(call->hash[arg])->keyspace;
}

/* ---- Effects -------------------------------------------------------------------------------------- */

/* What happened to the key argv[arg] in the selected database. It is counted first, and told only where somebody listens:
 * then alone are the kind, the event and the database put together, as one effect. */
void call_heard(struct call *call, uint32_t arg, enum effect_kind kind, enum event event, uint64_t count);
static inline void call_effect(struct call *call, uint32_t arg, enum effect_kind kind, enum event event,
                               uint64_t count) {
    if (effect_count(call->effects, stripe_of(call->hash[arg]), count))
        call_heard(call, arg, kind, event, count);
}

/* The key argv[arg] was changed; that it was created is said before. */
static inline void call_changed(struct call *call, uint32_t arg, enum event event) {
    call_effect(call, arg, EFFECT_CHANGED, event, 1);
}
/* The same for so many changes at once, as Redis counts them. */
static inline void call_changed_times(struct call *call, uint32_t arg, enum event event, uint64_t count) {
    call_effect(call, arg, EFFECT_CHANGED, event, count);
}
/* The key argv[arg] is a new one. Where another was replaced by it that counts as new too (RENAME, COPY). */
static inline void call_created(struct call *call, uint32_t arg) {
    call_effect(call, arg, EFFECT_CREATED, EVENT_NEW, 0);
}
/* The key argv[arg] of this database, which need not be the selected one, was changed, or is new there (MOVE, COPY). */
void call_changed_db(struct call *call, unsigned db, uint32_t arg, enum event event);
void call_created_db(struct call *call, unsigned db, uint32_t arg);
/* The key argv[arg] was deleted. (Where its time had come, its lookup has said so.) */
static inline void call_deleted(struct call *call, uint32_t arg) {
    call_effect(call, arg, EFFECT_DELETED, EVENT_DEL, 1);
}
/* It went with its last element, which was counted. */
static inline void call_emptied(struct call *call, uint32_t arg) {
    call_effect(call, arg, EFFECT_DELETED, EVENT_DEL, 0);
}
/* The key argv[arg] went elsewhere ("rename_from", "move_from"): its watchers feel it, but it is one change,
 * counted where it arrived. */
static inline void call_moved(struct call *call, uint32_t arg, enum event event) {
    call_effect(call, arg, EFFECT_MOVED, event, 0);
}
/* One more event of a key that was changed ("expire" after "set"): it is still one change. */
static inline void call_event(struct call *call, uint32_t arg, enum event event) {
    call_effect(call, arg, EFFECT_EVENT, event, 0);
}

/* What the journal gets of this call instead of the request itself: the same command with what the time, or anything else
 * that is not in the keyspace, has made of its arguments. To be called where something was changed, once for each command
 * that it takes; copies at once. Without it, the request is recorded as it came if it changed something. */
void call_log(struct call *call, const struct bytes *argv, uint32_t argc);
#define CALL_LOG(call, ...)                                                                                  \
    call_log(call, (const struct bytes[]){__VA_ARGS__},                                                      \
             sizeof((const struct bytes[]){__VA_ARGS__}) / sizeof(struct bytes))
/* That the key argv[arg] was deleted. */
void call_log_deleted(struct call *call, uint32_t arg);
/* That it was set to this value: its expiry is absolute milliseconds, EXPIRY_KEEP or EXPIRY_NONE. */
void call_log_set(struct call *call, uint32_t arg, struct bytes value, int64_t expiry_ms);
/* The request as it came, whether it changed something or not. */
void call_log_request(struct call *call);

/* A whole database is about to be emptied: said before it happens, for watched keys that exist now fail their
 * transactions. Each of its keys is a change. Needs CMD_ALL_STRIPES, as do the next two. */
void call_flushed(struct call *call, unsigned db);
/* Once for all databases that a command empties: clients that track are told. */
void call_emptied_databases(struct call *call);
/* Two databases are about to change places. Watched keys of theirs that have expired are deleted: under another
 * database's name they would be found later, and touch watchers to whom they never were there. */
void call_swapped(struct call *call, unsigned a, unsigned b);

/* ---- Looking keys up ------------------------------------------------------------------------------ */

/* Deletes what is due of an entry, the entry itself or some of the elements of its value, with its effects, unless
 * CLIENT PAUSE keeps the data as they are. Returns what is left, which may have moved: NULL where it is gone, or over.
 * Where very many elements are overdue some are left: they are not there for any command that looks. */
struct entry *call_expire(struct call *call, unsigned db, struct entry *e);

/* The lookup that all others are made of. NULL if the key is absent or expired; expired keys are deleted on the way. */
static inline struct entry *call_find(struct call *call, unsigned db, uint32_t arg) {
    assert(call_holds(call, stripe_index(call->hash[arg])));
    struct entry *e = keyspace_find(call_keyspace(call, arg), db, call_key(call, arg));
    if (__builtin_expect(!e || !entry_is_due(e, call->effects->now_ms), 1)) return e;
    return call_expire(call, db, e);
}

/* Notes an access to an entry (write commands do, as Redis, for what they found with call_peek), unless its client has asked
 * not to; of a new one, for which none was noted yet, in any case. The clock has one-second steps, so a second use within
 * the same second writes nothing and the cache line stays clean. */
static inline void call_touch(struct call *call, struct entry *e) {
    uint32_t clock = call->effects->access, before = entry_access(e);
    if (before != clock && (!(call->client->flags & CLIENT_NO_TOUCH) || before == 0))
        entry_set_access(e, clock);
}

/* The quick half of call_read, without a call: an entry that a short look finds, noted as read. NULL: nothing is
 * known, and nothing was done. */
static inline __attribute__((always_inline)) struct entry *call_glimpse(struct call *call, uint32_t arg) {
    bool absent;
    assert(call_holds(call, stripe_index(call->hash[arg])));
    struct entry *e = keyspace_glimpse(call_keyspace(call, arg), call->db, call_key(call, arg), &absent);
    if (__builtin_expect(!e || entry_is_due(e, call->effects->now_ms), 0)) return NULL;
    metric_add(&call->effects->metrics->keyspace_hits, 1);
    call_touch(call, e);
    return e;
}

/* A reader did not find the key argv[arg]: says so. */
void call_missed(struct call *call, uint32_t arg);

/* Looks a key up to read it: counts hits and misses, notes the access. NULL if absent or expired. */
static inline struct entry *call_read(struct call *call, uint32_t arg) {
    struct entry *e = call_find(call, call->db, arg);
    metric_add(e ? &call->effects->metrics->keyspace_hits : &call->effects->metrics->keyspace_misses, 1);
    if (e)
        call_touch(call, e);
    else
        call_missed(call, arg);
    return e;
}
/* The same of a key that is no argument: its stripe is held. */
struct entry *call_read_key(struct call *call, struct key key);
/* The same without counting or touching: TYPE, OBJECT, EXISTS-like questions that Redis leaves
 * untouched, and writers. */
struct entry *call_peek(struct call *call, uint32_t arg);
/* For who overwrites a key without looking: if its time has passed it goes first, with its effects. Where nothing of the
 * stripe can have expired, which is the usual case, that costs a comparison. */
static inline void call_clear(struct call *call, uint32_t arg) {
    if (__builtin_expect(keyspace_next_expiry(call_keyspace(call, arg)) <= call->effects->now_ms, 0))
        call_peek(call, arg);
}
/* For who may write: not counted, but an access, as in Redis, even if nothing comes of it. */
struct entry *call_claim(struct call *call, uint32_t arg);
/* In another database than the selected one (COPY, MOVE). */
struct entry *call_claim_db(struct call *call, unsigned db, uint32_t arg);

/* ---- Strings -------------------------------------------------------------------------------------- */

/* False after replying WRONGTYPE. e may be NULL: then true. */
void call_wrong_type(struct call *call);
static inline bool call_is_string_or_reply(struct call *call, const struct entry *e) {
    if (__builtin_expect(!e || entry_type(e) == TYPE_STRING, 1)) return true;
    call_wrong_type(call);
    return false;
}
/* Replies with the value: large ones are pinned and sent without copying. e NULL: a null. */
void call_reply_string(struct call *call, const struct entry *e);
/* Replies with a slice of what entry_string gives for e: a large part of a large value without copying. */
void call_reply_part(struct call *call, const struct entry *e, struct bytes part);
/* A bulk of these bytes, which lie in the block: sent from there. */
void call_reply_pinned(struct reply *reply, struct metrics *metrics, struct block *block, struct bytes bytes);
/* The memory of its own that a large argument may have, else NULL. */
static inline struct block *call_block(struct call *call, uint32_t arg) {
    if (__builtin_expect(call->arg_block_count == 0, 1)) return NULL;
    return block_find(call->arg_blocks, call->arg_block_count, call->argv[arg], &call->arg_block_next);
}
/* The value argument as keyspace_set wants it; the argument's own block is handed over where there is one. */
static inline struct value call_value(struct call *call, uint32_t arg) {
    struct block *block = call_block(call, arg);
    return __builtin_expect(!block, 1) ? value_of_bytes(call->argv[arg])
                                       : (struct value){.kind = VALUE_BLOCK, .block = block};
}

/* ---- Arguments ------------------------------------------------------------------------------------ */

/* False after replying "ERR value is not an integer or out of range". */
bool call_int_or_reply(struct call *call, uint32_t arg, int64_t *out) __attribute__((warn_unused_result));
/* The same with bounds, both inclusive; `error` (with its code) replaces the text when it is not NULL. */
struct call_range {
    int64_t min, max;
    const char *error;
};
bool call_int_range_or_reply(struct call *call, uint32_t arg, struct call_range range, int64_t *out)
    __attribute__((warn_unused_result));
/* A database number. False after replying "ERR DB index is out of range", or that it is no integer. */
bool call_database_or_reply(struct call *call, uint32_t arg, unsigned *db)
    __attribute__((warn_unused_result));
/* "ERR syntax error" */
void call_syntax_error(struct call *call);
/* "ERR Out of memory": an allocation failed; nothing was changed. */
void call_out_of_memory(struct call *call);

/* How an expiry argument reads. */
enum expiry_form {
    EXPIRY_SECONDS = 0,         /* EX: from now */
    EXPIRY_MILLISECONDS = 1,    /* PX: from now */
    EXPIRY_AT_SECONDS = 2,      /* EXAT */
    EXPIRY_AT_MILLISECONDS = 3, /* PXAT */
};
/* Turns an argument into absolute milliseconds. False after replying "ERR value is not an integer ..." or
 * "ERR invalid expire time in '<command>' command" (not positive where `positive` asks for it, or overflow). */
bool call_expiry_or_reply(struct call *call, uint32_t arg, enum expiry_form form, bool positive,
                          int64_t *at_ms) __attribute__((warn_unused_result));

#endif
