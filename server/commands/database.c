/* database.c - whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB. They run with every stripe locked. */
#include <limits.h>

#include "server/commands/keys.h"
#include "server/config.h"

static uint64_t count_keys(unsigned db) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stripes.count; i++) count += keyspace_count(stripes.all[i].keyspace, db);
    return count;
}

/* Expired keys count until they are deleted, as in Redis. */
static void dbsize(struct call *call) {
    reply_int(call->reply, (int64_t)count_keys(call->db));
}
COMMAND(dbsize) = {.name = "dbsize",
                   .arity = 1,
                   .flags = CMD_READONLY | CMD_FAST | CMD_ALL_STRIPES,
                   .run = dbsize,
                   .group = GROUP_SERVER,
                   .since = "1.0.0",
                   .complexity = "O(1)",
                   .summary = "Return the number of keys in the selected database",
                   .acl = "keyspace",
                   .tips = "request_policy:all_shards,response_policy:agg_sum"};

/* ---- FLUSHDB, FLUSHALL ---------------------------------------------------------------------------- */

/* ASYNC and SYNC are the same: a flush is done at once, and upkeep frees the memory in small steps. */
static bool flush_mode_or_reply(struct call *call) {
    if (call->argc == 1) return true;
    if (call->argc == 2 && (bytes_is(call->argv[1], "sync") || bytes_is(call->argv[1], "async"))) return true;
    call_syntax_error(call);
    return false;
}

static void flush(unsigned db) {
    for (unsigned i = 0; i < stripes.count; i++) keyspace_flush(stripes.all[i].keyspace, db);
}

static void flushdb(struct call *call) {
    if (!flush_mode_or_reply(call)) return;
    call_changed_all(call, (int)call->db, count_keys(call->db));
    flush(call->db);
    reply_ok(call->reply);
}
COMMAND(flushdb) = {.name = "flushdb",
                    .arity = -1,
                    .flags = CMD_WRITE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
                    .run = flushdb,
                    .group = GROUP_SERVER,
                    .since = "1.0.0",
                    .complexity = "O(N) where N is the number of keys in the selected database",
                    .summary = "Remove all keys from the current database",
                    .acl = "keyspace dangerous",
                    .tips = "request_policy:all_shards,response_policy:all_succeeded",
                    .history = "4.0.0: Added the `ASYNC` flushing mode modifier.\n"
                               "6.2.0: Added the `SYNC` flushing mode modifier.",
                    .syntax = "[async:( ASYNC@4.0.0 | SYNC@6.2.0 )]"};

static void flushall(struct call *call) {
    uint64_t count = 0;
    if (!flush_mode_or_reply(call)) return;
    unsigned databases = (unsigned)config.databases;
    for (unsigned db = 0; db < databases; db++) count += count_keys(db);
    call_changed_all(call, -1, count);
    for (unsigned db = 0; db < databases; db++) flush(db);
    reply_ok(call->reply);
}
COMMAND(flushall) = {.name = "flushall",
                     .arity = -1,
                     .flags = CMD_WRITE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK,
                     .run = flushall,
                     .group = GROUP_SERVER,
                     .since = "1.0.0",
                     .complexity = "O(N) where N is the total number of keys in all databases",
                     .summary = "Remove all keys from all databases",
                     .acl = "keyspace dangerous",
                     .tips = "request_policy:all_shards,response_policy:all_succeeded",
                     .history = "4.0.0: Added the `ASYNC` flushing mode modifier.\n"
                                "6.2.0: Added the `SYNC` flushing mode modifier.",
                     .syntax = "[async:( ASYNC@4.0.0 | SYNC@6.2.0 )]"};

/* ---- SWAPDB --------------------------------------------------------------------------------------- */

static bool swap_or_reply(struct call *call, int64_t *a, int64_t *b) {
    if (!call_int_range_or_reply(call, 1, INT_MIN, INT_MAX, a, "ERR invalid first DB index")) return false;
    if (!call_int_range_or_reply(call, 2, INT_MIN, INT_MAX, b, "ERR invalid second DB index")) return false;
    if (*a >= 0 && *a < config.databases && *b >= 0 && *b < config.databases) return true;
    reply_error(call->reply, "ERR DB index is out of range");
    return false;
}

static void swapdb(struct call *call) {
    int64_t a, b;
    if (!swap_or_reply(call, &a, &b)) return;
    if (a != b) {
        call_changed_swap(call, (unsigned)a, (unsigned)b);
        for (unsigned i = 0; i < stripes.count; i++)
            keyspace_swap(stripes.all[i].keyspace, (unsigned)a, (unsigned)b);
    }
    reply_ok(call->reply);
}
COMMAND(swapdb) = {
    .name = "swapdb",
    .arity = 3,
    .flags = CMD_WRITE | CMD_FAST | CMD_ALL_STRIPES,
    .run = swapdb,
    .group = GROUP_SERVER,
    .since = "4.0.0",
    .complexity = "O(N) where N is the count of clients watching or blocking on keys from both databases.",
    .summary = "Swaps two Redis databases",
    .acl = "keyspace dangerous",
    .syntax = "<index1:integer> <index2:integer>"};
