/* invalidation.h - clients are told that what they have read is no longer valid.
 *
 *     invalidation_key -> notices in the inbox of each shard that has receivers -> its post -> invalidation_deliver
 *
 * A notice is put together once for all receivers of a shard. The inbox has one post, however many notices wait in it.
 * What a client must not miss needs no memory: where there is none for a notice the register notes that the client is
 * owed word that everything it has is invalid.
 *
 * Who changes what he has read himself is told behind the reply of the command (or of EXEC), as in Redis; the running
 * command gathers that in its executor's `struct invalidator`. So is, until the end of a turn, what BCAST is told of. */
#ifndef KEVY_SERVER_CLIENTS_INVALIDATION_H
#define KEVY_SERVER_CLIENTS_INVALIDATION_H

#include "protocol/buffer.h"
#include "protocol/reply.h"
#include "server/clients/client.h"
#include "server/clients/post.h"
#include "server/clients/trackers.h"

/* What the client whose command runs is to be told behind its reply. */
struct own {
    uint64_t client_id; /* 0: nobody's command runs */
    struct buffer keys; /* in this order */
    bool all;           /* instead of these: everything that it has is invalid */
};

/* One for each executor. */
struct invalidator {
    struct wakes *wakes;
    struct own own;
    struct buffer changed; /* keys, and who has changed them, for BCAST */
    bool changed_all;      /* there was no memory for one */
};

/* The low halves of clients' ids: `first` + i for each bit i of `near`, and `count` others. Nobody is named twice. */
struct readers {
    uint32_t first, near;
    const uint32_t *others;
    uint32_t count;
};

/* The key has been changed, and these clients have read it. */
void invalidation_key(struct invalidator *by, struct bytes key, const struct readers *readers);
/* A database has been emptied: all who track are told that all they have is invalid. */
void invalidation_all(struct invalidator *by);
/* It could not be noted what the running command's client has read. */
void invalidation_unnoted(struct invalidator *by);

/* The key has been changed by this client (0: by nobody): those who want to know of prefixes are told at the end of
 * the turn (invalidation_broadcast). */
void invalidation_note(struct invalidator *by, struct bytes key, uint64_t client_id);
static inline bool invalidation_has_news(const struct invalidator *by) {
    return by->changed.len || by->changed_all;
}
void invalidation_broadcast(struct invalidator *by);

/* Is the running command's client to be told anything behind its reply? */
static inline bool invalidation_has_own(const struct invalidator *by) {
    return by->own.keys.len || by->own.all;
}
/* Tells it: in `reply`, which is the client's own, or by way of whom it redirects to. It is no longer to be told then. The
 * client is NULL where it is another thread's; the reply is NULL where that is muted. */
void invalidation_tell_own(struct invalidator *by, struct client *client, struct reply *reply);
/* Frees what it holds. */
void invalidator_close(struct invalidator *by);

/* More than MESSAGES_HIGH bytes wait in some shard's inbox: writers had better wait. */
bool invalidation_is_full(void);

/* ---- For the loop --------------------------------------------------------------------------------- */

enum invalidation { TOLD_KEYS, TOLD_ALL, TOLD_BROKEN };

/* What one client is to be told. */
struct word {
    enum invalidation what;
    uint32_t slot;
    uint64_t id;        /* of the client */
    bool redirected;    /* on behalf of another client */
    uint8_t null;       /* ALL: the null's protocol, 2 or 3 */
    struct bytes keys;  /* KEYS: an array in RESP */
    uint64_t target_id; /* BROKEN: who has gone */
    uint64_t ticket;    /* what it shows was changed by this ticket of the journal, or before */
};

/* The shard's post has come. Hands each word that waits to `write`; after about MESSAGES_PER_TURN of these the rest
 * waits for the next post, which is under way then. */
void invalidation_deliver(struct wakes *wakes, unsigned shard,
                          void (*write)(void *context, const struct word *word), void *context);
/* Writes it for a client that is in this state. Returns how many bytes: 0 where Redis tells nothing, as in RESP2 to
 * who is no subscriber. */
size_t invalidation_write(const struct word *word, struct client *client, struct reply *reply);
/* The client has come from another shard (clients_arrive): if others have begun to redirect to it on its way, they knew no
 * slot of it, so it is told that everything is invalid. By its own thread. False: they look for it on yet another shard, and
 * it must end. */
bool invalidation_arrived(struct wakes *wakes, const struct client *client)
    __attribute__((warn_unused_result));
/* Drops what waits for a shard that has ended, post and all. */
void invalidation_drop(unsigned shard);

#endif
