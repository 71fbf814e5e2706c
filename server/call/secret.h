/* secret.h - which arguments are passwords, and therefore shown to nobody: not in MONITOR, not in the slow log. */
#ifndef KEVY_SERVER_CALL_SECRET_H
#define KEVY_SERVER_CALL_SECRET_H

#include "server/call/command.h"

/* What stands in the place of a secret, in Redis's words. */
#define SECRET_SHOWN BYTES("(redacted)")

/* Is argv[arg] a password, or the user name that goes with one? */
bool secret_argument(const struct command *command, const struct bytes *argv, uint32_t arg);

#endif
