/* What control groups leave to the process, in trees of files that the tests make. */
#include "server/process/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"

#define NONE             CGROUP_UNLIMITED
#define PAGE_COUNTER_MAX "9223372036854771712\n" /* "none" of version 1 with pages of 4 KiB */

static char base[] = "/tmp/kevy-cgroup-XXXXXX";
static char root[64]; /* of the tree at hand */

static void run(const char *command) {
    CHECK_INT(system(command), 0);
}

static void begin(void) {
    static unsigned count;
    snprintf(root, sizeof root, "%s/%u", base, count++);
    CHECK_INT(mkdir(root, 0700), 0);
}

/* A file of the tree, and the directories that it is in. */
static void put_bytes(const char *path, struct bytes text) {
    char whole[4096];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(whole, 0700);
        *at = '/';
    }
    FILE *out = fopen(whole, "w");
    CHECK(out && fwrite(text.data, 1, text.len, out) == text.len && fclose(out) == 0);
}

static void put(const char *path, const char *text) {
    put_bytes(path, bytes_of(text));
}

static void check_share(const char *where, int line, uint64_t millicpus, uint64_t memory_bytes) {
    struct cgroup_share share = cgroup_share(root);
    if (share.millicpus == millicpus && share.memory_bytes == memory_bytes) return;
    fprintf(stderr, "%s:%d: %llu millicpus, %llu bytes, expected %llu, %llu\n", where, line,
            (unsigned long long)share.millicpus, (unsigned long long)share.memory_bytes,
            (unsigned long long)millicpus, (unsigned long long)memory_bytes);
    exit(1);
}
#define SHARE(millicpus, memory_bytes) check_share(__func__, __LINE__, millicpus, memory_bytes)

/* A process in /a/b/c of the one tree of version 2, all of which is mounted. */
static void begin_unified(void) {
    begin();
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/proc/self/mountinfo",
        "22 26 0:20 / /proc rw - proc proc rw\n"
        "31 30 0:28 / /sys/fs/cgroup rw,nosuid shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate\n");
}

static void nothing_there_bounds_nothing(void) {
    begin();
    SHARE(NONE, NONE);
    put("/proc/self/cgroup", "0::/a\n");
    SHARE(NONE, NONE);
    put("/proc/self/mountinfo", "");
    SHARE(NONE, NONE);
    begin_unified();
    SHARE(NONE, NONE);
    snprintf(root, sizeof root, "/nonexistent");
    SHARE(NONE, NONE);
    char longer[5000];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    struct cgroup_share share = cgroup_share(longer);
    CHECK(share.millicpus == NONE && share.memory_bytes == NONE);
}

static void the_least_of_all_groups_around_the_process_counts(void) {
    begin_unified();
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
    SHARE(NONE, NONE);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n");
    put("/sys/fs/cgroup/a/b/c/memory.max", "4096\n");
    SHARE(4000, 4096);
    put("/sys/fs/cgroup/a/b/cpu.max", "5000 10000\n"); /* fewer CPUs, and also a shorter period */
    put("/sys/fs/cgroup/a/b/memory.max", "8192\n");
    SHARE(500, 4096);
    put("/sys/fs/cgroup/a/cpu.max", "60000 100000\n");
    put("/sys/fs/cgroup/a/memory.max", "1024\n");
    SHARE(500, 1024);
    put("/sys/fs/cgroup/cpu.max", "1000 1000000\n"); /* the root has none in truth, but a namespace's has */
    SHARE(1, 1024);
    put("/sys/fs/cgroup/a/other/cpu.max", "1 1000000\n");
    put("/sys/fs/cpu.max", "1 1000000\n");
    put("/cpu.max", "1 1000000\n");
    SHARE(1, 1024);
}

static void a_quota_is_rounded_up(void) {
    begin_unified();
    put("/sys/fs/cgroup/a/cpu.max", "150001 100000\n");
    SHARE(1501, NONE);
    put("/sys/fs/cgroup/a/cpu.max", "1 1000000\n");
    SHARE(1, NONE);
}

static void a_mount_may_show_a_part_of_the_tree(void) {
    begin();
    put("/proc/self/cgroup", "0::/kube/pod7/kevy\n");
    put("/proc/self/mountinfo",
        "31 30 0:28 /kube/pod7 /run/groups rw - cgroup2  rw\n"); /* its source is empty */
    put("/run/groups/kevy/cpu.max", "200000 100000\n");
    put("/run/groups/memory.max", "5000\n");
    put("/run/cpu.max", "1 100000\n");
    SHARE(2000, 5000);
    put("/proc/self/cgroup", "0::/kube/pod7\n");
    SHARE(NONE, 5000);
    /* In a namespace of groups. */
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", "31 30 0:28 / /run/groups rw - cgroup2 cgroup rw\n");
    SHARE(NONE, 5000);
    put("/proc/self/mountinfo",
        "31 30 0:28 /.. /run/groups rw - cgroup2 cgroup rw\n"); /* of the parent's groups */
    SHARE(NONE, 5000);
}

/* Names that begin alike are others'. */
static void a_group_is_not_taken_for_another(void) {
    begin();
    put("/proc/self/cgroup", "0::/kube/pod77\n");
    put("/proc/self/mountinfo", "31 30 0:28 /kube/pod7 /first rw - cgroup2 cgroup rw\n"
                                "32 30 0:28 / /second rw - cgroup2 cgroup rw\n");
    put("/first/memory.max", "1\n");
    put("/first/7/memory.max", "2\n");
    put("/first7/memory.max", "2\n");
    put("/second/kube/pod77/memory.max", "3\n");
    SHARE(NONE, 3);
    /* Outside of what the namespace shows. */
    put("/proc/self/cgroup", "0::/../pod8\n");
    put("/second/memory.max", "4\n");
    put("/second/pod8/memory.max", "5\n");
    put("/pod8/memory.max", "6\n");
    SHARE(NONE, NONE);
    put("/proc/self/mountinfo", "31 30 0:28 /.. /second rw - cgroup2 cgroup rw\n");
    SHARE(NONE, 4);
    put("/proc/self/cgroup", "0::/..\n");
    SHARE(NONE, 4);
    put("/proc/self/cgroup", "0::/..pod\n");
    put("/proc/self/mountinfo", "31 30 0:28 / /second rw - cgroup2 cgroup rw\n");
    put("/second/..pod/memory.max", "2\n");
    SHARE(NONE, 2);
}

static void what_alone_is_mounted_is_taken_for_the_group(void) {
    begin();
    put("/proc/self/cgroup", "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n");
    put("/proc/self/mountinfo", "31 30 0:28 /elsewhere /groups/memory rw - cgroup cgroup rw,memory\n"
                                "32 30 0:29 /elsewhere /groups/cpu rw - cgroup cgroup rw,cpuacct,cpu\n");
    put("/groups/memory/memory.limit_in_bytes", "77\n");
    put("/groups/cpu/cpu.cfs_quota_us", "100000\n");
    put("/groups/cpu/cpu.cfs_period_us", "50000\n");
    SHARE(2000, 77);
}

static void version_1_has_a_tree_for_each_controller(void) {
    begin();
    put("/proc/self/cgroup",
        "12:name=systemd:/s\n9:memory:/m/n\n8:xcpu,xmemory:/x\n3:cpu,cpuacct:/c/d\n2:cpuset:/x\n");
    put("/proc/self/mountinfo", "30 22 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
                                "31 30 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                                "32 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                                "33 30 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                "34 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
    put("/sys/fs/cgroup/cpuset/x/cpu.cfs_quota_us", "1\n");
    put("/sys/fs/cgroup/cpuset/x/cpu.cfs_period_us", "1000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/c/d/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/c/d/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/memory/m/n/memory.limit_in_bytes", PAGE_COUNTER_MAX);
    SHARE(NONE, NONE);
    put("/sys/fs/cgroup/memory/m/n/memory.limit_in_bytes", "9223372036854710272\n"); /* pages of 64 KiB */
    SHARE(NONE, NONE);
    put("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "1073741824\n");
    put("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "250000\n");
    SHARE(NONE, 1073741824); /* a quota of no period */
    put("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
    SHARE(2500, 1073741824);
}

static void both_versions_count_where_a_machine_has_both(void) {
    begin();
    put("/proc/self/cgroup", "3:cpu:/c\n0::/u\n");
    put("/proc/self/mountinfo", "32 30 0:29 / /groups/cpu rw - cgroup cgroup rw,cpu\n"
                                "33 30 0:30 / /groups/unified rw - cgroup2 cgroup2 rw\n");
    put("/groups/cpu/c/cpu.cfs_quota_us", "300000\n");
    put("/groups/cpu/c/cpu.cfs_period_us", "100000\n");
    put("/groups/unified/u/memory.max", "123\n");
    SHARE(3000, 123);
    put("/groups/unified/u/cpu.max", "100000 100000\n");
    SHARE(1000, 123);
}

static void paths_may_have_blanks_and_colons(void) {
    begin();
    put("/proc/self/cgroup", "0::/my pod:1/back\\slash\n");
    put("/proc/self/mountinfo",
        "33 30 0:30 /my\\040pod:1 /my\\040groups\\134\\011x rw - cgroup2 cgroup2 rw\n");
    put("/my groups\\\tx/back\\slash/memory.max", "5\n");
    put("/my groups\\\tx/cpu.max", "100000 100000\n");
    SHARE(1000, 5);
    /* Escapes that are none stand for themselves. */
    put("/proc/self/mountinfo", "33 30 0:30 / /g\\08\\9\\777\\000\\04 rw - cgroup2 cgroup2 rw\n");
    put("/g\\08\\9\\777\\000\\04/memory.max", "6\n");
    SHARE(NONE, 6);
}

static void limits_that_make_no_sense_bound_nothing(void) {
    static const char *const quotas[] = {
        "",
        "\n",
        "max\n",
        "100000\n",
        "100000 \n",
        " 100000\n",
        "100000 0\n",
        "0 100000\n",
        "-1 100000\n",
        "1e5 100000\n",
        "100000 100000",
        "100000 100000\n\n",
        "100000  100000\n",
        "100000 100000 1\n",
        "18446744073709551615 1\n",
        "18446744073709551616 100000\n",
        "99999999999999999999999999999999999999999999999999 100000000000000000000\n",
        "100000 18446744073709551616\n",
        "max max\n",
        "100000 max\n",
        "100000\t100000\n"};
    static const char *const memories[] = {"",
                                           "\n",
                                           "max\n",
                                           "0\n",
                                           "-1\n",
                                           "12",
                                           "12 \n",
                                           "0x12\n",
                                           "012\n",
                                           "12k\n",
                                           "18446744073709551615\n",
                                           "18446744073709551616\n",
                                           "9223372036854775807\n"};
    begin_unified();
    for (unsigned i = 0; i < sizeof quotas / sizeof quotas[0]; i++) {
        put("/sys/fs/cgroup/a/cpu.max", quotas[i]);
        SHARE(NONE, NONE);
    }
    put_bytes("/sys/fs/cgroup/a/cpu.max", BYTES("100000\0 100000\n"));
    SHARE(NONE, NONE);
    put("/sys/fs/cgroup/a/cpu.max",
        "18446744073709551 18446744073709551615\n"); /* the greatest that is computed */
    SHARE(1, NONE);
    put("/sys/fs/cgroup/a/cpu.max", "max 1\n");
    for (unsigned i = 0; i < sizeof memories / sizeof memories[0]; i++) {
        put("/sys/fs/cgroup/a/memory.max", memories[i]);
        SHARE(NONE, NONE);
    }
}

static void lines_that_make_no_sense_are_passed_over(void) {
    static const char *const mounts[] = {"\n",
                                         "33\n",
                                         "33 30 0:30\n",
                                         "33 30 0:30 / /sys/fs/cgroup\n",
                                         "33 30 0:30 / /sys/fs/cgroup rw\n",
                                         "33 30 0:30 / /sys/fs/cgroup rw -\n",
                                         "33 30 0:30 / /sys/fs/cgroup rw - cgroup2\n",
                                         "33 30 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2\n",
                                         "33 30 0:30 / /sys/fs/cgroup rw - cgroup3 cgroup2 rw\n",
                                         "33 30 0:30 a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                         "33 30 0:30 / sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                         "33 30 0:30  /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                         "- - - - - - -\n"};
    static const char *const groups[] = {"\n",           "0\n",        "0:\n",        "0:/a/b/c\n",
                                         "0::\n",        "0::a/b/c\n", "1::/a/b/c\n", "0:cpu:/a/b/c\n",
                                         "0:x:/a/b/c\n", "::\n",       ":::\n",       "00::/a/b/c\n"};
    begin_unified();
    put("/sys/fs/cgroup/a/b/c/memory.max", "5\n");
    SHARE(NONE, 5);
    put("sys/fs/cgroup/a/b/c/memory.max", "4\n"); /* where a path without its slash would lead */
    for (unsigned i = 0; i < sizeof mounts / sizeof mounts[0]; i++) {
        put("/proc/self/mountinfo", mounts[i]);
        SHARE(NONE, NONE);
    }
    begin_unified();
    put("/sys/fs/cgroup/a/b/c/memory.max", "5\n");
    put("/sys/fs/cgroup/memory.max", "6\n");
    for (unsigned i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        put("/proc/self/cgroup", groups[i]);
        SHARE(NONE, NONE);
    }
    put("/proc/self/cgroup", "0::/a/b/c"); /* without its end, after all: the last line of a file */
    SHARE(NONE, 5);
}

static void paths_that_are_too_long_are_passed_over(void) {
    static char text[20000], mount[20000];
    begin_unified();
    put("/sys/fs/cgroup/memory.max", "5\n");
    memset(text, 'x', sizeof text);
    memcpy(text, "0::/", 4);
    memcpy(text + 4095 + 3, "\n", 2); /* one byte shorter than the kernel's longest path with its end */
    put("/proc/self/cgroup", text);
    SHARE(NONE, 5);
    text[4095 + 3] = 'x';
    memcpy(text + 4096 + 3, "\n", 2);
    put("/proc/self/cgroup", text);
    SHARE(NONE, NONE);
    put("/proc/self/cgroup", "0::/a\n");
    memset(text, 'x', sizeof text);
    text[15000] = '\0';
    snprintf(mount, sizeof mount,
             "33 30 0:30 / /%s rw - cgroup2 cgroup2 rw\n"
             "33 30 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
             text);
    put("/proc/self/mountinfo", mount);
    SHARE(NONE, 5);
}

/* Files that may not be read, and directories in their places. */
static void what_cannot_be_read_bounds_nothing(void) {
    char path[256];
    begin_unified();
    put("/sys/fs/cgroup/a/b/cpu.max/x", "");
    put("/sys/fs/cgroup/a/b/memory.max/x", "");
    SHARE(NONE, NONE);
    put("/sys/fs/cgroup/a/memory.max", "5\n");
    SHARE(NONE, 5);
    snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
    CHECK_INT(unlink(path), 0);
    put("/proc/self/mountinfo/x", "");
    SHARE(NONE, NONE);
}

/* Whatever it is on this machine: it can be read, and this process runs within it. */
static void the_machine_s_own_can_be_read(void) {
    struct cgroup_share share = cgroup_share("");
    CHECK(share.millicpus > 0 && share.memory_bytes > 1 << 20);
}

int main(void) {
    CHECK(mkdtemp(base));
    RUN(nothing_there_bounds_nothing);
    RUN(the_least_of_all_groups_around_the_process_counts);
    RUN(a_quota_is_rounded_up);
    RUN(a_mount_may_show_a_part_of_the_tree);
    RUN(a_group_is_not_taken_for_another);
    RUN(what_alone_is_mounted_is_taken_for_the_group);
    RUN(version_1_has_a_tree_for_each_controller);
    RUN(both_versions_count_where_a_machine_has_both);
    RUN(paths_may_have_blanks_and_colons);
    RUN(limits_that_make_no_sense_bound_nothing);
    RUN(lines_that_make_no_sense_are_passed_over);
    RUN(paths_that_are_too_long_are_passed_over);
    RUN(what_cannot_be_read_bounds_nothing);
    RUN(the_machine_s_own_can_be_read);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", base);
    run(command);
    return 0;
}
