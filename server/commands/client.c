/* client.c - CLIENT and its subcommands: what is known about connections, and what one can do to them.
 *
 * CLIENT TRACKING and what belongs to it stand in tracking.c. */
#include <stdlib.h>

#include "protocol/text.h"
#include "server/call/help.h"
#include "server/clients/channels.h"
#include "server/clients/clients.h"
#include "server/clients/post.h"
#include "server/clients/pubsub.h"
#include "server/commands/client_filter.h"
#include "server/commands/connection.h"
#include "server/config/config.h"
#include "server/exec/blocking.h"
#include "server/exec/mute.h"
#include "server/exec/pause.h"
#include "server/limits.h"

#define CLIENT_FLAGS       (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define CLIENT_ADMIN_FLAGS (CLIENT_FLAGS | CMD_ADMIN)

COMMAND(client) = {.name = "client",
                   .arity = -2,
                   .group = GROUP_CONNECTION,
                   .since = "2.4.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for client connection commands"};

static void set_flag(struct client *client, uint32_t flag, bool on) {
    client_set(client->flags, on ? client->flags | flag : client->flags & ~flag);
}

/* ---- Lines of CLIENT LIST ------------------------------------------------------------------------- */

/* A bulk can be no longer than this. */
static struct text lines_begin(void) {
    return text_growing(NULL, 0, (size_t)config.proto_max_bulk_len);
}

static void lines_field(struct text *lines, const char *name, const char *value) {
    text_string(lines, name);
    if (value) text_string(lines, value);
}

/* What it has asked last: a command of EXEC's queue finds EXEC there, as in Redis. */
static const struct command *asked_last(const struct call *call, const struct client *client,
                                        uint32_t flags) {
    const struct bytes exec = BYTES("exec");
    bool bad_subcommand;
    if (client != call->client) return client_get(client->last_command);
    return flags & CLIENT_IN_EXEC ? command_find_own(&exec, 1, &bad_subcommand) : call->command;
}

/* One client; under the registry's lock. Redis's figures about buffers that kevy does not have are 0: an idle
 * connection owns none, and the arguments of a running command lie in the receive buffers. */
static void add_line(struct text *lines, const struct call *call, struct client *client) {
    uint32_t flags = client_get(client->flags);
    uint64_t in = client_get(client->input_bytes), out = client_get(client->output_bytes),
             queued = client_get(client->queued_bytes);
    const struct command *last = asked_last(call, client, flags);
    char letters[CLIENT_LETTERS_MAX], command[COMMAND_FULL_NAME_MAX] = "NULL";
    int command_len = last ? (int)command_full_name(last, command) : 4;
    client_letters(flags, letters);
    text_format(lines, "id=%llu", (unsigned long long)client->id);
    lines_field(lines, " addr=", client_peer(client));
    lines_field(lines, " laddr=", client_local(client));
    text_format(lines, " fd=%d", client->fd);
    lines_field(lines, " name=", client_text(client, CLIENT_NAME));
    text_format(lines, " age=%lld idle=%lld flags=%s db=%u sub=%u psub=%u ssub=%u multi=%d",
                (long long)(call->effects->now_ms - client->created_ms) / 1000,
                (long long)(call->effects->now_ms - client_get(client->active_ms)) / 1000, letters,
                client_get(client->db), client_subscriptions(client, CHANNEL_PLAIN),
                client_subscriptions(client, CHANNEL_PATTERN), client_subscriptions(client, CHANNEL_SHARD),
                flags & CLIENT_MULTI ? (int)client_get(client->queued) : -1);
    text_format(
        lines,
        " qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=%llu rbs=0 rbp=0 obl=0 oll=%llu omem=%llu tot-mem=%llu",
        (unsigned long long)in, (unsigned long long)queued,
        (unsigned long long)(out + OUTPUT_CHUNK_SIZE - 1) / OUTPUT_CHUNK_SIZE, (unsigned long long)out,
        (unsigned long long)(sizeof(*client) + in + out + queued));
    text_format(lines, " events=%s cmd=%.*s user=default redir=%lld resp=%d", out ? "rw" : "r", command_len,
                command, flags & CLIENT_TRACKING ? (long long)client_redirect(client) : -1,
                client_get(client->resp));
    lines_field(lines, " lib-name=", client_text(client, CLIENT_LIB_NAME));
    lines_field(lines, " lib-ver=", client_text(client, CLIENT_LIB_VER));
    text_add(lines, BYTES("\n"));
}

static void reply_lines(struct call *call, struct text *lines) {
    if (lines->cut)
        call_out_of_memory(call);
    else
        reply_verbatim(call->reply, "txt", text_bytes(lines));
    text_free(lines);
}

static void client_info(struct call *call) {
    struct text lines = lines_begin();
    clients_lock();
    add_line(&lines, call, call->client);
    clients_unlock();
    reply_lines(call, &lines);
}
COMMAND(client_info) = {.container = "client",
                        .name = "info",
                        .arity = 2,
                        .flags = CLIENT_FLAGS,
                        .run = client_info,
                        .group = GROUP_CONNECTION,
                        .since = "6.2.0",
                        .complexity = "O(1)",
                        .summary = "Returns information about the current client connection.",
                        .tips = "nondeterministic_output"};

/* ---- LIST, KILL ----------------------------------------------------------------------------------- */

static int id_order(const void *id, const void *client) {
    uint64_t a = *(const uint64_t *)id, b = (*(struct client *const *)client)->id;
    return (a > b) - (a < b);
}

/* The clients named by argv[3] on, in that order. The registry is in order of ids, so a copy of it can be searched:
 * many ids are found without walking a list of many clients for each. False after replying with an error. */
static bool add_ids(struct call *call, struct text *lines) {
    size_t count = clients_count(), n = 0; /* holds still: the caller has the lock */
    struct client **sorted = malloc(count * sizeof(*sorted)), **found;
    bool ok = sorted != NULL;
    if (!ok) call_out_of_memory(call);
    for (struct client *c = clients_first(); ok && c; c = c->next) sorted[n++] = c;
    for (uint32_t i = 3; ok && i < call->argc; i++) {
        int64_t number;
        ok = call_int_range_or_reply(
            call, i, (struct call_range){INT64_MIN, INT64_MAX, "ERR Invalid client ID"}, &number);
        uint64_t id = ok ? (uint64_t)number : 0;
        found = ok ? bsearch(&id, sorted, n, sizeof(*sorted), id_order) : NULL;
        if (found && !(*found)->killed) add_line(lines, call, *found);
    }
    free(sorted);
    return ok;
}

/* Are numbers all that is asked for? Then they are listed in their own order. */
static bool lists_ids(const struct call *call) {
    int64_t id;
    uint32_t i = 3;
    if (call->argc < 4 || !bytes_is(call->argv[2], "id")) return false;
    while (i < call->argc && number_parse_i64(call->argv[i], &id)) i++;
    return i == call->argc;
}

/* The filters of Valkey 9 that both have, behind others; `or` stands between them. */
#define LATER_FILTERS(or)                                                                                    \
    or "[{NOT-ID not-id:{<not-client-id:integer> ...}}@9.0.0]" or "[{NOT-TYPE <not-type>}@9.0.0]" or         \
        "[{NOT-USER <not-username>}@9.0.0]" or "[{NOT-ADDR <not-addr>}@9.0.0]" or                            \
        "[{NOT-LADDR <not-laddr>}@9.0.0]" or "[{FLAGS <flags>}@9.0.0]" or                                    \
        "[{NOT-FLAGS <not-flags>}@9.0.0]" or "[{NAME <name>}@9.0.0]" or "[{NOT-NAME <not-name>}@9.0.0]" or   \
        "[{IDLE <idle:integer>}@9.0.0]" or "[{LIB-NAME <lib-name>}@9.0.0]" or                                \
        "[{NOT-LIB-NAME <not-lib-name>}@9.0.0]" or "[{LIB-VER <lib-ver>}@9.0.0]" or                          \
        "[{NOT-LIB-VER <not-lib-ver>}@9.0.0]" or "[{DB <db:integer>}@9.0.0]" or                              \
        "[{NOT-DB <not-db:integer>}@9.0.0]" or "[{CAPA <capa>}@9.0.0]" or "[{NOT-CAPA <not-capa>}@9.0.0]" or \
        "[{IP <ip>}@9.0.0]" or "[{NOT-IP <not-ip>}@9.0.0]"

#define LATER_HISTORY                                                                                        \
    "Added filters `NAME`, `IDLE`, `FLAGS`, `LIB-NAME`, `LIB-VER`, `DB`, `CAPA` and `IP`, and negative "     \
    "ones."

static void client_list(struct call *call) {
    struct client_filter filter = client_filter_all(false);
    struct text lines = lines_begin();
    bool ok = true, by_id = lists_ids(call);
    if (!by_id && !client_filter_read(call, 2, false, &filter)) return;
    clients_lock();
    if (by_id)
        ok = add_ids(call, &lines);
    else
        for (struct client *c = clients_first(); c; c = c->next)
            if (client_filter_passes(call, &filter, c)) add_line(&lines, call, c);
    clients_unlock();
    client_filter_free(&filter);
    if (ok)
        reply_lines(call, &lines);
    else
        text_free(&lines);
}
COMMAND(client_list) = {
    .container = "client",
    .name = "list",
    .arity = -2,
    .flags = CLIENT_ADMIN_FLAGS,
    .run = client_list,
    .group = GROUP_CONNECTION,
    .since = "2.4.0",
    .complexity = "O(N) where N is the number of client connections",
    .summary = "Get the list of client connections",
    .tips = "nondeterministic_output",
    .history =
        "2.8.12: Added unique client `id` field.\n5.0.0: Added optional `TYPE` filter.\n"
        "6.0.0: Added `user` field.\n"
        "6.2.0: Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter.\n"
        "7.0.0: Added `resp`, `multi-mem`, `rbs` and `rbp` fields.\n7.0.3: Added `ssub` field.\n"
        "8.1.0: Added filters `USER`, `ADDR`, `LADDR`, `SKIPME`, and `MAXAGE`.\n"
        "9.0.0: " LATER_HISTORY,
    .syntax =
        "[{TYPE normal_master_replica_pubsub:(NORMAL | MASTER | REPLICA | PUBSUB)}@5.0.0] "
        "[{ID id:{<client-id:integer> ...}}@6.2.0] [{USER <username>}@8.1.0] [{ADDR <addr>}@8.1.0] "
        "[{LADDR <laddr>}@8.1.0] [{SKIPME <yes/no>}@8.1.0] [{MAXAGE <maxage:integer>}@8.1.0]" LATER_FILTERS(
            " ")};

/* Others are closed by their own shards; this one when it has its reply. Under the registry's lock. */
static bool kill_client(struct call *call, struct client *client) {
    struct client_address address = {client->shard, client->slot, client->id};
    if (client == call->client) {
        set_flag(client, CLIENT_CLOSE_AFTER_REPLY, true);
        return true;
    }
    if (!post_close(call->effects->wakes, address)) return false;
    __atomic_store_n(&client->killed, true, __ATOMIC_SEQ_CST);
    (void)!wait_claim(client, WAIT_KILLED); /* what is pushed from now on is not for it */
    pubsub_kill(client);                    /* nor what is published */
    return true;
}

static void client_kill(struct call *call) {
    struct client_filter filter = client_filter_all(false);
    int64_t killed = 0;
    if (call->argc == 3) { /* the old form: an address, and it may be one's own */
        filter.has_text[FILTER_ADDR][0] = true;
        filter.text[FILTER_ADDR][0] = call->argv[2];
    } else if (!client_filter_read(call, 2, true, &filter)) {
        return;
    }
    clients_lock();
    for (struct client *c = clients_first(); c; c = c->next)
        if (client_filter_passes(call, &filter, c)) killed += kill_client(call, c);
    clients_unlock();
    client_filter_free(&filter);
    if (call->argc > 3)
        reply_int(call->reply, killed);
    else if (killed)
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR No such client");
}
COMMAND(client_kill) = {
    .container = "client",
    .name = "kill",
    .arity = -3,
    .flags = CLIENT_ADMIN_FLAGS,
    .run = client_kill,
    .group = GROUP_CONNECTION,
    .since = "2.4.0",
    .complexity = "O(N) where N is the number of client connections",
    .summary = "Kill the connection of a client",
    .history =
        "2.8.12: Added new filter format.\n2.8.12: `ID` option.\n"
        "3.2.0: Added `master` type in for `TYPE` option.\n"
        "5.0.0: Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility.\n"
        "6.2.0: `LADDR` option.\n7.4.0: `MAXAGE` option.\n8.1.0: `ID` option accepts multiple IDs.\n"
        "9.0.0: " LATER_HISTORY,
    .syntax = "filter:(<ip:port:string>!2.8.12 | new-format:([{ID <client-id:integer>}@2.8.12] | "
              "[{TYPE normal_master_slave_pubsub:(NORMAL | MASTER@3.2.0 | SLAVE | REPLICA@5.0.0 | "
              "PUBSUB)}@2.8.12] | "
              "[{USER <username>}] | [{ADDR <ip:port:string>}] | [{LADDR <ip:port:string>}@6.2.0] | "
              "[{SKIPME <yes/no>}] | [{MAXAGE <maxage:integer>}@7.4.0]" LATER_FILTERS(" | ") ") ...)"};

/* ---- Names ---------------------------------------------------------------------------------------- */

static void client_id(struct call *call) {
    reply_int(call->reply, (int64_t)call->client->id);
}
COMMAND(client_id) = {.container = "client",
                      .name = "id",
                      .arity = 2,
                      .flags = CLIENT_FLAGS,
                      .run = client_id,
                      .group = GROUP_CONNECTION,
                      .since = "5.0.0",
                      .complexity = "O(1)",
                      .summary = "Returns the client ID for the current connection"};

static void client_getname(struct call *call) {
    const char *name = client_text(call->client, CLIENT_NAME);
    if (name)
        reply_bulk_text(call->reply, name);
    else
        reply_null(call->reply);
}
COMMAND(client_getname) = {.container = "client",
                           .name = "getname",
                           .arity = 2,
                           .flags = CLIENT_FLAGS,
                           .run = client_getname,
                           .group = GROUP_CONNECTION,
                           .since = "2.6.9",
                           .complexity = "O(1)",
                           .summary = "Get the current connection name"};

static void set_text(struct call *call, enum client_text which, struct bytes text) {
    if (clients_set_text(call->client, which, text))
        reply_ok(call->reply);
    else
        call_out_of_memory(call);
}

static void client_setname(struct call *call) {
    if (connection_name_ok_or_reply(call, call->argv[2])) set_text(call, CLIENT_NAME, call->argv[2]);
}
COMMAND(client_setname) = {.container = "client",
                           .name = "setname",
                           .arity = 3,
                           .flags = CLIENT_FLAGS,
                           .run = client_setname,
                           .group = GROUP_CONNECTION,
                           .since = "2.6.9",
                           .complexity = "O(1)",
                           .summary = "Set the current connection name",
                           .syntax = "<connection-name>"};

static void client_setinfo(struct call *call) {
    struct bytes option = call->argv[2];
    enum client_text which = bytes_is(option, "lib-name")  ? CLIENT_LIB_NAME
                             : bytes_is(option, "lib-ver") ? CLIENT_LIB_VER
                                                           : CLIENT_TEXTS;
    int len = reply_repeated(option);
    if (which == CLIENT_TEXTS)
        reply_errorf(call->reply, "ERR Unrecognized option '%.*s'", len, option.data);
    else if (!connection_text_ok(call->argv[3]))
        reply_errorf(call->reply, "ERR %.*s cannot contain spaces, newlines or special characters.", len,
                     option.data);
    else
        set_text(call, which, call->argv[3]);
}
COMMAND(client_setinfo) = {.container = "client",
                           .name = "setinfo",
                           .arity = 4,
                           .flags = CLIENT_FLAGS,
                           .run = client_setinfo,
                           .group = GROUP_CONNECTION,
                           .since = "7.2.0",
                           .complexity = "O(1)",
                           .summary = "Set client or connection specific info",
                           .tips = "request_policy:all_nodes,response_policy:all_succeeded",
                           .syntax = "attr:({LIB-NAME <libname>} | {LIB-VER <libver>})"};

/* ---- Modes ---------------------------------------------------------------------------------------- */

static bool on_off_or_reply(struct call *call, bool *on) {
    *on = bytes_is(call->argv[2], "on");
    if (*on || bytes_is(call->argv[2], "off")) return true;
    call_syntax_error(call);
    return false;
}

static void client_no_evict(struct call *call) {
    bool on;
    if (!on_off_or_reply(call, &on)) return;
    set_flag(call->client, CLIENT_NO_EVICT, on);
    reply_ok(call->reply);
}
COMMAND(client_no_evict) = {.container = "client",
                            .name = "no-evict",
                            .arity = 3,
                            .flags = CLIENT_ADMIN_FLAGS,
                            .run = client_no_evict,
                            .group = GROUP_CONNECTION,
                            .since = "7.0.0",
                            .complexity = "O(1)",
                            .summary = "Set client eviction mode for the current connection",
                            .syntax = "enabled:(ON | OFF)"};

/* What a client says that it can do. Of what is not known nothing is kept, as in Valkey. */
static void client_capa(struct call *call) {
    for (uint32_t i = 2; i < call->argc; i++)
        if (bytes_is(call->argv[i], "redirect")) set_flag(call->client, CLIENT_CAN_REDIRECT, true);
    reply_ok(call->reply);
}
COMMAND(client_capa) = {.container = "client",
                        .name = "capa",
                        .arity = -3,
                        .flags = CLIENT_FLAGS,
                        .run = client_capa,
                        .group = GROUP_CONNECTION,
                        .since = "8.0.0",
                        .complexity = "O(1)",
                        .summary = "A client claims its capability.",
                        .syntax = "<capability> ..."};

static void client_no_touch(struct call *call) {
    bool on;
    if (!on_off_or_reply(call, &on)) return;
    set_flag(call->client, CLIENT_NO_TOUCH, on);
    reply_ok(call->reply);
}
COMMAND(client_no_touch) = {
    .container = "client",
    .name = "no-touch",
    .arity = 3,
    .flags = CLIENT_FLAGS,
    .run = client_no_touch,
    .group = GROUP_CONNECTION,
    .since = "7.2.0",
    .complexity = "O(1)",
    .summary = "Controls whether commands sent by the client will alter the LRU/LFU of the keys they access.",
    .syntax = "enabled:(ON | OFF)"};

/* OFF and SKIP are not answered themselves. ON does not take a SKIP back that is not the running command's, as in Redis. */
static void client_reply(struct call *call) {
    struct client *client = call->client;
    if (bytes_is(call->argv[2], "on")) {
        set_flag(client, CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP, false);
        mute_follow(call);
        reply_ok(call->reply);
    } else if (bytes_is(call->argv[2], "off")) {
        set_flag(client, CLIENT_REPLY_OFF, true);
    } else if (bytes_is(call->argv[2], "skip")) {
        if (!(client->flags & CLIENT_REPLY_OFF)) set_flag(client, CLIENT_REPLY_SKIP_NEXT, true);
    } else {
        call_syntax_error(call);
    }
}
COMMAND(client_reply) = {.container = "client",
                         .name = "reply",
                         .arity = 3,
                         .flags = CLIENT_FLAGS,
                         .run = client_reply,
                         .group = GROUP_CONNECTION,
                         .since = "3.2.0",
                         .complexity = "O(1)",
                         .summary = "Instruct the server whether to reply to commands",
                         .syntax = "on_off_skip:(ON | OFF | SKIP)"};

/* ---- PAUSE, UNPAUSE, UNBLOCK ---------------------------------------------------------------------- */

static void client_pause(struct call *call) {
    enum pause_mode mode = PAUSE_ALL;
    int64_t timeout_ms;
    if (call->argc > 4) {
        help_syntax_error(call);
        return;
    }
    if (call->argc == 4) {
        if (bytes_is(call->argv[3], "write")) {
            mode = PAUSE_WRITE;
        } else if (!bytes_is(call->argv[3], "all")) {
            reply_error(call->reply, "ERR CLIENT PAUSE mode must be WRITE or ALL");
            return;
        }
    }
    if (!call_timeout_ms_or_reply(call, 2, &timeout_ms)) return;
    /* Beyond the end of time Redis's sum wraps, to an end that has long passed. */
    int64_t now_ms = call->effects->now_ms, until_ms;
    if (__builtin_add_overflow(now_ms, timeout_ms, &until_ms)) until_ms = 0;
    pause_begin(mode, until_ms, now_ms);
    reply_ok(call->reply);
}
COMMAND(client_pause) = {.container = "client",
                         .name = "pause",
                         .arity = -3,
                         .flags = CLIENT_ADMIN_FLAGS,
                         .run = client_pause,
                         .group = GROUP_CONNECTION,
                         .since = "2.9.50",
                         .complexity = "O(1)",
                         .summary = "Stop processing commands from clients for some time",
                         .history = "6.2.0: `CLIENT PAUSE WRITE` mode added along with the `mode` option.",
                         .syntax = "<timeout:integer> [mode:(WRITE | ALL)@6.2.0]"};

/* Redis holds this back too, so that a pause of everything cannot be ended; here it is what ends it. */
static void client_unpause(struct call *call) {
    pause_end();
    post_look_again(call->effects->wakes);
    reply_ok(call->reply);
}
COMMAND(client_unpause) = {.container = "client",
                           .name = "unpause",
                           .arity = 2,
                           .flags = CLIENT_ADMIN_FLAGS | CMD_NO_PAUSE,
                           .run = client_unpause,
                           .group = GROUP_CONNECTION,
                           .since = "6.2.0",
                           .complexity = "O(N) Where N is the number of paused clients",
                           .summary = "Resume processing of clients that were paused"};

/* Who is held by CLIENT PAUSE does not wait for keys, and stays. */
static bool unblock(struct call *call, int64_t id, bool error) {
    bool unblocked = false;
    clients_lock();
    for (struct client *c = clients_first(); c && c->id <= (uint64_t)id; c = c->next)
        if (c->id == (uint64_t)id) unblocked = blocking_unblock(call->effects->wakes, c, error);
    clients_unlock();
    return unblocked;
}

static void client_unblock(struct call *call) {
    int64_t id;
    bool reason = call->argc == 4;
    if (call->argc > 4)
        help_syntax_error(call);
    else if (reason && !bytes_is(call->argv[3], "timeout") && !bytes_is(call->argv[3], "error"))
        reply_error(call->reply, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
    else if (call_int_or_reply(call, 2, &id))
        reply_int(call->reply, unblock(call, id, reason && bytes_is(call->argv[3], "error")));
}
COMMAND(client_unblock) = {
    .container = "client",
    .name = "unblock",
    .arity = -3,
    .flags = CLIENT_ADMIN_FLAGS,
    .run = client_unblock,
    .group = GROUP_CONNECTION,
    .since = "5.0.0",
    .complexity = "O(log N) where N is the number of client connections",
    .summary = "Unblock a client blocked in a blocking command from a different connection",
    .syntax = "<client-id:integer> [timeout_error:(TIMEOUT | ERROR)]"};

/* ---- HELP ----------------------------------------------------------------------------------------- */

static void client_help(struct call *call) {
    static const char *const lines[] = {
        "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "    * MAXAGE <seconds>",
        "      Kill connections that are at least this old.",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "    * ID <client-id> [<client-id> [...]]",
        "      Return the clients of these IDs.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "SETINFO <option> <value>",
        "    Set the LIB-NAME or LIB-VER of the current connection.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Leave the access times of keys alone.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(client_help) = {.container = "client",
                        .name = "help",
                        HELP_ROW,
                        .run = client_help,
                        .group = GROUP_CONNECTION,
                        .since = "5.0.0"};
