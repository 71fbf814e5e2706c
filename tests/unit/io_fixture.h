/* io_fixture.h - what the tests of both kinds of io share: one io, and sockets of it whose other end the test holds. Who
 * watches the calls that the io makes says by which name the test itself sends (IO_FIXTURE_SEND). */
#ifndef KEVY_TESTS_IO_FIXTURE_H
#define KEVY_TESTS_IO_FIXTURE_H

#include "tests/unit/uring_fixture.h"
#include "uring/io.h"

#ifndef IO_FIXTURE_SEND
#define IO_FIXTURE_SEND send
#endif

enum { SOCKETS = 8 };

static struct io io;
static struct io_socket sockets[SOCKETS];
static bool gone[SOCKETS]; /* find no longer knows them */
static int peers[SOCKETS];

static inline struct io_socket *find(void *context, uint64_t data) {
    CHECK(context == sockets && data < SOCKETS);
    return gone[data] ? NULL : &sockets[data];
}

static inline struct io_socket *attach(unsigned i) {
    int pair[2];
    open_pair(pair);
    peers[i] = pair[1];
    io_attach(&io, &sockets[i], pair[0], i, i);
    return &sockets[i];
}

static inline void say(unsigned i, const char *text) {
    CHECK_INT(IO_FIXTURE_SEND(peers[i], text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The event is of these bytes, whose buffer goes back. */
static inline void check_received(const struct io_event *event, uint64_t data, const char *text) {
    CHECK(event->operation == IO_RECEIVE && event->data == data && !event->eof);
    CHECK_INT(event->result, strlen(text));
    CHECK(memcmp(io_buffer(&io, event->buffer), text, strlen(text)) == 0);
    io_release(&io, event->buffer);
}

#endif
