/* queue.c - a chain of chunks, and the count of sealed records that one thread tells the other. */
#include "server/journal/queue.h"

#include <stdlib.h>

#include "server/log.h"

struct queue_chunk {
    struct queue_chunk *next; /* written before the chunk is closed */
    size_t capacity;          /* bytes */
    _Atomic size_t closed;    /* where its last record ends, once there is a next chunk; 0 until then */
    struct record records[];  /* they are not all of this size */
};

static struct record *record_at(struct queue_chunk *chunk, size_t at) {
    assert(at % _Alignof(struct record) == 0 && at + sizeof(struct record) <= chunk->capacity);
    return (struct record *)((char *)chunk->records + at);
}

static size_t size_of(const struct record *record) {
    return record_size(record->len, record->block_count);
}

static struct queue_chunk *chunk_new(size_t capacity) {
    size_t size;
    if (__builtin_add_overflow(sizeof(struct queue_chunk), capacity, &size)) return NULL;
    struct queue_chunk *chunk = malloc(size);
    if (!chunk) return NULL;
    chunk->next = NULL;
    chunk->capacity = capacity;
    atomic_init(&chunk->closed, 0);
    return chunk;
}

bool queue_open(struct record_queue *queue) {
    queue_prepare(queue);
    return queue->reserve != NULL;
}

void queue_close(struct record_queue *queue) {
    if (queue_is_open(queue)) queue_seal(queue, 0);
    while (queue_first(queue)) queue_pass(queue);
    queue_release(queue);
    assert(queue->first == queue->last);
    free(queue->first);
    free(queue->reserve);
    for (unsigned i = 0; i < QUEUE_SPARES; i++) free(atomic_load(&queue->spares[i]));
    *queue = (struct record_queue){0};
}

/* ---- The adding thread ---------------------------------------------------------------------------- */

void queue_prepare(struct record_queue *queue) {
    if (!queue->reserve) queue->reserve = chunk_new(QUEUE_RESERVE_BYTES);
}

/* The reserve, where it is enough. */
static struct queue_chunk *chunk_of_reserve(struct record_queue *queue, size_t size) {
    struct queue_chunk *reserve = queue->reserve;
    if (!reserve || size > reserve->capacity) return NULL;
    queue->reserve = NULL;
    return reserve;
}

/* By the adding thread alone. */
static void count_added(struct record_queue *queue, uint64_t bytes) {
    uint64_t before = atomic_load_explicit(&queue->bytes_added, memory_order_relaxed);
    atomic_store_explicit(&queue->bytes_added, before + bytes, memory_order_relaxed);
}

/* One that was used before; NULL: there is none. */
static struct queue_chunk *chunk_again(struct record_queue *queue) {
    _Atomic(struct queue_chunk *) *place = &queue->spares[queue->spares_used % QUEUE_SPARES];
    struct queue_chunk *chunk = atomic_load_explicit(place, memory_order_acquire);
    if (!chunk) return NULL;
    assert(chunk->capacity == QUEUE_CHUNK_BYTES && !chunk->next); /* 4 */
    assert(atomic_load_explicit(&chunk->closed, memory_order_relaxed) == 0 && chunk != queue->last);
    atomic_store_explicit(place, NULL, memory_order_release);
    queue->spares_used++;
    return chunk;
}

/* A chunk behind the last one, with room for a record of `size` bytes. */
static __attribute__((noinline)) void add_chunk(struct record_queue *queue, size_t size) {
    struct queue_chunk *chunk = size > QUEUE_CHUNK_BYTES ? NULL : chunk_again(queue);
    if (!chunk) chunk = chunk_new(size > QUEUE_CHUNK_BYTES ? size : QUEUE_CHUNK_BYTES);
    if (!chunk) chunk = chunk_of_reserve(queue, size);
    if (!chunk) {
        log_warning("Out of memory for the journal: a change was made that cannot be written down");
        abort();
    }
    assert(chunk->capacity >= size && !chunk->next && chunk != queue->last);
    if (queue->last) {
        assert(queue->used > 0 && queue->used <= queue->last->capacity); /* 2 */
        queue->last->next = chunk;
        atomic_store_explicit(&queue->last->closed, queue->used,
                              memory_order_relaxed); /* sealed after it: 2 */
    } else {
        queue->first = chunk;
    }
    queue->last = chunk;
    queue->used = 0;
    count_added(queue, chunk->capacity);
}

/* A record for so much text and so many blocks, behind all others. */
static inline struct record *append(struct record_queue *queue, uint32_t db, size_t len,
                                    uint32_t block_count) {
    size_t size = record_size(len, block_count);
    if (__builtin_expect(!queue->last || size > queue->last->capacity - queue->used, 0))
        add_chunk(queue, size);
    struct record *record = record_at(queue->last, queue->used);
    if (!queue->open_count) {
        queue->open_chunk = queue->last;
        queue->open = record;
    }
    *record = (struct record){.len = len, .db = db, .block_count = block_count};
    queue->used += size;
    queue->open_count++;
    assert(queue->used <= queue->last->capacity);
    return record;
}

void queue_add(struct record_queue *queue, uint32_t db, const struct record_command *command) {
    size_t len;
    uint32_t blocks = record_measure(command, &len);
    record_fill(append(queue, db, len, blocks), command);
    if (blocks) count_added(queue, record_resp_len(command) - len);
}

void queue_add_text(struct record_queue *queue, uint32_t db, struct bytes text) {
    assert(text.len > 0);
    memcpy(record_text(append(queue, db, text.len, 0)), text.data, text.len);
}

void queue_add_cut(struct record_queue *queue, struct bytes name) {
    assert(!queue_is_open(queue));
    struct record *record = append(queue, 0, name.len, 0);
    record->cut = true;
    if (name.len) memcpy(record_text(record), name.data, name.len);
}

/* Of several records. */
static __attribute__((noinline)) void number_all(struct record_queue *queue, uint64_t ticket) {
    struct queue_chunk *chunk = queue->open_chunk;
    size_t at = (size_t)((char *)queue->open - (char *)chunk->records);
    for (uint32_t left = queue->open_count; left > 0; left--) {
        if (chunk != queue->last && at == atomic_load_explicit(&chunk->closed, memory_order_relaxed)) {
            chunk = chunk->next;
            at = 0;
        }
        struct record *record = record_at(chunk, at);
        record->ticket = ticket;
        record->more = left > 1;
        at += size_of(record);
    }
    assert(chunk == queue->last && at == queue->used);
}

void queue_seal(struct record_queue *queue, uint64_t ticket) {
    assert(queue->open_count > 0);
    if (__builtin_expect(queue->open_count == 1, 1))
        queue->open->ticket = ticket;
    else
        number_all(queue, ticket);
    uint64_t sealed = atomic_load_explicit(&queue->sealed, memory_order_relaxed); /* nobody else changes it */
    atomic_store_explicit(&queue->sealed, sealed + queue->open_count, memory_order_release);
    queue->open_count = 0;
}

/* ---- The taking thread ---------------------------------------------------------------------------- */

/* Has this place of this chunk no record, for they go on in the next one? */
static bool is_end(struct queue_chunk *chunk, size_t at) {
    return at > 0 && at == atomic_load_explicit(&chunk->closed, memory_order_relaxed); /* 2 */
}

struct record *queue_first(struct record_queue *queue) {
    if (queue->passed == queue->seen) {
        queue->seen = atomic_load_explicit(&queue->sealed, memory_order_acquire);
        assert(queue->passed <= queue->seen); /* 1 */
        if (queue->passed == queue->seen) return NULL;
    }
    if (!queue->look) queue->look = queue->first;
    if (is_end(queue->look, queue->look_at)) {
        queue->look = queue->look->next;
        queue->look_at = 0;
    }
    return record_at(queue->look, queue->look_at);
}

void queue_pass(struct record_queue *queue) {
    const struct record *record = queue_first(queue);
    assert(record);
    queue_pass_first(queue, record);
}

/* Is this one a ticket of its own, of which nothing is to be seen but its text? */
static inline bool is_plain(const struct record *record) {
    return !record->more && !record->cut && record->block_count == 0;
}

uint64_t queue_copy(struct record_queue *queue, struct queue_copy *copy) {
    struct queue_chunk *chunk = queue->look;
    size_t at = queue->look_at, len = 0;
    uint64_t left = queue->seen - queue->passed, count = 0;
    assert(queue->passed < queue->seen && chunk && copy->enough <= copy->room);
    if (left > copy->most) left = copy->most;
    for (; count < left && len < copy->enough; count++) {
        if (is_end(chunk, at)) {
            chunk = chunk->next;
            at = 0;
        }
        struct record *record = record_at(chunk, at);
        if (record->ticket != copy->ticket + count || !is_plain(record) || record->db != copy->db ||
            record->len >= copy->shorter || record->len > copy->room - len)
            break;
        memcpy(copy->to + len, record_text(record), record->len);
        len += record->len;
        at += record_size(record->len, 0);
    }
    assert(len <= copy->room && at <= chunk->capacity);
    queue->look = chunk;
    queue->look_at = at;
    queue->passed += count;
    copy->len = len;
    return count;
}

/* Gives the references back of all that were passed; returns how many bytes they were. */
static uint64_t release_blocks(struct record_queue *queue) {
    struct queue_chunk *chunk = queue->first;
    size_t at = queue->at;
    uint64_t bytes = 0;
    for (uint64_t left = queue->passed - queue->taken; left > 0; left--) {
        if (is_end(chunk, at)) {
            chunk = chunk->next;
            at = 0;
        }
        struct record *record = record_at(chunk, at);
        at += size_of(record);
        bytes += record_release(record);
    }
    assert(chunk == queue->look ? at == queue->look_at : queue->look_at == 0); /* 5 */
    return bytes;
}

/* A chunk without any record is the adding thread's again, where it is of use. */
static void hand_back(struct record_queue *queue, struct queue_chunk *chunk) {
    _Atomic(struct queue_chunk *) *place = &queue->spares[queue->spares_given % QUEUE_SPARES];
    assert(chunk->next && chunk != queue->look); /* its records end, and are released: 2, 5 */
    if (chunk->capacity != QUEUE_CHUNK_BYTES || atomic_load_explicit(place, memory_order_acquire)) {
        free(chunk);
        return;
    }
    chunk->next = NULL;
    atomic_store_explicit(&chunk->closed, 0, memory_order_relaxed);
    atomic_store_explicit(place, chunk, memory_order_release);
    queue->spares_given++;
}

void queue_release(struct record_queue *queue) {
    assert(queue->taken <= queue->passed && queue->passed <= queue->seen); /* 1 */
    uint64_t bytes = queue->blocks ? release_blocks(queue) : 0;
    size_t at = queue->at;
    /* Without a look, the first chunk may be just written by the adding thread. */
    while (queue->look && queue->first != queue->look) {
        struct queue_chunk *chunk = queue->first;
        queue->first = chunk->next;
        bytes += chunk->capacity - at;
        at = 0;
        hand_back(queue, chunk);
    }
    bytes += queue->look_at - at; /* of the chunk that stays: it may be one large record's own */
    queue->at = queue->look_at;
    queue->taken = queue->passed;
    queue->blocks = 0;
    if (!bytes) return;
    uint64_t before = atomic_load_explicit(&queue->bytes_freed, memory_order_relaxed);
    assert(before + bytes <= atomic_load_explicit(&queue->bytes_added, memory_order_relaxed));
    atomic_store_explicit(&queue->bytes_freed, before + bytes, memory_order_release);
}

void queue_rewind(struct record_queue *queue) {
    assert(queue->taken <= queue->passed); /* 5 */
    if (queue->look) queue->look = queue->first;
    queue->look_at = queue->at;
    queue->passed = queue->taken;
    queue->blocks = 0;
}
