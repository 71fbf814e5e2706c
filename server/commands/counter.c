/* counter.c - numbers in strings: INCR and its kin, and INCREX, a counter with bounds and an expiry.
 *
 * A counter that is stored as an integer is added to in place. Floats are kept as text, and added as long
 * doubles, so that 0.1 + 0.2 reads 0.3. */
#include <float.h>
#include <math.h>

#include "server/commands/string.h"

/* What the rows of all counters say. */
#define COUNTER                                                                                              \
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)},         \
    .group = GROUP_STRING, .complexity = "O(1)"

/* ---- Integers ------------------------------------------------------------------------------------- */

/* The integer that e's text spells; 0 for NULL. False after replying that it is no string or no integer. */
static bool integer_or_reply(struct call *call, const struct entry *e, int64_t *number) {
    char scratch[NUMBER_I64_MAX_LEN];
    *number = 0;
    if (!e || entry_int(e, number)) return true;
    if (!call_is_string_or_reply(call, e)) return false;
    if (number_parse_i64(entry_string(e, scratch), number)) return true;
    reply_error(call->reply, "ERR value is not an integer or out of range");
    return false;
}

/* Sets the key argv[1], whose entry is e or NULL, to a value. False after replying that memory ran out. */
static bool store_or_reply(struct call *call, struct entry *e, const struct value *value, int64_t expiry_ms) {
    struct keyspace *ks = call_keyspace(call, 1);
    bool creates = !e;
    int64_t old;
    if (e && value->kind == VALUE_INT && expiry_ms == EXPIRY_KEEP && entry_int(e, &old))
        keyspace_set_int(ks, call->db, e, value->number);
    else
        e = keyspace_set(ks, call->db, call_key(call, 1), value, expiry_ms);
    if (!e) {
        call_out_of_memory(call);
        return false;
    }
    call_touch(call, e);
    if (creates) call_created(call, 1);
    return true;
}

static void add(struct call *call, int64_t increment) {
    struct value value = {.kind = VALUE_INT};
    struct entry *e = call_claim(call, 1);
    if (!integer_or_reply(call, e, &value.number)) return;
    if (__builtin_add_overflow(value.number, increment, &value.number)) {
        reply_error(call->reply, "ERR increment or decrement would overflow");
        return;
    }
    if (!store_or_reply(call, e, &value, EXPIRY_KEEP)) return;
    call_changed(call, 1, EVENT_INCRBY);
    reply_int(call->reply, value.number);
}

static void incr(struct call *call) {
    add(call, 1);
}
COMMAND(incr) = {.name = "incr",
                 .arity = 2,
                 COUNTER,
                 .run = incr,
                 .since = "1.0.0",
                 .summary = "Increment the integer value of a key by one",
                 .syntax = "<key:key>"};

static void decr(struct call *call) {
    add(call, -1);
}
COMMAND(decr) = {.name = "decr",
                 .arity = 2,
                 COUNTER,
                 .run = decr,
                 .since = "1.0.0",
                 .summary = "Decrement the integer value of a key by one",
                 .syntax = "<key:key>"};

static void incrby(struct call *call) {
    int64_t increment;
    if (call_int_or_reply(call, 2, &increment)) add(call, increment);
}
COMMAND(incrby) = {.name = "incrby",
                   .arity = 3,
                   COUNTER,
                   .run = incrby,
                   .since = "1.0.0",
                   .summary = "Increment the integer value of a key by the given amount",
                   .syntax = "<key:key> <increment:integer>"};

static void decrby(struct call *call) {
    int64_t decrement;
    if (!call_int_or_reply(call, 2, &decrement)) return;
    if (decrement == INT64_MIN)
        reply_error(call->reply, "ERR decrement would overflow");
    else
        add(call, -decrement);
}
COMMAND(decrby) = {.name = "decrby",
                   .arity = 3,
                   COUNTER,
                   .run = decrby,
                   .since = "1.0.0",
                   .summary = "Decrement the integer value of a key by the given number",
                   .syntax = "<key:key> <decrement:integer>"};

/* ---- Floats --------------------------------------------------------------------------------------- */

static bool parse_float_or_reply(struct call *call, struct bytes text, long double *number) {
    if (number_parse_long_double(text, number)) return true;
    reply_error(call->reply, "ERR value is not a valid float");
    return false;
}

/* The float that e's text spells; 0 for NULL. */
static bool float_or_reply(struct call *call, const struct entry *e, long double *number) {
    char scratch[NUMBER_I64_MAX_LEN];
    *number = 0;
    if (!e) return true;
    return call_is_string_or_reply(call, e) && parse_float_or_reply(call, entry_string(e, scratch), number);
}

static void incrbyfloat(struct call *call) {
    char text[NUMBER_LONG_DOUBLE_MAX_LEN];
    long double number, increment;
    struct entry *e = call_claim(call, 1);
    if (!float_or_reply(call, e, &number) || !parse_float_or_reply(call, call->argv[2], &increment)) return;
    number += increment;
    if (!isfinite(number)) {
        reply_error(call->reply, "ERR increment would produce NaN or Infinity");
        return;
    }
    struct bytes sum = {text, number_format_long_double(text, number)};
    struct value value = {.kind = VALUE_INLINE, .bytes = sum};
    if (!store_or_reply(call, e, &value, EXPIRY_KEEP)) return;
    call_changed(call, 1, EVENT_INCRBYFLOAT);
    call_log_set(call, 1, sum, EXPIRY_KEEP); /* another machine may add otherwise */
    reply_bulk(call->reply, sum);
}
COMMAND(incrbyfloat) = {.name = "incrbyfloat",
                        .arity = 3,
                        COUNTER,
                        .run = incrbyfloat,
                        .since = "2.6.0",
                        .summary = "Increment the float value of a key by the given amount",
                        .syntax = "<key:key> <increment:double>"};

/* ---- INCREX --------------------------------------------------------------------------------------- */

/* INCREX as Redis 8.8 has it, and with the NX and XX of Valkey 9.2. Where the sum is out of bounds, of the
 * type's own or of the given ones, nothing is changed and the reply is the present value with an increment of
 * 0; with SATURATE the value goes to the nearest bound. */
struct increx {
    bool by_float, saturate, enx, nx, xx;
    uint32_t increment, lower, upper; /* argument numbers; 0: not given */
    struct string_expiry expiry;
};

/* A number of either kind, as the options say. */
union increx_number {
    int64_t integer;
    long double real;
};

struct increx_sum {
    union increx_number value;   /* what the key holds then */
    union increx_number applied; /* how far that is from what it held before */
    bool stored;                 /* false: out of bounds, or a condition not met */
};

/* Takes an option that comes with a value, once. */
static bool increx_value(const struct call *call, uint32_t *arg, uint32_t *value) {
    if (*value || *arg + 1 == call->argc) return false;
    *value = ++*arg;
    return true;
}
/* Takes an option without a value, once. */
static bool increx_word(bool *option) {
    bool first = !*option;
    *option = true;
    return first;
}

static bool increx_option(const struct call *call, uint32_t *arg, struct increx *x) {
    struct bytes word = call->argv[*arg];
    if (bytes_is(word, "BYINT")) return increx_value(call, arg, &x->increment);
    if (bytes_is(word, "BYFLOAT")) {
        x->by_float = true;
        return increx_value(call, arg, &x->increment);
    }
    if (bytes_is(word, "LBOUND")) return increx_value(call, arg, &x->lower);
    if (bytes_is(word, "UBOUND")) return increx_value(call, arg, &x->upper);
    if (bytes_is(word, "SATURATE")) return increx_word(&x->saturate);
    if (bytes_is(word, "ENX")) return increx_word(&x->enx);
    if (bytes_is(word, "NX")) return increx_word(&x->nx) && !x->xx;
    if (bytes_is(word, "XX")) return increx_word(&x->xx) && !x->nx;
    if (x->expiry.kind != STRING_EXPIRY_ABSENT) return false;
    return string_expiry_option(call, arg, STRING_EXPIRY_PERSIST, &x->expiry);
}

static bool increx_parse_or_reply(struct call *call, struct increx *x) {
    bool ok = true;
    for (uint32_t i = 2; ok && i < call->argc; i++) ok = increx_option(call, &i, x);
    if (!ok || (x->enx && x->expiry.kind == STRING_EXPIRY_PERSIST)) {
        call_syntax_error(call);
        return false;
    }
    if (x->enx && !string_expiry_has_time(&x->expiry)) {
        reply_error(call->reply, "ERR ENX flag requires an expiration");
        return false;
    }
    return true;
}

/* Reads one numeric option into *number, which stays what it is where it was not given. `what` names it
 * in the error. */
static bool increx_number_or_reply(struct call *call, const struct increx *x, uint32_t arg, const char *what,
                                   union increx_number *number) {
    if (!arg) return true;
    bool ok = x->by_float ? number_parse_long_double(call->argv[arg], &number->real)
                          : number_parse_i64(call->argv[arg], &number->integer);
    if (ok) return true;
    reply_errorf(call->reply, "ERR %s is not %s", what,
                 x->by_float ? "a valid float" : "an integer or out of range");
    return false;
}

struct increx_terms {
    union increx_number increment, lower, upper;
};

/* Bounds may be infinite, what is added and what it is added to may not. */
static bool finite_or_reply(struct call *call, long double number, const char *error) {
    if (isfinite(number)) return true;
    reply_error(call->reply, error);
    return false;
}

static bool increx_terms_or_reply(struct call *call, const struct increx *x, struct increx_terms *t) {
    *t = (struct increx_terms){{.integer = 1}, {.integer = INT64_MIN}, {.integer = INT64_MAX}};
    if (x->by_float) t->lower.real = -LDBL_MAX, t->upper.real = LDBL_MAX;
    if (!increx_number_or_reply(call, x, x->increment, "Increment", &t->increment)) return false;
    if (x->by_float && !finite_or_reply(call, t->increment.real, "ERR BYFLOAT increment cannot be Infinity"))
        return false;
    if (!increx_number_or_reply(call, x, x->lower, "LBOUND", &t->lower) ||
        !increx_number_or_reply(call, x, x->upper, "UBOUND", &t->upper))
        return false;
    if (x->by_float ? t->lower.real <= t->upper.real : t->lower.integer <= t->upper.integer) return true;
    reply_error(call->reply, "ERR LBOUND can't be greater than UBOUND");
    return false;
}

/* Both find *sum as it is if nothing is stored, and leave it so where the sum is out of bounds. */
static bool increx_integers_or_reply(struct call *call, const struct increx *x, const struct increx_terms *t,
                                     struct increx_sum *sum) {
    int64_t now = sum->value.integer;
    __int128 wanted = (__int128)now + t->increment.integer; /* wide enough for any sum and any difference */
    if (wanted < t->lower.integer || wanted > t->upper.integer) {
        if (!x->saturate) return true;
        wanted = wanted < t->lower.integer ? t->lower.integer : t->upper.integer;
    }
    if (wanted - now < INT64_MIN || wanted - now > INT64_MAX) {
        reply_error(call->reply, "ERR applied increment would overflow");
        return false;
    }
    sum->stored = true;
    sum->value.integer = (int64_t)wanted;
    sum->applied.integer = (int64_t)(wanted - now);
    return true;
}

static bool increx_floats_or_reply(struct call *call, const struct increx *x, const struct increx_terms *t,
                                   struct increx_sum *sum) {
    long double now = sum->value.real, wanted = now + t->increment.real;
    long double upper = t->upper.real < LDBL_MAX ? t->upper.real : LDBL_MAX; /* they may be infinite */
    long double lower = t->lower.real > -LDBL_MAX ? t->lower.real : -LDBL_MAX;
    if (!finite_or_reply(call, now, "ERR value cannot be Infinity")) return false;
    if (wanted < lower || wanted > upper) {
        if (!x->saturate) return true;
        wanted = wanted < lower ? lower : upper;
    }
    sum->stored = true;
    sum->value.real = wanted;
    sum->applied.real = wanted - now;
    return finite_or_reply(call, sum->applied.real, "ERR applied increment would be Infinity");
}

static bool increx_sum_or_reply(struct call *call, const struct increx *x, const struct increx_terms *t,
                                const struct entry *e, struct increx_sum *sum) {
    *sum = (struct increx_sum){.stored = false};
    if (x->by_float) sum->applied.real = 0;
    if (!(x->by_float ? float_or_reply(call, e, &sum->value.real)
                      : integer_or_reply(call, e, &sum->value.integer)))
        return false;
    if ((x->nx && e) || (x->xx && !e)) return true;
    return x->by_float ? increx_floats_or_reply(call, x, t, sum) : increx_integers_or_reply(call, x, t, sum);
}

static bool increx_store_or_reply(struct call *call, const struct increx *x, struct entry *e,
                                  const struct increx_sum *sum, int64_t expiry_ms) {
    char text[NUMBER_LONG_DOUBLE_MAX_LEN];
    struct value value = {.kind = VALUE_INT, .number = x->by_float ? 0 : sum->value.integer};
    if (x->by_float) {
        size_t len = number_format_long_double(text, sum->value.real);
        value = (struct value){.kind = VALUE_INLINE, .bytes = {text, len}};
    }
    bool had_expiry = e && entry_expiry(e) != 0;
    if (!store_or_reply(call, e, &value, expiry_ms)) return false;
    call_changed(call, 1, x->by_float ? EVENT_INCRBYFLOAT : EVENT_INCRBY);
    if (expiry_ms > 0) call_event(call, 1, EVENT_EXPIRE);
    if (expiry_ms == EXPIRY_NONE && had_expiry) call_event(call, 1, EVENT_PERSIST);
    if (!x->by_float) value.bytes = (struct bytes){text, number_format_i64(text, value.number)};
    call_log_set(call, 1, value.bytes, expiry_ms); /* Redis 7.0 does not know INCREX */
    return true;
}

/* Integers as integers; floats in the text that the key holds, as doubles or, in RESP2, as bulks. */
static void increx_reply_number(struct call *call, const struct increx *x,
                                const union increx_number *number) {
    char text[NUMBER_LONG_DOUBLE_MAX_LEN + 3];
    if (!x->by_float) {
        reply_int(call->reply, number->integer);
    } else if (call->reply->resp == 2) {
        reply_long_double(call->reply, number->real);
    } else {
        text[0] = ',';
        size_t len = 1 + number_format_long_double(text + 1, number->real);
        memcpy(text + len, "\r\n", 2);
        reply_raw(call->reply, (struct bytes){text, len + 2});
    }
}

static void increx(struct call *call) {
    struct increx x = {0};
    struct increx_terms terms;
    struct increx_sum sum;
    int64_t expiry_ms;
    if (!increx_parse_or_reply(call, &x) || !increx_terms_or_reply(call, &x, &terms) ||
        !string_expiry_or_reply(call, &x.expiry, &expiry_ms))
        return;
    struct entry *e = call_peek(call, 1);
    if (!increx_sum_or_reply(call, &x, &terms, e, &sum)) return;
    if (x.expiry.kind == STRING_EXPIRY_ABSENT || (x.enx && e && entry_expiry(e) != 0))
        expiry_ms = EXPIRY_KEEP;
    bool past = expiry_ms > 0 && expiry_ms <= call->effects->now_ms;
    if (sum.stored && past && e) {
        keyspace_delete_entry(call_keyspace(call, 1), call->db, call_key(call, 1), e);
        call_deleted(call, 1);
        call_log_deleted(call, 1);
    }
    if (sum.stored && !past && !increx_store_or_reply(call, &x, e, &sum, expiry_ms)) return;
    reply_array(call->reply, 2);
    increx_reply_number(call, &x, &sum.value);
    increx_reply_number(call, &x, &sum.applied);
}
COMMAND(increx) = {
    .name = "increx",
    .arity = -2,
    COUNTER,
    .run = increx,
    .since = "8.8.0",
    .summary = "Increment the numeric value of a key within bounds and optionally set its expiration",
    .syntax = "<key:key> [condition:( NX | XX )] [increment:( {BYFLOAT <float:double>} | {BYINT "
              "<integer:integer>} )] "
              "[SATURATE] [{LBOUND <lowerbound>}] [{UBOUND <upperbound>}] "
              "[expiration:( {EX <seconds:integer>} | {PX <milliseconds:integer>} | "
              "{EXAT <unix-time-seconds:unix-time>} | {PXAT <unix-time-milliseconds:unix-time>} | PERSIST )] "
              "[ENX]"};
