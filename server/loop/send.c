/* send.c - replies leave: one send for a connection and turn, quick where that may be. */
#include "server/loop/send.h"

#include "server/config/config.h"
#include "server/loop/shard.h"

static const struct config_output_limit *limit_of(const struct conn *conn) {
    bool subscribed = client_get(conn->client.flags) & CLIENT_SUBSCRIBED;
    return &config.client_output_buffer_limit[subscribed ? OUTPUT_LIMIT_PUBSUB : OUTPUT_LIMIT_NORMAL];
}

/* How much may lie unsent at once, as of now. Authentication cannot change within a batch. */
size_t send_limit(const struct conn *conn) {
    if (client_must_authenticate(&conn->client)) return MAX_OUTPUT_UNAUTHENTICATED;
    return (size_t)limit_of(conn)->hard;
}

size_t send_soft_limit(const struct conn *conn) {
    return (size_t)limit_of(conn)->soft;
}

static void send_in_flight(struct conn *conn, bool quick) {
    const struct iovec *iov;
    unsigned count = output_rest(&conn->output, &iov);
    assert(count > 0 && count <= MAX_IOV);
    conn->flags |= CONN_SENDING;
    if (io_send(&conn->shard->io, &conn->socket, iov, count, quick)) {
        conn->flags &= ~(uint32_t)CONN_RETRY_SEND;
        return;
    }
    conn->flags |= CONN_RETRY_SEND;
    conn_wants_flush(conn); /* the flush phase of the next turn tries again */
}

/* The time that the soft limit gives is for who does not read: it does not pass while the disk holds the replies back. */
static void check_limits(struct conn *conn, size_t ready) {
    const struct config_output_limit *limit = limit_of(conn);
    uint64_t now_us = conn->shard->exec.clock.now_us;
    size_t unsent = output_unsent(&conn->output), hard = send_limit(conn);
    if (hard && unsent > hard) conn->output.reply.failed = true;
    if (ready < unsent) unsent = ready;
    if (limit->soft == 0 || unsent < (size_t)limit->soft) {
        conn->soft_limit_since_us = 0;
        return;
    }
    conn->shard->limits_watched = true;
    if (!conn->soft_limit_since_us)
        conn->soft_limit_since_us = now_us ? now_us : 1;
    else if (now_us - conn->soft_limit_since_us > (uint64_t)limit->soft_seconds * 1000000)
        conn->output.reply.failed = true;
}

/* A quick send is as good as gone: CLIENT LIST counts nothing of it, for it may be long before anybody looks again. */
static void note_output(struct conn *conn, bool gone) {
    client_set(conn->client.output_bytes, gone ? 0 : output_unsent(&conn->output));
}

static void join_crowd(struct conn *conn) {
    uint32_t noted = crowd_join(&conn->shard->crowd, conn->flags >> CONN_CROWD_SHIFT);
    conn->flags = (conn->flags & ~(UINT32_MAX << CONN_CROWD_SHIFT)) | noted << CONN_CROWD_SHIFT;
}

void send_hold(struct conn *conn, size_t from, uint64_t ticket) {
    if (ticket <= journal_safe()) return;
    if (output_hold(&conn->output, from, ticket)) join_crowd(conn);
}

/* So many bytes may leave; SIZE_MAX where none are held. */
static size_t ready_to_leave(struct conn *conn) {
    return output_awaits(&conn->output) ? output_ready(&conn->output, journal_safe()) : SIZE_MAX;
}

/* A source found no memory, or came to its end with nothing more in front of what is held; or the open run found none to be
 * queued behind others, which are gone by now. */
static void begun_nothing(struct conn *conn) {
    if (conn->output.reply.failed || !output_unsent(&conn->output))
        conn_settle(conn);
    else if (ready_to_leave(conn))
        conn_wants_flush(conn);
    else
        conn_awaits(conn);
}

void send_flush(struct conn *conn) {
    const struct iovec *iov;
    if (conn->flags & CONN_CLOSING) return;
    size_t ready = ready_to_leave(conn);
    check_limits(conn, ready);
    if (conn->output.reply.failed) {
        conn_settle(conn);
        return;
    }
    if (output_in_flight(&conn->output)) {
        note_output(conn, false);
        if (conn->flags & CONN_RETRY_SEND) send_in_flight(conn, false);
        if (io_is_sending_quickly(&conn->socket))
            conn_wants_turn(conn); /* the shard must not sleep on what is behind it */
        return;
    }
    if (!ready) {
        note_output(conn, false);
        if (output_unsent(&conn->output)) conn_awaits(conn);
        return;
    }
    unsigned count = output_begin(&conn->output, ready, &iov);
    if (!count) {
        begun_nothing(conn);
        return;
    }
    /* A last reply must not be quick: the shard would sleep on it, and the close behind it come with the next tick. */
    bool last = conn->flags & CONN_EOF || client_get(conn->client.flags) & CLIENT_CLOSE_AFTER_REPLY;
    /* Nor may what others follow be, which a source has yet to write: its end may not be heard of for long. */
    bool whole = conn->output.inflight_bytes == output_unsent(&conn->output);
    bool quick = io_has_quick(&conn->shard->io) && !last && whole && count == 1 &&
                 iov->iov_len <= OUTPUT_CHUNK_SIZE;
    note_output(conn, quick);
    if (quick) conn_active(conn); /* whoever hears of its end does so later */
    send_in_flight(conn, quick);
}

static void sent(struct conn *conn, size_t n) {
    assert(conn->flags & CONN_SENDING && n <= conn->output.inflight_bytes);
    metric_add(&conn->shard->exec.metrics.writes, 1);
    metric_add(&conn->shard->exec.metrics.output_bytes, n);
    bool all = output_sent(&conn->output, n);
    note_output(conn, false);
    if (!all) {
        send_in_flight(conn, false);
        return;
    }
    conn->flags &= ~(uint32_t)CONN_SENDING;
    if (conn->flags & CONN_STOP_OUTPUT && output_unsent(&conn->output) <= OUTPUT_LOW_WATER)
        conn_resume(conn, CONN_STOP_OUTPUT);
    if (output_unsent(&conn->output)) conn_wants_flush(conn);
    conn_settle(conn);
}

/* What a send left undone is no error: the rest is sent by an operation that waits for room. */
void send_ended(struct conn *conn, int result) {
    if (conn->flags & CONN_CLOSING)
        conn_wants_closing(conn);
    else if (result < 0)
        conn_shut(conn);
    else {
        if (result > 0) conn_active(conn);
        sent(conn, (size_t)result);
    }
}

void send_settled(struct conn *conn) {
    assert(output_in_flight(&conn->output));
    if (conn->flags & CONN_CLOSING)
        conn_wants_closing(conn);
    else
        sent(conn, conn->output.inflight_bytes);
}
