/* output.h - what a connection still has to send.
 *
 *                                                               output_begin           output_sent
 *     text run (in a chunk) -> [ part | pin | part | ... ] queued ------------> in flight -----------> gone
 *
 * Small replies are copied into chunks from a per-shard pool; a large value is a part that points into the
 * store and holds a reference on its block. Parts are kept as iovecs, so a flush hands them to WRITEV as they
 * are. What is in flight never moves: replies that come meanwhile queue behind it. A part may also be a source of what is
 * yet to be written (protocol/reply.h): where it is the first one queued, its next bytes are made and go into flight.
 *
 * Invariants:
 *  1. unsent = bytes in flight + bytes of queued parts + bytes of the open text run.
 *  2. A chunk is released with the last part that lies in it; an output without unsent bytes owns nothing.
 *  3. A pinned block is released exactly once: when its part has gone, or when the output is dropped; so is a source.
 *  4. `sources` are those queued. Each counts as one unsent byte: there is something to send as long as there is one.
 *  5. Nothing of what lies behind a mark of a hold is in flight before the hold is over, and both its numbers ascend from
 *     the older to the newer one. */
#ifndef KEVY_SERVER_LOOP_OUTPUT_H
#define KEVY_SERVER_LOOP_OUTPUT_H

#include <sys/uio.h>

#include "protocol/reply.h"
#include "server/limits.h"
#include "store/memory/block.h"

struct chunk;

/* Chunks of one shard that are free now: as many as the connections that a turn answers, for over epoll each has one until
 * the turn's end. With 64, two hundred connections cost malloc a page fault every third request (README.md). */
struct chunk_pool {
    struct chunk *free;
    unsigned count;
};

enum { OUTPUT_INLINE_PARTS = 4, CHUNK_POOL_MAX = 256 };
_Static_assert((int)OUTPUT_INLINE_PARTS <= (int)MAX_IOV, "what lies inline is sent at once");

/* A list of iovecs with their owners; the first few live here. */
struct parts {
    struct iovec *iov; /* inline_iov, or malloc'd */
    uintptr_t *owner;  /* 0, a block, or a chunk with the lowest bit set, or a source with the second */
    unsigned head, count, capacity;
    struct iovec inline_iov[OUTPUT_INLINE_PARTS];
    uintptr_t inline_owner[OUTPUT_INLINE_PARTS];
};

/* What is written behind so many unsent bytes leaves when a ticket of the journal may be shown. */
struct output_hold {
    size_t from;
    uint64_t ticket; /* 0: none */
};

struct output {
    struct reply reply; /* what handlers write to; its `at` is the end of the open text run */
    struct chunk_pool *pool;
    struct chunk *chunk; /* holds the open text run; NULL: none */
    char *run;           /* start of the open text run */
    struct parts queued, inflight;
    size_t unsent; /* bytes, without the open text run: output_unsent adds it */
    size_t inflight_bytes;
    unsigned sources;
    size_t limit; /* more unsent bytes than this fail the reply; 0: no limit */
    /* Two, for a client that never stops asking: what it asks meanwhile raises the newer one, and what lies between the two
     * leaves when the older one is over. So whatever it asks is answered within two commits of the journal. With one, its
     * replies would wait for ever. */
    struct output_hold older, newer;
};

void output_open(struct output *out, struct chunk_pool *pool);
/* Drops everything, what is in flight too: only after its last completion. */
void output_close(struct output *out);

static inline size_t output_unsent(const struct output *out) {
    return out->unsent + (size_t)(out->reply.at - out->run);
}
static inline bool output_in_flight(const struct output *out) {
    return out->inflight_bytes != 0;
}

/* Appends raw bytes by reference, as reply_sink's attach: takes over one reference. */
bool output_attach(struct output *out, struct block *block);

/* What lies behind the first `from` unsent bytes shows changes up to this ticket: it is not to leave before. False
 * where a mark that was there says so, raised or not. */
bool output_hold(struct output *out, size_t from, uint64_t ticket);
/* The ticket that the first held bytes wait for, or 0; and the one that whatever is written next has to wait for. */
static inline uint64_t output_awaits(const struct output *out) {
    return out->older.ticket;
}
static inline uint64_t output_shows(const struct output *out) {
    return out->newer.ticket ? out->newer.ticket : out->older.ticket;
}
/* So many unsent bytes, from the first on, are not held where all up to this ticket may be shown. */
size_t output_ready(struct output *out, uint64_t safe);

/* Moves what is queued into flight, when nothing is, `most` bytes at most, where a source counts as one: iov[0..count) is to
 * be sent; count <= MAX_IOV, so more may be left queued. Returns the count, 0 if there is nothing to send. */
unsigned output_begin(struct output *out, size_t most, const struct iovec **iov);
/* `n` bytes of what is in flight have gone. Returns true when all of it has. */
bool output_sent(struct output *out, size_t n);
/* What is in flight and has not gone, to be sent again after a short write. */
unsigned output_rest(const struct output *out, const struct iovec **iov);

void chunk_pool_close(struct chunk_pool *pool);

#endif
