/* waiting_fixture.h - what tests of commands that wait share: several clients, without connections, on any of four
 * shards. Every test is
 *
 *     begin();
 *     WAITS(0, "blpop k 0");                     the first client is told nothing
 *     EXPECT(1, "rpush k v", ":1\r\n");          the second one pushes
 *     TOLD(0, "*2\r\n$1\r\nk\r\n$1\r\nv\r\n");   the first one's shard has got mail
 *     end(); */
#ifndef KEVY_TESTS_WAITING_FIXTURE_H
#define KEVY_TESTS_WAITING_FIXTURE_H

#include "server/exec/blocking.h"
#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"
#include "tests/unit/server_fixture.h"

enum { PEERS = 6, PEER_SHARDS = 4 };

struct peer {
    struct client client;
    struct output output;
    struct buffer sent;
};
static struct peer peers[PEERS];

static inline struct executor *executor_of_peer(const struct peer *peer) {
    return &shards[peer->client.shard].exec;
}

/* Peer i belongs to shard i % 4. */
static inline void begin(void) {
    fixture_open(PEER_SHARDS);
    metrics_reset();
    for (unsigned i = 0; i < PEERS; i++) {
        peers[i].client = (struct client){.resp = 2, .shard = (uint8_t)(i % PEER_SHARDS)};
        CHECK(clients_add(&peers[i].client));
        output_open(&peers[i].output, &shards[i % PEER_SHARDS].chunks);
    }
}

/* What was sent since the last time. */
static inline struct bytes take_sent(struct peer *peer) {
    buffer_free(&peer->sent);
    fixture_take(&peer->output, &peer->sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].lock, 0);
    return buffer_bytes(&peer->sent);
}

/* A line's request is parsed, as this client's. */
static inline void parse_for(struct peer *peer, const char *text) {
    static char line[1024];
    struct executor *executor = executor_of_peer(peer);
    struct request_parser parser = {0};
    size_t used;
    int len = snprintf(line, sizeof line, "%s\n", text);
    CHECK(len > 0 && len < (int)sizeof line);
    CHECK(request_parse(&parser, &shards->limits, (struct bytes){line, (size_t)len}, &executor->batch[0].args,
                        &used) == REQUEST_READY);
    CHECK(prepare_request(executor, &peer->client, &executor->batch[0], NULL));
    executor->batch[0].begin = 0, executor->batch[0].end = used;
    executor->bytes = line;
}

/* What was parsed is run. */
static inline void run_parsed(struct peer *peer) {
    struct executor *executor = executor_of_peer(peer);
    CHECK_INT(dispatch_batch(executor, &peer->client, &peer->output.reply, 1), 1);
}

static inline struct bytes ask(struct peer *peer, const char *text) {
    parse_for(peer, text);
    run_parsed(peer);
    return take_sent(peer);
}

/* Answers those clients of a shard whose waits were ended. */
static inline void take_mail(unsigned shard) {
    for (struct post *post = post_take_all(&mailboxes[shard]), *next; post; post = next) {
        next = post->next;
        CHECK(post->kind == POST_WAIT);
        struct peer *peer = (struct peer *)(void *)post->client;
        blocking_answer(&shards[shard].exec, &peer->client, &peer->output.reply);
    }
}

static inline bool waits(const struct peer *peer) {
    CHECK_INT(!peer->client.waiter, !(peer->client.flags & CLIENT_BLOCKED));
    return peer->client.waiter != NULL;
}

static inline void end(void) {
    for (unsigned i = 0; i < PEER_SHARDS; i++) take_mail(i);
    for (unsigned i = 0; i < PEERS; i++) {
        CHECK(blocking_leave(executor_of_peer(&peers[i]), &peers[i].client));
        transaction_close(&peers[i].client);
        clients_remove(&peers[i].client);
        output_close(&peers[i].output);
        buffer_free(&peers[i].sent);
    }
    for (unsigned i = 0; i < stripes.count; i++)
        CHECK(stripes.all[i].lock == 0 && !stripes.all[i].waiters && !stripes.all[i].ears);
    fixture_close();
}

static inline const struct command_metrics *counted(const struct peer *peer, const char *name) {
    const struct command *command = command_find_name(bytes_of(name));
    CHECK(command);
    return &executor_of_peer(peer)->metrics.commands[command->id];
}

#define EXPECT(peer, line, reply) CHECK_BYTES(ask(&peers[peer], line), BYTES(reply))
#define WAITS(peer, line)                                                                                    \
    do {                                                                                                     \
        EXPECT(peer, line, "");                                                                              \
        CHECK(waits(&peers[peer]));                                                                          \
    } while (0)
/* The client's shard takes its mail; the wait is over, and this is the reply. */
#define TOLD(peer, reply)                                                                                    \
    do {                                                                                                     \
        take_mail(peers[peer].client.shard);                                                                 \
        CHECK(!waits(&peers[peer]));                                                                         \
        CHECK_BYTES(take_sent(&peers[peer]), BYTES(reply));                                                  \
    } while (0)
/* It waits on. */
#define STILL(peer)                                                                                          \
    do {                                                                                                     \
        take_mail(peers[peer].client.shard);                                                                 \
        CHECK(waits(&peers[peer]));                                                                          \
        CHECK_BYTES(take_sent(&peers[peer]), BYTES(""));                                                     \
    } while (0)

#endif
