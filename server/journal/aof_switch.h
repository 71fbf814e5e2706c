/* aof_switch.h - whether there is an append-only log: as the option appendonly says at the start, and as CONFIG SET has it
 * from then on.
 *
 * At the start it begins behind what was loaded, in a file of its own. Where the disk has no room for that file, the server
 * starts all the same, as with redis-server, which opens its last file again whether anything can be written to it or not:
 * changes are refused, and the thread tries again each second.
 *
 * Switched on while the server runs, it begins with a base of what is there. Where another snapshot is under way that is
 * written at once, with nobody served meanwhile, else in the background; until it is listed no start would load what is
 * written (AOF_LOG_WAITS). Switched off, the log ends with a cut into no file: what is behind it is recorded nowhere. */
#ifndef KEVY_SERVER_JOURNAL_AOF_SWITCH_H
#define KEVY_SERVER_JOURNAL_AOF_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

#include "server/journal/queue.h"

/* When all data are loaded, before anybody changes them, and before there is the thread: with appendonly, makes the files
 * and listens. `from_files`: what is in memory is what the files say; else they get a base of it. Needs no lock held. False
 * after logging why not. */
bool aof_switch_begin(bool from_files);

/* By an executor that holds all stripes, whose `queue` is: follows the options appendonly and appendfsync, at the Unix time
 * unix_ms. False where the log cannot be switched on: why stands in the log. Before aof_switch_begin it does nothing. */
bool aof_switch_follow(struct record_queue *queue, int64_t unix_ms);

/* By the thread: begins the file that waits for room, where there is some, or gives it up, where the log was switched off
 * meanwhile. Times are in milliseconds of the monotonic clock. */
void aof_switch_again(int64_t now_ms);

/* No executor runs any more, and the log was switched on and has no base yet: writes one of all data, and lists it. Nobody
 * needs the file then that was to follow the base that is missing. False after logging why not. */
bool aof_switch_list_first(void);

#endif
