/* memory.c - malloc and mmap, replaceable by tests. */
#include "store/memory/memory.h"

#include <stdlib.h>
#include <sys/mman.h>

__attribute__((weak)) void *memory_resize(void *old, size_t size) {
    return realloc(old, size);
}

__attribute__((weak)) void *memory_zeroed(size_t size) {
    return calloc(1, size);
}

__attribute__((weak)) void *memory_map(void *old, size_t old_size, size_t size) {
    void *at = old ? mremap(old, old_size, size, MREMAP_MAYMOVE)
                   : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void memory_unmap(void *old, size_t size) {
    /* A hole in a mapping makes two of it, and the kernel counts them: beyond vm.max_map_count the pages go alone. */
    if (munmap(old, size) != 0) madvise(old, size, MADV_DONTNEED);
}

/* A kernel that has no large pages refuses, and nothing is lost. */
void memory_large_pages(void *at, size_t size) {
    madvise(at, size, MADV_HUGEPAGE);
}

/* Before Linux 5.14 the kernel refuses, and pages come as they are touched. */
void memory_populate(void *at, size_t size) {
#ifdef MADV_POPULATE_WRITE
    madvise(at, size, MADV_POPULATE_WRITE);
#endif
}
