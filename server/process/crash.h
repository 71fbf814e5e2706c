/* crash.h - a line in the log where the process ends by a fault of its own: else nobody would know why it is gone. */
#ifndef KEVY_SERVER_PROCESS_CRASH_H
#define KEVY_SERVER_PROCESS_CRASH_H

#include <stdbool.h>

/* From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT (which a failed assertion raises) are told of in the log, if the
 * option crash-log-enabled says so, before they end the process as they would have ended it. Builds with a sanitizer leave
 * them to that: false. */
bool crash_watch(void);

#endif
