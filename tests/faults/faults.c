/* faults.c - the kernel and the allocator on a bad day, for a server that does not know: linked into
 * kevy_faults, in place of the calls that tests/faults/CMakeLists.txt wraps.
 *
 * DESIGN
 * A test maps the file that $KEVY_FAULTS names and so turns each fault below on and off while the server runs.
 * Every fault has two words there, in the order of this list, which tests/faults/run.py reads too:
 *
 *     setting   0: off; else what the text says      happened   how often it was done: a test that provoked
 *                                                               nothing has examined nothing
 *
 * Over io_uring a completion with a result of our choice is a NOP in place of the operation (IORING_NOP_INJECT_RESULT, Linux
 * 6.10); a short one is the operation itself over fewer bytes. SQEs are changed only until they are published,
 * for after that a poll thread may read them.
 *
 * Over epoll the calls themselves are changed. One that is made to do less than it could is followed by a change of what is
 * watched, which makes the kernel tell anew what there is: as it would when room or bytes came. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/limits.h"
#include "tests/control_file.h"
#include "tests/wrap_syscall.h"
#include "uring/io.h"

#define FAULT_LIST                                                                                           \
    /* Before the start. */                                                                                  \
    FAULT(SQ_SIZE)        /* rings have so many SQEs */                                                      \
    FAULT(CQ_SIZE)        /* ... and so many CQEs */                                                         \
    FAULT(BUFFER_COUNT)   /* a shard has so many receive buffers */                                          \
    FAULT(SETUP_FAILS_AT) /* the n-th set-up of a ring fails ... */                                          \
    FAULT(SETUP_ERROR)    /* ... with this errno */                                                          \
    FAULT(SETUP_UNKNOWN)  /* set-up flags that this kernel does not know: EINVAL */                          \
    FAULT(REGISTER_FAILS) /* 1 + the opcode of io_uring_register that fails ... */                           \
    FAULT(REGISTER_ERROR) /* ... with this errno */                                                          \
    /* Entering the kernel. */                                                                               \
    FAULT(ENTER_EINTR) /* one in n enters fails so, having done nothing */                                   \
    FAULT(ENTER_EAGAIN)                                                                                      \
    FAULT(ENTER_EBUSY)                                                                                       \
    FAULT(SUBMIT_MOST) /* an enter takes at most n SQEs */                                                   \
    /* Operations. */                                                                                        \
    FAULT(SEND_MOST)       /* a send takes 1 to n bytes */                                                   \
    FAULT(SEND_EAGAIN)     /* one in n quick sends finds no room */                                          \
    FAULT(READ_MOST)       /* a direct read brings 1 to n bytes */                                           \
    FAULT(RECEIVE_ENOBUFS) /* one in n receives that are armed ends at once */                               \
    FAULT(RECEIVE_EINTR)                                                                                     \
    FAULT(RECEIVE_DEAF)  /* ... or hears nothing, and ends when it is cancelled */                           \
    FAULT(ACCEPT_FAILS)  /* one in n accepts that are armed ends at once ... */                              \
    FAULT(ACCEPT_ERROR)  /* ... with this errno, or as if the descriptor -n had been accepted */             \
    FAULT(CANCEL_FAILS)  /* one in n cancellations comes to nothing ... */                                   \
    FAULT(CANCEL_ERROR)  /* ... with this errno */                                                           \
    FAULT(MESSAGE_FAILS) /* one in n messages to another ring fails ... */                                   \
    FAULT(MESSAGE_ERROR) /* ... with this errno */                                                           \
    FAULT(WAKE_LOST)     /* one in n wake-ups of other shards is taken, and never heard of again */          \
    /* Over epoll, where those of entering mean a look, and those of what is armed each call. */             \
    FAULT(RECEIVE_MOST) /* a receive brings 1 to n bytes */                                                  \
    FAULT(SEND_EINTR)   /* one in n sends is interrupted */                                                  \
    FAULT(WATCH_FAILS)  /* one in n sockets cannot be watched ... */                                         \
    FAULT(WATCH_ERROR)  /* ... with this errno */                                                            \
    /* Memory. */                                                                                            \
    FAULT(MALLOC_FAILS) /* one in n allocations fails ... */                                                 \
    FAULT(MALLOC_FROM)  /* ... of those that ask for so many bytes or more */

enum fault {
#define FAULT(name) name,
    FAULT_LIST
#undef FAULT
        FAULT_COUNT
};

struct fault_words {
    _Atomic uint32_t setting, happened;
};

static struct fault_words nothing[FAULT_COUNT], *faults = nothing;

__attribute__((constructor)) static void faults_open(void) {
    struct fault_words *mapped = control_file_map("KEVY_FAULTS", sizeof nothing);
    if (mapped) faults = mapped;
}

/* ---- Dice ----------------------------------------------------------------------------------------- */

static uint64_t dice(void) {
    static _Atomic uint64_t threads;
    static _Thread_local uint64_t state;
    if (!state) state = 88172645463325252ull * ++threads;
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 2685821657736338717ull >> 16;
}

static uint32_t setting(enum fault fault) {
    return atomic_load_explicit(&faults[fault].setting, memory_order_relaxed);
}

static void happened(enum fault fault) {
    atomic_fetch_add_explicit(&faults[fault].happened, 1, memory_order_relaxed);
}

/* Is it the turn of a fault that happens to one in n? */
static bool strikes(enum fault fault) {
    uint32_t one_in = setting(fault);
    if (one_in == 0 || dice() % one_in) return false;
    happened(fault);
    return true;
}

/* ---- System calls --------------------------------------------------------------------------------- */

int __real_ring_sys_setup(unsigned entries, struct io_uring_params *params);
int __wrap_ring_sys_setup(unsigned entries, struct io_uring_params *params);
int __wrap_ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    static _Atomic uint32_t count;
    if (params->flags & setting(SETUP_UNKNOWN)) {
        happened(SETUP_UNKNOWN);
        return -EINVAL;
    }
    if (++count == setting(SETUP_FAILS_AT)) {
        happened(SETUP_FAILS_AT);
        return -(int)setting(SETUP_ERROR);
    }
    return __real_ring_sys_setup(entries, params);
}

int __real_ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count);
int __wrap_ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count);
int __wrap_ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count) {
    if (opcode + 1 == setting(REGISTER_FAILS)) {
        happened(REGISTER_FAILS);
        return -(int)setting(REGISTER_ERROR);
    }
    return __real_ring_sys_register(fd, opcode, arg, count);
}

int __real_ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg,
                          size_t arg_len);
int __wrap_ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg,
                          size_t arg_len);
int __wrap_ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg,
                          size_t arg_len) {
    uint32_t most = setting(SUBMIT_MOST);
    if (strikes(ENTER_EINTR)) return -EINTR;
    if (strikes(ENTER_EAGAIN)) return -EAGAIN;
    if (strikes(ENTER_EBUSY)) return -EBUSY;
    if (!most || submit <= most) return __real_ring_sys_enter(fd, submit, want, flags, arg, arg_len);
    /* As the kernel does when it stops halfway: it neither waits nor looks for completions. */
    happened(SUBMIT_MOST);
    return __real_ring_sys_enter(fd, most, 0, flags & IORING_ENTER_REGISTERED_RING, NULL, 0);
}

/* ---- Sizes ---------------------------------------------------------------------------------------- */

static unsigned size_of(enum fault fault, unsigned usual) {
    if (!setting(fault)) return usual;
    happened(fault);
    return setting(fault);
}

int __real_ring_open(struct ring *ring, const struct ring_options *options);
int __wrap_ring_open(struct ring *ring, const struct ring_options *options);
int __wrap_ring_open(struct ring *ring, const struct ring_options *options) {
    struct ring_options smaller = *options;
    smaller.sq_entries = size_of(SQ_SIZE, options->sq_entries);
    smaller.cq_entries = size_of(CQ_SIZE, options->cq_entries);
    return __real_ring_open(ring, &smaller);
}

int __real_buffers_open(struct buffers *b, struct ring *ring, const struct buffers_options *options);
int __wrap_buffers_open(struct buffers *b, struct ring *ring, const struct buffers_options *options);
int __wrap_buffers_open(struct buffers *b, struct ring *ring, const struct buffers_options *options) {
    struct buffers_options fewer = *options;
    fewer.count = size_of(BUFFER_COUNT, options->count);
    if (fewer.least > fewer.count) fewer.least = fewer.count;
    return __real_buffers_open(b, ring, &fewer);
}

/* ---- Operations ----------------------------------------------------------------------------------- */

enum { NOP_INJECT_RESULT = 1 };

/* The operation is not done; its completion says `result`, negative or 0. */
static void answer(struct io_uring_sqe *sqe, int result) {
    uint64_t user_data = sqe->user_data;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_NOP;
    sqe->fd = -1;
    sqe->len = (uint32_t)result;
    sqe->rw_flags = NOP_INJECT_RESULT;
    sqe->user_data = user_data;
}

/* A quick send is to say nothing when all went, so what is sent short by us must be made to speak. */
static void shorten_send(struct io_uring_sqe *sqe) {
    if (sqe->opcode == IORING_OP_WRITEV) {
        struct iovec first;
        memcpy(&first, (const void *)(uintptr_t)sqe->addr, sizeof first);
        sqe->opcode = IORING_OP_SEND;
        sqe->off = 0;
        sqe->msg_flags = MSG_NOSIGNAL;
        sqe->addr = (uint64_t)(uintptr_t)first.iov_base;
        sqe->len = first.iov_len < UINT32_MAX ? (uint32_t)first.iov_len : UINT32_MAX;
    }
    uint32_t most = 1 + (uint32_t)(dice() % setting(SEND_MOST));
    if (sqe->len > most) {
        sqe->len = most;
        sqe->flags &= (uint8_t)~IOSQE_CQE_SKIP_SUCCESS;
    }
    happened(SEND_MOST);
}

static void shorten_read(struct io_uring_sqe *sqe) {
    uint32_t most = 1 + (uint32_t)(dice() % setting(READ_MOST));
    if (sqe->len > most) sqe->len = most;
    happened(READ_MOST);
}

/* What waits for so long waits for ever, whatever comes. Closing the socket does not end it. */
static void deafen(struct io_uring_sqe *sqe) {
    static const struct __kernel_timespec year = {.tv_sec = 365 * 24 * 3600};
    uint64_t user_data = sqe->user_data;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_TIMEOUT;
    sqe->fd = -1;
    sqe->addr = (uint64_t)(uintptr_t)&year;
    sqe->len = 1;
    sqe->user_data = user_data;
}

static void change(struct io_uring_sqe *sqe) {
    enum io_code code = io_code_of(sqe->user_data);
    if (code == IO_CODE_QUICK && strikes(SEND_EAGAIN)) {
        answer(sqe, -EAGAIN);
    } else if ((code == IO_CODE_SEND || code == IO_CODE_QUICK) && setting(SEND_MOST)) {
        shorten_send(sqe);
    } else if (code == IO_CODE_READ && setting(READ_MOST)) {
        shorten_read(sqe);
    } else if (code == IO_CODE_RECEIVE) {
        if (strikes(RECEIVE_ENOBUFS))
            answer(sqe, -ENOBUFS);
        else if (strikes(RECEIVE_EINTR))
            answer(sqe, -EINTR);
        else if (strikes(RECEIVE_DEAF))
            deafen(sqe);
    } else if (code == IO_CODE_ACCEPT && strikes(ACCEPT_FAILS)) {
        answer(sqe, -(int)setting(ACCEPT_ERROR));
    } else if (code == IO_CODE_STOP && strikes(CANCEL_FAILS)) {
        answer(sqe, -(int)setting(CANCEL_ERROR));
    } else if (sqe->opcode == IORING_OP_MSG_RING && code == IO_CODE_WAKE_SENT && strikes(MESSAGE_FAILS)) {
        answer(sqe, -(int)setting(MESSAGE_ERROR));
    } else if (sqe->opcode == IORING_OP_MSG_RING && code == IO_CODE_WAKE_SENT && strikes(WAKE_LOST)) {
        answer(sqe, 0);
        sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    }
}

/* All that was queued since the last time the queue was published. */
static void change_queued(struct ring *ring) {
    unsigned tail = __atomic_load_n(ring->sq_ktail, __ATOMIC_RELAXED);
    for (; tail != ring->sqe_tail; tail++) change(&ring->sqes[tail & ring->sq_mask]);
}

int __real_ring_submit(struct ring *ring);
int __wrap_ring_submit(struct ring *ring);
int __wrap_ring_submit(struct ring *ring) {
    change_queued(ring);
    return __real_ring_submit(ring);
}

int __real_ring_wait(struct ring *ring, unsigned want, uint64_t min_wait_us, uint64_t timeout_us);
int __wrap_ring_wait(struct ring *ring, unsigned want, uint64_t min_wait_us, uint64_t timeout_us);
int __wrap_ring_wait(struct ring *ring, unsigned want, uint64_t min_wait_us, uint64_t timeout_us) {
    change_queued(ring);
    return __real_ring_wait(ring, want, min_wait_us, timeout_us);
}

/* ---- Over epoll ----------------------------------------------------------------------------------- */

int __real_io_epoll_open(struct io *io, const struct io_options *options);
int __wrap_io_epoll_open(struct io *io, const struct io_options *options);
int __wrap_io_epoll_open(struct io *io, const struct io_options *options) {
    struct io_options smaller = *options;
    smaller.events = size_of(CQ_SIZE, options->events);
    return __real_io_epoll_open(io, &smaller);
}

/* Who watches each descriptor, and as what. One thread does, until it closes it. */
enum { WATCHED_MOST = 65536 };
static struct watched {
    _Atomic int epoll; /* 0: none */
    _Atomic uint32_t events;
    _Atomic uint64_t data;
} watched[WATCHED_MOST];

int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    bool is_socket = event && event->events & EPOLLRDHUP;
    if (is_socket && strikes(WATCH_FAILS)) {
        errno = (int)setting(WATCH_ERROR);
        return -1;
    }
    if (is_socket && fd >= 0 && fd < WATCHED_MOST) {
        watched[fd].events = event->events;
        watched[fd].data = event->data.u64;
        watched[fd].epoll = epoll;
    }
    return __real_epoll_ctl(epoll, operation, fd, event);
}

static bool is_watched(int fd) {
    return fd >= 0 && fd < WATCHED_MOST && watched[fd].epoll;
}

static ssize_t tell_anew(int fd, ssize_t result, int error) {
    /* Not where another socket has its number now, which nobody watches. */
    struct epoll_event event = {.events = watched[fd].events, .data.u64 = watched[fd].data};
    if (__real_epoll_ctl(watched[fd].epoll, EPOLL_CTL_MOD, fd, &event) < 0) watched[fd].epoll = 0;
    errno = error;
    return result;
}

static bool interrupts(enum fault fault) {
    if (!strikes(fault)) return false;
    errno = EINTR;
    return true;
}

int __real_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
    return interrupts(ENTER_EINTR) ? -1 : __real_epoll_wait(epoll, events, most, timeout);
}

/* The other way to wait, of which libc knows nothing yet. */
static bool syscall_fails(long number) {
    return number == SYS_epoll_pwait2 && interrupts(ENTER_EINTR);
}

bool __real_io_epoll_wake(struct io *io, const struct io *woken);
bool __wrap_io_epoll_wake(struct io *io, const struct io *woken);
bool __wrap_io_epoll_wake(struct io *io, const struct io *woken) {
    return strikes(WAKE_LOST) || __real_io_epoll_wake(io, woken);
}

static size_t fewer(enum fault fault, size_t len) {
    if (!setting(fault) || !len) return len;
    size_t most = 1 + (size_t)(dice() % setting(fault));
    if (most >= len) return len;
    happened(fault);
    return most;
}

/* What asks for more than a buffer holds goes straight to its place. */
ssize_t __real_recv(int fd, void *to, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *to, size_t len, int flags) {
    if (!is_watched(fd) || flags & MSG_PEEK) return __real_recv(fd, to, len, flags);
    if (interrupts(RECEIVE_EINTR)) return -1;
    size_t most = fewer(len > RECEIVE_BUFFER_SIZE ? READ_MOST : RECEIVE_MOST, len);
    ssize_t n = __real_recv(fd, to, most, flags);
    return n > 0 && most < len ? tell_anew(fd, n, 0) : n;
}

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    if (!is_watched(fd)) return __real_recvmsg(fd, message, flags);
    if (interrupts(RECEIVE_EINTR)) return -1;
    size_t len = message->msg_iov->iov_len;
    size_t most = fewer(len > RECEIVE_BUFFER_SIZE ? READ_MOST : RECEIVE_MOST, len);
    message->msg_iov->iov_len = most;
    ssize_t n = __real_recvmsg(fd, message, flags);
    message->msg_iov->iov_len = len;
    return n > 0 && most < len ? tell_anew(fd, n, 0) : n;
}

ssize_t __real_send(int fd, const void *from, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t len, int flags) {
    if (!is_watched(fd)) return __real_send(fd, from, len, flags);
    if (interrupts(SEND_EINTR)) return -1;
    if (strikes(SEND_EAGAIN)) return tell_anew(fd, -1, EAGAIN);
    size_t most = fewer(SEND_MOST, len);
    ssize_t n = __real_send(fd, from, most, flags);
    return n > 0 && most < len ? tell_anew(fd, n, 0) : n;
}

ssize_t __real_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags) {
    if (is_watched(fd) && interrupts(SEND_EINTR)) return -1;
    if (!is_watched(fd) || !setting(SEND_MOST)) return __real_sendmsg(fd, message, flags);
    const struct iovec *first = message->msg_iov;
    ssize_t n = __real_send(fd, first->iov_base, fewer(SEND_MOST, first->iov_len), flags);
    return n > 0 ? tell_anew(fd, n, 0) : n;
}

int __real_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags) {
    if (!strikes(ACCEPT_FAILS)) {
        int accepted = __real_accept4(fd, address, len, flags);
        if (accepted >= 0 && accepted < WATCHED_MOST) watched[accepted].epoll = 0; /* an earlier one was */
        return accepted;
    }
    int error = (int)setting(ACCEPT_ERROR);
    errno = error;
    return error > 0 ? -1 : -error;
}

/* ---- Memory --------------------------------------------------------------------------------------- */

static bool refused(size_t size) {
    if (size < setting(MALLOC_FROM) || !strikes(MALLOC_FAILS)) return false;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size) {
    return refused(size) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
    return refused(count * size) ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size) {
    return refused(size) ? NULL : __real_realloc(old, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return refused(size) ? NULL : __real_aligned_alloc(alignment, size);
}

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) {
    return fd < 0 && refused(len) ? MAP_FAILED : __real_mmap(at, len, protection, flags, fd, offset);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    return refused(1) ? NULL : __real_strdup(text);
}

char *__real_strndup(const char *text, size_t most);
char *__wrap_strndup(const char *text, size_t most);
char *__wrap_strndup(const char *text, size_t most) {
    return refused(1) ? NULL : __real_strndup(text, most);
}
