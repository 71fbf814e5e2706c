/* control_file.h - a file that a test maps too (lib/control_file.py), to tell a program what to do while that runs,
 * and read what it did. */
#ifndef KEVY_TESTS_CONTROL_FILE_H
#define KEVY_TESTS_CONTROL_FILE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Maps the first `size` bytes of the file that the environment variable names, until the process ends. NULL without such a
 * variable; if the file cannot be mapped the process ends. */
static inline void *control_file_map(const char *variable, size_t size) {
    const char *path = getenv(variable);
    if (!path) return NULL;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        perror(path);
        abort();
    }
    close(fd);
    return at;
}

#endif
