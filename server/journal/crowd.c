/* crowd.c - sums over shards. */
#include "server/journal/crowd.h"

#include "protocol/assert.h"

struct crowd crowd;

static uint32_t get(const _Atomic uint32_t *number) {
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void set(_Atomic uint32_t *number, uint32_t value) {
    atomic_store_explicit(number, value, memory_order_relaxed);
}

bool crowd_tell(struct crowd_part *part) {
    assert(part->met <= part->came);
    if (!part->came) return false;
    if (part->met) atomic_fetch_add_explicit(&crowd.met, part->met, memory_order_relaxed);
    atomic_fetch_add_explicit(&crowd.came, part->came, memory_order_relaxed);
    *part = (struct crowd_part){0};
    return true;
}

void crowd_begin(uint64_t now_us) {
    set(&crowd.taken, get(&crowd.came));
    if (++crowd.batches < CROWD_BATCHES || now_us - crowd.since_us < CROWD_EPOCH_US) return;
    set(&crowd.epoch, get(&crowd.epoch) + 1);
    set(&crowd.members, atomic_exchange_explicit(&crowd.met, 0, memory_order_relaxed));
    crowd.batches = 0;
    crowd.since_us = now_us;
}

uint32_t crowd_members(void) {
    uint32_t members = get(&crowd.members), met = get(&crowd.met);
    return met > members ? met : members;
}

enum crowd_level crowd_level(void) {
    uint32_t came = get(&crowd.came) - get(&crowd.taken); /* both go round */
    uint32_t members = crowd_members();
    if ((uint64_t)came * 8 >= (uint64_t)members * 7) return CROWD_ALL;
    return (uint64_t)came * 2 >= members || came >= CROWD_MANY ? CROWD_HALF : CROWD_FEW;
}
