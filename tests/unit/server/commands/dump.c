/* DUMP and RESTORE: payloads of Redis, options against each other, times, and what is no payload. */
#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

/* Of redis-server 7.0.15: "hello", a hash of a 1 b 2, -300, and a set of 1. */
#define HELLO "\\x00\\x05hello\\x0a\\x00\\x63\\x72\\xdf\\x76\\x65\\x34\\x20\\x0a"
#define A_HASH                                                                                               \
    "\\x10\\x11\\x11\\x00\\x00\\x00\\x04\\x00\\x81\\x61\\x02\\x01\\x01\\x81\\x62\\x02\\x02\\x01\\xff\\x0a\\" \
    "x00\\x3e\\x40"                                                                                          \
    "\\x63\\x6c\\x8f\\x5d\\x76\\x9a"
#define NUMBER       "\\x00\\xc1\\xd4\\xfe\\x0a\\x00\\xc6\\xc4\\x86\\x23\\xfe\\xbe\\xde\\x2e"

#define BAD_CHECKSUM "-ERR DUMP payload version or checksum are wrong\r\n"
#define BUSY         "-BUSYKEY Target key name already exists.\r\n"

static void payloads_of_redis_are_restored(void) {
    begin();
    static const struct exchange table[] = {
        {"restore s 0 \"" HELLO "\"", OK},
        {"get s", "$5\r\nhello\r\n"},
        {"restore n 0 \"" NUMBER "\"", OK},
        {"incr n", ":-299\r\n"},
        {"restore h 0 \"" A_HASH "\"", OK},
        {"hgetall h", "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n"},
        {"object encoding h", "$8\r\nlistpack\r\n"},
        {"ttl h", ":-1\r\n"},
        {"dump none", NIL},
        {"exists none", ":0\r\n"},
    };
    EXPECT_ALL(table);
    CHECK_BYTES(run(BYTES("dump s\n")), BYTES("$17\r\n\0\5hello\x0a\0\x63\x72\xdf\x76\x65\x34\x20\x0a\r\n"));
    end();
}

static void options_are_checked_in_redis_s_order(void) {
    begin();
    static const struct exchange table[] = {
        {"restore k 0 \"" HELLO "\"", OK},
        {"restore k 0 junk", BUSY},
        {"restore k x junk", BUSY},
        {"restore k 0 junk nope", SYNTAX_ERROR},
        {"restore k x junk replace", NOT_AN_INTEGER},
        {"restore k -1 junk replace", "-ERR Invalid TTL value, must be >= 0\r\n"},
        {"restore k 0 junk replace", BAD_CHECKSUM},
        {"restore k 0 \"\" replace", BAD_CHECKSUM},
        {"restore k 0 \"" HELLO "\" idletime", SYNTAX_ERROR},
        {"restore k 0 \"" HELLO "\" idletime -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n"},
        {"restore k 0 \"" HELLO "\" idletime x", NOT_AN_INTEGER},
        {"restore k 0 \"" HELLO "\" freq 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n"},
        {"restore k 0 \"" HELLO "\" freq 5 idletime 5", SYNTAX_ERROR},
        {"restore k 0 \"" HELLO "\" idletime 5 freq 5", SYNTAX_ERROR},
        {"restore k 0 \"" A_HASH "\" replace freq 5", OK},
        {"type k", "+hash\r\n"},
        {"restore k 0 \"" HELLO "\" replace idletime 77", OK},
        {"object idletime k", ":77\r\n"},
    };
    EXPECT_ALL(table);
    end();
}

static void times_are_from_now_or_absolute(void) {
    begin();
    static const struct exchange table[] = {
        {"restore k 1500 \"" HELLO "\"", OK},
        {"pttl k", ":1500\r\n"},
        {"restore k 1700000000400 \"" HELLO "\" absttl replace", OK},
        {"pttl k", ":400\r\n"},
        {"restore k 0 \"" HELLO "\" absttl replace", OK},
        {"pttl k", ":-1\r\n"},
        {"restore none 1000 \"" HELLO "\" absttl", OK},
        {"exists none", ":0\r\n"},
        {"restore k 1700000000000 \"" HELLO "\" absttl replace", OK},
        {"exists k", ":0\r\n"},
    };
    EXPECT_ALL(table);
    EXPECT_CHANGES(1, "restore k 0 \"" HELLO "\"\n", OK);
    EXPECT_CHANGES(0, "restore k 0 \"" HELLO "\"\ndump none\n", BUSY NIL);
    EXPECT_CHANGES(1, "restore k 1 \"" HELLO "\" replace absttl\n", OK);
    EXPECT_CHANGES(0, "restore k 1 \"" HELLO "\" replace absttl\n", OK);
    end();
}

/* What DUMP gives, RESTORE takes: values of every size, by way of another key. */
/* A value of `count` elements, each of which the function puts into a line as a request. */
static void check_restored(void (*add)(char *line, size_t size, unsigned i), const char *count) {
    static char line[1 << 16];
    begin();
    config.enable_debug_command = CONFIG_YES;
    for (unsigned elements = 1; elements < 400; elements = elements * 3 + 1) {
        run(BYTES("del h copy\n"));
        for (unsigned i = 0; i < elements; i++) {
            add(line, sizeof line, i);
            CHECK(run(bytes_of(line)).data[0] == ':');
        }
        struct bytes payload = run(BYTES("dump h\n"));
        const char *body = memchr(payload.data, '\n', payload.len);
        size_t len = (size_t)strtoul(payload.data + 1, NULL, 10), at;
        CHECK(body && payload.len == (size_t)(body + 1 - payload.data) + len + 2);
        at = (size_t)snprintf(line, sizeof line, "restore copy 0 \"");
        for (size_t i = 0; i < len; i++)
            at += (size_t)snprintf(line + at, sizeof line - at, "\\x%02x", (unsigned char)body[1 + i]);
        at += (size_t)snprintf(line + at, sizeof line - at, "\"\n");
        CHECK_BYTES(run((struct bytes){line, at}), BYTES(OK));
        snprintf(line, sizeof line, ":%u\r\n", elements);
        CHECK_BYTES(run(bytes_of(count)), bytes_of(line));
        struct buffer one = {0};
        struct bytes digest = run(BYTES("debug digest-value h\n"));
        CHECK(buffer_append(&one, digest, SIZE_MAX));
        CHECK_BYTES(run(BYTES("debug digest-value copy\n")), buffer_bytes(&one));
        buffer_free(&one);
    }
    end();
}

static void add_field(char *line, size_t size, unsigned i) {
    snprintf(line, size, "hset h field:%u value:%u\n", i, i * 7);
}
static void add_element(char *line, size_t size, unsigned i) {
    snprintf(line, size, "rpush h element:%u\n", i * i % 31);
}
static void add_integer(char *line, size_t size, unsigned i) {
    snprintf(line, size, "sadd h %u\n", i * 7919 % 1009);
}
static void add_member(char *line, size_t size, unsigned i) {
    snprintf(line, size, "sadd h member:%u\n", i);
}
static void add_scored(char *line, size_t size, unsigned i) {
    snprintf(line, size, "zadd h %u.5 member:%u\n", i * 7919 % 101, i);
}

static void what_is_dumped_is_restored(void) {
    check_restored(add_field, "hlen copy\n");
    check_restored(add_element, "llen copy\n");
    check_restored(add_integer, "scard copy\n");
    check_restored(add_member, "scard copy\n");
    check_restored(add_scored, "zcard copy\n");
}

static void without_memory_nothing_is_restored(void) {
    begin();
    EXPECT("set k old\n", OK);
    for (unsigned left = 0;; left++) {
        buffer_free(&sent);
        parse(BYTES("restore k 0 \"" A_HASH "\" replace\n"));
        CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
        shards->exec.clock.now_ms = now_ms;
        memory_left = left;
        CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
        memory_left = UINT_MAX;
        fixture_take(&conn->output, &sent);
        if (bytes_equal(buffer_bytes(&sent), BYTES(OK))) break;
        CHECK_BYTES(buffer_bytes(&sent), BYTES(NO_MEMORY));
        EXPECT("get k\n", "$3\r\nold\r\n");
        CHECK(left < 100);
    }
    EXPECT("type k\n", "+hash\r\n");
    end();
}

int main(void) {
    RUN(payloads_of_redis_are_restored);
    RUN(options_are_checked_in_redis_s_order);
    RUN(times_are_from_now_or_absolute);
    RUN(what_is_dumped_is_restored);
    RUN(without_memory_nothing_is_restored);
    return 0;
}
