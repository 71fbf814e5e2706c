/* channels.h - the register of what clients subscribe to: channels, patterns of these, and shard channels.
 *
 * One lock guards it, and what is on its way to subscribers (pubsub.h) too: so everything that is published has one order,
 * whichever shards it comes from and goes to. That nobody subscribes to a channel can be seen without the lock.
 *
 * A channel is there as long as it has subscribers. Messages that are on their way to it keep its memory longer. */
#ifndef KEVY_SERVER_CLIENTS_CHANNELS_H
#define KEVY_SERVER_CLIENTS_CHANNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "protocol/glob.h"
#include "server/limits.h"

struct subscription; /* pubsub.h */

enum channel_kind { CHANNEL_PLAIN, CHANNEL_PATTERN, CHANNEL_SHARD, CHANNEL_KINDS };

/* The hash is the caller's, always by the same function. */
struct channel_name {
    struct bytes bytes;
    uint64_t hash;
};

/* The subscribers of one shard: seen and changed by its thread alone. */
struct listeners {
    struct subscription **all;
    uint32_t count, capacity;
};

struct channel {
    struct channel *next; /* in its bucket */
    uint64_t hash;
    uint32_t references;              /* atomic: the register's, and those of messages on their way */
    uint32_t subscribers;             /* of all shards */
    uint32_t place;                   /* a pattern's, in the list of all */
    uint8_t kind;                     /* enum channel_kind */
    struct glob glob;                 /* a pattern, compiled */
    uint64_t shards[MAX_SHARDS / 64]; /* those that have subscribers: a bit each */
    struct bytes name;                /* fixed, like what follows */
    struct bytes head;                /* of a pattern: what its messages begin with, behind the first byte */
    struct listeners of_shard[];      /* mailbox_count of them */
};

/* How many channels lie in each part of the register, and how many there are: atomic, for who has not the lock. */
enum { CHANNEL_PARTS = 1024 };
extern uint32_t channels_in_part[CHANNEL_KINDS][CHANNEL_PARTS], channels_of_kind[CHANNEL_KINDS];
static inline unsigned channel_part(uint64_t hash) {
    return (unsigned)(hash >> 32) % CHANNEL_PARTS;
}
/* False: a message to this channel would reach nobody. True may be wrong. */
static inline bool channels_may_hear(enum channel_kind kind, uint64_t hash) {
    return __atomic_load_n(&channels_in_part[kind][channel_part(hash)], __ATOMIC_SEQ_CST) ||
           (kind == CHANNEL_PLAIN && __atomic_load_n(&channels_of_kind[CHANNEL_PATTERN], __ATOMIC_SEQ_CST));
}

/* Does anybody subscribe to any channel or pattern, but for shard channels? */
static inline bool channels_any(void) {
    return __atomic_load_n(&channels_of_kind[CHANNEL_PLAIN], __ATOMIC_SEQ_CST) ||
           __atomic_load_n(&channels_of_kind[CHANNEL_PATTERN], __ATOMIC_SEQ_CST);
}

/* All that follows needs the lock, but for channel_release. Nothing slow may happen while it is held. */
void channels_lock(void);
void channels_unlock(void);

/* NULL: nobody subscribes to it. */
struct channel *channels_find(enum channel_kind kind, const struct channel_name *name);
/* A new one, without subscribers yet; it is not there. NULL without memory. */
struct channel *channels_add(enum channel_kind kind, const struct channel_name *name);
/* Takes out one that has no subscribers any more: the register's reference is the caller's then. */
void channels_remove(struct channel *channel);
/* Gives back a reference; the last one frees it. Any thread, with or without the lock. */
void channel_release(struct channel *channel);

/* Whom a message to this channel reaches: the channel, if it is there, and behind it, for a plain one, all patterns that
 * match. The list holds until the lock is given back. */
struct channel *const *channels_reached(enum channel_kind kind, const struct channel_name *name,
                                        uint32_t *count);
/* All of a kind whose names match; glob NULL: all. malloc'd, *count of them. NULL without memory. */
struct channel **channels_list(enum channel_kind kind, const struct glob *glob, size_t *count);

#endif
