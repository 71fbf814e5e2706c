/* crew.h - how many shards are in use: as few as the load needs.
 *
 * A shard that serves few connections has small batches, and wakes up for each; and what several shards work on moves
 * between the caches of their CPUs. So connections gather on the first shards, and spread over more of them when these
 * have much to do. crew.c decides how many. It has no clock and makes no system call; who leaves for where is
 * told by spread.h. */
#ifndef KEVY_SERVER_LOOP_CREW_H
#define KEVY_SERVER_LOOP_CREW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    CREW_FULL = 600, /* thousandths of a span of time, in which a shard had work: more is too much, */
    CREW_FITS = 400, /* and where fewer would do, each of these has no more than this */
};

struct crew {
    unsigned shards, in_use; /* 1 <= in_use <= shards */
    uint64_t looked_us;      /* monotonic: when crew_look was last called, or crew_open */
    uint64_t since_us;       /* ... since when no more than `most` shards were needed */
    unsigned most;
    uint64_t patience_us; /* how long fewer must be enough until they are what is used */
    uint64_t shrunk_us;   /* ... when that last was so; 0: never, or it was not taken back soon */
};

/* One shard is in use, of so many; 1 or more. */
void crew_open(struct crew *crew, unsigned shards, uint64_t now_us);
/* All are in use from now on. */
void crew_all(struct crew *crew, uint64_t now_us);

/* Decides anew. busy[i] says for how much of the last span shard i had work, in thousandths: 0 for one that sleeps.
 * `slow`: a request has kept others waiting for long. Times do not go back. Returns how many shards are in use
 * from now on. */
unsigned crew_look(struct crew *crew, uint64_t now_us, const uint16_t *busy, bool slow);

#endif
