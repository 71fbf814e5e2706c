/* accept.h - connections come in, and are spread over the shards.
 *
 * The first shard accepts for all (multishot) and hands each connection to the shard with the fewest, by
 * MSG_RING. */
#ifndef KEVY_SERVER_LOOP_ACCEPT_H
#define KEVY_SERVER_LOOP_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

struct shard;

/* On the first shard: starts accepting; tried again every turn for those that could not be armed. */
void accept_arm(struct shard *shard);
/* A connection came to the listener of this index, or none could. `res` and `cqe_flags` are the CQE's. */
void accept_completed(struct shard *shard, unsigned index, int res, unsigned cqe_flags);
/* The pause after running out of descriptors is over. */
void accept_pause_over(struct shard *shard, unsigned index);
/* On the target: a connection that the first shard handed over. */
void accept_adopt(struct shard *shard, int fd, bool unix_socket);
/* The target could not be given it: this shard keeps it. */
void accept_keep(struct shard *shard, unsigned target, int fd, bool unix_socket);

#endif
