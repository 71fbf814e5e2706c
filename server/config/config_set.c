/* config_set.c - the options as a whole: their defaults, CONFIG GET and CONFIG SET. */
#include "server/config/config.h"

#include <stdlib.h>

#include "protocol/glob.h"
#include "protocol/reply.h"
#include "server/config/option.h"

void config_defaults(void) {
    for (unsigned i = 0; i < option_count(); i++) {
        struct option *option = option_at(i);
        struct option_value value = {0};
        char error[OPTION_ERROR_MAX];
        option->set = false;
        if (!option->standard) continue;
        if (!option_parse(option, bytes_of(option->standard), &value, error)) {
            fprintf(stderr, "kevy: default of '%s': %s\n", option->name, error); /* no memory, or a bad row */
            exit(1);
        }
        option_store(option, &value);
    }
}

/* ---- CONFIG GET ----------------------------------------------------------------------------------- */

/* The name to reply with, if a pattern matches: as the client wrote it, unless by a pattern. */
static bool name_matches(const struct bytes *patterns, uint32_t count, const char *name,
                         struct bytes *shown) {
    for (uint32_t i = 0; i < count; i++) {
        if (!glob_match(patterns[i], bytes_of(name), true)) continue;
        bool literal = !memchr(patterns[i].data, '*', patterns[i].len) &&
                       !memchr(patterns[i].data, '?', patterns[i].len) &&
                       !memchr(patterns[i].data, '[', patterns[i].len);
        *shown = literal ? patterns[i] : bytes_of(name);
        return true;
    }
    return false;
}

uint32_t config_get(const struct bytes *patterns, uint32_t count, config_found *found, void *context) {
    uint32_t matches = 0;
    config_lock();
    for (unsigned i = 0; i < option_count(); i++) {
        const struct option *option = option_at(i);
        const char *names[] = {option->name, option->alias};
        struct bytes shown;
        for (unsigned j = 0; option->standard && j < 2 && names[j]; j++) {
            if (!name_matches(patterns, count, names[j], &shown)) continue;
            matches++;
            struct option_value value = {0};
            struct buffer text = {0};
            bool ok = !found || (option_current(option, &value) && option_format(option, &value, &text));
            if (found) found(context, shown, ok ? buffer_bytes(&text) : BYTES(""));
            option_value_free(&value);
            buffer_free(&text);
        }
    }
    config_unlock();
    return matches;
}

/* ---- CONFIG SET ----------------------------------------------------------------------------------- */

struct change {
    struct option *option;
    struct option_value value;
    struct bytes name; /* as the client wrote it */
};

static bool set_failed(char error[CONFIG_ERROR_MAX], struct bytes name, const char *why) {
    snprintf(error, CONFIG_ERROR_MAX, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
             reply_name(name), name.data, why);
    return false;
}

/* Whether the named options exist and may be changed, each once. Redis asks this of all pairs before it looks
 * at values. */
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
        if (option->when == START) return set_failed(error, name, "can't set immutable config");
        if (option->when == PROTECTED) return set_failed(error, name, "can't set protected config");
        for (uint32_t j = 0; j < i; j++)
            if (changes[j].option == option) return set_failed(error, name, "duplicate parameter");
        changes[i] = (struct change){.option = option, .name = name};
    }
    return true;
}

static bool changes_parse(const struct bytes *pairs, uint32_t count, struct change *changes,
                          char error[CONFIG_ERROR_MAX]) {
    for (uint32_t i = 0; i < count; i++) {
        struct change *change = &changes[i];
        char why[OPTION_ERROR_MAX] = "out of memory";
        bool ok =
            option_current(change->option, &change->value) &&
            option_parse(change->option, pairs[2 * i + 1], &change->value, why) &&
            (!change->option->prepare || change->option->prepare(change->value.number, why, sizeof why));
        if (!ok) return set_failed(error, change->name, why);
    }
    return true;
}

bool config_set(const struct bytes *pairs, uint32_t count, char error[CONFIG_ERROR_MAX]) {
    /* A list longer than the table has a duplicate or an unknown name among its first option_count() + 1. */
    uint32_t most = count < option_count() ? count : option_count() + 1;
    struct change *changes = calloc(most + 1, sizeof *changes);
    if (!changes) return set_failed(error, pairs[0], "out of memory");
    bool ok = changes_find(pairs, most, changes, error);
    config_lock();
    ok = ok && changes_parse(pairs, count, changes, error);
    for (uint32_t i = 0; i < most; i++) {
        if (ok) changes[i].option->set = true, option_store(changes[i].option, &changes[i].value);
        option_value_free(&changes[i].value);
    }
    config_unlock();
    free(changes);
    return ok;
}
