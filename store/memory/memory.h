/* memory.h - the store's one door to malloc and to mappings, so that a test can make them fail; and to prefetching.
 *
 * memory_resize, memory_zeroed and memory_map are weak symbols: a test program that defines its own replaces them. */
#ifndef KEVY_STORE_MEMORY_MEMORY_H
#define KEVY_STORE_MEMORY_MEMORY_H

#include <stddef.h>

/* realloc: `old` may be NULL. NULL (and `old` intact) without memory. Released with free. */
void *memory_resize(void *old, size_t size);
/* calloc: zeroed, in untouched pages where it is large. */
void *memory_zeroed(size_t size);

/* Pages of their own for `size` bytes: new ones, zero and untouched, or (with `old`) those of old's
 * `old_size` bytes, wherever they are then, and zero ones behind. NULL (and `old` intact) without memory.
 * Released with memory_unmap. */
void *memory_map(void *old, size_t old_size, size_t size);
void memory_unmap(void *old, size_t size);
/* Large pages would do for this mapping: of those there are far fewer to make and to find. */
void memory_large_pages(void *at, size_t size);
/* Makes the pages of these bytes, which are about to be written, in one go. */
void memory_populate(void *at, size_t size);

/* Asks for a cache line that will be needed soon; any address does. The empty asm has a meaning: GCC 12 takes
 * a function that does nothing but __builtin_prefetch for one without effects, and deletes the calls. */
static inline void memory_prefetch(const void *at) {
    __builtin_prefetch(at);
    __asm__ volatile("");
}
/* The same for a line that is about to be written: it becomes this CPU's own, and the write need not wait until the
 * others have let go of it. For x86-64 in general, compilers make a plain prefetch of __builtin_prefetch(at, 1); every such
 * processor knows this instruction, or does nothing for it. */
static inline void memory_prefetch_write(const void *at) {
#ifdef __x86_64__
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
    __builtin_prefetch(at, 1);
    __asm__ volatile("");
#endif
}

#endif
