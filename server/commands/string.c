/* string.c - GET, SET and their kin: whole string values, and parts of them.
 *
 * SET with a key and a value, GET, MSET and MGET are what a cache does all day: each is a straight line from
 * the argument to the keyspace. Options are parsed only where there are any. Counters are in counter.c, bits
 * in bitmap.c and bitfield.c, the longest common subsequence in lcs.c. */
#include "server/commands/string.h"

#include "protocol/xxh3.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/exec/slowlog.h"

/* ---- Expiry options ------------------------------------------------------------------------------- */

_Static_assert((int)STRING_EXPIRY_EX - 1 == (int)EXPIRY_SECONDS &&
                   (int)STRING_EXPIRY_PX - 1 == (int)EXPIRY_MILLISECONDS,
               "a kind with a time is its form, plus one");
_Static_assert((int)STRING_EXPIRY_EXAT - 1 == (int)EXPIRY_AT_SECONDS &&
                   (int)STRING_EXPIRY_PXAT - 1 == (int)EXPIRY_AT_MILLISECONDS,
               "a kind with a time is its form, plus one");

static const struct bytes expiry_tokens[] = {
    [STRING_EXPIRY_EX] = BYTES_INIT("EX"),           [STRING_EXPIRY_PX] = BYTES_INIT("PX"),
    [STRING_EXPIRY_EXAT] = BYTES_INIT("EXAT"),       [STRING_EXPIRY_PXAT] = BYTES_INIT("PXAT"),
    [STRING_EXPIRY_KEEPTTL] = BYTES_INIT("KEEPTTL"), [STRING_EXPIRY_PERSIST] = BYTES_INIT("PERSIST"),
};

bool string_expiry_option(const struct call *call, uint32_t *arg, enum string_expiry_kind also,
                          struct string_expiry *expiry) {
    enum string_expiry_kind kind = STRING_EXPIRY_EX;
    while (kind <= STRING_EXPIRY_PERSIST && !bytes_equal_nocase(call->argv[*arg], expiry_tokens[kind]))
        kind++;
    if (kind > STRING_EXPIRY_PERSIST) return false;
    if (expiry->kind != STRING_EXPIRY_ABSENT && expiry->kind != kind)
        return false; /* one and the same may repeat */
    if (kind >= STRING_EXPIRY_KEEPTTL) {
        if (kind != also) return false;
    } else {
        if (*arg + 1 == call->argc) return false;
        expiry->arg = ++*arg;
    }
    expiry->kind = kind;
    return true;
}

bool string_expiry_or_reply(struct call *call, const struct string_expiry *expiry, int64_t *expiry_ms) {
    *expiry_ms = expiry->kind == STRING_EXPIRY_KEEPTTL ? EXPIRY_KEEP : EXPIRY_NONE;
    if (!string_expiry_has_time(expiry)) return true;
    return call_expiry_or_reply(call, expiry->arg, (enum expiry_form)(expiry->kind - 1), true, expiry_ms);
}

/* ---- Values --------------------------------------------------------------------------------------- */

/* Sets the key argv[key] to argv[value], whatever it holds, and reports `event`. NULL after replying that
 * memory ran out. */
static struct entry *store_or_reply(struct call *call, uint32_t key, uint32_t value, int64_t expiry_ms,
                                    enum event event) {
    struct value v = call_value(call, value);
    struct keyspace *ks = call_keyspace(call, key);
    call_clear(call, key);
    uint64_t count = keyspace_count(ks, call->db);
    struct entry *e = keyspace_set(ks, call->db, call_key(call, key), &v, expiry_ms);
    if (!e) {
        call_out_of_memory(call);
        return NULL;
    }
    call_touch(call, e);
    if (keyspace_count(ks, call->db) != count) call_created(call, key);
    call_changed(call, key, event);
    return e;
}

/* Does the value of e equal these bytes? e is a string. */
static bool equals(const struct entry *e, struct bytes bytes) {
    char scratch[NUMBER_I64_MAX_LEN];
    return bytes_equal(entry_string(e, scratch), bytes);
}

/* What DIGEST shows of a string. */
enum { DIGEST_LEN = 16 };
static void digest_of(const struct entry *e, char digits[DIGEST_LEN]) {
    char scratch[NUMBER_I64_MAX_LEN];
    uint64_t hash = xxh3(entry_string(e, scratch));
    for (unsigned i = 0; i < DIGEST_LEN; i++) digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
}
static bool has_digest(const struct entry *e, struct bytes digest) {
    char digits[DIGEST_LEN];
    digest_of(e, digits);
    return bytes_equal_nocase(digest, (struct bytes){digits, DIGEST_LEN});
}

/* May a string grow to offset + more bytes? False after replying that it passes proto-max-bulk-len. */
static bool length_or_reply(struct call *call, uint64_t offset, uint64_t more) {
    uint64_t total, max = (uint64_t)config.proto_max_bulk_len;
    if (!__builtin_add_overflow(offset, more, &total) && total <= max) return true;
    reply_error(call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

char *string_edit_or_reply(struct call *call, uint32_t key, struct entry **e, size_t len) {
    struct edit edit = {
        .keyspace = call_keyspace(call, key), .db = call->db, .key = call_key(call, key), .entry = *e};
    char *data = edit_open(&edit, true) == EDIT_OPENED ? edit_room(&edit, len) : NULL;
    if (!data) {
        if (edit.entry) edit_close(&edit);
        call_out_of_memory(call);
        return NULL;
    }
    *e = edit.entry;
    call_touch(call, *e);
    if (edit.created) call_created(call, key);
    return data; /* an empty string is one, too: there is nothing to close */
}

bool string_range(int64_t *start, int64_t *end, int64_t len) {
    if (*start < 0) *start += len;
    if (*end < 0) *end += len;
    if (*start < 0) *start = 0;
    if (*end < 0) *end = 0;
    if (*end >= len) *end = len - 1;
    return *start <= *end;
}

static void delete_found(struct call *call, uint32_t key, struct entry *e) {
    keyspace_delete_entry(call_keyspace(call, key), call->db, call_key(call, key), e);
    call_deleted(call, key);
    call_log_deleted(call, key);
}

/* The old value has been sent and the new one finds no memory: there is no second reply to say so with, and
 * silence would be a lie. The connection is closed instead. */
static void fail_after_reply(struct call *call) {
    call->reply->failed = true;
    call->reply->end = call->reply->at;
}

/* ---- GET ------------------------------------------------------------------------------------------ */

static __attribute__((noinline)) void get_any(struct call *call) {
    struct entry *e = call_read(call, 1);
    if (call_is_string_or_reply(call, e)) call_reply_string(call, e);
}
static void get(struct call *call) {
    struct entry *e = call_glimpse(call, 1);
    if (__builtin_expect(!e, 0))
        get_any(call);
    else if (__builtin_expect(entry_is_short_string(e), 1))
        reply_bulk(call->reply, (struct bytes){entry_value_at(e), e->value_len});
    else if (call_is_string_or_reply(call, e))
        call_reply_string(call, e);
}
COMMAND(get) = {.name = "get",
                .arity = 2,
                .flags = CMD_READONLY | CMD_FAST,
                .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                .run = get,
                .group = GROUP_STRING,
                .since = "1.0.0",
                .complexity = "O(1)",
                .summary = "Get the value of a key",
                .syntax = "<key:key>"};

static void mget(struct call *call) {
    reply_array(call->reply, call->argc - 1);
    for (uint32_t i = 1; i < call->argc; i++) {
        struct entry *e = call_read(call, i);
        if (e && entry_type(e) == TYPE_STRING)
            call_reply_string(call, e);
        else
            reply_null(call->reply);
    }
}
COMMAND(mget) = {.name = "mget",
                 .arity = -2,
                 .flags = CMD_READONLY | CMD_FAST,
                 .keys = {KEYS(1, -1, 1, KEY_RO | KEY_ACCESS)},
                 .run = mget,
                 .group = GROUP_STRING,
                 .since = "1.0.0",
                 .complexity = "O(N) where N is the number of keys to retrieve.",
                 .summary = "Get the values of all the given keys",
                 .tips = "request_policy:multi_shard",
                 .syntax = "<key:key>..."};

static void getdel(struct call *call) {
    struct entry *e = call_read(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    call_reply_string(call, e);
    if (e) delete_found(call, 1, e);
}
COMMAND(getdel) = {.name = "getdel",
                   .arity = 2,
                   .flags = CMD_WRITE | CMD_FAST,
                   .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
                   .run = getdel,
                   .group = GROUP_STRING,
                   .since = "6.2.0",
                   .complexity = "O(1)",
                   .summary = "Get the value of a key and delete the key",
                   .syntax = "<key:key>"};

static void log_getex(struct call *call, bool persist, int64_t at_ms) {
    char digits[NUMBER_I64_MAX_LEN];
    if (persist)
        CALL_LOG(call, BYTES("PERSIST"), call->argv[1]);
    else
        CALL_LOG(call, BYTES("PEXPIREAT"), call->argv[1],
                 (struct bytes){digits, number_format_i64(digits, at_ms)});
}

/* Applies GETEX's option to a string. The entry, wherever it is now, or NULL after replying that memory ran out. */
static struct entry *getex_apply(struct call *call, struct entry *e, const struct string_expiry *option,
                                 int64_t at_ms) {
    bool persist = option->kind == STRING_EXPIRY_PERSIST && entry_expiry(e) != 0;
    if (!persist && !string_expiry_has_time(option)) return e;
    e = keyspace_set_expiry(call_keyspace(call, 1), call->db, e, at_ms);
    if (!e) {
        call_out_of_memory(call);
        return NULL;
    }
    call_changed(call, 1, persist ? EVENT_PERSIST : EVENT_EXPIRE);
    log_getex(call, persist, at_ms);
    return e;
}

static void getex(struct call *call) {
    struct string_expiry option = {0};
    int64_t at_ms;
    for (uint32_t i = 2; i < call->argc; i++)
        if (!string_expiry_option(call, &i, STRING_EXPIRY_PERSIST, &option)) {
            call_syntax_error(call);
            return;
        }
    struct entry *e = call_read(call, 1);
    if (!e || !call_is_string_or_reply(call, e)) {
        if (!e) reply_null(call->reply);
        return;
    }
    if (!string_expiry_or_reply(call, &option, &at_ms)) return;
    bool past = string_expiry_has_time(&option) && at_ms <= call->effects->now_ms;
    if (!past) e = getex_apply(call, e, &option, at_ms);
    if (e) call_reply_string(call, e);
    if (past) delete_found(call, 1, e);
}
COMMAND(getex) = {
    .name = "getex",
    .arity = -2,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE,
              .first = 1,
              .last = 1,
              .step = 1,
              .note = "RW and UPDATE because it changes the TTL"}},
    .run = getex,
    .group = GROUP_STRING,
    .since = "6.2.0",
    .complexity = "O(1)",
    .summary = "Get the value of a key and optionally set its expiration",
    .syntax = "<key:key> [expiration:( {EX <seconds:integer>} | {PX <milliseconds:integer>} | "
              "{EXAT <unix-time-seconds:unix-time>} | {PXAT <unix-time-milliseconds:unix-time>} | "
              "PERSIST )]"};

static void getset(struct call *call) {
    struct entry *e = call_read(call, 1);
    struct value value = call_value(call, 2);
    if (!call_is_string_or_reply(call, e)) return;
    bool creates = !e;
    call_reply_string(call, e);
    e = keyspace_set(call_keyspace(call, 1), call->db, call_key(call, 1), &value, EXPIRY_NONE);
    if (!e) {
        fail_after_reply(call);
        return;
    }
    call_touch(call, e);
    if (creates) call_created(call, 1);
    call_changed(call, 1, EVENT_SET);
    call_log_set(call, 1, call->argv[2], EXPIRY_NONE);
}
COMMAND(getset) = {.name = "getset",
                   .arity = 3,
                   .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
                   .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)},
                   .run = getset,
                   .group = GROUP_STRING,
                   .since = "1.0.0",
                   .deprecated_since = "6.2.0",
                   .replaced_by = "`SET` with the `!GET` argument",
                   .complexity = "O(1)",
                   .summary = "Set the string value of a key and return its old value",
                   .syntax = "<key:key> <value>"};

/* ---- SET ------------------------------------------------------------------------------------------ */

enum set_condition { SET_ALWAYS, SET_NX, SET_XX, SET_IFEQ, SET_IFNE, SET_IFDEQ, SET_IFDNE };

struct set_options {
    enum set_condition condition;
    uint32_t comparison; /* argument number of what IFEQ and its kin compare with */
    bool get;
    struct string_expiry expiry;
};

/* A second condition contradicts the first, unless it is the same. */
static bool take_condition(struct set_options *options, enum set_condition condition) {
    if (options->condition != SET_ALWAYS && options->condition != condition) return false;
    options->condition = condition;
    return true;
}

/* SET_ALWAYS: the word is no comparison. */
static enum set_condition comparison_of(struct bytes word) {
    if (bytes_is(word, "IFEQ")) return SET_IFEQ;
    if (bytes_is(word, "IFNE")) return SET_IFNE;
    if (bytes_is(word, "IFDEQ")) return SET_IFDEQ;
    return bytes_is(word, "IFDNE") ? SET_IFDNE : SET_ALWAYS;
}

static bool set_option(const struct call *call, uint32_t *arg, struct set_options *options) {
    struct bytes word = call->argv[*arg];
    enum set_condition comparison = comparison_of(word);
    if (bytes_is(word, "NX")) return take_condition(options, SET_NX);
    if (bytes_is(word, "XX")) return take_condition(options, SET_XX);
    if (bytes_is(word, "GET")) {
        options->get = true;
        return true;
    }
    if (*arg + 1 < call->argc && comparison != SET_ALWAYS) {
        options->comparison = ++*arg;
        return take_condition(options, comparison);
    }
    return string_expiry_option(call, arg, STRING_EXPIRY_KEEPTTL, &options->expiry);
}

/* A comparison by digest needs sixteen characters, whichever they are, where there is a value. False after replying. */
static bool digest_or_reply(struct call *call, const struct entry *e, enum set_condition condition,
                            uint32_t comparison) {
    if (!e || condition < SET_IFDEQ || call->argv[comparison].len == DIGEST_LEN) return true;
    reply_error(call->reply, "ERR must be exactly 16 hexadecimal characters");
    return false;
}

/* e, the entry that is there or NULL, is a string wherever the condition looks at its value. */
static bool condition_holds(const struct call *call, const struct entry *e,
                            const struct set_options *options) {
    switch (options->condition) {
    case SET_ALWAYS: return true;
    case SET_NX: return !e;
    case SET_XX: return e != NULL;
    case SET_IFEQ: return e && equals(e, call->argv[options->comparison]);
    case SET_IFNE: return !e || !equals(e, call->argv[options->comparison]);
    case SET_IFDEQ: return e && has_digest(e, call->argv[options->comparison]);
    case SET_IFDNE: return !e || !has_digest(e, call->argv[options->comparison]);
    }
    return false;
}

/* The time as it is, and nothing that asks: neither what GET answers, nor a comparison, which Redis 7.0 does not know. */
static void log_set(struct call *call, const struct set_options *options, int64_t expiry_ms) {
    static const struct bytes conditions[] = {[SET_NX] = BYTES_INIT("NX"), [SET_XX] = BYTES_INIT("XX")};
    bool conditional = options->condition == SET_NX || options->condition == SET_XX;
    if (string_expiry_has_time(&options->expiry) || options->condition >= SET_IFEQ ||
        (options->get && !conditional)) {
        call_log_set(call, 1, call->argv[2], expiry_ms);
    } else if (options->get) {
        struct bytes argv[5] = {BYTES("SET"), call->argv[1], call->argv[2], conditions[options->condition],
                                BYTES("KEEPTTL")};
        call_log(call, argv, expiry_ms == EXPIRY_KEEP ? 5 : 4);
    }
}

static void set_with_options(struct call *call) {
    struct set_options options = {0};
    int64_t expiry_ms;
    for (uint32_t i = 3; i < call->argc; i++)
        if (!set_option(call, &i, &options)) {
            call_syntax_error(call);
            return;
        }
    if (!string_expiry_or_reply(call, &options.expiry, &expiry_ms)) return;
    struct entry *e = options.get ? call_read(call, 1) : call_claim(call, 1);
    bool reads = options.get || options.condition >= SET_IFEQ;
    if (reads && !call_is_string_or_reply(call, e)) return;
    if (!digest_or_reply(call, e, options.condition, options.comparison)) return;

    bool holds = condition_holds(call, e, &options), creates = !e;
    struct value value = call_value(call, 2);
    if (options.get) call_reply_string(call, e);
    if (!holds) {
        if (!options.get) reply_null(call->reply);
        return;
    }
    e = keyspace_set(call_keyspace(call, 1), call->db, call_key(call, 1), &value, expiry_ms);
    if (!e && options.get) {
        fail_after_reply(call);
    } else if (!e) {
        call_out_of_memory(call);
    } else {
        call_touch(call, e);
        if (creates) call_created(call, 1);
        call_changed(call, 1, EVENT_SET);
        if (string_expiry_has_time(&options.expiry)) call_event(call, 1, EVENT_EXPIRE);
        log_set(call, &options, expiry_ms);
        if (!options.get) reply_ok(call->reply);
    }
}

static void set(struct call *call) {
    if (call->argc > 3)
        set_with_options(call);
    else if (store_or_reply(call, 1, 2, EXPIRY_NONE, EVENT_SET))
        reply_ok(call->reply);
}

/* Without GET and without a comparison the old value is not read: ACLs and COMMAND GETKEYSANDFLAGS care. */
static int set_keys(const struct bytes *argv, uint32_t argc, struct command_key *keys, uint32_t max) {
    uint32_t flags = KEY_OW | KEY_UPDATE;
    for (uint32_t i = 3; i < argc; i++)
        if (bytes_is(argv[i], "GET") || comparison_of(argv[i]) != SET_ALWAYS)
            flags = KEY_RW | KEY_ACCESS | KEY_UPDATE;
    if (max > 0) keys[0] = (struct command_key){1, flags};
    return 1;
}
COMMAND(set) = {
    .name = "set",
    .arity = -3,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
    .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
              .first = 1,
              .last = 1,
              .step = 1,
              .note = "RW and ACCESS due to the optional `GET` argument"}},
    .find_keys = set_keys,
    .run = set,
    .group = GROUP_STRING,
    .since = "1.0.0",
    .complexity = "O(1)",
    .summary = "Set the string value of a key",
    .history = "2.6.12: Added the `EX`, `PX`, `NX` and `XX` options.\n"
               "6.0.0: Added the `KEEPTTL` option.\n"
               "6.2.0: Added the `GET`, `EXAT` and `PXAT` option.\n"
               "7.0.0: Allowed the `NX` and `GET` options to be used together.\n"
               "8.4.0: Added the `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE` options.",
    .syntax =
        "<key:key> <value> "
        "[condition:( NX | XX | {IFEQ <ifeq-value>}@8.4.0 | {IFNE <ifne-value>}@8.4.0 | "
        "{IFDEQ <ifdeq-digest>}@8.4.0 | {IFDNE <ifdne-digest>}@8.4.0 )@2.6.12] [GET@6.2.0] "
        "[expiration:( {EX <seconds:integer>}@2.6.12 | {PX <milliseconds:integer>}@2.6.12 | "
        "{EXAT <unix-time-seconds:unix-time>}@6.2.0 | {PXAT <unix-time-milliseconds:unix-time>}@6.2.0 | "
        "KEEPTTL@6.0.0 )]"};

static void setnx(struct call *call) {
    if (call_claim(call, 1))
        reply_int(call->reply, 0);
    else if (store_or_reply(call, 1, 2, EXPIRY_NONE, EVENT_SET))
        reply_int(call->reply, 1);
}
COMMAND(setnx) = {.name = "setnx",
                  .arity = 3,
                  .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
                  .keys = {KEY(1, KEY_OW | KEY_INSERT)},
                  .run = setnx,
                  .group = GROUP_STRING,
                  .since = "1.0.0",
                  .complexity = "O(1)",
                  .summary = "Set the value of a key, only if the key does not exist",
                  .syntax = "<key:key> <value>"};

static void set_expiring(struct call *call, enum expiry_form form) {
    int64_t expiry_ms;
    if (!call_expiry_or_reply(call, 2, form, true, &expiry_ms)) return;
    if (!store_or_reply(call, 1, 3, expiry_ms, EVENT_SET)) return;
    call_event(call, 1, EVENT_EXPIRE);
    call_log_set(call, 1, call->argv[3], expiry_ms);
    reply_ok(call->reply);
}

static void setex(struct call *call) {
    set_expiring(call, EXPIRY_SECONDS);
}
COMMAND(setex) = {.name = "setex",
                  .arity = 4,
                  .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
                  .keys = {KEY(1, KEY_OW | KEY_UPDATE)},
                  .run = setex,
                  .group = GROUP_STRING,
                  .since = "2.0.0",
                  .complexity = "O(1)",
                  .summary = "Set the value and expiration of a key",
                  .syntax = "<key:key> <seconds:integer> <value>"};

static void psetex(struct call *call) {
    set_expiring(call, EXPIRY_MILLISECONDS);
}
COMMAND(psetex) = {.name = "psetex",
                   .arity = 4,
                   .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
                   .keys = {KEY(1, KEY_OW | KEY_UPDATE)},
                   .run = psetex,
                   .group = GROUP_STRING,
                   .since = "2.6.0",
                   .complexity = "O(1)",
                   .summary = "Set the value and expiration in milliseconds of a key",
                   .syntax = "<key:key> <milliseconds:integer> <value>"};

static void delifeq(struct call *call) {
    struct entry *e = call_peek(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    bool equal = e && equals(e, call->argv[2]);
    if (equal) delete_found(call, 1, e);
    reply_int(call->reply, equal);
}
COMMAND(delifeq) = {.name = "delifeq",
                    .arity = 3,
                    .flags = CMD_WRITE | CMD_FAST,
                    .keys = {KEY(1, KEY_RM | KEY_DELETE)},
                    .run = delifeq,
                    .group = GROUP_STRING,
                    .since = "9.0.0",
                    .complexity = "O(1)",
                    .summary = "Delete a key, only if its value is the given one",
                    .syntax = "<key:key> <value>"};

/* A key of any type; or a string, if it compares as it shall. */
static void delex(struct call *call) {
    struct entry *e = call_peek(call, 1);
    struct set_options options = {.comparison = 3};
    if (call->argc == 3 || call->argc > 4) {
        reply_error(call->reply, "ERR wrong number of arguments for 'delex' command");
        return;
    }
    if (e && call->argc == 4) {
        options.condition = comparison_of(call->argv[2]);
        if (entry_type(e) != TYPE_STRING) {
            reply_error(call->reply, "ERR Key should be of string type if conditions are specified");
            return;
        }
        if (options.condition == SET_ALWAYS) {
            reply_error(call->reply, "ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE");
            return;
        }
        if (!digest_or_reply(call, e, options.condition, options.comparison)) return;
    }
    bool deletes = e && condition_holds(call, e, &options);
    if (deletes) delete_found(call, 1, e);
    reply_int(call->reply, deletes);
}
COMMAND(delex) = {
    .name = "delex",
    .arity = -2,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {KEY(1, KEY_RM | KEY_DELETE)},
    .run = delex,
    .group = GROUP_STRING,
    .since = "8.4.0",
    .complexity = "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the string value.",
    .summary = "Conditionally removes the specified key based on value or digest comparison.",
    .syntax = "<key:key> [condition:( {IFEQ <ifeq-value>} | {IFNE <ifne-value>} | {IFDEQ <ifdeq-digest>} | "
              "{IFDNE <ifdne-digest>} )]"};

static void digest(struct call *call) {
    char digits[DIGEST_LEN];
    const struct entry *e = call_read(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    if (e == NULL) {
        reply_null(call->reply);
        return;
    }
    digest_of(e, digits);
    reply_bulk(call->reply, (struct bytes){digits, sizeof digits});
}
COMMAND(digest) = {.name = "digest",
                   .arity = 2,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = digest,
                   .group = GROUP_STRING,
                   .since = "8.4.0",
                   .complexity = "O(N) where N is the length of the string value.",
                   .summary = "Returns the XXH3 hash of a string value",
                   .syntax = "<key:key>"};

/* ---- Several keys --------------------------------------------------------------------------------- */

static void log_pairs(struct call *call, uint32_t first, uint32_t end, int64_t expiry_ms) {
    for (uint32_t i = first; i < end; i += 2) call_log_set(call, i, call->argv[i + 1], expiry_ms);
}

/* Stores the pairs from argv[first] up to argv[end]. False after replying that memory ran out: the pairs
 * before that one are set and reported, as the single SETs they amount to. */
static bool store_pairs_or_reply(struct call *call, uint32_t first, uint32_t end, int64_t expiry_ms) {
    for (uint32_t i = first; i < end; i += 2) {
        if (store_or_reply(call, i, i + 1, expiry_ms, EVENT_SET)) continue;
        log_pairs(call, first, i, expiry_ms);
        return false;
    }
    return true;
}

/* Is every key of these pairs there? The first that is not is enough: those behind it are not looked at. */
static bool all_exist(struct call *call, uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end; i += 2)
        if (!call_claim(call, i)) return false;
    return true;
}

/* Is any of them? The first is enough, as in Redis. */
static bool any_exists(struct call *call, uint32_t first, uint32_t end) {
    for (uint32_t i = first; i < end; i += 2)
        if (call_claim(call, i)) return true;
    return false;
}

/* False after replying: a key without a value. */
static bool pairs_complete_or_reply(struct call *call) {
    if (call->argc % 2 == 1) return true;
    reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->name);
    return false;
}

static void mset(struct call *call) {
    if (!pairs_complete_or_reply(call)) return;
    if (store_pairs_or_reply(call, 1, call->argc, EXPIRY_NONE)) reply_ok(call->reply);
}
COMMAND(mset) = {.name = "mset",
                 .arity = -3,
                 .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
                 .keys = {KEYS(1, -1, 2, KEY_OW | KEY_UPDATE)},
                 .run = mset,
                 .group = GROUP_STRING,
                 .since = "1.0.1",
                 .complexity = "O(N) where N is the number of keys to set.",
                 .summary = "Set multiple keys to multiple values",
                 .tips = "request_policy:multi_shard,response_policy:all_succeeded",
                 .syntax = "key_value:{ <key:key> <value> }..."};

static void msetnx(struct call *call) {
    if (!pairs_complete_or_reply(call)) return;
    if (any_exists(call, 1, call->argc))
        reply_int(call->reply, 0);
    else if (store_pairs_or_reply(call, 1, call->argc, EXPIRY_NONE))
        reply_int(call->reply, 1);
}
COMMAND(msetnx) = {.name = "msetnx",
                   .arity = -3,
                   .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
                   .keys = {KEYS(1, -1, 2, KEY_OW | KEY_INSERT)},
                   .run = msetnx,
                   .group = GROUP_STRING,
                   .since = "1.0.1",
                   .complexity = "O(N) where N is the number of keys to set.",
                   .summary = "Set multiple keys to multiple values, only if none of the keys exist",
                   .tips = "request_policy:multi_shard,response_policy:agg_min",
                   .syntax = "key_value:{ <key:key> <value> }..."};

/* The argument behind the last pair of MSETEX, or 0 after replying that the count does not fit the pairs. */
static uint32_t msetex_end_or_reply(struct call *call) {
    int64_t count;
    if (!number_parse_i64(call->argv[1], &count) || count < 1 || count > INT32_MAX) {
        reply_error(call->reply, "ERR invalid numkeys value");
        return 0;
    }
    if (count > (call->argc - 2) / 2) {
        reply_error(call->reply, "ERR wrong number of key-value pairs");
        return 0;
    }
    return 2 + 2 * (uint32_t)count;
}

static void msetex(struct call *call) {
    struct set_options options = {0};
    int64_t expiry_ms;
    uint32_t end = msetex_end_or_reply(call);
    if (!end) return;
    for (uint32_t i = end; i < call->argc; i++)
        if (!set_option(call, &i, &options) || options.get || options.condition > SET_XX) {
            call_syntax_error(call);
            return;
        }
    if (!string_expiry_or_reply(call, &options.expiry, &expiry_ms)) return;
    if ((options.condition == SET_NX && any_exists(call, 2, end)) ||
        (options.condition == SET_XX && !all_exist(call, 2, end))) {
        reply_int(call->reply, 0);
        return;
    }
    if (!store_pairs_or_reply(call, 2, end, expiry_ms)) return;
    log_pairs(call, 2, end, expiry_ms); /* Redis 7.0 does not know MSETEX */
    for (uint32_t i = 2; string_expiry_has_time(&options.expiry) && i < end; i += 2)
        call_event(call, i, EVENT_EXPIRE);
    reply_int(call->reply, 1);
}
COMMAND(msetex) = {
    .name = "msetex",
    .arity = -4,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_BOUNDED,
    .keys = {KEYS_COUNTED(1, 2, KEY_OW | KEY_UPDATE)},
    .run = msetex,
    .group = GROUP_STRING,
    .since = "8.4.0",
    .complexity = "O(N) where N is the number of keys to set.",
    .summary = "Set multiple keys to multiple values, with one expiration for all of them",
    .tips = "request_policy:multi_shard,response_policy:all_succeeded",
    .syntax = "<numkeys:integer> data:{ <key:key> <value> }... [condition:( NX | XX )] "
              "[expiration:( {EX <seconds:integer>} | {PX <milliseconds:integer>} | "
              "{EXAT <unix-time-seconds:unix-time>} | {PXAT <unix-time-milliseconds:unix-time>} | "
              "KEEPTTL )]"};

/* ---- Parts ---------------------------------------------------------------------------------------- */

static void strlen_(struct call *call) {
    struct entry *e = call_read(call, 1);
    if (call_is_string_or_reply(call, e)) reply_int(call->reply, e ? (int64_t)entry_string_len(e) : 0);
}
COMMAND(strlen) = {.name = "strlen",
                   .arity = 2,
                   .flags = CMD_READONLY | CMD_FAST,
                   .keys = {KEY(1, KEY_RO)},
                   .run = strlen_,
                   .group = GROUP_STRING,
                   .since = "2.2.0",
                   .complexity = "O(1)",
                   .summary = "Get the length of the value stored in a key",
                   .syntax = "<key:key>"};

static void append_to(struct call *call, struct entry *e) {
    struct bytes more = call->argv[2];
    size_t len = entry_string_len(e);
    if (!length_or_reply(call, len, more.len)) return;
    char *data = string_edit_or_reply(call, 1, &e, len + more.len);
    if (!data) return;
    if (more.len) memcpy(data + len, more.data, more.len);
    call_changed(call, 1, EVENT_APPEND);
    reply_int(call->reply, (int64_t)(len + more.len));
}

enum { APPEND_LARGE = 1 << 20 };

/* APPEND is quick and not timed by itself, but where it copies a large value or argument: that the slow log shows. */
static void append_timed(struct call *call, struct entry *e) {
    uint64_t begun_ns = clock_monotonic_ns();
    append_to(call, e);
    slowlog_add(call, clock_monotonic_ns() - begun_ns);
}

static void append(struct call *call) {
    struct bytes more = call->argv[2];
    struct entry *e = call_claim(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    if (!e) {
        if (store_or_reply(call, 1, 2, EXPIRY_NONE, EVENT_APPEND)) reply_int(call->reply, (int64_t)more.len);
    } else if (entry_string_len(e) + more.len >= APPEND_LARGE && !slowlog_times_all()) {
        append_timed(call, e);
    } else {
        append_to(call, e);
    }
}
COMMAND(append) = {
    .name = "append",
    .arity = 3,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_INSERT)},
    .run = append,
    .group = GROUP_STRING,
    .since = "2.0.0",
    .complexity =
        "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already "
        "present value is of any size, since the dynamic string library used by Redis will double the free "
        "space available on every reallocation.",
    .summary = "Append a value to a key",
    .syntax = "<key:key> <value>"};

static void setrange(struct call *call) {
    struct bytes part = call->argv[3];
    int64_t offset;
    if (!call_int_or_reply(call, 2, &offset)) return;
    if (offset < 0) {
        reply_error(call->reply, "ERR offset is out of range");
        return;
    }
    struct entry *e = call_claim(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    size_t len = e ? entry_string_len(e) : 0;
    if (part.len > 0) {
        if (!length_or_reply(call, (uint64_t)offset, part.len)) return;
        size_t end = (size_t)offset + part.len;
        if (len < end) len = end;
        char *data = string_edit_or_reply(call, 1, &e, len);
        if (!data) return;
        memcpy(data + offset, part.data, part.len);
        call_changed(call, 1, EVENT_SETRANGE);
    }
    reply_int(call->reply, (int64_t)len);
}
COMMAND(setrange) = {
    .name = "setrange",
    .arity = 4,
    .flags = CMD_WRITE | CMD_DENYOOM,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = setrange,
    .group = GROUP_STRING,
    .since = "2.2.0",
    .complexity =
        "O(1), not counting the time taken to copy the new string in place. Usually, this string is very "
        "small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length "
        "of the value argument.",
    .summary = "Overwrite part of a string at key starting at the specified offset",
    .syntax = "<key:key> <offset:integer> <value>"};

static void getrange(struct call *call) {
    char scratch[NUMBER_I64_MAX_LEN];
    int64_t start, end;
    if (!call_int_or_reply(call, 2, &start) || !call_int_or_reply(call, 3, &end)) return;
    struct entry *e = call_read(call, 1);
    if (!call_is_string_or_reply(call, e)) return;
    struct bytes text = e ? entry_string(e, scratch) : BYTES("");
    bool backwards = start < 0 && end < 0 && start > end; /* even where both are before the first byte */
    if (backwards || !string_range(&start, &end, (int64_t)text.len)) {
        reply_bulk(call->reply, BYTES(""));
        return;
    }
    call_reply_part(call, e, (struct bytes){text.data + start, (size_t)(end - start) + 1});
}

#define GETRANGE_COMPLEXITY                                                                                  \
    "O(N) where N is the length of the returned string. The complexity is ultimately determined by the "     \
    "returned length, but because creating a substring from an existing string is very cheap, it can be "    \
    "considered O(1) for small strings."

COMMAND(getrange) = {.name = "getrange",
                     .arity = 4,
                     .flags = CMD_READONLY,
                     .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                     .run = getrange,
                     .group = GROUP_STRING,
                     .since = "2.4.0",
                     .complexity = GETRANGE_COMPLEXITY,
                     .summary = "Get a substring of the string stored at a key",
                     .syntax = "<key:key> <start:integer> <end:integer>"};
COMMAND(substr) = {.name = "substr",
                   .arity = 4,
                   .flags = CMD_READONLY,
                   .keys = {KEY(1, KEY_RO | KEY_ACCESS)},
                   .run = getrange,
                   .group = GROUP_STRING,
                   .since = "1.0.0",
                   .deprecated_since = "2.0.0",
                   .replaced_by = "`GETRANGE`",
                   .complexity = GETRANGE_COMPLEXITY,
                   .summary = "Get a substring of the string stored at a key",
                   .syntax = "<key:key> <start:integer> <end:integer>"};
