/* move.c - connections move between two shards that do not turn, over io_uring and over epoll. */
#include "server/loop/move.h"

#include "server/clients/trackers.h"
#include "tests/unit/loop_fixture.h"

static void open_shards(bool epoll) {
    struct shard_place place = fixture_place;
    place.epoll = epoll;
    fixture_open(2);
    options_set("shards-in-use all\n");
    for (unsigned i = 0; i < 2; i++) must(shard_open(&shards[i], &place), "shard_open");
}

static void close_shards(void) {
    CHECK_INT(clients_count(), 0);
    CHECK_INT(shards[0].connections, 0);
    CHECK_INT(shards[1].connections, 0);
    fixture_close();
}

/* The same connections, over both. */
static void over_both(void (*test)(void)) {
    for (unsigned epoll = 0; epoll < 2; epoll++) {
        open_shards(epoll);
        test();
        close_shards();
    }
}

/* What the events of a shard bring, until a receive has ended, or bytes have come if those are waited for. */
static void hear(struct shard *shard, bool bytes) {
    for (bool done = false; !done;) {
        (void)io_wait(&shard->io, 1, 0, PATIENCE_US);
        unsigned count = io_ready(&shard->io);
        CHECK(count > 0);
        for (unsigned i = 0; i < count; i++) {
            struct io_event event = io_event(&shard->io, i);
            if (event.operation != IO_RECEIVE) continue;
            loop_heard(&event);
            done = done || (bytes ? event.result > 0 : event.last);
        }
        io_advance(&shard->io, count);
    }
}

/* The bytes that a shard has received, all of one connection. */
static void check_received(struct shard *shard, const struct conn *conn, const char *expected) {
    CHECK_INT(shard->received_count, 1);
    struct received *r = &shard->received[--shard->received_count];
    CHECK(r->conn == conn);
    CHECK_BYTES(((struct bytes){io_buffer(&shard->io, r->buffer), r->len}), bytes_of(expected));
    io_release(&shard->io, r->buffer);
}

static void end_conn(struct shard *shard, struct conn *conn, int fd) {
    conn_shut(conn);
    for (conn_link_out(&conn->receive_link); !conn_free(conn); conn_link_out(&conn->receive_link))
        hear(shard, false);
    slots_give(&shard->slots, conn);
    close(fd);
}

/* Two connections on shard 0, so that one of them makes both even. */
struct pair {
    struct conn *stays, *goes;
    int stays_fd, goes_fd;
    uint64_t id;
};

static struct pair open_two(void) {
    struct pair two;
    two.goes = loop_conn(&two.goes_fd);
    two.stays = loop_conn(&two.stays_fd);
    two.id = two.goes->client.id;
    return two;
}

static void send_away(struct pair *two) {
    move_begin(two->goes);
    hear(&shards[0], false);
    move_on(&shards[0]);
}

static struct conn *arrive(void) {
    CHECK(deliver_posts(&shards[1]));
    for (uint32_t slot = 0; slot < 64; slot++) {
        struct conn *conn = slots_find(&shards[1].slots, (uint64_t)1 << 32 | slot);
        if (conn) return conn;
    }
    return NULL;
}

static void moves_at_rest(void) {
    struct pair two = open_two();
    uint32_t slot = two.goes->client.slot;
    fixture_text(two.goes, CLIENT_NAME, "traveller");
    client_set(two.goes->client.resp, 3);
    send_away(&two);
    CHECK_INT(shards[0].connections, 1);
    CHECK_INT(shards[1].connections, 1);
    CHECK(!slots_find_client(&shards[0].slots, slot, two.id));
    CHECK_INT(clients_count(), 2);
    CHECK_INT(clients_first()->id, two.id); /* in its place, on its way too */
    CHECK_INT(clients_first()->shard, 1);
    CHECK(write(two.goes_fd, "between", 7) == 7);
    struct conn *conn = arrive();
    CHECK(conn);
    CHECK(clients_first() == &conn->client && conn->client.next == &two.stays->client);
    CHECK(conn->client.next->prev == &conn->client && !conn->client.prev);
    CHECK_INT(conn->client.id, two.id);
    CHECK_INT(conn->output.reply.resp, 3);
    CHECK(strcmp(client_text(&conn->client, CLIENT_NAME), "traveller") == 0);
    CHECK(slots_find_client(&shards[1].slots, conn->client.slot, two.id) == conn);
    CHECK_INT(metric_get(&shards[1].exec.metrics.connections_moved), 1);
    hear(&shards[1], true);
    check_received(&shards[1], conn, "between");
    end_conn(&shards[1], conn, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

/* Bytes come before the receive has ended: they are served here, and it leaves when that is done. */
static void serves_what_comes_before(void) {
    struct pair two = open_two();
    CHECK(write(two.goes_fd, "early", 5) == 5);
    hear(&shards[0], true);
    move_begin(two.goes);
    move_on(&shards[0]);
    CHECK(two.goes->flags & CONN_LEAVING);
    check_received(&shards[0], two.goes, "early");
    if (io_is_receiving(&two.goes->socket)) hear(&shards[0], false);
    CHECK(!conn_link_in(&two.goes->turn_link));
    move_on(&shards[0]);
    CHECK_INT(shards[1].connections, 1);
    struct conn *conn = arrive();
    CHECK(conn);
    end_conn(&shards[1], conn, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void stays_if_late(void) {
    struct pair two = open_two();
    move_begin(two.goes);
    two.goes->flags |= CONN_SENDING;
    shards[0].exec.clock.now_us = shards[0].moves.until_us;
    move_on(&shards[0]);
    two.goes->flags &= ~(uint32_t)CONN_SENDING;
    CHECK(!(two.goes->flags & CONN_LEAVING));
    CHECK_INT(shards[0].moves.count, 0);
    hear(&shards[0], false);
    CHECK(conn_link_in(&two.goes->receive_link)); /* to be armed again */
    conn_link_out(&two.goes->receive_link);
    receive_arm(two.goes);
    CHECK(write(two.goes_fd, "here", 4) == 4);
    hear(&shards[0], true);
    check_received(&shards[0], two.goes, "here");
    end_conn(&shards[0], two.goes, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

/* Whatever it has begun meanwhile. */
static void stays_if_bound(void) {
    struct pair two = open_two();
    move_begin(two.goes);
    client_set(two.goes->client.flags, two.goes->client.flags | CLIENT_MULTI);
    hear(&shards[0], false);
    move_on(&shards[0]);
    client_set(two.goes->client.flags, two.goes->client.flags & ~(uint32_t)CLIENT_MULTI);
    CHECK_INT(shards[1].connections, 0);
    CHECK(conn_link_in(&two.goes->receive_link) && !(two.goes->flags & CONN_LEAVING));
    end_conn(&shards[0], two.goes, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void stays_if_killed_before(void) {
    struct pair two = open_two();
    two.goes->client.killed = true;
    send_away(&two);
    CHECK_INT(shards[1].connections, 0);
    end_conn(&shards[0], two.goes, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void ends_if_killed_on_its_way(void) {
    struct pair two = open_two();
    char byte;
    send_away(&two);
    clients_lock();
    clients_first()->killed = true;
    clients_unlock();
    struct conn *conn = arrive();
    CHECK(conn && conn->flags & CONN_CLOSING);
    conn_link_out(&conn->receive_link);
    CHECK(conn_free(conn));
    slots_give(&shards[1].slots, conn);
    CHECK(read(two.goes_fd, &byte, 1) == 0);
    close(two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

/* Its own tracking binds it by a flag; here another one tells it what it tracks. */
static void stays_if_told_what_others_read(void) {
    struct pair two = open_two();
    struct tracking_mode mode = {.target = &two.goes->client};
    clients_lock();
    CHECK(trackers_begin(&two.stays->client, &mode));
    clients_unlock();
    send_away(&two);
    CHECK_INT(shards[1].connections, 0);
    trackers_end(&two.stays->client);
    end_conn(&shards[0], two.goes, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

/* Who does so knows no slot of it. Nothing that it is to be told may get lost. */
static void hears_of_all_if_named_on_its_way(void) {
    struct pair two = open_two();
    client_set(two.goes->client.resp, 3);
    send_away(&two);
    clients_lock();
    struct tracking_mode mode = {.target = clients_first()};
    CHECK(mode.target->id == two.id && trackers_begin(&two.stays->client, &mode));
    clients_unlock();
    struct conn *conn = arrive();
    CHECK(conn && !(conn->flags & CONN_CLOSING));
    trackers_lock();
    struct tracker *tracker = trackers_of(two.id);
    CHECK(tracker->client == &conn->client && tracker->slot == conn->client.slot && tracker->shard == 1);
    trackers_unlock();
    CHECK(deliver_posts(&shards[1]));
    CHECK_INT(output_unsent(&conn->output), strlen(">2\r\n$10\r\ninvalidate\r\n_\r\n"));
    trackers_end(&two.stays->client);
    end_conn(&shards[1], conn, two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void is_closed_by_a_shard_that_stops(void) {
    struct pair two = open_two();
    char byte;
    send_away(&two);
    shards[1].stopping = true;
    CHECK(deliver_posts(&shards[1]));
    CHECK(read(two.goes_fd, &byte, 1) == 0);
    close(two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void is_closed_where_no_shard_runs(void) {
    struct pair two = open_two();
    char byte;
    send_away(&two);
    deliver_close(&shards[1]);
    CHECK(read(two.goes_fd, &byte, 1) == 0);
    close(two.goes_fd);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void is_shut_while_it_leaves(void) {
    struct pair two = open_two();
    move_begin(two.goes);
    end_conn(&shards[0], two.goes, two.goes_fd);
    CHECK_INT(shards[0].moves.count, 0);
    end_conn(&shards[0], two.stays, two.stays_fd);
}

static void a_connection_at_rest_moves_and_is_known_all_the_while(void) {
    over_both(moves_at_rest);
}
static void what_comes_before_is_served_first(void) {
    over_both(serves_what_comes_before);
}
static void one_that_does_not_come_to_rest_stays(void) {
    over_both(stays_if_late);
}
static void one_that_is_bound_stays(void) {
    over_both(stays_if_bound);
    over_both(stays_if_told_what_others_read);
}
static void one_that_others_redirect_to_on_its_way_is_told_that_all_is_invalid(void) {
    over_both(hears_of_all_if_named_on_its_way);
}
static void a_killed_one_ends_wherever_it_is(void) {
    over_both(stays_if_killed_before);
    over_both(ends_if_killed_on_its_way);
}
static void one_that_comes_too_late_is_closed(void) {
    over_both(is_closed_by_a_shard_that_stops);
    over_both(is_closed_where_no_shard_runs);
}
static void one_that_is_shut_leaves_no_more(void) {
    over_both(is_shut_while_it_leaves);
}

int main(void) {
    RUN(a_connection_at_rest_moves_and_is_known_all_the_while);
    RUN(what_comes_before_is_served_first);
    RUN(one_that_does_not_come_to_rest_stays);
    RUN(one_that_is_bound_stays);
    RUN(one_that_others_redirect_to_on_its_way_is_told_that_all_is_invalid);
    RUN(a_killed_one_ends_wherever_it_is);
    RUN(one_that_comes_too_late_is_closed);
    RUN(one_that_is_shut_leaves_no_more);
    return 0;
}
