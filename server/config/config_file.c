/* config_file.c - redis.conf's syntax.
 *
 * A line is a directive, a comment or blank; a directive is words as request_split_line splits them. Later
 * lines override earlier ones. `include` reads another file in its place; its paths are relative to the
 * working directory, as Redis's are, and `*`, `?` and `[` in them name any number of files, also none. Lines of
 * `rename-command` are kept for later. An error does not end the reading: all are told. */
#include "server/config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config/option.h"
#include "server/config/renames.h"

/* ---- Lines and words ------------------------------------------------------------------------------ */

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

void config_file_skip_mark(struct bytes *text) {
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    if (text->len < sizeof mark || memcmp(text->data, mark, sizeof mark) != 0) return;
    text->data += sizeof mark;
    text->len -= sizeof mark;
}

bool config_file_next_line(struct bytes *rest, struct bytes *line) {
    if (!rest->len) return false;
    const char *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len, used = end ? len + 1 : len;
    *line = (struct bytes){rest->data, len};
    while (line->len && is_blank(line->data[line->len - 1])) line->len--;
    while (line->len && is_blank(*line->data)) line->data++, line->len--;
    rest->data += used;
    rest->len -= used;
    return true;
}

bool config_file_is_comment(struct bytes line) {
    return line.len == 0 || *line.data == '#';
}

const char *config_file_split(struct bytes line, char **memory, struct request_args *words) {
    *memory = NULL;
    if (line.len > CONFIG_LINE_MAX) return "line is too long";
    if (memchr(line.data, '\0', line.len)) return "line holds a NUL byte";
    *memory = malloc(line.len + 1);
    if (!*memory) return "out of memory";
    return request_split_line(line, *memory, words) ? NULL : "unbalanced quotes";
}

bool config_file_join(const struct bytes *words, unsigned count, struct buffer *text) {
    bool ok = true;
    for (unsigned i = 0; i < count && ok; i++)
        ok = (i == 0 || buffer_append(text, BYTES(" "), OPTION_TEXT_MAX)) &&
             buffer_append(text, words[i], OPTION_TEXT_MAX);
    return ok;
}

/* ---- Directives ----------------------------------------------------------------------------------- */

static void directive_unknown(struct config_reading *reading, const struct config_place *place,
                              struct bytes name) {
    const char *nearest = option_nearest(name);
    if (nearest)
        config_error(reading->errors, place, "unknown directive; did you mean '%s'?", nearest);
    else
        config_error(reading->errors, place, "unknown directive");
}

/* Lines of `save` add to each other: the first one of all takes the place of the default, and an empty one of all before. */
static bool joins(struct option *option, struct option_value *value) {
    struct option_value earlier;
    if (option->kind != OPTION_SAVES) return true;
    bool adds = option->begun;
    option->begun = true;
    if (!adds) return true;
    bool ok = option_current(option, &earlier) && option_value_add(value, &earlier);
    option_value_free(&earlier);
    return ok;
}

static void directive_set(struct config_reading *reading, const struct config_place *place,
                          struct option *option, struct bytes text) {
    char error[OPTION_ERROR_MAX] = "out of memory";
    struct option_value value;
    if (option_current(option, &value) && option_parse(option, text, &value, error) && joins(option, &value))
        option_store(option, &value);
    else {
        option_value_free(&value);
        config_error(reading->errors, place, "%s", error);
    }
}

static void include(struct config_reading *reading, const struct config_place *place, struct bytes pattern);

void config_file_directive(struct config_reading *reading, const struct config_place *place,
                           const struct bytes *words, unsigned count) {
    if (bytes_is(words[0], "include")) {
        if (count == 2)
            include(reading, place, words[1]);
        else
            config_error(reading->errors, place, "wrong number of arguments");
        return;
    }
    if (bytes_is(words[0], "rename-command")) {
        if (count != 3)
            config_error(reading->errors, place, "wrong number of arguments");
        else if (!config_rename_keep(&(struct config_rename){*place, words[1], words[2]}))
            config_error(reading->errors, place, "out of memory");
        return;
    }
    struct option *option = option_find(words[0]);
    if (!option) {
        directive_unknown(reading, place, words[0]);
        return;
    }
    /* A list may be empty where nothing is a list: `bind`. */
    bool fits = count == 2 || (option_takes_words(option) && (count > 2 || option->kind != OPTION_LIMITS));
    if (!fits) {
        config_error(reading->errors, place, "wrong number of arguments");
        return;
    }
    struct buffer text = {0};
    if (config_file_join(words + 1, count - 1, &text))
        directive_set(reading, place, option, buffer_bytes(&text));
    else
        config_error(reading->errors, place, "argument is too long");
    buffer_free(&text);
}

void config_file_text(struct config_reading *reading, const char *name, struct bytes text) {
    struct config_place place = {.file = name};
    struct request_args words = {0};
    config_file_skip_mark(&text);
    while (config_file_next_line(&text, &place.text)) {
        place.line++;
        if (config_file_is_comment(place.text)) continue;
        char *memory;
        const char *error = config_file_split(place.text, &memory, &words);
        if (error)
            config_error(reading->errors, &place, "%s", error);
        else if (words.argc)
            config_file_directive(reading, &place, words.argv, words.argc);
        free(memory);
    }
    request_args_free(&words);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static int read_all(int fd, struct buffer *text) {
    for (;;) {
        if (!buffer_reserve(text, 1, CONFIG_FILE_MAX)) return text->len == CONFIG_FILE_MAX ? -EFBIG : -ENOMEM;
        ssize_t n = read(fd, text->data + text->len, text->capacity - text->len);
        if (n == 0) return 0;
        if (n > 0)
            text->len += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
}

int config_file_slurp(const char *path, struct buffer *text) {
    if (strcmp(path, "-") == 0) return read_all(STDIN_FILENO, text);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -errno;
    int result = read_all(fd, text);
    close(fd);
    return result;
}

/* Notes the file as open. False if it is already, or if this goes too deep. Standard input is no file to
 * come back to. */
static const char *file_enter(struct config_reading *reading, const char *path) {
    struct stat stat_of = {0};
    bool known = strcmp(path, "-") != 0 && stat(path, &stat_of) == 0;
    if (reading->depth == CONFIG_INCLUDE_DEPTH) return "files include each other too deeply";
    if (reading->files == CONFIG_INCLUDE_FILES) return "too many files are included";
    for (unsigned i = 0; known && i < reading->depth; i++)
        if (reading->open[i].device == stat_of.st_dev && reading->open[i].inode == stat_of.st_ino)
            return "the file includes itself";
    reading->open[reading->depth].device = stat_of.st_dev;
    reading->open[reading->depth].inode = stat_of.st_ino;
    reading->depth++;
    reading->files++;
    return NULL;
}

/* `place` is the include line, or NULL for the file that kevy was started with. */
static void file_read(struct config_reading *reading, const char *path, const struct config_place *place) {
    struct config_place itself = {.file = strcmp(path, "-") == 0 ? "standard input" : path};
    struct config_place asked = {.file = "command line", .text = bytes_of(path)};
    const char *error = file_enter(reading, path);
    if (error) {
        config_error(reading->errors, place ? place : &itself, "%s", error);
        return;
    }
    struct buffer text = {0};
    int result = config_file_slurp(path, &text);
    if (result == 0)
        config_file_text(reading, itself.file, buffer_bytes(&text));
    else if (place)
        config_error(reading->errors, place, "can't read %s: %s", path, strerror(-result));
    else
        config_error(reading->errors, &asked, "can't read: %s", strerror(-result));
    buffer_free(&text);
    reading->depth--;
}

void config_file_read(struct config_reading *reading, const char *path) {
    file_read(reading, path, NULL);
}

static void include_glob(struct config_reading *reading, const struct config_place *place,
                         const char *pattern) {
    glob_t found;
    int result = glob(pattern, 0, NULL, &found);
    if (result == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) file_read(reading, found.gl_pathv[i], place);
        globfree(&found);
    } else if (result != GLOB_NOMATCH) {
        config_error(reading->errors, place, "can't look for the files");
    }
}

static void include(struct config_reading *reading, const struct config_place *place, struct bytes pattern) {
    char path[PATH_MAX];
    if (pattern.len == 0 || pattern.len >= sizeof path || memchr(pattern.data, '\0', pattern.len)) {
        config_error(reading->errors, place, "not a path");
        return;
    }
    memcpy(path, pattern.data, pattern.len);
    path[pattern.len] = '\0';
    if (strpbrk(path, "*?["))
        include_glob(reading, place, path);
    else
        file_read(reading, path, place);
}
