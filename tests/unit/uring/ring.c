/* ring.c - submission, completion, waiting, messages between rings, and the poll thread. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>

#include "tests/unit/uring_fixture.h"

static void a_full_queue_of_nops_comes_back_in_order(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    uint64_t sent = 0, seen = 0;
    for (int round = 0; round < 100; round++) {
        CHECK_INT(ring_sqe_room(&ring), ring.sq_entries);
        for (struct io_uring_sqe *sqe; (sqe = ring_sqe(&ring));) prep_nop(sqe, sent++);
        CHECK_INT(ring_sqe_room(&ring), 0);
        CHECK_INT(ring_submit(&ring), ring.sq_entries);
        CHECK_INT(ring_ready(&ring), ring.sq_entries);
        for (unsigned i = 0; i < ring.sq_entries; i++) {
            CHECK_INT(ring_cqe(&ring, i)->user_data, seen++);
            CHECK_INT(ring_cqe(&ring, i)->res, 0);
        }
        ring_advance(&ring, ring.sq_entries);
    }
    CHECK_INT(seen, sent);
    ring_close(&ring);
}

static void an_sqe_comes_zeroed(void) {
    static const struct io_uring_sqe zero;
    struct ring ring;
    open_ring(&ring, small_ring);
    for (unsigned i = 0; i < 3 * ring.sq_entries; i++) {
        struct io_uring_sqe *sqe = must_sqe(&ring);
        CHECK(memcmp(sqe, &zero, sizeof(zero)) == 0);
        memset(sqe, 0xff, sizeof(*sqe));
        *sqe = (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = UINT64_MAX};
        CHECK_INT(next_completion(&ring).res, 0);
    }
    ring_close(&ring);
}

static void an_overflowing_completion_queue_loses_nothing(void) {
    enum { COUNT = 100 };
    struct ring_options options = small_ring;
    options.cq_entries = 16;
    struct ring ring;
    open_ring(&ring, options);
    for (unsigned sent = 0; sent < COUNT;) {
        while (sent < COUNT && ring_sqe_room(&ring)) prep_nop(must_sqe(&ring), sent++);
        CHECK(ring_submit(&ring) >= 0);
    }
    CHECK_INT(ring_ready(&ring), 16);
    CHECK(ring_needs_enter(&ring));

    for (unsigned seen = 0; seen < COUNT;) {
        CHECK_INT(ring_wait(&ring, 0, 0, 0), 0);
        CHECK(ring_ready(&ring) > 0);
        for (; ring_ready(&ring); ring_advance(&ring, 1)) CHECK_INT(ring_cqe(&ring, 0)->user_data, seen++);
    }
    CHECK(!ring_needs_enter(&ring));
    ring_close(&ring);
}

static void a_wait_ends_at_its_limit(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    uint64_t start = now_us();
    CHECK_INT(ring_wait(&ring, 1, 0, 20000), -ETIME);
    CHECK(now_us() - start >= 20000);
    ring_close(&ring);
}

static void a_wait_for_nothing_or_for_what_is_there_makes_no_system_call(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    CHECK_INT(ring_submit(&ring), 0);
    CHECK_INT(ring_wait(&ring, 0, 0, NO_LIMIT), 0);
    CHECK_INT(ring.enters, 0);
    prep_nop(must_sqe(&ring), 1);
    prep_nop(must_sqe(&ring), 2);
    CHECK_INT(ring_wait(&ring, 2, 0, NO_LIMIT), 0);
    CHECK_INT(ring_wait(&ring, 2, 0, NO_LIMIT), 0);
    CHECK_INT(ring.enters, 1);
    ring_close(&ring);
}

/* min_wait: one completion of the four wanted is there when the wait begins. */
static void one_completion_will_do_after_the_minimum_wait(void) {
    static const uint64_t limits[] = {PATIENCE_US, NO_LIMIT};
    for (unsigned i = 0; i < 2; i++) {
        struct ring ring;
        open_ring(&ring, small_ring);
        if (!ring.min_wait) must(-ENOSYS, "min_wait_usec (Linux 6.12)");
        prep_nop(must_sqe(&ring), 1);
        CHECK_INT(ring_submit(&ring), 1);
        uint64_t start = now_us();
        CHECK_INT(ring_wait(&ring, 4, 20000, limits[i]), 0);
        CHECK(now_us() - start >= 19000);
        CHECK(now_us() - start < PATIENCE_US / 2);
        CHECK_INT(ring_ready(&ring), 1);
        ring_close(&ring);
    }
}

static void the_first_completion_after_the_minimum_wait_ends_the_wait(void) {
    static const uint64_t limits[] = {PATIENCE_US, NO_LIMIT};
    for (unsigned i = 0; i < 2; i++) {
        struct __kernel_timespec later = {.tv_nsec = 60 * 1000 * 1000};
        struct ring ring;
        open_ring(&ring, small_ring);
        struct io_uring_sqe *sqe = must_sqe(&ring);
        prep_begin(sqe, IORING_OP_TIMEOUT, -1, 7);
        prep_memory(sqe, &later, 1);
        uint64_t start = now_us();
        CHECK_INT(ring_wait(&ring, 4, 5000, limits[i]), 0);
        CHECK(now_us() - start >= 59000);
        CHECK_INT(next_completion(&ring).user_data, 7);
        ring_close(&ring);
    }
}

static void enough_completions_end_the_minimum_wait(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    for (unsigned i = 0; i < 4; i++) prep_nop(must_sqe(&ring), i);
    uint64_t start = now_us();
    CHECK_INT(ring_wait(&ring, 4, PATIENCE_US, NO_LIMIT), 0);
    CHECK(now_us() - start < PATIENCE_US / 2);
    CHECK_INT(ring_ready(&ring), 4);
    ring_close(&ring);
}

static void the_limit_ends_a_minimum_wait_without_completions(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    uint64_t start = now_us();
    CHECK_INT(ring_wait(&ring, 4, 5000, 20000), -ETIME);
    CHECK(now_us() - start >= 20000);
    ring_close(&ring);
}

static void without_the_feature_a_minimum_wait_is_for_one_completion(void) {
    struct ring ring;
    open_ring(&ring, small_ring);
    ring.min_wait = false;
    prep_nop(must_sqe(&ring), 1);
    uint64_t start = now_us();
    CHECK_INT(ring_wait(&ring, 4, PATIENCE_US, NO_LIMIT), 0);
    CHECK(now_us() - start < PATIENCE_US / 2);
    ring_close(&ring);
}

static void on_alarm(int signal) {
}

static void a_signal_ends_a_wait(void) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    struct ring ring;
    open_ring(&ring, small_ring);
    struct itimerval every_5ms = {.it_interval.tv_usec = 5000, .it_value.tv_usec = 5000};
    setitimer(ITIMER_REAL, &every_5ms, NULL);
    CHECK_INT(ring_wait(&ring, 1, 0, NO_LIMIT), -EINTR);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    ring_close(&ring);
}

/* Two threads, a ring each: every message is answered with its value plus one. */
enum { MESSAGES = 500 };
struct player {
    struct ring ring;
    struct player *other;
    pthread_barrier_t *both_open;
    enum ring_mode mode;
    bool serves;  /* sends 1, 3, 5 ...; the other answers 2, 4, 6 ... */
    int64_t last; /* value received */
};

static void hit(struct player *player, uint64_t value) {
    prep_msg_ring(must_sqe(&player->ring), player->other->ring.fd, 42, value, UINT64_MAX);
}

static void *play(void *arg) {
    struct player *player = arg;
    struct ring_options options = small_ring;
    options.mode = player->mode;
    options.sq_idle_ms = 50;
    open_ring(&player->ring, options);
    pthread_barrier_wait(player->both_open);
    if (player->serves) hit(player, 1);
    while (player->last < MESSAGES - 1) {
        struct completion cqe = next_completion(&player->ring);
        if (cqe.user_data == UINT64_MAX) { /* our own request, done */
            CHECK_INT(cqe.res, 0);
            continue;
        }
        CHECK_INT(cqe.res, 42);
        CHECK_INT(cqe.user_data, player->last + 2);
        player->last = (int64_t)cqe.user_data;
        if (cqe.user_data < MESSAGES) hit(player, cqe.user_data + 1);
    }
    CHECK(ring_submit(&player->ring) >= 0);
    pthread_barrier_wait(player->both_open); /* the last message names a ring that must still be open */
    ring_close(&player->ring);
    return NULL;
}

static void rally(enum ring_mode mode) {
    pthread_barrier_t both_open;
    pthread_barrier_init(&both_open, NULL, 2);
    struct player a = {.serves = true, .mode = mode, .both_open = &both_open};
    struct player b = {.last = -1, .mode = RING_INLINE, .both_open = &both_open, .other = &a};
    a.other = &b;
    pthread_t threads[2];
    CHECK_INT(pthread_create(&threads[0], NULL, play, &a), 0);
    CHECK_INT(pthread_create(&threads[1], NULL, play, &b), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    CHECK_INT(a.last + b.last, 2 * MESSAGES - 1);
    pthread_barrier_destroy(&both_open);
}

static void two_threads_exchange_messages(void) {
    rally(RING_INLINE);
}

static void a_polled_ring_and_an_inline_ring_exchange_messages(void) {
    rally(RING_SQPOLL);
}

static struct ring_options polled_ring(int attach_fd, unsigned idle_ms) {
    struct ring_options options = small_ring;
    options.mode = RING_SQPOLL;
    options.attach_fd = attach_fd;
    options.sq_idle_ms = idle_ms;
    return options;
}

static void a_polled_ring_takes_more_than_its_queue_holds(void) {
    struct ring ring;
    open_ring(&ring, polled_ring(-1, 100));
    uint64_t sent = 0, seen = 0;
    while (seen < 1000) {
        for (struct io_uring_sqe *sqe; sent < 1000 && (sqe = ring_sqe(&ring));) prep_nop(sqe, sent++);
        CHECK(ring_submit(&ring) >= 0);
        CHECK_INT(ring_wait(&ring, 1, 0, PATIENCE_US), 0);
        for (; ring_ready(&ring); ring_advance(&ring, 1)) CHECK_INT(ring_cqe(&ring, 0)->user_data, seen++);
    }
    ring_close(&ring);
}

static bool poll_thread_sleeps(const struct ring *ring) {
    return __atomic_load_n(ring->sq_kflags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP;
}

static void a_sleeping_poll_thread_is_woken(void) {
    struct ring ring;
    open_ring(&ring, polled_ring(-1, 1));
    for (uint64_t i = 0; i < 5; i++) {
        for (uint64_t start = now_us(); !poll_thread_sleeps(&ring) && now_us() - start < PATIENCE_US;)
            sched_yield();
        CHECK(poll_thread_sleeps(&ring));
        prep_nop(must_sqe(&ring), i);
        uint64_t enters = ring.enters;
        CHECK(ring_submit(&ring) >= 0);
        CHECK_INT(ring.enters, enters + 1);
        CHECK_INT(next_completion(&ring).user_data, i);
    }
    ring_close(&ring);
}

/* The thread id of a ring's poll thread, as the kernel tells it. */
static int poll_thread_of(const struct ring *ring) {
    char path[64], line[256];
    int thread = -1;
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", ring->fd);
    FILE *info = fopen(path, "r");
    CHECK(info != NULL);
    while (fgets(line, sizeof(line), info))
        if (sscanf(line, "SqThread: %d", &thread) == 1) break;
    fclose(info);
    return thread;
}

static void attached_rings_share_one_poll_thread(void) {
    struct ring first, second;
    open_ring(&first, polled_ring(-1, 100));
    open_ring(&second, polled_ring(first.fd, 100));
    /* Until the poll thread has run for the first time, the kernel tells the thread that made the ring. */
    for (uint64_t start = now_us(); poll_thread_of(&first) == gettid() && now_us() - start < PATIENCE_US;)
        sched_yield();
    CHECK(poll_thread_of(&first) > 0 && poll_thread_of(&first) != gettid());
    CHECK_INT(poll_thread_of(&second), poll_thread_of(&first));
    for (uint64_t i = 0; i < 50; i++) {
        prep_nop(must_sqe(&first), i);
        prep_nop(must_sqe(&second), 1000 + i);
        CHECK(ring_submit(&first) >= 0);
        CHECK(ring_submit(&second) >= 0);
        CHECK_INT(next_completion(&second).user_data, 1000 + i);
        CHECK_INT(next_completion(&first).user_data, i);
    }
    ring_close(&first); /* the thread lives on with the ring that is left */
    prep_nop(must_sqe(&second), 5);
    CHECK_INT(next_completion(&second).user_data, 5);
    ring_close(&second);
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds != NULL);
    while (readdir(fds)) count++;
    closedir(fds);
    return count;
}

static void a_refused_ring_leaves_nothing_open(void) {
    struct ring ring;
    unsigned before = open_descriptors();
    struct ring_options options = polled_ring(STDOUT_FILENO, 100); /* not a ring */
    CHECK(ring_open(&ring, &options) < 0);
    CHECK_INT(ring.fd, -1);
    ring_close(&ring);
    options = small_ring;
    options.cq_entries = 4; /* fewer than sq_entries */
    CHECK_INT(ring_open(&ring, &options), -EINVAL);
    CHECK_INT(open_descriptors(), before);
}

static void rings_can_be_opened_and_closed_for_ever(void) {
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 40;
         i++) { /* a thread can register 16 ring descriptors: each must be given back */
        struct ring ring;
        open_ring(&ring, small_ring);
        CHECK_INT(ring.enter_flags, IORING_ENTER_REGISTERED_RING);
        prep_nop(must_sqe(&ring), i);
        CHECK_INT(next_completion(&ring).user_data, i);
        ring_close(&ring);
        ring_close(&ring);
    }
    CHECK_INT(open_descriptors(), before);
}

int main(void) {
    RUN(a_full_queue_of_nops_comes_back_in_order);
    RUN(an_sqe_comes_zeroed);
    RUN(an_overflowing_completion_queue_loses_nothing);
    RUN(a_wait_ends_at_its_limit);
    RUN(a_wait_for_nothing_or_for_what_is_there_makes_no_system_call);
    RUN(a_signal_ends_a_wait);
    RUN(one_completion_will_do_after_the_minimum_wait);
    RUN(the_first_completion_after_the_minimum_wait_ends_the_wait);
    RUN(enough_completions_end_the_minimum_wait);
    RUN(the_limit_ends_a_minimum_wait_without_completions);
    RUN(without_the_feature_a_minimum_wait_is_for_one_completion);
    RUN(two_threads_exchange_messages);
    RUN(a_polled_ring_and_an_inline_ring_exchange_messages);
    RUN(a_polled_ring_takes_more_than_its_queue_holds);
    RUN(a_sleeping_poll_thread_is_woken);
    RUN(attached_rings_share_one_poll_thread);
    RUN(a_refused_ring_leaves_nothing_open);
    RUN(rings_can_be_opened_and_closed_for_ever);
    return 0;
}
