/* A connection whose client waits: what comes meanwhile is run behind the reply, and its end is the end of the wait. */
#include "server/loop/waiting.h"

#include "server/exec/blocking.h"
#include "server/stripes/waiters.h"
#include "tests/unit/server_fixture.h"

static struct conn *waiter, *other;
static struct buffer sent;

static void begin(void) {
    fixture_open(1);
    waiter = fixture_conn(shards);
    other = fixture_conn(shards);
}

static void end(void) {
    buffer_free(&sent);
    fixture_conn_close(other);
    CHECK(!stripes.all[0].waiters && conn_list_empty(&shards->waiting));
    CHECK_INT(shards->exec.metrics.blocked_clients, 0);
    fixture_close();
}

static struct bytes say(struct conn *conn, struct bytes text) {
    buffer_free(&sent);
    fixture_input(conn, text.data, text.len);
    if (!(conn->flags & CONN_CLOSING)) fixture_take(&conn->output, &sent);
    return buffer_bytes(&sent);
}

static void what_stands_behind_waits_too(void) {
    begin();
    CHECK_BYTES(say(waiter, BYTES("PING\r\nBLPOP k 0\r\nPING\r\nECHO hal")), BYTES("+PONG\r\n"));
    CHECK(waiter->flags & CONN_STOP_WAIT && waiter->client.waiter);
    CHECK_INT(shards->exec.metrics.blocked_clients, 1);
    CHECK_BYTES(say(waiter, BYTES("f\r\n*1\r\nnonsense\r\n")), BYTES(""));
    CHECK_BYTES(say(other, BYTES("RPUSH k v\r\nLLEN k\r\n")), BYTES(":1\r\n:0\r\n"));
    CHECK(deliver_posts(shards));
    CHECK(!(waiter->flags & CONN_STOP_WAIT) && !waiter->client.waiter && conn_link_in(&waiter->turn_link));
    conn_link_out(&waiter->turn_link);
    CHECK_BYTES(say(waiter, BYTES("")), BYTES("*2\r\n$1\r\nk\r\n$1\r\nv\r\n+PONG\r\n$4\r\nhalf\r\n"
                                              "-ERR Protocol error: expected '$', got 'n'\r\n"));
    fixture_conn_close(waiter);
    end();
}

static void a_time_that_is_over_is_told(void) {
    begin();
    CHECK_BYTES(say(waiter, BYTES("BLPOP k 0.01\r\n")), BYTES(""));
    waiting_expire(shards);
    CHECK(waiter->client.waiter); /* not yet */
    shards->exec.clock.now_us = blocking_due_us(&shards->exec);
    waiting_expire(shards);
    CHECK(!waiter->client.waiter && conn_link_in(&waiter->flush_link));
    CHECK_BYTES(say(waiter, BYTES("PING\r\n")), BYTES("*-1\r\n+PONG\r\n"));
    fixture_conn_close(waiter);
    end();
}

static void the_end_of_the_connection_ends_the_wait(void) {
    begin();
    CHECK_BYTES(say(waiter, BYTES("BLPOP k 0\r\n")), BYTES(""));
    waiter->flags |= CONN_EOF;
    conn_settle(waiter); /* it will send no more: nobody hears a reply */
    CHECK(waiter->flags & CONN_CLOSING && !waiter->client.waiter);
    CHECK_BYTES(say(other, BYTES("RPUSH k v\r\nLLEN k\r\n")), BYTES(":1\r\n:1\r\n"));
    fixture_conn_close(waiter);
    end();
}

/* Who has been served keeps its slot until it has been told, though nobody listens any more. */
static void a_post_that_is_under_way_is_waited_for(void) {
    begin();
    CHECK_BYTES(say(waiter, BYTES("BLPOP k 0\r\n")), BYTES(""));
    CHECK_BYTES(say(other, BYTES("RPUSH k v\r\n")), BYTES(":1\r\n"));
    conn_shut(waiter);
    CHECK(waiting_owed(waiter));
    conn_link_out(&waiter->receive_link);
    CHECK(!conn_free(waiter));
    CHECK(deliver_posts(shards));
    CHECK(!waiting_owed(waiter) && conn_link_in(&waiter->receive_link));
    conn_link_out(&waiter->receive_link);
    CHECK(conn_free(waiter));
    slots_give(&shards->slots, waiter);
    end();
}

static void a_shard_that_ends_drops_what_nobody_takes(void) {
    begin();
    CHECK_BYTES(say(waiter, BYTES("BLPOP k 0\r\n")), BYTES(""));
    CHECK_BYTES(say(other, BYTES("RPUSH k v\r\n")), BYTES(":1\r\n"));
    conn_shut(waiter);
    conn_link_out(&waiter->receive_link);
    deliver_close(shards);
    CHECK(!waiting_owed(waiter));
    CHECK(conn_free(waiter));
    slots_give(&shards->slots, waiter);
    end();
}

int main(void) {
    RUN(what_stands_behind_waits_too);
    RUN(a_time_that_is_over_is_told);
    RUN(the_end_of_the_connection_ends_the_wait);
    RUN(a_post_that_is_under_way_is_waited_for);
    RUN(a_shard_that_ends_drops_what_nobody_takes);
    return 0;
}
