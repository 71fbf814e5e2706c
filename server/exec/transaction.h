/* transaction.h - MULTI's queue and WATCH's keys, per client.
 *
 *               MULTI                     EXEC, DISCARD
 *     (idle) ----------> (CLIENT_MULTI) ----------------> (idle)
 *      WATCH: adds keys    transaction_queue, _fail         keys unwatched
 *
 * client->transaction is NULL while the client neither queues nor watches. Only the client's own thread calls these. */
#ifndef KEVY_SERVER_EXEC_TRANSACTION_H
#define KEVY_SERVER_EXEC_TRANSACTION_H

#include "server/call/call.h"
#include "server/clients/client.h"

struct saved;   /* server/exec/saved.h */
struct request; /* server/exec/executor.h */

/* ---- For dispatch and connections ----------------------------------------------------------------- */

/* Keeps the request of this call, which is of its executor's batch, for EXEC. False without memory or past
 * MAX_TRANSACTION_BYTES; the transaction is then marked failed. */
bool transaction_queue(const struct call *call, const struct request *request)
    __attribute__((warn_unused_result));
/* A command was refused while queueing: EXEC will answer EXECABORT. Without a transaction nothing happens. */
void transaction_fail(struct client *client);
/* Adds the stripes of all queued and all watched keys (every stripe where a queued row has CMD_ALL_STRIPES):
 * dispatch locks them around rows with CMD_LOCKS_QUEUE, so that EXEC is one atomic step. */
void transaction_stripes(const struct client *client, struct stripe_set *set);
/* The connection goes, or RESET: forgets queue and watches, taking the locks it needs by itself, so none
 * may be held. */
void transaction_close(struct client *client);

/* ---- For the commands ----------------------------------------------------------------------------- */

/* MULTI: what follows is queued. False without memory. */
bool transaction_begin(struct client *client) __attribute__((warn_unused_result));
bool transaction_failed(const struct client *client);
/* The flags of all queued rows together (CMD_*): what EXEC would do. */
uint32_t transaction_flags(const struct client *client);
/* Requests in the queue. */
size_t transaction_count(const struct client *client);
/* Takes one of them out, once: the caller frees it. The count stays. */
struct saved *transaction_take(struct client *client, size_t index);
/* Leaves CLIENT_MULTI and drops the queue. Watched keys stay. */
void transaction_end(struct client *client);

/* WATCH: notes the key's version, once per key. The key's stripe is locked. `exists`: it is there, and not
 * expired (expired keys are deleted beforehand, so that their deletion is no change). False without memory. */
bool transaction_watch(struct client *client, unsigned db, struct key key, bool exists)
    __attribute__((warn_unused_result));
/* Has a watched key changed, or expired, since it was watched? The locks of transaction_stripes are held, as below. */
bool transaction_dirty(const struct client *client, int64_t now_ms);
void transaction_unwatch(struct client *client);

#endif
