/* option.h - one option: its row, and its value between text and field. For config*.c alone.
 *
 *     text --option_parse--> struct option_value --option_store--> config.<field>
 *       ^------------------option_format-----------/ ^----------option_current---/
 *
 * Parsing decides whether a value is good and touches nothing; storing cannot fail. So several options can be
 * changed together, or none of them. Nothing here locks: config.c does, around option_store and option_current. */
#ifndef KEVY_SERVER_CONFIG_OPTION_H
#define KEVY_SERVER_CONFIG_OPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "server/config/config.h"

enum option_kind {
    OPTION_BOOL,
    OPTION_NUMBER,
    OPTION_OCTAL,
    OPTION_MEMORY,
    OPTION_CHOICE,
    OPTION_EVENTS,
    OPTION_TEXT,
    OPTION_LOCKED,
    OPTION_SAVES,
    OPTION_WORDS,
    OPTION_LIMITS,
    OPTION_ONE_OF,
    OPTION_ONLY,
};
enum option_when { START, ANY, PROTECTED };

enum { OPTION_ERROR_MAX = 256 }; /* bytes of an error text, its NUL included */

struct option_choice {
    const char *name; /* NULL ends the list */
    int64_t value;
};

/* A parsed value, not in force. Zero-initialised is empty. */
struct option_value {
    int64_t number; /* BOOL, NUMBER, OCTAL, MEMORY, CHOICE, EVENTS (NOTIFY_*) */
    char *text;     /* TEXT, LOCKED, SAVES and WORDS (single spaces between), ONE_OF, ONLY: malloc'd */
    int64_t limits[OUTPUT_LIMIT_CLASSES][3]; /* LIMITS: hard, soft, soft_seconds */
};

/* Texts are kept with a NUL behind them. A secret (TEXT, LOCKED) may hold any byte, as in Redis: in it a NUL is kept as
 * SECRET_MARK SECRET_NUL, and a SECRET_MARK twice. */
enum { SECRET_MARK = '\1', SECRET_NUL = '\2' };
/* The next byte of a secret that is kept, which is not at its end. */
static inline char secret_next(const char **kept) {
    char byte = *(*kept)++;
    if (byte != SECRET_MARK) return byte;
    byte = *(*kept)++;
    return byte == SECRET_NUL ? '\0' : byte;
}

struct option {
    enum option_kind kind;
    const char *name, *alias, *later; /* alias and later: NULL, or an older and a newer name of the same */
    const char *standard;             /* the default; NULL for an ONLY row that accepts nothing */
    enum option_when when;
    const char *help, *more, *unit;      /* more, unit: may be NULL */
    int64_t min, max;                    /* NUMBER, OCTAL, MEMORY */
    bool secret;                         /* the value is never shown, but by CONFIG GET */
    bool hidden;                         /* CONFIG GET shows it only where it is named in full */
    bool no_effect;                      /* `why` says why */
    bool fixed;                          /* ONLY and what has no effect: no CONFIG SET, as in Redis */
    bool several;                        /* TEXT without effect: it may have several words */
    const struct option_choice *choices; /* CHOICE */
    const char *also;                    /* ONLY, ONE_OF: values besides the default, '|' between them */
    const char *why;                     /* ONLY and what has no effect: ends the sentence "kevy ..." */
    /* TEXT, LOCKED: is this one good? NULL or an error text. Asked of every value. */
    const char *(*check)(const char *text);
    /* LOCKED: how a good one is kept and shown; malloc'd, NULL without memory. */
    char *(*spell)(const char *text);
    /* NUMBER: makes the process ready for a value that CONFIG SET is about to store. False with an error text. */
    bool (*prepare)(int64_t number, char *error, size_t size);
    /* Follows every store, also before the server runs. */
    void (*changed)(void);
    void *field; /* into struct config; NULL: the value lies in one of the next two */

    _Atomic int64_t own_number;
    char *own_text; /* malloc'd */
    bool set;       /* by CONFIG SET, since start */
    bool begun;     /* SAVES: a line of a file has been read, and the next ones add to it */
};

unsigned option_count(void);
struct option *option_at(unsigned i); /* in the order of options.def */
/* The name number i of an option: its name, then alias and later where there are some. NULL behind the last. */
enum { OPTION_NAMES = 3 };
const char *option_name(const struct option *option, unsigned i);
/* By any of its names, in any case; NULL if there is none. */
struct option *option_find(struct bytes name);
/* The known name that the text resembles most, NULL if none comes near. */
const char *option_nearest(struct bytes name);
/* Does a word mean, resemble, or begin like an option whose value is a secret? Where it goes on behind the name, so that the
 * secret itself may be in it, *name is what to show instead; else NULL. */
bool option_resembles_secret(struct bytes word, const char **name);
/* True if the value is a list, which a file writes as several words. */
bool option_takes_words(const struct option *option);

/* The value that a text stands for. LIMITS names only the classes that it changes, so `value` holds the
 * others before. False with an error text in Redis's words, `value` as it was. */
bool option_parse(const struct option *option, struct bytes text, struct option_value *value,
                  char error[OPTION_ERROR_MAX]) __attribute__((warn_unused_result));
/* SAVES: puts the points of an earlier line in front of those of a later one, unless that has none. False without memory. */
bool option_value_add(struct option_value *value, const struct option_value *earlier)
    __attribute__((warn_unused_result));
/* The value as CONFIG GET shows it. False without memory. */
bool option_format(const struct option *option, const struct option_value *value, struct buffer *out)
    __attribute__((warn_unused_result));
/* Puts a parsed value in force; what it owned belongs to the option now. */
void option_store(struct option *option, struct option_value *value);
/* A copy of what is in force. False without memory. */
bool option_current(const struct option *option, struct option_value *value)
    __attribute__((warn_unused_result));
bool option_value_equal(const struct option *option, const struct option_value *a,
                        const struct option_value *b);
void option_value_free(struct option_value *value);

#endif
