/* memory.c - malloc, replaceable by tests. */
#include "store/memory.h"

#include <stdlib.h>

__attribute__((weak)) void *memory_resize(void *old, size_t size) {
    return realloc(old, size);
}

__attribute__((weak)) void *memory_zeroed(size_t size) {
    return calloc(1, size);
}
