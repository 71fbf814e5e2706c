/* deliver.h - a shard's mail: posts run on its connections, and shards that it has posted to are woken. */
#ifndef KEVY_SERVER_LOOP_DELIVER_H
#define KEVY_SERVER_LOOP_DELIVER_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* Makes the shard's stop post, so that stopping needs no memory. False without memory. */
bool deliver_open(struct shard *shard) __attribute__((warn_unused_result));
/* Drops what was never run. */
void deliver_close(struct shard *shard);

/* Runs what has been posted. True if there was anything. */
bool deliver_posts(struct shard *shard);
/* Wakes those among the shards posted to that sleep. Those for whom there is no room now stay in the shard's wakes: they
 * are tried again in the next turn, and the shard does not sleep before. Those that were woken and have not heard it, though
 * it is time, are woken anew. */
void deliver_wakes(struct shard *shard);
/* Microseconds until that is to be called again on account of the latter, 10,000 at most; UINT64_MAX: nobody was woken. */
uint64_t deliver_unheard_us(const struct shard *shard);
/* One of them was not woken: that is owed again. */
void deliver_wake_failed(struct shard *shard, unsigned target);

/* Tells every shard to end its connections and its thread. From main's thread. True when all have heard it; until then it
 * is to be called again, a moment later. */
bool deliver_stop(void) __attribute__((warn_unused_result));

#endif
