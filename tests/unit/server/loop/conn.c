/* How a connection begins, is held, and ends. */
#include "server/loop/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "server/exec/pause.h"
#include "tests/unit/loop_fixture.h"

static void free_conn(struct conn *conn) {
    conn_link_out(&conn->receive_link);
    CHECK(conn_free(conn));
    slots_give(&shards->slots, conn);
}

static void a_connection_begins_registered_and_armed(void) {
    int fd;
    char byte;
    loop_open();
    struct conn *conn = loop_conn(&fd);
    CHECK(conn->flags & CONN_OPEN && io_is_receiving(&conn->socket));
    CHECK_INT(loop_queued(), 1);
    CHECK_INT(clients_count(), 1);
    CHECK(conn->client.id && conn->client.flags & CLIENT_UNIX_SOCKET && conn->client.resp == 2);
    CHECK_INT(shards->exec.metrics.connections_received, 1);
    conn_shut(conn);
    CHECK(!conn_free(conn)); /* the receive is owed */
    struct io_event end = loop_event();
    CHECK(end.operation == IO_RECEIVE && end.socket == &conn->socket && end.result == 0 && end.last);
    CHECK(conn_list_first(&shards->closing) == conn);
    conn_link_out(&conn->receive_link);
    receive_heard(conn, &end);
    CHECK(conn_list_first(&shards->closing) == conn);
    free_conn(conn);
    CHECK_INT(clients_count(), 0);
    CHECK_INT(read(fd, &byte, 1), 0);
    close(fd);
    fixture_close();
}

static void a_tcp_connection_sends_at_once_and_is_probed(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address, int_len = sizeof(int);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client, value;
    loop_open();
    config.tcp_keepalive = 60;
    CHECK(bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(client, (struct sockaddr *)&address, len) == 0);
    int fd = accept(listener, NULL, NULL);
    struct conn *conn = slots_take(&shards->slots);
    CHECK(fd >= 0 && conn && conn_open(conn, shards, &input_client, fd, false));
    CHECK(!(conn->client.flags & CLIENT_UNIX_SOCKET));
    static const struct {
        int level, name, expected;
    } options[] = {{IPPROTO_TCP, TCP_NODELAY, 1},
                   {SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 60},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 20},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        CHECK(getsockopt(fd, options[i].level, options[i].name, &value, &int_len) == 0);
        CHECK_INT(value, options[i].expected);
    }
    config.tcp_keepalive = 2; /* the option was changed */
    conn_keep_alive(conn);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &int_len) == 0 && value == 2);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &value, &int_len) == 0 && value == 1); /* the least */
    config.tcp_keepalive = 0;
    conn_keep_alive(conn);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &int_len) == 0 && value == 0);
    close(listener);
    shards->connections++;
    loop_conn_end(conn, client);
    fixture_close();
}

static void one_client_too_many_begins_nothing(void) {
    int pair[2], fd;
    loop_open();
    config.maxclients = 1;
    struct conn *first = loop_conn(&fd);
    open_pair(pair);
    struct conn *conn = slots_take(&shards->slots);
    CHECK(conn && !conn_open(conn, shards, &input_client, pair[0], true));
    CHECK(!(conn->flags & CONN_OPEN) && loop_queued() == 1 && clients_count() == 1);
    CHECK_INT(shards->exec.metrics.connections_received, 1);
    CHECK_INT(fcntl(pair[0], F_GETFD) >= 0, 1); /* it is the caller's still */
    slots_give(&shards->slots, conn);
    close(pair[0]);
    close(pair[1]);
    loop_conn_end(first, fd);
    fixture_close();
}

/* What is queued is sent before a peer that sends no more is hung up on. */
static void a_connection_settles_when_nothing_is_left_to_do(void) {
    fixture_open(1);
    struct conn *conn = fixture_conn(shards);
    conn_settle(conn);
    CHECK(!(conn->flags & CONN_CLOSING));
    reply_raw(&conn->output.reply, BYTES("+late\r\n"));
    conn->flags |= CONN_EOF;
    conn_settle(conn);
    CHECK(!(conn->flags & CONN_CLOSING));
    struct buffer sent = {0};
    fixture_take(&conn->output, &sent);
    buffer_free(&sent);
    static const uint32_t busy[] = {CONN_STOP_OUTPUT, CONN_SENDING};
    for (size_t i = 0; i < sizeof busy / sizeof *busy; i++) {
        conn->flags |= busy[i];
        conn_settle(conn);
        CHECK(!(conn->flags & CONN_CLOSING));
        conn->flags &= ~busy[i];
    }
    conn->socket.bits |= IO_READING;
    conn_settle(conn);
    CHECK(!(conn->flags & CONN_CLOSING));
    conn->socket.bits &= ~(uint32_t)IO_READING;
    conn_settle(conn);
    CHECK(conn->flags & CONN_CLOSING);
    fixture_conn_close(conn);
    conn = fixture_conn(shards);
    reply_raw(&conn->output.reply, BYTES("+never\r\n"));
    conn->client.flags |= CLIENT_CLOSE_NOW;
    conn_settle(conn);
    CHECK(conn->flags & CONN_CLOSING);
    fixture_conn_close(conn);
    fixture_close();
}

static void held_connections_are_let_go_in_any_order(void) {
    struct conn *conns[5];
    fixture_open(1);
    for (unsigned i = 0; i < 5; i++) {
        conns[i] = fixture_conn(shards);
        conn_hold(conns[i]);
    }
    CHECK(conn_list_first(&shards->held) == conns[0]);
    static const unsigned order[] = {2, 0, 4};
    for (unsigned i = 0; i < 3; i++) fixture_conn_close(conns[order[i]]); /* one that ends is held no more */
    CHECK(conn_list_first(&shards->held) == conns[1]);
    conn_resume(conns[3], CONN_STOP_PAUSE);
    CHECK(conn_list_first(&shards->held) == conns[1] && conn_list_first(&shards->ready) == conns[3]);
    conn_resume(conns[1], CONN_STOP_PAUSE);
    CHECK(conn_list_empty(&shards->held));
    conn_hold(conns[3]); /* and is given no turn meanwhile */
    conn_wants_turn(conns[3]);
    CHECK(conn_list_first(&shards->held) == conns[3] && conn_list_first(&shards->ready) == conns[1]);
    fixture_conn_close(conns[1]);
    fixture_conn_close(conns[3]);
    CHECK(conn_list_empty(&shards->held) && conn_list_empty(&shards->ready));
    fixture_close();
}

/* What waits for the disk, or for room, is run though its client sends no more; a pause takes too long for that. */
static void a_pause_alone_gives_up_who_sends_no_more(void) {
    fixture_open(1);
    struct conn *conn = fixture_conn(shards);
    int64_t now_ms = shards->exec.clock.now_ms;
    conn_hold(conn);
    conn->flags |= CONN_EOF;
    conn_settle(conn);
    CHECK(!(conn->flags & CONN_CLOSING) && conn_list_first(&shards->held) == conn);
    pause_begin(PAUSE_WRITE, now_ms + 1000, now_ms);
    conn_settle(conn);
    CHECK(conn->flags & CONN_CLOSING);
    pause_end();
    fixture_conn_close(conn);
    fixture_close();
}

/* Another kind: each line comes back as it was said, and `bye` is the last one. */
static unsigned echo_opened, echo_closed;

static bool echo_open(struct conn *conn) {
    echo_opened++;
    return true;
}
static void echo_input(struct conn *conn, const char *data, size_t len) {
    CHECK(buffer_append(&conn->pending, (struct bytes){data, len}, 1000));
    for (const char *end; (end = memchr(conn->pending.data, '\n', conn->pending.len));) {
        struct bytes line = {conn->pending.data, (size_t)(end + 1 - conn->pending.data)};
        reply_raw(&conn->output.reply, line);
        if (bytes_equal(line, BYTES("bye\n"))) conn->client.flags |= CLIENT_CLOSE_AFTER_REPLY;
        buffer_consume(&conn->pending, line.len);
    }
}
static void echo_end(struct conn *conn) {
    CHECK(conn->flags & CONN_CLOSING);
    echo_closed++;
}
static const struct conn_kind echo = {.open = echo_open, .input = echo_input, .closed = echo_end};

static void echo_turn(struct conn *conn, int fd, struct bytes said, struct bytes expected) {
    char text[100];
    CHECK_INT(send(fd, said.data, said.len, 0), said.len);
    struct io_event event = loop_event();
    CHECK(event.operation == IO_RECEIVE && event.result == (int)said.len);
    receive_heard(conn, &event);
    CHECK(shards->received_count == 1 && shards->received[0].conn == conn);
    conn_input(conn, io_buffer(&shards->io, shards->received[0].buffer), said.len);
    loop_drop_received();
    CHECK(conn_link_in(&conn->flush_link) == (expected.len != 0));
    if (!expected.len) return;
    conn_link_out(&conn->flush_link);
    shards->io.quick_sends = false;
    send_flush(conn);
    event = loop_event();
    CHECK(event.operation == IO_SEND && event.result == (int)expected.len);
    send_ended(conn, event.result);
    CHECK_INT(read(fd, text, sizeof text), expected.len);
    CHECK_BYTES(((struct bytes){text, expected.len}), expected);
}

static void a_connection_may_speak_something_else_than_resp(void) {
    int fd;
    loop_open();
    struct conn *conn = loop_conn_of(&echo, &fd);
    CHECK(echo_opened == 1 && clients_count() == 0);
    echo_turn(conn, fd, BYTES("*1\r\n$4\r\n"), BYTES("*1\r\n$4\r\n"));
    echo_turn(conn, fd, BYTES("ping"), BYTES(""));
    CHECK_INT(conn->client.input_bytes, 4);
    echo_turn(conn, fd, BYTES("\nset a b\nget "), BYTES("ping\nset a b\n"));
    echo_turn(conn, fd, BYTES("a\nbye\n"), BYTES("get a\nbye\n"));
    CHECK(conn->flags & CONN_CLOSING && !echo_closed);
    conn_link_out(&conn->receive_link);
    CHECK(!conn_free(conn));
    struct io_event end = loop_event();
    receive_heard(conn, &end);
    free_conn(conn);
    CHECK(echo_closed == 1 && shards->connections == 0);
    close(fd);
    fixture_close();
}

int main(void) {
    RUN(a_connection_begins_registered_and_armed);
    RUN(a_tcp_connection_sends_at_once_and_is_probed);
    RUN(one_client_too_many_begins_nothing);
    RUN(a_connection_settles_when_nothing_is_left_to_do);
    RUN(held_connections_are_let_go_in_any_order);
    RUN(a_pause_alone_gives_up_who_sends_no_more);
    RUN(a_connection_may_speak_something_else_than_resp);
    return 0;
}
