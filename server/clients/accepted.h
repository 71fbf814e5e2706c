/* accepted.h - the descriptors of connections that were accepted, one set for all shards.
 *
 * Some kernels (Linux 6.6 to 6.8, with deferred work) named a wrong descriptor when they accepted. Whoever believes that
 * serves a connection twice, or closes a file that is somebody else's. Any thread. */
#ifndef KEVY_SERVER_CLIENTS_ACCEPTED_H
#define KEVY_SERVER_CLIENTS_ACCEPTED_H

#include <stdbool.h>

/* Is this a connection over TCP, or a Unix socket, that is not in the set yet? Then it is now, and is closed
 * by accepted_close alone. */
bool accepted_take(int fd, bool unix_socket) __attribute__((warn_unused_result));
void accepted_close(int fd);

#endif
