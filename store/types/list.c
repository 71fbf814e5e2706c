/* list.c - lists. An element is one of a list pack (list_pack.h), or the one part of an item of a tree of
 * the kind TREE_LIST. */
#include "store/types/list.h"

#include "store/rdb/writer.h"
#include "store/values/load.h"

enum {
    SPARE_FROM = 512, /* bytes of a pack from which on it gets room in front */
    SPARE_PART = 16,  /* and which part of its length that is */
};

/* ---- Looking -------------------------------------------------------------------------------------- */

static struct element element_in(const struct tree_cursor *cursor) {
    struct tree_item item;
    assert(cursor->leaf);
    tree_get(cursor, &item);
    return (struct element){item.parts[0], item.blocks[0]};
}

static struct element element_in_tree(const struct tree *tree, uint64_t position) {
    struct tree_cursor cursor;
    tree_select(&cursor, tree, position);
    return element_in(&cursor);
}

static struct element end_of_tree(const struct tree *tree, enum tree_end end) {
    struct tree_item item;
    tree_get_end(tree, end, &item);
    return (struct element){item.parts[0], item.blocks[0]};
}

struct element list_at(const struct value *value, uint64_t index) {
    assert(index < list_count(value));
    if (value->kind == VALUE_OBJECT) return element_in_tree(collection_tree(value), index);
    struct bytes pack = value_bytes(value);
    return list_pack_at(pack, list_pack_seek(pack, (uint32_t)index));
}

struct element list_end(const struct value *value, enum tree_end end) {
    if (value->kind == VALUE_OBJECT) return end_of_tree(collection_tree(value), end);
    return list_at(value, end == TREE_FRONT ? 0 : list_count(value) - 1);
}

void list_walk(struct list_walk *walk, const struct value *value, uint64_t point, bool backwards) {
    walk->packed = value->kind != VALUE_OBJECT;
    walk->backwards = backwards;
    walk->point = point;
    walk->count = list_count(value);
    assert(point <= walk->count);
    if (walk->packed) {
        walk->pack = value_bytes(value);
        walk->place = list_pack_seek(walk->pack, (uint32_t)point);
    } else if (point != (backwards ? 0 : walk->count)) {
        tree_select(&walk->cursor, collection_tree(value), point - backwards);
    }
}

static struct element next_in_pack(struct list_walk *walk) {
    if (walk->backwards) {
        walk->place = list_pack_before(walk->pack, walk->place);
        assert(walk->place != LIST_PACK_NONE);
        return list_pack_at(walk->pack, walk->place);
    }
    struct element element = list_pack_at(walk->pack, walk->place);
    walk->place = list_pack_next(walk->pack, walk->place);
    return element;
}

static struct element next_in_tree(struct list_walk *walk) {
    struct element element = element_in(&walk->cursor);
    if (walk->backwards)
        tree_previous(&walk->cursor);
    else
        tree_next(&walk->cursor);
    return element;
}

bool list_next(struct list_walk *walk, struct element *element) {
    if (walk->point == (walk->backwards ? 0 : walk->count)) return false;
    *element = walk->packed ? next_in_pack(walk) : next_in_tree(walk);
    walk->point += walk->backwards ? UINT64_MAX : 1;
    return true;
}

bool list_find(struct list_walk *walk, struct bytes wanted, uint64_t most, uint64_t *index) {
    struct element element;
    for (; most > 0 && list_next(walk, &element); most--) {
        if (!bytes_equal(element.bytes, wanted)) continue;
        *index = walk->point - !walk->backwards;
        return true;
    }
    return false;
}

/* ---- Trees ---------------------------------------------------------------------------------------- */

static struct tree_item item_of(struct bytes bytes, struct block *block) {
    return (struct tree_item){.parts = {bytes}, .blocks = {block}};
}

static void forget_long(struct collection *collection, uint64_t bytes) {
    collection->long_bytes -= bytes < collection->long_bytes ? bytes : collection->long_bytes;
}

/* The same of what stays when some go; seen from those that are fewer. */
static uint64_t long_bytes_without(const struct collection *collection, uint64_t position, uint64_t count) {
    const struct tree *tree = &collection->tree;
    uint64_t behind = tree->count - position - count;
    if (collection->long_bytes == 0) return 0;
    if (count > position + behind)
        return collection_long_bytes(tree, 0, position) +
               collection_long_bytes(tree, position + count, behind);
    uint64_t going = collection_long_bytes(tree, position, count);
    return going < collection->long_bytes ? collection->long_bytes - going : 0;
}

static bool push_in_context(const struct tree_context *context, struct collection *collection,
                            enum tree_end end, struct bytes bytes, struct block *block) {
    struct tree_item item = item_of(bytes, block);
    bool done = tree_push(&collection->tree, context, &item, end);
    if (done && bytes.len > ELEMENT_INLINE_MAX)
        collection->long_bytes +=
            collection_long_bytes(&collection->tree, end == TREE_FRONT ? 0 : collection->tree.count - 1, 1);
    return done;
}
static bool push_to_tree(struct keyspace *ks, struct collection *collection, enum tree_end end,
                         struct bytes bytes, struct block *block) {
    struct tree_context context = collection_context(ks);
    bool done = push_in_context(&context, collection, end, bytes, block);
    keyspace_note_nodes(ks);
    return done;
}

/* Puts an element into a tree, before the one at this position or in its place. */
static bool put_in_tree(struct edit *edit, uint64_t position, struct bytes bytes, struct block *block,
                        bool replace) {
    struct collection *collection = collection_edit(edit);
    struct keyspace *ks = edit->keyspace;
    if (collection == NULL) return false;
    struct tree_context context = collection_context(ks);
    struct tree_item item = item_of(bytes, block);
    uint64_t before =
        replace && collection->long_bytes ? collection_long_bytes(&collection->tree, position, 1) : 0;
    bool done = replace ? tree_replace_at(&collection->tree, &context, position, &item)
                        : tree_insert_at(&collection->tree, &context, position, &item);
    keyspace_note_nodes(ks);
    if (!done) return false;
    forget_long(collection, before);
    if (bytes.len > ELEMENT_INLINE_MAX)
        collection->long_bytes += collection_long_bytes(&collection->tree, position, 1);
    return true;
}

/* What a pack holds, in a tree. NULL without memory; what was made by then goes to `dead`. */
static struct collection *tree_of_pack(const struct tree_context *context, const struct value *value,
                                       struct dead *dead) {
    struct collection *collection = collection_new(context->heap, &type_list, TREE_LIST);
    struct list_walk walk;
    struct element element;
    bool done = collection;
    list_walk(&walk, value, 0, false);
    while (done && list_next(&walk, &element))
        done = push_in_context(context, collection, TREE_BACK, element.bytes, element.block);
    if (done || collection == NULL) return collection;
    object_release(&collection->head, dead);
    return NULL;
}

/* Sees to it that the list is a tree. */
static bool unpack(struct edit *edit) {
    struct value value = entry_value(edit->entry);
    if (value.kind == VALUE_OBJECT) return true;
    struct keyspace *ks = edit->keyspace;
    struct tree_context context = collection_context(ks);
    struct collection *collection = tree_of_pack(&context, &value, &ks->dead);
    keyspace_note_nodes(ks);
    if (collection == NULL) keyspace_note_garbage(ks);
    return collection && collection_become(edit, collection);
}

/* ---- Packs ---------------------------------------------------------------------------------------- */

static size_t put(struct pack *pack, size_t place, const struct element *element, bool replace) {
    return replace ? list_pack_replace(pack, place, element) : list_pack_insert(pack, place, element);
}

/* The length that the pack would have: no room at all changes nothing. */
static size_t len_with(struct bytes bytes, size_t place, const struct element *element, bool replace) {
    struct pack pack = {.data = (char *)(uintptr_t)bytes.data, .len = bytes.len};
    return put(&pack, place, element, replace);
}

/* Bytes that a pack of this length gets in front beside what it needs, so that not every push there moves all of it. */
static size_t spare_of(size_t len) {
    size_t spare = len < SPARE_FROM ? 0 : len / SPARE_PART;
    return spare < COLLECTION_PACK_BYTES - len ? spare : COLLECTION_PACK_BYTES - len;
}

/* Changes a pack that does not shrink by it. */
static bool put_in_place(struct edit *edit, size_t place, const struct element *element, size_t len,
                         bool replace) {
    struct value value = entry_value(edit->entry);
    struct bytes bytes = value_bytes(&value);
    bool in_front = !replace && bytes.len && place == list_pack_first(bytes) && len > bytes.len;
    size_t now = bytes.len, room = in_front ? len + spare_of(len) : len;
    char *data = edit_room(edit, room);
    if (data == NULL) return false;
    struct pack pack = {.data = data, .len = now, .capacity = room};
    size_t used = put(&pack, place, element, replace);
    assert(used == room && pack.len == room);
    return true;
}

static bool put_in_copy(struct edit *edit, struct bytes bytes, size_t place, const struct element *element) {
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = collection_copy_pack(bytes, scratch);
    list_pack_replace(&pack, place, element);
    return collection_store_pack(edit, &pack);
}

/* Puts an element into the pack of the edit, before the one with this index or in its place. False, and
 * nothing is changed, if it must be a tree for that. */
static bool put_in_pack(struct edit *edit, uint64_t index, struct bytes bytes, bool replace, bool *done) {
    struct value value = entry_value(edit->entry);
    if (value.kind == VALUE_OBJECT || bytes.len > ELEMENT_INLINE_MAX) return false;
    struct bytes pack = value_bytes(&value);
    struct element element = element_of(bytes);
    uint32_t count = list_pack_count(pack);
    size_t place = list_pack_seek(pack, (uint32_t)index);
    size_t len = len_with(pack, place, &element, replace);
    if (!collection_may_pack(len, count + !replace)) return false;
    *done = len < pack.len ? put_in_copy(edit, pack, place, &element)
                           : put_in_place(edit, place, &element, len, replace);
    return true;
}

static bool remove_from_pack(struct edit *edit, struct bytes bytes, uint64_t index, uint64_t count) {
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = collection_copy_pack(bytes, scratch);
    list_pack_delete(&pack, list_pack_seek(bytes, (uint32_t)index), (uint32_t)count);
    return collection_store_pack(edit, &pack);
}

/* ---- Changing ------------------------------------------------------------------------------------- */

bool list_push(struct edit *edit, enum tree_end end, struct bytes bytes, struct block *block) {
    if (edit->entry->kind != VALUE_OBJECT) {
        struct value value = entry_value(edit->entry);
        bool done;
        uint64_t index = end == TREE_FRONT ? 0 : list_count(&value);
        if (put_in_pack(edit, index, bytes, false, &done)) return done;
        if (!unpack(edit)) return false;
    }
    struct collection *collection = collection_edit(edit);
    return collection && push_to_tree(edit->keyspace, collection, end, bytes, block);
}

bool list_insert(struct edit *edit, uint64_t index, struct bytes bytes, struct block *block) {
    bool done;
    if (put_in_pack(edit, index, bytes, false, &done)) return done;
    return unpack(edit) && put_in_tree(edit, index, bytes, block, false);
}

bool list_replace(struct edit *edit, uint64_t index, struct bytes bytes, struct block *block) {
    bool done;
    if (put_in_pack(edit, index, bytes, true, &done)) return done;
    return unpack(edit) && put_in_tree(edit, index, bytes, block, true);
}

static bool pop_from_tree(struct keyspace *ks, struct collection *collection, enum tree_end end) {
    struct tree_context context = collection_context(ks);
    struct tree *tree = &collection->tree;
    uint64_t bytes = 0;
    if (collection->long_bytes > 0) {
        struct element element = end_of_tree(tree, end);
        bytes = element.block ? block_memory(element.block) : 0;
    }
    bool done = tree_pop(tree, &context, end);
    keyspace_note_nodes(ks);
    if (done) forget_long(collection, bytes);
    return done;
}

static bool remove_from_tree(struct edit *edit, uint64_t position, uint64_t count) {
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return false;
    struct keyspace *ks = edit->keyspace;
    if (count == 1 && position == 0) return pop_from_tree(ks, collection, TREE_FRONT);
    if (count == 1 && position == collection->tree.count - 1) return pop_from_tree(ks, collection, TREE_BACK);
    struct tree_context context = collection_context(ks);
    uint64_t left = long_bytes_without(collection, position, count);
    bool done = tree_remove_range(&collection->tree, &context, position, count);
    keyspace_note_nodes(ks);
    if (done) collection->long_bytes = left;
    return done;
}

bool list_remove(struct edit *edit, uint64_t index, uint64_t count) {
    struct value value = entry_value(edit->entry);
    assert(index <= list_count(&value) && count <= list_count(&value) - index);
    if (count == 0) return true;
    edit->lost = true;
    if (value.kind == VALUE_OBJECT) return remove_from_tree(edit, index, count);
    return remove_from_pack(edit, value_bytes(&value), index, count);
}

bool list_pop(struct edit *edit, enum tree_end end) {
    edit->lost = true;
    if (edit->entry->kind != VALUE_OBJECT) {
        struct value value = entry_value(edit->entry);
        struct bytes pack = value_bytes(&value);
        return remove_from_pack(edit, pack, end == TREE_FRONT ? 0 : list_pack_count(pack) - 1, 1);
    }
    struct collection *collection = collection_edit(edit);
    return collection && pop_from_tree(edit->keyspace, collection, end);
}

/* A pack of the same elements, those from the point on first. */
static bool turn_pack(struct edit *edit, const struct value *value, uint64_t point) {
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = {.data = scratch, .capacity = COLLECTION_PACK_BYTES};
    struct list_walk walk;
    struct element element;
    for (unsigned part = 0; part < 2; part++) {
        list_walk(&walk, value, part ? 0 : point, false);
        uint64_t left = part ? point : list_count(value) - point;
        for (; left > 0 && list_next(&walk, &element); left--) {
            size_t used = list_pack_insert(&pack, pack.len, &element);
            assert(used == pack.len); /* it has no gap, so that it is no longer than the other one */
        }
    }
    return collection_store_pack(edit, &pack);
}

/* The element is pushed first: what was pushed can be taken back without memory. */
static bool turn_tree(struct keyspace *ks, struct collection *collection, enum tree_end from) {
    struct tree *tree = &collection->tree;
    struct element element = end_of_tree(tree, from);
    enum tree_end to = from == TREE_FRONT ? TREE_BACK : TREE_FRONT;
    struct tree_context context = collection_context(ks);
    char copy[ELEMENT_INLINE_MAX];
    struct tree_item item = item_of(element.bytes, element.block);
    if (element.block == NULL) {
        if (element.bytes.len) memcpy(copy, element.bytes.data, element.bytes.len);
        item.parts[0].data = copy;
    }
    if (!tree_push(tree, &context, &item, to)) return false;
    if (tree_pop(tree, &context, from)) return true;
    bool undone = tree_pop(tree, &context, to);
    assert(undone);
    return false;
}

bool list_rotate(struct edit *edit, enum tree_end from) {
    struct value value = entry_value(edit->entry);
    uint64_t count = list_count(&value);
    assert(count > 1);
    if (value.kind != VALUE_OBJECT) return turn_pack(edit, &value, from == TREE_FRONT ? 1 : count - 1);
    struct collection *collection = collection_edit(edit);
    bool done = collection && turn_tree(edit->keyspace, collection, from);
    keyspace_note_nodes(edit->keyspace);
    return done;
}

/* Elements with the same bytes, side by side. */
struct run {
    uint64_t index, count;
};

/* The next ones from a point on, at most so many of them; none: the count is 0. */
static struct run find_run(const struct value *value, uint64_t point, bool backwards, struct bytes wanted,
                           uint64_t most) {
    struct list_walk walk;
    struct run run = {0, 0};
    uint64_t index;
    list_walk(&walk, value, point, backwards);
    if (most == 0 || !list_find(&walk, wanted, UINT64_MAX, &index)) return run;
    run = (struct run){index, 1};
    while (run.count < most && list_find(&walk, wanted, 1, &index)) {
        run.count++;
        run.index -= backwards;
    }
    return run;
}

static bool remove_equal_from_pack(struct edit *edit, struct bytes bytes, uint64_t most, bool backwards,
                                   uint64_t *removed) {
    struct value whole = entry_value(edit->entry);
    const struct value *value = &whole;
    char scratch[COLLECTION_PACK_BYTES];
    struct pack pack = collection_copy_pack(value_bytes(value), scratch);
    struct value rest = {.type = TYPE_LIST, .kind = VALUE_INLINE, .bytes = pack_bytes(&pack)};
    uint64_t point = backwards ? list_count(value) : 0;
    struct run run;
    for (*removed = 0; (run = find_run(&rest, point, backwards, bytes, most - *removed)).count > 0;) {
        list_pack_delete(&pack, list_pack_seek(rest.bytes, (uint32_t)run.index), (uint32_t)run.count);
        rest.bytes = pack_bytes(&pack);
        *removed += run.count;
        point = run.index;
    }
    if (*removed == 0 || collection_store_pack(edit, &pack)) return true;
    *removed = 0;
    return false;
}

bool list_remove_equal(struct edit *edit, struct bytes bytes, uint64_t most, bool backwards,
                       uint64_t *removed) {
    struct value value = entry_value(edit->entry);
    edit->lost = true;
    if (value.kind != VALUE_OBJECT) return remove_equal_from_pack(edit, bytes, most, backwards, removed);
    uint64_t point = backwards ? list_count(&value) : 0;
    struct run run;
    for (*removed = 0; (run = find_run(&value, point, backwards, bytes, most - *removed)).count > 0;) {
        if (!remove_from_tree(edit, run.index, run.count)) return false;
        *removed += run.count;
        point = run.index;
        value = entry_value(edit->entry);
    }
    return true;
}

/* ---- New values ----------------------------------------------------------------------------------- */

/* Adds an element to the end. False if the list must be a tree for that. */
static bool push_to_pack(struct pack *pack, struct bytes bytes) {
    struct bytes before = {pack->data, pack->len};
    assert(pack->capacity == COLLECTION_PACK_BYTES);
    if (bytes.len > ELEMENT_INLINE_MAX) return false;
    struct element element = element_of(bytes);
    size_t len = len_with(before, pack->len, &element, false);
    if (!collection_may_pack(len, list_pack_count(before) + 1)) return false;
    size_t used = list_pack_insert(pack, pack->len, &element);
    assert(used == len && pack->len == len);
    return true;
}

void list_draft(struct list_draft *draft, struct keyspace *ks) {
    draft->keyspace = ks;
    draft->collection = NULL;
    draft->len = 0;
}

bool list_draft_push(struct list_draft *draft, struct bytes bytes, struct block *block) {
    struct keyspace *ks = draft->keyspace;
    struct pack pack = {draft->bytes, draft->len, COLLECTION_PACK_BYTES};
    if (draft->collection == NULL && push_to_pack(&pack, bytes)) {
        draft->len = pack.len;
        return true;
    }
    if (draft->collection == NULL) {
        struct value value = list_draft_value(draft);
        struct tree_context context = collection_context(ks);
        draft->collection = tree_of_pack(&context, &value, &ks->dead);
        keyspace_note_garbage(ks);
        if (draft->collection == NULL) return false;
    }
    return push_to_tree(ks, draft->collection, TREE_BACK, bytes, block);
}

struct value list_draft_value(const struct list_draft *draft) {
    if (draft->collection)
        return (struct value){.type = TYPE_LIST, .kind = VALUE_OBJECT, .object = &draft->collection->head};
    return (struct value){.type = TYPE_LIST, .kind = VALUE_INLINE, .bytes = {draft->bytes, draft->len}};
}

void list_draft_end(struct list_draft *draft) {
    if (draft->collection == NULL) return;
    object_release(&draft->collection->head, &draft->keyspace->dead);
    keyspace_note_garbage(draft->keyspace);
    draft->collection = NULL;
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    (void)value;
    return "quicklist"; /* the only name that Redis 7.0 has */
}

static void digest(const struct value *value, struct digest *digest) {
    struct list_walk walk;
    struct element element;
    list_walk(&walk, value, 0, false);
    while (list_next(&walk, &element)) digest_mix(digest, element.bytes);
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

/* As the writer asks for elements: one after the other, and sometimes from the first on again. */
struct source {
    struct rdb_source rdb;
    const struct value *value;
    struct list_walk walk;
    uint64_t at; /* where the walk is */
};

static void next_element(struct rdb_source *rdb, uint64_t *place, struct rdb_element *element) {
    struct source *source = (struct source *)(void *)rdb;
    struct element found;
    if (*place != source->at) list_walk(&source->walk, source->value, *place, false);
    bool any = list_next(&source->walk, &found);
    assert(any);
    element->name = found.bytes;
    source->at = ++*place;
}
_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a pack is loaded there");
_Static_assert(offsetof(struct source, rdb) == 0, "a source is found at its first member's address");

static struct source source_of(const struct value *value) {
    return (struct source){.rdb = {.kind = RDB_LIST, .count = list_count(value), .next = next_element},
                           .value = value,
                           .at = UINT64_MAX};
}

/* A pack is written as the one node of a quicklist, as Redis has it, whose nodes have up to 8 KiB. */
static enum rdb_form form_of(const struct value *value) {
    return value->kind == VALUE_OBJECT ? RDB_FORM_PLAIN : RDB_FORM_PACKED;
}

static enum rdb_type form(const struct value *value) {
    struct source source = source_of(value);
    return rdb_type_of(&source.rdb, form_of(value));
}

static enum dumped dump(const struct value *value, struct cursor *cursor, struct sink *sink, size_t budget) {
    struct source source = source_of(value);
    return rdb_write(&source.rdb, form_of(value), cursor, (struct rdb_target){sink, sink->compressor},
                     budget);
}

static bool load_in_pack(struct loading *loading, struct bytes bytes) {
    struct value *value = &loading->value;
    if (value->kind == VALUE_OBJECT) return false;
    struct pack pack = {loading->bytes, value->bytes.len, COLLECTION_PACK_BYTES};
    if (!push_to_pack(&pack, bytes)) return false;
    value->bytes.len = pack.len;
    return true;
}

static bool push_some(const struct tree_context *context, struct collection *collection,
                      const struct bytes *texts, unsigned count) {
    for (unsigned done = 0; done < count;) {
        done += tree_push_some(&collection->tree, texts + done, count - done);
        if (done < count && !push_in_context(context, collection, TREE_BACK, texts[done++], NULL))
            return false;
    }
    return true;
}

static enum rdb_answer load(struct loading *loading, const struct rdb_element *element) {
    const struct tree_context *context = &loading->options->context;
    struct value *value = &loading->value;
    if (load_in_pack(loading, element->name)) return RDB_TAKEN;
    if (value->kind != VALUE_OBJECT) {
        struct collection *made = tree_of_pack(context, value, loading->options->dead);
        if (made == NULL) return RDB_NO_ROOM;
        value->kind = VALUE_OBJECT;
        value->object = &made->head;
    }
    struct collection *collection = collection_of(value->object);
    return push_in_context(context, collection, TREE_BACK, element->name, NULL) ? RDB_TAKEN : RDB_NO_ROOM;
}

/* Of any node but the first, which makes a pack, or a tree. */
static enum rdb_answer load_all(struct loading *loading, struct packed *packed) {
    enum { AT_ONCE = 32 };
    char digits[AT_ONCE][NUMBER_I64_MAX_LEN];
    struct bytes texts[AT_ONCE];
    enum packed_next next = PACKED_ELEMENT;
    if (loading->value.kind != VALUE_OBJECT) return RDB_SINGLY;
    do {
        unsigned count = packed_take_short(packed, texts, AT_ONCE);
        while (count < AT_ONCE &&
               (next = packed_next(packed, digits[count], &texts[count])) == PACKED_ELEMENT)
            count++;
        if (!push_some(&loading->options->context, collection_of(loading->value.object), texts, count))
            return RDB_NO_ROOM;
    } while (next == PACKED_ELEMENT);
    return next == PACKED_END ? RDB_TAKEN : RDB_REFUSED;
}

const struct type type_list = {.name = "list",
                               .number = TYPE_LIST,
                               .encoding = encoding,
                               .count = list_count,
                               .digest = digest,
                               .dump = dump,
                               .form = form,
                               .load = load,
                               .load_all = load_all,
                               .memory = collection_memory,
                               .fork = collection_fork,
                               .bury = collection_bury};
