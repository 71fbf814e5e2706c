/* accept.h - connections come in, and are spread over the shards.
 *
 * The first shard accepts for all and hands each connection to the shard with the fewest, by a post. */
#ifndef KEVY_SERVER_LOOP_ACCEPT_H
#define KEVY_SERVER_LOOP_ACCEPT_H

#include <stdbool.h>
#include <stdint.h>

struct io_event;
struct listener;
struct shard;

/* On the first shard, every turn: starts accepting where it is not under way and does not pause. */
void accept_arm(struct shard *shard);
/* A connection came to this listener, or none could. */
void accept_heard(struct shard *shard, struct listener *listener, const struct io_event *event);
/* Microseconds until accepting that pauses is to go on; UINT64_MAX: none does. */
uint64_t accept_pauses_us(const struct shard *shard);
/* On the target, which already counts it: a connection that the first shard handed over. Takes over the descriptor. */
void accept_adopt(struct shard *shard, int fd, bool unix_socket);

#endif
