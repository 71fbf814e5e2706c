/* config_fixture.h - what tests of options share: a directory for files, starting over with a text or a command
 * line, CONFIG GET and SET as texts. A program begins with CHECK(mkdtemp(dir)) and ends with dir_remove(). */
#ifndef KEVY_TESTS_CONFIG_FIXTURE_H
#define KEVY_TESTS_CONFIG_FIXTURE_H

#include <stdarg.h>

#include "server/config/command_line.h"
#include "server/config/config.h"
#include "server/config/config_file.h"
#include "server/config/option.h"
#include "server/log.h"
#include "tests/check.h"

static char dir[] = "/tmp/kevy-config-XXXXXX";
static struct config_errors errors;

static inline const char *errors_text(void) {
    CHECK(buffer_append(&errors.lines, (struct bytes){"", 1}, SIZE_MAX));
    errors.lines.len--;
    return errors.lines.data;
}

static inline void errors_forget(void) {
    errors.lines.len = errors.count = 0;
}

/* Loads a text over what is in force, as a file of that name. */
static inline bool load_bytes(const char *name, struct bytes text) {
    struct config_reading reading = {.errors = &errors};
    errors_forget();
    config_file_text(&reading, name, text);
    CHECK(!errors.count == !errors.lines.len); /* never refused without a reason */
    return !errors.count;
}

/* Loads a text over the defaults. */
static inline bool load(const char *text) {
    config_defaults();
    return load_bytes("test.conf", bytes_of(text));
}

static inline void check_load(const char *text) {
    if (load(text)) return;
    fprintf(stderr, "refused: %s\n%s", text, errors_text());
    exit(1);
}

static inline void check_refused(const char *text, const char *expected) {
    CHECK(!load(text));
    CHECK_BYTES(bytes_of(errors_text()), bytes_of(expected));
}

/* Starts over with a command line: words up to NULL. */
static inline bool start(char **words) {
    int argc = 0;
    while (words[argc]) argc++;
    errors_forget();
    config_defaults();
    return command_line_load(argc, words, &errors);
}
#define START_WITH(...) start((char *[]){"kevy", __VA_ARGS__, NULL})

static inline const char *in_dir(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static inline const char *file_write(const char *name, struct bytes text) {
    const char *path = in_dir(name);
    FILE *out = fopen(path, "w");
    CHECK(out && fwrite(text.data, 1, text.len, out) == text.len && fclose(out) == 0);
    return path;
}

/* The path of a file of the tree; KEVY_TREE comes from tests/CMakeLists.txt. */
#define IN_TREE(name) (KEVY_TREE "/" name)

static inline const char *file_text(const char *path) {
    static char text[1 << 16];
    FILE *in = fopen(path, "r");
    CHECK(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    return text;
}

static uint32_t pairs_noted, pairs_expected;

static inline void note_count(void *out, uint32_t matches) {
    (void)out;
    pairs_expected = matches;
}

static inline void note_pair(void *out, struct bytes name, struct bytes value) {
    pairs_noted++;
    CHECK(buffer_append(out, name, SIZE_MAX) && buffer_append(out, BYTES("="), SIZE_MAX));
    CHECK(buffer_append(out, value, SIZE_MAX) && buffer_append(out, BYTES("\n"), SIZE_MAX));
}

/* CONFIG GET of blank-separated patterns, as "name=value\n" lines in static memory. */
static inline const char *get(const char *patterns) {
    static struct buffer out;
    struct bytes words[8];
    uint32_t count = 0;
    for (const char *at = patterns; *at; at += strspn(at, " ")) {
        words[count++] = (struct bytes){at, strcspn(at, " ")};
        at += words[count - 1].len;
    }
    out.len = pairs_noted = 0;
    CHECK(config_get(words, count, note_count, note_pair, &out));
    CHECK(buffer_append(&out, (struct bytes){"", 1}, SIZE_MAX));
    CHECK_INT(pairs_noted, pairs_expected);
    return out.data;
}
#define CHECK_GET(patterns, expected) CHECK_BYTES(bytes_of(get(patterns)), bytes_of(expected))

/* CONFIG SET: "" or the error. */
static inline const char *set(const char *first, ...) {
    static char error[CONFIG_ERROR_MAX];
    struct bytes pairs[16];
    uint32_t count = 0;
    va_list rest;
    va_start(rest, first);
    for (const char *word = first; word; word = va_arg(rest, const char *)) pairs[count++] = bytes_of(word);
    va_end(rest);
    return config_set(pairs, count / 2, (struct config_follower){0}, error) ? "" : error;
}
#define CHECK_SET(expected, ...) CHECK_BYTES(bytes_of(set(__VA_ARGS__, NULL)), bytes_of(expected))

/* Ends the directory and what is in it; main's result. */
static inline int dir_remove(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command) != 0;
}

#endif
