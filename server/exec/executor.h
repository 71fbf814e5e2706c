/* executor.h - what one thread needs to run requests: a batch of them, the window in which they run, and
 * the time.
 *
 * Each shard has one. Nothing in it knows of sockets or rings, so requests can be run, and tested, without a shard. */
#ifndef KEVY_SERVER_EXEC_EXECUTOR_H
#define KEVY_SERVER_EXEC_EXECUTOR_H

#include "protocol/buffer.h"
#include "protocol/request.h"
#include "server/call/call.h"
#include "server/clients/post.h"
#include "server/clock.h"
#include "server/exec/deadlines.h"
#include "server/exec/mute.h"
#include "server/limits.h"
#include "server/report/histogram.h"
#include "server/report/metrics.h"

/* A parsed request, waiting in a batch while its keys are prefetched. */
struct request {
    struct request_args args;
    const struct command *command; /* NULL: unknown */
    uint64_t *hash;                /* of key arguments; malloc'd, hash_capacity places */
    uint32_t hash_capacity;
    /* Of the lone key. Found without the lock: only a prefetch hint, it may be stale when the request runs. */
    const struct bucket *bucket;
    /* Where what a client tracks is to be looked for, or NULL; written where they are used. */
    const struct tracked_bucket *tracked_bucket;
    struct tracked *const *tracked_place;
    uint32_t stripe;   /* the one stripe of its keys, or STRIPE_NONE, _MANY (executor.sets), _ALL */
    uint32_t lone_key; /* its only key argument, 0: none or several */
    struct command_key
        *keys; /* key arguments of requests without a lone one; malloc'd, key_capacity places */
    uint32_t key_count, key_capacity;
    bool plain;   /* a data command of one stripe that needs nothing but its lock: the fast path */
    bool untimed; /* takes its share of the batch's time */
    bool bad_subcommand;
    bool bad_arity;
    size_t begin, end; /* its place in the bytes of its batch */
};
enum { STRIPE_MANY = STRIPE_NONE + 1, STRIPE_ALL };

/* How many untimed requests of one command ran one after the other. */
struct time_share {
    uint32_t command; /* its id */
    uint32_t requests;
};

struct blocked; /* server/exec/blocking.c */

/* Waits for the disk, in the order in which they began. */
struct disk_waits {
    struct blocked *first, *last;
    struct blocked *next; /* that is looked at next; NULL: all were */
    uint64_t seen;        /* the log's news that they were looked at with */
};

struct executor {
    unsigned index;     /* of its shard */
    uint32_t gates;     /* those that are raised for the running batch: server/call/gate.h */
    struct clock clock; /* read once a turn, and after commands that may take long */
    struct effects effects;
    struct wakes wakes; /* shards that were posted to since the loop last woke them */
    struct call call;   /* the running command's window, used again for each */
    struct request batch[BATCH_REQUESTS];
    struct time_share shares[BATCH_REQUESTS]; /* of the batch's time */
    unsigned share_count;
    unsigned set_aside; /* requests of the batch that have not run: they were refused, or queued by MULTI */
    uint64_t requests;  /* atomic: that were done with, also those */
    const char *bytes;  /* that the batch was parsed from, for the journal; NULL: they are not at hand */
    struct stripe_set sets[BATCH_REQUESTS]; /* of batch[i], where its stripe is STRIPE_MANY */
    /* Of the requests that were looked ahead for last. */
    struct tree_guess guesses[COMMAND_AHEAD_MOST * COMMAND_GUESSES];
    struct wait wait;             /* what the running command has asked to wait for */
    struct deadlines deadlines;   /* when waits of its clients are over */
    struct disk_waits disk_waits; /* those that wait for the disk */
    struct stripe_set want;       /* what the running command has asked for beyond what it holds */
    struct mute mute;
    struct buffer
        own_lines; /* a monitor's own commands within EXEC, to be shown behind it: server/exec/monitor.c */
    struct metrics metrics;
    struct histograms histograms; /* how long commands took */
};

/* Whose call this is. */
static inline struct executor *executor_of(const struct call *call) {
    return (struct executor *)((char *)call->effects - offsetof(struct executor, effects));
}

/* Prepares a zeroed executor: reads the clocks, and registers its metrics. The command table is open. */
void executor_open(struct executor *executor, unsigned index);
/* Frees what its batch holds. */
void executor_close(struct executor *executor);

/* Frees what a request holds. */
void request_free(struct request *request);

#endif
