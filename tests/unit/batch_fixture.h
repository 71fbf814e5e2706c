/* batch_fixture.h - what tests of server/exec/ share: batches of request lines go in, reply bytes come out, without a
 * connection. Every test is
 *
 *     begin(4);                                              so many shards
 *     EXPECT("set k v\nget k\n", "+OK\r\n$1\r\nv\r\n");      one batch
 *     end(); */
#ifndef KEVY_TESTS_BATCH_FIXTURE_H
#define KEVY_TESTS_BATCH_FIXTURE_H

#include "server/exec/prepare.h"
#include "server/exec/transaction.h"
#include "server/report/errorstats.h"
#include "tests/unit/server_fixture.h"

static struct client client;
static struct output output;
static struct buffer sent;
static unsigned prepared, done;

static inline void begin(unsigned shard_total) {
    fixture_open(shard_total);
    metrics_reset();
    client = (struct client){.resp = 2};
    CHECK(clients_add(&client));
    output_open(&output, &shards->chunks);
}

static inline void end(void) {
    transaction_close(&client);
    clients_remove(&client);
    output_close(&output);
    buffer_free(&sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(stripes.all[i].lock == 0 && !stripes.all[i].watches);
    fixture_close();
}

/* One batch of requests, a line each. Returns what the client is sent. */
static inline struct bytes batch(struct bytes lines) {
    struct request_parser parser = {0};
    const char *begin_of_lines = lines.data;
    buffer_free(&sent);
    for (prepared = 0; lines.len; prepared++) {
        size_t used;
        CHECK(prepared < BATCH_REQUESTS);
        struct request *request = &shards->exec.batch[prepared];
        CHECK(request_parse(&parser, &shards->limits, lines, &request->args, &used) == REQUEST_READY);
        CHECK(prepare_request(&shards->exec, &client, &shards->exec.batch[prepared], NULL));
        request->begin = (size_t)(lines.data - begin_of_lines);
        lines.data += used, lines.len -= used;
        request->end = (size_t)(lines.data - begin_of_lines);
    }
    shards->exec.bytes = begin_of_lines;
    done = dispatch_batch(&shards->exec, &client, &output.reply, prepared);
    fixture_take(&output, &sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].lock, 0);
    return buffer_bytes(&sent);
}

#define EXPECT(lines, replies)                                                                               \
    do {                                                                                                     \
        CHECK_BYTES(batch(BYTES(lines)), BYTES(replies));                                                    \
        CHECK_INT(done, prepared);                                                                           \
    } while (0)

static inline const struct command_metrics *counted(const char *name) {
    const struct command *command = command_find_name(bytes_of(name));
    CHECK(command);
    return &shards->exec.metrics.commands[command->id];
}

/* What an error code was counted. */
static inline uint64_t errors_of(struct bytes code) {
    static struct errorstat list[ERRORSTATS_MAX];
    unsigned count = errorstats_list(list);
    for (unsigned i = 0; i < count; i++)
        if (bytes_equal((struct bytes){list[i].code, list[i].code_len}, code)) return list[i].count;
    return 0;
}

#endif
