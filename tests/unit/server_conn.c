/* A connection's replies: when they leave. Over a real ring and a socket pair. */
#include "server/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/shard.h"
#include "tests/check.h"

static struct shard shard;
static struct conn conn;
static int peer;

static void open_all(void) {
    int fds[2];
    struct ring_options options = {
        .sq_entries = 8, .cq_entries = 16, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1};
    memset(&shard, 0, sizeof shard);
    memset(&conn, 0, sizeof conn);
    CHECK_INT(ring_open(&shard.ring, &options), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    shard.quick_sends = true;
    conn.shard = &shard;
    conn.fd = fds[0];
    conn.flags = CONN_OPEN;
    output_open(&conn.output, &shard.chunks);
    peer = fds[1];
}

static void close_all(void) {
    output_close(&conn.output);
    chunk_pool_close(&shard.chunks);
    ring_close(&shard.ring);
    close(conn.fd);
    close(peer);
}

/* What has come to the peer after a submit; 0 for nothing. */
static ssize_t arrived(char *to, size_t size) {
    CHECK(ring_wait(&shard.ring, 0, 0, 0) >= 0);
    ssize_t n = recv(peer, to, size, MSG_DONTWAIT);
    CHECK(n > 0 || errno == EAGAIN);
    return n > 0 ? n : 0;
}

static void a_reply_leaves_at_once_when_nothing_holds_it(void) {
    char got[16];
    open_all();
    reply_ok(&conn.output.reply);
    conn_flush(&conn);
    CHECK_INT(arrived(got, sizeof got), 5);
    CHECK(memcmp(got, "+OK\r\n", 5) == 0);
    close_all();
}

static void a_reply_waits_until_its_write_is_durable(void) {
    char got[16];
    open_all();
    conn.reply_sequence = 7;
    shard.durable_sequence = 6;
    reply_ok(&conn.output.reply);
    conn_flush(&conn);
    CHECK_INT(arrived(got, sizeof got), 0);
    CHECK(shard.awaiting.first == &conn);
    CHECK(output_unsent(&conn.output) == 5);

    shard.durable_sequence = 7;
    conn_flush(&conn);
    CHECK_INT(arrived(got, sizeof got), 5);
    close_all();
}

static void replies_behind_a_held_one_leave_with_it(void) {
    char got[16];
    open_all();
    conn.reply_sequence = 1;
    reply_ok(&conn.output.reply);
    conn_flush(&conn);
    reply_int(&conn.output.reply, 1);
    conn_flush(&conn);
    CHECK_INT(arrived(got, sizeof got), 0);
    shard.durable_sequence = 1;
    conn_flush(&conn);
    CHECK_INT(arrived(got, sizeof got), 9);
    CHECK(memcmp(got, "+OK\r\n:1\r\n", 9) == 0);
    close_all();
}

int main(void) {
    RUN(a_reply_leaves_at_once_when_nothing_holds_it);
    RUN(a_reply_waits_until_its_write_is_durable);
    RUN(replies_behind_a_held_one_leave_with_it);
    return 0;
}
