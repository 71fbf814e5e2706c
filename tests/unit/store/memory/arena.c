/* arena.c - chunks are zeroed, apart, and come back; little address space is enough. */
#include "store/memory/arena.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/check.h"

static bool all_zero(const char *chunk) {
    for (size_t i = 0; i < ARENA_CHUNK_BYTES; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, chunk + i, sizeof word);
        if (word) return false;
    }
    return true;
}

/* The first chunk that was ever given out. */
static uint32_t description_end(const struct arena *arena) {
    return arena->capacity - arena->limit;
}

static uint32_t take(struct arena *arena, bool zeroed) {
    return zeroed ? arena_take_zeroed(arena) : arena_take(arena);
}

static void chunks_are_apart_and_zeroed_where_it_is_promised(void) {
    struct arena arena;
    CHECK(arena_init(&arena, 0));
    for (int round = 0; round < 8; round++) {
        uint32_t chunks[100];
        bool zeroed = round % 2;
        for (int i = 0; i < 100; i++) {
            CHECK((chunks[i] = take(&arena, zeroed)) != 0);
            if (zeroed || round == 0) CHECK(all_zero(arena_chunk_at(&arena, chunks[i])));
        }
        CHECK_INT(arena.in_use, 100);
        for (int i = 0; i < 100; i++) memset(arena_chunk_at(&arena, chunks[i]), i + 1, ARENA_CHUNK_BYTES);
        for (int i = 0; i < 100; i++) {
            const char *chunk = arena_chunk_at(&arena, chunks[i]);
            CHECK(chunk[0] == i + 1 && chunk[ARENA_CHUNK_BYTES - 1] == i + 1);
            arena_give(&arena, chunks[i]);
        }
        CHECK_INT(arena.in_use, 0);
        if (round > 2) CHECK(arena_return(&arena, 50)); /* half of them */
    }
    CHECK(arena.fresh - description_end(&arena) == 100); /* none was lost */
    arena_free(&arena);
}

static void pages_go_back_to_the_kernel_a_bounded_number_at_a_time(void) {
    struct arena arena;
    uint32_t chunks[10];
    unsigned char resident[ARENA_CHUNK_BYTES / 4096];
    CHECK(arena_init(&arena, 0));
    for (int i = 0; i < 10; i++) {
        CHECK((chunks[i] = arena_take(&arena)) != 0);
        memset(arena_chunk_at(&arena, chunks[i]), 1, ARENA_CHUNK_BYTES);
    }
    for (int i = 0; i < 10; i++) arena_give(&arena, chunks[i]);
    for (unsigned left = 10; left > 0; left -= 2) {
        unsigned count = 0;
        for (int i = 0; i < 10; i++) {
            CHECK(mincore(arena_chunk_at(&arena, chunks[i]), ARENA_CHUNK_BYTES, resident) == 0);
            count += resident[0] & 1;
        }
        CHECK_INT(count, left);
        CHECK_INT(arena_return(&arena, 2), left > 2);
    }
    CHECK(!arena_return(&arena, 2));
    arena_free(&arena);
}

static void handles_name_addresses_and_zero_is_nobodys(void) {
    struct arena arena;
    CHECK(arena_init(&arena, 0));
    uint32_t chunk = arena_take(&arena);
    for (uint32_t offset = 0; offset < ARENA_CHUNK_BYTES; offset += 8) {
        char *object = (char *)arena_chunk_at(&arena, chunk) + offset;
        uint32_t handle = arena_handle(&arena, object);
        CHECK(handle != 0 && arena_at(&arena, handle) == object);
        CHECK_INT(handle / ARENA_CHUNK_UNITS, chunk);
    }
    arena_free(&arena);
}

static void the_limit_holds_and_is_lifted_by_what_returns(void) {
    struct arena arena;
    CHECK(arena_init(&arena, 0));
    arena.limit = 2;
    uint32_t a = arena_take(&arena), b = arena_take(&arena);
    CHECK(a && b && arena_take(&arena) == 0);
    arena_give(&arena, a);
    CHECK(arena_take(&arena) == a && arena_take(&arena) == 0);
    arena_free(&arena);
}

static rlim_t address_space_in_use(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void a_limit_on_addresses_gives_a_smaller_arena_that_fills_and_ends(void) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit limit = {0};
        limit.rlim_cur = limit.rlim_max = address_space_in_use() + (200 << 20);
        struct arena arena;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        CHECK(arena_init(&arena, 0));
        CHECK(arena.capacity < 1u << 19 && arena.capacity >= 256);
        uint32_t taken = 0;
        for (uint32_t chunk; (chunk = arena_take(&arena)); taken++)
            *(char *)arena_chunk_at(&arena, chunk) = 1;
        CHECK_INT(taken, arena.limit);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void) {
    RUN(chunks_are_apart_and_zeroed_where_it_is_promised);
    RUN(pages_go_back_to_the_kernel_a_bounded_number_at_a_time);
    RUN(handles_name_addresses_and_zero_is_nobodys);
    RUN(the_limit_holds_and_is_lifted_by_what_returns);
    RUN(a_limit_on_addresses_gives_a_smaller_arena_that_fills_and_ends);
    return 0;
}
