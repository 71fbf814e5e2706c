/* watchdog.h - do the shards still turn? */
#ifndef KEVY_SERVER_PROCESS_WATCHDOG_H
#define KEVY_SERVER_PROCESS_WATCHDOG_H

#include <stdbool.h>

/* True if every shard has turned since the last call (the first call says true). Then wakes each of them, so that those
 * that sleep turn once until the next call: let an interval pass between two calls. */
bool watchdog_shards_turn(void);

#endif
