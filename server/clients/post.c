/* post.c - a lock-free stack per shard: producers push with compare-and-swap, the owner takes all and
 * reverses.
 *
 * The push and the look at `parked` are sequentially consistent, as are the owner's store to `parked` and
 * its look at the queue: one of the two sees the other, so no post stays with an owner that sleeps. */
#include "server/clients/post.h"

#include <stdlib.h>

struct mailbox mailboxes[MAX_SHARDS];
unsigned mailbox_count;

_Static_assert(sizeof(struct mailbox) % 128 == 0, "mailboxes share no cache line, nor the one beside it");

/* ---- Sending -------------------------------------------------------------------------------------- */

void post_push(struct mailbox *mailbox, struct post *post) {
    post->next = __atomic_load_n(&mailbox->posts, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&mailbox->posts, &post->next, post, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
    }
}

bool post_claim_wake(struct mailbox *mailbox) {
    return __atomic_load_n(&mailbox->parked, __ATOMIC_SEQ_CST) &&
           __atomic_exchange_n(&mailbox->parked, 0, __ATOMIC_SEQ_CST);
}

static bool send_post(struct wakes *wakes, unsigned to, struct post what) {
    struct post *post = malloc(sizeof *post);
    if (!post) return false;
    *post = what;
    post_push(&mailboxes[to], post);
    wakes_add(wakes, to);
    return true;
}

bool post_deliver(struct wakes *wakes, struct client_address to, uint32_t flag, struct block *bytes) {
    struct post post = {.kind = POST_DELIVER, .slot = to.slot, .id = to.id, .flag = flag, .bytes = bytes};
    if (send_post(wakes, to.shard, post)) return true;
    block_release(bytes);
    return false;
}

bool post_close(struct wakes *wakes, struct client_address to) {
    return send_post(wakes, to.shard, (struct post){.kind = POST_CLOSE, .slot = to.slot, .id = to.id});
}

bool post_resume(struct wakes *wakes) {
    bool ok = true;
    for (unsigned i = 0; i < mailbox_count; i++)
        ok &= send_post(wakes, i, (struct post){.kind = POST_RESUME});
    return ok;
}

/* ---- Taking --------------------------------------------------------------------------------------- */

bool post_waiting(const struct mailbox *mailbox) {
    return __atomic_load_n(&mailbox->posts, __ATOMIC_SEQ_CST) != NULL;
}

struct post *post_take_all(struct mailbox *mailbox) {
    if (!__atomic_load_n(&mailbox->posts, __ATOMIC_RELAXED)) return NULL;
    struct post *newest = __atomic_exchange_n(&mailbox->posts, NULL, __ATOMIC_SEQ_CST), *oldest = NULL;
    while (newest) {
        struct post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void post_drop(struct post *post) {
    if (post->kind == POST_DELIVER) block_release(post->bytes);
    free(post);
}
