/* command_line.c - what kevy was started with.
 *
 * Words are understood as redis-server understands them. The first is a file, unless it begins with a dash; `-` as the
 * first or the last word is standard input. A word with two dashes in front is a line of a file, or the beginning of one:
 * "--timeout 5" is whole, --timeout wants a value. What follows a name that wants a value is one, also if it begins with
 * dashes (--requirepass --s3cret); further words without dashes belong to the same line. Words in front of all names are a
 * line too: `kevy kevy.conf timeout 5`. The file comes first, then standard input, then these lines. */
#include "server/config/command_line.h"

#include <stdlib.h>

#include "server/config/config.h"
#include "server/config/config_file.h"
#include "server/config/option.h"

static const struct {
    const char *word;
    enum command_line_mode mode;
    bool first; /* only as the first word */
} modes[] = {
    {"--check-config", COMMAND_LINE_CHECK, false},
    {"--check-data", COMMAND_LINE_CHECK_DATA, true},
    {"--help", COMMAND_LINE_HELP, false},
    {"--version", COMMAND_LINE_VERSION, false},
    {"--probe", COMMAND_LINE_PROBE, false},
    {"--ping", COMMAND_LINE_PING, true},
    {"-h", COMMAND_LINE_HELP, true},
    {"-v", COMMAND_LINE_VERSION, true},
};

static enum command_line_mode mode_of(char **argv, int i) {
    for (unsigned j = 0; j < sizeof modes / sizeof modes[0]; j++)
        if ((i == 1 || !modes[j].first) && strcmp(argv[i], modes[j].word) == 0) return modes[j].mode;
    return COMMAND_LINE_SERVE;
}

/* ---- What a word is ------------------------------------------------------------------------------- */

enum part { PART_MODE, PART_FILE, PART_INPUT, PART_NAME, PART_VALUE };

/* A walk along the words. Zero-initialised but for argc and argv. */
struct walk {
    int argc;
    char **argv;
    bool begun; /* some word was no mode */
    bool owed;  /* the last name wants a value */
};

static bool has_dashes(const char *word) {
    return word[0] == '-' && word[1] == '-';
}

/* Is the name alone in its word? */
static bool is_bare(const char *word) {
    char *memory;
    struct request_args words = {0};
    bool bare = !config_file_split(bytes_of(word), &memory, &words) && words.argc == 1;
    free(memory);
    request_args_free(&words);
    return bare;
}

/* `--save` may stand without its value: there may be no lines of `save`. */
static bool may_lack_value(const struct walk *walk, int i) {
    return strcasecmp(walk->argv[i], "--save") == 0 && (i + 1 == walk->argc || has_dashes(walk->argv[i + 1]));
}

static enum part walk_on(struct walk *walk, int i) {
    const char *word = walk->argv[i];
    bool first = !walk->begun, owed = walk->owed;
    if (!owed && mode_of(walk->argv, i) != COMMAND_LINE_SERVE) return PART_MODE;
    walk->begun = true;
    if (first && word[0] != '-') return PART_FILE;
    if (strcmp(word, "-") == 0 && (first || i == walk->argc - 1)) return PART_INPUT;
    walk->owed = !owed && has_dashes(word) && is_bare(word) && !may_lack_value(walk, i);
    return !owed && has_dashes(word) ? PART_NAME : PART_VALUE;
}

enum command_line_mode command_line_mode(int argc, char **argv) {
    struct walk walk = {.argc = argc, .argv = argv};
    for (int i = 1; i < argc; i++)
        if (walk_on(&walk, i) == PART_MODE) return mode_of(argv, i);
    return COMMAND_LINE_SERVE;
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

/* A line as a file would have it, and further words of it, which are taken as they are. */
struct line {
    struct bytes text;
    char **values;
    unsigned count;
};

/* False without memory. */
static bool line_show(const struct line *line, const char *dashes, struct buffer *shown) {
    bool ok = buffer_append(shown, bytes_of(dashes), OPTION_TEXT_MAX) &&
              buffer_append(shown, line->text, OPTION_TEXT_MAX);
    for (unsigned i = 0; ok && i < line->count; i++)
        ok = (!shown->len || buffer_append(shown, BYTES(" "), OPTION_TEXT_MAX)) &&
             buffer_append(shown, bytes_of(line->values[i]), OPTION_TEXT_MAX);
    return ok;
}

static void line_load(struct config_reading *reading, const struct line *line, const char *dashes) {
    struct config_place place = {.file = "command line"};
    struct buffer shown = {0};
    struct request_args split = {0};
    char *memory;
    const char *error = config_file_split(line->text, &memory, &split);
    struct bytes *words = calloc(split.argc + line->count + 1, sizeof *words);
    if (!words || !line_show(line, dashes, &shown)) error = "too long";
    place.text = buffer_bytes(&shown);
    if (error) {
        config_error(reading->errors, &place, "%s", error);
    } else if (split.argc + line->count) {
        for (unsigned i = 0; i < split.argc; i++) words[i] = split.argv[i];
        for (unsigned i = 0; i < line->count; i++) words[split.argc + i] = bytes_of(line->values[i]);
        config_file_directive(reading, &place, words, split.argc + line->count);
    }
    free(words);
    free(memory);
    request_args_free(&split);
    buffer_free(&shown);
}

/* A name's word may hold several lines; values belong to the last. */
static void word_load(struct config_reading *reading, const char *word, char **values, unsigned count) {
    struct line line = {.text = BYTES("")};
    struct bytes rest = bytes_of(word + 2);
    while (config_file_next_line(&rest, &line.text) && rest.len) {
        if (!config_file_is_comment(line.text)) line_load(reading, &line, "--");
    }
    line.values = values;
    line.count = count;
    line_load(reading, &line, "--");
}

/* All words from the first name on, or the first that is neither file nor input. */
static void lines_load(struct config_reading *reading, int argc, char **argv) {
    static char *no_value = "";
    struct walk walk = {.argc = argc, .argv = argv};
    const char *name = NULL;
    char **values = calloc((size_t)argc, sizeof *values);
    unsigned count = 0;
    if (!values)
        config_error(reading->errors, &(struct config_place){.file = "command line"}, "out of memory");
    for (int i = 1; values && i <= argc; i++) {
        enum part part = i < argc ? walk_on(&walk, i) : PART_NAME;
        if (part == PART_VALUE) values[count++] = argv[i];
        if (part != PART_NAME) continue;
        if (name)
            word_load(reading, name, values, count);
        else if (count)
            line_load(reading, &(struct line){.text = BYTES(""), .values = values, .count = count}, "");
        name = i < argc ? argv[i] : NULL;
        count = 0;
        if (name && may_lack_value(&walk, i)) values[count++] = no_value;
    }
    free(values);
}

bool command_line_load(int argc, char **argv, struct config_errors *errors) {
    struct config_reading reading = {.errors = errors};
    unsigned before = errors->count;
    struct walk files = {.argc = argc, .argv = argv}, inputs = files;
    config_path_keep("");
    for (int i = 1; i < argc; i++)
        if (walk_on(&files, i) == PART_FILE) {
            config_file_read(&reading, argv[i]);
            config_path_keep(argv[i]);
        }
    for (int i = 1; i < argc; i++)
        if (walk_on(&inputs, i) == PART_INPUT) config_file_read(&reading, "-");
    lines_load(&reading, argc, argv);
    return errors->count == before;
}
