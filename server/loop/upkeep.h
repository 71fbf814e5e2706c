/* upkeep.h - work on a shard's own stripes that no request asks for: expiry, and the memory of flushed tables. */
#ifndef KEVY_SERVER_LOOP_UPKEEP_H
#define KEVY_SERVER_LOOP_UPKEEP_H

struct shard;

/* Does a bounded part of it. Sets upkeep_left if there is more to do at once, and next_expiry_ms. */
void upkeep_run(struct shard *shard);

#endif
