/* conn.c - the beginning and the end of a connection, and the lists of its shard that name it. */
#include "server/loop/conn.h"

#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "server/clients/accepted.h"
#include "server/clients/clients.h"
#include "server/clients/invalidation.h"
#include "server/config/config.h"
#include "server/exec/pause.h"
#include "server/log.h"
#include "server/loop/move.h"
#include "server/loop/receive.h"
#include "server/loop/shard.h"
#include "server/loop/waiting.h"

/* ---- Lists of the shard --------------------------------------------------------------------------- */

void conn_wants_turn(struct conn *conn) {
    assert(!(conn->flags & CONN_CLOSING));
    if (!conn_link_in(&conn->turn_link)) conn_list_add(&conn->shard->ready, conn);
}

void conn_wants_flush(struct conn *conn) {
    assert(!(conn->flags & CONN_CLOSING));
    conn_unpush(conn);
    if (conn->flags & CONN_AWAITS) conn_link_out(&conn->flush_link);
    conn->flags &= ~(uint32_t)CONN_AWAITS;
    if (!conn_link_in(&conn->flush_link)) conn_list_add(&conn->shard->flush, conn);
}

void conn_wants_push(struct conn *conn) {
    assert(!(conn->flags & CONN_CLOSING));
    if (conn_link_in(&conn->flush_link)) return;
    conn->flags |= CONN_PUSHED;
    conn->shard->pushed_count++;
    conn_list_add(&conn->shard->pushed, conn);
}

void conn_unpush(struct conn *conn) {
    if (!(conn->flags & CONN_PUSHED)) return;
    assert(conn->shard->pushed_count > 0);
    conn->shard->pushed_count--;
    conn->flags &= ~(uint32_t)CONN_PUSHED;
    conn_link_out(&conn->flush_link);
}

void conn_awaits(struct conn *conn) {
    uint64_t ticket = output_awaits(&conn->output);
    assert(ticket > 0);
    conn->flags |= CONN_AWAITS;
    if (ticket < conn->shard->awaits) conn->shard->awaits = ticket;
    conn_list_add(&conn->shard->awaiting, conn);
}

void conn_wants_rearm(struct conn *conn) {
    assert(!(conn->flags & CONN_CLOSING));
    if (!conn_link_in(&conn->receive_link)) conn_list_add(&conn->shard->rearm, conn);
}

void conn_wants_closing(struct conn *conn) {
    assert(conn->flags & CONN_CLOSING);
    if (!conn_link_in(&conn->receive_link)) conn_list_add(&conn->shard->closing, conn);
}

void conn_hold(struct conn *conn) {
    conn_link_out(&conn->turn_link);
    conn->flags |= CONN_STOP_PAUSE;
    client_set(conn->client.flags, conn->client.flags | CLIENT_BLOCKED);
    metric_add(&conn->shard->exec.metrics.blocked_clients, 1);
    conn_list_add(&conn->shard->held, conn);
}

static void conn_unhold(struct conn *conn) {
    if (!(conn->flags & CONN_STOP_PAUSE)) return;
    conn_link_out(&conn->turn_link);
    conn->flags &= ~(uint32_t)CONN_STOP_PAUSE;
    client_set(conn->client.flags, conn->client.flags & ~(uint32_t)CLIENT_BLOCKED);
    metric_take(&conn->shard->exec.metrics.blocked_clients, 1);
    conn_active(conn);
}

void conn_resume(struct conn *conn, uint32_t stop_flag) {
    if (stop_flag & CONN_STOP_PAUSE) conn_unhold(conn);
    conn->flags &= ~stop_flag;
    conn_wants_turn(conn);
}

/* ---- Activity ------------------------------------------------------------------------------------- */

void conn_active(struct conn *conn) {
    struct shard *shard = conn->shard;
    client_set(conn->client.active_ms, shard->exec.clock.now_ms);
    silence_heard(&shard->silence, shard->exec.clock.now_us);
}

/* A number that changes while the kernel moves bytes of this connection: what the peer has acknowledged and what
 * has come, or over a Unix socket what the peer has not taken yet. */
static uint64_t bytes_moved(const struct conn *conn) {
    struct tcp_info info;
    socklen_t len = sizeof info;
    int unread = 0;
    if (client_get(conn->client.flags) & CLIENT_UNIX_SOCKET)
        return ioctl(conn->client.fd, SIOCOUTQ, &unread) < 0 ? 0 : 1 + (uint64_t)unread;
    if (getsockopt(conn->client.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) return 0;
    return 1 + info.tcpi_bytes_acked + info.tcpi_bytes_received;
}

/* Who is held back waits for the disk. An operation in flight may be at work for long before it completes. The
 * kernel is asked from half of the limit on, so that two looks lie apart before the limit is reached. */
bool conn_is_idle(struct conn *conn, int64_t limit_ms) {
    int64_t idle_ms = conn->shard->exec.clock.now_ms - conn->client.active_ms;
    if (idle_ms <= limit_ms / 2 || conn->flags & CONN_AWAITS ||
        client_get(conn->client.flags) & (CLIENT_MONITOR | CLIENT_SUBSCRIBED | CLIENT_BLOCKED))
        return false;
    if (conn->flags & CONN_SENDING || io_is_reading(&conn->socket)) {
        uint64_t moved = bytes_moved(conn), before = conn->moved;
        conn->moved = moved;
        if (before && moved != before) {
            conn_active(conn);
            return false;
        }
    }
    return idle_ms > limit_ms;
}

/* ---- Opening and closing -------------------------------------------------------------------------- */

void conn_keep_alive(struct conn *conn) {
    int interval = (int)config.tcp_keepalive, on = interval > 0;
    if (client_get(conn->client.flags) & CLIENT_UNIX_SOCKET || conn->flags & CONN_CLOSING) return;
    setsockopt(conn->client.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (!on) return;
    int probe = interval / 3 > 0 ? interval / 3 : 1, count = 3;
    setsockopt(conn->client.fd, IPPROTO_TCP, TCP_KEEPIDLE, &interval, sizeof interval);
    setsockopt(conn->client.fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe, sizeof probe);
    setsockopt(conn->client.fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void socket_options(struct conn *conn) {
    int on = 1;
    if (client_get(conn->client.flags) & CLIENT_UNIX_SOCKET) return;
    setsockopt(conn->client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (config.tcp_keepalive > 0) conn_keep_alive(conn);
}

bool conn_open(struct conn *conn, struct shard *shard, const struct conn_kind *kind, int fd,
               bool unix_socket) {
    conn->shard = shard;
    conn->kind = kind;
    conn->client = (struct client){.shard = (uint8_t)shard->index,
                                   .slot = conn->client.slot,
                                   .fd = fd,
                                   .resp = 2,
                                   .created_ms = shard->exec.clock.now_ms,
                                   .active_ms = shard->exec.clock.now_ms,
                                   .flags = unix_socket ? CLIENT_UNIX_SOCKET : 0};
    output_open(&conn->output, &shard->chunks);
    if (!kind->open(conn)) return false;
    metric_add(&shard->exec.metrics.connections_received, 1);
    socket_options(conn);
    conn->flags = CONN_OPEN;
    silence_heard(&shard->silence, shard->exec.clock.now_us);
    io_attach(&shard->io, &conn->socket, fd, conn->client.slot, slots_name(conn));
    receive_arm(conn);
    return true;
}

void conn_open_moved(struct conn *conn, struct shard *shard, const struct conn_kind *kind,
                     struct client *client) {
    uint32_t slot = conn->client.slot;
    conn->shard = shard;
    conn->kind = kind;
    clients_arrive(client, &conn->client, shard->index, slot);
    output_open(&conn->output, &shard->chunks);
    conn->output.reply.resp = conn->client.resp;
    conn->flags = CONN_OPEN;
    silence_heard(&shard->silence, shard->exec.clock.now_us);
    io_attach(&shard->io, &conn->socket, conn->client.fd, slot, slots_name(conn));
    bool found = invalidation_arrived(&shard->exec.wakes, &conn->client);
    if (found && !client_get(conn->client.killed)) {
        receive_arm(conn);
        return;
    }
    /* The post for that found nobody. No operation is owed, so nothing but this tells the peer at once. */
    (void)shutdown(conn->client.fd, SHUT_RDWR);
    conn_shut(conn);
}

enum {
    CONN_MOVES = CONN_OPEN | CONN_SENDING | CONN_LARGE | CONN_LEAVING, /* and what CONN_CROWD_SHIFT says */
    CLIENT_BOUND = CLIENT_MULTI | CLIENT_MONITOR | CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW |
                   CLIENT_REPLY_SKIP | CLIENT_IN_EXEC | CLIENT_BLOCKED | CLIENT_SUBSCRIBED | CLIENT_TRACKING,
};

bool conn_may_move(const struct conn *conn) {
    const struct client *client = &conn->client;
    return !(conn->flags & ~(uint32_t)CONN_MOVES & ((1u << CONN_CROWD_SHIFT) - 1)) &&
           !(client->flags & CLIENT_BOUND) && !client->transaction && !client->waiter &&
           !client->subscriber && !conn->bulk && !conn->arg_block_count && !conn->pending.len &&
           !conn->parser.saved && !conn->output.reply.failed && !io_is_reading(&conn->socket);
}

bool conn_rests(const struct conn *conn) {
    return conn_may_move(conn) && !(conn->flags & CONN_SENDING) && !output_unsent(&conn->output) &&
           !conn_link_in(&conn->turn_link) && !conn_link_in(&conn->flush_link) &&
           conn->socket.owed == io_is_receiving(&conn->socket);
}

void conn_part(struct conn *conn) {
    assert(conn->socket.owed == 0 && !conn->client.id && !conn_link_in(&conn->receive_link));
    io_part(&conn->shard->io, &conn->socket);
    request_parser_reset(&conn->parser);
    free(conn->arg_block);
    output_close(&conn->output);
    buffer_free(&conn->pending);
}

/* A peer that sends faster than its turns go through is left to its socket's own flow control. Where it waits, nothing
 * tells for long that it has gone. */
static void check_backlog(struct conn *conn) {
    if (conn_has_backlog(conn)) {
        io_receive_stop(&conn->shard->io, &conn->socket);
        if (conn->flags & CONN_STOP_WAIT) conn->shard->ends_watched = true;
    } else if (!io_is_receiving(&conn->socket) && !io_is_reading(&conn->socket) &&
               !(conn->flags & CONN_EOF)) {
        conn_wants_rearm(conn);
    }
}

void conn_input(struct conn *conn, const char *data, size_t len) {
    if (conn->flags & CONN_CLOSING) return;
    metric_add(&conn->shard->exec.metrics.input_bytes, len);
    if (len) conn_active(conn);
    conn->kind->input(conn, data, len);
    if (conn->flags & CONN_CLOSING) return;
    size_t pending = conn->pending.len - conn->pending_done;
    check_backlog(conn);
    client_set(conn->client.input_bytes, pending + (conn->bulk ? conn->bulk_have : 0));
    if (output_unsent(&conn->output)) conn_wants_flush(conn);
    debug_assert(conn_check(conn));
    conn_settle(conn);
}

void conn_shut(struct conn *conn) {
    if (conn->flags & CONN_CLOSING) return;
    conn_unhold(conn);
    waiting_leave(conn);
    conn_unpush(conn);
    move_forget(conn);
    conn_link_out(&conn->turn_link);
    conn_link_out(&conn->flush_link);
    conn_link_out(&conn->receive_link);
    conn->flags &= ~(uint32_t)CONN_AWAITS;
    conn->flags |= CONN_CLOSING;
    conn_wants_closing(conn);
}

bool conn_check(const struct conn *conn) {
    uint32_t flags = conn->flags;
    bool has_turn = conn_link_in(&conn->turn_link), has_flush = conn_link_in(&conn->flush_link);
    assert(flags & CONN_OPEN);
    assert(!(io_is_receiving(&conn->socket) && io_is_reading(&conn->socket)));
    assert(!(flags & CONN_STOP_LONG) || has_turn);
    assert((flags & CONN_STOP_LONG) != CONN_STOP_LONG);
    assert(flags & CONN_CLOSING || !(flags & CONN_STOP_WAIT) == !conn->client.waiter);
    assert(!(flags & (CONN_AWAITS | CONN_PUSHED)) || has_flush);
    assert((flags & (CONN_AWAITS | CONN_PUSHED)) != (CONN_AWAITS | CONN_PUSHED));
    assert(!(flags & CONN_CLOSING) || !(has_turn || has_flush));
    assert(!(flags & CONN_SENDING) || output_in_flight(&conn->output));
    assert(!(flags & CONN_RETRY_SEND) || (flags & CONN_SENDING && !io_is_sending(&conn->socket)));
    assert(flags & (CONN_CLOSING | CONN_RETRY_SEND) ||
           !(flags & CONN_SENDING) == !io_is_sending(&conn->socket));
    assert(!(flags & CONN_LEAVING) || (!(flags & CONN_CLOSING) && conn_link_in(&conn->receive_link)));
    assert(conn->pending_done <= conn->pending.len);
    assert(!conn->bulk || conn->bulk_have < conn->bulk->capacity);
    return true;
}

/* A connection with a last reply does not come here before that has been sent: what is still under way is dropped. */
bool conn_free(struct conn *conn) {
    struct shard *shard = conn->shard;
    debug_assert(conn_check(conn));
    if (waiting_owed(conn) || !io_detach(&shard->io, &conn->socket)) return false;
    conn->kind->closed(conn);
    accepted_close(conn->client.fd);
    output_close(&conn->output);
    buffer_free(&conn->pending);
    __atomic_fetch_sub(&shard->connections, 1, __ATOMIC_RELAXED);
    return true;
}

/* By CLIENT PAUSE, or because it waits for keys: not for the disk, or for room, which come soon. */
static bool is_stopped_for_long(const struct conn *conn) {
    return conn->flags & CONN_STOP_WAIT ||
           (conn->flags & CONN_STOP_PAUSE && pause_until_ms() > conn->shard->exec.clock.now_ms);
}

void conn_settle(struct conn *conn) {
    uint32_t client = client_get(conn->client.flags);
    if (conn->flags & CONN_CLOSING) return;
    if (conn->output.reply.failed && output_unsent(&conn->output) > MAX_OUTPUT_UNAUTHENTICATED) {
        log_notice("Client id=%llu closed for overcoming of output buffer limits.",
                   (unsigned long long)conn->client.id);
        metric_add(&conn->shard->exec.metrics.output_limit_closes, 1);
    }
    if (client & CLIENT_CLOSE_NOW || conn->output.reply.failed) {
        conn_shut(conn);
        return;
    }
    /* Who is held by CLIENT PAUSE, or waits for keys, and will send no more is given up, as by Redis: the requests that
     * wait with it are never run. */
    if (conn->flags & CONN_EOF && is_stopped_for_long(conn)) {
        client |= CLIENT_CLOSE_AFTER_REPLY;
        client_set(conn->client.flags, client);
    }
    bool ended = conn->flags & CONN_EOF && !(conn->flags & CONN_STOPPED) && !io_is_reading(&conn->socket) &&
                 !conn_link_in(&conn->turn_link);
    if ((ended || client & CLIENT_CLOSE_AFTER_REPLY) && !(conn->flags & CONN_SENDING) &&
        output_unsent(&conn->output) == 0)
        conn_shut(conn);
}

static bool peer_has_gone(const struct conn *conn) {
    struct pollfd asked = {.fd = conn->client.fd, .events = POLLRDHUP};
    return poll(&asked, 1, 0) == 1 && asked.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

void conn_look_for_end(struct conn *conn) {
    if (conn->flags & (CONN_CLOSING | CONN_EOF) || !(conn->flags & CONN_STOP_WAIT) || !conn_has_backlog(conn))
        return;
    conn->shard->ends_watched = true;
    if (io_is_receiving(&conn->socket) || !peer_has_gone(conn)) return;
    conn->flags |= CONN_EOF;
    conn_settle(conn);
}

void conn_fail_memory(struct conn *conn) {
    log_warning("Out of memory for the requests of client id=%llu: connection closed.",
                (unsigned long long)conn->client.id);
    conn_shut(conn);
}
