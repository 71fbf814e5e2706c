/* heap.h - memory for the nodes of large values: a heap for each shard, in one reservation of addresses.
 *
 * An object may move to a stripe whose lock its allocator does not hold (RENAME), and may be freed by a thread that holds
 * none (a snapshot's), so nodes do not lie in the stripes' slabs. They are named by plain pointers. A heap is a slab with a
 * lock of its own, which is taken last in the order of all locks, for a few instructions, and nothing is taken under it.
 *
 * Every heap begins at a multiple of HEAP_ALIGNMENT, so that a node's address says whose it is:
 *
 *     | struct heap, one page |    | the arena of its slab: descriptions, chunks ...
 *     0                            2 MiB                                                        HEAP_ALIGNMENT
 *
 * All of these addresses are reserved at once. Where they are limited (RLIMIT_AS) or so many are refused (valgrind), heaps
 * lie apart and take addresses as they grow; and where there are fewer places for heaps than shards, some shards share one.
 *
 * Invariants:
 *   1. A node belongs to the heap at its address rounded down, whoever allocated it.
 *   2. What the nodes of a heap take is its slab's used_bytes; it is 0 when all are free.
 *   3. `blocks` is what the blocks take that nodes of the heap refer to, each once for every node that does. */
#ifndef KEVY_STORE_MEMORY_HEAP_H
#define KEVY_STORE_MEMORY_HEAP_H

#include "store/memory/slab.h"

enum { HEAPS_MAX = 256, HEAP_NODE_MAX = SLAB_MAX };
#define HEAP_ALIGNMENT ((size_t)1 << 35)

struct heaps;

struct heap {
    uint32_t lock;  /* futex: 0 free, 1 held, 2 held and waited for */
    uint32_t empty; /* atomic: some chunks have pages and no nodes */
    struct heaps *all;
    uint64_t blocks;  /* atomic: bytes that lie apart from the nodes */
    struct slab slab; /* under the lock */
};

/* Heaps for so many shards (1 to HEAPS_MAX). Sparing: addresses are limited, and no more are taken than are used. NULL
 * where the addresses or the memory for them cannot be had. */
struct heaps *heaps_new(unsigned count, bool sparing);
/* All nodes go with it. NULL: nothing. */
void heaps_free(struct heaps *heaps);
/* Are all addresses that they may ever need reserved? */
bool heaps_reserved(const struct heaps *heaps);
/* The heap of this shard. */
struct heap *heaps_at(const struct heaps *heaps, unsigned shard);

/* A node of 1 to HEAP_NODE_MAX bytes, 8-byte aligned and not cleared. It comes from this heap, or from another when
 * this one has no room. NULL without memory. Tests replace this and node_free. */
void *node_alloc(struct heap *heap, size_t size);
/* From any thread. */
void node_free(void *node);
/* The node refers to blocks that take so many bytes more, or, below 0, fewer; before it is freed, to none. From any thread.
 * Tests replace it too. */
void node_refers(void *node, int64_t bytes);

/* The bytes that a node of this size takes. */
static inline size_t node_bytes(size_t size) {
    return slab_class_size(slab_class(size));
}

/* Bytes that the heap's nodes take, rounding included; and those of the chunks in which they lie. */
uint64_t heap_used(struct heap *heap);
uint64_t heap_resident(struct heap *heap);
/* Of all of them together. */
uint64_t heaps_used(const struct heaps *heaps);
uint64_t heaps_resident(const struct heaps *heaps);
/* Bytes of the blocks that the nodes of all of them refer to. */
uint64_t heaps_blocks(const struct heaps *heaps);
/* Are there chunks without nodes, whose pages could be returned? As it was when the lock was last given back. */
static inline bool heap_has_empty(const struct heap *heap) {
    return __atomic_load_n(&heap->empty, __ATOMIC_RELAXED);
}
/* Returns the pages of at most so many empty chunks to the kernel. True while there are more. */
bool heap_return(struct heap *heap, unsigned chunks);

#endif
