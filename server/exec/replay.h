/* replay.h - the commands of an append-only file, run again: through dispatch, in batches, by an executor that has no
 * shard.
 *
 * Nobody is told of what they do, and nothing of it is recorded. Nothing expires meanwhile, whatever its expiry: what
 * had expired when the file was written is deleted by the file. Commands are asked for their arity and nothing else. */
#ifndef KEVY_SERVER_EXEC_REPLAY_H
#define KEVY_SERVER_EXEC_REPLAY_H

#include "server/journal/aof_load.h"
#include "server/stripes/stripes.h"
#include "server/stripes/waiters.h"

/* What runs the commands of files; one thread uses it. With `only_looks` they are looked up, and nothing else. now_ms:
 * Unix time. NULL without memory; takes some hundred KiB. The command table is open, and so are the stripes. */
struct aof_runner *replay_new(int64_t now_ms, bool only_looks);
void replay_free(struct aof_runner *runner);
/* The thread holds all stripes while the runner runs: it is to lock none of them. */
void replay_holds(struct aof_runner *runner, const struct stripe_set *all);
/* Keys that its commands have created, and that somebody waits for: whoever takes them serves them. */
struct ready replay_take_ready(struct aof_runner *runner);

#endif
