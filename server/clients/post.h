/* post.h - messages between shards, for what belongs to another thread's connection.
 *
 * A post goes into the target's mailbox, a lock-free queue of many producers and one consumer. Posts from
 * one shard to another arrive in order. Waking a shard that sleeps is the loop's business: a post only notes in
 * `struct wakes` whom it concerns, and the sender's loop wakes each of them once before it sleeps itself (loop/deliver). */
#ifndef KEVY_SERVER_CLIENTS_POST_H
#define KEVY_SERVER_CLIENTS_POST_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/bytes.h"
#include "server/clients/client.h"
#include "server/limits.h"
#include "store/memory/block.h"

enum post_kind {
    POST_DELIVER,  /* bytes for a client */
    POST_CLOSE,    /* the end of a client's connection */
    POST_ADOPT,    /* a connection that was accepted, and is the shard's from now on */
    POST_STOP,     /* the end of the shard */
    POST_WAIT,     /* somebody has ended a client's wait: server/exec/blocking.h */
    POST_MESSAGES, /* messages wait in the shard's inbox, which this is part of: server/clients/pubsub.h */
    POST_INVALIDATIONS, /* the same, of server/clients/invalidation.h */
    POST_MOVED, /* a client of another shard is the shard's from now on: server/loop/move.h, which this is part of */
};

struct post {
    struct post *next;
    enum post_kind kind;
    uint32_t slot, flag; /* flag: of the client, a delivery needs it still; 0: none */
    uint64_t id;
    struct block *bytes;
    int fd;                /* to be adopted */
    struct client *client; /* WAIT: whose. Its slot is kept until this has come, so it cannot have gone */
    uint64_t
        ticket; /* DELIVER, WAIT: what is shown by it was changed by this ticket of the journal, or before */
    bool unix_socket;
};

/* What others know of an owner. */
enum parked {
    PARKED_NOT,  /* it runs, and looks before it waits */
    PARKED,      /* it waits in the kernel, and nobody has woken it yet */
    PARKED_WOKEN /* it waits still, for all that is known, but somebody has begun to wake it */
};

/* What others write of a shard, on a cache line that its owner's turn does not touch.
 *
 * `due` is how others say that they left something in the owner's stripes (an earlier expiry, memory to free), or
 * changed what all shards look at: the moment at which the owner is to look. They only lower it; the owner takes
 * it and keeps the earliest of all in a word of its own. tests/models/wake.pml is this protocol. */
struct mailbox {
    struct post *posts; /* atomic: newest first, pushed by anyone, taken by the owner */
    int64_t due_ms;     /* atomic: Unix time, DUE_NEVER, or DUE_ALL */
    uint32_t parked;    /* atomic: enum parked */
    uint64_t awaits;    /* atomic: the ticket its replies wait for, or AWAITS_NOTHING; set before `parked` */
    int wake_fd; /* what ends that wait, also for threads without an io (io_wake_fd); fixed while shards run, or -1 */
} __attribute__((aligned(128)));

/* DUE_ALL: at once, and not at stripes alone but at whatever may have changed: a pause that ended, an option. */
#define DUE_NEVER      INT64_MAX
#define DUE_ALL        ((int64_t)0)

#define AWAITS_NOTHING UINT64_MAX

extern struct mailbox mailboxes[MAX_SHARDS];
extern unsigned mailbox_count; /* as many as there are shards; fixed while these run */

/* Mailboxes that have had a post, and whose owners may sleep: the sender's own. */
struct wakes {
    uint64_t words[MAX_SHARDS / 64];
    bool any;
    /* What the sender's running batch has read and changed, it has by this ticket of the journal or before: so whatever is
     * sent meanwhile may show that, and is to be held until it may be shown. Of no meaning where nothing is held. */
    uint64_t shows;
};

static inline void wakes_show(struct wakes *wakes, uint64_t ticket) {
    if (ticket > wakes->shows) wakes->shows = ticket;
}

static inline void wakes_add(struct wakes *wakes, unsigned shard) {
    wakes->words[shard / 64] |= 1ull << (shard % 64);
    wakes->any = true;
}
/* Takes one of them out, each once. False: there is none any more. */
static inline bool wakes_take(struct wakes *wakes, unsigned *shard) {
    for (unsigned word = 0; wakes->any && word < MAX_SHARDS / 64; word++) {
        uint64_t bits = wakes->words[word];
        if (!bits) continue;
        *shard = word * 64 + (unsigned)__builtin_ctzll(bits);
        wakes->words[word] = bits & (bits - 1);
        return true;
    }
    wakes->any = false;
    return false;
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
/* Hands a connection to a shard, which closes the descriptor in the end, whatever becomes of the post. */
bool post_adopt(struct wakes *wakes, unsigned shard, int fd, bool unix_socket);

/* Asks the shard to look at its stripes at that moment, or sooner; it may be the sender's own. For what a stripe's
 * keyspace has news of, while the stripe's lock is held: the owner's look then cannot come between the two. */
void post_due(struct wakes *wakes, unsigned shard, int64_t at_ms);
/* Asks every shard to look at everything: connections that CLIENT PAUSE holds back, limits, expiry. What it is to see
 * must have changed before. */
void post_look_again(struct wakes *wakes);

/* ---- For the loop --------------------------------------------------------------------------------- */

/* Puts a post of the caller's into a mailbox; whoever takes it owns it then. Wakes nobody. */
void post_push(struct mailbox *mailbox, struct post *post);
/* Is anything posted, or the owner asked to look at something before want_ms? Ordered after the caller's
 * store to `parked`. */
bool post_waiting(const struct mailbox *mailbox, int64_t want_ms);
/* When the owner was asked to look, since this was asked last. */
int64_t post_take_due(struct mailbox *mailbox);
/* All that is posted, oldest first; linked by `next`. Each is malloc'd, but for POST_WAIT, POST_MESSAGES,
 * POST_INVALIDATIONS and POST_MOVED, which are part of what they tell of. */
struct post *post_take_all(struct mailbox *mailbox);
/* True: the owner is parked, and it is for the caller, and nobody else, to wake it, or to give that back. */
bool post_claim_wake(struct mailbox *mailbox);
/* What was claimed could not be done: the caller will try again, and others may too. */
void post_give_wake(struct mailbox *mailbox);
/* Has the owner not woken since somebody claimed that? */
bool post_wake_unheard(const struct mailbox *mailbox);
/* All up to this ticket of the journal may be shown: wakes the owners that are parked and await it. For a thread without an
 * io, behind its store of that (journal_publish). Lost wake-ups are not repeated: who awaits sleeps for a bounded time. */
void post_wake_awaiting(uint64_t ticket);
/* Frees a post that was taken but not run, and what it carries; only for those that were malloc'd. */
void post_drop(struct post *post);

#endif
