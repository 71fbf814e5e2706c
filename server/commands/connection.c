/* connection.c - AUTH, ECHO, HELLO, PING, QUIT, RESET, SELECT: a session's own state. */
#include "server/commands/connection.h"
#include "server/call/tracked.h"

#include "server/clients/clients.h"
#include "server/clients/pubsub.h"
#include "server/commands/pubsub.h"
#include "server/config/config.h"
#include "server/exec/monitor.h"
#include "server/exec/mute.h"
#include "server/exec/transaction.h"

#define CONNECTION_FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_NO_AUTH | CMD_ALLOW_BUSY)

/* ---- Names ---------------------------------------------------------------------------------------- */

bool connection_text_ok(struct bytes text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '!' || text.data[i] > '~') return false;
    return true;
}

bool connection_name_ok_or_reply(struct call *call, struct bytes name) {
    if (connection_text_ok(name)) return true;
    reply_error(call->reply, "ERR Client names cannot contain spaces, newlines or special characters.");
    return false;
}

/* ---- AUTH, HELLO ---------------------------------------------------------------------------------- */

/* There is one user: "default", with requirepass as its password, or with none and then any will do. */
static bool authenticate_or_reply(struct call *call, struct bytes user, struct bytes password) {
    struct client *client = call->client;
    if (!bytes_equal(user, BYTES("default")) || (config_has_password() && !config_password_is(password))) {
        reply_error(call->reply, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    client_set(client->flags, client->flags & ~(uint32_t)CLIENT_UNAUTHENTICATED);
    return true;
}

static void auth(struct call *call) {
    struct bytes user = call->argc == 3 ? call->argv[1] : BYTES("default");
    if (call->argc > 3) {
        call_syntax_error(call);
    } else if (call->argc == 2 && !config_has_password()) {
        reply_error(call->reply,
                    "ERR AUTH <password> called without any password configured for the default user. "
                    "Are you sure your configuration is correct?");
    } else if (authenticate_or_reply(call, user, call->argv[call->argc - 1])) {
        reply_ok(call->reply);
    }
}
COMMAND(auth) = {.name = "auth",
                 .arity = -2,
                 .flags = CONNECTION_FLAGS,
                 .run = auth,
                 .group = GROUP_CONNECTION,
                 .since = "1.0.0",
                 .complexity = "O(N) where N is the number of passwords defined for the user",
                 .summary = "Authenticate to the server",
                 .history = "6.0.0: Added ACL style (username and password).",
                 .syntax = "[<username>@6.0.0] <password>"};

static bool set_name_or_reply(struct call *call, struct bytes name) {
    if (!connection_name_ok_or_reply(call, name)) return false;
    if (clients_set_text(call->client, CLIENT_NAME, name)) return true;
    call_out_of_memory(call);
    return false;
}

/* Each option has happened before the next is looked at, as in Redis: a bad last one undoes nothing. */
static bool hello_options_or_reply(struct call *call) {
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t more = call->argc - 1 - i;
        if (bytes_is(call->argv[i], "AUTH") && more >= 2) {
            if (!authenticate_or_reply(call, call->argv[i + 1], call->argv[i + 2])) return false;
            i += 2;
        } else if (bytes_is(call->argv[i], "SETNAME") && more >= 1) {
            if (!set_name_or_reply(call, call->argv[++i])) return false;
        } else {
            reply_errorf(call->reply, "ERR Syntax error in HELLO option '%.*s'",
                         reply_repeated(call->argv[i]), call->argv[i].data);
            return false;
        }
    }
    return true;
}

/* Clients tell servers apart by "server" and "version", so these name the Redis that kevy is compatible with. */
static void reply_hello(struct call *call) {
    struct reply *reply = call->reply;
    reply_map(reply, 7);
    reply_bulk_text(reply, "server");
    reply_bulk_text(reply, "redis");
    reply_bulk_text(reply, "version");
    reply_bulk_text(reply, COMPATIBLE_REDIS_VERSION);
    reply_bulk_text(reply, "proto");
    reply_int(reply, call->client->resp);
    reply_bulk_text(reply, "id");
    reply_int(reply, (int64_t)call->client->id);
    reply_bulk_text(reply, "mode");
    reply_bulk_text(reply, config.cluster_enabled ? "cluster" : "standalone");
    reply_bulk_text(reply, "role");
    reply_bulk_text(reply, "master");
    reply_bulk_text(reply, "modules");
    reply_array(reply, 0);
}

static void set_protocol(struct call *call, uint8_t resp) {
    client_set(call->client->resp, resp);
    call->reply->resp = resp;
}

static void hello(struct call *call) {
    struct client *client = call->client;
    int64_t version = client->resp;
    if (call->argc >= 2) {
        if (!call_int_range_or_reply(
                call, 1,
                (struct call_range){INT64_MIN, INT64_MAX,
                                    "ERR Protocol version is not an integer or out of range"},
                &version))
            return;
        if (version < 2 || version > 3) {
            reply_error(call->reply, "NOPROTO unsupported protocol version");
            return;
        }
    }
    if (!hello_options_or_reply(call)) return;
    if (client_must_authenticate(client)) {
        reply_error(
            call->reply,
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
            "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
            "version at the same time");
        return;
    }
    set_protocol(call, (uint8_t)version);
    reply_hello(call);
}
COMMAND(hello) = {
    .name = "hello",
    .arity = -1,
    .flags = CONNECTION_FLAGS,
    .run = hello,
    .group = GROUP_CONNECTION,
    .since = "6.0.0",
    .complexity = "O(1)",
    .summary = "Handshake with Redis",
    .history = "6.2.0: `protover` made optional; when called without arguments the command reports "
               "the current connection's context.",
    .syntax = "[arguments:{<protover:integer> [{AUTH username_password:{<username> <password>}}] "
              "[{SETNAME <clientname>}]}]"};

/* ---- PING, ECHO, SELECT --------------------------------------------------------------------------- */

/* Who subscribes in RESP2 reads messages alone, so this looks like one; it comes behind all that were published before. */
static void ping_subscriber(struct call *call) {
    subscriber_catch_up(call);
    reply_array(call->reply, 2);
    reply_bulk_text(call->reply, "pong");
    reply_bulk(call->reply, call->argc == 2 ? call->argv[1] : BYTES(""));
}

static void ping(struct call *call) {
    if (call->argc > 2)
        reply_error(call->reply, "ERR wrong number of arguments for 'ping' command");
    else if (subscriber_is_confined(call->client))
        ping_subscriber(call);
    else if (call->argc == 2)
        reply_bulk(call->reply, call->argv[1]);
    else
        reply_literal(call->reply, "+PONG\r\n");
}
COMMAND(ping) = {.name = "ping",
                 .arity = -1,
                 .flags = CMD_FAST,
                 .run = ping,
                 .group = GROUP_CONNECTION,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Ping the server",
                 .tips = "request_policy:all_shards,response_policy:all_succeeded",
                 .syntax = "[<message>]"};

static void echo(struct call *call) {
    reply_bulk(call->reply, call->argv[1]);
}
COMMAND(echo) = {.name = "echo",
                 .arity = 2,
                 .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                 .run = echo,
                 .group = GROUP_CONNECTION,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Echo the given string",
                 .syntax = "<message>"};

static void select_(struct call *call) {
    unsigned db;
    int64_t number;
    if (config.cluster_enabled && number_parse_i64(call->argv[1], &number) && number != 0) {
        reply_error(call->reply, "ERR SELECT is not allowed in cluster mode");
        return;
    }
    if (!call_database_or_reply(call, 1, &db)) return;
    client_set(call->client->db, (uint16_t)db);
    reply_ok(call->reply);
}
COMMAND(select_) = {.name = "select",
                    .arity = 2,
                    .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                    .run = select_,
                    .group = GROUP_CONNECTION,
                    .since = "1.0.0",
                    .complexity = "O(1)",
                    .summary = "Change the selected database for the current connection",
                    .syntax = "<index:integer>"};

/* ---- RESET, QUIT ---------------------------------------------------------------------------------- */

/* Everything that the session was told since it began, but for its eviction and touch modes, as in Redis. */
static void reset(struct call *call) {
    const uint32_t told = CLIENT_UNAUTHENTICATED | CLIENT_READONLY | CLIENT_REPLY_OFF |
                          CLIENT_REPLY_SKIP_NEXT;
    struct client *client = call->client;
    transaction_close(client);
    if (client->flags & CLIENT_MONITOR) monitor_remove(client);
    subscriber_catch_up(call);
    pubsub_leave(client);
    tracked_end(client);
    client_set(client->flags, (client->flags & ~told) | (config_has_password() ? CLIENT_UNAUTHENTICATED : 0));
    client_set(client->db, 0);
    (void)!clients_set_text(client, CLIENT_NAME, (struct bytes){0}); /* forgetting needs no memory */
    set_protocol(call, 2);
    mute_follow(call);
    reply_literal(call->reply, "+RESET\r\n");
}
COMMAND(reset) = {.name = "reset",
                  .arity = 1,
                  .flags = CONNECTION_FLAGS | CMD_IMMEDIATE,
                  .run = reset,
                  .group = GROUP_CONNECTION,
                  .since = "6.2.0",
                  .complexity = "O(1)",
                  .summary = "Reset the connection"};

static void quit(struct call *call) {
    client_set(call->client->flags, call->client->flags | CLIENT_CLOSE_AFTER_REPLY);
    reply_ok(call->reply);
}
COMMAND(quit) = {.name = "quit",
                 .arity = -1,
                 .flags = CONNECTION_FLAGS | CMD_IMMEDIATE,
                 .run = quit,
                 .group = GROUP_CONNECTION,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Close the connection"};
