/* silence.c - sockets of which the kernel has stopped to tell: they are asked, a page of them a turn. */
#include "server/loop/silence.h"

#include "server/loop/conn.h"
#include "server/loop/shard.h"

enum {
    ASK_US = 2 * 1000 * 1000,       /* an end that was missed is found within about that time */
    ASK_ALL_US = 10 * 1000 * 1000,  /* ... or that one, where it may be missed at any time */
    SILENT_MS = 100,                /* who was heard more lately than this is not silent, ... */
    ASK_BUSY_US = 10 * 1000 * 1000, /* ... and is asked all the same so often */
};

static bool may_be_silent(const struct shard *shard) {
    const struct silence *silence = &shard->silence;
    return io_misses_ends(&shard->io) && client_get(shard->connections) > 0 &&
           (silence->again || silence->heard_us + SILENT_MS * 1000 > silence->asked_us);
}

static bool asks_all(const struct shard *shard) {
    return io_doubts_silence(&shard->io) && client_get(shard->connections) > 0;
}

/* Who is closing waits for the end of its receive, which is missed as well: what comes for it makes it no less silent. */
static void ask(struct conn *conn) {
    struct shard *shard = conn->shard;
    struct silence *silence = &shard->silence;
    int64_t heard_ms = client_get(conn->client.active_ms);
    bool fell_silent = heard_ms > silence->from_ms && heard_ms <= silence->to_ms;
    bool busy = silence->busy && heard_ms > silence->to_ms;
    if (!silence->all && !fell_silent && !busy && !(conn->flags & CONN_CLOSING)) return;
    if (!io_ask(&shard->io, &conn->socket)) silence_unanswered(silence);
}

/* Everybody falls silent in one round's span, unless the clock was set back. */
static void begin(struct shard *shard) {
    struct silence *silence = &shard->silence;
    uint64_t now_us = shard->exec.clock.now_us;
    bool all = asks_all(shard) && now_us >= silence->next_all_us;
    if (!all && !(may_be_silent(shard) && now_us >= silence->asked_us + ASK_US)) return;
    if (all) silence->next_all_us = now_us + ASK_ALL_US;
    bool rested = now_us > silence->asked_us + 2 * ASK_US; /* then nobody has been busy for long */
    silence->busy = !rested && now_us >= silence->next_busy_us;
    if (silence->busy || rested) silence->next_busy_us = now_us + ASK_BUSY_US;
    silence->from_ms = silence->to_ms;
    silence->to_ms = shard->exec.clock.now_ms - SILENT_MS;
    silence->all = all || silence->again || silence->to_ms < silence->from_ms;
    silence->again = false;
    silence->asked_us = now_us;
    silence->next_page = 0;
    silence->going = true;
}

void silence_ask(struct shard *shard) {
    struct silence *silence = &shard->silence;
    if (shard->pace.receives) silence_heard(silence, shard->exec.clock.now_us);
    if (!silence->going) begin(shard);
    if (silence->going) silence->going = slots_each_of(&shard->slots, silence->next_page++, ask);
}

uint64_t silence_due_us(const struct shard *shard) {
    const struct silence *silence = &shard->silence;
    uint64_t now_us = shard->exec.clock.now_us, at_us = UINT64_MAX;
    if (silence->going) return 0;
    if (asks_all(shard)) at_us = silence->next_all_us;
    if (may_be_silent(shard) && silence->asked_us + ASK_US < at_us) at_us = silence->asked_us + ASK_US;
    if (at_us == UINT64_MAX) return UINT64_MAX;
    return at_us > now_us ? at_us - now_us : 0;
}
