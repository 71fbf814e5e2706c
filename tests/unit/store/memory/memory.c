/* The store's door to malloc and to mappings, as it is when no test stands in for it. */
#include "store/memory/memory.h"

#include <stdint.h>
#include <unistd.h>

#include "tests/check.h"

static void resizing_keeps_what_was_there(void) {
    char *at = memory_resize(NULL, 16);
    CHECK(at);
    memcpy(at, "0123456789abcdef", 16);
    at = memory_resize(at, 1 << 20);
    CHECK(at && memcmp(at, "0123456789abcdef", 16) == 0);
    at = memory_resize(at, 4);
    CHECK(at && memcmp(at, "0123", 4) == 0);
    free(at);
}

static void what_cannot_be_had_leaves_the_old_alone(void) {
    volatile size_t absurd = SIZE_MAX / 2; /* volatile: compilers know that malloc refuses it */
    char *at = memory_resize(NULL, 4);
    CHECK(at);
    memcpy(at, "old", 4);
    CHECK(!memory_resize(at, absurd));
    CHECK(strcmp(at, "old") == 0);
    free(at);
    CHECK(!memory_zeroed(absurd));
    CHECK(!memory_map(NULL, 0, absurd));
    char *map = memory_map(NULL, 0, 4096);
    CHECK(map);
    map[4095] = 7;
    CHECK(!memory_map(map, 4096, absurd) && map[4095] == 7);
    memory_unmap(map, 4096);
}

static void zeroed_is_zero_also_where_it_was_used_before(void) {
    enum { SIZE = 4096 };
    volatile char *used = memory_resize(NULL, SIZE); /* volatile: what is freed is written nevertheless */
    CHECK(used);
    for (int i = 0; i < SIZE; i++) used[i] = -1;
    free((void *)used);
    char *at = memory_zeroed(SIZE);
    CHECK(at);
    for (int i = 0; i < SIZE; i++) CHECK(at[i] == 0);
    free(at);
}

static void a_mapping_grows_with_zeroes_behind_it(void) {
    enum { SMALL = 1 << 20, LARGE = 64 << 20 };
    char *at = memory_map(NULL, 0, SMALL);
    CHECK(at && at[0] == 0 && at[SMALL - 1] == 0);
    at[0] = 1, at[SMALL - 1] = 2;
    at = memory_map(at, SMALL, LARGE);
    CHECK(at && at[0] == 1 && at[SMALL - 1] == 2 && at[SMALL] == 0 && at[LARGE - 1] == 0);
    memory_unmap(at, LARGE);
}

/* How many bytes of the mapping at `at` are in memory, and whether it asks for large pages. */
static size_t resident(const char *at, bool *large) {
    char line[512];
    size_t bytes = 0;
    unsigned long long begin, end;
    bool here = false;
    FILE *maps = fopen("/proc/self/smaps", "re");
    CHECK(maps);
    while (fgets(line, sizeof line, maps)) {
        if (sscanf(line, "%llx-%llx ", &begin, &end) == 2)
            here = begin <= (uintptr_t)at && (uintptr_t)at < end;
        else if (here && strncmp(line, "Rss:", 4) == 0)
            bytes = strtoull(line + 4, NULL, 10) << 10;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            *large = strstr(line, " hg");
    }
    fclose(maps);
    return bytes;
}

static void what_is_populated_is_there_and_zero(void) {
    enum { SIZE = 64 << 20, FILLED = 10 << 20 };
    bool large = false;
    char *at = memory_map(NULL, 0, SIZE);
    CHECK(at);
    memory_large_pages(at, SIZE);
    memory_populate(at, FILLED);
    size_t bytes = resident(at, &large);
    CHECK(bytes == 0 || (bytes >= FILLED && bytes <= FILLED + (2 << 20))); /* 0: before Linux 5.14 */
    CHECK(large || access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0);
    for (size_t i = 0; i < SIZE; i += 1000) CHECK(at[i] == 0);
    at = memory_map(at, SIZE, 2 * (size_t)SIZE);
    CHECK(at && at[FILLED] == 0 && at[2 * (size_t)SIZE - 1] == 0);
    memory_unmap(at, 2 * (size_t)SIZE);
}

static void any_address_may_be_prefetched(void) {
    memory_prefetch(NULL);
    memory_prefetch((const void *)UINTPTR_MAX);
    memory_prefetch_write(NULL);
    memory_prefetch_write((const void *)UINTPTR_MAX);
    static const char constant[64] = "cannot be written";
    memory_prefetch_write(constant);
    CHECK(strcmp(constant, "cannot be written") == 0);
}

int main(void) {
    RUN(resizing_keeps_what_was_there);
    RUN(what_cannot_be_had_leaves_the_old_alone);
    RUN(zeroed_is_zero_also_where_it_was_used_before);
    RUN(a_mapping_grows_with_zeroes_behind_it);
    RUN(what_is_populated_is_there_and_zero);
    RUN(any_address_may_be_prefetched);
    return 0;
}
