/* set_lookup.c - many questions about one set. */
#include "store/types/set_lookup.h"

#include "store/values/intset.h"

static bool is_tree(const struct value *value) {
    return value->kind == VALUE_OBJECT;
}

/* ---- Packs ---------------------------------------------------------------------------------------- */

enum { SLOTS = sizeof((struct set_pack_table *)0)->slots / sizeof(uint16_t) };

static void fill_table(struct set_pack_table *table, const struct keyspace *ks, struct bytes pack) {
    struct pack_walk walk = pack_from(pack, 0);
    memset(table->slots, 0, sizeof table->slots);
    assert(pack_count(pack) <= COLLECTION_PACK_ELEMENTS);
    for (uint16_t i = 0; walk.code < walk.codes_end; i++) {
        struct element member;
        table->offsets[i] = (uint16_t)(walk.at - pack.data);
        pack_next(&walk, &member);
        unsigned slot = hash_bytes(ks->seed, member.bytes) % SLOTS;
        while (table->slots[slot]) slot = (slot + 1) % SLOTS;
        table->slots[slot] = (uint16_t)(i + 1);
    }
}

static bool pack_has(const struct set_pack_table *table, struct bytes pack, struct bytes member,
                     uint64_t hash) {
    const uint8_t *codes = (const uint8_t *)pack.data + PACK_HEAD;
    uint8_t code = element_code(member.len);
    for (unsigned slot = hash % SLOTS; table->slots[slot]; slot = (slot + 1) % SLOTS) {
        unsigned i = table->slots[slot] - 1u;
        if (element_equals(codes[i], pack.data + table->offsets[i], code, member)) return true;
    }
    return false;
}

/* ---- Leaves --------------------------------------------------------------------------------------- */

static void fill_leaf(struct set_leaf *table, const struct leaf *leaf) {
    struct leaf_members members;
    size_t offset = 0;
    table->leaf = leaf;
    if (!leaf_members(leaf, &members) || members.count > SET_LOOKUP_MEMBERS) return;
    table->leaf = NULL;
    table->members = members.first;
    table->lens = members.lens;
    memset(table->first, 0, sizeof table->first);
    for (unsigned i = 0; i < members.count; i++) {
        uint8_t *first = &table->first[members.tags[i]];
        table->next[i] = *first;
        *first = (uint8_t)(i + 1);
        table->offsets[i] = (uint16_t)offset;
        offset += members.lens[i];
    }
}

static bool leaf_has(const struct set_leaf *table, struct bytes member, uint64_t hash) {
    size_t offset;
    if (table->leaf) return leaf_find(table->leaf, hash, member, 0, &offset) < table->leaf->head.count;
    for (unsigned i = table->first[(uint8_t)hash]; i > 0; i = table->next[i - 1])
        if (bytes_equal((struct bytes){table->members + table->offsets[i - 1], table->lens[i - 1]}, member))
            return true;
    return false;
}

static struct set_leaf *leaf_at_place(struct set_leaves *leaves, unsigned place) {
    return &leaves->leaves[(leaves->begin + place) % SET_LOOKUP_LEAVES];
}

/* Adds the cursor's leaf behind the others. */
static void add_leaf(struct set_leaves *leaves) {
    assert(leaves->count < SET_LOOKUP_LEAVES);
    tree_leaf_hashes(&leaves->cursor, &leaves->low[leaves->count], &leaves->last);
    fill_leaf(leaf_at_place(leaves, leaves->count), leaves->cursor.leaf);
    leaves->count++;
}

/* Gives up leaves that have no hash from this one on. */
static void drop_leaves(struct set_leaves *leaves, uint64_t low) {
    unsigned gone = 0;
    while (gone < leaves->count &&
           (gone + 1 < leaves->count ? leaves->low[gone + 1] <= low : leaves->last < low))
        gone++;
    leaves->begin = (leaves->begin + gone) % SET_LOOKUP_LEAVES;
    leaves->count -= gone;
    memmove(leaves->low, leaves->low + gone, leaves->count * sizeof *leaves->low);
}

/* The questions have come to another leaf of a tree: takes the leaves in which its members can be, if they are few. */
static __attribute__((noinline)) void move_on(struct set_lookup *lookup, const struct set_walk *walk) {
    struct set_leaves *leaves = &lookup->table->leaves;
    const struct tree *tree = collection_tree(lookup->value);
    uint64_t low, last;
    leaves->asked_for = walk->cursor.leaf;
    if (tree->root == NULL || tree->count / (SET_LOOKUP_LEAVES / 2) > walk->cursor.tree->count) return;
    tree_leaf_hashes(&walk->cursor, &low, &last);
    drop_leaves(leaves, low);
    if (leaves->count == 0 || leaves->low[0] > low) {
        leaves->count = 0;
        tree_enter_leaf(&leaves->cursor, tree, low);
        add_leaf(leaves);
    }
    while (leaves->last < last && leaves->count < SET_LOOKUP_LEAVES) {
        tree_next_leaf(&leaves->cursor);
        add_leaf(leaves);
    }
}

static bool tree_has(struct set_lookup *lookup, const struct set_walk *walk, struct bytes member,
                     uint64_t hash) {
    struct set_leaves *leaves = &lookup->table->leaves;
    struct tree_item item;
    unsigned place = 0;
    if (walk->cursor.leaf != leaves->asked_for) move_on(lookup, walk);
    if (leaves->count == 0 || hash < leaves->low[0] || hash > leaves->last)
        return tree_look_up(collection_tree(lookup->value), hash, member, &item);
    for (unsigned i = 1; i < leaves->count; i++) place += leaves->low[i] <= hash;
    return leaf_has(leaf_at_place(leaves, place), member, hash);
}

/* ---- Any of them ---------------------------------------------------------------------------------- */

void set_lookup(struct set_lookup *lookup, const struct keyspace *ks, const struct value *value,
                union set_table *table) {
    *lookup = (struct set_lookup){.value = value, .table = table};
    if (table == NULL) return;
    if (is_tree(value)) {
        table->leaves.count = table->leaves.begin = 0;
        table->leaves.asked_for = NULL;
    } else if (value->edited) {
        fill_table(&table->pack, ks, value_bytes(value));
    }
}

bool set_lookup_has(struct set_lookup *lookup, const struct set_walk *walk, struct bytes member,
                    uint64_t hash) {
    const struct value *value = lookup->value;
    struct tree_item item;
    int64_t number;
    uint32_t index;
    if (is_tree(value)) {
        if (lookup->table && walk && walk->lens) return tree_has(lookup, walk, member, hash);
        return tree_look_up(collection_tree(value), hash, member, &item);
    }
    struct bytes bytes = value_bytes(value);
    if (!value->edited) return number_parse_i64(member, &number) && intset_find(bytes, number, &index);
    if (lookup->table) return pack_has(&lookup->table->pack, bytes, member, hash);
    return pack_find(bytes, 1, member) < pack_count(bytes);
}
