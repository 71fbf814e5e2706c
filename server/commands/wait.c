/* wait.c - WAIT: for replicas that have got what this client wrote. There are none, so it waits until its time is over. */
#include "server/call/call.h"

static void nobody(struct reply *reply) {
    reply_int(reply, 0);
}

static void wait_(struct call *call) {
    struct call_range spans = {INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range"};
    struct wait wait = {.over = nobody};
    int64_t replicas;
    if (!call_int_or_reply(call, 1, &replicas)) return;
    if (!call_int_range_or_reply(call, 2, spans, &wait.timeout_ms)) return;
    if (wait.timeout_ms < 0)
        reply_error(call->reply, "ERR timeout is negative");
    else if (replicas <= 0 || !call_wait(call, &wait))
        nobody(call->reply);
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
