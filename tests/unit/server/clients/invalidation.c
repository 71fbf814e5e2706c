/* Who is told that a key is invalid: across shards, by way of another, by prefixes, all of them; and without memory. */
#include "server/clients/invalidation.h"

#include "tests/unit/failing_memory.h"
#include "tests/unit/server_fixture.h"

enum { SHARDS = 3 };

static struct buffer sent;
static struct conn *a, *b, *c; /* of one shard each */
static struct invalidator by;

static void begin(void) {
    fixture_open(SHARDS);
    a = fixture_conn(&shards[0]), b = fixture_conn(&shards[1]), c = fixture_conn(&shards[2]);
    a->output.reply.resp = b->output.reply.resp = c->output.reply.resp = 3;
    a->client.resp = b->client.resp = c->client.resp = 3;
    by = (struct invalidator){.wakes = &shards[0].exec.wakes};
}

static void end(void) {
    struct conn *all[] = {a, b, c};
    for (unsigned i = 0; i < SHARDS; i++) {
        trackers_end(&all[i]->client);
        fixture_conn_close(all[i]);
    }
    for (unsigned i = 0; i < SHARDS; i++) deliver_posts(&shards[i]);
    CHECK(!trackers_count() && !invalidation_is_full());
    invalidator_close(&by);
    buffer_free(&sent);
    fixture_close();
}

static void track(struct conn *conn, uint32_t flags, struct conn *target, const char *prefix) {
    struct bytes name = bytes_of(prefix ? prefix : "");
    struct tracking_mode mode = {.flags = flags,
                                 .target = target ? &target->client : NULL,
                                 .prefixes = &name,
                                 .prefix_count = prefix != NULL};
    CHECK(trackers_begin(&conn->client, &mode));
}

static struct bytes heard(struct conn *conn) {
    buffer_free(&sent);
    deliver_posts(conn->shard);
    fixture_take(&conn->output, &sent);
    return buffer_bytes(&sent);
}
#define CHECK_HEARD(conn, text) CHECK_BYTES(heard(conn), BYTES(text))
#define INVALID(what)           ">2\r\n$10\r\ninvalidate\r\n" what
#define ONE(key)                INVALID("*1\r\n$1\r\n" key "\r\n")
#define ALL                     INVALID("_\r\n")

static void change(const char *key) {
    const uint32_t others[] = {(uint32_t)c->client.id, 12345};
    struct readers readers = {.first = (uint32_t)a->client.id, .near = 1, .others = others, .count = 2};
    readers.near |= UINT32_C(1) << ((uint32_t)b->client.id - readers.first) | UINT32_C(1) << 31;
    invalidation_key(&by, bytes_of(key), &readers);
}

static void readers_hear_on_their_shards(void) {
    begin();
    track(a, 0, NULL, NULL), track(b, CLIENT_BCAST, NULL, NULL), track(c, 0, NULL, NULL);
    change("k"), change("l");
    CHECK_HEARD(a, ONE("k") ONE("l"));
    CHECK_HEARD(b, "");
    CHECK_HEARD(c, ONE("k") ONE("l"));
    invalidation_all(&by);
    CHECK_HEARD(a, ALL);
    CHECK_HEARD(b, ALL);
    trackers_end(&a->client);
    change("k");
    CHECK_HEARD(a, "");
    end();
}

static void ones_own_changes_come_behind_the_reply(void) {
    begin();
    track(a, 0, NULL, NULL), track(b, CLIENT_NOLOOP, NULL, NULL), track(c, 0, NULL, NULL);
    by.own.client_id = a->client.id;
    change("k");
    invalidation_all(&by);
    CHECK_HEARD(a, "");
    CHECK_HEARD(b, ONE("k") ALL);
    invalidation_tell_own(&by, &a->client, &a->output.reply);
    CHECK_HEARD(a, ONE("k") ALL);
    CHECK(!invalidation_has_own(&by));
    by.own.client_id = b->client.id;
    change("k");
    CHECK(!invalidation_has_own(&by));
    CHECK_HEARD(a, ONE("k"));
    invalidation_unnoted(&by);
    invalidation_tell_own(&by, &b->client, &b->output.reply);
    CHECK_HEARD(b, ALL);
    by.own.client_id = c->client.id;
    change("k");
    invalidation_tell_own(&by, NULL, NULL); /* muted: it comes by its shard's mail */
    CHECK_HEARD(c, ONE("k") ALL ONE("k") ONE("k"));
    end();
}

static void who_redirects_is_told_that_his_target_has_gone(void) {
    begin();
    track(a, 0, b, NULL);
    change("k");
    CHECK_HEARD(a, "");
    CHECK_HEARD(b, ONE("k"));
    b->client.resp = b->output.reply.resp = 2;
    change("k");
    CHECK_HEARD(b, ""); /* it could not tell it from a reply */
    client_set(b->client.flags, b->client.flags | CLIENT_SUBSCRIBED);
    change("k");
    CHECK_HEARD(b, "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n");
    client_set(b->client.flags, b->client.flags & ~(uint32_t)CLIENT_SUBSCRIBED);
    client_set(b->client.flags, b->client.flags | CLIENT_CLOSE_AFTER_REPLY); /* it has said QUIT */
    change("k");
    trackers_leave(&b->client);
    change("l");
    char text[128];
    struct text broken = text_fixed(text, sizeof text);
    for (int i = 0; i < 2; i++)
        text_format(&broken, ">2\r\n$21\r\ntracking-redir-broken\r\n:%llu\r\n",
                    (unsigned long long)b->client.id);
    CHECK_BYTES(heard(a), text_bytes(&broken));
    CHECK(a->client.flags & CLIENT_BROKEN_REDIRECT);
    by.own.client_id = a->client.id;
    change("k");
    invalidation_tell_own(&by, &a->client, &a->output.reply);
    CHECK(bytes_equal(heard(a), (struct bytes){text, broken.len / 2}));
    end();
}

static void prefixes_hear_of_each_key_once(void) {
    begin();
    track(a, CLIENT_BCAST, NULL, NULL), track(b, CLIENT_BCAST, NULL, "x"),
        track(c, CLIENT_BCAST | CLIENT_NOLOOP, NULL, "x");
    invalidation_note(&by, BYTES("xb"), 0);
    invalidation_note(&by, BYTES("y"), 0);
    invalidation_note(&by, BYTES("xa"), c->client.id);
    invalidation_note(&by, BYTES("xb"), 0);
    CHECK(invalidation_has_news(&by));
    invalidation_broadcast(&by);
    CHECK(!invalidation_has_news(&by));
    CHECK_HEARD(a, INVALID("*3\r\n$2\r\nxa\r\n$2\r\nxb\r\n$1\r\ny\r\n"));
    CHECK_HEARD(b, INVALID("*2\r\n$2\r\nxa\r\n$2\r\nxb\r\n"));
    CHECK_HEARD(c, INVALID("*1\r\n$2\r\nxb\r\n"));
    invalidation_note(&by, BYTES("xb"), c->client.id);
    invalidation_broadcast(&by);
    CHECK_HEARD(c, "");
    (void)heard(a), (void)heard(b);
    end();
}

static void much_is_told_before_the_turn_ends(void) {
    static char key[40 * 1024];
    begin();
    track(a, CLIENT_BCAST, NULL, NULL);
    memset(key, 'k', sizeof key);
    invalidation_note(&by, (struct bytes){key, sizeof key}, 0);
    CHECK(invalidation_has_news(&by));
    key[0] = 'j';
    invalidation_note(&by, (struct bytes){key, sizeof key}, 0);
    CHECK(!invalidation_has_news(&by));
    CHECK(heard(a).len > 2 * sizeof key);
    end();
}

/* Whatever fails, who has read the key is told of it, or that everything is invalid. */
static void without_memory_all_is_invalid(void) {
    static char key[2000];
    memset(key, 'k', sizeof key - 1);
    for (unsigned left = 0; left < 12; left++) {
        begin();
        track(a, 0, NULL, NULL), track(b, CLIENT_BCAST, NULL, NULL), track(c, 0, a, NULL);
        memory_left = left;
        change(left % 2 ? "k" : key);
        invalidation_note(&by, BYTES("n"), 0);
        invalidation_broadcast(&by);
        by.own.client_id = a->client.id;
        invalidation_all(&by);
        memory_left = UINT_MAX;
        CHECK(heard(b).len > 0);
        CHECK(heard(a).len > 0);
        invalidation_tell_own(&by, &a->client, &a->output.reply);
        CHECK(heard(a).len > 0);
        end();
    }
}

static void what_waits_for_an_ended_shard_is_dropped(void) {
    begin();
    track(a, 0, NULL, NULL);
    change("k");
    memory_left = 0;
    change("k");
    memory_left = UINT_MAX;
    trackers_end(&a->client);
    (void)post_take_all(shards[0].mailbox);
    invalidation_drop(0);
    CHECK(!trackers_of(a->client.id));
    end();
}

int main(void) {
    RUN(readers_hear_on_their_shards);
    RUN(ones_own_changes_come_behind_the_reply);
    RUN(who_redirects_is_told_that_his_target_has_gone);
    RUN(prefixes_hear_of_each_key_once);
    RUN(much_is_told_before_the_turn_ends);
    RUN(without_memory_all_is_invalid);
    RUN(what_waits_for_an_ended_shard_is_dropped);
    return 0;
}
