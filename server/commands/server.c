/* server.c - what the server tells about itself and does with itself: INFO, LOLWUT, MONITOR, ROLE, SHUTDOWN,
 * SLOWLOG, and TIME. */
#include "server/process/server.h"

#include <limits.h>

#include "server/call/call.h"
#include "server/call/help.h"
#include "server/clients/client.h"
#include "server/clock.h"
#include "server/config/config.h"
#include "server/exec/monitor.h"
#include "server/exec/slowlog.h"
#include "server/journal/intake.h"
#include "server/journal/snapshot.h"
#include "server/log.h"
#include "server/report/info.h"

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void info(struct call *call) {
    uint32_t sections = call->argc == 1 ? info_sections(BYTES("default")) : 0;
    struct text text = text_growing(NULL, 0, INFO_TEXT_MAX);
    for (uint32_t i = 1; i < call->argc; i++) sections |= info_sections(call->argv[i]);
    info_write(sections, call->effects->now_ms, &text);
    if (text.cut)
        call_out_of_memory(call);
    else
        reply_verbatim(call->reply, "txt", text_bytes(&text));
    text_free(&text);
}
COMMAND(info) = {.name = "info",
                 .arity = -1,
                 .flags = CMD_LOADING | CMD_STALE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
                 .run = info,
                 .group = GROUP_SERVER,
                 .since = "1.0.0",
                 .complexity = "O(1)",
                 .summary = "Get information and statistics about the server",
                 .acl = "dangerous",
                 .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special",
                 .history = "7.0.0: Added support for taking multiple section arguments.",
                 .syntax = "[<section> ...]"};

/* ---- ROLE, TIME ----------------------------------------------------------------------------------- */

static void role(struct call *call) {
    reply_array(call->reply, 3);
    reply_bulk(call->reply, BYTES("master"));
    reply_int(call->reply, 0);   /* replication offset */
    reply_array(call->reply, 0); /* replicas */
}
COMMAND(role) = {.name = "role",
                 .arity = 1,
                 .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST,
                 .run = role,
                 .group = GROUP_SERVER,
                 .since = "2.8.12",
                 .complexity = "O(1)",
                 .summary = "Return the role of the instance in the context of replication",
                 .acl = "admin dangerous"};

static void time_(struct call *call) {
    int64_t now_us = clock_unix_us();
    reply_array(call->reply, 2);
    reply_bulk_int(call->reply, now_us / 1000000);
    reply_bulk_int(call->reply, now_us % 1000000);
}
COMMAND(time) = {.name = "time",
                 .arity = 1,
                 .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                 .run = time_,
                 .group = GROUP_SERVER,
                 .since = "2.6.0",
                 .complexity = "O(1)",
                 .summary = "Return the current server time",
                 .tips = "nondeterministic_output"};

/* ---- LOLWUT --------------------------------------------------------------------------------------- */

enum { ART_ROWS = 24, ART_COLUMNS = 64, ART_DEFAULT_RULE = 30 };

/* One generation after another of an elementary cellular automaton (Wolfram, 1983): bit `neighbours` of the
 * rule says what becomes of a cell that has these. */
static size_t art_draw(uint8_t rule, char text[ART_ROWS * (ART_COLUMNS + 1)]) {
    bool cells[ART_COLUMNS + 2] = {false}, next[ART_COLUMNS + 2] = {false};
    size_t len = 0;
    cells[ART_COLUMNS / 2] = true;
    for (int row = 0; row < ART_ROWS; row++) {
        for (int i = 1; i <= ART_COLUMNS; i++) {
            text[len++] = cells[i] ? '#' : ' ';
            next[i] = rule >> (cells[i - 1] << 2 | cells[i] << 1 | cells[i + 1]) & 1;
        }
        text[len++] = '\n';
        memcpy(cells, next, sizeof cells);
    }
    return len;
}

/* How many sizes Redis's drawing of this version takes, all of which must be integers; here they change nothing. */
static uint32_t art_sizes(int64_t version) {
    switch ((uint32_t)version) { /* Redis drops the upper half */
    case 5: return 3;
    case 6: return 2;
    default: return 0;
    }
}

/* The version behind VERSION, if that is said. False where it, or a size behind it, is no integer. */
static bool art_version_or_reply(struct call *call, int64_t *version) {
    int64_t size;
    if (call->argc < 3 || !bytes_is(call->argv[1], "version")) return true;
    if (!call_int_or_reply(call, 2, version)) return false;
    for (uint32_t i = 3; i < call->argc && i < 3 + art_sizes(*version); i++)
        if (!call_int_or_reply(call, i, &size)) return false;
    return true;
}

static void lolwut(struct call *call) {
    static const char signature[] = "\nRedis ver. " COMPATIBLE_REDIS_VERSION ", kevy ver. " KEVY_VERSION "\n";
    char text[ART_ROWS * (ART_COLUMNS + 1) + sizeof signature];
    int64_t rule = ART_DEFAULT_RULE;
    if (!art_version_or_reply(call, &rule)) return;
    size_t len = art_draw((uint8_t)rule, text);
    memcpy(text + len, signature, sizeof signature - 1);
    reply_verbatim(call->reply, "txt", (struct bytes){text, len + sizeof signature - 1});
}
COMMAND(lolwut) = {.name = "lolwut",
                   .arity = -1,
                   .flags = CMD_READONLY | CMD_FAST,
                   .run = lolwut,
                   .group = GROUP_SERVER,
                   .since = "5.0.0",
                   .summary = "Display some computer art and the Redis version",
                   .syntax = "[{VERSION <version:integer>}]"};

/* ---- MONITOR -------------------------------------------------------------------------------------- */

static void monitor(struct call *call) {
    uint32_t flags = call->client->flags;
    if (flags & CLIENT_IN_EXEC) {
        reply_error(call->reply, "ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    if (flags & CLIENT_MONITOR) return; /* no reply: Redis gives none either */
    if (monitor_add(call->client))
        reply_ok(call->reply);
    else
        call_out_of_memory(call);
}
COMMAND(monitor) = {.name = "monitor",
                    .arity = 1,
                    .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE,
                    .run = monitor,
                    .group = GROUP_SERVER,
                    .since = "1.0.0",
                    .summary = "Listen for all requests received by the server in real time"};

/* ---- SHUTDOWN ------------------------------------------------------------------------------------- */

enum shutdown_flag {
    SHUTDOWN_NOSAVE = 1 << 0,
    SHUTDOWN_SAVE = 1 << 1,
    SHUTDOWN_NOW = 1 << 2,
    SHUTDOWN_FORCE = 1 << 3,
    SHUTDOWN_ABORT = 1 << 4,
};

static uint32_t shutdown_flag(struct bytes word) {
    static const char *const words[] = {"nosave", "save", "now", "force", "abort"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (bytes_equal_nocase(word, bytes_of(words[i]))) return 1u << i;
    return 0;
}

/* False after replying a syntax error. */
static bool shutdown_flags_or_reply(struct call *call, uint32_t *flags) {
    bool known = true;
    *flags = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        uint32_t flag = shutdown_flag(call->argv[i]);
        known &= flag != 0;
        *flags |= flag;
    }
    bool abort_alone = !(*flags & SHUTDOWN_ABORT) || *flags == SHUTDOWN_ABORT;
    bool both = (*flags & SHUTDOWN_SAVE) && (*flags & SHUTDOWN_NOSAVE);
    if (known && abort_alone && !both) return true;
    call_syntax_error(call);
    return false;
}

/* False after replying why not, or if the command is to be run anew with all stripes. */
static bool save_or_reply(struct call *call, bool force) {
    struct stripe_set all = {{0}};
    stripe_set_add_all(&all);
    if (!call_want(call, &all)) return false;
    log_notice("User requested shutdown...");
    snapshot_stop();
    log_notice("Saving the final RDB snapshot before exiting.");
    if (snapshot_save(call->effects->now_ms)) return true;
    log_warning(force ? "Error trying to save the DB, exiting anyway."
                      : "Error trying to save the DB, can't exit.");
    if (!force) reply_error(call->reply, "ERR Errors trying to SHUTDOWN. Check logs.");
    return force;
}

/* On success there is no reply: the connection ends with the server. NOW has nothing to skip, as there are no
 * replicas to wait for, and so a shutdown is never under way long enough to be aborted. */
static void shutdown_(struct call *call) {
    uint32_t flags;
    if (!shutdown_flags_or_reply(call, &flags)) return;
    if (flags & SHUTDOWN_ABORT) {
        reply_error(call->reply, "ERR No shutdown in progress.");
        return;
    }
    bool save = flags & SHUTDOWN_SAVE || (config_saves() && !(flags & SHUTDOWN_NOSAVE));
    save = save && !intake_going(); /* half of a file must not replace it */
    if (save && !save_or_reply(call, flags & SHUTDOWN_FORCE)) return;
    if (!save) log_notice("User requested shutdown...");
    client_set(call->client->flags, call->client->flags | CLIENT_CLOSE_AFTER_REPLY);
    server_stop(0, save);
}
COMMAND(shutdown) = {.name = "shutdown",
                     .arity = -1,
                     .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_NO_MULTI |
                              CMD_ALLOW_BUSY | CMD_MORE_STRIPES | CMD_SLOW_CLOCK,
                     .run = shutdown_,
                     .group = GROUP_SERVER,
                     .since = "1.0.0",
                     .complexity = "O(N) when saving, where N is the total number of keys in all databases "
                                   "when saving data, otherwise O(1)",
                     .summary = "Synchronously save the dataset to disk and then shut down the server",
                     .history = "7.0.0: Added the `NOW`, `FORCE` and `ABORT` modifiers.",
                     .syntax = "[nosave_save:( NOSAVE | SAVE )] [NOW@7.0.0] [FORCE@7.0.0] [ABORT@7.0.0]"};

/* ---- SLOWLOG -------------------------------------------------------------------------------------- */

COMMAND(slowlog) = {.name = "slowlog",
                    .arity = -2,
                    .group = GROUP_SERVER,
                    .since = "2.2.12",
                    .complexity = "Depends on subcommand.",
                    .summary = "A container for slow log commands"};

enum { SLOWLOG_DEFAULT_COUNT = 10 };

static void slowlog_begin(void *context, uint64_t count) {
    struct call *call = context;
    reply_array(call->reply, count);
}

static void slowlog_entry_reply(void *context, const struct slowlog_entry *entry) {
    struct call *call = context;
    reply_array(call->reply, 6);
    reply_int(call->reply, (int64_t)entry->id);
    reply_int(call->reply, entry->time_s);
    reply_int(call->reply, (int64_t)entry->microseconds);
    reply_array(call->reply, entry->argc);
    for (uint32_t i = 0; i < entry->argc; i++) reply_bulk(call->reply, entry->argv[i]);
    reply_bulk(call->reply, entry->peer);
    reply_bulk(call->reply, entry->name);
}

static void slowlog_get(struct call *call) {
    int64_t count = SLOWLOG_DEFAULT_COUNT;
    if (call->argc > 3) {
        help_syntax_error(call);
        return;
    }
    if (call->argc == 3 &&
        !call_int_range_or_reply(
            call, 2, (struct call_range){-1, LONG_MAX, "ERR count should be greater than or equal to -1"},
            &count))
        return;
    slowlog_walk(count < 0 ? UINT64_MAX : (uint64_t)count, slowlog_begin, slowlog_entry_reply, call);
}
COMMAND(slowlog_get) = {.container = "slowlog",
                        .name = "get",
                        .arity = -2,
                        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
                        .run = slowlog_get,
                        .group = GROUP_SERVER,
                        .since = "2.2.12",
                        .complexity = "O(N) where N is the number of entries returned",
                        .summary = "Get the slow log's entries",
                        .tips = "request_policy:all_nodes,nondeterministic_output",
                        .history = "4.0.0: Added client IP address, port and name to the reply.",
                        .syntax = "[<count:integer>]"};

static void slowlog_len(struct call *call) {
    reply_int(call->reply, (int64_t)slowlog_count());
}
COMMAND(slowlog_len) = {.container = "slowlog",
                        .name = "len",
                        .arity = 2,
                        .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
                        .run = slowlog_len,
                        .group = GROUP_SERVER,
                        .since = "2.2.12",
                        .complexity = "O(1)",
                        .summary = "Get the slow log's length",
                        .tips = "request_policy:all_nodes,response_policy:agg_sum,nondeterministic_output"};

static void slowlog_reset_(struct call *call) {
    slowlog_reset();
    reply_ok(call->reply);
}
COMMAND(slowlog_reset) = {.container = "slowlog",
                          .name = "reset",
                          .arity = 2,
                          .flags = CMD_ADMIN | CMD_LOADING | CMD_STALE,
                          .run = slowlog_reset_,
                          .group = GROUP_SERVER,
                          .since = "2.2.12",
                          .complexity = "O(N) where N is the number of entries in the slowlog",
                          .summary = "Clear all entries from the slow log",
                          .tips = "request_policy:all_nodes,response_policy:all_succeeded"};

static void slowlog_help(struct call *call) {
    static const char *const lines[] = {
        "SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(slowlog_help) = {.container = "slowlog",
                         .name = "help",
                         HELP_ROW,
                         .run = slowlog_help,
                         .group = GROUP_SERVER,
                         .since = "6.2.0"};
