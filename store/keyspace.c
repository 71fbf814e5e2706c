/* keyspace.c - the databases of one stripe: every change of an entry goes through here.
 *
 * An entry has a shape: whether it has an expiry record, and how many bytes of key and value it stores. A
 * change that leaves the size class alone happens where the entry is; otherwise the entry moves. While an
 * entry changes shape it is out of the expiry wheel: detach, reshape, attach. */
#include "store/keyspace.h"

#include <stdlib.h>

#include "protocol/assert.h"
#include "store/memory/memory.h"

enum {
    INT_LEN = sizeof(int64_t),
    POINTER_LEN = sizeof(struct block *),
    ENTRIES_PER_CHUNK = 32, /* entries that keyspace_upkeep frees in the time of returning a chunk */
    MOVES_PER_BUDGET = 4,   /* entries that keyspace_expire may sort, for each that it may delete */
    RANDOM_TRIES = 256,     /* draws of keyspace_random before it takes the next entry that there is */
    RANDOM_CHAIN_MAX = 64,  /* entries of a chain that it can draw from */
    MAPPED_BLOCKS = 16384,  /* of the 65,530 mappings that the kernel gives a process */
    TIDY_UNTIMED = 0,       /* tidy_ms of what has become free, and of which nobody has heard yet */
};
_Static_assert(sizeof(struct entry) + sizeof(struct entry_expiry_record) + ENTRY_KEY_INLINE_MAX +
                       ENTRY_VALUE_INLINE_MAX <=
                   SLAB_MAX,
               "the largest entry is a slab object");

struct keyspace *keyspace_new(const struct keyspace_options *options) {
    unsigned databases = options->databases;
    assert(databases >= 1 && databases <= KEYSPACE_MAX_DATABASES);
    struct keyspace *ks = memory_zeroed(sizeof *ks + databases * sizeof ks->db[0]);
    if (ks == NULL) return NULL;
    if (!slab_init(&ks->slab, options->arena_bytes)) {
        free(ks);
        return NULL;
    }
    ks->seed = options->seed;
    ks->databases = (uint16_t)databases;
    ks->mappings_left = options->mapped_blocks ? (int)options->mapped_blocks : MAPPED_BLOCKS;
    ks->next_expiry_ms = ks->tidy_ms = INT64_MAX;
    return ks;
}

/* ---- Entries -------------------------------------------------------------------------------------- */

static uint32_t handle_of(const struct keyspace *ks, const struct entry *e) {
    return arena_handle(&ks->slab.arena, e);
}
static struct entry *entry_at(const struct keyspace *ks, uint32_t handle) {
    return arena_at(&ks->slab.arena, handle);
}
static uint64_t hash_of(const struct keyspace *ks, const struct entry *e) {
    return hash_bytes(ks->seed, entry_key(e));
}

static void hold_block(struct keyspace *ks, const struct block *block) {
    ks->block_bytes += block_memory(block);
    ks->mappings_left -= block->mapped;
}
static void drop_block(struct keyspace *ks, struct block *block) {
    if (block == NULL) return;
    assert(ks->block_bytes >= block_memory(block)); /* 3 */
    ks->block_bytes -= block_memory(block);
    ks->mappings_left += block->mapped;
    block_release(block);
}

/* The invariants of entry.h: for debug_assert. */
static bool is_whole(const struct keyspace *ks, const struct entry *e) {
    const struct block *key = entry_key_block(e), *value = entry_block(e);
    const struct chunk *chunk = arena_chunk(&ks->slab.arena, handle_of(ks, e) / ARENA_CHUNK_UNITS);
    return e->key_len <= ENTRY_KEY_INLINE_MAX && (!key || key->len > ENTRY_KEY_INLINE_MAX) && /* 1 */
           e->value_len <= (e->kind == ENTRY_INLINE ? ENTRY_VALUE_INLINE_MAX : POINTER_LEN) &&
           (!value || value->len > ENTRY_VALUE_INLINE_MAX) && /* 2 */
           (!e->expires || entry_expiry(e) > 0) &&            /* 3 */
           chunk->class == slab_class(entry_size(e));         /* 4 */
}

static bool has_garbage(const struct keyspace *ks) {
    return ks->graves || ks->slab.arena.resident;
}

/* After a change that may have freed memory. Most often there is nothing to free, or there was already. */
static inline void note_garbage(struct keyspace *ks) {
    if (__builtin_expect(!has_garbage(ks), 1) || ks->tidy_ms != INT64_MAX) return;
    ks->tidy_ms = TIDY_UNTIMED;
    ks->news = true;
}

/* Frees an entry that is in no table and no wheel. */
static void free_entry(struct keyspace *ks, struct entry *e) {
    debug_assert(is_whole(ks, e));
    drop_block(ks, entry_block(e));
    drop_block(ks, entry_key_block(e));
    slab_free(&ks->slab, handle_of(ks, e));
}

static void free_handle(void *context, uint32_t handle) {
    struct keyspace *ks = context;
    assert(ks->buried > 0);
    ks->buried--;
    free_entry(ks, entry_at(ks, handle));
}

static void close_grave(struct keyspace *ks) {
    void *wheel;
    ks->graves = table_grave_close(ks->graves, &ks->slab, &wheel);
    assert(ks->graves || ks->buried == 0);
    expiry_free(&ks->slab, wheel);
}

void keyspace_free(struct keyspace *ks) {
    if (ks == NULL) return;
    for (unsigned db = 0; db < ks->databases; db++) keyspace_flush(ks, db);
    while (keyspace_upkeep(ks, UINT32_MAX)) {
    }
    assert(ks->block_bytes == 0 && keyspace_memory(ks) == 0); /* 3 */
    slab_destroy(&ks->slab);
    free(ks);
}

/* A new entry with this key and a value yet to be written; NULL without memory. */
static struct entry *make_entry(struct keyspace *ks, struct bytes name, bool expires, size_t value_len) {
    bool in_block = name.len > ENTRY_KEY_INLINE_MAX;
    size_t key_len = in_block ? POINTER_LEN : name.len;
    struct block *block = in_block ? block_of(name) : NULL;
    if (in_block && block == NULL) return NULL;
    uint32_t handle = slab_alloc(&ks->slab, entry_size_of(expires, key_len, value_len));
    if (handle == 0) {
        if (block) block_release(block);
        return NULL;
    }
    debug_assert(key_len <= ENTRY_KEY_INLINE_MAX && value_len <= ENTRY_VALUE_INLINE_MAX);
    struct entry *e = entry_at(ks, handle);
    *e = (struct entry){.expires = expires,
                        .key_in_block = in_block,
                        .key_len = (uint16_t)key_len,
                        .value_len = (uint16_t)value_len};
    if (block) hold_block(ks, block);
    if (block)
        memcpy(entry_key_at(e), &block, sizeof block);
    else if (key_len)
        memcpy(entry_key_at(e), name.data, key_len);
    return e;
}

/* ---- Expiry --------------------------------------------------------------------------------------- */

static void detach(struct keyspace *ks, struct keyspace_database *db, struct entry *e) {
    if (!e->expires) return;
    assert(db->wheel && db->expiring > 0); /* 1 */
    expiry_remove(&ks->slab, db->wheel, e);
    db->expiring--;
}

/* Puts an entry with an expiry record into the wheel, which ensure_wheel has made. */
static void attach(struct keyspace *ks, struct keyspace_database *db, struct entry *e) {
    if (!e->expires) return;
    assert(db->wheel && db->expiring < db->table.entries); /* 1 */
    expiry_add(&ks->slab, db->wheel, e);
    db->expiring++;
    if (__builtin_expect(entry_expiry(e) >= ks->next_expiry_ms, 1)) return;
    ks->next_expiry_ms = entry_expiry(e);
    ks->news = true;
}

static bool ensure_wheel(struct keyspace *ks, struct keyspace_database *db) {
    if (db->wheel == NULL) db->wheel = expiry_new(&ks->slab, ks->now_ms);
    return db->wheel != NULL;
}

static void write_expiry(struct entry *e, int64_t expiry_ms) {
    if (e->expires) entry_expiry_record(e)->expiry_ms = expiry_ms;
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

/* Gives a detached entry room for `value_len` stored bytes and an expiry record or none. Key, access, kind,
 * and of the value's stored bytes as many as fit are kept; the expiry is not, if there was none. NULL, and
 * nothing done, without memory. */
static struct entry *reshape(struct keyspace *ks, struct keyspace_database *db, struct entry *e,
                             uint64_t hash, bool expires, size_t value_len) {
    size_t kept = e->key_len + (value_len < e->value_len ? value_len : e->value_len);
    size_t size = entry_size_of(expires, e->key_len, value_len);
    assert(value_len <= ENTRY_VALUE_INLINE_MAX);
    debug_assert(hash == hash_of(ks, e));
    struct entry *to = e;
    if (slab_class(size) != slab_class(entry_size(e))) {
        uint32_t handle = slab_alloc(&ks->slab, size);
        if (handle == 0) return NULL;
        to = entry_at(ks, handle);
        *to = *e;
    }
    const char *from = entry_key_at(e);
    if (to != e && e->expires && expires) *entry_expiry_record(to) = *entry_expiry_record(e);
    to->expires = expires;
    to->value_len = (uint16_t)value_len;
    if (entry_key_at(to) != from) memmove(entry_key_at(to), from, kept);
    if (to != e) {
        struct table_slot slot = table_find_handle(&db->table, &ks->slab, hash, handle_of(ks, e));
        assert(slot.bucket);
        slot.bucket->handles[slot.index] = handle_of(ks, to);
        slab_free(&ks->slab, handle_of(ks, e));
        note_garbage(ks);
    }
    debug_assert(slab_class(entry_size(to)) == slab_class(size) && to->expires == expires);
    return to;
}

static void preimage(const struct keyspace *ks, const struct keyspace_database *db, const struct entry *e) {
    if (ks->preimage) ks->preimage(ks->preimage_context, (unsigned)(db - ks->db), e);
}

/* ---- Values --------------------------------------------------------------------------------------- */

/* A value on its way into an entry, with all that an entry records about it. */
struct image {
    enum entry_type type;
    enum entry_kind kind;
    bool edited;
    size_t stored_len;
    const void *stored;  /* to be copied */
    struct block *block; /* ENTRY_BLOCK: a reference that the entry takes over */
    int64_t number;
};

static size_t image_len(const struct image *image) {
    return image->kind == ENTRY_INLINE ? image->stored_len : image->kind == ENTRY_INT ? INT_LEN : POINTER_LEN;
}

static void write_image(struct keyspace *ks, struct entry *e, const struct image *image) {
    const void *from = image->kind == ENTRY_INLINE ? image->stored
                       : image->kind == ENTRY_INT  ? (const void *)&image->number
                                                   : (const void *)&image->block;
    e->type = image->type;
    e->kind = image->kind;
    e->edited = image->edited;
    debug_assert(e->value_len == image_len(image));
    if (e->value_len) memcpy(entry_value_at(e), from, e->value_len);
    if (image->kind == ENTRY_BLOCK) hold_block(ks, image->block);
}

struct value value_of_bytes(struct bytes bytes) {
    struct value value = {.kind = VALUE_INLINE, .bytes = bytes};
    bool may_be_number = bytes.len > 0 && bytes.len < NUMBER_I64_MAX_LEN && bytes.data[0] <= '9';
    if (may_be_number && number_parse_i64(bytes, &value.number)) value.kind = VALUE_INT;
    return value;
}

/* False without memory for a block. */
static bool image_of_value(struct image *image, const struct value *value) {
    *image = (struct image){.type = TYPE_STRING};
    struct bytes bytes = value->kind == VALUE_BLOCK ? block_bytes(value->block) : value->bytes;
    if (value->kind == VALUE_INT) {
        image->kind = ENTRY_INT;
        image->number = value->number;
    } else if (bytes.len <= ENTRY_VALUE_INLINE_MAX) {
        image->kind = ENTRY_INLINE;
        image->stored = bytes.data;
        image->stored_len = bytes.len;
    } else {
        image->kind = ENTRY_BLOCK;
        image->block = value->kind == VALUE_BLOCK ? block_retain(value->block) : block_of(bytes);
    }
    return image->kind != ENTRY_BLOCK || image->block;
}

static void image_of_entry(struct image *image, const struct entry *e) {
    *image = (struct image){.type = entry_type(e),
                            .kind = (enum entry_kind)e->kind,
                            .edited = e->edited,
                            .stored = entry_value_at(e),
                            .stored_len = e->value_len};
    if (e->kind == ENTRY_BLOCK) image->block = block_retain(entry_block(e));
    (void)entry_int(e, &image->number);
}

/* ---- Setting -------------------------------------------------------------------------------------- */

static struct entry *put_new(struct keyspace *ks, struct keyspace_database *db, struct key key,
                             const struct image *image, int64_t expiry_ms) {
    struct entry *e = make_entry(ks, key.name, expiry_ms > 0, image_len(image));
    if (e == NULL) return NULL;
    e->kind = ENTRY_INLINE; /* nothing to release yet */
    write_expiry(e, expiry_ms);
    if (!table_insert(&db->table, &ks->slab, ks->seed, key.hash, handle_of(ks, e))) {
        free_entry(ks, e);
        note_garbage(ks);
        return NULL;
    }
    write_image(ks, e, image);
    attach(ks, db, e);
    note_garbage(ks); /* a table that grows may give chunks back */
    return e;
}

static struct entry *put_over(struct keyspace *ks, struct keyspace_database *db, struct key key,
                              struct entry *e, const struct image *image, int64_t expiry_ms) {
    struct block *old = entry_block(e);
    debug_assert(is_whole(ks, e));
    preimage(ks, db, e);
    detach(ks, db, e);
    struct entry *to = reshape(ks, db, e, key.hash, expiry_ms > 0, image_len(image));
    if (to == NULL) {
        attach(ks, db, e);
        return NULL;
    }
    write_image(ks, to, image);
    write_expiry(to, expiry_ms);
    attach(ks, db, to);
    drop_block(ks, old);
    return to;
}

/* Creates, or replaces e; a block of the image is taken over or, without memory, released. */
static struct entry *put(struct keyspace *ks, unsigned db_number, struct key key, struct entry *e,
                         const struct image *image, int64_t expiry_ms) {
    struct keyspace_database *db = &ks->db[db_number];
    assert(expiry_ms >= EXPIRY_KEEP);
    if (expiry_ms == EXPIRY_KEEP) expiry_ms = e ? entry_expiry(e) : EXPIRY_NONE;
    if (expiry_ms <= 0 || ensure_wheel(ks, db))
        e = e ? put_over(ks, db, key, e, image, expiry_ms) : put_new(ks, db, key, image, expiry_ms);
    else
        e = NULL;
    if (e == NULL && image->kind == ENTRY_BLOCK) block_release(image->block);
    return e;
}

/* Most values that are overwritten give way to one of the same length, and neither has an expiry. */
static bool takes_the_place(const struct entry *e, const struct value *value, int64_t expiry_ms) {
    return e->kind == ENTRY_INLINE && value->kind == VALUE_INLINE && e->value_len == value->bytes.len &&
           !e->expires && expiry_ms <= 0;
}

struct entry *keyspace_set(struct keyspace *ks, unsigned db, struct key key, const struct value *value,
                           int64_t expiry_ms) {
    struct entry *e = keyspace_find(ks, db, key);
    struct image image;
    if (e && takes_the_place(e, value, expiry_ms)) {
        preimage(ks, &ks->db[db], e);
        e->type = TYPE_STRING;
        e->edited = false;
        if (e->value_len) memcpy(entry_value_at(e), value->bytes.data, e->value_len);
        return e;
    }
    if (!image_of_value(&image, value)) return NULL;
    return put(ks, db, key, e, &image, expiry_ms);
}

void keyspace_set_int(struct keyspace *ks, unsigned db, struct entry *e, int64_t number) {
    preimage(ks, &ks->db[db], e);
    entry_set_int(e, number);
}

struct entry *keyspace_set_expiry(struct keyspace *ks, unsigned db_number, struct entry *e,
                                  int64_t expiry_ms) {
    struct keyspace_database *db = &ks->db[db_number];
    assert(expiry_ms >= 0);
    if (expiry_ms == 0 && !e->expires) return e;
    if (expiry_ms > 0 && !ensure_wheel(ks, db)) return NULL;
    preimage(ks, db, e);
    detach(ks, db, e);
    struct entry *to = e;
    if (e->expires != (expiry_ms > 0)) to = reshape(ks, db, e, hash_of(ks, e), expiry_ms > 0, e->value_len);
    if (to) write_expiry(to, expiry_ms);
    attach(ks, db, to ? to : e);
    return to;
}

/* ---- Editing -------------------------------------------------------------------------------------- */

/* Reshapes an attached entry to `value_len` stored bytes of this kind. */
static struct entry *resize_value(struct keyspace *ks, struct keyspace_database *db, struct entry *e,
                                  enum entry_kind kind, size_t value_len) {
    detach(ks, db, e);
    struct entry *to = reshape(ks, db, e, hash_of(ks, e), e->expires, value_len);
    if (to) to->kind = kind;
    attach(ks, db, to ? to : e);
    return to;
}

static char *edit_inline(struct keyspace *ks, struct keyspace_database *db, struct entry **e, size_t len) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct block *block = entry_block(*e);
    bool stored = (*e)->kind == ENTRY_INLINE;
    struct bytes old = entry_string(*e, scratch);
    size_t kept = old.len < len ? old.len : len;
    struct entry *to = resize_value(ks, db, *e, ENTRY_INLINE, len);
    if (to == NULL) return NULL;
    char *data = entry_value_at(to);
    if (!stored && kept) memcpy(data, old.data, kept); /* reshape has kept stored bytes */
    if (len > kept) memset(data + kept, 0, len - kept);
    drop_block(ks, block);
    *e = to;
    return data;
}

/* Bytes to take for a value that grows to `len`: a quarter more than needed makes appending linear. */
static size_t roomy(size_t len) {
    return len <= SIZE_MAX / 2 ? len + len / 4 : len;
}

/* May a block that mostly consists of zeroes be a mapping? */
static bool may_map(const struct keyspace *ks, size_t capacity) {
    return capacity >= BLOCK_MAP_ZEROES_MIN && ks->mappings_left > 0;
}

/* From a value that is not a block: a block of `len` bytes. */
static char *edit_to_block(struct keyspace *ks, struct keyspace_database *db, struct entry **e, size_t len) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct bytes old = entry_string(*e, scratch); /* shorter than len */
    struct block *block = may_map(ks, roomy(len)) ? block_new_mapped(len, roomy(len))
                                                  : block_new_zeroed(len, roomy(len));
    if (block == NULL) return NULL;
    if (old.len) memcpy(block->data, old.data, old.len);
    struct entry *to = resize_value(ks, db, *e, ENTRY_BLOCK, POINTER_LEN);
    if (to == NULL) {
        block_release(block);
        return NULL;
    }
    memcpy(entry_value_at(to), &block, sizeof block);
    hold_block(ks, block);
    *e = to;
    return block->data;
}

/* A block of at least `len` bytes of capacity with the bytes of `old` and one reference, perhaps old itself. */
static struct block *own_block(const struct keyspace *ks, struct block *old, size_t len) {
    bool shared = block_shared(old);
    assert(old->len > ENTRY_VALUE_INLINE_MAX && len > ENTRY_VALUE_INLINE_MAX); /* 2 of entry.h */
    if (!shared && len <= old->capacity) return old;
    size_t kept = old->len < len ? old->len : len, capacity = len > old->len ? roomy(len) : len;
    /* Copying what it has must not be more work than clearing what it gets. */
    bool map = capacity - kept >= kept && may_map(ks, capacity);
    if (!shared && (old->mapped || !map)) return block_grow(old, capacity);
    struct block *copy = map ? block_new_mapped(kept, capacity) : block_new_full(kept, capacity);
    if (copy == NULL) return NULL;
    memcpy(copy->data, old->data, kept);
    block_release(old);
    return copy;
}

static char *edit_block(struct keyspace *ks, struct entry *e, size_t len) {
    struct block *old = entry_block(e);
    size_t memory = block_memory(old);
    bool mapped = old->mapped;
    struct block *block = own_block(ks, old, len);
    if (block == NULL) return NULL;
    block_set_len(block, len);
    ks->block_bytes -= memory;
    ks->mappings_left += mapped;
    hold_block(ks, block);
    memcpy(entry_value_at(e), &block, sizeof block);
    return block->data;
}

char *keyspace_edit(struct keyspace *ks, unsigned db_number, struct entry **e, size_t len) {
    struct keyspace_database *db = &ks->db[db_number];
    assert(entry_type(*e) == TYPE_STRING);
    debug_assert(is_whole(ks, *e));
    preimage(ks, db, *e);
    char *data = len <= ENTRY_VALUE_INLINE_MAX ? edit_inline(ks, db, e, len)
                 : (*e)->kind == ENTRY_BLOCK   ? edit_block(ks, *e, len)
                                               : edit_to_block(ks, db, e, len);
    if (data) (*e)->edited = true;
    debug_assert(is_whole(ks, *e));
    return data;
}

/* ---- Deleting, moving, copying -------------------------------------------------------------------- */

static void delete_slot(struct keyspace *ks, struct keyspace_database *db, uint64_t hash,
                        struct table_slot slot) {
    struct entry *e = table_entry(&ks->slab, slot);
    preimage(ks, db, e);
    detach(ks, db, e);
    table_remove(&db->table, &ks->slab, hash, slot);
    free_entry(ks, e);
    note_garbage(ks);
}

bool keyspace_delete(struct keyspace *ks, unsigned db, struct key key) {
    struct table_slot slot = table_find(&ks->db[db].table, &ks->slab, key.name, key.hash);
    if (slot.bucket) delete_slot(ks, &ks->db[db], key.hash, slot);
    return slot.bucket != NULL;
}

void keyspace_delete_entry(struct keyspace *ks, unsigned db, struct key key, struct entry *e) {
    struct table_slot slot = table_find_handle(&ks->db[db].table, &ks->slab, key.hash, handle_of(ks, e));
    assert(slot.bucket);
    debug_assert(entry_has_key(e, key.name));
    delete_slot(ks, &ks->db[db], key.hash, slot);
}

bool keyspace_copy(struct keyspace *from, unsigned from_db, struct key from_key, struct keyspace *to,
                   unsigned to_db, struct key to_key) {
    struct entry *e = keyspace_find(from, from_db, from_key);
    struct image image;
    assert(e);
    assert(from != to || from_db != to_db || !bytes_equal(from_key.name, to_key.name));
    image_of_entry(&image, e);
    uint32_t access = entry_access(e);
    struct entry *copy = put(to, to_db, to_key, keyspace_find(to, to_db, to_key), &image, entry_expiry(e));
    if (copy) entry_set_access(copy, access);
    return copy != NULL;
}

bool keyspace_move(struct keyspace *from, unsigned from_db, struct key from_key, struct keyspace *to,
                   unsigned to_db, struct key to_key) {
    if (!keyspace_copy(from, from_db, from_key, to, to_db, to_key)) return false;
    return keyspace_delete(from, from_db, from_key);
}

void keyspace_flush(struct keyspace *ks, unsigned db) {
    struct keyspace_database *d = &ks->db[db];
    ks->buried += d->table.entries;
    if (d->table.directory)
        ks->graves = table_bury(&d->table, ks->graves, d->wheel);
    else
        expiry_free(&ks->slab, d->wheel); /* made for a first entry that then found no memory */
    assert(d->table.directory == NULL && d->table.entries == 0);
    d->expiring = 0;
    d->wheel = NULL;
    note_garbage(ks);
}

static void set_database(struct keyspace_database *to, struct keyspace_database value) {
    table_publish(&to->table, value.table);
    to->expiring = value.expiring;
    to->wheel = value.wheel;
}

void keyspace_swap(struct keyspace *ks, unsigned a, unsigned b) {
    assert(a < ks->databases && b < ks->databases);
    struct keyspace_database kept = ks->db[a];
    set_database(&ks->db[a], ks->db[b]);
    set_database(&ks->db[b], kept);
}

/* ---- Looking -------------------------------------------------------------------------------------- */

uint64_t keyspace_count_expiring(const struct keyspace *ks, unsigned db) {
    return ks->db[db].expiring;
}

uint64_t keyspace_memory(const struct keyspace *ks) {
    return ks->slab.used_bytes + ks->block_bytes;
}

size_t keyspace_entry_memory(const struct keyspace *ks, const struct entry *e) {
    struct block *value = entry_block(e), *key = entry_key_block(e);
    size_t share = sizeof(struct bucket) * 2 / TABLE_GROW_LOAD_2;
    return slab_class_size(slab_class(entry_size(e))) + share + (value ? block_memory(value) : 0) +
           (key ? block_memory(key) : 0);
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
     * worth of places covers all but a few entries in a million; the rest comes in with a rare longer draw.
     */
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

/* ---- Upkeep --------------------------------------------------------------------------------------- */

static unsigned expire_database(struct keyspace *ks, unsigned number, int64_t now_ms, unsigned budget,
                                unsigned *moves,
                                void (*expired)(void *context, unsigned db, const struct entry *e),
                                void *context) {
    struct keyspace_database *db = &ks->db[number];
    unsigned count = 0;
    for (struct entry *e; count < budget && (e = expiry_due(&ks->slab, db->wheel, now_ms, moves)); count++) {
        assert(entry_expired(e, now_ms) && db->expiring > 0); /* 1 */
        if (expired) expired(context, number, e);
        keyspace_delete_entry(ks, number, (struct key){entry_key(e), hash_of(ks, e)}, e);
    }
    return count;
}

unsigned keyspace_expire(struct keyspace *ks, int64_t now_ms, unsigned budget,
                         void (*expired)(void *context, unsigned db, const struct entry *e), void *context) {
    ks->now_ms = now_ms;
    if (now_ms < ks->next_expiry_ms) return 0;
    unsigned count = 0, moves = budget <= UINT32_MAX / MOVES_PER_BUDGET ? budget * MOVES_PER_BUDGET : budget;
    int64_t next = INT64_MAX;
    for (unsigned i = 0, from = ks->expire_from; i < ks->databases; i++) {
        unsigned db = (from + i) % ks->databases;
        struct expiry *wheel = ks->db[db].wheel;
        if (wheel == NULL) continue;
        if (count < budget) {
            ks->expire_from = (uint16_t)db; /* where the budget ends is where the next call begins */
            count += expire_database(ks, db, now_ms, budget - count, &moves, expired, context);
        }
        if (expiry_next(&ks->slab, wheel) < next) next = expiry_next(&ks->slab, wheel);
    }
    assert(count <= budget);
    ks->next_expiry_ms = next;
    return count;
}

/* Shrinks sparse tables; what is left of the budget. */
static unsigned shrink_tables(struct keyspace *ks, unsigned budget) {
    for (unsigned db = 0; db < ks->databases; db++)
        while (budget > 0 && table_shrink(&ks->db[db].table, &ks->slab)) budget--;
    return budget;
}

bool keyspace_upkeep(struct keyspace *ks, unsigned budget) {
    unsigned chunks = budget / ENTRIES_PER_CHUNK + 1;
    while (ks->graves && !table_decompose(ks->graves, &ks->slab, &budget, free_handle, ks)) close_grave(ks);
    budget = shrink_tables(ks, budget);
    bool more = arena_return(&ks->slab.arena, chunks) || budget == 0;
    ks->tidy_ms = more ? TIDY_UNTIMED : INT64_MAX; /* the caller knows */
    assert(more || !has_garbage(ks));
    return more;
}

int64_t keyspace_take_news(struct keyspace *ks, int64_t tidy_ms) {
    assert(tidy_ms > TIDY_UNTIMED);
    assert(!has_garbage(ks) || ks->tidy_ms != INT64_MAX);
    if (ks->tidy_ms == TIDY_UNTIMED) ks->tidy_ms = tidy_ms;
    ks->news = false;
    return ks->next_expiry_ms < ks->tidy_ms ? ks->next_expiry_ms : ks->tidy_ms;
}

void keyspace_set_preimage(struct keyspace *ks,
                           void (*preimage_hook)(void *context, unsigned db, const struct entry *e),
                           void *context) {
    ks->preimage = preimage_hook;
    ks->preimage_context = context;
}
