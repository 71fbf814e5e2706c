/* upkeep.h - work on a shard's own stripes that no request asks for: expiry, and the memory of flushed tables. */
#ifndef KEVY_SERVER_LOOP_UPKEEP_H
#define KEVY_SERVER_LOOP_UPKEEP_H

#include <stdbool.h>

struct shard;

/* Takes over what others have asked for (post_due, post_look_again). True if it is everything that is to be looked at. */
bool upkeep_asked(struct shard *shard);
/* Does a bounded step of a snapshot's walk through its stripes, if one is under way; sets walk_ms anew. */
void upkeep_walk(struct shard *shard);
/* Begins a save in the background that is due by the save points; sets save_ms anew. */
void upkeep_save(struct shard *shard);
/* Saves at once, for the end of the server asks for it (snapshot_ask). */
void upkeep_save_asked(struct shard *shard);
/* Does a bounded part of what is due, if anything is by shard->want_ms; sets want_ms anew. */
void upkeep_run(struct shard *shard);
/* Takes the cut of a rewrite that waits for it (server/journal/aof_rewrite.h). */
void upkeep_cut(struct shard *shard);

#endif
