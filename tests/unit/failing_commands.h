/* failing_commands.h - requests that run out of memory, for tests of commands that are linked as failing_memory.h says. */
#ifndef KEVY_TESTS_FAILING_COMMANDS_H
#define KEVY_TESTS_FAILING_COMMANDS_H

#include "tests/unit/commands_fixture.h"
#include "tests/unit/failing_memory.h"

/* Runs a request that only so many allocations are left for. The reply lasts until the next one. */
static inline struct bytes run_with(unsigned allocations, struct bytes line) {
    buffer_free(&sent);
    parse(line);
    CHECK(prepare_request(&shards->exec, &conn->client, &shards->exec.batch[0], NULL));
    shards->exec.clock.now_ms = now_ms;
    memory_left = allocations;
    CHECK(dispatch_batch(&shards->exec, &conn->client, &conn->output.reply, 1) == 1);
    memory_left = UINT_MAX;
    fixture_take(&conn->output, &sent);
    return buffer_bytes(&sent);
}

#endif
