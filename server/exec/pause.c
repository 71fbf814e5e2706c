/* pause.c - the state is one word, so that no reader ever sees the end of one pause with the mode of another. Whoever
 * changes it raises and lowers the gates in the same breath, under the mutex. */
#include "server/exec/pause.h"

#include "protocol/assert.h"
#include "server/call/call.h"
#include "server/call/gate.h"
#include "server/exec/transaction.h"
#include "server/lock_order.h"

/* Twice the end's Unix time, and 1 where everything is held and not writes alone; 0: no pause. */
static _Atomic uint64_t pause_word;
static struct mutex mutex = MUTEX(LOCK_PAUSE);

static const int64_t PAUSE_MAX_MS = INT64_MAX / 2;

static int64_t word_until(uint64_t word) {
    return (int64_t)(word >> 1);
}

/* The mutex is held. */
static void set_word(uint64_t word) {
    assert(word == 0 || word_until(word) > 0);
    pause_word = word;
    if (word & 1)
        gate_raise(GATE_PAUSE_ALL);
    else
        gate_lower(GATE_PAUSE_ALL);
    if (word)
        gate_raise(GATE_PAUSE_WRITE);
    else
        gate_lower(GATE_PAUSE_WRITE);
}

void pause_begin(enum pause_mode mode, int64_t until_ms, int64_t now_ms) {
    if (until_ms < 0) until_ms = 0;
    if (until_ms > PAUSE_MAX_MS) until_ms = PAUSE_MAX_MS;
    mutex_lock(&mutex);
    uint64_t old = pause_word;
    bool on = word_until(old) > now_ms, all = mode == PAUSE_ALL || (on && old & 1);
    int64_t until = on && word_until(old) > until_ms ? word_until(old) : until_ms;
    assert(until >= until_ms && until <= PAUSE_MAX_MS);
    set_word(until > now_ms ? (uint64_t)until << 1 | all : 0);
    mutex_unlock(&mutex);
}

void pause_end(void) {
    mutex_lock(&mutex);
    set_word(0);
    mutex_unlock(&mutex);
}

int64_t pause_until_ms(void) {
    return word_until(pause_word);
}

/* ---- Gates ---------------------------------------------------------------------------------------- */

/* Nobody was asked since it was over. Another thread may have begun a new one: that one stays. */
static void forget(uint64_t word) {
    mutex_lock(&mutex);
    if (pause_word == word) set_word(0);
    mutex_unlock(&mutex);
}

/* EXEC is what it would run. */
static bool writes(const struct call *call) {
    uint32_t flags = call->command->flags;
    if (flags & CMD_RUNS_QUEUE) flags |= transaction_flags(call->client);
    return flags & (CMD_WRITE | CMD_MAY_REPLICATE);
}

/* Monitors are replicas of a kind to Redis, and those are never held. */
static enum verdict ask(const struct call *call, struct text *why) {
    uint64_t word = atomic_load_explicit(&pause_word, memory_order_relaxed);
    (void)why;
    if (!word || call->client->flags & CLIENT_MONITOR) return PASS;
    if (word_until(word) <= call->effects->now_ms) {
        forget(word);
        return PASS;
    }
    return word & 1 || writes(call) ? HELD : PASS;
}

static bool may_write(const struct command *command) {
    return command->flags & (CMD_WRITE | CMD_MAY_REPLICATE | CMD_RUNS_QUEUE) &&
           !(command->flags & CMD_NO_PAUSE);
}
GATE(writes) = {.bit = GATE_PAUSE_WRITE, .outermost = true, .concerns = may_write, .ask = ask};

static bool is_held(const struct command *command) {
    return !(command->flags & CMD_NO_PAUSE);
}
GATE(all) = {.bit = GATE_PAUSE_ALL, .outermost = true, .concerns = is_held, .ask = ask};
