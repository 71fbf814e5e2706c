/* glob.h - Redis's glob patterns: KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET, ACL.
 *
 *     *        any bytes, also none (but see below)      [abc]    one of them; [a-z] a range; [^...] none of
 * them ?        one byte                                  \x       x itself, also inside a class
 *
 * The odd ends are Redis's too: a class that is not closed ends with the pattern; "[a-]" is the range from a
 * to ]; a lone backslash at the end is itself; bytes above 127 order as negative numbers in a range; an
 * escaped byte in a class is compared with its case; and nothing but the empty pattern matches the empty
 * text, not even "*": the commands that list everything for "*" treat that pattern apart. */
#ifndef KEVY_PROTOCOL_GLOB_H
#define KEVY_PROTOCOL_GLOB_H

#include "protocol/bytes.h"

/* Does the whole text match? Only the last star reached is ever retried: a text of n bytes costs at most n
 * times the stretch of pattern between two stars, whatever the number of stars. */
bool glob_match(struct bytes pattern, struct bytes text, bool nocase);

/* True if the pattern has no special byte, so that it matches itself and nothing else (case aside). */
bool glob_is_literal(struct bytes pattern);

#endif
