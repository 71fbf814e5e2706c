/* durable.h - who changes something waits while the append-only log has no room, and is refused while it cannot be written:
 * two gates (server/call/gate.h). */
#ifndef KEVY_SERVER_EXEC_DURABLE_H
#define KEVY_SERVER_EXEC_DURABLE_H

#include "server/exec/executor.h"

/* Before a batch runs, where changes are recorded: memory for records, and a look at whether there is room for them. */
void durable_prepare(struct executor *executor);
/* Before anybody hears of what a turn has changed: how old it is by the time that it is written. */
void durable_note(struct executor *executor);
/* At the end of a turn: whoever writes records down hears of those that are new, or, where crowd_tell says that some came,
 * of how many wait for it. */
void durable_tell(struct executor *executor, bool came);

#endif
