/* snapshot.c - the walk over databases and graves, by the cursors of table.h: in an order that splits and merges of buckets
 * lose nothing of, and stamps keep what they bring twice from being shown twice. */
#include "store/snapshot.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "store/memory/memory.h"

enum {
    BUCKETS_AHEAD = 8, /* buckets that are prefetched before they are looked at, a power of two, */
    ENTRIES_AHEAD = 4, /* and their entries */
};

/* How far the walk over one database is. It goes where the database goes. */
struct place {
    uint64_t cursor;
    uint16_t number; /* that the database had at the cut */
    bool done;
};

struct keyspace_snapshot {
    keyspace_shown *show; /* NULL: nothing is shown any more */
    void *context;
    struct table_directory *graves; /* databases that were flushed before they were walked */
    unsigned left;                  /* databases that are not done */
    unsigned at;                    /* all before this one are done, but for such as were swapped */
    unsigned databases;
    struct place db[];
};

struct keyspace_snapshot *keyspace_snapshot_new(const struct keyspace *ks, keyspace_shown *show,
                                                void *context) {
    unsigned databases = ks->databases;
    struct keyspace_snapshot *snapshot = memory_zeroed(sizeof *snapshot + databases * sizeof snapshot->db[0]);
    if (!snapshot) return NULL;
    assert(show);
    snapshot->show = show;
    snapshot->context = context;
    snapshot->left = snapshot->databases = databases;
    for (unsigned db = 0; db < databases; db++) snapshot->db[db].number = (uint16_t)db;
    return snapshot;
}

void keyspace_snapshot_free(struct keyspace_snapshot *snapshot) {
    assert(!snapshot || !snapshot->graves);
    free(snapshot);
}

/* ---- Seeing --------------------------------------------------------------------------------------- */

static inline void see(struct keyspace *ks, unsigned number, struct entry *e) {
    const struct keyspace_snapshot *snapshot = ks->snapshot;
    if (e->stamp == ks->stamp) return;
    e->stamp = ks->stamp & (ENTRY_STAMPS - 1);
    if (snapshot->show) snapshot->show(snapshot->context, number, e);
}

void snapshot_see(struct keyspace *ks, unsigned db, struct entry *e) {
    const struct place *place = &ks->snapshot->db[db];
    assert(db < ks->databases);
    assert(!place->done || e->stamp == ks->stamp); /* 2 */
    see(ks, place->number, e);
}

/* Shows what is in the chain of a bucket. Returns how many entries it has. */
static unsigned see_chain(struct keyspace *ks, unsigned number, struct bucket *bucket) {
    unsigned count = 0;
    for (; bucket; bucket = table_overflow(&ks->slab, bucket))
        for (unsigned i = 0; i < TABLE_SLOTS && bucket->handles[i]; i++, count++)
            see(ks, number, table_entry(&ks->slab, (struct table_slot){bucket, i}));
    return count;
}

static void prefetch_entries(const struct keyspace *ks, const struct bucket *bucket) {
    for (unsigned i = 0; i < TABLE_SLOTS && bucket->handles[i]; i++)
        memory_prefetch_write(arena_at(&ks->slab.arena, bucket->handles[i]));
    if (bucket->overflow) memory_prefetch(arena_at(&ks->slab.arena, bucket->overflow));
}

static void spend(unsigned *budget, unsigned cost) {
    *budget -= cost < *budget ? cost : *budget;
}

/* ---- Walking -------------------------------------------------------------------------------------- */

/* True when the database was walked to its end. The table does not change meanwhile, so that the cursors ahead hold. */
static bool walk_table(struct keyspace *ks, const struct table *table, struct place *place,
                       unsigned *budget) {
    uint64_t ahead[BUCKETS_AHEAD] = {place->cursor};
    assert(!place->done && place->number < ks->databases);
    if (table->entries == 0) return true;
    for (unsigned i = 1; i < BUCKETS_AHEAD; i++) {
        ahead[i] = table_next_cursor(table, ahead[i - 1]);
        memory_prefetch(table_bucket(table, ahead[i]));
    }
    for (unsigned i = 0; *budget > 0; i++) {
        uint64_t *now = &ahead[i % BUCKETS_AHEAD];
        prefetch_entries(ks, table_bucket(table, ahead[(i + ENTRIES_AHEAD) % BUCKETS_AHEAD]));
        spend(budget, 1 + see_chain(ks, place->number, table_bucket(table, *now)));
        *now = table_next_cursor(table, ahead[(i + BUCKETS_AHEAD - 1) % BUCKETS_AHEAD]);
        memory_prefetch(table_bucket(table, *now));
        place->cursor = ahead[(i + 1) % BUCKETS_AHEAD];
        if (place->cursor == 0) return true;
    }
    return false;
}

static void finish(struct keyspace_snapshot *snapshot, struct place *place) {
    assert(!place->done && snapshot->left > 0);
    place->done = true;
    snapshot->left--;
}

static void walk_database(struct keyspace *ks, unsigned *budget) {
    struct keyspace_snapshot *snapshot = ks->snapshot;
    while (snapshot->db[snapshot->at].done) snapshot->at = (snapshot->at + 1) % snapshot->databases;
    struct place *place = &snapshot->db[snapshot->at];
    if (walk_table(ks, &ks->db[snapshot->at].table, place, budget)) finish(snapshot, place);
}

/* Nothing but this changes a grave. */
static void walk_grave(struct keyspace *ks, unsigned *budget) {
    struct table_directory *grave = ks->snapshot->graves;
    const struct table *table = &grave->grave.table;
    for (uint64_t *at = &grave->grave.looked; *at<table->buckets && * budget> 0; ++*at) {
        if (*at + BUCKETS_AHEAD < table->buckets)
            memory_prefetch(table_bucket_at(table, *at + BUCKETS_AHEAD));
        if (*at + ENTRIES_AHEAD < table->buckets)
            prefetch_entries(ks, table_bucket_at(table, *at + ENTRIES_AHEAD));
        spend(budget, 1 + see_chain(ks, grave->grave.number, table_bucket_at(table, *at)));
    }
    if (grave->grave.looked < table->buckets) return;
    ks->snapshot->graves = grave->grave.next;
    grave->grave.next = ks->graves;
    ks->graves = grave;
    keyspace_note_garbage(ks);
}

bool keyspace_snapshot_walk(struct keyspace *ks, unsigned budget) {
    struct keyspace_snapshot *snapshot = ks->snapshot;
    assert(snapshot && snapshot->databases == ks->databases && snapshot->left <= ks->databases);
    while (budget > 0 && (snapshot->graves || snapshot->left))
        if (snapshot->graves)
            walk_grave(ks, &budget);
        else
            walk_database(ks, &budget);
    return snapshot->graves || snapshot->left;
}

/* ---- Whole databases ------------------------------------------------------------------------------ */

void snapshot_swapped(struct keyspace *ks, unsigned a, unsigned b) {
    struct place *places = ks->snapshot->db, kept = places[a];
    assert(a < ks->databases && b < ks->databases);
    places[a] = places[b];
    places[b] = kept;
}

/* What comes into the new table is no part of the cut. */
void snapshot_flushed(struct keyspace *ks, unsigned db) {
    struct keyspace_snapshot *snapshot = ks->snapshot;
    struct table_directory *grave = ks->graves;
    assert(grave && grave->grave.looked == 0);
    if (snapshot->db[db].done) return;
    ks->graves = grave->grave.next;
    grave->grave.number = snapshot->db[db].number;
    grave->grave.next = snapshot->graves;
    snapshot->graves = grave;
    finish(snapshot, &snapshot->db[db]);
}

/* ---- Beginning and end ---------------------------------------------------------------------------- */

static void give_graves_back(struct keyspace *ks) {
    for (struct table_directory *grave; (grave = ks->snapshot->graves);) {
        ks->snapshot->graves = grave->grave.next;
        grave->grave.next = ks->graves;
        ks->graves = grave;
    }
}

void snapshot_drop(struct keyspace *ks) {
    give_graves_back(ks);
    keyspace_snapshot_free(ks->snapshot);
    ks->snapshot = NULL;
    keyspace_note_garbage(ks);
}

void keyspace_snapshot_begin(struct keyspace *ks, struct keyspace_snapshot *snapshot) {
    if (ks->snapshot) (void)snapshot_upkeep(ks, UINT32_MAX); /* one that has no stamp left to begin with */
    assert(!ks->snapshot && ks->stamps < ENTRY_STAMPS - 1);
    assert(snapshot->left == ks->databases && snapshot->show);
    ks->stamp = (uint8_t)((ks->stamp + 1) % ENTRY_STAMPS);
    ks->stamps++; /* 1 */
    ks->snapshot = snapshot;
}

void keyspace_snapshot_end(struct keyspace *ks) {
    struct keyspace_snapshot *snapshot = ks->snapshot;
    assert(snapshot && snapshot->show);
    bool whole = !snapshot->graves && !snapshot->left;
    if (whole) ks->stamps = 0; /* 1 */
    if (ks->stamps < ENTRY_STAMPS - 1) {
        snapshot_drop(ks);
        return;
    }
    snapshot->show = NULL;
    give_graves_back(ks);
    keyspace_garbage(ks);
}

bool snapshot_is_mute(const struct keyspace *ks) {
    return ks->snapshot && !ks->snapshot->show;
}

bool snapshot_upkeep(struct keyspace *ks, unsigned budget) {
    if (!snapshot_is_mute(ks)) return false; /* whoever takes it walks */
    if (keyspace_snapshot_walk(ks, budget)) return true;
    ks->stamps = 0; /* 1 */
    snapshot_drop(ks);
    return false;
}
