/* watch.h - the watched keys of one stripe: a version per key that somebody WATCHes.
 *
 * A watcher notes the version it saw; whatever changes the key bumps the version, and EXEC compares. Nobody
 * is told of anything, so watching costs no message between threads, and a stripe without watchers pays nothing
 * but the test of its ears, which is shared. Every function here wants the stripe's lock held. */
#ifndef KEVY_SERVER_STRIPES_WATCH_H
#define KEVY_SERVER_STRIPES_WATCH_H

#include <stdint.h>

#include "server/stripes/stripes.h"

struct watch; /* one watched key of one database, shared by all who watch it */

/* A reference to the key's record, made at need. NULL without memory. */
struct watch *watch_acquire(struct stripe *stripe, unsigned db, struct key key)
    __attribute__((warn_unused_result));
/* Gives the reference back; the last one frees the record, and with the stripe's last record the table goes. */
void watch_release(struct stripe *stripe, struct watch *watch);

uint64_t watch_version(const struct watch *watch);
unsigned watch_db(const struct watch *watch);
struct key watch_key(const struct watch *watch); /* borrowed from the record */

/* Calls `each` for every watched key, which must not watch or unwatch any. */
void watch_each(const struct stripe *stripe, void (*each)(void *context, unsigned db, struct key key),
                void *context);

/* The key was created, changed or deleted. */
void watch_touch(struct stripe *stripe, unsigned db, struct key key);
/* The database is about to be emptied: its watched keys that exist are touched. Call it before: afterwards
 * nothing exists. Keys that expired by now_ms do not exist. */
void watch_touch_flush(struct stripe *stripe, unsigned db, int64_t now_ms);
/* The databases are about to change places: watched keys of either that exist in one or the other are touched. */
void watch_touch_swap(struct stripe *stripe, unsigned a, unsigned b, int64_t now_ms);

#endif
