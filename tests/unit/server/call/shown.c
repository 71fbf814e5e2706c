/* Every way out by which a client may be shown data: while a change is not on the disk yet, nobody is shown it. Whole
 * shards run, and the test plays the thread that writes the journal: it says when what was changed may be shown. */
#include "server/call/shown.h"

#include "server/clients/pubsub.h"
#include "server/exec/blocking.h"
#include "tests/unit/shards_fixture.h"

/* What is left out, to see whether that is found. */
enum plant {
    PLANT_NOTHING,
    PLANT_KEYS,       /* what a command's keys show */
    PLANT_HELD,       /* EXEC's nil */
    PLANT_CLAIM,      /* the ticket of a request that tells somebody before its end */
    PLANT_CLAIM_LATE, /* the same of one that has changed something */
    PLANT_MESSAGES,   /* what a message shows */
    PLANT_SERVED,     /* what one shows who waited and was served */
    PLANT_REPLIES,    /* the mark of a connection */
    PLANT_COUNT
};
static _Atomic(enum plant) planted; /* shards read it while the test changes it */

#define WRAP(type, name, parameters)                                                                         \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters

WRAP(void, shown_note, (struct call * call)) {
    if (planted != PLANT_KEYS) __real_shown_note(call);
}
WRAP(void, shown_note_held, (struct call * call)) {
    if (planted != PLANT_HELD) __real_shown_note_held(call);
}
WRAP(void, effects_claim, (struct effects * x)) {
    if (planted != PLANT_CLAIM) __real_effects_claim(x);
}
WRAP(void, effects_claim_changed, (struct effects * x)) {
    if (planted != PLANT_CLAIM_LATE) __real_effects_claim_changed(x);
}
WRAP(uint64_t, pubsub_ticket, (const struct message *message)) {
    return planted == PLANT_MESSAGES ? 0 : __real_pubsub_ticket(message);
}
WRAP(uint64_t, blocking_shows, (const struct client *client)) {
    return planted == PLANT_SERVED ? 0 : __real_blocking_shows(client);
}
WRAP(void, send_hold, (struct conn * conn, size_t from, uint64_t ticket)) {
    if (planted != PLANT_REPLIES) __real_send_hold(conn, from, ticket);
}

/* ---- Clients -------------------------------------------------------------------------------------- */

enum { TEXT_MAX = 64 << 10 };

static int writer, reader, bystander[2]; /* of the first shard, of the last one, and of both */

static unsigned reader_shard(void) {
    return shard_count - 1;
}

static void publish_all(void) {
    journal_publish(journal_next());
}

static bool hears_within(int fd, int ms) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, ms) == 1;
}
static bool hears(int fd) {
    return hears_within(fd, 0);
}

/* Reads until the text ends with, or has, this. Meanwhile all is published, or nothing. */
static void hear_end(int fd, const char *end, bool last, bool published) {
    static char text[TEXT_MAX + 1];
    size_t len = 0;
    for (uint64_t begun_us = now_us();;) {
        if (published) publish_all();
        ssize_t n = hears_within(fd, 1) ? read(fd, text + len, TEXT_MAX - len) : 0;
        CHECK(n >= 0);
        len += (size_t)n;
        text[len] = 0;
        const char *found = strstr(text, end);
        if (found && (!last || found[strlen(end)] == 0)) return;
        if (now_us() - begun_us < (uint64_t)DEADLINE_S * 1000000) continue;
        fprintf(stderr, "never heard '%s', but '%s'\n", end, text);
        exit(1);
    }
}

static void hear_until(int fd, const char *end, bool last) {
    hear_end(fd, end, last, true);
}

/* Reads what has come. Is this in it? (A monitor is shown what bystanders say, too.) */
static bool has_heard(int fd, const char *part) {
    static char text[TEXT_MAX + 1];
    size_t len = 0;
    while (hears(fd)) {
        ssize_t n = read(fd, text + len, TEXT_MAX - len);
        CHECK(n > 0);
        len += (size_t)n;
    }
    text[len] = 0;
    return strstr(text, part);
}

/* Has these lines run, and everything published that they change. */
static void run(int fd, const char *lines) {
    say(fd, bytes_of(lines));
    say(fd, BYTES("echo ~end~\r\n"));
    hear_until(fd, "~end~\r\n", true);
}

/* Also what was queued by MULTI. */
static uint64_t processed(unsigned shard) {
    return metric_get(&shards[shard].exec.requests);
}

static void wait_for(bool (*done)(const void *context), const void *context) {
    for (uint64_t begun_us = now_us(); !done(context); (void)poll(NULL, 0, 1)) /* it leaves its CPU to them */
        CHECK(now_us() - begun_us < (uint64_t)DEADLINE_S * 1000000);
}

struct progress {
    unsigned shard;
    uint64_t processed;
};
static bool has_come(const void *context) {
    const struct progress *progress = context;
    return processed(progress->shard) >= progress->processed;
}
static bool is_blocked(const void *context) {
    (void)context;
    return metric_get(&shards[reader_shard()].exec.metrics.blocked_clients) == 1;
}
/* Is there a ticket behind this one? */
static bool has_changed_more(const void *ticket) {
    return journal_next() > *(const uint64_t *)ticket;
}

/* Has these lines run, and hears no reply. */
static void let_run(int fd, unsigned shard, const char *lines) {
    struct progress progress = {shard, processed(shard)};
    for (const char *at = lines; (at = strstr(at, "\r\n")); at += 2) progress.processed++;
    say(fd, bytes_of(lines));
    wait_for(has_come, &progress);
}

/* Whatever the shards were told has been done, and what may leave has left: each has gone round twice. */
static void settle(void) {
    for (int round = 0; round < 2; round++)
        for (unsigned i = 0; i < 2; i++) ASK(bystander[i], "ping\r\n", "+PONG\r\n");
}

static void open_clients(void) {
    writer = client_of(0);
    reader = client_of(reader_shard());
    bystander[0] = client_of(0);
    bystander[1] = client_of(reader_shard());
}

static void close_clients(void) {
    close(writer);
    close(reader);
    close(bystander[0]);
    close(bystander[1]);
}

/* Whether events are published makes a difference to when a request takes its ticket. */
static void publish_events(bool on) {
    open_clients();
    run(writer,
        on ? "config set notify-keyspace-events KEAm\r\n" : "config set notify-keyspace-events \"\"\r\n");
    close_clients();
}

/* ---- Ways out ------------------------------------------------------------------------------------- */

/* What is changed before, and what the reader has said before; what the writer changes; what the reader asks then; and
 * what he is shown. */
struct way {
    const char *setup, *prepare, *write, *read, *shows;
    enum {
        READER,
        BLOCKED,
        EXPIRING
    } how; /* who asks; who waits already; what is written has the key expire */
};

#define SUBSCRIBED(channel) "hello 3\r\nsubscribe " channel "\r\n"

static const struct way ways[] = {
    /* Replies about keys. */
    {"", "", "set k v\r\n", "get k\r\n", "$1\r\nv\r\n", READER},
    {"set k v\r\n", "", "del k\r\n", "get k\r\n", "$-1\r\n", READER},
    {"set k v\r\n", "", "del k\r\n", "exists k\r\n", ":0\r\n", READER},
    {"", "", "set k v\r\n", "mget a k b\r\n", "v", READER},
    {"", "", "set k v\r\n", "type k\r\n", "+string", READER},
    {"", "", "set k v exat 4102444800\r\n", "expiretime k\r\n", ":4102444800", READER},
    {"", "", "set k v\r\n", "strlen k\r\n", ":1", READER},
    {"", "", "set k v\r\n", "object encoding k\r\n", "embstr", READER},
    {"", "", "set k v\r\n", "dump k\r\n", "$13", READER},
    {"", "", "set k v\r\n", "memory usage k\r\n", ":", READER},
    {"", "", "set k v\r\n", "lpush k x\r\n", "-WRONGTYPE", READER},
    {"", "", "set k v\r\n", "set k w nx\r\n", "$-1", READER},
    {"", "", "set k v\r\n", "lrange k 0 -1\r\n", "-WRONGTYPE", READER},
    {"", "", "rpush k a b\r\n", "lrange k 0 -1\r\n", "*2", READER},
    {"rpush k a b\r\n", "", "ltrim k 1 1\r\n", "llen k\r\n", ":1", READER},
    {"", "", "hset k f v\r\n", "hgetall k\r\n", "*2", READER},
    {"", "", "sadd k a\r\n", "smembers k\r\n", "*1", READER},
    {"sadd q a b\r\n", "", "sadd k a\r\n", "sinter k q\r\n", "*1", READER},
    {"", "", "zadd k 1 a\r\n", "zrange k 0 -1\r\n", "*1", READER},
    {"", "", "zadd k 1 a\r\n", "zunion 2 q k\r\n", "*1", READER},
    {"", "", "xadd k 1-1 f v\r\n", "xrange k - +\r\n", "*1", READER},
    {"xadd k 1-1 f v\r\nxgroup create k g 0\r\n", "", "xreadgroup group g c streams k >\r\n",
     "xpending k g\r\n", "*4\r\n:1", READER},
    {"xadd k 1-1 f v\r\nxgroup create k g 0\r\n", "", "xreadgroup group g c streams k >\r\n",
     "xinfo groups k\r\n", "last-delivered-id\r\n$3\r\n1-1", READER},
    {"", "", "pfadd k a\r\n", "pfcount k\r\n", ":1", READER},
    {"", "", "setbit k 1 1\r\n", "bitcount k\r\n", ":1", READER},
    {"", "", "geoadd k 1 1 a\r\n", "geohash k a\r\n", "*1", READER},
    {"set q v\r\n", "", "rename q k\r\n", "get k\r\n", "$1", READER},
    {"set q v\r\n", "", "rename q k\r\n", "get q\r\n", "$-1", READER},
    {"set q v\r\n", "", "copy q k\r\n", "get k\r\n", "$1", READER},
    {"set k v\r\n", "", "move k 1\r\n", "get k\r\n", "$-1", READER},
    {"set k v\r\n", "select 1\r\n", "move k 1\r\n", "get k\r\n", "$1", READER},
    {"rpush q 2 1\r\n", "", "sort q store k\r\n", "lrange k 0 -1\r\n", "*2", READER},
    {"rpush q a b\r\n", "", "set w_a 2\r\n", "sort q by w_* get w_*\r\n", "*2", READER},
    {"", "", "mset a 1 k 2\r\n", "get k\r\n", "$1\r\n2", READER},
    {"", "", "multi\r\nset a 1\r\nset k 2\r\nexec\r\n", "get k\r\n", "$1\r\n2", READER},
    {"", "multi\r\nget a\r\nget k\r\n", "set k v\r\n", "exec\r\n", "$1\r\nv", READER},
    {"", "watch k\r\nmulti\r\nget a\r\n", "set k v\r\n", "exec\r\n", "*-1", READER},
    /* Of keys that it does not name. */
    {"", "", "set k v\r\n", "dbsize\r\n", ":1", READER},
    {"", "", "set k v\r\n", "keys *\r\n", "*1", READER},
    {"", "", "set k v\r\n", "randomkey\r\n", "$1\r\nk", READER},
    {"", "", "set k v\r\n", "scan 0 count 1000\r\n", "k", READER},
    {"", "", "set k v\r\n", "debug digest\r\n", "+", READER},
    {"", "multi\r\nscan 0 count 1000\r\n", "set k v\r\n", "exec\r\n", "k", READER},
    {"set k v\r\n", "", "flushall\r\n", "get k\r\n", "$-1", READER},
    {"set k v\r\n", "", "flushdb async\r\n", "dbsize\r\n", ":0", READER},
    {"set k v\r\n", "select 1\r\n", "swapdb 0 1\r\n", "get k\r\n", "$1", READER},
    {"set k v\r\n", "", "swapdb 0 1\r\n", "get other\r\n", "$-1", READER},
    {"set k v\r\n", "", "pexpire k 20\r\n", "get k\r\n", "$-1", EXPIRING},
    /* To who waits. */
    {"", "blpop k 0\r\n", "rpush k v\r\n", "", "$1\r\nv", BLOCKED},
    {"", "blmove k q left left 0\r\n", "rpush k v\r\n", "", "$1\r\nv", BLOCKED},
    {"", "bzpopmin k 0\r\n", "zadd k 1 v\r\n", "", "$1\r\nv", BLOCKED},
    {"", "xread block 0 streams k $\r\n", "xadd k 1-1 f v\r\n", "", "1-1", BLOCKED},
    {"xgroup create k g $ mkstream\r\n", "xreadgroup group g c block 0 streams k >\r\n", "del k\r\n", "",
     "-UNBLOCKED", BLOCKED},
    {"", "blpop k 0\r\n", "multi\r\nrpush k v\r\nset a 1\r\nexec\r\n", "", "$1\r\nv", BLOCKED},
    {"rpush q v\r\n", "blpop k 0\r\n", "rename q k\r\n", "", "$1\r\nv", BLOCKED},
    /* Messages. */
    {"", SUBSCRIBED("c"), "set k v\r\npublish c told\r\n", "", "told", READER},
    {"", SUBSCRIBED("c"), "multi\r\nset k v\r\npublish c told\r\nexec\r\n", "", "told", READER},
    {"", "hello 3\r\npsubscribe c*\r\n", "set k v\r\npublish c told\r\n", "", "told", READER},
    {"", "hello 3\r\nssubscribe c\r\n", "set k v\r\nspublish c told\r\n", "", "told", READER},
    {"", SUBSCRIBED("c"), "client reply skip\r\nset k v\r\npublish c told\r\n", "", "told", READER},
    {"", SUBSCRIBED("c"), "set k v\r\npublish c told\r\n", "ping\r\n", "told", READER},
    {"", SUBSCRIBED("__keyspace@0__:k"), "set k v\r\n", "", "set", READER},
    {"set k v\r\n", SUBSCRIBED("__keyspace@0__:k"), "del k\r\n", "", "del", READER},
    {"", SUBSCRIBED("__keyspace@0__:k"), "multi\r\nset a 1\r\nset k v\r\nexec\r\n", "", "set", READER},
    {"set k v\r\n", SUBSCRIBED("__keyspace@0__:k"), "del k\r\nget k\r\n", "", "keymiss", READER},
    {"set k v\r\n", SUBSCRIBED("__keyspace@0__:k"), "pexpire k 20\r\n", "", "expired", EXPIRING},
    {"set k v\r\n", "hello 3\r\nclient tracking on\r\nget k\r\n", "set k w\r\n", "", "invalidate", READER},
    {"set k v\r\n", "hello 3\r\nclient tracking on bcast\r\n", "set k w\r\n", "", "invalidate", READER},
    {"set k v\r\n", "hello 3\r\nclient tracking on\r\nget k\r\n", "flushall\r\n", "", "invalidate", READER},
    {"", "monitor\r\n", "set k v\r\n", "", "\"set\" \"k\"", READER},
};
enum { WAYS = sizeof ways / sizeof *ways };

/* Is the reader shown something, or the writer, before it is on the disk? */
static bool leaks(const struct way *way) {
    open_clients();
    run(writer, "flushall\r\n");
    run(writer, way->setup);
    if (way->how == BLOCKED) {
        say(reader, bytes_of(way->prepare));
        wait_for(is_blocked, NULL);
    } else {
        let_run(reader, reader_shard(), way->prepare);
    }
    publish_all();
    settle();
    (void)has_heard(reader, "");
    CHECK(journal_next() == journal_safe());
    let_run(writer, 0, way->write);
    uint64_t written = journal_safe() + 1;
    if (way->how == EXPIRING) wait_for(has_changed_more, &written);
    settle();
    let_run(reader, reader_shard(), way->read);
    settle();
    bool leaked = has_heard(reader, way->shows) || hears(writer);
    if (!leaked && planted == PLANT_NOTHING) {
        /* That it is to expire may be shown, and then also that it has, which has a ticket of its own. */
        if (way->how == EXPIRING) journal_publish(written);
        hear_end(reader, way->shows, false, way->how != EXPIRING);
    }
    publish_all();
    close_clients();
    return leaked;
}

/* Returns how many do. */
static unsigned try_all(bool events) {
    unsigned leaky = 0;
    publish_events(events);
    for (unsigned i = 0; i < WAYS; i++) {
        if ((!events && strstr(ways[i].prepare, "__keyspace")) || !leaks(&ways[i])) continue;
        if (planted == PLANT_NOTHING)
            fprintf(stderr, "shown too early: %s%s%s\n", ways[i].prepare, ways[i].write, ways[i].read);
        leaky++;
    }
    return leaky;
}

static void nobody_is_shown_what_is_not_durable(void) {
    for (unsigned count = 1; count <= 2; count++) {
        begin_held(count, "enable-debug-command yes\n");
        for (unsigned events = 0; events < 2; events++) CHECK_INT(try_all(events), 0);
        end_held();
    }
}

static void every_way_that_is_not_held_is_found(void) {
    begin_held(2, "enable-debug-command yes\n");
    for (enum plant plant = PLANT_NOTHING + 1; plant < PLANT_COUNT; plant++) {
        planted = plant;
        unsigned found = try_all(plant == PLANT_CLAIM);
        planted = PLANT_NOTHING;
        printf("plant %u: %u ways\n", plant, found);
        CHECK(found > 0);
    }
    end_held();
}

/* Nor is anybody held who asks for another key, as long as it has another mark. */
static void who_asks_for_other_data_waits_for_nothing(void) {
    begin_held(2, "enable-debug-command yes\n");
    open_clients();
    run(writer, "flushall\r\n");
    let_run(writer, 0, "set k v\r\n");
    uint64_t hash = hash_bytes(&stripes.seed, BYTES("k"));
    char name = 'a';
    for (;; name++) {
        uint64_t other = hash_bytes(&stripes.seed, (struct bytes){&name, 1});
        if (stripe_index(other) != stripe_index(hash) || stripe_mark(other) != stripe_mark(hash)) break;
    }
    char line[] = "get x\r\n";
    line[4] = name;
    say(reader, bytes_of(line));
    expect(reader, BYTES("$-1\r\n"));
    ASK(reader, "ping\r\n", "+PONG\r\n");
    say(reader, BYTES("info keyspace\r\nconfig set appendfsync everysec\r\nclient list\r\n"));
    CHECK(readable(reader)); /* an operator is not to wait for a disk that hangs */
    CHECK(!hears(writer));
    publish_all();
    expect(writer, BYTES("+OK\r\n"));
    close_clients();
    end_held();
}

/* QUIT's reply and the end come behind what is held; who is killed, or is here when the server ends, goes. */
static void who_is_held_may_end(void) {
    begin_held(2, "enable-debug-command yes\n");
    open_clients();
    let_run(writer, 0, "set k v\r\nquit\r\n");
    let_run(reader, 1, "get k\r\n");
    settle();
    CHECK(!hears(writer) && !hears(reader));
    publish_all();
    expect(writer, BYTES("+OK\r\n+OK\r\n"));
    expect_end(writer);
    expect(reader, BYTES("$1\r\nv\r\n"));

    writer = client_of(0);
    let_run(writer, 0, "set k w\r\n");
    CHECK(shutdown(writer, SHUT_WR) == 0); /* it will ask no more, and is answered all the same */
    let_run(reader, 1, "get k\r\n");
    settle();
    CHECK(!hears(writer));
    say(bystander[0], BYTES("client kill type normal skipme yes\r\n"));
    expect_end(reader);
    expect_end(writer);
    close(bystander[1]);

    writer = client_of(1);
    let_run(writer, 1, "set k x\r\n");
    end_held(); /* nobody publishes: it does not wait for ever */
    expect_end(writer);
    close(bystander[0]);
}

int main(void) {
    RUN(nobody_is_shown_what_is_not_durable);
    RUN(every_way_that_is_not_held_is_found);
    RUN(who_asks_for_other_data_waits_for_nothing);
    RUN(who_is_held_may_end);
    return 0;
}
