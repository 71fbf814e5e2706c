/* nested.h - a command that runs within another one: those of EXEC's queue.
 *
 * It is a command like any other: it passes the same gates (server/call/gate.h), is counted, timed and shown to monitors.
 * But the locks are its outer command's, which must hold all that it needs, and so is the time, which stands still until
 * the outer command has ended. It writes one reply, or an error. */
#ifndef KEVY_SERVER_EXEC_NESTED_H
#define KEVY_SERVER_EXEC_NESTED_H

#include "server/exec/saved.h"

enum nested {
    NESTED_DONE,
    NESTED_REFUSED, /* by a gate; the error is its reply */
};

/* What was saved as a call under the outer one's locks and at its time, in the session `as`, replying to `reply`. */
struct call nested_call(const struct call *outer, const struct saved *saved, struct client *as,
                        struct reply *reply);

/* Runs it within `outer`, in the session `as`, which may be another one than the outer command's (and not even a
 * connection's: a copy of what a client was when its request was saved), replying to `reply`. */
enum nested nested_run(struct call *outer, const struct saved *saved, struct client *as, struct reply *reply);

#endif
