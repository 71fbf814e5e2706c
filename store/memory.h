/* memory.h - the store's one door to malloc, so that a test can make it fail.
 *
 * Both functions are weak symbols: a test program that defines its own replaces them. */
#ifndef KEVY_STORE_MEMORY_H
#define KEVY_STORE_MEMORY_H

#include <stddef.h>

/* realloc: `old` may be NULL. NULL (and `old` intact) without memory. Released with free. */
void *memory_resize(void *old, size_t size);
/* calloc: zeroed, in untouched pages where it is large. */
void *memory_zeroed(size_t size);

#endif
