/* mute.c - a muted reply has another sink, which always has room: the same scratch again and again. */
#include "server/exec/mute.h"

#include <stddef.h>

#include "protocol/assert.h"
#include "server/call/gate.h"
#include "server/exec/executor.h"

_Static_assert(offsetof(struct mute, sink) == 0, "a muted reply's sink is its mute");

/* SKIP_NEXT mutes nothing by itself: the next command makes SKIP of it. */
enum {
    MUTED_REPLY = CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP,
    MUTED = MUTED_REPLY | CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW
};

static bool concerns_all(const struct command *command) {
    return command != NULL;
}
GATE(muted) = {.bit = MODE_MUTED, .flags = MUTED_REPLY | CLIENT_REPLY_SKIP_NEXT, .concerns = concerns_all};

static bool muted_more(struct reply *reply, size_t need) {
    struct mute *mute = (struct mute *)reply->sink;
    assert(need <= sizeof mute->scratch);
    reply->at = mute->scratch;
    reply->end = mute->scratch + sizeof mute->scratch;
    return true;
}

static bool muted_attach(struct reply *reply, struct bytes data, void *owner) {
    (void)reply, (void)data;
    block_release(owner);
    return true;
}

static bool muted_follow(struct reply *reply, struct reply_source *source) {
    (void)reply;
    source->drop(source);
    return true;
}

static bool is_muted(const struct reply *reply) {
    return reply->sink->more == muted_more;
}

static void mute_begin(struct mute *mute, struct reply *reply) {
    assert(!is_muted(reply) && reply->at <= reply->end);
    mute->sink = (struct reply_sink){muted_more, muted_attach, muted_follow};
    mute->heard = reply->sink;
    mute->at = reply->at;
    mute->end = reply->end;
    reply->sink = &mute->sink;
    reply->at = mute->scratch;
    reply->end = mute->scratch + sizeof mute->scratch;
}

void mute_end(struct reply *reply) {
    if (!is_muted(reply)) return;
    struct mute *mute = (struct mute *)reply->sink;
    assert(reply->at >= mute->scratch && reply->at <= mute->scratch + sizeof mute->scratch);
    reply->sink = mute->heard;
    reply->at = mute->at;
    reply->end = mute->end;
}

void mute_follow(struct call *call) {
    bool muted = call->client->flags & MUTED;
    if (muted == is_muted(call->reply)) return;
    if (muted)
        mute_begin(&executor_of(call)->mute, call->reply);
    else
        mute_end(call->reply);
}

/* Another function, so that it does not count as muted. */
static bool forever_more(struct reply *reply, size_t need) {
    return muted_more(reply, need);
}

void mute_forever(struct mute *mute, struct reply *reply) {
    mute->sink = (struct reply_sink){forever_more, muted_attach, muted_follow};
    *reply = (struct reply){
        .at = mute->scratch, .end = mute->scratch + sizeof mute->scratch, .resp = 2, .sink = &mute->sink};
}
