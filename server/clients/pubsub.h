/* pubsub.h - who subscribes to what, and messages on their way to subscribers.
 *
 *     pubsub_publish -> inbox of each shard that has subscribers -> its post -> pubsub_deliver -> each client's output
 *
 * A message is put together once, for all subscribers of all shards; a large one is sent from where it lies. Inboxes are
 * filled under the lock of the register (channels.h), so all shards hear in one order. A shard has one post, which is part
 * of its inbox, however many messages wait there.
 *
 * A client hears what was published while it subscribed, and in that order: before its subscriptions change it is written
 * what waits for it, ahead of the confirmation. So no message comes behind that of UNSUBSCRIBE. Within EXEC nothing may be
 * written between the replies: what is due there comes behind them. */
#ifndef KEVY_SERVER_CLIENTS_PUBSUB_H
#define KEVY_SERVER_CLIENTS_PUBSUB_H

#include "protocol/reply.h"
#include "server/clients/channels.h"
#include "server/clients/client.h"
#include "server/clients/post.h"

struct message;

/* ---- By the client's own thread ------------------------------------------------------------------- */

/* Subscribes, if it does not yet, and writes the confirmation. False without memory: nothing is confirmed. */
bool pubsub_subscribe(struct client *client, enum channel_kind kind, const struct channel_name *name,
                      struct reply *reply) __attribute__((warn_unused_result));
/* Ends a subscription, if there is one, and confirms that there is none. */
void pubsub_unsubscribe(struct client *client, enum channel_kind kind, const struct channel_name *name,
                        struct reply *reply);
/* Ends all subscriptions of a kind, and confirms each; one confirmation if there were none. */
void pubsub_unsubscribe_all(struct client *client, enum channel_kind kind, struct reply *reply);
/* Writes what waits for the client, and what was held back within EXEC. Nothing for one that has no subscription. */
void pubsub_catch_up(struct client *client, struct reply *reply);
/* Ends all subscriptions and confirms nothing; what waits is dropped. */
void pubsub_leave(struct client *client);

/* ---- By anybody ----------------------------------------------------------------------------------- */

/* Sends a message to all who subscribe to the channel, or to a pattern that it matches, and counts them: who does so twice
 * counts twice. -1 without memory: nobody gets it. */
int64_t pubsub_publish(struct wakes *wakes, enum channel_kind kind, const struct channel_name *name,
                       struct bytes payload);

/* Subscribers of a channel. */
uint32_t pubsub_subscribers(enum channel_kind kind, const struct channel_name *name);

/* The client is `killed` (client.h): from now on nobody counts it as a subscriber, though its own thread has yet to end it.
 * With the registry's lock, which keeps it there. */
void pubsub_kill(struct client *client);

/* More than MESSAGES_HIGH bytes wait in some shard's inbox: publishers had better wait. */
bool pubsub_is_full(void);

/* ---- For the loop --------------------------------------------------------------------------------- */

/* The shard's post has come. Hands each message that waits, and each client that is to get it, to `write`; after about
 * MESSAGES_PER_TURN of these the rest waits for the next post, which is under way then. */
void pubsub_deliver(struct wakes *wakes, unsigned shard,
                    void (*write)(struct client *client, const struct message *message,
                                  const struct channel *channel));
/* Writes a message, as that channel or pattern gets it. */
void pubsub_write(const struct message *message, const struct channel *channel, struct reply *reply);
/* What it shows was changed by this ticket of the journal, or before. */
uint64_t pubsub_ticket(const struct message *message);
/* Drops what waits for a shard that has ended, post and all; its clients are gone. */
void pubsub_drop(unsigned shard);

#endif
