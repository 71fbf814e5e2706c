/* server.h - what all shards share: starting them, stopping them, and when that was. */
#ifndef KEVY_SERVER_PROCESS_SERVER_H
#define KEVY_SERVER_PROCESS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

extern int64_t server_started_ms; /* Unix time; fixed after the start */

/* Asks for an orderly end of the process; from any thread, returns at once. `saved`: the data were saved for it, and what
 * others change until then is to be saved, too. */
void server_stop(int exit_code, bool saved);

/* For main: opens listeners and stripes and starts the shards. False after logging why not; nothing is left running. */
bool server_start(void);
/* For main: was it asked to end? Then not all data may have been loaded, and it is not ready. */
bool server_stopping(void);
/* For main: waits for signals and for server_stop, looks after the watchdog, ends the shards. Returns the exit code. */
int server_run(void);

#endif
