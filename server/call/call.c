/* call.c - what handlers have in common. */
#include "server/call/call.h"

#include <assert.h>
#include <limits.h>

#include "server/clients/client.h"
#include "server/config/config.h"
#include "server/stripes/tracking.h"
#include "server/stripes/watch.h"

/* ---- Stripes -------------------------------------------------------------------------------------- */

void call_walk(struct call *call, unsigned stripe) {
    assert(stripe < stripes.count);
    assert(call->command->flags & CMD_MORE_STRIPES && call->command->flags & CMD_READONLY);
    if (call_holds(call, stripe)) return;
    assert(
        !call->held); /* a walk holds one; a transaction and a second run hold every stripe that is walked to */
    if (call->stripe != STRIPE_NONE) {
        if (journal_holds()) effects_show_stripe(call->effects, &stripes.all[call->stripe]);
        call_leave(call, &stripes.all[call->stripe]);
    }
    call->stripe = stripe;
    stripe_lock(&stripes.all[stripe]);
}

bool call_want(struct call *call, const struct stripe_set *more) {
    assert(call->command->flags & CMD_MORE_STRIPES);
    if (call->held && stripe_set_within(more, call->held)) return true;
    assert(!call->effects->journal || !call->logged); /* and dispatch asserts that it has changed nothing */
    stripe_set_join(call->want, more);
    call->again = true;
    return false;
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

bool call_wait(struct call *call, const struct wait *wait) {
    assert(call->command->flags & CMD_BLOCKING || !(call->command->flags & (CMD_FAST | CMD_BOUNDED)));
    assert(!call->waits);
    assert(!wait->over != !wait->ended && (wait->serve || wait->key_count == 0) && wait->timeout_ms >= 0);
    if (!call->wait) return false;
    *call->wait = *wait;
    call->waits = true;
    return true;
}

/* A span that is too long for its type has become negative in Redis's hands. */
bool call_timeout_or_reply(struct call *call, uint32_t arg, int64_t *timeout_ms) {
    long double seconds;
    if (!number_parse_long_double(call->argv[arg], &seconds)) {
        reply_error(call->reply, "ERR timeout is not a float or out of range");
        return false;
    }
    long double ms = seconds * 1000;
    if (ms <= -1 || ms >= 0x1p63L) {
        reply_error(call->reply, "ERR timeout is negative");
        return false;
    }
    *timeout_ms = (int64_t)ms; /* cut towards 0 */
    if ((long double)*timeout_ms < ms) (*timeout_ms)++;
    return true;
}

bool call_timeout_ms_or_reply(struct call *call, uint32_t arg, int64_t *timeout_ms) {
    struct call_range any = {INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range"};
    if (!call_int_range_or_reply(call, arg, any, timeout_ms)) return false;
    if (*timeout_ms >= 0) return true;
    reply_error(call->reply, "ERR timeout is negative");
    return false;
}

/* ---- Keys ----------------------------------------------------------------------------------------- */

enum { EXPIRED_AT_ONCE = 64 }; /* elements of a value that a lookup deletes; upkeep deletes the others */

/* Whose keys a lookup finds due. */
struct looking {
    struct effects *effects;
    struct stripe *stripe;
};

static void expired(void *context, const struct expired *what) {
    const struct looking *looking = context;
    effect_expired(looking->effects, looking->stripe, what);
}

struct entry *call_expire(struct call *call, unsigned db, struct entry *e) {
    struct key key = {entry_key(e), hash_bytes(&stripes.seed, entry_key(e))};
    struct stripe *stripe = stripe_of(key.hash);
    struct looking looking = {call->effects, stripe};
    int64_t now_ms = call->effects->now_ms;
    bool kept = call->effects->keeps_expired || (call->effects->walks && stripe->ears & EAR_WAITERS);
    if (kept) return keyspace_is_over(e, now_ms) ? NULL : e;
    if (!entry_expired(e, now_ms)) {
        struct expiry_round round = {
            .now_ms = now_ms, .budget = EXPIRED_AT_ONCE, .expired = expired, .context = &looking};
        return keyspace_expire_elements(stripe->keyspace, db, e, &round);
    }
    expired(&looking, &(struct expired){.kind = EXPIRED_KEY, .db = db, .entry = e});
    keyspace_delete_entry(stripe->keyspace, db, key, e);
    return NULL;
}

void call_missed(struct call *call, uint32_t arg) {
    call_effect(call, arg, EFFECT_MISSED, EVENT_KEYMISS, 0);
}

struct entry *call_read_key(struct call *call, struct key key) {
    struct stripe *stripe = stripe_of(key.hash);
    assert(call_holds(call, stripe_index(key.hash)));
    struct entry *e = keyspace_find(stripe->keyspace, call->db, key);
    if (e && entry_expired(e, call->effects->now_ms)) {
        call_expire(call, call->db, e);
        e = NULL;
    }
    metric_add(e ? &call->effects->metrics->keyspace_hits : &call->effects->metrics->keyspace_misses, 1);
    if (e) {
        call_touch(call, e);
    } else {
        struct effect missed = {.kind = EFFECT_MISSED, .event = EVENT_KEYMISS, .db = call->db, .key = key};
        effect(call->effects, stripe, &missed);
    }
    return e;
}

struct entry *call_peek(struct call *call, uint32_t arg) {
    return call_find(call, call->db, arg);
}

struct entry *call_claim_db(struct call *call, unsigned db, uint32_t arg) {
    struct entry *e = call_find(call, db, arg);
    if (e) call_touch(call, e);
    return e;
}

struct entry *call_claim(struct call *call, uint32_t arg) {
    struct entry *e = call_find(call, call->db, arg);
    if (e) call_touch(call, e);
    return e;
}

/* ---- Strings -------------------------------------------------------------------------------------- */

void call_wrong_type(struct call *call) {
    reply_error(call->reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
}

__attribute__((noinline)) void call_reply_pinned(struct reply *reply, struct metrics *metrics,
                                                 struct block *block, struct bytes bytes) {
    reply_bulk_header(reply, bytes.len);
    if (!reply->failed && !reply->sink->attach(reply, bytes, block_retain(block))) reply->failed = true;
    reply_literal(reply, "\r\n");
    metric_add(&metrics->ring_pinned_sends, 1);
}

void call_reply_string(struct call *call, const struct entry *e) {
    char scratch[NUMBER_I64_MAX_LEN];
    if (!e) {
        reply_null(call->reply);
        return;
    }
    if (__builtin_expect(e->kind == VALUE_INLINE, 1)) {
        reply_bulk(call->reply, (struct bytes){entry_value_at(e), e->value_len});
        return;
    }
    struct block *block = entry_block(e);
    if (block && block->len >= PIN_MIN)
        call_reply_pinned(call->reply, call->effects->metrics, block, block_bytes(block));
    else
        reply_bulk(call->reply, entry_string(e, scratch));
}

void call_reply_part(struct call *call, const struct entry *e, struct bytes part) {
    struct block *block = entry_block(e);
    if (block && part.len >= PIN_MIN && part.len >= block->len / PIN_PART)
        call_reply_pinned(call->reply, call->effects->metrics, block, part);
    else
        reply_bulk(call->reply, part);
}

/* ---- Arguments ------------------------------------------------------------------------------------ */

void call_syntax_error(struct call *call) {
    reply_error(call->reply, "ERR syntax error");
}

void call_out_of_memory(struct call *call) {
    call->effects->starved = true;
    reply_error(call->reply, "ERR Out of memory");
}

bool call_int_or_reply(struct call *call, uint32_t arg, int64_t *out) {
    if (number_parse_i64(call->argv[arg], out)) return true;
    reply_error(call->reply, "ERR value is not an integer or out of range");
    return false;
}

bool call_int_range_or_reply(struct call *call, uint32_t arg, struct call_range range, int64_t *out) {
    if (number_parse_i64(call->argv[arg], out) && *out >= range.min && *out <= range.max) return true;
    reply_error(call->reply, range.error ? range.error : "ERR value is not an integer or out of range");
    return false;
}

bool call_database_or_reply(struct call *call, uint32_t arg, unsigned *db) {
    int64_t number;
    if (!call_int_or_reply(call, arg, &number)) return false;
    bool is_int = number >= INT_MIN && number <= INT_MAX;
    if (is_int && number >= 0 && number < config.databases) {
        *db = (unsigned)number;
        return true;
    }
    reply_error(call->reply,
                is_int ? "ERR DB index is out of range"
                       : "ERR value is out of range, value must between -2147483648 and 2147483647");
    return false;
}

static bool expiry_of(const struct call *call, enum expiry_form form, int64_t value, int64_t *at_ms) {
    bool seconds = form == EXPIRY_SECONDS || form == EXPIRY_AT_SECONDS;
    if (seconds && __builtin_mul_overflow(value, 1000, &value)) return false;
    if ((form == EXPIRY_SECONDS || form == EXPIRY_MILLISECONDS) &&
        __builtin_add_overflow(value, call_clock_ms(call), &value))
        return false;
    *at_ms = value;
    return true;
}

bool call_expiry_or_reply(struct call *call, uint32_t arg, enum expiry_form form, bool positive,
                          int64_t *at_ms) {
    int64_t value;
    if (!call_int_or_reply(call, arg, &value)) return false;
    if ((value > 0 || !positive) && expiry_of(call, form, value, at_ms)) return true;
    char name[64];
    size_t len = command_full_name(call->command, name);
    reply_errorf(call->reply, "ERR invalid expire time in '%.*s' command", (int)len, name);
    return false;
}

/* ---- Effects -------------------------------------------------------------------------------------- */

void call_heard(struct call *call, uint32_t arg, enum effect_kind kind, enum event event, uint64_t count) {
    if (stripe_of(call->hash[arg])->ears == EAR_JOURNAL && !journal_holds()) {
        call->effects->recorded += count; /* nobody else listens, and it wants to know no more */
        return;
    }
    struct effect e = {
        .kind = kind, .event = event, .db = call->db, .key = call_key(call, arg), .count = count};
    effect_heard(call->effects, stripe_of(e.key.hash), &e);
}

void call_changed_db(struct call *call, unsigned db, uint32_t arg, enum event event) {
    struct effect e = {
        .kind = EFFECT_CHANGED, .event = event, .db = db, .key = call_key(call, arg), .count = 1};
    effect(call->effects, stripe_of(e.key.hash), &e);
}

void call_created_db(struct call *call, unsigned db, uint32_t arg) {
    struct effect e = {.kind = EFFECT_CREATED, .event = EVENT_NEW, .db = db, .key = call_key(call, arg)};
    effect(call->effects, stripe_of(e.key.hash), &e);
}

/* ---- The journal ---------------------------------------------------------------------------------- */

static unsigned any_held(const struct call *call) {
    for (unsigned i = 0; call->held && i < MAX_STRIPES / 64; i++)
        if (call->held->words[i]) return i * 64 + (unsigned)__builtin_ctzll(call->held->words[i]);
    return STRIPE_NONE;
}

/* Is what it changes recorded? Journals listen to all stripes or to none. */
static inline bool is_recorded(const struct call *call) {
    if (!call->effects->journal) return false;
    unsigned held = call->stripe != STRIPE_NONE ? call->stripe : any_held(call);
    return held != STRIPE_NONE && stripes.all[held].ears & EAR_JOURNAL;
}

void call_log(struct call *call, const struct bytes *argv, uint32_t argc) {
    struct record_command command = {argv, argc, call->arg_blocks, call->arg_block_count};
    if (!is_recorded(call)) return;
    assert(!call->again);
    queue_add(call->effects->journal, call->db, &command);
    call->logged = true;
}

void call_log_deleted(struct call *call, uint32_t arg) {
    CALL_LOG(call, BYTES("DEL"), call->argv[arg]);
}

void call_log_set(struct call *call, uint32_t arg, struct bytes value, int64_t expiry_ms) {
    char digits[NUMBER_I64_MAX_LEN];
    struct bytes key = call->argv[arg];
    if (expiry_ms == EXPIRY_NONE)
        CALL_LOG(call, BYTES("SET"), key, value);
    else if (expiry_ms == EXPIRY_KEEP)
        CALL_LOG(call, BYTES("SET"), key, value, BYTES("KEEPTTL"));
    else
        CALL_LOG(call, BYTES("SET"), key, value, BYTES("PXAT"),
                 (struct bytes){digits, number_format_i64(digits, expiry_ms)});
}

static inline bool is_line_end(const char *at) {
    return memcmp(at, "\r\n", 2) == 0;
}

/* Has this number so many digits? Up to eight: who has longer ones is recorded anew. */
static inline bool has_digits(size_t number, size_t count) {
    static const uint64_t least[] = {0, 0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    return count - 1 < 8 && number >= least[count] && number < least[count + 1];
}

/* Did it come as RESP in its one canonical form? Where an argument is a block, its bytes are not there. What stands where a
 * request's lines should end is never looked at (protocol/request.c), but a file that has it cannot be loaded. */
static inline bool is_canonical(const struct call *call) {
    struct bytes raw = call->raw;
    if (raw.len == 0 || raw.data[0] != '*' || call->arg_block_count) return false;
    const struct bytes *arg = call->argv, *end = call->argv + call->argc;
    const char *at = raw.data + 2; /* where a line is to end */
    for (uint32_t argc = call->argc; argc > 9; argc /= 10) at++;
    assert(at + 2 < raw.data + raw.len);
    for (; arg < end; arg++) {
        if (!is_line_end(at) || !has_digits(arg->len, (size_t)(arg->data - at) - 5) ||
            !is_line_end(arg->data - 2))
            return false;
        at = arg->data + arg->len;
    }
    return is_line_end(at) && at + 2 == raw.data + raw.len;
}

static __attribute__((noinline)) void log_anew(struct call *call) {
    struct record_command command = {call->argv, call->argc, call->arg_blocks, call->arg_block_count};
    queue_add(call->effects->journal, call->db, &command);
}

void call_log_request(struct call *call) {
    if (!is_recorded(call)) return;
    call->logged = true;
    if (is_canonical(call))
        queue_add_text(call->effects->journal, call->db, call->raw);
    else
        log_anew(call);
}

/* ---- Whole databases ------------------------------------------------------------------------------ */

void call_flushed(struct call *call, unsigned db) {
    for (unsigned i = 0; i < stripes.count; i++) {
        struct stripe *stripe = &stripes.all[i];
        struct effect flushed = {
            .kind = EFFECT_FLUSHED, .db = db, .count = keyspace_count(stripe->keyspace, db)};
        effect(call->effects, stripe, &flushed);
    }
}

void call_emptied_databases(struct call *call) {
    effects_claim(call->effects);
    for (unsigned i = 0; i < stripes.count; i++) tracking_clear(&stripes.all[i]);
    if (call->effects->replay_ms) return; /* nobody is told of what a file does */
    invalidation_all(&call->effects->tracking);
}

struct swap {
    struct call *call;
    unsigned a, b;
};

static void expire_in(struct call *call, unsigned db, struct key key) {
    struct entry *e = keyspace_find(stripe_of(key.hash)->keyspace, db, key);
    if (e && entry_is_due(e, call->effects->now_ms)) call_expire(call, db, e);
}

static void expire_watched(void *context, unsigned db, struct key key) {
    const struct swap *swap = context;
    if (db != swap->a && db != swap->b) return;
    expire_in(swap->call, swap->a, key);
    expire_in(swap->call, swap->b, key);
}

void call_swapped(struct call *call, unsigned a, unsigned b) {
    struct swap swap = {call, a, b};
    for (unsigned i = 0; i < stripes.count; i++) {
        struct stripe *stripe = &stripes.all[i];
        struct effect swapped = {.kind = EFFECT_SWAPPED, .db = a, .other_db = b, .count = i == 0};
        if (a != b) watch_each(stripe, expire_watched, &swap);
        effect(call->effects, stripe, &swapped);
    }
}
