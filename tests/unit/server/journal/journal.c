/* Who listens, and who gets which ticket. */
#include "server/journal/journal.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/clients/post.h"
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
    uint64_t sealed = journal_seal(queue, 0);
    uint64_t ticket = queue_first(queue)->ticket;
    queue_pass(queue), queue_release(queue);
    CHECK_INT(sealed, ticket);
    return ticket;
}

static void tickets_begin_with_one_and_leave_none_out(void) {
    for (unsigned shards = 1; shards <= 2; shards++) {
        open_all(shards);
        for (unsigned i = 1; i < 10; i++) CHECK_INT(take_ticket(i % EXECUTORS), i);
        close_all();
    }
}

static void a_ticket_taken_early_is_the_request_s(void) {
    for (unsigned shards = 1; shards <= 2; shards++) {
        open_all(shards);
        struct record_queue *queue = journal_queue(0);
        CHECK_INT(journal_take(), 1);
        CHECK_INT(take_ticket(1), 2);
        queue_add_text(queue, 0, BYTES("x"));
        CHECK_INT(journal_seal(queue, 1), 1);
        CHECK_INT(queue_first(queue)->ticket, 1);
        CHECK_INT(journal_next(), 2);
        close_all();
    }
}

/* ---- What may be shown ---------------------------------------------------------------------------- */

static void what_was_changed_before_replies_waited_is_waited_for(void) {
    open_all(4);
    take_ticket(0);
    take_ticket(1);
    CHECK(!journal_holds());
    journal_hold(true);
    CHECK(journal_holds());
    for (unsigned i = 0; i < stripes.count; i++) {
        CHECK_INT(stripes.all[i].marks->newest, 2);
        for (unsigned mark = 0; mark < STRIPE_MARKS; mark++) CHECK_INT(stripes.all[i].marks->last[mark], 2);
    }
    journal_hold(false);
    CHECK(!journal_holds());
    close_all();
}

static bool woken(int fd) {
    uint64_t count;
    return read(fd, &count, sizeof count) == (ssize_t)sizeof count;
}

/* Of four shards one runs, one sleeps and awaits nothing, one a later ticket, one this one. */
static void who_sleeps_and_awaits_a_ticket_is_woken_by_it(void) {
    open_all(4);
    mailbox_count = 4;
    const uint32_t parked[] = {PARKED_NOT, PARKED, PARKED, PARKED};
    const uint64_t awaits[] = {1, AWAITS_NOTHING, 3, 2};
    for (unsigned i = 0; i < 4; i++)
        mailboxes[i] =
            (struct mailbox){.parked = parked[i], .awaits = awaits[i], .wake_fd = eventfd(0, EFD_NONBLOCK)};
    for (unsigned i = 0; i < 3; i++) take_ticket(i);
    journal_publish(2);
    CHECK_INT(journal_safe(), 2);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(woken(mailboxes[i].wake_fd) == (i == 3));
        CHECK_INT(mailboxes[i].parked, i == 3 ? PARKED_WOKEN : parked[i]);
    }
    journal_publish(3);
    CHECK(woken(mailboxes[2].wake_fd) && !woken(mailboxes[1].wake_fd));
    CHECK(!woken(mailboxes[3].wake_fd)); /* somebody wakes it already */
    for (unsigned i = 0; i < 4; i++) close(mailboxes[i].wake_fd);
    mailbox_count = 0;
    close_all();
}

/* Then others may try. */
static void a_wake_up_that_fails_is_given_back(void) {
    open_all(2);
    mailbox_count = 1;
    mailboxes[0] = (struct mailbox){.parked = PARKED, .awaits = 1, .wake_fd = -1};
    take_ticket(0);
    journal_publish(1);
    CHECK_INT(mailboxes[0].parked, PARKED);
    mailbox_count = 0;
    close_all();
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
    RUN(a_ticket_taken_early_is_the_request_s);
    RUN(what_was_changed_before_replies_waited_is_waited_for);
    RUN(who_sleeps_and_awaits_a_ticket_is_woken_by_it);
    RUN(a_wake_up_that_fails_is_given_back);
    RUN(threads_never_get_the_same);
    RUN(without_memory_there_is_no_journal);
    return 0;
}
