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

/* Replies that a scan has no such option: a syntax error, or whose option it is. */
void keys_no_such_option(struct call *call, struct bytes option);

/* 64 random bits. */
uint64_t keys_random(const struct call *call);

#endif
