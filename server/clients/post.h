/* post.h - messages between shards, for what belongs to another thread's connection.
 *
 * A post goes into the target's lock-free queue (many producers, one consumer) and wakes the target with
 * MSG_RING only when it is parked. Posts from one shard to another arrive in order. A wake-up that finds no room in the
 * sender's submission queue goes out in one of its next turns. */
#ifndef KEVY_SERVER_CLIENTS_POST_H
#define KEVY_SERVER_CLIENTS_POST_H

#include <stdint.h>

#include "protocol/bytes.h"
#include "store/memory/block.h"

struct ring;
struct shard;

/* Where a client lives. Ids are never reused, so a post to a client that has gone is dropped. */
struct client_address {
    unsigned shard;
    uint32_t slot;
    uint64_t id;
};

/* `from` is the shard whose thread this is, also when the target is the same shard: then it happens in this
 * turn's post phase, after the running command. All return false (and have done nothing) without memory. */

/* Appends bytes to the client's output: they are RESP. Dropped if by then the client wants no replies (CLIENT REPLY OFF), or
 * has lost `flag` (CLIENT_MONITOR; 0 asks for none): a mode's messages end with the mode. Takes over one reference to
 * `bytes`, also on failure. */
bool post_deliver(struct shard *from, struct client_address to, uint32_t flag, struct block *bytes);
/* Closes the client's connection; what it has not read is dropped. */
bool post_close(struct shard *from, struct client_address to);
/* Tells every shard to look again at connections that CLIENT PAUSE holds back. */
bool post_resume(struct shard *from);

/* ---- For the reactor and main --------------------------------------------------------------------- */

/* Runs what has been posted. True if there was anything. */
bool post_run(struct shard *shard);
/* Is anything posted? Ordered after the caller's store to shard->parked. */
bool post_waiting(const struct shard *shard);
/* Tells every shard to end its connections and its thread. From main's thread, over a ring of main's own. True when all have
 * heard it; until then it is to be called again, a moment later, for a wake-up may come to nothing. */
bool post_stop_all(struct ring *ring) __attribute__((warn_unused_result));
/* Makes the shard's stop post, so that stopping needs no memory. False without memory. */
bool post_open(struct shard *shard) __attribute__((warn_unused_result));
/* Drops what was never run. */
void post_close_all(struct shard *shard);

#endif
