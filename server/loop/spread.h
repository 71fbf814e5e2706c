/* spread.h - which shards serve connections, and which connections leave for them.
 *
 * Each shard says now and then for how much of its time it had work; some shard then asks crew.h how many are in use.
 * New connections go to these. Connections of the others leave for them (move.h), and where more shards come into use,
 * those that were give them of theirs, of busy and of idle ones alike.
 *
 * Nothing here makes a sleeping shard wake up, but a change of how many are in use. */
#ifndef KEVY_SERVER_LOOP_SPREAD_H
#define KEVY_SERVER_LOOP_SPREAD_H

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct shard;

/* Of a shard; all of it belongs to its thread. */
struct spread {
    uint64_t began_us; /* monotonic: when its last wait ended; the clock may have been read since */
    uint64_t spun_us;  /* that it has spun, in all */
    /* When it last said how busy it was, and what all of these were then: */
    uint64_t said_us, said_cpu_ns, said_waited_ns, said_spun_us;
    int waited_fd; /* where the kernel tells how long the thread has waited for a CPU, or -1 */

    unsigned seen;      /* in use, when it last looked for connections to leave */
    uint32_t surplus;   /* connections that are still to leave in this round */
    unsigned page;      /* of the slots, that is looked at next, */
    bool going;         /* while a round is under way */
    unsigned rounds;    /* to come, for those that could not leave yet */
    uint64_t again_us;  /* monotonic: when the next one may begin, */
    uint64_t gap_us;    /* so long after the last one */
    bool begun;         /* somebody has left since that began */
    uint64_t evened_us; /* monotonic: when a full shard may look whether others have fewer */
    unsigned kept, of;  /* of connections that are alike so many stay, */
    unsigned dealt[2];  /* ... and how it stands: of idle ones, of busy ones */
};

void spread_init(struct shard *shard);
/* On the shard's own thread. `polled`: a thread of the kernel receives and sends for it; then all shards are in use. */
void spread_open(struct shard *shard, bool polled);
void spread_close(struct shard *shard);

/* How many are in use: shards 0 to this. */
unsigned spread_in_use(void);
/* Of these, the one that has the fewest connections. */
unsigned spread_fewest(void);
/* Where a connection of this shard shall go, or the shard itself: it is to stay. */
unsigned spread_target(const struct shard *shard);

/* At the end of an epoch of its pace, before its wakes are delivered; cpu_ns: what its thread has run. */
void spread_epoch(struct shard *shard, uint64_t cpu_ns);
/* Did the requests of this turn take long? Then it is noted. */
bool spread_is_slow(const struct shard *shard);
void spread_note_slow(struct shard *shard);

/* Once a turn: a page of connections is looked at, if any are to leave, and those that have come to rest do. */
void spread_turn(struct shard *shard);
/* Is there more to do in the next turn? */
bool spread_goes_on(const struct shard *shard);

#endif
