/* Mailboxes: what is posted is taken once, in order per sender; of all moments asked for the earliest is kept; and whoever
 * finds an owner parked wakes it alone. */
#include "server/clients/post.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "tests/check.h"

enum { PRODUCERS = 3, POSTS = 4000, DEADLINE_S = 250, SLEEPS = 2000 };

static bool waiting(const struct mailbox *mailbox) {
    return post_waiting(mailbox, DUE_NEVER);
}

static void open_mailboxes(unsigned count) {
    mailbox_count = count;
    for (unsigned i = 0; i < count; i++) mailboxes[i] = (struct mailbox){.due_ms = DUE_NEVER, .wake_fd = -1};
}

static void what_is_posted_is_taken_in_its_order(void) {
    struct wakes wakes = {0};
    open_mailboxes(3);
    CHECK(!waiting(&mailboxes[1]) && !post_take_all(&mailboxes[1]));
    struct block *block = block_of(BYTES("+x\r\n"));
    CHECK(block && post_deliver(&wakes, (struct client_address){1, 7, 70}, 5, block_retain(block)));
    CHECK(post_close(&wakes, (struct client_address){1, 8, 80}));
    CHECK(waiting(&mailboxes[1]) && !waiting(&mailboxes[0]) && !waiting(&mailboxes[2]));
    CHECK(post_waiting(&mailboxes[1], DUE_ALL)); /* whatever the owner is going to look at by itself */
    CHECK(wakes.any && wakes.words[0] == 1u << 1);
    struct post *first = post_take_all(&mailboxes[1]), *second = first->next;
    CHECK(!waiting(&mailboxes[1]) && !second->next);
    CHECK(first->kind == POST_DELIVER && first->slot == 7 && first->id == 70 && first->flag == 5 &&
          first->bytes == block);
    CHECK(second->kind == POST_CLOSE && second->slot == 8 && second->id == 80);
    post_drop(first);
    post_drop(second);
    CHECK(!block_shared(block));
    block_release(block);
}

/* A descriptor is never forgotten: it goes with the post, to whoever takes it or drops it. */
static void a_connection_that_is_handed_over_is_the_taker_s(void) {
    struct wakes wakes = {0};
    int pair[2];
    char byte;
    open_mailboxes(3);
    CHECK(pipe(pair) == 0 && post_adopt(&wakes, 2, pair[1], true));
    CHECK(wakes.words[0] == 1u << 2);
    struct post *post = post_take_all(&mailboxes[2]);
    CHECK(post->kind == POST_ADOPT && post->fd == pair[1] && post->unix_socket && !post->next);
    post_drop(post);
    CHECK_INT(read(pair[0], &byte, 1), 0);
    close(pair[0]);
}

static void of_all_moments_the_earliest_is_kept(void) {
    struct wakes wakes = {0};
    open_mailboxes(3);
    CHECK_INT(post_take_due(&mailboxes[2]), DUE_NEVER);
    post_due(&wakes, 2, 500);
    post_due(&wakes, 2, 300);
    post_due(&wakes, 2, 400);
    CHECK(wakes.any && wakes.words[0] == 1u << 2);
    CHECK(waiting(&mailboxes[2]) && post_waiting(&mailboxes[2], 301));
    CHECK(!post_waiting(&mailboxes[2], 300)); /* the owner looks by then anyway */
    CHECK(!waiting(&mailboxes[0]) && !waiting(&mailboxes[1]));
    CHECK_INT(post_take_due(&mailboxes[2]), 300);
    CHECK(!waiting(&mailboxes[2]));
    CHECK_INT(post_take_due(&mailboxes[2]), DUE_NEVER);
}

static void all_are_asked_to_look_at_everything(void) {
    struct wakes wakes = {0};
    open_mailboxes(70);
    post_due(&wakes, 69, 1);
    post_look_again(&wakes);
    for (unsigned i = 0; i < 70; i++) {
        CHECK(post_waiting(&mailboxes[i], DUE_ALL + 1));
        CHECK_INT(post_take_due(&mailboxes[i]), DUE_ALL);
        CHECK_INT(post_take_due(&mailboxes[i]), DUE_NEVER);
    }
    CHECK(wakes.any && wakes.words[0] == UINT64_MAX && wakes.words[1] == 0x3f);
}

static void a_parked_owner_is_claimed_once(void) {
    open_mailboxes(1);
    CHECK(!post_claim_wake(mailboxes));
    mailboxes->parked = PARKED;
    CHECK(!post_wake_unheard(mailboxes));
    CHECK(post_claim_wake(mailboxes) && mailboxes->parked == PARKED_WOKEN && !post_claim_wake(mailboxes));
    CHECK(post_wake_unheard(mailboxes));
    post_give_wake(mailboxes);
    CHECK(!post_wake_unheard(mailboxes) && mailboxes->parked == PARKED);
    CHECK(post_claim_wake(mailboxes) && post_wake_unheard(mailboxes));
    mailboxes->parked = PARKED_NOT; /* it has woken all the same */
    post_give_wake(mailboxes);
    CHECK(mailboxes->parked == PARKED_NOT && !post_wake_unheard(mailboxes) && !post_claim_wake(mailboxes));
}

static void each_that_is_to_be_woken_is_taken_once(void) {
    static const unsigned all[] = {0, 1, 63, 64, 200, MAX_SHARDS - 1};
    struct wakes wakes = {0};
    unsigned shard;
    CHECK(!wakes_take(&wakes, &shard));
    for (unsigned i = sizeof all / sizeof all[0]; i-- > 0;)
        for (unsigned twice = 0; twice < 2; twice++) wakes_add(&wakes, all[i]);
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        CHECK(wakes.any && wakes_take(&wakes, &shard));
        CHECK_INT(shard, all[i]);
    }
    CHECK(!wakes_take(&wakes, &shard) && !wakes.any);
}

static void *produce(void *argument) {
    uint32_t from = *(uint32_t *)argument;
    for (unsigned i = 0; i < POSTS; i++) {
        struct wakes wakes = {0};
        CHECK(post_close(&wakes, (struct client_address){0, from, i}));
        if (i % 64 == 0) sched_yield();
    }
    return NULL;
}

static void posts_of_each_sender_arrive_complete_and_in_their_order(void) {
    pthread_t threads[PRODUCERS];
    uint32_t indices[PRODUCERS];
    uint64_t next[PRODUCERS] = {0};
    open_mailboxes(1);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        indices[i] = i;
        CHECK(pthread_create(&threads[i], NULL, produce, &indices[i]) == 0);
    }
    for (unsigned taken = 0; taken < PRODUCERS * POSTS;) { /* the alarm of main ends a wait without end */
        struct post *post = post_take_all(mailboxes);
        if (!post) sched_yield();
        for (struct post *behind; post; post = behind, taken++) {
            behind = post->next;
            CHECK(post->slot < PRODUCERS);
            CHECK_INT(post->id, next[post->slot]++);
            post_drop(post);
        }
    }
    for (unsigned i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
    CHECK(!waiting(mailboxes));
}

static unsigned woken; /* atomic: wake-ups that the sender owes the sleeper and has made */

static void *post_and_wake(void *unused) {
    (void)unused;
    for (unsigned i = 0; i < SLEEPS; i++) {
        struct wakes wakes = {0};
        CHECK(post_close(&wakes, (struct client_address){0, 0, i}));
        if (post_claim_wake(mailboxes)) __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
        if (i % 8 == 0) sched_yield();
    }
    return NULL;
}

/* An owner that sleeps as the loop does: it says that it is parked, looks once more, and waits for a wake-up if there was
 * nothing. If a wake-up were lost, it would wait for ever. */
static void no_post_stays_with_an_owner_that_sleeps(void) {
    pthread_t sender;
    unsigned seen = 0, taken = 0;
    open_mailboxes(1);
    CHECK(pthread_create(&sender, NULL, post_and_wake, NULL) == 0);
    while (taken < SLEEPS) {
        for (struct post *post = post_take_all(mailboxes), *next; post; post = next, taken++) {
            next = post->next;
            post_drop(post);
        }
        if (taken == SLEEPS) break;
        __atomic_store_n(&mailboxes->parked, PARKED, __ATOMIC_SEQ_CST);
        if (!waiting(mailboxes)) {
            while (__atomic_load_n(&woken, __ATOMIC_SEQ_CST) == seen) sched_yield();
            seen++;
        }
        __atomic_store_n(&mailboxes->parked, PARKED_NOT, __ATOMIC_SEQ_CST);
    }
    CHECK(pthread_join(sender, NULL) == 0);
}

/* Senders ask for ever earlier moments, each of its own kind (the remainder by SENDERS). What the owner takes last of a kind
 * must be the earliest of that kind, unless an earlier one of another covered it: so the minimum of all that it takes is the
 * minimum of all that was asked for, in each of many rounds. */
enum { DUE_ROUNDS = 3000, DUE_STEPS = 4 };
static pthread_barrier_t round_begins, round_ends;

static void *ask_earlier(void *argument) {
    unsigned index = *(unsigned *)argument;
    for (unsigned round = 0; round < DUE_ROUNDS; round++) {
        struct wakes wakes = {0};
        pthread_barrier_wait(&round_begins);
        for (unsigned step = DUE_STEPS; step-- > 0;)
            post_due(&wakes, 0, 1 + (int64_t)step * PRODUCERS + index);
        pthread_barrier_wait(&round_ends);
    }
    return NULL;
}

static void no_moment_is_lost_to_a_later_one(void) {
    pthread_t threads[PRODUCERS];
    unsigned indices[PRODUCERS];
    open_mailboxes(1);
    CHECK(pthread_barrier_init(&round_begins, NULL, PRODUCERS + 1) == 0);
    CHECK(pthread_barrier_init(&round_ends, NULL, PRODUCERS + 1) == 0);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        indices[i] = i;
        CHECK(pthread_create(&threads[i], NULL, ask_earlier, &indices[i]) == 0);
    }
    for (unsigned round = 0; round < DUE_ROUNDS; round++) {
        int64_t earliest = DUE_NEVER;
        pthread_barrier_wait(&round_begins);
        for (unsigned i = 0; i < DUE_STEPS; i++) {
            int64_t taken = post_take_due(mailboxes);
            if (taken < earliest) earliest = taken;
        }
        pthread_barrier_wait(&round_ends);
        int64_t taken = post_take_due(mailboxes);
        CHECK_INT(taken < earliest ? taken : earliest, 1);
    }
    for (unsigned i = 0; i < PRODUCERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&round_begins);
    pthread_barrier_destroy(&round_ends);
}

int main(void) {
    alarm(DEADLINE_S);
    RUN(what_is_posted_is_taken_in_its_order);
    RUN(a_connection_that_is_handed_over_is_the_taker_s);
    RUN(of_all_moments_the_earliest_is_kept);
    RUN(all_are_asked_to_look_at_everything);
    RUN(a_parked_owner_is_claimed_once);
    RUN(each_that_is_to_be_woken_is_taken_once);
    RUN(posts_of_each_sender_arrive_complete_and_in_their_order);
    RUN(no_post_stays_with_an_owner_that_sleeps);
    RUN(no_moment_is_lost_to_a_later_one);
    return 0;
}
