/* gates.c - refusals, and what is asked of a command that is not on the fast path. */
#include "server/exec/gates.h"

#include <stdio.h>

#include "protocol/text.h"
#include "server/config/config.h"
#include "server/exec/monitor.h"
#include "server/exec/pause.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"

/* A slowlog threshold below this times every command, not only those that may take long. */
enum { TIMING_MAX_US = 1000 };

/* ---- Refusing ------------------------------------------------------------------------------------- */

/* A refusal of EXEC ends its transaction: queued commands do not stay behind it. */
static void reject(struct call *call, const struct command *command, const char *code, const char *text) {
    if (command && command->flags & CMD_RUNS_QUEUE) {
        transaction_close(call->client);
        reply_errorf(call->reply, "EXECABORT Transaction discarded because of: %s", text);
    } else {
        reply_errorf(call->reply, "%s %s", code, text);
    }
    if (command) metric_add(&call->effects->metrics->commands[command->id].rejected, 1);
    metric_add(&call->effects->metrics->error_replies, 1);
    errorstats_note(call->reply->last_error);
    if (call->client->flags & CLIENT_MULTI) transaction_fail(call->client);
}

enum { REFUSAL_MAX = 512 }; /* bytes; what is shown of a request is cut by reply_name and UNKNOWN_ARGS_MAX */

/* The arguments of an unknown command, up to a NUL each and to UNKNOWN_ARGS_MAX bytes in all, as Redis shows them. */
enum { UNKNOWN_ARGS_MAX = 128 };
static void add_arguments(struct text *text, const struct call *call) {
    size_t begin = text->len;
    for (uint32_t i = 1; i < call->argc && text->len - begin < UNKNOWN_ARGS_MAX; i++) {
        int room = (int)(UNKNOWN_ARGS_MAX - (text->len - begin));
        text_format(text, "'%.*s' ", call->argv[i].len < (size_t)room ? (int)call->argv[i].len : room,
                    call->argv[i].data);
    }
}

static void reject_unknown(struct call *call) {
    char memory[REFUSAL_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    /* A browser or a cross-protocol attack: its next lines are headers and body, and must not be run as
     * commands. */
    if (bytes_is(call->argv[0], "post") || bytes_is(call->argv[0], "host:")) {
        client_set(call->client->flags, call->client->flags | CLIENT_CLOSE_NOW);
        return;
    }
    text_format(&text, "unknown command '%.*s', with args beginning with: ", reply_name(call->argv[0]),
                call->argv[0].data);
    add_arguments(&text, call);
    reject(call, NULL, "ERR", memory);
}

static void reject_subcommand(struct call *call, const struct command *container) {
    char memory[REFUSAL_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    text_format(&text, "unknown subcommand '%.*s'. Try ", reply_name(call->argv[1]), call->argv[1].data);
    text_upper(&text, bytes_of(container->name));
    text_string(&text, " HELP.");
    reject(call, NULL, "ERR", memory);
}

static void reject_arity(struct call *call, const struct command *command) {
    char name[COMMAND_FULL_NAME_MAX], text[128];
    size_t len = command_full_name(command, name);
    snprintf(text, sizeof text, "wrong number of arguments for '%.*s' command", (int)len, name);
    reject(call, command, "ERR", text);
}

static void reject_request(struct call *call, const struct request *request) {
    const struct command *command = request->command;
    if (!command)
        reject_unknown(call);
    else if (request->bad_subcommand)
        reject_subcommand(call, command);
    else
        reject_arity(call, command);
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

uint32_t gates_now(const struct client *client) {
    int64_t threshold_us = config.slowlog_log_slower_than;
    uint32_t gates = 0;
    if (client_must_authenticate(client)) gates |= GATE_AUTH;
    if (pause_until_ms()) gates |= GATE_PAUSE;
    if (monitor_count) gates |= GATE_MONITOR;
    if (threshold_us >= 0 && threshold_us < TIMING_MAX_US) gates |= GATE_TIMING;
    return gates;
}

static bool writes_queued(const struct command *command, const struct client *client) {
    if (!(command->flags & CMD_LOCKS_QUEUE)) return false;
    for (size_t i = 0; i < transaction_count(client); i++)
        if (transaction_at(client, i)->command->flags & (CMD_WRITE | CMD_MAY_REPLICATE)) return true;
    return false;
}

/* What a command must pass when it is not on the fast path, in Redis's order. */
static enum verdict gate(struct call *call, const struct command *command) {
    struct client *client = call->client;
    if (client_must_authenticate(client) && !(command->flags & CMD_NO_AUTH)) {
        reject(call, command, "NOAUTH", "Authentication required.");
        return REFUSED;
    }
    if (client->flags & CLIENT_MULTI && command->flags & CMD_NO_MULTI) {
        reject(call, command, "ERR", "Command not allowed inside a transaction");
        return REFUSED;
    }
    if (client->flags & CLIENT_MONITOR && command->flags & (CMD_READONLY | CMD_WRITE | CMD_MAY_REPLICATE)) {
        /* Monitors are replicas of a kind to Redis. */
        reject(call, command, "ERR", "Replica can't interact with the keyspace");
        return REFUSED;
    }
    if (pause_until_ms() && pause_holds(command, writes_queued(command, client), call->effects->now_ms))
        return HELD;
    return PASS;
}

enum verdict gates_ask(struct call *call, const struct request *request) {
    if (call->client->flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW))
        return HELD; /* nor is it refused */
    if (prepare_runnable(request)) return gate(call, request->command);
    reject_request(call, request);
    return REFUSED;
}
