/* config_set.c - the options as a whole: their defaults, CONFIG GET and CONFIG SET. */
#include "server/config/config.h"

#include <stdlib.h>

#include "protocol/glob.h"
#include "protocol/reply.h"
#include "server/config/option.h"
#include "server/log.h"

void config_defaults(void) {
    for (unsigned i = 0; i < option_count(); i++) {
        struct option *option = option_at(i);
        struct option_value value = {0};
        char error[OPTION_ERROR_MAX];
        option->set = option->begun = false;
        if (!option->standard) continue;
        if (!option_parse(option, bytes_of(option->standard), &value, error)) {
            fprintf(stderr, "kevy: default of '%s': %s\n", option->name, error); /* no memory, or a bad row */
            exit(1);
        }
        option_store(option, &value);
    }
}

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

/* One of an option's names, and what to call it in a reply: as the client wrote it, unless by a glob. */
struct match {
    const struct option *option;
    const char *name;
    bool hidden;        /* matched by itself alone, not by a glob */
    struct bytes shown; /* no data: nothing has matched it */
};

static uint32_t list_names(struct match *names) {
    uint32_t count = 0;
    const char *name;
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        if (!option->standard) continue;
        for (unsigned j = 0; (name = option_name(option, j)); j++)
            names[count++] = (struct match){option, name, .hidden = option->hidden || name == option->later};
    }
    return count;
}

/* Notes which of the names this pattern matches, of those that none before it has. False without memory. */
static bool match_names(struct bytes pattern, struct match *names, uint32_t count) {
    struct glob glob = {0};
    bool literal = !memchr(pattern.data, '*', pattern.len) && !memchr(pattern.data, '?', pattern.len) &&
                   !memchr(pattern.data, '[', pattern.len);
    if (!literal && !glob_compile(&glob, pattern, true)) return false;
    for (uint32_t i = 0; i < count; i++) {
        struct bytes name = bytes_of(names[i].name);
        if (names[i].shown.data || (names[i].hidden && !literal)) continue;
        if (literal ? bytes_equal_nocase(name, pattern) : glob_matches(&glob, name))
            names[i].shown = literal ? pattern : name;
    }
    glob_free(&glob);
    return true;
}

static void show(const struct match *match, config_found *found, void *context) {
    struct option_value value = {0};
    struct buffer text = {0};
    bool ok = option_current(match->option, &value) && option_format(match->option, &value, &text);
    found(context, match->shown, ok ? buffer_bytes(&text) : BYTES(""));
    option_value_free(&value);
    buffer_free(&text);
}

bool config_get(const struct bytes *patterns, uint32_t count, config_counted *counted, config_found *found,
                void *context) {
    struct match *names = malloc(OPTION_NAMES * option_count() * sizeof(*names));
    uint32_t name_count = names ? list_names(names) : 0, matches = 0;
    bool ok = names != NULL;
    for (uint32_t i = 0; i < count && ok; i++) ok = match_names(patterns[i], names, name_count);
    if (ok) {
        for (uint32_t i = 0; i < name_count; i++) matches += names[i].shown.data != NULL;
        counted(context, matches);
        config_lock();
        for (uint32_t i = 0; i < name_count; i++)
            if (names[i].shown.data) show(&names[i], found, context);
        config_unlock();
    }
    free(names);
    return ok;
}

/* ---- What has no effect --------------------------------------------------------------------------- */

enum { LINE_MAX_LEN = 512 };

/* The directive, with its value unless that is secret, and why it has no effect. */
static void effect_line(const struct option *option, char line[LINE_MAX_LEN]) {
    struct option_value value = {0};
    struct buffer text = {0};
    bool shown = !option->secret && option_current(option, &value) && option_format(option, &value, &text);
    snprintf(line, LINE_MAX_LEN, "%s %.*s: no effect: kevy %s", option->name, shown ? (int)text.len : 3,
             shown ? (text.len ? text.data : "") : "...", option->why);
    option_value_free(&value);
    buffer_free(&text);
}

static bool is_standard(const struct option *option) {
    struct option_value standard = {0}, is = {0};
    char error[OPTION_ERROR_MAX];
    bool same = option_parse(option, bytes_of(option->standard), &standard, error) &&
                option_current(option, &is) && option_value_equal(option, &standard, &is);
    option_value_free(&standard);
    option_value_free(&is);
    return same;
}

void config_without_effect(void (*tell)(void *context, const char *line), void *context) {
    char line[LINE_MAX_LEN];
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        if (!option->no_effect || is_standard(option)) continue;
        effect_line(option, line);
        tell(context, line);
    }
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

struct change {
    struct option *option;
    struct option_value value, before;
    bool was_set;
    struct bytes name; /* as the client wrote it */
};

static bool set_failed(char error[CONFIG_ERROR_MAX], struct bytes name, const char *why) {
    snprintf(error, CONFIG_ERROR_MAX, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
             reply_name(name), name.data, why);
    return false;
}

/* Whether the named options exist and may be changed, each name once: an option that has two names may be named by both,
 * and the later value stays, as in Redis. Redis asks this of all pairs before it looks at values. */
static bool changes_find(const struct bytes *pairs, uint32_t count, struct change *changes,
                         char error[CONFIG_ERROR_MAX]) {
    for (uint32_t i = 0; i < count; i++) {
        struct bytes name = pairs[2 * i];
        struct option *option = option_find(name);
        if (!option) {
            snprintf(error, CONFIG_ERROR_MAX,
                     "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                     name.len < CONFIG_ERROR_MAX ? (int)name.len : CONFIG_ERROR_MAX, name.data);
            return false;
        }
        if (option->when == START || option->fixed)
            return set_failed(error, name, "can't set immutable config");
        if (option->when == PROTECTED) return set_failed(error, name, "can't set protected config");
        for (uint32_t j = 0; j < i; j++)
            if (bytes_equal_nocase(changes[j].name, name))
                return set_failed(error, name, "duplicate parameter");
        changes[i] = (struct change){.option = option, .name = name};
    }
    return true;
}

static bool changes_parse(const struct bytes *pairs, uint32_t count, struct change *changes,
                          char error[CONFIG_ERROR_MAX]) {
    for (uint32_t i = 0; i < count; i++) {
        struct change *change = &changes[i];
        char why[OPTION_ERROR_MAX] = "out of memory";
        change->was_set = change->option->set;
        bool ok =
            option_current(change->option, &change->before) &&
            option_current(change->option, &change->value) &&
            option_parse(change->option, pairs[2 * i + 1], &change->value, why) &&
            (!change->option->prepare || change->option->prepare(change->value.number, why, sizeof why));
        if (!ok) return set_failed(error, change->name, why);
    }
    return true;
}

static void change_store(struct change *change) {
    char line[LINE_MAX_LEN];
    change->option->set = true;
    option_store(change->option, &change->value);
    if (!change->option->no_effect || is_standard(change->option)) return;
    effect_line(change->option, line);
    log_notice("%s", line);
}

static void change_undo(struct change *change) {
    change->option->set = change->was_set;
    option_store(change->option, &change->before);
}

static void changes_free(struct change *changes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        option_value_free(&changes[i].value);
        option_value_free(&changes[i].before);
    }
    free(changes);
}

bool config_set(const struct bytes *pairs, uint32_t count, struct config_follower follower,
                char error[CONFIG_ERROR_MAX]) {
    /* A list longer than all names has a duplicate or an unknown one among the first, one more than these. */
    uint32_t names = OPTION_NAMES * option_count(), most = count < names ? count : names + 1;
    struct change *changes = calloc(most + 1, sizeof *changes);
    if (!changes) return set_failed(error, pairs[0], "out of memory");
    bool ok = changes_find(pairs, most, changes, error);
    config_lock();
    ok = ok && changes_parse(pairs, count, changes, error);
    for (uint32_t i = 0; ok && i < most; i++) change_store(&changes[i]);
    config_unlock();
    if (ok && follower.follow && !follower.follow(follower.context, error)) {
        ok = false;
        config_lock();
        for (uint32_t i = most; i > 0; i--) change_undo(&changes[i - 1]);
        config_unlock();
    }
    changes_free(changes, most);
    return ok;
}
