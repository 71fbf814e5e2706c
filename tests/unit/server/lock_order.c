/* The order of locks: ascending is fine, anything else ends the process, in builds that assert. */
#include "server/lock_order.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static void ascending_locks_are_recorded(void) {
    lock_order_take(LOCK_STRIPES + 3);
    lock_order_take(LOCK_STRIPES + 64);
    lock_order_take(LOCK_STRIPES + MAX_STRIPES - 1);
    lock_order_take(LOCK_CLIENTS);
    CHECK(lock_order_holds(3) && lock_order_holds(64) && lock_order_holds(LOCK_CLIENTS));
    CHECK(!lock_order_holds(4) && !lock_order_holds(LOCK_MONITORS));
    lock_order_give(LOCK_CLIENTS);
    lock_order_take(LOCK_LOG);
    lock_order_give(LOCK_LOG);
    lock_order_give(LOCK_STRIPES + 64); /* given back in any order */
    lock_order_give(LOCK_STRIPES + 3);
    lock_order_give(LOCK_STRIPES + MAX_STRIPES - 1);
    for (unsigned rank = 0; rank < LOCK_RANKS; rank++) CHECK(!lock_order_holds(rank));
}

static void *holds_nothing(void *unused) {
    (void)unused;
    CHECK(!lock_order_holds(LOCK_SLOWLOG));
    lock_order_take(LOCK_STRIPES);
    lock_order_give(LOCK_STRIPES);
    return NULL;
}

static void each_thread_has_a_record_of_its_own(void) {
    pthread_t thread;
    lock_order_take(LOCK_SLOWLOG);
    CHECK(pthread_create(&thread, NULL, holds_nothing, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    lock_order_give(LOCK_SLOWLOG);
}

static void twice(void) {
    lock_order_take(7);
    lock_order_take(7);
}
static void descending_stripes(void) {
    lock_order_take(200);
    lock_order_take(3);
}
static void stripe_under_registry(void) {
    lock_order_take(LOCK_CLIENTS);
    lock_order_take(LOCK_STRIPES + 9);
}
static void given_but_not_taken(void) {
    lock_order_give(LOCK_LOG);
}

/* True if the assertion ends a child that does this. */
static bool is_refused(void (*offend)(void)) {
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) _exit(2);
        offend();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void offences_are_refused(void) {
    CHECK(is_refused(twice));
    CHECK(is_refused(descending_stripes));
    CHECK(is_refused(stripe_under_registry));
    CHECK(is_refused(given_but_not_taken));
}

static void a_mutex_excludes(void) {
    static struct mutex mutex = MUTEX(LOCK_RATES);
    mutex_lock(&mutex);
    CHECK(pthread_mutex_trylock(&mutex.mutex) != 0);
    mutex_unlock(&mutex);
    CHECK(mutex_try_lock(&mutex));
    CHECK(pthread_mutex_trylock(&mutex.mutex) != 0);
    mutex_unlock(&mutex);
}

int main(void) {
    RUN(ascending_locks_are_recorded);
    RUN(each_thread_has_a_record_of_its_own);
    RUN(offences_are_refused);
    RUN(a_mutex_excludes);
    return 0;
}
