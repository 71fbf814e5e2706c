/* expire.c - when a key goes: EXPIRE and its kin, TTL and its kin, PERSIST. */
#include "server/commands/keys.h"

/* ---- EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT --------------------------------------------------------- */

enum condition { ONLY_WITHOUT = 1 << 0, ONLY_WITH = 1 << 1, ONLY_LATER = 1 << 2, ONLY_EARLIER = 1 << 3 };

static bool conditions_or_reply(struct call *call, unsigned *conditions) {
    *conditions = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        struct bytes option = call->argv[i];
        if (bytes_is(option, "nx"))
            *conditions |= ONLY_WITHOUT;
        else if (bytes_is(option, "xx"))
            *conditions |= ONLY_WITH;
        else if (bytes_is(option, "gt"))
            *conditions |= ONLY_LATER;
        else if (bytes_is(option, "lt"))
            *conditions |= ONLY_EARLIER;
        else {
            reply_errorf(call->reply, "ERR Unsupported option %.*s", reply_repeated(option), option.data);
            return false;
        }
    }
    if ((*conditions & ONLY_WITHOUT) && (*conditions & ~(unsigned)ONLY_WITHOUT)) {
        reply_error(call->reply, "ERR NX and XX, GT or LT options at the same time are not compatible");
        return false;
    }
    if ((*conditions & ONLY_LATER) && (*conditions & ONLY_EARLIER)) {
        reply_error(call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* A key without an expiry lives for ever: nothing is later than that, everything is earlier. */
static bool conditions_hold(unsigned conditions, int64_t current_ms, int64_t at_ms) {
    bool expires = current_ms != 0;
    if ((conditions & ONLY_WITHOUT) && expires) return false;
    if ((conditions & ONLY_WITH) && !expires) return false;
    if ((conditions & ONLY_LATER) && (!expires || at_ms <= current_ms)) return false;
    if ((conditions & ONLY_EARLIER) && expires && at_ms >= current_ms) return false;
    return true;
}

/* With its conditions, as Redis has it; that they hold is known. */
static void log_expiry(struct call *call, unsigned conditions, int64_t at_ms) {
    static const struct bytes words[] = {BYTES_INIT("NX"), BYTES_INIT("XX"), BYTES_INIT("GT"),
                                         BYTES_INIT("LT")};
    char digits[NUMBER_I64_MAX_LEN];
    struct bytes argv[7] = {BYTES("PEXPIREAT"), call->argv[1], {digits, number_format_i64(digits, at_ms)}};
    uint32_t argc = 3;
    for (unsigned i = 0; i < 4; i++)
        if (conditions >> i & 1) argv[argc++] = words[i];
    call_log(call, argv, argc);
}

static void expire_generic(struct call *call, enum expiry_form form) {
    unsigned conditions;
    int64_t at_ms;
    if (!conditions_or_reply(call, &conditions) || !call_expiry_or_reply(call, 2, form, false, &at_ms))
        return;
    struct entry *e = call_claim(call, 1);
    if (!e || !conditions_hold(conditions, entry_expiry(e), at_ms)) {
        reply_int(call->reply, 0);
        return;
    }
    if (at_ms <= call->effects->now_ms) {
        keyspace_delete_entry(call_keyspace(call, 1), call->db, call_key(call, 1), e);
        call_deleted(call, 1);
        call_log_deleted(call, 1);
    } else {
        if (!keyspace_set_expiry(call_keyspace(call, 1), call->db, e, at_ms)) {
            call_out_of_memory(call);
            return;
        }
        call_changed(call, 1, EVENT_EXPIRE);
        if (form != EXPIRY_AT_MILLISECONDS) log_expiry(call, conditions, at_ms);
    }
    reply_int(call->reply, 1);
}

/* What the rows of these four say; their syntax ends in CONDITIONS. */
#define EXPIRING                                                                                             \
    .flags = CMD_WRITE | CMD_FAST, .keys = {KEY(1, KEY_RW | KEY_UPDATE)}, .group = GROUP_GENERIC,            \
    .complexity = "O(1)", .acl = "keyspace", .history = "7.0.0: Added options: `NX`, `XX`, `GT` and `LT`."
#define CONDITIONS "[condition:( NX | XX | GT | LT )@7.0.0]"

static void expire(struct call *call) {
    expire_generic(call, EXPIRY_SECONDS);
}
COMMAND(expire) = {.name = "expire",
                   .arity = -3,
                   EXPIRING,
                   .run = expire,
                   .since = "1.0.0",
                   .summary = "Set a key's time to live in seconds",
                   .syntax = "<key:key> <seconds:integer> " CONDITIONS};

static void pexpire(struct call *call) {
    expire_generic(call, EXPIRY_MILLISECONDS);
}
COMMAND(pexpire) = {.name = "pexpire",
                    .arity = -3,
                    EXPIRING,
                    .run = pexpire,
                    .since = "2.6.0",
                    .summary = "Set a key's time to live in milliseconds",
                    .syntax = "<key:key> <milliseconds:integer> " CONDITIONS};

static void expireat(struct call *call) {
    expire_generic(call, EXPIRY_AT_SECONDS);
}
COMMAND(expireat) = {.name = "expireat",
                     .arity = -3,
                     EXPIRING,
                     .run = expireat,
                     .since = "1.2.0",
                     .summary = "Set the expiration for a key as a UNIX timestamp",
                     .syntax = "<key:key> <unix-time-seconds:unix-time> " CONDITIONS};

static void pexpireat(struct call *call) {
    expire_generic(call, EXPIRY_AT_MILLISECONDS);
}
COMMAND(pexpireat) = {.name = "pexpireat",
                      .arity = -3,
                      EXPIRING,
                      .run = pexpireat,
                      .since = "2.6.0",
                      .summary = "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
                      .syntax = "<key:key> <unix-time-milliseconds:unix-time> " CONDITIONS};

static void persist(struct call *call) {
    struct entry *e = call_claim(call, 1);
    if (!e || !entry_expiry(e)) {
        reply_int(call->reply, 0);
        return;
    }
    if (!keyspace_set_expiry(call_keyspace(call, 1), call->db, e, EXPIRY_NONE)) {
        call_out_of_memory(call);
        return;
    }
    call_changed(call, 1, EVENT_PERSIST);
    reply_int(call->reply, 1);
}
COMMAND(persist) = {.name = "persist",
                    .arity = 2,
                    .flags = CMD_WRITE | CMD_FAST,
                    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
                    .run = persist,
                    .group = GROUP_GENERIC,
                    .since = "2.2.0",
                    .complexity = "O(1)",
                    .summary = "Remove the expiration from a key",
                    .acl = "keyspace",
                    .syntax = "<key:key>"};

/* ---- TTL, PTTL, EXPIRETIME, PEXPIRETIME ----------------------------------------------------------- */

/* What the rows of these four say. */
#define ASKING                                                                                               \
    .flags = CMD_READONLY | CMD_FAST, .keys = {KEY(1, KEY_RO | KEY_ACCESS)}, .group = GROUP_GENERIC,         \
    .complexity = "O(1)", .acl = "keyspace"

enum { REPLY_NO_KEY = -2, REPLY_NO_EXPIRY = -1 };

/* Seconds are rounded to the nearest. */
static void expiry_generic(struct call *call, int64_t from_ms, bool seconds) {
    struct entry *e = keys_question(call, 1);
    if (!e) {
        reply_int(call->reply, REPLY_NO_KEY);
        return;
    }
    int64_t at_ms = entry_expiry(e);
    if (!at_ms) {
        reply_int(call->reply, REPLY_NO_EXPIRY);
        return;
    }
    uint64_t ms = (uint64_t)(at_ms - from_ms); /* positive: the key has not expired */
    reply_int(call->reply, (int64_t)(seconds ? (ms + 500) / 1000 : ms));
}

static void ttl(struct call *call) {
    expiry_generic(call, call->effects->now_ms, true);
}
COMMAND(ttl) = {.name = "ttl",
                .arity = 2,
                ASKING,
                .run = ttl,
                .since = "1.0.0",
                .summary = "Get the time to live for a key in seconds",
                .tips = "nondeterministic_output",
                .history = "2.8.0: Added the -2 reply.",
                .syntax = "<key:key>"};

static void pttl(struct call *call) {
    expiry_generic(call, call->effects->now_ms, false);
}
COMMAND(pttl) = {.name = "pttl",
                 .arity = 2,
                 ASKING,
                 .run = pttl,
                 .since = "2.6.0",
                 .summary = "Get the time to live for a key in milliseconds",
                 .tips = "nondeterministic_output",
                 .history = "2.8.0: Added the -2 reply.",
                 .syntax = "<key:key>"};

static void expiretime(struct call *call) {
    expiry_generic(call, 0, true);
}
COMMAND(expiretime) = {.name = "expiretime",
                       .arity = 2,
                       ASKING,
                       .run = expiretime,
                       .since = "7.0.0",
                       .summary = "Get the expiration Unix timestamp for a key",
                       .syntax = "<key:key>"};

static void pexpiretime(struct call *call) {
    expiry_generic(call, 0, false);
}
COMMAND(pexpiretime) = {.name = "pexpiretime",
                        .arity = 2,
                        ASKING,
                        .run = pexpiretime,
                        .since = "7.0.0",
                        .summary = "Get the expiration Unix timestamp for a key in milliseconds",
                        .syntax = "<key:key>"};
