/* cpus.h - which CPUs the shards and the kernel's poll threads get. */
#ifndef KEVY_SERVER_PROCESS_CPUS_H
#define KEVY_SERVER_PROCESS_CPUS_H

#include "server/loop/shard.h"

/* Looks which CPUs the process may use, and what quota of their time its control groups leave to it. Returns how many shards
 * that feeds: the lesser of the two, rounded up. Once, before all else here. */
unsigned cpus_usable(void);
/* Finds the places for so many shards, by what the options say; once, before threads. Tells of a quota. */
void cpus_find(unsigned count);
/* Shards are pinned when each can have a CPU of its own and no quota takes part of the CPUs' time away, or when the user
 * said where. Rings share poll threads. Any thread. */
struct shard_place cpus_place(unsigned index);

/* CPUs that are left for poll threads, of those that a quota pays for in full: one more than the shards' stays free, for
 * clients and whatever else runs. */
unsigned cpus_spare(void);

#endif
