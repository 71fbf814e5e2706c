/* Subscriptions and messages: who hears what, in which order, across shards; and what happens where memory or room ends. */
#include "server/clients/pubsub.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/loop/send.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/server_fixture.h"

enum { SHARDS = 3 };

static struct buffer sent;

static struct channel_name name_of(const char *text) {
    return (struct channel_name){bytes_of(text), hash_bytes(&stripes.seed, bytes_of(text))};
}

static struct conn *reader(unsigned shard) {
    return fixture_conn(&shards[shard]);
}

static struct reply *reply_of(struct conn *conn) {
    return &conn->output.reply;
}

static void subscribe(struct conn *conn, enum channel_kind kind, const char *channel) {
    struct channel_name name = name_of(channel);
    CHECK(pubsub_subscribe(&conn->client, kind, &name, reply_of(conn)));
}
static void unsubscribe(struct conn *conn, enum channel_kind kind, const char *channel) {
    struct channel_name name = name_of(channel);
    pubsub_unsubscribe(&conn->client, kind, &name, reply_of(conn));
}
static int64_t send_from(unsigned shard, enum channel_kind kind, const char *channel, struct bytes payload) {
    struct channel_name name = name_of(channel);
    return pubsub_publish(&shards[shard].exec.wakes, kind, &name, payload);
}
static int64_t publish(unsigned shard, const char *channel, const char *text) {
    return send_from(shard, CHANNEL_PLAIN, channel, bytes_of(text));
}

/* What it is sent until now; its shard does not look at its mail for that. */
static struct bytes written(struct conn *conn) {
    buffer_free(&sent);
    fixture_take(&conn->output, &sent);
    return buffer_bytes(&sent);
}
/* The same when its shard has looked. */
static struct bytes heard(struct conn *conn) {
    deliver_posts(conn->shard);
    return written(conn);
}
#define CHECK_WRITTEN(conn, text) CHECK_BYTES(written(conn), BYTES(text))
#define CHECK_HEARD(conn, text)   CHECK_BYTES(heard(conn), BYTES(text))

/* Only what these say of themselves counts: confirmations are read elsewhere. */
static void forget(struct conn *conn) {
    (void)written(conn);
}

#define MESSAGE(channel, text) "*3\r\n$7\r\nmessage\r\n$1\r\n" channel "\r\n$1\r\n" text "\r\n"
#define PMESSAGE(pattern, channel, text)                                                                     \
    "*4\r\n$8\r\npmessage\r\n$2\r\n" pattern "\r\n$1\r\n" channel "\r\n$1\r\n" text "\r\n"

static void close_all(struct conn **conns, unsigned count) {
    for (unsigned i = 0; i < count; i++) fixture_conn_close(conns[i]);
    for (unsigned i = 0; i < SHARDS; i++) deliver_posts(&shards[i]);
    CHECK_INT(channels_of_kind[CHANNEL_PLAIN] + channels_of_kind[CHANNEL_PATTERN] +
                  channels_of_kind[CHANNEL_SHARD],
              0);
    buffer_free(&sent);
    fixture_close();
}

static void subscriptions_are_confirmed_and_counted(void) {
    fixture_open(SHARDS);
    struct conn *a = reader(0);
    subscribe(a, CHANNEL_PLAIN, "x");
    subscribe(a, CHANNEL_PLAIN, "x");
    CHECK_WRITTEN(a, "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
    subscribe(a, CHANNEL_PATTERN, "x*");
    CHECK_WRITTEN(a, "*3\r\n$10\r\npsubscribe\r\n$2\r\nx*\r\n:2\r\n");
    subscribe(a, CHANNEL_SHARD, "x");
    CHECK_WRITTEN(a, "*3\r\n$10\r\nssubscribe\r\n$1\r\nx\r\n:1\r\n");
    CHECK(a->client.flags & CLIENT_SUBSCRIBED);
    CHECK(client_subscriptions(&a->client, 0) == 1 && client_subscriptions(&a->client, 1) == 1 &&
          client_subscriptions(&a->client, 2) == 1);
    struct channel_name x = name_of("x"), y = name_of("y");
    CHECK_INT(pubsub_subscribers(CHANNEL_PLAIN, &x), 1);
    CHECK_INT(pubsub_subscribers(CHANNEL_PLAIN, &y), 0);
    unsubscribe(a, CHANNEL_PLAIN, "y");
    CHECK_WRITTEN(a, "*3\r\n$11\r\nunsubscribe\r\n$1\r\ny\r\n:2\r\n");
    unsubscribe(a, CHANNEL_PLAIN, "x");
    CHECK_WRITTEN(a, "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:1\r\n");
    pubsub_unsubscribe_all(&a->client, CHANNEL_PATTERN, reply_of(a));
    CHECK_WRITTEN(a, "*3\r\n$12\r\npunsubscribe\r\n$2\r\nx*\r\n:0\r\n");
    CHECK(a->client.flags & CLIENT_SUBSCRIBED);
    pubsub_unsubscribe_all(&a->client, CHANNEL_SHARD, reply_of(a));
    pubsub_unsubscribe_all(&a->client, CHANNEL_SHARD, reply_of(a));
    CHECK_WRITTEN(a,
                  "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nx\r\n:0\r\n*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
    CHECK(!(a->client.flags & CLIENT_SUBSCRIBED) && !a->client.subscriber);
    close_all(&a, 1);
}

static void a_message_reaches_all_subscribers_of_all_shards_by_one_post_each(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(0), reader(1), reader(1), reader(2)};
    for (unsigned i = 0; i < 3; i++) subscribe(conns[i], CHANNEL_PLAIN, "a");
    subscribe(conns[1], CHANNEL_PATTERN, "a*");
    subscribe(conns[3], CHANNEL_PLAIN, "b");
    conns[2]->client.resp = conns[2]->output.reply.resp = 3;
    for (unsigned i = 0; i < 4; i++) forget(conns[i]);
    CHECK_INT(publish(0, "a", "1"), 4);
    CHECK_INT(publish(2, "a", "2"), 4);
    CHECK_INT(publish(0, "c", "3"), 0);
    CHECK(mailboxes[1].posts && !mailboxes[1].posts->next && !mailboxes[2].posts);
    CHECK(shards[0].exec.wakes.words[0] == 3);
    CHECK_HEARD(conns[0], MESSAGE("a", "1") MESSAGE("a", "2"));
    CHECK_HEARD(conns[1],
                MESSAGE("a", "1") PMESSAGE("a*", "a", "1") MESSAGE("a", "2") PMESSAGE("a*", "a", "2"));
    CHECK_HEARD(conns[2],
                ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n2\r\n");
    CHECK_HEARD(conns[3], "");
    CHECK_INT(send_from(1, CHANNEL_SHARD, "a", BYTES("4")), 0);
    CHECK_INT(publish(1, "a", "5"), 4); /* its post was run, and is sent again */
    CHECK_HEARD(conns[0], MESSAGE("a", "5"));
    close_all(conns, 4);
}

/* Before its subscriptions change a client is written what waits, and it is not written that again. */
static void what_was_published_before_comes_before_the_confirmation(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(1), reader(1)};
    for (unsigned i = 0; i < 2; i++) subscribe(conns[i], CHANNEL_PLAIN, "a"), forget(conns[i]);
    publish(0, "a", "1");
    publish(0, "b", "2");
    subscribe(conns[0], CHANNEL_PLAIN, "b"); /* hears no message from before it */
    CHECK_WRITTEN(conns[0], MESSAGE("a", "1") "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n");
    publish(0, "b", "3");
    publish(0, "a", "4");
    unsubscribe(conns[0], CHANNEL_PLAIN, "a");
    CHECK_WRITTEN(conns[0],
                  MESSAGE("b", "3") MESSAGE("a", "4") "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n");
    publish(0, "a", "5");
    publish(0, "b", "6");
    CHECK_HEARD(conns[0], MESSAGE("b", "6"));
    CHECK_WRITTEN(conns[1], MESSAGE("a", "1") MESSAGE("a", "4") MESSAGE("a", "5"));
    publish(2, "b", "7");
    pubsub_catch_up(&conns[0]->client, reply_of(conns[0]));
    CHECK_WRITTEN(conns[0], MESSAGE("b", "7"));
    publish(2, "b", "8");
    pubsub_unsubscribe_all(&conns[0]->client, CHANNEL_PLAIN, reply_of(conns[0]));
    CHECK_WRITTEN(conns[0], MESSAGE("b", "8") "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
    CHECK_HEARD(conns[0], "");
    close_all(conns, 2);
}

static void within_exec_messages_come_behind(void) {
    fixture_open(SHARDS);
    struct conn *a = reader(0);
    subscribe(a, CHANNEL_PLAIN, "a");
    forget(a);
    client_set(a->client.flags, a->client.flags | CLIENT_IN_EXEC);
    publish(0, "a", "1");
    unsubscribe(a, CHANNEL_PLAIN, "a");
    publish(0, "a", "2");
    CHECK_WRITTEN(a, "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n");
    client_set(a->client.flags, a->client.flags & ~(uint32_t)CLIENT_IN_EXEC);
    pubsub_catch_up(&a->client, reply_of(a));
    CHECK_WRITTEN(a, MESSAGE("a", "1"));
    CHECK(!a->client.subscriber);
    close_all(&a, 1);
}

static void who_leaves_hears_nothing_more(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(1), reader(1)};
    for (unsigned i = 0; i < 2; i++)
        subscribe(conns[i], CHANNEL_PLAIN, "a"), subscribe(conns[i], CHANNEL_PATTERN, "*"), forget(conns[i]);
    CHECK_INT(publish(0, "a", "1"), 4);
    pubsub_leave(&conns[0]->client);
    CHECK(!(conns[0]->client.flags & CLIENT_SUBSCRIBED) && !conns[0]->client.subscriber);
    CHECK_HEARD(conns[0], "");
    CHECK_WRITTEN(conns[1], MESSAGE("a", "1") "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\na\r\n$1\r\n1\r\n");
    CHECK_INT(publish(0, "a", "2"), 2);
    conn_shut(conns[1]); /* it is being closed: it hears nothing either */
    CHECK_HEARD(conns[1], "");
    close_all(conns, 2);
}

static void a_long_message_is_sent_from_where_it_lies(void) {
    static char text[3 * PIN_MIN];
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(0), reader(2)};
    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 2; i++) subscribe(conns[i], CHANNEL_PATTERN, "l*"), forget(conns[i]);
    CHECK_INT(send_from(0, CHANNEL_PLAIN, "l", (struct bytes){text, sizeof text}), 2);
    for (unsigned i = 0; i < 2; i++) {
        char head[128];
        int len = snprintf(head, sizeof head, "*4\r\n$8\r\npmessage\r\n$2\r\nl*\r\n$1\r\nl\r\n$%zu\r\n",
                           sizeof text);
        deliver_posts(conns[i]->shard);
        CHECK(conns[i]->output.chunk && output_unsent(&conns[i]->output) - sizeof text < sizeof head);
        struct bytes got = written(conns[i]);
        CHECK_INT(got.len, (size_t)len + sizeof text + 2);
        CHECK(memcmp(got.data, head, (size_t)len) == 0 && memcmp(got.data + len, text, sizeof text) == 0);
    }
    close_all(conns, 2);
}

static void many_deliveries_take_several_turns(void) {
    fixture_open(SHARDS);
    struct conn *a = reader(1);
    subscribe(a, CHANNEL_PLAIN, "a");
    forget(a);
    for (unsigned i = 0; i < MESSAGES_PER_TURN; i++) CHECK_INT(publish(0, "a", "1"), 1);
    size_t one = sizeof(MESSAGE("a", "1")) - 1;
    struct bytes first = heard(a);
    CHECK(first.len == one * (MESSAGES_PER_TURN / 2) && post_waiting(&mailboxes[1], DUE_ALL));
    CHECK_INT(heard(a).len, one * (MESSAGES_PER_TURN / 2));
    CHECK(!post_waiting(&mailboxes[1], DUE_ALL));
    close_all(&a, 1);
}

/* Who publishes is told when too much waits, and all shards when there is room again. */
static void an_inbox_is_full_and_has_room_again(void) {
    static char text[1 << 20];
    fixture_open(SHARDS);
    struct conn *a = reader(1);
    subscribe(a, CHANNEL_PLAIN, "a");
    forget(a);
    for (unsigned i = 0; i < SHARDS; i++) (void)post_take_due(&mailboxes[i]);
    for (unsigned i = 0; i < MESSAGES_HIGH / sizeof text - 1; i++) {
        CHECK_INT(send_from(0, CHANNEL_PLAIN, "a", (struct bytes){text, sizeof text}), 1);
        CHECK(!pubsub_is_full());
    }
    CHECK_INT(send_from(0, CHANNEL_PLAIN, "a", (struct bytes){text, sizeof text}), 1);
    CHECK(pubsub_is_full());
    CHECK_INT(post_take_due(&mailboxes[0]), DUE_NEVER);
    deliver_posts(&shards[1]);
    CHECK(!pubsub_is_full());
    for (unsigned i = 0; i < SHARDS; i++) CHECK_INT(post_take_due(&mailboxes[i]), DUE_ALL);
    close_all(&a, 1);
}

/* A subscriber that does not read reaches its class's limit, and is closed for it; the others go on. */
static void who_does_not_read_is_cut(void) {
    fixture_open(SHARDS);
    options_set("client-output-buffer-limit pubsub 1000 0 0\n");
    struct conn *conns[] = {reader(1), reader(1)};
    for (unsigned i = 0; i < 2; i++) subscribe(conns[i], CHANNEL_PLAIN, "a"), forget(conns[i]);
    for (unsigned i = 0; output_unsent(&conns[0]->output) <= 1000; i++) {
        CHECK(i < 100 && !(conns[0]->flags & CONN_CLOSING));
        CHECK_INT(publish(0, "a", "1"), 2);
        CHECK_HEARD(conns[1], MESSAGE("a", "1"));
    }
    send_flush(conns[0]);
    conn_settle(conns[1]);
    CHECK(conns[0]->flags & CONN_CLOSING && !(conns[1]->flags & CONN_CLOSING));
    CHECK_INT(publish(0, "a", "1"), 2); /* it goes when its last event has come */
    CHECK_HEARD(conns[1], MESSAGE("a", "1"));
    close_all(conns, 2);
}

static void without_memory_nothing_is_subscribed_or_published(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(0), reader(1)};
    struct channel_name name = name_of("a*");
    bool done = false;
    reply_ok(reply_of(conns[0])); /* there is a chunk for replies then */
    forget(conns[0]);
    for (unsigned allocations = 0; !done; allocations++) {
        CHECK(allocations < 20);
        memory_left = allocations;
        done = pubsub_subscribe(&conns[0]->client, CHANNEL_PATTERN, &name, reply_of(conns[0]));
        memory_left = UINT_MAX;
        CHECK(done == (conns[0]->client.subscriber != NULL) && (!done || allocations >= 6));
        CHECK_INT(pubsub_subscribers(CHANNEL_PATTERN, &name), done);
    }
    forget(conns[0]);
    subscribe(conns[1], CHANNEL_PLAIN, "a");
    forget(conns[1]);
    memory_left = 0;
    CHECK_INT(publish(0, "a", "1"), -1);
    memory_left = UINT_MAX;
    CHECK(!mailboxes[0].posts && !mailboxes[1].posts);
    CHECK_INT(publish(0, "a", "2"), 2);
    CHECK_HEARD(conns[0], PMESSAGE("a*", "a", "2"));
    CHECK_HEARD(conns[1], MESSAGE("a", "2"));
    close_all(conns, 2);
}

static void kill(struct conn *conn) {
    clients_lock();
    conn->client.killed = true;
    pubsub_kill(&conn->client);
    clients_unlock();
}

static void who_is_killed_counts_no_more(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(0), reader(1), reader(1)};
    struct channel_name a = name_of("a");
    char more[8];
    for (unsigned i = 0; i < 2; i++) {
        subscribe(conns[i], CHANNEL_PLAIN, "a");
        subscribe(conns[i], CHANNEL_PATTERN, "a*");
        subscribe(conns[i], CHANNEL_SHARD, "a");
        forget(conns[i]);
    }
    for (int i = 0; i < 50; i++) { /* in many buckets */
        snprintf(more, sizeof more, "b%d", i);
        subscribe(conns[1], CHANNEL_PLAIN, more);
    }
    CHECK_INT(publish(2, "a", "1"), 4);
    kill(conns[1]);
    kill(conns[1]);
    CHECK_INT(publish(2, "a", "2"), 2);
    CHECK_INT(pubsub_subscribers(CHANNEL_SHARD, &a), 1);
    CHECK_INT(channels_of_kind[CHANNEL_PLAIN], 1);
    kill(conns[0]);
    CHECK_INT(publish(2, "a", "3"), 0);
    CHECK_INT(channels_of_kind[CHANNEL_PATTERN] + channels_of_kind[CHANNEL_SHARD], 0);
    /* Its thread has not heard of that yet. */
    subscribe(conns[1], CHANNEL_PLAIN, "a");
    unsubscribe(conns[1], CHANNEL_PLAIN, "b1");
    pubsub_unsubscribe_all(&conns[1]->client, CHANNEL_SHARD, reply_of(conns[1]));
    CHECK_INT(publish(2, "a", "4"), 0);
    subscribe(conns[2], CHANNEL_PLAIN, "a");
    forget(conns[2]);
    fixture_conn_close(conns[1]);
    CHECK_INT(publish(0, "a", "5"), 1);
    CHECK_HEARD(conns[2], MESSAGE("a", "5"));
    fixture_conn_close(conns[0]);
    close_all(conns + 2, 1);
}

static void what_waits_for_a_shard_that_ends_is_dropped(void) {
    fixture_open(SHARDS);
    struct conn *conns[] = {reader(1)};
    subscribe(conns[0], CHANNEL_PLAIN, "a");
    publish(0, "a", "1");
    fixture_conn_close(conns[0]);
    CHECK_INT(channels_of_kind[CHANNEL_PLAIN], 0);
    buffer_free(&sent);
    fixture_close();
    fixture_open(SHARDS);
    conns[0] = reader(1);
    subscribe(conns[0], CHANNEL_PLAIN, "a");
    forget(conns[0]);
    CHECK_INT(publish(0, "a", "2"), 1);
    CHECK_HEARD(conns[0], MESSAGE("a", "2"));
    close_all(conns, 1);
}

/* A random history against a list of what each client ought to hear. No channel matches two of the patterns: of these, the
 * order is not fixed. */
enum { CLIENTS = 6, NAMES = 4, STEPS = 20000 };
static const char *const names[2][NAMES] = {{"a", "b", "c", "d"}, {"[ab]", "c*", "?x", "\\d"}};
static const bool matches[NAMES][NAMES] = {{1, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}, {0, 0, 0, 1}};

struct hearer {
    struct conn *conn;
    bool of[2][NAMES]; /* what it subscribes to */
    struct buffer due; /* what it ought to have been sent so far */
};
static struct hearer hearers[CLIENTS];

static __attribute__((format(printf, 2, 3))) void owe(struct hearer *hearer, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    CHECK(len > 0 && len < (int)sizeof text);
    CHECK(buffer_append(&hearer->due, (struct bytes){text, (size_t)len}, SIZE_MAX));
}

static void change_at_random(struct hearer *hearer, unsigned kind, unsigned what) {
    unsigned total = 0;
    bool on = random() % 2;
    char word[16];
    hearer->of[kind][what] = on;
    if (on)
        subscribe(hearer->conn, (enum channel_kind)kind, names[kind][what]);
    else
        unsubscribe(hearer->conn, (enum channel_kind)kind, names[kind][what]);
    for (unsigned i = 0; i < 2 * NAMES; i++) total += hearer->of[i / NAMES][i % NAMES];
    snprintf(word, sizeof word, "%s%ssubscribe", kind ? "p" : "", on ? "" : "un");
    owe(hearer, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:%u\r\n", strlen(word), word, strlen(names[kind][what]),
        names[kind][what], total);
}

static void publish_at_random(unsigned what) {
    char text[2] = {(char)('A' + random() % 26), 0};
    const char *channel = names[0][what];
    int64_t count = 0;
    for (struct hearer *hearer = hearers; hearer < hearers + CLIENTS; hearer++) {
        if (hearer->of[0][what]) owe(hearer, MESSAGE("%s", "%s"), channel, text), count++;
        for (unsigned p = 0; p < NAMES; p++) {
            if (!hearer->of[1][p] || !matches[p][what]) continue;
            owe(hearer, "*4\r\n$8\r\npmessage\r\n$%zu\r\n%s\r\n$1\r\n%s\r\n$1\r\n%s\r\n", strlen(names[1][p]),
                names[1][p], channel, text);
            count++;
        }
    }
    CHECK_INT(publish((unsigned)random() % SHARDS, channel, text), count);
}

static void in_any_history_each_hears_its_own_in_order(void) {
    struct conn *conns[CLIENTS];
    fixture_open(SHARDS);
    srandom(5);
    for (unsigned i = 0; i < CLIENTS; i++) conns[i] = hearers[i].conn = reader(i % SHARDS);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned choice = (unsigned)random() % 8, what = (unsigned)random() % NAMES;
        if (choice < 2)
            change_at_random(&hearers[random() % CLIENTS], choice, what);
        else if (choice == 2)
            deliver_posts(&shards[random() % SHARDS]);
        else
            publish_at_random(what);
    }
    for (unsigned i = 0; i < SHARDS; i++) deliver_posts(&shards[i]);
    for (unsigned i = 0; i < CLIENTS; i++) {
        CHECK_BYTES(written(conns[i]), buffer_bytes(&hearers[i].due));
        buffer_free(&hearers[i].due);
    }
    close_all(conns, CLIENTS);
}

int main(void) {
    RUN(subscriptions_are_confirmed_and_counted);
    RUN(a_message_reaches_all_subscribers_of_all_shards_by_one_post_each);
    RUN(what_was_published_before_comes_before_the_confirmation);
    RUN(within_exec_messages_come_behind);
    RUN(who_leaves_hears_nothing_more);
    RUN(a_long_message_is_sent_from_where_it_lies);
    RUN(many_deliveries_take_several_turns);
    RUN(an_inbox_is_full_and_has_room_again);
    RUN(who_does_not_read_is_cut);
    RUN(without_memory_nothing_is_subscribed_or_published);
    RUN(who_is_killed_counts_no_more);
    RUN(what_waits_for_a_shard_that_ends_is_dropped);
    RUN(in_any_history_each_hears_its_own_in_order);
    return 0;
}
