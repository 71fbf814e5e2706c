/* keys.h - what the files about keys have in common (keys.c, expire.c, scan.c, object.c, database.c). */
#ifndef KEVY_SERVER_COMMANDS_KEYS_H
#define KEVY_SERVER_COMMANDS_KEYS_H

#include "server/call/call.h"

/* Looks up a key that is asked about rather than used: hits and misses count, the access time stays. */
struct entry *keys_question(struct call *call, uint32_t arg);
/* The same for who looks at how a key is kept: that it is not there is no keyspace event. */
struct entry *keys_inspect(struct call *call, uint32_t arg);

/* Keys in a database, those that have expired and are still there included. Needs CMD_ALL_STRIPES. */
uint64_t keys_count(unsigned db);

/* A cursor as strtoul reads it, for that is what Redis asks: a sign is fine, nothing at all is 0, negative numbers wrap. */
bool keys_cursor(struct bytes text, uint64_t *cursor);

/* What Redis says of that option of HSCAN to the other scans, since it has it. */
#define KEYS_NOVALUES_ERROR "ERR NOVALUES option can only be used in HSCAN"

/* 64 random bits. */
uint64_t keys_random(const struct call *call);

#endif
