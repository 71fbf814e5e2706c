/* cpus.h - which CPUs the shards and the kernel's poll threads get. */
#ifndef KEVY_SERVER_PROCESS_CPUS_H
#define KEVY_SERVER_PROCESS_CPUS_H

#include "server/loop/shard.h"

/* Looks which CPUs there are for so many shards, and what the options say; once, before threads. */
void cpus_find(unsigned count);
/* Shards are pinned when each can have a CPU of its own, or when the user said where. Rings share poll
 * threads. Any thread. */
struct shard_place cpus_place(unsigned index);

/* CPUs that are left for poll threads: one more than the shards' stays free, for clients and whatever else runs. */
unsigned cpus_spare(void);

#endif
