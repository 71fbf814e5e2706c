/* accept.c - connections are accepted, refused or given to a shard. */
#include "server/loop/accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "protocol/assert.h"
#include "server/clients/accepted.h"
#include "server/config/config.h"
#include "server/log.h"
#include "server/loop/input.h"
#include "server/loop/listener.h"
#include "server/loop/shard.h"

/* How long accepting rests after EMFILE, ENFILE, ENOBUFS, ENOMEM and errors that nobody thought of: nothing tells when
 * descriptors are free again, and asking without a rest would take all of a CPU. */
enum { ACCEPT_PAUSE_US = 100 * 1000 };

/* ---- Refusing ------------------------------------------------------------------------------------- */

static void refuse(struct shard *shard, int fd, struct bytes text) {
    metric_add(&shard->exec.metrics.connections_rejected, 1);
    (void)!send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    accepted_close(fd);
}

/* Is the peer this machine itself? */
static bool from_loopback(int fd) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0) return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    return peer.ss_family != AF_INET6 || IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == IN_LOOPBACKNET);
}

/* protected-mode: without a password only this machine's own clients are served. */
static bool protected_from(int fd) {
    return config.protected_mode && !config_has_password() && !from_loopback(fd);
}

/* Redis's words, byte for byte: each remedy that they name is one here too. */
static const struct bytes protected_text = BYTES_INIT(
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for "
    "the default user. In this mode connections are only accepted from the loopback interface. If you want "
    "to connect from external computers to Redis you may adopt one of the following solutions: 1) Just "
    "disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface "
    "by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not "
    "publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) "
    "Alternatively you can just disable the protected mode by editing the Redis configuration file, and "
    "setting the protected mode option to 'no', and then restarting the server. 3) If you started the server "
    "manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an "
    "authentication password for the default user. NOTE: You only need to do one of the above things in "
    "order for the server to start accepting connections from the outside.\r\n");

/* ---- Accepting ------------------------------------------------------------------------------------ */

void accept_arm(struct shard *shard) {
    assert(shard->index == 0 && listener_count <= LISTENERS_MAX);
    for (unsigned i = 0; i < listener_count; i++) {
        struct listener *listener = &listeners[i];
        if (listener->armed || listener->ended || shard->exec.clock.now_us < listener->paused_until_us)
            continue;
        io_attach(&shard->io, &listener->socket, listener->fd, IO_PLACE_NONE, LISTENER_NAME | i);
        listener->armed = io_listen(&shard->io, &listener->socket);
        /* Nobody may ever come to wake it: so it sleeps until its next tick, and comes back here. */
        if (!listener->armed) shard->worked = true;
    }
}

/* Serves it, or says why not. Takes over the descriptor. */
static bool serve(struct shard *shard, int fd, bool unix_socket) {
    if (!unix_socket && protected_from(fd)) {
        refuse(shard, fd, protected_text);
        return false;
    }
    struct conn *conn = slots_take(&shard->slots);
    if (!conn) {
        refuse(shard, fd, BYTES("-ERR Out of memory\r\n"));
        return false;
    }
    if (conn_open(conn, shard, &input_client, fd, unix_socket)) return true;
    refuse(shard, fd, BYTES("-ERR max number of clients reached\r\n"));
    slots_give(&shard->slots, conn);
    return false;
}

void accept_adopt(struct shard *shard, int fd, bool unix_socket) {
    bool served = false;
    assert(fd >= 0 && client_get(shard->connections) > 0); /* it is counted already */
    if (shard->stopping)
        accepted_close(fd);
    else
        served = serve(shard, fd, unix_socket);
    if (!served) __atomic_fetch_sub(&shard->connections, 1, __ATOMIC_RELAXED);
}

/* It counts from now on, so that the next one goes to another shard. Without memory for a post the accepting
 * shard keeps it. */
static void spread(struct shard *shard, int fd, bool unix_socket) {
    struct shard *target = &shards[spread_fewest()];
    assert(target->index < shard_count && !shard->stopping);
    __atomic_fetch_add(&target->connections, 1, __ATOMIC_RELAXED);
    if (target != shard && post_adopt(&shard->exec.wakes, target->index, fd, unix_socket)) return;
    if (target != shard) {
        __atomic_fetch_sub(&target->connections, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&shard->connections, 1, __ATOMIC_RELAXED);
    }
    accept_adopt(shard, fd, unix_socket);
}

/* Some kernels err: then there is nothing to serve, and nothing to close. */
static void disbelieve(struct shard *shard, int fd) {
    metric_add(&shard->exec.metrics.accepts_disbelieved, 1);
    log_warning("The kernel accepted a connection as descriptor %d, which is none or another one's: ignored",
                fd);
}

static void pause_accepting(struct shard *shard, struct listener *listener, int error) {
    log_warning("Accepting pauses for 100 ms: %s", strerror(-error));
    listener->paused_until_us = shard->exec.clock.now_us + ACCEPT_PAUSE_US;
}

uint64_t accept_pauses_us(const struct shard *shard) {
    uint64_t now_us = shard->exec.clock.now_us, least = UINT64_MAX;
    for (unsigned i = 0; i < listener_count; i++) {
        uint64_t until_us = listeners[i].armed ? 0 : listeners[i].paused_until_us;
        if (until_us > now_us && until_us - now_us < least) least = until_us - now_us;
    }
    return least;
}

/* Errors of one connection that came and went again; the next accept may be better. */
static bool is_of_connection(int error) {
    return error == ECONNABORTED || error == EINTR || error == EAGAIN || error == EPROTO ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
           error == EHOSTUNREACH || error == ENETUNREACH || error == ECANCELED;
}

/* Errors of the listener itself, which will not pass: it was shut down by whoever shares it, for example. */
static bool is_final(int error) {
    return error == EBADF || error == ENOTSOCK || error == EINVAL || error == EOPNOTSUPP;
}

static void end_accepting(struct listener *listener, int error) {
    listener->ended = true;
    if (listeners_refusing()) return;
    log_warning("The %s socket with descriptor %d accepts no more connections: %s",
                listener->unix_socket ? "Unix" : "TCP", listener->fd, strerror(error));
    for (unsigned i = 0; i < listener_count; i++)
        if (!listeners[i].ended) return;
    log_warning("No socket accepts connections any more");
}

void accept_heard(struct shard *shard, struct listener *listener, const struct io_event *event) {
    int result = event->result;
    assert(event->operation == IO_ACCEPT && !listener->ended);
    if (event->last) listener->armed = false;
    if (result >= 0) {
        if (!accepted_take(result, listener->unix_socket))
            disbelieve(shard, result);
        else if (shard->stopping)
            accepted_close(result);
        else
            spread(shard, result, listener->unix_socket);
        return;
    }
    if (is_final(-result))
        end_accepting(listener, -result);
    else if (!is_of_connection(-result))
        pause_accepting(shard, listener, result);
}
