/* A connection's input: however its bytes are cut, whatever came before, the replies are the same. */
#include "server/loop/input.h"

#include "server/journal/journal.h"
#include "server/journal/merge.h"
#include "tests/unit/failing_memory.h"
#include "tests/unit/server_fixture.h"

static struct buffer sent;

static void receive(struct conn *conn, const char *data, size_t len) {
    char *exact = malloc(len ? len : 1); /* so that a sanitizer sees what is read beyond it */
    CHECK(exact);
    if (len) memcpy(exact, data, len);
    fixture_input(conn, exact, len);
    free(exact);
    conn_link_out(&conn->flush_link);
    if (!(conn->flags & CONN_CLOSING)) conn_link_out(&conn->receive_link);
    fixture_take(&conn->output, &sent);
}

/* Sends `data` in pieces of `piece` bytes to a new connection of an empty server. */
static void expect(struct bytes data, size_t piece, struct bytes replies) {
    fixture_open(4);
    struct conn *conn = fixture_conn(shards);
    for (size_t at = 0; at < data.len; at += piece)
        receive(conn, data.data + at, data.len - at < piece ? data.len - at : piece);
    CHECK_BYTES(buffer_bytes(&sent), replies);
    if (!(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY))
        CHECK(!conn->pending.data && !conn->parser.saved); /* idle, it owns no buffer */
    buffer_free(&sent);
    fixture_conn_close(conn);
    fixture_close();
}

static void expect_all(struct bytes data, struct bytes replies) {
    expect(data, data.len, replies);
    for (size_t piece = 1; piece < 40; piece = piece * 3 / 2 + 1) expect(data, piece, replies);
}

#define SET_K   "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n5\r\n"
#define GET_K   "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
#define FIVE    "$1\r\n5\r\n"
#define OBJECT3 "*3\r\n$6\r\nOBJECT\r\n"

static void requests_that_begin_alike_are_told_apart_by_what_follows(void) {
    expect_all(BYTES(SET_K GET_K GET_K "*2\r\n$3\r\nget\r\n$1\r\nk\r\n"
                                       "*2\r\n$3\r\nGEX\r\n$1\r\nk\r\n" GET_K
                                       "*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n" GET_K),
               BYTES("+OK\r\n" FIVE FIVE FIVE
                     "-ERR unknown command 'GEX', with args beginning with: 'k' \r\n" FIVE ":1\r\n$-1\r\n"));
}

static void subcommands_of_a_container_are_told_apart(void) {
    expect_all(BYTES(SET_K OBJECT3
                     "$8\r\nENCODING\r\n$1\r\nk\r\n" OBJECT3 "$8\r\nREFCOUNT\r\n$1\r\nk\r\n" OBJECT3
                     "$8\r\nENCODING\r\n$1\r\nk\r\n" OBJECT3 "$6\r\nnosuch\r\n$1\r\nk\r\n" OBJECT3
                     "$8\r\nencoding\r\n$1\r\nn\r\n"),
               BYTES("+OK\r\n$3\r\nint\r\n:2147483647\r\n$3\r\nint\r\n"
                     "-ERR unknown subcommand 'nosuch'. Try OBJECT HELP.\r\n$-1\r\n"));
}

static void another_count_of_arguments_is_another_request(void) {
    expect_all(BYTES(GET_K "*3\r\n$3\r\nGET\r\n$1\r\nk\r\n$1\r\nk\r\n" GET_K "*1\r\n$3\r\nGET\r\n" GET_K),
               BYTES("$-1\r\n-ERR wrong number of arguments for 'get' command\r\n$-1\r\n"
                     "-ERR wrong number of arguments for 'get' command\r\n$-1\r\n"));
    expect_all(BYTES("*2\r\n$4\r\nMGET\r\n$1\r\na\r\n*4\r\n$4\r\nMGET\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"
                     "*2\r\n$4\r\nMGET\r\n$1\r\nb\r\n"),
               BYTES("*1\r\n$-1\r\n*3\r\n$-1\r\n$-1\r\n$-1\r\n*1\r\n$-1\r\n"));
}

static void a_known_beginning_does_not_excuse_what_follows(void) {
    static const char *const wrong[] = {"*2\r\n$3\r\nGET\r\n$x\r\nk\r\n", "*2\r\n$3\r\nGET\r\n$-1\r\n",
                                        "*2\r\n$3\r\nGET\r\n+k\r\nxxxxxx"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char data[100];
        int len = snprintf(data, sizeof data, GET_K "%s" GET_K, wrong[i]);
        const char *replies = i < 2 ? "$-1\r\n-ERR Protocol error: invalid bulk length\r\n"
                                    : "$-1\r\n-ERR Protocol error: expected '$', got '+'\r\n";
        expect((struct bytes){data, (size_t)len}, (size_t)len, bytes_of(replies));
        expect((struct bytes){data, (size_t)len}, 1, bytes_of(replies));
    }
}

/* Where requests have the same key again and again, those behind a batch's first are compared with it up to their key. */
static void requests_of_one_key_are_told_apart_from_what_looks_like_them(void) {
#define INCR_K "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
#define ADD_K  "*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$1\r\n2\r\n"
#define EXISTS "*3\r\n$6\r\nEXISTS\r\n$1\r\nj\r\n$2\r\nkk\r\n" /* where they were put they are looked for */
#define LONG                                                                                                 \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"   \
    "0123456789012345678901234567"
#define ADD_LONG "*3\r\n$6\r\nINCRBY\r\n$128\r\n" LONG "\r\n$1\r\n2\r\n"
    static const struct {
        struct bytes alike, then, replies;
    } cases[] = {
        {BYTES_INIT(INCR_K), BYTES_INIT("*2\r\n$4\r\nINCR\r\n$1\r\nj\r\n"),
         BYTES_INIT(":1\r\n:6\r\n:7\r\n:1\r\n")},
        {BYTES_INIT(INCR_K), BYTES_INIT("*2\r\n$4\r\nINCR\r\n$2\r\nkk\r\n"),
         BYTES_INIT(":1\r\n:6\r\n:7\r\n:1\r\n")},
        {BYTES_INIT(INCR_K), BYTES_INIT("*2\r\n$4\r\nDECR\r\n$1\r\nk\r\n"),
         BYTES_INIT(":4\r\n:5\r\n:6\r\n:0\r\n")},
        {BYTES_INIT(INCR_K), BYTES_INIT("*2\r\n$4\r\nincr\r\n$1\r\nk\r\n"),
         BYTES_INIT(":6\r\n:7\r\n:8\r\n:0\r\n")},
        {BYTES_INIT(INCR_K), BYTES_INIT("INCR k\r\n*0\r\n\r\n"), BYTES_INIT(":6\r\n:7\r\n:8\r\n:0\r\n")},
        {BYTES_INIT(INCR_K), BYTES_INIT("*2\r\n$4\r\nINCR\r\n$x\r\nk\r\n"),
         BYTES_INIT("-ERR Protocol error: invalid bulk length\r\n")},
        {BYTES_INIT(ADD_K), BYTES_INIT("*3\r\n$6\r\nINCRBY\r\n$1\r\nj\r\n$1\r\n2\r\n"),
         BYTES_INIT(":2\r\n:12\r\n:14\r\n:1\r\n")},
        {BYTES_INIT(ADD_K), BYTES_INIT("*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$2\r\n-2\r\n"),
         BYTES_INIT(":8\r\n:10\r\n:12\r\n:0\r\n")},
        {BYTES_INIT(ADD_K), BYTES_INIT("*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n$-1\r\n"),
         BYTES_INIT("-ERR Protocol error: invalid bulk length\r\n")},
        {BYTES_INIT(ADD_K), BYTES_INIT("*3\r\n$6\r\nINCRBY\r\n$1\r\nk\r\n+2\r\n"),
         BYTES_INIT("-ERR Protocol error: expected '$', got '+'\r\n")},
        {BYTES_INIT(ADD_LONG), BYTES_INIT(GET_K), BYTES_INIT("$-1\r\n:12\r\n:14\r\n:0\r\n")},
    };
    static const char eight[] = GET_K GET_K GET_K GET_K GET_K GET_K GET_K GET_K;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t piece = 1; piece < 400; piece = piece * 2 + 1) {
            struct buffer data = {0};
            struct bytes parts[] = {cases[i].alike, cases[i].alike, cases[i].then,
                                    cases[i].alike, cases[i].alike, BYTES(EXISTS)};
            for (size_t part = 0; part < sizeof parts / sizeof *parts; part++)
                CHECK(buffer_append(&data, parts[part], FIXTURE_SENT_MAX));
            fixture_open(4);
            struct conn *conn = fixture_conn(shards);
            /* Whole batches, so that all requests of one have room for hashes, and keys are expected to repeat. */
            receive(conn, eight, sizeof eight - 1);
            for (int times = 0; times < 3; times++) receive(conn, cases[i].alike.data, cases[i].alike.len);
            sent.len = 0;
            shards->head_repeats = true;
            for (size_t at = 0; at < data.len && !(conn->client.flags & CLIENT_CLOSE_AFTER_REPLY);
                 at += piece)
                receive(conn, data.data + at, data.len - at < piece ? data.len - at : piece);
            size_t ahead = cases[i].alike.len == cases[0].alike.len ? strlen(":4\r\n:5\r\n")
                                                                    : strlen(":8\r\n:10\r\n");
            CHECK(sent.len > ahead);
            CHECK_BYTES(((struct bytes){sent.data + ahead, sent.len - ahead}), cases[i].replies);
            buffer_free(&sent);
            fixture_conn_close(conn);
            fixture_close();
            buffer_free(&data);
        }
}

/* The head is the shard's, not the connection's. */
static void one_connection_s_requests_do_not_show_in_another_s(void) {
    fixture_open(4);
    struct conn *a = fixture_conn(shards), *b = fixture_conn(shards);
    receive(a, SET_K GET_K, sizeof SET_K GET_K - 1);
    receive(b, "*1\r\n$5\r\nMULTI\r\n" GET_K, sizeof GET_K - 1 + 15);
    receive(b, "*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n", 23);
    receive(a, GET_K, sizeof GET_K - 1);
    receive(b, "*1\r\n$4\r\nEXEC\r\n" GET_K, sizeof GET_K - 1 + 14);
    CHECK_BYTES(buffer_bytes(&sent),
                BYTES("+OK\r\n" FIVE "+OK\r\n+QUEUED\r\n+QUEUED\r\n" FIVE "*2\r\n" FIVE "+OK\r\n$-1\r\n"));
    buffer_free(&sent);
    fixture_conn_close(a);
    fixture_conn_close(b);
    fixture_close();
}

static void empty_requests_have_no_reply(void) {
    expect_all(BYTES("\r\n*0\r\n*-1\r\n\r\nPING\r\n\n*0\r\nPING x\r\n"), BYTES("+PONG\r\n$1\r\nx\r\n"));
}

static void nothing_behind_quit_is_looked_at(void) {
    expect_all(BYTES("PING\r\nQUIT\r\nPING\r\nnosuch\r\n*1\r\n$-5\r\n"), BYTES("+PONG\r\n+OK\r\n"));
}

/* More requests than a turn allows to one connection: the rest follows in later turns, in order. */
static void more_than_a_turn_s_worth_goes_on_in_the_next(void) {
    enum { REQUESTS = 3 * TURN_REQUESTS + 7 };
    struct buffer data = {0}, replies = {0};
    char line[32];
    for (unsigned i = 1; i <= REQUESTS; i++) {
        CHECK(buffer_append(&data, BYTES("INCR n\r\n"), FIXTURE_SENT_MAX));
        int len = snprintf(line, sizeof line, ":%u\r\n", i);
        CHECK(buffer_append(&replies, (struct bytes){line, (size_t)len}, FIXTURE_SENT_MAX));
    }
    expect(buffer_bytes(&data), data.len, buffer_bytes(&replies));
    expect(buffer_bytes(&data), RECEIVE_BUFFER_SIZE, buffer_bytes(&replies));
    buffer_free(&data);
    buffer_free(&replies);
}

/* In a turn that has taken long already a connection has a small share. */
static void a_late_turn_ends_early(void) {
    enum { REQUESTS = 100, LATE_US = 10 * TURN_MOST_NS / 1000 };
    struct buffer data = {0}, replies = {0};
    char value[520]; /* so that one batch has TURN_BYTES_LEAST */
    memset(value, 'x', sizeof value);
    for (unsigned i = 0; i < REQUESTS; i++) {
        CHECK(buffer_append(&data, BYTES("set k "), FIXTURE_SENT_MAX));
        CHECK(buffer_append(&data, (struct bytes){value, sizeof value}, FIXTURE_SENT_MAX));
        CHECK(buffer_append(&data, BYTES("\r\n"), FIXTURE_SENT_MAX));
        CHECK(buffer_append(&replies, BYTES("+OK\r\n"), FIXTURE_SENT_MAX));
    }
    fixture_open(4);
    struct conn *conn = fixture_conn(shards);
    clock_read(&shards->exec.clock);
    shards->exec.clock.now_us -= LATE_US;
    conn_input(conn, data.data, data.len);
    CHECK(conn_link_in(&conn->turn_link));
    CHECK(conn->turn_bytes >= TURN_BYTES_LEAST && conn->turn_bytes < 2 * TURN_BYTES_LEAST + sizeof value);
    conn_link_out(&conn->turn_link);
    receive(conn, NULL, 0);
    CHECK_BYTES(buffer_bytes(&sent), buffer_bytes(&replies));
    buffer_free(&sent);
    fixture_conn_close(conn);
    fixture_close();
    buffer_free(&data);
    buffer_free(&replies);
}

/* Who has had one batch that took long waits for the next turn, however little it was. */
static void a_batch_that_took_long_ends_the_turn_of_its_connection(void) {
    enum { REQUESTS = 3 * BATCH_REQUESTS, LONG_NS = 10 * TURN_US * 1000 };
    char data[REQUESTS * 6];
    struct buffer replies = {0};
    for (unsigned i = 0; i < REQUESTS; i++) {
        memcpy(data + (size_t)i * 6, "PING\r\n", 6);
        CHECK(buffer_append(&replies, BYTES("+PONG\r\n"), FIXTURE_SENT_MAX));
    }
    fixture_open(4);
    struct conn *conn = fixture_conn(shards);
    for (unsigned batches = 1; batches <= 2; batches++) {
        shards->exec.clock.timed_ns = clock_monotonic_ns() - LONG_NS; /* since when the batch has run */
        shards->turn++;
        conn_input(conn, batches == 1 ? data : NULL, batches == 1 ? sizeof data : 0);
        CHECK(conn_link_in(&conn->turn_link) && conn->turn_us >= TURN_US);
        CHECK_INT(conn->turn_batches, 1);
        CHECK_INT(output_unsent(&conn->output), batches * BATCH_REQUESTS * 7);
        conn_input(conn, NULL, 0); /* in the same turn */
        CHECK_INT(output_unsent(&conn->output), batches * BATCH_REQUESTS * 7);
        conn_link_out(&conn->turn_link);
    }
    receive(conn, NULL, 0);
    CHECK_BYTES(buffer_bytes(&sent), buffer_bytes(&replies));
    buffer_free(&sent);
    fixture_conn_close(conn);
    fixture_close();
    buffer_free(&replies);
}

/* A batch of requests with so many arguments ends behind the first that reaches the bound, be they alike and of one key
 * (SADD) or of many keys (DEL). */
static void a_batch_ends_where_its_arguments_are_many(void) {
    enum { REQUESTS = 5, LONG_NS = 10 * TURN_US * 1000 };
    static const struct {
        const char *name;
        unsigned args, in_batch;
    } cases[] = {{"SADD", BATCH_ARGS, 1}, {"SADD", BATCH_ARGS - 1, 2}, {"SADD", BATCH_ARGS / 3, 3},
                 {"DEL", BATCH_ARGS, 1},  {"DEL", BATCH_ARGS - 1, 2},  {"DEL", BATCH_ARGS / 3 - 1, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer data = {0};
        char line[64];
        for (unsigned request = 0; request < REQUESTS; request++) {
            int len = snprintf(line, sizeof line, "*%u\r\n$%zu\r\n%s\r\n", cases[i].args,
                               strlen(cases[i].name), cases[i].name);
            CHECK(buffer_append(&data, (struct bytes){line, (size_t)len}, FIXTURE_SENT_MAX));
            for (unsigned arg = 1; arg < cases[i].args; arg++)
                CHECK(buffer_append(&data, BYTES("$1\r\nk\r\n"), FIXTURE_SENT_MAX));
        }
        fixture_open(4);
        struct conn *conn = fixture_conn(shards);
        shards->exec.clock.timed_ns = clock_monotonic_ns() -
                                      LONG_NS; /* one batch is all there is in a turn */
        conn_input(conn, data.data, data.len);
        CHECK_INT(conn->turn_batches, 1);
        CHECK_INT(output_unsent(&conn->output), cases[i].in_batch * strlen(":1\r\n"));
        CHECK(conn_link_in(&conn->turn_link));
        conn_link_out(&conn->turn_link);
        receive(conn, NULL, 0);
        CHECK_INT(sent.len, REQUESTS * strlen(":1\r\n"));
        buffer_free(&sent);
        fixture_conn_close(conn);
        fixture_close();
        buffer_free(&data);
    }
}

/* Ever more allocations succeed before the rest fails: each time all is answered as it should be, or a refusal
 * says why, or the connection ends. */
static void without_memory_requests_are_refused_or_the_connection_ends(void) {
    static const struct bytes data = BYTES_INIT(
                                  "set a 1\r\nmset b 1 c 2 d 3 e 4 f 5 g 6 h 7 i 8 j 9 k 10\r\nget a\r\n"),
                              full = BYTES_INIT("+OK\r\n+OK\r\n$1\r\n1\r\n");
    unsigned ended = 0, answered = 0;
    for (unsigned allocations = 0; !answered; allocations++) {
        CHECK(allocations < 1000);
        fixture_open(4);
        struct conn *conn = fixture_conn(shards);
        memory_left = allocations;
        fixture_input(conn, data.data, data.len);
        memory_left = UINT_MAX;
        buffer_free(&sent);
        fixture_take(&conn->output, &sent);
        struct bytes got = buffer_bytes(&sent);
        bool closing = (conn->flags & CONN_CLOSING) || (conn->client.flags & CLIENT_CLOSE_AFTER_REPLY);
        answered = bytes_equal(got, full);
        CHECK(answered || closing || memmem(got.data, got.len, "-ERR Out of memory", 18));
        ended += closing;
        fixture_conn_close(conn);
        fixture_close();
    }
    CHECK(ended > 0); /* some of these found no memory for a request's own arrays */
}

static void collect(void *context, struct bytes text) {
    CHECK(buffer_append(context, text, SIZE_MAX));
}

/* An empty request in front of one is no part of its record, though together they be as long as that should be. */
static void a_record_begins_where_its_request_does(void) {
    struct merge merge;
    struct buffer records = {0};
    CHECK(journal_open(4));
    fixture_open(4);
    journal_listen();
    merge_open(&merge, journal_queue(0), journal_queue_count(), 0);
    struct conn *conn = fixture_conn(shards);
    receive(conn, "*0\r\nSET a               b\r\n*-1\r\n\r\n" SET_K, 27 + 7 + sizeof SET_K - 1);
    CHECK_BYTES(buffer_bytes(&sent), BYTES("+OK\r\n+OK\r\n"));
    while (merge_next(&merge, collect, &records)) merge_release(&merge);
    CHECK_BYTES(buffer_bytes(&records), BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
                                              "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n" SET_K));
    buffer_free(&records);
    buffer_free(&sent);
    fixture_conn_close(conn);
    journal_ignore();
    fixture_close();
    journal_close();
}

int main(void) {
    RUN(requests_that_begin_alike_are_told_apart_by_what_follows);
    RUN(subcommands_of_a_container_are_told_apart);
    RUN(another_count_of_arguments_is_another_request);
    RUN(a_known_beginning_does_not_excuse_what_follows);
    RUN(requests_of_one_key_are_told_apart_from_what_looks_like_them);
    RUN(one_connection_s_requests_do_not_show_in_another_s);
    RUN(empty_requests_have_no_reply);
    RUN(a_record_begins_where_its_request_does);
    RUN(nothing_behind_quit_is_looked_at);
    RUN(more_than_a_turn_s_worth_goes_on_in_the_next);
    RUN(a_late_turn_ends_early);
    RUN(a_batch_that_took_long_ends_the_turn_of_its_connection);
    RUN(a_batch_ends_where_its_arguments_are_many);
    RUN(without_memory_requests_are_refused_or_the_connection_ends);
    return 0;
}
