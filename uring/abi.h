/* abi.h - the kernel's io_uring ABI: <linux/io_uring.h>, and what Debian 12's copy of it (Linux 6.1) lacks; and a number of
 * epoll's.
 *
 * Everything added here is refused with EINVAL, or simply not announced, by a kernel that does not know it. */
#ifndef KEVY_URING_ABI_H
#define KEVY_URING_ABI_H

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <stdint.h>

/* The numbers are the same on every architecture. */
#ifndef __NR_io_uring_setup
#define __NR_io_uring_setup 425
#endif
#ifndef __NR_io_uring_enter
#define __NR_io_uring_enter 426
#endif
#ifndef __NR_io_uring_register
#define __NR_io_uring_register 427
#endif
#ifndef __NR_epoll_pwait2 /* Linux 5.11, for glibc before 2.35 */
#define __NR_epoll_pwait2 441
#endif

/* Linux 6.6: the n-th SQE is the n-th submission; the kernel reads no index array in between. */
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

/* Linux 6.12: abi_getevents_arg.min_wait_usec is honoured. */
#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif

/* struct io_uring_getevents_arg as of Linux 6.12; before that the third field was padding and had to be zero. */
struct abi_getevents_arg {
    uint64_t sigmask;
    uint32_t sigmask_size;
    uint32_t min_wait_usec;
    uint64_t ts; /* address of a struct __kernel_timespec, or 0 */
};

_Static_assert(sizeof(struct abi_getevents_arg) == sizeof(struct io_uring_getevents_arg),
               "one size, two spellings");
_Static_assert(sizeof(struct io_uring_sqe) == 64 && sizeof(struct io_uring_cqe) == 16,
               "the rings have plain entries");
_Static_assert(sizeof(struct io_uring_buf) == 16, "a ring of buffers has 16 bytes an entry");
_Static_assert(sizeof(struct __kernel_timespec) == 16, "64 bits of seconds on every architecture");

#endif
