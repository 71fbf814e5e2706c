/* reload.h - the data as the append-only files say them, in place of what is there: DEBUG LOADAOF. */
#ifndef KEVY_SERVER_EXEC_RELOAD_H
#define KEVY_SERVER_EXEC_RELOAD_H

#include "server/call/call.h"

/* The call holds all stripes. Waits until everything that was changed is in the files, looks at them as a whole, has `flush`
 * empty all databases, and loads them. Nobody is told of the keys that are loaded, and nothing of it is recorded; who waits
 * for one of them is served when the command has ended. Nothing is changed on the disk. False after logging why not: then
 * `flush` was not called, unless memory ran out later. */
bool reload_aof(struct call *call, void (*flush)(struct call *call));

#endif
