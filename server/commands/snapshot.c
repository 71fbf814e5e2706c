/* snapshot.c - SAVE, BGSAVE, LASTSAVE, what INFO says of saving, and what keeps writes back for its sake. */
#include "server/journal/snapshot.h"

#include "server/call/call.h"
#include "server/call/gate.h"
#include "server/clients/client.h"
#include "server/clients/post.h"
#include "server/commands/appendonly.h"
#include "server/exec/transaction.h"
#include "server/journal/intake.h"
#include "server/report/info.h"

static bool is_free_or_reply(struct call *call) {
    if (!snapshot_in_background()) return true;
    reply_error(call->reply, "ERR Background save already in progress");
    return false;
}

/* Nobody else is served meanwhile, as in Redis. Why it failed stands in the log. */
static void save(struct call *call) {
    if (!is_free_or_reply(call)) return;
    snapshot_count();
    if (snapshot_save(call->effects->now_ms))
        reply_ok(call->reply);
    else
        reply_error(call->reply, "ERR");
}
COMMAND(save) = {.name = "save",
                 .arity = 1,
                 .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_NO_MULTI | CMD_ALL_STRIPES |
                          CMD_SLOW_CLOCK,
                 .run = save,
                 .group = GROUP_SERVER,
                 .since = "1.0.0",
                 .complexity = "O(N) where N is the total number of keys in all databases",
                 .summary = "Synchronously save the dataset to disk"};

/* Within EXEC it is only scheduled, as in Redis: the cut is no part of a transaction. */
static void bgsave(struct call *call) {
    bool schedules = call->argc == 2 && bytes_is(call->argv[1], "schedule");
    bool in_exec = call->client->flags & CLIENT_IN_EXEC;
    if (call->argc > 2 || (call->argc == 2 && !schedules)) {
        call_syntax_error(call);
        return;
    }
    if (!is_free_or_reply(call)) return;
    if ((snapshot_other() && schedules) || in_exec) {
        snapshot_schedule();
        post_look_again(call->effects->wakes);
        reply_simple(call->reply, "Background saving scheduled");
    } else if (snapshot_other()) {
        reply_error(call->reply,
                    "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE "
                    "SCHEDULE in order to schedule a BGSAVE whenever possible.");
    } else if (snapshot_background(call->effects->now_ms)) {
        post_look_again(call->effects->wakes);
        reply_simple(call->reply, "Background saving started");
    } else {
        reply_error(call->reply, "ERR");
    }
}
COMMAND(bgsave) = {.name = "bgsave",
                   .arity = -1,
                   .flags = CMD_ADMIN | CMD_NOSCRIPT | CMD_NO_ASYNC_LOADING | CMD_ALL_STRIPES |
                            CMD_SLOW_CLOCK,
                   .run = bgsave,
                   .group = GROUP_SERVER,
                   .since = "1.0.0",
                   .complexity = "O(1)",
                   .summary = "Asynchronously save the dataset to disk",
                   .history = "3.2.2: Added the `SCHEDULE` option.",
                   .syntax = "[SCHEDULE@3.2.2]"};

/* Where nothing was saved, it is the time of the start, as in Redis. */
static void lastsave(struct call *call) {
    reply_int(call->reply, snapshot_saved_s());
}
COMMAND(lastsave) = {.name = "lastsave",
                     .arity = 1,
                     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
                     .run = lastsave,
                     .group = GROUP_SERVER,
                     .since = "1.0.0",
                     .complexity = "O(1)",
                     .summary = "Get the UNIX time stamp of the last successful save to disk",
                     .acl = "admin dangerous",
                     .tips = "nondeterministic_output"};

/* ---- Gates ---------------------------------------------------------------------------------------- */

/* EXEC is what it would run. */
static bool writes(const struct call *call) {
    uint32_t flags = call->command->flags;
    return (flags & CMD_RUNS_QUEUE ? transaction_flags(call->client) : flags) & CMD_WRITE;
}

/* PING tells who watches over the server of it. */
static enum verdict ask_disk(const struct call *call, struct text *why) {
    if (!snapshot_stops_writes()) {
        gate_lower(GATE_DISK);
        return PASS;
    }
    if (call->command->flags & CMD_RUNS_QUEUE && !writes(call)) return PASS;
    text_string(
        why,
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. "
        "Commands that may modify the data set are disabled, because this instance is configured to "
        "report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). "
        "Please check the Redis logs for details about the RDB error.");
    return REFUSED;
}
static bool needs_disk(const struct command *command) {
    return command->flags & (CMD_WRITE | CMD_RUNS_QUEUE) || strcmp(command->name, "ping") == 0;
}
GATE(disk) = {.bit = GATE_DISK, .outermost = true, .concerns = needs_disk, .ask = ask_disk};

/* Whoever has held it is asked again by and by. */
static enum verdict ask_memory(const struct call *call, struct text *why) {
    (void)why;
    if (snapshot_is_full()) return writes(call) ? HELD : PASS;
    gate_lower(GATE_SNAPSHOT);
    return PASS;
}
static bool may_write(const struct command *command) {
    return command->flags & (CMD_WRITE | CMD_RUNS_QUEUE);
}
GATE(snapshot) = {.bit = GATE_SNAPSHOT, .outermost = true, .concerns = may_write, .ask = ask_memory};

/* ---- INFO ----------------------------------------------------------------------------------------- */

static void tell_loading(struct info *info) {
    struct intake_figures figures = intake_figures(info->now_ms / 1000);
    info_number(info, "loading_start_time", figures.begun_s);
    info_number(info, "loading_total_bytes", (int64_t)figures.total);
    info_number(info, "loading_rdb_used_mem", (int64_t)figures.memory);
    info_number(info, "loading_loaded_bytes", (int64_t)figures.taken);
    INFO_LINE(info, "loading_loaded_perc:%.2f", figures.percent);
    info_number(info, "loading_eta_seconds", figures.eta_s);
}

/* What Redis copies on write is here what was copied or held for a file that is being written; it is known at any time. */
static void write_progress(struct info *info, const struct snapshot_figures *figures) {
    double done = figures->total ? 100.0 * (double)figures->keys / (double)figures->total : 0;
    info_number(info, "current_cow_peak", (int64_t)figures->peak);
    info_number(info, "current_cow_size", (int64_t)figures->bytes);
    info_fixed(info, "current_cow_size_age:0");
    INFO_LINE(info, "current_fork_perc:%.2f", done < 100 ? done : 100.0);
    info_number(info, "current_save_keys_processed", (int64_t)figures->keys);
    info_number(info, "current_save_keys_total", (int64_t)figures->total);
}

static void section_persistence(struct info *info) {
    struct snapshot_figures figures = snapshot_figures(info->now_ms);
    bool loading = intake_going();
    info_number(info, "loading", loading);
    info_fixed(info, "async_loading:0");
    write_progress(info, &figures);
    info_number(info, "rdb_changes_since_last_save", (int64_t)figures.changes);
    info_number(info, "rdb_bgsave_in_progress", figures.in_background);
    info_number(info, "rdb_last_save_time", figures.saved_s);
    INFO_LINE(info, "rdb_last_bgsave_status:%s", figures.failed ? "err" : "ok");
    info_number(info, "rdb_last_bgsave_time_sec", figures.took_s);
    info_number(info, "rdb_current_bgsave_time_sec", figures.takes_s);
    info_number(info, "rdb_saves", (int64_t)figures.saves);
    info_number(info, "rdb_last_cow_size", (int64_t)figures.last_peak);
    info_number(info, "rdb_last_load_keys_expired", (int64_t)figures.expired_keys);
    info_number(info, "rdb_last_load_keys_loaded", (int64_t)figures.loaded_keys);
    appendonly_info(info);
    if (loading) tell_loading(info);
}
INFO_SECTION(persistence) = {.name = "persistence",
                             .title = "Persistence",
                             .order = 40,
                             .by_default = true,
                             .write = section_persistence};
