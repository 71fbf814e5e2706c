/* Each limit is named with its value and its remedy, and only where there is one. */
#include "server/process/explain.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/check.h"

/* A limit that no process reaches: its address space has 2^47 bytes, of which sanitizers take what they like. */
#define ADDRESSES ((rlim_t)1 << 50)

static char text[1024];

static void limit_to(__rlimit_resource_t resource, rlim_t most) {
    struct rlimit limit;
    CHECK_INT(getrlimit(resource, &limit), 0);
    limit.rlim_cur = most;
    CHECK_INT(setrlimit(resource, &limit), 0);
}

static void the_keyspace_s_room_is_address_space(void) {
    limit_to(RLIMIT_AS, RLIM_INFINITY);
    CHECK(!explain_room(1, text, sizeof text));
    CHECK_BYTES(bytes_of(explain_keyspace(-ENOMEM, text, sizeof text)),
                BYTES("No room for the keyspace: Cannot allocate memory."));
    limit_to(RLIMIT_AS, ADDRESSES);
    CHECK_BYTES(
        bytes_of(explain_keyspace(-ENOMEM, text, sizeof text)),
        BYTES("No room for the keyspace: Cannot allocate memory. The limit on address space (ulimit "
              "-v, in KiB) is "
              "1099511627776: raise it (LimitAS=infinity in a systemd unit), or configure fewer shards."));
    CHECK(!strstr(explain_keyspace(-ENOSYS, text, sizeof text), "ulimit"));
    CHECK(explain_room(5 << 20, text, sizeof text));
    CHECK_BYTES(
        bytes_of(text),
        BYTES("The limit on address space (ulimit -v 1099511627776) leaves room for 5 MiB of keys and small "
              "values"));
    limit_to(RLIMIT_AS, RLIM_INFINITY);
}

static void a_thread_may_lack_a_place_or_addresses(void) {
    limit_to(RLIMIT_AS, RLIM_INFINITY);
    limit_to(RLIMIT_NPROC, 77);
    explain_thread(-EAGAIN, 2, 4, text, sizeof text);
    CHECK(strstr(text, "Cannot start the thread of shard 2 of 4: Resource temporarily unavailable."));
    CHECK(strstr(text, "(ulimit -u) is 77.") && strstr(text, "TasksMax=") && !strstr(text, "ulimit -v"));
    limit_to(RLIMIT_AS, ADDRESSES);
    CHECK(strstr(explain_thread(-EAGAIN, 2, 4, text, sizeof text), "ulimit -v"));
    CHECK(!strstr(explain_thread(-EPERM, 2, 4, text, sizeof text), "ulimit"));
}

static void epoll_may_lack_descriptors_or_memory(void) {
    limit_to(RLIMIT_AS, RLIM_INFINITY);
    limit_to(RLIMIT_NOFILE, 99);
    CHECK_BYTES(
        bytes_of(explain_epoll(-EMFILE, 2, 4, text, sizeof text)),
        BYTES("The kernel refused what shard 2 of 4 needs of epoll: Too many open files. The limit on open "
              "files (ulimit -n) is 99: raise it (LimitNOFILE= in a systemd unit), or configure fewer "
              "shards."));
    CHECK(strstr(explain_epoll(-ENFILE, 2, 4, text, sizeof text), "fs.file-max"));
    CHECK(!strstr(explain_epoll(-ENOMEM, 2, 4, text, sizeof text), "ulimit"));
    limit_to(RLIMIT_AS, (rlim_t)3 << 30);
    CHECK(strstr(explain_epoll(-ENOMEM, 2, 4, text, sizeof text), "ulimit -v"));
    limit_to(RLIMIT_AS, RLIM_INFINITY);
}

int main(void) {
    RUN(the_keyspace_s_room_is_address_space);
    RUN(epoll_may_lack_descriptors_or_memory);
    RUN(a_thread_may_lack_a_place_or_addresses);
    return 0;
}
