/* cgroup.h - the share of the machine that the kernel's control groups leave to this process: that is how containers, pods
 * and systemd's units are bounded. */
#ifndef KEVY_SERVER_PROCESS_CGROUP_H
#define KEVY_SERVER_PROCESS_CGROUP_H

#include <stdint.h>

#define CGROUP_UNLIMITED UINT64_MAX

struct cgroup_share {
    uint64_t millicpus;    /* of CPU time: 1500 is one CPU and a half, rounded up; never 0 */
    uint64_t memory_bytes; /* never 0 */
};

/* The least of the limits that the process's own group and all groups around it have, as far as they are mounted; of both
 * versions of control groups, since a machine may have both. What is not there, may not be read or makes no sense bounds
 * nothing. `root` stands for the directory / in a test; "" is the real one. Reads files: for the start. */
struct cgroup_share cgroup_share(const char *root);

#endif
