/* shown.h - by which ticket of the journal all that a command has shown was changed.
 *
 * Where replies wait for the disk, a command's reply waits for the last change of each key that its row names, and what it
 * has changed itself gets its ticket as the last one. A row that looks at stripes which its arguments do not name waits for
 * the last change of all that it holds. One that holds no stripe shows no data, nor do those of the server's own
 * affairs: INFO, CONFIG and SAVE answer also while the disk hangs. */
#ifndef KEVY_SERVER_CALL_SHOWN_H
#define KEVY_SERVER_CALL_SHOWN_H

#include "server/call/call.h"

/* The handler has run, and holds its stripes still. Only where replies wait (journal_holds). */
void shown_note(struct call *call);
/* The reply depends on stripes that it holds, whatever its keys are. Does nothing where no reply waits. */
void shown_note_held(struct call *call);

#endif
