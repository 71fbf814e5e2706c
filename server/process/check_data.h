/* check_data.h - `kevy --check-data`: what is saved, looked at without starting a server. */
#ifndef KEVY_SERVER_PROCESS_CHECK_DATA_H
#define KEVY_SERVER_PROCESS_CHECK_DATA_H

#include <stdbool.h>

/* Looks at what lies at this path: an RDB file, an append-only file or a manifest; or in a directory dump.rdb,
 * append-only files, and those of its directories that have a manifest. Prints for each what it holds, or its first
 * fault: file, offset, key. With `repairs` what is torn at the end of an append-only file is cut off, and kept beside
 * it; else nothing is changed. Returns the exit status: 0 where there is no fault, or none any more. */
int check_data(const char *path, bool repairs);

#endif
