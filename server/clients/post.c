/* post.c - a lock-free stack per shard: producers push with compare-and-swap, the owner takes all and
 * reverses.
 *
 * The push (or the lowering of due_ms) and the look at `parked` are sequentially consistent, as are the owner's store to
 * `parked` and its look at both: one of the two sees the other, so nothing stays with an owner that sleeps. */
#include "server/clients/post.h"

#include <stdlib.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "server/clients/accepted.h"

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
    uint32_t parked = PARKED;
    return __atomic_load_n(&mailbox->parked, __ATOMIC_SEQ_CST) == PARKED &&
           __atomic_compare_exchange_n(&mailbox->parked, &parked, PARKED_WOKEN, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* If the owner has woken meanwhile, there is nothing to give back. */
void post_give_wake(struct mailbox *mailbox) {
    uint32_t parked = PARKED_WOKEN;
    (void)__atomic_compare_exchange_n(&mailbox->parked, &parked, PARKED, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
}

bool post_wake_unheard(const struct mailbox *mailbox) {
    return __atomic_load_n(&mailbox->parked, __ATOMIC_SEQ_CST) == PARKED_WOKEN;
}

static bool wake_fd(int fd) {
    static const uint64_t one = 1;
    return write(fd, &one, sizeof one) == (ssize_t)sizeof one;
}

void post_wake_awaiting(uint64_t ticket) {
    for (unsigned i = 0; i < mailbox_count; i++) {
        struct mailbox *mailbox = &mailboxes[i];
        if (__atomic_load_n(&mailbox->parked, __ATOMIC_SEQ_CST) != PARKED ||
            __atomic_load_n(&mailbox->awaits, __ATOMIC_RELAXED) > ticket)
            continue;
        if (post_claim_wake(mailbox) && !wake_fd(mailbox->wake_fd)) post_give_wake(mailbox);
    }
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
    struct post post = {.kind = POST_DELIVER,
                        .slot = to.slot,
                        .id = to.id,
                        .flag = flag,
                        .bytes = bytes,
                        .ticket = wakes->shows};
    if (send_post(wakes, to.shard, post)) return true;
    block_release(bytes);
    return false;
}

bool post_close(struct wakes *wakes, struct client_address to) {
    return send_post(wakes, to.shard, (struct post){.kind = POST_CLOSE, .slot = to.slot, .id = to.id});
}

bool post_adopt(struct wakes *wakes, unsigned shard, int fd, bool unix_socket) {
    assert(fd >= 0 && shard < mailbox_count);
    return send_post(wakes, shard, (struct post){.kind = POST_ADOPT, .fd = fd, .unix_socket = unix_socket});
}

/* By compare-and-swap: a store could put a later moment in the place of another sender's. Where an earlier one is there, it
 * was not taken before the owner last looked at the stripe whose lock the caller holds. */
void post_due(struct wakes *wakes, unsigned shard, int64_t at_ms) {
    struct mailbox *mailbox = &mailboxes[shard];
    assert(shard < mailbox_count && at_ms > DUE_ALL && at_ms < DUE_NEVER);
    int64_t due_ms = __atomic_load_n(&mailbox->due_ms, __ATOMIC_SEQ_CST);
    while (at_ms < due_ms && !__atomic_compare_exchange_n(&mailbox->due_ms, &due_ms, at_ms, true,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    wakes_add(wakes, shard);
}

/* Here no lock says that DUE_ALL, if it is there, was not taken before the caller's change: it is always written, so that
 * whoever takes it sees what was changed before. */
void post_look_again(struct wakes *wakes) {
    for (unsigned i = 0; i < mailbox_count; i++) {
        __atomic_store_n(&mailboxes[i].due_ms, DUE_ALL, __ATOMIC_SEQ_CST);
        wakes_add(wakes, i);
    }
}

/* ---- Taking --------------------------------------------------------------------------------------- */

bool post_waiting(const struct mailbox *mailbox, int64_t want_ms) {
    return __atomic_load_n(&mailbox->posts, __ATOMIC_SEQ_CST) != NULL ||
           __atomic_load_n(&mailbox->due_ms, __ATOMIC_SEQ_CST) < want_ms;
}

int64_t post_take_due(struct mailbox *mailbox) {
    if (__atomic_load_n(&mailbox->due_ms, __ATOMIC_RELAXED) == DUE_NEVER) return DUE_NEVER;
    return __atomic_exchange_n(&mailbox->due_ms, DUE_NEVER, __ATOMIC_SEQ_CST);
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
    assert(post->kind != POST_WAIT && post->kind != POST_MESSAGES && post->kind != POST_INVALIDATIONS &&
           post->kind != POST_MOVED);
    if (post->kind == POST_DELIVER) block_release(post->bytes);
    if (post->kind == POST_ADOPT) accepted_close(post->fd);
    free(post);
}
