/* load_pool.c - a queue of pieces. There are two pieces for each thread and one to be filled, so memory is bounded. */
#include "server/journal/load_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/assert.h"
#include "server/config/config.h"

struct piece {
    struct piece *next;
    uint64_t db, at; /* the database, and where it begins in the file */
    unsigned version;
    size_t len;
    char bytes[LOAD_POOL_BYTES];
};

struct worker {
    struct load_pool *pool;
    struct load_keys keys;
    pthread_t thread;
    struct load_batch batch;
};

struct load_pool {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct piece *idle, *first, **last; /* to be filled; to be loaded, in their order */
    bool closing;
    _Atomic bool failed;
    _Atomic uint64_t loaded;
    unsigned threads;
    struct worker workers[]; /* and behind them one for the caller */
};

/* ---- Loading -------------------------------------------------------------------------------------- */

static void load_piece(struct worker *worker, struct piece *piece) {
    struct load_keys *keys = &worker->keys;
    uint64_t before = keys->keys;
    if (keys->fault.why[0])
        return; /* those of others, before the fault, are loaded on: theirs may come earlier */
    rdb_file_close(&keys->reader);
    rdb_file_begin_at(&keys->reader, piece->version, piece->db, piece->at);
    if (!load_all_keys(keys, (struct bytes){piece->bytes, piece->len})) worker->pool->failed = true;
    worker->pool->loaded += keys->keys - before;
    if (keys->load->work) __atomic_fetch_add(keys->load->work, 1, __ATOMIC_RELAXED);
}

/* The mutex is held; it is given back while there is a piece to load. False: there is none. */
static bool load_next(struct load_pool *pool, struct worker *worker) {
    struct piece *piece = pool->first;
    if (piece == NULL) return false;
    assert(piece->len > 0 && piece->len <= LOAD_POOL_BYTES);
    pool->first = piece->next;
    if (pool->first == NULL) pool->last = &pool->first;
    pthread_mutex_unlock(&pool->mutex);
    load_piece(worker, piece);
    pthread_mutex_lock(&pool->mutex);
    piece->next = pool->idle;
    pool->idle = piece;
    pthread_cond_broadcast(&pool->changed);
    return true;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct load_pool *pool = worker->pool;
    pthread_setname_np(pthread_self(), "load");
    pthread_mutex_lock(&pool->mutex);
    while (load_next(pool, worker) || !pool->closing)
        if (pool->first == NULL && !pool->closing) pthread_cond_wait(&pool->changed, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* ---- For the caller ------------------------------------------------------------------------------- */

static void free_pieces(struct load_pool *pool) {
    for (struct piece *piece; (piece = pool->idle); free(piece)) pool->idle = piece->next;
}

static bool make_pieces(struct load_pool *pool, unsigned count) {
    while (count-- > 0) {
        struct piece *piece = malloc(sizeof *piece);
        if (!piece) return false;
        piece->next = pool->idle;
        pool->idle = piece;
    }
    return true;
}

static void open_worker(struct load_pool *pool, unsigned index, const struct load_keys *keys) {
    struct worker *worker = &pool->workers[index];
    worker->pool = pool;
    worker->keys = (struct load_keys){.load = keys->load,
                                      .options = keys->options,
                                      .reader = {.max_bytes = keys->reader.max_bytes},
                                      .batch = &worker->batch};
}

static unsigned threads_beside(void) {
    cpu_set_t cpus;
    int64_t count = config_shards(), allowed = 1;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0) allowed = CPU_COUNT(&cpus);
    if (count > allowed) count = allowed;
    if (count > LOAD_POOL_THREADS) count = LOAD_POOL_THREADS;
    assert(count >= 1);
    return (unsigned)count - 1;
}

/* Some of the threads are better than none. */
static void start_threads(struct load_pool *pool, unsigned count) {
    for (; pool->threads < count; pool->threads++) {
        struct worker *worker = &pool->workers[pool->threads];
        if (pthread_create(&worker->thread, NULL, work, worker) != 0) return;
    }
}

struct load_pool *load_pool_open(const struct load_keys *keys) {
    unsigned count = threads_beside();
    struct load_pool *pool = count ? malloc(sizeof *pool + (count + 1) * sizeof *pool->workers) : NULL;
    if (!pool) return NULL;
    memset((void *)pool, 0, sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pool->last = &pool->first;
    for (unsigned i = 0; i <= count; i++) open_worker(pool, i, keys);
    if (!make_pieces(pool, 2 * count + 1)) {
        free_pieces(pool);
        free(pool);
        return NULL;
    }
    start_threads(pool, count);
    return pool;
}

/* The caller's own: behind those of threads, whether these could be made or not. */
static struct worker *own_worker(struct load_pool *pool) {
    return &pool->workers[pool->threads];
}

bool load_pool_put(struct load_pool *pool, const struct load_keys *keys, struct bytes bytes) {
    assert(bytes.len > 0 && bytes.len <= LOAD_POOL_BYTES && keys->reader.taken >= bytes.len);
    pthread_mutex_lock(&pool->mutex);
    while (pool->idle == NULL)
        if (!load_next(pool, own_worker(pool))) pthread_cond_wait(&pool->changed, &pool->mutex);
    struct piece *piece = pool->idle;
    pool->idle = piece->next;
    pthread_mutex_unlock(&pool->mutex);
    piece->next = NULL;
    piece->version = keys->reader.version;
    piece->db = keys->reader.db;
    piece->at = keys->reader.taken - bytes.len;
    piece->len = bytes.len;
    memcpy(piece->bytes, bytes.data, bytes.len);
    pthread_mutex_lock(&pool->mutex);
    *pool->last = piece;
    pool->last = &piece->next;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    return !pool->failed;
}

static void take_results(struct load_keys *keys, struct worker *worker) {
    struct load_keys *from = &worker->keys;
    keys->keys += from->keys;
    keys->expired += from->expired;
    keys->empty += from->empty;
    if (from->fault.why[0] && (!keys->fault.why[0] || from->fault.at < keys->fault.at))
        keys->fault = from->fault;
    rdb_file_close(&from->reader);
}

void load_pool_close(struct load_pool *pool, struct load_keys *keys) {
    pthread_mutex_lock(&pool->mutex);
    while (load_next(pool, own_worker(pool))) {
    }
    assert(!pool->closing && pool->first == NULL);
    pool->closing = true;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    for (unsigned i = 0; i <= pool->threads; i++) take_results(keys, &pool->workers[i]);
    free_pieces(pool);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->changed);
    free(pool);
}

uint64_t load_pool_keys(struct load_pool *pool) {
    return pool->loaded;
}
