/* keys.h - what the files about keys have in common (keys.c, expire.c, scan.c, object.c, database.c). */
#ifndef KEVY_SERVER_COMMANDS_KEYS_H
#define KEVY_SERVER_COMMANDS_KEYS_H

#include "server/call.h"

/* Looks up a key that is asked about rather than used: hits and misses count, the access time stays. */
struct entry *keys_question(struct call *call, uint32_t arg);

/* A database number. False after replying with Redis's error. */
bool keys_database_or_reply(struct call *call, uint32_t arg, unsigned *db)
    __attribute__((warn_unused_result));

/* "string", "list", ... */
const char *keys_type_name(enum entry_type type);

/* An array of lines, as HELP subcommands reply. */
void keys_reply_help(struct call *call, const char *const *lines, size_t count);

#endif
