/* The turn, on real rings and threads: what goes into a socket and what comes out, what wakes a shard that
 * sleeps, and how it ends. What a turn decides about waiting is tested in pace.c. */
#include "server/loop/reactor.h"

#include "tests/unit/shards_fixture.h"

static void requests_are_answered_in_order_however_they_are_cut(void) {
    begin(1, "");
    int fd = client_of(0);
    ASK(fd, "set k v\r\nget k\r\n", "+OK\r\n$1\r\nv\r\n");
    static const char request[] = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for (size_t i = 0; i < sizeof request - 1; i++) say(fd, (struct bytes){request + i, 1});
    expect(fd, BYTES("$1\r\nv\r\n"));
    for (int i = 0; i < 3000; i++)
        say(fd, BYTES("incr n\r\n")); /* more than a turn takes from one connection */
    for (int i = 1; i <= 3000; i++) {
        char reply[16];
        expect(fd, (struct bytes){reply, (size_t)snprintf(reply, sizeof reply, ":%d\r\n", i)});
    }
    close(fd);
    end();
}

static void many_connections_are_served_at_once(void) {
    enum { CLIENTS = 300 };
    int fds[CLIENTS];
    begin(2, "");
    for (int i = 0; i < CLIENTS; i++) fds[i] = client_of((unsigned)i % 2);
    for (int i = 0; i < CLIENTS; i++) say(fds[i], BYTES("incr n\r\nping\r\n"));
    long sum = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char reply[32] = {0};
        for (size_t len = 0; !strstr(reply, "+PONG\r\n"); len++) hear(fds[i], reply + len, 1);
        sum += strtol(reply + 1, NULL, 10);
    }
    CHECK_INT(sum, (long)CLIENTS * (CLIENTS + 1) / 2); /* each number once */
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    end();
}

/* What each looks at is asked for together with what others do: whole requests and half ones, of two databases. */
static void many_connections_that_ask_for_keys_get_each_its_own(void) {
    enum { CLIENTS = 60, ROUNDS = 20 };
    int fds[CLIENTS];
    char text[128];
    begin(2, "");
    for (int i = 0; i < CLIENTS; i++) fds[i] = client_of((unsigned)i % 2);
    for (int i = 0; i < CLIENTS; i++)
        if (i % 3 == 0) ASK(fds[i], "select 1\r\n", "+OK\r\n");
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++) {
            int len = snprintf(text, sizeof text, "*3\r\n$3\r\nSET\r\n$3\r\nk%02d\r\n$5\r\n%02d:%02d\r\n",
                               i / 3, i, round);
            say(fds[i], (struct bytes){text, (size_t)len});
            len = snprintf(text, sizeof text, "*2\r\n$6\r\nSTRLEN\r\n$3\r\nk%02d", i / 3);
            say(fds[i], (struct bytes){text, (size_t)len}); /* the rest comes later */
        }
        for (int i = 0; i < CLIENTS; i++)
            say(fds[i], i % 5 ? BYTES("\r\n") : BYTES("\r\n*1\r\n$4\r\nPING\r\n"));
        for (int i = 0; i < CLIENTS; i++)
            expect(fds[i], i % 5 ? BYTES("+OK\r\n:5\r\n") : BYTES("+OK\r\n:5\r\n+PONG\r\n"));
        for (int i = 0; i < CLIENTS; i++) {
            int len = snprintf(text, sizeof text, "*2\r\n$3\r\nGET\r\n$3\r\nk%02d\r\n", i / 3);
            say(fds[i], (struct bytes){text, (size_t)len});
        }
        for (int i = 0; i < CLIENTS; i++) {
            int owner = 0;
            hear(fds[i], text, 11);
            CHECK_INT(sscanf(text, "$5\r\n%02d", &owner), 1);
            CHECK_INT(owner / 3, i / 3);
            CHECK_INT(owner % 3 == 0, i % 3 == 0); /* it is of the same database */
        }
    }
    for (int i = 0; i < CLIENTS; i++) close(fds[i]);
    end();
}

/* Half a request is no reason to wait for, when nobody can send the other half. */
static void a_peer_that_sends_no_more_gets_its_replies_and_the_end(void) {
    begin(1, "");
    int fd = client_of(0);
    say(fd, BYTES("ping\r\necho half"));
    CHECK_INT(shutdown(fd, SHUT_WR), 0);
    expect(fd, BYTES("+PONG\r\n"));
    expect_end(fd);
    fd = client_of(0);
    ASK(fd, "quit\r\n", "+OK\r\n");
    expect_end(fd);
    fd = client_of(0);
    say(fd, BYTES("*1\r\n+nonsense\r\n"));
    expect(fd, BYTES("-ERR Protocol error: expected '$', got '+'\r\n"));
    expect_end(fd);
    end();
}

static void whoever_comes_beyond_maxclients_is_told_and_sent_away(void) {
    begin(1, "maxclients 1\n");
    int fd = client_of(0);
    ASK(fd, "ping\r\n", "+PONG\r\n");
    int one_too_many = client_of(0);
    expect(one_too_many, BYTES("-ERR max number of clients reached\r\n"));
    expect_end(one_too_many);
    ASK(fd, "ping\r\n", "+PONG\r\n");
    close(fd);
    end();
}

/* Large values by both ways: read into their place, sent from there; and in parts, as the socket takes them. */
static void large_values_come_back_as_they_were_sent(void) {
    enum { LARGE = 3000000 };
    char *value = malloc(LARGE), *back = malloc(LARGE), head[64];
    unsigned long long random = check_seed();
    CHECK(value && back);
    for (size_t i = 0; i < LARGE; i++) value[i] = (char)check_random(&random);
    begin(1, "");
    int fd = client_of(0);
    size_t len = (size_t)snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n", LARGE);
    for (int round = 0; round < 2; round++) { /* the second finds a connection that is known to send much */
        say(fd, (struct bytes){head, len});
        say(fd, (struct bytes){value, LARGE});
        say(fd, BYTES("\r\nget k\r\nping\r\n"));
        expect(fd, BYTES("+OK\r\n$3000000\r\n"));
        hear(fd, back, LARGE);
        CHECK(memcmp(value, back, LARGE) == 0);
        expect(fd, BYTES("\r\n+PONG\r\n"));
        value[round]++;
    }
    close(fd);
    end();
    free(value);
    free(back);
}

/* Nobody asks for it, and nobody is connected. The keys lie in the stripes of both shards. */
static void a_sleeping_shard_wakes_for_keys_that_expire(void) {
    enum { KEYS = 64 };
    for (unsigned count = 1; count <= 2; count++) {
        begin(count, "");
        int fd = client_of(0);
        for (int i = 0; i < KEYS; i++) {
            char line[64];
            say(fd, (struct bytes){line, (size_t)snprintf(line, sizeof line, "set k%d v px 30\r\n", i)});
            expect(fd, BYTES("+OK\r\n"));
        }
        close(fd);
        uint64_t begun_us = now_us(), expired = 0;
        while (expired < KEYS) {
            expired = 0;
            for (unsigned i = 0; i < count; i++) expired += metric_get(&shards[i].exec.metrics.expired_keys);
            CHECK(now_us() - begun_us < DEADLINE_S * 1000000ull);
            sched_yield();
        }
        end();
    }
}

static void a_sleeping_shard_hears_what_others_ask_of_its_connections(void) {
    begin(2, "");
    int asking = client_of(0), victim = client_of(1);
    char id[32] = {0}, line[64];
    say(victim, BYTES("client id\r\n"));
    for (size_t len = 0; !strchr(id, '\n'); len++) hear(victim, id + len, 1);
    int len = snprintf(line, sizeof line, "client kill id %.*s", (int)strlen(id) - 1, id + 1);
    say(asking, (struct bytes){line, (size_t)len});
    expect(asking, BYTES(":1\r\n"));
    expect_end(victim);
    ASK(asking, "ping\r\n", "+PONG\r\n");
    close(asking);
    end();
}

static void a_pause_ends_by_itself_and_by_command(void) {
    begin(2, "");
    int asking = client_of(0), waiting = client_of(1);
    /* Before it is asked for: whoever takes long to read the answer finds less of the pause left. */
    uint64_t begun_us = now_us();
    ASK(asking, "client pause 50 all\r\n", "+OK\r\n");
    ASK(waiting, "ping\r\n", "+PONG\r\n");
    CHECK(now_us() - begun_us >= 40000);
    ASK(asking, "client pause 1000000 write\r\n", "+OK\r\n");
    say(waiting, BYTES("set k v\r\n"));
    ASK(asking, "ping\r\nclient unpause\r\n", "+PONG\r\n+OK\r\n");
    expect(waiting, BYTES("+OK\r\n"));
    close(asking);
    close(waiting);
    end();
}

/* Who waits is held however often others are answered, and let go as soon as may be, though his shard sleeps. */
static void replies_wait_until_what_they_show_is_durable(void) {
    begin_held(2, "");
    int waiting = client_of(0), other = client_of(0);
    for (int round = 0; round < 3; round++) {
        say(waiting, BYTES("set k v\r\nping\r\n")); /* nor does what stands behind overtake it */
        while (journal_next() == journal_safe()) sched_yield();
        for (int i = 0; i < 3; i++) {
            ASK(other, "ping\r\n", "+PONG\r\n");
            struct pollfd early = {.fd = waiting, .events = POLLIN};
            CHECK_INT(poll(&early, 1, 0), 0);
        }
        journal_publish(journal_next());
        expect(waiting, BYTES("+OK\r\n+PONG\r\n"));
        ASK(waiting, "get k\r\n", "$1\r\nv\r\n"); /* what is durable keeps nobody waiting */
    }
    close(waiting);
    close(other);
    end_held();
}

/* Each reply leaves with the second batch of the journal that begins behind its request, at the latest, though more requests
 * run while each batch is on its way to the disk; and none leaves before its own. */
static void who_never_stops_asking_is_answered_within_two_batches(void) {
    enum { BATCHES = 60, REQUESTS = 50 };
    begin_held(2, "");
    int asking = client_of(0);
    char reply[5];
    uint64_t batch = 0, before = 0, answered = 0;
    for (unsigned i = 0; i < BATCHES; i++) {
        for (unsigned j = 0; j < REQUESTS; j++) say(asking, BYTES("set k v\r\n"));
        while (journal_next() < (i + 1) * REQUESTS) sched_yield(); /* each takes a ticket */
        journal_publish(batch);
        for (; answered < before; answered++) hear(asking, reply, sizeof reply);
        before = batch;
        batch = journal_next();
    }
    journal_publish(batch);
    for (; answered < batch; answered++) hear(asking, reply, sizeof reply);
    struct pollfd more = {.fd = asking, .events = POLLIN};
    CHECK_INT(poll(&more, 1, 0), 0);
    close(asking);
    end_held();
}

/* It enters for the reply, and to wait. Who spins does so too, and is kept from it here. */
static void who_has_slept_for_long_is_answered_before_the_rest_of_the_turn(void) {
    begin(1, "io-busy-poll-us 0\n");
    int fd = client_of(0);
    const struct metrics *metrics = &shards[0].exec.metrics;
    uint64_t begun_us = now_us(), early = 0;
    while (!io_is_epoll(&shards[0].io) && early < 3) {
        for (uint64_t asked_us = now_us(); now_us() - asked_us < 1000;) sched_yield();
        uint64_t turns = metric_get(&metrics->ring_turns), enters = metric_get(&metrics->ring_enters);
        ASK(fd, "ping\r\n", "+PONG\r\n");
        while (metric_get(&metrics->ring_turns) == turns) sched_yield();
        turns = metric_get(&metrics->ring_turns) - turns;
        early += metric_get(&metrics->ring_enters) - enters > turns;
        CHECK(now_us() - begun_us < DEADLINE_S * 1000000ull);
    }
    close(fd);
    end();
}

/* What was answered is sent; then every connection ends. */
static void a_shard_that_is_stopped_sends_its_replies_and_hangs_up(void) {
    enum { CLIENTS = 20 };
    int fds[CLIENTS];
    begin(2, "");
    for (int i = 0; i < CLIENTS; i++) fds[i] = client_of((unsigned)i % 2);
    for (int i = 0; i < CLIENTS; i++) ASK(fds[i], "ping\r\n", "+PONG\r\n");
    end();
    for (int i = 0; i < CLIENTS; i++) expect_end(fds[i]);
}

static void subscribe_all(int *fds, int count) {
    for (int i = 0; i < count; i++) {
        fds[i] = client_of(0);
        ASK(fds[i], "subscribe c\r\n", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    }
}

/* Others have their turns in between, and what is published meanwhile leaves with what waits. */
static void what_many_are_told_leaves_in_slices(void) {
    enum { SUBSCRIBERS = 300, MESSAGES = 40, A_SLICE = 8, SLICES_A_TURN = 2 /* one of them early */ };
    int fds[SUBSCRIBERS];
    char text[64];
    begin(1, "");
    subscribe_all(fds, SUBSCRIBERS);
    int fd = client_of(0);
    uint64_t turns = metric_get(&shards->exec.metrics.ring_turns);
    ASK(fd, "publish c 00\r\n", ":300\r\n");
    for (int i = 0; i < SUBSCRIBERS; i++)
        expect(fds[i], BYTES("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n00\r\n"));
    turns = metric_get(&shards->exec.metrics.ring_turns) - turns;
    CHECK(turns >= SUBSCRIBERS / (A_SLICE * SLICES_A_TURN));
    for (int message = 0; message < MESSAGES; message++) {
        int len = snprintf(text, sizeof text, "publish c %02d\r\n", message);
        say(fd, (struct bytes){text, (size_t)len});
        expect(fd, BYTES(":300\r\n"));
    }
    for (int i = 0; i < SUBSCRIBERS; i++) {
        for (int message = 0; message < MESSAGES; message++) {
            int len =
                snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n%02d\r\n", message);
            expect(fds[i], (struct bytes){text, (size_t)len});
        }
        close(fds[i]);
    }
    close(fd);
    end();
}

static void what_many_are_told_is_sent_before_the_end(void) {
    enum { SUBSCRIBERS = 300 };
    int fds[SUBSCRIBERS];
    begin(1, "");
    subscribe_all(fds, SUBSCRIBERS);
    int fd = client_of(0);
    ASK(fd, "publish c 00\r\n", ":300\r\n");
    end();
    for (int i = 0; i < SUBSCRIBERS; i++) {
        expect(fds[i], BYTES("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n00\r\n"));
        expect_end(fds[i]);
    }
    close(fd);
}

int main(void) {
    RUN(requests_are_answered_in_order_however_they_are_cut);
    RUN(many_connections_are_served_at_once);
    RUN(many_connections_that_ask_for_keys_get_each_its_own);
    RUN(a_peer_that_sends_no_more_gets_its_replies_and_the_end);
    RUN(whoever_comes_beyond_maxclients_is_told_and_sent_away);
    RUN(large_values_come_back_as_they_were_sent);
    RUN(a_sleeping_shard_wakes_for_keys_that_expire);
    RUN(a_sleeping_shard_hears_what_others_ask_of_its_connections);
    RUN(a_pause_ends_by_itself_and_by_command);
    RUN(replies_wait_until_what_they_show_is_durable);
    RUN(who_never_stops_asking_is_answered_within_two_batches);
    RUN(who_has_slept_for_long_is_answered_before_the_rest_of_the_turn);
    RUN(what_many_are_told_leaves_in_slices);
    RUN(what_many_are_told_is_sent_before_the_end);
    RUN(a_shard_that_is_stopped_sends_its_replies_and_hangs_up);
    return 0;
}
