/* What has come runs in the order in which it came; but a short request is not behind others' backlogs. */
#include "server/loop/execute.h"

#include "tests/unit/loop_fixture.h"

enum { LONG_REQUESTS = 4000, LONG_VALUE = 400 };

static struct conn *busy, *asks, *sends;
static int busy_peer, asks_peer, sends_peer;

static void open_conns(void) {
    loop_open();
    busy = loop_conn(&busy_peer), asks = loop_conn(&asks_peer), sends = loop_conn(&sends_peer);
}

static void close_conns(void) {
    loop_conn_end(busy, busy_peer);
    loop_conn_end(asks, asks_peer);
    loop_conn_end(sends, sends_peer);
    fixture_close();
}

/* Its bytes are received, in as many parts as the kernel makes of them. */
static void say(int peer, struct bytes text) {
    size_t received = 0;
    CHECK_INT(send(peer, text.data, text.len, 0), text.len);
    while (received < text.len) {
        struct io_event event = loop_event();
        CHECK(event.operation == IO_RECEIVE && event.result > 0);
        received += (size_t)event.result;
        loop_heard(&event);
    }
}

/* The next turn begins: time is counted from there. */
static void next_turn(void) {
    shards->turn++;
    clock_read(&shards->exec.clock);
}

/* More requests than a turn takes from one connection. */
static void let_one_have_a_backlog(void) {
    static char text[LONG_REQUESTS * 8];
    for (int i = 0; i < LONG_REQUESTS; i++) memcpy(text + i * 8, "incr n\r\n", 8);
    say(busy_peer, (struct bytes){text, sizeof text});
    next_turn();
    CHECK(!execute_short(shards)); /* nobody has a backlog yet */
    CHECK(shards->received_count > 0);
    execute(shards);
    CHECK(shards->received_count == 0 && conn_link_in(&busy->turn_link));
}

static size_t replied(const struct conn *conn) {
    return output_unsent(&conn->output);
}

static void a_short_request_is_not_behind_what_others_have_asked(void) {
    char text[LONG_VALUE + 64];
    open_conns();
    let_one_have_a_backlog();
    int len = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%0*d\r\n", LONG_VALUE,
                       LONG_VALUE, 0);
    say(sends_peer, (struct bytes){text, (size_t)len});
    say(asks_peer, BYTES("strlen k\r\n"));
    next_turn();
    size_t busy_had = replied(busy);
    CHECK(execute_short(shards));
    CHECK_INT(replied(asks), 4); /* ":0": what came before it and is longer has not run */
    CHECK(replied(busy) == busy_had && replied(sends) == 0);
    CHECK(shards->received_count == 1 && shards->received[0].conn == sends);
    execute(shards);
    CHECK(shards->received_count == 0 && shards->io.buffers.taken == 0);
    CHECK(replied(busy) > busy_had && replied(sends) == 5);
    CHECK(!execute_short(shards)); /* nothing has come */
    close_conns();
}

/* Its end is short, but not all that there is to be run. */
static void the_rest_of_a_long_request_waits_for_its_beginning(void) {
    char text[LONG_VALUE + 64];
    open_conns();
    let_one_have_a_backlog();
    int len = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%0*d\r\n", LONG_VALUE,
                       LONG_VALUE, 0);
    say(sends_peer, (struct bytes){text, (size_t)len - 2});
    say(sends_peer, BYTES("\r\n"));
    say(asks_peer, BYTES("*2\r\n$6\r\nSTRLEN\r\n"));
    next_turn();
    CHECK(execute_short(shards));
    CHECK(shards->received_count == 2 && replied(sends) == 0 && replied(asks) == 0);
    execute(shards);
    CHECK_INT(replied(sends), 5);
    say(asks_peer, BYTES("$1\r\nk\r\n"));
    next_turn();
    CHECK(!conn_list_empty(&shards->ready)); /* two turns are not enough for all of it */
    CHECK(!execute_short(shards));           /* it goes on with what is pending, in its turn */
    execute(shards);
    CHECK_INT(replied(asks), 6); /* ":400" */
    close_conns();
}

int main(void) {
    RUN(a_short_request_is_not_behind_what_others_have_asked);
    RUN(the_rest_of_a_long_request_waits_for_its_beginning);
    return 0;
}
