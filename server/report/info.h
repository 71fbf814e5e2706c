/* info.h - the text of INFO: sections of "name:value" lines, in Redis's order and by Redis's names.
 *
 * Every figure is measured. Fields of features that kevy lacks show what Redis shows when these are off;
 * fields whose meaning has no counterpart here are left out. */
#ifndef KEVY_SERVER_REPORT_INFO_H
#define KEVY_SERVER_REPORT_INFO_H

#include <stdint.h>

#include "protocol/text.h"

/* What clients that look at redis_version are told: the Redis whose commands and replies are ours. */
#define INFO_REDIS_VERSION "7.0.15"

/* Notes what the server has taken before there were clients and data; once, when it has started. */
void info_started(void);

/* The sections that a word of INFO's arguments names, as a set: "server", "all", "default" ...; 0 for an
 * unknown word. */
uint32_t info_sections(struct bytes word);
/* Adds these sections; text->cut tells if they were too long, or memory too short. Needs every stripe's lock. */
enum { INFO_TEXT_MAX = 1024 * 1024 }; /* bytes that they may have together */
void info_write(uint32_t sections, int64_t now_ms, struct text *text);

#endif
