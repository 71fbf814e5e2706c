/* command_line.c - what kevy was started with. */
#include "server/config/command_line.h"

#include <stdlib.h>

#include "server/config/config.h"
#include "server/config/config_file.h"

static const struct {
    const char *word;
    enum command_line_mode mode;
    bool first; /* only as the first word: it may also be a value */
} modes[] = {
    {"--check-config", COMMAND_LINE_CHECK, false},
    {"--help", COMMAND_LINE_HELP, false},
    {"--version", COMMAND_LINE_VERSION, false},
    {"--probe", COMMAND_LINE_PROBE, false},
    {"-h", COMMAND_LINE_HELP, true},
    {"-v", COMMAND_LINE_VERSION, true},
};

static enum command_line_mode mode_of(char **argv, int i) {
    for (unsigned j = 0; j < sizeof modes / sizeof modes[0]; j++)
        if ((i == 1 || !modes[j].first) && strcmp(argv[i], modes[j].word) == 0) return modes[j].mode;
    return COMMAND_LINE_SERVE;
}

enum command_line_mode command_line_mode(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (mode_of(argv, i) != COMMAND_LINE_SERVE) return mode_of(argv, i);
    return COMMAND_LINE_SERVE;
}

static bool is_name(const char *word) {
    return word[0] == '-' && word[1] == '-' && word[2] != '\0';
}

/* Reads the file and keeps its absolute path, for CONFIG REWRITE after `dir` was entered. */
static void load_file(struct config_reading *reading, const char *path) {
    config_file_read(reading, path);
    if (strcmp(path, "-") != 0) config_path_keep(path);
}

/* "--name value ...": words[0] is the name. */
static void load_option(struct config_reading *reading, char **words, int count) {
    struct buffer line = {0};
    struct bytes *list = calloc((size_t)count, sizeof *list);
    struct config_place place = {.file = "command line"};
    for (int i = 0; list && i < count; i++) list[i] = bytes_of(words[i]);
    if (list && config_file_join(list, (unsigned)count, &line)) {
        place.text = buffer_bytes(&line);
        list[0].data += 2, list[0].len -= 2;
        config_file_directive(reading, &place, list, (unsigned)count);
    } else {
        config_error(reading->errors, &place, "too long");
    }
    buffer_free(&line);
    free(list);
}

bool command_line_load(int argc, char **argv, struct config_errors *errors) {
    struct config_reading reading = {.errors = errors};
    unsigned before = errors->count;
    bool file_seen = false;
    config_path_keep("");
    for (int i = 1, end; i < argc; i = end) {
        end = i + 1;
        if (mode_of(argv, i) != COMMAND_LINE_SERVE) continue;
        if (is_name(argv[i])) {
            while (end < argc && !is_name(argv[end])) end++;
            load_option(&reading, argv + i, end - i);
            file_seen = true; /* a file comes first, so that options override it */
        } else if (!file_seen) {
            load_file(&reading, argv[i]);
            file_seen = true;
        } else {
            struct config_place place = {.file = "command line", .text = bytes_of(argv[i])};
            config_error(errors, &place, "neither a file before all options, nor an option");
        }
    }
    return errors->count == before;
}
