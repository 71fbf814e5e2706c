/* object.c - OBJECT: how a value is kept. */
#include <limits.h>

#include "server/call/help.h"
#include "server/commands/keys.h"

COMMAND(object) = {.name = "object",
                   .arity = -2,
                   .group = GROUP_GENERIC,
                   .since = "2.2.3",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for object introspection commands"};

/* What the rows of all but HELP say. */
#define ABOUT_A_KEY                                                                                          \
    .arity = 3, .flags = CMD_READONLY | CMD_BOUNDED, .keys = {KEY(2, KEY_RO)}, .group = GROUP_GENERIC,       \
    .complexity = "O(1)", .acl = "keyspace", .tips = "nondeterministic_output", .syntax = "<key:key>"

/* The entry, or NULL after replying a null. */
static struct entry *object_or_reply(struct call *call) {
    struct entry *e = keys_inspect(call, 2);
    if (!e) reply_null(call->reply);
    return e;
}

static void object_encoding(struct call *call) {
    struct entry *e = object_or_reply(call);
    if (!e) return;
    struct value value = entry_value(e);
    reply_bulk_text(call->reply, keyspace_type(call_keyspace(call, 2), e)->encoding(&value));
}
COMMAND(object_encoding) = {.container = "object",
                            .name = "encoding",
                            ABOUT_A_KEY,
                            .run = object_encoding,
                            .since = "2.2.3",
                            .summary = "Inspect the internal encoding of a Redis object"};

/* Frequencies belong to the LFU policies of maxmemory-policy, and none of them is selected. */
static void object_freq(struct call *call) {
    if (object_or_reply(call))
        reply_error(call->reply,
                    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please "
                    "note that when switching between policies at runtime LRU and LFU data will take some "
                    "time to adjust.");
}
COMMAND(object_freq) = {.container = "object",
                        .name = "freq",
                        ABOUT_A_KEY,
                        .run = object_freq,
                        .since = "4.0.0",
                        .summary = "Get the logarithmic access frequency counter of a Redis object"};

/* The access record holds the low 24 bits of Unix seconds: right for idle times below 194 days. */
static void object_idletime(struct call *call) {
    struct entry *e = object_or_reply(call);
    if (e) reply_int(call->reply, ((uint32_t)(call->effects->now_ms / 1000) - entry_access(e)) & 0xffffff);
}
COMMAND(object_idletime) = {.container = "object",
                            .name = "idletime",
                            ABOUT_A_KEY,
                            .run = object_idletime,
                            .since = "2.2.3",
                            .summary = "Get the time since a Redis object was last accessed"};

/* Redis keeps one object for each of these integers, and gives it this count. */
enum { SHARED_INTEGERS = 10000, SHARED_REFERENCES = INT_MAX };

/* What Redis would say. What kevy itself shares, large values between copies and with replies on their way, is
 * nobody's business: it comes and goes with the moment. */
static void object_refcount(struct call *call) {
    int64_t number;
    struct entry *e = object_or_reply(call);
    if (!e) return;
    bool shared = entry_int(e, &number) && number >= 0 && number < SHARED_INTEGERS;
    reply_int(call->reply, shared ? SHARED_REFERENCES : 1);
}
COMMAND(object_refcount) = {.container = "object",
                            .name = "refcount",
                            ABOUT_A_KEY,
                            .run = object_refcount,
                            .since = "2.2.3",
                            .summary = "Get the number of references to the value of the key"};

static void object_help(struct call *call) {
    static const char *const lines[] = {
        "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "ENCODING <key>",
        "    Return the kind of internal representation used in order to store the value",
        "    associated with a <key>.",
        "FREQ <key>",
        "    Return the access frequency index of the <key>. The returned integer is",
        "    proportional to the logarithm of the recent access frequency of the key.",
        "IDLETIME <key>",
        "    Return the idle time of the <key>, that is the approximated number of",
        "    seconds elapsed since the last access to the key.",
        "REFCOUNT <key>",
        "    Return the number of references of the value associated with the specified",
        "    <key>.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(object_help) = {.container = "object",
                        .name = "help",
                        HELP_ROW,
                        .run = object_help,
                        .group = GROUP_GENERIC,
                        .since = "6.2.0",
                        .acl = "keyspace"};
