/* hyperloglog.c - HyperLogLogs: strings whose bytes are registers (store/values/hyperloglog). */
#include "store/values/hyperloglog.h"

#include <stdlib.h>

#include "protocol/text.h"
#include "server/commands/string.h"
#include "server/config/config.h"

/* ---- Values --------------------------------------------------------------------------------------- */

static bool is_hll_or_reply(struct call *call, const struct entry *e, struct bytes *value) {
    char scratch[NUMBER_I64_MAX_LEN];
    if (!call_is_string_or_reply(call, e)) return false;
    *value = e ? entry_string(e, scratch) : BYTES("");
    if (!e || hll_is(*value)) return true; /* which no integer is */
    reply_error(call->reply, "WRONGTYPE Key is not a valid HyperLogLog string value.");
    return false;
}

static void corrupt(struct call *call) {
    reply_error(call->reply, "INVALIDOBJ Corrupted HLL object detected");
}

/* A HyperLogLog that is written to is "raw" from then on, as in Redis, also where nothing changes. It is then where
 * *value says. False after replying that memory ran out. */
static bool own_or_reply(struct call *call, uint32_t arg, struct entry **e, struct bytes *value) {
    if ((*e)->edited) return true;
    value->data = string_edit_or_reply(call, arg, e, value->len);
    return value->data != NULL;
}

/* Makes the value these bytes. */
static bool store_or_reply(struct call *call, uint32_t arg, struct entry **e, struct bytes bytes) {
    char *data = string_edit_or_reply(call, arg, e, bytes.len);
    if (data) memcpy(data, bytes.data, bytes.len);
    return data != NULL;
}

/* ---- PFADD ---------------------------------------------------------------------------------------- */

/* The string argv[1] that elements are added to. */
struct adding {
    struct entry *e;
    uint64_t changes;
    bool corrupt;
};

static struct bytes value_of(const struct adding *adding) {
    char scratch[NUMBER_I64_MAX_LEN];
    return entry_string(adding->e, scratch); /* no integer: the bytes lie in the entry or its block */
}

static bool step_or_reply(struct call *call, struct adding *adding, const struct hll_step *step) {
    struct bytes value = value_of(adding);
    if (step->added >= step->removed) {
        char *data = string_edit_or_reply(call, 1, &adding->e, value.len + step->added - step->removed);
        if (data) hll_apply(data, value.len, step);
        return data != NULL;
    }
    /* Nothing may have moved yet where memory runs out. Of a value that somebody has made up the tail may be long. */
    size_t behind = step->at + step->removed, left = value.len - behind;
    char near[HLL_SPARSE_LEN_MAX], *tail = left <= sizeof near ? near : malloc(left);
    if (!tail) {
        call_out_of_memory(call);
        return false;
    }
    memcpy(tail, value.data + behind, left);
    char *data = string_edit_or_reply(call, 1, &adding->e, step->at + step->added + left);
    if (data) {
        memcpy(data + step->at, step->bytes, step->added);
        memcpy(data + step->at + step->added, tail, left);
    }
    if (tail != near) free(tail);
    return data != NULL;
}

/* False after replying, with the value as it was. */
static bool add_or_reply(struct call *call, struct adding *adding, struct bytes element) {
    struct hll_step step;
    struct hll_observation seen = hll_observe(element);
    uint64_t sparse_max = (uint64_t)config.hll_sparse_max_bytes;
    enum hll_outcome outcome = hll_plan(value_of(adding), seen, sparse_max, &step);
    if (outcome == HLL_NARROW) {
        char dense[HLL_DENSE_LEN];
        if (hll_densify(value_of(adding), dense)) {
            if (!store_or_reply(call, 1, &adding->e, (struct bytes){dense, sizeof dense})) return false;
            outcome = hll_plan(value_of(adding), seen, sparse_max, &step);
            assert(outcome == HLL_CHANGE);
        } else {
            outcome = HLL_CORRUPT;
        }
    }
    if (outcome == HLL_CORRUPT) {
        corrupt(call);
        adding->corrupt = true;
        return false;
    }
    if (outcome == HLL_SAME) return true;
    if (!step_or_reply(call, adding, &step)) return false;
    adding->changes++;
    return true;
}

static void pfadd(struct call *call) {
    struct bytes value;
    struct adding adding = {.e = call_claim(call, 1)};
    if (!is_hll_or_reply(call, adding.e, &value)) return;
    if (adding.e) {
        if (!own_or_reply(call, 1, &adding.e, &value)) return;
    } else {
        char *data = string_edit_or_reply(call, 1, &adding.e, HLL_EMPTY_LEN);
        if (!data) return;
        hll_write_empty(data);
        adding.changes = 1;
    }
    uint32_t arg = 2;
    while (arg < call->argc && add_or_reply(call, &adding, call->argv[arg])) arg++;
    bool failed = arg < call->argc;
    if (adding.changes) {
        hll_forget_count(
            (char *)(uintptr_t)value_of(&adding).data); /* which is its own since it was changed */
        /* What was done before an error stays, though Redis counts that as none where the value was corrupt. */
        call_changed_times(call, 1, EVENT_PFADD, adding.corrupt ? 0 : adding.changes);
        if (failed) call_log(call, call->argv, arg);
    }
    if (!failed) reply_int(call->reply, adding.changes > 0);
}
COMMAND(pfadd) = {.name = "pfadd",
                  .arity = -2,
                  .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
                  .keys = {KEY(1, KEY_RW | KEY_INSERT)},
                  .run = pfadd,
                  .group = GROUP_HYPERLOGLOG,
                  .since = "2.8.9",
                  .complexity = "O(1) to add every element.",
                  .summary = "Adds the specified elements to the specified HyperLogLog.",
                  .syntax = "<key:key> [<element>]..."};

/* ---- PFCOUNT -------------------------------------------------------------------------------------- */

/* Keeps the count in the value, where there is memory for one that others do not share. */
static void keep_count(struct call *call, struct entry *e, size_t len, int64_t count) {
    struct edit edit = {
        .keyspace = call_keyspace(call, 1), .db = call->db, .key = call_key(call, 1), .entry = e};
    char *data = edit_open(&edit, false) == EDIT_OPENED ? edit_room(&edit, len) : NULL;
    if (!data) return;
    hll_keep_count(data, count);
    call_changed(call, 1, EVENT_NONE);
}

static void count_one(struct call *call) {
    struct bytes value;
    int64_t count = 0;
    struct entry *e = call_read(call, 1);
    if (!is_hll_or_reply(call, e, &value)) return;
    if (e) {
        if (!own_or_reply(call, 1, &e, &value)) return;
        if (!hll_kept_count(value, &count)) {
            if (!hll_count(value, &count)) {
                corrupt(call);
                return;
            }
            keep_count(call, e, value.len, count);
        }
    }
    reply_int(call->reply, count);
}

/* Raises registers to those of argv[arg]. False after replying. */
static bool merge_or_reply(struct call *call, uint32_t arg, uint8_t registers[HLL_REGISTERS], bool *dense) {
    struct bytes value;
    struct entry *e = call_read(call, arg);
    if (!is_hll_or_reply(call, e, &value)) return false;
    if (!e) return true;
    *dense |= hll_is_dense(value);
    if (hll_merge(registers, value)) return true;
    corrupt(call);
    return false;
}

static void pfcount(struct call *call) {
    if (call->argc == 2) {
        count_one(call);
        return;
    }
    uint8_t registers[HLL_REGISTERS] = {0};
    bool dense = false; /* which nobody asks for here */
    for (uint32_t i = 1; i < call->argc; i++)
        if (!merge_or_reply(call, i, registers, &dense)) return;
    reply_int(call->reply, hll_count_registers(registers));
}
COMMAND(pfcount) = {
    .name = "pfcount",
    .arity = -2,
    .flags = CMD_READONLY | CMD_MAY_REPLICATE, /* the count that it keeps is a change */
    .keys =
        {{.flags = KEY_RW | KEY_ACCESS,
          .first = 1,
          .last = -1,
          .step = 1,
          .note =
              "RW because it may change the internal representation of the key, and propagate to replicas"}},
    .run = pfcount,
    .group = GROUP_HYPERLOGLOG,
    .since = "2.8.9",
    .complexity =
        "O(1) with a very small average constant time when called with a single key. O(N) with N being "
        "the number of keys, and much bigger constant times, when called with multiple keys.",
    .summary = "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
    .syntax = "<key:key>..."};

/* ---- PFMERGE -------------------------------------------------------------------------------------- */

static void pfmerge(struct call *call) {
    uint8_t registers[HLL_REGISTERS] = {0};
    char empty[HLL_EMPTY_LEN], raised[HLL_SPARSE_LEN_MAX];
    struct bytes value;
    bool dense = false;
    for (uint32_t i = 1; i < call->argc; i++)
        if (!merge_or_reply(call, i, registers, &dense)) return;
    struct entry *e = call_claim(call, 1);
    if (!is_hll_or_reply(call, e, &value)) return;
    if (!e) {
        hll_write_empty(empty);
        value = (struct bytes){empty, sizeof empty};
    }
    size_t len = hll_raise(value, registers, (uint64_t)config.hll_sparse_max_bytes, dense, raised);
    if (!store_or_reply(call, 1, &e, (struct bytes){raised, len})) return;
    call_changed(call, 1, EVENT_PFADD); /* as in Redis */
    reply_ok(call->reply);
}
COMMAND(pfmerge) = {.name = "pfmerge",
                    .arity = -2,
                    .flags = CMD_WRITE | CMD_DENYOOM,
                    .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_INSERT), KEYS(2, -1, 1, KEY_RO | KEY_ACCESS)},
                    .run = pfmerge,
                    .group = GROUP_HYPERLOGLOG,
                    .since = "2.8.9",
                    .complexity = "O(N) to merge N HyperLogLogs, but with high constant times.",
                    .summary = "Merge N different HyperLogLogs into a single one.",
                    .syntax = "<destkey:key> <sourcekey:key>..."};

/* ---- PFDEBUG, PFSELFTEST -------------------------------------------------------------------------- */

/* Makes a sparse value dense, which is a change. */
static bool debug_densify_or_reply(struct call *call, struct entry **e, struct bytes *value) {
    char scratch[NUMBER_I64_MAX_LEN], dense[HLL_DENSE_LEN];
    if (hll_is_dense(*value)) return true;
    if (!hll_densify(*value, dense)) {
        corrupt(call);
        return false;
    }
    if (!store_or_reply(call, 2, e, (struct bytes){dense, sizeof dense})) return false;
    *value = entry_string(*e, scratch);
    call_changed(call, 2, EVENT_NONE);
    return true;
}

static void debug_getreg(struct call *call, struct entry *e, struct bytes value) {
    uint8_t registers[HLL_REGISTERS] = {0};
    if (!debug_densify_or_reply(call, &e, &value)) return;
    hll_merge(registers, value);
    reply_array(call->reply, HLL_REGISTERS);
    for (unsigned i = 0; i < HLL_REGISTERS; i++) reply_int(call->reply, registers[i]);
}

static void debug_todense(struct call *call, struct entry *e, struct bytes value) {
    bool sparse = !hll_is_dense(value);
    if (debug_densify_or_reply(call, &e, &value)) reply_int(call->reply, sparse);
}

static void debug_encoding(struct call *call, struct entry *e, struct bytes value) {
    (void)e;
    reply_simple(call->reply, hll_is_dense(value) ? "dense" : "sparse");
}

enum {
    RUN_TEXT_MAX = sizeof "v:32,4 ", /* longer than a long one is for its bytes */
    DECODE_LEN_MAX = 2 << 20,        /* bytes of a value: a longer one would make a text of gigabytes */
};

static void debug_decode(struct call *call, struct entry *e, struct bytes value) {
    (void)e;
    if (hll_is_dense(value)) {
        reply_error(call->reply, "ERR HLL encoding is not sparse");
        return;
    }
    if (value.len > DECODE_LEN_MAX) {
        corrupt(call);
        return;
    }
    struct text text = text_growing(NULL, 0, (value.len - HLL_HEAD) * RUN_TEXT_MAX);
    struct hll_run run;
    for (size_t at = HLL_HEAD; hll_next_run(value, &at, &run);) {
        if (text.len) text_string(&text, " ");
        if (run.rank)
            text_format(&text, "v:%u,%u", run.rank, run.span);
        else
            text_format(&text, "%c:%u", run.long_zeroes ? 'Z' : 'z', run.span);
    }
    if (text.cut)
        call_out_of_memory(call);
    else
        reply_bulk(call->reply, text_bytes(&text));
    text_free(&text);
}

static void pfdebug(struct call *call) {
    static const struct {
        const char *name;
        void (*run)(struct call *call, struct entry *e, struct bytes value);
    } subcommands[] = {{"getreg", debug_getreg},
                       {"decode", debug_decode},
                       {"encoding", debug_encoding},
                       {"todense", debug_todense}};
    struct bytes value;
    struct entry *e = call_claim(call, 2);
    if (!e) {
        reply_error(call->reply, "ERR The specified key does not exist");
        return;
    }
    if (!is_hll_or_reply(call, e, &value) || !own_or_reply(call, 2, &e, &value)) return;
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        if (!bytes_equal_nocase(call->argv[1], bytes_of(subcommands[i].name))) continue;
        subcommands[i].run(call, e, value);
        return;
    }
    reply_errorf(call->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", reply_repeated(call->argv[1]),
                 call->argv[1].data);
}
COMMAND(pfdebug) = {.name = "pfdebug",
                    .arity = 3,
                    .flags = CMD_WRITE | CMD_DENYOOM | CMD_ADMIN | CMD_SYSCMD,
                    .keys = {KEY(2, KEY_RW | KEY_ACCESS)},
                    .run = pfdebug,
                    .group = GROUP_HYPERLOGLOG,
                    .since = "2.8.9",
                    .complexity = "N/A",
                    .summary = "Internal commands for debugging HyperLogLog values",
                    .syntax = "<subcommand> <key:key>"};

static void pfselftest(struct call *call) {
    const char *wrong = hll_self_test();
    if (wrong)
        reply_errorf(call->reply, "TESTFAILED %s", wrong);
    else
        reply_ok(call->reply);
}
COMMAND(pfselftest) = {.name = "pfselftest",
                       .arity = 1,
                       .flags = CMD_ADMIN | CMD_SYSCMD | CMD_SLOW_CLOCK,
                       .run = pfselftest,
                       .group = GROUP_HYPERLOGLOG,
                       .since = "2.8.9",
                       .complexity = "N/A",
                       .summary = "An internal command for testing HyperLogLog values"};
