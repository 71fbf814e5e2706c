/* info.c - the register of INFO's sections, and how their lines look. */
#include "server/report/info.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "protocol/assert.h"

enum { SECTIONS_MAX = 32, ERROR_SIZE = 128 }; /* a set of sections is a word */

extern const struct info_section *const __start_info_rows[];
extern const struct info_section *const __stop_info_rows[];

extern const struct info_measure *const __start_info_measures[];
extern const struct info_measure *const __stop_info_measures[];

static struct {
    const struct info_section *rows[SECTIONS_MAX]; /* ascending by .order */
    unsigned count;
} sections;

/* ---- The register --------------------------------------------------------------------------------- */

static int row_order(const void *a, const void *b) {
    const struct info_section *x = *(const struct info_section *const *)a,
                              *y = *(const struct info_section *const *)b;
    return (x->order > y->order) - (x->order < y->order);
}

static const char *bad_section(const struct info_section *row, const char *what) {
    static char error[ERROR_SIZE];
    struct text text = text_fixed(error, sizeof error);
    text_format(&text, "INFO section '%s': %s", row->name ? row->name : "?", what);
    return error;
}

static bool is_name(const char *name) {
    static const char *const sets[] = {"all", "everything", "default"};
    size_t len = name ? strlen(name) : 0;
    for (size_t i = 0; len && i < sizeof sets / sizeof *sets; i++)
        if (strcmp(name, sets[i]) == 0) return false;
    return len > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyz") == len;
}

const char *info_check(const struct info_section *const *rows, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (!is_name(rows[i]->name)) return bad_section(rows[i], "bad name");
        if (!rows[i]->title || !rows[i]->title[0]) return bad_section(rows[i], "no title");
        if (i && rows[i]->order <= rows[i - 1]->order) return bad_section(rows[i], "its place is taken");
        for (unsigned j = 0; j < i; j++)
            if (strcmp(rows[i]->name, rows[j]->name) == 0) return bad_section(rows[i], "there twice");
    }
    return NULL;
}

const char *info_open(void) {
    size_t count = (size_t)(__stop_info_rows - __start_info_rows);
    if (count > SECTIONS_MAX) return "more INFO sections than SECTIONS_MAX";
    memcpy(sections.rows, __start_info_rows, count * sizeof *sections.rows);
    sections.count = (unsigned)count;
    qsort(sections.rows, count, sizeof *sections.rows, row_order);
    return info_check(sections.rows, sections.count);
}

uint32_t info_sections(struct bytes word) {
    bool every = bytes_is(word, "all") || bytes_is(word, "everything"), standard = bytes_is(word, "default");
    uint32_t set = 0;
    for (unsigned i = 0; i < sections.count; i++) {
        const struct info_section *row = sections.rows[i];
        if (every || (standard ? row->by_default : bytes_equal_nocase(word, bytes_of(row->name))))
            set |= 1u << i;
    }
    return set;
}

void info_write(uint32_t set, int64_t now_ms, struct text *text) {
    struct info info = {.text = text, .now_ms = now_ms};
    const char *gap = "";
    assert(sections.count); /* info_open was called */
    metrics_sum(&info.metrics);
    for (unsigned i = 0; i < sections.count; i++) {
        const struct info_section *row = sections.rows[i];
        if (!(set & 1u << i)) continue;
        text_format(text, "%s# %s\r\n", gap, row->title);
        if (row->write) row->write(&info);
        gap = "\r\n";
    }
}

/* ---- Lines ---------------------------------------------------------------------------------------- */

void info_fixed(struct info *info, const char *lines) {
    while (*lines) {
        size_t len = strcspn(lines, " ");
        assert(memchr(lines, ':', len));
        text_add(info->text, (struct bytes){lines, len});
        text_string(info->text, "\r\n");
        lines += len + (lines[len] == ' ');
    }
}

void info_number(struct info *info, const char *name, int64_t number) {
    INFO_LINE(info, "%s:%lld", name, (long long)number);
}

void info_human(struct info *info, const char *name, double bytes) {
    static const char units[] = "BKMGTPE";
    unsigned unit = 0;
    for (; bytes >= 1024 && units[unit + 1]; unit++) bytes /= 1024;
    INFO_LINE(info, "%s_human:%.*f%c", name, unit ? 2 : 0, bytes, units[unit]);
}

double info_ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* INFO shows times in milliseconds. */
static int64_t shown(enum metric_kind kind, uint64_t figure) {
    return (int64_t)(kind == METRIC_TIME ? figure / 1000000 : figure);
}

static void measure(struct info *info, enum metric_section asked) {
    memset(&info->figures, 0xff, sizeof info->figures); /* no numbers: nobody has set them */
    for (const struct info_measure *const *at = __start_info_measures; at < __stop_info_measures; at++)
        if ((*at)->section == asked) (*at)->measure(info);
#define FIGURE(name, kind, section, format, help)                                                            \
    assert(asked != METRIC_##section || !isnan(info->figures.name));
#include "server/report/metrics.def"
}

void info_metrics(struct info *info, enum metric_section asked) {
    measure(info, asked);
#define METRIC(field, kind, section, name, help)                                                             \
    if (asked == METRIC_##section) info_number(info, name, shown(METRIC_##kind, info->metrics.field));
#define FIGURE(name, kind, section, format, help)                                                            \
    if (asked == METRIC_##section) INFO_LINE(info, #name ":" format, info->figures.name);
#define HUMAN(name, section)                                                                                 \
    if (asked == METRIC_##section) info_human(info, #name, info->figures.name);
#define ABSENT(section, name, value)                                                                         \
    if (asked == METRIC_##section) info_fixed(info, name ":" value);
#include "server/report/metrics.def"
}

/* ---- Sections of what is not here ----------------------------------------------------------------- */

INFO_SECTION(modules) = {.name = "modules", .title = "Modules", .order = 80, .by_default = true};
