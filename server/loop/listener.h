/* listener.h - the sockets that accept: TCP over IPv4 and IPv6, a Unix socket, and those that systemd passed.
 *
 * The first shard accepts for all (multishot) and hands each connection to the shard with the fewest, by
 * MSG_RING. */
#ifndef KEVY_SERVER_LOOP_LISTENER_H
#define KEVY_SERVER_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shard;

enum { LISTENERS_MAX = 32 };

/* Opens what the configuration names, or takes over the sockets that systemd passed. False after writing to
 * `error` what could not be opened and why; nothing is left open then. */
bool listeners_open(char *error, size_t size) __attribute__((warn_unused_result));
/* Closes them and removes the Unix socket's file. */
void listeners_close(void);

/* On the first shard: starts accepting; tried again every turn for those that could not be armed. */
void listeners_arm(struct shard *shard);
void listener_accepted(struct shard *shard, unsigned index, int res, unsigned cqe_flags);
/* The pause after running out of descriptors is over. */
void listener_pause_over(struct shard *shard, unsigned index);
/* On the target: a connection that the first shard handed over. */
void listener_adopt(struct shard *shard, int fd, bool unix_socket);

/* The port of the first TCP listener, for INFO; 0 if there is none. */
int listener_port(void);

#endif
