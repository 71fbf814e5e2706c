/* transaction.h - MULTI's queue and WATCH's keys, per client. */
#ifndef KEVY_SERVER_TRANSACTION_H
#define KEVY_SERVER_TRANSACTION_H

#include "server/call.h"
#include "server/client.h"

/* Queues a command (arguments are copied; key hashes are computed once, here). False without memory or past
 * MAX_TRANSACTION_BYTES; the transaction is then marked failed. */
bool transaction_queue(struct client *client, const struct command *command, const struct bytes *argv, uint32_t argc)
    __attribute__((warn_unused_result));
/* A command was refused while queueing: EXEC will answer EXECABORT. */
void transaction_fail(struct client *client);
/* The stripes of all queued and all watched keys (every stripe where a queued row has CMD_ALL_STRIPES): dispatch locks
 * them around rows with CMD_LOCKS_QUEUE, so that EXEC is one atomic step. */
void transaction_stripes(const struct client *client, struct stripe_set *set);
/* The connection goes: forgets queue and watches, taking the locks it needs by itself. */
void transaction_close(struct client *client);

#endif
