/* Reply encoders: Redis's bytes in RESP2 and RESP3, however small the chunks that the sink gives. */
#include "protocol/reply.h"

#include <math.h>

#include "protocol/buffer.h"
#include "tests/check.h"

static unsigned long long seed;

/* A sink that gives chunks of exactly the bytes asked for, or of chunk_size, and joins what was written. */
struct array_sink {
    struct reply reply; /* first, so that the sink finds the rest */
    size_t chunk_size;
    size_t limit; /* bytes in all before it refuses */
    char *chunk;
    struct buffer written;
};

static void sink_collect(struct array_sink *sink) {
    struct reply *reply = &sink->reply;
    struct bytes chunk = {sink->chunk, (size_t)(reply->at - sink->chunk)};
    if (sink->chunk) CHECK(buffer_append(&sink->written, chunk, SIZE_MAX));
    free(sink->chunk);
    sink->chunk = reply->at = reply->end = NULL;
}

static bool sink_more(struct reply *reply, size_t need) {
    struct array_sink *sink = (struct array_sink *)reply;
    CHECK(need > 0 && need <= REPLY_CHUNK_MIN);
    size_t size = need > sink->chunk_size ? need : sink->chunk_size;
    if (sink->written.len + (size_t)(reply->at - sink->chunk) + size > sink->limit) return false;
    sink_collect(sink);
    sink->chunk = reply->at = malloc(size);
    CHECK(sink->chunk);
    reply->end = reply->at + size;
    return true;
}

static const struct reply_sink array_sink = {.more = sink_more};

static struct array_sink sink_open(int resp, size_t chunk_size) {
    return (struct array_sink){
        .reply = {.resp = (uint8_t)resp, .sink = &array_sink}, .chunk_size = chunk_size, .limit = SIZE_MAX};
}

static void sink_close(struct array_sink *sink) {
    free(sink->chunk);
    buffer_free(&sink->written);
}

/* The call gives these bytes in this protocol, for every size of chunk. */
#define CHECK_REPLY(version, call, expected)                                                                 \
    do {                                                                                                     \
        for (size_t chunk_ = 1; chunk_ < 70; chunk_++) {                                                     \
            struct array_sink sink = sink_open(version, chunk_);                                             \
            struct reply *r = &sink.reply;                                                                   \
            call;                                                                                            \
            CHECK(!r->failed);                                                                               \
            sink_collect(&sink);                                                                             \
            CHECK_BYTES(buffer_bytes(&sink.written), BYTES(expected));                                       \
            sink_close(&sink);                                                                               \
        }                                                                                                    \
    } while (0)

#define CHECK_BOTH(call, expected2, expected3)                                                               \
    do {                                                                                                     \
        CHECK_REPLY(2, call, expected2);                                                                     \
        CHECK_REPLY(3, call, expected3);                                                                     \
    } while (0)

#define CHECK_SAME(call, expected) CHECK_BOTH(call, expected, expected)

static void check_int(int64_t n) {
    char text[32];
    int len = snprintf(text, sizeof text, ":%lld\r\n", (long long)n);
    struct array_sink sink = sink_open(2, 64);
    reply_int(&sink.reply, n);
    sink_collect(&sink);
    CHECK_BYTES(buffer_bytes(&sink.written), ((struct bytes){text, (size_t)len}));
    sink_close(&sink);
}

/* Of every length, at the edges of each, and many in between. */
static void integers_have_the_digits_that_they_should(void) {
    static const int64_t steps[] = {1, 7, 991, 99991, 10000019};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        for (int64_t n = 0; n < 20000 * steps[i]; n += steps[i]) check_int(n);
    for (int64_t edge = 1; edge < 1000000000000; edge *= 10)
        for (int64_t n = edge - 1; n <= edge + 1; n++) check_int(n);
}

static void integers_and_strings_are_the_same_in_both(void) {
    CHECK_SAME(reply_ok(r), "+OK\r\n");
    CHECK_SAME(reply_simple(r, "QUEUED"), "+QUEUED\r\n");
    CHECK_SAME(reply_int(r, 0), ":0\r\n");
    CHECK_SAME(reply_int(r, 9), ":9\r\n");
    CHECK_SAME(reply_int(r, 10), ":10\r\n");
    CHECK_SAME(reply_int(r, 99), ":99\r\n");
    CHECK_SAME(reply_int(r, 100), ":100\r\n");
    CHECK_SAME(reply_int(r, -1), ":-1\r\n");
    CHECK_SAME(reply_int(r, INT64_MAX), ":9223372036854775807\r\n");
    CHECK_SAME(reply_int(r, INT64_MIN), ":-9223372036854775808\r\n");
    CHECK_SAME(reply_bulk(r, BYTES("")), "$0\r\n\r\n");
    CHECK_SAME(reply_bulk(r, ((struct bytes){NULL, 0})), "$0\r\n\r\n");
    CHECK_SAME(reply_bulk(r, BYTES("a\0b")), "$3\r\na\0b\r\n");
    CHECK_SAME(reply_bulk_text(r, "0123456789"), "$10\r\n0123456789\r\n");
    CHECK_SAME(reply_bulk_int(r, -42), "$3\r\n-42\r\n");
    CHECK_SAME(reply_bulk_header(r, 123456), "$123456\r\n");
    CHECK_SAME(reply_array(r, 12), "*12\r\n");
    CHECK_SAME(reply_long_double(r, 3.50L), "$3\r\n3.5\r\n");
}

static void the_rest_has_two_forms(void) {
    CHECK_BOTH(reply_null(r), "$-1\r\n", "_\r\n");
    CHECK_BOTH(reply_null_array(r), "*-1\r\n", "_\r\n");
    CHECK_BOTH(reply_map(r, 3), "*6\r\n", "%3\r\n");
    CHECK_BOTH(reply_set(r, 3), "*3\r\n", "~3\r\n");
    CHECK_BOTH(reply_push(r, 3), "*3\r\n", ">3\r\n");
    CHECK_REPLY(3, reply_attribute(r, 1), "|1\r\n");
    CHECK_BOTH(reply_bool(r, true), ":1\r\n", "#t\r\n");
    CHECK_BOTH(reply_bool(r, false), ":0\r\n", "#f\r\n");
    CHECK_BOTH(reply_double(r, 3), "$1\r\n3\r\n", ",3\r\n");
    CHECK_BOTH(reply_double(r, 0.1), "$19\r\n0.10000000000000001\r\n", ",0.10000000000000001\r\n");
    CHECK_BOTH(reply_double(r, 1e17), "$5\r\n1e+17\r\n", ",1e+17\r\n");
    CHECK_BOTH(reply_double(r, INFINITY), "$3\r\ninf\r\n", ",inf\r\n");
    CHECK_BOTH(reply_double(r, -INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    CHECK_BOTH(reply_double(r, NAN), "$3\r\nnan\r\n", ",nan\r\n");
    CHECK_BOTH(reply_big_number(r, BYTES("12345678901234567890123")), "$23\r\n12345678901234567890123\r\n",
               "(12345678901234567890123\r\n");
    CHECK_BOTH(reply_verbatim(r, "txt", BYTES("a\nb")), "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n");
}

static void bulks_of_every_length_are_copied_whole(void) {
    char data[200];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (char)('!' + i % 90);
    for (size_t len = 0; len <= sizeof data; len++) {
        struct array_sink sink = sink_open(2, 7 * len % 300);
        char expected[256];
        size_t header = (size_t)snprintf(expected, sizeof expected, "$%zu\r\n", len);
        memcpy(expected + header, data, len);
        memcpy(expected + header + len, "\r\n", 2);
        reply_int(&sink.reply, 7);
        reply_bulk(&sink.reply, (struct bytes){data, len});
        sink_collect(&sink);
        CHECK_BYTES(((struct bytes){sink.written.data, 4}), BYTES(":7\r\n"));
        CHECK_BYTES(((struct bytes){sink.written.data + 4, sink.written.len - 4}),
                    ((struct bytes){expected, header + len + 2}));
        sink_close(&sink);
    }
}

/* What reply_bulk writes of each of them, or of every second one. */
static void bulks_one_by_one(struct reply *reply, struct reply_strings strings, enum reply_which which) {
    for (size_t i = 0; i < strings.count; strings.data += strings.lens[i++])
        if (which == REPLY_ALL || i % 2 == (which == REPLY_SECONDS))
            reply_bulk(reply, (struct bytes){strings.data, strings.lens[i]});
}

/* What lies behind the last string that may be read is between nothing and more than is ever looked at. */
static void many_bulks_are_those_of_each(void) {
    enum { MOST = 40, SPARE_MOST = 48, MANY = 8000 };
    for (unsigned round = 0; round < MANY; round++) {
        uint8_t lens[MOST];
        size_t count = check_random(&seed) % (MOST / 2 + 1) * 2, sum = 0;
        size_t most = (size_t[]){4, 17, 40, 255}[check_random(&seed) % 4];
        for (size_t i = 0; i < count; i++) sum += lens[i] = (uint8_t)(check_random(&seed) % most);
        size_t spare = check_random(&seed) % SPARE_MOST, size = check_random(&seed) % 2000;
        char *data = malloc(sum + spare + 1); /* of just so many, which a sanitizer watches over */
        for (size_t i = 0; i < sum + spare; i++) data[i] = (char)('!' + i % 90);
        struct reply_strings strings = {data, data + sum + spare, lens, count};
        enum reply_which which = (enum reply_which)(round % 3);
        struct array_sink sink = sink_open(2, size), wanted = sink_open(2, size);
        reply_bulks(&sink.reply, strings, which);
        bulks_one_by_one(&wanted.reply, strings, which);
        sink_collect(&sink);
        sink_collect(&wanted);
        CHECK_BYTES(buffer_bytes(&sink.written), buffer_bytes(&wanted.written));
        CHECK(!sink.reply.failed);
        sink_close(&sink);
        sink_close(&wanted);
        free(data);
    }
}

/* A sink that gives no more: nothing is written from there on. */
static void many_bulks_end_where_the_sink_does(void) {
    static const uint8_t lens[20] = {9, 30, 0, 200, 3, 5, 9, 30, 0, 200, 3, 5, 9, 30, 0, 200, 3, 5, 1, 1};
    char data[2048];
    memset(data, 'x', sizeof data);
    for (size_t limit = 1; limit < 900; limit += 7) {
        struct array_sink sink = sink_open(2, 64);
        sink.limit = limit;
        reply_bulks(&sink.reply, (struct reply_strings){data, data + sizeof data, lens, 20}, REPLY_ALL);
        CHECK(sink.reply.failed && sink.reply.at == sink.reply.end);
        sink_close(&sink);
    }
}

static void large_bulks_are_split_over_chunks(void) {
    enum { SIZE = 100000 };
    char *data = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 >> 3);
    struct array_sink sink = sink_open(2, REPLY_CHUNK_MIN);
    reply_bulk(&sink.reply, (struct bytes){data, SIZE});
    reply_ok(&sink.reply);
    sink_collect(&sink);
    CHECK_INT(sink.written.len, 9 + SIZE + 2 + 5);
    CHECK_BYTES(((struct bytes){sink.written.data + 9, SIZE}), ((struct bytes){data, SIZE}));
    CHECK_BYTES(((struct bytes){sink.written.data + 9 + SIZE, 7}), BYTES("\r\n+OK\r\n"));
    sink_close(&sink);
    free(data);
}

static void errors_are_counted_and_remembered_by_code(void) {
    struct array_sink sink = sink_open(2, 64);
    reply_error(&sink.reply, "WRONGTYPE Operation against a key holding the wrong kind of value");
    CHECK_BYTES(sink.reply.last_error, BYTES("WRONGTYPE"));
    reply_errorf(&sink.reply, "%s unknown command '%.*s'", "ERR", 3, "foobar");
    CHECK_BYTES(sink.reply.last_error, BYTES("ERR"));
    reply_error(&sink.reply, "nocode");
    CHECK_BYTES(sink.reply.last_error, BYTES("ERR"));
    CHECK_INT(sink.reply.errors, 3);
    sink_collect(&sink);
    CHECK_BYTES(buffer_bytes(&sink.written),
                BYTES("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
                      "-ERR unknown command 'foo'\r\n-nocode\r\n"));
    sink_close(&sink);
}

static void no_byte_breaks_an_error_line(void) {
    CHECK_SAME(reply_error(r, "ERR a\r\n+OK\r\nb"), "-ERR a  +OK  b\r\n");
    CHECK_SAME(reply_error_bytes(r, BYTES("ERR \n\0x")), "-ERR  \0x\r\n");
    CHECK_SAME(reply_errorf(r, "ERR '%s'", "\r\n"), "-ERR '  '\r\n");
    CHECK_SAME(reply_errorf(r, "ERR %s", "a\r\nb\n\r\n"), "-ERR a  b\r\n");
    CHECK_SAME(reply_errorf(r, "%s", "\r\n"), "-\r\n");
}

static void an_argument_is_repeated_up_to_a_nul_and_while_there_is_room(void) {
    struct bytes nul = BYTES("a\0b"), none = {NULL, 0};
    char many[REPLY_ERROR_MAX + 100];
    memset(many, 'x', sizeof many);
    CHECK_SAME(reply_errorf(r, "ERR '%.*s'", reply_repeated(nul), nul.data), "-ERR 'a'\r\n");
    CHECK_INT(reply_repeated(none), 0);
    CHECK_INT(reply_repeated((struct bytes){many, 1000}), 1000);
    CHECK_INT(reply_repeated((struct bytes){many, sizeof many}), REPLY_ERROR_MAX);
}

static void long_errors_are_cut_or_split(void) {
    char *text = malloc(30001);
    memset(text, 'x', 30000);
    memcpy(text, "ERR ", 4);
    text[30000] = '\0';
    struct array_sink sink = sink_open(2, 100);
    reply_errorf(&sink.reply, "%s", text);
    sink_collect(&sink);
    CHECK_INT(sink.written.len, 1 + 1024 + 2);
    reply_error(&sink.reply, text);
    sink_collect(&sink);
    CHECK_INT(sink.written.len, 1 + 1024 + 2 + 1 + 30000 + 2);
    sink_close(&sink);
    free(text);
}

/* After a refusal not even a reply that would fit may be written: it would stand where the missing one belongs. */
static void a_refused_reply_swallows_the_rest(void) {
    struct array_sink sink = sink_open(3, 40);
    sink.limit = 50;
    reply_ok(&sink.reply);
    reply_bulk(&sink.reply, BYTES("a string of more bytes than are left in the chunk and below the limit"));
    CHECK(sink.reply.failed);
    size_t written = (size_t)(sink.reply.at - sink.chunk);
    reply_ok(&sink.reply);
    reply_int(&sink.reply, 1);
    reply_bulk(&sink.reply, BYTES("x"));
    reply_error(&sink.reply, "ERR x");
    reply_null(&sink.reply);
    reply_double(&sink.reply, 1.5);
    CHECK_INT(sink.reply.at - sink.chunk, written);
    sink_close(&sink);
}

int main(void) {
    seed = check_seed();
    RUN(integers_have_the_digits_that_they_should);
    RUN(integers_and_strings_are_the_same_in_both);
    RUN(the_rest_has_two_forms);
    RUN(bulks_of_every_length_are_copied_whole);
    RUN(many_bulks_are_those_of_each);
    RUN(many_bulks_end_where_the_sink_does);
    RUN(large_bulks_are_split_over_chunks);
    RUN(errors_are_counted_and_remembered_by_code);
    RUN(no_byte_breaks_an_error_line);
    RUN(an_argument_is_repeated_up_to_a_nul_and_while_there_is_room);
    RUN(long_errors_are_cut_or_split);
    RUN(a_refused_reply_swallows_the_rest);
    return 0;
}
