/* collection_fixture.h - what tests of hashes, sets, sorted sets and lists share: a keyspace whose nodes and blocks are
 * counted, and fail when a test says so. */
#ifndef KEVY_TESTS_UNIT_STORE_TYPES_COLLECTION_FIXTURE_H
#define KEVY_TESTS_UNIT_STORE_TYPES_COLLECTION_FIXTURE_H

#include <malloc.h>

#include "store/types/collection.h"
#include "tests/check.h"

static unsigned long long seed;
static const struct hash_seed hash_seed = {{21, 22, 23, 24}};

static long nodes_live;
static unsigned fail_every; /* every n-th allocation fails while this is not 0 */
static long fail_at = -1;   /* the one that this counts down to fails, once */
static bool fail_behind;    /* and so do all behind it, until fail_at is set anew */

static unsigned random_below(unsigned n) {
    return (unsigned)(check_random(&seed) % n);
}

static bool fails(void) {
    if (fail_at == 0 && fail_behind) return true;
    if (fail_at >= 0 && fail_at-- == 0) return true;
    return fail_every && random_below(fail_every) == 0;
}

/* Each node is one of malloc's, of its exact size, so that a sanitizer sees every step beside it. */
void *node_alloc(struct heap *heap, size_t size) {
    CHECK(heap && size > 0 && size <= HEAP_NODE_MAX);
    void *node = fails() ? NULL : malloc(size);
    nodes_live += node != NULL;
    return node;
}
void node_free(void *node) {
    memset(node, 0xdd, malloc_usable_size(node));
    nodes_live--;
    free(node);
}
static int64_t bytes_referred_to; /* in blocks, by living nodes */
void node_refers(void *node, int64_t bytes) {
    CHECK(node);
    bytes_referred_to += bytes;
    CHECK(bytes_referred_to >= 0);
}
void *memory_resize(void *old, size_t size) {
    return fails() ? NULL : realloc(old, size);
}

static struct heap heap; /* of which nothing is asked but whether it has empty chunks */
static struct keyspace *ks;

static inline void begin(void) {
    ks = keyspace_new(&(struct keyspace_options){.seed = &hash_seed, .databases = 1, .heap = &heap});
    CHECK(ks);
}
/* Everything is given back. */
static inline void end(void) {
    fail_every = 0;
    keyspace_free(ks);
    CHECK_INT(nodes_live, 0);
    CHECK_INT(bytes_referred_to, 0);
}

static inline struct key key_of(const char *name) {
    return (struct key){bytes_of(name), hash_bytes(&hash_seed, bytes_of(name))};
}
static inline struct edit edit_of(const char *name, enum entry_type type) {
    struct key key = key_of(name);
    return (struct edit){.keyspace = ks, .key = key, .entry = keyspace_find(ks, 0, key), .type = type};
}

static inline struct digest digest_of(const char *name) {
    struct digest digest = {{0}};
    keyspace_digest_entry(&digest, ks, keyspace_find(ks, 0, key_of(name)));
    return digest;
}

static inline void bury_all(void) {
    while (keyspace_upkeep(ks, 1 + random_below(40))) {
    }
}

/* A text of its own for every number: most are short, some need two bytes of length, a few a block. */
enum { TEXT_MAX = 3200 };
static inline struct bytes text_of(uint32_t number, char *text) {
    size_t len = 1 + number % 19;
    if (number % 31 == 0) len = 240 + number % 300;
    if (number % 67 == 0) len = 500 + number % 1100;
    if (number == 0) len = 0;
    memset(text, (int)('a' + number % 26), TEXT_MAX);
    int head = snprintf(text, TEXT_MAX, "%u.", number);
    text[head] = 'x';
    if (len && len < (size_t)head) len = (size_t)head;
    return (struct bytes){text, len};
}

#endif
