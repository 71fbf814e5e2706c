/* Which CPUs shards and poll threads get, on a machine that the test makes up. */
#include "server/process/cpus.h"

#include <errno.h>
#include <sched.h>

#include "tests/check.h"
#include "tests/unit/options.h"

static cpu_set_t machine;

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set) {
    CHECK(pid == 0 && size == sizeof machine);
    *set = machine;
    if (CPU_COUNT(set)) return 0;
    errno = EINVAL;
    return -1;
}

/* So many shards; the process may use `count` CPUs from `first` on. */
static void find(unsigned served, unsigned first, unsigned count, const char *options) {
    config_defaults();
    options_set(options);
    CPU_ZERO(&machine);
    for (unsigned i = 0; i < count; i++) CPU_SET(first + i, &machine);
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

int main(void) {
    RUN(shards_have_a_cpu_each_where_there_are_enough);
    RUN(shards_go_where_they_are_sent);
    RUN(one_cpu_stays_free_beside_shards_and_poll_threads);
    RUN(rings_share_poll_threads_with_rings_before_them);
    RUN(poll_threads_stand_behind_the_shards);
    return 0;
}
