/* child.h - what a process says that a test has started. */
#ifndef KEVY_TESTS_CHILD_H
#define KEVY_TESTS_CHILD_H

#include <unistd.h>

#include "tests/check.h"

/* In the child: both streams go to the pipe. */
static inline void child_speaks(const int ends[2]) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
}

/* In the parent: all that comes until nobody holds the other end any more, as a text. Closes this one. */
static inline void child_heard(int out, char *told, size_t size) {
    size_t len = 0;
    for (ssize_t n; (n = read(out, told + len, size - 1 - len)) > 0;) len += (size_t)n;
    told[len] = '\0';
    close(out);
}

#endif
