/* aof_cut.h - the torn end of a file is cut off, and kept beside it. */
#ifndef KEVY_SERVER_JOURNAL_AOF_CUT_H
#define KEVY_SERVER_JOURNAL_AOF_CUT_H

#include "server/journal/disk.h"

/* What stands in the file from the offset `end` on is written to PATH.torn-END, synced with its directory, and only
 * then cut off; the file is synced too. Where there is no room for a copy it is cut off without, and the log says so. 0, or
 * a negative errno, and *failed says what could not be done: the file is as it was, or, where it is the last sync that
 * failed, nobody knows. `directory` is that of the path. */
int aof_cut(struct disk *disk, const char *directory, const char *path, uint64_t end, const char **failed);

#endif
