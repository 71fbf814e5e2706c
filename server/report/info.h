/* info.h - the text of INFO: sections of "name:value" lines, in Redis's order and by Redis's names.
 *
 * A section is one row, in the file of its subject, below the function that writes its lines:
 *
 *     static void section_clients(struct info *info) {
 *         info_metrics(info, METRIC_CLIENTS);
 *     }
 *     INFO_SECTION(clients) = {.name = "clients", .title = "Clients", .order = 20, .by_default = true,
 *                              .write = section_clients};
 *
 * The macro puts the row into a linker section, so this file and info.c know no subject. info_open checks
 * the rows at start. Figures are rows of metrics.def; the section's function writes what is none (names, versions,
 * states), and lines of which there are as many as databases or commands.
 *
 * Every figure is measured. Fields of features that kevy lacks show what Redis shows when these are off. */
#ifndef KEVY_SERVER_REPORT_INFO_H
#define KEVY_SERVER_REPORT_INFO_H

#include <stdint.h>

#include "protocol/text.h"
#include "server/limits.h"
#include "server/report/metrics.h"

/* The FIGUREs of metrics.def: those of a section that was measured. */
struct info_figures {
#define FIGURE(name, kind, section, format, help) double name;
#include "server/report/metrics.def"
};

/* What sections are written to, and from. */
struct info {
    struct text *text;
    int64_t now_ms; /* Unix time of the request */
    struct metrics metrics;
    struct info_figures figures;
};

struct info_section {
    const char *name, *title; /* "clients", as INFO's argument; "Clients", as its heading */
    unsigned order;           /* sections come in ascending order, however they are asked for */
    bool by_default;          /* shown when no section is named */
    /* Adds its lines; all stripes are locked. NULL: a heading alone. */
    void (*write)(struct info *info);
};

#define INFO_SECTION(ident)                                                                                  \
    static const struct info_section info_section_##ident;                                                   \
    static const struct info_section *const info_section_row_##ident                                         \
        __attribute__((section("info_rows"), used)) = &info_section_##ident;                                 \
    static const struct info_section info_section_##ident

/* FIGUREs of metrics.def: the subject's file works out those of its section, all at once, so that they agree with each
 * other. All stripes are locked. A section may have several that measure, and each of its FIGUREs is set by one of them.
 *
 *     static void measure_clients(struct info *info) {
 *         info->figures.connected_clients = clients_count();
 *         ...
 *     }
 *     INFO_MEASURE(CLIENTS, measure_clients); */
struct info_measure {
    enum metric_section section;
    void (*measure)(struct info *info);
};
#define INFO_MEASURE(section_, measure_)                                                                     \
    static const struct info_measure info_##measure_ = {.section = METRIC_##section_,                        \
                                                        .measure = (measure_)};                              \
    static const struct info_measure *const info_row_##measure_                                              \
        __attribute__((section("info_measures"), used)) = &info_##measure_

/* Puts the sections in order. NULL, or what is wrong with which row. Once, before there are threads. */
const char *info_open(void);
/* What is wrong with these rows, which are in order; NULL: nothing. The part of info_open that a test feeds
 * with bad rows. */
const char *info_check(const struct info_section *const *rows, unsigned count);

/* The sections that a word of INFO's arguments names, as a set: "server", "all", "default" ...; 0 for
 * an unknown word. */
uint32_t info_sections(struct bytes word);
/* Adds these sections; text->cut tells if they were too long (INFO_TEXT_MAX), or memory too short. Needs
 * every stripe's lock. */
void info_write(uint32_t sections, int64_t now_ms, struct text *text);

/* ---- Lines ---------------------------------------------------------------------------------------- */

/* printf-style, a line: INFO_LINE(info, "os:%s %s", name, release) */
#define INFO_LINE(info, format, ...) text_format((info)->text, format "\r\n", __VA_ARGS__)
/* Lines that never change, with a blank between them, and none inside: "loading:0 async_loading:0" */
void info_fixed(struct info *info, const char *lines);
void info_number(struct info *info, const char *name, int64_t number);
/* The line <name>_human, in units of 1,024 of each other: "1.23M", rounded as Redis does. */
void info_human(struct info *info, const char *name, double bytes);
/* part / whole, for a line; 0 where there is no whole. */
double info_ratio(double part, double whole);
/* Measures what metrics.def has for this section, and adds it in its order. */
void info_metrics(struct info *info, enum metric_section section);

#endif
