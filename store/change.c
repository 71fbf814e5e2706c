/* change.c - every change of an entry.
 *
 * An entry has a shape: whether it has an expiry record, and how many bytes of key and value it stores. A
 * change that leaves the size class alone happens where the entry is; otherwise the entry moves. While an
 * entry changes shape it is out of the expiry wheel: detach, reshape, attach. */
#include "store/change.h"

#include "protocol/assert.h"
#include "store/snapshot.h"

enum { STORED_LEN = 8 }; /* of an integer, a pointer to a block or to an object */
_Static_assert(sizeof(int64_t) == STORED_LEN && sizeof(void *) == STORED_LEN, "they are alike");
_Static_assert(sizeof(struct entry) + sizeof(struct entry_expiry_record) + ENTRY_KEY_INLINE_MAX +
                       ENTRY_VALUE_INLINE_MAX <=
                   SLAB_MAX,
               "the largest entry is a slab object");

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

/* Lets go of a value's block or object; keyspace_note_garbage is to follow. */
static void drop(struct keyspace *ks, enum value_kind kind, void *pointer) {
    assert(pointer && kind >= VALUE_BLOCK);
    if (kind == VALUE_BLOCK)
        drop_block(ks, pointer);
    else
        object_release(pointer, &ks->dead);
}

/* The invariants of entry.h: for debug_assert. */
static bool is_whole(const struct keyspace *ks, const struct entry *e) {
    const struct block *key = entry_key_block(e), *value = entry_block(e);
    const struct chunk *chunk = arena_chunk(&ks->slab.arena, handle_of(ks, e) / ARENA_CHUNK_UNITS);
    return e->key_len <= ENTRY_KEY_INLINE_MAX && (!key || key->len > ENTRY_KEY_INLINE_MAX) && /* 1 */
           (e->value_len <= (e->kind == VALUE_INLINE ? ENTRY_VALUE_INLINE_MAX : STORED_LEN) ||
            entry_timed(e)) &&
           (!value || value->len > ENTRY_VALUE_INLINE_MAX) && /* 2 */
           (!e->expires || entry_expiry_record(e)->expiry_ms > 0) &&
           (e->expires || !entry_timed(e)) &&         /* 3 */
           chunk->class == slab_class(entry_size(e)); /* 4 */
}

void change_free_entry(struct keyspace *ks, struct entry *e) {
    debug_assert(is_whole(ks, e));
    if (e->kind >= VALUE_BLOCK) drop(ks, (enum value_kind)e->kind, entry_pointer_at(entry_value_at(e)));
    drop_block(ks, entry_key_block(e));
    slab_free(&ks->slab, handle_of(ks, e));
}

/* A new entry with this key and a value yet to be written; NULL without memory. */
static struct entry *make_entry(struct keyspace *ks, struct bytes name, bool expires, size_t value_len) {
    bool in_block = name.len > ENTRY_KEY_INLINE_MAX;
    size_t key_len = in_block ? STORED_LEN : name.len;
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
                        .value_len = (uint16_t)value_len,
                        .stamp = ks->stamp};
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
    int64_t expiry_ms = entry_expiry(e);
    assert(db->wheel && db->expiring >= (expiry_ms > 0)); /* 1 */
    debug_assert(db->wheel->keys_ms >= (uint64_t)expiry_ms);
    expiry_remove(&ks->slab, db->wheel, e);
    db->wheel->keys_ms -= (uint64_t)expiry_ms;
    db->expiring -= expiry_ms > 0;
    db->timed -= entry_timed(e);
}

/* Puts an entry with an expiry record into the wheel, which ensure_wheel has made. */
static void attach(struct keyspace *ks, struct keyspace_database *db, struct entry *e) {
    if (!e->expires) return;
    assert(db->wheel && db->expiring < db->table.entries); /* 1 */
    expiry_add(&ks->slab, db->wheel, e);
    int64_t expiry_ms = entry_expiry(e);
    db->wheel->keys_ms += (uint64_t)expiry_ms;
    db->expiring += expiry_ms > 0;
    db->timed += entry_timed(e);
    int64_t due_ms = entry_expiry_record(e)->expiry_ms;
    if (__builtin_expect(due_ms >= ks->next_expiry_ms, 1)) return;
    ks->next_expiry_ms = due_ms;
    ks->news = true;
}

static bool ensure_wheel(struct keyspace *ks, struct keyspace_database *db) {
    if (db->wheel == NULL) db->wheel = expiry_new(&ks->slab, ks->now_ms);
    return db->wheel != NULL;
}

/* When the first element of a value is due; INT64_MAX: none expires by itself. */
static int64_t due_of(const struct value *value) {
    if (value->kind != VALUE_OBJECT || value->object->type->due == NULL) return INT64_MAX;
    return value->object->type->due(value->object);
}

/* Of a timed entry the key's own expiry, or none, is kept apart, and what is due first is that or one of its elements, of
 * which none counts before earliest_ms. */
static __attribute__((noinline)) void write_times(struct entry *e, int64_t expiry_ms, int64_t earliest_ms) {
    struct value value = entry_value(e);
    int64_t due_ms = due_of(&value);
    assert(e->expires && entry_timed(e));
    memcpy(entry_value_at(e) + STORED_LEN, &expiry_ms, sizeof expiry_ms);
    if (due_ms < earliest_ms) due_ms = earliest_ms;
    entry_expiry_record(e)->expiry_ms = expiry_ms > 0 && expiry_ms < due_ms ? expiry_ms : due_ms;
}

/* Behind write_value. */
static void write_expiry(struct entry *e, int64_t expiry_ms) {
    if (!e->expires) return;
    if (__builtin_expect(entry_timed(e), 0))
        write_times(e, expiry_ms, 0);
    else
        entry_expiry_record(e)->expiry_ms = expiry_ms;
}

/* ---- Shapes --------------------------------------------------------------------------------------- */

struct shape {
    bool expires;     /* there is an expiry record */
    size_t value_len; /* bytes that the entry stores of the value */
};

/* Gives a detached entry, whose key has this hash, another shape. Key, access, kind, and of the value's stored bytes as
 * many as fit are kept; the expiry is not, if there was none. NULL, and nothing done, without memory. */
static struct entry *reshape(struct keyspace *ks, struct keyspace_database *db, struct entry *e,
                             uint64_t hash, struct shape shape) {
    bool expires = shape.expires;
    size_t value_len = shape.value_len;
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
        keyspace_note_garbage(ks);
    }
    debug_assert(slab_class(entry_size(to)) == slab_class(size) && to->expires == expires);
    return to;
}

/* A snapshot that is under way sees the entry as it is, before it is changed, moved or freed. */
static inline void preimage(struct keyspace *ks, const struct keyspace_database *db, struct entry *e) {
    if (__builtin_expect(ks->snapshot != NULL, 0)) snapshot_see(ks, (unsigned)(db - ks->db), e);
}

/* ---- Values --------------------------------------------------------------------------------------- */

/* Makes of a value one that an entry can hold, with a reference of its own. False without memory for a block. */
static inline __attribute__((always_inline)) bool settle(struct value *value) {
    if (value->kind == VALUE_INT) return true;
    if (value->kind == VALUE_OBJECT) return object_retain(value->object);
    struct bytes bytes = value_bytes(value);
    if (bytes.len <= ENTRY_VALUE_INLINE_MAX) {
        value->kind = VALUE_INLINE;
        value->bytes = bytes;
        return true;
    }
    value->block = value->kind == VALUE_BLOCK ? block_retain(value->block) : block_of(bytes);
    value->kind = VALUE_BLOCK;
    return value->block;
}

/* Takes the reference of a settled value back. */
static void unsettle(struct keyspace *ks, const struct value *value) {
    value_release(value, &ks->dead);
    keyspace_note_garbage(ks);
}

/* Bytes that an entry stores of a settled value. */
static size_t stored_len(const struct value *value) {
    if (value->kind == VALUE_INLINE) return value->bytes.len;
    return __builtin_expect(due_of(value) == INT64_MAX, 1) ? (size_t)STORED_LEN : (size_t)ENTRY_TIMED_LEN;
}
/* What an entry is to hold: a settled value, and its key's expiry or EXPIRY_NONE. */
struct content {
    const struct value *value;
    int64_t expiry_ms;
};

static inline __attribute__((always_inline)) struct shape shape_of(struct content content) {
    size_t len = stored_len(content.value);
    bool timed = content.value->kind == VALUE_OBJECT && len == ENTRY_TIMED_LEN;
    return (struct shape){.expires = content.expiry_ms > 0 || timed, .value_len = len};
}

static void write_value(struct keyspace *ks, struct entry *e, const struct value *value) {
    bool plain = value->kind == VALUE_INLINE;
    const void *from = plain ? value->bytes.data : (const void *)&value->number;
    size_t len = plain ? e->value_len : STORED_LEN;
    e->type = value->type;
    e->kind = value->kind;
    e->edited = value->edited;
    debug_assert(e->value_len == stored_len(value));
    if (len) memcpy(entry_value_at(e), from, len);
    if (value->kind == VALUE_BLOCK) hold_block(ks, value->block);
}

/* ---- Setting -------------------------------------------------------------------------------------- */

static struct entry *put_new(struct keyspace *ks, struct keyspace_database *db, struct key key,
                             struct content content) {
    struct shape shape = shape_of(content);
    struct entry *e = make_entry(ks, key.name, shape.expires, shape.value_len);
    if (e == NULL) return NULL;
    e->kind = VALUE_INLINE; /* nothing to release yet */
    if (e->expires) entry_expiry_record(e)->expiry_ms = INT64_MAX;
    if (!table_insert(&db->table, &ks->slab, ks->seed, key.hash, handle_of(ks, e))) {
        change_free_entry(ks, e);
        keyspace_note_garbage(ks);
        return NULL;
    }
    write_value(ks, e, content.value);
    write_expiry(e, content.expiry_ms);
    attach(ks, db, e);
    keyspace_note_garbage(ks); /* a table that grows may give chunks back */
    return e;
}

static struct entry *put_over(struct keyspace *ks, struct keyspace_database *db, struct key key,
                              struct entry *e, struct content content) {
    enum value_kind old_kind = (enum value_kind)e->kind;
    void *old = old_kind >= VALUE_BLOCK ? entry_pointer_at(entry_value_at(e)) : NULL;
    debug_assert(is_whole(ks, e));
    preimage(ks, db, e);
    detach(ks, db, e);
    struct entry *to = reshape(ks, db, e, key.hash, shape_of(content));
    if (to == NULL) {
        attach(ks, db, e);
        return NULL;
    }
    write_value(ks, to, content.value);
    write_expiry(to, content.expiry_ms);
    attach(ks, db, to);
    if (old_kind >= VALUE_BLOCK) {
        drop(ks, old_kind, old);
        keyspace_note_garbage(ks);
    }
    return to;
}

/* Creates, or replaces e, whose expiry EXPIRY_KEEP keeps. What the value refers to is taken over; without memory
 * it is released. */
static struct entry *put(struct keyspace *ks, unsigned db_number, struct key key, struct entry *e,
                         struct content content) {
    struct keyspace_database *db = &ks->db[db_number];
    assert(content.expiry_ms >= EXPIRY_KEEP);
    if (content.expiry_ms == EXPIRY_KEEP) content.expiry_ms = e ? entry_expiry(e) : EXPIRY_NONE;
    bool filed = content.expiry_ms > 0 || due_of(content.value) != INT64_MAX;
    if (!filed || ensure_wheel(ks, db))
        e = e ? put_over(ks, db, key, e, content) : put_new(ks, db, key, content);
    else
        e = NULL;
    if (e == NULL) unsettle(ks, content.value);
    return e;
}

/* Only where it changes something: whoever notes the access next reads the whole word of which this writes a byte, and would
 * wait until that has left the processor's queue of stores. */
static __attribute__((noinline)) void mark_string(struct entry *e) {
    e->type = TYPE_STRING;
    e->edited = false;
}

/* Most values that are overwritten give way to a string of the same length, and neither has an expiry. */
static bool takes_the_place(const struct entry *e, const struct value *value, int64_t expiry_ms) {
    bool plain = value->kind == VALUE_INLINE && value->type == TYPE_STRING && !value->edited;
    return plain && e->kind == VALUE_INLINE && e->value_len == value->bytes.len && !e->expires &&
           expiry_ms <= 0;
}

struct entry *keyspace_set(struct keyspace *ks, unsigned db, struct key key, const struct value *value,
                           int64_t expiry_ms) {
    struct entry *e = keyspace_find(ks, db, key);
    if (e && takes_the_place(e, value, expiry_ms)) {
        preimage(ks, &ks->db[db], e);
        if (e->type != TYPE_STRING || e->edited) mark_string(e);
        copy_short(entry_value_at(e), value->bytes.data, value->bytes.len);
        return e;
    }
    struct value own = *value;
    debug_assert(ks->types[value->type]);
    return settle(&own) ? put(ks, db, key, e, (struct content){&own, expiry_ms}) : NULL;
}

struct entry *keyspace_replace(struct keyspace *ks, unsigned db, struct entry *e, const struct value *value) {
    struct key key = {entry_key(e), hash_of(ks, e)};
    struct value own = *value;
    assert(value->type == entry_type(e));
    return settle(&own) ? put(ks, db, key, e, (struct content){&own, EXPIRY_KEEP}) : NULL;
}

void keyspace_set_int(struct keyspace *ks, unsigned db, struct entry *e, int64_t number) {
    preimage(ks, &ks->db[db], e);
    entry_set_int(e, number);
}

struct entry *keyspace_set_expiry(struct keyspace *ks, unsigned db_number, struct entry *e,
                                  int64_t expiry_ms) {
    struct keyspace_database *db = &ks->db[db_number];
    assert(expiry_ms >= 0);
    if (expiry_ms == 0 && entry_expiry(e) == 0) return e;
    if (expiry_ms > 0 && !ensure_wheel(ks, db)) return NULL;
    preimage(ks, db, e);
    detach(ks, db, e);
    struct entry *to = e;
    if (!entry_timed(e) && e->expires != (expiry_ms > 0))
        to = reshape(ks, db, e, hash_of(ks, e), (struct shape){expiry_ms > 0, e->value_len});
    if (to) write_expiry(to, expiry_ms);
    attach(ks, db, to ? to : e);
    return to;
}

struct entry *keyspace_make_timed(struct keyspace *ks, unsigned db_number, struct entry *e) {
    struct keyspace_database *db = &ks->db[db_number];
    int64_t expiry_ms = entry_expiry(e);
    assert(e->kind == VALUE_OBJECT);
    if (entry_timed(e)) return e;
    if (!ensure_wheel(ks, db)) return NULL;
    preimage(ks, db, e);
    detach(ks, db, e);
    struct entry *to = reshape(ks, db, e, hash_of(ks, e), (struct shape){true, ENTRY_TIMED_LEN});
    if (to) write_times(to, expiry_ms, 0);
    attach(ks, db, to ? to : e);
    return to;
}

struct entry *keyspace_refile(struct keyspace *ks, unsigned db_number, struct entry *e, int64_t earliest_ms) {
    struct keyspace_database *db = &ks->db[db_number];
    if (!entry_timed(e)) return e;
    int64_t expiry_ms = entry_expiry(e);
    struct value value = entry_value(e);
    struct entry *to = NULL;
    detach(ks, db, e);
    if (due_of(&value) == INT64_MAX)
        to = reshape(ks, db, e, hash_of(ks, e),
                     (struct shape){expiry_ms > 0, STORED_LEN}); /* where memory is short it stays */
    if (to == NULL)
        write_times(e, expiry_ms, earliest_ms);
    else
        write_expiry(to, expiry_ms);
    attach(ks, db, to ? to : e);
    return to ? to : e;
}

/* ---- Editing -------------------------------------------------------------------------------------- */

/* Reshapes an attached entry to `value_len` stored bytes of this kind. */
static struct entry *resize_value(struct keyspace *ks, struct keyspace_database *db, struct entry *e,
                                  enum value_kind kind, size_t value_len) {
    detach(ks, db, e);
    struct entry *to = reshape(ks, db, e, hash_of(ks, e), (struct shape){e->expires, value_len});
    if (to) to->kind = kind;
    attach(ks, db, to ? to : e);
    return to;
}

static char *edit_inline(struct keyspace *ks, struct keyspace_database *db, struct entry **e, size_t len) {
    char scratch[NUMBER_I64_MAX_LEN];
    struct block *block = entry_block(*e);
    bool stored = (*e)->kind == VALUE_INLINE;
    struct bytes old = entry_bytes(*e, scratch);
    size_t kept = old.len < len ? old.len : len;
    struct entry *to = resize_value(ks, db, *e, VALUE_INLINE, len);
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
    struct bytes old = entry_bytes(*e, scratch); /* shorter than len */
    struct block *block = may_map(ks, roomy(len)) ? block_new_mapped(len, roomy(len))
                                                  : block_new_zeroed(len, roomy(len));
    if (block == NULL) return NULL;
    if (old.len) memcpy(block->data, old.data, old.len);
    struct entry *to = resize_value(ks, db, *e, VALUE_BLOCK, STORED_LEN);
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
    assert((*e)->kind != VALUE_OBJECT);
    debug_assert(is_whole(ks, *e));
    preimage(ks, db, *e);
    char *data = len <= ENTRY_VALUE_INLINE_MAX ? edit_inline(ks, db, e, len)
                 : (*e)->kind == VALUE_BLOCK   ? edit_block(ks, *e, len)
                                               : edit_to_block(ks, db, e, len);
    if (data && entry_type(*e) == TYPE_STRING) (*e)->edited = true;
    debug_assert(is_whole(ks, *e));
    return data;
}

struct object *keyspace_edit_object(struct keyspace *ks, unsigned db, struct entry *e) {
    struct object *object = entry_object(e);
    preimage(ks, &ks->db[db], e); /* may retain it */
    if (!object_shared(object)) return object;
    struct object *own = object->type->fork(object, ks->heap);
    if (own == NULL) return NULL;
    assert(own->references == 1 && own->type == object->type);
    memcpy(entry_value_at(e), &own, sizeof own);
    drop(ks, VALUE_OBJECT, object);
    keyspace_note_garbage(ks);
    return own;
}

/* ---- Deleting, moving, copying -------------------------------------------------------------------- */

static void delete_slot(struct keyspace *ks, struct keyspace_database *db, uint64_t hash,
                        struct table_slot slot) {
    struct entry *e = table_entry(&ks->slab, slot);
    preimage(ks, db, e);
    detach(ks, db, e);
    table_remove(&db->table, &ks->slab, hash, slot);
    change_free_entry(ks, e);
    keyspace_note_garbage(ks);
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

bool keyspace_copy(const struct keyspace_place *from, const struct keyspace_place *to) {
    struct entry *e = keyspace_find(from->keyspace, from->db, from->key);
    assert(e);
    assert(from->keyspace != to->keyspace || from->db != to->db ||
           !bytes_equal(from->key.name, to->key.name));
    struct value value = entry_value(e);
    value_retain(&value);
    uint32_t access = entry_access(e);
    struct entry *copy = put(to->keyspace, to->db, to->key, keyspace_find(to->keyspace, to->db, to->key),
                             (struct content){&value, entry_expiry(e)});
    if (copy) entry_set_access(copy, access);
    return copy != NULL;
}

bool keyspace_move(const struct keyspace_place *from, const struct keyspace_place *to) {
    return keyspace_copy(from, to) && keyspace_delete(from->keyspace, from->db, from->key);
}
