/* The request parser: the same requests for every split of the bytes, Redis's error texts, and costs that
 * only bytes which really arrived can cause. */
#include "protocol/request.h"

#include <malloc.h>
#include <time.h>

#include "tests/check.h"
#include "tests/request_feed.h"

static unsigned long long seed;

static const struct request_limits normal = {.max_args = 1048576,
                                             .max_bulk = 512 << 20,
                                             .max_inline = 65536,
                                             .bulk_min = UINT64_MAX,
                                             .authenticated = true};
static const struct request_limits stranger = {
    .max_args = 10, .max_bulk = 16384, .max_inline = 65536, .bulk_min = UINT64_MAX, .authenticated = false};

static void check_transcript(struct feed *feed, struct bytes expected) {
    CHECK_BYTES(buffer_bytes(&feed->transcript), expected);
}

/* The transcript of the bytes is as expected, whole and cut at every place, and byte by byte. */
static void check_bytes_with(const struct request_limits *limits, bool take_bulks, struct bytes stream,
                             struct bytes expected) {
    for (size_t cut = 0; cut <= stream.len; cut++) {
        struct feed feed = {.limits = limits, .take_bulks = take_bulks};
        feed_bytes(&feed, (struct bytes){stream.data, cut});
        feed_bytes(&feed, (struct bytes){stream.data + cut, stream.len - cut});
        check_transcript(&feed, expected);
        feed_close(&feed);
    }
    struct feed feed = {.limits = limits, .take_bulks = take_bulks};
    for (size_t i = 0; i < stream.len; i++) feed_bytes(&feed, (struct bytes){stream.data + i, 1});
    check_transcript(&feed, expected);
    feed_close(&feed);
}

static void check_bytes(struct bytes stream, struct bytes expected) {
    check_bytes_with(&normal, false, stream, expected);
}

#define CHECK_STREAM(stream, expected) check_bytes(BYTES(stream), BYTES(expected))

static void pipelines_are_cut_into_requests(void) {
    CHECK_STREAM("*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n", "2 3:GET 16:0123456789abcdef\n");
    CHECK_STREAM("*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n*1\r\n$4\r\nPI",
                 "1 4:PING\n3 3:SET 1:k 0:\n");
    CHECK_STREAM("PING\r\n*1\r\n$4\r\nPING\r\nGET a\n", "1 4:PING\n1 4:PING\n2 3:GET 1:a\n");
    CHECK_STREAM("*2\r\n$4\r\nECHO\r\n$7\r\na\0b\r\n\xff$\r\n", "2 4:ECHO 7:a\0b\r\n\xff$\n");
}

static void empty_requests_have_no_arguments(void) {
    CHECK_STREAM("*0\r\n*-1\r\n*-5\r\n\r\n\n  \t\r\n*1\r\n$4\r\nPING\r\n", "0\n0\n0\n0\n0\n0\n1 4:PING\n");
}

/* Redis skips the two bytes behind a length's digits or a bulk unread; so do we. */
static void line_ends_are_skipped_unread(void) {
    CHECK_STREAM("*1\rx$4\ryPINGzz*1\r\n$1\r\na\r\n", "1 4:PING\n1 1:a\n");
}

static void lengths_of_any_number_of_digits_are_read(void) {
    static const size_t sizes[] = {0, 1, 9, 10, 99, 100, 999, 1000, 12345, 1234567};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer stream = {0}, expected = {0};
        char text[64], *bulk = malloc(sizes[i] + 1);
        memset(bulk, 'x', sizes[i]);
        feed_note(&stream, text, (size_t)snprintf(text, sizeof text, "*2\r\n$1\r\na\r\n$%zu\r\n", sizes[i]));
        feed_note(&stream, bulk, sizes[i]);
        feed_note(&stream, "\r\n", 2);
        feed_note(&expected, text, (size_t)snprintf(text, sizeof text, "2 1:a %zu:", sizes[i]));
        feed_note(&expected, bulk, sizes[i]);
        feed_note(&expected, "\n", 1);
        for (int cut = 0; cut < 30 && (size_t)cut < stream.len; cut++) {
            struct feed feed = {.limits = &normal};
            feed_bytes(&feed, (struct bytes){stream.data, (size_t)cut});
            feed_bytes(&feed, (struct bytes){stream.data + cut, stream.len - (size_t)cut});
            check_transcript(&feed, buffer_bytes(&expected));
            feed_close(&feed);
        }
        free(bulk);
        buffer_free(&stream);
        buffer_free(&expected);
    }
}

static void counts_of_arguments_are_limited(void) {
    CHECK_STREAM("*2147483648\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*1048577\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*1048576\r\n", "");
    CHECK_STREAM("*9223372036854775808\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*x\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*-0\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*+1\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*01\r\n$4\r\nPING\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("* 1\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STREAM("*1\0\r\n", "!Protocol error: invalid multibulk length");
}

static void lengths_of_bulks_are_limited(void) {
    CHECK_STREAM("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$536870913\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$536870912\r\n", "");
    CHECK_STREAM("*1\r\n$9223372036854775807\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$18446744073709551615\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$blabla\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$04\r\nPING\r\n", "!Protocol error: invalid bulk length");
    CHECK_STREAM("*1\r\n$4 \r\nPING\r\n", "!Protocol error: invalid bulk length");
}

static void what_is_no_bulk_is_named(void) {
    CHECK_STREAM("*1\r\nfoo\r\n", "!Protocol error: expected '$', got 'f'");
    CHECK_STREAM("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "!Protocol error: expected '$', got 'f'");
    CHECK_STREAM("*1\r\n\xff\r\n", "!Protocol error: expected '$', got '\xff'");
    CHECK_STREAM("*1\r\n\r\n$4\r\nPING\r\n", "!Protocol error: expected '$', got ' '");
    CHECK_STREAM("*1\r\n\nx\r\n", "!Protocol error: expected '$', got ' '");
    CHECK_STREAM("*1\r\n\0\r\n", "!Protocol error: expected '$', got ' '");
}

#define CHECK_STRANGER(stream, expected) check_bytes_with(&stranger, false, BYTES(stream), BYTES(expected))

static void strangers_get_tighter_limits(void) {
    CHECK_STRANGER("*11\r\n", "!Protocol error: unauthenticated multibulk length");
    CHECK_STRANGER("*2147483648\r\n", "!Protocol error: invalid multibulk length");
    CHECK_STRANGER("*1\r\n$16385\r\n", "!Protocol error: unauthenticated bulk length");
    CHECK_STRANGER("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length");
    CHECK_STRANGER("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n*10\r\n$16384\r\n", "2 4:AUTH 1:x\n");
}

/* The limits hold as well for requests that are whole when they are first seen. */
static void limits_hold_for_whole_requests(void) {
    static const struct request_limits limits = {
        .max_args = 2, .max_bulk = 3, .max_inline = 100, .bulk_min = 2, .authenticated = true};
    check_bytes_with(&limits, false,
                     BYTES("*2\r\n$3\r\nabc\r\n$0\r\n\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"),
                     BYTES("2 3:abc 0:\n!Protocol error: invalid multibulk length"));
    check_bytes_with(&limits, true, BYTES("*1\r\n$3\r\nabc\r\n*1\r\n$4\r\nabcd\r\n"),
                     BYTES("1 3:abc\n!Protocol error: invalid bulk length"));
}

/* The line's end decides, not how much of it has come. */
static void check_long_line(const char *start, size_t length, const char *end, const char *expected) {
    struct buffer stream = {0};
    feed_note(&stream, start, strlen(start));
    while (stream.len < length) feed_note(&stream, "1", 1);
    feed_note(&stream, end, strlen(end));
    const size_t cuts[] = {0, 1, length / 2, length - 1, length, stream.len};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct feed feed = {.limits = &normal};
        feed_bytes(&feed, (struct bytes){stream.data, cuts[i]});
        feed_bytes(&feed, (struct bytes){stream.data + cuts[i], stream.len - cuts[i]});
        if (feed.transcript.len > 80) feed.transcript.len = 8;
        check_transcript(&feed, bytes_of(expected));
        feed_close(&feed);
    }
    buffer_free(&stream);
}

static void lines_end_within_64_kib(void) {
    check_long_line("a", 65536, "\n", "1 65536:");
    check_long_line("a", 65537, "\n", "!Protocol error: too big inline request");
    check_long_line("a", 65537, "", "!Protocol error: too big inline request");
    check_long_line("a", 65536, "", "");
    check_long_line("*", 65537, "", "!Protocol error: too big mbulk count string");
    check_long_line("*", 65536, "\r\n", "!Protocol error: invalid multibulk length");
    check_long_line("*1\r\n$", 65541, "", "!Protocol error: too big bulk count string");
    check_long_line("*1\r\n$", 65540, "\r\n", "!Protocol error: invalid bulk length");
}

static void inline_requests_are_split_as_redis_does(void) {
    CHECK_STREAM("ECHO \"a\\x41\\x4g\\n\\r\\t\\b\\a\\q\\\"\"\r\n", "2 4:ECHO 12:aAx4g\n\r\t\b\aq\"\n");
    CHECK_STREAM("ECHO 'a\\'b\\n\"'\n", "2 4:ECHO 6:a'b\\n\"\n");
    CHECK_STREAM("  SET\ta \"\" ''  \r\n", "4 3:SET 1:a 0: 0:\n");
    CHECK_STREAM("ECHO a\"b c\"\r\n", "2 4:ECHO 4:ab c\n");
    CHECK_STREAM("ECHO abc\\\r\n", "2 4:ECHO 4:abc\\\n");
    CHECK_STREAM("\vPING\r\r\n", "1 4:PING\n");
    CHECK_STREAM("PING\v\r\n", "1 5:PING\v\n");
    CHECK_STREAM("ECHO \"abc\"\v\r\n", "2 4:ECHO 3:abc\n");
    CHECK_STREAM("ECHO a\0b\r\n", "2 4:ECHO 3:a\0b\n");
    CHECK_STREAM("ECHO \"abc\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("ECHO 'abc\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("ECHO \"a\"b\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("ECHO 'a''b'\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("set \"\"\"test-key\"\"\" test-value\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("ECHO \"\\\"\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("ECHO \"\\\r\n", "!Protocol error: unbalanced quotes in request");
    CHECK_STREAM("\"\\x4\"\r\n", "1 2:x4\n");
}

static void lines_are_split_into_the_callers_memory(void) {
    struct request_args args = {0};
    struct bytes line = BYTES("save 900 '1' \"a b\\x21\"");
    char scratch[64];
    CHECK(request_split_line(line, scratch, &args));
    CHECK_INT(args.argc, 4);
    CHECK_BYTES(args.argv[0], BYTES("save"));
    CHECK_BYTES(args.argv[3], BYTES("a b!"));
    for (uint32_t i = 0; i < args.argc; i++)
        CHECK(args.argv[i].data >= scratch && args.argv[i].data + args.argv[i].len <= scratch + line.len);
    CHECK(request_split_line(BYTES(""), scratch, &args));
    CHECK_INT(args.argc, 0);
    CHECK(!request_split_line(BYTES("a 'b"), scratch, &args));
    request_args_free(&args);
    CHECK(args.argv == NULL && args.capacity == 0);
}

static void announced_bulks_may_be_taken_over(void) {
    static const struct request_limits limits = {
        .max_args = 100, .max_bulk = 1000, .max_inline = 100, .bulk_min = 4, .authenticated = true};
    struct bytes stream = BYTES("*4\r\n$3\r\nSET\r\n$5\r\nhello\r\n$12\r\n$3\r\nGET\r\nend\r\n$1\r\nx\r\n"
                                "*2\r\n$4\r\nECHO\r\n$6\r\na\r\nb\r\n\r\nPING\r\n*1\r\n$1001\r\n");
    struct bytes expected = BYTES("4 3:SET 5:hello 12:$3\r\nGET\r\nend 1:x\n2 4:ECHO 6:a\r\nb\r\n\n1 4:PING\n"
                                  "!Protocol error: invalid bulk length");
    check_bytes_with(&limits, true, stream, expected);
    check_bytes_with(&limits, false, stream, expected);
}

static void a_bulk_is_announced_once_and_with_its_place(void) {
    struct request_limits limits = normal;
    limits.bulk_min = 10;
    struct request_parser parser = {0};
    struct request_args args = {0};
    size_t used = 99;
    const char data[] = "*2\r\n$3\r\nSET\r\n$10\r\n0123456789\r\n";
    size_t header = 18, whole = sizeof data - 1;
    CHECK_INT(request_parse(&parser, &limits, (struct bytes){data, header - 1}, &args, &used), REQUEST_MORE);
    CHECK_INT(request_parse(&parser, &limits, (struct bytes){data, header + 11}, &args, &used), REQUEST_BULK);
    CHECK_INT(used, 0);
    CHECK_INT(parser.bulk_offset, header);
    CHECK_INT(parser.bulk_have, 11);
    CHECK_INT(parser.bulk_len, 10);
    CHECK_INT(request_parse(&parser, &limits, (struct bytes){data, header + 11}, &args, &used), REQUEST_MORE);
    request_bulk_given(&parser, "ABCDEFGHIJ");
    CHECK_INT(request_parse(&parser, &limits, (struct bytes){data, header}, &args, &used), REQUEST_READY);
    CHECK_INT(used, header);
    CHECK_BYTES(args.argv[1], BYTES("ABCDEFGHIJ"));
    CHECK_INT(request_parse(&parser, &limits, (struct bytes){data, whole}, &args, &used),
              REQUEST_READY); /* whole: no detour */
    CHECK_INT(used, whole);
    request_args_free(&args);
}

static void random_pipelines_survive_random_splits(void) {
    static const struct request_limits limits = {
        .max_args = 300, .max_bulk = 5000, .max_inline = 1000, .bulk_min = 50, .authenticated = true};
    for (int round = 0; round < 300; round++) {
        struct buffer stream = {0};
        for (int request = 0; request < 6; request++) {
            char text[64], byte;
            unsigned count = (unsigned)(check_random(&seed) % (round % 10 ? 5 : 200));
            feed_note(&stream, text, (size_t)snprintf(text, sizeof text, "*%u\r\n", count));
            while (count--) {
                unsigned length = (unsigned)(check_random(&seed) % (check_random(&seed) % 8 ? 12 : 900));
                feed_note(&stream, text, (size_t)snprintf(text, sizeof text, "$%u\r\n", length));
                while (length--) byte = (char)check_random(&seed), feed_note(&stream, &byte, 1);
                feed_note(&stream, "\r\n", 2);
            }
        }
        if (round % 3 == 0)
            stream.data[check_random(&seed) % stream.len] = "*$\r\n0-"[check_random(&seed) % 6];
        struct feed whole = {.limits = &limits};
        feed_bytes(&whole, buffer_bytes(&stream));
        for (int split = 0; split < 4; split++) {
            struct feed feed = {.limits = &limits, .take_bulks = split & 1};
            for (size_t at = 0, piece; at < stream.len; at += piece) {
                piece = 1 + check_random(&seed) % (split & 2 ? 20 : 2000);
                if (piece > stream.len - at) piece = stream.len - at;
                feed_bytes(&feed, (struct bytes){stream.data + at, piece});
            }
            check_transcript(&feed, buffer_bytes(&whole.transcript));
            feed_close(&feed);
        }
        feed_close(&whole);
        buffer_free(&stream);
    }
}

static void an_announcement_allocates_next_to_nothing(void) {
    struct request_parser parser = {0};
    struct request_args args = {0};
    size_t used;
    const char data[] = "*1048576\r\n$1\r\na\r\n$536870912\r\nabc";
    CHECK_INT(request_parse(&parser, &normal, (struct bytes){data, sizeof data - 1}, &args, &used),
              REQUEST_MORE);
    CHECK(malloc_usable_size(parser.saved) < 512);
    CHECK(args.capacity <= 64);
    request_parser_reset(&parser);
    CHECK(parser.saved == NULL);
    request_args_free(&args);
}

static void an_idle_parser_owns_nothing(void) {
    struct feed feed = {.limits = &normal};
    feed_bytes(&feed, BYTES("*1\r\n$4\r\nPI"));
    CHECK(feed.parser.saved != NULL);
    feed_bytes(&feed, BYTES("NG\r\n"));
    CHECK(feed.parser.saved == NULL);
    feed_bytes(&feed, BYTES("PING\r\n*x\r\n"));
    CHECK(feed.bad && feed.parser.saved == NULL);
    feed_close(&feed);
}

/* 100,000 arguments arrive byte by byte: without saved offsets these are 10^11 bytes to look at. */
static void byte_by_byte_arrival_costs_linear_time(void) {
    enum { COUNT = 100000 };
    char *data = malloc(COUNT * 7 + 32);
    size_t len = (size_t)snprintf(data, 32, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++, len += 7) memcpy(data + len, "$1\r\nx\r\n", 7);
    struct request_parser parser = {0};
    struct request_args args = {0};
    size_t used;
    clock_t before = clock();
    for (size_t have = 1; have < len; have++)
        CHECK_INT(request_parse(&parser, &normal, (struct bytes){data, have}, &args, &used), REQUEST_MORE);
    CHECK_INT(request_parse(&parser, &normal, (struct bytes){data, len}, &args, &used), REQUEST_READY);
    CHECK(clock() - before < 2 * CLOCKS_PER_SEC); /* some 20 ms, and more under a sanitizer */
    CHECK_INT(args.argc, COUNT);
    CHECK_INT(used, len);
    CHECK_BYTES(args.argv[COUNT - 1], BYTES("x"));

    CHECK_INT(request_parse(&parser, &normal, (struct bytes){data, len}, &args, &used),
              REQUEST_READY); /* and whole, in one pass */
    CHECK_INT(args.argc, COUNT);
    request_args_free(&args);
    free(data);
}

/* An early look reads no byte behind the last, for the copy is as long as the bytes, and sees the argument as soon as it is
 * whole; one of a single byte needs the next one, too. */
static void check_peek(struct bytes whole, size_t argument_ends, struct bytes expected) {
    for (size_t len = 0; len <= whole.len; len++) {
        char *copy = malloc(len ? len : 1);
        struct bytes seen;
        CHECK(copy);
        memcpy(copy, whole.data, len);
        bool found = request_peek_argument((struct bytes){copy, len}, &seen);
        CHECK_INT(found, argument_ends && len >= argument_ends);
        if (found) CHECK_BYTES(seen, expected);
        free(copy);
    }
}

static void an_early_look_sees_what_stands_behind_the_name(void) {
    check_peek(BYTES("*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n"), 34, BYTES("0123456789abcdef"));
    check_peek(BYTES("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n"), 19, BYTES("k"));
    check_peek(BYTES("*12\r\n$16\r\n0123456789abcdef\r\n$0\r\n\r\n"), 34, BYTES(""));
    check_peek(BYTES("*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 0, BYTES(""));
    check_peek(BYTES("GET key\r\n"), 0, BYTES(""));
    check_peek(BYTES("*2\r\n$3\r\nGET\r\n:1\r\nk\r\n"), 0, BYTES(""));
    check_peek(BYTES("*2\r\n$-1\r\n$1\r\nk\r\n"), 0, BYTES(""));
    check_peek(BYTES("*2\r\n$999999999\r\nGET\r\n$1\r\nk\r\n"), 0, BYTES(""));
    check_peek(BYTES("*2\r\n$3\r\nGET\r\n$999999999\r\nk\r\n"), 0, BYTES(""));
    check_peek(BYTES("*-2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), 0, BYTES(""));
}

/* What begins as another request did is parsed to the same by both ways, wherever it ends, and what does not is not. The
 * copy is as long as the bytes, so that a sanitizer sees a look behind them. */
static void check_lead(struct bytes first, uint32_t known, struct bytes second, bool alike) {
    struct request_args args = {0}, whole = {0}, led = {0};
    struct request_parser parser = {0};
    size_t used, led_used;
    CHECK_INT(request_parse(&parser, &normal, first, &args, &used), REQUEST_READY);
    CHECK_INT(request_parse(&parser, &normal, first, &led, &used), REQUEST_READY); /* for its room */
    struct request_lead lead = request_lead(first.data, &args, known);
    for (size_t len = 0; len <= second.len; len++) {
        char *copy = malloc(len ? len : 1);
        CHECK(copy);
        struct bytes data = {copy, len};
        memcpy(copy, second.data, len);
        bool is = request_lead_is(&lead, data);
        CHECK_INT(is, alike && len >= lead.size);
        bool parsed = is && request_parse_led(&lead, &normal, data, &led, &led_used);
        bool ready = is && request_parse(&parser, &normal, data, &whole, &used) == REQUEST_READY;
        CHECK_INT(parsed, ready);
        if (parsed) {
            CHECK_INT(led_used, used);
            CHECK_INT(led.argc, whole.argc);
            for (uint32_t i = 0; i < led.argc; i++)
                CHECK(led.argv[i].data == whole.argv[i].data && led.argv[i].len == whole.argv[i].len);
        }
        request_parser_reset(&parser);
        free(copy);
    }
    request_args_free(&args);
    request_args_free(&whole);
    request_args_free(&led);
}

static void a_request_may_begin_as_another(void) {
    struct bytes first = BYTES("*3\r\n$4\r\nSADD\r\n$5\r\nmyset\r\n$3\r\nabc\r\n");
    check_lead(first, 2, BYTES("*3\r\n$4\r\nSADD\r\n$5\r\nmyset\r\n$3\r\nabc\r\n"), true);
    check_lead(first, 2, BYTES("*3\r\n$4\r\nSADD\r\n$5\r\nmyset\r\n$12\r\nabcdefghijkl\r\n*1"), true);
    check_lead(first, 2, BYTES("*3\r\n$4\r\nSADD\r\n$5\r\nmysex\r\n$3\r\nabc\r\n"), false);
    check_lead(first, 2, BYTES("*4\r\n$4\r\nSADD\r\n$5\r\nmyset\r\n$1\r\na\r\n$1\r\nb\r\n"), false);
    check_lead(first, 2, BYTES("*3\r\n$4\r\nsADD\r\n$5\r\nmyset\r\n$3\r\nabc\r\n"), false);
    check_lead(first, 3, first, true);
    check_lead(BYTES("*1\r\n$0\r\n\r\n"), 1, BYTES("*1\r\n$0\r\n\r\n"), true);
    struct request_args args = {0};
    struct request_parser parser = {0};
    size_t used, len;
    char text[2 * REQUEST_LEAD_MOST];
    for (int size = 90; size < 130; size++) { /* a longer one is none */
        len = (size_t)snprintf(text, sizeof text, "*2\r\n$3\r\nGET\r\n$%d\r\n%0*d\r\n", size, size, 0);
        CHECK_INT(request_parse(&parser, &normal, (struct bytes){text, len}, &args, &used), REQUEST_READY);
        struct request_lead lead = request_lead(text, &args, 2);
        CHECK_INT(lead.size, len <= REQUEST_LEAD_MOST ? len : 0);
        CHECK_INT(request_lead_is(&lead, (struct bytes){text, len}), lead.size > 0);
    }
    request_args_free(&args);
}

int main(void) {
    seed = check_seed();
    RUN(pipelines_are_cut_into_requests);
    RUN(empty_requests_have_no_arguments);
    RUN(line_ends_are_skipped_unread);
    RUN(lengths_of_any_number_of_digits_are_read);
    RUN(counts_of_arguments_are_limited);
    RUN(lengths_of_bulks_are_limited);
    RUN(what_is_no_bulk_is_named);
    RUN(strangers_get_tighter_limits);
    RUN(limits_hold_for_whole_requests);
    RUN(lines_end_within_64_kib);
    RUN(inline_requests_are_split_as_redis_does);
    RUN(lines_are_split_into_the_callers_memory);
    RUN(announced_bulks_may_be_taken_over);
    RUN(a_bulk_is_announced_once_and_with_its_place);
    RUN(random_pipelines_survive_random_splits);
    RUN(an_announcement_allocates_next_to_nothing);
    RUN(an_idle_parser_owns_nothing);
    RUN(byte_by_byte_arrival_costs_linear_time);
    RUN(an_early_look_sees_what_stands_behind_the_name);
    RUN(a_request_may_begin_as_another);
    return 0;
}
