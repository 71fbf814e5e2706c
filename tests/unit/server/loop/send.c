/* Replies that leave: at once, in parts, not at all. Results are made up. */
#include "server/loop/send.h"

#include <errno.h>

#include "server/journal/journal.h"
#include "tests/unit/loop_fixture.h"

static struct conn *conn;
static int peer;

/* Its receive has ended, so that only sends are under way. */
static void open_conn(void) {
    loop_open();
    conn = loop_conn(&peer);
    io_receive_stop(&shards->io, &conn->socket);
    CHECK(loop_event().last && conn->socket.owed == 0);
    shards->io.quick_sends = false;
}

static void close_conn(void) {
    loop_conn_end(conn, peer);
    fixture_close();
}

static void say(const char *text) {
    reply_raw(&conn->output.reply, bytes_of(text));
}

/* The send that is under way has ended, and as if like this. */
static void ends(int result) {
    struct io_event event = loop_event();
    CHECK(event.operation == IO_SEND && event.socket == &conn->socket && !io_is_sending(&conn->socket));
    send_ended(conn, result);
}

static bool wants_flush(void) {
    bool wants = conn_list_first(&shards->flush) == conn;
    conn_link_out(&conn->flush_link);
    return wants;
}

/* A send is under way, with so many bytes. */
static void check_sending(size_t bytes) {
    CHECK(conn->flags & CONN_SENDING && io_is_sending(&conn->socket) && conn->socket.owed == 1);
    CHECK_INT(conn->output.inflight_bytes, bytes);
}

static void one_send_is_under_way_at_a_time(void) {
    open_conn();
    send_flush(conn);
    CHECK(!(conn->flags & CONN_SENDING)); /* there is nothing */
    say("+one\r\n");
    say("+two\r\n");
    send_flush(conn);
    check_sending(12);
    say("+three\r\n");
    send_flush(conn);
    check_sending(12); /* what came meanwhile waits */
    ends(5);
    check_sending(7); /* the rest is sent, nothing twice */
    CHECK(!wants_flush());
    ends(7);
    CHECK(!(conn->flags & CONN_SENDING) && conn->socket.owed == 0 && wants_flush());
    send_flush(conn);
    check_sending(8);
    ends(8);
    CHECK(output_unsent(&conn->output) == 0 && !wants_flush());
    CHECK_INT(shards->exec.metrics.output_bytes, 20);
    close_conn();
}

static void a_send_without_room_is_tried_again(void) {
    open_conn();
    say("+one\r\n");
    struct loop_blocked was = loop_block();
    send_flush(conn);
    CHECK(conn->flags & CONN_RETRY_SEND && conn->socket.owed == 0 && wants_flush());
    loop_unblock(was);
    send_flush(conn);
    CHECK(!(conn->flags & CONN_RETRY_SEND));
    check_sending(6);
    ends(6);
    close_conn();
}

static void errors_end_the_connection_and_waiting_does_not(void) {
    open_conn();
    say("+one\r\n");
    send_flush(conn);
    ends(0);
    check_sending(6);
    ends(-EPIPE);
    CHECK(conn->flags & CONN_CLOSING && conn->socket.owed == 0);
    close_conn();
}

static bool is_quick(void) {
    return io_is_sending_quickly(&conn->socket);
}

static void a_quick_send_that_nobody_complains_of_has_gone(void) {
    open_conn();
    shards->io.quick_sends = true;
    say("+one\r\n");
    int64_t sent_ms = shards->exec.clock.now_ms += 50;
    send_flush(conn);
    check_sending(6);
    CHECK(is_quick());
    CHECK_INT(conn->client.output_bytes, 0);
    shards->exec.clock.now_ms += 100; /* it counts as idle since then, whenever its end is heard of */
    CHECK_INT(io_wait(&shards->io, 0, 0, 0), 0);
    CHECK(io_ready(&shards->io) == 0 && io_settled(&shards->io) == &conn->socket);
    send_settled(conn);
    CHECK(!(conn->flags & CONN_SENDING) && output_unsent(&conn->output) == 0);
    CHECK_INT(conn->client.active_ms, sent_ms);
    close_conn();
}

/* Its end is silent: the shard has a turn without waiting for it. */
static void what_comes_behind_a_quick_send_does_not_wait_for_an_event(void) {
    open_conn();
    shards->io.quick_sends = true;
    say("+one\r\n");
    send_flush(conn);
    CHECK(is_quick() && conn_list_empty(&shards->ready));
    say("+two\r\n");
    send_flush(conn);
    check_sending(6);
    CHECK(conn_list_first(&shards->ready) == conn);
    conn_link_out(&conn->turn_link);
    CHECK_INT(io_wait(&shards->io, 0, 0, 0), 0);
    CHECK(io_ready(&shards->io) == 0 && io_settled(&shards->io) == &conn->socket);
    send_settled(conn);
    CHECK(wants_flush());
    send_flush(conn);
    check_sending(6);
    CHECK(is_quick() && conn_list_empty(&shards->ready));
    close_conn();
}

static void a_quick_send_that_fell_short_goes_on_without_haste(void) {
    char filler[65536] = {0};
    open_conn();
    shards->io.quick_sends = true;
    while (send(conn->client.fd, filler, sizeof filler, MSG_DONTWAIT) > 0)
        continue; /* the peer reads nothing */
    say("+one\r\n");
    send_flush(conn);
    CHECK(is_quick());
    ends(2);
    CHECK(!is_quick());
    check_sending(4);
    while (recv(peer, filler, sizeof filler, MSG_DONTWAIT) > 0) continue;
    ends(4);
    say("+two\r\n");
    send_flush(conn);
    CHECK(is_quick()); /* and the next one is quick again */
    close_conn();
}

static void last_replies_large_ones_and_several_pieces_are_not_quick(void) {
    struct block *block = block_new_zeroed(PIN_MIN, PIN_MIN);
    CHECK(block);
    open_conn();
    shards->io.quick_sends = true;
    say("+one\r\n");
    CHECK(output_attach(&conn->output, block));
    send_flush(conn);
    CHECK(!is_quick());
    check_sending(6 + PIN_MIN);
    ends(6 + PIN_MIN);
    say("+bye\r\n");
    conn->client.flags |= CLIENT_CLOSE_AFTER_REPLY;
    send_flush(conn);
    CHECK(!is_quick());
    check_sending(6);
    ends(6);
    CHECK(conn->flags & CONN_CLOSING);
    close_conn();
}

static bool write_one(struct reply_source *source, struct reply *reply, size_t budget) {
    (void)source, (void)budget;
    reply_literal(reply, "+one\r\n");
    return false;
}
static void drop_nothing(struct reply_source *source) {
    (void)source;
}

/* The end of a quick send may not be heard of for long, and it is what makes a source write. */
static void what_a_source_follows_is_not_quick(void) {
    struct reply_source source = {.more = write_one, .drop = drop_nothing};
    open_conn();
    shards->io.quick_sends = true;
    say("*1\r\n");
    reply_source(&conn->output.reply, &source);
    say("+two\r\n");
    send_flush(conn);
    CHECK(!is_quick());
    check_sending(4);
    ends(4);
    CHECK(wants_flush());
    send_flush(conn); /* the source has come to its end, and something is behind it */
    CHECK(!is_quick());
    check_sending(6);
    ends(6);
    CHECK(wants_flush());
    send_flush(conn);
    CHECK(is_quick());
    check_sending(6);
    close_conn();
}

static void take_tickets(uint64_t last) {
    while (journal_next() < last) (void)journal_take();
}

/* What came before may go; what waits is awaited by its first ticket. */
static void replies_that_may_not_be_shown_yet_wait(void) {
    open_conn();
    CHECK(journal_open(1));
    take_tickets(6);
    journal_publish(4);
    say("+one\r\n");
    send_hold(conn, 6, 4); /* safe already */
    send_flush(conn);
    check_sending(6);
    say("+two\r\n");
    send_hold(conn, 6, 5);
    send_flush(conn);
    CHECK(!(conn->flags & CONN_AWAITS)); /* first it has to hear of the other */
    ends(6);
    CHECK(wants_flush());
    send_flush(conn);
    CHECK(conn_list_first(&shards->awaiting) == conn && !(conn->flags & CONN_SENDING));
    CHECK(conn_check(conn) && shards->awaits == 5);
    say("+three\r\n");
    send_hold(conn, 6, 6);
    conn_wants_flush(conn);
    CHECK(conn_list_empty(&shards->awaiting) && !(conn->flags & CONN_AWAITS));
    journal_publish(5);
    CHECK(wants_flush());
    send_flush(conn);
    check_sending(6); /* not quick: the rest waits for its end */
    ends(6);
    CHECK(wants_flush());
    send_flush(conn);
    CHECK(conn_list_first(&shards->awaiting) == conn);
    conn_shut(conn);
    CHECK(conn_list_empty(&shards->awaiting) && conn_check(conn));
    close_conn();
    journal_close();
}

/* The limit in time is for those who do not read. */
static void who_waits_for_the_disk_is_not_closed_for_it(void) {
    open_conn();
    CHECK(journal_open(1));
    take_tickets(2);
    options_set("client-output-buffer-limit normal 100 50 10\n");
    for (int i = 0; i < 10; i++) say("+x1234\r\n");
    send_hold(conn, 0, 2);
    send_flush(conn);
    shards->exec.clock.now_us += 100 * 1000000;
    shards->exec.clock.now_ms += 100 * 1000;
    CHECK(!conn_is_idle(conn, 1000));
    conn_wants_flush(conn);
    CHECK(wants_flush());
    send_flush(conn);
    CHECK(!(conn->flags & CONN_CLOSING) && !conn->soft_limit_since_us);
    for (int i = 0; i < 3; i++) say("+x1234\r\n"); /* memory is another matter */
    conn_wants_flush(conn);
    CHECK(wants_flush());
    send_flush(conn);
    CHECK(conn->flags & CONN_CLOSING);
    close_conn();
    journal_close();
}

static void whoever_reads_too_little_is_closed(void) {
    open_conn();
    options_set("client-output-buffer-limit normal 100 50 10\n");
    CHECK_INT(send_limit(conn), 100);
    uint64_t begun_us = shards->exec.clock.now_us;
    for (int i = 0; i < 10; i++) say("+x1234\r\n");
    send_flush(conn);
    CHECK(conn->soft_limit_since_us == begun_us && shards->limits_watched);
    shards->exec.clock.now_us = begun_us + 10 * 1000000;
    send_flush(conn);
    CHECK(!(conn->flags & CONN_CLOSING)); /* not longer than that */
    ends(80);
    send_flush(conn);
    CHECK(!conn->soft_limit_since_us);
    for (int i = 0; i < 10; i++) say("+x1234\r\n");
    send_flush(conn);
    shards->exec.clock.now_us += 10 * 1000000 + 1;
    send_flush(conn);
    CHECK(conn->flags & CONN_CLOSING);
    close_conn();

    open_conn();
    options_set("client-output-buffer-limit normal 100 0 0\n");
    for (int i = 0; i < 13; i++) say("+x1234\r\n");
    send_flush(conn);
    CHECK(conn->flags & CONN_CLOSING && !(conn->flags & CONN_SENDING));
    close_conn();
}

static void requests_wait_until_replies_have_been_read(void) {
    open_conn();
    say("+one\r\n");
    conn->flags |= CONN_STOP_OUTPUT;
    send_flush(conn);
    ends(6);
    CHECK(!(conn->flags & CONN_STOP_OUTPUT) && conn_list_first(&shards->ready) == conn);
    close_conn();
}

int main(void) {
    RUN(one_send_is_under_way_at_a_time);
    RUN(a_send_without_room_is_tried_again);
    RUN(errors_end_the_connection_and_waiting_does_not);
    RUN(a_quick_send_that_nobody_complains_of_has_gone);
    RUN(what_comes_behind_a_quick_send_does_not_wait_for_an_event);
    RUN(a_quick_send_that_fell_short_goes_on_without_haste);
    RUN(last_replies_large_ones_and_several_pieces_are_not_quick);
    RUN(what_a_source_follows_is_not_quick);
    RUN(replies_that_may_not_be_shown_yet_wait);
    RUN(who_waits_for_the_disk_is_not_closed_for_it);
    RUN(whoever_reads_too_little_is_closed);
    RUN(requests_wait_until_replies_have_been_read);
    return 0;
}
