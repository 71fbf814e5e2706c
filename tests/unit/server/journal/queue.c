/* Records of one thread, taken by another, in their order. */
#include "server/journal/queue.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/unit/failing_memory.h"

static struct record_queue queue;

static struct bytes text_of(struct record *record) {
    return (struct bytes){record_text(record), record->len};
}

static void add(const char *text) {
    queue_add_text(&queue, 5, bytes_of(text));
}

static void expect(const char *text, uint64_t ticket, bool more) {
    struct record *record = queue_first(&queue);
    CHECK(record && record == queue_first(&queue));
    CHECK_BYTES(text_of(record), bytes_of(text));
    CHECK_INT(record->ticket, ticket);
    CHECK_INT(record->more, more);
    CHECK_INT(record->db, 5);
    queue_pass(&queue), queue_release(&queue);
}

static void nobody_sees_a_record_before_it_is_sealed(void) {
    CHECK(queue_open(&queue));
    CHECK(!queue_first(&queue) && !queue_is_open(&queue));
    add("one");
    CHECK(!queue_first(&queue) && queue_is_open(&queue));
    queue_seal(&queue, 7);
    CHECK(!queue_is_open(&queue));
    add("two");
    expect("one", 7, false);
    CHECK(!queue_first(&queue));
    add("three");
    queue_seal(&queue, 9);
    expect("two", 9, true);
    expect("three", 9, false);
    CHECK(!queue_first(&queue));
    queue_close(&queue);
}

static void records_are_of_any_size(void) {
    static char large[3 * QUEUE_CHUNK_BYTES];
    memset(large, 'x', sizeof large);
    CHECK(queue_open(&queue));
    for (size_t len = 1; len < sizeof large; len = len * 3 / 2 + 1) {
        queue_add_text(&queue, 0, (struct bytes){large, len});
        queue_add_text(&queue, 0, (struct bytes){large, sizeof large - len});
        queue_seal(&queue, len);
        if (len % 2) continue; /* some wait for the next ones */
        while (queue_first(&queue)) queue_pass(&queue), queue_release(&queue);
    }
    size_t len = 1;
    while (queue_first(&queue)) {
        len = queue_first(&queue)->ticket;
        CHECK_BYTES(text_of(queue_first(&queue)), ((struct bytes){large, len}));
        queue_pass(&queue), queue_release(&queue);
        CHECK_BYTES(text_of(queue_first(&queue)), ((struct bytes){large, sizeof large - len}));
        CHECK_INT(queue_first(&queue)->ticket, len);
        queue_pass(&queue), queue_release(&queue);
    }
    queue_close(&queue);
}

static void a_queue_gives_back_what_was_not_taken(void) {
    struct block *block = block_of(BYTES("large"));
    struct bytes argv[] = {BYTES("SET"), BYTES("k"), block_bytes(block)};
    struct record_command command = {argv, 3, &block, 1};
    CHECK(queue_open(&queue));
    queue_add(&queue, 0, &command);
    queue_seal(&queue, 1);
    queue_add(&queue, 0, &command);
    CHECK(block_shared(block));
    queue_close(&queue);
    CHECK(!block_shared(block));
    block_release(block);
}

static void without_memory_the_reserve_is_used_and_made_again(void) {
    static char text[QUEUE_CHUNK_BYTES];
    memset(text, 'x', sizeof text);
    CHECK(queue_open(&queue));
    memory_left = 0;
    for (unsigned i = 0; i < 10; i++) queue_add_text(&queue, 0, (struct bytes){text, sizeof text});
    CHECK(!queue.reserve);
    queue_prepare(&queue);
    CHECK(!queue.reserve);
    memory_left = UINT_MAX;
    queue_prepare(&queue);
    CHECK(queue.reserve);
    queue_seal(&queue, 1);
    for (unsigned i = 0; i < 10; i++, queue_pass(&queue), queue_release(&queue))
        CHECK_INT(queue_first(&queue)->len, sizeof text);
    CHECK(!queue_first(&queue));
    queue_close(&queue);
}

/* In a process of its own. */
static void who_needs_more_than_the_reserve_and_finds_no_memory_ends_the_process(void) {
    static char text[QUEUE_RESERVE_BYTES];
    int status;
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(queue_open(&queue));
        memory_left = 0;
        queue_add_text(&queue, 0, (struct bytes){text, sizeof text});
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    memory_left = 0;
    CHECK(!queue_open(&queue)); /* and none without it */
    memory_left = UINT_MAX;
}

/* Passed records stay, blocks and all, until they are released; a rewind shows them again. */
static void what_was_passed_stays_until_it_is_released(void) {
    static char large[QUEUE_CHUNK_BYTES];
    struct block *block = block_of(BYTES("a block"));
    struct bytes argv[] = {BYTES("SET"), BYTES("k"), block_bytes(block)};
    struct record_command command = {argv, 3, &block, 1};
    memset(large, 'x', sizeof large);
    CHECK(queue_open(&queue));
    CHECK_INT(queue_bytes(&queue), 0);
    for (unsigned i = 0; i < 3; i++) {
        queue_add_text(&queue, 0, (struct bytes){large, sizeof large / 2});
        queue_add(&queue, 0, &command);
        queue_seal(&queue, i);
    }
    uint64_t all = queue_bytes(&queue);
    CHECK(all > 3 * block->len);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 2 + 2 * round; i++) {
            CHECK_INT(queue_first(&queue)->ticket, i / 2);
            queue_pass(&queue);
        }
        CHECK(block_shared(block) && queue_bytes(&queue) == all);
        if (round < 2) queue_rewind(&queue);
    }
    CHECK(!queue_first(&queue));
    queue_release(&queue);
    CHECK(!block_shared(block));
    CHECK(queue_bytes(&queue) <= QUEUE_CHUNK_BYTES);
    queue_rewind(&queue);
    CHECK(!queue_first(&queue));
    queue_close(&queue);
    block_release(block);
}

/* Its chunk stays, for the adding thread may use what is left of it, but counts no more. */
static void a_large_record_is_not_counted_when_it_is_released(void) {
    static char large[3 * QUEUE_CHUNK_BYTES];
    memset(large, 'x', sizeof large);
    CHECK(queue_open(&queue));
    for (unsigned i = 1; i <= 3; i++) {
        queue_add_text(&queue, 0, (struct bytes){large, sizeof large});
        queue_seal(&queue, 2 * i);
        CHECK(queue_bytes(&queue) > sizeof large &&
              queue_bytes(&queue) < sizeof large + 2 * QUEUE_CHUNK_BYTES);
        queue_pass(&queue), queue_release(&queue);
        CHECK(queue_bytes(&queue) < QUEUE_CHUNK_BYTES);
        add("small");
        queue_seal(&queue, 2 * i + 1);
        queue_pass(&queue), queue_release(&queue);
        CHECK(queue_bytes(&queue) < QUEUE_CHUNK_BYTES);
    }
    queue_close(&queue);
}

/* What was looked at, and not passed, does not go with those in front of it. */
static void a_release_ends_before_what_was_only_looked_at(void) {
    static char large[QUEUE_CHUNK_BYTES - 100];
    memset(large, 'y', sizeof large);
    CHECK(queue_open(&queue));
    for (unsigned i = 1; i <= 3; i++) {
        queue_add_text(&queue, 0, (struct bytes){large, sizeof large});
        queue_seal(&queue, i);
    }
    for (unsigned i = 1; i <= 3; i++) {
        queue_pass(&queue);
        CHECK(i == 3 || queue_first(&queue)->ticket == i + 1);
        queue_release(&queue);
        queue_rewind(&queue);
        if (i < 3) CHECK_BYTES(text_of(queue_first(&queue)), ((struct bytes){large, sizeof large}));
    }
    CHECK(!queue_first(&queue));
    queue_close(&queue);
}

static char copied[4096];

/* So many of database 5 from this ticket on, of at most `most` bytes. */
static uint64_t copy(uint64_t ticket, size_t most) {
    struct queue_copy run = {.to = copied,
                             .room = most,
                             .enough = most,
                             .shorter = 100,
                             .ticket = ticket,
                             .most = UINT64_MAX,
                             .db = 5};
    uint64_t count = queue_first(&queue) ? queue_copy(&queue, &run) : 0;
    copied[run.len] = '\0';
    return count;
}

static void a_run_of_plain_records_is_copied_at_once(void) {
    static char large[100];
    memset(large, 'z', sizeof large);
    CHECK(queue_open(&queue));
    add("a"), queue_seal(&queue, 1);
    add("bc"), queue_seal(&queue, 2);
    add("d"), queue_seal(&queue, 4);                              /* another has 3 */
    queue_add_text(&queue, 6, BYTES("e")), queue_seal(&queue, 5); /* another database */
    add("f"), add("g"), queue_seal(&queue, 6);                    /* a transaction */
    queue_add_text(&queue, 5, (struct bytes){large, sizeof large}), queue_seal(&queue, 7); /* not short */
    add("h"), queue_seal(&queue, 8);
    queue_add_cut(&queue, BYTES("i")), queue_seal(&queue, 9);
    CHECK_INT(copy(1, 2), 1); /* the next has no room */
    CHECK_BYTES(bytes_of(copied), BYTES("a"));
    queue_rewind(&queue);
    CHECK_INT(copy(1, 3), 2);
    CHECK_BYTES(bytes_of(copied), BYTES("abc"));
    CHECK_INT(copy(3, 100), 0);
    CHECK_INT(copy(4, 100), 1);
    CHECK_BYTES(bytes_of(copied), BYTES("d"));
    CHECK_INT(copy(5, 100), 0);
    queue_pass(&queue);
    CHECK_INT(copy(6, 100), 0);
    queue_pass(&queue), queue_pass(&queue);
    CHECK_INT(copy(7, 200), 0);
    queue_pass(&queue);
    CHECK_INT(copy(8, 100), 1);
    CHECK_BYTES(bytes_of(copied), BYTES("h"));
    CHECK_INT(copy(9, 100), 0);
    queue_release(&queue);
    CHECK(queue_first(&queue)->cut);
    queue_close(&queue);
}

/* Chunks that were released are used in turn, and no others are needed. */
static void released_chunks_are_used_again(void) {
    static char text[QUEUE_CHUNK_BYTES / 4];
    memset(text, 'x', sizeof text);
    CHECK(queue_open(&queue));
    for (uint64_t i = 1; i <= 400; i++) {
        if (i == 100) memory_left = 0;
        queue_add_text(&queue, 0, (struct bytes){text, sizeof text});
        queue_seal(&queue, i);
        if (i % 20) continue;
        while (queue_first(&queue)) queue_pass(&queue);
        queue_release(&queue);
    }
    CHECK(queue.reserve); /* it was not needed */
    memory_left = UINT_MAX;
    queue_close(&queue);
}

enum { RECORDS = 200000 };

static void *add_all(void *context) {
    (void)context;
    for (uint64_t i = 0; i < RECORDS; i++) {
        char text[600];
        memset(text, (int)(i % 251), sizeof text);
        queue_add_text(&queue, 0, (struct bytes){text, 1 + i % sizeof text});
        if (i % 3 != 1) queue_seal(&queue, i);
    }
    if (queue_is_open(&queue)) queue_seal(&queue, RECORDS);
    return NULL;
}

/* A record by itself, or as many as one copy takes. Returns how many. */
static uint64_t take_some(uint64_t i) {
    static char text[2000];
    struct queue_copy run = {
        .to = text, .room = sizeof text, .enough = sizeof text, .shorter = 550, .ticket = i, .most = 3};
    uint64_t count = queue_copy(&queue, &run);
    size_t at = 0;
    for (uint64_t j = i; j < i + count; at += 1 + j % 600, j++)
        CHECK_INT((unsigned char)text[at + j % 600], j % 251);
    CHECK_INT(at, run.len);
    CHECK(count == 0 || i % 3 != 1);
    return count;
}

static void one_thread_adds_while_another_takes(void) {
    pthread_t thread;
    CHECK(queue_open(&queue));
    CHECK(pthread_create(&thread, NULL, add_all, NULL) == 0);
    for (uint64_t i = 0; i < RECORDS; i++) {
        struct record *record;
        while (!(record = queue_first(&queue))) sched_yield();
        uint64_t taken = i % 7 ? take_some(i) : 0;
        if (taken) {
            i += taken - 1;
            if (i % 2) queue_release(&queue);
            continue;
        }
        CHECK_INT(record->len, 1 + i % 600);
        CHECK_INT((unsigned char)record_text(record)[record->len - 1], i % 251);
        CHECK_INT(record->ticket, i % 3 == 1 ? i + 1 : i);
        CHECK_INT(record->more, i % 3 == 1 && i + 1 < RECORDS);
        queue_pass(&queue), queue_release(&queue);
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!queue_first(&queue));
    queue_close(&queue);
}

int main(void) {
    RUN(nobody_sees_a_record_before_it_is_sealed);
    RUN(records_are_of_any_size);
    RUN(a_queue_gives_back_what_was_not_taken);
    RUN(without_memory_the_reserve_is_used_and_made_again);
    RUN(who_needs_more_than_the_reserve_and_finds_no_memory_ends_the_process);
    RUN(what_was_passed_stays_until_it_is_released);
    RUN(a_large_record_is_not_counted_when_it_is_released);
    RUN(a_release_ends_before_what_was_only_looked_at);
    RUN(a_run_of_plain_records_is_copied_at_once);
    RUN(released_chunks_are_used_again);
    RUN(one_thread_adds_while_another_takes);
    return 0;
}
