/* ring_calls.h - the system calls of io_uring for a program that has the first of them refused now and then: it defines
 * ring_sys_setup itself, and the linker leaves out the file that does so otherwise. */
#ifndef KEVY_TESTS_RING_CALLS_H
#define KEVY_TESTS_RING_CALLS_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring/ring.h"

static inline int ring_setup_granted(unsigned entries, struct io_uring_params *params) {
    long fd = syscall(__NR_io_uring_setup, entries, params);
    return fd < 0 ? -errno : (int)fd;
}

int ring_sys_enter(int fd, unsigned submit, unsigned want, unsigned flags, const void *arg, size_t arg_len) {
    long n = syscall(__NR_io_uring_enter, fd, submit, want, flags, arg, arg_len);
    return n < 0 ? -errno : (int)n;
}

int ring_sys_register(int fd, unsigned opcode, const void *arg, unsigned count) {
    long n = syscall(__NR_io_uring_register, fd, opcode, arg, count);
    return n < 0 ? -errno : (int)n;
}

#endif
