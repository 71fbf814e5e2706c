/* commands_fixture.h - what tests of server/commands/ share: request lines go in, reply bytes come out, at
 * a time that stands still. Every test is
 *
 *     begin();
 *     EXPECT("set k v\nget k\n", "+OK\r\n$1\r\nv\r\n");
 *     end();
 *
 * Lines are what redis-cli would take: words, "quoted \x00 where needed". Each is run by itself, through dispatch. */
#ifndef KEVY_TESTS_COMMANDS_FIXTURE_H
#define KEVY_TESTS_COMMANDS_FIXTURE_H

#include "server/exec/prepare.h"
#include "tests/unit/server_fixture.h"

static struct conn *conn; /* who asks */
static int64_t now_ms;    /* Unix time of every request; a test may move it */
static bool held;         /* the last request was neither run nor refused */
static struct buffer sent;

static inline void begin(void) {
    fixture_open(4);
    metrics_reset();
    now_ms = 1700000000000;
    conn = fixture_conn(shards);
}

static inline void end(void) {
    fixture_conn_close(conn);
    buffer_free(&sent);
    for (unsigned i = 0; i < stripes.count; i++) CHECK(stripes.all[i].lock == 0 && !stripes.all[i].watches);
    fixture_close();
}

/* Parses the request that the lines begin with into the shard's batch; what is left of them. */
static inline struct bytes parse(struct bytes lines) {
    struct request_parser parser = {0};
    struct request *request = &shards->exec.batch[0];
    size_t used;
    CHECK(request_parse(&parser, &shards->limits, lines, &request->args, &used) == REQUEST_READY);
    return (struct bytes){lines.data + used, lines.len - used};
}

/* Runs the request that was parsed. */
static inline void run_parsed(void) {
    shards->exec.clock.now_ms = now_ms;
    held = dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 0;
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].lock, 0);
    fixture_take(&conn->output, &sent);
}

/* What the client is sent for these lines. */
static inline struct bytes run(struct bytes lines) {
    buffer_free(&sent);
    while (lines.len) {
        lines = parse(lines);
        CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        run_parsed();
    }
    return buffer_bytes(&sent);
}

/* Changes of keys that commands have told of. */
static inline uint64_t changes(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < stripes.count; i++) sum += stripes.all[i].changes;
    return sum;
}

#define EXPECT(lines, replies) CHECK_BYTES(run(BYTES(lines)), BYTES(replies))

/* The same, and so many changes are told of: journal, replicas and WATCH will hang on that. */
#define EXPECT_CHANGES(count, lines, replies)                                                                \
    do {                                                                                                     \
        uint64_t expect_before = changes();                                                                  \
        EXPECT(lines, replies);                                                                              \
        CHECK_INT(changes() - expect_before, count);                                                         \
    } while (0)

/* A table of lines and their replies, run in its order; a failure names the line. */
struct exchange {
    const char *line, *reply;
};
static inline void expect_all(const struct exchange *table, size_t count) {
    for (size_t i = 0; i < count; i++) {
        char line[1024];
        int len = snprintf(line, sizeof line, "%s\n", table[i].line);
        CHECK(len > 0 && len < (int)sizeof line);
        struct bytes reply = run((struct bytes){line, (size_t)len}), expected = bytes_of(table[i].reply);
        if (bytes_equal(reply, expected)) continue;
        fprintf(stderr, "'%s' is answered \"%.*s\", expected \"%s\"\n", table[i].line, (int)reply.len,
                reply.data, table[i].reply);
        exit(1);
    }
}
#define EXPECT_ALL(table) expect_all(table, sizeof(table) / sizeof *(table))

/* "*2\r\n", "$5\r\nhello\r\n" ... of a reply that a test puts together. */
#define NIL            "$-1\r\n"
#define OK             "+OK\r\n"
#define NOT_AN_INTEGER "-ERR value is not an integer or out of range\r\n"
#define SYNTAX_ERROR   "-ERR syntax error\r\n"
#define NO_MEMORY      "-ERR Out of memory\r\n"

#endif
