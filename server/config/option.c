/* option.c - the table of options, and what each kind of value means. */
#include "server/config/option.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/number.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/missing.h"
#include "store/keyspace.h"

static const struct option_choice choices_auto[] = {
    {"auto", CONFIG_AUTO}, {"yes", CONFIG_YES}, {"no", CONFIG_NO}, {NULL, 0}};
static const struct option_choice choices_io_mode[] = {
    {"auto", CONFIG_AUTO}, {"uring", CONFIG_URING}, {"epoll", CONFIG_EPOLL}, {NULL, 0}};
static const struct option_choice choices_shards_in_use[] = {
    {"auto", CONFIG_AUTO}, {"all", CONFIG_ALL}, {NULL, 0}};
static const struct option_choice choices_supervised[] = {
    {"systemd", CONFIG_SYSTEMD}, {"auto", CONFIG_AUTO}, {"no", CONFIG_NO}, {NULL, 0}};
static const struct option_choice choices_local[] = {
    {"no", CONFIG_NO}, {"yes", CONFIG_YES}, {"local", CONFIG_LOCAL}, {NULL, 0}};
static const struct option_choice choices_loglevel[] = {{"debug", LOG_LEVEL_DEBUG},
                                                        {"verbose", LOG_LEVEL_VERBOSE},
                                                        {"notice", LOG_LEVEL_NOTICE},
                                                        {"warning", LOG_LEVEL_WARNING},
                                                        {NULL, 0}};

static const struct option_choice choices_appendfsync[] = {
    {"everysec", CONFIG_EVERYSEC}, {"always", CONFIG_ALWAYS}, {"no", CONFIG_NO}, {NULL, 0}};
static const struct option_choice choices_shutdown[] = {
    {"default", 0},
    {"save", CONFIG_SHUTDOWN_SAVE},
    {"nosave", CONFIG_SHUTDOWN_NOSAVE},
    {"now", CONFIG_SHUTDOWN_NOW},
    {"save now", CONFIG_SHUTDOWN_SAVE | CONFIG_SHUTDOWN_NOW},
    {"nosave now", CONFIG_SHUTDOWN_NOSAVE | CONFIG_SHUTDOWN_NOW},
    {"force", CONFIG_SHUTDOWN_FORCE},
    {"save force", CONFIG_SHUTDOWN_SAVE | CONFIG_SHUTDOWN_FORCE},
    {"nosave force", CONFIG_SHUTDOWN_NOSAVE | CONFIG_SHUTDOWN_FORCE},
    {"now force", CONFIG_SHUTDOWN_NOW | CONFIG_SHUTDOWN_FORCE},
    {"save now force", CONFIG_SHUTDOWN_SAVE | CONFIG_SHUTDOWN_NOW | CONFIG_SHUTDOWN_FORCE},
    {"nosave now force", CONFIG_SHUTDOWN_NOSAVE | CONFIG_SHUTDOWN_NOW | CONFIG_SHUTDOWN_FORCE},
    {NULL, 0}};

static struct option options[] = {
#define GROUP(title, text)
#define OPTION(kind_, field_, name_, default_, when_, help_, ...)                                            \
    {.kind = OPTION_##kind_,                                                                                 \
     .name = (name_),                                                                                        \
     .standard = (default_),                                                                                 \
     .when = (when_),                                                                                        \
     .help = (help_),                                                                                        \
     .field = (void *)&config.field_,                                                                        \
     __VA_ARGS__},
#define ONLY(name_, default_, why_, ...)                                                                     \
    {.kind = OPTION_ONLY, .name = (name_), .standard = (default_), .when = ANY, .why = (why_), __VA_ARGS__},
#define NO_EFFECT(kind_, name_, default_, why_, ...)                                                         \
    {.kind = OPTION_##kind_,                                                                                 \
     .name = (name_),                                                                                        \
     .standard = (default_),                                                                                 \
     .when = ANY,                                                                                            \
     .why = (why_),                                                                                          \
     .no_effect = true,                                                                                      \
     __VA_ARGS__},
#include "server/config/options.def"
#undef GROUP
#undef OPTION
#undef ONLY
#undef NO_EFFECT
};

_Static_assert((int)MAX_DATABASES <= (int)KEYSPACE_MAX_DATABASES, "a keyspace has as many");

enum { OPTION_COUNT = sizeof(options) / sizeof(options[0]) };

unsigned option_count(void) {
    return OPTION_COUNT;
}

struct option *option_at(unsigned i) {
    assert(i < OPTION_COUNT);
    return &options[i];
}

const char *option_name(const struct option *option, unsigned i) {
    if (i == 0) return option->name;
    if (i == 1) return option->alias ? option->alias : option->later;
    return i == 2 && option->alias ? option->later : NULL;
}

struct option *option_find(struct bytes name) {
    const char *known;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        for (unsigned j = 0; (known = option_name(&options[i], j)); j++)
            if (bytes_equal_nocase(name, bytes_of(known))) return &options[i];
    return NULL;
}

/* ---- The nearest name ----------------------------------------------------------------------------- */

enum { NAME_MAX_LEN = 64 };

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Levenshtein distance: single bytes inserted, removed or replaced. One row of the table is kept. */
static unsigned name_distance(struct bytes a, struct bytes b) {
    unsigned row[NAME_MAX_LEN + 1];
    assert(b.len <= NAME_MAX_LEN);
    for (unsigned j = 0; j <= b.len; j++) row[j] = j;
    for (unsigned i = 0; i < a.len; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned j = 0; j < b.len; j++) {
            unsigned replaced = diagonal + (byte_lower(a.data[i]) != byte_lower(b.data[j]));
            diagonal = row[j + 1];
            row[j + 1] = least(replaced, least(row[j], diagonal) + 1);
        }
    }
    return row[b.len];
}

const char *option_nearest(struct bytes name) {
    if (name.len > NAME_MAX_LEN) return NULL;
    const char *nearest = NULL;
    unsigned best = (unsigned)name.len / 3 + 2; /* so many bytes wrong is another word */
    const char *known;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        for (unsigned j = 0; (known = option_name(&options[i], j)); j++) {
            unsigned distance = name_distance(name, bytes_of(known));
            if (distance >= best) continue;
            best = distance;
            nearest = known;
        }
    return nearest;
}

/* What may be wrong with a name that is meant. Short ones are words of everyday language, which stand in paths too. */
enum { SHORT_NAME = 8 };

static bool resembles(struct bytes word, struct bytes secret, bool *longer) {
    *longer = false;
    if (secret.len < SHORT_NAME) return word.len <= secret.len + 1 && name_distance(word, secret) <= 1;
    if (word.len > secret.len && bytes_equal_nocase((struct bytes){word.data, secret.len}, secret)) {
        *longer = true;
        return true;
    }
    if (word.len <= secret.len + 2 && name_distance(word, secret) <= 2) return true;
    for (size_t len = secret.len - 2; len <= secret.len + 2 && len < word.len; len++)
        if (name_distance((struct bytes){word.data, len}, secret) <= 2) {
            *longer = true;
            return true;
        }
    return false;
}

bool option_resembles_secret(struct bytes word, const char **name) {
    bool longer;
    const char *known;
    *name = NULL;
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        for (unsigned j = 0; options[i].secret && (known = option_name(&options[i], j)); j++)
            if (resembles(word, bytes_of(known), &longer)) {
                *name = longer ? known : NULL;
                return true;
            }
    return false;
}

bool option_takes_words(const struct option *option) {
    return option->kind == OPTION_WORDS || option->kind == OPTION_LIMITS || option->kind == OPTION_ONLY ||
           option->kind == OPTION_SAVES || option->several;
}

/* ---- Words within a text -------------------------------------------------------------------------- */

/* The next word of *rest, which is separated by spaces; false at the end. */
static bool next_word(struct bytes *rest, struct bytes *word) {
    while (rest->len && *rest->data == ' ') rest->data++, rest->len--;
    if (!rest->len) return false;
    const char *end = memchr(rest->data, ' ', rest->len);
    word->data = rest->data;
    word->len = end ? (size_t)(end - rest->data) : rest->len;
    rest->data += word->len;
    rest->len -= word->len;
    return true;
}

static bool fail(char error[OPTION_ERROR_MAX], const char *text) {
    snprintf(error, OPTION_ERROR_MAX, "%s", text);
    return false;
}

/* The text as option.h says that secrets are kept. NULL without memory. */
static char *secret_copy(struct bytes secret) {
    char *kept = malloc(2 * secret.len + 1), *at = kept;
    if (!kept) return NULL;
    for (size_t i = 0; i < secret.len; i++) {
        bool marked = secret.data[i] == '\0' || secret.data[i] == SECRET_MARK;
        if (marked) *at++ = SECRET_MARK;
        *at++ = secret.data[i] == '\0' ? SECRET_NUL : secret.data[i];
    }
    *at = '\0';
    return kept;
}

static bool parse_secret(struct bytes text, char **copy, char error[OPTION_ERROR_MAX]) {
    if (text.len > OPTION_TEXT_MAX) return fail(error, "argument is too long");
    *copy = secret_copy(text);
    return *copy ? true : fail(error, "out of memory");
}

static bool text_copy(struct bytes text, char **copy, char error[OPTION_ERROR_MAX]) {
    if (text.len && memchr(text.data, '\0', text.len)) return fail(error, "argument holds a NUL byte");
    if (text.len > OPTION_TEXT_MAX) return fail(error, "argument is too long");
    *copy = strndup(text.len ? text.data : "", text.len);
    return *copy ? true : fail(error, "out of memory");
}

/* ---- Text to value, kind by kind ------------------------------------------------------------------ */

static bool parse_bool(struct bytes text, int64_t *number, char error[OPTION_ERROR_MAX]) {
    bool yes = bytes_is(text, "yes");
    if (!yes && !bytes_is(text, "no")) return fail(error, "argument must be 'yes' or 'no'");
    *number = yes;
    return true;
}

static bool parse_octal(struct bytes text, int64_t *number) {
    if (text.len == 0 || text.len > 7) return false;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '7') return false;
        value = value * 8 + (text.data[i] - '0');
    }
    *number = value;
    return true;
}

/* Sizes go up to INT64_MAX, as Redis's do. */
static bool parse_memory(struct bytes text, int64_t *number) {
    uint64_t bytes;
    if (!number_parse_memory(text, &bytes) || bytes > INT64_MAX) return false;
    *number = (int64_t)bytes;
    return true;
}

/* Is each word of the text among those? */
static bool words_are_among(struct bytes text, struct bytes words) {
    struct bytes word, other;
    while (next_word(&text, &word)) {
        struct bytes rest = words;
        bool found = false;
        while (!found && next_word(&rest, &other)) found = bytes_equal_nocase(word, other);
        if (!found) return false;
    }
    return true;
}

/* The same words in any order. */
static bool same_words(struct bytes text, struct bytes name) {
    return words_are_among(text, name) && words_are_among(name, text);
}

static bool parse_choice(const struct option *option, struct bytes text, int64_t *number,
                         char error[OPTION_ERROR_MAX]) {
    for (const struct option_choice *choice = option->choices; choice->name; choice++) {
        bool same = option->several ? same_words(text, bytes_of(choice->name))
                                    : bytes_equal_nocase(text, bytes_of(choice->name));
        if (!same) continue;
        *number = choice->value;
        return true;
    }

    int len = snprintf(error, OPTION_ERROR_MAX, "argument(s) must be one of the following:");
    for (const struct option_choice *choice = option->choices; choice->name; choice++)
        len += snprintf(error + len, (size_t)(OPTION_ERROR_MAX - len), "%s %s",
                        choice == option->choices ? "" : ",", choice->name);
    return false;
}

static bool parse_events(struct bytes text, int64_t *number, char error[OPTION_ERROR_MAX]) {
    static const char letters[] = NOTIFY_LETTERS;
    int64_t events = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *letter = memchr(letters, text.data[i], sizeof letters - 1);
        if (!letter && text.data[i] != 'A')
            return fail(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        events |= letter ? (int64_t)1 << (letter - letters) : NOTIFY_ALL;
    }
    *number = events;
    return true;
}

/* A row without effect need not say what its bounds are. */
static bool is_bounded(const struct option *option) {
    return !option->no_effect || option->min || option->max;
}

static bool refuse_bounds(const struct option *option, char error[OPTION_ERROR_MAX]) {
    long long min = option->min, max = is_bounded(option) ? option->max : INT64_MAX;
    if (option->kind == OPTION_OCTAL)
        snprintf(error, OPTION_ERROR_MAX, "argument must be between %llo and %llo inclusive",
                 (unsigned long long)min, (unsigned long long)max);
    else
        snprintf(error, OPTION_ERROR_MAX, "argument must be between %lld and %lld inclusive", min, max);
    return false;
}

static bool in_bounds(const struct option *option, int64_t value, char error[OPTION_ERROR_MAX]) {
    if (!is_bounded(option) || (value >= option->min && value <= option->max)) return true;
    return refuse_bounds(option, error);
}

static bool parse_number(const struct option *option, struct bytes text, int64_t *number,
                         char error[OPTION_ERROR_MAX]) {
    int64_t value = 0;
    uint64_t bytes = 0;
    if (option->kind == OPTION_NUMBER && !number_parse_i64(text, &value))
        return fail(error, "argument couldn't be parsed into an integer");
    if (option->kind == OPTION_OCTAL && !parse_octal(text, &value))
        return fail(error, "argument couldn't be parsed as an octal number");
    if (option->kind == OPTION_MEMORY && !number_parse_memory(text, &bytes))
        return fail(error, "argument must be a memory value");
    if (bytes > INT64_MAX) return refuse_bounds(option, error);
    if (option->kind == OPTION_MEMORY) value = (int64_t)bytes;
    if (!in_bounds(option, value, error)) return false;
    *number = value;
    return true;
}

/* Brings the words to single spaces between them. */
static bool parse_words(struct bytes text, char **joined, char error[OPTION_ERROR_MAX]) {
    if (!text_copy(text, joined, error)) return false;
    struct bytes rest = text, word;
    size_t len = 0;
    unsigned count = 0;
    while (next_word(&rest, &word)) {
        if (len) (*joined)[len++] = ' ';
        memcpy(*joined + len, word.data, word.len);
        len += word.len;
        count++;
    }
    (*joined)[len] = '\0';
    if (count <= CONFIG_BIND_MAX) return true;
    free(*joined);
    return fail(error, "Too many bind addresses specified.");
}

static bool append(struct buffer *out, const char *text);

/* What stands before the first space; *more: there is something behind it, if only nothing. */
static struct bytes cut_at_space(struct bytes *rest, bool *more) {
    const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    struct bytes word = {rest->data, space ? (size_t)(space - rest->data) : rest->len};
    *more = space != NULL;
    if (space) rest->data = space + 1, rest->len -= word.len + 1;
    while (word.len > 1 && *word.data == '0') word.data++, word.len--; /* as in 010 */
    return word;
}

/* Pairs of seconds and changes. As in Redis there is one space between two numbers, and none besides. */
static bool parse_saves(struct bytes text, char **joined, char error[OPTION_ERROR_MAX]) {
    struct bytes rest = text;
    struct buffer points = {0};
    unsigned count = 0;
    bool ok = true, good = true, more = text.len > 0;
    for (; ok && good && more; count++) {
        char digits[NUMBER_I64_MAX_LEN];
        int64_t number;
        good = number_parse_i64(cut_at_space(&rest, &more), &number) && number >= (count % 2 == 0);
        if (!good) break;
        struct bytes shown = {digits, number_format_i64(digits, number)};
        ok = (count == 0 || append(&points, " ")) && buffer_append(&points, shown, OPTION_TEXT_MAX);
    }
    good = good && count % 2 == 0 && count <= 2 * CONFIG_SAVE_POINTS_MAX;
    if (ok && good && buffer_append(&points, (struct bytes){"", 1}, OPTION_TEXT_MAX)) {
        *joined = points.data;
        return true;
    }
    buffer_free(&points);
    return fail(error, good ? "out of memory" : "Invalid save parameters");
}

bool option_value_add(struct option_value *value, const struct option_value *earlier) {
    struct buffer joined = {0};
    if (!*earlier->text || !*value->text) return true;
    if (!append(&joined, earlier->text) || !append(&joined, " ") || !append(&joined, value->text) ||
        !buffer_append(&joined, (struct bytes){"", 1}, OPTION_TEXT_MAX)) {
        buffer_free(&joined);
        return false;
    }
    free(value->text);
    value->text = joined.data;
    return true;
}

static bool limit_class(struct bytes name, unsigned *class) {
    if (bytes_is(name, "normal"))
        *class = OUTPUT_LIMIT_NORMAL;
    else if (bytes_is(name, "slave") || bytes_is(name, "replica"))
        *class = OUTPUT_LIMIT_REPLICA;
    else if (bytes_is(name, "pubsub"))
        *class = OUTPUT_LIMIT_PUBSUB;
    else
        return false;
    return true;
}

/* "normal 0 0 0 replica 256mb 64mb 60": groups of class, hard limit, soft limit, seconds. */
static bool parse_limits(struct bytes text, int64_t limits[OUTPUT_LIMIT_CLASSES][3],
                         char error[OPTION_ERROR_MAX]) {
    int64_t parsed[OUTPUT_LIMIT_CLASSES][3];
    memcpy(parsed, limits, sizeof parsed);
    struct bytes rest = text, name, hard, soft, seconds;
    unsigned class;
    while (next_word(&rest, &name)) {
        if (!next_word(&rest, &hard) || !next_word(&rest, &soft) || !next_word(&rest, &seconds))
            return fail(error, "Wrong number of arguments in buffer limit configuration.");
        if (!limit_class(name, &class))
            return fail(error, "Invalid client class specified in buffer limit configuration.");
        int64_t *limit = parsed[class];
        if (!parse_memory(hard, &limit[0]) || !parse_memory(soft, &limit[1]) ||
            !number_parse_i64(seconds, &limit[2]) || limit[2] < 0 || limit[2] > INT32_MAX)
            return fail(error, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    memcpy(limits, parsed, sizeof parsed);
    return true;
}

/* Two spellings of one value: 64mb and 67108864. */
static bool same_value(struct bytes a, struct bytes b) {
    uint64_t size_a, size_b;
    if (number_parse_memory(a, &size_a) && number_parse_memory(b, &size_b)) return size_a == size_b;
    return bytes_equal_nocase(a, b);
}

/* The next of "a|b|c", false at the end of it. */
static bool next_also(const char **also, struct bytes *value) {
    if (!*also) return false;
    const char *bar = strchr(*also, '|');
    *value = bar ? (struct bytes){*also, (size_t)(bar - *also)} : bytes_of(*also);
    *also = bar ? bar + 1 : NULL;
    return true;
}

static bool refuse_only(const struct option *option, char error[OPTION_ERROR_MAX]) {
    int len = snprintf(error, OPTION_ERROR_MAX, "kevy %s", option->why);
    if (!option->standard) return false;
    struct bytes value;
    len += snprintf(error + len, (size_t)(OPTION_ERROR_MAX - len), "; only '%s'", option->standard);
    for (const char *also = option->also; next_also(&also, &value) && len < OPTION_ERROR_MAX;)
        len +=
            snprintf(error + len, (size_t)(OPTION_ERROR_MAX - len), " or '%.*s'", (int)value.len, value.data);
    if (len < OPTION_ERROR_MAX) snprintf(error + len, (size_t)(OPTION_ERROR_MAX - len), " is accepted");
    return false;
}

static bool refuse_one_of(const struct option *option, char error[OPTION_ERROR_MAX]) {
    int len =
        snprintf(error, OPTION_ERROR_MAX, "argument(s) must be one of the following: %s", option->standard);
    struct bytes value;
    for (const char *also = option->also; next_also(&also, &value) && len < OPTION_ERROR_MAX;)
        len += snprintf(error + len, (size_t)(OPTION_ERROR_MAX - len), ", %.*s", (int)value.len, value.data);
    return false;
}

/* The default, or one of those in .also, as the row spells it. */
static bool parse_listed(const struct option *option, struct bytes text, char **accepted,
                         char error[OPTION_ERROR_MAX]) {
    if (option->standard && same_value(text, bytes_of(option->standard)))
        return text_copy(bytes_of(option->standard), accepted, error);
    struct bytes value;
    for (const char *also = option->also; next_also(&also, &value);)
        if (same_value(text, value)) return text_copy(value, accepted, error);
    return option->kind == OPTION_ONE_OF ? refuse_one_of(option, error) : refuse_only(option, error);
}

static bool parse(const struct option *option, struct bytes text, struct option_value *value,
                  char error[OPTION_ERROR_MAX]) {
    switch (option->kind) {
    case OPTION_BOOL: return parse_bool(text, &value->number, error);
    case OPTION_NUMBER:
    case OPTION_OCTAL:
    case OPTION_MEMORY: return parse_number(option, text, &value->number, error);
    case OPTION_CHOICE: return parse_choice(option, text, &value->number, error);
    case OPTION_EVENTS: return parse_events(text, &value->number, error);
    case OPTION_TEXT:
    case OPTION_LOCKED:
        return option->secret ? parse_secret(text, &value->text, error)
                              : text_copy(text, &value->text, error);
    case OPTION_WORDS: return parse_words(text, &value->text, error);
    case OPTION_SAVES: return parse_saves(text, &value->text, error);
    case OPTION_LIMITS: return parse_limits(text, value->limits, error);
    case OPTION_ONE_OF:
    case OPTION_ONLY: return parse_listed(option, text, &value->text, error);
    }
    assert(!"a kind without a parser");
    return false;
}

/* What the row objects to, or NULL; then the text is spelled as the row would have it. */
static const char *check(const struct option *option, char **text) {
    const char *objection = option->check ? option->check(*text) : NULL;
    if (objection || !option->spell) return objection;
    char *spelled = option->spell(*text);
    if (!spelled) return "out of memory";
    free(*text);
    *text = spelled;
    return NULL;
}

bool option_parse(const struct option *option, struct bytes text, struct option_value *value,
                  char error[OPTION_ERROR_MAX]) {
    struct option_value parsed = *value;
    parsed.text = NULL;
    if (!parse(option, text, &parsed, error)) return false;
    const char *objection = check(option, &parsed.text);
    if (objection) {
        option_value_free(&parsed);
        return fail(error, objection);
    }
    option_value_free(value);
    *value = parsed;
    return true;
}

/* ---- Value to text -------------------------------------------------------------------------------- */

static bool append(struct buffer *out, const char *text) {
    return buffer_append(out, bytes_of(text), OPTION_TEXT_MAX);
}

static bool append_secret(struct buffer *out, const char *kept) {
    bool ok = true;
    while (ok && *kept) {
        char byte = secret_next(&kept);
        ok = buffer_append(out, (struct bytes){&byte, 1}, OPTION_TEXT_MAX);
    }
    return ok;
}

static bool append_number(struct buffer *out, int64_t number) {
    char digits[NUMBER_I64_MAX_LEN];
    return buffer_append(out, (struct bytes){digits, number_format_i64(digits, number)}, OPTION_TEXT_MAX);
}

static bool append_octal(struct buffer *out, int64_t number) {
    char digits[24];
    snprintf(digits, sizeof digits, "%llo", (unsigned long long)number);
    return append(out, digits);
}

static bool append_choice(struct buffer *out, const struct option_choice *choice, int64_t number) {
    while (choice->name && choice->value != number) choice++;
    assert(choice->name);
    return append(out, choice->name);
}

/* Where all are asked for, n is not shown, as in Redis: so CONFIG REWRITE forgets it. */
static bool append_events(struct buffer *out, int64_t events) {
    bool all = (events & NOTIFY_ALL) == NOTIFY_ALL, ok = !all || append(out, "A");
    if (all) events &= ~(int64_t)(NOTIFY_ALL | NOTIFY_NEW);
    for (const char *letter = NOTIFY_LETTERS; *letter && ok; letter++, events >>= 1)
        if (events & 1) ok = buffer_append(out, (struct bytes){letter, 1}, OPTION_TEXT_MAX);
    return ok;
}

static bool append_limits(struct buffer *out, const int64_t limits[OUTPUT_LIMIT_CLASSES][3]) {
    static const char *const names[OUTPUT_LIMIT_CLASSES] = {"normal", "slave", "pubsub"};
    bool ok = true;
    for (unsigned class = 0; class < OUTPUT_LIMIT_CLASSES; class ++) {
        ok = ok && (class == 0 || append(out, " ")) && append(out, names[class]);
        for (unsigned i = 0; i < 3; i++) ok = ok && append(out, " ") && append_number(out, limits[class][i]);
    }
    return ok;
}

bool option_format(const struct option *option, const struct option_value *value, struct buffer *out) {
    switch (option->kind) {
    case OPTION_BOOL: return append(out, value->number ? "yes" : "no");
    case OPTION_NUMBER:
    case OPTION_MEMORY: return append_number(out, value->number);
    case OPTION_OCTAL: return append_octal(out, value->number);
    case OPTION_CHOICE: return append_choice(out, option->choices, value->number);
    case OPTION_EVENTS: return append_events(out, value->number);
    case OPTION_TEXT:
    case OPTION_LOCKED: return option->secret ? append_secret(out, value->text) : append(out, value->text);
    case OPTION_WORDS:
    case OPTION_SAVES:
    case OPTION_ONE_OF:
    case OPTION_ONLY: return append(out, value->text);
    case OPTION_LIMITS: return append_limits(out, value->limits);
    }
    assert(!"a kind without a format");
    return false;
}

/* ---- Value to field and back ---------------------------------------------------------------------- */

static void store_limits(struct config_output_limit *fields, int64_t limits[OUTPUT_LIMIT_CLASSES][3]) {
    for (unsigned class = 0; class < OUTPUT_LIMIT_CLASSES; class ++) {
        fields[class].hard = limits[class][0];
        fields[class].soft = limits[class][1];
        fields[class].soft_seconds = limits[class][2];
    }
}

/* bind's words lie in one allocation, which bind[0] owns. */
static void store_bind(char *text) {
    if (config.bind_count) free(config.bind[0]);
    config.bind_count = 0;
    if (!*text)
        free(text);
    else {
        config.bind[config.bind_count++] = text;
        for (char *space = text; (space = strchr(space, ' '));) {
            *space++ = '\0';
            config.bind[config.bind_count++] = space;
        }
    }
}

static _Atomic int64_t *number_field(const struct option *option) {
    return option->field ? option->field : (_Atomic int64_t *)&option->own_number;
}

static char **text_field(const struct option *option) {
    return option->field ? option->field : (char **)&option->own_text;
}

void option_store(struct option *option, struct option_value *value) {
    switch (option->kind) {
    case OPTION_BOOL:
    case OPTION_NUMBER:
    case OPTION_OCTAL:
    case OPTION_MEMORY:
    case OPTION_CHOICE:
    case OPTION_EVENTS: *number_field(option) = value->number; break;
    case OPTION_TEXT:
    case OPTION_LOCKED:
    case OPTION_SAVES:
    case OPTION_ONE_OF:
    case OPTION_ONLY:
        free(*text_field(option));
        *text_field(option) = value->text;
        break;
    case OPTION_WORDS: store_bind(value->text); break;
    case OPTION_LIMITS: store_limits(option->field, value->limits); break;
    }
    value->text = NULL;
    if (option->changed) option->changed();
}

static void current_limits(const struct config_output_limit *fields,
                           int64_t limits[OUTPUT_LIMIT_CLASSES][3]) {
    for (unsigned class = 0; class < OUTPUT_LIMIT_CLASSES; class ++) {
        limits[class][0] = fields[class].hard;
        limits[class][1] = fields[class].soft;
        limits[class][2] = fields[class].soft_seconds;
    }
}

static char *current_bind(void) {
    struct buffer joined = {0};
    bool ok = true;
    for (unsigned i = 0; i < config.bind_count; i++)
        ok = ok && (i == 0 || append(&joined, " ")) && append(&joined, config.bind[i]);
    if (ok && buffer_append(&joined, (struct bytes){"", 1}, OPTION_TEXT_MAX)) return joined.data;
    buffer_free(&joined);
    return NULL;
}

bool option_current(const struct option *option, struct option_value *value) {
    *value = (struct option_value){0};
    switch (option->kind) {
    case OPTION_BOOL:
    case OPTION_NUMBER:
    case OPTION_OCTAL:
    case OPTION_MEMORY:
    case OPTION_CHOICE:
    case OPTION_EVENTS: value->number = *number_field(option); return true;
    case OPTION_LIMITS: current_limits(option->field, value->limits); return true;
    case OPTION_WORDS: return (value->text = current_bind()) != NULL;
    case OPTION_TEXT:
    case OPTION_LOCKED:
    case OPTION_SAVES:
    case OPTION_ONE_OF:
    case OPTION_ONLY: return !option->standard || (value->text = strdup(*text_field(option))) != NULL;
    }
    assert(!"a kind that cannot be read");
    return false;
}

bool option_value_equal(const struct option *option, const struct option_value *a,
                        const struct option_value *b) {
    switch (option->kind) {
    case OPTION_LIMITS: return memcmp(a->limits, b->limits, sizeof a->limits) == 0;
    case OPTION_TEXT:
    case OPTION_LOCKED:
    case OPTION_SAVES:
    case OPTION_WORDS:
    case OPTION_ONE_OF:
    case OPTION_ONLY: return strcmp(a->text, b->text) == 0;
    default: return a->number == b->number;
    }
}

void option_value_free(struct option_value *value) {
    free(value->text);
    value->text = NULL;
}
