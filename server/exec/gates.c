/* gates.c - refusals, and what is asked of a command that is not on the fast path. */
#include "server/exec/gates.h"

#include <stdio.h>

#include "protocol/assert.h"
#include "protocol/text.h"
#include "server/config/config.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/journal/intake.h"
#include "server/missing.h"
#include "server/report/errorstats.h"

/* ---- Refusing ------------------------------------------------------------------------------------- */

/* A refusal of EXEC ends its transaction: queued commands do not stay behind it. `error` begins with its code; where EXEC
 * repeats it, the common one is left out, as Redis does. */
static void reject(struct call *call, const struct command *command, const char *error) {
    if (command && command->flags & CMD_RUNS_QUEUE) {
        transaction_close(call->client);
        reply_errorf(call->reply, "EXECABORT Transaction discarded because of: %s",
                     error + (strncmp(error, "ERR ", 4) == 0 ? 4 : 0));
    } else {
        reply_error(call->reply, error);
    }
    if (command) metric_add(&call->effects->metrics->commands[command->id].rejected, 1);
    metric_add(&call->effects->metrics->error_replies, 1);
    errorstats_note(call->reply->last_error);
    if (!(call->client->flags & CLIENT_IN_EXEC)) transaction_fail(call->client);
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
    /* A browser or a cross-protocol attack: its next lines are headers and body, and must not be run as commands. */
    if (bytes_is(call->argv[0], "post") || bytes_is(call->argv[0], "host:")) {
        client_set(call->client->flags, call->client->flags | CLIENT_CLOSE_NOW);
        return;
    }
    text_format(&text, "ERR unknown command '%.*s', with args beginning with: ", reply_name(call->argv[0]),
                call->argv[0].data);
    add_arguments(&text, call);
    const char *why = missing_command(call->argv[0]);
    if (why) text_format(&text, "(kevy %s)", why);
    reject(call, NULL, memory);
}

static void reject_subcommand(struct call *call, const struct command *container) {
    char memory[REFUSAL_MAX];
    struct text text = text_fixed(memory, sizeof memory);
    text_format(&text, "ERR unknown subcommand '%.*s'. Try ", reply_name(call->argv[1]), call->argv[1].data);
    text_upper(&text, (struct bytes){call->argv[0].data, (size_t)reply_name(call->argv[0])});
    text_string(&text, " HELP.");
    const char *why = missing_subcommand(bytes_of(container->name), call->argv[1]);
    if (why) text_format(&text, " (kevy %s)", why);
    reject(call, NULL, memory);
}

static void reject_arity(struct call *call, const struct command *command) {
    char name[COMMAND_FULL_NAME_MAX], text[128];
    size_t len = command_full_name(command, name);
    snprintf(text, sizeof text, "ERR wrong number of arguments for '%.*s' command", (int)len, name);
    reject(call, command, text);
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

/* ---- Gates and modes of no other file ------------------------------------------------------------- */

static bool concerns_all(const struct command *command) {
    return command != NULL;
}

static bool owes_password(const struct command *command) {
    return !(command->flags & CMD_NO_AUTH);
}
static enum verdict ask_password(const struct call *call, struct text *why) {
    if (!client_must_authenticate(call->client)) return PASS; /* there is no password any more */
    text_string(why, "NOAUTH Authentication required.");
    return REFUSED;
}
GATE(password) = {
    .bit = GATE_NOAUTH, .flags = CLIENT_UNAUTHENTICATED, .concerns = owes_password, .ask = ask_password};

static bool needs_data(const struct command *command) {
    return !(command->flags & CMD_LOADING);
}
static enum verdict ask_loaded(const struct call *call, struct text *why) {
    if (!intake_going()) return PASS; /* the batch began before it was over */
    text_string(why, "LOADING Redis is loading the dataset in memory");
    return REFUSED;
}
GATE(loading) = {.bit = GATE_LOADING, .concerns = needs_data, .ask = ask_loaded};

GATE(closing) = {
    .bit = MODE_CLOSING, .flags = CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW, .concerns = concerns_all};
GATE(timed) = {.bit = MODE_TIMED, .concerns = concerns_all};

/* ---- Asking --------------------------------------------------------------------------------------- */

static enum verdict ask(struct call *call, uint32_t raised, bool nested) {
    char memory[REFUSAL_MAX];
    for (uint32_t bits = raised & ~(uint32_t)GATE_MODES; bits; bits &= bits - 1) {
        struct text why = text_fixed(memory, sizeof memory);
        const struct gate *gate = gate_at((unsigned)__builtin_ctz(bits));
        assert(gate && gate->ask && gate->concerns(call->command));
        if (nested && gate->outermost) continue;
        enum verdict verdict = gate->ask(call, &why);
        assert(!nested || verdict != HELD);
        assert(verdict != REFUSED || why.len);
        if (verdict == REFUSED) reject(call, call->command, memory);
        if (verdict != PASS) return verdict;
    }
    return PASS;
}

enum verdict gates_ask(struct call *call, const struct request *request) {
    uint32_t gates = executor_of(call)->gates;
    assert(call->command == request->command && !call->held &&
           call->stripe == STRIPE_NONE); /* no lock is held */
    if (gates & GATE_MASK(MODE_CLOSING)) return HELD;
    if (prepare_runnable(request)) return ask(call, gates & request->command->gates, false);
    reject_request(call, request);
    return REFUSED;
}

enum verdict gates_ask_nested(struct call *call) {
    return ask(call, gates_raised(call->client) & call->command->gates, true);
}
