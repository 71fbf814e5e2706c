/* dispatch.h - from a parsed request to its reply: row, gates, stripe locks, handler, effects.
 *
 * The one path for pipelined, queued and (later) scripted and unblocked commands. It never names a command: what it
 * would need to know of one is a flag of its row. */
#ifndef KEVY_SERVER_DISPATCH_H
#define KEVY_SERVER_DISPATCH_H

#include "server/call.h"

/* Runs one queued command within EXEC's call; the locks are held already. Appends exactly one reply to exec->reply. */
void dispatch_queued(struct call *exec, const struct command *command, const struct bytes *argv, uint32_t argc,
                     uint64_t *hash);

#endif
