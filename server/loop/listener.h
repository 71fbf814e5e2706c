/* listener.h - the sockets that accept: TCP over IPv4 and IPv6, a Unix socket, or those that the process was given. */
#ifndef KEVY_SERVER_LOOP_LISTENER_H
#define KEVY_SERVER_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/limits.h"
#include "uring/io.h"

/* What a socket that listens is called, beside its number: no connection is called so (slots.h). */
#define LISTENER_NAME (UINT64_C(1) << 31)
_Static_assert(LISTENERS_MAX < LISTENER_NAME, "the number lies below");

struct listener {
    int fd;
    struct io_socket socket;
    bool unix_socket;
    /* accept.c's: */
    bool armed;               /* an accept is under way */
    bool ended;               /* it cannot accept any more */
    uint64_t paused_until_us; /* monotonic: out of descriptors until then */
};

/* Whose socket it is. */
static inline struct listener *listener_of_socket(struct io_socket *socket) {
    return (struct listener *)(void *)((char *)socket - offsetof(struct listener, socket));
}

extern struct listener listeners[LISTENERS_MAX];
extern unsigned listener_count;

/* Takes over sockets that listen already. False after writing to `error` which of them cannot accept connections, or that
 * they are too many; all are closed then. */
bool listeners_adopt(const int *fds, unsigned count, char *error, size_t size)
    __attribute__((warn_unused_result));
/* Opens what the configuration names. False after writing to `error` what could not be opened and why; nothing
 * is left open then. */
bool listeners_open(char *error, size_t size) __attribute__((warn_unused_result));
/* The process ends: who connects from now on is refused, and not let in to be put out again. Those that were adopted others
 * have too: they stay as they are. Any thread. */
void listeners_refuse(void);
bool listeners_refusing(void);
/* Closes them and removes the Unix socket's file. */
void listeners_close(void);
/* Removes the Unix socket's file, if it was made here, for a process that ends at once. Any thread. */
void listeners_remove_file(void);

/* The port of the first TCP listener, for INFO; 0 if there is none. */
int listener_port(void);

#endif
