/* title.h - what ps and top show: proc-title-template, written over the arguments that kevy was started with.
 */
#ifndef KEVY_SERVER_CONFIG_TITLE_H
#define KEVY_SERVER_CONFIG_TITLE_H

/* Makes room: moves the environment away from behind argv. First thing in main, since it moves what getenv
 * returned. After title_show the strings of argv hold the title: whoever needs them copies them before. */
void title_keep(int argc, char **argv);
/* Shows the template as the options stand. Does nothing before title_keep, or with `set-proc-title no`.
 * To be called while nobody changes options: at start, or from CONFIG SET itself. */
void title_show(void);
/* The same after a change of the template; nothing before the first title_show, while argv is still being
 * read. */
void title_follow(void);
/* NULL if the template has only variables that we know, else an error text. */
const char *title_check(const char *template);

#endif
