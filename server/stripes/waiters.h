/* waiters.h - the keys of one stripe that clients wait for, and who waits for each, in order of arrival.
 *
 *     stripe->waiters: { db, key } -> link <-> link <-> link        one for each waiter
 *                                      |        |
 *                        waiter (links for all its keys; server/exec/blocking.c makes it, and ends it)
 *
 * A key that is created while somebody waits for it becomes ready: it joins a queue of the running command, and is served
 * at that command's end, before any lock is given back. Every function here wants the lock of the key's stripe held.
 *
 * Who waits to push to another key (BLMOVE) needs that key's stripe when he is served. So each stripe knows which others may
 * be needed by whoever serves its keys: its reach. */
#ifndef KEVY_SERVER_STRIPES_WAITERS_H
#define KEVY_SERVER_STRIPES_WAITERS_H

#include <stdint.h>

#include "server/clients/client.h"
#include "server/stripes/stripes.h"

struct waiting_key; /* one key of one database that somebody waits for */

/* A waiter's place among those who wait for one key. */
struct waiter_link {
    struct waiter_link *next, *prev; /* who came after, and before */
    struct waiting_key *key;         /* NULL: in no list */
    struct waiter *waiter;
    uint32_t arg; /* the key's argument number in the waiter's request */
};

struct waiter {
    struct client *client;
    uint8_t type;    /* enum entry_type: values of other types do not serve it */
    uint32_t target; /* the stripe that it pushes to when it is served, or STRIPE_NONE */
};

/* Puts the waiter behind all others who wait for this key, once: if it is the last of them already, link->key stays NULL.
 * False without memory. */
bool waiters_link(struct stripe *stripe, unsigned db, struct key key, struct waiter_link *link)
    __attribute__((warn_unused_result));
/* Takes it out of the list that it is in. With the last one the key's record goes, unless it is ready or being served. */
void waiters_unlink(struct waiter_link *link);

struct waiter_link *waiters_first(const struct waiting_key *waiting);
unsigned waiters_db(const struct waiting_key *waiting);
struct key waiters_key(const struct waiting_key *waiting); /* borrowed from the record */

/* A wait for keys of this type has begun, or is over. Any thread; no lock. */
void waiters_begun(uint8_t type);
void waiters_over(uint8_t type);
/* Does anybody wait for any key of this type? */
bool waiters_any(uint8_t type);

/* ---- Ready keys ----------------------------------------------------------------------------------- */

/* Keys that are to be served, in the order in which they became ready. */
struct ready {
    struct waiting_key *first, *last;
};

/* The key has been created. Nothing if nobody waits for it, or it is ready already. */
void waiters_ready(struct stripe *stripe, struct ready *ready, unsigned db, struct key key);
/* Any key of these two databases may have been created. */
void waiters_ready_all(struct stripe *stripe, struct ready *ready, unsigned a, unsigned b);
/* Takes out the first one, to be served; NULL: there is none. It may become ready again meanwhile. */
struct waiting_key *waiters_take(struct ready *ready);
/* Those of `more` become ready behind those that are. */
void waiters_join(struct ready *ready, const struct ready *more);
/* It has been served, and is not to be touched any more. */
void waiters_taken(struct waiting_key *waiting);

/* ---- Reach ---------------------------------------------------------------------------------------- */

/* Adds to `more` the stripes that may be needed by whoever serves keys of this set's stripes, which are all held. */
void waiters_reach(const struct stripe_set *set, struct stripe_set *more);

#endif
