/* lock_order.c - a bit for each rank that the thread holds. */
#include "server/lock_order.h"

#include <assert.h>
#include <stdint.h>

enum { WORDS = (LOCK_RANKS + 63) / 64 };

static _Thread_local uint64_t held[WORDS];

/* Is any lock of this rank or one above it held? */
static bool holds_from(unsigned rank) {
    if (held[rank / 64] >> (rank % 64)) return true;
    for (unsigned word = rank / 64 + 1; word < WORDS; word++)
        if (held[word]) return true;
    return false;
}

void lock_order_take(unsigned rank) {
    assert(rank < LOCK_RANKS);
    assert(!holds_from(rank));
    held[rank / 64] |= 1ull << (rank % 64);
}

void lock_order_give(unsigned rank) {
    assert(lock_order_holds(rank));
    held[rank / 64] &= ~(1ull << (rank % 64));
}

bool lock_order_holds(unsigned rank) {
    assert(rank < LOCK_RANKS);
    return held[rank / 64] >> (rank % 64) & 1;
}
