/* info_fixture.h - INFO's text and its lines, for the tests of its sections. info_open has been called. */
#ifndef KEVY_TESTS_INFO_FIXTURE_H
#define KEVY_TESTS_INFO_FIXTURE_H

#include "server/report/info.h"
#include "tests/check.h"

/* The text of these sections at that time, as a string that is good until the next. */
static inline const char *info_text(const char *words, int64_t at_ms) {
    static struct text text;
    uint32_t sections = 0;
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        sections |= info_sections((struct bytes){at, len});
        at += len;
    }
    text_free(&text);
    text = text_growing(NULL, 0, INFO_TEXT_MAX);
    info_write(sections, at_ms, &text);
    CHECK(!text.cut);
    return text.data ? text.data : "";
}

static inline bool has_line(const char *all, const char *line) {
    size_t len = strlen(line);
    for (const char *at = all; (at = strstr(at, line)); at++)
        if ((at == all || at[-1] == '\n') && at[len] == '\r') return true;
    return false;
}

/* The number of a line. */
static inline long long figure(const char *all, const char *name) {
    char key[80];
    snprintf(key, sizeof key, "\n%s:", name);
    const char *at = strstr(all, key);
    if (!at) fprintf(stderr, "no %s in %s\n", name, all);
    CHECK(at);
    return strtoll(at + strlen(key), NULL, 10);
}

#endif
