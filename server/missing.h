/* missing.h - what Redis 7.0 has and kevy lacks: how it is told, for commands, subcommands and directives alike.
 *
 * A text ends the sentence "kevy ...". Commands stand in missing.def, directives in server/config/options.def. A feature
 * that arrives takes its text away, and the compiler names the rows that are left. */
#ifndef KEVY_SERVER_MISSING_H
#define KEVY_SERVER_MISSING_H

#include "protocol/bytes.h"

#define MISSING_MIGRATE       "moves no keys to other servers yet"
#define MISSING_SCRIPTS       "has no scripts yet"
#define MISSING_MODULES       "has no modules"
#define MISSING_ACL           "has no access control lists yet"
#define MISSING_REPLICATION   "does not replicate yet"
#define MISSING_CLUSTER       "is a cluster of one node at most"
#define MISSING_TLS           "does not speak TLS yet"
#define MISSING_MAXMEMORY     "does not limit its memory yet"
#define MISSING_EVICTION      "does not evict yet"
#define MISSING_MEMORY_DOCTOR "has no MEMORY DOCTOR yet"

/* Why this command, or this subcommand of a container that kevy has, is not there; in any case of letters. NULL for what
 * Redis 7.0 does not know either. */
const char *missing_command(struct bytes name);
const char *missing_subcommand(struct bytes container, struct bytes name);

#endif
