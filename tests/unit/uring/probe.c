/* probe.c - what the probe finds on this kernel, and what it says about kernels that refuse. The system
 * calls are replaced here, as in ring_sys.c, so that they can. */
#include <errno.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/uring_fixture.h"
#include "uring/probe.h"

static struct {
    unsigned refused_flags;     /* of io_uring_setup: EINVAL */
    unsigned refused_registers; /* bit n: io_uring_register opcode n is EINVAL */
    unsigned missing_features;
    int setup_error;
} kernel;

static int result(long value) {
    return value < 0 ? -errno : (int)value;
}

int ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    if (kernel.setup_error) return kernel.setup_error;
    if (params->flags & kernel.refused_flags) return -EINVAL;
    int fd = result(syscall(__NR_io_uring_setup, entries, params));
    params->features &= ~kernel.missing_features;
    return fd;
}

int ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg, size_t arg_len) {
    return result(syscall(__NR_io_uring_enter, fd, submit, want, flags, arg, arg_len));
}

int ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count) {
    if (kernel.refused_registers >> opcode & 1) return -EINVAL;
    return result(syscall(__NR_io_uring_register, fd, opcode, arg, count));
}

static bool contains(const char *text, const char *part) {
    if (strstr(text, part)) return true;
    fprintf(stderr, "\"%s\" is not in:\n%s\n", part, text);
    return false;
}

/* The rest of the suite runs on this kernel, so kevy does. */
static void this_kernel_will_do(void) {
    struct probe probe;
    char text[4096];
    probe_run(&probe);
    const char *refusal = probe_refusal(&probe, text, sizeof(text));
    if (refusal) fprintf(stderr, "%s\n", refusal);
    CHECK(refusal == NULL);
    CHECK(probe.kernel_major >= 6);
    CHECK(probe.single_issuer && probe.ext_arg && probe.multishot_recv && probe.multishot_accept);
}

static void what_was_refused_is_reported_missing_and_nothing_else(void) {
    struct probe all, probe;
    probe_run(&all);
    kernel.refused_flags = IORING_SETUP_DEFER_TASKRUN;
    probe_run(&probe);
    CHECK(!probe.defer_taskrun);
    probe.defer_taskrun = all.defer_taskrun;
    char text[4096], all_text[4096];
    probe_describe(&probe, text, sizeof(text));
    probe_describe(&all, all_text, sizeof(all_text));
    CHECK(strcmp(text, all_text) == 0);

    kernel.refused_flags = IORING_SETUP_SQPOLL;
    probe_run(&probe);
    CHECK(!probe.sqpoll && !probe.attach_wq && probe.single_issuer && probe.coop_taskrun);

    kernel.refused_flags = 0;
    kernel.missing_features = IORING_FEAT_MIN_TIMEOUT;
    probe_run(&probe);
    CHECK(!probe.min_wait && probe.ext_arg);
    kernel.missing_features = 0;

    kernel.refused_registers = 1u << IORING_REGISTER_FILES2 | 1u << IORING_REGISTER_RING_FDS;
    probe_run(&probe);
    CHECK(!probe.sparse_files && !probe.registered_ring && probe.multishot_recv && probe.async_cancel);
    kernel.refused_registers = 0;
}

static void a_missing_requirement_is_named(void) {
    struct probe probe;
    char text[4096];
    kernel.refused_registers = 1u << IORING_REGISTER_PBUF_RING;
    probe_run(&probe);
    kernel.refused_registers = 0;
    CHECK(!probe.provided_buffers && !probe.multishot_recv && probe.multishot_accept);
    CHECK(probe_refusal(&probe, text, sizeof(text)) == text);
    CHECK(contains(text, "provided_buffers"));
    CHECK(contains(text, "multishot_recv"));
    CHECK(contains(text, "Linux 6.0"));
    CHECK(strstr(text, "multishot_accept") == NULL);
}

/* What could not be tried is not said to be missing. */
static void a_lack_of_descriptors_is_told_as_one(void) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct probe probe;
        char text[4096], limit_text[64];
        int next = dup(0);
        struct rlimit limit = {(rlim_t)next + 2, (rlim_t)next + 2}; /* a ring, and one more */
        CHECK(next >= 0 && close(next) == 0);
        CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
        probe_run(&probe);
        CHECK(probe.error == 0 && probe.short_of == -EMFILE);
        CHECK(probe_refusal(&probe, text, sizeof(text)) == text);
        snprintf(limit_text, sizeof(limit_text), "The limit on open files (ulimit -n) is %d", next + 2);
        CHECK(contains(text, "could not be tried: Too many open files."));
        CHECK(contains(text, limit_text));
        CHECK(strstr(text, "lacks") == NULL);
        probe_describe(&probe, text, sizeof(text));
        CHECK(contains(text, "not all could be tried: Too many open files\n"));
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

static void a_missing_convenience_is_no_refusal(void) {
    struct probe probe;
    char text[4096];
    kernel.refused_flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SQPOLL | IORING_SETUP_NO_SQARRAY;
    kernel.missing_features = IORING_FEAT_MIN_TIMEOUT;
    probe_run(&probe);
    kernel.refused_flags = kernel.missing_features = 0;
    CHECK(probe_refusal(&probe, text, sizeof(text)) == NULL);
}

static void a_refused_ring_leaves_every_feature_unclaimed(void) {
    struct probe probe;
    char text[4096];
    kernel.setup_error = -ENOSYS;
    probe_run(&probe);
    kernel.setup_error = 0;
    CHECK_INT(probe.error, -ENOSYS);
    CHECK(probe_refusal(&probe, text, sizeof(text)) == text);
    CHECK(contains(text, "ring 1 of 1"));
    CHECK(probe_describe(&probe, text, sizeof(text)) > 0);
    CHECK(contains(text, "io_uring is refused: Function not implemented"));
    char *of_epoll = strstr(text, "\nepoll ");
    CHECK(of_epoll && contains(of_epoll, "yes")); /* it does not depend on io_uring */
    *of_epoll = '\0';
    CHECK(strstr(text, "yes") == NULL);
}

static void every_refusal_comes_with_a_remedy(void) {
    static const struct {
        int error;
        const char *cause, *remedy;
    } refusals[] = {
        {-ENOMEM, "Cannot allocate memory", "LimitMEMLOCK=infinity"},
        {-EMFILE, "Too many open files", "LimitNOFILE="},
        {-ENFILE, "Too many open files in system", "fs.file-max"},
        {-EINVAL, "Invalid argument", "Linux 6.0"},
        {-EPERM, "Operation not permitted", ""}, /* these two depend on where the test runs */
        {-ENOSYS, "Function not implemented", ""},
        {-EIO, "Input/output error", "No remedy"},
    };
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char text[4096];
        CHECK(probe_explain(refusals[i].error, 3, 4, text, sizeof(text)) == text);
        CHECK(contains(text, "ring 3 of 4"));
        CHECK(contains(text, refusals[i].cause));
        CHECK(contains(text, refusals[i].remedy));
        CHECK(strlen(strstr(text, refusals[i].cause)) > strlen(refusals[i].cause) + strlen(". Do this."));
    }
}

static void the_table_has_a_line_for_every_feature(void) {
    static const char *const names[] = {
        "single_issuer",    "defer_taskrun",    "coop_taskrun", "sqpoll",   "attach_wq",
        "registered_ring",  "provided_buffers", "sparse_files", "ext_arg",  "min_wait",
        "multishot_accept", "multishot_recv",   "async_cancel", "msg_ring", "writev",
    };
    struct probe probe;
    char text[4096];
    probe_run(&probe);
    size_t len = probe_describe(&probe, text, sizeof(text));
    CHECK_INT(len, strlen(text));
    CHECK(text[len - 1] == '\n');
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) CHECK(contains(text, names[i]));
}

static void a_text_that_does_not_fit_is_cut(void) {
    struct probe probe;
    char text[64];
    probe_run(&probe);
    for (size_t size = 0; size <= 40; size++) {
        memset(text, '#', sizeof(text));
        CHECK_INT(probe_describe(&probe, text, size), size ? size - 1 : 0);
        if (size) CHECK_INT(strlen(text), size - 1);
        CHECK(text[size] == '#');
        memset(text, '#', sizeof(text));
        probe_explain(-ENOMEM, 1, 2, text, size);
        CHECK(text[size] == '#');
    }
}

int main(void) {
    RUN(this_kernel_will_do);
    RUN(what_was_refused_is_reported_missing_and_nothing_else);
    RUN(a_missing_requirement_is_named);
    RUN(a_lack_of_descriptors_is_told_as_one);
    RUN(a_missing_convenience_is_no_refusal);
    RUN(a_refused_ring_leaves_every_feature_unclaimed);
    RUN(every_refusal_comes_with_a_remedy);
    RUN(the_table_has_a_line_for_every_feature);
    RUN(a_text_that_does_not_fit_is_cut);
    return 0;
}
