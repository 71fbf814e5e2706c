/* Heaps: nodes find their heap by address, from any thread; accounts are exact; little address space is enough. */
#include "store/memory/heap.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

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
    struct heaps *heaps = heaps_new(HEAPS, 0);
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

static void a_full_heap_borrows_from_the_others(void) {
    struct heaps *heaps = heaps_new(2, 0);
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
    struct heaps *heaps = heaps_new(1, 0);
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
    CHECK((shared_heaps = heaps_new(3, 0)) != NULL);
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

static void a_limit_on_addresses_gives_smaller_heaps(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {0};
        limit.rlim_cur = limit.rlim_max = address_space_in_use() + (200 << 20);
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        struct heaps *heaps = heaps_new(3, 0);
        CHECK(heaps);
        void *nodes[3];
        for (unsigned i = 0; i < 3; i++) {
            CHECK((nodes[i] = node_alloc(heaps_at(heaps, i), 100)) != NULL);
            CHECK(heap_used(heaps_at(heaps, i)) == node_bytes(100));
        }
        for (unsigned i = 0; i < 3; i++) node_free(nodes[i]);
        CHECK(used_of_all(heaps, 3) == 0);
        heaps_free(heaps);
        CHECK(!heaps_new(100, 0)); /* 100 times 18 MiB are too many */
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    seed = check_seed();
    RUN(a_node_returns_to_the_heap_that_it_came_from);
    RUN(a_full_heap_borrows_from_the_others);
    RUN(empty_chunks_return_to_the_kernel);
    RUN(any_thread_may_free);
    RUN(a_limit_on_addresses_gives_smaller_heaps);
    return 0;
}
