/* keys.h - what the files about keys have in common (keys.c, expire.c, scan.c, object.c, database.c). */
#ifndef KEVY_SERVER_COMMANDS_KEYS_H
#define KEVY_SERVER_COMMANDS_KEYS_H

#include "server/call.h"

/* Looks up a key that is asked about rather than used: hits and misses count, the access time stays. */
struct entry *keys_question(struct call *call, uint32_t arg);

/* "string", "list", ... */
const char *keys_type_name(enum entry_type type);

#endif
