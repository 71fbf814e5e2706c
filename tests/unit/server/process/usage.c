/* INFO's memory: that of the data, its peak, and how people read it. */
#include "server/process/usage.h"

#include "server/loop/upkeep.h"
#include "tests/unit/commands_fixture.h"
#include "tests/unit/info_fixture.h"

static void memory_is_that_of_the_data_and_its_peak_stays(void) {
    begin();
    long long before = figure(info_text("memory", now_ms), "used_memory");
    EXPECT("setrange k 999999 x\n", ":1000000\r\n");
    const char *memory = info_text("memory", now_ms);
    long long used = figure(memory, "used_memory");
    CHECK(used >= before + 1000000 && used < before + 2000000);
    CHECK(figure(memory, "used_memory_peak") >= used && figure(memory, "used_memory_rss") > 0);
    CHECK_INT(figure(memory, "used_memory_dataset"), used - figure(memory, "used_memory_overhead"));
    EXPECT("del k\n", ":1\r\n");
    memory = info_text("memory", now_ms);
    CHECK(figure(memory, "used_memory") < used && figure(memory, "used_memory_peak") >= used);
    end();
}

/* As if the moment had come for which the last commands asked. */
static void finish_upkeep(void) {
    for (unsigned i = 0; i < shard_count; i++) {
        shards[i].want_ms = 0;
        while (shards[i].want_ms == 0) upkeep_run(&shards[i]);
    }
}

/* Long elements of collections lie apart from the nodes, and count all the same: as long as anybody refers to them. */
static void long_elements_are_counted(void) {
    static char request[2100] = "rpush l ";
    begin();
    EXPECT("rpush l a\n", ":1\r\n");
    long long before = figure(info_text("memory", now_ms), "used_memory");
    memset(request + 8, 'x', 2000);
    request[2008] = '\n';
    for (unsigned i = 0; i < 300; i++) run((struct bytes){request, 2009});
    long long used = figure(info_text("memory", now_ms), "used_memory");
    CHECK(used > before + 300 * 2000 && used < before + 300 * 2300);
    EXPECT("copy l m\n", ":1\r\n");
    EXPECT("del l\n", ":1\r\n");
    CHECK(figure(info_text("memory", now_ms), "used_memory") > before + 300 * 2000);
    EXPECT("del m\n", ":1\r\n");
    finish_upkeep();
    CHECK(figure(info_text("memory", now_ms), "used_memory") < before + 2000);
    end();
}

static void people_read_sizes_in_units(void) {
    static const char *const units = "BKMGTPE";
    begin();
    EXPECT("setrange k 3145727 x\n", ":3145728\r\n");
    const char *memory = info_text("memory", now_ms);
    long long used = figure(memory, "used_memory");
    const char *human = strstr(memory, "used_memory_human:") + 18;
    char *end_of;
    double value = strtod(human, &end_of);
    CHECK(strchr(units, *end_of) && end_of[1] == '\r');
    for (const char *unit = units; *unit != *end_of; unit++) value *= 1024;
    CHECK(value > (double)used * 0.99 && value < (double)used * 1.01);
    end();
}

/* A unit begins at 1024 of the one before, as Redis has it: 1010K are not 0.99M. */
static void units_are_1024_of_each_other(void) {
    begin();
    EXPECT("set k v\n", OK);
    size_t more = 1010 * 1024 + 512 - (size_t)figure(info_text("memory", now_ms), "used_memory");
    struct key key = {BYTES("k"), hash_bytes(&stripes.seed, BYTES("k"))};
    struct value value = {.kind = VALUE_BLOCK, .block = block_new_zeroed(more, more)};
    CHECK(value.block && keyspace_set(stripe_of(key.hash)->keyspace, 0, key, &value, EXPIRY_NONE));
    block_release(value.block);
    const char *human = strstr(info_text("memory", now_ms), "used_memory_human:");
    CHECK(human);
    /* malloc may round up by some KiB. */
    CHECK_BYTES(((struct bytes){human, 21}), BYTES("used_memory_human:101"));
    CHECK(human[22] == '.' && human[25] == 'K');
    end();
}

/* A flush is done at once; the memory comes back in steps, and this tells how far they are. */
static void what_was_flushed_is_pending_until_upkeep_has_freed_it(void) {
    enum { KEYS = 3000 };
    begin();
    for (int k = 0; k < KEYS; k++) {
        char line[32];
        int len = snprintf(line, sizeof line, "set %d v\n", k);
        CHECK_BYTES(run((struct bytes){line, (size_t)len}), BYTES(OK));
    }
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfree_pending_objects"), 0);
    EXPECT("flushall\n", OK);
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfree_pending_objects"), KEYS);
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfreed_objects"), 0);
    for (unsigned i = 0; i < shard_count; i++) {
        shards[i].want_ms = 0; /* as if the moment had come for which the flush asked */
        upkeep_run(&shards[i]);
    }
    const char *memory = info_text("memory", now_ms);
    long long pending = figure(memory, "lazyfree_pending_objects");
    CHECK(pending < KEYS);
    CHECK_INT(figure(memory, "lazyfreed_objects"), KEYS - pending);
    finish_upkeep();
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfree_pending_objects"), 0);
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfreed_objects"), KEYS);
    metrics_reset();
    CHECK_INT(figure(info_text("memory", now_ms), "lazyfreed_objects"), 0);
    end();
}

int main(void) {
    RUN(memory_is_that_of_the_data_and_its_peak_stays);
    RUN(long_elements_are_counted);
    RUN(people_read_sizes_in_units);
    RUN(units_are_1024_of_each_other);
    RUN(what_was_flushed_is_pending_until_upkeep_has_freed_it);
    return 0;
}
