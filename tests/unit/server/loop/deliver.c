/* What posts do to connections, and who is woken for them. */
#include "server/loop/deliver.h"

#include <unistd.h>

#include "server/clients/invalidation.h"
#include "server/journal/journal.h"
#include "server/loop/send.h"
#include "tests/unit/loop_fixture.h"

enum { DEADLINE_S = 250, OWNER = 0 };

static struct buffer sent;

static void open_shard(unsigned i) {
    must(shard_open(&shards[i], &fixture_place), "shard_open");
}

/* Nothing has come, nor does it when the kernel is asked. */
static bool sleeps_on(unsigned i) {
    (void)io_wait(&shards[i].io, 0, 0, 0);
    return io_ready(&shards[i].io) == 0;
}

/* The shard has been woken, once. */
static bool woken(unsigned i) {
    struct io *io = &shards[i].io;
    uint64_t begun_us = now_us();
    while (!io_has_events(io) && now_us() - begun_us < PATIENCE_US) (void)io_wait(io, 1, 0, PATIENCE_US);
    unsigned count = io_ready(io);
    if (count != 1 || io_event(io, 0).operation != IO_NOTHING) return false;
    io_advance(io, 1);
    return sleeps_on(i);
}

static struct client_address address_of(const struct conn *conn) {
    return (struct client_address){conn->client.shard, conn->client.slot, conn->client.id};
}

static struct block *block_text(const char *text) {
    struct block *block = block_of(bytes_of(text));
    CHECK(block);
    return block;
}

static void deliver(unsigned from, struct conn *to, uint32_t flag, const char *text) {
    CHECK(post_deliver(&shards[from].exec.wakes, address_of(to), flag, block_text(text)));
}

static bool mail_waits(unsigned index) {
    return post_waiting(&mailboxes[index], DUE_ALL);
}

static struct bytes taken(struct conn *conn) {
    buffer_free(&sent);
    fixture_take(&conn->output, &sent);
    return buffer_bytes(&sent);
}

static void a_delivery_happens_when_its_shard_comes_to_it(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(&shards[OWNER]);
    CHECK(!mail_waits(0) && !deliver_posts(shards));
    deliver(1, conn, 0, "+one\r\n");
    deliver(0, conn, 0, "+two\r\n"); /* to itself is no other way */
    CHECK(mail_waits(0));
    CHECK_INT(output_unsent(&conn->output), 0);
    CHECK(deliver_posts(shards));
    CHECK(!mail_waits(0) && !deliver_posts(shards));
    CHECK(conn_list_first(&shards->pushed) == conn && shards->pushed_count == 1);
    CHECK_BYTES(taken(conn), BYTES("+one\r\n+two\r\n"));
    CHECK_INT(shards->exec.metrics.posts_received, 2);
    fixture_conn_close(conn);
    fixture_close();
}

static void a_large_delivery_is_not_copied(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(shards);
    struct block *block = block_new_zeroed(PIN_MIN, PIN_MIN);
    CHECK(block && post_deliver(&shards[1].exec.wakes, address_of(conn), 0, block_retain(block)));
    CHECK(deliver_posts(shards));
    CHECK(block_shared(block) && conn->output.queued.count == 1);
    CHECK_INT(taken(conn).len, PIN_MIN);
    CHECK(!block_shared(block));
    block_release(block);
    fixture_conn_close(conn);
    fixture_close();
}

/* It is told more and more, and nobody sends it. */
static void what_is_pushed_gathers_until_it_is_worth_a_send(void) {
    static const char text[] = "+0123456789abcdef0123456789abcdef\r\n";
    fixture_open(1);
    struct conn *conn = fixture_conn(shards);
    size_t before = 0;
    while (conn_list_empty(&shards->flush)) {
        CHECK((before = output_unsent(&conn->output)) < OUTPUT_CHUNK_SIZE);
        deliver(0, conn, 0, text);
        CHECK(deliver_posts(shards));
        CHECK(conn_list_empty(&shards->pushed) == !shards->pushed_count);
        CHECK(conn_check(conn));
    }
    CHECK(before + sizeof text > OUTPUT_CHUNK_SIZE);
    CHECK(conn_list_first(&shards->flush) == conn && shards->pushed_count == 0);
    CHECK(taken(conn).len > 0);
    conn_link_out(&conn->flush_link); /* as when it was sent */
    deliver(0, conn, 0, text);
    CHECK(deliver_posts(shards) && shards->pushed_count == 1);
    conn_wants_flush(conn); /* for a reply: what it is told leaves with that */
    CHECK(conn_list_empty(&shards->pushed) && shards->pushed_count == 0 && conn_check(conn));
    deliver(0, conn, 0, text);
    CHECK(deliver_posts(shards) && shards->pushed_count == 0 && conn_check(conn));
    CHECK(taken(conn).len == 2 * (sizeof text - 1));
    conn_link_out(&conn->flush_link);
    conn->output.reply.failed = true; /* beyond its limit: it is to be closed at once */
    deliver(0, conn, 0, text);
    CHECK(deliver_posts(shards) && shards->pushed_count == 0);
    CHECK(conn_list_first(&shards->flush) == conn);
    conn->output.reply.failed = false;
    fixture_conn_close(conn);
    CHECK(conn_list_empty(&shards->flush));
    conn = fixture_conn(shards);
    deliver(0, conn, 0, text);
    CHECK(deliver_posts(shards) && shards->pushed_count == 1);
    fixture_conn_close(conn);
    CHECK(conn_list_empty(&shards->pushed) && shards->pushed_count == 0);
    fixture_close();
}

/* They have a limit of their own, which may be less than a send is worth. */
static void invalidations_do_not_gather_up_to_their_limit(void) {
    enum { LIMIT = 1000 };
    char line[32];
    unsigned written = 0;
    fixture_open(1);
    options_set("client-output-buffer-limit pubsub 1000 0 0\n");
    struct conn *hears = fixture_conn(shards), *writes = fixture_conn(shards);
    fixture_input(hears, "hello 3\r\nclient tracking on bcast\r\n", 35);
    CHECK(taken(hears).len > 0);
    conn_link_out(&hears->flush_link); /* as when it was sent */
    while (!conn_link_in(&hears->flush_link) || hears->flags & CONN_PUSHED) {
        int len = snprintf(line, sizeof line, "set key:%u v\r\n", written++);
        fixture_input(writes, line, (size_t)len);
        invalidation_broadcast(&shards->exec.effects.tracking);
        CHECK(deliver_posts(shards) && conn_check(hears));
    }
    CHECK(written > 1 && !hears->output.reply.failed && output_unsent(&hears->output) <= LIMIT / 2);
    CHECK(taken(hears).len > 0);
    fixture_conn_close(hears);
    fixture_conn_close(writes);
    fixture_close();
}

/* Who is above the soft limit whenever it is looked at passes for one that does not read. */
static void what_is_pushed_does_not_gather_up_to_a_limit(void) {
    static const char *const limits[] = {"client-output-buffer-limit normal 1000 0 0\n",
                                         "client-output-buffer-limit normal 0 1000 60\n"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        fixture_open(1);
        options_set(limits[i]);
        struct conn *conn = fixture_conn(shards);
        while (conn_list_empty(&shards->flush)) {
            deliver(0, conn, 0, "+0123456789abcdef\r\n");
            CHECK(deliver_posts(shards) && output_unsent(&conn->output) < 1000 / 2);
        }
        CHECK(conn_list_first(&shards->flush) == conn && shards->pushed_count == 0);
        CHECK(taken(conn).len >= 1000 / 4);
        fixture_conn_close(conn);
        fixture_close();
    }
}

static void take_tickets(uint64_t last) {
    while (journal_next() < last) (void)journal_take();
}

/* Replies that are held leave when they may, however many others are told something. */
static void who_waits_for_the_disk_is_told_behind_that(void) {
    fixture_open(1);
    CHECK(journal_open(1));
    take_tickets(5);
    struct conn *conn = fixture_conn(shards);
    reply_literal(&conn->output.reply, "+OK\r\n");
    send_hold(conn, 0, 5);
    conn_awaits(conn);
    deliver(0, conn, 0, "+told\r\n");
    CHECK(deliver_posts(shards) && conn_check(conn));
    CHECK(conn_list_first(&shards->awaiting) == conn && shards->pushed_count == 0 && shards->awaits == 5);
    journal_publish(5);
    CHECK(output_ready(&conn->output, journal_safe()) >= output_unsent(&conn->output));
    CHECK_BYTES(taken(conn), BYTES("+OK\r\n+told\r\n"));
    fixture_conn_close(conn);
    journal_close();
    fixture_close();
}

static void what_is_meant_for_a_client_that_has_gone_is_dropped(void) {
    fixture_open(2);
    struct conn *gone = fixture_conn(shards);
    struct block *block = block_text("+late\r\n");
    struct client_address address = address_of(gone), nowhere = {.shard = 0, .slot = 1 << 20, .id = 1};
    fixture_conn_close(gone);
    struct conn *next = fixture_conn(shards); /* in the same slot, under another id */
    CHECK(next->client.slot == address.slot && next->client.id != address.id);
    CHECK(post_deliver(&shards[1].exec.wakes, address, 0, block_retain(block)));
    CHECK(post_deliver(&shards[1].exec.wakes, nowhere, 0, block_retain(block)));
    CHECK(post_close(&shards[1].exec.wakes, address));
    CHECK(deliver_posts(shards));
    CHECK(!block_shared(block) && output_unsent(&next->output) == 0);
    CHECK(!(next->flags & CONN_CLOSING));
    block_release(block);
    fixture_conn_close(next);
    fixture_close();
}

static void a_delivery_for_a_mode_ends_with_the_mode(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(shards);
    conn->client.flags |= CLIENT_NO_TOUCH;
    deliver(1, conn, CLIENT_NO_TOUCH, "+on\r\n");
    CHECK(deliver_posts(shards));
    deliver(1, conn, CLIENT_NO_TOUCH, "+off\r\n");
    conn->client.flags &= ~(uint32_t)CLIENT_NO_TOUCH;
    CHECK(deliver_posts(shards));
    CHECK_BYTES(taken(conn), BYTES("+on\r\n"));
    fixture_conn_close(conn);
    fixture_close();
}

static void a_close_ends_the_connection_and_what_comes_behind_it_is_dropped(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(shards);
    CHECK(post_close(&shards[1].exec.wakes, address_of(conn)));
    deliver(1, conn, 0, "+late\r\n");
    CHECK(post_close(&shards[1].exec.wakes, address_of(conn))); /* killed twice */
    CHECK(deliver_posts(shards));
    CHECK(conn->flags & CONN_CLOSING && conn_list_first(&shards->closing) == conn);
    CHECK_INT(output_unsent(&conn->output), 0);
    fixture_conn_close(conn);
    fixture_close();
}

/* Main asks until every shard has heard it: a wake-up that was lost is sent again, and none is marked as parked any more. */
static void stopping_needs_no_memory_and_is_asked_for_until_it_happens(void) {
    fixture_open(2);
    for (unsigned i = 0; i < 2; i++) open_shard(i);
    mailboxes[0].parked = PARKED;
    for (unsigned tries = 0; tries < 3; tries++) {
        CHECK(!deliver_stop());
        for (unsigned i = 0; i < 2; i++) CHECK(woken(i));
    }
    for (unsigned i = 0; i < 2; i++) {
        CHECK(!shards[i].stopping && deliver_posts(&shards[i]) && shards[i].stopping);
        CHECK(!deliver_posts(&shards[i]));
        CHECK_INT(deliver_stop(), i == 1);
    }
    fixture_close();
}

static void what_was_never_run_is_freed(void) {
    fixture_open(1);
    struct conn *conn = fixture_conn(shards);
    struct block *block = block_text("+x\r\n");
    CHECK(deliver_open(shards));
    CHECK(post_deliver(&shards->exec.wakes, address_of(conn), 0, block_retain(block)));
    CHECK(post_close(&shards->exec.wakes, address_of(conn)));
    deliver_close(shards);
    CHECK(!block_shared(block) && !mail_waits(0) && !shards->stop);
    block_release(block);
    fixture_conn_close(conn);
    fixture_close();
}

/* However many posts find the target parked, it is woken once; before the sender sleeps, not at each post. */
static void a_parked_shard_is_woken_once(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(shards);
    open_shard(0);
    open_shard(1);
    deliver(1, conn, 0, "+awake\r\n");
    deliver_wakes(&shards[1]);
    CHECK(sleeps_on(0) && !shards[1].exec.wakes.any);
    mailboxes[0].parked = PARKED;
    deliver(1, conn, 0, "+asleep\r\n");
    deliver(1, conn, 0, "+again\r\n");
    CHECK(mailboxes[0].parked == PARKED && shards[1].exec.wakes.any);
    deliver_wakes(&shards[1]);
    CHECK(mailboxes[0].parked == PARKED_WOKEN && !shards[1].exec.wakes.any);
    deliver_wakes(&shards[1]);
    CHECK(io_submit(&shards[1].io) >= 0);
    CHECK(woken(0));
    CHECK(deliver_posts(shards));
    CHECK_BYTES(taken(conn), BYTES("+awake\r\n+asleep\r\n+again\r\n"));
    fixture_conn_close(conn);
    fixture_close();
}

/* While the kernel takes nothing from a full submission queue, wake-ups are owed: the sender goes on with its turn, is
 * kept from sleeping, and tries again in each of its turns. Others may still wake the target. */
static void a_wake_up_without_room_is_owed(void) {
    fixture_open(3);
    struct conn *conns[2] = {fixture_conn(&shards[0]), fixture_conn(&shards[2])};
    for (unsigned i = 0; i < 3; i++) open_shard(i);
    struct ring *ring = &shards[1].io.ring, sound = *ring;
    ring->enter_fd = -1, ring->enter_flags = 0; /* every enter fails */
    while (ring_sqe_room(ring)) prep_nop(must_sqe(ring), io_pack(IO_CODE_NONE, 0));
    for (unsigned i = 0; i < 3; i += 2) mailboxes[i].parked = PARKED;
    for (unsigned i = 0; i < 3; i++) deliver(1, conns[i % 2], 0, "+x\r\n");
    for (unsigned turn = 0; turn < 3; turn++) {
        deliver_wakes(&shards[1]);
        CHECK(shards[1].exec.wakes.any); /* so it does not park */
        CHECK(mailboxes[0].parked == PARKED && mailboxes[2].parked == PARKED && sleeps_on(0) && sleeps_on(2));
    }
    deliver(2, conns[0], 0, "+y\r\n");
    deliver_wakes(&shards[2]); /* whose queue has room */
    CHECK_INT(mailboxes[0].parked, PARKED_WOKEN);
    CHECK(io_submit(&shards[2].io) >= 0);
    CHECK(woken(0));
    ring->enter_fd = sound.enter_fd, ring->enter_flags = sound.enter_flags;
    CHECK(io_submit(&shards[1].io) >= 0);
    deliver_wakes(&shards[1]);
    CHECK(!shards[1].exec.wakes.any && mailboxes[2].parked == PARKED_WOKEN);
    CHECK(io_submit(&shards[1].io) >= 0);
    CHECK(woken(2));
    CHECK(sleeps_on(0) && sleeps_on(2)); /* each was woken once */
    CHECK(deliver_posts(&shards[0]) && deliver_posts(&shards[2]));
    CHECK_BYTES(taken(conns[0]), BYTES("+x\r\n+x\r\n+y\r\n"));
    CHECK_BYTES(taken(conns[1]), BYTES("+x\r\n"));
    for (unsigned i = 0; i < 2; i++) fixture_conn_close(conns[i]);
    fixture_close();
}

/* The kernel takes the wake-up, and says later that it could not be delivered. */
static void a_wake_up_that_fails_is_owed_again(void) {
    fixture_open(2);
    struct conn *conn = fixture_conn(shards);
    open_shard(0);
    open_shard(1);
    int fd = shards[0].io.ring.fd;
    shards[0].io.ring.fd = 0; /* no ring */
    mailboxes[0].parked = PARKED;
    deliver(1, conn, 0, "+x\r\n");
    deliver_wakes(&shards[1]);
    CHECK(mailboxes[0].parked == PARKED_WOKEN && !shards[1].exec.wakes.any);
    CHECK(io_submit(&shards[1].io) >= 0);
    uint64_t begun_us = now_us();
    while (!io_has_events(&shards[1].io) && now_us() - begun_us < PATIENCE_US)
        (void)io_wait(&shards[1].io, 1, 0, PATIENCE_US);
    CHECK_INT(io_ready(&shards[1].io), 1);
    struct io_event failed = io_event(&shards[1].io, 0);
    io_advance(&shards[1].io, 1);
    CHECK(failed.operation == IO_WAKE_FAILED && failed.data == 0 && failed.result < 0);
    deliver_wake_failed(&shards[1], 0);
    CHECK(mailboxes[0].parked == PARKED && shards[1].exec.wakes.any && sleeps_on(0));
    shards[0].io.ring.fd = fd;
    deliver_wakes(&shards[1]);
    CHECK(mailboxes[0].parked == PARKED_WOKEN && !shards[1].exec.wakes.any);
    CHECK(io_submit(&shards[1].io) >= 0);
    CHECK(woken(0));
    CHECK(sleeps_on(0) && sleeps_on(1)); /* one that succeeds costs the sender no turn */
    fixture_conn_close(conn);
    fixture_close();
}

/* Time passes for a shard. */
static void later(unsigned i, uint64_t us) {
    shards[i].exec.clock.now_us += us;
}

/* The kernel takes the wake-up, and that is all that is ever heard of it. Within 10 ms another is made, another way; and if
 * that is lost too, one more in the same time. */
static void a_wake_up_that_is_lost_is_made_anew(void) {
    enum { BOUND_US = 10 * 1000 };
    fixture_open(2);
    for (unsigned i = 0; i < 2; i++) open_shard(i);
    struct shard *sender = &shards[1];
    CHECK(deliver_unheard_us(sender) == UINT64_MAX);
    mailboxes[0].parked = PARKED;
    wakes_add(&sender->exec.wakes, 0);
    deliver_wakes(sender);
    sender->io.ring.sqe_tail--; /* lost */
    for (unsigned losses = 0; losses < 3; losses++) {
        uint64_t limit_us = deliver_unheard_us(sender);
        CHECK(limit_us > 0 && limit_us <= BOUND_US && !sender->exec.wakes.any);
        later(1, limit_us - 1);
        deliver_wakes(sender);
        CHECK(deliver_unheard_us(sender) == 1 && sleeps_on(0)); /* not before it is time */
        later(1, 1 + losses * BOUND_US);                        /* the turn may have taken long */
        CHECK(deliver_unheard_us(sender) == 0);
        deliver_wakes(sender);
        CHECK(woken(0)); /* and does not come to turn, so that all is as if that had been lost */
        CHECK_INT(metric_get(&sender->exec.metrics.wakes_repeated), losses + 1);
    }
    mailboxes[0].parked = PARKED_NOT;
    later(1, BOUND_US);
    deliver_wakes(sender);
    CHECK(deliver_unheard_us(sender) == UINT64_MAX && sleeps_on(0));
    CHECK_INT(metric_get(&sender->exec.metrics.wakes_repeated), 3);
    fixture_close();
}

/* Who hears it costs its waker no wake-up, even if it has gone to sleep again. */
static void a_wake_up_that_is_heard_is_made_once(void) {
    fixture_open(3);
    for (unsigned i = 0; i < 3; i++) open_shard(i);
    struct shard *sender = &shards[1];
    for (unsigned i = 0; i < 3; i += 2) {
        mailboxes[i].parked = PARKED;
        wakes_add(&sender->exec.wakes, i);
    }
    deliver_wakes(sender);
    CHECK(io_submit(&sender->io) >= 0 && woken(0) && woken(2));
    mailboxes[0].parked = PARKED;
    deliver_wakes(sender);
    CHECK(deliver_unheard_us(sender) < UINT64_MAX); /* the other one may not have heard it */
    mailboxes[2].parked = PARKED_NOT;
    deliver_wakes(sender);
    CHECK(deliver_unheard_us(sender) == UINT64_MAX && !sender->exec.wakes.any);
    CHECK(sleeps_on(0) && sleeps_on(2) && metric_get(&sender->exec.metrics.wakes_repeated) == 0);
    fixture_close();
}

int main(void) {
    alarm(DEADLINE_S);
    RUN(a_delivery_happens_when_its_shard_comes_to_it);
    RUN(a_large_delivery_is_not_copied);
    RUN(what_is_pushed_gathers_until_it_is_worth_a_send);
    RUN(what_is_pushed_does_not_gather_up_to_a_limit);
    RUN(invalidations_do_not_gather_up_to_their_limit);
    RUN(who_waits_for_the_disk_is_told_behind_that);
    RUN(what_is_meant_for_a_client_that_has_gone_is_dropped);
    RUN(a_delivery_for_a_mode_ends_with_the_mode);
    RUN(a_close_ends_the_connection_and_what_comes_behind_it_is_dropped);
    RUN(stopping_needs_no_memory_and_is_asked_for_until_it_happens);
    RUN(what_was_never_run_is_freed);
    RUN(a_parked_shard_is_woken_once);
    RUN(a_wake_up_without_room_is_owed);
    RUN(a_wake_up_that_fails_is_owed_again);
    RUN(a_wake_up_that_is_lost_is_made_anew);
    RUN(a_wake_up_that_is_heard_is_made_once);
    buffer_free(&sent);
    return 0;
}
