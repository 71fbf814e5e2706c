/* io_uring.c - sockets and events over one ring: which SQEs an operation is, and what its completions mean. */
#include "uring/io_uring.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "uring/io.h"
#include "uring/prep.h"

enum { GROUP = 0, SEND_MAX = 1 << 30, READ_MAX = 1 << 30 };

_Static_assert(SEND_MAX <= INT32_MAX && READ_MAX <= INT32_MAX, "a result has 31 bits");

/* ---- Opening and closing -------------------------------------------------------------------------- */

int io_uring_open(struct io *io, const struct io_options *options) {
    struct ring_options ring = {
        .sq_entries = options->submissions,
        .cq_entries = options->events,
        .mode = options->poll_thread ? RING_SQPOLL : RING_INLINE,
        .attach_fd = options->share ? options->share->ring.fd : -1,
        .sq_cpu = options->poll_cpu,
        .sq_idle_ms = options->poll_idle_ms,
    };
    int error = ring_open(&io->ring, &ring);
    if (error) return error;
    if (options->buffers)
        error = buffers_open(&io->buffers, &io->ring,
                             &(struct buffers_options){.group = GROUP,
                                                       .count = options->buffers,
                                                       .least = options->buffers_least,
                                                       .size = options->buffer_size});
    if (error) return error;
    if (!options->places || files_open(&io->files, &io->ring, options->places) < 0) io->files.count = 0;
    return 0;
}

void io_uring_close(struct io *io) {
    files_close(&io->files);
    buffers_close(&io->buffers);
    ring_close(&io->ring);
}

/* ---- Sockets -------------------------------------------------------------------------------------- */

void io_uring_attach(struct io *io, struct io_socket *s) {
    if (s->place < io->files.count && files_set(&io->files, s->place, s->fd) == 0) s->bits |= IO_FIXED;
}

void io_uring_detach(struct io *io, struct io_socket *s) {
    assert(!s->owed); /* 1 */
    if (s->bits & IO_FIXED) (void)!files_set(&io->files, s->place, -1);
}

/* ---- Beginning operations ------------------------------------------------------------------------- */

/* NULL when the queue is full and the kernel takes nothing from it now. */
static struct io_uring_sqe *any_sqe(struct io *io) {
    struct io_uring_sqe *sqe = ring_sqe(&io->ring);
    if (!sqe && io_uring_submit(io) >= 0) sqe = ring_sqe(&io->ring);
    return sqe;
}

/* What an SQE names as its file, and the flag that it needs beside it. */
static int target(const struct io_socket *s) {
    return s->bits & IO_FIXED ? (int)s->place : s->fd;
}
static void target_flag(const struct io_socket *s, struct io_uring_sqe *sqe) {
    if (s->bits & IO_FIXED) prep_fixed_file(sqe);
}

/* The SQE is filled: an operation of the socket has begun. */
static bool begin(struct io_socket *s, struct io_uring_sqe *sqe, enum io_bit bit) {
    target_flag(s, sqe);
    s->bits |= bit;
    s->owed++;
    return true;
}

bool io_uring_listen(struct io *io, struct io_socket *s) {
    struct io_uring_sqe *sqe = any_sqe(io);
    assert(!(s->bits & (IO_RECEIVING | IO_READING))); /* 2 */
    if (!sqe) return false;
    prep_accept_multishot(sqe, target(s), SOCK_CLOEXEC, io_pack(IO_CODE_ACCEPT, s->data));
    return begin(s, sqe, IO_RECEIVING);
}

bool io_uring_receive_many(struct io *io, struct io_socket *s) {
    struct io_uring_sqe *sqe = any_sqe(io);
    assert(!(s->bits & (IO_RECEIVING | IO_READING | IO_SHUT))); /* 2 */
    if (!sqe) return false;
    prep_recv_multishot(sqe, target(s), GROUP, io_pack(IO_CODE_RECEIVE, s->data));
    return begin(s, sqe, IO_RECEIVING);
}

bool io_uring_receive_one(struct io *io, struct io_socket *s, unsigned most) {
    struct io_uring_sqe *sqe = any_sqe(io);
    assert(!(s->bits & (IO_RECEIVING | IO_READING | IO_SHUT))); /* 2 */
    if (!sqe) return false;
    prep_recv_buffer(sqe, target(s), GROUP, most, io_pack(IO_CODE_RECEIVE, s->data));
    return begin(s, sqe, IO_RECEIVING);
}

/* A cancellation that finds its receive is silent, for the receive itself says that it has ended. */
static void stop(struct io *io, struct io_socket *s, enum io_code code) {
    struct io_uring_sqe *sqe = s->bits & IO_STOPPING ? NULL : any_sqe(io);
    if (!sqe) return;
    prep_cancel(sqe, io_pack(code, s->data), io_pack(IO_CODE_STOP, s->data));
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    s->bits |= IO_STOPPING;
}

void io_uring_receive_stop(struct io *io, struct io_socket *s) {
    stop(io, s, IO_CODE_RECEIVE);
}

/* A poll thread that has other work waiting passes for one with a signal pending, as does any thread without
 * DEFER_TASKRUN: so a receive that stands at urgent data gets EAGAIN from tcp_recvmsg. What woke it, maybe the end of
 * the stream, is used up then, and nothing else will come. */
bool io_uring_ask(struct io *io, struct io_socket *s) {
    char byte;
    if (recv(s->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN) return true;
    stop(io, s, s->bits & IO_RECEIVING ? IO_CODE_RECEIVE : IO_CODE_READ);
    return s->bits & IO_STOPPING;
}

bool io_uring_read(struct io *io, struct io_socket *s, void *to, unsigned len) {
    struct io_uring_sqe *sqe = any_sqe(io);
    assert(!(s->bits & (IO_RECEIVING | IO_READING | IO_SHUT)) && len <= READ_MAX); /* 2 */
    if (!sqe) return false;
    prep_recv(sqe, target(s), (struct iovec){to, len}, MSG_WAITALL, io_pack(IO_CODE_READ, s->data));
    return begin(s, sqe, IO_READING);
}

/* MSG_WAITALL: a quick send that fell short speaks up, though those that went through are silent. */
static void prep_quick(struct io *io, struct io_socket *s, struct io_uring_sqe *sqe,
                       const struct iovec *iov) {
    prep_send(sqe, target(s), *iov, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL,
              io_pack(IO_CODE_QUICK, s->data));
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_link_add(&io->quick, &s->quick);
}

bool io_uring_send(struct io *io, struct io_socket *s, const struct iovec *iov, unsigned n, bool quick) {
    struct io_uring_sqe *sqe = any_sqe(io);
    assert(!(s->bits & IO_SENDING)); /* 2 */
    debug_assert(n > 0 && n <= IOV_MAX);
    debug_assert(!quick || (n == 1 && io->quick_sends && iov->iov_len <= SEND_MAX && !s->quick.next));
    if (!sqe) return false;
    if (quick)
        prep_quick(io, s, sqe, iov);
    else if (n == 1 && iov->iov_len <= SEND_MAX)
        prep_send(sqe, target(s), *iov, MSG_NOSIGNAL, io_pack(IO_CODE_SEND, s->data));
    else
        prep_writev(sqe, target(s), iov, n, io_pack(IO_CODE_SEND, s->data));
    return begin(s, sqe, IO_SENDING);
}

/* ---- Waking --------------------------------------------------------------------------------------- */

/* Only a failure completes on our own ring: else each wake-up would cost the one who wakes a turn. */
bool io_uring_wake(struct io *io, const struct io *woken, uint32_t number) {
    struct io_uring_sqe *sqe = any_sqe(io);
    if (!sqe) return false;
    prep_msg_ring(sqe, woken->ring.fd, 0, io_pack(IO_CODE_WAKE, 0), io_pack(IO_CODE_WAKE_SENT, number));
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    return true;
}

/* The read waits in the kernel, which it does only for a descriptor that blocks. What is written while none is under way is
 * there for the next one. */
static bool hear_wakes(struct io *io) {
    struct io_uring_sqe *sqe = any_sqe(io);
    if (!sqe) return false;
    prep_read(sqe, io->wake_fd, &io->wakes, sizeof io->wakes, io_pack(IO_CODE_WAKE_READ, 0));
    io->waking = true;
    return true;
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

static void publish(struct io *io) {
    if (io->released) buffers_publish(&io->buffers);
    io->released = false;
}

int io_uring_submit(struct io *io) {
    publish(io);
    return ring_submit(&io->ring);
}

int io_uring_wait(struct io *io, unsigned want, uint64_t min_wait_us, uint64_t timeout_us) {
    /* Who cannot be woken must not sleep, nor who has sends in doubt: replies may wait behind them, and no event comes. */
    if ((!io->waking && !hear_wakes(io)) || io->unsettled) want = 0;
    /* More than the queue holds would never be there at once. */
    if (want > io->ring.cq_entries) want = io->ring.cq_entries;
    publish(io);
    return ring_wait(&io->ring, want, min_wait_us, timeout_us);
}

/* ---- Events --------------------------------------------------------------------------------------- */

/* Nobody is there any more for whom this came: the buffer that it names is nobody's either. */
static void drop_buffer(struct io *io, unsigned cqe_flags) {
    if (!(cqe_flags & IORING_CQE_F_BUFFER)) return;
    buffers_take(&io->buffers, buffers_id(cqe_flags));
    io_release(io, buffers_id(cqe_flags));
}

/* Interrupted, or asked to stop: nothing came, and nothing is wrong. */
static int32_t without_trifles(int32_t res) {
    return res == -EINTR || res == -EAGAIN || res == -ECANCELED ? 0 : res;
}

/* A receive that ended with 0 bytes is the end of the stream, or only a wake-up: kernels differ in what
 * IORING_CQE_F_SOCK_NONEMPTY says beside it, so the socket itself is asked. */
static bool at_end_of_stream(int fd) {
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void end(struct io_socket *s, uint32_t bits) {
    assert(s->owed > 0 && s->bits & bits); /* 1 */
    s->owed--;
    s->bits &= ~bits;
}

static void received(struct io *io, struct io_socket *s, struct io_event *event, unsigned cqe_flags) {
    event->last = !(cqe_flags & IORING_CQE_F_MORE);
    if (event->last) {
        end(s, IO_RECEIVING);
        s->bits &= ~(uint32_t)IO_STOPPING;
    }
    event->result = without_trifles(event->result);
    if (s->bits & IO_SHUT) {
        if (event->result > 0) s->bits |= IO_DISCARDS;
        event->result = 0;
    }
    if (event->result > 0) {
        assert(cqe_flags & IORING_CQE_F_BUFFER);
        event->buffer = buffers_id(cqe_flags);
        buffers_take(&io->buffers, event->buffer);
        return;
    }
    drop_buffer(io, cqe_flags);
    event->eof = event->result == 0 && !(s->bits & IO_SHUT) && at_end_of_stream(s->fd);
}

static void read_ended(struct io_socket *s, struct io_event *event) {
    end(s, IO_READING);
    s->bits &= ~(uint32_t)IO_STOPPING;
    event->eof = event->result == 0;
    event->result = without_trifles(event->result);
    if (event->result > 0 && s->bits & IO_SHUT) s->bits |= IO_DISCARDS;
}

static void sent(struct io_socket *s, struct io_event *event, enum io_code code) {
    event->operation = IO_SEND;
    event->result = without_trifles(event->result);
    if (code == IO_CODE_QUICK)
        io_quick_out(s);
    else
        end(s, IO_SENDING);
}

/* It came to nothing. If the receive goes on, whoever wants it stopped asks again. */
static void stop_failed(struct io_socket *s, struct io_event *event) {
    event->operation = IO_NOTHING;
    s->bits &= ~(uint32_t)IO_STOPPING;
}

static struct io_event of_no_socket(struct io *io, enum io_code code, uint64_t data, int32_t result) {
    if (code == IO_CODE_WAKE_READ) io->waking = false;
    bool failed = code == IO_CODE_WAKE_SENT && result < 0;
    return (struct io_event){
        .operation = failed ? IO_WAKE_FAILED : IO_NOTHING, .data = data, .result = result, .last = true};
}

struct io_event io_uring_event(struct io *io, unsigned i) {
    const struct io_uring_cqe *cqe = ring_cqe(&io->ring, i);
    enum io_code code = io_code_of(cqe->user_data);
    struct io_event event = {
        .data = cqe->user_data & IO_DATA_MASK, .result = cqe->res, .operation = IO_NOTHING, .last = true};
    if (code == IO_CODE_NONE || code >= IO_CODE_WAKE) return of_no_socket(io, code, event.data, cqe->res);
    struct io_socket *s = event.socket = io->find(io->context, event.data);
    if (!s) { /* cannot happen while `owed` is right */
        drop_buffer(io, cqe->flags);
        return event;
    }
    switch (code) {
    case IO_CODE_RECEIVE:
        event.operation = IO_RECEIVE;
        received(io, s, &event, cqe->flags);
        break;
    case IO_CODE_READ:
        event.operation = IO_READ;
        read_ended(s, &event);
        break;
    case IO_CODE_SEND:
    case IO_CODE_QUICK: sent(s, &event, code); break;
    case IO_CODE_ACCEPT:
        event.operation = IO_ACCEPT;
        event.last = !(cqe->flags & IORING_CQE_F_MORE);
        if (event.last) end(s, IO_RECEIVING);
        break;
    default: stop_failed(s, &event);
    }
    return event;
}
