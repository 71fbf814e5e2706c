/* hiredis_test.c - the C client that others are built on, against a running server.
 *
 *     hiredis_test tcp PORT | unix PATH [--canary]
 *
 * Checks what hiredis sees rather than what is on the wire: types, lengths, nesting, order, in RESP2 and
 * RESP3. run.py starts the server. --canary adds one check that must fail. */
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "tests/check.h"

enum { PIPELINE = 10000, LARGE = 8 * 1024 * 1024, TIMEOUT_S = 30 };

static const char *transport, *address;
static redisContext *c;

static redisContext *connected(void) {
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    redisContext *context =
        strcmp(transport, "unix") == 0
            ? redisConnectUnixWithTimeout(address, timeout)
            : redisConnectWithTimeout("127.0.0.1", (int)strtol(address, NULL, 10), timeout);
    CHECK(context);
    if (context->err) fprintf(stderr, "%s %s: %s\n", transport, address, context->errstr);
    CHECK_INT(context->err, 0);
    CHECK_INT(redisSetTimeout(context, timeout), REDIS_OK);
    return context;
}

/* The reply to one command, in hiredis's own format (%b: pointer and size_t); the caller frees it. */
static redisReply *call(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(c, format, arguments);
    va_end(arguments);
    if (!reply) fprintf(stderr, "%s: %s\n", format, c->errstr);
    CHECK(reply);
    return reply;
}

static redisReply *next_reply(void) {
    void *reply = NULL;
    int status = redisGetReply(c, &reply);
    if (status != REDIS_OK) fprintf(stderr, "%s\n", c->errstr);
    CHECK_INT(status, REDIS_OK);
    CHECK(reply);
    return reply;
}

static struct bytes reply_bytes(const redisReply *reply) {
    return (struct bytes){reply->str, reply->len};
}

static void check_text(redisReply *reply, int type, const char *text) {
    CHECK_INT(reply->type, type);
    CHECK_BYTES(reply_bytes(reply), bytes_of(text));
    freeReplyObject(reply);
}

static void check_integer(redisReply *reply, long long value) {
    CHECK_INT(reply->type, REDIS_REPLY_INTEGER);
    CHECK_INT(reply->integer, value);
    freeReplyObject(reply);
}

static void check_null(redisReply *reply) {
    CHECK_INT(reply->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);
}

/* ---- What must hold ------------------------------------------------------------------------------- */

static void every_reply_type_is_understood(void) {
    check_text(call("PING"), REDIS_REPLY_STATUS, "PONG");
    check_text(call("SET k %s", "value"), REDIS_REPLY_STATUS, "OK");
    check_text(call("GET k"), REDIS_REPLY_STRING, "value");
    check_null(call("GET absent"));
    check_integer(call("INCRBY n 42"), 42);
    check_integer(call("DECRBY n 100"), -58);
    check_text(call("GET"), REDIS_REPLY_ERROR, "ERR wrong number of arguments for 'get' command");
    redisReply *reply = call("MGET k absent n");
    CHECK_INT(reply->type, REDIS_REPLY_ARRAY);
    CHECK_INT(reply->elements, 3);
    CHECK_INT(reply->element[0]->type, REDIS_REPLY_STRING);
    CHECK_INT(reply->element[1]->type, REDIS_REPLY_NIL);
    CHECK(strcmp(reply->element[2]->str, "-58") == 0);
    freeReplyObject(reply);
}

static void keys_and_values_are_binary(void) {
    static const char key[] = "k\0\r\ney", value[] = "\0v\xff\r\n$-1\r\n";
    check_text(call("SET %b %b", key, sizeof key - 1, value, sizeof value - 1), REDIS_REPLY_STATUS, "OK");
    redisReply *reply = call("GET %b", key, sizeof key - 1);
    struct bytes expected = {value, sizeof value - 1};
    CHECK_INT(reply->type, REDIS_REPLY_STRING);
    CHECK_BYTES(reply_bytes(reply), expected);
    freeReplyObject(reply);
    check_text(call("GET k"), REDIS_REPLY_STRING, "value"); /* the key up to its NUL is another one */
    check_text(call("SET %b %b", "", (size_t)0, "", (size_t)0), REDIS_REPLY_STATUS, "OK");
    check_text(call("GET %b", "", (size_t)0), REDIS_REPLY_STRING, "");
}

static void pipelined_replies_come_in_order(void) {
    for (int i = 0; i < PIPELINE; i++) {
        CHECK_INT(redisAppendCommand(c, "SET key:%d %d", i, i), REDIS_OK);
        CHECK_INT(redisAppendCommand(c, "GET key:%d", i), REDIS_OK);
        CHECK_INT(redisAppendCommand(c, "INCR counter"), REDIS_OK);
    }
    for (int i = 0; i < PIPELINE; i++) {
        char expected[32];
        snprintf(expected, sizeof expected, "%d", i);
        check_text(next_reply(), REDIS_REPLY_STATUS, "OK");
        check_text(next_reply(), REDIS_REPLY_STRING, expected);
        check_integer(next_reply(), i + 1);
    }
}

/* Large values in front of, between and behind small ones, several in one pipeline, and one that
 * its reader overwrites. */
static void large_values_come_back_whole(void) {
    char *value = malloc(LARGE);
    CHECK(value);
    unsigned long long seed = check_seed();
    for (size_t i = 0; i < LARGE; i++) value[i] = (char)(check_random(&seed) >> 32);
    check_text(call("SET large %b", value, (size_t)LARGE), REDIS_REPLY_STATUS, "OK");
    check_integer(call("STRLEN large"), LARGE);
    for (int i = 0; i < 3; i++) {
        redisAppendCommand(c, "GET large");
        redisAppendCommand(c, "PING");
    }
    redisAppendCommand(c, "SET large small");
    redisAppendCommand(c, "GET large");
    for (int i = 0; i < 3; i++) {
        redisReply *reply = next_reply();
        CHECK_INT(reply->len, LARGE);
        CHECK(memcmp(reply->str, value, LARGE) == 0);
        freeReplyObject(reply);
        check_text(next_reply(), REDIS_REPLY_STATUS, "PONG");
    }
    check_text(next_reply(), REDIS_REPLY_STATUS, "OK");
    check_text(next_reply(), REDIS_REPLY_STRING, "small");
    free(value);
}

static void a_transaction_is_an_array(void) {
    check_text(call("MULTI"), REDIS_REPLY_STATUS, "OK");
    check_text(call("SET a 1"), REDIS_REPLY_STATUS, "QUEUED");
    check_text(call("INCR a"), REDIS_REPLY_STATUS, "QUEUED");
    check_text(call("GET nothing"), REDIS_REPLY_STATUS, "QUEUED");
    redisReply *reply = call("EXEC");
    CHECK_INT(reply->type, REDIS_REPLY_ARRAY);
    CHECK_INT(reply->elements, 3);
    CHECK_INT(reply->element[0]->type, REDIS_REPLY_STATUS);
    CHECK_INT(reply->element[1]->integer, 2);
    CHECK_INT(reply->element[2]->type, REDIS_REPLY_NIL);
    freeReplyObject(reply);

    redisContext *first = c;
    check_text(call("WATCH a"), REDIS_REPLY_STATUS, "OK");
    c = connected();
    check_text(call("SET a other"), REDIS_REPLY_STATUS, "OK");
    redisFree(c);
    c = first;
    check_text(call("MULTI"), REDIS_REPLY_STATUS, "OK");
    check_text(call("SET a mine"), REDIS_REPLY_STATUS, "QUEUED");
    check_null(call("EXEC"));
    check_text(call("GET a"), REDIS_REPLY_STRING, "other");
}

/* hiredis before 1.0 (Debian 12 has 0.14) knows RESP2 only. */
#ifdef REDIS_REPLY_MAP
static void resp3_has_types_of_its_own(void) {
    redisReply *reply = call("HELLO 3");
    CHECK_INT(reply->type, REDIS_REPLY_MAP);
    bool has_proto = false;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        if (strcmp(reply->element[i]->str, "proto") != 0) continue;
        CHECK_INT(reply->element[i + 1]->integer, 3);
        has_proto = true;
    }
    CHECK(has_proto);
    freeReplyObject(reply);
    check_null(call("GET absent"));
    reply = call("CONFIG GET maxclients");
    CHECK_INT(reply->type, REDIS_REPLY_MAP);
    CHECK_INT(reply->elements, 2);
    freeReplyObject(reply);
    reply = call("COMMAND INFO get");
    CHECK_INT(reply->element[0]->element[2]->type, REDIS_REPLY_SET);
    freeReplyObject(reply);
    reply = call("HELLO 2");
    CHECK_INT(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
}

#endif

static void a_broken_request_ends_its_connection_only(void) {
    redisContext *first = c;
    c = connected();
    CHECK_INT(redisAppendFormattedCommand(c, "*1\r\n$x\r\n", 8), REDIS_OK);
    check_text(next_reply(), REDIS_REPLY_ERROR, "ERR Protocol error: invalid bulk length");
    void *none = NULL;
    CHECK_INT(redisGetReply(c, &none), REDIS_ERR);
    CHECK_INT(c->err, REDIS_ERR_EOF);
    redisFree(c);
    c = first;
    check_text(call("PING"), REDIS_REPLY_STATUS, "PONG");
}

static void a_wrong_expectation_is_noticed(void) {
    check_text(call("PING"), REDIS_REPLY_STATUS, "PANG");
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: hiredis_test tcp PORT | unix PATH [--canary]\n");
        return 2;
    }
    transport = argv[1], address = argv[2];
    c = connected();
    freeReplyObject(call("FLUSHALL"));
    RUN(every_reply_type_is_understood);
    RUN(keys_and_values_are_binary);
    RUN(pipelined_replies_come_in_order);
    RUN(large_values_come_back_whole);
    RUN(a_transaction_is_an_array);
#ifdef REDIS_REPLY_MAP
    RUN(resp3_has_types_of_its_own);
#endif
    RUN(a_broken_request_ends_its_connection_only);
    if (argc > 3) RUN(a_wrong_expectation_is_noticed);
    redisFree(c);
    return 0;
}
