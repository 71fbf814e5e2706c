/* aof_out.h - a key with its value as the commands that make it: what the base of an append-only file has where
 * aof-use-rdb-preamble says no. They are those of Redis 7.0, and of later ones HPEXPIREAT for fields that expire, and XNACK
 * for entries that were given back.
 *
 * That an entry which was deleted is still pending in a group no command can say: as in Redis this is left out, and so is
 * when a consumer was heard of last. */
#ifndef KEVY_SERVER_JOURNAL_AOF_OUT_H
#define KEVY_SERVER_JOURNAL_AOF_OUT_H

#include "store/keyspace.h"
#include "store/rdb/sink.h"

/* The elements of a large value come so many to a command, as in Redis. */
enum { AOF_OUT_ITEMS = 64 };

/* The line that says when what follows was written, for aof-timestamp-enabled. False where the sink took no more. */
bool aof_out_time(struct sink *sink, int64_t unix_s);
/* Both are false where the sink took no more. `work` is atomic: it grows with each command; or NULL. Nobody changes what
 * the entry refers to. */
bool aof_out_select(struct sink *sink, unsigned db);
bool aof_out_entry(struct sink *sink, uint64_t *work, const struct entry *e);

#endif
