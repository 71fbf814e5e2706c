/* waiting.c - a connection stands on a list of the shard while it waits, so that it has no turn, and its backlog is left to
 * its socket's own flow control. */
#include "server/loop/waiting.h"

#include "protocol/assert.h"
#include "server/exec/blocking.h"
#include "server/loop/send.h"
#include "server/loop/shard.h"

void waiting_begin(struct conn *conn) {
    assert(conn->client.waiter && !(conn->flags & (CONN_STOP_WAIT | CONN_STOP_PAUSE)));
    conn_link_out(&conn->turn_link);
    conn->flags |= CONN_STOP_WAIT;
    conn_list_add(&conn->shard->waiting, conn);
    metric_add(&conn->shard->exec.metrics.blocked_clients, 1);
}

static void end(struct conn *conn) {
    assert(conn->flags & CONN_STOP_WAIT);
    conn_link_out(&conn->turn_link);
    conn->flags &= ~(uint32_t)CONN_STOP_WAIT;
    metric_take(&conn->shard->exec.metrics.blocked_clients, 1);
}

static void answer(struct conn *conn) {
    struct shard *shard = conn->shard;
    size_t from = output_unsent(&conn->output);
    uint64_t ticket = blocking_shows(&conn->client);
    end(conn);
    blocking_answer(&shard->exec, &conn->client, &conn->output.reply);
    if (journal_holds()) send_hold(conn, from, ticket);
    assert(!conn->client.waiter);
    conn_active(conn);
    conn_wants_turn(conn);
    conn_wants_flush(conn);
}

static struct conn *conn_of(struct client *client) {
    return (struct conn *)(void *)client;
}

void waiting_posted(struct shard *shard, struct post *post) {
    struct conn *conn = conn_of(post->client);
    assert(conn->shard == shard && conn->client.waiter && conn->flags & CONN_OPEN);
    if (!(conn->flags & CONN_CLOSING)) {
        answer(conn);
        return;
    }
    blocking_drop(&shard->exec, &conn->client);
    conn_wants_closing(conn);
}

void waiting_expire(struct shard *shard) {
    for (struct client *client; (client = blocking_passed(&shard->exec));) answer(conn_of(client));
    if (blocking_due_us(&shard->exec) > shard->exec.clock.now_us) return;
    for (struct client *client; (client = blocking_expired(&shard->exec));) answer(conn_of(client));
}

void waiting_leave(struct conn *conn) {
    if (!(conn->flags & CONN_STOP_WAIT)) return;
    end(conn);
    (void)blocking_leave(&conn->shard->exec, &conn->client);
}

bool waiting_owed(const struct conn *conn) {
    assert(!conn->client.waiter || conn->flags & CONN_CLOSING);
    return conn->client.waiter != NULL;
}
