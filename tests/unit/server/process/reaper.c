/* Large blocks are freed elsewhere, all of them, and none before its last reference has gone. */
#include "server/process/reaper.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/report/metrics.h"
#include "store/memory/block.h"
#include "tests/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

/* LARGE is beyond malloc's largest threshold: such memory is mapped for itself, and unmapped when it is freed. */
enum { DEADLINE_S = 250, LARGE = 64 << 20, MANY = 200 };

static bool gone(const struct block *block) {
#ifdef ADDRESS_SANITIZER
    if (__asan_address_is_poisoned(block)) return true; /* kept in its quarantine */
#endif
    unsigned char resident;
    uintptr_t page = (uintptr_t)block & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    return mincore((void *)page, 1, &resident) != 0 && errno == ENOMEM;
}

static struct block *block_large(size_t size) {
    struct block *block = block_new_zeroed(size, size);
    CHECK(block);
    return block;
}

static void a_large_block_is_freed_while_we_do_something_else(void) {
    CHECK(reaper_start());
    struct block *block = block_large(LARGE);
    CHECK(!gone(block));
    block_release(block);
    while (reaper_pending()) sched_yield();
    while (!gone(block)) sched_yield(); /* the alarm of main ends a wait without end */
    reaper_stop();
}

static void a_block_with_a_reference_left_stays(void) {
    CHECK(reaper_start());
    struct block *kept = block_retain(block_large(LARGE)), *other = block_large(LARGE);
    block_release(kept);
    block_release(other);
    while (!gone(other)) sched_yield();
    kept->data[0] = kept->data[LARGE - 1] = 1;
    block_release(kept);
    reaper_stop();
    CHECK(gone(kept));
}

static void (*forward)(struct block *block);
static unsigned forwarded;

static void count_and_forward(struct block *block) {
    forwarded++;
    forward(block);
}

static void only_blocks_of_some_size_are_worth_the_way(void) {
    CHECK(reaper_start());
    forward = block_reaper;
    block_reaper = count_and_forward;
    CHECK(forward);
    forwarded = 0;
    block_release(block_large(BLOCK_REAP_MIN - 1));
    block_release(block_large(1));
    CHECK_INT(forwarded, 0);
    block_release(block_large(BLOCK_REAP_MIN));
    CHECK_INT(forwarded, 1);
    reaper_stop();
}

static struct metrics sum; /* large: not for a stack */

/* A leak checker sees what the queue of the dead would leave behind. */
static void stopping_frees_what_is_left(void) {
    static struct block *blocks[MANY];
    CHECK(reaper_start());
    metrics_reset();
    for (unsigned i = 0; i < MANY; i++) blocks[i] = block_large(i % 8 ? BLOCK_REAP_MIN : LARGE);
    for (unsigned i = 0; i < MANY; i++) block_release(blocks[i]);
    reaper_stop();
    for (unsigned i = 0; i < MANY; i += 8) CHECK(gone(blocks[i]));
    CHECK_INT(reaper_pending(), 0);
    metrics_sum(&sum);
    CHECK_INT(sum.lazyfreed_objects, MANY);
    CHECK(!block_reaper);
}

static void without_a_reaper_blocks_are_freed_on_the_spot(void) {
    struct block *block = block_large(LARGE);
    reaper_stop(); /* stopped already: nothing */
    block_release(block);
    CHECK(gone(block));
}

int main(void) {
    alarm(DEADLINE_S);
    RUN(a_large_block_is_freed_while_we_do_something_else);
    RUN(a_block_with_a_reference_left_stays);
    RUN(only_blocks_of_some_size_are_worth_the_way);
    RUN(stopping_frees_what_is_left);
    RUN(without_a_reaper_blocks_are_freed_on_the_spot);
    return 0;
}
