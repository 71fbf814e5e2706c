/* shards_fixture.h - what tests share that need whole shards: real threads and rings, and clients over sockets. */
#ifndef KEVY_TESTS_SHARDS_FIXTURE_H
#define KEVY_TESTS_SHARDS_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "server/journal/journal.h"
#include "server/loop/reactor.h"
#include "tests/unit/server_fixture.h"
#include "tests/unit/uring_fixture.h"

enum { DEADLINE_S = 250 };

static pthread_barrier_t opened, begun, ended;

static inline void *shard_main(void *argument) {
    struct shard *shard = argument;
    must(shard_open(shard, &fixture_place), "shard_open");
    pthread_barrier_wait(&opened);
    pthread_barrier_wait(&begun);
    reactor_run(shard);
    pthread_barrier_wait(&ended);
    shard_close(shard);
    return NULL;
}

/* So many shards that turn, with these options. What they find is prepared before. */
static inline void begin_prepared(unsigned count, const char *options, void (*prepare)(void)) {
    signal(SIGPIPE, SIG_IGN); /* as the server does: a client may be gone when it is answered */
    fixture_open(count);
    options_set("save \"\"\nshards-in-use all\n");
    options_set(options);
    if (prepare) prepare();
    CHECK(pthread_barrier_init(&opened, NULL, 2) == 0);
    CHECK(pthread_barrier_init(&begun, NULL, count + 1) == 0 &&
          pthread_barrier_init(&ended, NULL, count + 1) == 0);
    for (unsigned i = 0; i < count; i++) { /* one after the other, as the server does */
        CHECK_INT(pthread_create(&shards[i].thread, NULL, shard_main, &shards[i]), 0);
        pthread_barrier_wait(&opened);
    }
    pthread_barrier_wait(&begun);
}

static inline void begin(unsigned count, const char *options) {
    begin_prepared(count, options, NULL);
}

/* With a journal that holds what they say until the test, in the place of who writes it, publishes what it has. */
static inline void listen_and_hold(void) {
    options_set("appendfsync always\n");
    journal_listen();
    journal_hold(true);
}
static inline void begin_held(unsigned count, const char *options) {
    CHECK(journal_open(count));
    begin_prepared(count, options, listen_and_hold);
}

/* Tells them to stop, and waits until they have. */
static inline void end(void) {
    while (!deliver_stop()) sched_yield();
    pthread_barrier_wait(&ended);
    for (unsigned i = 0; i < shard_count; i++) CHECK_INT(pthread_join(shards[i].thread, NULL), 0);
    for (unsigned i = 0; i < shard_count; i++) CHECK_INT(shards[i].connections, 0);
    pthread_barrier_destroy(&opened);
    pthread_barrier_destroy(&begun);
    pthread_barrier_destroy(&ended);
    free(shards);
    shards = NULL;
    shard_count = 0;
    stripes_close();
}

static inline void end_held(void) {
    end();
    journal_hold(false);
    journal_close();
}

/* The client's end of a connection that is handed over to a shard, as the listener does it. The shard's end has
 * a number of its own, not used before or again, and comes from a bare system call: ThreadSanitizer follows
 * descriptors by their numbers, and sees no order in what the kernel hands from one thread to another. */
static inline int client_of(unsigned index) {
    static int number = 400;
    int pair[2];
    open_pair(pair);
    CHECK_INT(syscall(SYS_dup3, pair[1], ++number, O_CLOEXEC), number);
    close(pair[1]);
    __atomic_fetch_add(&shards[index].connections, 1, __ATOMIC_RELAXED);
    struct wakes wakes = {0};
    CHECK(post_adopt(&wakes, index, number, true) && wakes.any);
    if (post_claim_wake(&mailboxes[index])) CHECK_INT(io_wake_fd(mailboxes[index].wake_fd), 0);
    return pair[0];
}

static inline void say(int fd, struct bytes text) {
    while (text.len) {
        ssize_t n = send(fd, text.data, text.len, MSG_NOSIGNAL);
        CHECK(n > 0);
        text.data += n, text.len -= (size_t)n;
    }
}

static inline bool readable(int fd) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, DEADLINE_S * 1000) == 1;
}

/* Reads exactly so many bytes. */
static inline void hear(int fd, char *text, size_t len) {
    for (size_t have = 0; have < len;) {
        CHECK(readable(fd));
        ssize_t n = read(fd, text + have, len - have);
        CHECK(n > 0);
        have += (size_t)n;
    }
}

static inline void expect(int fd, struct bytes expected) {
    char *text = malloc(expected.len + 1);
    CHECK(text);
    hear(fd, text, expected.len);
    CHECK_BYTES(((struct bytes){text, expected.len}), expected);
    free(text);
}

/* Nothing but the end comes; closes our side too. */
static inline void expect_end(int fd) {
    char byte;
    CHECK(readable(fd));
    ssize_t n = read(fd, &byte, 1);
    CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
    close(fd);
}

#define ASK(fd, line, reply) (say(fd, BYTES(line)), expect(fd, BYTES(reply)))

#endif
