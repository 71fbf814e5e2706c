/* list_blocking.c - commands of lists that wait where there is nothing: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH. What they
 * do is recorded as the command that does not wait. */
#include "server/commands/list.h"

/* To Redis it is no change if who has waited gets a single element. */
static void uncount(struct call *call, uint32_t arg) {
    effect_uncount(call->effects, stripe_of(call->hash[arg]), 1);
}

/* ---- BLPOP, BRPOP --------------------------------------------------------------------------------- */

static enum list_popped pop_key(struct call *call, uint32_t arg, enum tree_end end) {
    enum list_popped popped = list_pop_one(call, arg, end, true);
    if (popped == LIST_POPPED)
        CALL_LOG(call, end == TREE_FRONT ? BYTES("LPOP") : BYTES("RPOP"), call->argv[arg]);
    return popped;
}

static void serve_pop(struct call *call, uint32_t arg, enum tree_end end) {
    if (pop_key(call, arg, end) == LIST_POPPED) uncount(call, arg);
}
static void serve_blpop(struct call *call, uint32_t arg) {
    serve_pop(call, arg, TREE_FRONT);
}
static void serve_brpop(struct call *call, uint32_t arg) {
    serve_pop(call, arg, TREE_BACK);
}

static void pop_or_wait(struct call *call, enum tree_end end) {
    struct wait wait = {.type = TYPE_LIST,
                        .first_key = 1,
                        .key_count = call->argc - 2,
                        .serve = end == TREE_FRONT ? serve_blpop : serve_brpop,
                        .over = reply_null_array};
    if (!call_timeout_or_reply(call, call->argc - 1, &wait.timeout_ms)) return;
    for (uint32_t i = 1; i + 1 < call->argc; i++)
        if (pop_key(call, i, end) != LIST_ABSENT) return;
    if (!call_wait(call, &wait)) reply_null_array(call->reply);
}

/* What the rows of both say. */
#define BLOCKING_POPS                                                                                        \
    .arity = -3, .flags = CMD_WRITE | CMD_NOSCRIPT | CMD_BLOCKING, .group = GROUP_LIST, .since = "2.0.0",    \
    .keys = {KEYS(1, -2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)},                                              \
    .complexity = "O(N) where N is the number of provided keys.",                                            \
    .history = "6.0.0: `timeout` is interpreted as a double instead of an integer.",                         \
    .syntax = "<key:key> ... <timeout:double>"

static void blpop(struct call *call) {
    pop_or_wait(call, TREE_FRONT);
}
COMMAND(blpop) = {.name = "blpop",
                  BLOCKING_POPS,
                  .run = blpop,
                  .summary = "Remove and get the first element in a list, or block until one is available"};

static void brpop(struct call *call) {
    pop_or_wait(call, TREE_BACK);
}
COMMAND(brpop) = {.name = "brpop",
                  BLOCKING_POPS,
                  .run = brpop,
                  .summary = "Remove and get the last element in a list, or block until one is available"};

/* ---- BLMPOP --------------------------------------------------------------------------------------- */

enum { BLMPOP_NUMKEYS = 2, BLMPOP_KEYS = 3 };

static void serve_blmpop(struct call *call, uint32_t arg) {
    struct list_mpop mpop;
    if (list_mpop_or_reply(call, BLMPOP_NUMKEYS, &mpop))
        list_pop_first(call, arg, 1, mpop.end, (uint64_t)mpop.count);
}

static void blmpop(struct call *call) {
    struct wait wait = {
        .type = TYPE_LIST, .first_key = BLMPOP_KEYS, .serve = serve_blmpop, .over = reply_null_array};
    struct list_mpop mpop;
    if (!list_mpop_or_reply(call, BLMPOP_NUMKEYS, &mpop)) return;
    if (!call_timeout_or_reply(call, 1, &wait.timeout_ms)) return;
    wait.key_count = mpop.keys;
    if (list_pop_first(call, BLMPOP_KEYS, mpop.keys, mpop.end, (uint64_t)mpop.count) != LIST_ABSENT) return;
    if (!call_wait(call, &wait)) reply_null_array(call->reply);
}
COMMAND(blmpop) = {
    .name = "blmpop",
    .arity = -5,
    .flags = CMD_WRITE | CMD_BLOCKING,
    .keys = {KEYS_COUNTED(2, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)},
    .run = blmpop,
    .group = GROUP_LIST,
    .since = "7.0.0",
    .complexity = "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
    .summary = "Pop elements from a list, or block until one is available",
    .syntax = "<timeout:double> <numkeys:integer> <key:key> ... where:(LEFT | RIGHT) "
              "[{COUNT <count:integer>}]"};

/* ---- BLMOVE, BRPOPLPUSH --------------------------------------------------------------------------- */

static enum list_popped move_logged(struct call *call, enum tree_end from, enum tree_end to) {
    enum list_popped moved = list_move(call, from, to);
    if (moved == LIST_POPPED)
        CALL_LOG(call, BYTES("LMOVE"), call->argv[1], call->argv[2], call->argv[3], call->argv[4]);
    return moved;
}

static enum list_popped rotate_logged(struct call *call) {
    enum list_popped moved = list_move(call, TREE_BACK, TREE_FRONT);
    if (moved == LIST_POPPED) CALL_LOG(call, BYTES("RPOPLPUSH"), call->argv[1], call->argv[2]);
    return moved;
}

static void serve_blmove(struct call *call, uint32_t arg) {
    enum tree_end from, to;
    assert(arg == 1);
    if (list_end_or_reply(call, 3, &from) && list_end_or_reply(call, 4, &to) &&
        move_logged(call, from, to) == LIST_POPPED)
        uncount(call, 2);
}

static void serve_brpoplpush(struct call *call, uint32_t arg) {
    assert(arg == 1);
    if (rotate_logged(call) == LIST_POPPED) uncount(call, 2);
}

/* Within EXEC nothing is moved. */
static void wait_to_move(struct call *call, int64_t timeout_ms,
                         void (*serve)(struct call *call, uint32_t arg)) {
    struct wait wait = {.timeout_ms = timeout_ms,
                        .type = TYPE_LIST,
                        .first_key = 1,
                        .key_count = 1,
                        .target = 2,
                        .serve = serve,
                        .over = reply_null_array};
    if (!call_wait(call, &wait)) reply_null(call->reply);
}

/* What the rows of both say. */
#define BLOCKING_MOVES                                                                                       \
    .flags = CMD_WRITE | CMD_DENYOOM | CMD_NOSCRIPT | CMD_BLOCKING, .group = GROUP_LIST,                     \
    .complexity = "O(1)", .keys = {KEY(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY(2, KEY_RW | KEY_INSERT)}

static void blmove(struct call *call) {
    enum tree_end from, to;
    int64_t timeout_ms;
    if (!list_end_or_reply(call, 3, &from) || !list_end_or_reply(call, 4, &to)) return;
    if (!call_timeout_or_reply(call, 5, &timeout_ms)) return;
    if (move_logged(call, from, to) == LIST_ABSENT) wait_to_move(call, timeout_ms, serve_blmove);
}
COMMAND(blmove) = {.name = "blmove",
                   .arity = 6,
                   BLOCKING_MOVES,
                   .run = blmove,
                   .since = "6.2.0",
                   .summary = "Pop an element from a list, push it to another list and return it; or block "
                              "until one is available",
                   .syntax = "<source:key> <destination:key> wherefrom:(LEFT | RIGHT) whereto:(LEFT | RIGHT) "
                             "<timeout:double>"};

static void brpoplpush(struct call *call) {
    int64_t timeout_ms;
    if (!call_timeout_or_reply(call, 3, &timeout_ms)) return;
    if (rotate_logged(call) == LIST_ABSENT) wait_to_move(call, timeout_ms, serve_brpoplpush);
}
COMMAND(brpoplpush) = {
    .name = "brpoplpush",
    .arity = 4,
    BLOCKING_MOVES,
    .run = brpoplpush,
    .since = "2.2.0",
    .summary = "Pop an element from a list, push it to another list and return it; or block until one is "
               "available",
    .history = "6.0.0: `timeout` is interpreted as a double instead of an integer.",
    .deprecated_since = "6.2.0",
    .replaced_by = "`BLMOVE` with the `RIGHT` and `LEFT` arguments",
    .syntax = "<source:key> <destination:key> <timeout:double>"};
