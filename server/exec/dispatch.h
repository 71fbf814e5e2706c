/* dispatch.h - from a parsed request to its reply: row, gates, stripe locks, handler, effects.
 *
 * The one path for pipelined, queued and (later) scripted and unblocked commands. It never names a command:
 * what it would need to know of one is a flag of its row. */
#ifndef KEVY_SERVER_EXEC_DISPATCH_H
#define KEVY_SERVER_EXEC_DISPATCH_H

#include "protocol/request.h"
#include "server/call/call.h"

/* A parsed request, waiting in a batch while its keys are prefetched. */
struct request {
    struct request_args args;
    const struct command *command; /* NULL: unknown */
    uint64_t *hash;                /* of key arguments; malloc'd, hash_capacity places */
    uint32_t hash_capacity;
    const struct bucket *bucket; /* of the lone key, for its prefetch alone: it may be another's by now */
    uint32_t stripe;             /* the one stripe of its keys, or STRIPE_NONE, _MANY, _ALL */
    uint32_t lone_key;           /* its only key argument, 0: none or several */
    bool plain;   /* a data command of one stripe that needs nothing but its lock: the fast path */
    bool untimed; /* takes its share of the batch's time */
    bool bad_subcommand;
    bool bad_arity;
    size_t end; /* where it ends in the bytes of its batch */
};
enum { STRIPE_NONE = MAX_STRIPES, STRIPE_MANY, STRIPE_ALL };

/* Finds the row, unless it is `known` (and then its arity is right), hashes the keys and prefetches their buckets. False
 * without memory. */
bool dispatch_prepare(const struct client *client, struct request *request, const struct command *known)
    __attribute__((warn_unused_result));

/* Runs shard->batch[0, count), replying to `reply`. Returns how many are done with: fewer than count when
 * CLIENT PAUSE holds the next one back, or when the client is to be closed. */
unsigned dispatch_batch(struct shard *shard, struct client *client, struct reply *reply, unsigned count);

/* Runs one queued command within EXEC's call; the locks are held already. Appends exactly one reply to
 * exec->reply. */
void dispatch_queued(struct call *exec, const struct command *command, const struct bytes *argv,
                     uint32_t argc, uint64_t *hash);

/* Frees what a request holds. */
void request_free(struct request *request);

#endif
