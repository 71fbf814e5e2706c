/* Which descriptors are believed to be new connections. */
#include "server/clients/accepted.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/check.h"

static bool is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}

static void a_connection_is_taken_once_until_it_is_closed(void) {
    int pair[2];
    for (int round = 0; round < 3; round++) { /* under the same numbers */
        CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        CHECK(accepted_take(pair[0], true) && !accepted_take(pair[0], true));
        CHECK(accepted_take(pair[1], true)); /* its neighbour is another one */
        accepted_close(pair[0]);
        CHECK(!is_open(pair[0]) && is_open(pair[1]) && !accepted_take(pair[1], true));
        accepted_close(pair[1]);
    }
}

static void a_connection_whose_peer_has_gone_is_one(void) {
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[1]);
    CHECK(accepted_take(pair[0], true));
    accepted_close(pair[0]);
}

/* And none of them is closed. */
static void what_is_no_connection_of_that_kind_is_not_taken(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fds[] = {open("/dev/null", O_RDONLY | O_CLOEXEC), socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                 socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                 socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    CHECK(bind(fds[2], (struct sockaddr *)&address, sizeof address) == 0 && listen(fds[2], 1) == 0);
    for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
        CHECK(fds[i] >= 0 && !accepted_take(fds[i], false) && !accepted_take(fds[i], true));
        CHECK(is_open(fds[i]));
        close(fds[i]);
        CHECK(!accepted_take(fds[i], false)); /* nor is what is not there */
    }
    int pair[2];
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    CHECK(!accepted_take(pair[0], false)); /* the listener was one for TCP */
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    RUN(a_connection_is_taken_once_until_it_is_closed);
    RUN(a_connection_whose_peer_has_gone_is_one);
    RUN(what_is_no_connection_of_that_kind_is_not_taken);
    return 0;
}
