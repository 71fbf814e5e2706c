/* snapshot_writer.c - a queue of parts, and the thread that empties it. */
#include "server/journal/snapshot_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/assert.h"
#include "server/lock_order.h"

enum {
    SPARES_MAX = 64,         /* parts that are kept for the next ones */
    HELD_AT_MOST = 16 << 20, /* bytes that one large value is reckoned to be */
    NICER_BY = 5,            /* a third of a shard's share */
};

/* In a part: before each entry. */
struct shown {
    uint32_t db, bytes; /* bytes: of the entry that follows, rounded up to SHOWN_UNIT */
};
enum { SHOWN_UNIT = 8 };
_Static_assert(sizeof(struct shown) == SHOWN_UNIT && offsetof(struct snapshot_part, data) % SHOWN_UNIT == 0,
               "entries are aligned as in the store");
_Static_assert(sizeof(((struct snapshot_part *)0)->data) >= SHOWN_UNIT + (size_t)SLAB_MAX, "any entry fits");

/* Keys of a database at the cut. */
struct size {
    uint64_t keys, expiring;
};

static struct {
    struct mutex mutex; /* of what follows, up to the next line that says something else */
    pthread_cond_t changed;
    struct snapshot_part *first, *last, *spare;
    unsigned spares;
    bool complete;

    /* The writer's, from the beginning to the end. */
    struct snapshot_order order;
    struct snapshot_head head;
    struct snapshot_file *file;
    struct size *sizes; /* by database */
    unsigned databases;
    int error;
    const char *why;
    bool opened;

    /* Of those who open and join: they hold all stripes, or there are no threads. */
    pthread_t thread;
    bool joinable;

    /* Atomic. */
    bool works, failed, given_up, base;
    uint64_t bytes, peak, queued, keys, total;
} writer = {.mutex = MUTEX(LOCK_SNAPSHOT), .changed = PTHREAD_COND_INITIALIZER};

uint64_t snapshot_writer_work;

bool snapshot_writer_works(void) {
    return __atomic_load_n(&writer.works, __ATOMIC_ACQUIRE);
}
bool snapshot_writer_makes_base(void) {
    return __atomic_load_n(&writer.base, __ATOMIC_RELAXED);
}
bool snapshot_writer_failed(void) {
    return __atomic_load_n(&writer.failed, __ATOMIC_ACQUIRE);
}

static void add_bytes(uint64_t more) {
    uint64_t bytes = __atomic_add_fetch(&writer.bytes, more, __ATOMIC_RELAXED);
    uint64_t peak = __atomic_load_n(&writer.peak, __ATOMIC_RELAXED);
    while (bytes > peak && !__atomic_compare_exchange_n(&writer.peak, &peak, bytes, true, __ATOMIC_RELAXED,
                                                        __ATOMIC_RELAXED)) {
    }
}
static void take_bytes(uint64_t fewer) {
    uint64_t before = __atomic_fetch_sub(&writer.bytes, fewer, __ATOMIC_RELAXED);
    assert(before >= fewer);
    (void)before;
}

/* ---- Parts ---------------------------------------------------------------------------------------- */

struct snapshot_part *snapshot_part_take(void) {
    mutex_lock(&writer.mutex);
    struct snapshot_part *part = writer.spare;
    if (part) writer.spare = part->next;
    writer.spares -= part != NULL;
    mutex_unlock(&writer.mutex);
    if (!part) part = malloc(sizeof *part);
    if (!part) {
        __atomic_store_n(&writer.failed, true, __ATOMIC_RELEASE);
        return NULL;
    }
    part->next = NULL;
    part->held = part->used = 0;
    add_bytes(sizeof *part);
    return part;
}

/* What a copy of the value would take: a block as it is, an object as far as one may be asked to wait for it. */
static uint64_t held_by(const struct entry *e) {
    const struct object *object = entry_object(e);
    const struct block *block = entry_block(e);
    uint64_t bytes = object ? object->type->memory(object) : block ? block_memory(block) : 0;
    return bytes < HELD_AT_MOST ? bytes : HELD_AT_MOST;
}

bool snapshot_part_add(struct snapshot_part *part, unsigned db, const struct entry *e, bool changes) {
    size_t size = entry_size(e), rounded = (size + SHOWN_UNIT - 1) / SHOWN_UNIT * SHOWN_UNIT;
    struct value value = entry_value(e);
    if (sizeof part->data - part->used < SHOWN_UNIT + rounded) return false;
    struct shown shown = {db, (uint32_t)rounded};
    memcpy(part->data + part->used, &shown, sizeof shown);
    memcpy(part->data + part->used + SHOWN_UNIT, e, size);
    part->used += SHOWN_UNIT + rounded;
    value_retain(&value);
    if (entry_key_block(e)) block_retain(entry_key_block(e));
    if (!changes || value.kind < VALUE_BLOCK) return true;
    uint64_t held = held_by(e);
    part->held += held;
    add_bytes(held);
    return true;
}

void snapshot_part_give(struct snapshot_part *part) {
    assert(part && !part->next && part->used <= sizeof part->data);
    __atomic_fetch_add(&writer.queued, sizeof *part + part->held, __ATOMIC_RELAXED);
    mutex_lock(&writer.mutex);
    if (writer.last)
        writer.last->next = part;
    else
        writer.first = part;
    writer.last = part;
    pthread_cond_signal(&writer.changed);
    mutex_unlock(&writer.mutex);
}

static void recycle(struct snapshot_part *part) {
    take_bytes(sizeof *part + part->held);
    __atomic_fetch_sub(&writer.queued, sizeof *part + part->held, __ATOMIC_RELAXED);
    mutex_lock(&writer.mutex);
    bool kept = writer.spares < SPARES_MAX;
    if (kept) {
        part->next = writer.spare;
        writer.spare = part;
        writer.spares++;
    }
    mutex_unlock(&writer.mutex);
    if (!kept) free(part);
}

static struct snapshot_part *next_part(bool *complete) {
    mutex_lock(&writer.mutex);
    struct snapshot_part *part = writer.first;
    if (part) writer.first = part->next;
    if (!writer.first) writer.last = NULL;
    *complete = writer.complete;
    mutex_unlock(&writer.mutex);
    return part;
}

void snapshot_writer_complete(void) {
    mutex_lock(&writer.mutex);
    writer.complete = true;
    pthread_cond_signal(&writer.changed);
    mutex_unlock(&writer.mutex);
}

void snapshot_writer_give_up(void) {
    __atomic_store_n(&writer.given_up, true, __ATOMIC_RELEASE);
    __atomic_store_n(&writer.failed, true, __ATOMIC_RELEASE);
}

/* ---- Writing -------------------------------------------------------------------------------------- */

/* The first error counts; `why` is NULL where the file knows. */
static void fail(int error, const char *why) {
    if (writer.error) return;
    writer.error = error;
    writer.why = why;
    __atomic_store_n(&writer.failed, true, __ATOMIC_RELEASE);
}

static void write_head(void) {
    struct snapshot_file *file = writer.file;
    bool written = snapshot_file_head(file, &writer.head);
    for (unsigned db = 0; db < writer.databases && written; db++)
        if (writer.sizes[db].keys)
            written = snapshot_file_size(file, db, writer.sizes[db].keys, writer.sizes[db].expiring);
    if (!written) fail(file->out.error, "write the temporary file");
}

static void open_file(void) {
    const struct snapshot_order *order = &writer.order;
    int error = snapshot_file_open(writer.file, order->disk, order->names, order->form);
    if (error) {
        fail(error, writer.file->failed);
        return;
    }
    writer.opened = true;
    writer.file->work = &snapshot_writer_work;
    writer.file->ends = &writer.failed;
    write_head();
}

static void release(const struct entry *e) {
    struct dead dead = {0};
    struct value value = entry_value(e);
    unsigned budget = UINT32_MAX;
    value_release(&value, &dead);
    if (entry_key_block(e)) block_release(entry_key_block(e));
    while (dead_bury(&dead, &budget)) budget = UINT32_MAX;
}

static void write_part(struct snapshot_part *part) {
    for (size_t at = 0; at < part->used;) {
        struct shown shown;
        memcpy(&shown, part->data + at, sizeof shown);
        const struct entry *e = (const struct entry *)(const void *)(part->data + at + SHOWN_UNIT);
        assert(shown.bytes >= entry_size(e) && shown.db < writer.databases);
        if (!snapshot_writer_failed() && !snapshot_file_entry(writer.file, shown.db, e))
            fail(writer.file->out.error, "write the temporary file");
        release(e);
        at += SHOWN_UNIT + shown.bytes;
    }
    if (writer.opened) __atomic_store_n(&writer.keys, writer.file->keys, __ATOMIC_RELAXED);
    recycle(part);
}

/* Others may say meanwhile that it has failed, or give it up: one look decides what becomes of the file. */
static struct snapshot_written end_file(void) {
    struct snapshot_file *file = writer.file;
    bool failed = snapshot_writer_failed();
    struct snapshot_written written = {.given_up = failed &&
                                                   __atomic_load_n(&writer.given_up, __ATOMIC_ACQUIRE)};
    if (failed && !writer.error && !written.given_up) fail(-ENOMEM, "find memory for copies");
    if (writer.opened && failed) snapshot_file_drop(file);
    if (writer.opened && !failed) {
        int error = snapshot_file_close(file);
        if (error) fail(error, file->failed);
    }
    written.error = writer.error;
    written.failed = writer.why;
    written.keys = writer.opened ? file->keys : 0;
    written.bytes = writer.opened ? file->out.bytes : 0;
    return written;
}

static void free_all(void) {
    for (struct snapshot_part *part; (part = writer.spare);) {
        writer.spare = part->next;
        free(part);
    }
    writer.spares = 0;
    free(writer.file);
    free(writer.sizes);
    writer.file = NULL;
    writer.sizes = NULL;
}

static void end(void) {
    struct snapshot_written written = end_file();
    assert(!writer.first && __atomic_load_n(&writer.bytes, __ATOMIC_RELAXED) == 0);
    free_all();
    if (writer.order.ended) writer.order.ended(writer.order.context, &written);
    __atomic_store_n(&writer.works, false, __ATOMIC_RELEASE);
}

enum snapshot_turn snapshot_writer_turn(void) {
    bool complete;
    struct snapshot_part *part = next_part(&complete);
    assert(snapshot_writer_works());
    if (!part && !complete) return SNAPSHOT_IDLE;
    if (!writer.opened && !snapshot_writer_failed()) open_file();
    __atomic_fetch_add(&snapshot_writer_work, 1, __ATOMIC_RELAXED);
    if (part) {
        write_part(part);
        return SNAPSHOT_WROTE;
    }
    end();
    return SNAPSHOT_ENDED;
}

static void wait_for_part(void) {
    mutex_lock(&writer.mutex);
    while (!writer.first && !writer.complete) pthread_cond_wait(&writer.changed, &writer.mutex.mutex);
    mutex_unlock(&writer.mutex);
}

/* Where CPUs are short, requests come first: to Linux threads are nice one by one. */
static void yield_to_shards(void) {
    id_t thread = (id_t)syscall(SYS_gettid);
    int nice = getpriority(PRIO_PROCESS, thread);
    (void)setpriority(PRIO_PROCESS, thread, nice + NICER_BY);
}

static void *run(void *unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "kevy-snapshot");
    yield_to_shards();
    for (enum snapshot_turn turn; (turn = snapshot_writer_turn()) != SNAPSHOT_ENDED;)
        if (turn == SNAPSHOT_IDLE) wait_for_part();
    return NULL;
}

/* ---- Beginning and end ---------------------------------------------------------------------------- */

static void count_keys(void) {
    uint64_t total = 0;
    for (unsigned db = 0; db < writer.databases; db++) {
        struct size *size = &writer.sizes[db];
        for (unsigned i = 0; i < stripes.count; i++) {
            size->keys += keyspace_count(stripes.all[i].keyspace, db);
            size->expiring += keyspace_count_expiring(stripes.all[i].keyspace, db);
        }
        total += size->keys;
    }
    __atomic_store_n(&writer.total, total, __ATOMIC_RELAXED);
}

int snapshot_writer_open(const struct snapshot_order *order, int64_t now_ms) {
    assert(!snapshot_writer_works() && !writer.first &&
           __atomic_load_n(&writer.bytes, __ATOMIC_RELAXED) == 0);
    snapshot_writer_join();
    writer.databases = stripes.all[0].keyspace->databases;
    writer.file = malloc(sizeof *writer.file);
    writer.sizes = calloc(writer.databases, sizeof *writer.sizes);
    if (!writer.file || !writer.sizes) {
        free_all();
        return -ENOMEM;
    }
    count_keys();
    writer.order = *order;
    writer.head = (struct snapshot_head){.now_ms = now_ms,
                                         .aof_base = order->aof_base,
                                         .later = snapshot_is_later(),
                                         .memory = snapshot_memory()};
    writer.error = 0;
    writer.why = NULL;
    writer.opened = writer.complete = false;
    __atomic_store_n(&writer.failed, false, __ATOMIC_RELAXED);
    __atomic_store_n(&writer.given_up, false, __ATOMIC_RELAXED);
    __atomic_store_n(&writer.keys, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&writer.peak, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&writer.base, order->aof_base, __ATOMIC_RELAXED);
    __atomic_store_n(&writer.works, true, __ATOMIC_RELEASE);
    int error = order->by_hand ? 0 : pthread_create(&writer.thread, NULL, run, NULL);
    writer.joinable = !order->by_hand && !error;
    if (error) {
        __atomic_store_n(&writer.works, false, __ATOMIC_RELEASE);
        free_all();
    }
    return -error;
}

void snapshot_writer_join(void) {
    if (writer.joinable) pthread_join(writer.thread, NULL);
    writer.joinable = false;
    while (snapshot_writer_works()) (void)snapshot_writer_turn();
}

struct snapshot_progress snapshot_progress(void) {
    return (struct snapshot_progress){.bytes = __atomic_load_n(&writer.bytes, __ATOMIC_RELAXED),
                                      .peak = __atomic_load_n(&writer.peak, __ATOMIC_RELAXED),
                                      .queued = __atomic_load_n(&writer.queued, __ATOMIC_RELAXED),
                                      .keys = __atomic_load_n(&writer.keys, __ATOMIC_RELAXED),
                                      .total = __atomic_load_n(&writer.total, __ATOMIC_RELAXED)};
}
