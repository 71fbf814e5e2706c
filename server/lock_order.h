/* lock_order.h - the order in which a thread may take locks, and a record that checks it.
 *
 * A thread takes a lock only if its rank is above those of all locks that it holds. So no two threads ever
 * wait for each other in a ring. Where a lock of a lower rank is wanted, all above it are given back first.
 * Stripes (server/stripes) have the lowest ranks, in the order of their numbers; a command holds those of its
 * keys while it runs, and takes any of the others for a moment. The locks of heaps (store/memory/heap.h) come after all of
 * these and have no rank: whoever holds one takes no other.
 *
 * Builds with KEVY_DEBUG_ASSERTS keep a record per thread and assert the order at each lock. */
#ifndef KEVY_SERVER_LOCK_ORDER_H
#define KEVY_SERVER_LOCK_ORDER_H

#include <pthread.h>
#include <stdbool.h>

#include "server/limits.h"

/* What main and the shards tell each other at the start (server/process/server.c) has no rank: no lock is held by then. */
enum lock_rank {
    LOCK_STRIPES = 0,               /* stripe i has the rank LOCK_STRIPES + i */
    LOCK_CONFIG_FILE = MAX_STRIPES, /* CONFIG REWRITE */
    LOCK_CONFIG,                    /* options that are strings; CONFIG SET */
    LOCK_JOURNAL,                   /* the files of the append-only log; its holder may wait for the disk */
    LOCK_PAUSE,
    LOCK_CLIENTS, /* the registry of clients */
    LOCK_MONITORS,
    LOCK_TRACKERS, /* who tracks what he has read, and what is on its way to him */
    LOCK_CHANNELS, /* who subscribes to what, and messages on their way */
    LOCK_SLOWLOG,
    LOCK_ERRORSTATS,
    LOCK_LATENCY,
    LOCK_RATES,
    LOCK_METRICS,
    LOCK_HISTOGRAMS,
    LOCK_REAPER,
    LOCK_SNAPSHOT, /* what waits for the writer of a snapshot */
    LOCK_LOG,      /* last: everything may write a line */
    LOCK_RANKS
};

/* Notes that the calling thread is about to take, or has given back, the lock of this rank. Asserts the order. */
void lock_order_take(unsigned rank);
void lock_order_give(unsigned rank);
/* Does the calling thread hold it? For assertions, in builds that keep the record. */
bool lock_order_holds(unsigned rank);

#ifdef KEVY_DEBUG_ASSERTS
#define LOCK_TAKES(rank) lock_order_take(rank)
#define LOCK_GIVES(rank) lock_order_give(rank)
#else
#define LOCK_TAKES(rank) ((void)0)
#define LOCK_GIVES(rank) ((void)0)
#endif

/* A mutex that knows its rank. */
struct mutex {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};
#define MUTEX(rank_)                                                                                         \
    { .mutex = PTHREAD_MUTEX_INITIALIZER, .rank = (rank_) }

static inline void mutex_lock(struct mutex *mutex) {
    LOCK_TAKES(mutex->rank);
    pthread_mutex_lock(&mutex->mutex);
}
/* False where another thread holds it. */
static inline bool mutex_try_lock(struct mutex *mutex) {
    if (pthread_mutex_trylock(&mutex->mutex)) return false;
    LOCK_TAKES(mutex->rank);
    return true;
}
static inline void mutex_unlock(struct mutex *mutex) {
    pthread_mutex_unlock(&mutex->mutex);
    LOCK_GIVES(mutex->rank);
}

#endif
