/* keyspace.c - the databases of one stripe, looked at, emptied and kept up. Changes of entries are in change.c. */
#include "store/keyspace.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "store/edit.h"
#include "store/memory/memory.h"
#include "store/snapshot.h"

enum {
    ENTRIES_PER_CHUNK = 32, /* entries that keyspace_upkeep frees in the time of returning a chunk */
    MOVES_PER_BUDGET = 4,   /* entries that keyspace_expire may sort, for each that it may delete */
    DEAD_AT_ONCE = 32,     /* parts of dead objects that go with a change; keyspace_upkeep frees the others */
    RANDOM_TRIES = 256,    /* draws of keyspace_random before it takes the next entry that there is */
    RANDOM_CHAIN_MAX = 64, /* entries of a chain that it can draw from */
    NO_MEMORY_WAIT_MS = 100, /* until elements are tried again that could not be deleted */
    TIDY_UNTIMED = 0,        /* tidy_ms of what has become free, and of which nobody has heard yet */
};

static struct keyspace *line_in(void *memory) {
    uintptr_t at = (uintptr_t)memory + _Alignof(struct keyspace) - 1;
    return (struct keyspace *)(at - at % _Alignof(struct keyspace));
}

struct keyspace *keyspace_new(const struct keyspace_options *options) {
    unsigned databases = options->databases;
    assert(databases >= 1 && databases <= KEYSPACE_MAX_DATABASES);
    void *memory = memory_zeroed(sizeof(struct keyspace) + databases * sizeof(struct keyspace_database) +
                                 _Alignof(struct keyspace) - 1);
    if (memory == NULL) return NULL;
    struct keyspace *ks = line_in(memory);
    ks->memory = memory;
    if (!slab_init(&ks->slab, options->arena_bytes)) {
        free(memory);
        return NULL;
    }
    ks->seed = options->seed;
    ks->types = options->types ? options->types : type_rows;
    ks->heap = options->heap;
    ks->databases = (uint16_t)databases;
    ks->mappings_left = options->mapped_blocks ? (int)options->mapped_blocks : KEYSPACE_MAPPED_BLOCKS;
    ks->next_expiry_ms = ks->tidy_ms = INT64_MAX;
    return ks;
}

struct entry *keyspace_search(const struct keyspace *ks, unsigned db, struct key key) {
    struct table_slot slot = table_find(&ks->db[db].table, &ks->slab, key.name, key.hash);
    return slot.bucket ? table_entry(&ks->slab, slot) : NULL;
}

/* ---- Graves --------------------------------------------------------------------------------------- */

void keyspace_garbage(struct keyspace *ks) {
    unsigned budget = DEAD_AT_ONCE;
    dead_bury(&ks->dead, &budget);
    bool more = keyspace_has_garbage(ks) || snapshot_is_mute(ks) || (ks->heap && heap_has_empty(ks->heap));
    if (ks->tidy_ms != INT64_MAX || !more) return;
    ks->tidy_ms = TIDY_UNTIMED;
    ks->news = true;
}

/* ---- What was put off ----------------------------------------------------------------------------- */

struct put_off {
    struct put_off *next;
    unsigned db;
    struct key key;    /* whose name stands behind, ... */
    struct bytes part; /* ... and then this */
    char names[];
};

void keyspace_put_off(struct keyspace *ks, unsigned db, struct key key, struct bytes part) {
    struct put_off *newest = ks->put_off;
    if (newest && newest->db == db && bytes_equal(newest->key.name, key.name) &&
        bytes_equal(newest->part, part))
        return;
    struct put_off *put_off = memory_resize(NULL, sizeof *put_off + key.name.len + part.len);
    if (put_off == NULL) return;
    put_off->next = newest;
    put_off->db = db;
    put_off->key = (struct key){{put_off->names, key.name.len}, key.hash};
    put_off->part = (struct bytes){put_off->names + key.name.len, part.len};
    if (key.name.len) memcpy(put_off->names, key.name.data, key.name.len);
    if (part.len) memcpy(put_off->names + key.name.len, part.data, part.len);
    ks->put_off = put_off;
    keyspace_note_garbage(ks);
}

/* True when it is done, or cannot be. */
static bool tend(struct keyspace *ks, const struct put_off *put_off, unsigned *budget) {
    struct edit edit = {.keyspace = ks, .db = put_off->db, .key = put_off->key};
    edit.entry = keyspace_find(ks, edit.db, edit.key);
    if (edit.entry == NULL || edit.entry->kind != VALUE_OBJECT) return true;
    edit.type = entry_type(edit.entry);
    const struct type *type = keyspace_type(ks, edit.entry);
    return type->tend == NULL || type->tend(&edit, put_off->part, budget) || *budget > 0;
}

static void tend_all(struct keyspace *ks, unsigned *budget) {
    for (struct put_off *first; *budget > 0 && (first = ks->put_off);) {
        if (!tend(ks, first, budget)) return;
        ks->put_off = first->next;
        free(first);
    }
}

static void free_handle(void *context, uint32_t handle) {
    struct keyspace *ks = context;
    assert(ks->buried > 0);
    ks->buried--;
    change_free_entry(ks, arena_at(&ks->slab.arena, handle));
}

static void close_grave(struct keyspace *ks) {
    void *wheel;
    ks->graves = table_grave_close(ks->graves, &ks->slab, &wheel);
    assert(ks->graves || ks->snapshot || ks->buried == 0);
    expiry_free(&ks->slab, wheel);
}

void keyspace_free(struct keyspace *ks) {
    if (ks == NULL) return;
    if (ks->snapshot) snapshot_drop(ks);
    for (unsigned db = 0; db < ks->databases; db++) keyspace_flush(ks, db);
    while (keyspace_upkeep(ks, UINT32_MAX)) {
    }
    assert(ks->block_bytes == 0 && keyspace_memory(ks) == 0); /* 3 */
    slab_destroy(&ks->slab);
    free(ks->memory);
}

/* ---- Whole databases ------------------------------------------------------------------------------ */

void keyspace_flush(struct keyspace *ks, unsigned db) {
    struct keyspace_database *d = &ks->db[db];
    ks->buried += d->table.entries;
    if (d->table.directory) {
        ks->graves = table_bury(&d->table, ks->graves, d->wheel);
        if (ks->snapshot) snapshot_flushed(ks, db);
    } else {
        expiry_free(&ks->slab, d->wheel); /* made for a first entry that then found no memory */
    }
    assert(d->table.directory == NULL && d->table.entries == 0);
    d->expiring = 0;
    d->timed = 0;
    d->wheel = NULL;
    keyspace_note_garbage(ks);
}

static void set_database(struct keyspace_database *to, struct keyspace_database value) {
    table_publish(&to->table, value.table);
    to->expiring = value.expiring;
    to->wheel = value.wheel;
    to->timed = value.timed;
}

void keyspace_swap(struct keyspace *ks, unsigned a, unsigned b) {
    assert(a < ks->databases && b < ks->databases);
    struct keyspace_database kept = ks->db[a];
    set_database(&ks->db[a], ks->db[b]);
    set_database(&ks->db[b], kept);
    if (ks->snapshot) snapshot_swapped(ks, a, b);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

uint64_t keyspace_count_expiring(const struct keyspace *ks, unsigned db) {
    return ks->db[db].expiring;
}

unsigned __int128 keyspace_expiry_sum(const struct keyspace *ks, unsigned db) {
    const struct expiry *wheel = ks->db[db].wheel;
    return wheel ? wheel->keys_ms : 0;
}

uint64_t keyspace_memory(const struct keyspace *ks) {
    return ks->slab.used_bytes + ks->block_bytes;
}

size_t keyspace_entry_memory(const struct keyspace *ks, const struct entry *e) {
    const struct block *value = entry_block(e), *key = entry_key_block(e);
    const struct object *object = entry_object(e);
    size_t share = sizeof(struct bucket) * 2 / TABLE_GROW_LOAD_2;
    return slab_class_size(slab_class(entry_size(e))) + share + (value ? block_memory(value) : 0) +
           (key ? block_memory(key) : 0) + (object ? object->type->memory(object) : 0);
}

uint64_t keyspace_scan(const struct keyspace *ks, unsigned db, uint64_t cursor,
                       void (*each)(void *context, struct entry *e), void *context) {
    const struct table *table = &ks->db[db].table;
    if (table->entries == 0) return 0;
    for (struct bucket *b = table_bucket(table, cursor); b; b = table_overflow(&ks->slab, b))
        for (unsigned i = 0; i < TABLE_SLOTS && b->handles[i]; i++)
            each(context, table_entry(&ks->slab, (struct table_slot){b, i}));
    return table_next_cursor(table, cursor);
}

/* The entry at this place in the chain of a bucket, or NULL. */
static struct entry *entry_in_chain(const struct keyspace *ks, struct bucket *bucket, unsigned place) {
    for (; bucket; bucket = table_overflow(&ks->slab, bucket), place -= TABLE_SLOTS)
        if (place < TABLE_SLOTS)
            return bucket->handles[place] ? table_entry(&ks->slab, (struct table_slot){bucket, place}) : NULL;
    return NULL;
}

/* One more step of splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

struct entry *keyspace_random(const struct keyspace *ks, unsigned db, uint64_t random) {
    const struct table *table = &ks->db[db].table;
    if (table->entries == 0) return NULL;
    uint64_t index = 0;
    /* Every bucket and every place in it are drawn alike, and again where there is nothing. Two buckets'
     * worth of places covers all but a few entries in a million; the rest comes in with a rare longer draw. */
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        uint64_t draw = next_random(&random);
        unsigned places = draw >> 60 ? 2 * TABLE_SLOTS : RANDOM_CHAIN_MAX;
        index = (uint64_t)((unsigned __int128)next_random(&random) * table->buckets >> 64);
        struct entry *e = entry_in_chain(ks, table_bucket_at(table, index), (unsigned)(draw % places));
        if (e) return e;
    }
    for (;; index = (index + 1) % table->buckets) {
        struct entry *e = entry_in_chain(ks, table_bucket_at(table, index), 0);
        if (e) return e;
    }
}

/* ---- Digests -------------------------------------------------------------------------------------- */

void keyspace_digest_entry(struct digest *digest, const struct keyspace *ks, const struct entry *e) {
    struct value value = entry_value(e);
    digest_mix_number(digest, value.type);
    keyspace_type(ks, e)->digest(&value, digest);
    if (entry_expiry(e)) digest_join(digest, BYTES("!!expire!!"));
}

/* A walk over a database. */
struct walk {
    const struct keyspace *keyspace;
    struct digest *digest;
};

static void join_entry(void *context, struct entry *e) {
    const struct walk *walk = context;
    struct digest digest = {{0}};
    digest_mix(&digest, entry_key(e));
    keyspace_digest_entry(&digest, walk->keyspace, e);
    digest_join(walk->digest, digest_bytes(&digest));
}

void keyspace_digest(struct digest *digest, const struct keyspace *ks, unsigned db) {
    struct walk walk = {ks, digest};
    uint64_t cursor = 0;
    assert(db < ks->databases);
    do cursor = keyspace_scan(ks, db, cursor, join_entry, &walk);
    while (cursor);
}

/* ---- Upkeep --------------------------------------------------------------------------------------- */

static void tell(const struct expiry_round *round, const struct expired *what) {
    if (round->expired) round->expired(round->context, what);
}

/* Elements of one entry, on their way to who hears of entries. */
struct elements {
    const struct expiry_round *round;
    unsigned db;
    const struct entry *entry;
};

static void element_expires(void *context, struct bytes name) {
    const struct elements *elements = context;
    tell(elements->round,
         &(struct expired){
             .kind = EXPIRED_ELEMENT, .db = elements->db, .entry = elements->entry, .name = name});
}

static uint64_t overdue(const struct entry *e, int64_t now_ms) {
    const struct object *object = entry_object(e);
    return object && object->type->overdue ? object->type->overdue(object, now_ms) : 0;
}

static bool all_overdue(const struct entry *e, int64_t now_ms) {
    struct value value = entry_value(e);
    return entry_timed(e) && overdue(e, now_ms) == value.object->type->count(&value);
}

bool keyspace_is_over(const struct entry *e, int64_t now_ms) {
    return entry_is_due(e, now_ms) && (entry_expired(e, now_ms) || all_overdue(e, now_ms));
}

static void delete_expired(struct keyspace *ks, unsigned db, struct entry *e) {
    keyspace_delete_entry(ks, db, (struct key){entry_key(e), hash_bytes(ks->seed, entry_key(e))}, e);
}

struct entry *keyspace_expire_elements(struct keyspace *ks, unsigned db, struct entry *e,
                                       struct expiry_round *round) {
    struct elements elements = {round, db, e};
    int64_t now_ms = round->now_ms;
    assert(round->budget > 0 && !entry_expired(e, now_ms));
    if (all_overdue(e, now_ms)) {
        tell(round, &(struct expired){.kind = EXPIRED_LAST, .db = db, .entry = e});
        delete_expired(ks, db, e);
        round->budget--;
        return NULL;
    }
    if (overdue(e, now_ms) == 0) return keyspace_refile(ks, db, e, 0);
    struct edit edit = {.keyspace = ks, .db = db, .entry = e, .type = entry_type(e)};
    unsigned gone = keyspace_type(ks, e)->expire(&edit, now_ms, round->budget, element_expires, &elements);
    assert(gone <= round->budget);
    round->budget -= gone;
    if (gone) tell(round, &(struct expired){.kind = EXPIRED_ELEMENTS, .db = db, .entry = edit.entry});
    return keyspace_refile(ks, db, edit.entry, gone ? 0 : now_ms + NO_MEMORY_WAIT_MS);
}

static void expire_database(struct keyspace *ks, unsigned number, struct expiry_round *round,
                            unsigned *moves) {
    struct keyspace_database *db = &ks->db[number];
    while (round->budget > 0) {
        struct entry *e = expiry_due(&ks->slab, db->wheel, ks->now_ms, moves);
        if (!e) break;
        assert(entry_is_due(e, ks->now_ms)); /* 1 */
        if (!entry_expired(e, ks->now_ms)) {
            keyspace_expire_elements(ks, number, e, round);
            continue;
        }
        assert(db->expiring > 0); /* 1 */
        tell(round, &(struct expired){.kind = EXPIRED_KEY, .db = number, .entry = e});
        delete_expired(ks, number, e);
        round->budget--;
    }
}

unsigned keyspace_expire(struct keyspace *ks, int64_t now_ms, unsigned budget, keyspace_expired *expired,
                         void *context) {
    struct expiry_round round = {now_ms, budget, expired, context};
    unsigned moves = budget <= UINT32_MAX / MOVES_PER_BUDGET ? budget * MOVES_PER_BUDGET : budget;
    int64_t next = INT64_MAX;
    ks->now_ms = now_ms;
    if (now_ms < ks->next_expiry_ms) return 0;
    for (unsigned i = 0, from = ks->expire_from; i < ks->databases; i++) {
        unsigned db = (from + i) % ks->databases;
        struct expiry *wheel = ks->db[db].wheel;
        if (wheel == NULL) continue;
        if (round.budget > 0) {
            ks->expire_from = (uint16_t)db; /* where the budget ends is where the next call begins */
            expire_database(ks, db, &round, &moves);
        }
        if (expiry_next(&ks->slab, wheel) < next) next = expiry_next(&ks->slab, wheel);
    }
    assert(round.budget <= budget);
    ks->next_expiry_ms = next;
    return budget - round.budget;
}

/* Shrinks sparse tables; what is left of the budget. */
static unsigned shrink_tables(struct keyspace *ks, unsigned budget) {
    for (unsigned db = 0; db < ks->databases; db++)
        while (budget > 0 && table_shrink(&ks->db[db].table, &ks->slab)) budget--;
    return budget;
}

bool keyspace_upkeep(struct keyspace *ks, unsigned budget) {
    bool walks = ks->snapshot && snapshot_upkeep(ks, budget);
    unsigned chunks = budget / ENTRIES_PER_CHUNK + 1;
    tend_all(ks, &budget);
    dead_bury(&ks->dead, &budget);
    while (ks->graves && !table_decompose(ks->graves, &ks->slab, &budget, free_handle, ks)) close_grave(ks);
    budget = shrink_tables(ks, budget);
    bool more = arena_return(&ks->slab.arena, chunks) || budget == 0 || ks->dead.first || ks->put_off ||
                walks;
    if (ks->heap && heap_return(ks->heap, chunks)) more = true;
    ks->tidy_ms = more ? TIDY_UNTIMED : INT64_MAX; /* the caller knows */
    assert(more || !keyspace_has_garbage(ks));
    return more;
}

int64_t keyspace_take_news(struct keyspace *ks, int64_t tidy_ms) {
    assert(tidy_ms > TIDY_UNTIMED);
    assert(!keyspace_has_garbage(ks) || ks->tidy_ms != INT64_MAX);
    if (ks->tidy_ms == TIDY_UNTIMED) ks->tidy_ms = tidy_ms;
    ks->news = false;
    return ks->next_expiry_ms < ks->tidy_ms ? ks->next_expiry_ms : ks->tidy_ms;
}
