/* move.c - what leaves is a client and a descriptor, in a post that was made before anything is given up. */
#include "server/loop/move.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "server/clients/accepted.h"
#include "server/clients/clients.h"
#include "server/log.h"
#include "server/loop/shard.h"

enum { REST_US = 50 * 1000 }; /* in which a connection comes to rest, or stays */

/* A client on its way. */
struct moved {
    struct post post; /* first: it is found by that */
    struct client client;
    const struct conn_kind *kind;
    int64_t keepalive; /* the value of tcp-keepalive that its socket has */
    unsigned from;
    bool back; /* there was no memory where it came to */
};
_Static_assert(offsetof(struct moved, post) == 0, "a post is its client's address");

void move_open(struct moves *moves) {
    *moves = (struct moves){.count = 0};
    conn_list_open(&moves->leaving, offsetof(struct conn, receive_link));
}

/* ---- Coming to rest ------------------------------------------------------------------------------- */

void move_begin(struct conn *conn) {
    struct moves *moves = &conn->shard->moves;
    assert(!(conn->flags & (CONN_LEAVING | CONN_CLOSING)));
    if (moves->count >= MOVES_MOST) return;
    if (!moves->count) moves->until_us = conn->shard->exec.clock.now_us + REST_US;
    conn_link_out(&conn->receive_link); /* it was to be armed again */
    conn->flags |= CONN_LEAVING;
    moves->count++;
    conn_list_add(&moves->leaving, conn);
    io_receive_stop(&conn->shard->io, &conn->socket);
}

void move_forget(struct conn *conn) {
    if (!(conn->flags & CONN_LEAVING)) return;
    assert(conn->shard->moves.count > 0);
    conn->flags &= ~(uint32_t)CONN_LEAVING;
    conn->shard->moves.count--;
    conn_link_out(&conn->receive_link);
}

/* It is served here, as before. A receive that was asked to end is begun anew when it has. */
static void stay(struct conn *conn) {
    move_forget(conn);
    if (!io_is_receiving(&conn->socket) && !io_is_reading(&conn->socket) && !(conn->flags & CONN_EOF))
        conn_wants_rearm(conn);
}

uint64_t move_due_us(const struct shard *shard) {
    uint64_t now_us = shard->exec.clock.now_us, until_us = shard->moves.until_us;
    if (!shard->moves.count) return UINT64_MAX;
    return until_us > now_us ? until_us - now_us : 0;
}

/* ---- Leaving -------------------------------------------------------------------------------------- */

static void count(unsigned shard, uint32_t by) {
    __atomic_fetch_add(&shards[shard].connections, by, __ATOMIC_RELAXED);
}

static void send_to(struct shard *shard, struct moved *moved, unsigned target) {
    assert(target < shard_count && target != shard->index);
    post_push(&mailboxes[target], &moved->post);
    wakes_add(&shard->exec.wakes, target);
}

/* It counts there from now on, as does one that was accepted. */
static void leave(struct conn *conn, unsigned target) {
    struct shard *shard = conn->shard;
    struct moved *moved = malloc(sizeof *moved);
    if (moved) {
        *moved = (struct moved){.post = {.kind = POST_MOVED},
                                .kind = conn->kind,
                                .keepalive = shard->keepalive,
                                .from = shard->index};
    }
    if (!moved || !clients_leave(&conn->client, &moved->client, target, SLOT_NONE)) {
        free(moved);
        stay(conn);
        return;
    }
    move_forget(conn);
    conn_part(conn);
    slots_give(&shard->slots, conn);
    count(target, 1);
    count(shard->index, UINT32_MAX);
    shard->spread.begun = true;
    send_to(shard, moved, target);
}

static void go_on(struct conn *conn) {
    struct shard *shard = conn->shard;
    struct moves *moves = &shard->moves;
    bool rests = conn_rests(conn), late = shard->exec.clock.now_us >= moves->until_us;
    conn_list_add(&moves->leaving, conn);
    if (rests && !io_is_receiving(&conn->socket)) {
        unsigned target = spread_target(shard);
        if (target == shard->index)
            stay(conn);
        else
            leave(conn, target);
    } else if (late || !conn_may_move(conn)) {
        stay(conn);
    } else {
        io_receive_stop(&shard->io, &conn->socket); /* there may have been no room to ask for that */
        /* Nobody tells of the end of such a send, and with no receive under way of nothing else either. */
        if (!io_is_receiving(&conn->socket) && io_is_sending_quickly(&conn->socket)) conn_wants_turn(conn);
    }
}

void move_on(struct shard *shard) {
    conn_list_run(&shard->moves.leaving, go_on);
}

/* ---- Arriving ------------------------------------------------------------------------------------- */

static struct moved *moved_of(struct post *post) {
    assert(post->kind == POST_MOVED);
    return (struct moved *)(void *)post;
}

void move_drop(struct shard *shard, struct post *post) {
    struct moved *moved = moved_of(post);
    int fd = moved->client.fd;
    clients_remove(&moved->client);
    accepted_close(fd);
    count(shard->index, UINT32_MAX);
    free(moved);
}

/* The shard that it came from has just given a slot back. */
static void without_memory(struct shard *shard, struct moved *moved) {
    if (moved->back) {
        log_warning("Out of memory for client id=%llu, which moved to another shard: connection closed.",
                    (unsigned long long)moved->client.id);
        move_drop(shard, &moved->post);
        return;
    }
    moved->back = true;
    count(moved->from, 1);
    count(shard->index, UINT32_MAX);
    send_to(shard, moved, moved->from);
}

void move_arrived(struct shard *shard, struct post *post) {
    struct moved *moved = moved_of(post);
    assert(client_get(shard->connections) > 0); /* it is counted already */
    if (shard->stopping) {
        move_drop(shard, post);
        return;
    }
    struct conn *conn = slots_take(&shard->slots);
    if (!conn) {
        without_memory(shard, moved);
        return;
    }
    conn_open_moved(conn, shard, moved->kind, &moved->client);
    if (moved->keepalive != shard->keepalive) conn_keep_alive(conn);
    metric_add(&shard->exec.metrics.connections_moved, 1);
    free(moved);
}
