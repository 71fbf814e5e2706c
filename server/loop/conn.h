/* conn.h - a connection: a socket, what came in, what goes out, and the session in between.
 *
 *               conn_open                        conn_input                    output_begin
 *      accept ------------> (armed: recv) ----------------> requests --> replies ----------> (sending)
 *                              ^   |                                                            |
 *                              |   +-- EOF, error, QUIT, kill: conn_shut --> (closing) <--------+
 *                              +-- re-armed when a multishot ended              |
 *                                             last completion: conn_reap ------>+--> slot free
 *
 * A connection is freed only after the last completion that can name it (`pending_ops` is 0). An idle
 * connection owns no buffer: not for input (the kernel's provided ring has them), not for output (chunks go
 * back when all is sent). */
#ifndef KEVY_SERVER_LOOP_CONN_H
#define KEVY_SERVER_LOOP_CONN_H

#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/request.h"
#include "server/clients/client.h"
#include "server/loop/output.h"

struct shard;

enum conn_flag {
    CONN_OPEN = 1 << 0,
    CONN_RECEIVING = 1 << 1,  /* a receive is armed */
    CONN_CANCELLING = 1 << 2, /* ... and being cancelled */
    CONN_READING = 1 << 3,    /* a direct read of a large argument is under way */
    CONN_SENDING = 1 << 4,
    CONN_EOF = 1 << 5,         /* the peer will send no more */
    CONN_CLOSING = 1 << 6,     /* torn down: waits for its last completions */
    CONN_STOP_OUTPUT = 1 << 7, /* requests wait until replies have been read */
    CONN_STOP_PAUSE = 1 << 8,  /* requests wait for the end of CLIENT PAUSE */
    CONN_LARGE = 1 << 9, /* sends large arguments: receives are single-shot, so that none need be cancelled */
    CONN_IN_READY = 1 << 10, /* member of that list of the shard */
    CONN_IN_FLUSH = 1 << 11,
    CONN_IN_REARM = 1 << 12,
    CONN_IN_CLOSING = 1 << 13,
    CONN_QUICK_FELL_SHORT = 1 << 14,
    CONN_FIXED = 1 << 15,       /* sits in the file table */
    CONN_SHUT = 1 << 16,        /* shutdown() was called */
    CONN_RETRY_SEND = 1 << 17,  /* bytes are in flight but the submission queue was full */
    CONN_IN_AWAITING = 1 << 18, /* member of that list: its replies wait for a write to be durable */
    CONN_STOPPED = CONN_STOP_OUTPUT | CONN_STOP_PAUSE,
};

struct conn {
    struct client client; /* first: a handler's client is a connection's */
    struct shard *shard;
    int fd;
    uint32_t slot, generation;
    uint32_t flags;
    uint32_t pending_ops; /* SQEs whose completion is owed */
    struct output output;

    struct request_parser parser;
    struct buffer pending; /* bytes of requests that are not whole, or must wait ... */
    size_t pending_done;   /* ... behind this many that are done with: they go when they are half of it */
    struct block *bulk;    /* the large argument being received, bulk->capacity bytes wanted */
    size_t bulk_have;
    uint32_t receives_since_large;
    struct block **arg_block; /* large arguments of the request being received, by order; malloc'd */
    unsigned arg_block_count, arg_block_capacity;

    uint32_t turn; /* of the shard, in which this was spent: */
    uint32_t turn_requests;
    size_t turn_bytes;
    uint32_t heard_epoch;         /* of the shard's pace, when data last came */
    uint64_t soft_limit_since_us; /* the output has been above its soft limit since; 0: it is not */
    /* The hold-point: replies leave once shard->durable_sequence has come this far. 0, for what changed nothing that is
     * to be durable: at once. */
    uint64_t reply_sequence;
    struct conn *next_awaiting, *next_ready, *next_flush, *next_rearm, *next_closing, *next_quick, *prev_held,
        *next_held;
};

/* Takes over a connected socket (also on failure). 0, or a negative errno after closing it. */
int conn_open(struct shard *shard, int fd, bool unix_socket) __attribute__((warn_unused_result));

/* Completions. `res` and `flags` are the CQE's. */
void conn_received(struct conn *conn, int res, unsigned cqe_flags);
void conn_read_done(struct conn *conn, int res);
void conn_send_done(struct conn *conn, int res);
void conn_quick_short(struct conn *conn, int res);
void conn_cancelled(struct conn *conn, int res);

/* Parses and runs what has come: `data` first joins what is pending. Bounded by TURN_REQUESTS. */
void conn_input(struct conn *conn, const char *data, size_t len);
/* Something that held it back has gone. */
void conn_resume(struct conn *conn, uint32_t stop_flag);
/* Sends what is queued. */
void conn_flush(struct conn *conn);
/* The quick send of the last submit has gone through, as no completion said otherwise. */
void conn_quick_settle(struct conn *conn);
/* Arms a receive where none is; queues itself for a retry when the submission queue is full. */
void conn_arm(struct conn *conn);

/* Ends the connection: cancels, shuts down; it is freed after its last completion. Replies in flight are
 * dropped. */
void conn_shut(struct conn *conn);
/* At the end of a turn: frees it if nothing is owed any more. True if it is gone. */
bool conn_reap(struct conn *conn);

/* Puts it on the list of connections with replies to send. */
void conn_wants_flush(struct conn *conn);

#endif
