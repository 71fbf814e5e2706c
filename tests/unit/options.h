/* options.h - options for a test, from a text with a file's syntax. */
#ifndef KEVY_TESTS_OPTIONS_H
#define KEVY_TESTS_OPTIONS_H

#include "server/config/config.h"
#include "server/config/config_file.h"
#include "tests/check.h"

/* Puts them in force over what is; every line must be right. */
static inline void options_set(const char *text) {
    struct config_errors errors = {0};
    struct config_reading reading = {.errors = &errors};
    config_file_text(&reading, "test", bytes_of(text));
    if (!errors.count) return;
    fprintf(stderr, "%.*s", (int)errors.lines.len, errors.lines.data);
    exit(1);
}

#endif
