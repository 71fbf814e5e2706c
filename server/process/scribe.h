/* scribe.h - the thread that writes the append-only log, and who is told of how that goes. */
#ifndef KEVY_SERVER_PROCESS_SCRIBE_H
#define KEVY_SERVER_PROCESS_SCRIBE_H

#include <stdbool.h>

/* Before executors are opened: queues for all shards. False without memory, after logging it. */
bool scribe_open(void);
/* When all data are loaded and nobody changes them yet: begins the log, if there is to be one, and the thread in any case,
 * for the log can be switched on at any time. `from_files`: append-only files were loaded. Where it
 * cannot: false, after logging the reason. */
bool scribe_start(bool from_files);
/* The shards have stopped: what they have changed is written and synced, and the thread ended. False where some of it
 * could not be, after logging that. */
bool scribe_stop(void);
void scribe_close(void);

#endif
