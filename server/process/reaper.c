/* reaper.c - a list of dead blocks, each linked through its own first bytes. */
#include "server/process/reaper.h"

#include <pthread.h>

#include "protocol/assert.h"
#include "server/lock_order.h"
#include "server/report/metrics.h"
#include "store/memory/block.h"

static struct {
    struct mutex mutex;
    pthread_cond_t changed;
    pthread_t thread;
    struct block *first;
    uint64_t pending; /* blocks that have come and are not freed yet */
    bool running;
} reaper = {.mutex = MUTEX(LOCK_REAPER), .changed = PTHREAD_COND_INITIALIZER};

static struct metrics counted; /* by the reaper's thread */

_Static_assert(BLOCK_REAP_MIN >= sizeof(struct block *), "a link fits into any block that comes here");

static void push(struct block *block) {
    mutex_lock(&reaper.mutex);
    memcpy(block->data, &reaper.first, sizeof reaper.first);
    reaper.first = block;
    reaper.pending++;
    pthread_cond_signal(&reaper.changed);
    mutex_unlock(&reaper.mutex);
}

/* All that have come; NULL when the reaper is to end and none are left. */
static struct block *wait_for_dead(void) {
    mutex_lock(&reaper.mutex);
    while (reaper.running && !reaper.first) pthread_cond_wait(&reaper.changed, &reaper.mutex.mutex);
    struct block *first = reaper.first;
    reaper.first = NULL;
    mutex_unlock(&reaper.mutex);
    return first;
}

static void note_freed(void) {
    mutex_lock(&reaper.mutex);
    assert(reaper.pending > 0);
    reaper.pending--;
    mutex_unlock(&reaper.mutex);
    metric_add(&counted.lazyfreed_objects, 1);
}

uint64_t reaper_pending(void) {
    mutex_lock(&reaper.mutex);
    uint64_t pending = reaper.pending;
    mutex_unlock(&reaper.mutex);
    return pending;
}

static void *reap(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "reaper");
    for (struct block *block; (block = wait_for_dead());)
        for (struct block *next; block; block = next) {
            memcpy(&next, block->data, sizeof next);
            block_destroy(block);
            note_freed();
        }
    return NULL;
}

bool reaper_start(void) {
    reaper.running = true;
    metrics_register(&counted, 0);
    if (pthread_create(&reaper.thread, NULL, reap, NULL) != 0) {
        metrics_unregister(&counted);
        reaper.running = false;
        return false;
    }
    block_reaper = push;
    return true;
}

void reaper_stop(void) {
    if (!reaper.running) return;
    block_reaper = NULL;
    mutex_lock(&reaper.mutex);
    reaper.running = false;
    pthread_cond_signal(&reaper.changed);
    mutex_unlock(&reaper.mutex);
    pthread_join(reaper.thread, NULL);
    metrics_unregister(&counted);
}
