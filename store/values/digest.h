/* digest.h - what a dataset holds, in twenty bytes: equal digests mean equal keys, values and databases, and which keys
 * expire (but not when). They are those of Redis's DEBUG DIGEST and DEBUG DIGEST-VALUE.
 *
 * A digest takes things in two ways: digest_mix minds their order, digest_join does not. So the keys of a database may
 * come in any order and from any stripe, and what a list holds may not. */
#ifndef KEVY_STORE_VALUES_DIGEST_H
#define KEVY_STORE_VALUES_DIGEST_H

#include <stdint.h>

#include "protocol/sha1.h"

struct digest {
    unsigned char bytes[SHA1_LEN]; /* zeroes: of nothing */
};

void digest_mix(struct digest *digest, struct bytes part);
void digest_mix_number(struct digest *digest, uint32_t number);
/* Joining the same part twice takes it away again. */
void digest_join(struct digest *digest, struct bytes part);

/* Its bytes, as a part of another. */
static inline struct bytes digest_bytes(const struct digest *digest) {
    return (struct bytes){(const char *)digest->bytes, sizeof digest->bytes};
}

#endif
