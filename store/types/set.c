/* set.c - sets, as intsets, packs and trees. */
#include "store/types/set.h"

#include "protocol/number.h"
#include "store/rdb/writer.h"
#include "store/values/intset.h"
#include "store/values/load.h"

/* ---- Looking -------------------------------------------------------------------------------------- */

static bool is_tree(const struct value *value) {
    return value->kind == VALUE_OBJECT;
}
/* Of a small set. */
static bool is_intset(const struct value *value) {
    debug_assert(!is_tree(value));
    return !value->edited;
}

uint64_t set_count(const struct value *value) {
    if (is_tree(value)) return collection_tree(value)->count;
    return is_intset(value) ? intset_count(value_bytes(value)) : pack_count(value_bytes(value));
}

static bool find_in_tree(const struct hash_seed *seed, const struct tree *tree, struct bytes member,
                         struct tree_item *item) {
    return tree_look_up(tree, hash_bytes(seed, member), member, item);
}

/* False if it is none of the integers; *index: where it is. */
static bool find_in_intset(struct bytes set, struct bytes member, uint32_t *index) {
    int64_t number;
    return number_parse_i64(member, &number) && intset_find(set, number, index);
}

bool set_has(const struct keyspace *ks, const struct value *value, struct bytes member) {
    struct tree_item item;
    uint32_t index;
    if (is_tree(value)) return find_in_tree(ks->seed, collection_tree(value), member, &item);
    struct bytes bytes = value_bytes(value);
    if (is_intset(value)) return find_in_intset(bytes, member, &index);
    return pack_find(bytes, 1, member) < pack_count(bytes);
}

static bool is_integer(struct bytes member) {
    int64_t number;
    return number_parse_i64(member, &number);
}

bool set_is_integers(const struct value *value) {
    struct set_walk walk;
    struct element member;
    if (!value->edited) return true;
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member))
        if (!is_integer(member.bytes)) return false;
    return true;
}

/* Begins with what the cursor is at, of whose leaf all members may be short. */
static void begin_leaf(struct set_walk *walk) {
    const struct tree_cursor *cursor = &walk->cursor;
    struct leaf_members members;
    walk->lens = walk->lens_end = NULL;
    if (cursor->leaf == NULL || !leaf_members(cursor->leaf, &members)) return;
    walk->at = members.first + cursor->offset;
    walk->lens = members.lens + cursor->place;
    walk->lens_end = members.lens + members.count;
}

void set_walk(struct set_walk *walk, const struct value *value, uint64_t from) {
    assert(from <= set_count(value));
    walk->lens = walk->lens_end = NULL;
    if (is_tree(value)) {
        walk->shape = SET_TREE;
        walk->cursor.leaf = NULL;
        if (from < collection_tree(value)->count) tree_select(&walk->cursor, collection_tree(value), from);
        begin_leaf(walk);
        return;
    }
    walk->shape = is_intset(value) ? SET_INTEGERS : SET_PACK;
    walk->integers = value_bytes(value);
    walk->index = (uint32_t)from;
    if (walk->shape == SET_PACK) walk->pack = pack_from(value_bytes(value), (uint32_t)from);
}

static bool next_integer(struct set_walk *walk, struct element *member) {
    if (walk->index == intset_count(walk->integers)) return false;
    size_t len = number_format_i64(walk->digits, intset_at(walk->integers, walk->index++));
    *member = (struct element){.bytes = {walk->digits, len}};
    return true;
}

/* The next one where the members of a leaf do not lie one behind the other, or that was the last. */
static bool next_in_tree(struct set_walk *walk, struct element *member) {
    struct tree_cursor *cursor = &walk->cursor;
    struct tree_item item;
    if (walk->lens) {
        tree_next_leaf(cursor);
        begin_leaf(walk);
        if (walk->lens) return set_next(walk, member);
    }
    if (cursor->leaf == NULL) return false;
    const struct leaf *leaf = cursor->leaf;
    tree_get(cursor, &item);
    *member = (struct element){item.parts[0], item.blocks[0]};
    if (tree_next(cursor) && cursor->leaf != leaf) begin_leaf(walk);
    return true;
}

bool set_next_elsewhere(struct set_walk *walk, struct element *member) {
    switch (walk->shape) {
    case SET_INTEGERS: return next_integer(walk, member);
    case SET_PACK: return pack_next(&walk->pack, member);
    default: return next_in_tree(walk, member);
    }
}

/* ---- Trees ---------------------------------------------------------------------------------------- */

static struct tree_item item_of(const struct hash_seed *seed, struct bytes member, struct block *block) {
    return (struct tree_item){
        .key.high = hash_bytes(seed, member), .parts = {member, BYTES("")}, .blocks = {block}};
}

static size_t long_bytes(const struct tree_item *item) {
    return item->blocks[0] ? block_memory(item->blocks[0]) : 0;
}

static enum set_changed put_in_tree(const struct tree_context *context, struct collection *collection,
                                    struct bytes member, struct block *block) {
    struct tree_item item = item_of(context->seed, member, block);
    enum tree_changed changed = tree_put(&collection->tree, context, &item, false);
    if (changed == TREE_NO_MEMORY) return SET_NO_MEMORY;
    if (changed == TREE_UNCHANGED) return SET_UNCHANGED;
    if (member.len > ELEMENT_PLAIN_MAX) {
        bool found = find_in_tree(context->seed, &collection->tree, member, &item);
        assert(found);
        collection->long_bytes += long_bytes(&item);
    }
    return SET_ADDED;
}

static enum set_changed add_to_tree(struct keyspace *ks, struct collection *collection, struct bytes member,
                                    struct block *block) {
    struct tree_context context = collection_context(ks);
    enum set_changed changed = put_in_tree(&context, collection, member, block);
    keyspace_note_nodes(ks);
    return changed;
}

enum set_changed set_put(struct keyspace *ks, struct object *object, struct bytes member,
                         const struct tree_guess *guess) {
    assert(object->type == &type_set && !object_shared(object));
    if (member.len > ELEMENT_PLAIN_MAX) return SET_NO_MEMORY;
    struct tree_context context = collection_context(ks);
    const struct bytes parts[] = {member, BYTES("")};
    context.guess = guess;
    enum tree_changed changed =
        tree_put_short(&collection_of(object)->tree, &context, hash_bytes(ks->seed, member), parts);
    keyspace_note_nodes(ks);
    if (changed == TREE_NO_MEMORY) return SET_NO_MEMORY;
    return changed == TREE_ADDED ? SET_ADDED : SET_UNCHANGED;
}

/* The members of a small set in a tree. NULL without memory; what was made by then goes to `dead`. */
static struct collection *tree_of_small(const struct tree_context *context, const struct value *value,
                                        struct dead *dead) {
    struct collection *collection = collection_new(context->heap, &type_set, TREE_SET);
    struct set_walk walk;
    struct element member;
    bool done = collection;
    set_walk(&walk, value, 0);
    while (done && set_next(&walk, &member))
        done = put_in_tree(context, collection, member.bytes, NULL) == SET_ADDED;
    if (done || collection == NULL) return collection;
    object_release(&collection->head, dead);
    return NULL;
}

/* Takes back what `done` says is gone from the tree. */
static enum set_changed removed(struct keyspace *ks, struct collection *collection, size_t bytes, bool done) {
    keyspace_note_nodes(ks);
    if (!done) return SET_NO_MEMORY;
    assert(collection->long_bytes >= bytes);
    collection->long_bytes -= bytes;
    return SET_REMOVED;
}

static enum set_changed remove_from_tree(struct edit *edit, const struct tree *tree, struct bytes member) {
    struct keyspace *ks = edit->keyspace;
    struct tree_item found, item = item_of(ks->seed, member, NULL);
    if (!tree_look_up_guessed(tree, item.key.high, member, edit->guesses, &found)) return SET_UNCHANGED;
    size_t bytes = long_bytes(&found);
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return SET_NO_MEMORY;
    struct tree_context context = collection_context(ks);
    context.guess = edit->guesses;
    enum tree_changed changed = tree_remove(&collection->tree, &context, &item);
    assert(changed == TREE_REMOVED || changed == TREE_NO_MEMORY);
    return removed(ks, collection, bytes, changed == TREE_REMOVED);
}

static enum set_changed remove_place_from_tree(struct edit *edit, const struct tree *tree, uint64_t place) {
    struct tree_cursor cursor;
    struct tree_item item;
    tree_select(&cursor, tree, place);
    tree_get(&cursor, &item);
    size_t bytes = long_bytes(&item);
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return SET_NO_MEMORY;
    struct tree_context context = collection_context(edit->keyspace);
    bool done = tree_remove_range(&collection->tree, &context, place, 1);
    return removed(edit->keyspace, collection, bytes, done);
}

/* ---- Making --------------------------------------------------------------------------------------- */

void set_draft(struct set_draft *draft, struct keyspace *ks, uint64_t integers) {
    draft->keyspace = ks;
    draft->integers = integers;
    draft->marked = false;
    draft->collection = NULL;
    draft->len = 0;
}

struct value set_draft_value(const struct set_draft *draft) {
    struct value value = {.type = TYPE_SET, .kind = VALUE_INLINE, .edited = draft->marked};
    value.bytes = (struct bytes){draft->bytes, draft->len};
    if (draft->collection == NULL) return value;
    value.kind = VALUE_OBJECT;
    value.object = &draft->collection->head;
    return value;
}

void set_draft_end(struct set_draft *draft) {
    if (draft->collection) {
        object_release(&draft->collection->head, &draft->keyspace->dead);
        keyspace_note_garbage(draft->keyspace);
    }
    draft->collection = NULL;
}

static struct pack small_of(struct set_draft *draft) {
    return (struct pack){.data = draft->bytes, .len = draft->len, .capacity = sizeof draft->bytes};
}

/* False without memory, and nothing is changed. */
static bool draft_becomes_tree(struct set_draft *draft) {
    struct keyspace *ks = draft->keyspace;
    struct tree_context context = collection_context(ks);
    struct value value = set_draft_value(draft);
    draft->collection = tree_of_small(&context, &value, &ks->dead);
    keyspace_note_nodes(ks);
    if (draft->collection == NULL) keyspace_note_garbage(ks);
    return draft->collection;
}

/* Makes an intset a pack. False if they are too many or too long for one, and nothing is changed. */
static bool intset_becomes_pack(struct pack *small) {
    struct element members[COLLECTION_PACK_ELEMENTS];
    char digits[COLLECTION_PACK_ELEMENTS][NUMBER_I64_MAX_LEN], bytes[COLLECTION_PACK_BYTES];
    struct bytes set = pack_bytes(small);
    uint32_t count = intset_count(set);
    if (count > COLLECTION_PACK_ELEMENTS) return false;
    for (uint32_t i = 0; i < count; i++)
        members[i] = (struct element){.bytes = {digits[i], number_format_i64(digits[i], intset_at(set, i))}};
    struct pack pack = {.data = bytes, .capacity = sizeof bytes};
    if (count && pack_insert(&pack, 0, members, count) > sizeof bytes) return false;
    assert(pack.len <= small->capacity);
    memcpy(small->data, bytes, pack.len);
    small->len = pack.len;
    return true;
}

/* Bytes that a pack has with a member more. */
static size_t len_added(struct bytes pack, struct bytes member) {
    return (pack.len ? pack.len : PACK_HEAD) + 1 + element_stored(member.len);
}
/* May this be one more member of a pack that stays one? */
static bool fits_pack(struct bytes pack, struct bytes member) {
    return member.len <= ELEMENT_INLINE_MAX &&
           collection_may_pack(len_added(pack, member), (uint64_t)pack_count(pack) + 1);
}

/* Adds to a small set, which may be marked for that. SET_UNCHANGED also if it must be a tree, which *large tells. */
static enum set_changed add_to_small(struct pack *small, bool *marked, uint64_t integers, struct bytes member,
                                     bool *large) {
    int64_t number;
    uint32_t index;
    *large = false;
    bool integer = number_parse_i64(member, &number);
    if (!*marked) {
        if (integer && intset_find(pack_bytes(small), number, &index)) return SET_UNCHANGED;
        if (integer && intset_count(pack_bytes(small)) < integers) {
            *large = intset_insert(small, index, number) > small->capacity;
            return *large ? SET_UNCHANGED : SET_ADDED;
        }
        *large = !intset_becomes_pack(small);
        if (*large) return SET_UNCHANGED;
        *marked = true;
    } else if (pack_find(pack_bytes(small), 1, member) < pack_count(pack_bytes(small))) {
        return SET_UNCHANGED;
    }
    *large = !fits_pack(pack_bytes(small), member);
    if (*large) return SET_UNCHANGED;
    struct element element = element_of(member);
    size_t len = pack_insert(small, pack_count(pack_bytes(small)), &element, 1);
    assert(len == small->len && len <= small->capacity);
    return SET_ADDED;
}

/* The same with the small set of a draft. */
static enum set_changed add_to_small_draft(struct set_draft *draft, struct bytes member, bool *large) {
    struct pack small = small_of(draft);
    enum set_changed changed = add_to_small(&small, &draft->marked, draft->integers, member, large);
    draft->len = small.len;
    return changed;
}

static bool draft_becomes_pack(struct set_draft *draft) {
    struct pack small = small_of(draft);
    bool done = intset_becomes_pack(&small);
    draft->len = small.len;
    return done;
}

/* Is a set with so many members, this being the last one, a hashtable to Redis? */
static bool marks(uint64_t count, struct bytes member, uint64_t integers) {
    return count > integers || !is_integer(member);
}

enum set_changed set_draft_add(struct set_draft *draft, struct bytes member, struct block *block) {
    bool large = draft->collection;
    enum set_changed changed = large ? SET_UNCHANGED : add_to_small_draft(draft, member, &large);
    if (!large) return changed;
    if (draft->collection == NULL && !draft_becomes_tree(draft)) return SET_NO_MEMORY;
    changed = add_to_tree(draft->keyspace, draft->collection, member, block);
    if (changed == SET_ADDED && !draft->marked)
        draft->marked = marks(draft->collection->tree.count, member, draft->integers);
    return changed;
}

bool set_draft_copy(struct set_draft *draft, const struct value *value) {
    assert(is_tree(value) && draft->collection == NULL && draft->len == 0);
    struct object *object = collection_fork(value->object, draft->keyspace->heap);
    if (object == NULL) return false;
    draft->collection = collection_of(object);
    draft->marked = set_count(value) > draft->integers || !set_is_integers(value);
    return true;
}

bool set_draft_mark(struct set_draft *draft) {
    bool small = draft->collection == NULL;
    if (small && !draft->marked && !draft_becomes_pack(draft) && !draft_becomes_tree(draft)) return false;
    draft->marked = true;
    return true;
}

/* ---- Changing ------------------------------------------------------------------------------------- */

/* A small set in a draft; to be changed there and stored again. */
static void draft_of(struct set_draft *draft, const struct edit *edit, uint64_t integers) {
    struct value value = entry_value(edit->entry);
    struct bytes bytes = value_bytes(&value);
    set_draft(draft, edit->keyspace, integers);
    assert(bytes.len <= sizeof draft->bytes);
    memcpy(draft->bytes, bytes.data, bytes.len);
    draft->len = bytes.len;
    draft->marked = value.edited;
}

/* Makes the draft the value of the edit. False without memory, and then the value is as it was. */
static bool store_draft(struct edit *edit, const struct set_draft *draft) {
    assert(draft->collection == NULL);
    char *data = edit_room(edit, draft->len);
    if (data == NULL) return false;
    memcpy(data, draft->bytes, draft->len);
    if (draft->marked) edit_mark(edit);
    return true;
}

/* Puts a member into bytes that were made longer for it. */
static void put_integer(struct pack *set, uint32_t index, int64_t number) {
    size_t used = intset_insert(set, index, number);
    assert(used == set->capacity && set->len == used);
}
static void put_last(struct pack *pack, struct bytes member) {
    struct element element = element_of(member);
    size_t used = pack_insert(pack, pack_count(pack_bytes(pack)), &element, 1);
    assert(used == pack->capacity && pack->len == used);
}

/* Makes `len` bytes of a small set's own room for it. False without memory. */
static bool open_small(struct edit *edit, struct pack *small, size_t len) {
    struct value value = entry_value(edit->entry);
    size_t now = value_bytes(&value).len;
    assert(len > now);
    *small = (struct pack){.data = edit_room(edit, len), .len = now, .capacity = len};
    return small->data;
}

/* Adds a member in place. False if the intset or pack must be something else for that, and nothing is changed. */
static bool add_to_intset(struct edit *edit, struct bytes bytes, struct bytes member, uint64_t integers,
                          enum set_changed *changed) {
    struct pack set = {.data = (char *)(uintptr_t)bytes.data, .len = bytes.len, .capacity = 0};
    int64_t number;
    uint32_t index;
    if (!number_parse_i64(member, &number)) return false;
    *changed = SET_UNCHANGED;
    if (intset_find(bytes, number, &index)) return true;
    size_t len = intset_insert(&set, index, number); /* is told, for there is no room */
    if (intset_count(bytes) >= integers || len > COLLECTION_PACK_BYTES) return false;
    *changed = open_small(edit, &set, len) ? SET_ADDED : SET_NO_MEMORY;
    if (*changed == SET_ADDED) put_integer(&set, index, number);
    return true;
}
static bool add_to_pack(struct edit *edit, struct bytes bytes, struct bytes member,
                        enum set_changed *changed) {
    struct pack pack;
    *changed = SET_UNCHANGED;
    if (pack_find(bytes, 1, member) < pack_count(bytes)) return true;
    if (!fits_pack(bytes, member)) return false;
    *changed = open_small(edit, &pack, len_added(bytes, member)) ? SET_ADDED : SET_NO_MEMORY;
    if (*changed == SET_ADDED) put_last(&pack, member);
    return true;
}

static enum set_changed add_to_object(struct edit *edit, struct bytes member, struct block *block,
                                      uint64_t integers) {
    struct collection *collection = collection_edit(edit);
    if (collection == NULL) return SET_NO_MEMORY;
    enum set_changed changed = add_to_tree(edit->keyspace, collection, member, block);
    if (changed == SET_ADDED && !edit->entry->edited && marks(collection->tree.count, member, integers))
        edit_mark(edit);
    return changed;
}

/* Adds a member for which a small set changes its shape. */
static enum set_changed add_anew(struct edit *edit, struct bytes member, struct block *block,
                                 uint64_t integers) {
    struct set_draft draft;
    draft_of(&draft, edit, integers);
    enum set_changed changed = set_draft_add(&draft, member, block);
    assert(changed != SET_UNCHANGED);
    struct collection *collection = draft.collection;
    if (changed == SET_NO_MEMORY) {
        set_draft_end(&draft);
        return SET_NO_MEMORY;
    }
    if (collection == NULL) return store_draft(edit, &draft) ? SET_ADDED : SET_NO_MEMORY;
    if (!collection_become(edit, collection)) return SET_NO_MEMORY;
    if (draft.marked) edit_mark(edit);
    return SET_ADDED;
}

enum set_changed set_add(struct edit *edit, struct bytes member, struct block *block, uint64_t integers) {
    enum set_changed changed;
    if (edit->entry->kind == VALUE_OBJECT) return add_to_object(edit, member, block, integers);
    struct value value = entry_value(edit->entry);
    struct bytes bytes = value_bytes(&value);
    bool added = is_intset(&value) ? add_to_intset(edit, bytes, member, integers, &changed)
                                   : add_to_pack(edit, bytes, member, &changed);
    return added ? changed : add_anew(edit, member, block, integers);
}

/* Takes a member out of a small set, in a copy: what shrinks must not be left longer than it is. */
static enum set_changed remove_from_small(struct edit *edit, uint32_t index) {
    struct set_draft draft;
    draft_of(&draft, edit, 0);
    struct pack small = small_of(&draft);
    if (draft.marked)
        pack_delete(&small, index, 1);
    else
        intset_delete(&small, index);
    draft.len = small.len;
    return store_draft(edit, &draft) ? SET_REMOVED : SET_NO_MEMORY;
}

enum set_changed set_remove(struct edit *edit, struct bytes member) {
    struct value value = entry_value(edit->entry);
    edit->lost = true;
    if (is_tree(&value)) return remove_from_tree(edit, collection_tree(&value), member);
    struct bytes bytes = value_bytes(&value);
    uint32_t index;
    if (is_intset(&value)) {
        if (!find_in_intset(bytes, member, &index)) return SET_UNCHANGED;
    } else {
        index = pack_find(bytes, 1, member);
        if (index == pack_count(bytes)) return SET_UNCHANGED;
    }
    return remove_from_small(edit, index);
}

bool set_remove_at(struct edit *edit, uint64_t place) {
    struct value value = entry_value(edit->entry);
    assert(place < set_count(&value));
    edit->lost = true;
    enum set_changed changed = is_tree(&value) ? remove_place_from_tree(edit, collection_tree(&value), place)
                                               : remove_from_small(edit, (uint32_t)place);
    return changed == SET_REMOVED;
}

/* ---- The row -------------------------------------------------------------------------------------- */

static const char *encoding(const struct value *value) {
    return value->edited ? "hashtable" : "intset";
}

static void digest(const struct value *value, struct digest *digest) {
    struct set_walk walk;
    struct element member;
    set_walk(&walk, value, 0);
    while (set_next(&walk, &member)) digest_join(digest, member.bytes);
}

/* ---- Dumps ---------------------------------------------------------------------------------------- */

/* As the writer asks for members: one after the other, and sometimes from the first on again. */
struct source {
    struct rdb_source rdb;
    const struct value *value;
    struct set_walk walk;
    uint64_t at; /* where the walk is */
};

static void next_member(struct rdb_source *rdb, uint64_t *place, struct rdb_element *element) {
    struct source *source = (struct source *)(void *)rdb;
    struct element member;
    if (*place != source->at) set_walk(&source->walk, source->value, *place);
    bool any = set_next(&source->walk, &member);
    assert(any);
    element->name = member.bytes;
    source->at = ++*place;
}
_Static_assert((int)LOAD_PACK_MAX >= (int)COLLECTION_PACK_BYTES, "a small set is loaded there");
_Static_assert(offsetof(struct source, rdb) == 0, "a source is found at its first member's address");

static struct source source_of(const struct value *value) {
    return (struct source){.rdb = {.kind = RDB_SET, .count = set_count(value), .next = next_member},
                           .value = value,
                           .at = UINT64_MAX};
}

/* An intset is written as one; integers in a tree are in the order of hashes, and written one by one. */
static enum rdb_form form_of(const struct value *value) {
    return value->edited || is_tree(value) ? RDB_FORM_PLAIN : RDB_FORM_PACKED;
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

static enum rdb_answer answer_of(enum set_changed changed) {
    if (changed == SET_NO_MEMORY) return RDB_NO_ROOM;
    return changed == SET_ADDED ? RDB_TAKEN : RDB_REFUSED; /* the same member again */
}

static enum set_changed load_in_small(struct loading *loading, struct bytes member, bool *large) {
    uint64_t integers = loading->options->thresholds[TYPE_SET].elements;
    struct value *value = &loading->value;
    struct pack small = {loading->bytes, value->bytes.len, COLLECTION_PACK_BYTES};
    bool marked = value->edited;
    enum set_changed changed = add_to_small(&small, &marked, integers, member, large);
    value->edited = marked;
    value->bytes.len = small.len;
    return changed;
}

/* The small set becomes a large one, of which nothing is in the tree yet. False without memory. */
static bool load_large(struct loading *loading) {
    const struct tree_context *context = &loading->options->context;
    struct value *value = &loading->value;
    struct collection *made = collection_new(context->heap, &type_set, TREE_SET);
    struct set_walk walk;
    struct element member;
    bool done = made;
    set_walk(&walk, value, 0);
    while (done && set_next(&walk, &member)) {
        struct tree_item item = item_of(context->seed, member.bytes, NULL);
        done = gather_add(&loading->gather, &item) ||
               put_in_tree(context, made, member.bytes, NULL) == SET_ADDED;
    }
    if (made) value->kind = VALUE_OBJECT;
    if (made) value->object = &made->head;
    return done;
}

static enum rdb_answer load_in_tree(struct loading *loading, struct bytes member) {
    struct value *value = &loading->value;
    if (!is_tree(value) && !load_large(loading)) return RDB_NO_ROOM;
    struct collection *collection = collection_of(value->object);
    struct tree_context roomy = loading->options->context;
    struct tree_item item = item_of(roomy.seed, member, NULL);
    enum rdb_answer answer = RDB_TAKEN;
    if (!gather_add(&loading->gather, &item)) {
        answer = load_pour(loading, &collection->tree);
        if (answer != RDB_TAKEN) return answer;
        roomy.roomy = loading->gather.fits = true;
        answer = answer_of(put_in_tree(&roomy, collection, member, NULL));
    }
    uint64_t count = set_count(value) + loading->gather.count;
    if (marks(count, member, loading->options->thresholds[TYPE_SET].elements)) value->edited = true;
    return answer;
}

static enum rdb_answer load(struct loading *loading, const struct rdb_element *element) {
    bool large = is_tree(&loading->value);
    enum set_changed changed = large ? SET_UNCHANGED : load_in_small(loading, element->name, &large);
    return large ? load_in_tree(loading, element->name) : answer_of(changed);
}

static enum rdb_answer loaded(struct loading *loading) {
    struct value *value = &loading->value;
    return is_tree(value) ? load_fit(loading, &collection_of(value->object)->tree) : RDB_TAKEN;
}

const struct type type_set = {.name = "set",
                              .number = TYPE_SET,
                              .encoding = encoding,
                              .count = set_count,
                              .digest = digest,
                              .dump = dump,
                              .form = form,
                              .load = load,
                              .loaded = loaded,
                              .memory = collection_memory,
                              .fork = collection_fork,
                              .bury = collection_bury};
