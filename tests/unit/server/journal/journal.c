/* Who listens, and who gets which ticket. */
#include "server/journal/journal.h"

#include <pthread.h>

#include "server/stripes/stripes.h"
#include "tests/check.h"
#include "tests/unit/failing_memory.h"

enum { EXECUTORS = 3, TICKETS = 20000 };

static void open_all(unsigned shards) {
    CHECK_INT(stripes_open(shards, 2), 0);
    CHECK(journal_open(EXECUTORS));
}

static void close_all(void) {
    journal_close();
    stripes_close();
}

static void a_journal_listens_to_all_stripes_or_to_none(void) {
    CHECK(!journal_queue(0));
    open_all(4);
    for (unsigned i = 0; i < EXECUTORS; i++) CHECK(journal_queue(i) == journal_queue(0) + i);
    CHECK_INT(journal_queue_count(), EXECUTORS);
    journal_listen();
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].ears, EAR_JOURNAL);
    stripes.all[3].ears |= EAR_WATCH;
    journal_ignore();
    for (unsigned i = 0; i < stripes.count; i++) CHECK_INT(stripes.all[i].ears, i == 3 ? EAR_WATCH : 0);
    close_all();
    CHECK(!journal_queue(0));
}

static uint64_t take_ticket(unsigned executor) {
    struct record_queue *queue = journal_queue(executor);
    queue_add_text(queue, 0, BYTES("x"));
    journal_seal(queue);
    uint64_t ticket = queue_first(queue)->ticket;
    queue_take(queue);
    return ticket;
}

static void tickets_begin_with_one_and_leave_none_out(void) {
    for (unsigned shards = 1; shards <= 2; shards++) {
        open_all(shards);
        for (unsigned i = 1; i < 10; i++) CHECK_INT(take_ticket(i % EXECUTORS), i);
        close_all();
    }
}

static unsigned char taken[EXECUTORS * TICKETS];

static void *take_all(void *context) {
    for (unsigned i = 0; i < TICKETS; i++) taken[take_ticket((unsigned)(size_t)context) - 1]++;
    return NULL;
}

static void threads_never_get_the_same(void) {
    pthread_t threads[EXECUTORS];
    open_all(2);
    for (unsigned i = 0; i < EXECUTORS; i++)
        CHECK(pthread_create(&threads[i], NULL, take_all, (void *)(size_t)i) == 0);
    for (unsigned i = 0; i < EXECUTORS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < EXECUTORS * TICKETS; i++) CHECK_INT(taken[i], 1);
    close_all();
}

static void without_memory_there_is_no_journal(void) {
    for (unsigned memory = 0; memory < EXECUTORS; memory++) {
        memory_left = memory;
        CHECK(!journal_open(EXECUTORS));
        CHECK(!journal_queue(0));
    }
    memory_left = UINT_MAX;
}

int main(void) {
    RUN(a_journal_listens_to_all_stripes_or_to_none);
    RUN(tickets_begin_with_one_and_leave_none_out);
    RUN(threads_never_get_the_same);
    RUN(without_memory_there_is_no_journal);
    return 0;
}
