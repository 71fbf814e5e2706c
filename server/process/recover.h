/* recover.h - what was saved, loaded at the start. */
#ifndef KEVY_SERVER_PROCESS_RECOVER_H
#define KEVY_SERVER_PROCESS_RECOVER_H

#include <stdbool.h>

/* Before the shards start: are there to be append-only files, or is there a file that `dir` and `dbfilename` name? Then
 * they refuse from their first turn on what needs data, as Redis does while it loads (server/journal/intake.h). False
 * after logging that another server keeps its data in this directory. */
bool recover_begin(void);
/* Loads what there is into the stripes, beside the shards: with appendonly its files, else that one, and begins the
 * log. True when all is there, nothing was to be loaded, or the server was told to end meanwhile; then it still refuses
 * what needs data. False after logging why it cannot be loaded: nothing was changed on the disk. */
bool recover(void);

#endif
