/* glob.h - Redis's glob patterns: KEYS, SCAN MATCH, CONFIG GET, COMMAND LIST.
 *
 *  - `*`: any bytes, also none (but see below). `?`: one byte. `\x`: x itself, also inside a class.
 *  - `[abc]`: one of these bytes; `[a-z]`: one of a range; `[^...]`: one of all others.
 *
 * The odd ends are Redis's too: a class that is not closed ends with the pattern; "[a-]" is the range from a
 * to ]; a lone backslash at the end is itself; bytes above 127 order as negative numbers in a range; an
 * escaped byte in a class is compared with its case; and nothing but the empty pattern matches the empty
 * text, not even "*": the commands that list everything for "*" treat that pattern apart.
 *
 * A pattern is compiled once and then matched with any number of texts. */
#ifndef KEVY_PROTOCOL_GLOB_H
#define KEVY_PROTOCOL_GLOB_H

#include "protocol/bytes.h"

struct glob {
    unsigned char *code; /* malloc'd; glob.c says what is in it */
    size_t last;         /* where its last stretch begins */
    size_t shortest;     /* no text of fewer bytes matches */
    bool starred;        /* false: all texts that match have `shortest` bytes */
    bool hopeless;       /* no text matches: one byte of it would have to be of an empty class */
};

/* Compiles a pattern, which is needed no longer afterwards; `nocase`: ASCII letters match in either case.
 * The cost and the memory are proportional to the pattern's length, GLOB_BYTES for each of its bytes at
 * most. False without memory. */
bool glob_compile(struct glob *glob, struct bytes pattern, bool nocase) __attribute__((warn_unused_result));
enum { GLOB_BYTES = 4 };
void glob_free(struct glob *glob);

/* Does the whole text match? The cost is that of looking at each byte of the code and of the text a few times,
 * but for stretches between two stars that have classes or `?` between their bytes: these are compared with the
 * text at 64 places at once, beginning with the element that fits the fewest bytes of the text. Where that does
 * not help, the cost is the product of the stretch's length and the text's, divided by 64. */
bool glob_matches(const struct glob *glob, struct bytes text);

/* True if the pattern has no special byte, so that it matches itself and nothing else (case aside). */
bool glob_is_literal(struct bytes pattern);

#endif
