/* snapshot.c - SAVE, LASTSAVE, and what INFO says of saving. */
#include "server/journal/snapshot.h"

#include "server/call/call.h"
#include "server/commands/appendonly.h"
#include "server/journal/intake.h"
#include "server/report/info.h"

/* Nobody else is served meanwhile, as in Redis. Why it failed stands in the log. */
static void save(struct call *call) {
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

static void tell_loading(struct info *info) {
    struct intake_figures figures = intake_figures(info->now_ms / 1000);
    info_number(info, "loading_start_time", figures.begun_s);
    info_number(info, "loading_total_bytes", (int64_t)figures.total);
    info_number(info, "loading_rdb_used_mem", (int64_t)figures.memory);
    info_number(info, "loading_loaded_bytes", (int64_t)figures.taken);
    INFO_LINE(info, "loading_loaded_perc:%.2f", figures.percent);
    info_number(info, "loading_eta_seconds", figures.eta_s);
}

static void section_persistence(struct info *info) {
    struct snapshot_figures figures = snapshot_figures();
    bool loading = intake_going();
    info_number(info, "loading", loading);
    info_fixed(info, "async_loading:0 current_cow_peak:0 current_cow_size:0 "
                     "current_cow_size_age:0 current_fork_perc:0.00 current_save_keys_processed:0 "
                     "current_save_keys_total:0");
    info_number(info, "rdb_changes_since_last_save", (int64_t)figures.changes);
    info_fixed(info, "rdb_bgsave_in_progress:0");
    info_number(info, "rdb_last_save_time", figures.saved_s);
    info_fixed(info, "rdb_last_bgsave_status:ok rdb_last_bgsave_time_sec:-1 rdb_current_bgsave_time_sec:-1");
    info_number(info, "rdb_saves", (int64_t)figures.saves);
    info_fixed(info, "rdb_last_cow_size:0");
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
