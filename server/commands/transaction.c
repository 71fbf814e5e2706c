/* transaction.c - MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * Between MULTI and EXEC dispatch queues what arrives (server/exec/transaction.h). EXEC runs with the locks of
 * every stripe that a queued or watched key is in (CMD_LOCKS_QUEUE), so the queue is one step for everybody else. */
#include "server/exec/transaction.h"

#include "server/call/shown.h"
#include "server/commands/pubsub.h"
#include "server/exec/nested.h"

static void multi(struct call *call) {
    if (call->client->flags & CLIENT_MULTI)
        reply_error(call->reply, "ERR MULTI calls can not be nested");
    else if (!transaction_begin(call->client))
        call_out_of_memory(call);
    else
        reply_ok(call->reply);
}
COMMAND(multi) = {.name = "multi",
                  .arity = 1,
                  .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_IMMEDIATE,
                  .run = multi,
                  .group = GROUP_TRANSACTIONS,
                  .since = "1.2.0",
                  .complexity = "O(1)",
                  .summary = "Mark the start of a transaction block",
                  .acl = "transaction"};

/* Watches end before the first command runs, so that an UNWATCH in the queue finds nothing, as in Redis. */
static void run_queue(struct call *call) {
    struct client *client = call->client;
    size_t count = transaction_count(client);
    transaction_unwatch(client);
    client_set(client->flags, client->flags | CLIENT_IN_EXEC);
    call->effects->rewrite_said = 0;
    reply_array(call->reply, count);
    for (size_t i = 0; i < count; i++) {
        struct saved *saved = transaction_take(client, i);
        (void)nested_run(call, saved, client, call->reply); /* a refusal is an element like any other */
        saved_free(saved); /* a large argument is its value's alone from here on */
    }
    client_set(client->flags, client->flags & ~(uint32_t)CLIENT_IN_EXEC);
}

/* That a watched key was changed is something to show. */
static void reply_watched(struct call *call) {
    shown_note_held(call);
    reply_null_array(call->reply);
}

static void exec(struct call *call) {
    struct client *client = call->client;
    if (!(client->flags & CLIENT_MULTI)) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    subscriber_catch_up(
        call); /* nothing may come between the replies: what comes meanwhile is written behind them */
    if (transaction_failed(client))
        reply_error(call->reply, "EXECABORT Transaction discarded because of previous errors.");
    else if (transaction_dirty(client, call->effects->now_ms))
        reply_watched(call);
    else
        run_queue(call);
    subscriber_catch_up(call);
    transaction_unwatch(client);
    transaction_end(client);
}
COMMAND(exec) = {.name = "exec",
                 .arity = 1,
                 .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_SKIP_SLOWLOG | CMD_IMMEDIATE |
                          CMD_LOCKS_QUEUE | CMD_RUNS_QUEUE | CMD_SLOW_CLOCK,
                 .run = exec,
                 .group = GROUP_TRANSACTIONS,
                 .since = "1.2.0",
                 .complexity = "Depends on commands in the transaction",
                 .summary = "Execute all commands issued after MULTI",
                 .acl = "transaction"};

static void discard(struct call *call) {
    if (!(call->client->flags & CLIENT_MULTI)) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    transaction_unwatch(call->client);
    transaction_end(call->client);
    reply_ok(call->reply);
}
COMMAND(discard) = {.name = "discard",
                    .arity = 1,
                    .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY |
                             CMD_IMMEDIATE | CMD_LOCKS_QUEUE,
                    .run = discard,
                    .group = GROUP_TRANSACTIONS,
                    .since = "2.0.0",
                    .complexity = "O(N), when N is the number of queued commands",
                    .summary = "Discard all commands issued after MULTI",
                    .acl = "transaction"};

static void watch(struct call *call) {
    if (call->client->flags & CLIENT_MULTI) {
        reply_error(call->reply, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (uint32_t i = 1; i < call->argc; i++) {
        bool exists = call_peek(call, i) !=
                      NULL; /* deletes an expired key: that is no change to who watches now */
        if (!transaction_watch(call->client, call->db, call_key(call, i), exists)) {
            call_out_of_memory(call);
            return;
        }
    }
    reply_ok(call->reply);
}
COMMAND(watch) = {.name = "watch",
                  .arity = -2,
                  .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY | CMD_IMMEDIATE,
                  .keys = {KEYS(1, -1, 1, KEY_RO)},
                  .run = watch,
                  .group = GROUP_TRANSACTIONS,
                  .since = "2.2.0",
                  .complexity = "O(1) for every key.",
                  .summary = "Watch the given keys to determine execution of the MULTI/EXEC block",
                  .acl = "transaction",
                  .syntax = "<key:key> ..."};

static void unwatch(struct call *call) {
    transaction_unwatch(call->client);
    reply_ok(call->reply);
}
COMMAND(unwatch) = {.name = "unwatch",
                    .arity = 1,
                    .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_ALLOW_BUSY |
                             CMD_LOCKS_QUEUE,
                    .run = unwatch,
                    .group = GROUP_TRANSACTIONS,
                    .since = "2.2.0",
                    .complexity = "O(1)",
                    .summary = "Forget about all watched keys",
                    .acl = "transaction"};
