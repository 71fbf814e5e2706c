/* title.h - what ps and top show: proc-title-template, written over the arguments that kevy was started with. */
#ifndef KEVY_SERVER_CONFIG_TITLE_H
#define KEVY_SERVER_CONFIG_TITLE_H

#include <stdbool.h>

/* What the variables of a template stand for. */
struct title_values {
    const char *address;                  /* the first of `bind`; NULL: none, which means all */
    int port;                             /* 0: TCP is off */
    const char *unixsocket, *config_file; /* "" for none */
    bool cluster;                         /* it answers as a cluster */
};

/* Makes room: moves the environment away from behind argv. First thing in main, since it moves what getenv
 * returned. After title_show the strings of argv hold the title: whoever needs them copies them before. */
void title_keep(int argc, char **argv);
/* Shows the template, cut to the room there is. Does nothing before title_keep, or where the template is wrong. */
void title_show(const char *template, const struct title_values *values);
bool title_is_shown(void);
/* NULL if the template has only variables that we know, else an error text. */
const char *title_check(const char *template);

#endif
