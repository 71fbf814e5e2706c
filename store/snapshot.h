/* snapshot.h - every entry of a keyspace as it was at one moment, the cut, shown once while the keyspace goes on changing.
 *
 * Entries have stamps. A new stamp is in force from the cut on: what is made gets it, and so does what has been shown. An
 * entry with any other is one of the cut that was not shown yet, and still is as it was: a walk shows it in its time, and
 * before it is changed, moved or freed it is shown at once. So what is shown is what was there at the cut, each key once.
 *
 *     struct keyspace_snapshot *snapshot = keyspace_snapshot_new(ks, show, context);
 *     keyspace_snapshot_begin(ks, snapshot);                 the cut
 *     while (keyspace_snapshot_walk(ks, budget)) { ... }     the keyspace may change meanwhile
 *     keyspace_snapshot_end(ks);                             at any time; the snapshot is gone
 *
 * A database is shown with the number that it had at the cut, also after it was swapped; a flushed one is walked before its
 * entries are freed.
 *
 * A walk that got to its end leaves one stamp to all entries. One that was given up leaves two, and there are ENTRY_STAMPS
 * of them: after as many such, the walk goes on in keyspace_upkeep and shows nothing.
 *
 * Invariants:
 *   1. Entries have at most `stamps` different stamps besides `stamp` of their keyspace.
 *   2. While a snapshot is under way, an entry whose stamp is not that of its keyspace lies in a database that is not
 *      `done`, or in one of the snapshot's graves. */
#ifndef KEVY_STORE_SNAPSHOT_H
#define KEVY_STORE_SNAPSHOT_H

#include "store/keyspace.h"

struct keyspace_snapshot;

/* Called for each entry of the cut, during a walk or before a change. It must not change the keyspace, and may keep
 * references to what the value refers to, which then does not change. */
typedef void keyspace_shown(void *context, unsigned db, const struct entry *e);

/* For a keyspace with so many databases. NULL without memory. */
struct keyspace_snapshot *keyspace_snapshot_new(const struct keyspace *ks, keyspace_shown *show,
                                                void *context);
/* Frees one that was not begun. */
void keyspace_snapshot_free(struct keyspace_snapshot *snapshot);

/* This is the cut: takes the snapshot over. None is under way. O(1), but after many that were given up a walk may have to be
 * brought to its end first. */
void keyspace_snapshot_begin(struct keyspace *ks, struct keyspace_snapshot *snapshot);
/* Looks at about `budget` more entries and buckets. True while there are more. */
bool keyspace_snapshot_walk(struct keyspace *ks, unsigned budget);
/* Nothing is shown any more, whether all was or not. The snapshot is freed. */
void keyspace_snapshot_end(struct keyspace *ks);

/* ---- For the store itself --------------------------------------------------------------------------- */

/* Does one go on in keyspace_upkeep, for its stamps alone? */
bool snapshot_is_mute(const struct keyspace *ks);

/* The others are for keyspaces with a snapshot. */

/* The entry, of this database, is about to be changed, moved or freed. */
void snapshot_see(struct keyspace *ks, unsigned db, struct entry *e);
/* These databases have changed places. */
void snapshot_swapped(struct keyspace *ks, unsigned a, unsigned b);
/* This database was buried, in the first of the keyspace's graves. */
void snapshot_flushed(struct keyspace *ks, unsigned db);
/* Does its part of keyspace_upkeep. True while there is more to do. */
bool snapshot_upkeep(struct keyspace *ks, unsigned budget);
/* Ends it for good: the keyspace is freed. */
void snapshot_drop(struct keyspace *ks);

#endif
