/* dispatch.h - from a parsed request to its reply: row, gates, stripe locks, handler, effects.
 *
 * The one path for pipelined, queued and (later) scripted and unblocked commands. It never names a command:
 * what it would need to know of one is a flag of its row. */
#ifndef KEVY_SERVER_EXEC_DISPATCH_H
#define KEVY_SERVER_EXEC_DISPATCH_H

#include "server/exec/executor.h"

/* Runs executor->batch[0, count), replying to `reply`. Returns how many are done with: fewer than count when
 * CLIENT PAUSE holds the next one back, or when the client is to be closed. */
unsigned dispatch_batch(struct executor *executor, struct client *client, struct reply *reply,
                        unsigned count);

/* The same for commands of a file (effects.replay_ms), where the thread holds all stripes already: no gate is asked, nothing
 * is locked, and all of them run. */
void dispatch_held(struct executor *executor, struct client *client, struct reply *reply, unsigned count,
                   const struct stripe_set *held);

/* Runs the handler of a call that has passed the gates and holds its locks, and counts, times and shows it. */
void dispatch_run(struct call *call);
/* Counts the error that the handler of this call has replied. */
void dispatch_note_errors(const struct call *call);

#endif
