/* zset_blocking.c - commands of sorted sets that wait where there is nothing: BZPOPMIN, BZPOPMAX, BZMPOP. What they do
 * is recorded as ZPOPMIN or ZPOPMAX. */
#include "server/commands/zset.h"

/* ---- BZPOPMIN, BZPOPMAX --------------------------------------------------------------------------- */

/* True if it has replied. */
static bool pop_keys(struct call *call, uint32_t first, uint32_t keys, bool max) {
    struct zset_popping popping = {.max = max, .count = 1, .show = ZSET_SCORES, .triple = true};
    return zset_pop_first(call, first, keys, &popping);
}

static void serve_bzpopmin(struct call *call, uint32_t arg) {
    pop_keys(call, arg, 1, false);
}
static void serve_bzpopmax(struct call *call, uint32_t arg) {
    pop_keys(call, arg, 1, true);
}

static void pop_or_wait(struct call *call, bool max) {
    struct wait wait = {.type = TYPE_ZSET,
                        .first_key = 1,
                        .key_count = call->argc - 2,
                        .serve = max ? serve_bzpopmax : serve_bzpopmin,
                        .over = reply_null_array};
    if (!call_timeout_or_reply(call, call->argc - 1, &wait.timeout_ms)) return;
    if (pop_keys(call, 1, call->argc - 2, max)) return;
    if (!call_wait(call, &wait)) reply_null_array(call->reply);
}

/* What the rows of both say. */
#define BLOCKING_POPS                                                                                        \
    .arity = -3, .flags = CMD_WRITE | CMD_NOSCRIPT | CMD_BLOCKING | CMD_FAST, .group = GROUP_SORTED_SET,     \
    .keys = {KEYS(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)}, .since = "5.0.0",                            \
    .complexity = "O(log(N)) with N being the number of elements in the sorted set.",                        \
    .history = "6.0.0: `timeout` is interpreted as a double instead of an integer.",                         \
    .syntax = "<key:key> ... <timeout:double>"

static void bzpopmin(struct call *call) {
    pop_or_wait(call, false);
}
COMMAND(bzpopmin) = {.name = "bzpopmin",
                     BLOCKING_POPS,
                     .run = bzpopmin,
                     .summary = "Remove and return the member with the lowest score from one or more sorted "
                                "sets, or block until one is available"};

static void bzpopmax(struct call *call) {
    pop_or_wait(call, true);
}
COMMAND(bzpopmax) = {.name = "bzpopmax",
                     BLOCKING_POPS,
                     .run = bzpopmax,
                     .summary = "Remove and return the member with the highest score from one or more "
                                "sorted sets, or block until one is available"};

/* ---- BZMPOP --------------------------------------------------------------------------------------- */

enum { BZMPOP_NUMKEYS = 2, BZMPOP_KEYS = 3 };

static void serve_bzmpop(struct call *call, uint32_t arg) {
    struct zset_popping popping;
    uint32_t keys;
    if (zset_mpop_or_reply(call, BZMPOP_NUMKEYS, &keys, &popping)) zset_pop_first(call, arg, 1, &popping);
}

static void bzmpop(struct call *call) {
    struct wait wait = {
        .type = TYPE_ZSET, .first_key = BZMPOP_KEYS, .serve = serve_bzmpop, .over = reply_null_array};
    struct zset_popping popping;
    if (!zset_mpop_or_reply(call, BZMPOP_NUMKEYS, &wait.key_count, &popping)) return;
    if (!call_timeout_or_reply(call, 1, &wait.timeout_ms)) return;
    if (zset_pop_first(call, BZMPOP_KEYS, wait.key_count, &popping)) return;
    if (!call_wait(call, &wait)) reply_null_array(call->reply);
}
COMMAND(bzmpop) = {
    .name = "bzmpop",
    .arity = -5,
    .flags = CMD_WRITE | CMD_BLOCKING,
    .keys = {KEYS_COUNTED(2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
    .run = bzmpop,
    .group = GROUP_SORTED_SET,
    .since = "7.0.0",
    .complexity = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements "
                  "in the sorted set, and M being the number of elements popped.",
    .summary = "Remove and return members with scores in a sorted set or block until one is available",
    .syntax = "<timeout:double> <numkeys:integer> <key:key> ... where:(MIN | MAX) [{COUNT "
              "<count:integer>}]"};
