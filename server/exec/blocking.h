/* blocking.h - clients that wait for keys: BLPOP and its kin (call_wait, server/call/call.h).
 *
 *     blocking_begin     a handler has found nothing: its request is kept, and stands in the lists of all its keys
 *     blocking_serve     the end of a command that has created such a key, its locks still held: pops for those who wait,
 *                        in order of arrival, writes their replies, and posts to their shards
 *     blocking_expired   the client's own shard: whose time is over
 *     blocking_passed    the same: what it waits for is on the disk (WAITAOF)
 *     blocking_answer    the client's own shard: the wait is over, by whatever; the client gets its reply
 *
 * Whoever ends a wait claims it first (server/clients/wait.h). A wait belongs to its client's shard, and is freed there
 * alone: where another thread has claimed it, not before that one's post has come. tests/models/block.pml is a model of
 * it, and changes with it. */
#ifndef KEVY_SERVER_EXEC_BLOCKING_H
#define KEVY_SERVER_EXEC_BLOCKING_H

#include "server/clients/wait.h"
#include "server/exec/executor.h"
#include "server/journal/appender.h"

/* ---- For dispatch --------------------------------------------------------------------------------- */

/* The call has asked to wait, and holds the stripes of all its keys. Its client has CLIENT_BLOCKED from now on; without
 * memory an error is its reply. */
void blocking_begin(struct call *call);
/* Serves those who wait for keys that were created. The call's command has run; it holds the stripes of all keys that it may
 * have created, and their reach (server/stripes/waiters.h). */
void blocking_serve(struct call *call);
static inline bool blocking_is_due(const struct call *call) {
    return call->effects->ready.first != NULL;
}

/* ---- For the client's own shard ------------------------------------------------------------------- */

/* When the next wait is over, by the monotonic clock; UINT64_MAX: none ends by itself. */
static inline uint64_t blocking_due_us(const struct executor *executor) {
    const struct deadline *first = deadlines_first(&executor->deadlines);
    return first ? first->at_us : UINT64_MAX;
}
/* Ends a wait whose time is over by the executor's clock. Its client, to be answered; NULL: there is none. */
struct client *blocking_expired(struct executor *executor);
/* The same of one that waits for the disk, where the log has come so far: asks only when there is news of it. */
struct client *blocking_passed(struct executor *executor);
/* May it have, since that was asked? */
static inline bool blocking_has_news(const struct executor *executor) {
    return executor->disk_waits.first && executor->disk_waits.seen != appender_news();
}
/* Its wait has been ended: what the reply shows was changed by this ticket of the journal, or before. */
uint64_t blocking_shows(const struct client *client);
/* Its wait has been ended, and if that was posted, the post has come. Writes the reply, or none where the client wants none,
 * and frees what belonged to the wait. */
void blocking_answer(struct executor *executor, struct client *client, struct reply *reply);
/* The client goes, and is not to be served any more; nothing if it does not wait. False: somebody has ended its wait
 * already, and his post is yet to come; then blocking_drop. */
bool blocking_leave(struct executor *executor, struct client *client);
/* That post has come. */
void blocking_drop(struct executor *executor, struct client *client);

/* ---- For CLIENT UNBLOCK --------------------------------------------------------------------------- */

/* Ends the wait of this client, of whatever shard, as if its time were over, or with an error. False if it does not wait.
 * The registry's lock is held. */
bool blocking_unblock(struct wakes *wakes, struct client *client, bool error);

#endif
