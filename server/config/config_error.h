/* config_error.h - what is wrong with a configuration, told line by line, all at once, and without a secret. */
#ifndef KEVY_SERVER_CONFIG_CONFIG_ERROR_H
#define KEVY_SERVER_CONFIG_CONFIG_ERROR_H

#include "protocol/buffer.h"
#include "protocol/bytes.h"
#include "server/limits.h"

/* Zero-initialised is empty. */
struct config_errors {
    struct buffer lines; /* "kevy.conf:12: 'maxclients abc': ...\n" and so on */
    unsigned count;
};

/* Where a directive stands. */
struct config_place {
    const char *file;  /* or "command line" */
    unsigned line;     /* 0: none */
    struct bytes text; /* as written; empty: nothing to show */
};

/* Appends "file:line: 'text': message". Of the text at most 100 bytes are shown, and nothing behind a word that means or
 * resembles a directive with a secret. */
void config_error(struct config_errors *errors, const struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void config_errors_free(struct config_errors *errors);

#endif
