/* server.h - what all shards share: starting them, stopping them, and when that was. */
#ifndef KEVY_SERVER_PROCESS_SERVER_H
#define KEVY_SERVER_PROCESS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

extern int64_t server_started_ms; /* Unix time; fixed after the start */

/* DEBUG SET-ACTIVE-EXPIRE: 0 leaves expired keys to whoever looks at them. */
extern _Atomic int server_active_expire;

/* Asks for an orderly end of the process; from any thread, returns at once. */
void server_stop(int exit_code);

/* CPUs that are left for poll threads: one more than the shards' stays free, for clients and whatever else runs. */
unsigned server_spare_cpus(void);
/* SQPOLL: rings share poll threads. Which shard's ring makes the one that shard `index` uses, and its CPU
 * (-1: any). */
unsigned server_poll_leader(unsigned index);
int server_poll_cpu(unsigned leader);

/* For main: opens listeners and stripes and starts the shards. False after logging why not; nothing is left
 * running. */
bool server_start(void);
/* For main: waits for signals and for server_stop, looks after the watchdog, ends the shards. Returns the
 * exit code. */
int server_run(void);

#endif
