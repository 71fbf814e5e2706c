/* pubsub.h - what commands do for a client that subscribes: messages that wait for it are written where they belong. */
#ifndef KEVY_SERVER_COMMANDS_PUBSUB_H
#define KEVY_SERVER_COMMANDS_PUBSUB_H

#include "server/call/call.h"

/* Writes what waits for the caller's client, and what EXEC held back, even where its replies are muted. */
void subscriber_catch_up(struct call *call);

/* Is the client in the mode in which it may do little but subscribe, which RESP3 knows not? */
static inline bool subscriber_is_confined(const struct client *client) {
    return client->flags & CLIENT_SUBSCRIBED && client->resp == 2;
}

#endif
