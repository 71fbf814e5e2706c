/* Replies are measured and walked: every prefix asks for more, and what is malformed or too deep is refused. */
#include "protocol/response.h"

#include "protocol/buffer.h"
#include "tests/check.h"

enum { MAX_BULK = 1000 };

/* Each of these is one reply; a prefix of it is not. */
static const struct bytes replies[] = {
    BYTES_INIT("+OK\r\n"),
    BYTES_INIT("-ERR no\r\n"),
    BYTES_INIT(":-12\r\n"),
    BYTES_INIT("$5\r\na\r\nbc\r\n"),
    BYTES_INIT("$0\r\n\r\n"),
    BYTES_INIT("$-1\r\n"),
    BYTES_INIT("*-1\r\n"),
    BYTES_INIT("*0\r\n"),
    BYTES_INIT("_\r\n"),
    BYTES_INIT("#t\r\n"),
    BYTES_INIT(",1.5\r\n"),
    BYTES_INIT("(123456789012345678901234567890\r\n"),
    BYTES_INIT("=7\r\ntxt:abc\r\n"),
    BYTES_INIT("!5\r\nERR x\r\n"),
    BYTES_INIT("*2\r\n$1\r\na\r\n:1\r\n"),
    BYTES_INIT("%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n_\r\n#f\r\n"),
    BYTES_INIT("~1\r\n*0\r\n"),
    BYTES_INIT(">2\r\n+message\r\n*1\r\n*1\r\n:1\r\n"),
    BYTES_INIT("|1\r\n+ttl\r\n:3\r\n$1\r\nx\r\n"),
    BYTES_INIT("*2\r\n|1\r\n+a\r\n:1\r\n:2\r\n:3\r\n"),
};
enum { REPLIES = sizeof replies / sizeof *replies };

static void every_prefix_asks_for_more(void) {
    for (size_t i = 0; i < REPLIES; i++) {
        for (size_t len = 0; len <= replies[i].len; len++) {
            char *data = malloc(len + 1);
            memcpy(data + 1, replies[i].data, len);
            size_t used = 99;
            enum response_status status = response_size(data + 1, len, MAX_BULK, &used);
            CHECK_INT(status, len < replies[i].len ? RESPONSE_MORE : RESPONSE_READY);
            CHECK_INT(used, status == RESPONSE_READY ? len : 99);
            free(data);
        }
    }
}

static void the_next_reply_is_left_alone(void) {
    struct buffer stream = {0};
    for (size_t i = 0; i < REPLIES; i++) CHECK(buffer_append(&stream, replies[i], SIZE_MAX));
    size_t at = 0;
    for (size_t i = 0; i < REPLIES; i++) {
        size_t used;
        CHECK_INT(response_size(stream.data + at, stream.len - at, MAX_BULK, &used), RESPONSE_READY);
        CHECK_INT(used, replies[i].len);
        at += used;
    }
    CHECK_INT(at, stream.len);
    buffer_free(&stream);
}

static void malformed_replies_are_refused(void) {
    const struct bytes bad[] = {
        BYTES("x\r\n"),
        BYTES("\r\n"),
        BYTES(":x\r\n"),
        BYTES(":\r\n"),
        BYTES("+OK\rx"),
        BYTES("$-2\r\n"),
        BYTES("$x\r\n"),
        BYTES("$1001\r\n"),
        BYTES("*-2\r\n"),
        BYTES("%-1\r\n"),
        BYTES("_x\r\n"),
        BYTES("#x\r\n"),
        BYTES("#tt\r\n"),
        BYTES("$1\r\naxx"),
        BYTES("*1\r\n?"),
        BYTES("%9223372036854775807\r\n"),
        BYTES("$9223372036854775807\r\n"),
        BYTES("\0"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t used;
        if (response_size(bad[i].data, bad[i].len, MAX_BULK, &used) == RESPONSE_BAD) continue;
        fprintf(stderr, "row %zu\n", i);
        CHECK(false);
    }
}

static void nesting_is_bounded(void) {
    char data[4 * (RESPONSE_MAX_DEPTH + 1) + 4];
    size_t used, len = 0;
    for (int depth = 0; depth < RESPONSE_MAX_DEPTH; depth++, len += 4) memcpy(data + len, "*1\r\n", 4);
    memcpy(data + len, ":1\r\n", 4);
    CHECK_INT(response_size(data, len + 4, MAX_BULK, &used), RESPONSE_READY);
    memcpy(data + len, "*1\r\n:1\r\n", 8);
    CHECK_INT(response_size(data, len + 8, MAX_BULK, &used), RESPONSE_BAD);
}

static void describe(void *context, const struct response_item *item) {
    char text[128];
    int len = snprintf(text, sizeof text, "%u%c%s%lld[%.*s] ", item->depth, item->type,
                       item->null ? "null" : "", (long long)item->number, (int)item->text.len,
                       item->text.data);
    CHECK(len > 0 && buffer_append(context, (struct bytes){text, (size_t)len}, SIZE_MAX));
}

static void check_walk(struct bytes reply, const char *expected) {
    struct buffer seen = {0};
    response_walk(reply.data, reply.len, describe, &seen);
    CHECK_BYTES(buffer_bytes(&seen), bytes_of(expected));
    buffer_free(&seen);
}

static void elements_are_met_in_order_with_their_depth(void) {
    check_walk(BYTES("*3\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n+z\r\n"),
               "0*3[3] 1$0[a] 1*2[2] 2:1[1] 2$null0[] 1+0[z] ");
    check_walk(BYTES("%1\r\n#t\r\n%0\r\n"), "0%2[1] 1#1[t] 1%0[0] ");
    check_walk(BYTES("*-1\r\n"), "0*null0[] ");
    check_walk(BYTES("=5\r\ntxt:a\r\n"), "0=0[txt:a] ");
    check_walk(BYTES("|1\r\n+a\r\n:1\r\n:2\r\n"), "0|2[1] 1+0[a] 1:1[1] 0:2[2] ");
    check_walk(BYTES("*1\r\n*0\r\n"), "0*1[1] 1*0[0] ");
}

int main(void) {
    RUN(every_prefix_asks_for_more);
    RUN(the_next_reply_is_left_alone);
    RUN(malformed_replies_are_refused);
    RUN(nesting_is_bounded);
    RUN(elements_are_met_in_order_with_their_depth);
    return 0;
}
