/* memory.c - MEMORY: what the data takes. */
#include <malloc.h>

#include "server/call/help.h"
#include "server/commands/keys.h"
#include "server/config/config.h"

COMMAND(memory) = {.name = "memory",
                   .arity = -2,
                   .group = GROUP_SERVER,
                   .since = "4.0.0",
                   .complexity = "Depends on subcommand.",
                   .summary = "A container for memory diagnostics commands"};

/* SAMPLES is for estimates of nested values. Strings have none, so it is checked and makes no difference. */
static bool samples_or_reply(struct call *call) {
    for (uint32_t i = 3; i < call->argc; i += 2) {
        int64_t samples = -1;
        bool known = bytes_is(call->argv[i], "samples") && i + 1 < call->argc;
        if (known && !call_int_or_reply(call, i + 1, &samples)) return false;
        if (samples < 0) {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void memory_usage(struct call *call) {
    if (!samples_or_reply(call)) return;
    struct entry *e = call_peek(call, 2);
    if (e)
        reply_int(call->reply, (int64_t)keyspace_entry_memory(call_keyspace(call, 2), e));
    else
        reply_null(call->reply);
}
COMMAND(memory_usage) = {.container = "memory",
                         .name = "usage",
                         .arity = -3,
                         .flags = CMD_READONLY | CMD_BOUNDED,
                         .keys = {KEY(2, KEY_RO)},
                         .run = memory_usage,
                         .group = GROUP_SERVER,
                         .since = "4.0.0",
                         .complexity = "O(N) where N is the number of samples.",
                         .summary = "Estimate the memory usage of a key",
                         .syntax = "<key:key> [{SAMPLES <count:integer>}]"};

/* The figures of Redis's report that mean something here, under its names; all of them concern the data. */
static void memory_stats(struct call *call) {
    uint64_t bytes = heaps_used(stripes.heaps) + heaps_blocks(stripes.heaps), keys = 0;
    for (unsigned i = 0; i < stripes.count; i++) {
        bytes += keyspace_memory(stripes.all[i].keyspace);
    }
    for (unsigned db = 0; db < (unsigned)config.databases; db++) keys += keys_count(db);
    reply_map(call->reply, 3);
    reply_bulk(call->reply, BYTES("keys.count"));
    reply_int(call->reply, (int64_t)keys);
    reply_bulk(call->reply, BYTES("keys.bytes-per-key"));
    reply_int(call->reply, (int64_t)(keys ? bytes / keys : 0));
    reply_bulk(call->reply, BYTES("dataset.bytes"));
    reply_int(call->reply, (int64_t)bytes);
}
COMMAND(memory_stats) = {.container = "memory",
                         .name = "stats",
                         .arity = 2,
                         .flags = CMD_ALL_STRIPES,
                         .run = memory_stats,
                         .group = GROUP_SERVER,
                         .since = "4.0.0",
                         .complexity = "O(1)",
                         .summary = "Show memory usage details",
                         .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"};

static void memory_purge(struct call *call) {
    malloc_trim(0);
    reply_ok(call->reply);
}
COMMAND(memory_purge) = {.container = "memory",
                         .name = "purge",
                         .arity = 2,
                         .flags = CMD_SLOW_CLOCK,
                         .run = memory_purge,
                         .group = GROUP_SERVER,
                         .since = "4.0.0",
                         .complexity = "Depends on how much memory is allocated, could be slow",
                         .summary = "Ask the allocator to release memory",
                         .tips = "request_policy:all_shards,response_policy:all_succeeded"};

static void memory_malloc_stats(struct call *call) {
    reply_bulk(call->reply, BYTES("Stats not supported for the current allocator"));
}
COMMAND(memory_malloc_stats) = {
    .container = "memory",
    .name = "malloc-stats",
    .arity = 2,
    .run = memory_malloc_stats,
    .group = GROUP_SERVER,
    .since = "4.0.0",
    .complexity = "Depends on how much memory is allocated, could be slow",
    .summary = "Show allocator internal stats",
    .tips = "nondeterministic_output,request_policy:all_shards,response_policy:special"};

static void memory_help(struct call *call) {
    static const char *const lines[] = {
        "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "MALLOC-STATS",
        "    Return internal statistics report from the memory allocator.",
        "PURGE",
        "    Attempt to purge dirty pages for reclamation by the allocator.",
        "STATS",
        "    Return information about the memory usage of the server.",
        "USAGE <key> [SAMPLES <count>]",
        "    Return memory in bytes used by <key> and its value. Nested values are",
        "    sampled up to <count> times (default: 5, 0 means sample all).",
    };
    HELP_REPLY(call, lines);
}
COMMAND(memory_help) = {.container = "memory",
                        .name = "help",
                        HELP_ROW,
                        .run = memory_help,
                        .group = GROUP_SERVER,
                        .since = "4.0.0"};
