/* execute.h - the part of a turn in which requests run. */
#ifndef KEVY_SERVER_LOOP_EXECUTE_H
#define KEVY_SERVER_LOOP_EXECUTE_H

#include <stdbool.h>

struct shard;

/* Runs all that was received in this turn, in the order in which it came, and then one turn of each connection that
 * has a backlog of requests. */
void execute(struct shard *shard);

/* Where a connection has a backlog, so that this turn may take as long as a turn may: runs what was received and is no
 * longer than 256 bytes, if its connection has nothing else to be run. The rest is left to execute(). True: it ran some. */
bool execute_short(struct shard *shard) __attribute__((warn_unused_result));

#endif
