/* reaper.h - frees large blocks on a thread of its own: unmapping hundreds of megabytes takes milliseconds,
 * which no shard has. */
#ifndef KEVY_SERVER_PROCESS_REAPER_H
#define KEVY_SERVER_PROCESS_REAPER_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the thread and sets block_reaper. Without it (false) blocks are freed where they are released. */
bool reaper_start(void);
/* Blocks that wait to be freed. Any thread. */
uint64_t reaper_pending(void);
/* Frees what is left and ends the thread. No block may be released any more but by the caller's thread. */
void reaper_stop(void);

#endif
