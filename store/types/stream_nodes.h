/* stream_nodes.h - where Redis would have parted a stream into nodes.
 *
 * Redis keeps the entries of a stream in nodes, listpacks of about 100 entries or 4 KiB each. Trimming with `~` takes whole
 * nodes out, and XINFO STREAM tells how many there are. Entries lie in another tree here, so that of Redis's nodes only
 * their first numbers are kept, beside what decides when a node is full: about 0.2 bytes an entry. How many entries of a
 * node are left, the ranks in the tree of entries tell; and where its last entries have been deleted, the highest number of
 * these is kept, because Redis goes by it when it trims by numbers.
 *
 * It is an account and no more: where memory for it runs out two nodes are taken for one, or an empty one stays. */
#ifndef KEVY_STORE_TYPES_STREAM_NODES_H
#define KEVY_STORE_TYPES_STREAM_NODES_H

#include "store/types/stream_entry.h"
#include "store/values/tree_change.h"

/* Where a node is full: stream-node-max-bytes and stream-node-max-entries; 0: never. And how the next one begins. */
struct stream_node_limits {
    uint64_t bytes, entries;
    const struct stream_id *begin; /* the number of a node that is made, or NULL: its first entry's */
};

struct stream_node {
    /* Its number, from which entries are counted: as a rule that of the first one, there or deleted. */
    struct stream_id first;
    uint32_t bytes; /* of Redis's listpack, without its two counts */
    uint32_t total; /* entries, deleted ones included; 0: there is no such node */
    uint8_t number; /* of the first entry's list of fields (stream_entry.h), or 0 */
    struct stream_id
        deleted; /* the highest number that was deleted behind all entries that are left; 0-0: none was */
};

struct stream_nodes {
    struct tree closed; /* TREE_STREAM: the nodes but the last */
    struct stream_node open;
    uint64_t open_live; /* entries of the last one that are there */
};

static inline struct stream_nodes stream_nodes_empty(void) {
    return (struct stream_nodes){.closed = tree_empty(TREE_STREAM)};
}

/* An entry that has been put behind all others. */
struct stream_added {
    struct stream_id id;
    const struct stream_pairs *pairs;
    unsigned number; /* of its list of fields, or 0 */
};
void stream_nodes_add(struct stream_nodes *nodes, const struct tree_context *context,
                      const struct stream_added *added, const struct stream_node_limits *limits);
/* The entry with this number has been deleted; `entries` are those that are left. */
void stream_nodes_delete(struct stream_nodes *nodes, const struct tree_context *context,
                         const struct tree *entries, struct stream_id id);
/* Entries have been taken from the front. Nodes that had numbers from `from` on stay, though nothing may be left in them:
 * so it is in Redis when it trims by numbers. STREAM_ID_MAX: those stay in which entries are left. */
void stream_nodes_trim(struct stream_nodes *nodes, const struct tree_context *context,
                       const struct tree *entries, struct stream_id from);

/* How many entries may go from the front as whole nodes: `most` at most. */
uint64_t stream_nodes_whole(const struct stream_nodes *nodes, const struct tree *entries, uint64_t most);
/* How many entries lie in whole nodes whose numbers are all below `id`, also those of deleted entries. */
uint64_t stream_nodes_below(const struct stream_nodes *nodes, const struct tree *entries,
                            struct stream_id id);

/* The closed node at this place, or, behind all of them, the last one. */
struct stream_node stream_nodes_at(const struct stream_nodes *nodes, uint64_t place);
/* How many nodes there are, and how many Redis's radix tree has for them. That takes a walk over them: of very many, the
 * first stand for all. */
uint64_t stream_nodes_count(const struct stream_nodes *nodes);
uint64_t stream_nodes_radix(const struct stream_nodes *nodes);

/* The entry of a tree that is not below a number: as tree_lower_bound. */
bool stream_seek(struct tree_cursor *cursor, const struct tree *tree, struct stream_id id);
/* How many entries are below it. */
uint64_t stream_rank(const struct tree *tree, struct stream_id id);

static inline struct stream_id stream_id_of(const struct tree_item *item) {
    return (struct stream_id){item->key.high, item->key.low};
}
static inline struct tree_key stream_key(struct stream_id id) {
    return (struct tree_key){id.ms, id.sequence};
}

#endif
