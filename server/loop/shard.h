/* shard.h - one pinned thread: its io, its connections, its stripes.
 *
 * Everything here belongs to the shard's own thread, but for the fields marked atomic, which others read or write. */
#ifndef KEVY_SERVER_LOOP_SHARD_H
#define KEVY_SERVER_LOOP_SHARD_H

#include <pthread.h>
#include <stdint.h>

#include "protocol/request.h"
#include "server/clients/post.h"
#include "server/exec/executor.h"
#include "server/journal/crowd.h"
#include "server/limits.h"
#include "server/loop/conn.h"
#include "server/loop/move.h"
#include "server/loop/output.h"
#include "server/loop/pace.h"
#include "server/loop/silence.h"
#include "server/loop/slots.h"
#include "server/loop/spread.h"
#include "uring/io.h"

/* Received data that waits for the parse phase. */
struct received {
    struct conn *conn;
    uint32_t generation;
    uint32_t buffer; /* of the shard's io */
    uint32_t len;
};

enum { SHARD_ALIGNMENT = 128 }; /* two cache lines: they are fetched in pairs */

struct shard {
    /* On lines that the turn does not touch: whoever accepts writes it for each connection that it hands over. */
    uint32_t connections __attribute__((aligned(SHARD_ALIGNMENT))); /* atomic */

    unsigned index __attribute__((aligned(SHARD_ALIGNMENT)));
    int cpu; /* its thread is pinned to it, or -1; written by shard_open */
    pthread_t thread;

    struct io io; /* what it asks of the kernel, and hears */

    /* Connections. */
    struct slots slots;
    struct conn_list ready;    /* have bytes to parse that no event will announce */
    struct conn_list flush;    /* have replies to send */
    struct conn_list pushed;   /* have pushes to send, and no replies: a slice of them a turn */
    unsigned pushed_count;     /* how many these are */
    struct conn_list awaiting; /* replies are held until they may be shown (output.h) */
    uint64_t awaits;           /* the first ticket that any of them waits for, or AWAITS_NOTHING */
    struct crowd_part crowd;   /* how many came to be held */
    struct conn_list rearm;    /* no receive is under way: tried every turn */
    struct conn_list closing;  /* to be torn down at the end of the turn */
    struct moves moves;        /* those that are about to move to another shard */
    struct conn_list held;     /* stopped by CLIENT PAUSE */
    struct conn_list waiting;  /* their clients wait for keys */

    uint32_t turn; /* number of this one */
    struct received received[RECEIVE_BUFFERS];
    unsigned received_count;

    struct request_head head;           /* of the last request of the usual form, */
    const struct command *head_command; /* and its row: a valid one, with the right number of arguments */
    bool head_lone;                     /* such requests are plain and of one key: prepare_is_lone */
    bool head_repeats;                  /* of the last ones several in a row had the same key */
    struct request_limits limits, limits_unauthenticated;
    struct chunk_pool chunks;
    struct executor exec; /* runs them; its clock is read once a turn */

    struct pace pace;     /* how to wait */
    struct spread spread; /* how much of its time it works, and which of its connections are to leave */

    /* Posts. */
    struct mailbox *mailbox;
    struct post *stop;         /* made at the start, so that stopping needs no memory */
    bool stopping;             /* set by the stop post */
    struct wakes unheard;      /* shards that this one has woken, and that may not have heard it */
    uint64_t unheard_until_us; /* monotonic: when they are woken anew */

    /* Upkeep. */
    int64_t want_ms; /* Unix time: when its stripes are to be looked at next; DUE_NEVER, or 0 for at once */
    int64_t walk_ms; /* the same of a snapshot's walk through them, */
    unsigned walked; /* which is at this stripe, */
    int64_t save_ms; /* and of a save that may be due by then */
    uint64_t next_tick_us;  /* monotonic: idle clients and limits are looked at then */
    struct silence silence; /* whom to ask whether the kernel has forgotten to tell of him */
    bool worked;         /* requests came since the last tick: there will be one more before a long sleep */
    int64_t keepalive;   /* the value of tcp-keepalive that its connections have */
    bool limits_watched; /* some connection is above its soft output limit */
    bool ends_watched;   /* some connection waits for keys, and nothing is read from it (conn_look_for_end) */
};

_Static_assert(offsetof(struct shard, index) - offsetof(struct shard, connections) >= SHARD_ALIGNMENT,
               "what others write lies apart from what its owner reads");
_Static_assert(sizeof(struct shard) % SHARD_ALIGNMENT == 0, "shards share no line");

/* Every shard; made by server_start, fixed afterwards. */
extern struct shard *shards;
extern unsigned shard_count;

/* A shard that has no io yet: it can run requests, but neither receive nor send. */
void shard_init(struct shard *shard, unsigned index);

/* Where a shard runs, and who polls its submission queue. */
struct shard_place {
    int cpu;              /* its thread was pinned there, or -1 */
    bool epoll;           /* its io is over epoll: of the rest nothing has a meaning */
    bool poll_thread;     /* a kernel thread polls for its io; false: the rest has no meaning */
    unsigned poll_leader; /* the shard whose io made the poll thread: one that is open already, or this one */
    int poll_cpu;         /* the poll thread's, or -1 */
};

/* Opens the io of a shard that was initialised; on the shard's own thread. 0 or a negative
 * errno, then shard_close is still to be called. */
int shard_open(struct shard *shard, const struct shard_place *place) __attribute__((warn_unused_result));
/* Gives back all that it has, also where it was never opened. */
void shard_close(struct shard *shard);

#endif
