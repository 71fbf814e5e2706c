/* config_file.h - redis.conf's syntax: lines, words, quotes, include. For config*.c alone. */
#ifndef KEVY_SERVER_CONFIG_CONFIG_FILE_H
#define KEVY_SERVER_CONFIG_CONFIG_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "protocol/buffer.h"
#include "protocol/request.h"
#include "server/config/config_error.h"
#include "server/limits.h"

/* A reading of one or several files. Zero-initialised but for `errors`. */
struct config_reading {
    struct config_errors *errors;
    unsigned files, depth;
    struct {
        dev_t device;
        ino_t inode;
    } open[CONFIG_INCLUDE_DEPTH]; /* [0, depth): to recognise a file that includes itself */
};

/* Reads a file, or standard input for "-", and puts its options in force, line by line. */
void config_file_read(struct config_reading *reading, const char *path);
/* The same for a text; `name` is what error lines call it. */
void config_file_text(struct config_reading *reading, const char *name, struct bytes text);
/* One directive: words[0] is its name. */
void config_file_directive(struct config_reading *reading, const struct config_place *place,
                           const struct bytes *words, unsigned count);
/* Takes a UTF-8 byte order mark off the head of a file's text. */
void config_file_skip_mark(struct bytes *text);
/* Takes the next line off *rest, without its blanks at both ends. False at the end. */
bool config_file_next_line(struct bytes *rest, struct bytes *line);
/* True for blank lines and comments. */
bool config_file_is_comment(struct bytes line);
/* Splits a line into words, which lie in *memory (malloc'd, to be freed by the caller). NULL, or an error text. */
const char *config_file_split(struct bytes line, char **memory, struct request_args *words);
/* The words as the one text that option_parse reads. False without memory. */
bool config_file_join(const struct bytes *words, unsigned count, struct buffer *text);
/* The whole file, or standard input for "-"; 0 or a negative errno (EFBIG beyond CONFIG_FILE_MAX). */
int config_file_slurp(const char *path, struct buffer *text);

#endif
