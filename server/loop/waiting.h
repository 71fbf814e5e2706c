/* waiting.h - connections whose clients wait for keys (server/exec/blocking.h): what comes meanwhile is kept, and run
 * behind the reply. */
#ifndef KEVY_SERVER_LOOP_WAITING_H
#define KEVY_SERVER_LOOP_WAITING_H

#include <stdbool.h>

struct conn;
struct shard;
struct post;

/* The last request that was run has begun to wait. */
void waiting_begin(struct conn *conn);
/* Somebody has ended a client's wait, and says so: it gets its reply, if it is still there. */
void waiting_posted(struct shard *shard, struct post *post);
/* Ends waits whose time is over, and those for the disk that have come to their end. */
void waiting_expire(struct shard *shard);
/* The connection is shut: it is served no more. */
void waiting_leave(struct conn *conn);
/* Is a post yet to come that means this connection's wait? It keeps its slot until then. */
bool waiting_owed(const struct conn *conn);

#endif
