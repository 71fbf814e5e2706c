/* database.c - whole databases: DBSIZE, INFO keyspace, FLUSHDB, FLUSHALL, SWAPDB. They run with every stripe locked. */
#include <limits.h>

#include "server/commands/keys.h"
#include "server/config/config.h"
#include "server/journal/snapshot.h"
#include "server/report/info.h"

/* Expired keys count until they are deleted, as in Redis. */
static void dbsize(struct call *call) {
    reply_int(call->reply, (int64_t)keys_count(call->db));
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

/* ---- INFO keyspace -------------------------------------------------------------------------------- */

enum { STALE_SAMPLES = 64 }; /* keys of a database that are looked at */

static uint64_t count_expiring(unsigned db) {
    uint64_t expiring = 0;
    for (unsigned i = 0; i < stripes.count; i++)
        expiring += keyspace_count_expiring(stripes.all[i].keyspace, db);
    return expiring;
}

/* Of some random keys of a database, those with an expiry: */
struct sample {
    unsigned over;  /* are to be deleted, */
    unsigned alive; /* have some time left */
};

/* One key from each stripe in turn that has such keys; a few stripes twice, and a single one STALE_SAMPLES times. The time
 * decides which keys: keyspace_random mixes what it is given. */
static struct sample sample_expiring(unsigned db, int64_t now_ms) {
    struct sample sample = {0};
    uint64_t first = (uint64_t)now_ms;
    for (unsigned i = 0, taken = 0; taken < STALE_SAMPLES && i < stripes.count + STALE_SAMPLES; i++) {
        const struct keyspace *ks = stripes.all[(first + i) % stripes.count].keyspace;
        if (!keyspace_count_expiring(ks, db)) continue;
        const struct entry *e = keyspace_random(ks, db, first + i);
        taken++;
        if (!entry_expiry(e)) continue;
        bool over = entry_expired(e, now_ms);
        sample.over += over;
        sample.alive += !over;
    }
    return sample;
}

/* Upkeep deletes keys as their time comes: this is above 0 where it is behind, or switched off. */
static void measure_stale(struct info *info) {
    double stale = 0, all = 0;
    for (unsigned db = 0; db < (unsigned)config.databases; db++) {
        uint64_t expiring = count_expiring(db);
        if (!expiring) continue;
        struct sample sample = sample_expiring(db, info->now_ms);
        all += (double)expiring;
        stale += (double)expiring * info_ratio(sample.over, sample.over + sample.alive);
    }
    info->figures.expired_stale_perc = 100 * info_ratio(stale, all);
}
INFO_MEASURE(STATS, measure_stale);

/* Of this many keys, which is not 0. */
static int64_t mean_ttl_ms(unsigned db, uint64_t expiring, int64_t now_ms) {
    unsigned __int128 sum = 0;
    assert(expiring > 0);
    for (unsigned i = 0; i < stripes.count; i++) sum += keyspace_expiry_sum(stripes.all[i].keyspace, db);
    int64_t mean_ms = (int64_t)(sum / expiring);
    return mean_ms > now_ms ? mean_ms - now_ms : 0; /* what is over may not be deleted yet */
}

static void section_keyspace(struct info *info) {
    for (unsigned db = 0; db < (unsigned)config.databases; db++) {
        uint64_t keys = keys_count(db), expiring = count_expiring(db);
        if (!keys) continue;
        int64_t ttl_ms = expiring ? mean_ttl_ms(db, expiring, info->now_ms) : 0;
        INFO_LINE(info, "db%u:keys=%llu,expires=%llu,avg_ttl=%lld", db, (unsigned long long)keys,
                  (unsigned long long)expiring, (long long)ttl_ms);
    }
}
INFO_SECTION(keyspace) = {
    .name = "keyspace", .title = "Keyspace", .order = 140, .by_default = true, .write = section_keyspace};

/* ---- FLUSHDB, FLUSHALL ---------------------------------------------------------------------------- */

/* ASYNC and SYNC are the same: a flush is done at once, and upkeep frees the memory in small steps. */
static bool flush_mode_or_reply(struct call *call) {
    if (call->argc == 1) return true;
    if (call->argc == 2 && (bytes_is(call->argv[1], "sync") || bytes_is(call->argv[1], "async"))) return true;
    call_syntax_error(call);
    return false;
}

/* Empties databases first..end - 1: one, or all there are. */
static void flush(struct call *call, unsigned first, unsigned end) {
    for (unsigned db = first; db < end; db++) {
        call_flushed(call, db);
        for (unsigned i = 0; i < stripes.count; i++) keyspace_flush(stripes.all[i].keyspace, db);
    }
    call_emptied_databases(call);
    call_log_request(call); /* also if there was nothing, as in Redis */
    reply_ok(call->reply);
}

/* What the rows of both say. */
#define FLUSHING                                                                                             \
    .arity = -1, .flags = CMD_WRITE | CMD_ALL_STRIPES | CMD_SLOW_CLOCK, .group = GROUP_SERVER,               \
    .acl = "keyspace dangerous", .tips = "request_policy:all_shards,response_policy:all_succeeded",          \
    .history = "4.0.0: Added the `ASYNC` flushing mode modifier.\n"                                          \
               "6.2.0: Added the `SYNC` flushing mode modifier.",                                            \
    .syntax = "[async:( ASYNC@4.0.0 | SYNC@6.2.0 )]"

static void flushdb(struct call *call) {
    if (!flush_mode_or_reply(call)) return;
    flush(call, call->db, call->db + 1);
}
COMMAND(flushdb) = {.name = "flushdb",
                    FLUSHING,
                    .run = flushdb,
                    .since = "1.0.0",
                    .complexity = "O(N) where N is the number of keys in the selected database",
                    .summary = "Remove all keys from the current database"};

/* A save in the background would only bring back what is gone. */
static void flushall(struct call *call) {
    if (!flush_mode_or_reply(call)) return;
    snapshot_stop();
    flush(call, 0, (unsigned)config.databases);
    if (!call->effects->replay_ms) snapshot_emptied(call->effects->now_ms);
}
COMMAND(flushall) = {.name = "flushall",
                     FLUSHING,
                     .run = flushall,
                     .since = "1.0.0",
                     .complexity = "O(N) where N is the total number of keys in all databases",
                     .summary = "Remove all keys from all databases"};

/* ---- SWAPDB --------------------------------------------------------------------------------------- */

static bool swap_or_reply(struct call *call, int64_t *a, int64_t *b) {
    if (!call_int_range_or_reply(call, 1, (struct call_range){INT_MIN, INT_MAX, "ERR invalid first DB index"},
                                 a))
        return false;
    if (!call_int_range_or_reply(call, 2,
                                 (struct call_range){INT_MIN, INT_MAX, "ERR invalid second DB index"}, b))
        return false;
    if (*a >= 0 && *a < config.databases && *b >= 0 && *b < config.databases) return true;
    reply_error(call->reply, "ERR DB index is out of range");
    return false;
}

static void swapdb(struct call *call) {
    int64_t a, b;
    if (config.cluster_enabled) {
        reply_error(call->reply, "ERR SWAPDB is not allowed in cluster mode");
        return;
    }
    if (!swap_or_reply(call, &a, &b)) return;
    /* A database with itself, too: to Redis that is a change. */
    call_swapped(call, (unsigned)a, (unsigned)b);
    for (unsigned i = 0; i < stripes.count; i++)
        keyspace_swap(stripes.all[i].keyspace, (unsigned)a, (unsigned)b);
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
