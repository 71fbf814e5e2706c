/* failing_memory.h - malloc and its kin that run out when a test says so. For programs that CMakeLists.txt
 * links with --wrap of these three. */
#ifndef KEVY_TESTS_FAILING_MEMORY_H
#define KEVY_TESTS_FAILING_MEMORY_H

#include <limits.h>
#include <stddef.h>

static unsigned memory_left = UINT_MAX; /* allocations that succeed from now on; UINT_MAX: all */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static inline int memory_there(void) {
    if (memory_left == UINT_MAX) return 1;
    return memory_left ? memory_left-- > 0 : 0;
}

void *__wrap_malloc(size_t size) {
    return memory_there() ? __real_malloc(size) : NULL;
}
void *__wrap_calloc(size_t count, size_t size) {
    return memory_there() ? __real_calloc(count, size) : NULL;
}
void *__wrap_realloc(void *old, size_t size) {
    return memory_there() ? __real_realloc(old, size) : NULL;
}

#endif
