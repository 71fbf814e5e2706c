/* explain.c - limits that end a start, and their remedies. */
#include "server/process/explain.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "protocol/text.h"

static bool is_limited(int resource, unsigned long long *limit) {
    struct rlimit found;
    if (getrlimit((__rlimit_resource_t)resource, &found) < 0 || found.rlim_cur == RLIM_INFINITY) return false;
    *limit = found.rlim_cur;
    return true;
}

static void say_addresses(struct text *text) {
    unsigned long long bytes;
    if (is_limited(RLIMIT_AS, &bytes))
        text_format(text,
                    " The limit on address space (ulimit -v, in KiB) is %llu: raise it (LimitAS=infinity in "
                    "a systemd "
                    "unit), or configure fewer shards.",
                    bytes / 1024);
}

static void say_descriptors(struct text *text) {
    unsigned long long count;
    if (is_limited(RLIMIT_NOFILE, &count))
        text_format(
            text,
            " The limit on open files (ulimit -n) is %llu: raise it (LimitNOFILE= in a systemd unit), or "
            "configure fewer shards.",
            count);
}

static void say_processes(struct text *text) {
    unsigned long long count;
    if (is_limited(RLIMIT_NPROC, &count))
        text_format(text, " The limit on processes and threads of this user (ulimit -u) is %llu.", count);
    text_format(
        text,
        " Allow more of them (TasksMax= and LimitNPROC= in a systemd unit, --pids-limit for a container), or "
        "configure fewer shards.");
}

const char *explain_keyspace(int error, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    text_format(&out, "No room for the keyspace: %s.", strerror(-error));
    if (error == -ENOMEM) say_addresses(&out);
    return text;
}

bool explain_room(uint64_t bytes, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    unsigned long long limit;
    if (!is_limited(RLIMIT_AS, &limit)) return false;
    text_format(
        &out, "The limit on address space (ulimit -v %llu) leaves room for %llu MiB of keys and small values",
        limit / 1024, (unsigned long long)bytes >> 20);
    return true;
}

const char *explain_epoll(int error, unsigned n, unsigned shards, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    text_format(&out, "The kernel refused what shard %u of %u needs of epoll: %s.", n, shards,
                strerror(-error));
    if (error == -EMFILE) say_descriptors(&out);
    if (error == -ENFILE) text_format(&out, " The machine is out of open files: raise `sysctl fs.file-max`.");
    if (error == -ENOMEM) say_addresses(&out);
    return text;
}

/* A thread needs an entry in the kernel's table, and addresses for its stack: EAGAIN is said of either. */
const char *explain_thread(int error, unsigned n, unsigned shards, char *text, size_t size) {
    struct text out = text_fixed(text, size);
    text_format(&out, "Cannot start the thread of shard %u of %u: %s.", n, shards, strerror(-error));
    if (error == -EAGAIN) say_processes(&out);
    if (error == -EAGAIN || error == -ENOMEM) say_addresses(&out);
    return text;
}
