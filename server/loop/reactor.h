/* reactor.h - the loop of one shard. */
#ifndef KEVY_SERVER_LOOP_REACTOR_H
#define KEVY_SERVER_LOOP_REACTOR_H

struct shard;

/* Runs turns until the shard is told to stop and its connections are gone. On the shard's own thread. */
void reactor_run(struct shard *shard);

#endif
