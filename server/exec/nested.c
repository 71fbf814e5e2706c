/* nested.c - a call of its own for each, made of the outer one's. */
#include "server/exec/nested.h"

#include "protocol/assert.h"
#include "server/exec/dispatch.h"
#include "server/exec/gates.h"
#include "server/exec/mute.h"

/* Does the outer command hold all stripes that this one may look at? */
static bool all_held(const struct call *outer, const struct saved *saved) {
    if (outer->held) return stripe_set_within(&saved->stripes, outer->held);
    struct stripe_set held = {{0}};
    if (outer->stripe != STRIPE_NONE) stripe_set_add(&held, outer->stripe);
    return stripe_set_within(&saved->stripes, &held);
}

struct call nested_call(const struct call *outer, const struct saved *saved, struct client *as,
                        struct reply *reply) {
    struct call call = *outer;
    call.command = saved->command;
    call.argv = saved->argv;
    call.argc = saved->argc;
    call.hash = saved->hash;
    call.arg_blocks = saved->blocks;
    call.arg_block_count = saved->block_count;
    call.arg_block_next = 0;
    call.client = as;
    call.db = as->db;
    call.reply = reply;
    call.raw = BYTES("");
    call.wait = NULL;
    return call;
}

enum nested nested_run(struct call *outer, const struct saved *saved, struct client *as,
                       struct reply *reply) {
    assert(all_held(outer, saved));
    assert(!outer->again && saved->command->run);
    struct call call = nested_call(outer, saved, as, reply);
    uint64_t errors = reply->errors;
    int64_t now_ms = call.effects->now_ms;
    bool passed = gates_ask_nested(&call) == PASS;
    metric_add(&call.effects->metrics->commands_processed, passed);
    if (call.command->flags & CMD_MAY_REPLICATE)
        effects_claim_changed(call.effects); /* what it tells others may tell of what was changed before it */
    if (passed) dispatch_run(&call);
    outer->logged = true;   /* each command within is recorded by itself, and at its own place */
    reply->errors = errors; /* they are this command's, and not the outer one's too */
    mute_follow(&call);
    assert(call.effects->now_ms == now_ms && !call.again);
    return passed ? NESTED_DONE : NESTED_REFUSED;
}
