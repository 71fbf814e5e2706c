/* pause.c - the state is one word, so that no reader ever sees the end of one pause with the mode of another.
 */
#include "server/exec/pause.h"

#include <stdatomic.h>

/* Twice the end's Unix time, and 1 where everything is held and not writes alone; 0: no pause. */
static _Atomic uint64_t pause_word;

static const int64_t PAUSE_MAX_MS = INT64_MAX / 2;

static int64_t word_until(uint64_t word) {
    return (int64_t)(word >> 1);
}

void pause_begin(enum pause_mode mode, int64_t until_ms, int64_t now_ms) {
    uint64_t old = pause_word, word;
    if (until_ms < 0) until_ms = 0;
    if (until_ms > PAUSE_MAX_MS) until_ms = PAUSE_MAX_MS;
    do {
        bool on = word_until(old) > now_ms, all = mode == PAUSE_ALL || (on && old & 1);
        int64_t until = on && word_until(old) > until_ms ? word_until(old) : until_ms;
        word = (uint64_t)until << 1 | all;
    } while (!atomic_compare_exchange_weak(&pause_word, &old, word));
}

void pause_end(void) {
    pause_word = 0;
}

int64_t pause_until_ms(void) {
    return word_until(pause_word);
}

bool pause_holds(const struct command *command, bool writes_queued, int64_t now_ms) {
    uint64_t word = atomic_load_explicit(&pause_word, memory_order_relaxed);
    if (word == 0 || command->flags & CMD_NO_PAUSE) return false;
    if (word_until(word) <= now_ms) {
        atomic_compare_exchange_strong(&pause_word, &word,
                                       0); /* fails if there is a new one: that one stays */
        return false;
    }
    return word & 1 || writes_queued || command->flags & (CMD_WRITE | CMD_MAY_REPLICATE);
}
