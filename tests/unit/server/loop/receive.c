/* Receives that are armed, end, and are armed again; large arguments that come by both ways. Completions are made up
 * where the kernel would not send them at will. */
#include "server/loop/receive.h"

#include <errno.h>

#include "server/loop/input.h"
#include "tests/unit/loop_fixture.h"

static struct conn *conn;
static int peer;

static void open_conn(void) {
    loop_open();
    conn = loop_conn(&peer);
}

/* The receive is cancelled, so that nothing comes of it, and the connection ends. */
static void close_conn(void) {
    conn_shut(conn);
    CHECK(!(conn->pending_ops) || !conn_bury(conn)); /* shuts the socket down */
    for (unsigned i = 0; conn->pending_ops; i++) {
        CHECK(i < 10);
        struct completion end = next_completion(&shards->ring);
        if (op_of(end.user_data) == OP_RECEIVE) receive_completed(conn, end.res, end.flags);
        if (op_of(end.user_data) == OP_READ) receive_read_completed(conn, end.res);
        if (op_of(end.user_data) == OP_CANCEL) receive_cancelled(conn, end.res);
    }
    conn_link_out(&conn->receive_link);
    CHECK(conn_bury(conn));
    slots_give(&shards->slots, conn);
    close(peer);
    fixture_close();
}

static bool wants_rearm(void) {
    bool wants = conn_list_first(&shards->rearm) == conn;
    conn_link_out(&conn->receive_link);
    return wants;
}

static void one_receive_is_armed_at_a_time(void) {
    open_conn();
    CHECK_INT(loop_queued(), 1);
    receive_arm(conn);
    CHECK(loop_queued() == 1 && conn->pending_ops == 1);
    CHECK(send(peer, "PING\r\n", 6, 0) == 6);
    struct completion data = next_completion(&shards->ring);
    CHECK(op_of(data.user_data) == OP_RECEIVE && data.res == 6 && data.flags & IORING_CQE_F_MORE);
    receive_completed(conn, data.res, data.flags);
    CHECK(shards->received_count == 1 && shards->received[0].conn == conn && shards->received[0].len == 6);
    CHECK(conn->flags & CONN_RECEIVING && conn->pending_ops == 1 && !wants_rearm());
    CHECK_INT(shards->buffers.taken, 1);
    buffers_return(&shards->buffers, shards->received[0].buffer);
    shards->received_count = 0;
    close_conn();
}

static void a_receive_without_room_is_tried_again(void) {
    open_conn();
    CHECK(send(peer, "x", 1, 0) == 1);
    struct completion data = next_completion(&shards->ring);
    receive_completed(conn, data.res, data.flags & ~(unsigned)IORING_CQE_F_MORE); /* and that was its last */
    CHECK(wants_rearm() && !(conn->flags & CONN_RECEIVING) && conn->pending_ops == 0);
    buffers_return(&shards->buffers, shards->received[0].buffer);
    shards->received_count = 0;
    conn->flags |= CONN_RECEIVING, conn->pending_ops = 1; /* it goes on, in truth */
    receive_completed(conn, -ECANCELED, 0);
    CHECK(wants_rearm());
    struct loop_blocked was = loop_block();
    receive_arm(conn);
    CHECK(wants_rearm() && !(conn->flags & CONN_RECEIVING));
    loop_unblock(was);
    conn->flags |= CONN_RECEIVING, conn->pending_ops = 1;
    close_conn();
}

static void what_ends_a_receive_but_not_the_connection_arms_another(void) {
    static const int ordinary[] = {-ENOBUFS, -EINTR, -EAGAIN, -ECANCELED};
    open_conn();
    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++) {
        conn->flags |= CONN_CANCELLING;
        receive_completed(conn, ordinary[i], 0);
        CHECK(wants_rearm() && !(conn->flags & (CONN_RECEIVING | CONN_CANCELLING | CONN_CLOSING)));
        conn->flags |= CONN_RECEIVING, conn->pending_ops = 1;
    }
    CHECK_INT(shards->exec.metrics.ring_receives_starved, 1);
    /* A wake-up without data: the socket says that the peer is still there. */
    receive_completed(conn, 0, IORING_CQE_F_SOCK_NONEMPTY);
    CHECK(wants_rearm() && !(conn->flags & CONN_EOF));
    conn->flags |= CONN_RECEIVING, conn->pending_ops = 1;
    close_conn();
}

static void the_end_of_the_stream_is_the_socket_s_word(void) {
    open_conn();
    CHECK_INT(shutdown(peer, SHUT_WR), 0);
    struct completion end = next_completion(&shards->ring);
    CHECK_INT(end.res, 0);
    receive_completed(conn, 0, IORING_CQE_F_SOCK_NONEMPTY); /* as some kernels say it */
    CHECK(conn->flags & CONN_EOF && conn_list_first(&shards->ready) == conn && !wants_rearm());
    receive_arm(conn);
    CHECK(!(conn->flags & CONN_RECEIVING)); /* nothing will come */
    close_conn();
}

static void an_error_ends_the_connection(void) {
    open_conn();
    CHECK_INT(shutdown(peer, SHUT_WR), 0);
    (void)next_completion(&shards->ring);
    receive_completed(conn, -ECONNRESET, 0);
    CHECK(conn->flags & CONN_CLOSING && conn_list_first(&shards->closing) == conn);
    close_conn();
}

/* As if they had never been read: the peer is sent a reset, not an ordinary end. */
static void bytes_that_come_to_a_closing_connection_reset_it(void) {
    struct linger linger;
    socklen_t len = sizeof linger;
    for (int discards = 0; discards < 2; discards++) {
        open_conn();
        int copy = dup(conn->fd);
        CHECK(copy >= 0);
        conn_shut(conn);
        if (discards) CHECK(send(peer, "x", 1, 0) == 1);
        close_conn();
        CHECK_INT(getsockopt(copy, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
        CHECK(linger.l_onoff == discards && linger.l_linger == 0);
        close(copy);
    }
}

static void a_receive_is_cancelled_once(void) {
    open_conn();
    receive_cancel(conn);
    receive_cancel(conn);
    CHECK(conn->flags & CONN_CANCELLING && conn->pending_ops == 2 && loop_queued() == 2);
    for (unsigned i = 0; i < 2; i++) {
        struct completion end = next_completion(&shards->ring);
        if (op_of(end.user_data) == OP_CANCEL) receive_cancelled(conn, end.res);
        if (op_of(end.user_data) == OP_RECEIVE) receive_completed(conn, end.res, end.flags);
    }
    CHECK(conn->pending_ops == 0 && wants_rearm() && !(conn->flags & (CONN_RECEIVING | CONN_CANCELLING)));
    receive_cancel(conn);
    CHECK_INT(loop_queued(), 0); /* there is nothing to cancel */
    close_conn();
}

enum { LARGE = 100000, FIRST = 100, SECOND = 5000 };
static char value[LARGE + 2];

/* A SET of the large value with a first part of it, and a second one that comes before the receive has ended. */
static void announce(void) {
    struct buffer first = {0};
    char head[64];
    for (int i = 0; i < LARGE; i++) value[i] = (char)('a' + i % 23);
    memcpy(value + LARGE, "\r\n", 2);
    shards->limits.bulk_min = DIRECT_READ_MIN;
    int len = snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", LARGE);
    CHECK(buffer_append(&first, (struct bytes){head, (size_t)len}, 1 << 20));
    CHECK(buffer_append(&first, (struct bytes){value, FIRST}, 1 << 20));
    conn_input(conn, first.data, first.len);
    buffer_free(&first);
    CHECK(conn->bulk && conn->bulk_have == FIRST && conn->flags & CONN_CANCELLING &&
          conn->flags & CONN_LARGE);
    conn_input(conn, value + FIRST, SECOND);
    CHECK_INT(conn->bulk_have, FIRST + SECOND);
    receive_arm(conn);
    CHECK(!(conn->flags & CONN_READING)); /* not before the receive has ended */
}

/* All of it is here: the parser gets it, and the command runs. */
static void check_set(void) {
    CHECK(!conn->bulk && conn->arg_block_count == 1);
    conn_input(conn, NULL, 0);
    CHECK_INT(conn->arg_block_count, 0);
    CHECK_INT(output_unsent(&conn->output), 5); /* +OK */
    conn_input(conn, "get k\r\n", 7);
    CHECK_INT(output_unsent(&conn->output), 5 + 9 + LARGE + 2);
}

static void a_large_argument_is_read_into_its_place(void) {
    open_conn();
    announce();
    for (unsigned i = 0; i < 2; i++) {
        struct completion end = next_completion(&shards->ring);
        if (op_of(end.user_data) == OP_CANCEL) receive_cancelled(conn, end.res);
        if (op_of(end.user_data) == OP_RECEIVE) receive_completed(conn, end.res, end.flags);
    }
    CHECK(wants_rearm());
    receive_arm(conn);
    CHECK(conn->flags & CONN_READING && !(conn->flags & CONN_RECEIVING) && conn->pending_ops == 1);
    CHECK_INT(send(peer, value + FIRST + SECOND, LARGE + 2 - FIRST - SECOND, 0), LARGE + 2 - FIRST - SECOND);
    struct completion end = next_completion(&shards->ring);
    CHECK(op_of(end.user_data) == OP_READ && end.res == LARGE + 2 - FIRST - SECOND);
    receive_read_completed(conn, end.res);
    CHECK(conn->pending_ops == 0 && conn_list_first(&shards->ready) == conn && wants_rearm());
    check_set();
    /* Those that come behind are received singly, and but a little at a time. */
    receive_arm(conn);
    CHECK_INT(send(peer, value, 2 * FIRST, 0), 2 * FIRST);
    end = next_completion(&shards->ring);
    CHECK(op_of(end.user_data) == OP_RECEIVE && !(end.flags & IORING_CQE_F_MORE));
    receive_completed(conn, end.res, end.flags);
    shards->received_count = 0;
    close_conn();
}

/* Reads that bring a part, or nothing, are followed by others; the last bytes may come by a buffer. */
static void a_read_that_falls_short_is_followed_by_another(void) {
    static const int nothing[] = {-EINTR, -EAGAIN};
    open_conn();
    announce();
    size_t have = conn->bulk_have;
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        conn->flags |= CONN_READING, conn->pending_ops++;
        receive_read_completed(conn, nothing[i]);
        CHECK(conn->bulk_have == have && wants_rearm() && !(conn->flags & (CONN_READING | CONN_CLOSING)));
    }
    memcpy(conn->bulk->data + have, value + have, 40000);
    conn->flags |= CONN_READING, conn->pending_ops++;
    receive_read_completed(conn, 40000);
    have += 40000;
    CHECK(conn->bulk_have == have && wants_rearm());
    CHECK_INT(receive_bulk_more(conn, value + have, LARGE + 2 - have), LARGE + 2 - have);
    check_set();
    close_conn();
}

static void a_peer_that_ends_amid_a_large_argument_is_let_go(void) {
    open_conn();
    announce();
    conn->flags |= CONN_READING, conn->pending_ops++;
    receive_read_completed(conn, 0);
    CHECK(conn->flags & CONN_EOF && conn_list_first(&shards->ready) == conn);
    close_conn();
    open_conn();
    announce();
    conn->flags |= CONN_READING, conn->pending_ops++;
    receive_read_completed(conn, -ECONNRESET);
    CHECK(conn->flags & CONN_CLOSING);
    close_conn();
}

int main(void) {
    RUN(one_receive_is_armed_at_a_time);
    RUN(a_receive_without_room_is_tried_again);
    RUN(what_ends_a_receive_but_not_the_connection_arms_another);
    RUN(the_end_of_the_stream_is_the_socket_s_word);
    RUN(an_error_ends_the_connection);
    RUN(bytes_that_come_to_a_closing_connection_reset_it);
    RUN(a_receive_is_cancelled_once);
    RUN(a_large_argument_is_read_into_its_place);
    RUN(a_read_that_falls_short_is_followed_by_another);
    RUN(a_peer_that_ends_amid_a_large_argument_is_let_go);
    return 0;
}
