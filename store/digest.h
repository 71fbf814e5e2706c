/* digest.h - what a dataset holds, in twenty bytes: equal digests mean equal keys, values and databases, and which keys
 * expire (but not when). They are those of Redis's DEBUG DIGEST and DEBUG DIGEST-VALUE.
 *
 * A digest takes things in two ways: digest_mix minds their order, digest_join does not. So the keys of a database may
 * come in any order and from any stripe, and what a list holds may not. */
#ifndef KEVY_STORE_DIGEST_H
#define KEVY_STORE_DIGEST_H

#include "protocol/sha1.h"
#include "store/keyspace.h"

struct digest {
    unsigned char bytes[SHA1_LEN]; /* zeroes: of nothing */
};

void digest_mix(struct digest *digest, struct bytes part);
void digest_mix_number(struct digest *digest, uint32_t number);
/* Joining the same part twice takes it away again. */
void digest_join(struct digest *digest, struct bytes part);

/* Mixes in the entry's type and value, and that it expires if it does. */
void digest_entry(struct digest *digest, const struct entry *e);

/* Joins all entries of a database, expired ones included. The digest of a dataset begins with zeroes; then, for every
 * database that is not empty, in ascending order, its number is mixed in, and all of its entries are joined. */
void keyspace_digest(struct digest *digest, const struct keyspace *ks, unsigned db);

#endif
