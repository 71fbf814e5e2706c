/* Stripes and their ordered locks, held against each other by threads. */
#include "server/stripes/stripes.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/clients/post.h"
#include "tests/check.h"

#if defined(__has_feature) && !defined(__SANITIZE_THREAD__)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1 /* as gcc says it */
#endif
#endif

/* ThreadSanitizer leaves too little address space for all of them. */
#ifdef __SANITIZE_THREAD__
enum { MOST_SHARDS = 3, SHARDS = 3 };
#else
enum { MOST_SHARDS = MAX_SHARDS, SHARDS = MAX_STRIPES / STRIPES_PER_SHARD };
#endif

enum { THREADS = 4, ROUNDS = 3000, DEADLINE_S = 250 };

static uint32_t lock_word(unsigned index) {
    return __atomic_load_n(&stripes.all[index].lock, __ATOMIC_RELAXED);
}

/* Until somebody is about to sleep for it. The alarm of main ends a wait that would not end. */
static void wait_for_waiter(unsigned index) {
    while (!__atomic_load_n(&stripes.all[index].waited, __ATOMIC_RELAXED)) sched_yield();
}

static void all_are_free(void) {
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(lock_word(i), 0);
}

static void a_lone_shard_has_one_stripe_and_no_lock(void) {
    CHECK_INT(stripes_open(1, 2), 0);
    CHECK(stripes.count == 1 && !stripes.locking);
    CHECK_INT(stripe_index(UINT64_MAX), 0);
    stripe_lock(stripes.all);
    stripe_lock(stripes.all); /* would wait for ever if it were one */
    CHECK_INT(lock_word(0), 0);
    stripe_unlock(stripes.all);
    stripes_close();
    CHECK(!stripes.all && stripes.count == 0);
}

#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
/* In a process of its own, with so many more bytes of addresses than it has. */
static void under_a_limit(size_t bytes, void (*run)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        unsigned long long pages;
        FILE *file = fopen("/proc/self/statm", "r");
        CHECK(file && fscanf(file, "%llu", &pages) == 1);
        fclose(file);
        struct rlimit limit = {.rlim_max = RLIM_INFINITY};
        limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
        CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

/* The first stripes once took all, and left nothing to the last. */
static void open_within_8_gib(void) {
    CHECK_INT(stripes_open(4, 1), 0);
    for (unsigned i = 1; i < stripes.count; i++)
        CHECK_INT(stripes.all[i].keyspace->slab.arena.capacity, stripes.all[0].keyspace->slab.arena.capacity);
    CHECK(stripes_room() > (uint64_t)1 << 30 && stripes_room() <= (uint64_t)4 << 30);
    void *large = malloc((size_t)3 << 30); /* what is no key finds room too */
    CHECK(large);
    free(large);
    stripes_close();
    CHECK_INT(stripes_room(), 0);
}

static void open_within_256_mib(void) {
    CHECK_INT(stripes_open(4, 1), -ENOMEM);
    CHECK(!stripes.all);
    CHECK_INT(stripes_open(1, 1), 0);
    stripes_close();
}

static void stripes_share_the_addresses_that_a_limit_leaves(void) {
    under_a_limit((size_t)8 << 30, open_within_8_gib);
    under_a_limit((size_t)256 << 20, open_within_256_mib);
}
#endif
#endif

static void stripes_are_a_power_of_two_spread_over_all_shards(void) {
    static const unsigned shards[] = {2, 3, 4, 15, 16, 17, 255, MAX_SHARDS};
    for (size_t i = 0; i < sizeof shards / sizeof *shards && shards[i] <= MOST_SHARDS; i++) {
        unsigned owned[MAX_SHARDS] = {0};
        CHECK_INT(stripes_open(shards[i], 1), 0);
        CHECK(stripes.locking && stripes.count <= MAX_STRIPES);
        CHECK((stripes.count & (stripes.count - 1)) == 0);
        CHECK(stripes.count == MAX_STRIPES || stripes.count >= shards[i] * STRIPES_PER_SHARD);
        for (unsigned s = 0; s < stripes.count; s++) owned[stripes.all[s].owner]++;
        for (unsigned s = 0; s < shards[i]; s++) CHECK(owned[s] >= 1);
        CHECK_INT(stripe_index(UINT64_MAX), stripes.count - 1);
        CHECK(stripe_of(0) == stripes.all);
        all_are_free();
        stripes_close();
    }
}

static void a_set_holds_its_stripes_and_no_others(void) {
    struct stripe_set set = {0};
    CHECK_INT(stripes_open(SHARDS, 1), 0);
    unsigned last = stripes.count - 1, middle = stripes.count / 2;
    stripe_set_add(&set, last);
    stripe_set_add(&set, 0);
    stripe_set_add(&set, middle);
    stripe_set_add(&set, middle - 1);
    stripe_set_add(&set, 0); /* twice is once */
    stripe_set_lock(&set);
    for (unsigned i = 0; i < stripes.count; i++)
        CHECK_INT(lock_word(i), i == 0 || i == middle - 1 || i == middle || i == last);
    stripe_set_unlock(&set);
    all_are_free();
    stripe_set_add_all(&set);
    stripe_set_lock(&set);
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(lock_word(i), 1);
    stripe_set_unlock(&set);
    all_are_free();
    stripes_close();
}

static void *lock_and_unlock_one(void *index) {
    struct stripe *stripe = &stripes.all[*(unsigned *)index];
    stripe_lock(stripe);
    stripe->changes++;
    stripe_unlock(stripe);
    return NULL;
}

/* Each of them sleeps in the kernel, and each is woken. */
static void waiters_sleep_until_the_lock_is_free(void) {
    pthread_t threads[THREADS];
    unsigned index = 7;
    CHECK_INT(stripes_open(2, 1), 0);
    for (unsigned round = 0; round < 20; round++) {
        stripe_lock(&stripes.all[index]);
        uint64_t changes = stripes.all[index].changes;
        for (unsigned i = 0; i < THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, lock_and_unlock_one, &index) == 0);
        wait_for_waiter(index);
        CHECK_INT(lock_word(index), 1);
        CHECK_INT(stripes.all[index].changes, changes);
        stripe_unlock(&stripes.all[index]);
        for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        CHECK_INT(stripes.all[index].changes, changes + THREADS);
        all_are_free();
    }
    stripes_close();
}

static void *lock_and_unlock_set(void *set) {
    stripe_set_lock(set);
    stripe_set_unlock(set);
    return NULL;
}

static void a_set_is_locked_from_the_lowest_stripe_up(void) {
    struct stripe_set set = {0};
    pthread_t thread;
    CHECK_INT(stripes_open(SHARDS, 1), 0);
    unsigned last = stripes.count - 1, middle = stripes.count / 2;
    stripe_set_add(&set, last); /* said in another order */
    stripe_set_add(&set, middle);
    stripe_set_add(&set, 5);
    stripe_lock(&stripes.all[middle]);
    CHECK(pthread_create(&thread, NULL, lock_and_unlock_set, &set) == 0);
    wait_for_waiter(middle);
    CHECK(lock_word(5) == 1 && lock_word(last) == 0);
    stripe_unlock(&stripes.all[middle]);
    pthread_join(thread, NULL);
    all_are_free();
    stripes_close();
}

struct worker {
    pthread_t thread;
    unsigned long long seed;
    uint64_t added[MAX_STRIPES];
};

/* `changes` is a plain number: a lock that lets two in loses additions, and ThreadSanitizer says so. */
static void *change_random_sets(void *argument) {
    struct worker *worker = argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct stripe_set set = {0};
        unsigned long long random = check_random(&worker->seed);
        unsigned count = 1 + (unsigned)(random % 4), narrow = random & 1024 ? 4 : stripes.count;
        for (unsigned i = 0; i < count; i++) stripe_set_add(&set, (random >> (12 + 9 * i)) % narrow);
        if (random % 128 == 0) stripe_set_add_all(&set);
        stripe_set_lock(&set);
        for (unsigned i = 0; i < stripes.count; i++)
            if (set.words[i / 64] >> (i % 64) & 1) stripes.all[i].changes++, worker->added[i]++;
        stripe_set_unlock(&set);
    }
    return NULL;
}

static void threads_with_random_sets_neither_lose_a_change_nor_wait_in_a_ring(void) {
    static struct worker workers[THREADS];
    unsigned long long seed = check_seed();
    CHECK_INT(stripes_open(2, 1), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].seed = check_random(&seed);
        CHECK(pthread_create(&workers[i].thread, NULL, change_random_sets, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
    for (unsigned s = 0; s < stripes.count; s++) {
        uint64_t added = 0;
        for (unsigned i = 0; i < THREADS; i++) added += workers[i].added[s];
        CHECK_INT(stripes.all[s].changes, added);
    }
    all_are_free();
    stripes_close();
}

/* Refused to this process from now on, as by a container's filter. False where there are no filters. */
static bool refuse_barriers(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Then sleeps are short, so that one which nobody ends does no harm. */
static void locks_do_without_barriers(void) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(DEADLINE_S); /* it is not inherited */
        if (refuse_barriers()) {
            CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) < 0 && errno == EPERM);
            waiters_sleep_until_the_lock_is_free();
            threads_with_random_sets_neither_lose_a_change_nor_wait_in_a_ring();
        }
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int64_t due_of(unsigned shard) {
    return post_take_due(&mailboxes[shard]);
}

/* Whoever leaves an earlier expiry in another's stripe asks its owner to look, and nobody else. */
static void who_leaves_something_due_tells_the_owner(void) {
    struct wakes wakes = {0};
    CHECK_INT(stripes_open(2, 1), 0);
    mailbox_count = 2;
    for (unsigned i = 0; i < 2; i++) mailboxes[i] = (struct mailbox){.due_ms = DUE_NEVER, .wake_fd = -1};
    struct value value = value_of_bytes(BYTES("v"));
    struct key key = {BYTES("k"), hash_bytes(&stripes.seed, BYTES("k"))};
    struct stripe *stripe = stripe_of(key.hash);
    stripe_lock(stripe);
    CHECK(keyspace_set(stripe->keyspace, 0, key, &value, 5000));
    stripe_leave(stripe, &wakes, 1000);
    CHECK(wakes.any && wakes.words[0] == 1u << stripe->owner);
    CHECK(due_of(stripe->owner) == 5000 && due_of(!stripe->owner) == DUE_NEVER);
    wakes = (struct wakes){0};
    struct stripe_set set = {{0}};
    stripe_set_add_all(&set);
    stripe_set_lock(&set);
    CHECK(keyspace_set(stripe->keyspace, 0, key, &value, 6000));
    stripe_set_leave(&set, &wakes, 1000);
    CHECK(!wakes.any && due_of(stripe->owner) == DUE_NEVER);
    stripe_set_lock(&set);
    keyspace_flush(stripe->keyspace, 0);
    stripe_set_leave(&set, &wakes, 1000);
    CHECK_INT(due_of(stripe->owner), 1000 + TIDY_DELAY_MS);
    all_are_free();
    stripes_close();
}

static void ignore_expired(void *context, const struct expired *what) {
    CHECK(what->kind == EXPIRED_KEY && what->name.len == 0);
    (void)context;
}

/* More keys are overdue than one step takes: the owner is to look again, and not at more than its stripes. */
static void what_is_overdue_is_due_at_once(void) {
    struct wakes wakes = {0};
    char name[8];
    CHECK_INT(stripes_open(1, 2), 0);
    mailbox_count = 1;
    mailboxes[0] = (struct mailbox){.due_ms = DUE_NEVER, .wake_fd = -1};
    struct value value = value_of_bytes(BYTES("v"));
    struct keyspace *ks = stripes.all[0].keyspace;
    stripe_lock(&stripes.all[0]);
    CHECK_INT(keyspace_expire(ks, 5000, 10, NULL, NULL), 0);
    for (int i = 0; i < 30; i++) {
        struct bytes bytes = {name, (size_t)snprintf(name, sizeof name, "k%d", i)};
        CHECK(keyspace_set(ks, 0, (struct key){bytes, hash_bytes(&stripes.seed, bytes)}, &value, 1));
    }
    stripe_leave(&stripes.all[0], &wakes, 5000);
    CHECK_INT(due_of(0), 1);
    stripe_lock(&stripes.all[0]);
    CHECK_INT(keyspace_expire(ks, 5000, 10, ignore_expired, NULL), 10);
    while (keyspace_upkeep(ks, UINT32_MAX)) continue;
    CHECK(keyspace_next_expiry(ks) <= 5000);
    struct key other = {BYTES("k"), hash_bytes(&stripes.seed, BYTES("k"))};
    CHECK(keyspace_set(ks, 1, other, &value, EXPIRY_NONE));
    keyspace_flush(ks, 1);
    stripe_leave(&stripes.all[0], &wakes, 5000);
    CHECK_INT(due_of(0), DUE_ALL + 1);
    stripes_close();
}

int main(void) {
    alarm(DEADLINE_S);
    RUN(locks_do_without_barriers); /* a child; the first, for no other thread has been here yet */
    RUN(a_lone_shard_has_one_stripe_and_no_lock);
#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
    RUN(stripes_share_the_addresses_that_a_limit_leaves);
#endif
#endif
    RUN(stripes_are_a_power_of_two_spread_over_all_shards);
    RUN(a_set_holds_its_stripes_and_no_others);
    RUN(waiters_sleep_until_the_lock_is_free);
    RUN(a_set_is_locked_from_the_lowest_stripe_up);
    RUN(threads_with_random_sets_neither_lose_a_change_nor_wait_in_a_ring);
    RUN(who_leaves_something_due_tells_the_owner);
    RUN(what_is_overdue_is_due_at_once);
    return 0;
}
