/* hash_expiry.c - fields that expire: HEXPIRE, HTTL and their kin, HGETEX, HGETDEL and HSETEX. As in Redis 8.0.
 *
 * What is recorded of them has absolute times and no conditions, and names the fields that were changed: HPEXPIREAT,
 * HPERSIST, HSETEX, and HDEL for what was over at once. */
#include "server/commands/hash.h"

#define EXPIRY_MAX_MS ((int64_t)((1ull << 46) - 1)) /* Redis takes no later ones in commands */
_Static_assert(EXPIRY_MAX_MS <= TIMES_MAX, "they can be kept");

/* What is said of a field. NO_MEMORY is an error in the place of a number. */
enum field_answer { NO_MEMORY = -3, NO_FIELD = -2, NO_EXPIRY = -1, NOT_DONE = 0, DONE = 1, GONE = 2 };

/* ---- Arguments ------------------------------------------------------------------------------------ */

#define NO_FIELDS   "ERR Mandatory argument FIELDS is missing or not at the right position"
#define WRONG_COUNT "ERR The `numfields` parameter must match the number of arguments"
#define NO_NUMBER   "ERR Number of fields must be a positive integer"

/* The fields that a request names: argv[first] and those behind it. */
struct fields {
    uint32_t first, count;
};

static bool refuse(struct call *call, const char *error) {
    reply_error(call->reply, error);
    return false;
}

/* FIELDS at argv[at], their number, and so many fields to the end of the request. False after replying. */
static bool fields_or_reply(struct call *call, uint32_t at, const char *no_number, struct fields *fields) {
    int64_t count;
    if (at >= call->argc || !bytes_is(call->argv[at], "fields")) return refuse(call, NO_FIELDS);
    if (at + 1 == call->argc || !number_parse_i64(call->argv[at + 1], &count) || count < 1)
        return refuse(call, no_number);
    if (count != (int64_t)call->argc - at - 2) return refuse(call, WRONG_COUNT);
    *fields = (struct fields){at + 2, (uint32_t)count};
    return true;
}

/* An expiry in absolute milliseconds, above 0. False after replying. */
enum { LONG_AGO_MS = 1 };
static bool time_or_reply(struct call *call, uint32_t arg, enum expiry_form form, int64_t *at_ms) {
    bool seconds = form == EXPIRY_SECONDS || form == EXPIRY_AT_SECONDS;
    bool relative = form == EXPIRY_SECONDS || form == EXPIRY_MILLISECONDS;
    int64_t value, base_ms = relative ? call_clock_ms(call) : 0;
    char name[COMMAND_FULL_NAME_MAX];
    if (!call_int_or_reply(call, arg, &value)) return false;
    if (value < 0) return refuse(call, "ERR invalid expire time, must be >= 0");
    if (value <= EXPIRY_MAX_MS / (seconds ? 1000 : 1)) {
        *at_ms = seconds ? value * 1000 : value;
        if (*at_ms <= EXPIRY_MAX_MS - base_ms) {
            *at_ms += base_ms;
            if (*at_ms == 0) *at_ms = LONG_AGO_MS;
            return true;
        }
    }
    size_t len = command_full_name(call->command, name);
    reply_errorf(call->reply, "ERR invalid expire time in '%.*s' command", (int)len, name);
    return false;
}

/* ---- What is recorded ----------------------------------------------------------------------------- */

enum { LOGGED_HEAD = 6, LOGGED_MOST = 32 };

/* Fields of argv[1] that were changed, as parts of as few records as may be. */
struct changes {
    struct call *call;
    struct bytes name;       /* of the command: HDEL alone has no count of fields */
    struct bytes options[2]; /* before that; empty ones are left out */
    struct bytes parts[LOGGED_MOST];
    uint32_t used, fields;
};

static void log_changes(struct changes *changes) {
    if (changes->used == 0) return;
    char digits[NUMBER_I64_MAX_LEN];
    struct bytes argv[LOGGED_HEAD + LOGGED_MOST] = {changes->name, changes->call->argv[1]};
    uint32_t argc = 2;
    for (unsigned i = 0; i < 2; i++)
        if (changes->options[i].len) argv[argc++] = changes->options[i];
    if (!bytes_equal(changes->name, BYTES("HDEL"))) {
        argv[argc++] = BYTES("FIELDS");
        argv[argc++] = (struct bytes){digits, number_format_i64(digits, changes->fields)};
    }
    assert(argc <= LOGGED_HEAD && changes->used <= LOGGED_MOST);
    memcpy(argv + argc, changes->parts, changes->used * sizeof *argv);
    call_log(changes->call, argv, argc + changes->used);
    changes->used = changes->fields = 0;
}

/* The next `parts` arguments are a field, or a field with its value. */
static void add_change(struct changes *changes, uint32_t arg, uint32_t parts) {
    if (changes->used + parts > LOGGED_MOST) log_changes(changes);
    memcpy(changes->parts + changes->used, changes->call->argv + arg, parts * sizeof *changes->parts);
    changes->used += parts;
    changes->fields++;
}

/* ---- HEXPIRE and its like ------------------------------------------------------------------------- */

enum condition { ALWAYS, IF_NONE, IF_SOME, IF_LATER, IF_EARLIER };

static enum condition condition_at(const struct call *call, uint32_t arg) {
    static const struct bytes tokens[] = {
        [IF_NONE] = {"nx", 2}, [IF_SOME] = {"xx", 2}, [IF_LATER] = {"gt", 2}, [IF_EARLIER] = {"lt", 2}};
    for (enum condition i = IF_NONE; i <= IF_EARLIER; i++)
        if (bytes_equal_nocase(call->argv[arg], tokens[i])) return i;
    return ALWAYS;
}

/* None is later than any. */
static bool holds(enum condition condition, int64_t old_ms, int64_t at_ms) {
    switch (condition) {
    case IF_NONE: return old_ms == 0;
    case IF_SOME: return old_ms != 0;
    case IF_LATER: return old_ms != 0 && at_ms > old_ms;
    case IF_EARLIER: return old_ms == 0 || at_ms < old_ms;
    default: return true;
    }
}

/* What becomes of fields: they expire at this time, which may be over, or, 0, never. */
struct expiring {
    struct call *call;
    struct edit edit;
    struct changes changes;
    int64_t at_ms;
    enum condition condition;
    uint64_t count;
    bool failed; /* memory ran out: nothing more is done */
    char digits[NUMBER_I64_MAX_LEN];
};

static bool is_past(const struct expiring *x) {
    return x->at_ms > 0 && x->at_ms <= x->call->effects->now_ms;
}

/* Finds the field argv[arg], valid until the next change. False if there is none. */
static bool find_field(struct expiring *x, uint32_t arg, struct element *found) {
    if (x->edit.entry == NULL) return false;
    (void)hash_forget(x->call, &x->edit,
                      x->call->argv[arg]); /* without memory it stays, and is not there either */
    struct value value = entry_value(x->edit.entry);
    return hash_there(x->call, &value, arg, found);
}

/* One field, which is there. */
static enum field_answer expire_field(struct expiring *x, uint32_t arg) {
    struct bytes field = x->call->argv[arg];
    struct value value = entry_value(x->edit.entry);
    int64_t old_ms = hash_expiry(x->edit.keyspace, &value, field);
    if (x->at_ms == 0 && old_ms == 0) return NO_EXPIRY;
    if (!holds(x->condition, old_ms, x->at_ms)) return NOT_DONE;
    bool past = is_past(x);
    enum hash_changed changed = HASH_NO_MEMORY;
    if (!x->failed) changed = past ? hash_delete(&x->edit, field) : hash_expire(&x->edit, field, x->at_ms);
    x->failed = changed == HASH_NO_MEMORY;
    if (x->failed) return NO_MEMORY;
    x->count++;
    add_change(&x->changes, arg, 1);
    return past ? GONE : DONE;
}

static void begin_expiring(struct expiring *x) {
    x->changes = (struct changes){.call = x->call};
    if (x->at_ms == 0) {
        x->changes.name = BYTES("HPERSIST");
    } else if (is_past(x)) {
        x->changes.name = BYTES("HDEL");
    } else {
        x->changes.name = BYTES("HPEXPIREAT");
        x->changes.options[0] = (struct bytes){x->digits, number_format_i64(x->digits, x->at_ms)};
    }
}

static void end_expiring(struct expiring *x) {
    enum event event = x->at_ms == 0 ? EVENT_HPERSIST : is_past(x) ? EVENT_HDEL : EVENT_HEXPIRE;
    log_changes(&x->changes);
    if (x->edit.entry) collection_close(x->call, 1, &x->edit, event, x->count);
}

/* Nothing is to be done. */
static void give_up(struct expiring *x) {
    if (x->edit.entry) collection_close(x->call, 1, &x->edit, EVENT_NONE, 0);
}

/* Expires all fields, and answers for each. Where memory runs out those before have been changed, and say so; in the place
 * of each that could not be stands the error. */
static void expire_fields(struct expiring *x, struct fields fields) {
    struct element found;
    begin_expiring(x);
    reply_array(x->call->reply, fields.count);
    for (uint32_t i = fields.first; i < fields.first + fields.count; i++) {
        enum field_answer answer = find_field(x, i, &found) ? expire_field(x, i) : NO_FIELD;
        if (answer == NO_MEMORY)
            call_out_of_memory(x->call);
        else
            reply_int(x->call->reply, answer);
    }
    end_expiring(x);
}

static void hexpire_form(struct call *call, enum expiry_form form) {
    struct expiring x = {.call = call};
    struct fields fields;
    if (!collection_open(call, 1, TYPE_HASH, false, &x.edit)) return;
    bool good = time_or_reply(call, 2, form, &x.at_ms);
    if (good) {
        x.condition = condition_at(call, 3);
        good = fields_or_reply(call, x.condition == ALWAYS ? 3 : 4,
                               "ERR Parameter `numFields` should be greater than 0", &fields);
    }
    if (good)
        expire_fields(&x, fields);
    else
        give_up(&x);
}

/* What the rows of HEXPIRE and its like say. */
#define EXPIRES(syntax_)                                                                                     \
    .arity = -6, .flags = CMD_WRITE | CMD_FAST, .keys = {KEY(1, KEY_RW | KEY_UPDATE)}, .group = GROUP_HASH,  \
    .since = "7.4.0", .complexity = "O(N) where N is the number of specified fields",                        \
    .syntax = "<key:key> " syntax_ " [condition:( NX | XX | GT | LT )] "                                     \
              "{FIELDS fields:{<numfields:integer> <field> ...}}"

static void hexpire(struct call *call) {
    hexpire_form(call, EXPIRY_SECONDS);
}
COMMAND(hexpire) = {.name = "hexpire",
                    EXPIRES("<seconds:integer>"),
                    .run = hexpire,
                    .summary = "Set expiry for hash field using relative time to expire (seconds)"};

static void hpexpire(struct call *call) {
    hexpire_form(call, EXPIRY_MILLISECONDS);
}
COMMAND(hpexpire) = {.name = "hpexpire",
                     EXPIRES("<milliseconds:integer>"),
                     .run = hpexpire,
                     .summary = "Set expiry for hash field using relative time to expire (milliseconds)"};

static void hexpireat(struct call *call) {
    hexpire_form(call, EXPIRY_AT_SECONDS);
}
COMMAND(hexpireat) = {.name = "hexpireat",
                      EXPIRES("<unix-time-seconds:unix-time>"),
                      .run = hexpireat,
                      .summary = "Set expiry for hash field using an absolute Unix timestamp (seconds)"};

static void hpexpireat(struct call *call) {
    hexpire_form(call, EXPIRY_AT_MILLISECONDS);
}
COMMAND(hpexpireat) = {
    .name = "hpexpireat",
    EXPIRES("<unix-time-milliseconds:unix-time>"),
    .run = hpexpireat,
    .summary = "Set expiry for hash field using an absolute Unix timestamp (milliseconds)"};

/* What the rows of commands over fields alone say. */
#define OVER_FIELDS                                                                                          \
    .arity = -5, .group = GROUP_HASH, .complexity = "O(N) where N is the number of specified fields",        \
    .syntax = "<key:key> {FIELDS fields:{<numfields:integer> <field> ...}}"

static void hpersist(struct call *call) {
    struct expiring x = {.call = call};
    struct fields fields;
    if (!collection_open(call, 1, TYPE_HASH, false, &x.edit)) return;
    if (fields_or_reply(call, 2, NO_NUMBER, &fields))
        expire_fields(&x, fields);
    else
        give_up(&x);
}
COMMAND(hpersist) = {.name = "hpersist",
                     OVER_FIELDS,
                     .flags = CMD_WRITE | CMD_FAST,
                     .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
                     .run = hpersist,
                     .since = "7.4.0",
                     .summary = "Removes the expiration time for each specified field"};

/* ---- HTTL and its like ---------------------------------------------------------------------------- */

/* Seconds are rounded up. */
static int64_t as_told(const struct call *call, enum expiry_form form, int64_t at_ms) {
    bool seconds = form == EXPIRY_SECONDS || form == EXPIRY_AT_SECONDS;
    bool relative = form == EXPIRY_SECONDS || form == EXPIRY_MILLISECONDS;
    int64_t told = relative ? at_ms - call->effects->now_ms : at_ms;
    return seconds ? (told + 999) / 1000 : told;
}

static void httl_form(struct call *call, enum expiry_form form) {
    struct value value;
    struct fields fields;
    struct element found;
    bool there;
    if (!collection_read(call, 1, TYPE_HASH, &value, &there)) return;
    if (!fields_or_reply(call, 2, NO_NUMBER, &fields)) return;
    reply_array(call->reply, fields.count);
    for (uint32_t i = fields.first; i < fields.first + fields.count; i++) {
        if (!there || !hash_there(call, &value, i, &found)) {
            reply_int(call->reply, NO_FIELD);
            continue;
        }
        int64_t at_ms = hash_expiry(call_keyspace(call, 1), &value, call->argv[i]);
        reply_int(call->reply, at_ms ? as_told(call, form, at_ms) : NO_EXPIRY);
    }
}

/* What their rows say. */
#define TELLS                                                                                                \
    OVER_FIELDS, .flags = CMD_READONLY | CMD_FAST, .keys = {KEY(1, KEY_RO | KEY_ACCESS)}, .since = "7.4.0"

static void httl(struct call *call) {
    httl_form(call, EXPIRY_SECONDS);
}
COMMAND(httl) = {.name = "httl",
                 TELLS,
                 .run = httl,
                 .summary = "Returns the TTL in seconds of a hash field.",
                 .tips = "nondeterministic_output"};

static void hpttl(struct call *call) {
    httl_form(call, EXPIRY_MILLISECONDS);
}
COMMAND(hpttl) = {.name = "hpttl",
                  TELLS,
                  .run = hpttl,
                  .summary = "Returns the TTL in milliseconds of a hash field.",
                  .tips = "nondeterministic_output"};

static void hexpiretime(struct call *call) {
    httl_form(call, EXPIRY_AT_SECONDS);
}
COMMAND(hexpiretime) = {
    .name = "hexpiretime",
    TELLS,
    .run = hexpiretime,
    .summary = "Returns the expiration time of a hash field as a Unix timestamp, in seconds."};

static void hpexpiretime(struct call *call) {
    httl_form(call, EXPIRY_AT_MILLISECONDS);
}
COMMAND(hpexpiretime) = {
    .name = "hpexpiretime",
    TELLS,
    .run = hpexpiretime,
    .summary = "Returns the expiration time of a hash field as a Unix timestamp, in msec."};

/* ---- HGETEX and HGETDEL --------------------------------------------------------------------------- */

/* Replies with the value of a field, behind what is made of it; with the error where there is no memory for that. */
static void reply_and_expire_field(struct expiring *x, uint32_t arg, struct element *found) {
    char text[ELEMENT_INLINE_MAX]; /* in the hash it may move, or go */
    assert(found->block || found->bytes.len <= sizeof text);
    if (found->block) block_retain(found->block);
    if (!found->block && found->bytes.len)
        found->bytes.data = memcpy(text, found->bytes.data, found->bytes.len);
    if (expire_field(x, arg) == NO_MEMORY)
        call_out_of_memory(x->call);
    else
        collection_reply_element(x->call->reply, x->call->effects->metrics, found);
    if (found->block) block_release(found->block);
}

/* Replies with the values of all fields; of each in turn that is made what there is to make. */
static void reply_and_expire(struct expiring *x, struct fields fields, bool changes) {
    struct element found;
    begin_expiring(x);
    reply_array(x->call->reply, fields.count);
    for (uint32_t i = fields.first; i < fields.first + fields.count; i++) {
        if (!find_field(x, i, &found))
            reply_null(x->call->reply);
        else if (changes)
            reply_and_expire_field(x, i, &found);
        else
            collection_reply_element(x->call->reply, x->call->effects->metrics, &found);
    }
    end_expiring(x);
}

static const struct bytes expiry_tokens[] = {[EXPIRY_SECONDS] = {"ex", 2},
                                             [EXPIRY_MILLISECONDS] = {"px", 2},
                                             [EXPIRY_AT_SECONDS] = {"exat", 4},
                                             [EXPIRY_AT_MILLISECONDS] = {"pxat", 4}};

/* Does argv[arg] announce a time? */
static bool is_expiry_token(const struct call *call, uint32_t arg, enum expiry_form *form) {
    for (unsigned i = 0; i < sizeof expiry_tokens / sizeof *expiry_tokens; i++) {
        *form = (enum expiry_form)i;
        if (bytes_equal_nocase(call->argv[arg], expiry_tokens[i])) return true;
    }
    return false;
}

/* What HGETEX is to do, and where its fields are. False after replying. */
static bool hgetex_parse(struct call *call, struct expiring *x, bool *changes, struct fields *fields) {
    enum expiry_form form;
    uint32_t at = 2;
    *changes = true;
    if (is_expiry_token(call, 2, &form)) {
        if (!time_or_reply(call, 3, form, &x->at_ms)) return false;
        at = 4;
    } else if (bytes_is(call->argv[2], "persist")) {
        at = 3;
    } else {
        *changes = false;
    }
    if (at + 1 == call->argc) return refuse(call, "ERR wrong number of arguments for 'hgetex' command");
    return fields_or_reply(call, at, NO_NUMBER, fields);
}

static void hgetex(struct call *call) {
    struct expiring x = {.call = call};
    struct fields fields;
    bool changes;
    if (!collection_open(call, 1, TYPE_HASH, false, &x.edit)) return;
    if (hgetex_parse(call, &x, &changes, &fields))
        reply_and_expire(&x, fields, changes);
    else
        give_up(&x);
}
COMMAND(hgetex) = {
    .name = "hgetex",
    .arity = -5,
    .flags = CMD_WRITE | CMD_FAST,
    .keys = {{.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE,
              .first = 1,
              .last = 1,
              .step = 1,
              .note = "RW and UPDATE because it changes the TTL"}},
    .run = hgetex,
    .group = GROUP_HASH,
    .since = "8.0.0",
    .complexity = "O(N) where N is the number of specified fields",
    .summary = "Get the value of one or more fields of a given hash key, and optionally set their "
               "expiration.",
    .syntax = "<key:key> [expiration:( {EX <seconds:integer>} | {PX <milliseconds:integer>} | "
              "{EXAT <unix-time-seconds:unix-time>} | {PXAT <unix-time-milliseconds:unix-time>} | PERSIST )] "
              "{FIELDS fields:{<numfields:integer> <field> ...}}"};

static void hgetdel(struct call *call) {
    struct expiring x = {.call = call, .at_ms = LONG_AGO_MS};
    struct fields fields;
    if (!collection_open(call, 1, TYPE_HASH, false, &x.edit)) return;
    if (fields_or_reply(call, 2, NO_NUMBER, &fields))
        reply_and_expire(&x, fields, true);
    else
        give_up(&x);
}
COMMAND(hgetdel) = {.name = "hgetdel",
                    OVER_FIELDS,
                    .flags = CMD_WRITE | CMD_FAST,
                    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
                    .run = hgetdel,
                    .since = "8.0.0",
                    .summary = "Returns the value of a field and deletes it from the hash."};

/* ---- HSETEX --------------------------------------------------------------------------------------- */

struct hsetex {
    bool fnx, fxx, keeps;
    bool has_expiry;
    int64_t at_ms;
    bool past; /* it has an expiry that is over: fields go at once */
    struct fields fields;
};

#define WRONG_ARITY "ERR wrong number of arguments for 'hsetex' command"

/* FIELDS at argv[at], and so many pairs. */
static bool pairs_or_reply(struct call *call, uint32_t at, struct fields *fields) {
    int64_t count;
    if (at + 3 >= call->argc) return refuse(call, WRONG_ARITY);
    if (!number_parse_i64(call->argv[at + 1], &count) || count < 1 || count > INT32_MAX)
        return refuse(call, "ERR invalid number of fields");
    if (count * 2 != (int64_t)call->argc - at - 2) return refuse(call, WRONG_ARITY);
    *fields = (struct fields){at + 2, (uint32_t)count};
    return true;
}

static bool hsetex_expiry(struct call *call, struct hsetex *x, uint32_t *at, enum expiry_form form) {
    if (*at + 1 == call->argc) return refuse(call, "ERR missing expire time");
    x->has_expiry = true;
    return time_or_reply(call, ++*at, form, &x->at_ms);
}

/* False after replying. */
static bool hsetex_parse(struct call *call, struct hsetex *x) {
    for (uint32_t at = 2; at < call->argc; at++) {
        enum expiry_form form;
        struct bytes word = call->argv[at];
        bool keeps = bytes_is(word, "keepttl"), fnx = bytes_is(word, "fnx");
        if (bytes_is(word, "fields")) return pairs_or_reply(call, at, &x->fields);
        if (fnx || bytes_is(word, "fxx")) {
            if (x->fnx || x->fxx)
                return refuse(call, "ERR Only one of FXX or FNX arguments can be specified");
            x->fnx = fnx;
            x->fxx = !fnx;
        } else if (keeps || is_expiry_token(call, at, &form)) {
            if (x->keeps || x->has_expiry)
                return refuse(call,
                              "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");
            x->keeps = keeps;
            if (!keeps && !hsetex_expiry(call, x, &at, form)) return false;
        } else {
            reply_errorf(call->reply, "ERR unknown argument: %.*s", reply_name(word), word.data);
            return false;
        }
    }
    return refuse(call, "ERR missing FIELDS argument");
}

/* Are the fields there, or not there, as they shall be? */
static bool hsetex_may(struct call *call, const struct hsetex *x, const struct edit *edit) {
    struct value value = edit->entry ? entry_value(edit->entry) : (struct value){0};
    struct element found;
    for (uint32_t i = 0; (x->fnx || x->fxx) && i < x->fields.count; i++) {
        bool there = edit->entry && hash_there(call, &value, x->fields.first + 2 * i, &found);
        if (there != x->fxx) return false;
    }
    return true;
}

/* Sets one field, or deletes it where its time is over. False without memory: where it says that it has changed something it
 * has set the value, and the field expires when it did before. */
static bool hsetex_field(struct call *call, const struct hsetex *x, struct edit *edit, uint32_t arg,
                         enum hash_changed *changed) {
    struct bytes field = call->argv[arg];
    if (x->past)
        *changed = hash_forget(call, edit, field) ? hash_delete(edit, field) : HASH_NO_MEMORY;
    else
        *changed = hash_set_argument(call, edit, arg, x->keeps || x->has_expiry);
    if (*changed == HASH_NO_MEMORY) return false;
    if (x->past || !x->has_expiry || hash_expire(edit, field, x->at_ms) != HASH_NO_MEMORY) return true;
    if (*changed == HASH_ADDED && hash_delete(edit, field) == HASH_DELETED) *changed = HASH_UNCHANGED;
    return false;
}

static void hsetex_log_begin(struct changes *changes, const struct hsetex *x,
                             char digits[NUMBER_I64_MAX_LEN]) {
    changes->name = x->past ? BYTES("HDEL") : BYTES("HSETEX");
    if (x->past) return;
    if (x->keeps) changes->options[0] = BYTES("KEEPTTL");
    if (x->has_expiry) changes->options[0] = BYTES("PXAT");
    if (x->has_expiry) changes->options[1] = (struct bytes){digits, number_format_i64(digits, x->at_ms)};
}

/* A field got its value, and kept the expiry that it had. */
static void log_value(struct changes *changes, uint32_t arg) {
    struct call *call = changes->call;
    log_changes(changes);
    CALL_LOG(call, BYTES("HSETEX"), call->argv[1], BYTES("KEEPTTL"), BYTES("FIELDS"), BYTES("1"),
             call->argv[arg], call->argv[arg + 1]);
}

/* Sets all fields, records what was changed, and closes the edit. False without memory: those before have been set. */
static bool hsetex_all(struct call *call, const struct hsetex *x, struct edit *edit) {
    struct changes changes = {.call = call};
    char digits[NUMBER_I64_MAX_LEN];
    uint64_t count = 0;
    bool done = true;
    hsetex_log_begin(&changes, x, digits);
    for (uint32_t i = 0; done && i < x->fields.count; i++) {
        uint32_t arg = x->fields.first + 2 * i;
        enum hash_changed changed;
        done = hsetex_field(call, x, edit, arg, &changed);
        if (changed == HASH_NO_MEMORY || changed == HASH_UNCHANGED) continue;
        count++;
        if (done)
            add_change(&changes, arg, x->past ? 1 : 2);
        else
            log_value(&changes, arg);
    }
    log_changes(&changes);
    collection_close(call, 1, edit, x->past ? EVENT_HDEL : EVENT_HSET, count);
    if (count && x->has_expiry && !x->past) call_event(call, 1, EVENT_HEXPIRE);
    return done;
}

static void hsetex(struct call *call) {
    struct hsetex x = {0};
    struct edit edit;
    if (!hsetex_parse(call, &x) || !collection_open(call, 1, TYPE_HASH, false, &edit)) return;
    bool may = hsetex_may(call, &x, &edit);
    x.past = x.has_expiry && x.at_ms <= call->effects->now_ms;
    if (!may || (x.past && !edit.entry)) {
        if (edit.entry) collection_close(call, 1, &edit, EVENT_NONE, 0);
        reply_int(call->reply, may);
        return;
    }
    if (!edit.entry && !collection_open(call, 1, TYPE_HASH, true, &edit)) return;
    if (hsetex_all(call, &x, &edit))
        reply_int(call->reply, 1);
    else
        call_out_of_memory(call);
}
COMMAND(hsetex) = {
    .name = "hsetex",
    .arity = -6,
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
    .keys = {KEY(1, KEY_RW | KEY_UPDATE)},
    .run = hsetex,
    .group = GROUP_HASH,
    .since = "8.0.0",
    .complexity = "O(N) where N is the number of fields being set.",
    .summary = "Set the value of one or more fields of a given hash key, and optionally set their "
               "expiration.",
    .syntax = "<key:key> [condition:( FNX | FXX )] [expiration:( {EX <seconds:integer>} | "
              "{PX <milliseconds:integer>} | {EXAT <unix-time-seconds:unix-time>} | "
              "{PXAT <unix-time-milliseconds:unix-time>} | KEEPTTL )] "
              "{FIELDS fields:{<numfields:integer> data:{<field> <value>} ...}}"};
