/* pubsub.c - SUBSCRIBE, PUBLISH and their kin, and PUBSUB: channels, patterns of these, and shard channels.
 *
 * Confirmations and messages are no replies: CLIENT REPLY mutes neither, as in Redis. */
#include "server/commands/pubsub.h"

#include <stdlib.h>

#include "server/call/gate.h"
#include "server/call/help.h"
#include "server/clients/invalidation.h"
#include "server/clients/pubsub.h"
#include "server/config/config.h"
#include "server/exec/mute.h"

#define SUBSCRIBE_FLAGS (CMD_PUBSUB | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)
#define PUBLISH_FLAGS   (CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE)
#define PUBSUB_FLAGS    (CMD_PUBSUB | CMD_LOADING | CMD_STALE)

static struct channel_name name_of(const struct call *call, uint32_t arg) {
    return (struct channel_name){call->argv[arg], hash_bytes(&stripes.seed, call->argv[arg])};
}

/* What is written from here to mute_follow is heard in any case, but for a client that is to be closed. */
static struct reply *heard(struct call *call) {
    if (!(call->client->flags & (CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW))) mute_end(call->reply);
    return call->reply;
}

/* Messages may have been written. Of who is no subscriber any more at the end of the batch nobody would know it then. */
static void show_messages(struct call *call) {
    if (journal_holds()) wakes_show(call->effects->wakes, journal_next());
}

void subscriber_catch_up(struct call *call) {
    if (!call->client->subscriber) return;
    pubsub_catch_up(call->client, heard(call));
    show_messages(call);
    mute_follow(call);
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

static bool is_confined(const struct command *command) {
    static const char *const free_names[] = {"ping", "quit", "reset"};
    if ((command->flags & SUBSCRIBE_FLAGS) == SUBSCRIBE_FLAGS) return false;
    for (size_t i = 0; i < sizeof free_names / sizeof *free_names; i++)
        if (!command->container && bytes_equal(bytes_of(command->name), bytes_of(free_names[i])))
            return false;
    return true;
}
static enum verdict ask_subscriber(const struct call *call, struct text *why) {
    char name[COMMAND_FULL_NAME_MAX];
    if (!subscriber_is_confined(call->client)) return PASS;
    text_format(why,
                "ERR Can't execute '%.*s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
                "allowed in this context",
                (int)command_full_name(call->command, name), name);
    return REFUSED;
}
GATE(subscriber) = {.bit = GATE_SUBSCRIBER,
                    .outermost = true,
                    .flags = CLIENT_SUBSCRIBED,
                    .concerns = is_confined,
                    .ask = ask_subscriber};

/* Who publishes faster than a shard delivers waits for it: also who writes, where that is published. */
static bool may_publish(const struct command *command) {
    return command->flags & CMD_WRITE || (command->flags & PUBLISH_FLAGS) == PUBLISH_FLAGS;
}
static enum verdict ask_room(const struct call *call, struct text *why) {
    (void)why;
    bool messages = pubsub_is_full(), invalidations = invalidation_is_full();
    if (!messages && !invalidations) gate_lower(GATE_MESSAGES);
    if (!(call->command->flags & CMD_WRITE)) return messages ? HELD : PASS;
    return invalidations || (messages && config.notify_keyspace_events) ? HELD : PASS;
}
GATE(messages) = {.bit = GATE_MESSAGES, .outermost = true, .concerns = may_publish, .ask = ask_room};

/* ---- Subscribing ---------------------------------------------------------------------------------- */

/* Where memory runs out the rest is not subscribed to. */
static void subscribe_to(struct call *call, enum channel_kind kind) {
    struct reply *reply = heard(call);
    bool ok = true;
    for (uint32_t i = 1; ok && i < call->argc; i++) {
        struct channel_name name = name_of(call, i);
        ok = pubsub_subscribe(call->client, kind, &name, reply);
    }
    if (!ok) call_out_of_memory(call);
    mute_follow(call);
}

static void unsubscribe_from(struct call *call, enum channel_kind kind) {
    struct reply *reply = heard(call);
    bool subscribed = call->client->subscriber != NULL;
    if (call->argc == 1) pubsub_unsubscribe_all(call->client, kind, reply);
    for (uint32_t i = 1; i < call->argc; i++) {
        struct channel_name name = name_of(call, i);
        pubsub_unsubscribe(call->client, kind, &name, reply);
    }
    if (subscribed) show_messages(call);
    mute_follow(call);
}

static void subscribe(struct call *call) {
    subscribe_to(call, CHANNEL_PLAIN);
}
COMMAND(subscribe) = {.name = "subscribe",
                      .arity = -2,
                      .flags = SUBSCRIBE_FLAGS,
                      .run = subscribe,
                      .group = GROUP_PUBSUB,
                      .since = "2.0.0",
                      .complexity = "O(N) where N is the number of channels to subscribe to.",
                      .summary = "Listen for messages published to the given channels",
                      .syntax = "<channel> ..."};

static void unsubscribe(struct call *call) {
    unsubscribe_from(call, CHANNEL_PLAIN);
}
COMMAND(unsubscribe) = {
    .name = "unsubscribe",
    .arity = -1,
    .flags = SUBSCRIBE_FLAGS,
    .run = unsubscribe,
    .group = GROUP_PUBSUB,
    .since = "2.0.0",
    .complexity = "O(N) where N is the number of clients already subscribed to a channel.",
    .summary = "Stop listening for messages posted to the given channels",
    .syntax = "[<channel> ...]"};

static void psubscribe(struct call *call) {
    subscribe_to(call, CHANNEL_PATTERN);
}
COMMAND(psubscribe) = {
    .name = "psubscribe",
    .arity = -2,
    .flags = SUBSCRIBE_FLAGS,
    .run = psubscribe,
    .group = GROUP_PUBSUB,
    .since = "2.0.0",
    .complexity = "O(N) where N is the number of patterns the client is already subscribed to.",
    .summary = "Listen for messages published to channels matching the given patterns",
    .syntax = "pattern:{<pattern:pattern>} ..."};

static void punsubscribe(struct call *call) {
    unsubscribe_from(call, CHANNEL_PATTERN);
}
COMMAND(punsubscribe) = {
    .name = "punsubscribe",
    .arity = -1,
    .flags = SUBSCRIBE_FLAGS,
    .run = punsubscribe,
    .group = GROUP_PUBSUB,
    .since = "2.0.0",
    .complexity =
        "O(N+M) where N is the number of patterns the client is already subscribed and M is the number "
        "of total patterns subscribed in the system (by any client).",
    .summary = "Stop listening for messages posted to channels matching the given patterns",
    .syntax = "[<pattern:pattern> ...]"};

/* A client of Redis's that expects one reply for each command, as within EXEC, may not; SUBSCRIBE may for compatibility. */
static void ssubscribe(struct call *call) {
    if (call->client->flags & CLIENT_IN_EXEC)
        reply_error(call->reply, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
    else
        subscribe_to(call, CHANNEL_SHARD);
}
COMMAND(ssubscribe) = {.name = "ssubscribe",
                       .arity = -2,
                       .flags = SUBSCRIBE_FLAGS,
                       .keys = {KEYS(1, -1, 1, KEY_NOT_KEY)},
                       .run = ssubscribe,
                       .group = GROUP_PUBSUB,
                       .since = "7.0.0",
                       .complexity = "O(N) where N is the number of shard channels to subscribe to.",
                       .summary = "Listen for messages published to the given shard channels",
                       .syntax = "<shardchannel> ..."};

static void sunsubscribe(struct call *call) {
    unsubscribe_from(call, CHANNEL_SHARD);
}
COMMAND(sunsubscribe) = {
    .name = "sunsubscribe",
    .arity = -1,
    .flags = SUBSCRIBE_FLAGS,
    .keys = {KEYS(1, -1, 1, KEY_NOT_KEY)},
    .run = sunsubscribe,
    .group = GROUP_PUBSUB,
    .since = "7.0.0",
    .complexity = "O(N) where N is the number of clients already subscribed to a shard channel.",
    .summary = "Stop listening for messages posted to the given shard channels",
    .syntax = "[<shardchannel> ...]"};

/* ---- Publishing ----------------------------------------------------------------------------------- */

/* Who publishes to itself gets the message first, as in Redis; but never within the replies of EXEC. */
static void send_to(struct call *call, enum channel_kind kind) {
    struct channel_name name = {call->argv[1], call->hash[1]};
    int64_t receivers = pubsub_publish(call->effects->wakes, kind, &name, call->argv[2]);
    if (receivers < 0) {
        call_out_of_memory(call);
        return;
    }
    if (pubsub_is_full()) gate_raise(GATE_MESSAGES);
    if (!(call->client->flags & CLIENT_IN_EXEC)) subscriber_catch_up(call);
    reply_int(call->reply, receivers);
}

/* Most channels have no subscriber. */
static inline void publish_to(struct call *call, enum channel_kind kind) {
    if (channels_may_hear(kind, call->hash[1]))
        send_to(call, kind);
    else
        reply_literal(call->reply, ":0\r\n");
}

static void publish(struct call *call) {
    publish_to(call, CHANNEL_PLAIN);
}
COMMAND(publish) = {
    .name = "publish",
    .arity = 3,
    .flags = PUBLISH_FLAGS,
    .hashed = 1,
    .run = publish,
    .group = GROUP_PUBSUB,
    .since = "2.0.0",
    .complexity =
        "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total "
        "number of subscribed patterns (by any client).",
    .summary = "Post a message to a channel",
    .syntax = "<channel> <message>"};

static void spublish(struct call *call) {
    publish_to(call, CHANNEL_SHARD);
}
COMMAND(spublish) = {
    .name = "spublish",
    .arity = 3,
    .flags = PUBLISH_FLAGS,
    .keys = {KEY(1, KEY_NOT_KEY)},
    .hashed = 1,
    .run = spublish,
    .group = GROUP_PUBSUB,
    .since = "7.0.0",
    .complexity = "O(N) where N is the number of clients subscribed to the receiving shard channel.",
    .summary = "Post a message to a shard channel",
    .syntax = "<shardchannel> <message>"};

/* ---- PUBSUB --------------------------------------------------------------------------------------- */

COMMAND(pubsub) = {.name = "pubsub",
                   .arity = -2,
                   .group = GROUP_PUBSUB,
                   .since = "2.8.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for Pub/Sub commands"};

static void reply_channels(struct call *call, enum channel_kind kind, const struct glob *glob) {
    size_t count;
    channels_lock();
    struct channel **list = channels_list(kind, glob, &count);
    if (list) reply_array(call->reply, count);
    for (size_t i = 0; list && i < count; i++) reply_bulk(call->reply, list[i]->name);
    channels_unlock();
    if (!list) call_out_of_memory(call);
    free(list);
}

static void list_channels(struct call *call, enum channel_kind kind) {
    struct glob glob;
    if (call->argc > 3) {
        help_syntax_error(call);
    } else if (call->argc == 2) {
        reply_channels(call, kind, NULL);
    } else if (!glob_compile(&glob, call->argv[2], false)) {
        call_out_of_memory(call);
    } else {
        reply_channels(call, kind, &glob);
        glob_free(&glob);
    }
}

static void count_subscribers(struct call *call, enum channel_kind kind) {
    reply_array(call->reply, 2 * (size_t)(call->argc - 2));
    for (uint32_t i = 2; i < call->argc; i++) {
        struct channel_name name = name_of(call, i);
        reply_bulk(call->reply, call->argv[i]);
        reply_int(call->reply, pubsub_subscribers(kind, &name));
    }
}

static void pubsub_channels(struct call *call) {
    list_channels(call, CHANNEL_PLAIN);
}
COMMAND(pubsub_channels) = {
    .container = "pubsub",
    .name = "channels",
    .arity = -2,
    .flags = PUBSUB_FLAGS,
    .run = pubsub_channels,
    .group = GROUP_PUBSUB,
    .since = "2.8.0",
    .complexity =
        "O(N) where N is the number of active channels, and assuming constant time pattern matching "
        "(relatively short channels and patterns)",
    .summary = "List active channels",
    .syntax = "[<pattern:pattern>]"};

static void pubsub_shardchannels(struct call *call) {
    list_channels(call, CHANNEL_SHARD);
}
COMMAND(pubsub_shardchannels) = {
    .container = "pubsub",
    .name = "shardchannels",
    .arity = -2,
    .flags = PUBSUB_FLAGS,
    .run = pubsub_shardchannels,
    .group = GROUP_PUBSUB,
    .since = "7.0.0",
    .complexity = "O(N) where N is the number of active shard channels, and assuming constant time pattern "
                  "matching (relatively short shard channels).",
    .summary = "List active shard channels",
    .syntax = "[<pattern:pattern>]"};

static void pubsub_numsub(struct call *call) {
    count_subscribers(call, CHANNEL_PLAIN);
}
COMMAND(pubsub_numsub) = {
    .container = "pubsub",
    .name = "numsub",
    .arity = -2,
    .flags = PUBSUB_FLAGS,
    .run = pubsub_numsub,
    .group = GROUP_PUBSUB,
    .since = "2.8.0",
    .complexity = "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
    .summary = "Get the count of subscribers for channels",
    .syntax = "[<channel> ...]"};

static void pubsub_shardnumsub(struct call *call) {
    count_subscribers(call, CHANNEL_SHARD);
}
COMMAND(pubsub_shardnumsub) = {
    .container = "pubsub",
    .name = "shardnumsub",
    .arity = -2,
    .flags = PUBSUB_FLAGS,
    .run = pubsub_shardnumsub,
    .group = GROUP_PUBSUB,
    .since = "7.0.0",
    .complexity = "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
    .summary = "Get the count of subscribers for shard channels",
    .syntax = "[<shardchannel> ...]"};

static void pubsub_numpat(struct call *call) {
    reply_int(call->reply, __atomic_load_n(&channels_of_kind[CHANNEL_PATTERN], __ATOMIC_RELAXED));
}
COMMAND(pubsub_numpat) = {.container = "pubsub",
                          .name = "numpat",
                          .arity = 2,
                          .flags = PUBSUB_FLAGS,
                          .run = pubsub_numpat,
                          .group = GROUP_PUBSUB,
                          .since = "2.8.0",
                          .complexity = "O(1)",
                          .summary = "Get the count of unique patterns pattern subscriptions"};

static void pubsub_help(struct call *call) {
    static const char *const lines[] = {
        "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANNELS [<pattern>]",
        "    Return the currently active channels matching a <pattern> (default: '*').",
        "NUMPAT",
        "    Return number of subscriptions to patterns.",
        "NUMSUB [<channel> ...]",
        "    Return the number of subscribers for the specified channels, excluding",
        "    pattern subscriptions(default: no channels).",
        "SHARDCHANNELS [<pattern>]",
        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
        "SHARDNUMSUB [<shardchannel> ...]",
        "    Return the number of subscribers for the specified shard level channel(s)",
    };
    HELP_REPLY(call, lines);
}
COMMAND(pubsub_help) = {.container = "pubsub",
                        .name = "help",
                        HELP_ROW,
                        .run = pubsub_help,
                        .group = GROUP_PUBSUB,
                        .since = "6.2.0"};
