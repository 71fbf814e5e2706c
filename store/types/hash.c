/* hash.c - hashes. A field and its value are the elements 2i and 2i + 1 of a pack, or the two parts of an item of
 * a tree of the kind TREE_HASH. */
#include "store/types/hash.h"

#include "store/rdb/writer.h"
#include "store/values/load.h"

enum { FIELD, VALUE, PARTS };

/* ---- Looking -------------------------------------------------------------------------------------- */

uint64_t hash_count(const struct value *value) {
    if (value->kind == VALUE_OBJECT) return collection_tree(value)->count;
    return pack_count(value_bytes(value)) / PARTS;
}

static struct element part_of(const struct tree_item *item, unsigned part) {
    return (struct element){item->parts[part], item->blocks[part]};
}

static bool find_in_tree(const struct hash_seed *seed, const struct tree *tree, struct bytes field,
                         struct tree_item *item) {
    struct tree_cursor cursor;
    if (!tree_find(&cursor, tree, hash_bytes(seed, field), field)) return false;
    tree_get(&cursor, item);
    return true;
}

bool hash_get(const struct keyspace *ks, const struct value *value, struct bytes field,
              struct element *found) {
    if (value->kind == VALUE_OBJECT) {
        struct tree_item item;
        if (!find_in_tree(ks->seed, collection_tree(value), field, &item)) return false;
        *found = part_of(&item, VALUE);
        return true;
    }
    struct bytes pack = value_bytes(value);
    uint32_t at = pack_find(pack, PARTS, field);
    if (at == pack_count(pack)) return false;
    *found = pack_at(pack, at + VALUE);
    return true;
}

void hash_walk(struct hash_walk *walk, const struct value *value, uint64_t from) {
    assert(from <= hash_count(value));
    walk->packed = value->kind != VALUE_OBJECT;
    if (walk->packed)
        walk->pack = pack_from(value_bytes(value), (uint32_t)from * PARTS);
    else if (from < collection_tree(value)->count)
        tree_select(&walk->cursor, collection_tree(value), from);
    else
        walk->cursor.leaf = NULL;
}

bool hash_next(struct hash_walk *walk, struct element *field, struct element *found) {
    if (walk->packed) return pack_next(&walk->pack, field) && pack_next(&walk->pack, found);
    if (walk->cursor.leaf == NULL) return false;
    struct tree_item item;
    tree_get(&walk->cursor, &item);
    *field = part_of(&item, FIELD);
    *found = part_of(&item, VALUE);
    tree_next(&walk->cursor);
    return true;
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

/* What a pack holds, in a tree. NULL without memory; then *dead has what was made of it. */
static struct collection *tree_of_pack(const struct tree_context *context, struct bytes pack,
                                       struct dead *dead) {
    struct collection *collection = collection_new(context->heap, &type_hash, TREE_HASH);
    struct pack_walk walk = pack_from(pack, 0);
    struct element field, value;
    bool done = collection;
    while (done && pack_next(&walk, &field) && pack_next(&walk, &value)) {
        struct tree_item item = item_of(context->seed, field.bytes, value.bytes, NULL);
        done = put_in_tree(context, collection, &item, true) == HASH_ADDED;
    }
    if (done || collection == NULL) return collection;
    object_release(&collection->head, dead);
    return NULL;
}

static bool unpack(struct edit *edit) {
    struct value value = entry_value(edit->entry);
    struct tree_context context = collection_context(edit->keyspace);
    struct collection *collection = tree_of_pack(&context, value_bytes(&value), &edit->keyspace->dead);
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

/* A copy of the pack, to be changed and stored again: one that shrinks must not be left longer than it is. */
static struct pack copy_pack(struct bytes bytes, char scratch[COLLECTION_PACK_BYTES]) {
    assert(bytes.len <= COLLECTION_PACK_BYTES);
    memcpy(scratch, bytes.data, bytes.len);
    return (struct pack){.data = scratch, .len = bytes.len, .capacity = COLLECTION_PACK_BYTES};
}
static bool store_pack(struct edit *edit, const struct pack *pack) {
    char *data = edit_room(edit, pack->len);
    if (data) memcpy(data, pack->data, pack->len);
    return data;
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
    if (shrinks) pack = copy_pack(value_bytes(&now), scratch);
    if (!shrinks && !open_pack(edit, &pack, len)) return HASH_NO_MEMORY;
    size_t used = pack_replace(&pack, at, &element);
    assert(used == len && pack.len == len);
    return !shrinks || store_pack(edit, &pack) ? HASH_REPLACED : HASH_NO_MEMORY;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

/* Sets a field in the pack of the edit. False, and nothing is changed, if it must be a tree for that. */
static bool set_in_pack(struct edit *edit, struct bytes field, struct bytes value,
                        enum hash_changed *changed) {
    struct value now = entry_value(edit->entry);
    if (now.kind == VALUE_OBJECT || field.len > ELEMENT_INLINE_MAX || value.len > ELEMENT_INLINE_MAX)
        return false;
    struct bytes pack = value_bytes(&now);
    uint32_t count = pack_count(pack), at = pack_find(pack, PARTS, field);
    bool adds = at == count;
    size_t len = adds ? len_added(pack, field, value) : len_replaced(pack, at + VALUE, value);
    if (!collection_may_pack(len, adds ? count + PARTS : count)) return false;
    *changed = adds ? add_to_pack(edit, len, field, value) : replace_in_pack(edit, len, at + VALUE, value);
    return true;
}

enum hash_changed hash_set(struct edit *edit, struct bytes field, struct bytes value, struct block *block) {
    enum hash_changed changed;
    if (set_in_pack(edit, field, value, &changed)) return changed;
    if (edit->entry->kind != VALUE_OBJECT && !unpack(edit)) return HASH_NO_MEMORY;
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return HASH_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    struct tree_item item = item_of(context.seed, field, value, block);
    changed = put_in_tree(&context, collection, &item, true);
    keyspace_note_nodes(edit->keyspace);
    return changed;
}

static enum hash_changed delete_from_pack(struct edit *edit, struct bytes bytes, struct bytes field) {
    uint32_t at = pack_find(bytes, PARTS, field);
    if (at == pack_count(bytes)) return HASH_UNCHANGED;
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = copy_pack(bytes, scratch);
    pack_delete(&pack, at, PARTS);
    if (!store_pack(edit, &pack)) return HASH_NO_MEMORY;
    return HASH_DELETED;
}

enum hash_changed hash_delete(struct edit *edit, struct bytes field) {
    struct value value = entry_value(edit->entry);
    struct keyspace *ks = edit->keyspace;
    struct tree_item item;
    if (value.kind != VALUE_OBJECT) return delete_from_pack(edit, value_bytes(&value), field);
    if (!find_in_tree(ks->seed, collection_tree(&value), field, &item)) return HASH_UNCHANGED;
    size_t bytes = long_bytes(&item);
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return HASH_NO_MEMORY;
    struct tree_context context = collection_context(ks);
    item = item_of(ks->seed, field, BYTES(""), NULL);
    enum tree_changed changed = tree_remove(&collection->tree, &context, &item);
    keyspace_note_nodes(ks);
    if (changed == TREE_NO_MEMORY) return HASH_NO_MEMORY;
    assert(changed == TREE_REMOVED && collection->long_bytes >= bytes);
    collection->long_bytes -= bytes;
    return HASH_DELETED;
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    return value->edited ? "hashtable" : "listpack";
}

static void digest(const struct value *value, struct digest *digest) {
    struct hash_walk walk;
    struct element field, found;
    hash_walk(&walk, value, 0);
    while (hash_next(&walk, &field, &found)) {
        struct digest pair = {{0}};
        digest_mix(&pair, field.bytes);
        digest_mix(&pair, found.bytes);
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
    source->at = ++*place;
}
_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a pack is loaded there");
_Static_assert(offsetof(struct source, rdb) == 0, "a source is found at its first member's address");

static struct source source_of(const struct value *value) {
    return (struct source){.rdb = {.kind = RDB_HASH, .count = hash_count(value), .next = next_pair},
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
    return rdb_write(&source.rdb, form_of(value, &source), NULL, cursor, sink, budget);
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

static enum rdb_answer load_in_tree(struct loading *loading, const struct rdb_element *element) {
    const struct tree_context *context = &loading->options->context;
    struct value *value = &loading->value;
    if (value->kind != VALUE_OBJECT) {
        struct collection *made = tree_of_pack(context, value->bytes, loading->options->dead);
        if (made == NULL) return RDB_NO_ROOM;
        value->kind = VALUE_OBJECT;
        value->object = &made->head;
    }
    struct tree_item item = item_of(context->seed, element->name, element->value, NULL);
    switch (put_in_tree(context, collection_of(value->object), &item, false)) {
    case HASH_ADDED: return RDB_TAKEN;
    case HASH_NO_MEMORY: return RDB_NO_ROOM;
    default: return RDB_REFUSED; /* the same field again */
    }
}

static enum rdb_answer load(struct loading *loading, const struct rdb_element *element) {
    const struct load_threshold *threshold = &loading->options->thresholds[TYPE_HASH];
    struct value *value = &loading->value;
    enum rdb_answer answer;
    size_t longest = element->name.len > element->value.len ? element->name.len : element->value.len;
    if (value->kind == VALUE_OBJECT || !load_in_pack(loading, element, &answer))
        answer = load_in_tree(loading, element);
    if (loading->packed) longest = 0;
    if (longest > threshold->len || hash_count(value) > threshold->elements) value->edited = true;
    return answer;
}

const struct type type_hash = {.name = "hash",
                               .number = TYPE_HASH,
                               .encoding = encoding,
                               .count = hash_count,
                               .digest = digest,
                               .dump = dump,
                               .form = form,
                               .load = load,
                               .memory = collection_memory,
                               .fork = collection_fork,
                               .bury = collection_bury};
