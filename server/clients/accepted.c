/* accepted.c - a bit for each descriptor. */
#include "server/clients/accepted.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/assert.h"

enum { DESCRIPTORS_MAX = 1 << 20 }; /* those beyond are not looked for in the set */

static _Atomic uint64_t taken[DESCRIPTORS_MAX / 64]; /* touched only as far as descriptors go */

static int option(int fd, int name) {
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) < 0 ? -1 : value;
}

/* What the peer is does not count: it may have gone already. */
static bool is_connection(int fd, bool unix_socket) {
    int domain = option(fd, SO_DOMAIN);
    bool right_domain = unix_socket ? domain == AF_UNIX : domain == AF_INET || domain == AF_INET6;
    return right_domain && option(fd, SO_TYPE) == SOCK_STREAM && option(fd, SO_ACCEPTCONN) == 0;
}

bool accepted_take(int fd, bool unix_socket) {
    assert(fd >= 0);
    if (!is_connection(fd, unix_socket)) return false;
    if (fd >= DESCRIPTORS_MAX) return true;
    uint64_t bit = UINT64_C(1) << fd % 64;
    return !(atomic_fetch_or(&taken[fd / 64], bit) & bit);
}

/* The bit goes first: from the close on the number may be another connection's. */
void accepted_close(int fd) {
    assert(fd >= 0);
    if (fd < DESCRIPTORS_MAX) atomic_fetch_and(&taken[fd / 64], ~(UINT64_C(1) << fd % 64));
    close(fd);
}
