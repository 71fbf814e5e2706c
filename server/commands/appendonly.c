/* appendonly.c - BGREWRITEAOF, and what INFO says of the append-only file. */
#include "server/commands/appendonly.h"

#include "server/call/call.h"
#include "server/journal/aof_rewrite.h"
#include "server/journal/appender.h"
#include "server/journal/snapshot.h"

enum said { SAID_NOTHING, SAID_STARTED, SAID_SCHEDULED, SAID_GOES_ON, SAID_IMPOSSIBLE };

/* Within EXEC it begins behind it, as any time. One that waits for the end of a save may be asked for again. */
static enum said ask_for_rewrite(bool in_exec) {
    switch (aof_rewrite_ask()) {
    case REWRITE_STARTED: return in_exec || snapshot_in_background() ? SAID_SCHEDULED : SAID_STARTED;
    case REWRITE_GOES_ON:
        return appender_figures().scheduled || (in_exec && appender_figures().asked) ? SAID_SCHEDULED
                                                                                     : SAID_GOES_ON;
    default: return SAID_IMPOSSIBLE;
    }
}

/* Another shard may begin or end a rewrite while EXEC runs: what was said first in it is said again, as in Redis, where
 * nothing can happen meanwhile. */
static void bgrewriteaof(struct call *call) {
    bool in_exec = call->client->flags & CLIENT_IN_EXEC;
    enum said said = in_exec ? (enum said)call->effects->rewrite_said : SAID_NOTHING;
    if (said == SAID_NOTHING) said = ask_for_rewrite(in_exec);
    if (in_exec) call->effects->rewrite_said = (uint8_t)said;
    switch (said) {
    case SAID_STARTED: reply_simple(call->reply, "Background append only file rewriting started"); break;
    case SAID_SCHEDULED: reply_simple(call->reply, "Background append only file rewriting scheduled"); break;
    case SAID_GOES_ON:
        reply_error(call->reply, "ERR Background append only file rewriting already in progress");
        break;
    default:
        reply_error(call->reply,
                    "ERR Can't execute an AOF background rewriting. Please check the server logs for more "
                    "information.");
        break;
    }
}
COMMAND(bgrewriteaof) = {.name = "bgrewriteaof",
                         .arity = 1,
                         .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING,
                         .run = bgrewriteaof,
                         .group = GROUP_SERVER,
                         .since = "1.0.0",
                         .complexity = "O(1)",
                         .summary = "Asynchronously rewrite the append-only file"};

void appendonly_info(struct info *info) {
    struct appender_figures figures = appender_figures();
    info_number(info, "aof_enabled", figures.on);
    info_number(info, "aof_rewrite_in_progress", figures.rewriting);
    info_number(info, "aof_rewrite_scheduled", figures.scheduled);
    info_number(info, "aof_last_rewrite_time_sec", figures.last_rewrite_s);
    info_number(info, "aof_current_rewrite_time_sec", figures.current_rewrite_s);
    info_fixed(info, figures.rewrite_ok ? "aof_last_bgrewrite_status:ok" : "aof_last_bgrewrite_status:err");
    info_number(info, "aof_rewrites", (int64_t)figures.rewrites);
    info_number(info, "aof_rewrites_consecutive_failures", (int64_t)figures.failures);
    info_fixed(info, figures.write_ok ? "aof_last_write_status:ok" : "aof_last_write_status:err");
    info_number(info, "aof_last_cow_size", (int64_t)figures.peak);
    info_fixed(info, "module_fork_in_progress:0 module_fork_last_cow_size:0");
    if (!figures.on) return;
    info_number(info, "aof_current_size", (int64_t)figures.size);
    info_number(info, "aof_base_size", (int64_t)figures.base_size);
    info_fixed(info, "aof_pending_rewrite:0");
    info_number(info, "aof_buffer_length", (int64_t)figures.buffered);
    info_number(info, "aof_pending_bio_fsync", figures.unsynced);
    info_number(info, "aof_delayed_fsync", (int64_t)figures.delayed);
}
