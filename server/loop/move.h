/* move.h - a connection moves to another shard.
 *
 *     move_begin        its receive ends   move_on                       move_arrived
 *     (armed) --> (leaving) ----------> at rest --> on its way: a post --> (armed), in a slot of the other shard
 *        ^             |
 *        +-------------+  it does not come to rest, or is bound to its shard now
 *
 * Only a connection at rest moves: one that neither owes nor is owed anything, so that nothing of it is but a
 * descriptor, and its client (conn_rests). What it has sent meanwhile waits in its socket. While it is on its way its
 * client is the post's, in its place in the register (clients_leave): it is listed and counted as ever, and if somebody
 * kills it, it is ended where it arrives. */
#ifndef KEVY_SERVER_LOOP_MOVE_H
#define KEVY_SERVER_LOOP_MOVE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/loop/conn_list.h"

struct conn;
struct post;
struct shard;

enum { MOVES_MOST = 64 }; /* connections of a shard that come to rest at the same time */

/* Of a shard; all of it belongs to its thread. */
struct moves {
    struct conn_list leaving;
    unsigned count;    /* how many these are */
    uint64_t until_us; /* monotonic: who has not come to rest by then stays */
};

void move_open(struct moves *moves);

/* Asks a connection for which conn_may_move, and that is not asked already, to come to rest. Nothing happens where
 * MOVES_MOST are asked already. */
void move_begin(struct conn *conn);
/* Once a turn, behind the flush: those at rest leave, each for the shard that spread_target says, or stay if
 * that says so. */
void move_on(struct shard *shard);
/* A connection that is being shut leaves no more. */
void move_forget(struct conn *conn);
/* Microseconds until move_on is to be called even if nothing comes; UINT64_MAX: no need. */
uint64_t move_due_us(const struct shard *shard);

/* The post of one that has come, which goes with it. A shard that stops closes it. */
void move_arrived(struct shard *shard, struct post *post);
/* The same where no shard runs any more. */
void move_drop(struct shard *shard, struct post *post);

#endif
