/* replay.c - runs a fuzz target over stored inputs, with any compiler: replay FILE|DIRECTORY...
 *
 * The corpus so becomes part of the ordinary suite. Directories are read one level deep. No input at all is a
 * failure: a replay that looked at nothing must not pass. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

enum { INPUT_MAX = 1 << 20 }; /* bytes of one input */

static int fail(const char *path, const char *what) {
    fprintf(stderr, "replay: %s: %s\n", path, what);
    return -1;
}

/* Runs one file. The copy has the input's exact size, so that a sanitizer sees the first byte read beyond it. */
static int replay_file(const char *path) {
    static uint8_t input[INPUT_MAX + 1];
    FILE *file = fopen(path, "rb");
    if (!file) return fail(path, strerror(errno));
    size_t size = fread(input, 1, sizeof input, file);
    int failed = ferror(file);
    fclose(file);
    if (failed) return fail(path, "cannot be read");
    if (size > INPUT_MAX) return fail(path, "is too large");

    uint8_t *exact = malloc(size ? size : 1);
    if (!exact) return fail(path, "out of memory");
    memcpy(exact, input, size);
    fprintf(stderr, "replay: %s\n", path); /* first, so that a crash names its input */
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 1;
}

/* Returns how many inputs were run, or -1. */
static int replay_directory(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) return fail(path, strerror(errno));
    int count = 0;
    for (struct dirent *entry; count >= 0 && (entry = readdir(directory));) {
        char name[4096];
        if (entry->d_name[0] == '.') continue;
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        int ran = len < (int)sizeof name ? replay_file(name) : fail(path, "has too long a name in it");
        count = ran < 0 ? -1 : count + ran;
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0) return fail(argv[i], strerror(errno)), 1;
        int ran = S_ISDIR(status.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
        if (ran < 0) return 1;
        count += ran;
    }
    if (count == 0) return fail("no input", "nothing was run"), 1;
    printf("%d inputs\n", count);
    return 0;
}
