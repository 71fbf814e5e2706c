/* Which CPUs shards and poll threads get, on a machine that the test makes up. */
#include "server/process/cpus.h"

#include <errno.h>
#include <sched.h>

#include "server/log.h"
#include "server/process/cgroup.h"
#include "tests/check.h"
#include "tests/unit/options.h"

static cpu_set_t machine;
static uint64_t quota = CGROUP_UNLIMITED; /* thousandths of a CPU */

struct cgroup_share __wrap_cgroup_share(const char *root);
struct cgroup_share __wrap_cgroup_share(const char *root) {
    CHECK_BYTES(bytes_of(root), BYTES(""));
    return (struct cgroup_share){.millicpus = quota, .memory_bytes = 1};
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    CHECK(pid == 0 && size == sizeof machine);
    *set = machine;
    if (CPU_COUNT(set)) return 0;
    errno = EINVAL;
    return -1;
}

static unsigned usable; /* says the last call of find() */

/* So many shards; the process may use `count` CPUs from `first` on. */
static void find(unsigned served, unsigned first, unsigned count, const char *options) {
    config_defaults();
    options_set(options);
    CPU_ZERO(&machine);
    for (unsigned i = 0; i < count; i++) CPU_SET(first + i, &machine);
    usable = cpus_usable();
    cpus_find(served);
}

static void shards_have_a_cpu_each_where_there_are_enough(void) {
    find(3, 4, 3, "");
    for (int i = 0; i < 3; i++) CHECK_INT(cpus_place((unsigned)i).cpu, 4 + i);
    find(4, 4, 3, "");
    for (unsigned i = 0; i < 4; i++) CHECK_INT(cpus_place(i).cpu, -1);
    find(1, 0, 0, ""); /* more CPUs than the set has room for */
    CHECK(cpus_place(0).cpu == -1 && !cpus_place(0).poll_thread && cpus_spare() == 0);
}

static void shards_go_where_they_are_sent(void) {
    find(3, 0, 8, "shard-cpus 6,2\n");
    CHECK(cpus_place(0).cpu == 6 && cpus_place(1).cpu == 2 && cpus_place(2).cpu == 6);
}

static void one_cpu_stays_free_beside_shards_and_poll_threads(void) {
    static const unsigned spare[] = {0, 0, 0, 0, 0, 1, 2};
    for (unsigned count = 1; count < 7; count++) {
        find(3, 0, count, "");
        CHECK_INT(cpus_spare(), spare[count]);
        CHECK_INT(cpus_place(0).poll_thread, spare[count] > 0);
    }
    find(3, 0, 8, "io-sqpoll no\n");
    CHECK(!cpus_place(2).poll_thread);
    find(3, 0, 1, "io-sqpoll yes\n");
    CHECK(cpus_place(2).poll_thread);
}

static void check_leaders(const unsigned *expected, unsigned count) {
    for (unsigned i = 0; i < count; i++) CHECK_INT(cpus_place(i).poll_leader, expected[i]);
}

/* A ring can only share the poll thread of one that was opened before it. */
static void rings_share_poll_threads_with_rings_before_them(void) {
    find(4, 0, 7, "");
    check_leaders((unsigned[]){0, 1, 0, 1}, 4);
    find(4, 0, 2, "");
    check_leaders((unsigned[]){0, 0, 0, 0}, 4);
    find(4, 0, 7, "io-sqpoll-threads 3\n");
    check_leaders((unsigned[]){0, 1, 2, 0}, 4);
    find(2, 0, 8, ""); /* more CPUs to spare than there are rings to make threads */
    check_leaders((unsigned[]){0, 1}, 2);
}

static void poll_threads_stand_behind_the_shards(void) {
    find(4, 8, 7, "");
    CHECK(cpus_place(0).poll_cpu == 12 && cpus_place(1).poll_cpu == 13 && cpus_place(2).poll_cpu == 12);
    find(4, 8, 4, "");
    CHECK_INT(cpus_place(0).poll_cpu, -1);
    find(2, 0, 8, "shard-cpus 6,2\n"); /* who knows what is behind these */
    CHECK_INT(cpus_place(0).poll_cpu, -1);
    find(4, 0, 7, "io-sqpoll-cpus 7,5\n");
    CHECK(cpus_place(0).poll_cpu == 7 && cpus_place(1).poll_cpu == 5 && cpus_place(2).poll_cpu == 7);
}

static void a_quota_feeds_so_many_shards_rounded_up(void) {
    static const struct {
        uint64_t quota;
        unsigned usable;
    } rows[] = {{1, 1},    {999, 1},  {1000, 1},  {1001, 2},          {1500, 2},
                {3001, 4}, {4000, 4}, {64000, 4}, {UINT64_MAX - 1, 4}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        quota = rows[i].quota;
        find(1, 0, 4, "");
        CHECK_INT(usable, rows[i].usable);
    }
    quota = CGROUP_UNLIMITED;
    find(1, 0, 4, "");
    CHECK_INT(usable, 4);
    find(1, 0, 0, "");
    CHECK_INT(usable, 1);
}

/* Where others are paid for the same CPUs nobody sits on one, but where the user wants it. */
static void shards_are_pinned_to_whole_cpus_only(void) {
    quota = 3999;
    find(2, 8, 4, "");
    CHECK(cpus_place(0).cpu == -1 && cpus_place(1).cpu == -1);
    find(2, 8, 4, "shard-cpus 9,8\n");
    CHECK(cpus_place(0).cpu == 9 && cpus_place(1).cpu == 8);
    quota = 4000;
    find(2, 8, 4, "");
    CHECK(cpus_place(0).cpu == 8 && cpus_place(1).cpu == 9);
    quota = CGROUP_UNLIMITED;
}

/* A poll thread takes the time of a CPU: it must be paid for. */
static void poll_threads_come_by_themselves_where_the_quota_pays_for_them(void) {
    quota = 3999;
    find(2, 0, 64, "");
    CHECK(cpus_spare() == 0 && !cpus_place(0).poll_thread);
    quota = 4000;
    find(2, 0, 64, "");
    CHECK(cpus_spare() == 1 && cpus_place(0).poll_thread && cpus_place(0).poll_cpu == -1);
    find(2, 0, 64, "io-sqpoll-cpus 7\n");
    CHECK_INT(cpus_place(0).poll_cpu, 7);
    quota = CGROUP_UNLIMITED;
}

int main(void) {
    log_set_level(LOG_LEVEL_NOTHING);
    RUN(a_quota_feeds_so_many_shards_rounded_up);
    RUN(shards_are_pinned_to_whole_cpus_only);
    RUN(poll_threads_come_by_themselves_where_the_quota_pays_for_them);
    RUN(shards_have_a_cpu_each_where_there_are_enough);
    RUN(shards_go_where_they_are_sent);
    RUN(one_cpu_stays_free_beside_shards_and_poll_threads);
    RUN(rings_share_poll_threads_with_rings_before_them);
    RUN(poll_threads_stand_behind_the_shards);
    return 0;
}
