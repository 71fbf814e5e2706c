/* streams.h - the standard streams, which whoever starts a process may have closed. */
#ifndef KEVY_SERVER_PROCESS_STREAMS_H
#define KEVY_SERVER_PROCESS_STREAMS_H

#include <stdbool.h>

/* Opens those of the descriptors 0, 1 and 2 that are closed, on /dev/null, so that no socket gets such a number and the log
 * into its replies. Before anything else is opened. False where that cannot be had. */
bool streams_hold(void) __attribute__((warn_unused_result));

#endif
