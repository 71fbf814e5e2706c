/* stream_nodes.c - the account of Redis's nodes: their bounds, and the bytes of their listpacks. */
#include "store/types/stream_nodes.h"

#include "protocol/number.h"

bool stream_seek(struct tree_cursor *cursor, const struct tree *tree, struct stream_id id) {
    struct tree_item item = {.key = stream_key(id)};
    return tree_lower_bound(cursor, tree, &item);
}

uint64_t stream_rank(const struct tree *tree, struct stream_id id) {
    struct tree_cursor cursor;
    stream_seek(&cursor, tree, id);
    return cursor.leaf ? tree_rank(&cursor) : tree->count;
}

/* ---- Bytes of listpacks --------------------------------------------------------------------------- */

enum { LISTPACK_EMPTY = 7 }; /* bytes of one without elements */

/* With the length that stands behind an element. */
static size_t with_length(size_t bytes) {
    return bytes + (bytes < 128         ? 1u
                    : bytes < 16384     ? 2u
                    : bytes < 2097152   ? 3u
                    : bytes < 268435456 ? 4u
                                        : 5u);
}

static size_t bytes_of_int(int64_t value) {
    size_t bytes = 9;
    if (value >= 0 && value <= 127)
        bytes = 1;
    else if (value >= -4096 && value <= 4095)
        bytes = 2;
    else if (value >= INT16_MIN && value <= INT16_MAX)
        bytes = 3;
    else if (value >= -8388608 && value <= 8388607)
        bytes = 4;
    else if (value >= INT32_MIN && value <= INT32_MAX)
        bytes = 5;
    return with_length(bytes);
}

static size_t bytes_of_text(struct bytes text) {
    int64_t value;
    if (text.len < NUMBER_I64_MAX_LEN + 1 && number_parse_i64(text, &value)) return bytes_of_int(value);
    return with_length(text.len + (text.len < 64 ? 1u : text.len < 4096 ? 2u : 5u));
}

static size_t bytes_of_names(const struct stream_pairs *pairs) {
    size_t bytes = bytes_of_int(pairs->count);
    for (uint32_t i = 0; i < pairs->count; i++) bytes += bytes_of_text(pairs->list[2 * i]);
    return bytes;
}

static size_t bytes_of_entry(const struct stream_node *node, struct stream_id id,
                             const struct stream_pairs *pairs, bool same) {
    int64_t fixed = same ? 3 : 4; /* what stands beside names and values */
    size_t bytes = bytes_of_int(same ? 2 : 0) + bytes_of_int((int64_t)(id.ms - node->first.ms)) +
                   bytes_of_int((int64_t)(id.sequence - node->first.sequence)) +
                   bytes_of_int(fixed + (int64_t)pairs->count * (same ? 1 : 2));
    if (!same) bytes += bytes_of_names(pairs);
    for (uint32_t i = 0; i < pairs->count; i++) bytes += bytes_of_text(pairs->list[2 * i + 1]);
    return bytes;
}

static uint32_t clipped(size_t bytes) {
    return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* ---- Nodes ---------------------------------------------------------------------------------------- */

enum {
    NODE_BYTES = 9, /* of one in the tree: bytes, total, number */
    NODE_BYTES_MOST = NODE_BYTES +
                      sizeof(struct stream_id), /* with the number that was deleted, if there is one */
};

static struct tree_item item_of(const struct stream_node *node, char bytes[NODE_BYTES_MOST]) {
    size_t len = stream_id_is_zero(node->deleted) ? NODE_BYTES : NODE_BYTES_MOST;
    memcpy(bytes, &node->bytes, 4);
    memcpy(bytes + 4, &node->total, 4);
    memcpy(bytes + 8, &node->number, 1);
    memcpy(bytes + NODE_BYTES, &node->deleted, sizeof node->deleted);
    return (struct tree_item){.key = stream_key(node->first), .parts = {{bytes, len}}};
}

static struct stream_node node_of(const struct tree_item *item) {
    struct stream_node node = {.first = stream_id_of(item)};
    const char *bytes = item->parts[0].data;
    size_t len = item->parts[0].len;
    assert(len == NODE_BYTES || len == NODE_BYTES_MOST);
    memcpy(&node.bytes, bytes, 4);
    memcpy(&node.total, bytes + 4, 4);
    memcpy(&node.number, bytes + 8, 1);
    if (len == NODE_BYTES_MOST) memcpy(&node.deleted, bytes + NODE_BYTES, sizeof node.deleted);
    return node;
}

struct stream_node stream_nodes_at(const struct stream_nodes *nodes, uint64_t place) {
    struct tree_cursor cursor;
    struct tree_item item;
    assert(place <= nodes->closed.count);
    if (place == nodes->closed.count) return nodes->open;
    tree_select(&cursor, &nodes->closed, place);
    tree_get(&cursor, &item);
    return node_of(&item);
}

static void close_node(struct stream_nodes *nodes, const struct tree_context *context) {
    char bytes[NODE_BYTES_MOST];
    struct tree_item item = item_of(&nodes->open, bytes);
    if (tree_push(&nodes->closed, context, &item, TREE_BACK)) nodes->open = (struct stream_node){.total = 0};
}

/* Is there no room for one more entry in the last node? */
static bool is_full(const struct stream_nodes *nodes, const struct stream_pairs *pairs,
                    const struct stream_node_limits *limits) {
    const struct stream_node *open = &nodes->open;
    size_t most = limits->bytes && limits->bytes < STREAM_ENTRY_MOST ? limits->bytes : STREAM_ENTRY_MOST;
    size_t bytes = open->bytes + bytes_of_int((int64_t)nodes->open_live) +
                   bytes_of_int((int64_t)(open->total - nodes->open_live));
    for (uint32_t i = 0; i < pairs->count * 2; i++) bytes += pairs->list[i].len;
    if (bytes >= most) return true;
    return limits->entries && open->total >= limits->entries;
}

void stream_nodes_add(struct stream_nodes *nodes, const struct tree_context *context,
                      const struct stream_added *added, const struct stream_node_limits *limits) {
    const struct stream_pairs *pairs = added->pairs;
    struct stream_node *open = &nodes->open;
    if (open->total > 0 && is_full(nodes, pairs, limits)) close_node(nodes, context);
    bool same = added->number && open->number == added->number;
    if (open->total == 0) {
        same = true;
        struct stream_id first = limits->begin ? *limits->begin : added->id;
        assert(stream_id_compare(first, added->id) <= 0);
        *open = (struct stream_node){.first = first, .number = (uint8_t)added->number};
        open->bytes = clipped(LISTPACK_EMPTY + bytes_of_names(pairs) + bytes_of_int(0));
        nodes->open_live = 0;
    }
    open->bytes = clipped(open->bytes + bytes_of_entry(open, added->id, pairs, same));
    open->total += open->total < UINT32_MAX;
    open->deleted = (struct stream_id){0, 0};
    nodes->open_live++;
}

/* The last node is gone: the one before it is the last then. */
static void reopen(struct stream_nodes *nodes, const struct tree_context *context,
                   const struct tree *entries) {
    struct tree_item item;
    nodes->open = (struct stream_node){.total = 0};
    nodes->open_live = 0;
    if (nodes->closed.count == 0) return;
    tree_get_end(&nodes->closed, TREE_BACK, &item);
    struct stream_node last = node_of(&item);
    if (!tree_pop(&nodes->closed, context, TREE_BACK)) return;
    nodes->open = last;
    nodes->open_live = entries->count - stream_rank(entries, last.first);
}

/* Is an entry left between two numbers, the latter not included? */
static bool any_between(const struct tree *entries, struct stream_id from, struct stream_id to) {
    struct tree_cursor cursor;
    struct tree_item item;
    stream_seek(&cursor, entries, from);
    if (cursor.leaf == NULL) return false;
    tree_get(&cursor, &item);
    return stream_id_compare(stream_id_of(&item), to) < 0;
}

/* The closed node in which a number is: the last one that does not begin behind it. */
static bool find_closed(const struct stream_nodes *nodes, struct stream_id id, struct tree_cursor *cursor) {
    if (nodes->closed.count == 0) return false;
    if (stream_seek(cursor, &nodes->closed, id)) return true;
    if (cursor->leaf) return tree_previous(cursor);
    tree_select(cursor, &nodes->closed, nodes->closed.count - 1);
    return true;
}

/* A node, and the number at which the next one begins. */
struct bounds {
    struct stream_node node;
    struct stream_id end;
    bool open; /* there is no next one */
};

/* The node in which a number is. False if it is in front of all. */
static bool find_bounds(const struct stream_nodes *nodes, struct stream_id id, struct bounds *bounds) {
    struct tree_cursor cursor;
    struct tree_item item;
    const struct stream_node *open = &nodes->open;
    *bounds = (struct bounds){.node = *open, .end = STREAM_ID_MAX, .open = true};
    if (open->total > 0 && stream_id_compare(id, open->first) >= 0) return true;
    if (!find_closed(nodes, id, &cursor)) return false;
    tree_get(&cursor, &item);
    *bounds = (struct bounds){.node = node_of(&item), .end = open->first, .open = open->total == 0};
    if (!tree_next(&cursor)) return true;
    tree_get(&cursor, &item);
    bounds->end = stream_id_of(&item);
    bounds->open = false;
    return true;
}

/* Of a node in which no entry is left behind this number. False if a higher one was known. */
static bool note_deleted(struct stream_node *node, struct stream_id id) {
    if (stream_id_compare(id, node->deleted) <= 0) return false;
    node->deleted = id;
    return true;
}

void stream_nodes_delete(struct stream_nodes *nodes, const struct tree_context *context,
                         const struct tree *entries, struct stream_id id) {
    struct tree_item item;
    struct bounds bounds;
    struct tree_cursor at;
    char bytes[NODE_BYTES_MOST];
    if (nodes->open.total > 0 && stream_id_compare(id, nodes->open.first) >= 0) {
        if (nodes->open_live > 0) nodes->open_live--;
        stream_seek(&at, entries, id);
        if (at.leaf == NULL) note_deleted(&nodes->open, id);
        if (nodes->open_live == 0) reopen(nodes, context, entries);
        return;
    }
    if (!find_bounds(nodes, id, &bounds)) return;
    if (!any_between(entries, bounds.node.first, bounds.end)) {
        item = (struct tree_item){.key = stream_key(bounds.node.first)};
        (void)tree_remove(&nodes->closed, context, &item);
    } else if (!any_between(entries, id, bounds.end) && note_deleted(&bounds.node, id)) {
        item = item_of(&bounds.node, bytes);
        (void)tree_put(&nodes->closed, context, &item, true);
    }
}

/* Does Redis keep the node when all that is below a number has gone from it? */
static bool is_kept(const struct bounds *bounds, const struct tree *entries, struct stream_id from) {
    struct tree_cursor cursor;
    stream_seek(&cursor, entries, from);
    bool left = bounds->open ? cursor.leaf != NULL : any_between(entries, from, bounds->end);
    return left || stream_id_compare(bounds->node.deleted, from) >= 0;
}

void stream_nodes_trim(struct stream_nodes *nodes, const struct tree_context *context,
                       const struct tree *entries, struct stream_id from) {
    struct bounds bounds;
    struct tree_cursor cursor;
    struct tree_item first;
    if (entries->count > 0) {
        tree_get_end(entries, TREE_FRONT, &first);
        if (stream_id_compare(stream_id_of(&first), from) < 0) from = stream_id_of(&first);
    }
    if (!find_bounds(nodes, from, &bounds)) return;
    bool kept = is_kept(&bounds, entries, from);
    if (nodes->open.total > 0 && stream_id_compare(from, nodes->open.first) >= 0) {
        tree_release(&nodes->closed, context->graves);
        if (!kept) nodes->open = (struct stream_node){.total = 0};
        nodes->open_live = entries->count;
    } else if (find_closed(nodes, from, &cursor)) {
        (void)tree_remove_range(&nodes->closed, context, 0, tree_rank(&cursor) + !kept);
    }
}

uint64_t stream_nodes_whole(const struct stream_nodes *nodes, const struct tree *entries, uint64_t most) {
    struct tree_cursor cursor;
    struct tree_item item;
    if (most >= entries->count) return entries->count;
    tree_select(&cursor, entries, most);
    tree_get(&cursor, &item);
    if (nodes->open.total > 0 && stream_id_compare(stream_id_of(&item), nodes->open.first) >= 0)
        return stream_rank(entries, nodes->open.first);
    if (!find_closed(nodes, stream_id_of(&item), &cursor)) return 0;
    tree_get(&cursor, &item);
    return stream_rank(entries, stream_id_of(&item));
}

uint64_t stream_nodes_below(const struct stream_nodes *nodes, const struct tree *entries,
                            struct stream_id id) {
    struct bounds bounds;
    if (!find_bounds(nodes, id, &bounds)) return 0;
    if (is_kept(&bounds, entries, id)) return stream_rank(entries, bounds.node.first);
    return bounds.open ? entries->count : stream_rank(entries, bounds.end);
}

/* ---- The radix tree ------------------------------------------------------------------------------- */

uint64_t stream_nodes_count(const struct stream_nodes *nodes) {
    return nodes->closed.count + (nodes->open.total > 0);
}

enum { KEY_BYTES = 16, WALK_MOST = 16384 };

static unsigned char byte_of(struct stream_id id, unsigned at) {
    uint64_t word = at < 8 ? id.ms : id.sequence;
    return (unsigned char)(word >> (56 - 8 * (at % 8)));
}

/* How many bytes two keys have in common. */
static unsigned common_bytes(struct stream_id a, struct stream_id b) {
    unsigned at = 0;
    while (at < KEY_BYTES && byte_of(a, at) == byte_of(b, at)) at++;
    return at;
}

/* The radix tree of keys that come in their order. Where keys part at a byte there is a node for it; the bytes between two
 * such nodes, or between one and the end of a key, are one node more, and so is the end. */
struct radix {
    uint64_t nodes;
    struct stream_id last;
    bool any;
    unsigned parted[KEY_BYTES], depth; /* the bytes at which the last key has parted from others, ascending */
};

/* A key shares `common` bytes with the last one. */
static void radix_part(struct radix *radix, unsigned common) {
    unsigned end = KEY_BYTES; /* of the piece in which that byte lies */
    while (radix->depth > 0 && radix->parted[radix->depth - 1] > common) end = radix->parted[--radix->depth];
    radix->nodes += (common + 1 < KEY_BYTES) + 1u;
    if (radix->depth > 0 && radix->parted[radix->depth - 1] == common) return;
    unsigned begin = radix->depth > 0 ? radix->parted[radix->depth - 1] + 1 : 0;
    radix->nodes += (unsigned)(common > begin) + (common + 1 < end);
    assert(radix->depth < KEY_BYTES);
    radix->parted[radix->depth++] = common;
}

static void radix_add(struct radix *radix, struct stream_id key) {
    if (radix->any)
        radix_part(radix, common_bytes(radix->last, key));
    else
        radix->nodes = 2;
    radix->any = true;
    radix->last = key;
}

uint64_t stream_nodes_radix(const struct stream_nodes *nodes) {
    struct radix radix = {.nodes = 1};
    struct tree_cursor cursor;
    uint64_t seen = 0, count = stream_nodes_count(nodes);
    bool more = nodes->closed.count > 0;
    if (more) tree_select(&cursor, &nodes->closed, 0);
    for (; more && seen < WALK_MOST; more = tree_next(&cursor), seen++) {
        struct tree_item item;
        tree_get(&cursor, &item);
        radix_add(&radix, stream_id_of(&item));
    }
    if (seen < nodes->closed.count) return radix.nodes * count / seen;
    if (nodes->open.total > 0) radix_add(&radix, nodes->open.first);
    return radix.nodes;
}
