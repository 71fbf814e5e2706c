/* tracked.h - what a client reads that keeps copies of it (CLIENT TRACKING) is noted with the keys. */
#ifndef KEVY_SERVER_CALL_TRACKED_H
#define KEVY_SERVER_CALL_TRACKED_H

#include "server/call/call.h"
#include "server/stripes/tracking.h"

enum {
    TRACKED_EVICTED =
        100, /* keys beyond tracking-table-max-keys of which a read frees the table, at most, ... */
    TRACKED_EVICTED_AT_ONCE = 10000 /* ... and CONFIG SET */
};

/* Where it reads nothing but by CLIENT CACHING, or by prefixes, it is not noted. */
static inline bool tracked_always(const struct client *client) {
    return (client->flags & (CLIENT_TRACKING | CLIENT_BCAST | CLIENT_OPTIN | CLIENT_OPTOUT)) ==
           CLIENT_TRACKING;
}

/* The call has read this key of a stripe that it holds, and its client tracks what it reads. Without memory the client
 * is told that all that it has is invalid. */
void tracked_note(struct call *call, struct key key);
/* The same for all keys of a call that has run, if its client tracks and its row says that it reads. */
void tracked_note_all(struct call *call);
/* A command of its client has ended, outside of EXEC: CLIENT CACHING was for this one. */
void tracked_command_ended(const struct command *command, struct client *client);

/* The client tracks no more; nothing if it does not. */
void tracked_end(struct client *client);

/* Invalidates keys at random until there are no more of them than tracking-table-max-keys says, `most` at a time, of this
 * stripe, which is locked. Returns how many. */
unsigned tracked_evict(struct effects *x, struct stripe *stripe, unsigned most);

#endif
