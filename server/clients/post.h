/* post.h - messages between shards, for what belongs to another thread's connection.
 *
 * A post goes into the target's mailbox, a lock-free queue of many producers and one consumer. Posts from
 * one shard to another arrive in order. Waking a shard that sleeps is an operation of the sender's ring: a
 * post only notes in `struct wakes` whom it concerns, and the sender's loop wakes each of them once before
 * it sleeps itself (loop/deliver). */
#ifndef KEVY_SERVER_CLIENTS_POST_H
#define KEVY_SERVER_CLIENTS_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "server/limits.h"
#include "store/memory/block.h"

enum post_kind {
    POST_DELIVER, /* bytes for a client */
    POST_CLOSE,   /* the end of a client's connection */
    POST_RESUME,  /* connections that CLIENT PAUSE holds back are to be looked at again */
    POST_STOP,    /* the end of the shard */
};

struct post {
    struct post *next;
    enum post_kind kind;
    uint32_t slot, flag; /* flag: of the client, a delivery needs it still; 0: none */
    uint64_t id;
    struct block *bytes;
};

/* What others write of a shard, on a cache line that its owner's turn does not touch. */
struct mailbox {
    struct post *posts; /* atomic: newest first, pushed by anyone, taken by the owner */
    uint32_t parked;    /* atomic: 1 while the owner waits in the kernel, and nobody has woken it yet */
    int ring_fd;        /* of the owner's ring, or -1; fixed while shards run */
} __attribute__((aligned(128)));

extern struct mailbox mailboxes[MAX_SHARDS];
extern unsigned mailbox_count; /* as many as there are shards; fixed while these run */

/* Mailboxes that have had a post, and whose owners may sleep: the sender's own. */
struct wakes {
    uint64_t words[MAX_SHARDS / 64];
    bool any;
};

static inline void wakes_add(struct wakes *wakes, unsigned shard) {
    wakes->words[shard / 64] |= 1ull << (shard % 64);
    wakes->any = true;
}

static inline void wakes_add_all(struct wakes *wakes) {
    for (unsigned i = 0; i < mailbox_count; i++) wakes_add(wakes, i);
}

/* Where a client lives. Ids are never reused, so a post to a client that has gone is dropped. */
struct client_address {
    unsigned shard;
    uint32_t slot;
    uint64_t id;
};

/* Posts to the sender's own shard are run in its next post phase, after the running command, like all
 * others. All three return false (and have done nothing) without memory. */

/* Appends bytes to the client's output: they are RESP. Dropped if by then the client wants no replies
 * (CLIENT REPLY OFF), or has lost `flag` (CLIENT_MONITOR; 0 asks for none): a mode's messages end with the
 * mode. Takes over one reference to `bytes`, also on failure. */
bool post_deliver(struct wakes *wakes, struct client_address to, uint32_t flag, struct block *bytes);
/* Closes the client's connection; what it has not read is dropped. */
bool post_close(struct wakes *wakes, struct client_address to);
/* Tells every shard to look again at connections that CLIENT PAUSE holds back. */
bool post_resume(struct wakes *wakes);

/* ---- For the loop --------------------------------------------------------------------------------- */

/* Puts a post of the caller's into a mailbox; whoever takes it owns it then. Wakes nobody. */
void post_push(struct mailbox *mailbox, struct post *post);
/* Is anything posted? Ordered after the caller's store to `parked`. */
bool post_waiting(const struct mailbox *mailbox);
/* All that is posted, oldest first; linked by `next`, each malloc'd. */
struct post *post_take_all(struct mailbox *mailbox);
/* Marks the owner as awake if it is parked. True: it was, and it is for the caller to wake it, or to store
 * 1 to `parked` again. (If the owner wakes meanwhile, `parked` is still 1 while it runs; the price is one
 * needless wake-up.) */
bool post_claim_wake(struct mailbox *mailbox);
/* Frees a post that was taken but not run. */
void post_drop(struct post *post);

#endif
