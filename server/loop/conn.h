/* conn.h - a connection: a socket, what came in, what goes out, the kind that it is of, and the session in between.
 *
 *               conn_open                      conn_input                      output_begin
 *      accept ------------> (armed: recv) ----------------> requests --> replies ----------> (sending)
 *                              ^   |                                                            |
 *                              |   +-- EOF, error, QUIT, kill: conn_shut --> (closing) <--------+
 *                              +-- re-armed when a receive ended                |
 *                                             last event: conn_free ----------->+--> slot free
 *
 * A connection is freed only after the last event that can name it (io_detach). An idle connection owns no buffer: not
 * for input (the shard's io has them), not for output (chunks go back when all is sent). */
#ifndef KEVY_SERVER_LOOP_CONN_H
#define KEVY_SERVER_LOOP_CONN_H

#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/request.h"
#include "server/clients/client.h"
#include "server/loop/conn_list.h"
#include "server/loop/output.h"
#include "uring/io.h"

struct shard;

enum conn_flag {
    CONN_OPEN = 1 << 0,
    CONN_SENDING = 1 << 1,     /* replies are in flight: a send is under way, or is to be tried again */
    CONN_EOF = 1 << 2,         /* the peer will send no more */
    CONN_CLOSING = 1 << 3,     /* torn down: waits for its last completions */
    CONN_STOP_OUTPUT = 1 << 4, /* requests wait until replies have been read */
    CONN_STOP_PAUSE =
        1 << 5,          /* requests wait for the end of CLIENT PAUSE, or for a gate that is asked again */
    CONN_LARGE = 1 << 6, /* sends large arguments: receives are single-shot, so that none need be cancelled */
    CONN_RETRY_SEND = 1 << 7, /* bytes are in flight, but there was no room for a send */
    CONN_AWAITS = 1 << 8,    /* on the shard's list of those whose replies are held until they may be shown */
    CONN_STOP_WAIT = 1 << 9, /* requests wait until the last one, which waits for keys, is answered */
    CONN_PUSHED = 1 << 10,   /* on the shard's list of those that have pushes to send, and no replies */
    CONN_LEAVING =
        1 << 11, /* on the shard's list of those that come to rest, to move to another shard (move.h) */
    CONN_STOPPED = CONN_STOP_OUTPUT | CONN_STOP_PAUSE | CONN_STOP_WAIT,
    CONN_STOP_LONG = CONN_STOP_PAUSE | CONN_STOP_WAIT, /* not for replies to be read */
    CONN_CROWD_SHIFT = 30, /* the bits from this one on are what it notes for crowd_join */
};

/* What a connection speaks. How bytes come and go, how much of them, and when it ends is the same for every kind. */
struct conn_kind {
    /* It begins: false refuses it, and then nothing has happened. */
    bool (*open)(struct conn *conn);
    /* Data came; or, len 0, there may be something to go on with, after conn_wants_turn. A bounded part is done. What it
     * keeps for later joins conn->pending, what it answers is written to conn->output. */
    void (*input)(struct conn *conn, const char *data, size_t len);
    /* It has ended: what the kind made of it is given back. */
    void (*closed)(struct conn *conn);
};

struct conn {
    struct client
        client; /* first: a handler's client is a connection's; of other kinds it has flags and times alone */
    struct shard *shard;
    const struct conn_kind *kind;
    struct io_socket socket;
    struct output output;

    struct request_parser parser;
    struct buffer pending; /* bytes of requests that are not whole, or must wait ... */
    size_t pending_done;   /* ... behind this many that are done with: they go when they are half of it */
    struct block *bulk;    /* the large argument being received, bulk->capacity bytes wanted */
    size_t bulk_have;
    struct block **arg_block; /* large arguments of the request being received, by order; malloc'd */
    uint32_t arg_block_count, arg_block_capacity;

    uint32_t generation; /* of its slot, which is client.slot */
    uint32_t flags;      /* enum conn_flag */
    uint8_t receives_since_large;
    uint8_t turn_batches; /* spent in `turn`, as turn_us and turn_bytes */
    uint16_t turn_us;     /* in which its batches ran; UINT16_MAX: or more */
    union {
        uint32_t heard_epoch; /* of the shard's pace, when data last came */
        uint32_t next_free;   /* slots.c's, while the slot is free */
    };
    uint32_t turn; /* of the shard, in which these were spent */
    uint32_t turn_bytes;
    uint64_t moved;               /* bytes of transfers under way, when conn_is_idle last asked the kernel */
    uint64_t soft_limit_since_us; /* the output has been above its soft limit since; 0: it is not */
    struct conn_link turn_link, flush_link, receive_link; /* conn_list.h says of which lists */
};

_Static_assert(offsetof(struct conn, client) == 0, "a handler gets from its client to the connection");
_Static_assert(sizeof(struct conn) <= 872, "what an idle connection costs in the server's memory");

/* A connection of that kind over `fd` begins, in a slot that was taken for it, and is armed. False: the kind refused it;
 * nothing has happened, and the descriptor is still the caller's. */
bool conn_open(struct conn *conn, struct shard *shard, const struct conn_kind *kind, int fd, bool unix_socket)
    __attribute__((warn_unused_result));
/* The same for the client of a connection that has come to rest on another shard (move.h). It is one of the caller's. */
void conn_open_moved(struct conn *conn, struct shard *shard, const struct conn_kind *kind,
                     struct client *client);
/* Could it move to another shard, once what is under way has ended: is there nothing that binds it to this one? */
bool conn_may_move(const struct conn *conn);
/* And has all ended? Nothing is owed, to it or by it, but for a receive. */
bool conn_rests(const struct conn *conn);
/* Nothing is left of it here, but its client, who lives elsewhere: its slot is to be given back. At rest,
 * without a receive. */
void conn_part(struct conn *conn);
/* Gives what has come to the kind: `data`, or with len 0 what it has kept. */
void conn_input(struct conn *conn, const char *data, size_t len);
/* Ends the connection: shuts the socket down; it is freed after its last event. Replies in flight are dropped. */
void conn_shut(struct conn *conn);
/* Closes what has nothing left to do. */
void conn_settle(struct conn *conn);
/* One that waits for keys with so much behind it that nothing more is read: asks the kernel whether its peer has ended it,
 * and is then treated as if that had been read. */
void conn_look_for_end(struct conn *conn);
/* No memory for its requests: says so in the log, and ends it. */
void conn_fail_memory(struct conn *conn);
/* Asserts that its flags agree with each other, with its links and with what it owes. True. */
bool conn_check(const struct conn *conn);
/* At the end of a turn, for one that is closing: frees all that it owns if nothing is owed any more. True:
 * its slot is free. */
bool conn_free(struct conn *conn) __attribute__((warn_unused_result));

/* Bytes have come or gone. */
void conn_active(struct conn *conn);
/* Has nothing come or gone for so long? A transfer under way counts for as long as it goes on, and a client whose
 * requests are held or that waits for what others do or say is never idle. */
bool conn_is_idle(struct conn *conn, int64_t limit_ms);

/* Its peer is asked for signs of life as tcp-keepalive says now. */
void conn_keep_alive(struct conn *conn);

/* Something that held its requests back has gone. */
void conn_resume(struct conn *conn, uint32_t stop_flag);
/* CLIENT PAUSE holds its requests back. */
void conn_hold(struct conn *conn);

/* Puts it on a list of the shard (conn_list.h), if it is not on it. One that is held has its turn when it is resumed; one
 * that is closing goes to the list of closing ones alone. */
void conn_wants_turn(struct conn *conn);
void conn_wants_flush(struct conn *conn);
/* Not where its replies are about to be sent, or wait until they may be shown, and this with them. */
void conn_wants_push(struct conn *conn);
void conn_awaits(struct conn *conn);
void conn_wants_rearm(struct conn *conn);
void conn_wants_closing(struct conn *conn);
/* Takes it off the list that conn_wants_push put it on, if it is there. */
void conn_unpush(struct conn *conn);

/* Whose socket it is. */
static inline struct conn *conn_of_socket(struct io_socket *socket) {
    return (struct conn *)(void *)((char *)socket - offsetof(struct conn, socket));
}

/* More requests wait for their turn than one turn could do. */
static inline bool conn_has_backlog(const struct conn *conn) {
    return conn_link_in(&conn->turn_link) && conn->pending.len - conn->pending_done > TURN_BYTES;
}

#endif
