/* config.c - CONFIG: the options as clients see them. What an option is stands in server/config/options.def. */
#include "server/config/config.h"

#include "server/call/call.h"
#include "server/call/help.h"
#include "server/call/tracked.h"
#include "server/clients/post.h"
#include "server/journal/aof_switch.h"
#include "server/journal/claim.h"
#include "server/log.h"
#include "server/report/metrics.h"

#define CONFIG_FLAGS (CMD_ADMIN | CMD_NOSCRIPT | CMD_LOADING | CMD_STALE)

COMMAND(config) = {.name = "config",
                   .arity = -2,
                   .group = GROUP_SERVER,
                   .since = "2.0.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for server configuration commands"};

/* ---- GET ------------------------------------------------------------------------------------------ */

static void reply_count(void *reply, uint32_t matches) {
    reply_map(reply, matches);
}

static void reply_pair(void *reply, struct bytes name, struct bytes value) {
    reply_bulk(reply, name);
    reply_bulk(reply, value);
}

static void config_get_(struct call *call) {
    if (!config_get(call->argv + 2, call->argc - 2, reply_count, reply_pair, call->reply))
        call_out_of_memory(call);
}
COMMAND(config_get) = {.container = "config",
                       .name = "get",
                       .arity = -3,
                       .flags = CONFIG_FLAGS,
                       .run = config_get_,
                       .group = GROUP_SERVER,
                       .since = "2.0.0",
                       .complexity = "O(N) when N is the number of configuration parameters provided",
                       .summary = "Get the values of configuration parameters",
                       .history = "7.0.0: Added the ability to pass multiple pattern parameters in one call",
                       .syntax = "parameter:{<parameter>} ..."};

/* ---- SET ------------------------------------------------------------------------------------------ */

/* Beyond a limit that was lowered; what is left then goes as clients read. */
static void evict_tracked(struct call *call) {
    unsigned left = TRACKED_EVICTED_AT_ONCE;
    for (unsigned i = 0; left && i < stripes.count; i++)
        left -= tracked_evict(call->effects, &stripes.all[i], left);
}

/* The log is switched on at once or not at all. */
static bool follow_log(void *context, char error[CONFIG_ERROR_MAX]) {
    struct call *call = context;
    char why[CLAIM_WHY_SIZE];
    bool ours = !config.appendonly || claim_directory(why);
    if (!ours) log_warning("Cannot keep an append-only file: %s", why);
    if (call->effects->journal) effects_end(call->effects); /* within EXEC: what stands before it */
    if (!call->effects->journal || (ours && aof_switch_follow(call->effects->journal, call->effects->now_ms)))
        return true;
    snprintf(error, CONFIG_ERROR_MAX,
             "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to turn on AOF. "
             "Check server logs.");
    return false;
}

static void config_set_(struct call *call) {
    char error[CONFIG_ERROR_MAX];
    struct config_follower follower = {follow_log, call};
    if (call->argc % 2) {
        call_syntax_error(call);
    } else if (!config_set(call->argv + 2, (call->argc - 2) / 2, follower, error)) {
        reply_error(call->reply, error);
    } else {
        effects_publish();
        evict_tracked(call);
        post_look_again(call->effects->wakes); /* also those that sleep may have something to do now */
        reply_ok(call->reply);
    }
}
COMMAND(config_set) = {.container = "config",
                       .name = "set",
                       .arity = -4,
                       .flags = CONFIG_FLAGS | CMD_ALL_STRIPES, /* what they are heard by may change */
                       .run = config_set_,
                       .group = GROUP_SERVER,
                       .since = "2.0.0",
                       .complexity = "O(N) when N is the number of configuration parameters provided",
                       .summary = "Set configuration parameters to the given values",
                       .tips = "request_policy:all_nodes,response_policy:all_succeeded",
                       .history = "7.0.0: Added the ability to set multiple parameters in one call.",
                       .syntax = "parameter_value:{<parameter> <value>} ..."};

/* ---- REWRITE, RESETSTAT, HELP --------------------------------------------------------------------- */

static void config_rewrite_(struct call *call) {
    char error[CONFIG_ERROR_MAX];
    if (config_rewrite(error))
        reply_ok(call->reply);
    else
        reply_error(call->reply, error);
}
COMMAND(config_rewrite) = {.container = "config",
                           .name = "rewrite",
                           .arity = 2,
                           .flags = CONFIG_FLAGS | CMD_SLOW_CLOCK,
                           .run = config_rewrite_,
                           .group = GROUP_SERVER,
                           .since = "2.8.0",
                           .complexity = "O(1)",
                           .summary = "Rewrite the configuration file with the in memory configuration"};

static void config_resetstat(struct call *call) {
    metrics_reset();
    reply_ok(call->reply);
}
COMMAND(config_resetstat) = {.container = "config",
                             .name = "resetstat",
                             .arity = 2,
                             .flags = CONFIG_FLAGS,
                             .run = config_resetstat,
                             .group = GROUP_SERVER,
                             .since = "2.0.0",
                             .complexity = "O(1)",
                             .summary = "Reset the stats returned by INFO"};

static void config_help_(struct call *call) {
    static const char *const lines[] = {
        "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "GET <pattern>",
        "    Return parameters matching the glob-like <pattern> and their values.",
        "SET <directive> <value>",
        "    Set the configuration <directive> to <value>.",
        "RESETSTAT",
        "    Reset statistics reported by the INFO command.",
        "REWRITE",
        "    Rewrite the configuration file.",
    };
    HELP_REPLY(call, lines);
}
COMMAND(config_help) = {.container = "config",
                        .name = "help",
                        HELP_ROW,
                        .run = config_help_,
                        .group = GROUP_SERVER,
                        .since = "5.0.0"};
