/* An executor: what its calls belong to, and what it leaves behind. */
#include "server/exec/executor.h"

#include <stdlib.h>

#include "tests/check.h"

static struct executor executor; /* large: not for a stack */

static void a_call_leads_to_its_executor(void) {
    executor_open(&executor, 3);
    CHECK_INT(executor.index, 3);
    struct call nested = executor.call; /* as EXEC makes one for each queued command */
    CHECK(executor_of(&executor.call) == &executor && executor_of(&nested) == &executor);
    CHECK(executor.effects.wakes == &executor.wakes && !executor.wakes.any);
    CHECK(executor.effects.metrics == &executor.metrics);
    CHECK(executor.clock.now_ms > 0 && executor.clock.now_us == executor.clock.timed_ns / 1000);
    executor_close(&executor);
}

static void its_batch_is_freed(void) {
    executor_open(&executor, 0);
    for (unsigned i = 0; i < BATCH_REQUESTS; i++) {
        executor.batch[i].hash = malloc(64);
        CHECK(executor.batch[i].hash);
        executor.batch[i].hash_capacity = 8;
    }
    executor_close(&executor); /* the leak checker of the sanitizer builds knows the rest */
    for (unsigned i = 0; i < BATCH_REQUESTS; i++)
        CHECK(!executor.batch[i].hash && !executor.batch[i].hash_capacity);
    executor_close(&executor); /* twice is no harm */
}

static void it_has_the_queue_of_its_number_where_a_journal_is_open(void) {
    executor_open(&executor, 1);
    CHECK(!executor.effects.journal);
    executor_close(&executor);
    CHECK(journal_open(2));
    executor_open(&executor, 1);
    CHECK(executor.effects.journal && executor.effects.journal == journal_queue(1));
    executor_close(&executor);
    journal_close();
}

int main(void) {
    RUN(a_call_leads_to_its_executor);
    RUN(its_batch_is_freed);
    RUN(it_has_the_queue_of_its_number_where_a_journal_is_open);
    return 0;
}
