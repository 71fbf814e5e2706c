/* wait.c - WAIT and WAITAOF: for what was changed to be elsewhere too. There are no replicas, so whoever asks for any waits
 * until his time is over. */
#include "server/call/call.h"
#include "server/journal/appender.h"

static void nobody(struct reply *reply) {
    reply_int(reply, 0);
}

static void wait_(struct call *call) {
    struct wait wait = {.over = nobody};
    int64_t replicas;
    if (!call_int_or_reply(call, 1, &replicas) || !call_timeout_ms_or_reply(call, 2, &wait.timeout_ms))
        return;
    if (replicas <= 0 || !call_wait(call, &wait)) nobody(call->reply);
}
COMMAND(wait) = {
    .name = "wait",
    .arity = 3,
    .flags = CMD_NOSCRIPT,
    .run = wait_,
    .group = GROUP_GENERIC_PLAIN,
    .since = "3.0.0",
    .complexity = "O(1)",
    .summary = "Wait for the synchronous replication of all the write commands sent in the context "
               "of the current connection",
    .acl = "connection",
    .tips = "request_policy:all_shards,response_policy:agg_min",
    .syntax = "<numreplicas:integer> <timeout:integer>"};

static void reply_places(struct reply *reply, const struct wait *wait) {
    if (wait->local && !appender_is_on()) {
        reply_error(reply, "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
        return;
    }
    reply_array(reply, 2);
    reply_int(reply, appender_has_synced(wait->ticket));
    reply_int(reply, 0);
}

static bool is_on_disk(const struct wait *wait) {
    return !appender_is_on() || appender_has_synced(wait->ticket);
}
static bool is_off(const struct wait *wait) {
    (void)wait;
    return !appender_is_on();
}

/* For all that anybody has changed before: what the client has changed itself is among it. */
static void waitaof(struct call *call) {
    struct call_range locals = {0, 1, "ERR value is out of range, value must between 0 and 1"},
                      replicas = {0, INT64_MAX, "ERR value is out of range, must be positive"};
    struct wait wait = {.ended = reply_places, .ticket = journal_next()};
    int64_t local, others;
    if (!call_int_or_reply(call, 1, &local) || !call_int_range_or_reply(call, 1, locals, &local)) return;
    if (!call_int_range_or_reply(call, 2, replicas, &others)) return;
    if (!call_timeout_ms_or_reply(call, 3, &wait.timeout_ms)) return;
    if (wait.timeout_ms > INT64_MAX - call->effects->now_ms) {
        reply_error(call->reply, "ERR timeout is out of range");
        return;
    }
    wait.local = local > 0;
    if (wait.local) wait.passed = others > 0 ? is_off : is_on_disk;
    bool waits = others > 0 || (wait.local && !is_on_disk(&wait));
    if (wait.local && is_off(&wait)) waits = false;
    if (!waits || !call_wait(call, &wait)) reply_places(call->reply, &wait);
}
COMMAND(waitaof) = {
    .name = "waitaof",
    .arity = 4,
    .flags = CMD_BLOCKING,
    .run = waitaof,
    .group = GROUP_GENERIC_PLAIN,
    .since = "7.2.0",
    .complexity = "O(1)",
    .summary = "Blocks until all of the preceding write commands sent by the connection are written to the "
               "append-only file of the master and/or replicas.",
    .acl = "connection",
    .tips = "request_policy:all_shards,response_policy:agg_min",
    .syntax = "<numlocal:integer> <numreplicas:integer> <timeout:integer>"};
