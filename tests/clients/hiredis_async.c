/* hiredis_async.c - hiredis without waiting, over a loop of poll() that stands here: scenarios against a running server.
 *
 * run.py says by the environment where it is: KEVY_PORT. tests/hiredis has the scenarios of the client that waits. */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/check.h"

enum { LINKS = 2, PIPELINE = 10000, MESSAGES = 1000, LARGE = 8 * 1024 * 1024, TIMEOUT_S = 30 };

/* ---- The loop ---- */

struct link {
    redisAsyncContext *context; /* NULL: not connected, or no more */
    short events;               /* what hiredis wants to be told of */
    bool connected, refused;
};
static struct link links[LINKS];

static void want(void *data, short event, bool wanted) {
    struct link *link = data;
    link->events = (short)(wanted ? link->events | event : link->events & ~event);
}
static void add_read(void *data) {
    want(data, POLLIN, true);
}
static void remove_read(void *data) {
    want(data, POLLIN, false);
}
static void add_write(void *data) {
    want(data, POLLOUT, true);
}
static void remove_write(void *data) {
    want(data, POLLOUT, false);
}
static void clean_up(void *data) {
    ((struct link *)data)->events = 0;
}

static void on_connect(const redisAsyncContext *context, int status) {
    struct link *link = context->data;
    link->connected = status == REDIS_OK;
    link->refused = status != REDIS_OK;
    if (link->refused) link->context = NULL;
}

static void on_disconnect(const redisAsyncContext *context, int status) {
    (void)status;
    struct link *link = context->data;
    link->connected = false;
    link->context = NULL;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void turn(void) {
    struct pollfd polled[LINKS];
    struct link *whose[LINKS];
    nfds_t count = 0;
    for (int i = 0; i < LINKS; i++) {
        if (!links[i].context) continue;
        polled[count] = (struct pollfd){.fd = links[i].context->c.fd, .events = links[i].events};
        whose[count++] = &links[i];
    }
    CHECK(poll(polled, count, 100) >= 0);
    for (nfds_t i = 0; i < count; i++) {
        /* An end of the connection is met by reading. */
        bool ended = polled[i].revents & (POLLERR | POLLHUP);
        if (whose[i]->context && (polled[i].revents & POLLIN || ended))
            redisAsyncHandleRead(whose[i]->context);
        if (whose[i]->context && polled[i].revents & POLLOUT) redisAsyncHandleWrite(whose[i]->context);
    }
}

static double deadline_s(void) {
    const char *scale = getenv("KEVY_TIME_SCALE");
    return now_s() + TIMEOUT_S * (scale ? strtod(scale, NULL) : 1);
}

/* Turns until the number is reached; the text says what it counts. */
static void turn_until(const char *what, const long *number, long wanted) {
    for (double end = deadline_s(); *number < wanted;) {
        turn();
        if (now_s() > end) fprintf(stderr, "waited for %s: %ld of %ld\n", what, *number, wanted);
        CHECK(now_s() <= end);
    }
}

static void turn_until_ended(const struct link *link) {
    for (double end = deadline_s(); link->context;) {
        turn();
        if (now_s() > end) fprintf(stderr, "waited for a connection to end\n");
        CHECK(now_s() <= end);
    }
}

static struct link *connected(int place) {
    const char *port = getenv("KEVY_PORT");
    CHECK(port);
    redisAsyncContext *context = redisAsyncConnect("127.0.0.1", (int)strtol(port, NULL, 10));
    CHECK(context);
    CHECK_INT(context->err, 0);
    struct link *link = &links[place];
    *link = (struct link){.context = context};
    context->data = context->ev.data = link;
    context->ev.addRead = add_read;
    context->ev.delRead = remove_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = remove_write;
    context->ev.cleanup = clean_up;
    CHECK_INT(redisAsyncSetConnectCallback(context, on_connect), REDIS_OK);
    CHECK_INT(redisAsyncSetDisconnectCallback(context, on_disconnect), REDIS_OK);
    return link;
}

/* ---- The scenarios ---- */

static long replies;

static void on_number(redisAsyncContext *context, void *reply, void *data) {
    (void)context, (void)data;
    const redisReply *number = reply;
    CHECK(number);
    CHECK_INT(number->type, REDIS_REPLY_INTEGER);
    CHECK_INT(number->integer, ++replies);
}

static void replies_come_in_order(void) {
    replies = 0;
    CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "DEL count"), REDIS_OK);
    for (int i = 0; i < PIPELINE; i++)
        CHECK_INT(redisAsyncCommand(links[0].context, on_number, NULL, "INCR count"), REDIS_OK);
    turn_until("the replies", &replies, PIPELINE);
}

static long heard, subscribed;

static void on_message(redisAsyncContext *context, void *reply, void *data) {
    (void)data;
    const redisReply *message = reply;
    if (!message) return; /* the connection ends */
    CHECK_INT(message->type, REDIS_REPLY_ARRAY);
    const char *kind = message->element[0]->str;
    if (strcmp(kind, "subscribe") == 0) {
        subscribed++;
    } else if (strcmp(kind, "unsubscribe") == 0) {
        subscribed--;
        redisAsyncDisconnect(context);
    } else {
        CHECK_INT(message->elements, 3);
        CHECK_INT(strtol(message->element[2]->str, NULL, 10), heard);
        heard++;
    }
}

static void messages_come_in_order(void) {
    heard = subscribed = 0;
    struct link *subscriber = connected(1);
    CHECK_INT(redisAsyncCommand(subscriber->context, on_message, NULL, "SUBSCRIBE news"), REDIS_OK);
    turn_until("the subscription", &subscribed, 1);
    for (int i = 0; i < MESSAGES; i++)
        CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "PUBLISH news %d", i), REDIS_OK);
    turn_until("the messages", &heard, MESSAGES);
    CHECK_INT(redisAsyncCommand(subscriber->context, on_message, NULL, "UNSUBSCRIBE news"), REDIS_OK);
    turn_until_ended(subscriber);
    CHECK_INT(subscribed, 0);
}

static long popped;

static void on_pop(redisAsyncContext *context, void *reply, void *data) {
    (void)context;
    const redisReply *pair = reply;
    CHECK(pair);
    CHECK_INT(pair->type, REDIS_REPLY_ARRAY);
    CHECK_INT(pair->elements, 2);
    CHECK(strcmp(pair->element[1]->str, data) == 0);
    popped++;
}

static void who_waits_is_served_in_order(void) {
    popped = 0;
    char first[] = "first", second[] = "second";
    connected(1);
    CHECK_INT(redisAsyncCommand(links[1].context, on_pop, first, "BLPOP queue 0"), REDIS_OK);
    CHECK_INT(redisAsyncCommand(links[1].context, on_pop, second, "BLPOP queue 0"), REDIS_OK);
    CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "RPUSH queue first second"), REDIS_OK);
    turn_until("the elements", &popped, 2);
    redisAsyncDisconnect(links[1].context);
    turn_until_ended(&links[1]);
}

static long whole;
static char *large;

static void on_large(redisAsyncContext *context, void *reply, void *data) {
    (void)context, (void)data;
    const redisReply *value = reply;
    CHECK(value);
    CHECK_INT(value->type, REDIS_REPLY_STRING);
    CHECK_INT(value->len, LARGE);
    CHECK(memcmp(value->str, large, LARGE) == 0);
    whole++;
}

static void large_values_come_back_whole(void) {
    whole = 0;
    large = malloc(LARGE);
    CHECK(large);
    for (int i = 0; i < LARGE; i++) large[i] = (char)((unsigned)i * 2654435761u >> 13);
    CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "SET large %b", large, (size_t)LARGE),
              REDIS_OK);
    for (int i = 0; i < 4; i++)
        CHECK_INT(redisAsyncCommand(links[0].context, on_large, NULL, "GET large"), REDIS_OK);
    turn_until("the large values", &whole, 4);
    CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "DEL large"), REDIS_OK);
    free(large);
}

static long aborted, identity, executed;

static void on_identity(redisAsyncContext *context, void *reply, void *data) {
    (void)context, (void)data;
    identity = (long)((const redisReply *)reply)->integer;
}

static void on_exec(redisAsyncContext *context, void *reply, void *data) {
    (void)context, (void)data;
    const redisReply *outcome = reply;
    CHECK(outcome);
    aborted += outcome->type == REDIS_REPLY_NIL;
    executed += outcome->type == REDIS_REPLY_ARRAY;
}

static void on_ok(redisAsyncContext *context, void *reply, void *data) {
    (void)context;
    CHECK(reply);
    ++*(long *)data;
}

static void a_conflict_is_felt(void) {
    aborted = executed = 0;
    long watching = 0, changed = 0;
    connected(1);
    CHECK_INT(redisAsyncCommand(links[1].context, on_ok, &watching, "WATCH watched"), REDIS_OK);
    turn_until("WATCH", &watching, 1);
    CHECK_INT(redisAsyncCommand(links[0].context, on_ok, &changed, "INCR watched"), REDIS_OK);
    turn_until("INCR", &changed, 1);
    for (int i = 0; i < 2; i++) {
        redisAsyncCommand(links[1].context, NULL, NULL, "MULTI");
        redisAsyncCommand(links[1].context, NULL, NULL, "INCR watched");
        CHECK_INT(redisAsyncCommand(links[1].context, on_exec, NULL, "EXEC"), REDIS_OK);
    }
    turn_until("the second EXEC", &executed, 1);
    CHECK_INT(aborted, 1);
}

static void an_ended_connection_is_noticed_and_made_again(void) {
    identity = 0;
    CHECK_INT(redisAsyncCommand(links[1].context, on_identity, NULL, "CLIENT ID"), REDIS_OK);
    turn_until("the client's number", &identity, 1);
    CHECK_INT(redisAsyncCommand(links[0].context, NULL, NULL, "CLIENT KILL ID %ld", identity), REDIS_OK);
    turn_until_ended(&links[1]);
    connected(1);
    replies = 0;
    CHECK_INT(redisAsyncCommand(links[1].context, NULL, NULL, "DEL count"), REDIS_OK);
    CHECK_INT(redisAsyncCommand(links[1].context, on_number, NULL, "INCR count"), REDIS_OK);
    turn_until("the reply", &replies, 1);
    redisAsyncDisconnect(links[1].context);
    turn_until_ended(&links[1]);
}

int main(void) {
    connected(0);
    replies_come_in_order();
    messages_come_in_order();
    who_waits_is_served_in_order();
    large_values_come_back_whole();
    a_conflict_is_felt();
    an_ended_connection_is_noticed_and_made_again();
    redisAsyncDisconnect(links[0].context);
    turn_until_ended(&links[0]);
    puts("passed: all scenarios of hiredis without waiting");
    return 0;
}
