/* crew.c - when there are more shards in use, and when fewer.
 *
 * DESIGN
 *
 *              one of those in use is full, or a request was slow: twice as many, at once
 *           +------------------------------------------------------------------------------+
 *           |                                                                              v
 *     in_use = n                                                                     in_use = 2 n
 *           ^                                                                              |
 *           +------------------------------------------------------------------------------+
 *              for as long as patience says fewer would have done, with time to spare (CREW_FITS)
 *
 * Between CREW_FITS and CREW_FULL lies what keeps a steady load from going to and fro. A load that changes is met by
 * patience: where more shards are needed soon after there were made fewer, the next time takes twice as long, up to a
 * minute. That is forgotten when fewer were enough for long.
 *
 * Invariants:
 *   1. 1 <= in_use <= shards, and 1 <= most <= shards.
 *   2. PATIENCE_LEAST <= patience <= PATIENCE_MOST. */
#include "server/loop/crew.h"

#include "protocol/assert.h"

enum {
    PATIENCE_LEAST_US = 1000 * 1000,
    PATIENCE_MOST_US = 64 * 1000 * 1000,
    SOON = 4,   /* times its patience after it: then it was too soon to make them fewer, */
    STOOD = 16, /* and so many times: it was right */
};

void crew_open(struct crew *crew, unsigned shards, uint64_t now_us) {
    assert(shards > 0);
    *crew = (struct crew){.shards = shards,
                          .in_use = 1,
                          .most = 1,
                          .looked_us = now_us,
                          .since_us = now_us,
                          .patience_us = PATIENCE_LEAST_US};
}

static void begin_window(struct crew *crew, uint64_t now_us) {
    crew->since_us = now_us;
    crew->most = 1;
}

void crew_all(struct crew *crew, uint64_t now_us) {
    crew->in_use = crew->shards;
    crew->looked_us = now_us;
    begin_window(crew, now_us);
}

/* How many would have enough of their time left. */
static unsigned needed(const struct crew *crew, const uint16_t *busy) {
    unsigned sum = 0;
    for (unsigned i = 0; i < crew->shards; i++) sum += busy[i];
    unsigned count = (sum + CREW_FITS - 1) / CREW_FITS;
    return count < 1 ? 1 : count < crew->shards ? count : crew->shards;
}

static bool is_full(const struct crew *crew, const uint16_t *busy) {
    for (unsigned i = 0; i < crew->in_use; i++)
        if (busy[i] > CREW_FULL) return true;
    return false;
}

static void grow(struct crew *crew, uint64_t now_us) {
    if (crew->in_use == crew->shards) return;
    bool soon = crew->shrunk_us && now_us - crew->shrunk_us <= SOON * crew->patience_us;
    if (soon && crew->patience_us < PATIENCE_MOST_US) crew->patience_us *= 2;
    crew->shrunk_us = 0;
    crew->in_use = 2 * crew->in_use < crew->shards ? 2 * crew->in_use : crew->shards;
}

static void shrink(struct crew *crew, uint64_t now_us) {
    crew->in_use = crew->most;
    crew->shrunk_us = now_us ? now_us : 1;
}

/* Nobody looks while all sleep, and then nothing was needed. */
static void look_back(struct crew *crew, uint64_t now_us) {
    assert(now_us >= crew->looked_us);
    if (now_us - crew->looked_us >= crew->patience_us) {
        crew->since_us = crew->looked_us;
        crew->most = 1;
    }
    crew->looked_us = now_us;
    if (crew->shrunk_us && now_us - crew->shrunk_us > STOOD * crew->patience_us) {
        crew->shrunk_us = 0;
        crew->patience_us = PATIENCE_LEAST_US;
    }
}

unsigned crew_look(struct crew *crew, uint64_t now_us, const uint16_t *busy, bool slow) {
    look_back(crew, now_us);
    unsigned count = needed(crew, busy);
    if (count > crew->most) crew->most = count;
    if (slow || is_full(crew, busy)) {
        grow(crew, now_us);
        begin_window(crew, now_us);
    } else if (now_us - crew->since_us >= crew->patience_us) {
        if (crew->most < crew->in_use) shrink(crew, now_us);
        begin_window(crew, now_us);
    }
    assert(crew->in_use > 0 && crew->in_use <= crew->shards);                                /* 1 */
    assert(crew->patience_us >= PATIENCE_LEAST_US && crew->patience_us <= PATIENCE_MOST_US); /* 2 */
    return crew->in_use;
}
