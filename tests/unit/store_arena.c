/* store_arena.c - chunks are zeroed, apart, and come back; little address space is enough. */
#include "store/arena.h"

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

static void chunks_are_zeroed_also_when_they_come_back(void) {
    struct arena arena;
    CHECK(arena_init(&arena));
    for (int round = 0; round < 3; round++) {
        uint32_t chunks[100];
        for (int i = 0; i < 100; i++) {
            CHECK((chunks[i] = arena_take(&arena)) != 0);
            CHECK(all_zero(arena_chunk_at(&arena, chunks[i])));
        }
        CHECK_INT(arena.in_use, 100);
        for (int i = 0; i < 100; i++) memset(arena_chunk_at(&arena, chunks[i]), i + 1, ARENA_CHUNK_BYTES);
        for (int i = 0; i < 100; i++) {
            const char *chunk = arena_chunk_at(&arena, chunks[i]);
            CHECK(chunk[0] == i + 1 && chunk[ARENA_CHUNK_BYTES - 1] == i + 1);
            arena_give(&arena, chunks[i]);
        }
        CHECK_INT(arena.in_use, 0);
    }
    arena_free(&arena);
}

static void handles_name_addresses_and_zero_is_nobodys(void) {
    struct arena arena;
    CHECK(arena_init(&arena));
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
    CHECK(arena_init(&arena));
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
        CHECK(arena_init(&arena));
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
    RUN(chunks_are_zeroed_also_when_they_come_back);
    RUN(handles_name_addresses_and_zero_is_nobodys);
    RUN(the_limit_holds_and_is_lifted_by_what_returns);
    RUN(a_limit_on_addresses_gives_a_smaller_arena_that_fills_and_ends);
    return 0;
}
