/* CLIENT PAUSE: which commands are held back, and until when. Time is an argument. */
#include "server/exec/pause.h"

#include <pthread.h>

#include "server/call/call.h"
#include "server/call/gate.h"
#include "server/exec/executor.h"
#include "server/exec/transaction.h"
#include "tests/check.h"

static const struct command reads = {.name = "reads", .flags = CMD_READONLY},
                            writes = {.name = "writes", .flags = CMD_WRITE},
                            publishes = {.name = "publishes", .flags = CMD_MAY_REPLICATE},
                            ends_it = {.name = "ends_it", .flags = CMD_NO_PAUSE},
                            runs_queue = {.name = "runs_queue", .flags = CMD_RUNS_QUEUE},
                            drops_queue = {.name = "drops_queue", .flags = CMD_LOCKS_QUEUE};

/* As dispatch asks: of the raised gates those that concern the row. */
static bool held_of(struct client *client, const struct command *row, int64_t now_ms) {
    struct effects effects = {.now_ms = now_ms};
    struct call call = {.command = row, .client = client, .effects = &effects};
    struct text why = text_fixed(NULL, 0);
    for (uint32_t bits = gates_of_command(row) & gates_up & ~(uint32_t)GATE_MODES; bits; bits &= bits - 1) {
        unsigned bit = (unsigned)__builtin_ctz(bits);
        if ((bit == GATE_PAUSE_WRITE || bit == GATE_PAUSE_ALL) && gate_at(bit)->ask(&call, &why) == HELD)
            return true;
    }
    return false;
}

static bool holds(const struct command *row, int64_t now_ms) {
    struct client client = {0};
    return held_of(&client, row, now_ms);
}

static bool raised(void) {
    return gates_up & (GATE_MASK(GATE_PAUSE_WRITE) | GATE_MASK(GATE_PAUSE_ALL));
}

static void nothing_is_held_before_a_pause(void) {
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!holds(&reads, 0));
    CHECK(!holds(&writes, 1000));
}

static void a_pause_of_all_holds_all_until_its_end(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    CHECK_INT(pause_until_ms(), 2000);
    CHECK(holds(&reads, 1000));
    CHECK(holds(&writes, 1999));
    CHECK(!holds(&ends_it, 1500));
    pause_end();
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!raised());
    CHECK(!holds(&writes, 1500));
}

static void a_pause_that_is_over_is_forgotten_when_asked_about(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    CHECK(holds(&reads, 1999));
    CHECK(!holds(&reads, 2000));
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!raised());
}

static void a_pause_of_writes_holds_what_would_change_data(void) {
    pause_begin(PAUSE_WRITE, 2000, 1000);
    CHECK(!holds(&reads, 1000));
    CHECK(holds(&writes, 1000));
    CHECK(holds(&publishes, 1000));
    pause_end();
}

/* A raised gate costs nothing to whom it does not concern. */
static void a_pause_of_writes_does_not_concern_readers(void) {
    pause_begin(PAUSE_WRITE, 2000, 1000);
    CHECK(raised());
    CHECK(!(gates_of_command(&reads) & gates_up & GATE_MASK(GATE_PAUSE_WRITE)));
    CHECK(!(gates_of_command(&reads) & gates_up & GATE_MASK(GATE_PAUSE_ALL)));
    pause_end();
}

/* A request without keys. */
static void queue(struct client *client, const struct command *row) {
    static struct executor executor;
    struct bytes name = BYTES("w");
    uint64_t hash = 0;
    struct request *request = &executor.batch[0];
    *request = (struct request){.command = row, .stripe = STRIPE_NONE, .args = {.argv = &name, .argc = 1}};
    struct call call = {.argv = &name, .argc = 1, .hash = &hash, .command = row};
    call.client = client;
    call.effects = &executor.effects;
    CHECK(transaction_queue(&call, request));
}

static void the_end_of_a_queue_is_what_it_would_run(void) {
    struct client client = {.id = 1};
    pause_begin(PAUSE_WRITE, 2000, 1000);
    CHECK(transaction_begin(&client));
    queue(&client, &reads);
    CHECK(!held_of(&client, &runs_queue, 1000));
    queue(&client, &publishes);
    CHECK(held_of(&client, &runs_queue, 1000));
    CHECK(!held_of(&client, &drops_queue, 1000)); /* DISCARD */
    transaction_end(&client);
    pause_end();
}

static void monitors_are_never_held(void) {
    struct client client = {.flags = CLIENT_MONITOR};
    pause_begin(PAUSE_ALL, 2000, 1000);
    CHECK(!held_of(&client, &reads, 1000));
    CHECK(holds(&reads, 1000));
    pause_end();
}

static void a_second_pause_only_makes_it_longer_and_wider(void) {
    pause_begin(PAUSE_WRITE, 2000, 1000);
    pause_begin(PAUSE_ALL, 1500, 1000);
    CHECK_INT(pause_until_ms(), 2000);
    CHECK(holds(&reads, 1999));
    pause_begin(PAUSE_WRITE, 3000, 1000);
    CHECK_INT(pause_until_ms(), 3000);
    CHECK(holds(&reads, 2999));
    pause_end();
}

static void a_pause_that_is_over_leaves_nothing_to_the_next(void) {
    pause_begin(PAUSE_ALL, 2000, 1000);
    pause_begin(PAUSE_WRITE, 4000, 3000);
    CHECK(!holds(&reads, 3500));
    CHECK(holds(&writes, 3500));
    pause_end();
}

static void extreme_ends_are_cut_not_wrapped(void) {
    pause_begin(PAUSE_ALL, INT64_MAX, 1000);
    CHECK(pause_until_ms() > INT64_MAX / 4);
    CHECK(holds(&reads, INT64_MAX / 4));
    pause_end();
    pause_begin(PAUSE_ALL, -5, 1000);
    CHECK_INT(pause_until_ms(), 0);
    CHECK(!holds(&reads, 1000));
    pause_end();
}

enum { ROUNDS = 20000 };

/* One thread pauses writes to odd ends and everything to even ones, each time from nothing. */
static void *pause_and_resume(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        pause_begin(i & 1 ? PAUSE_WRITE : PAUSE_ALL, 1000 + (i & 1), 1);
        pause_end();
    }
    return unused;
}

static void no_thread_sees_the_end_of_one_pause_with_the_mode_of_another(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, pause_and_resume, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) CHECK(!holds(&reads, 1000)); /* only writes are held as late as that */
    pthread_join(thread, NULL);
}

int main(void) {
    CHECK(gate_table_open() == NULL);
    RUN(nothing_is_held_before_a_pause);
    RUN(a_pause_of_all_holds_all_until_its_end);
    RUN(a_pause_that_is_over_is_forgotten_when_asked_about);
    RUN(a_pause_of_writes_holds_what_would_change_data);
    RUN(a_pause_of_writes_does_not_concern_readers);
    RUN(the_end_of_a_queue_is_what_it_would_run);
    RUN(monitors_are_never_held);
    RUN(a_second_pause_only_makes_it_longer_and_wider);
    RUN(a_pause_that_is_over_leaves_nothing_to_the_next);
    RUN(extreme_ends_are_cut_not_wrapped);
    RUN(no_thread_sees_the_end_of_one_pause_with_the_mode_of_another);
    return 0;
}
