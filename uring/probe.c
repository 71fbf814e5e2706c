/* probe.c - asks the kernel what it offers, and puts refusals into words.
 *
 * DESIGN
 * One table holds every feature: its place in struct probe, whether kevy can run without it, and what it is
 * used for. Set-up flags are tried by opening a ring with them, operations asked of IORING_REGISTER_PROBE,
 * and the multishot variants, which no list of operations shows, are done once over a local socket. */
#include "uring/probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "protocol/text.h"
#include "uring/buffers.h"
#include "uring/files.h"
#include "uring/prep.h"
#include "uring/ring.h"

enum { PATIENCE_US = 1000 * 1000, OPS = 256 };
_Static_assert((int)IORING_OP_LAST <= OPS, "the list has room for every operation that this header knows");

/* To use another feature: a bool in struct probe, a line here, and a line in one of the functions below. */
static const struct feature {
    size_t offset; /* of the bool in struct probe */
    bool required;
    const char *name, *use;
} features[] = {
#define FEATURE(field, needed, text)                                                                         \
    { offsetof(struct probe, field), needed, #field, text }
    FEATURE(ext_arg, true, "waiting with a time limit in the same system call"),
    FEATURE(provided_buffers, true, "receive buffers that only arriving data occupies"),
    FEATURE(multishot_accept, true, "one request for all connections of a listener"),
    FEATURE(multishot_recv, true, "one request for all data of a connection"),
    FEATURE(async_cancel, true, "closing connections, and taking over large values"),
    FEATURE(msg_ring, true, "waking another shard"),
    FEATURE(writev, true, "replies with large values, straight from the store"),
    FEATURE(single_issuer, false, "one thread a ring: the kernel takes fewer locks"),
    FEATURE(defer_taskrun, false, "completions posted when we ask for them, in batches"),
    FEATURE(coop_taskrun, false, "the same without interrupts, where defer_taskrun is missing"),
    FEATURE(min_wait, false, "batched waiting: several completions for one wake-up"),
    FEATURE(registered_ring, false, "entering the kernel without a descriptor lookup"),
    FEATURE(sparse_files, false, "operations on connections without a descriptor lookup"),
    FEATURE(sqpoll, false, "io mode sqpoll: a kernel thread submits"),
    FEATURE(attach_wq, false, "io mode sqpoll: shards share poll threads"),
    FEATURE(epoll, false, "io mode epoll: serving without io_uring"),
    FEATURE(epoll_pwait2, false, "io mode epoll: waiting for less than a millisecond"),
#undef FEATURE
};
enum { FEATURES = sizeof(features) / sizeof(features[0]) };

static bool has(const struct probe *probe, const struct feature *feature) {
    bool value;
    memcpy(&value, (const char *)probe + feature->offset, sizeof(value));
    return value;
}

/* The number after `key` in a file of /proc, or `missing`. */
static int proc_number(const char *path, const char *key, int missing) {
    char line[256];
    int value = missing;
    size_t len = strlen(key);
    FILE *file = fopen(path, "re");
    if (!file) return missing;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, key, len) == 0 && sscanf(line + len, "%d", &value) == 1) break;
    fclose(file);
    return value;
}

static int io_uring_disabled(void) {
    return proc_number("/proc/sys/kernel/io_uring_disabled", "", -1);
}

static void probe_kernel(struct probe *probe) {
    struct utsname name;
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &probe->kernel_major, &probe->kernel_minor) != 2)
        probe->kernel_major = probe->kernel_minor = 0;
    probe->disabled = io_uring_disabled();
}

/* What a failed attempt says about the feature: nothing, if it was for want of descriptors or memory. Those of `error`
 * that are no errors are passed by. */
static void note_lack(struct probe *probe, int error) {
    if (error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS)
        probe->short_of = error;
}

/* A ring with these flags, or a negative errno. */
static int try_setup(struct probe *probe, unsigned flags, int attach_fd) {
    struct io_uring_params params = {.flags = flags, .sq_thread_idle = 1};
    if (attach_fd >= 0) params.wq_fd = (unsigned)attach_fd;
    int fd = ring_sys_setup(2, &params);
    note_lack(probe, fd);
    return fd;
}

static bool can_setup(struct probe *probe, unsigned flags) {
    int fd = try_setup(probe, flags, -1);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static void probe_setup(struct probe *probe) {
    probe->single_issuer = can_setup(probe, IORING_SETUP_SINGLE_ISSUER);
    probe->defer_taskrun = can_setup(probe, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    probe->coop_taskrun = can_setup(probe, IORING_SETUP_COOP_TASKRUN);
    int first = try_setup(probe, IORING_SETUP_SQPOLL, -1);
    if (first < 0) return;
    probe->sqpoll = true;
    int second = try_setup(probe, IORING_SETUP_SQPOLL | IORING_SETUP_ATTACH_WQ, first);
    probe->attach_wq = second >= 0;
    if (second >= 0) close(second);
    close(first);
}

static void probe_operations(struct probe *probe, struct ring *ring) {
    union {
        struct io_uring_probe head;
        char room[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
    } answer;
    memset(&answer, 0, sizeof(answer)); /* the kernel insists */
    if (ring_sys_register(ring->fd, IORING_REGISTER_PROBE, &answer, OPS) < 0) return;
    const struct io_uring_probe_op *ops = answer.head.ops;
    probe->async_cancel = ops[IORING_OP_ASYNC_CANCEL].flags & IO_URING_OP_SUPPORTED;
    probe->msg_ring = ops[IORING_OP_MSG_RING].flags & IO_URING_OP_SUPPORTED;
    probe->writev = ops[IORING_OP_WRITEV].flags & IO_URING_OP_SUPPORTED;
}

/* Does the request that was just queued complete with success, and go on? Its result, or a negative errno. */
static int first_of_many(struct ring *ring) {
    int error = ring_wait(ring, 1, 0, PATIENCE_US);
    if (error) return error;
    int result = ring_cqe(ring, 0)->res;
    bool more = ring_cqe(ring, 0)->flags & IORING_CQE_F_MORE;
    ring_advance(ring, ring_ready(ring));
    if (result >= 0 && !more) return -EOPNOTSUPP;
    return result;
}

/* There is one: of the ring's few, each attempt takes one. */
static struct io_uring_sqe *probe_sqe(struct ring *ring) {
    struct io_uring_sqe *sqe = ring_sqe(ring);
    assert(sqe);
    return sqe;
}

/* 1, or a negative errno. */
static int try_recv(struct ring *ring, unsigned group) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    prep_recv_multishot(probe_sqe(ring), pair[0], group, 1);
    int result = write(pair[1], "x", 1) == 1 ? first_of_many(ring) : -errno;
    close(pair[0]);
    close(pair[1]);
    return result;
}

/* Over a Unix socket whose abstract name the kernel chooses, so that nothing is left behind. 0 or a negative errno. */
static int try_accept(struct ring *ring) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(name);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool open = listener >= 0 && client >= 0 &&
                bind(listener, (struct sockaddr *)&name, sizeof(name.sun_family)) == 0 &&
                listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&name, &len) == 0 &&
                connect(client, (struct sockaddr *)&name, len) == 0;
    int accepted = -errno;
    if (open) {
        prep_accept_multishot(probe_sqe(ring), listener, SOCK_CLOEXEC, 2);
        accepted = first_of_many(ring);
    }
    if (accepted >= 0) close(accepted);
    if (client >= 0) close(client);
    if (listener >= 0) close(listener);
    return accepted >= 0 ? 0 : accepted;
}

static bool works(struct probe *probe, int result) {
    note_lack(probe, result);
    return result >= 0;
}

static void probe_ring(struct probe *probe, struct ring *ring) {
    struct buffers buffers;
    struct files files;
    probe->registered_ring = ring->enter_flags & IORING_ENTER_REGISTERED_RING;
    probe->ext_arg = ring->features & IORING_FEAT_EXT_ARG;
    probe->min_wait = ring->min_wait;
    probe->sparse_files = works(probe, files_open(&files, ring, 2));
    probe->multishot_accept = works(probe, try_accept(ring));
    struct buffers_options two = {.count = 2, .least = 2, .size = 64};
    probe->provided_buffers = works(probe, buffers_open(&buffers, ring, &two));
    probe->multishot_recv = probe->provided_buffers && works(probe, try_recv(ring, 0));
    buffers_close(&buffers);
    files_close(&files);
}

static void probe_epoll(struct probe *probe) {
    static const struct __kernel_timespec at_once = {0};
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) return;
    probe->epoll = true;
    probe->epoll_pwait2 = syscall(__NR_epoll_pwait2, fd, &event, 1, &at_once, NULL, sizeof(uint64_t)) ==
                          0; /* nothing is there */
    close(fd);
}

void probe_run(struct probe *probe) {
    static const struct ring_options options = {
        .sq_entries = 4, .cq_entries = 16, .mode = RING_INLINE, .attach_fd = -1, .sq_cpu = -1};
    struct ring ring;
    *probe = (struct probe){0};
    probe_kernel(probe);
    probe_epoll(probe);
    probe->error = ring_open(&ring, &options);
    if (probe->error) return;
    probe_operations(probe, &ring);
    probe_ring(probe, &ring);
    ring_close(&ring);
    probe_setup(probe);
}

static bool seccomp_filters(void) {
    return proc_number("/proc/self/status", "Seccomp:", 0) == 2;
}

static void say_seccomp(struct text *text) {
    text_format(
        text,
        "A seccomp filter is active and most likely forbids io_uring, as container runtimes do by default. "
        "Allow io_uring_setup, io_uring_enter and io_uring_register in its profile, or start the container "
        "with --security-opt seccomp=unconfined.");
}

static void say_limit(struct text *text, int resource, const char *what) {
    struct rlimit limit = {0};
    getrlimit(resource, &limit);
    if (limit.rlim_cur == RLIM_INFINITY)
        text_format(text, "%s is unlimited", what);
    else
        text_format(text, "%s is %llu", what, (unsigned long long)limit.rlim_cur);
}

static void say_not_permitted(struct text *text) {
    int disabled = io_uring_disabled();
    if (disabled == 2)
        text_format(
            text,
            "io_uring is switched off on this machine: set it with `sysctl kernel.io_uring_disabled=0`.");
    else if (disabled == 1)
        text_format(text,
                    "io_uring is reserved to privileged processes: run kevy under the group that `sysctl "
                    "kernel.io_uring_group` names, or set `sysctl kernel.io_uring_disabled=0`.");
    else if (seccomp_filters())
        say_seccomp(text);
    else
        text_format(text,
                    "A security module (SELinux, AppArmor) forbids io_uring to this process: allow it in its "
                    "policy.");
}

static void say_remedy(struct text *text, int error) {
    switch (-error) {
    case EPERM:
    case EACCES: say_not_permitted(text); break;
    case ENOSYS:
        if (seccomp_filters())
            say_seccomp(text);
        else
            text_format(
                text, "This kernel is too old, or was built without CONFIG_IO_URING: kevy needs Linux 6.0 or "
                      "newer.");
        break;
    case ENOMEM:
        say_limit(text, RLIMIT_MEMLOCK, "The limit on locked memory (ulimit -l, in bytes)");
        text_format(
            text,
            ": raise it (LimitMEMLOCK=infinity in a systemd unit, --ulimit memlock=-1 for a container), "
            "allow more memory, or configure fewer shards.");
        break;
    case EMFILE:
        say_limit(text, RLIMIT_NOFILE, "The limit on open files (ulimit -n)");
        text_format(text, ": raise it (LimitNOFILE= in a systemd unit), or configure fewer shards.");
        break;
    case ENFILE: text_format(text, "The machine is out of open files: raise `sysctl fs.file-max`."); break;
    case EINVAL:
    case EOPNOTSUPP:
        text_format(
            text, "This kernel does not know the modes that kevy asks for: it needs Linux 6.0 or newer. With "
                  "io mode "
                  "sqpoll, also check that the CPU given to the poll thread exists and is allowed to this "
                  "process.");
        break;
    default: text_format(text, "No remedy is known for this error."); break;
    }
}

const char *probe_explain(int error, unsigned n, unsigned rings, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    assert(error < 0 && n <= rings);
    text_format(&out, "The kernel refused io_uring ring %u of %u: %s. ", n, rings, strerror(-error));
    say_remedy(&out, error);
    return text;
}

/* It may be there and may not: nobody could look. */
static const char *explain_lack(struct text *out, int error, const char *feature) {
    text_format(out, "Whether this kernel has io_uring's %s could not be tried: %s. ", feature,
                strerror(-error));
    say_remedy(out, error);
    return out->data;
}

const char *probe_refusal(const struct probe *probe, char *text, size_t size) {
    if (probe->error) return probe_explain(probe->error, 1, 1, text, size);
    struct text out = text_fixed(text, size);
    unsigned missing = 0;
    for (unsigned i = 0; i < FEATURES; i++) {
        if (!features[i].required || has(probe, &features[i])) continue;
        if (probe->short_of) return explain_lack(&out, probe->short_of, features[i].name);
        text_format(&out, "%s%s", missing++ ? ", " : "io_uring of this kernel lacks ", features[i].name);
    }
    if (missing == 0) return NULL;
    text_format(&out, ". kevy needs Linux 6.0 or newer; this is Linux %u.%u.", probe->kernel_major,
                probe->kernel_minor);
    if (seccomp_filters()) text_format(&out, " "), say_seccomp(&out);
    return text;
}

size_t probe_describe(const struct probe *probe, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    text_format(&out, "Linux %u.%u, ", probe->kernel_major, probe->kernel_minor);
    if (probe->disabled < 0)
        text_format(&out, "no kernel.io_uring_disabled\n");
    else
        text_format(&out, "kernel.io_uring_disabled %d\n", probe->disabled);
    if (probe->error) text_format(&out, "io_uring is refused: %s\n", strerror(-probe->error));
    if (probe->short_of) text_format(&out, "not all could be tried: %s\n", strerror(-probe->short_of));
    for (unsigned i = 0; i < FEATURES; i++) {
        const struct feature *feature = &features[i];
        const char *answer = has(probe, feature) ? "yes" : feature->required ? "no, required" : "no";
        text_format(&out, "%-16s  %-12s  %s\n", feature->name, answer, feature->use);
    }
    return out.len;
}
