/* load_pool.h - threads that load keys of one file beside the one that reads it.
 *
 *     pool = load_pool_open(keys)                   NULL: no threads, or none would help
 *     load_pool_put(pool, keys, bytes)              whole keys, in any number
 *     load_pool_close(pool, keys)                   waits for all; what became of them is in `keys` too
 *
 * Bytes are copied. Whoever puts them loads some himself where all others are busy. */
#ifndef KEVY_SERVER_JOURNAL_LOAD_POOL_H
#define KEVY_SERVER_JOURNAL_LOAD_POOL_H

#include "server/journal/load_keys.h"

struct load_pool;

/* As many threads as there are shards, with the caller, if there are so many CPUs. What they share is taken from `keys`. */
struct load_pool *load_pool_open(const struct load_keys *keys);
/* `bytes` end where keys->reader is; at most LOAD_POOL_BYTES. False: a key could not be loaded, and load_pool_close
 * tells which one it was. */
bool load_pool_put(struct load_pool *pool, const struct load_keys *keys, struct bytes bytes);
/* Adds what they have loaded to `keys`; of several faults the one nearest to the file's beginning is kept. */
void load_pool_close(struct load_pool *pool, struct load_keys *keys);

/* Keys that were loaded until now. */
uint64_t load_pool_keys(struct load_pool *pool);

enum { LOAD_POOL_BYTES = 1 << 18, LOAD_POOL_THREADS = 63 };

#endif
