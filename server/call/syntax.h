/* syntax.h - the little language in which a command's row describes its arguments (struct command's .syntax).
 *
 *     <name>               an argument: a string
 *     <name:type>          one of type string, key, integer, double, pattern, unix-time; key-pattern is a pattern of the
 *                          names of other keys
 *     TOKEN                a word by itself (COMMAND DOCS: a pure-token, named as its lower case)
 *     {TOKEN argument}     an argument that a word announces: {EX <seconds:integer>}
 *     name:( a | b )       one of several
 *     name:{ a b c }       several that belong together
 *     [argument]           may be left out
 *     argument ...         may be repeated; "...+" where its token is repeated with it; "...*" where it may be left out, and
 *                          COMMAND DOCS does not say so
 *     argument@6.2.0       is there since this version; argument!2.8.12 is deprecated since
 *
 * The suffixes (... @ !) follow what they describe: `[condition:(NX | XX)@7.0.0]`, `[{GET <pattern>} ...+]`. */
#ifndef KEVY_SERVER_CALL_SYNTAX_H
#define KEVY_SERVER_CALL_SYNTAX_H

#include <stdint.h>

#include "protocol/bytes.h"

enum syntax_type {
    SYNTAX_STRING,
    SYNTAX_INTEGER,
    SYNTAX_DOUBLE,
    SYNTAX_KEY,
    SYNTAX_PATTERN,
    SYNTAX_KEY_PATTERN,
    SYNTAX_UNIX_TIME,
    SYNTAX_PURE_TOKEN,
    SYNTAX_ONEOF,
    SYNTAX_BLOCK,
};

enum syntax_flag { SYNTAX_OPTIONAL = 1 << 0, SYNTAX_MULTIPLE = 1 << 1, SYNTAX_MULTIPLE_TOKEN = 1 << 2 };

enum { SYNTAX_MAX_ARGUMENTS = 64, SYNTAX_MAX_DEPTH = 8, SYNTAX_NONE = -1 };

struct syntax_argument {
    enum syntax_type type;
    uint32_t flags;           /* enum syntax_flag */
    struct bytes name, token; /* slices of the text; a pure token's name is its token, to be lower-cased */
    struct bytes since, deprecated_since; /* empty where the text does not say */
    int key; /* for a key: 0 for the first in the text, 1 for the next, ...; all patterns of keys are one key */
    bool none;           /* behind it stands "...*" */
    int16_t child, next; /* indices of the first member and of the sibling that follows, or SYNTAX_NONE */
};

struct syntax {
    struct syntax_argument arguments[SYNTAX_MAX_ARGUMENTS];
    int count;
    int keys;      /* how many of the arguments are keys */
    int pattern;   /* which key the patterns of keys are, or SYNTAX_NONE */
    int16_t first; /* the first argument of all, or SYNTAX_NONE */
};

/* Parses `text` (NULL: no arguments). NULL, or what is wrong with it. The slices point into the text. */
const char *syntax_parse(const char *text, struct syntax *syntax);
/* How many arguments a request has at least, and whether it can have more than that. */
unsigned syntax_least(const struct syntax *syntax, bool *fixed);

#endif
