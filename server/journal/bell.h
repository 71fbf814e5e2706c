/* bell.h - one thread sleeps until another has work for it.
 *
 * Who has work leaves it where the sleeper looks, and rings; who sleeps says so first, looks once more, and then sleeps.
 * Both are a store and then a load, seq_cst: so one of them sees the other. Where nobody sleeps a ring is no system call,
 * only a fence and a load.
 *
 * A sleeper that looks in any case when a bounded time is over may be choosy: a ring says how much there is, and wakes
 * who sleeps for no more than that. */
#ifndef KEVY_SERVER_JOURNAL_BELL_H
#define KEVY_SERVER_JOURNAL_BELL_H

#include <stdatomic.h>
#include <stdint.h>

struct bell {
    _Atomic uint32_t
        parked; /* futex: 0: awake; else the sleeper sleeps, or is about to, until a ring is as loud as this */
};

enum { BELL_LOUDEST = 3 };

/* Any thread, behind the store of what it has left: wakes the sleeper in any case. */
void bell_ring(struct bell *bell);
/* The same, if it sleeps for a ring of 1..loud. */
void bell_ring_aloud(struct bell *bell, uint32_t loud);
/* The sleeper: is about to sleep, until it is rung at all. It looks for work after this, and then sleeps or leaves. */
void bell_park(struct bell *bell);
/* The same until a ring is as loud as this; for a sleep whose time is limited. */
void bell_park_for(struct bell *bell, uint32_t loud);
/* Sleeps until it is rung, `timeout_us` microseconds at most; a negative one is no limit. May end for no reason. */
void bell_sleep(struct bell *bell, int64_t timeout_us);
/* There was something to do. */
void bell_leave(struct bell *bell);

#endif
