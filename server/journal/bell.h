/* bell.h - one thread sleeps until another has work for it.
 *
 * Who has work leaves it where the sleeper looks, and rings; who sleeps says so first, looks once more, and then sleeps.
 * Both are a store and then a load, seq_cst: so one of them sees the other. Where nobody sleeps a ring is no system call,
 * only a fence and a load. */
#ifndef KEVY_SERVER_JOURNAL_BELL_H
#define KEVY_SERVER_JOURNAL_BELL_H

#include <stdatomic.h>
#include <stdint.h>

struct bell {
    _Atomic uint32_t parked; /* futex: 1 while the sleeper sleeps, or is about to */
};

/* Any thread, behind the store of what it has left. */
void bell_ring(struct bell *bell);
/* The sleeper: is about to sleep. It looks for work after this, and then calls one of the next two. */
void bell_park(struct bell *bell);
/* Sleeps until it is rung, `timeout_ms` at most; a negative one is no limit. May end for no reason. */
void bell_sleep(struct bell *bell, int64_t timeout_ms);
/* There was something to do. */
void bell_leave(struct bell *bell);

#endif
