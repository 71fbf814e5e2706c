/* ring_sys.c - ring.c against kernels that are older, full or interrupted: the three system calls are
 * replaced here (the archive's ring_sys.o is not linked when its symbols are already there) and refuse on demand. */
#include <errno.h>
#include <sys/syscall.h>

#include "tests/unit/uring_fixture.h"

static struct {
    unsigned unknown_setup_flags; /* EINVAL, as a kernel from before they existed */
    unsigned missing_features;
    int setup_error;         /* refuses every ring */
    int register_error;      /* refuses every registration */
    int enter_error;         /* refuses the next enter */
    unsigned most_submitted; /* an enter takes no more SQEs than this, when not 0 */
} kernel;

static int result(long value) {
    return value < 0 ? -errno : (int)value;
}

int ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    if (kernel.setup_error) return kernel.setup_error;
    if (params->flags & kernel.unknown_setup_flags) return -EINVAL;
    int fd = result(syscall(__NR_io_uring_setup, entries, params));
    params->features &= ~kernel.missing_features;
    return fd;
}

int ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg, size_t arg_len) {
    int error = kernel.enter_error;
    kernel.enter_error = 0;
    if (error) return error;
    unsigned most = kernel.most_submitted;
    if (most && submit > most) submit = most, want = 0; /* a kernel that submits less does not wait */
    return result(syscall(__NR_io_uring_enter, fd, submit, want, flags, arg, arg_len));
}

int ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count) {
    if (kernel.register_error) return kernel.register_error;
    return result(syscall(__NR_io_uring_register, fd, opcode, arg, count));
}

/* Fills the queue thrice over and expects every completion once, whatever the kernel did in between. */
static void check_round_trips(struct ring *ring) {
    uint64_t sent = 0, seen = 0, end = 3 * ring->sq_entries;
    for (unsigned turn = 0; seen < end && turn < 1000; turn++) {
        while (sent < end && ring_sqe_room(ring)) prep_nop(must_sqe(ring), sent++);
        int error = turn % 2 ? ring_submit(ring) : ring_wait(ring, 1, 0, PATIENCE_US);
        CHECK(error >= 0 || error == -EAGAIN || error == -EINTR || error == -EBUSY);
        for (; ring_ready(ring); ring_advance(ring, 1)) CHECK_INT(ring_cqe(ring, 0)->user_data, seen++);
    }
    CHECK_INT(seen, end);
    CHECK(quiet(ring));
}

static void check_fallback(enum ring_mode mode, unsigned unknown, unsigned expected) {
    struct ring ring;
    struct ring_options options = small_ring;
    options.mode = mode;
    kernel.unknown_setup_flags = unknown;
    open_ring(&ring, options);
    CHECK_INT(ring.setup_flags & unknown, 0);
    CHECK_INT(ring.setup_flags & expected, expected);
    check_round_trips(&ring);
    ring_close(&ring);
    kernel.unknown_setup_flags = 0;
}

static void an_older_kernel_gets_the_flags_that_it_knows(void) {
    check_fallback(RING_INLINE, 0, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_SQARRAY);
    check_fallback(RING_INLINE, IORING_SETUP_NO_SQARRAY,
                   IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER);
    check_fallback(RING_INLINE, IORING_SETUP_NO_SQARRAY | IORING_SETUP_DEFER_TASKRUN,
                   IORING_SETUP_COOP_TASKRUN);
    check_fallback(RING_SQPOLL, 0, IORING_SETUP_SQPOLL | IORING_SETUP_NO_SQARRAY);
    check_fallback(RING_SQPOLL, IORING_SETUP_NO_SQARRAY, IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER);
    check_fallback(RING_SQPOLL, IORING_SETUP_NO_SQARRAY | IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SQPOLL);
}

static void a_kernel_that_knows_none_of_them_is_refused(void) {
    struct ring ring;
    kernel.unknown_setup_flags = IORING_SETUP_SUBMIT_ALL;
    CHECK_INT(ring_open(&ring, &small_ring), -EINVAL);
    CHECK_INT(ring.fd, -1);
    kernel.unknown_setup_flags = 0;
    kernel.missing_features = IORING_FEAT_EXT_ARG;
    CHECK_INT(ring_open(&ring, &small_ring), -EOPNOTSUPP);
    CHECK_INT(ring.fd, -1);
    kernel.missing_features = 0;
}

static void the_reason_of_a_refusal_is_passed_on(void) {
    static const int reasons[] = {-ENOMEM, -EPERM, -ENOSYS, -EMFILE};
    for (unsigned i = 0; i < 4; i++) {
        struct ring ring;
        kernel.setup_error = reasons[i];
        CHECK_INT(ring_open(&ring, &small_ring), reasons[i]);
    }
    kernel.setup_error = 0;
}

static void a_ring_works_without_its_descriptor_registered(void) {
    struct ring ring;
    kernel.register_error = -EBUSY;
    open_ring(&ring, small_ring);
    CHECK_INT(ring.enter_flags, 0);
    check_round_trips(&ring);
    ring_close(&ring);
    kernel.register_error = 0;
}

static void a_refused_enter_loses_nothing(void) {
    static const int reasons[] = {-EAGAIN, -EINTR, -EBUSY};
    for (unsigned i = 0; i < 3; i++) {
        struct ring ring;
        open_ring(&ring, small_ring);
        prep_nop(must_sqe(&ring), 99);
        kernel.enter_error = reasons[i];
        CHECK_INT(ring_submit(&ring), reasons[i]);
        kernel.enter_error = reasons[i];
        CHECK_INT(ring_wait(&ring, 1, 0, NO_LIMIT), reasons[i]);
        CHECK_INT(next_completion(&ring).user_data, 99);
        CHECK(quiet(&ring));
        check_round_trips(&ring);
        ring_close(&ring);
    }
}

static void a_partial_submission_is_finished_later(void) {
    for (unsigned most = 1; most < 8; most += 2) {
        struct ring ring;
        open_ring(&ring, small_ring);
        kernel.most_submitted = most;
        check_round_trips(&ring);
        ring_close(&ring);
    }
    kernel.most_submitted = 0;
}

int main(void) {
    RUN(an_older_kernel_gets_the_flags_that_it_knows);
    RUN(a_kernel_that_knows_none_of_them_is_refused);
    RUN(the_reason_of_a_refusal_is_passed_on);
    RUN(a_ring_works_without_its_descriptor_registered);
    RUN(a_refused_enter_loses_nothing);
    RUN(a_partial_submission_is_finished_later);
    return 0;
}
