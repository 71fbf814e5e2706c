/* recover.h - what was saved, loaded at the start. */
#ifndef KEVY_SERVER_PROCESS_RECOVER_H
#define KEVY_SERVER_PROCESS_RECOVER_H

#include <stdbool.h>

/* Loads the file that `dir` and `dbfilename` name, if it is there, into the stripes, which are open and which no thread uses
 * yet. False after logging why not: then nothing was changed on the disk. */
bool recover(void);

/* `kevy --check-data DIR`: looks at the file dump.rdb there, and changes nothing. Prints what it holds, or what is wrong
 * with it; returns the exit status. */
int recover_check(const char *directory);

#endif
