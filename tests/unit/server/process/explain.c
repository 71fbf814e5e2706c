/* Each limit is named with its value and its remedy, and only where there is one. */
#include "server/process/explain.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/check.h"

static char text[1024];

/* What the kernel would say. The limits themselves are left alone, for a sanitizer could not live with them. */
static rlim_t address_space = RLIM_INFINITY, processes = RLIM_INFINITY;

int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *limit);
int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *limit) {
    limit->rlim_max = RLIM_INFINITY;
    limit->rlim_cur = resource == RLIMIT_AS ? address_space : processes;
    return 0;
}

static void the_keyspace_s_room_is_address_space(void) {
    address_space = RLIM_INFINITY;
    CHECK(!explain_room(1, text, sizeof text));
    CHECK_BYTES(bytes_of(explain_keyspace(-ENOMEM, text, sizeof text)),
                BYTES("No room for the keyspace: Cannot allocate memory."));
    address_space = (rlim_t)3 << 30;
    CHECK_BYTES(bytes_of(explain_keyspace(-ENOMEM, text, sizeof text)),
                BYTES("No room for the keyspace: Cannot allocate memory. The limit on address space (ulimit "
                      "-v, in KiB) is "
                      "3145728: raise it (LimitAS=infinity in a systemd unit), or configure fewer shards."));
    CHECK(!strstr(explain_keyspace(-ENOSYS, text, sizeof text), "ulimit"));
    CHECK(explain_room(5 << 20, text, sizeof text));
    CHECK_BYTES(
        bytes_of(text),
        BYTES("The limit on address space (ulimit -v 3145728) leaves room for 5 MiB of keys and small "
              "values"));
    address_space = RLIM_INFINITY;
}

static void a_thread_may_lack_a_place_or_addresses(void) {
    address_space = RLIM_INFINITY;
    processes = 77;
    explain_thread(-EAGAIN, 2, 4, text, sizeof text);
    CHECK(strstr(text, "Cannot start the thread of shard 2 of 4: Resource temporarily unavailable."));
    CHECK(strstr(text, "(ulimit -u) is 77.") && strstr(text, "TasksMax=") && !strstr(text, "ulimit -v"));
    address_space = (rlim_t)3 << 30;
    CHECK(strstr(explain_thread(-EAGAIN, 2, 4, text, sizeof text), "ulimit -v"));
    CHECK(!strstr(explain_thread(-EPERM, 2, 4, text, sizeof text), "ulimit"));
}

int main(void) {
    RUN(the_keyspace_s_room_is_address_space);
    RUN(a_thread_may_lack_a_place_or_addresses);
    return 0;
}
