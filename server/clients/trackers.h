/* trackers.h - the register of clients that keep copies of what they read (CLIENT TRACKING), of those to whom their
 * invalidations are redirected, and of the prefixes that they want to know of.
 *
 * One lock guards it, and what is on its way to them (invalidation.h): whoever changes a key takes it to find out who
 * is to be told and where that client lives. A client that others redirect to stays in the register after it has gone,
 * as long as they do: so it is known that it is not there. */
#ifndef KEVY_SERVER_CLIENTS_TRACKERS_H
#define KEVY_SERVER_CLIENTS_TRACKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "server/clients/client.h"

struct tracker;
struct prefix;

/* A client wants to know of keys with this prefix. */
struct membership {
    struct tracker *tracker;
    struct prefix *prefix;
    struct membership *next, *prev;     /* of the prefix */
    struct membership *next_of_tracker; /* in the order of their bytes */
};

struct prefix {
    struct prefix *next, *prev;
    struct membership *members; /* at least one */
    struct bytes name;
    char text[];
};

struct tracker {
    struct tracker *next;        /* in its bucket */
    const struct client *client; /* NULL: it has gone */
    uint64_t id;
    uint32_t slot; /* with shard and id its address for posts */
    uint8_t shard;
    bool tracks;
    uint32_t flags;         /* of the client's: BCAST, NOLOOP */
    struct tracker *target; /* to whom its invalidations go; NULL: to itself */
    uint32_t redirected;    /* trackers whose target this is */
    struct membership *prefixes;
    struct tracker *next_chosen; /* of those that a message is for: invalidation.c */
    /* What it is to be told where there was no memory for a message, and that its target has gone. */
    struct tracker *next_owed;
    bool owed, owed_all, owed_redirected;
    uint32_t owed_broken;
};

/* How a client tracks: flags are CLIENT_BCAST, OPTIN, OPTOUT and NOLOOP. */
struct tracking_mode {
    uint32_t flags;
    struct client *
        target; /* NULL: itself. It cannot go meanwhile: the caller holds the lock of the register of clients */
    const struct bytes *prefixes; /* for BCAST, added to those that it has */
    uint32_t prefix_count;
};

/* ---- By the client's own thread ------------------------------------------------------------------- */

/* It tracks from now on, or in another way than before. False without memory: nothing has changed then. */
bool trackers_begin(struct client *client, const struct tracking_mode *mode)
    __attribute__((warn_unused_result));
/* It tracks no more. */
void trackers_end(struct client *client);
/* Does the register know the client: does it track, is it told what others track, or owed a word? */
bool trackers_know(uint64_t id);
/* Its connection has ended. The lock of the register of clients is held. */
void trackers_leave(struct client *client);

/* ---- By anybody ----------------------------------------------------------------------------------- */

/* How many there are: no lock. */
uint32_t trackers_count(void);
uint32_t trackers_prefix_count(void);

/* All that follows needs the lock. */
void trackers_lock(void);
void trackers_unlock(void);

/* The tracker whose client's id has this low half; NULL: it tracks no more. */
struct tracker *trackers_find(uint32_t number);
/* Calls `each` for everybody who tracks. */
void trackers_each(void (*each)(void *context, struct tracker *tracker), void *context);
/* What is known of this client; NULL: nothing. */
struct tracker *trackers_of(uint64_t id);
/* All prefixes, in no order. */
struct prefix *trackers_prefixes(void);
/* Frees it if nobody needs it any more: it neither tracks, nor is redirected to, nor owed anything. */
void trackers_settle(struct tracker *tracker);

#endif
