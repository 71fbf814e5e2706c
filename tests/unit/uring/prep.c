/* prep.c - every operation of prep.h, done for real. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "tests/unit/uring_fixture.h"
#include "uring/buffers.h"

static int listen_anywhere(struct sockaddr_in *address) {
    socklen_t len = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_INT(bind(fd, (struct sockaddr *)address, len), 0);
    CHECK_INT(listen(fd, 16), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)address, &len), 0);
    return fd;
}

static int connect_to(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_INT(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
    return fd;
}

static void one_accept_takes_every_connection(void) {
    struct ring ring;
    struct sockaddr_in address;
    open_ring(&ring, small_ring);
    int listener = listen_anywhere(&address);
    prep_accept_multishot(must_sqe(&ring), listener, SOCK_CLOEXEC, 1);
    for (unsigned i = 0; i < 5; i++) {
        int client = connect_to(&address);
        struct completion cqe = next_completion(&ring);
        must(cqe.res, "multishot accept");
        CHECK(cqe.flags & IORING_CQE_F_MORE);
        close(client);
        close(cqe.res);
    }
    prep_cancel(must_sqe(&ring), 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct completion cqe = next_completion(&ring);
        CHECK_INT(cqe.res, cqe.user_data == 1 ? -ECANCELED : 0);
        CHECK(!(cqe.flags & IORING_CQE_F_MORE));
    }
    close(listener);
    ring_close(&ring);
}

/* Over TCP, where the end of the stream may claim that there is more to read (see SOCK_NONEMPTY). */
static void a_multishot_receive_over_tcp_ends_with_zero(void) {
    struct ring ring;
    struct buffers buffers;
    struct sockaddr_in address;
    open_ring(&ring, small_ring);
    must(buffers_open(&buffers, &ring, &(struct buffers_options){0, 4, 4, 64}), "IORING_REGISTER_PBUF_RING");
    int listener = listen_anywhere(&address);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    prep_recv_multishot(must_sqe(&ring), server, 0, 1);
    CHECK_INT(write(client, "PING\r\n", 6), 6);
    struct completion data = next_completion(&ring);
    CHECK_INT(data.res, 6);
    CHECK(memcmp(buffers_take(&buffers, buffers_id(data.flags)), "PING\r\n", 6) == 0);
    close(client);
    struct completion end = next_completion(&ring);
    CHECK_INT(end.res, 0);
    CHECK(!(end.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER)));
    close(server);
    close(listener);
    buffers_close(&buffers);
    ring_close(&ring);
}

static void a_cancelled_receive_completes_once_and_leaves_the_data(void) {
    struct ring ring;
    struct buffers buffers;
    int pair[2];
    char byte = 0;
    open_ring(&ring, small_ring);
    open_pair(pair);
    must(buffers_open(&buffers, &ring, &(struct buffers_options){0, 4, 4, 64}), "IORING_REGISTER_PBUF_RING");
    prep_recv_multishot(must_sqe(&ring), pair[0], 0, 1);
    CHECK_INT(ring_wait(&ring, 0, 0, 0), 0);
    prep_cancel(must_sqe(&ring), 1, 2);
    for (unsigned i = 0; i < 2; i++) {
        struct completion cqe = next_completion(&ring);
        CHECK_INT(cqe.res, cqe.user_data == 1 ? -ECANCELED : 0);
        CHECK(!(cqe.flags & (IORING_CQE_F_MORE | IORING_CQE_F_BUFFER)));
    }
    CHECK_INT(write(pair[1], "x", 1), 1);
    CHECK(quiet(&ring));
    CHECK_INT(read(pair[0], &byte, 1), 1);
    CHECK_INT(byte, 'x');

    prep_cancel(must_sqe(&ring), 1, 3); /* nothing is left to cancel */
    CHECK_INT(next_completion(&ring).res, -ENOENT);
    close(pair[0]), close(pair[1]);
    buffers_close(&buffers);
    ring_close(&ring);
}

static void parts_are_written_in_order_and_read_back(void) {
    struct ring ring;
    int pair[2];
    char got[32] = "";
    open_ring(&ring, small_ring);
    open_pair(pair);
    const struct iovec parts[] = {{(void *)"$5\r\n", 4}, {(void *)"value", 5}, {(void *)"\r\n", 2}};
    prep_writev(must_sqe(&ring), pair[0], parts, 3, 1);
    CHECK_INT(next_completion(&ring).res, 11);
    prep_read(must_sqe(&ring), pair[1], got, sizeof(got), 2);
    CHECK_INT(next_completion(&ring).res, 11);
    CHECK(memcmp(got, "$5\r\nvalue\r\n", 11) == 0);
    close(pair[0]), close(pair[1]);
    ring_close(&ring);
}

static void a_send_may_be_short_and_honours_its_flags(void) {
    enum { LARGE = 4 << 20 };
    static char large[LARGE];
    struct ring ring;
    int pair[2];
    open_ring(&ring, small_ring);
    open_pair(pair);
    prep_send(must_sqe(&ring), pair[0], (struct iovec){large, LARGE}, MSG_DONTWAIT | MSG_NOSIGNAL, 1);
    struct completion cqe = next_completion(&ring);
    CHECK(cqe.res > 0 && cqe.res < LARGE);
    close(pair[1]);
    prep_send(must_sqe(&ring), pair[0], (struct iovec){large, 1}, MSG_NOSIGNAL, 2);
    CHECK_INT(next_completion(&ring).res, -EPIPE); /* and no SIGPIPE */
    close(pair[0]);
    ring_close(&ring);
}

static void a_receive_can_look_without_taking(void) {
    struct ring ring;
    int pair[2];
    char got[8] = "";
    open_ring(&ring, small_ring);
    open_pair(pair);
    CHECK_INT(write(pair[1], "ab", 2), 2);
    for (unsigned i = 0; i < 2; i++) {
        prep_recv(must_sqe(&ring), pair[0], (struct iovec){got, sizeof(got)}, MSG_PEEK, i);
        CHECK_INT(next_completion(&ring).res, 2);
        CHECK(memcmp(got, "ab", 2) == 0);
    }
    close(pair[0]), close(pair[1]);
    ring_close(&ring);
}

int main(void) {
    RUN(one_accept_takes_every_connection);
    RUN(a_multishot_receive_over_tcp_ends_with_zero);
    RUN(a_cancelled_receive_completes_once_and_leaves_the_data);
    RUN(parts_are_written_in_order_and_read_back);
    RUN(a_send_may_be_short_and_honours_its_flags);
    RUN(a_receive_can_look_without_taking);
    return 0;
}
