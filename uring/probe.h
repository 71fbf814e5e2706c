/* probe.h - what this kernel offers, in words that a user can act on. */
#ifndef KEVY_URING_PROBE_H
#define KEVY_URING_PROBE_H

#include <stdbool.h>
#include <stddef.h>

struct probe {
    int error; /* 0, or the negative errno that io_uring_setup gave: then nothing of io_uring is true below */
    int short_of; /* 0, or the negative errno of a lack (descriptors, memory) for which some features could not be tried */
    unsigned kernel_major, kernel_minor;
    int disabled; /* /proc/sys/kernel/io_uring_disabled: 0, 1, 2; -1 where the file does not exist */
    bool single_issuer, defer_taskrun, coop_taskrun, sqpoll, attach_wq;
    bool registered_ring, provided_buffers, sparse_files, ext_arg, min_wait;
    bool multishot_accept, multishot_recv, async_cancel, msg_ring, writev;
    bool epoll, epoll_pwait2; /* true or not whatever `error` says */
};

/* Opens a small ring, asks it what it can do, closes it; and the same of epoll. Each feature is tried or asked of
 * IORING_REGISTER_PROBE, never guessed from the version where it can be tried. */
void probe_run(struct probe *probe);

/* Can kevy run on io_uring here? NULL if yes. Else what is refused, why, and the remedy, in one paragraph
 * written to `text`. */
const char *probe_refusal(const struct probe *probe, char *text, size_t size);

/* The same for a failed ring_open on the n-th of `rings` rings (memlock, seccomp, limits). */
const char *probe_explain(int error, unsigned n, unsigned rings, char *text, size_t size);

/* A table, a line a feature: name, yes/no, what kevy uses it for. Ends with a newline. Returns the length written. */
size_t probe_describe(const struct probe *probe, char *text, size_t size);

#endif
