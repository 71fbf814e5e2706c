/* hash.c - hashes. A field and its value are the elements 2i and 2i + 1 of a pack, or the two parts of an item of
 * a tree of the kind TREE_HASH. Where fields expire, a small hash is an object of another form (hash_timed.h), and beside a
 * tree there are times (times.h). */
#include "store/types/hash.h"

#include "store/rdb/writer.h"
#include "store/types/hash_timed.h"
#include "store/values/load.h"
#include "store/values/pack_load.h"

enum { FIELD, VALUE, PARTS };

/* ---- Looking -------------------------------------------------------------------------------------- */

static bool is_timed(const struct value *value) {
    return value->kind == VALUE_OBJECT && value->object->form == HASH_FORM_TIMED;
}
static bool is_tree(const struct value *value) {
    return value->kind == VALUE_OBJECT && value->object->form == HASH_FORM_TREE;
}

const struct tree *hash_tree(const struct value *value) {
    return is_tree(value) ? collection_tree(value) : NULL;
}

uint64_t hash_count(const struct value *value) {
    if (is_tree(value)) return collection_tree(value)->count;
    if (is_timed(value)) return pack_count(hash_timed_pack(value->object)) / TIMED_PARTS;
    return pack_count(value_bytes(value)) / PARTS;
}

static struct element part_of(const struct tree_item *item, unsigned part) {
    return (struct element){item->parts[part], item->blocks[part]};
}

static bool find_in_tree(const struct hash_seed *seed, const struct tree *tree, struct bytes field,
                         struct tree_item *item) {
    return tree_look_up(tree, hash_bytes(seed, field), field, item);
}

bool hash_get(const struct keyspace *ks, const struct value *value, struct bytes field,
              struct element *found) {
    bool timed = false;
    if (value->kind == VALUE_OBJECT) {
        struct tree_item item;
        timed = value->object->form == HASH_FORM_TIMED;
        if (!timed && !find_in_tree(ks->seed, collection_tree(value), field, &item)) return false;
        if (!timed) *found = part_of(&item, VALUE);
        if (!timed) return true;
    }
    struct bytes pack = timed ? hash_timed_pack(value->object) : value_bytes(value);
    uint32_t at = timed ? hash_timed_find(pack, field) : pack_find(pack, PARTS, field);
    if (at == pack_count(pack)) return false;
    *found = pack_at(pack, at + VALUE);
    return true;
}

void hash_walk(struct hash_walk *walk, const struct value *value, uint64_t from) {
    assert(from <= hash_count(value));
    walk->timed = is_timed(value);
    walk->packed = !is_tree(value);
    walk->times = walk->packed ? NULL : collection_of(value->object)->times;
    if (walk->timed)
        walk->pack = pack_from(hash_timed_pack(value->object), (uint32_t)from * TIMED_PARTS);
    else if (walk->packed)
        walk->pack = pack_from(value_bytes(value), (uint32_t)from * PARTS);
    else if (from < collection_tree(value)->count)
        tree_select(&walk->cursor, collection_tree(value), from);
    else
        walk->cursor.leaf = NULL;
}

static bool next_timed(struct hash_walk *walk, struct element *field, struct element *found) {
    struct element expiry;
    if (!pack_next(&walk->pack, field)) return false;
    bool whole = pack_next(&walk->pack, found) && pack_next(&walk->pack, &expiry);
    assert(whole);
    walk->expiry_ms = hash_timed_expiry(&expiry);
    return true;
}

bool hash_next(struct hash_walk *walk, struct element *field, struct element *found) {
    if (walk->timed) return next_timed(walk, field, found);
    if (walk->packed) return pack_next(&walk->pack, field) && pack_next(&walk->pack, found);
    if (walk->cursor.leaf == NULL) return false;
    struct tree_item item;
    tree_get(&walk->cursor, &item);
    *field = part_of(&item, FIELD);
    *found = part_of(&item, VALUE);
    tree_next(&walk->cursor);
    return true;
}

/* ---- Expiry --------------------------------------------------------------------------------------- */

static int64_t due(const struct object *object) {
    if (object->form == HASH_FORM_TIMED) return hash_timed(object)->due_ms;
    const struct times *times = collection_of(object)->times;
    return times ? times_first(times) : INT64_MAX;
}

static uint64_t overdue(const struct object *object, int64_t now_ms) {
    const struct times *times = object->form == HASH_FORM_TIMED ? NULL : collection_of(object)->times;
    struct value value = {
        .type = TYPE_HASH, .kind = VALUE_OBJECT, .object = (struct object *)(uintptr_t)object};
    struct hash_walk walk;
    struct element field, found;
    uint64_t count = 0;
    if (due(object) > now_ms) return 0;
    if (times) return times_overdue(times, now_ms);
    hash_walk(&walk, &value, 0);
    while (hash_next(&walk, &field, &found)) count += walk.expiry_ms > 0 && walk.expiry_ms <= now_ms;
    return count;
}

uint64_t hash_overdue(const struct value *value, int64_t now_ms) {
    return value->kind == VALUE_OBJECT ? overdue(value->object, now_ms) : 0;
}

int64_t hash_walk_expiry(const struct hash_walk *walk, struct bytes field) {
    if (walk->timed) return walk->expiry_ms;
    return walk->times ? times_of(walk->times, hash_bytes(walk->times->seed, field)) : 0;
}

int64_t hash_expiry(const struct keyspace *ks, const struct value *value, struct bytes field) {
    if (is_timed(value)) {
        struct bytes pack = hash_timed_pack(value->object);
        uint32_t at = hash_timed_find(pack, field);
        if (at == pack_count(pack)) return 0;
        struct element expiry = pack_at(pack, at + TIMED_EXPIRY);
        return hash_timed_expiry(&expiry);
    }
    const struct times *times = is_tree(value) ? collection_of(value->object)->times : NULL;
    return times ? times_of(times, hash_bytes(ks->seed, field)) : 0;
}

/* A field of a tree expires at this time. False without memory. */
static bool put_time(const struct tree_context *context, struct collection *collection, uint64_t hash,
                     int64_t old_ms, int64_t expiry_ms) {
    bool first = collection->times == NULL;
    if (first) collection->times = times_new(context->heap, context->seed);
    if (collection->times == NULL) return false;
    bool done = times_put(collection->times, context, hash, old_ms, expiry_ms);
    if (done || !first) return done;
    times_free(collection->times, context->graves);
    collection->times = NULL;
    return false;
}

/* A field of a tree no longer expires, or goes; its expiry was prepared to be taken away. */
static void drop_time(const struct tree_context *context, struct collection *collection, uint64_t hash,
                      int64_t expiry_ms) {
    times_remove(collection->times, context, hash, expiry_ms);
    if (times_count(collection->times) > 0) return;
    times_free(collection->times, context->graves);
    collection->times = NULL;
}

/* The expiry of a field that is about to lose it, prepared for that; 0: none. False without memory. */
static bool prepare_time(const struct tree_context *context, const struct collection *collection,
                         uint64_t hash, int64_t *expiry_ms) {
    *expiry_ms = collection->times ? times_of(collection->times, hash) : 0;
    return *expiry_ms == 0 || times_prepare(collection->times, context, hash, *expiry_ms);
}

/* ---- Trees ---------------------------------------------------------------------------------------- */

static size_t long_bytes(const struct tree_item *item) {
    size_t bytes = 0;
    for (unsigned i = 0; i < PARTS; i++) bytes += item->blocks[i] ? block_memory(item->blocks[i]) : 0;
    return bytes;
}

/* What the blocks of a field take, where there are blocks at all. */
static size_t long_bytes_of(const struct hash_seed *seed, const struct collection *collection,
                            struct bytes field) {
    struct tree_item item;
    return find_in_tree(seed, &collection->tree, field, &item) ? long_bytes(&item) : 0;
}

static enum hash_changed put_in_tree(const struct tree_context *context, struct collection *collection,
                                     const struct tree_item *item, bool replace) {
    struct bytes field = item->parts[FIELD];
    bool long_item = field.len > ELEMENT_PLAIN_MAX || item->parts[VALUE].len > ELEMENT_PLAIN_MAX;
    size_t before = collection->long_bytes ? long_bytes_of(context->seed, collection, field) : 0;
    enum tree_changed changed = tree_put(&collection->tree, context, item, replace);
    if (changed == TREE_NO_MEMORY) return HASH_NO_MEMORY;
    if (changed == TREE_UNCHANGED) return HASH_UNCHANGED;
    assert(collection->long_bytes >= before);
    collection->long_bytes -= before;
    if (long_item) collection->long_bytes += long_bytes_of(context->seed, collection, field);
    return changed == TREE_ADDED ? HASH_ADDED : HASH_REPLACED;
}

static struct tree_item item_of(const struct hash_seed *seed, struct bytes field, struct bytes value,
                                struct block *block) {
    return (struct tree_item){.key.high = hash_bytes(seed, field),
                              .parts = {[FIELD] = field, [VALUE] = value},
                              .blocks = {[VALUE] = block}};
}

/* What a small hash holds, in a tree. NULL without memory; then *dead has what was made of it. */
static struct collection *tree_of(const struct tree_context *context, const struct value *small,
                                  struct dead *dead) {
    struct collection *collection = collection_new(context->heap, &type_hash, TREE_HASH);
    struct hash_walk walk;
    struct element field, value;
    bool done = collection;
    hash_walk(&walk, small, 0);
    while (done && hash_next(&walk, &field, &value)) {
        struct tree_item item = item_of(context->seed, field.bytes, value.bytes, NULL);
        int64_t expiry_ms = hash_walk_expiry(&walk, field.bytes);
        done = put_in_tree(context, collection, &item, true) == HASH_ADDED;
        if (done && expiry_ms) done = put_time(context, collection, item.key.high, 0, expiry_ms);
    }
    if (done || collection == NULL) return collection;
    object_release(&collection->head, dead);
    return NULL;
}

static bool unpack(struct edit *edit) {
    struct value value = entry_value(edit->entry);
    struct tree_context context = collection_context(edit->keyspace);
    struct collection *collection = tree_of(&context, &value, &edit->keyspace->dead);
    keyspace_note_nodes(edit->keyspace);
    return collection && collection_become(edit, collection);
}

/* ---- Packs ---------------------------------------------------------------------------------------- */

/* Makes `len` bytes of the pack's own room for it, no fewer than it has. False without memory. */
static bool open_pack(struct edit *edit, struct pack *pack, size_t len) {
    struct value value = entry_value(edit->entry);
    size_t now = value_bytes(&value).len;
    assert(len >= now);
    *pack = (struct pack){.data = edit_room(edit, len), .len = now, .capacity = len};
    return pack->data;
}

/* Bytes that a pack has with a field more; and with another value in the place of one. */
static size_t len_added(struct bytes pack, struct bytes field, struct bytes value) {
    return (pack.len ? pack.len : PACK_HEAD) + PARTS + element_stored(field.len) + element_stored(value.len);
}
static size_t len_replaced(struct bytes pack, uint32_t at, struct bytes value) {
    return pack.len - element_stored(pack_at(pack, at).bytes.len) + element_stored(value.len);
}

static enum hash_changed add_to_pack(struct edit *edit, size_t len, struct bytes field, struct bytes value) {
    struct element both[PARTS] = {element_of(field), element_of(value)};
    struct pack pack;
    if (!open_pack(edit, &pack, len)) return HASH_NO_MEMORY;
    size_t used = pack_insert(&pack, pack_count(pack_bytes(&pack)), both, PARTS);
    assert(used == len && pack.len == len);
    return HASH_ADDED;
}

/* Puts another element in the place of this one. */
static enum hash_changed replace_in_pack(struct edit *edit, size_t len, uint32_t at, struct bytes value) {
    char scratch[COLLECTION_PACK_BYTES];
    struct value now = entry_value(edit->entry);
    struct element element = element_of(value);
    struct pack pack;
    bool shrinks = len < value_bytes(&now).len;
    if (shrinks) pack = collection_copy_pack(value_bytes(&now), scratch);
    if (!shrinks && !open_pack(edit, &pack, len)) return HASH_NO_MEMORY;
    size_t used = pack_replace(&pack, at, &element);
    assert(used == len && pack.len == len);
    return !shrinks || collection_store_pack(edit, &pack) ? HASH_REPLACED : HASH_NO_MEMORY;
}

/* ---- Drafts --------------------------------------------------------------------------------------- */

/* The hash becomes what was drafted. */
static bool become_draft(struct edit *edit, struct hash_draft *draft) {
    struct value value = entry_value(edit->entry);
    struct dead *dead = &edit->keyspace->dead;
    if (!hash_draft_done(draft, edit->keyspace->heap, &value)) return false;
    bool done = edit_become(edit, &value);
    if (value.kind == VALUE_OBJECT) object_release(value.object, dead); /* the entry has one of its own */
    if (!done) keyspace_note_garbage(edit->keyspace);
    return done;
}

/* Sets a field in a draft of the small hash; kept: with the expiry that it has. False, and nothing is changed, if it must be
 * a tree for that. (Inline, its draft would be on the stack of every HSET.) */
static __attribute__((noinline)) bool set_in_draft(struct edit *edit, struct bytes field, struct bytes value,
                                                   bool kept, enum hash_changed *changed) {
    struct value now = entry_value(edit->entry);
    struct hash_draft draft;
    if (!hash_draft(&draft, &now)) return false;
    uint32_t at = hash_timed_find(pack_bytes(&draft.pack), field);
    bool adds = at == pack_count(pack_bytes(&draft.pack));
    int64_t expiry_ms = kept && !adds ? hash_expiry(edit->keyspace, &now, field) : 0;
    if (!hash_draft_set(&draft, at, field, value, expiry_ms)) return false;
    *changed = !become_draft(edit, &draft) ? HASH_NO_MEMORY : adds ? HASH_ADDED : HASH_REPLACED;
    return true;
}

static __attribute__((noinline)) enum hash_changed delete_from_draft(struct edit *edit, struct bytes field) {
    struct value now = entry_value(edit->entry);
    struct hash_draft draft;
    bool drafted = hash_draft(&draft, &now);
    uint32_t at = hash_timed_find(pack_bytes(&draft.pack), field);
    assert(drafted);
    if (at == pack_count(pack_bytes(&draft.pack))) return HASH_UNCHANGED;
    hash_draft_delete(&draft, at);
    return become_draft(edit, &draft) ? HASH_DELETED : HASH_NO_MEMORY;
}

/* The same as set_in_draft of an expiry alone. */
static bool expire_in_draft(struct edit *edit, struct bytes field, int64_t expiry_ms,
                            enum hash_changed *changed) {
    struct value now = entry_value(edit->entry);
    struct element found;
    struct hash_draft draft;
    *changed = HASH_UNCHANGED;
    if (!hash_get(edit->keyspace, &now, field, &found)) return true;
    if (hash_expiry(edit->keyspace, &now, field) == expiry_ms) return true;
    if (!hash_draft(&draft, &now)) return false;
    uint32_t at = hash_timed_find(pack_bytes(&draft.pack), field);
    if (!hash_draft_set(&draft, at, field, found.bytes, expiry_ms)) return false;
    *changed = become_draft(edit, &draft) ? HASH_REPLACED : HASH_NO_MEMORY;
    return true;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

/* Sets a field in the pack of the edit, which has one. False, and nothing is changed, if it must be a tree for that. */
static bool set_in_pack(struct edit *edit, struct bytes field, struct bytes value,
                        enum hash_changed *changed) {
    struct value now = entry_value(edit->entry);
    if (field.len > ELEMENT_INLINE_MAX || value.len > ELEMENT_INLINE_MAX) return false;
    struct bytes pack = value_bytes(&now);
    uint32_t count = pack_count(pack), at = pack_find(pack, PARTS, field);
    bool adds = at == count;
    size_t len = adds ? len_added(pack, field, value) : len_replaced(pack, at + VALUE, value);
    if (!collection_may_pack(len, adds ? count + PARTS : count)) return false;
    *changed = adds ? add_to_pack(edit, len, field, value) : replace_in_pack(edit, len, at + VALUE, value);
    return true;
}

/* The tree of a hash, which may be small yet, to change it. NULL without memory. */
static struct collection *open_tree(struct edit *edit) {
    const struct object *object = entry_object(edit->entry);
    if (!(object && object->form == HASH_FORM_TREE) && !unpack(edit)) return NULL;
    return collection_edit(edit);
}

/* The same as put_in_tree where fields expire: what is replaced shall expire no more. */
static enum hash_changed put_for_ever(const struct tree_context *context, struct collection *collection,
                                      const struct tree_item *item) {
    uint64_t hash = item->key.high;
    int64_t expiry_ms;
    if (!prepare_time(context, collection, hash, &expiry_ms)) return HASH_NO_MEMORY;
    enum hash_changed changed = put_in_tree(context, collection, item, true);
    if (expiry_ms && changed != HASH_NO_MEMORY) drop_time(context, collection, hash, expiry_ms);
    return changed;
}

/* Sets a field of what is no plain pack, or must not stay one. */
static enum hash_changed set_in_object(struct edit *edit, struct bytes field, struct bytes value,
                                       struct block *block, bool kept) {
    enum hash_changed changed;
    const struct object *object = entry_object(edit->entry);
    bool timed = object && object->form == HASH_FORM_TIMED;
    if (timed && set_in_draft(edit, field, value, kept, &changed)) return changed;
    struct collection *collection = open_tree(edit);
    if (collection == NULL) return HASH_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    struct tree_item item = item_of(context.seed, field, value, block);
    changed = collection->times && !kept ? put_for_ever(&context, collection, &item)
                                         : put_in_tree(&context, collection, &item, true);
    keyspace_note_nodes(edit->keyspace);
    return changed;
}

enum hash_changed hash_put(struct keyspace *ks, struct object *object, struct bytes field, struct bytes value,
                           const struct tree_guess *guess) {
    struct collection *collection = collection_of(object);
    assert(object->form == HASH_FORM_TREE && !object_shared(object) && !collection->times);
    if (collection->long_bytes || field.len > ELEMENT_PLAIN_MAX || value.len > ELEMENT_PLAIN_MAX)
        return HASH_NO_MEMORY;
    struct tree_context context = collection_context(ks);
    const struct bytes parts[] = {field, value};
    context.guess = guess;
    enum tree_changed changed =
        tree_put_short(&collection->tree, &context, hash_bytes(ks->seed, field), parts);
    keyspace_note_nodes(ks);
    if (changed == TREE_NO_MEMORY) return HASH_NO_MEMORY;
    return changed == TREE_ADDED ? HASH_ADDED : HASH_REPLACED;
}

enum hash_changed hash_set(struct edit *edit, struct bytes field, struct bytes value, struct block *block) {
    enum hash_changed changed;
    bool small = edit->entry->kind != VALUE_OBJECT;
    if (small && set_in_pack(edit, field, value, &changed)) return changed;
    return set_in_object(edit, field, value, block, false);
}

enum hash_changed hash_update(struct edit *edit, struct bytes field, struct bytes value,
                              struct block *block) {
    if (edit->entry->kind != VALUE_OBJECT) return hash_set(edit, field, value, block); /* none expires */
    return set_in_object(edit, field, value, block, true);
}

static enum hash_changed expire_in_tree(struct edit *edit, uint64_t hash, int64_t expiry_ms) {
    struct tree_context context = collection_context(edit->keyspace);
    if (expiry_ms) {
        struct entry *e = keyspace_make_timed(edit->keyspace, edit->db, edit->entry);
        if (e == NULL) return HASH_NO_MEMORY;
        edit->entry = e;
    }
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return HASH_NO_MEMORY;
    int64_t old_ms = 0;
    bool done = expiry_ms ? true : prepare_time(&context, collection, hash, &old_ms);
    if (expiry_ms && collection->times) old_ms = times_of(collection->times, hash);
    if (done && old_ms == expiry_ms) return HASH_UNCHANGED;
    if (expiry_ms)
        done = put_time(&context, collection, hash, old_ms, expiry_ms);
    else if (done)
        drop_time(&context, collection, hash, old_ms);
    return done ? HASH_REPLACED : HASH_NO_MEMORY;
}

enum hash_changed hash_expire(struct edit *edit, struct bytes field, int64_t expiry_ms) {
    struct value value = entry_value(edit->entry);
    enum hash_changed changed;
    struct tree_item item;
    assert(expiry_ms >= 0 && expiry_ms <= TIMES_MAX);
    if (!is_tree(&value) && expire_in_draft(edit, field, expiry_ms, &changed)) return changed;
    if (!is_tree(&value) && !unpack(edit)) return HASH_NO_MEMORY;
    value = entry_value(edit->entry);
    if (!find_in_tree(edit->keyspace->seed, collection_tree(&value), field, &item)) return HASH_UNCHANGED;
    changed = expire_in_tree(edit, hash_bytes(edit->keyspace->seed, field), expiry_ms);
    keyspace_note_nodes(edit->keyspace);
    return changed;
}

static enum hash_changed delete_from_pack(struct edit *edit, struct bytes bytes, struct bytes field) {
    uint32_t at = pack_find(bytes, PARTS, field);
    if (at == pack_count(bytes)) return HASH_UNCHANGED;
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = collection_copy_pack(bytes, scratch);
    pack_delete(&pack, at, PARTS);
    if (!collection_store_pack(edit, &pack)) return HASH_NO_MEMORY;
    return HASH_DELETED;
}

enum hash_changed hash_delete(struct edit *edit, struct bytes field) {
    struct value value = entry_value(edit->entry);
    struct keyspace *ks = edit->keyspace;
    struct tree_item found, item = item_of(ks->seed, field, BYTES(""), NULL);
    const struct tree *tree;
    edit->lost = true;
    if (value.kind != VALUE_OBJECT) return delete_from_pack(edit, value_bytes(&value), field);
    if (is_timed(&value)) return delete_from_draft(edit, field);
    tree = collection_tree(&value);
    if (!tree_look_up_guessed(tree, item.key.high, field, edit->guesses, &found)) return HASH_UNCHANGED;
    size_t bytes = long_bytes(&found);
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return HASH_NO_MEMORY;
    struct tree_context context = collection_context(ks);
    int64_t expiry_ms;
    context.guess = edit->guesses;
    if (!prepare_time(&context, collection, item.key.high, &expiry_ms)) return HASH_NO_MEMORY;
    enum tree_changed changed = tree_remove(&collection->tree, &context, &item);
    if (expiry_ms && changed != TREE_NO_MEMORY) drop_time(&context, collection, item.key.high, expiry_ms);
    keyspace_note_nodes(ks);
    if (changed == TREE_NO_MEMORY) return HASH_NO_MEMORY;
    assert(changed == TREE_REMOVED && collection->long_bytes >= bytes);
    collection->long_bytes -= bytes;
    return HASH_DELETED;
}

/* ---- What is overdue ------------------------------------------------------------------------------ */

static unsigned expire_in_timed(struct edit *edit, int64_t now_ms, unsigned budget, expired_element *expired,
                                void *context) {
    struct value value = entry_value(edit->entry);
    struct hash_draft draft;
    unsigned gone = 0;
    bool drafted = hash_draft(&draft, &value);
    struct bytes pack = hash_timed_pack(value.object);
    assert(drafted);
    edit->lost = true;
    for (uint32_t at = pack_count(pack); at > 0 && gone < budget; at -= TIMED_PARTS) {
        struct element expiry = pack_at(pack, at - TIMED_PARTS + TIMED_EXPIRY);
        int64_t expiry_ms = hash_timed_expiry(&expiry);
        if (expiry_ms == 0 || expiry_ms > now_ms) continue;
        expired(context, pack_at(pack, at - TIMED_PARTS + TIMED_FIELD).bytes);
        hash_draft_delete(&draft, at - TIMED_PARTS);
        gone++;
    }
    assert(pack_count(pack_bytes(&draft.pack)) > 0);
    return gone > 0 && become_draft(edit, &draft) ? gone : 0;
}

/* The field of a tree that is due first. False without memory. */
static bool expire_first(struct edit *edit, uint64_t hash, expired_element *expired, void *context) {
    char copy[ELEMENT_INLINE_MAX];
    struct value value = entry_value(edit->entry);
    struct tree_cursor cursor;
    struct tree_item item;
    bool there = tree_find_hash(&cursor, collection_tree(&value), edit->keyspace->seed, hash);
    assert(there);
    tree_get(&cursor, &item);
    struct bytes name = item.parts[FIELD];
    struct block *block = item.blocks[FIELD] ? block_retain(item.blocks[FIELD]) : NULL;
    if (block == NULL) {
        assert(name.len <= sizeof copy);
        if (name.len) memcpy(copy, name.data, name.len);
        name.data = copy;
    }
    expired(context, name);
    bool done = hash_delete(edit, name) == HASH_DELETED;
    if (block) block_release(block);
    return done;
}

static unsigned expire(struct edit *edit, int64_t now_ms, unsigned budget, expired_element *expired,
                       void *context) {
    struct value value = entry_value(edit->entry);
    if (is_timed(&value)) return expire_in_timed(edit, now_ms, budget, expired, context);
    for (unsigned gone = 0;; gone++) {
        const struct times *times = collection_of(entry_object(edit->entry))->times;
        if (gone == budget || times == NULL || times_first(times) > now_ms) return gone;
        if (!expire_first(edit, times_first_hash(times), expired, context)) return gone;
    }
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    return value->edited ? "hashtable" : hash_due(value) == INT64_MAX ? "listpack" : "listpackex";
}

static size_t memory(const struct object *object) {
    return object->form == HASH_FORM_TIMED ? hash_timed_memory(object) : collection_memory(object);
}

static struct object *fork_tree(const struct object *object, struct heap *heap) {
    assert(object->form == HASH_FORM_TREE); /* the others never change */
    return collection_fork(object, heap);
}

static bool bury(struct object *object, unsigned *budget) {
    if (object->form == HASH_FORM_TREE) return collection_bury(object, budget);
    assert(*budget > 0);
    --*budget;
    node_free(object);
    return true;
}

static void digest(const struct value *value, struct digest *digest) {
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, 0);
    while (hash_next(&walk, &field, &found)) {
        struct digest pair = {{0}};
        digest_mix(&pair, field.bytes);
        digest_mix(&pair, found.bytes);
        if (hash_walk_expiry(&walk, field.bytes)) digest_join(&pair, BYTES("!!hexpire!!"));
        digest_join(digest, digest_bytes(&pair));
    }
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

/* As the writer asks for elements: one after the other, and sometimes from the first on again. */
struct source {
    struct rdb_source rdb;
    const struct value *value;
    struct hash_walk walk;
    uint64_t at; /* where the walk is */
};

static void next_pair(struct rdb_source *rdb, uint64_t *place, struct rdb_element *element) {
    struct source *source = (struct source *)(void *)rdb;
    struct element field, found;
    if (*place != source->at) hash_walk(&source->walk, source->value, *place);
    bool any = hash_next(&source->walk, &field, &found);
    assert(any);
    element->name = field.bytes;
    element->value = found.bytes;
    element->expiry_ms = hash_walk_expiry(&source->walk, field.bytes);
    source->at = ++*place;
}
_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a pack is loaded there");
_Static_assert(offsetof(struct source, rdb) == 0, "a source is found at its first member's address");

static struct source source_of(const struct value *value) {
    int64_t due_ms = hash_due(value);
    return (struct source){.rdb = {.kind = RDB_HASH,
                                   .count = hash_count(value),
                                   .soonest_ms = due_ms == INT64_MAX ? 0 : due_ms,
                                   .next = next_pair},
                           .value = value,
                           .at = UINT64_MAX};
}

/* What Redis would have in one string is written as one, unless that is a long one. */
static enum rdb_form form_of(const struct value *value, struct source *source) {
    enum { MOST = 1024 };
    return !value->edited && rdb_may_pack(&source->rdb, MOST, MOST) ? RDB_FORM_PACKED : RDB_FORM_PLAIN;
}

static enum rdb_type form(const struct value *value) {
    struct source source = source_of(value);
    return rdb_type_of(&source.rdb, form_of(value, &source));
}

static enum dumped dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget) {
    struct source source = source_of(value);
    return rdb_write(&source.rdb, form_of(value, &source), cursor,
                     (struct rdb_target){sink, sink->compressor}, budget);
}

/* Adds a pair to the pack. False if it must be a tree for that. */
static bool load_in_pack(struct loading *loading, const struct rdb_element *element,
                         enum rdb_answer *answer) {
    struct bytes now = loading->value.bytes, field = element->name, value = element->value;
    struct element both[PARTS];
    uint32_t count = pack_count(now);
    if (field.len > ELEMENT_INLINE_MAX || value.len > ELEMENT_INLINE_MAX) return false;
    if (!collection_may_pack(len_added(now, field, value), count + PARTS)) return false;
    *answer = pack_find(now, PARTS, field) < count ? RDB_REFUSED : RDB_TAKEN;
    if (*answer == RDB_REFUSED) return true;
    struct pack pack = {.data = loading->bytes, .len = now.len, .capacity = sizeof loading->bytes};
    both[FIELD] = element_of(field);
    both[VALUE] = element_of(value);
    pack_insert(&pack, count, both, PARTS);
    loading->value.bytes.len = pack.len;
    return true;
}

/* Adds a field to a small hash some of whose fields expire, it or others. False if it must be a tree for that. */
static bool load_in_timed(struct loading *loading, const struct rdb_element *element,
                          enum rdb_answer *answer) {
    struct value *value = &loading->value, made = *value;
    struct hash_draft draft;
    if (!hash_draft(&draft, value)) return false;
    uint32_t count = pack_count(pack_bytes(&draft.pack));
    *answer = hash_timed_find(pack_bytes(&draft.pack), element->name) < count ? RDB_REFUSED : RDB_TAKEN;
    if (*answer == RDB_REFUSED) return true;
    if (!hash_draft_set(&draft, count, element->name, element->value, element->expiry_ms)) return false;
    if (!hash_draft_done(&draft, loading->options->context.heap, &made)) {
        *answer = RDB_NO_ROOM;
        return true;
    }
    assert(made.kind == VALUE_OBJECT);
    value_release(value, loading->options->dead);
    *value = made;
    return true;
}

/* The small hash becomes a large one. Where no fields expire nothing is in the tree yet. False without memory. */
static bool load_large(struct loading *loading) {
    const struct tree_context *context = &loading->options->context;
    struct value *value = &loading->value, small = *value;
    struct collection *made = is_timed(value) ? tree_of(context, value, loading->options->dead)
                                              : collection_new(context->heap, &type_hash, TREE_HASH);
    struct hash_walk walk;
    struct element field, found;
    bool done = made, timed = is_timed(value);
    hash_walk(&walk, &small, 0);
    while (done && !timed && hash_next(&walk, &field, &found)) {
        struct tree_item item = item_of(context->seed, field.bytes, found.bytes, NULL);
        done = gather_add(&loading->gather, &item) || put_in_tree(context, made, &item, false) == HASH_ADDED;
    }
    if (!made) return false;
    value_release(value, loading->options->dead);
    value->kind = VALUE_OBJECT;
    value->object = &made->head;
    return done;
}

static enum rdb_answer put_loaded(struct loading *loading, const struct tree_item *item, int64_t expiry_ms) {
    struct collection *collection = collection_of(loading->value.object);
    const struct tree_context *context = &loading->options->context;
    struct tree_context roomy = *context;
    roomy.roomy = loading->gather.fits = true;
    switch (put_in_tree(&roomy, collection, item, false)) {
    case HASH_ADDED: break;
    case HASH_NO_MEMORY: return RDB_NO_ROOM;
    default: return RDB_REFUSED; /* the same field again */
    }
    if (expiry_ms == 0) return RDB_TAKEN;
    return put_time(context, collection, item->key.high, 0, expiry_ms) ? RDB_TAKEN : RDB_NO_ROOM;
}

static enum rdb_answer load_in_tree(struct loading *loading, const struct rdb_element *element) {
    struct value *value = &loading->value;
    if (!is_tree(value) && !load_large(loading)) return RDB_NO_ROOM;
    struct tree_item item = item_of(loading->options->context.seed, element->name, element->value, NULL);
    if (element->expiry_ms == 0 && gather_add(&loading->gather, &item)) return RDB_TAKEN;
    enum rdb_answer answer = load_pour(loading, &collection_of(value->object)->tree);
    return answer == RDB_TAKEN ? put_loaded(loading, &item, element->expiry_ms) : answer;
}

static bool load_small(struct loading *loading, const struct rdb_element *element, enum rdb_answer *answer) {
    if (is_tree(&loading->value)) return false;
    bool timed = element->expiry_ms || is_timed(&loading->value);
    return timed ? load_in_timed(loading, element, answer) : load_in_pack(loading, element, answer);
}

static enum rdb_answer load(struct loading *loading, const struct rdb_element *element) {
    const struct load_threshold *threshold = &loading->options->thresholds[TYPE_HASH];
    struct value *value = &loading->value;
    enum rdb_answer answer;
    size_t longest = element->name.len > element->value.len ? element->name.len : element->value.len;
    if (!load_small(loading, element, &answer)) answer = load_in_tree(loading, element);
    if (loading->packed) longest = 0;
    uint64_t count = hash_count(value) + loading->gather.count;
    if (longest > threshold->len || count > threshold->elements) value->edited = true;
    return answer;
}

static enum rdb_answer loaded(struct loading *loading) {
    struct value *value = &loading->value;
    return is_tree(value) ? load_fit(loading, &collection_of(value->object)->tree) : RDB_TAKEN;
}

/* Fields and values of one string become a pack as they stand there. */
static enum rdb_answer load_all(struct loading *loading, struct packed *packed) {
    struct pack pack = {.data = loading->bytes, .capacity = COLLECTION_PACK_BYTES};
    if (!loading->packed || packed->count > COLLECTION_PACK_ELEMENTS) return RDB_SINGLY;
    if (!pack_load_pairs(&pack, packed)) return RDB_SINGLY;
    loading->value.bytes.len = pack.len;
    loading->value.edited = packed->count / PARTS > loading->options->thresholds[TYPE_HASH].elements;
    return RDB_TAKEN;
}

const struct type type_hash = {.name = "hash",
                               .number = TYPE_HASH,
                               .encoding = encoding,
                               .count = hash_count,
                               .digest = digest,
                               .dump = dump,
                               .form = form,
                               .load = load,
                               .load_all = load_all,
                               .loaded = loaded,
                               .memory = memory,
                               .fork = fork_tree,
                               .bury = bury,
                               .due = due,
                               .overdue = overdue,
                               .expire = expire};
