/* ring_sys.c - the three io_uring system calls, raw: glibc has no wrappers for them.
 *
 * They have a file of their own because -Wl,--wrap replaces calls between object files only. */
#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring/ring.h"

static int result(long value) {
    return value < 0 ? -errno : (int)value;
}

int ring_sys_setup(unsigned entries, struct io_uring_params *params) {
    return result(syscall(__NR_io_uring_setup, entries, params));
}

int ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg, size_t arg_len) {
    return result(syscall(__NR_io_uring_enter, fd, submit, want, flags, arg, arg_len));
}

int ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count) {
    return result(syscall(__NR_io_uring_register, fd, opcode, arg, count));
}
