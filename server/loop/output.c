/* output.c - chunks, pins and parts. */
#include "server/loop/output.h"

#include <assert.h>
#include <stdlib.h>

struct chunk {
    struct chunk *next; /* in the pool */
    char data[];
};

enum { CHUNK_DATA = OUTPUT_CHUNK_SIZE, OWNER_CHUNK = 1, OWNER_SOURCE = 2, SOURCE_BYTES = 1 };

/* ---- Chunks --------------------------------------------------------------------------------------- */

static struct chunk *chunk_take(struct chunk_pool *pool) {
    struct chunk *chunk = pool->free;
    if (!chunk) return malloc(sizeof *chunk + CHUNK_DATA);
    assert(pool->count > 0);
    pool->free = chunk->next;
    pool->count--;
    return chunk;
}

static void chunk_give(struct chunk_pool *pool, struct chunk *chunk) {
    if (pool->count == CHUNK_POOL_MAX) {
        free(chunk);
        return;
    }
    assert(pool->count < CHUNK_POOL_MAX && !pool->free == !pool->count);
    chunk->next = pool->free;
    pool->free = chunk;
    pool->count++;
}

void chunk_pool_close(struct chunk_pool *pool) {
    while (pool->free) {
        struct chunk *chunk = pool->free;
        pool->free = chunk->next;
        free(chunk);
    }
    pool->count = 0;
}

/* ---- Parts ---------------------------------------------------------------------------------------- */

static void parts_open(struct parts *parts) {
    parts->iov = parts->inline_iov;
    parts->owner = parts->inline_owner;
    parts->head = parts->count = 0;
    parts->capacity = OUTPUT_INLINE_PARTS;
}

static void parts_free(struct parts *parts) {
    if (parts->iov != parts->inline_iov) {
        free(parts->iov);
        free(parts->owner);
    }
    parts_open(parts);
}

/* Makes room for `more` parts. What lies before the head has moved into flight already and is left behind. */
static bool parts_grow(struct parts *parts, unsigned more) {
    unsigned live = parts->count - parts->head, capacity = parts->capacity;
    while (capacity - live < more || live > capacity / 2) capacity *= 2;
    struct iovec *iov = malloc(capacity * sizeof *iov);
    uintptr_t *owner = malloc(capacity * sizeof *owner);
    if (!iov || !owner) {
        free(iov);
        free(owner);
        return false;
    }
    memcpy(iov, parts->iov + parts->head, live * sizeof *iov);
    memcpy(owner, parts->owner + parts->head, live * sizeof *owner);
    parts_free(parts);
    parts->iov = iov;
    parts->owner = owner;
    parts->count = live;
    parts->capacity = capacity;
    return true;
}

static bool parts_add(struct parts *parts, const char *data, size_t len, uintptr_t owner) {
    assert(len > 0);
    if (parts->count == parts->capacity && !parts_grow(parts, 1)) return false;
    parts->iov[parts->count] = (struct iovec){.iov_base = (char *)data, .iov_len = len};
    parts->owner[parts->count++] = owner;
    return true;
}

static struct reply_source *source_of(uintptr_t owner) {
    return owner & OWNER_SOURCE ? (struct reply_source *)(owner & ~(uintptr_t)OWNER_SOURCE) : NULL;
}

/* Called where a send of one part ends, as most do: without a call. */
static inline __attribute__((always_inline)) void owner_release(struct chunk_pool *pool, uintptr_t owner) {
    if (owner & OWNER_CHUNK)
        chunk_give(pool, (struct chunk *)(owner & ~(uintptr_t)OWNER_CHUNK));
    else if (owner & OWNER_SOURCE)
        source_of(owner)->drop(source_of(owner));
    else if (owner)
        block_release((struct block *)owner);
}

static void parts_drop(struct parts *parts, struct chunk_pool *pool) {
    for (unsigned i = parts->head; i < parts->count; i++) owner_release(pool, parts->owner[i]);
    parts_free(parts);
}

/* ---- Writing -------------------------------------------------------------------------------------- */

/* The open chunk ends without a run: the last part that lies in it takes it along. Only pinned parts can be queued
 * behind that one, for a chunk is ended before anything moves into flight, and before another is taken. */
static void chunk_end(struct output *out) {
    struct parts *parts = &out->queued;
    unsigned i = parts->count;
    while (i > parts->head && parts->owner[i - 1] && !(parts->owner[i - 1] & OWNER_CHUNK)) i--;
    if (i > parts->head && !parts->owner[i - 1])
        parts->owner[i - 1] = (uintptr_t)out->chunk | OWNER_CHUNK;
    else
        chunk_give(out->pool, out->chunk); /* nothing lies in it */
}

/* Turns the open text run into a part. With `last` the run's chunk goes with it, else the next run follows in it. */
static bool run_close(struct output *out, bool last) {
    size_t len = (size_t)(out->reply.at - out->run);
    uintptr_t owner = last ? (uintptr_t)out->chunk | OWNER_CHUNK : 0;
    if (len) {
        if (!parts_add(&out->queued, out->run, len, owner)) return false;
        out->unsent += len;
        out->run = out->reply.at;
    } else if (last && out->chunk) {
        chunk_end(out);
    }
    if (last) {
        out->chunk = NULL;
        out->run = out->reply.at = out->reply.end = NULL;
    }
    return true;
}

static bool over_limit(const struct output *out, size_t more) {
    return out->limit && output_unsent(out) + more > out->limit;
}

static bool sink_more(struct reply *reply, size_t need) {
    struct output *out = (struct output *)reply;
    assert(need <= CHUNK_DATA);
    if (over_limit(out, need) || !run_close(out, true)) return false;
    out->chunk = chunk_take(out->pool);
    if (!out->chunk) return false;
    out->run = out->reply.at = out->chunk->data;
    out->reply.end = out->chunk->data + CHUNK_DATA;
    return true;
}

static bool attach_part(struct output *out, struct bytes data, struct block *block) {
    if (over_limit(out, data.len) || !run_close(out, false) ||
        !parts_add(&out->queued, data.data, data.len, (uintptr_t)block)) {
        block_release(block);
        return false;
    }
    out->unsent += data.len;
    return true;
}

static bool sink_attach(struct reply *reply, struct bytes data, void *owner) {
    return attach_part((struct output *)reply, data, owner);
}

bool output_attach(struct output *out, struct block *block) {
    return attach_part(out, block_bytes(block), block);
}

/* A source is a part of no bytes. */
static bool parts_add_source(struct parts *parts, struct reply_source *source) {
    if (parts->count == parts->capacity && !parts_grow(parts, 1)) return false;
    parts->iov[parts->count] = (struct iovec){0};
    parts->owner[parts->count++] = (uintptr_t)source | OWNER_SOURCE;
    return true;
}

static bool sink_follow(struct reply *reply, struct reply_source *source) {
    struct output *out = (struct output *)reply;
    if (over_limit(out, SOURCE_BYTES) || !run_close(out, false) || !parts_add_source(&out->queued, source)) {
        source->drop(source);
        return false;
    }
    out->sources++;
    out->unsent += SOURCE_BYTES;
    return true;
}

static const struct reply_sink sink = {.more = sink_more, .attach = sink_attach, .follow = sink_follow};
_Static_assert(offsetof(struct output, reply) == 0, "the sink finds its output at the reply's address");

void output_open(struct output *out, struct chunk_pool *pool) {
    *out = (struct output){.pool = pool, .reply = {.resp = 2, .sink = &sink}};
    parts_open(&out->queued);
    parts_open(&out->inflight);
}

void output_close(struct output *out) {
    parts_drop(&out->inflight, out->pool);
    parts_drop(&out->queued, out->pool);
    if (out->chunk) chunk_give(out->pool, out->chunk);
    out->chunk = NULL;
    out->run = out->reply.at = out->reply.end = NULL;
    out->unsent = out->inflight_bytes = 0;
    out->sources = 0;
    out->older = out->newer = (struct output_hold){0};
}

/* ---- Sending -------------------------------------------------------------------------------------- */

/* The queued list becomes the one in flight. Inline arrays are copied, for the kernel reads them where they are. */
static inline __attribute__((always_inline)) void parts_move(struct parts *to, struct parts *from,
                                                             unsigned most) {
    unsigned count = from->count - from->head, left = count > most ? count - most : 0;
    assert(to->head == to->count);
    parts_free(to);
    if (from->iov == from->inline_iov || left) {
        unsigned moved = count - left;
        if (to->capacity < moved && !parts_grow(to, moved))
            left += moved - to->capacity, moved = to->capacity;
        memcpy(to->iov, from->iov + from->head, moved * sizeof *to->iov);
        memcpy(to->owner, from->owner + from->head, moved * sizeof *to->owner);
        to->count = moved;
        from->head += moved;
        if (!left) parts_free(from);
        return;
    }
    *to = *from;
    parts_open(from);
}

static bool is_empty(const struct parts *parts) {
    return parts->head == parts->count;
}

/* ---- Holds ---------------------------------------------------------------------------------------- */

/* Of the unsent bytes in front of all marks so many have gone, and others were made. */
static void holds_follow(struct output *out, size_t gone, size_t made) {
    struct output_hold *holds[] = {&out->older, &out->newer};
    for (unsigned i = 0; i < 2 && holds[i]->ticket; i++) {
        assert(holds[i]->from >= gone);
        holds[i]->from = holds[i]->from - gone + made;
    }
}

/* As tickets ascend, so do the bytes: what was asked later lies behind. Where nothing lies between the marks there is no
 * reply that the older one would let go, and it is raised itself. */
bool output_hold(struct output *out, size_t from, uint64_t ticket) {
    assert(ticket > 0 && from <= output_unsent(out));
    if (ticket <= output_shows(out)) return false;
    bool raised = out->newer.ticket || (out->older.ticket && from == out->older.from);
    if (!out->older.ticket || (!out->newer.ticket && from == out->older.from))
        out->older = (struct output_hold){from, ticket};
    else if (!out->newer.ticket)
        out->newer = (struct output_hold){from, ticket};
    else
        out->newer.ticket = ticket;
    assert(from >= out->older.from && (!out->newer.ticket || out->newer.from >= out->older.from));
    return !raised;
}

static size_t output_held_from(const struct output *out) {
    return out->older.ticket ? out->older.from : SIZE_MAX;
}

size_t output_ready(struct output *out, uint64_t safe) {
    while (out->older.ticket && out->older.ticket <= safe) {
        out->older = out->newer;
        out->newer = (struct output_hold){0};
    }
    return output_held_from(out);
}

/* ---- Sources -------------------------------------------------------------------------------------- */

/* The first part queued is a source that has come to its end. */
static void source_end(struct output *out) {
    assert(out->sources > 0 && out->unsent >= SOURCE_BYTES);
    owner_release(out->pool, out->queued.owner[out->queued.head++]);
    out->sources--;
    out->unsent -= SOURCE_BYTES;
    holds_follow(out, SOURCE_BYTES, 0);
    if (is_empty(&out->queued)) parts_free(&out->queued);
}

/* The first part queued is a source: what it writes next goes into flight. */
static void source_flow(struct output *out, struct reply_source *source) {
    struct output made;
    output_open(&made, out->pool);
    made.reply.resp = source->resp;
    bool more = source->more(source, &made.reply, REPLY_SOURCE_BUDGET);
    bool failed = made.reply.failed || !run_close(&made, true);
    if (!failed && !is_empty(&made.queued)) parts_move(&out->inflight, &made.queued, MAX_IOV);
    failed = failed || !is_empty(&made.queued); /* no source writes so many parts at once */
    out->unsent += made.unsent;
    holds_follow(out, 0, made.unsent);
    out->reply.failed = out->reply.failed || failed;
    if (!more || failed) source_end(out);
    output_close(&made);
}

/* How many parts go into flight at once: up to the first source, and those that lie within `most` bytes. */
static unsigned parts_ahead(const struct output *out, size_t most) {
    const struct parts *parts = &out->queued;
    unsigned count = parts->count - parts->head, i = 0;
    if (out->sources == 0 && most == SIZE_MAX) return MAX_IOV;
    for (; i < count && i < MAX_IOV && !(parts->owner[parts->head + i] & OWNER_SOURCE); i++) {
        if (parts->iov[parts->head + i].iov_len > most) break;
        most -= parts->iov[parts->head + i].iov_len;
    }
    return i;
}

/* The first part queued goes into flight with so many of its bytes; the rest, which owns what both lie in, stays. */
static void part_split(struct output *out, size_t len) {
    struct iovec *first = &out->queued.iov[out->queued.head];
    assert(len > 0 && len < first->iov_len && is_empty(&out->inflight));
    parts_free(&out->inflight);
    (void)parts_add(&out->inflight, first->iov_base, len, 0); /* there is room for one */
    first->iov_base = (char *)first->iov_base + len;
    first->iov_len -= len;
}

/* Fills what is to be in flight, if there is anything. */
static __attribute__((noinline)) void fill_flight(struct output *out, size_t most) {
    while (is_empty(&out->inflight) && !is_empty(&out->queued) && !out->reply.failed && most > 0) {
        struct reply_source *source = source_of(out->queued.owner[out->queued.head]);
        unsigned ahead = parts_ahead(out, most);
        if (source) {
            source_flow(out, source);
            most = most == SIZE_MAX ? most : output_held_from(out);
        } else if (ahead) {
            parts_move(&out->inflight, &out->queued, ahead);
        } else {
            part_split(out, most);
        }
    }
}

unsigned output_begin(struct output *out, size_t most, const struct iovec **iov) {
    assert(!output_in_flight(out));
    assert(most > 0 && (!out->older.ticket || most <= out->older.from));
    /* Without memory for the part the run stays open, and goes with a later flush. */
    if (out->chunk && !run_close(out, true) && out->queued.head == out->queued.count) return 0;
    if (out->queued.head == out->queued.count) return 0;
    if (__builtin_expect(out->sources > 0 || most != SIZE_MAX, 0))
        fill_flight(out, most);
    else
        parts_move(&out->inflight, &out->queued, MAX_IOV);
    for (unsigned i = out->inflight.head; i < out->inflight.count; i++)
        out->inflight_bytes += out->inflight.iov[i].iov_len;
    return output_rest(out, iov);
}

unsigned output_rest(const struct output *out, const struct iovec **iov) {
    *iov = out->inflight.iov + out->inflight.head;
    return out->inflight.count - out->inflight.head;
}

bool output_sent(struct output *out, size_t n) {
    struct parts *parts = &out->inflight;
    assert(n <= out->inflight_bytes);
    out->inflight_bytes -= n;
    out->unsent -= n;
    if (__builtin_expect(out->older.ticket != 0, 0)) holds_follow(out, n, 0);
    while (parts->head < parts->count && n >= parts->iov[parts->head].iov_len) {
        n -= parts->iov[parts->head].iov_len;
        owner_release(out->pool, parts->owner[parts->head++]);
    }
    if (parts->head == parts->count) {
        parts_free(parts);
        return true;
    }
    struct iovec *first = &parts->iov[parts->head];
    first->iov_base = (char *)first->iov_base + n;
    first->iov_len -= n;
    return false;
}
