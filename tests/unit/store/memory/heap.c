/* Heaps: nodes find their heap by address, from any thread; accounts are exact; little address space is enough. */
#include "store/memory/heap.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

/* Sanitizers take addresses of their own, when it pleases them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

static unsigned long long seed;

static uint64_t used_of_all(const struct heaps *heaps, unsigned count) {
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) bytes += heap_used(heaps_at(heaps, i));
    return bytes;
}

static void a_node_returns_to_the_heap_that_it_came_from(void) {
    enum { HEAPS = 5, NODES = 3000 };
    static void *nodes[NODES];
    static size_t sizes[NODES];
    struct heaps *heaps = heaps_new(HEAPS, false);
    uint64_t bytes[HEAPS] = {0};
    CHECK(heaps);
    for (unsigned i = 0; i < NODES; i++) {
        sizes[i] = 1 + check_random(&seed) % HEAP_NODE_MAX;
        CHECK((nodes[i] = node_alloc(heaps_at(heaps, i % HEAPS), sizes[i])) != NULL);
        CHECK((uintptr_t)nodes[i] % 8 == 0 &&
              ((uintptr_t)nodes[i] & ~(HEAP_ALIGNMENT - 1)) == (uintptr_t)heaps_at(heaps, i % HEAPS));
        memset(nodes[i], (int)i, sizes[i]);
        bytes[i % HEAPS] += node_bytes(sizes[i]);
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        CHECK(heap_used(heaps_at(heaps, i)) == bytes[i]);
        CHECK(heap_resident(heaps_at(heaps, i)) >= bytes[i]);
    }
    for (unsigned i = 0; i < NODES; i++) {
        CHECK(((unsigned char *)nodes[i])[sizes[i] - 1] == (unsigned char)i);
        node_free(nodes[i]);
        bytes[i % HEAPS] -= node_bytes(sizes[i]);
        CHECK(heap_used(heaps_at(heaps, i % HEAPS)) == bytes[i % HEAPS]);
    }
    CHECK(used_of_all(heaps, HEAPS) == 0);
    heaps_free(heaps);
}

static void what_nodes_refer_to_is_counted(void) {
    struct heaps *heaps = heaps_new(2, false);
    CHECK(heaps);
    void *nodes[2] = {node_alloc(heaps_at(heaps, 0), 100), node_alloc(heaps_at(heaps, 1), 100)};
    CHECK(nodes[0] && nodes[1] && heaps_blocks(heaps) == 0);
    uint64_t used = heaps_used(heaps);
    node_refers(nodes[0], 5000000000);
    node_refers(nodes[1], 70);
    CHECK_INT(heaps_blocks(heaps), 5000000070);
    CHECK(heaps_used(heaps) == used);
    node_refers(nodes[0], -5000000000);
    CHECK_INT(heaps_blocks(heaps), 70);
    node_refers(nodes[1], -70);
    node_free(nodes[0]);
    node_free(nodes[1]);
    CHECK(heaps_blocks(heaps) == 0 && heaps_used(heaps) == 0);
    heaps_free(heaps);
}

static void a_full_heap_borrows_from_the_others(void) {
    struct heaps *heaps = heaps_new(2, false);
    unsigned count = 0;
    static void *nodes[64];
    CHECK(heaps);
    heaps_at(heaps, 0)->slab.arena.limit = 1;
    heaps_at(heaps, 1)->slab.arena.limit = 2;
    while ((nodes[count] = node_alloc(heaps_at(heaps, 0), HEAP_NODE_MAX))) count++;
    CHECK_INT(count, 3 * ARENA_CHUNK_BYTES / HEAP_NODE_MAX);
    node_free(nodes[--count]);
    CHECK(node_alloc(heaps_at(heaps, 0), HEAP_NODE_MAX) == nodes[count]);
    for (unsigned i = 0; i <= count; i++) node_free(nodes[i]);
    CHECK(used_of_all(heaps, 2) == 0 && heap_resident(heaps_at(heaps, 1)) == 0);
    heaps_free(heaps);
}

static void empty_chunks_return_to_the_kernel(void) {
    enum { NODES = 100 };
    void *nodes[NODES];
    struct heaps *heaps = heaps_new(1, false);
    CHECK(heaps);
    for (unsigned i = 0; i < NODES; i++) CHECK((nodes[i] = node_alloc(heaps_at(heaps, 0), 8192)) != NULL);
    for (unsigned i = 0; i < NODES; i++) node_free(nodes[i]);
    unsigned calls = 1;
    while (heap_return(heaps_at(heaps, 0), 4)) calls++;
    CHECK_INT(calls, (NODES * 8192 / ARENA_CHUNK_BYTES + 4) / 4);
    heaps_free(heaps);
}

/* Threads allocate from all heaps and free what others have allocated. */
enum { THREADS = 4, ROUNDS = 20000, SHARED = 64 };
static struct heaps *shared_heaps;
static void *shared_nodes[SHARED];

static void *come_and_go(void *argument) {
    unsigned long long state = (unsigned long long)(uintptr_t)argument + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned long long random = check_random(&state);
        void *node = node_alloc(heaps_at(shared_heaps, random % 3), 8 + random / 8 % 2000);
        CHECK(node);
        memset(node, 1, 8);
        void *old = __atomic_exchange_n(&shared_nodes[random / 16384 % SHARED], node, __ATOMIC_ACQ_REL);
        if (old) node_free(old);
    }
    return NULL;
}

static void any_thread_may_free(void) {
    pthread_t threads[THREADS];
    CHECK((shared_heaps = heaps_new(3, false)) != NULL);
    for (uintptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, come_and_go, (void *)i) == 0);
    for (unsigned i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    for (unsigned i = 0; i < SHARED; i++)
        if (shared_nodes[i]) node_free(shared_nodes[i]);
    CHECK(used_of_all(shared_heaps, 3) == 0);
    heaps_free(shared_heaps);
}

static rlim_t address_space_in_use(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* In a process of its own, with so many more bytes of addresses than it has. */
static void under_a_limit(size_t bytes, void (*run)(void)) {
    int status;
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {.rlim_max = RLIM_INFINITY};
        limit.rlim_cur = address_space_in_use() + bytes;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        run();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

enum { LIMIT = 200 << 20, MOST_NODES = LIMIT / HEAP_NODE_MAX };
static void *grown[MOST_NODES];

static void fill_and_free(void) {
    rlim_t before = address_space_in_use();
    struct heaps *heaps = heaps_new(3, false); /* as many as it would like are refused */
    CHECK(heaps);
    CHECK(address_space_in_use() < before + (8 << 20)); /* nothing is taken in advance */
    for (unsigned round = 0; round < 2; round++) {
        unsigned count = 0;
        for (void *node; (node = node_alloc(heaps_at(heaps, count % 3), HEAP_NODE_MAX)); count++) {
            CHECK(count < MOST_NODES);
            grown[count] = memset(node, (int)count, HEAP_NODE_MAX);
        }
        CHECK((size_t)count * HEAP_NODE_MAX > LIMIT / 2);
        CHECK(node_alloc(heaps_at(heaps, 1), HEAP_NODE_MAX) == NULL); /* nor is a step half taken */
        CHECK(heaps_used(heaps) == (uint64_t)count * node_bytes(HEAP_NODE_MAX));
        for (unsigned i = 0; i < count; i++) {
            CHECK(((unsigned char *)grown[i])[HEAP_NODE_MAX - 1] == (unsigned char)i);
            node_free(grown[i]);
        }
        CHECK(used_of_all(heaps, 3) == 0);
    }
    heaps_free(heaps);
    CHECK(address_space_in_use() < before + (8 << 20));
}

static void limited_addresses_are_taken_as_heaps_grow(void) {
    under_a_limit(LIMIT, fill_and_free);
}

#ifndef SANITIZED
/* Room for two heads, and for nothing else. */
static void share_two_heaps(void) {
    struct heaps *heaps = heaps_new(5, true);
    CHECK(heaps && heaps_at(heaps, 0) != heaps_at(heaps, 1));
    for (unsigned i = 2; i < 5; i++) CHECK(heaps_at(heaps, i) == heaps_at(heaps, i % 2));
    CHECK(node_alloc(heaps_at(heaps, 4), 8) == NULL && heaps_used(heaps) == 0);
    heaps_free(heaps);
}

static void share_none(void) {
    CHECK(heaps_new(1, true) == NULL);
}

static void shards_share_heaps_where_there_is_room_for_few(void) {
    free(malloc(1000)); /* what malloc needs is there already */
    under_a_limit(2 * (size_t)sysconf(_SC_PAGESIZE), share_two_heaps);
    under_a_limit(0, share_none);
}
#endif

int main(void) {
    seed = check_seed();
    RUN(a_node_returns_to_the_heap_that_it_came_from);
    RUN(what_nodes_refer_to_is_counted);
    RUN(a_full_heap_borrows_from_the_others);
    RUN(empty_chunks_return_to_the_kernel);
    RUN(any_thread_may_free);
    RUN(limited_addresses_are_taken_as_heaps_grow);
#ifndef SANITIZED
    RUN(shards_share_heaps_where_there_is_room_for_few);
#endif
    return 0;
}
