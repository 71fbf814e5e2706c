/* collection.c - objects of trees: made, forked and buried; and packs that shrink. */
#include "store/types/collection.h"

struct collection *collection_new(struct heap *heap, const struct type *type, enum tree_kind kind) {
    struct collection *collection = node_alloc(heap, sizeof *collection);
    if (collection == NULL) return NULL;
    *collection = (struct collection){
        .head = {.type = type, .references = 1}, .tree = tree_empty(kind), .index = tree_empty(TREE_INDEX)};
    return collection;
}

bool collection_ahead(const struct keyspace *ks, const struct tree *tree, const struct bytes *members,
                      struct tree_found *found, unsigned count) {
    uint64_t hashes[TREE_AHEAD_MOST] = {0};
    assert(count <= TREE_AHEAD_MOST);
    if (tree->bytes < COLLECTION_AHEAD_BYTES) return false;
    for (unsigned i = 0; i < count; i++) hashes[i] = hash_bytes(ks->seed, members[i]);
    tree_ahead_of_hashes(tree, hashes, count, found);
    return true;
}

uint64_t collection_long_bytes(const struct tree *tree, uint64_t position, uint64_t count) {
    enum { LOOKS_MOST = 4096 };
    struct tree_cursor cursor;
    uint64_t bytes = 0, seen = 0;
    if (count == 0) return 0;
    tree_select(&cursor, tree, position);
    for (unsigned looks = 0; seen < count && looks < LOOKS_MOST; tree_next_leaf(&cursor)) {
        uint64_t some = cursor.leaf->head.count - cursor.place;
        if (some > count - seen) some = count - seen;
        bytes += leaf_block_bytes(cursor.leaf, cursor.place, cursor.place + (unsigned)some);
        looks += 1u + cursor.leaf->longs;
        seen += some;
    }
    return seen == count ? bytes : (uint64_t)((double)bytes * (double)count / (double)seen);
}

bool collection_become_object(struct edit *edit, struct object *object) {
    struct value value = entry_value(edit->entry);
    value.kind = VALUE_OBJECT;
    value.object = object;
    bool done = edit_become(edit, &value);
    assert(object->references == 1u + done);
    object_release(object, &edit->keyspace->dead); /* the entry has one of its own */
    if (!done) keyspace_note_garbage(edit->keyspace);
    return done;
}

struct pack collection_copy_pack(struct bytes pack, char scratch[COLLECTION_PACK_BYTES]) {
    assert(pack.len <= COLLECTION_PACK_BYTES);
    if (pack.len) memcpy(scratch, pack.data, pack.len);
    return (struct pack){.data = scratch, .len = pack.len, .capacity = COLLECTION_PACK_BYTES};
}

bool collection_store_pack(struct edit *edit, const struct pack *pack) {
    char *data = edit_room(edit, pack->len);
    if (data && pack->len) memcpy(data, pack->data, pack->len);
    return data;
}

size_t collection_memory(const struct object *object) {
    const struct collection *collection = collection_of(object);
    return node_bytes(sizeof *collection) + collection->tree.bytes + collection->index.bytes +
           collection->long_bytes + (collection->times ? times_memory(collection->times) : 0);
}

struct object *collection_fork(const struct object *object, struct heap *heap) {
    struct collection *from = collection_of(object);
    struct collection *to = collection_new(heap, object->type, from->tree.kind);
    if (to == NULL) return NULL;
    if (from->times) to->times = times_fork(from->times, heap);
    if (from->times && to->times == NULL) {
        node_free(to);
        return NULL;
    }
    tree_fork(&to->tree, &from->tree);
    tree_fork(&to->index, &from->index);
    to->long_bytes = from->long_bytes;
    return &to->head;
}

bool collection_bury(struct object *object, unsigned *budget) {
    struct collection *collection = collection_of(object);
    assert(*budget > 0);
    tree_release(&collection->tree, &collection->graves);
    tree_release(&collection->index, &collection->graves);
    if (collection->times) times_free(collection->times, &collection->graves);
    collection->times = NULL;
    if (graves_dig(&collection->graves, budget) || *budget == 0) return false;
    --*budget;
    node_free(collection);
    return true;
}
