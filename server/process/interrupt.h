/* interrupt.h - SIGINT and SIGTERM while the main thread starts or ends the server and cannot look for them.
 *
 * All threads block both signals; server_run waits for them while the server runs. Before and after that the main thread
 * may be held up: by a name that is slow to resolve, a socket that is still held, a command that does not end. */
#ifndef KEVY_SERVER_PROCESS_INTERRUPT_H
#define KEVY_SERVER_PROCESS_INTERRUPT_H

#include <signal.h>

/* While starting, either signal ends the process at once, with status 0: nothing has been served. While ending, SIGINT
 * does, with status 1 and in redis-server's words, and SIGTERM is told and changes nothing. In both cases the Unix socket
 * and the pidfile are removed first. */
enum interrupt_phase { INTERRUPT_START, INTERRUPT_END };

/* Either signal ends the process at once, with status 0, until interrupt_hold: also the first process of a container,
 * to which the kernel brings none that it has not asked for. For what a start does before it knows its options, which
 * may come from somebody who does not send them. */
void interrupt_obey(void);
/* What comes before interrupt_watch waits for it. So the first process of a container loses no signal while it starts. */
void interrupt_hold(void);
/* Waits for them on a thread of its own, from now until interrupt_unwatch. Without a thread they wait. */
void interrupt_watch(enum interrupt_phase phase);
/* What comes from now on is left to the caller. */
void interrupt_unwatch(void);

/* Tells of a signal that came while the server ran or was ending, in redis-server's words. */
void interrupt_tell(int signal);

#endif
