/* Receives that are armed, end, and are armed again; large arguments that come by both ways. Events are made up where
 * the kernel would not bring them at will. */
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

static void close_conn(void) {
    loop_conn_end(conn, peer);
    fixture_close();
}

static bool wants_rearm(void) {
    bool wants = conn_list_first(&shards->rearm) == conn;
    conn_link_out(&conn->receive_link);
    return wants;
}

static void say(const char *text) {
    CHECK_INT(send(peer, text, strlen(text), 0), strlen(text));
}

/* The receive is over, and so is what the socket knows of it. */
static void ends(struct io_event event) {
    event.operation = IO_RECEIVE;
    event.last = true;
    receive_heard(conn, &event);
}

static void one_receive_is_armed_at_a_time(void) {
    open_conn();
    CHECK_INT(loop_queued(), 1);
    receive_arm(conn);
    CHECK(loop_queued() == 1 && conn->socket.owed == 1);
    say("PING\r\n");
    struct io_event data = loop_event();
    CHECK(data.operation == IO_RECEIVE && data.socket == &conn->socket && data.result == 6 && !data.last);
    receive_heard(conn, &data);
    CHECK(shards->received_count == 1 && shards->received[0].conn == conn && shards->received[0].len == 6);
    CHECK(io_is_receiving(&conn->socket) && !wants_rearm());
    loop_drop_received();
    close_conn();
}

static void a_receive_without_room_is_tried_again(void) {
    open_conn();
    io_receive_stop(&shards->io, &conn->socket);
    struct io_event end = loop_event();
    CHECK(end.last && !io_is_receiving(&conn->socket));
    receive_heard(conn, &end);
    CHECK(wants_rearm() && !(conn->flags & CONN_CLOSING));
    struct loop_blocked was = loop_block();
    receive_arm(conn);
    CHECK(wants_rearm() && !io_is_receiving(&conn->socket));
    loop_unblock(was);
    receive_arm(conn);
    CHECK(!wants_rearm() && io_is_receiving(&conn->socket));
    close_conn();
}

static void what_ends_a_receive_but_not_the_connection_arms_another(void) {
    static const int ordinary[] = {-ENOBUFS, 0};
    open_conn();
    for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++) {
        ends((struct io_event){.result = ordinary[i]});
        CHECK(wants_rearm() && !(conn->flags & (CONN_CLOSING | CONN_EOF)));
        CHECK_INT(shards->exec.metrics.ring_receives_starved, 1);
    }
    close_conn();
}

static void at_the_end_of_the_stream_no_other_is_armed(void) {
    open_conn();
    CHECK_INT(shutdown(peer, SHUT_WR), 0);
    struct io_event end = loop_event();
    CHECK(end.eof && end.last && end.result == 0);
    receive_heard(conn, &end);
    CHECK(conn->flags & CONN_EOF && conn_list_first(&shards->ready) == conn && !wants_rearm());
    receive_arm(conn);
    CHECK(!io_is_receiving(&conn->socket)); /* nothing will come */
    close_conn();
}

static void an_error_ends_the_connection(void) {
    open_conn();
    ends((struct io_event){.result = -ECONNRESET});
    CHECK(conn->flags & CONN_CLOSING && conn_list_first(&shards->closing) == conn);
    close_conn();
}

/* What comes for a connection that is closing is dropped, and it is looked at whether it may be freed. */
static void what_comes_too_late_is_dropped(void) {
    open_conn();
    say("late");
    struct io_event data = loop_event();
    CHECK_INT(data.result, 4);
    conn_shut(conn);
    conn_link_out(&conn->receive_link);
    receive_heard(conn, &data);
    CHECK(shards->received_count == 0 && shards->io.buffers.taken == 0);
    CHECK(conn_list_first(&shards->closing) == conn);
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
    fixture_input(conn, first.data, first.len);
    buffer_free(&first);
    CHECK(conn->bulk && conn->bulk_have == FIRST && conn->flags & CONN_LARGE);
    CHECK(conn->socket.bits & IO_STOPPING);
    fixture_input(conn, value + FIRST, SECOND);
    CHECK_INT(conn->bulk_have, FIRST + SECOND);
    receive_arm(conn);
    CHECK(!io_is_reading(&conn->socket)); /* not before the receive has ended */
    struct io_event end = loop_event();
    CHECK(end.last && end.result == 0);
    receive_heard(conn, &end);
    CHECK(wants_rearm());
}

/* All of it is here: the parser gets it, and the command runs. */
static void check_set(void) {
    CHECK(!conn->bulk && conn->arg_block_count == 1);
    fixture_input(conn, NULL, 0);
    CHECK_INT(conn->arg_block_count, 0);
    CHECK_INT(output_unsent(&conn->output), 5); /* +OK */
    fixture_input(conn, "get k\r\n", 7);
    CHECK_INT(output_unsent(&conn->output), 5 + 9 + LARGE + 2);
}

static void a_large_argument_is_read_into_its_place(void) {
    open_conn();
    announce();
    receive_arm(conn);
    CHECK(io_is_reading(&conn->socket) && !io_is_receiving(&conn->socket));
    CHECK_INT(shards->exec.metrics.ring_direct_reads, 1);
    CHECK_INT(send(peer, value + FIRST + SECOND, LARGE + 2 - FIRST - SECOND, 0), LARGE + 2 - FIRST - SECOND);
    struct io_event end = loop_event();
    CHECK(end.operation == IO_READ && end.result == LARGE + 2 - FIRST - SECOND);
    receive_read_ended(conn, &end);
    CHECK(conn_list_first(&shards->ready) == conn && wants_rearm());
    check_set();
    /* Those that come behind are received singly, and but a little at a time. */
    CHECK_INT(send(peer, value, 5000, 0), 5000);
    receive_arm(conn);
    end = loop_event();
    CHECK(end.operation == IO_RECEIVE && end.last && end.result == 4096);
    receive_heard(conn, &end);
    close_conn();
}

/* Many small requests later it is an ordinary connection again. */
static void a_connection_of_large_arguments_is_not_one_for_ever(void) {
    open_conn();
    announce();
    block_release(conn->bulk);
    conn->bulk = NULL;
    unsigned singles = 0;
    for (bool last = true; last; singles++) {
        say("x");
        receive_arm(conn);
        struct io_event data = loop_event();
        last = data.last;
        CHECK(data.result == 1 && singles <= 100);
        io_release(&shards->io, data.buffer);
    }
    CHECK(singles == 16 + 1 && !(conn->flags & CONN_LARGE));
    close_conn();
}

/* The read is over, and so is what the socket knows of it. */
static void read_ends(int result, bool eof) {
    struct io_event event = {.operation = IO_READ, .result = result, .eof = eof, .last = true};
    receive_read_ended(conn, &event);
}

/* Reads that bring a part, or nothing, are followed by others; the last bytes may come by a buffer. */
static void a_read_that_falls_short_is_followed_by_another(void) {
    open_conn();
    announce();
    size_t have = conn->bulk_have;
    read_ends(0, false);
    CHECK(conn->bulk_have == have && wants_rearm() && !(conn->flags & (CONN_EOF | CONN_CLOSING)));
    memcpy(conn->bulk->data + have, value + have, 40000);
    read_ends(40000, false);
    have += 40000;
    CHECK(conn->bulk_have == have && wants_rearm());
    CHECK_INT(receive_bulk_more(conn, value + have, LARGE + 2 - have), LARGE + 2 - have);
    check_set();
    close_conn();
}

static void a_peer_that_ends_amid_a_large_argument_is_let_go(void) {
    open_conn();
    announce();
    read_ends(0, true);
    CHECK(conn->flags & CONN_EOF && conn_list_first(&shards->ready) == conn);
    close_conn();
    open_conn();
    announce();
    read_ends(-ECONNRESET, false);
    CHECK(conn->flags & CONN_CLOSING);
    close_conn();
}

int main(void) {
    RUN(one_receive_is_armed_at_a_time);
    RUN(a_receive_without_room_is_tried_again);
    RUN(what_ends_a_receive_but_not_the_connection_arms_another);
    RUN(at_the_end_of_the_stream_no_other_is_armed);
    RUN(an_error_ends_the_connection);
    RUN(what_comes_too_late_is_dropped);
    RUN(a_large_argument_is_read_into_its_place);
    RUN(a_connection_of_large_arguments_is_not_one_for_ever);
    RUN(a_read_that_falls_short_is_followed_by_another);
    RUN(a_peer_that_ends_amid_a_large_argument_is_let_go);
    return 0;
}
