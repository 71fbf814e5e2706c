/* tracking.c - CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO: clients that keep copies of what they read. */
#include "server/call/help.h"
#include "server/call/tracked.h"
#include "server/clients/clients.h"
#include "server/limits.h"

#include <stdlib.h>

#define TRACKING_FLAGS (CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

/* ---- TRACKING ------------------------------------------------------------------------------------- */

/* The options of CLIENT TRACKING. */
struct options {
    uint32_t flags;
    int64_t redirect;       /* 0: to itself */
    struct bytes *prefixes; /* malloc'd */
    uint32_t prefix_count;
};

/* Under the register's lock. NULL: there is none, or it is being closed. */
static struct client *find_client(uint64_t id) {
    struct client *client = clients_first();
    while (client && client->id != id) client = client->next;
    return client && !client->killed ? client : NULL;
}

static void no_such_client(struct call *call) {
    reply_error(call->reply, "ERR The client ID you want redirect to does not exist");
}

static bool redirect_or_reply(struct call *call, uint32_t arg, struct options *options) {
    if (options->redirect) {
        reply_error(call->reply, "ERR A client can only redirect to a single other client");
        return false;
    }
    if (!call_int_or_reply(call, arg, &options->redirect)) return false;
    clients_lock();
    bool there = find_client((uint64_t)options->redirect) != NULL;
    clients_unlock();
    if (!there) no_such_client(call);
    return there;
}

static bool prefix_or_reply(struct call *call, uint32_t arg, struct options *options) {
    if (!options->prefixes) options->prefixes = malloc(call->argc / 2 * sizeof *options->prefixes);
    if (!options->prefixes) {
        call_out_of_memory(call);
    } else if (options->prefix_count == TRACKING_PREFIXES_MAX) {
        reply_errorf(call->reply, "ERR more than %d prefixes", TRACKING_PREFIXES_MAX);
    } else {
        options->prefixes[options->prefix_count++] = call->argv[arg];
        return true;
    }
    return false;
}

static uint32_t flag_of(struct bytes option) {
    return bytes_is(option, "bcast")    ? CLIENT_BCAST
           : bytes_is(option, "optin")  ? CLIENT_OPTIN
           : bytes_is(option, "optout") ? CLIENT_OPTOUT
           : bytes_is(option, "noloop") ? CLIENT_NOLOOP
                                        : 0;
}

static bool options_or_reply(struct call *call, struct options *options) {
    for (uint32_t i = 3; i < call->argc; i++) {
        struct bytes option = call->argv[i];
        bool more = i + 1 < call->argc;
        uint32_t flag = flag_of(option);
        if (flag) {
            options->flags |= flag;
        } else if (more && bytes_is(option, "redirect")) {
            if (!redirect_or_reply(call, ++i, options)) return false;
        } else if (more && bytes_is(option, "prefix")) {
            if (!prefix_or_reply(call, ++i, options)) return false;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

/* What is wrong with them, for a client in this state; NULL: nothing. In Redis's order. */
static const char *objection(const struct client *client, const struct options *options) {
    uint32_t has = client->flags, wants = options->flags;
    if (!(wants & CLIENT_BCAST) && options->prefix_count)
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if (has & CLIENT_TRACKING && (has ^ wants) & CLIENT_BCAST)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    if (wants & CLIENT_BCAST && wants & (CLIENT_OPTIN | CLIENT_OPTOUT))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if (wants & CLIENT_OPTIN && wants & CLIENT_OPTOUT)
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if ((wants & CLIENT_OPTIN && has & CLIENT_OPTOUT) || (wants & CLIENT_OPTOUT && has & CLIENT_OPTIN))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then "
               "re-enabling it with a different mode.";
    return NULL;
}

/* Is one the beginning of the other? */
static bool overlap(struct bytes a, struct bytes b) {
    size_t len = a.len < b.len ? a.len : b.len;
    return !len || !memcmp(a.data, b.data, len);
}

static void reply_overlap(struct call *call, struct bytes one, const char *other_is, struct bytes other) {
    reply_errorf(call->reply,
                 "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not "
                 "overlap.",
                 reply_repeated(one), one.data, other_is, reply_repeated(other), other.data);
}

/* With those that the client has they are not too many. */
static bool room_or_reply(struct call *call, const struct options *options) {
    uint32_t count = options->prefix_count;
    trackers_lock();
    const struct tracker *tracker = trackers_of(call->client->id);
    const struct membership *member = tracker ? tracker->prefixes : NULL;
    for (; member; member = member->next_of_tracker) count++;
    trackers_unlock();
    if (count > TRACKING_PREFIXES_MAX)
        reply_errorf(call->reply, "ERR more than %d prefixes", TRACKING_PREFIXES_MAX);
    return count <= TRACKING_PREFIXES_MAX;
}

/* The prefix, with those that the client has, and those that stand behind it. */
static bool prefix_ok_or_reply(struct call *call, const struct options *options, uint32_t at) {
    struct bytes one = options->prefixes[at];
    trackers_lock();
    const struct tracker *tracker = trackers_of(call->client->id);
    const struct membership *member = tracker ? tracker->prefixes : NULL;
    while (member && !overlap(member->prefix->name, one)) member = member->next_of_tracker;
    if (member) reply_overlap(call, one, "an existing", member->prefix->name);
    trackers_unlock();
    for (uint32_t i = at + 1; !member && i < options->prefix_count; i++) {
        if (!overlap(one, options->prefixes[i])) continue;
        reply_overlap(call, one, "another provided", options->prefixes[i]);
        return false;
    }
    return !member;
}

/* The client that is redirected to must be there still, and cannot go while the register of clients is locked. */
static void track(struct call *call, const struct options *options) {
    const uint32_t modes = CLIENT_BROKEN_REDIRECT | CLIENT_BCAST | CLIENT_OPTIN | CLIENT_OPTOUT |
                           CLIENT_NOLOOP;
    struct client *client = call->client;
    struct tracking_mode mode = {
        .flags = options->flags, .prefixes = options->prefixes, .prefix_count = options->prefix_count};
    struct invalidator *tracking = &call->effects->tracking;
    bool old = client->flags & CLIENT_BCAST;
    if (!old && invalidation_has_news(tracking))
        invalidation_broadcast(tracking); /* of this it does not hear */
    clients_lock();
    if (options->redirect) mode.target = find_client((uint64_t)options->redirect);
    bool there = !options->redirect || mode.target;
    bool room = !options->redirect || clients_more(client);
    bool begun = there && room && trackers_begin(client, &mode);
    clients_unlock();
    if (!there) {
        no_such_client(call);
    } else if (!begun) {
        call_out_of_memory(call);
    } else {
        client_set(client->flags, (client->flags & ~modes) | CLIENT_TRACKING | options->flags);
        if (client_more(client)) client_set(client->more->redirect, (uint64_t)options->redirect);
        effects_broadcast();
        reply_ok(call->reply);
    }
}

static void begin(struct call *call, const struct options *options) {
    const char *error = objection(call->client, options);
    if (error) {
        reply_error(call->reply, error);
        return;
    }
    if (!room_or_reply(call, options)) return;
    for (uint32_t i = 0; i < options->prefix_count; i++)
        if (!prefix_ok_or_reply(call, options, i)) return;
    track(call, options);
}

static void client_tracking(struct call *call) {
    struct options options = {0};
    if (!options_or_reply(call, &options)) {
        free(options.prefixes);
        return;
    }
    if (bytes_is(call->argv[2], "on")) {
        begin(call, &options);
    } else if (bytes_is(call->argv[2], "off")) {
        tracked_end(call->client);
        reply_ok(call->reply);
    } else {
        call_syntax_error(call);
    }
    free(options.prefixes);
}
COMMAND(client_tracking) = {
    .container = "client",
    .name = "tracking",
    .arity = -3,
    .flags = TRACKING_FLAGS | CMD_ALL_STRIPES, /* they are to tell of prefixes */
    .run = client_tracking,
    .group = GROUP_CONNECTION,
    .since = "6.0.0",
    .complexity = "O(1). Some options may introduce additional complexity.",
    .summary = "Enable or disable server assisted client side caching support",
    .syntax = "status:(ON | OFF) [{REDIRECT <client-id:integer>}] [{PREFIX <prefix>} ...+] "
              "[BCAST] [OPTIN] [OPTOUT] [NOLOOP]"};

/* ---- CACHING, GETREDIR, TRACKINGINFO -------------------------------------------------------------- */

static void client_caching(struct call *call) {
    struct client *client = call->client;
    bool yes = bytes_is(call->argv[2], "yes");
    if (!(client->flags & CLIENT_TRACKING)) {
        reply_error(call->reply,
                    "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                    "OPTIN or OPTOUT mode enabled");
    } else if (!yes && !bytes_is(call->argv[2], "no")) {
        call_syntax_error(call);
    } else if (!(client->flags & (yes ? CLIENT_OPTIN : CLIENT_OPTOUT))) {
        reply_errorf(call->reply, "ERR CLIENT CACHING %s is only valid when tracking is enabled in %s mode.",
                     yes ? "YES" : "NO", yes ? "OPTIN" : "OPTOUT");
    } else {
        client_set(client->flags, client->flags | CLIENT_CACHING);
        reply_ok(call->reply);
    }
}
COMMAND(client_caching) = {.container = "client",
                           .name = "caching",
                           .arity = 3,
                           .flags = TRACKING_FLAGS,
                           .run = client_caching,
                           .group = GROUP_CONNECTION,
                           .since = "6.0.0",
                           .complexity = "O(1)",
                           .summary = "Instruct the server about tracking or not keys in the next request",
                           .syntax = "mode:(YES | NO)"};

/* 0: to itself; -1: it does not track. */
static int64_t redirect_of(const struct client *client) {
    return client->flags & CLIENT_TRACKING ? (int64_t)client_redirect(client) : -1;
}

static void client_getredir(struct call *call) {
    reply_int(call->reply, redirect_of(call->client));
}
COMMAND(client_getredir) = {.container = "client",
                            .name = "getredir",
                            .arity = 2,
                            .flags = TRACKING_FLAGS,
                            .run = client_getredir,
                            .group = GROUP_CONNECTION,
                            .since = "6.0.0",
                            .complexity = "O(1)",
                            .summary = "Get tracking notifications redirection client ID if any"};

static void reply_modes(struct call *call) {
    uint32_t flags = call->client->flags;
    bool caching = flags & CLIENT_CACHING;
    const struct {
        bool is;
        const char *word;
    } modes[] = {{true, flags & CLIENT_TRACKING ? "on" : "off"},
                 {flags & CLIENT_BCAST, "bcast"},
                 {flags & CLIENT_OPTIN, "optin"},
                 {flags & CLIENT_OPTIN && caching, "caching-yes"},
                 {flags & CLIENT_OPTOUT, "optout"},
                 {flags & CLIENT_OPTOUT && caching, "caching-no"},
                 {flags & CLIENT_NOLOOP, "noloop"},
                 {flags & CLIENT_BROKEN_REDIRECT, "broken_redirect"}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) count += modes[i].is;
    reply_set(call->reply, count);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (modes[i].is) reply_bulk_text(call->reply, modes[i].word);
}

static void reply_prefixes(struct call *call) {
    size_t count = 0;
    trackers_lock();
    const struct tracker *tracker = trackers_of(call->client->id);
    const struct membership *first = tracker ? tracker->prefixes : NULL;
    for (const struct membership *member = first; member; member = member->next_of_tracker) count++;
    reply_array(call->reply, count);
    for (const struct membership *member = first; member; member = member->next_of_tracker)
        reply_bulk(call->reply, member->prefix->name);
    trackers_unlock();
}

static void client_trackinginfo(struct call *call) {
    reply_map(call->reply, 3);
    reply_bulk_text(call->reply, "flags");
    reply_modes(call);
    reply_bulk_text(call->reply, "redirect");
    reply_int(call->reply, redirect_of(call->client));
    reply_bulk_text(call->reply, "prefixes");
    reply_prefixes(call);
}
COMMAND(client_trackinginfo) = {
    .container = "client",
    .name = "trackinginfo",
    .arity = 2,
    .flags = TRACKING_FLAGS,
    .run = client_trackinginfo,
    .group = GROUP_CONNECTION,
    .since = "6.2.0",
    .complexity = "O(1)",
    .summary = "Return information about server assisted client side caching for the current connection"};
