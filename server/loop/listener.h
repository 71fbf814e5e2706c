/* listener.h - the sockets that accept: TCP over IPv4 and IPv6, a Unix socket, and those that systemd passed. */
#ifndef KEVY_SERVER_LOOP_LISTENER_H
#define KEVY_SERVER_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LISTENERS_MAX = 32 };

struct listener {
    int fd;
    bool unix_socket;
    bool armed;   /* accept.c's: an accept is under way */
    bool pausing; /* accept.c's: out of descriptors, a timer is running */
};

extern struct listener listeners[LISTENERS_MAX];
extern unsigned listener_count;

/* Opens what the configuration names, or takes over the sockets that systemd passed. False after writing to
 * `error` what could not be opened and why; nothing is left open then. */
bool listeners_open(char *error, size_t size) __attribute__((warn_unused_result));
/* Closes them and removes the Unix socket's file. */
void listeners_close(void);

/* The port of the first TCP listener, for INFO; 0 if there is none. */
int listener_port(void);

#endif
