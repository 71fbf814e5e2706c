/* load_in_pieces.h - a value that is loaded from input which comes in pieces, for tests and fuzzers. */
#ifndef KEVY_TESTS_LOAD_IN_PIECES_H
#define KEVY_TESTS_LOAD_IN_PIECES_H

#include "store/values/load.h"

/* As it comes from a file: what was not taken is there again, before the next piece. */
static inline enum loaded load_in_pieces(struct loading *loading, struct bytes input, size_t piece) {
    size_t taken = 0, known = 0;
    for (;;) {
        struct bytes part = {input.data + taken, known - taken};
        enum loaded loaded = load_more(loading, &part);
        taken = known - part.len;
        if (loaded != LOAD_MORE || known == input.len) return loaded;
        known = input.len - known < piece ? input.len : known + piece;
    }
}

#endif
